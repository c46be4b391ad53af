"""Coded rows of a stream that later epochs need not decode again: in memory, or in a file."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainrule.train.streamed import Place

__all__ = ["Coded", "Kept", "spill_folder"]

IN_MEMORY = {"tmpfs", "ramfs"}
"""File systems whose files take the memory that is to be spared."""


class Coded(NamedTuple):
    """Rows of a piece that have a target, as a network takes them, and what they are for."""

    x: NDArray[Any]
    truth: NDArray[Any]
    weights: NDArray[np.float64] | None
    part: NDArray[np.int8]
    fold: NDArray[np.int64]

    def take(self, rows: Any) -> Coded:
        """Some rows."""
        return Coded(*[None if one is None else one[rows] for one in self])  # type: ignore[arg-type]


class Kept:
    """Pieces by their place, each with the rows of a part side by side.

    Args:
        folder: where a file takes them that has no name and goes with the process, at most half of
            what is free; pieces beyond that are not kept. None keeps them in memory.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder, self.file, self.room, self.end = folder, None, 0, 0
        self.lock = threading.Lock()
        self.known: dict[Place, list[Any]] = {}

    def __contains__(self, place: Place) -> bool:
        return place in self.known

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder}  # another process has a file of its own

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)

    def written(self, one: Coded) -> Any:
        """A block of rows of a piece as it is kept; None if there is no room."""
        if np.any(one.part[1:] < one.part[:-1]):
            one = one.take(np.argsort(one.part, kind="stable"))
        if self.folder is None:
            return one
        with self.lock:
            if self.file is None:
                self.file = tempfile.TemporaryFile(dir=self.folder, buffering=0)  # noqa: SIM115
                weakref.finalize(self, self.file.close)
                self.room = shutil.disk_usage(self.folder).free // 2
            arrays = [None if a is None else np.ascontiguousarray(a) for a in one]
            if self.end + sum(a.nbytes for a in arrays if a is not None) > self.room:
                return None
            layout: list[Any] = []
            try:
                for array in arrays:
                    if array is None:
                        layout.append(None)
                        continue
                    shape = (0, *array.shape[1:])  # a view would keep the rows in memory
                    layout.append((self.end, np.empty(shape, array.dtype)))
                    self.end += _write(self.file.fileno(), array, self.end)
            except OSError:  # no room after all
                self.room = 0
                return None
            ends = np.searchsorted(one.part, np.arange(int(one.part[-1]) + 2)) if len(one.x) else []
            return layout, tuple(map(int, ends))

    def keep(self, place: Place, blocks: list[Any]) -> None:
        """A piece, of whose blocks each was ``written``; not if there was no room for one."""
        if all(block is not None for block in blocks):
            self.known[place] = blocks

    def part(self, place: Place, part: int) -> Iterator[Coded]:
        """The rows of a part of a piece, block by block."""
        return (self._part(block, part) for block in self.known[place])

    def _part(self, found: Any, part: int) -> Coded:
        if isinstance(found, Coded):
            first, end = np.searchsorted(found.part, (part, part + 1)).tolist()
            return found.take(slice(first, end))
        assert self.file is not None
        layout, ends = found
        first, end = ends[part : part + 2] if part + 1 < len(ends) else (0, 0)
        arrays: list[Any] = []
        for one in layout:
            if one is None:
                arrays.append(None)
                continue
            start, like = one
            array = np.empty((end - first, *like.shape[1:]), like.dtype)
            row = array.dtype.itemsize * int(np.prod(array.shape[1:]))
            _read(self.file.fileno(), array, start + first * row)
            arrays.append(array)
        return Coded(*arrays)


def spill_folder() -> Path | None:
    """A folder for temporary files that is on a disk; None if there is none."""
    if not hasattr(os, "preadv"):  # Windows
        return None
    for folder in map(Path, (tempfile.gettempdir(), "/var/tmp")):
        if os.access(folder, os.W_OK) and _kind(folder.resolve()) not in IN_MEMORY:
            return folder
    return None


def _kind(folder: Path) -> str:
    """The kind of the file system of a folder, where Linux tells it."""
    try:
        mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    except OSError:
        return ""
    over = [one for one in mounts if folder.is_relative_to(one[1])]
    return max(over, key=lambda one: len(one[1]))[2] if over else ""


def _write(file: int, array: NDArray[Any], at: int) -> int:
    data = array.reshape(-1).view(np.uint8).data
    done = 0
    while done < len(data):
        done += os.pwrite(file, data[done:], at + done)
    return done


def _read(file: int, array: NDArray[Any], at: int) -> None:
    data = array.reshape(-1).view(np.uint8).data
    done = 0
    while done < len(data):
        count = os.preadv(file, [data[done:]], at + done)
        if not count:
            raise OSError("the temporary file of coded rows is shorter than it was written")
        done += count
