"""Errors that Python, NumPy and SciPy raise over a traced value, told again as ours.

C code puts an error of its own in the place of the one that ``float(x)`` or ``x.__array__()``
raised, or looks past every method that could say more. A recording that ends in such an error
asks here for one that says what was called, where, and what to write instead.
"""

from __future__ import annotations

import os
from types import TracebackType

import numpy as np

from chainrule.core.dispatch import replacement
from chainrule.core.frames import Call, call_at, is_internal, public_name
from chainrule.core.hints import instead
from chainrule.core.traced import Traced
from chainrule.errors import ChainruleError, RecordingError, UsageError

_OURS = os.path.join(os.path.dirname(os.path.dirname(__file__)), "")
_REMEDY = (
    "Where a plain number is needed: a traced value stands for a step of the recording; return it "
    "(has_aux=True for extra results) and do this outside, or make it a static argument "
    "(static_argnames=)"
)


def retold(error: BaseException, refused: ChainruleError | None) -> ChainruleError | None:
    """The error to raise instead of ``error``; None where it is the user's own, or says enough.

    Args:
        error: what leaves the recording.
        refused: the last error of ours that a method for Python's numbers raised.
    """
    if isinstance(error, ChainruleError) or not isinstance(error, Exception):
        return None
    if isinstance(error, ValueError) and isinstance(error.__cause__, ChainruleError):
        return error.__cause__  # NumPy's, before the one that array[i] = x got from float(x)
    call = _last_call(error)
    if call is None:
        return None
    if refused is not None and f"({call.line})" in str(refused):
        return refused
    x = _culprit(error, call)
    if x is None:
        return None
    said = str(error).replace("'Traced'", "a traced value")
    kind = UsageError if isinstance(error, ValueError) else RecordingError
    return kind(
        f"{call.text or 'this'} ({call.line}), given a traced {x.type}: {said}. "
        f"{replacement(call) or instead(public_name(call.function)) or _REMEDY}"
    )


def _last_call(error: Exception) -> Call | None:
    """The user's call that the error came from; None where the user, or our own code, raised it."""
    last, trace = None, error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if not is_internal(file):
            last = trace
        elif trace.tb_next is None and file.startswith(_OURS) and not _is_pythons(trace):
            return None
        trace = trace.tb_next
    call = None if last is None else call_at(last.tb_frame, last.tb_lasti)
    return None if call is None or call.text.startswith("raise ") else call


def _is_pythons(trace: TracebackType) -> bool:
    """Whether an error of ours stands in for Python's own: that there is no such attribute."""
    return trace.tb_frame.f_code is Traced.__getattr__.__code__


def _culprit(error: Exception, call: Call) -> Traced | None:
    """The traced value that the error is about."""
    if isinstance(error, AttributeError):
        x, name = getattr(error, "obj", None), error.name or ""
        # what the value stands for would have it
        return x if type(x) is Traced and hasattr(x.__class__, name) else None
    if not isinstance(error, (TypeError, ValueError)) or isinstance(error, np.linalg.LinAlgError):
        return None
    if not public_name(call.function) and "Traced" not in str(error):
        return None
    return next((x for x in call.names.values() if type(x) is Traced), None)
