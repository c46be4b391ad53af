"""Files at addresses such as ``s3://bucket/folder``, by pyarrow's file systems or fsspec's."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
from pyarrow import fs

from chainrule.errors import ChainruleError, DataError, UsageError
from chainrule.tabular.sources import Source, advice, is_table, keys_of, masked

__all__ = ["files_at"]

KNOWN = ("file", "s3", "gs", "gcs", "hdfs", "viewfs", "abfs", "abfss")
"""What pyarrow knows; what it was built without, and all else, is fsspec's."""


def files_at(address: str) -> list[Source]:
    """The files at an address: itself, those of a folder, or of a glob with * or [ ].

    Raises UsageError for an address that cannot be used, DataError where there is no file.
    """
    front, mark, query = address.partition("?")
    parts = front.split("/")
    magic = [place for place, part in enumerate(parts) if place > 2 and re.search(r"[*[]", part)]
    pattern = parts[magic[0] :] if magic else []
    base = front if not magic else "/".join(parts[: magic[0]])
    name = masked(address)
    with _telling(name, "opened"):
        system, path, decoded = _system(base + mark + query, name)
    path = path.rstrip("/") or path
    shown = masked(base).rstrip("/")
    if decoded:
        shown, pattern = unquote(shown), [unquote(part) for part in pattern]
    with _telling(name, "read"):
        found = system.get_file_info(path)
        if found.type == fs.FileType.File and not magic:
            return [_source(system, path, shown, {})]
        if found.type != fs.FileType.Directory:
            raise DataError(f"{name}: {_lacking(system, path)}")
        deep = not magic or len(pattern) > 1 or pattern == ["**"]
        every = system.get_file_info(fs.FileSelector(path, recursive=deep))
    inside = [one.path[len(path) :].lstrip("/") for one in every if one.type == fs.FileType.File]
    if magic:  # sorted as ``find`` sorts files of this machine
        chosen = sorted(one for one in inside if _fits(one.split("/"), pattern))
    else:
        chosen = sorted((one for one in inside if is_table(one)), key=lambda one: one.split("/"))
    if not chosen:
        raise DataError(
            f"{name}: no file is called so"
            if magic
            else f"{name}: is a folder without tables; expected files such as .parquet in it"
        )
    start = path.rstrip("/")
    return [
        _source(system, f"{start}/{one}", f"{shown}/{one}", {} if magic else keys_of(one))
        for one in chosen
    ]


def _system(address: str, name: str) -> tuple[Any, str, bool]:
    """A file system, the path in it, and whether % signs of the address were decoded."""
    scheme = address.partition("://")[0].lower()
    if scheme in ("gs", "gcs") and "retry_limit_seconds" not in address:  # usually 15 minutes
        address += ("&" if "?" in address else "?") + "retry_limit_seconds=10"
    try:
        return *fs.FileSystem.from_uri(address), True
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        if scheme in KNOWN and not re.search("without .* support|Unrecognized", str(error)):
            said = _clean(error, address, name)
            raise UsageError(
                f"{name}: is no address that can be used ({said}); "
                f"write spaces and other signs in it as %20 and so on"
            ) from None
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise UsageError(
            f"{name}: pyarrow does not know {scheme}://, and fsspec, which may, is not there; "
            f"add it with pip install fsspec"
        ) from None
    try:
        system, path = url_to_fs(address)
    except ImportError as error:
        raise UsageError(f"{name}: a module is missing for {scheme}:// ({error})") from None
    except ValueError as error:
        if "rotocol" not in str(error):
            raise
        raise UsageError(
            f"{name}: neither pyarrow nor fsspec knows {scheme}://; use s3://, gs://, hdfs://, "
            f"file://, or one of fsspec's"
        ) from None
    return fs.PyFileSystem(fs.FSSpecHandler(system)), path, False


def _source(system: Any, path: str, name: str, keys: dict[str, str]) -> Source:
    def raw() -> Any:
        with _telling(name, "opened"):
            return system.open_input_file(path)

    def stamp() -> Any:
        with _telling(name, "read"):
            if isinstance(system, fs.PyFileSystem):  # not all of fsspec's tell a time
                inner: Any = system.handler.fs  # type: ignore[attr-defined]
                inner.invalidate_cache()
                return inner.ukey(path) if inner.exists(path) else None
            found = system.get_file_info(path)
            return (found.size, found.mtime_ns) if found.type == fs.FileType.File else None

    return Source(name, raw, keys, stamp)


def _lacking(system: Any, path: str) -> str:
    """What there is not."""
    bucket, slash, _ = path.partition("/")
    if bucket and slash and system.get_file_info(bucket).type == fs.FileType.NotFound:
        return f"there is no bucket {bucket}; check its name and region"
    return "there is no such file, folder or bucket; check the address"


def _fits(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether a path is of a glob, as ``glob`` has it: ** is any folders, * not what is hidden."""
    if not pattern or not parts:
        return not parts and all(one == "**" for one in pattern)
    hidden = parts[0].startswith(".")
    if pattern[0] == "**":
        return _fits(parts, pattern[1:]) or (not hidden and _fits(parts[1:], pattern))
    if hidden and not pattern[0].startswith("."):
        return False
    return fnmatchcase(parts[0], pattern[0]) and _fits(parts[1:], pattern[1:])


def _clean(error: Exception, address: str, name: str) -> str:
    """The first line of what an error says, without what is secret in the address."""
    line = (str(error).splitlines() or [type(error).__name__])[0]
    return masked(line.replace(address, name))[:300]


@contextmanager
def _telling(name: str, what: str) -> Iterator[None]:
    """Errors within it become one DataError with what to do.

    File systems of fsspec raise the errors of many libraries, so all kinds are taken.
    """
    try:
        yield
    except (ChainruleError, MemoryError):
        raise
    except FileNotFoundError:
        raise DataError(f"{name}: there is no such file, folder or bucket; check the address") \
            from None  # fmt: skip
    except Exception as error:
        do = advice(error) or "check the address"
        raise DataError(f"{name}: cannot be {what} ({_clean(error, name, name)}); {do}") from None
