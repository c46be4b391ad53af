"""Where in the user's code we are: the innermost frame that is not a library's.

Chainrule's own files, NumPy's, SciPy's and the standard library's are never the user's line.
"""

from __future__ import annotations

import sys
import sysconfig
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import numpy as np

_PACKAGE = str(Path(__file__).resolve().parent.parent)
_INSTALLED = Path(np.__file__).resolve().parent.parent
_LIBRARIES = (_PACKAGE, str(_INSTALLED / "numpy"), str(_INSTALLED / "scipy"), "<frozen")
_STANDARD = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib")})
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


def library_calls() -> Iterator[str]:
    """Public names of the functions of NumPy and SciPy between here and the user's line."""
    frame = sys._getframe(1)
    while frame is not None and is_internal(frame.f_code.co_filename):
        module = frame.f_globals.get("__name__", "").split(".")
        shown = ["np"] if module[0] == "numpy" else [m for m in module if not m.startswith("_")]
        yield ".".join([*shown, frame.f_code.co_qualname.split(".")[0]])
        frame = frame.f_back


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
