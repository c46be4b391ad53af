"""The minimal array namespace that traced values answer ``__array_namespace__`` with.

SciPy asks for it when ``SCIPY_ARRAY_API=1``; it then calls ``asarray`` and its own ufuncs,
which reach us through ``__array_ufunc__``.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def asarray(x: Any, /, *, dtype: Any = None, device: Any = None, copy: Any = None) -> Any:
    """``x`` itself where it is traced (cast to ``dtype`` if given), else a NumPy array."""
    from chainrule.core.traced import Traced

    if isinstance(x, Traced):
        return x if dtype is None else x.astype(dtype)
    return np.asarray(x, dtype=dtype)


def __getattr__(name: str) -> Any:
    return getattr(np, name)
