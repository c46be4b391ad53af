"""One file: named arrays and a JSON document, in the safetensors format.

The format is data only (a JSON header, then raw numbers), so loading runs no code. The
document is kept as one string under one key, so that equal contents give equal bytes. Its entry
``sha256`` is a sum over all arrays and the rest of the document, which shows damage: anyone who
changes a file on purpose can compute it again.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.errors import DataError
from chainrule.io.atomic import atomic_write, naming

__all__ = ["is_ours", "load", "save"]

KEY = "chainrule"
"""The safetensors metadata entry that holds the document."""

SUM = "sha256"
"""The document's own entry for the sum."""

LIMIT = 64 * 2**20
"""The longest document accepted, in bytes: far beyond any real one."""


def save(
    path: str | os.PathLike[str],
    arrays: dict[str, np.ndarray],
    metadata: dict[str, Any],
    *,
    replace: bool = True,
) -> None:
    """Write arrays and a JSON document to ``path``, atomically.

    Args:
        path: of the file, whose folder exists.
        arrays: float, integer or bool, of any shapes, every number finite.
        metadata: the document: JSON without NaN, infinity and an entry ``sha256``.
        replace: whether a file that is there already may be replaced.

    Raises:
        ValueError, TypeError: arrays or a document that cannot be stored: a caller's mistake, not
            the user's.
        UsageError: the file exists and ``replace`` is False.
        OSError: the file cannot be written; the error names it.
    """
    from safetensors.numpy import save as to_bytes

    contiguous = {}
    for name, array in arrays.items():
        if array.dtype.kind not in "fiub":
            raise ValueError(f"array {name!r} has dtype {array.dtype}, which is not stored")
        if not np.all(np.isfinite(array)):
            raise ValueError(f"array {name!r} holds a non-finite number")
        contiguous[name] = np.ascontiguousarray(array).reshape(array.shape)
    if SUM in metadata:
        raise ValueError(f"the document has an entry {SUM!r}, which is the sum's own")
    document = _text({SUM: _sum(contiguous, metadata), **metadata})
    atomic_write(path, to_bytes(contiguous, metadata={KEY: document}), replace=replace)


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document, allow_nan=False, ensure_ascii=False, separators=(",", ":"))


def _sum(arrays: dict[str, np.ndarray], metadata: dict[str, Any]) -> str:
    """The SHA-256 of a document, as ``_text`` writes it, and of the arrays in the order of
    their names: each with its name, dtype and shape, and its numbers in little-endian order."""
    digest = hashlib.sha256(_text(metadata).encode("utf-8", "surrogatepass"))
    for name, array in sorted(arrays.items()):
        digest.update(f"\n{json.dumps(name)} {array.dtype.name} {array.shape}\n".encode())
        digest.update(array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
    return digest.hexdigest()


def load(
    path: str | os.PathLike[str], notes: list[str] | None = None
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read what ``save`` wrote: (arrays, metadata). The arrays are fresh and writable.

    Args:
        path: of the file.
        notes: gets a line for the user if the file has no sum, as chainrule 0.1.0 wrote them; it
            is then read as it is.

    Raises:
        DataError: the file is truncated, corrupt, not chainrule's, or holds a non-finite number.
        OSError: it is missing or cannot be read; the error names it.
    """
    from safetensors import SafetensorError, safe_open

    _readable(path)
    try:
        with naming(path), safe_open(path, framework="numpy") as file:
            document = (file.metadata() or {}).get(KEY)
            if document is None:
                raise DataError(
                    f"{path}: is a safetensors file, but not one that chainrule wrote "
                    f"(its metadata has no entry {KEY!r}); give a model saved by `chainrule train`"
                )
            arrays = {name: np.array(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, AttributeError, TypeError, KeyError) as error:
        # Besides its own error, safetensors lets a dtype NumPy lacks (bfloat16) through as these.
        raise _corrupt(path, error) from error
    for name, array in arrays.items():
        if array.dtype.kind not in "fiub":
            raise DataError(f"{path}: array {name!r} has dtype {array.dtype}; expected numbers")
        if not np.all(np.isfinite(array)):
            raise DataError(f"{path}: array {name!r} holds a number that is not finite")
    metadata = _parse(path, document)
    stated = metadata.pop(SUM, None)
    if stated is None:
        if notes is not None:
            notes.append(f"{path}: carries no checksum, so damage to it may go unseen")
    elif not _is_sum(stated, arrays, metadata):
        raise DataError(
            f"{path}: is damaged: its contents do not match their checksum; restore the file "
            f"from a copy, or train again"
        )
    return arrays, metadata


def is_ours(path: str | os.PathLike[str]) -> bool:
    """Whether ``path`` is a file that ``save`` wrote (only its header is read)."""
    from safetensors import SafetensorError, safe_open

    try:
        _readable(path)
        with safe_open(path, framework="numpy") as file:
            return KEY in (file.metadata() or {})
    except (SafetensorError, DataError, OSError):
        return False


def _readable(path: str | os.PathLike[str]) -> None:
    """Raise the plain OSError for a missing or unreadable file, which safetensors rewords."""
    with naming(path):
        found = Path(path).stat()
        if stat.S_ISDIR(found.st_mode):
            raise DataError(f"{path}: is a folder; expected a model file")
        if not stat.S_ISREG(found.st_mode):  # reading a pipe could wait for ever
            raise DataError(f"{path}: is not an ordinary file; expected a model file")
        if not found.st_size:
            raise DataError(f"{path}: is empty; expected a model file")
        open(path, "rb").close()


def _corrupt(path: object, error: Exception) -> DataError:
    return DataError(
        f"{path}: is not a whole safetensors file ({error}); expected a model saved by "
        f"`chainrule train`"
    )


def _parse(path: object, document: str) -> dict[str, Any]:
    if len(document) > LIMIT:
        raise DataError(f"{path}: metadata of {len(document)} characters is too long to be real")
    try:
        value = json.loads(
            document, parse_constant=_finite, parse_float=_finite, object_pairs_hook=_distinct
        )
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: its metadata is not the JSON it should be ({error})") from error
    if not isinstance(value, dict):
        raise DataError(f"{path}: its metadata is not a JSON object")
    return value


def _is_sum(stated: Any, arrays: dict[str, np.ndarray], metadata: dict[str, Any]) -> bool:
    try:
        return stated == _sum(arrays, metadata)
    except RecursionError:  # nested as deep as could be read, but too deep to be written
        return False


def _finite(word: str) -> float:
    value = float(word)
    if not math.isfinite(value):
        raise ValueError(f"{word[:30]} is not a finite number")
    return value


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key occurs twice in one object")
    return result
