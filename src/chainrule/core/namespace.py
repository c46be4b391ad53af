"""The minimal array namespace that traced values answer ``__array_namespace__`` with.

It is NumPy's, with an ``asarray`` that passes traced values through and the ufuncs of
``scipy.special`` that are recorded. SciPy asks for it when ``SCIPY_ARRAY_API=1``.
"""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np

from chainrule.core import dispatch
from chainrule.core.traced import Traced


def asarray(x: Any, /, *, dtype: Any = None, device: Any = None, copy: Any = None) -> Any:
    """``x`` itself where it is traced (cast to ``dtype`` if given), else a NumPy array."""
    if isinstance(x, Traced):
        return x if dtype is None else x.astype(dtype)
    return np.asarray(x, dtype=dtype)


def namespace_for(caller: str) -> Any:
    """The namespace for the module named ``caller`` that asks for it.

    ``array_api_compat``, of which SciPy carries a copy, refuses arguments of two namespaces,
    but a NumPy array beside a traced value is the normal case here. So it gets what it takes
    for NumPy arrays: SciPy then calls its own ufuncs, which reach ``__array_ufunc__``, and
    what would convert with ``asarray`` reaches ``Traced.__array__``, which says what to write.
    """
    package, found, _ = caller.rpartition("array_api_compat.")
    theirs = sys.modules.get(f"{package}array_api_compat.numpy") if found else None
    return theirs if theirs is not None else sys.modules[__name__]


def __getattr__(name: str) -> Any:
    if name == "special":
        return SimpleNamespace(**dispatch.SCIPY_UFUNCS)
    return getattr(np, name)


dispatch.FUNCTIONS["namespace"] = namespace_for
