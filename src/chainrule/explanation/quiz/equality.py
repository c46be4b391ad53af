"""Whether an answer is the derivative: at 200 points of 50 digits, in every branch.

Doubles take 128 |x|^7 for 128 x^7 at positive points and x^7.0000001 for x^7 everywhere. The
derivative is mpmath's, of the question's function, so the answer is not compared with our own
formula.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from random import Random
from typing import Any

from chainrule.errors import UsageError
from chainrule.explanation.formula.node import COMPARED, Node, walk
from chainrule.explanation.formula.parsing import Expression
from chainrule.explanation.formula.precise import DIGITS, NotPrecise, Undefined, values_at

Points = Iterator[dict[str, Any]]
POINTS = 200
FEWEST = 20
CLOSE = 12
"""Digits in which both agree. Far from 0 differences cancel up to 30 of the 50 digits."""


def difference(function: Expression, wrt: str, answer: Expression) -> str | None:
    """Why the answer is not the derivative, or None if it is, or if that cannot be said here."""
    if find_spec("mpmath") is None:
        raise UsageError("marking compares at 50 digits, with mpmath: pip install 'chainrule[cli]'")

    names = tuple(dict.fromkeys((*function.names, wrt)))
    why = _compared(function, wrt, answer, DIGITS, CLOSE, _points(names))
    if why is None and (turns := branches(*(item for _, item in answer.statements))):
        points = _beyond(names, turns)
        why = _compared(function, wrt, answer, 3 * DIGITS, DIGITS, points)
    return why


def _compared(
    function: Expression, wrt: str, answer: Expression, digits: int, close: int, points: Points
) -> str | None:
    import mpmath

    with mpmath.workdps(digits):
        tolerance = mpmath.mpf(10) ** -close
        judged, worst = 0, mpmath.mpf(0)
        try:
            for point in points:
                wanted = _slope(function, wrt, point)
                if wanted is None:
                    continue
                judged += 1
                at = ", ".join(f"{n} = {mpmath.nstr(v, 3)}" for n, v in point.items())
                try:
                    found = values_at(answer, values_at(function, point))[""]
                except NotPrecise as error:
                    return f"{error} has no place in this answer"
                except Undefined:
                    return f"at {at} the answer has no real value, but the derivative is there"
                off = abs(found - wanted) / max(abs(wanted), tolerance)
                if off > mpmath.mpf(10) ** -3 and abs(found - wanted) > tolerance:
                    return (
                        f"at {at} the derivative is {mpmath.nstr(wanted, 6)}, "
                        f"but the answer gives {mpmath.nstr(found, 6)}"
                    )
                worst = max(worst, off)
        except NotPrecise:
            return None
        if judged < (FEWEST if close == CLOSE else 1) or worst <= tolerance:
            return None
        return f"it is near the derivative but not equal to it: a number is off by {_share(worst)}"


def _share(off: Any) -> str:
    import mpmath

    return f"about {mpmath.nstr(off, 1)} of its size"


def _slope(function: Expression, wrt: str, point: Mapping[str, Any]) -> Any:
    """mpmath's derivative; None where the function has no real value around the point."""
    import mpmath

    def along(x: Any) -> Any:
        return values_at(function, {**point, wrt: x})[""]

    try:
        return mpmath.diff(along, point[wrt])
    except Undefined:
        return None


def branches(*items: Node) -> set[float]:
    """The numbers at which an expression with branches may turn: 0 and its constants; none where
    it has no branches."""
    parts = [n for item in items for n in walk(item)]
    if not any(n.op in COMPARED or n.op in _BRANCHED for n in parts):
        return set()
    return {0.0, *(abs(float(n.data)) for n in parts if n.op == "number")}


_BRANCHED = ("where", "indicator", "step", "sign", "sgn", "max", "min", "maximum", "minimum", "abs",
             "relu", "floor", "ceil")  # fmt: skip


def _beyond(names: tuple[str, ...], turns: set[float]) -> Points:
    """On both sides of every number at which a branch may begin."""
    ranges = []
    for c in sorted(turns)[:20]:
        edge = 0.05 * c + 0.01
        ranges += [(c, c + edge), (c - edge, c), (-c - edge, -c), (-c, edge - c)]
        ranges += [(c + edge, 2 * c + 1), (-2 * c - 1, -c - edge)]
    yield from _within(names, ranges)


def _points(names: tuple[str, ...]) -> Points:
    """Half of them where textbook functions are defined, the rest on both sides of 0, near it
    and far from it."""
    spans = [(0.25, 1.6), (0.25, 1.6), (-3.0, 3.0), (-3.0, -0.1), (-1e-3, 1e-3), (2.0, 20.0)]
    ranges = [spans[k % len(spans)] for k in range(POINTS)]
    yield from _within(
        names, [(-b, -a) if k % 12 == 11 else (a, b) for k, (a, b) in enumerate(ranges)]
    )


def _within(names: tuple[str, ...], ranges: list[tuple[float, float]]) -> Points:
    from mpmath import mpf

    r = Random(11)
    for low, high in ranges:
        yield {n: mpf(low) + mpf(high - low) * mpf(r.getrandbits(160)) / 2**160 for n in names}
