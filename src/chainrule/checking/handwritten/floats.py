"""The narrowest floats that a program computes in, which decide how much rounding is allowed."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

import numpy as np

from chainrule.checking.handwritten.places import is_tensor

NARROW = {"float32": 4, "single": 4, "f4": 4, "<f4": 4, "float16": 2, "half": 2, "f2": 2}


def _itemsize(dtype: Any) -> int:
    """The bytes of a narrow float dtype of NumPy's or PyTorch's; 0 for anything else."""
    return NARROW.get(getattr(dtype, "__name__", str(dtype)).removeprefix("torch."), 0)


class Floats:
    """The narrowest floats that a program computes in: bytes of one, 8 for float64.

    Values that it was given, and whole numbers such as those of a mask, lose nothing in float32;
    they do not count.
    """

    def __init__(self, given: Iterable[np.ndarray]) -> None:
        flat = [x.reshape(-1) for x in given]
        self.given = np.unique(np.concatenate(flat)) if flat else np.zeros(0)
        self.itemsize = 8

    def see_call(self, frame: Any, returned: Any) -> None:
        """Look at a function at its end: what its names hold, and the dtypes that it names, as
        what it made in passing is gone."""
        if self.itemsize == 8:
            self.see([*frame.f_locals.values(), returned])
            code, outside = frame.f_code, frame.f_globals
            named = [*code.co_names, *(c for c in code.co_consts if isinstance(c, str))]
            for name in named:
                size = NARROW.get(name) or _itemsize(outside.get(name))
                self.itemsize = min(self.itemsize, size or 8)

    def see(self, x: Any, depth: int = 0) -> None:
        """Look at arrays, and into containers and objects."""
        if isinstance(x, (np.ndarray, np.floating)):
            if x.dtype.kind == "f" and x.dtype.itemsize < self.itemsize and self._rounds(x):
                self.itemsize = x.dtype.itemsize
        elif is_tensor(x):
            if x.is_floating_point() and x.element_size() < self.itemsize:
                values = x.detach().cpu().double().numpy()
                self.itemsize = x.element_size() if self._rounds(values) else self.itemsize
        elif depth < 4:
            if isinstance(x, dict):
                inner = x.values()
            elif isinstance(x, (list, tuple)):
                inner = x
            else:
                known = not inspect.isclass(x) and not inspect.isroutine(x)
                known = known and not inspect.ismodule(x)
                inner = vars(x).values() if known and hasattr(x, "__dict__") else ()
            for part in list(inner):
                self.see(part, depth + 1)

    def _rounds(self, x: Any) -> bool:
        values = np.asarray(x, float)
        return bool(np.any((values != np.rint(values)) & ~np.isin(values, self.given)))
