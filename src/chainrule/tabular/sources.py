"""Where a table's bytes come from: a file, a folder, a glob, standard input; packed or not.

Every source can be opened again, as reading a column once more, or telling the line of a cell,
needs it: what comes through a pipe is kept, in memory or in a temporary file.
"""

from __future__ import annotations

import bz2
import glob
import gzip
import hashlib
import io
import lzma
import os
import re
import shutil
import sys
import tempfile
import weakref
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, BinaryIO

from chainrule.errors import DataError, UsageError
from chainrule.io import naming

__all__ = [
    "PACKED",
    "Source",
    "advice",
    "digest",
    "find",
    "is_address",
    "is_table",
    "keys_of",
    "kind_of",
    "masked",
    "refuse_address",
    "stamp",
]

PACKED = (".gz", ".zst", ".bz2", ".xz")
"""Endings of packed files; what a file is, its first bytes say."""

SUFFIXES = (".csv", ".tsv", ".txt", ".parquet", ".pq", ".arrow", ".feather", ".ipc")
SUFFIXES += (".jsonl", ".ndjson", ".json", ".xlsx", ".data")
"""Endings of the files that are taken from a folder."""

KEPT = 2**26
"""Bytes of a pipe that are kept in memory; more go to a temporary file."""

ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")

MAGIC = (
    (b"PAR1", "parquet"),
    (b"ARROW1", "arrow"),
    (b"\xff\xff\xff\xff", "stream"),
    (b"PK\x03\x04", "zip"),
)
"""First bytes of the kinds of files that are read; anything else is text."""

STRANGE = (
    (b"FEA1", "a Feather file of version 1; write it again with version 2"),
    (b"\xd0\xcf\x11\xe0", "an old Excel file; save it as .xlsx or CSV"),
    (b"SQLite format 3\0", "an SQLite database; export the table as CSV"),
    (b"\x89HDF", "an HDF5 file; export the table as Parquet or CSV"),
    (b"%PDF", "a PDF; export the table as CSV"),
    (b"\x93NUMPY", "a NumPy file; pass its arrays to tabular.train, or write a CSV"),
    (b"ORC", "an ORC file; write it as Parquet"),
    (b"\x80\x04", "a pickle, which is not opened, as that would run code; write a CSV"),
    (b"\x80\x05", "a pickle, which is not opened, as that would run code; write a CSV"),
    (b"7z\xbc\xaf", "a 7z archive; unpack it first"),
    (b"<!doctype html", "a web page, not a table; fetch the file itself"),
    (b"<html", "a web page, not a table; fetch the file itself"),
    (b"<?xml", "XML; export the table as CSV"),
)


ADVICE = (
    (
        r"access.?denied|permission.?denied|forbidden|unauthenticated|credential|status 40[13]"
        r"|signature|access_key|expired.?token|\bauth|oauth",
        "give credentials that may read it, in the way of the file system (for s3:// "
        "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, for gs:// GOOGLE_APPLICATION_CREDENTIALS), "
        "or s3://anonymous@bucket/... where anyone may",
    ),
    (
        r"network_connection|curl|connect|resolve|timed? ?out|unavailable|slow_down",
        "check the network and the address, and run it again",
    ),
    (r"libjvm|libhdfs", "install Java and Hadoop, and set JAVA_HOME, HADOOP_HOME and CLASSPATH"),
)
"""What to do about errors of file systems, by words in them."""


@dataclass(frozen=True, eq=False)
class Source:
    """One file.

    Attributes:
        name: what messages call it.
        raw: opens the bytes as they are stored.
        keys: the columns that its folders name, as ``year=2024`` does.
        stamp: as the function of this name; None for a file of this machine.
    """

    name: str
    raw: Callable[[], Any]
    keys: dict[str, str] = field(default_factory=dict[str, str])
    stamp: Callable[[], Any] | None = None

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """The bytes, unpacked, from the first one."""
        with naming(self.name), self.raw() as stored:
            try:
                stream: Any = _peekable(stored)
                for _ in range(3):  # packed, and packed again
                    unpack = _packing(stream.peek(10)[:10])
                    if unpack is None:
                        break
                    stream = _peekable(unpack(stream))
                yield stream
            except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
                raise self._damaged(error) from None
            except OSError as error:
                if error.errno is not None:
                    raise
                raise self._damaged(error) from None  # bz2 and zstd have no error of their own

    def packed(self) -> bool:
        """Whether the bytes are packed as they are stored."""
        with naming(self.name), self.raw() as stored:
            return _packing(_peekable(stored).peek(10)[:10]) is not None

    def _damaged(self, error: Exception) -> DataError:
        do = advice(error) if self.stamp is not None else None
        if do is not None:
            return DataError(f"{self.name}: cannot be read ({error}); {do}")
        return DataError(f"{self.name}: is damaged or cut short ({error}); fetch it again")

    def kind(self) -> str:
        """ "parquet", "arrow", "stream", "json", "excel" or "text", by the first bytes.

        Raises DataError for kinds of files that are not read, with what to do.
        """
        with self.open() as stream:
            head = stream.peek(4096)[:4096]  # type: ignore[attr-defined]
            start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
            if head[257:262] == b"ustar":
                raise DataError(f"{self.name}: is a tar archive; unpack it first")
            for magic, what in STRANGE:
                if (start if magic[:1] == b"<" else head).lower().startswith(magic.lower()):
                    raise DataError(f"{self.name}: is {what}")
            if re.match(rb"\[\s*\{", start):
                raise DataError(
                    f"{self.name}: is one JSON array; write one record a line (JSON lines), as "
                    f"`jq -c '.[]' {self.name}` does"
                )
            if re.match(rb'\{\s*["}]', start):
                return "json"
            for magic, kind in MAGIC:
                if head.startswith(magic):
                    return self._archive(stream) if kind == "zip" else kind
        return "text"

    def _archive(self, stream: BinaryIO) -> str:
        import zipfile

        try:
            names = zipfile.ZipFile(io.BytesIO(stream.read())).namelist()
        except zipfile.BadZipFile as error:
            raise self._damaged(error) from None
        if "xl/workbook.xml" in names:
            return "excel"
        what = (
            "an OpenDocument file; save it as .xlsx or CSV"
            if "content.xml" in names
            else ("a zip archive; unpack it first")
        )
        raise DataError(f"{self.name}: is {what}")


def _peekable(stream: Any) -> Any:
    return stream if hasattr(stream, "peek") else io.BufferedReader(stream, 2**16)


def _packing(head: bytes) -> Callable[[Any], Any] | None:
    """What unpacks a stream that begins like this."""
    if head.startswith(b"\x1f\x8b"):
        return lambda stream: gzip.GzipFile(fileobj=stream, mode="rb")
    if head.startswith(b"BZh") and head[4:10] == b"1AY&SY":
        return bz2.BZ2File
    if head.startswith(b"\xfd7zXZ\0"):
        return lzma.LZMAFile
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        return _unzstd
    return None


def _unzstd(stream: Any) -> Any:
    import pyarrow as pa

    return pa.CompressedInputStream(pa.PythonFile(stream, "r"), "zstd")


def advice(error: Exception) -> str | None:
    """What to do about an error of a file system; None where it does not look like one."""
    said = f"{type(error).__name__} {error}"
    return next((do for words, do in ADVICE if re.search(words, said, re.IGNORECASE)), None)


def is_address(name: str) -> bool:
    """Whether it is an address such as ``s3://bucket/folder``."""
    return ADDRESS.match(name) is not None


def masked(address: str) -> str:
    """An address without what may be secret in it: user, password and options."""
    front = address.partition("?")[0] if is_address(address) else address
    return re.sub(r"://(?:[^/@:\s]*:(?!\d+/)[^@\s]*@|[^/@\s]*@)", "://", front)


def refuse_address(name: str) -> None:
    """Raise UsageError for an address."""
    if is_address(name):
        raise UsageError(
            f"{masked(name)}: is an address of the network, and only files are read whole; fetch "
            f"it first, for example with curl -LO, and give the file, or have Parquet, Arrow or "
            f"CSV streamed with memory='1GB'"
        )


def find(path: str | Path) -> list[Source]:
    """The files that ``path`` means, in sorted order: itself, those of a folder or a glob, or
    standard input for ``-``.

    Raises UsageError for addresses (see ``addresses.files_at``), DataError where there is no file.
    """
    name = str(path)
    refuse_address(name)
    if name == "-":
        if sys.stdin is None or sys.stdin.isatty():
            raise UsageError("-: standard input is the terminal; pipe a table into it")
        return [_kept("standard input", getattr(sys.stdin, "buffer", sys.stdin))]
    path = Path(path)
    if path.is_dir():
        return _folder(path)
    if not path.exists() and glob.has_magic(name):
        found = [Path(match) for match in sorted(glob.glob(name, recursive=True))]
        found = [match for match in found if match.is_file()]
        if not found:
            raise DataError(f"{name}: no file is called so")
        return [_file(match, match.parent) for match in found]
    return [_file(path, path.parent)]


def _file(path: Path, root: Path) -> Source:
    name = str(path)
    if path.exists() and not path.is_file():  # a pipe can be read only once
        with naming(name), open(path, "rb") as stream:
            return _kept(name, stream)
    return Source(name, lambda: open(path, "rb"), keys_of(path.relative_to(root)))


def keys_of(inside: str | Path) -> dict[str, str]:
    """What the folders of a path name."""
    pairs = [folder.partition("=") for folder in PurePath(inside).parts[:-1] if "=" in folder]
    return {key: value for key, _, value in pairs}


def _kept(name: str, stream: Any) -> Source:
    spool = tempfile.SpooledTemporaryFile(max_size=KEPT)  # noqa: SIM115 (open while it is used)
    with naming(name):
        shutil.copyfileobj(stream, spool)

    @contextmanager
    def again() -> Iterator[Any]:
        spool.seek(0)
        yield io.BufferedReader(_Unclosed(spool), 2**16)

    source = Source(name, again)
    weakref.finalize(source, spool.close)
    return source


class _Unclosed(io.RawIOBase):
    """A file that stays open when what reads it is closed."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._file.seek(offset, whence)
        return self._file.tell()

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _folder(path: Path) -> list[Source]:
    """The files of a folder and those below it."""
    found = sorted(
        file for file in path.rglob("*") if file.is_file() and is_table(file.relative_to(path))
    )
    if not found:
        raise DataError(
            f"{path}: is a folder without tables; expected files such as .csv or .parquet in it"
        )
    return [_file(file, path) for file in found]


def is_table(inside: str | Path) -> bool:
    """Whether a path within a folder is of its tables; hidden ones and ``_SUCCESS`` are not."""
    path = PurePath(inside)
    endings = [s.lower() for s in path.suffixes if s.lower() not in PACKED]
    hidden = any(part[0] in "._" for part in path.parts)
    return not hidden and bool(endings) and endings[-1] in SUFFIXES


def stamp(source: Source) -> Any:
    """Size and time of a file, by which a change is noticed; None where it has none."""
    if source.stamp is not None:
        return source.stamp()
    try:
        found = os.stat(source.name)
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def kind_of(name: str, sources: list[Source]) -> str:
    """The kind of all these files; DataError if they differ."""
    kinds = [source.kind() for source in sources]
    for source, kind in zip(sources, kinds, strict=True):
        if kind != kinds[0]:
            with source.open() as stream:
                empty = not stream.read(1)
            raise DataError(
                f"{source.name}: is empty; remove it, or fetch it again"
                if empty
                else f"{name}: {source.name} and {sources[0].name} are files of different kinds "
                f"({kind}, {kinds[0]}); read those of one kind, for example with a glob"
            )
    return kinds[0]


def digest(sources: list[Source]) -> str:
    """The SHA-256 of the bytes as stored; of several files, that of their digests."""
    sums = []
    for source in sources:
        with naming(source.name), source.raw() as stream:
            sums.append(hashlib.file_digest(stream, "sha256"))
    if len(sums) == 1:
        return sums[0].hexdigest()
    return hashlib.sha256(b"".join(one.digest() for one in sums)).hexdigest()
