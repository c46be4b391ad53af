"""Copies of parts of matrices, for every width of vector: each number where it belongs, none read
or written beyond what a copy may touch."""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from chainrule.run.native.matmul import copies
from chainrule.run.native.numbers.ir import ATTRIBUTES, Builder
from chainrule.run.native.numbers.parts import modules
from chainrule.run.native.runtime import machine

UNTOUCHED = -7.0
CASES = 6
Copy = Callable[..., None]


def copied(
    copy: Copy, lanes: int, source: np.ndarray, stride: int, room: int, *sizes: int
) -> np.ndarray:
    """What ``copy`` writes into ``room`` numbers, and behind them."""
    b, helpers = Builder(), {}
    type = "float" if source.dtype == np.float32 else "double"
    copy(b, helpers.__setitem__, type, lanes, "%source", stride, "%target", *sizes)
    b.effect("ret void")
    run = f"define void @run(ptr noalias %source, ptr noalias %target) #0 {{\n{b.text()}\n}}"
    texts = modules([(machine.PLAIN, [x]) for x in (run, *helpers.values())], ATTRIBUTES)
    library = machine.Library([machine.assemble(x) for x in texts], ("run",), ())
    target = np.full(room + 4 * lanes, UNTOUCHED, source.dtype)
    function = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(library.address("run"))
    function(source.ctypes.data, target.ctypes.data)
    return target


def at_the_end(numbers: np.ndarray) -> np.ndarray:
    """The same numbers before a page that must not be read, where the system has such."""
    if not hasattr(mmap, "PROT_READ"):
        return numbers
    size = -(-numbers.nbytes // mmap.PAGESIZE) * mmap.PAGESIZE
    whole = mmap.mmap(-1, size + mmap.PAGESIZE)
    bytes = np.frombuffer(whole, np.uint8)
    libc = ctypes.CDLL(None)
    guard = ctypes.c_void_p(bytes.ctypes.data + size)
    assert libc.mprotect(guard, ctypes.c_size_t(mmap.PAGESIZE), 0) == 0
    found = bytes[size - numbers.nbytes : size].view(numbers.dtype)
    found[:] = numbers
    return found


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("width", [16, 32, 64])
@pytest.mark.parametrize("name", ["rows", "tiles", "columns", "strips"])
def test_copies(name: str, width: int, dtype: Any) -> None:
    rng = np.random.default_rng(width)
    lanes = width // np.dtype(dtype).itemsize
    for case in range(CASES):
        rows, columns = int(rng.integers(1, 3 * lanes)), int(rng.integers(1, 2 * lanes + 2))
        tiles = int(rng.integers(1, 4)) if name == "tiles" else 1
        wide = tiles * columns if name in ("rows", "tiles") else rows
        count = rows if name in ("rows", "tiles") else columns
        stride = wide + int(rng.choice([0, 1, lanes]))
        source = at_the_end(rng.normal(size=(count - 1) * stride + wide).astype(dtype))
        starts = stride * np.arange(count)[:, None]
        matrix = source[starts + np.arange(wide)]
        full = -(-columns // lanes) * lanes
        room, apart = rows * full, full
        if name == "rows":
            found = copied(copies.copy_rows, lanes, source, stride, room, full, columns, rows)
        elif name == "tiles":
            room, apart = rows * columns * tiles, columns
            copy = copies.tiles_beside
            found = copied(copy, lanes, source, stride, room, columns, rows, tiles)
            matrix = np.vstack(np.split(matrix, tiles, axis=1))
        elif name == "columns":
            copy, matrix = copies.transpose_columns, matrix.T
            found = copied(copy, lanes, source, stride, room, full, columns, rows)
        else:
            room, apart, matrix = rows * columns, columns, matrix.T
            copy = copies.transpose_rows
            found = copied(copy, lanes, source, stride, room, columns, rows)
            found[room : room + lanes] = UNTOUCHED  # which it may overwrite
        wanted = np.zeros((len(matrix), apart), dtype)
        wanted[:, :columns] = matrix
        np.testing.assert_array_equal(found[:room], wanted.ravel(), f"{case}: {rows}, {columns}")
        assert (found[room:] == UNTOUCHED).all(), f"{case}: {rows}, {columns}"
