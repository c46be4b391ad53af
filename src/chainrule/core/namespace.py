"""The minimal array namespace that traced values answer ``__array_namespace__`` with.

It is NumPy's, with an ``asarray`` that passes traced values through and the ufuncs of
``scipy.special`` that are recorded. SciPy asks for it when ``SCIPY_ARRAY_API=1``.
"""

from __future__ import annotations

import sys
from types import FrameType, SimpleNamespace
from typing import Any

import numpy as np

from chainrule.core import dispatch
from chainrule.core.traced import Traced


def asarray(x: Any, /, *, dtype: Any = None, device: Any = None, copy: Any = None) -> Any:
    """``x`` itself where it is traced (cast to ``dtype`` if given), else a NumPy array."""
    if isinstance(x, Traced):
        x = x if dtype is None else x.astype(dtype)
        return x.copy() if copy else x
    return np.asarray(x, dtype=dtype)


def namespace_for(caller: FrameType) -> Any:
    """The namespace for the frame of the function that asks for it.

    ``array_api_compat``, of which SciPy carries a copy, refuses arguments of two namespaces,
    but a NumPy array beside a traced value is the normal case here. There it gets what it takes
    for NumPy arrays: SciPy then calls its own ufuncs, which reach ``__array_ufunc__``, and what
    would convert with ``asarray`` reaches ``Traced.__array__``, which says what to write. Where
    all arrays are traced (``xs`` are the arguments that it compares) it gets ours.
    """
    package, found, _ = caller.f_globals.get("__name__", "").rpartition("array_api_compat.")
    theirs = sys.modules.get(f"{package}array_api_compat.numpy") if found else None
    if theirs is None:
        return sys.modules[__name__]
    plain = any(type(x) is not Traced and hasattr(x, "dtype") for x in caller.f_locals["xs"])
    return theirs if plain or not _asks(package) else Compatible(theirs)


def _asks(package: str) -> bool:
    """Whether this is the copy of a SciPy that calls what our namespace gives, as of 1.17; those
    before convert whatever is not NumPy's."""
    scipy = sys.modules.get("scipy")
    version = getattr(scipy, "__version__", "0.0").split(".")[:2]
    return package.startswith("scipy.") and tuple(map(int, version)) >= (1, 17)


class Compatible:
    """The namespace of a copy of ``array_api_compat`` for NumPy, with our ``asarray``."""

    __name__ = __name__

    def __init__(self, theirs: Any) -> None:
        self.theirs = theirs

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, Compatible) and other.theirs is self.theirs

    def __hash__(self) -> int:
        return hash(self.theirs)

    @property
    def special(self) -> Any:
        """SciPy's own functions, which take traced values as they take arrays."""
        basic, ufuncs = (sys.modules[f"scipy.special.{name}"] for name in ("_basic", "_ufuncs"))
        return SimpleNamespace(**{**vars(basic), **vars(ufuncs)})

    def __getattr__(self, name: str) -> Any:
        return asarray if name == "asarray" else getattr(self.theirs, name)


def __getattr__(name: str) -> Any:
    if name == "special":
        return SimpleNamespace(**dispatch.SCIPY_UFUNCS)
    return getattr(np, name)


dispatch.FUNCTIONS["namespace"] = namespace_for
