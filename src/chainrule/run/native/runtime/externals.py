"""Functions outside a module that its code calls: of C's library, of SciPy."""

from __future__ import annotations

import ctypes
import functools
import re
import sys
from typing import Any

from chainrule.forks import load

LIBM = {
    (name, type): f"{name}{suffix}"
    for name in ("fmod", "pow", "cbrt", "exp2", "log2", "log10", "arcsin", "arccos", "arctan",
                 "sinh", "cosh", "tan", "arcsinh", "arccosh", "arctanh", "arctan2",
                 "erfc")
    for type, suffix in (("float", "f"), ("double", ""))
}  # fmt: skip
"""Functions of C's library, one number at a time: correct, but not for the inner loops of
networks. Names are NumPy's; ``C_NAMES`` has C's."""
C_NAMES = {"arcsin": "asin", "arccos": "acos", "arctan": "atan", "arcsinh": "asinh",
           "arccosh": "acosh", "arctanh": "atanh", "arctan2": "atan2"}  # fmt: skip
SPECIAL = {
    **{name: name for name in (
        "beta", "betaln", "binom", "boxcox", "boxcox1p", "dawsn", "erfcinv", "erfcx", "erfi",
        "erfinv", "exp1", "exp10", "expi", "gamma", "gammaln", "huber", "i0", "i0e", "i1", "i1e",
        "j0", "j1", "k0", "k1", "kl_div", "log_ndtr", "ndtr", "ndtri", "poch", "pseudo_huber",
        "rel_entr", "rgamma", "spence", "y0", "y1")},
    "digamma": "psi",
}  # fmt: skip
"""Primitives that SciPy has as functions of one number each (``scipy.special.cython_special``),
the very functions that it applies to arrays, and SciPy's names for them."""
RUNTIME = ("memset", "memcpy", "memmove", "fma", "fmaf", "bzero", "memset_pattern16", "__chkstk")
"""What LLVM itself may call; the last three on macOS and Windows only."""


def declaration(name: str) -> str:
    """The declaration of an external function in a module."""
    if name.startswith(_PREFIX):
        _, function, type = name.split(".")
        parameters = ", ".join([type] * _arity(function))
        return f"declare {type} @{name}({parameters}, i32) nounwind memory(none)"
    type = "float" if name in _SINGLE else "double"
    count = 2 if name.removesuffix("f" if type == "float" else "") in _BINARY else 1
    return f"declare {type} @{name}({', '.join([type] * count)}) nounwind memory(none)"


_PREFIX = "scipy."
_SINGLE = {symbol for (_, type), symbol in LIBM.items() if type == "float"}
_PAIRS = {"beta", "betaln", "binom", "boxcox", "boxcox1p", "huber", "kl_div", "poch",
          "pseudo_huber", "rel_entr"}  # fmt: skip
_BINARY = {"fmod", "pow", "arctan2"}


@functools.cache
def address_of(name: str) -> int | None:
    """The address of an external function that generated code may call."""
    if name == "cr_yield":
        library = ctypes.windll.kernel32 if sys.platform == "win32" else _c_library()  # type: ignore[attr-defined]
        function = library.SwitchToThread if sys.platform == "win32" else library.sched_yield
        return ctypes.cast(function, ctypes.c_void_p).value
    if name == "__chkstk":
        windows = sys.platform == "win32"
        return _address(ctypes.windll.ntdll, name) if windows else None  # type: ignore[attr-defined]
    if name.startswith(_PREFIX):
        _, function, type = name.split(".")
        return special(function, type)
    known = name if name in RUNTIME or name not in _C_SYMBOLS else c_name(name)
    return _address(_c_library(), known) or _address(_c_library(), f"_{known}")  # as in Windows


def _address(library: Any, name: str) -> int | None:
    function = getattr(library, name, None)
    return None if function is None else ctypes.cast(function, ctypes.c_void_p).value


_C_SYMBOLS = set(LIBM.values())
_STEMS = {name for name, _ in LIBM}


def c_name(symbol: str) -> str:
    """The name in C's library of a symbol of ``LIBM``."""
    stem = symbol[:-1] if symbol.endswith("f") and symbol[:-1] in _STEMS else symbol
    return C_NAMES.get(stem, stem) + symbol[len(stem) :]


@functools.cache
def _c_library() -> Any:
    return ctypes.CDLL("ucrtbase" if sys.platform == "win32" else None)


def special_symbol(name: str, type: str) -> str:
    """The name in a module of SciPy's function of this name for float or double."""
    return f"{_PREFIX}{name}.{type}"


@functools.cache
def special(name: str, type: str) -> int | None:
    """The address of SciPy's function of this name for float or double, None if it has none.

    Functions for several types bear Cython's prefix, and their signature tells them apart. The
    last parameter is Cython's own.
    """
    functions = load("scipy.special.cython_special").__pyx_capi__
    signature = f"{type} ({', '.join([type] * _arity(name))}, int __pyx_skip_dispatch)"
    for known, capsule in functions.items():
        named = known == name or re.fullmatch(rf"__pyx_fuse_\d{name}", known)
        if named and _signature(capsule) == signature.encode():
            return _pointer(capsule)
    return None


def _arity(name: str) -> int:
    return 2 if name in _PAIRS else 1


def _signature(capsule: Any) -> bytes:
    """The name of a capsule: a C signature, which differs by version."""
    name = ctypes.pythonapi.PyCapsule_GetName
    name.restype, name.argtypes = ctypes.c_char_p, [ctypes.py_object]
    return name(capsule)


def _pointer(capsule: Any) -> int:
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return pointer(capsule, _signature(capsule))
