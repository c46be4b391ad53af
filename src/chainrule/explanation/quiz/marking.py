"""Marking: is an answer equal to the derivative, and if not, which slip explains it?

Answers are parsed by the allow-lists of ``parsing`` and ``matrix_parse`` and never evaluated as
Python. Formulas are compared at random points, so any equal form is right.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from chainrule.checking.numeric import differences
from chainrule.core.recording import quiet
from chainrule.errors import ChainruleError, UsageError
from chainrule.explanation.formula.node import SCALAR, Node, rewrite
from chainrule.explanation.formula.parsing import Expression, ExpressionError, parse
from chainrule.explanation.matrix.build import build
from chainrule.explanation.matrix.explaining import expression
from chainrule.explanation.matrix.numeric import Point, evaluate, points, well_posed
from chainrule.explanation.matrix.parse import names_in, read, settled
from chainrule.explanation.matrix.readings import fitted
from chainrule.explanation.matrix.shapes import infer
from chainrule.explanation.matrix.text import shape_text
from chainrule.explanation.matrix.tree import mul, ones, symbol
from chainrule.explanation.quiz.equality import branches, difference
from chainrule.explanation.quiz.numbers import brief, labelled, near, number
from chainrule.explanation.quiz.parts import mark_parts
from chainrule.explanation.quiz.questions import Mark, Question
from chainrule.explanation.quiz.slips import overall_slips, scalar_slips, slope_and_value, terms
from chainrule.explanation.quiz.slips_matrix import repaired, spoiled

__all__ = ["mark_answer"]

CLOSE = 1e-7
"""Relative, of formulas that are tried at 50 digits afterwards."""
NEAR = 1e-4
"""Relative, of what only a number in it sets apart."""
EQUAL = 1e-10
"""Relative to the largest entry, of matrices: doubles lose 4 digits or 5 on the way."""
POINTS = 24


def mark_answer(place: int, question: Question, given: str) -> Mark:
    """The mark of one answer."""
    given = given.strip()
    if not given:
        why = "no answer was given"
        return Mark(place, False, "", why, "no answer", question.answer, 0.0, question.points)
    if question.kind == "parts":
        return _in_parts(place, question, given)
    judge = {"formula": _formula, "numbers": _numbers, "matrix": _matrix}[question.kind]
    try:
        right, says, slip = judge(question, given)
    except UsageError as error:
        right, says, slip = False, f"the answer cannot be read: {error}", "not readable"
    points = question.points * right
    return Mark(place, right, _shown(given), says, slip, question.answer, points, question.points)


def _shown(given: str) -> str:
    return "".join(c if c.isprintable() else " " for c in given)


def _in_parts(place: int, question: Question, given: str) -> Mark:
    try:
        parts = mark_parts(question, given)
    except UsageError as error:
        says = f"the answer cannot be read: {error}"
        return Mark(place, False, _shown(given), says, "not readable", question.answer, 0.0,
                    question.points)  # fmt: skip
    right = all(part.verdict == "right" for part in parts)
    lines = [f"{p.label}: {p.says}" for p in parts if p.verdict != "right"]
    slip = next((p.slip for p in parts if p.slip), None)
    return Mark(place, right, _shown(given), "\n".join(lines) or "right", slip, question.answer,
                sum(part.points for part in parts), question.points, tuple(parts))  # fmt: skip


Judgement = tuple[bool, str, str | None]
RIGHT: Judgement = (True, "right", None)
NEAR_MISS: Judgement = (
    False,
    "it is near the derivative but not equal to it: a number in it is a little off",
    "near miss",
)
ANTIDERIVATIVE = "this is an antiderivative: its slope is the function; the function's was asked"
UNKNOWN: Judgement = (False, "wrong; no single common slip explains it", None)


# Formulas ----------------------------------------------------------------------------------


def _formula(question: Question, given: str) -> Judgement:
    function = parse(question.data["function"], numbers=True)
    wrt = question.data["wrt"]
    known = {*function.names, *(name for name, _ in function.statements if name)}
    answer = parse(given, known, numbers=True)
    for name in answer.names:
        if name not in known:
            letter = name.rstrip("0123456789")
            near_by = f"; {letter}^{name[len(letter) :]} is a power" if letter in known else ""
            raise UsageError(
                f"{name} is not a name of the question; it has {', '.join(known)}{near_by}"
            )
    right, says, slip = _judged(function, wrt, answer)
    if not right and answer.notes:  # it may be right as it was meant
        says = "\n".join([*answer.notes, says])
    return right, says, slip


def _judged(function: Expression, wrt: str, answer: Expression) -> Judgement:
    rng = np.random.default_rng(11)
    names = dict.fromkeys((*function.names, wrt))
    values = {name: rng.uniform(0.25, 1.6, POINTS) for name in names}
    with quiet(), np.errstate(all="ignore"):
        function(*(values[n] for n in function.names))
        inner = {n: np.asarray(v, float) for n, v in function.quantities.items()}
        found = _full(answer(*({**inner, **values}[n] for n in answer.names)), POINTS)
        right, _ = slope_and_value(function, wrt, values)
        where = np.isfinite(right) & np.isfinite(found)
        if where.sum() < POINTS // 2:
            return False, "the answer is not finite where the derivative is", "not finite"
        if _same(found, right, where):
            why = difference(function, wrt, answer)
            return (
                RIGHT
                if why is None
                else (False, why, "branch" if why.startswith("at ") else "near miss")
            )
        if _same(found, right, where, NEAR):
            return NEAR_MISS
        fit = [s for s in scalar_slips(function, wrt, values) if _same(found, s.slope, where)]
        if fit:  # a branch with the slope 1 is forgotten less often than what it is inside of
            slip = next((s for s in fit if s.kind == "missing inner derivative"), fit[0])
            slip = slip if fit[0].kind == "forgotten branch" else fit[0]
            return False, slip.says, slip.kind
        if set(answer.names) <= set(function.names):
            slope, value = (
                slope_and_value(f, wrt, values)[i] for i, f in enumerate((answer, function))
            )
            if _same(slope, value, where):
                return False, ANTIDERIVATIVE, "antiderivative"
        for slip in overall_slips(function, wrt, values):
            if _same(found, slip.slope, where):
                return False, slip.says, slip.kind
        for term, slope in terms(function, wrt, values):
            share = _steady((found - right)[where] / slope[where])
            if share is not None:
                says = (
                    f"a number in the slope of {term} is wrong, {1 + share} times what it should "
                    "be; the rest is right"
                )
                return False, says, "wrong constant"
        return _by_ratio(found, right, where, values, wrt)


def _full(value: Any, count: int) -> np.ndarray:
    array = np.asarray(value, float)
    if array.ndim > 1:
        raise UsageError("the answer is a matrix; a formula in x is wanted")
    return np.broadcast_to(array, (count,)).astype(float)


def _same(found: np.ndarray, wanted: np.ndarray, where: np.ndarray, close: float = CLOSE) -> bool:
    a, b = found[where], np.broadcast_to(wanted, found.shape)[where]
    return bool(np.all(np.isfinite(b))) and np.allclose(a, b, rtol=close, atol=1e-10)


def _by_ratio(
    found: np.ndarray, right: np.ndarray, where: np.ndarray, values: Mapping[str, Any], wrt: str
) -> Judgement:
    """A constant factor, or powers of the names, between answer and derivative."""
    where = where & (right != 0) & (found != 0)
    if where.sum() < POINTS // 2 or len(values) > POINTS // 4:
        return UNKNOWN
    ratio = found[where] / right[where]
    logs = np.log(np.stack([np.asarray(v)[where] for v in values.values()]))
    fit = np.linalg.lstsq(np.stack([np.ones(len(ratio)), *logs], 1), np.log(np.abs(ratio)))[0]
    powers = np.round(2 * fit[1:]) / 2
    shown = _steady(ratio / np.exp(powers @ logs))
    if shown is None:
        return UNKNOWN
    off = {name: power for name, power in zip(values, powers, strict=True) if power}
    if not off:
        sign = "sign" if shown < 0 else "wrong constant"
        return False, f"the answer is {shown} times the derivative", sign
    factor = " ".join([str(shown)] * (shown != 1) + [f"{n}^{p:g}" for n, p in off.items()])
    if wrt in off:
        says = f"off by a power: the answer is {factor} times the derivative"
        return False, says, "wrong power"
    kind = "missing factor" if max(off.values()) < 0 else "wrong factor"
    return False, f"the answer is {factor} times the derivative", kind


def _steady(values: np.ndarray) -> Fraction | None:
    """The simple number that all of them are, if there is one."""
    if not np.allclose(values, values[0], rtol=1e-6):
        return None
    shown = Fraction(float(values[0])).limit_denominator(50)
    return shown if np.isclose(float(shown), values[0], rtol=1e-6) else None


# Numbers -----------------------------------------------------------------------------------


def _numbers(question: Question, given: str) -> Judgement:
    data, asked = question.data, question.asked
    said = labelled(given, asked)
    found = [number(said[i]) for i in range(len(asked))]
    function = parse(data["function"], numbers=True)
    at = {name: np.array([float(v)]) for name, v in data["at"].items()}
    wrong: list[tuple[str, dict[str, str]]] = []
    truths = [float(slope_and_value(function, name, at)[0][0]) for name in data["wrt"]]
    for label, name, value, truth in zip(asked, data["wrt"], found, truths, strict=True):
        right = near(value, truth, question.tolerance)
        if not right and not _at_kink(function, name, at, value):
            why: dict[str, str] = {}
            for kind, says in _why_number(question, name, value, truth, truths):
                why.setdefault(kind, says)
            wrong.append((f"{label} = {brief(value)} is wrong: ", why))
    if not wrong:
        return RIGHT
    # one number fits several slips by chance: what explains the most of them is the likeliest
    kinds = dict.fromkeys(kind for _, why in wrong for kind in why)
    ordered = sorted(kinds, key=lambda kind: -sum(kind in why for _, why in wrong))
    says = [
        said + next((why[kind] for kind in ordered if kind in why), UNKNOWN[1].partition("; ")[2])
        for said, why in wrong
    ]
    return False, "\n".join(says), ordered[0] if ordered else None


def _at_kink(function: Any, name: str, at: dict[str, np.ndarray], value: float) -> bool:
    """Whether the function has a kink there and the number lies between the slopes of its sides:
    any such number is a subgradient, and the convention is only one of them."""

    def along(hs: Any) -> list[float]:
        with quiet(), np.errstate(all="ignore"):
            moved = {**at, name: at[name] + np.asarray(hs)}
            return np.asarray(function(*(moved[n] for n in function.names)), float).tolist()

    slope = differences(along, abs(float(at[name][0])))
    low, high = sorted((slope.left, slope.right))
    return slope.kind == "kink" and low - slope.error <= value <= high + slope.error


def _why_number(
    question: Question, name: str, given: float, truth: float, truths: list[float]
) -> Iterator[tuple[str, str]]:
    """Each kind of slip that gives the number, and what to say of it; the likelier first."""
    function = parse(question.data["function"], numbers=True)
    at = {n: np.array([float(v)]) for n, v in question.data["at"].items()}
    if truth and near(given, -truth, question.tolerance):
        yield "sign", "the sign is wrong"
    for slip in scalar_slips(function, name, at):
        value = float(np.asarray(slip.slope).ravel()[0])
        if not near(value, truth, question.tolerance) and near(given, value, question.tolerance):
            yield slip.kind, slip.says
    others = zip(question.asked, truths, strict=True)
    label = next((a for a, t in others if near(given, t, question.tolerance)), None)
    if label is not None:
        yield "other variable", f"this is {label}"


# Matrices ----------------------------------------------------------------------------------


class _Setting:
    """The names a matrix answer may use, their sizes, and random points with all their values."""

    def __init__(self, question: Question) -> None:
        data = question.data
        sizes = {n: tuple(s) for n, s in data["sizes"].items()}
        self.function, self.free, _ = expression(
            data["function"], wrt=data["wrt"], sizes=sizes, probabilities=data["probabilities"]
        )
        self.names: dict[str, Node] = dict(self.free)
        self.given: list[tuple[str, Node]] = []
        written: dict[str, Node] = {}
        for name, said in data["given"]:
            written[name] = read(said)[1]
            node = build(written[name], self.names)
            self.given.append((name, node))
            self.names[name] = symbol(name, node.shape)
        answer = read(question.answer)[1]
        self.key = build(answer, self.names)
        delta = {name: tree for name, tree in written.items() if name.startswith("delta")}
        self.keys = answer, rewrite(answer, lambda n: delta.get(n.data) if n.op == "name" else None)
        """The key as it is written, and with its deltas written out."""

    def value(self, tree: Node, point: Point, values: dict[str, Any]) -> np.ndarray | None:
        """The value of an answer; None where its sizes do not fit, or names are not known."""
        if not set(names_in(tree)) <= set(self.names):
            return None
        try:
            infer("", tree, {n: self.names[n].shape for n in names_in(tree)}, {})
            node = build(tree, self.names)
        except (ChainruleError, ValueError):
            return None
        with np.errstate(all="ignore"):
            if node.shape == SCALAR != self.key.shape:  # a number for every entry
                node = mul(node, ones(self.key.shape))
            return np.asarray(evaluate(node, point, values))

    def at(self, seed: int, *, equal: bool = False) -> tuple[Point, dict[str, Any]]:
        for point in points(self.free, seed, equal=equal):
            with np.errstate(all="ignore"):
                if not well_posed(self.function, point):
                    continue
                values: dict[str, Any] = dict(point.values)
                for name, node in self.given:
                    values[name] = np.asarray(evaluate(node, point, values))
                if np.all(np.isfinite(evaluate(self.key, point, values))):
                    return point, values
        raise AssertionError

    def beyond(self, turn: float) -> Iterator[tuple[Point, dict[str, Any]]]:
        """Points at which one name is above a number, or below its opposite, where the key is
        finite there."""
        for moved, sign in itertools.product(self.free, (1.0, -1.0)):
            point, _ = self.at(3)
            point.values[moved] = sign * (turn + np.abs(point.values[moved]))
            values: dict[str, Any] = dict(point.values)
            with np.errstate(all="ignore"):
                for name, node in self.given:
                    values[name] = np.asarray(evaluate(node, point, values))
                if np.all(np.isfinite(evaluate(self.key, point, values))):
                    yield point, values


def _matrix(question: Question, given: str) -> Judgement:
    setting = _Setting(question)
    shown, tree = read(given, setting.names)
    for name in names_in(tree):
        if name not in setting.names:
            known = ", ".join(setting.names)
            raise UsageError(f"{name} is not a name of the question; it has {known}")
    used = {n: setting.names[n].shape for n in names_in(tree)}
    try:
        _, tree, _ = fitted(shown, tree, used, {})
    except ExpressionError:  # what does not fit is said below
        tree = settled(tree, lambda _: "matrix")
    where = [setting.at(seed) for seed in (1, 2)]
    beyond = [found for turn in branches(tree) for found in setting.beyond(turn)]

    def right(candidate: Node) -> bool:
        return _is_key(setting, candidate, where)

    def multiple(candidate: Node) -> bool:
        return _is_key(setting, candidate, where, up_to_a_factor=True)

    if right(tree):
        if all(_is_key(setting, tree, [place]) for place in beyond):
            return RIGHT
        return False, "it is the derivative at some values only: a branch differs", "branch"
    if _is_key(setting, tree, where, near=True):
        return NEAR_MISS
    misfit = _misfit(setting, shown, tree)
    slip = repaired(tree, right)
    if slip is None and not multiple(tree):
        slip = repaired(tree, multiple)
        if slip is not None:
            slip = slip[0], f"{slip[1]}; besides, a constant factor is off"
    found = setting.value(tree, *where[0])
    if slip is None and found is not None:
        slip = spoiled(setting.keys, found, lambda other: setting.value(other, *where[0]))
    says = "\n".join(part for part in (slip[1] if slip else "", misfit or "") if part)
    return (False, says, slip[0] if slip else "sizes") if says else UNKNOWN


def _is_key(
    setting: _Setting,
    tree: Node,
    where: list[Any],
    *,
    up_to_a_factor: bool = False,
    near: bool = False,
) -> bool:
    close = NEAR if near else EQUAL
    with np.errstate(all="ignore"):
        for point, values in where:
            found = setting.value(tree, point, values)
            if found is None:
                return False
            wanted = np.asarray(evaluate(setting.key, point, values))
            if up_to_a_factor and found.shape == wanted.shape:
                wanted = wanted * (np.vdot(found, wanted) / max(np.vdot(wanted, wanted), 1e-300))
                if not np.any(wanted):
                    return False
            scale = close * float(np.max(np.abs(wanted), initial=1e-3))
            if found.shape != wanted.shape or not np.allclose(found, wanted, close, scale):
                return False
    return True


def _misfit(setting: _Setting, shown: str, tree: Node) -> str | None:
    """What does not fit in the answer's sizes, with a caret, or that the whole has another size."""
    used = {n: setting.names[n].shape for n in names_in(tree)}
    try:
        infer(shown, tree, used, {})
    except ExpressionError as error:
        return str(error).replace(_ADVICE, "")
    node = build(tree, setting.names)
    if node.shape != setting.key.shape and node.shape != SCALAR:
        return f"it is {shape_text(node.shape)}, but {shape_text(setting.key.shape)} is wanted"
    return None


_ADVICE = (
    ". Capitals are matrices, small letters column vectors; give sizes otherwise, such as "
    'x=("n",), A=("n", "m"), c=() for a scalar'
)
