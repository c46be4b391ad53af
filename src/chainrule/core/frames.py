"""Where in the user's code we are: the innermost frame that is not a library's.

Chainrule's own files, NumPy's, SciPy's and the standard library's are never the user's line.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import itertools
import linecache
import os
import sys
import sysconfig
import warnings
from bisect import bisect_right
from functools import lru_cache
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any, NamedTuple

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
        compiled = file.endswith(".pyx")  # Cython says where it stood in its own tree
        found = _internal[file] = standard or compiled or file.startswith(_LIBRARIES)
    return found


def users_frame(above: int = 1) -> FrameType | None:
    """The innermost frame that is the user's, looked for from so many frames up."""
    known = _internal
    frame: FrameType | None = sys._getframe(above)
    while frame is not None:
        file = frame.f_code.co_filename
        internal = known.get(file)
        if internal is None:
            internal = is_internal(file)
        if not internal:
            return frame
        frame = frame.f_back
    return None


def from_the_user(error: Exception) -> bool:
    """Whether a function of the user's, that we called, raised ``error``."""
    trace = error.__traceback__
    while trace is not None:
        if not is_internal(trace.tb_frame.f_code.co_filename):
            return True
        trace = trace.tb_next
    return False


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


class Call(NamedTuple):
    """A call, subscript or operation of the user's, as Python notes where it stands.

    ``text`` is its text, "" where the source is not at hand; ``function`` what its own names say
    that it calls, None where that takes more than looking up names; ``names`` what the names in it
    stand for, all that its function knows where the source is not at hand.
    """

    line: str
    text: str
    node: ast.expr | None
    function: Any
    names: dict[str, Any]


def users_call() -> Call:
    """The call that the user's innermost line is in."""
    frame = users_frame()
    return Call("<unknown>", "", None, None, {}) if frame is None else call_at(frame, frame.f_lasti)


def call_at(frame: FrameType, instruction: int) -> Call:
    """The call at an instruction of a frame."""
    text, line = text_at(frame.f_code, instruction)
    try:
        node = ast.parse(text.strip(), mode="eval").body if text else None
    except (SyntaxError, ValueError):
        node = None
    function = _looked_up(frame, node.func) if isinstance(node, ast.Call) else None
    if node is None:
        names = dict(frame.f_locals)
    else:
        names = {x.id: _looked_up(frame, x) for x in ast.walk(node) if isinstance(x, ast.Name)}
    return Call(f"{frame.f_code.co_filename}:{line}", text, node, function, names)


def text_at(code: CodeType, instruction: int) -> tuple[str, int]:
    """The text that an instruction was compiled from, and its first line."""
    places = itertools.islice(code.co_positions(), instruction // 2, None)
    first, last, start, end = next(places, (None,) * 4)
    if first is None or last is None:
        return "", line_of(code, instruction)
    lines = [x.encode() for x in linecache.getlines(code.co_filename)[first - 1 : last]]
    if not lines:
        return "", first
    lines[-1] = lines[-1][:end]
    lines[0] = lines[0][start:]
    return b"".join(lines).decode(errors="replace"), line_of(code, instruction)


def _looked_up(frame: FrameType, node: ast.expr) -> Any:
    """What a name stands for, or a name in a module; nothing of the user's is run."""
    if isinstance(node, ast.Name):
        for names in (frame.f_locals, frame.f_globals, vars(builtins)):
            if node.id in names:
                return names[node.id]
    if isinstance(node, ast.Attribute):
        owner = _looked_up(frame, node.value)
        if isinstance(owner, ModuleType):
            return vars(owner).get(node.attr)
    return None


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
    owner, name = frame.f_locals.get("self"), frame.f_code.co_name
    owner = frame.f_locals.get("cls") if owner is None else owner
    package = _package(frame.f_globals.get("__name__", ""), name)
    if not package:
        return ""
    wrapped = [frame.f_locals.get(free) for free in frame.f_code.co_freevars]  # by a decorator
    wrapped.append(getattr(owner, "func", None))
    if owner is not None:
        names = [name, *(getattr(function, "__name__", "") for function in wrapped)]
        kind = owner if isinstance(owner, type) else type(owner)
        found = next((_method_name(owner, n) for n in names if hasattr(kind, n)), "")
        if found:
            return found
    elif _is_public(package, name):
        return f"{package}.{name}"
    return next(filter(None, map(_library_name, wrapped)), "")


def _package(module: str, name: str) -> str:
    """The public module of NumPy or SciPy that has what is defined under this name: ``np``,
    ``np.polynomial``, ``scipy.stats``; "" for others."""
    parts = module.split(".")
    if parts[0] not in ("numpy", "scipy"):
        return ""
    shown = list(itertools.takewhile(lambda part: not part.startswith("_"), parts))
    if parts[0] == "scipy":
        return ".".join(shown)
    for depth in range(1, len(shown) + 1):
        found: Any = getattr(sys.modules.get(".".join(shown[:depth])), name, None)
        inside = getattr(inspect.unwrap(found), "__globals__", {})
        if module in (getattr(found, "__module__", ""), inside.get("__name__")):
            return ".".join(["np", *shown[1:depth]])
    return "np"


def _is_public(package: str, name: str) -> bool:
    module = sys.modules.get(package.replace("np", "numpy", 1) if package[:2] == "np" else package)
    return package != "scipy" and not name.startswith("_") and hasattr(module, name)


def public_name(function: Any) -> str:
    """``np.linalg.eig``, ``math.sin``, ``float``: the name of a function or class of a library or
    Python's own; "" for the user's."""
    name = getattr(function, "__name__", None) or ""
    module = getattr(function, "__module__", None) or ""
    if isinstance(function, np.ufunc):
        special = getattr(np, name, None) is not function
        return f"scipy.special.{name.lstrip('_')}" if special else f"np.{name}"
    if not callable(function) or not name or not isinstance(module, str):
        return ""
    if module == "builtins":
        return name
    if module.partition(".")[0] in ("numpy", "scipy"):
        package = _package(module, name)
        return f"{package}.{name}" if _is_public(package, name) else ""
    file = getattr(sys.modules.get(module), "__file__", None) or "<frozen"
    ours = module.partition(".")[0] == "chainrule" or not is_internal(file)
    return "" if ours or name.startswith("_") else f"{module.removeprefix('_')}.{name}"


def _library_name(function: Any) -> str:
    """The public name of a function of NumPy or SciPy that a decorator holds."""
    name = public_name(function)
    return name if name.startswith(("np.", "scipy.")) else ""


def _method_name(owner: Any, method: str) -> str:
    """``scipy.stats.norm.logpdf``, ``scipy.interpolate.CubicSpline``: what users write."""
    owner = getattr(owner, "dist", owner)  # a frozen distribution's
    for kind in owner.__mro__ if isinstance(owner, type) else type(owner).__mro__:
        package = _package(kind.__module__, kind.__name__)
        name = kind.__name__.removesuffix("_gen").removesuffix("_frozen")
        if package == "scipy.stats":
            name = getattr(owner, "name", None) or name
        if package and _is_public(package, name):
            apart = package in ("scipy.interpolate", "np.polynomial")  # made, then evaluated
            made = method in ("__init__", "__new__") or (method == "__call__" and not apart)
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
