"""Where in the user's code we are: the innermost frame that is not a library's.

Chainrule's own files, NumPy's, SciPy's and the standard library's are never the user's line.
"""

from __future__ import annotations

import itertools
import linecache
import os
import sys
import sysconfig
import warnings
from bisect import bisect_right
from functools import lru_cache
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import numpy as np

_NUMPY = Path(np.__file__).resolve().parent
_FOLDERS = (Path(__file__).resolve().parent.parent, _NUMPY, _NUMPY.parent / "scipy")
_LIBRARIES = (*(os.path.join(folder, "") for folder in _FOLDERS), "<frozen")
_STANDARD = tuple({os.path.join(sysconfig.get_path(name), "") for name in ("stdlib", "platstdlib")})
_internal: dict[str, bool] = {}


def is_internal(file: str) -> bool:
    """Whether code of this file is a library's: ours, NumPy's, SciPy's or Python's own."""
    found = _internal.get(file)
    if found is None:
        standard = file.startswith(_STANDARD) and "-packages" not in file
        found = _internal[file] = standard or file.startswith(_LIBRARIES)
    return found


def users_frame() -> FrameType | None:
    """The innermost frame that is the user's."""
    known = _internal
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        internal = known.get(file)
        if internal is None:
            internal = is_internal(file)
        if not internal:
            return frame
        frame = frame.f_back
    return None


def users_line() -> str:
    """``file:line`` of the user's innermost frame, for messages."""
    frame = users_frame()
    return f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame is not None else "<unknown>"


@lru_cache(maxsize=512)
def _lines(code: CodeType) -> tuple[list[int], list[int]]:
    """Where lines begin in a function's instructions, and which lines these are."""
    found = [(start, line) for start, _, line in code.co_lines() if line is not None]
    return [start for start, _ in found], [line for _, line in found]


def line_of(code: CodeType, at: int) -> int:
    """The line of an instruction: looked up when asked, as a frame's own answer takes time in
    proportion to the length of its function."""
    starts, lines = _lines(code)
    return lines[max(bisect_right(starts, at) - 1, 0)] if lines else code.co_firstlineno


def users_call() -> str:
    """The text of the call that the user's line is in, as Python notes where it stands; ""
    where the source is not at hand."""
    frame = users_frame()
    if frame is None:
        return ""
    places = itertools.islice(frame.f_code.co_positions(), frame.f_lasti // 2, None)
    first, last, start, end = next(places, (None,) * 4)
    if first is None or last is None:
        return ""
    lines = [x.encode() for x in linecache.getlines(frame.f_code.co_filename)[first - 1 : last]]
    if not lines:
        return ""
    lines[-1] = lines[-1][:end]
    lines[0] = lines[0][start:]
    return b"".join(lines).decode(errors="replace")


def _library_frames() -> list[FrameType]:
    """The frames of libraries between here and the user's line, that next to it first."""
    frames = []
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and is_internal(frame.f_code.co_filename):
        frames.append(frame)
        frame = frame.f_back
    return frames[::-1]


def library_call() -> str:
    """The public name of what the user's line called in NumPy or SciPy; "" where it called
    neither: the outermost of the frames between here and there that has one."""
    return next(filter(None, map(_public_name, _library_frames())), "")


def library_arguments() -> list[Any]:
    """What the user's line handed to the function of a library that it called."""
    frames = _library_frames()[:1]
    return [value for frame in frames for value in frame.f_locals.values()]


def _public_name(frame: FrameType) -> str:
    package = _package(frame.f_globals.get("__name__", ""))
    if not package:
        return ""
    owner, name = frame.f_locals.get("self"), frame.f_code.co_name
    wrapped = [frame.f_locals.get(free) for free in frame.f_code.co_freevars]  # by a decorator
    wrapped.append(getattr(owner, "func", None))
    if owner is not None:
        names = [name, *(getattr(function, "__name__", "") for function in wrapped)]
        found = next((_method_name(owner, n) for n in names if hasattr(type(owner), n)), "")
        if found:
            return found
    elif _is_public(package, name):
        return f"{package}.{name}"
    return next(filter(None, map(_function_name, wrapped)), "")


def _package(module: str) -> str:
    """``np`` or the public part of the name of a module of SciPy; "" for others."""
    parts = module.split(".")
    if parts[0] == "numpy":
        return "np"
    shown = itertools.takewhile(lambda part: not part.startswith("_"), parts)
    return ".".join(shown) if parts[0] == "scipy" else ""


def _is_public(package: str, name: str) -> bool:
    module = sys.modules.get("numpy" if package == "np" else package)
    return package != "scipy" and not name.startswith("_") and hasattr(module, name)


def _function_name(function: Any) -> str:
    """The public name of a function that a decorator holds."""
    name = getattr(function, "__name__", "")
    package = _package(getattr(function, "__module__", None) or "") if callable(function) else ""
    return f"{package}.{name}" if package and _is_public(package, name) else ""


def _method_name(owner: Any, method: str) -> str:
    """``scipy.stats.norm.logpdf``, ``scipy.interpolate.CubicSpline``: what users write."""
    owner = getattr(owner, "dist", owner)  # a frozen distribution's
    for kind in type(owner).__mro__:
        package = _package(kind.__module__)
        name = kind.__name__.removesuffix("_gen").removesuffix("_frozen")
        if package == "scipy.stats":
            name = getattr(owner, "name", None) or name
        if package and _is_public(package, name):
            interpolant = package == "scipy.interpolate"  # made in one call, evaluated in another
            made = method in ("__init__", "__new__") or (method == "__call__" and not interpolant)
            return f"{package}.{name}" if made else f"{package}.{name}.{method}"
    return ""


def warn(message: str, category: type[Warning] = RuntimeWarning) -> None:
    """Warn of something at the user's line, once a line as Python does."""
    frame = users_frame()
    if frame is None:
        warnings.warn(message, category, stacklevel=2)
        return
    registry = frame.f_globals.setdefault("__warningregistry__", {})
    module = frame.f_globals.get("__name__", "<unknown>")
    line = frame.f_lineno
    warnings.warn_explicit(message, category, frame.f_code.co_filename, line, module, registry)
