"""Runs one combination as NumPy does and as we do, and says how they compare."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.compile import stability
from chainrule.core.graph import Graph
from chainrule.core.record import lift_output
from chainrule.core.recording import fresh_recording
from chainrule.core.traced import Traced, known_value
from chainrule.core.types import type_of
from chainrule.errors import ChainruleError
from chainrule.run import compile_graph
from tests.helpers.surface import leaves
from tests.helpers.sweep import methods
from tests.helpers.sweep.cases import Case

EQUAL = "equal"
REFUSED = "refused by ours"
BOTH = "refused by both"
VERDICTS = (EQUAL, REFUSED, BOTH)
"""What is as it should be; every other verdict is a fault, or stands in the exceptions."""


Outcome = tuple[Any, BaseException | None]


@contextmanager
def quiet() -> Iterator[None]:
    """What NumPy warns of is not compared."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def outcome(f: Callable[[], Any]) -> Outcome:
    try:
        return f(), None
    except Exception as error:
        return None, error


def numpys(case: Case) -> Outcome:
    """What NumPy itself does."""
    return outcome(lambda: case.run(*case.copies))


def eagerly(case: Case) -> Any:
    """With values flowing; of several arguments all are traced, or one of them beside plain ones,
    which differs from combination to combination."""
    everything = [*range(len(case.operands))]
    choices = [everything, *([k] for k in everything[: 1 if case.row.own else None])]
    traced = choices[(case.number * 2654435761 >> 16) % len(choices)]
    with fresh_recording(eager=True) as recording:
        arrays = []
        for k, x in enumerate(case.arrays):
            if k not in traced:
                arrays.append(x)
                continue
            value = np.asarray(x)
            found = recording.input(type_of(value), value)
            arrays.append(found.standing_for(x))
        y = case.run(*arrays)
        kind = type(y)
        return kind, [known_value(z, "a test") if isinstance(z, Traced) else z for z in leaves(y)]


class Compiled:
    """As ``jit`` does it, on one executor. What differs in the numbers of its arrays only is
    recorded once: that is what recording for all values means."""

    def __init__(self, executor: str) -> None:
        self.executor = executor
        self._run: Any = None
        self._made: dict[Any, Outcome] = {}

    def __call__(self, case: Case) -> Any:
        if case.run is not self._run:
            self._run, self._made = case.run, {}
        key = tuple((x.shape, x.dtype) for x in case.operands)
        if key not in self._made:
            self._made[key] = outcome(lambda: compile_graph(recorded(case), self.executor))
        run, error = self._made[key]
        if error is not None:
            raise error
        return None, run([np.asarray(x) for x in case.arrays])


def recorded(case: Case) -> Graph:
    """A call for all values of its arrays, as ``jit`` records it: without what ``record`` does for
    a function of the user's (names of arguments, random numbers), which takes longer."""
    with fresh_recording(eager=False, rewrite=stability.rewrite) as recording:
        inputs = [recording.input(type_of(np.asarray(x))).standing_for(x) for x in case.arrays]
        outputs = leaves(case.run(*[x.renamed() for x in inputs]))
        return recording.graph(inputs, [lift_output(y, recording) for y in outputs], case.function)


def verdict(case: Case, run: Callable[[Case], Any]) -> tuple[str, str]:
    """The verdict, and what was wrong."""
    with quiet():
        return judged(case, numpys(case), outcome(lambda: run(case)))


def judged(case: Case, theirs: Outcome, ours: Outcome) -> tuple[str, str]:
    (wanted, refusal), (got, error) = theirs, ours
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
    *_, owner, name = ("", *function.split("."))
    said = [name, owner] if isinstance(getattr(np, owner, None), np.ufunc) else [name]
    return any(
        re.search(rf"(?<!\w){re.escape(name)}(?!\w)", message)
        for name in methods.said(function) or said
    )


def _read(case: Case, order: Any) -> tuple[Any, int]:
    """The entries in the order that an argsort or argpartition gives, and the axis."""
    axis = dict(case.settings).get("axis", -1)
    x = case.arrays[0] if axis is not None else np.ravel(case.arrays[0])
    axis = -1 if axis is None else axis
    return np.take_along_axis(x, np.asarray(order), axis) if np.ndim(x) else x, axis


def _sorted(case: Case, order: Any) -> Any:
    """What an argsort promises: the entries in order. Equal ones have any, unless it is stable."""
    settings = dict(case.settings)
    stable = settings.get("stable") or settings.get("kind") == "stable"
    return order if stable else np.where((x := _read(case, order)[0]) == 0, 0, x)


def _partitioned(case: Case, y: Any) -> Any:
    """What a partition promises: the entries at kth, and which entries there are."""
    if not np.size(y):
        return y
    kth = dict(case.settings)["kth"]
    x, axis = _read(case, y) if "arg" in case.function else (y, dict(case.settings).get("axis", -1))
    axis = -1 if axis is None else axis
    promised = [np.atleast_1d(np.take(x, kth, axis)).ravel(), np.sort(x, axis).ravel()]
    return np.abs(np.concatenate(promised)) if x.dtype.kind == "f" else np.concatenate(promised)


ORDERS = {
    **dict.fromkeys(("np.partition", "np.argpartition", "x.argpartition"), _partitioned),
    **dict.fromkeys(("np.argsort", "x.argsort"), _sorted),
}


def _not_asked(error: BaseException) -> bool:
    """Whether NumPy refused a call before it asked us."""
    trace = error.__traceback__
    while trace is not None:
        if _asks(trace.tb_frame.f_code.co_filename):
            return False
        trace = trace.tb_next
    return True


@cache
def _asks(file: str) -> bool:
    path = Path(file).as_posix()
    return "chainrule/ops" in path or "core/dispatch" in path


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
    if a.tobytes() == b.tobytes():
        return ""
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
    return "" if np.all(np.abs(a - b)[finite] <= allowed(a, b, case)[finite]) else "value"


ULPS = 8
"""Ours may be 4 from the true value (docs/native.md), and so may NumPy's own functions."""
ROUNDINGS = 16
"""Of the largest term of a sum or product of a dozen: NumPy adds in an order of its own, and what
cancels leaves the rounding of the terms."""


def allowed(a: np.ndarray, b: np.ndarray, case: Case) -> np.ndarray:
    """How far a number may be from NumPy's. An element-wise function knows no other number, so
    only rows of sums are given their terms' rounding, and factorisations that of the largest."""
    row = case.row
    dtypes = [a.dtype, *(x.dtype for x in case.operands), dict(case.settings).get("dtype")]
    # what a sum rounds to float32 on the way stays so in a result of float64
    coarse = row.degree and "float32" in map(str, dtypes)
    eps = np.finfo(np.float32 if coarse else a.dtype).eps
    if row.loose:
        return row.loose * eps * (np.abs(b) + np.max(np.abs(b[np.isfinite(b)]), initial=0.0))
    terms = 0.0
    if row.degree:
        tops = [float(np.max(np.abs(x[np.isfinite(x)]), initial=0.0)) for x in _floats(case)]
        terms = max(tops, default=0.0) ** row.degree
    return ULPS * eps * np.abs(b) + ROUNDINGS * eps * terms


def _floats(case: Case) -> Iterator[np.ndarray]:
    for x in case.arrays:
        array = np.asarray(x)
        yield array if array.dtype.kind == "f" else array.astype(float)
