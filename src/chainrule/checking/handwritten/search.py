"""A backward pass beside numbers: which of its gradients are right, and why the others are not."""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from chainrule.checking.entries import ArrayCheck
from chainrule.checking.handwritten.mistakes import Mistake, Search
from chainrule.checking.handwritten.truth import Program, fitted, truth_at
from chainrule.checking.verdicts import EPSILON
from chainrule.errors import UsageError

Status = Literal["correct", "wrong", "follows", "missing", "inconclusive"]
SECONDS = 40.0


@dataclass(frozen=True)
class Parameter:
    """The gradient by one parameter. "follows": wrong only because of a mistake that counts
    elsewhere."""

    name: str
    status: Status
    check: ArrayCheck | None
    note: str = ""
    points: float = 0.0
    of: float = 1.0


@dataclass(frozen=True)
class HomeworkCheck:
    """What was found in a hand-written backward pass."""

    file: str
    parameters: tuple[Parameter, ...]
    mistakes: tuple[Mistake, ...]
    error: str = ""
    notes: tuple[str, ...] = ()
    loss: float = math.nan
    explained: bool = True

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong, and something was decided."""
        return self._is_clean and not self.is_open

    @property
    def is_open(self) -> bool:
        """Whether no entry could be decided, neither as right nor as wrong."""
        seen = {e.verdict for p in self.parameters if p.check is not None for e in p.check.entries}
        return self._is_clean and seen <= {"inconclusive: rounding", "inconclusive: jump"}

    @property
    def _is_clean(self) -> bool:
        right = ("correct", "inconclusive")
        return not self.error and all(p.status in right for p in self.parameters)

    def __bool__(self) -> bool:
        return self.ok

    @property
    def points(self) -> float:
        return sum(p.points for p in self.parameters)

    def __str__(self) -> str:
        from chainrule.checking.handwritten.report import text

        return text(self)


def checked(
    program: Program,
    source: str | Mapping[str, ast.FunctionDef],
    file: str,
    *,
    weights: Mapping[str, float] | None = None,
    rows: int | None = None,
    seconds: float = SECONDS,
    reference: Program | None = None,
) -> HomeworkCheck:
    """Compare, and look for the mistakes.

    Args:
        source: the program's text, or its functions by name. file: its name, for lines.
        weights: points by parameter, 1 each.
        rows: of the batch, where that is known.
        seconds: after which the search for mistakes ends.
        reference: a right program of the same arguments, whose gradients are compared with in place
            of differences of the program's own loss. Its ``describe`` was called.
    """
    about = program.describe()
    values = {n: np.asarray(v, float) for n, v in about["parameters"].items()}
    error = about["error"]
    if not values and not error:
        raise UsageError(
            f"no gradient was found in what {about['backward'] or about['forward']} returned, nor "
            'beside the parameters: return a dict such as {"W1": ...}, or a tuple in the order of '
            "the arguments"
        )
    (answer,) = program.gradients([[]])
    if reference is None:
        _usable(about, answer)
    truth = truth_at(program, values, 0, about, reference)
    found = _arrays(answer)
    error = error or answer.get("error", "")
    checks = {
        name: None if (g := fitted(found[name], v.shape)) is None else truth.check(name, g)
        for name, v in values.items()
        if name in found
    }
    wrong = [
        n
        for n in values
        if n not in checks or checks[n] is None or checks[n].verdict == "wrong"  # type: ignore[union-attr]
    ]
    mistakes: list[Mistake] = []
    explained = True
    if wrong and source:
        search = Search(program, source, about, truth, values, rows, answer, seconds, reference)
        mistakes, left = search.run(wrong)
        explained = not left
    weights = weights or {}
    parameters = tuple(
        _parameter(n, values[n], found, checks, wrong, mistakes, weights.get(n, 1.0), error)
        for n in values
    )
    absent = "no gradient was found for it"
    parameters += tuple(
        Parameter(n, "missing", None, absent, 0.0, w) for n, w in weights.items() if n not in values
    )
    notes = [f"{n} was returned, but no parameter has that name" for n in about["unmatched"]]
    notes += [f"{n} was not checked: no gradient was found for it; --wrt {','.join([*values, n])} "
              "asks for one" for n in about["unasked"]]  # fmt: skip
    notes += [f"{n} was not checked: --forward {n} does" for n in about["others"]]
    return HomeworkCheck(
        file, parameters, tuple(mistakes), error, tuple(notes), about["loss"], explained
    )


def _usable(about: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
    """Refuse a loss that differences cannot follow."""
    loss, again = about["loss"], answer.get("loss", about["loss"])
    name = about["forward"]
    if not math.isfinite(loss):
        raise UsageError(
            f"{name} gives a loss of {loss:g}: its gradients cannot be checked there. Give "
            "arguments where it is finite, as check_case() returns them"
        )
    if abs(loss - again) > 1e3 * EPSILON[about["itemsize"]] * max(abs(loss), abs(again)):
        raise UsageError(
            f"{name} gives another loss each time, {loss:.6g} and then {again:.6g}: its gradients "
            "cannot be checked. Draw random numbers with a seed, np.random.default_rng(0)"
        )


def _parameter(
    name: str,
    value: np.ndarray,
    found: Mapping[str, Any],
    checks: Mapping[str, ArrayCheck | None],
    wrong: Sequence[str],
    mistakes: Sequence[Mistake],
    weight: float,
    stopped: str,
) -> Parameter:
    check = checks.get(name)
    if name not in wrong:
        status: Status = "correct"
        if check is not None and "inconclusive" in check.verdict:
            status = "inconclusive"
        return Parameter(name, status, check, points=weight, of=weight)
    note = ""
    if name not in found:
        note = "the program stops before" if stopped else "no gradient was found for it"
        return Parameter(name, "missing", None, note, 0.0, weight)
    if check is None:
        note = f"the gradient has shape {np.shape(found[name])}, {name} has {value.shape}"
    own = [m for m in mistakes if m.mends and m.mends[0] == name]
    causes = [m for m in mistakes if name in m.mends]
    if causes and not own:
        first = causes[0].mends[0]
        note = note or f"follows from the mistake that {first} shows"
        return Parameter(name, "follows", check, note, weight, weight)
    return Parameter(name, "wrong", check, note, 0.0, weight)


def _arrays(answer: Mapping[str, Any]) -> dict[str, Any]:
    return {k: np.asarray(v, float) for k, v in answer.get("found", {}).items()}
