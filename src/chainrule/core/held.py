"""What a recording holds of the numbers it meets: constants, and copies of captured arrays."""

from __future__ import annotations

from functools import lru_cache
from types import MappingProxyType
from typing import Any

import numpy as np

from chainrule.core.node import CONSTANT, INPUT, Attrs
from chainrule.core.types import DTYPE_NAMES, ArrayType, array_type


def constant_of(value: Any, dtype: np.dtype[Any]) -> tuple[Any, Attrs, ArrayType, np.ndarray, bool]:
    """What a constant is known by, its attributes, type and value, and whether that is 1."""
    array = np.array(value, dtype)
    array.flags.writeable = False
    data = array.tobytes()
    attrs = MappingProxyType({"value": data, "dtype": DTYPE_NAMES[array.dtype]})
    key = CONSTANT, attrs["dtype"], data
    return key, attrs, array_type((), array.dtype), array, bool(array == 1)


# of Python floats but 0.0, which is -0.0 to a table
number_of = lru_cache(maxsize=1024)(constant_of)


def is_frozen(array: np.ndarray) -> bool:
    """No one can write to this memory: it is that of ``bytes``. Of another read-only array there
    may be an older view that writes, and its owner can make it writable again."""
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    return isinstance(base, bytes)


def frozen_copy(array: np.ndarray) -> np.ndarray:
    """A copy that no one can write to."""
    return np.ndarray(array.shape, array.dtype, array.tobytes())


def content_of(array: np.ndarray, in_order: bool) -> Any:
    """What an array of up to 64 kB is known by, and by whether it lay in memory in order, which
    decides what NumPy copies; None of a larger one, or of one of no bytes."""
    if not 0 < array.nbytes <= 65536:
        return None
    return INPUT, array.shape, array.dtype.char, in_order, array.tobytes()


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if a.nbytes < 4096:
        return a.tobytes() == b.tobytes()
    bits = f"u{a.itemsize}"  # compared as whole numbers: -0.0 is not 0.0, and NaN is itself
    return bool(np.all(a.view(bits) == b.view(bits)))


def _keep_freed_memory() -> None:
    """Let the C library keep what one gradient frees for the next.

    glibc returns the free end of its heap to the system from 128 kB on, and the next call faults
    every page in again: a gradient of some ten arrays of 80 kB took three times as long. Once a
    block of 8 MB has been freed, it keeps up to 16 MB (mallopt(3), M_MMAP_THRESHOLD). Nothing is
    touched, so this takes no memory.
    """
    np.empty(8 << 20, np.uint8)


_keep_freed_memory()
