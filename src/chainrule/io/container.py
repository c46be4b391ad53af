"""One file: named arrays and a JSON document, in the safetensors format.

The format is data only (a JSON header, then raw numbers), so loading runs no code. The
document is kept as one string under one key, so that equal contents give equal bytes.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.errors import DataError
from chainrule.io.atomic import atomic_write

__all__ = ["is_ours", "load", "save"]

KEY = "chainrule"
"""The safetensors metadata entry that holds the document."""

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

    Arrays must be float, integer or bool, and every number finite; the document must be JSON
    without NaN or infinity (ValueError otherwise: a caller's mistake, not the user's).
    """
    from safetensors.numpy import save as to_bytes

    contiguous = {}
    for name, array in arrays.items():
        if array.dtype.kind not in "fiub":
            raise ValueError(f"array {name!r} has dtype {array.dtype}, which is not stored")
        if not np.all(np.isfinite(array)):
            raise ValueError(f"array {name!r} holds a non-finite number")
        contiguous[name] = np.ascontiguousarray(array).reshape(array.shape)
    document = json.dumps(metadata, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    atomic_write(path, to_bytes(contiguous, metadata={KEY: document}), replace=replace)


def load(path: str | os.PathLike[str]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read what ``save`` wrote: (arrays, metadata). The arrays are fresh and writable.

    Raises DataError if the file is truncated, corrupt, not chainrule's, or holds a non-finite
    number; FileNotFoundError and other OSErrors as they come.
    """
    from safetensors import SafetensorError, safe_open

    _readable(path)
    try:
        with safe_open(path, framework="numpy") as file:
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
    return arrays, _parse(path, document)


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
    if Path(path).is_dir():
        raise DataError(f"{path}: is a folder; expected a model file")
    with open(path, "rb") as file:
        if not file.read(1):
            raise DataError(f"{path}: is empty; expected a model file")


def _corrupt(path: object, error: Exception) -> DataError:
    return DataError(
        f"{path}: is not a whole safetensors file ({error}); expected a model saved by "
        f"`chainrule train`"
    )


def _parse(path: object, document: str) -> dict[str, Any]:
    if len(document) > LIMIT:
        raise DataError(f"{path}: metadata of {len(document)} characters is too long to be real")
    try:
        value = json.loads(document, parse_constant=_refuse, object_pairs_hook=_distinct)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: its metadata is not the JSON it should be ({error})") from error
    if not isinstance(value, dict):
        raise DataError(f"{path}: its metadata is not a JSON object")
    return value


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is not a finite number")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key occurs twice in one object")
    return result
