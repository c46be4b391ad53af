"""Runs one combination as NumPy does and as we do, and says how they compare."""

from __future__ import annotations

import re
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import chainrule as cr
from chainrule.core.recording import fresh_recording
from chainrule.core.traced import Traced, known_value
from chainrule.core.types import type_of
from chainrule.errors import ChainruleError
from tests.helpers.surface import leaves
from tests.helpers.sweep.cases import Case

EQUAL = "equal"
REFUSED = "refused by ours"
BOTH = "refused by both"
VERDICTS = (EQUAL, REFUSED, BOTH)
"""What is as it should be; every other verdict is a fault, or stands in the exceptions."""


def outcome(f: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            return f(), None
        except Exception as error:
            return None, error


def eagerly(case: Case) -> Any:
    """With values flowing; of several arguments all are traced, or one of them beside plain ones,
    which differs from combination to combination."""
    everything = [*range(len(case.operands))]
    choices = [everything, *([k] for k in everything)] if len(everything) > 1 else [everything]
    traced = choices[zlib.crc32(str(case).encode()) % len(choices)]
    with fresh_recording(eager=True) as recording:
        arrays = []
        for k, x in enumerate(case.arrays):
            if k not in traced:
                arrays.append(x)
                continue
            value = np.asarray(x)
            found = recording.input(type_of(value), value)
            arrays.append(found.like(x) if type(x) in (int, float) else found)
        y = case.run(*arrays)
        kind = type(y)
        return kind, [known_value(z, "a test") if isinstance(z, Traced) else z for z in leaves(y)]


def compiled(case: Case, executor: str) -> Any:
    found = cr.jit(lambda *xs: leaves(case.run(*xs)), executor=executor)(*case.arrays)
    return None, found


def verdict(case: Case, run: Callable[[Case], Any]) -> tuple[str, str]:
    """The verdict, and what was wrong."""
    wanted, refusal = outcome(lambda: case.run(*case.copies))
    got, error = outcome(lambda: run(case))
    if error is not None:
        if refusal is not None and (_not_asked(error) or isinstance(error, np.linalg.LinAlgError)):
            return BOTH, f"{type(error).__name__}: {error}"
        if not isinstance(error, ChainruleError):
            return ("raw error", f"{type(error).__name__}: {error}")
        if not names(case.function, str(error)):
            return "nameless", f"{type(error).__name__}: {error}"
        return (BOTH if refusal is not None else REFUSED), f"{type(error).__name__}: {error}"
    if refusal is not None:
        return "accepted", f"NumPy: {type(refusal).__name__}: {refusal}; ours: {got[1]!r:.200}"
    kind, found = got
    if kind is not None and not _same_container(kind, wanted):
        return "container", f"{kind.__name__} for {type(wanted).__name__}"
    expected = leaves(wanted)
    if case.function in ORDERS:
        found, expected = ([ORDERS[case.function](case, y[0])] for y in (found, expected))
    if len(found) != len(expected):
        return "length", f"{len(found)} results for {len(expected)}"
    for a, b in zip(found, expected, strict=True):
        fault = differs(a, b, case)
        if fault:
            return fault, f"{a!r:.200} for {b!r:.200}"
    return EQUAL, ""


def names(function: str, message: str) -> bool:
    """Whether a message says which function it is about: of a ufunc's method the ufunc will do."""
    *_, owner, name = function.split(".")
    said = [name, owner] if isinstance(getattr(np, owner, None), np.ufunc) else [name]
    return any(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", message) for name in said)


def _partitioned(case: Case, y: Any) -> Any:
    """What a partition promises: the entries at kth, and which entries there are."""
    if not np.size(y):
        return y
    settings = dict(case.settings)
    axis, kth = settings.get("axis", -1), settings["kth"]
    if case.function == "np.argpartition":
        x = case.arrays[0] if axis is not None else np.ravel(case.arrays[0])
        y = np.take_along_axis(x, np.asarray(y), -1 if axis is None else axis)
    axis = -1 if axis is None else axis
    promised = [np.atleast_1d(np.take(y, kth, axis)).ravel(), np.sort(y, axis).ravel()]
    return np.abs(np.concatenate(promised)) if y.dtype.kind == "f" else np.concatenate(promised)


ORDERS = {"np.partition": _partitioned, "np.argpartition": _partitioned}


def _not_asked(error: BaseException) -> bool:
    """Whether NumPy refused a call before it asked us."""
    trace = error.__traceback__
    while trace is not None:
        file = Path(trace.tb_frame.f_code.co_filename).as_posix()
        if "chainrule/ops" in file or "core/dispatch" in file:
            return False
        trace = trace.tb_next
    return True


def _same_container(kind: type, wanted: Any) -> bool:
    listed = isinstance(wanted, (tuple, list))
    return issubclass(kind, (tuple, list)) == listed and (
        not listed or issubclass(kind, list) == isinstance(wanted, list)
    )


def differs(got: Any, wanted: Any, case: Case) -> str:
    """What is not as NumPy's, or nothing."""
    if not isinstance(wanted, (np.ndarray, np.generic, int, float, bool)):
        return "" if type(got) is type(wanted) and got == wanted else "value"
    a, b = np.asarray(got), np.asarray(wanted)
    if a.dtype != b.dtype:
        return "dtype"
    if a.shape != b.shape:
        return "shape"
    if a.dtype.kind != "f":
        return "" if np.array_equal(a, b) else "value"
    if not np.array_equal(np.isnan(a), np.isnan(b)):
        return "nan"
    finite = np.isfinite(b)
    if not np.array_equal(a[~finite], b[~finite], equal_nan=True):
        return "infinity"
    if not np.all(np.isfinite(a[finite])):
        return "infinity"
    zero = (a == 0) & (b == 0)
    if case.row.signed and not np.array_equal(np.signbit(a[zero]), np.signbit(b[zero])):
        return "sign of zero"
    dtypes = [x.dtype for x in case.operands if x.dtype != "py"]
    coarse = np.float32 if a.dtype == np.float32 or "float32" in dtypes else np.float64
    loose = 32 * case.row.loose * np.finfo(coarse).eps
    top = float(np.max(np.abs(b[finite]), initial=0.0))
    with np.errstate(over="ignore"):
        allowed = loose * np.abs(b[finite]) + loose * (top if top < 1e300 else 0)
        near = np.abs(a[finite] - b[finite]) <= allowed
    return "" if np.all(near) else "value"
