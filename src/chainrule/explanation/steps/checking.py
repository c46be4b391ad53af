"""An independent derivative beside the one of the chain rule, for each result of an explanation:
by numbers alone (``chainrule.checking``), from the recorded forwards."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.checking.entries import every_entry
from chainrule.checking.numeric import Slope, complex_step, differences, sizes
from chainrule.checking.running import Run, is_analytic, runner
from chainrule.checking.verdicts import Entry, Tolerance, judged
from chainrule.core.graph import Graph
from chainrule.core.recording import quiet
from chainrule.explanation.steps.data import Check

MOST_ENTRIES = 64


def check_gradients(
    graph: Graph, values: Sequence[np.ndarray], gradients: Sequence[np.ndarray | None]
) -> list[Check | None]:
    """One check per input of the graph that has a gradient.

    Args:
        values: of the free inputs. gradients: of the output by each, None where there is none.
    """
    wide = [v.astype(np.float64) if v.dtype == np.float32 else v for v in values]
    run = runner(graph, wide)
    here = np.asarray(run(wide)).item()
    low = any(v.dtype == np.float32 for v in values)
    tolerance = Tolerance(4 if low else 8, abs(here))
    analytic = is_analytic(graph)
    return [
        None
        if g is None
        else _check(run, wide, i, np.asarray(g, np.float64), tolerance, analytic)
        if math.isfinite(here)
        else _none("the function is not finite here")
        for i, g in enumerate(gradients)
    ]


def _none(note: str, error: float = math.nan) -> Check:
    return Check("none", None, error, error, True, note=note)


def _check(
    run: Run, values: list[Any], i: int, g: np.ndarray, tolerance: Tolerance, analytic: bool
) -> Check:
    if g.size == 0:
        return _none("an empty array has no entries to check", 0.0)
    if not np.all(np.isfinite(g)):
        return _none("the derivative is not finite here")
    scales = sizes(values[i])

    def along(move: np.ndarray, quick: bool) -> Slope:
        return _slope(run, values, i, move, float(np.max(scales[move != 0])), analytic)

    if g.size > MOST_ENTRIES:
        direction = np.random.default_rng(0).standard_normal(g.shape)
        most = float(np.max(np.abs(g))) * math.sqrt(g.size)
        wanted = float(np.sum(g * direction))
        entries = (judged((), wanted, along(direction, False), most, tolerance, 1.0),)
        return _shown(entries, np.asarray(entries[0].true), tolerance, direction)
    checked = every_entry("", g, scales, along, tolerance)
    return _shown(checked.entries, checked.true, tolerance, None)


def _shown(
    entries: Sequence[Entry], value: np.ndarray, tolerance: Tolerance, direction: np.ndarray | None
) -> Check:
    notes = [(k, e) for k, e in enumerate(entries) if e.verdict not in ("correct", "wrong")]
    note = _note(*notes[0], alone=len(entries) == 1) if notes else ""
    agrees = not any(e.verdict in ("wrong", "inconclusive: jump") for e in entries)
    known = [e for e in entries if math.isfinite(e.true)]
    if not known:
        method = "differences" if notes and "jump" in notes[0][1].verdict else "none"
        return Check(method, None, math.nan, math.nan, agrees, direction, note)
    method = "differences" if any(e.method == "differences" for e in known) else "complex step"
    size = max(max(abs(e.true), abs(e.given)) for e in known)
    scale = max(size, tolerance.floor)
    error = max(abs(e.given - e.true) for e in known) / scale
    expected = max(e.error for e in known) / scale
    return Check(method, value, error, expected, agrees, direction, note)


def _note(k: int, e: Entry, *, alone: bool) -> str:
    """Why the numbers may rightly differ: a kink or a jump, and what is on either side."""
    at = "" if alone else f" in entry {k}"
    if e.verdict == "inconclusive: jump":
        return (
            f"a jump{at}: the function is {e.left:.6g} on the left and {e.right:.6g} on the right, "
            f"so it has no derivative; by convention it is {e.given:.6g}"
        )
    if e.verdict == "inconclusive: kink":
        return (
            f"a kink{at}: the slope is {e.left:.6g} on the left and {e.right:.6g} on the right; "
            f"by convention it is {e.given:.6g}"
        )
    if not math.isfinite(e.true):
        return "the function is not finite nearby"
    return f"rounding hides the difference{at}"


def _slope(
    run: Run, values: list[Any], i: int, move: np.ndarray, scale: float, analytic: bool
) -> Slope:
    def at(h: complex) -> complex:
        moved = np.asarray(values[i] + h * move)
        with quiet():
            return np.asarray(run([*values[:i], moved, *values[i + 1 :]])).item()

    if analytic:
        try:
            found = complex_step(at, scale)
        except (TypeError, ValueError, ArithmeticError, np.linalg.LinAlgError):
            found = None
        if found is not None:
            return found
    return differences(lambda hs: [at(h).real for h in hs], scale)
