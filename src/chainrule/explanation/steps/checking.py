"""An independent derivative beside the one of the chain rule: by numbers alone.

Complex steps where every forward takes them, Im f(x + ih) / h, which is exact to rounding;
otherwise central differences under Richardson's extrapolation (Ridders 1982). Neither uses a
derivative rule.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from chainrule.core.graph import Graph
from chainrule.core.node import INPUT, Node
from chainrule.core.recording import quiet
from chainrule.explanation.steps.data import Check

STEP = 1e-150
MOST_ENTRIES = 64

Run = Callable[[Sequence[np.ndarray]], complex]


def check_gradients(
    graph: Graph, values: Sequence[np.ndarray], gradients: Sequence[np.ndarray | None]
) -> list[Check | None]:
    """One check per input of the graph that has a gradient.

    Args:
        values: of the free inputs. gradients: of the output by each, None where there is none.
    """
    run = _forward(graph, values)
    here = run(values)
    finite = math.isfinite(here.real)
    return [
        None
        if g is None
        else _check(run, list(values), i, np.asarray(g, np.float64))
        if finite
        else Check("none", None, math.nan, math.nan, True, note="the function is not finite here")
        for i, g in enumerate(gradients)
    ]


def _forward(graph: Graph, values: Sequence[np.ndarray]) -> Run:
    """The output of the graph for other inputs, real or complex; stopped values stay."""
    nodes = [node for node in graph.nodes if node.primitive is not INPUT]
    given = dict(zip(graph.inputs[len(graph.free_inputs) :], graph.captures, strict=True))
    stated = {x for node in nodes if node.primitive.name in STATED for x in node.inputs}
    stopped = [n for n in nodes if n.primitive.name in STOPPED and n not in stated]
    frozen: dict[Node, Any] = {}

    def run(arguments: Sequence[np.ndarray]) -> complex:
        known: dict[Node, Any] = {**given, **dict(zip(graph.free_inputs, arguments, strict=True))}
        with quiet():
            for node in nodes:
                known[node] = (
                    frozen[node]
                    if node in frozen
                    else node.primitive.forward(*[known[x] for x in node.inputs], **node.attrs)
                )
            if not frozen:
                frozen.update({node: known[node] for node in stopped})
        return known[graph.outputs[0]].item()

    run(values)
    return run


STOPPED = frozenset({"stop_gradient"})
"""What counts as a constant, so that a numeric derivative must hold it still."""

STATED = frozenset({"custom"})
"""Where the user states the derivative of a value that is recorded as stopped."""


def _check(run: Run, values: list[np.ndarray], i: int, g: np.ndarray) -> Check:
    if g.size == 0:
        return Check("none", None, 0.0, 0.0, True, note="an empty array has no entries to check")
    if not np.all(np.isfinite(g)):
        note = "the derivative is not finite here"
        return Check("none", None, math.nan, math.nan, True, note=note)
    low = any(v.dtype == np.float32 for v in values)
    wide = [v.astype(np.float64) if v.dtype == np.float32 else v for v in values]
    direction = None
    if g.size > MOST_ENTRIES:
        direction = np.random.default_rng(0).standard_normal(g.shape)
        wanted = np.asarray(np.sum(g * direction))
        moves = [direction]
    else:
        wanted = g
        moves = [_unit(g.shape, k) for k in range(g.size)]
    size = max(1.0, abs(run(values))) * (1.0 if direction is None else np.linalg.norm(direction))
    floor = (1e-3 if low else 1e-6) * float(size)
    found = None
    doubted = False
    for method, name in ((_complex_step, "complex step"), (_richardson, "differences")):
        slopes = _slopes(method, run, wide, i, moves)
        if slopes is None:
            continue
        # A forward that is not analytic gives a complex step that means nothing: differences
        # have the last word.
        found = _compared(name, slopes, wanted, direction, low, floor)
        if found.agrees:
            note = _kink(run, wide, i, moves, wanted) if doubted else ""
            return replace(found, note=note)
        doubted = True
    if found is None:
        note = "the function is not finite nearby"
        return Check("none", None, math.nan, math.nan, True, note=note)
    return replace(found, note=_kink(run, wide, i, moves, wanted))


def _compared(
    name: str,
    slopes: tuple[list[float], float],
    wanted: np.ndarray,
    direction: np.ndarray | None,
    low: bool,
    floor: float,
) -> Check:
    """``floor``: beside a function of ordinary size a slope of 1e-17 is 0, and in float32 one of
    1e-5 has lost its last digits: p - 1 of a probability near 1 is exact to 6e-8."""
    value = np.asarray(slopes[0]).reshape(wanted.shape)
    expected = slopes[1]
    scale = max(float(np.max(np.abs(value))), float(np.max(np.abs(wanted))), floor)
    with quiet():
        error = float(np.max(np.abs(value - wanted)) / scale)
    tolerance = max(expected, 1e-3 if low else 1e-9)
    return Check(name, value, error, expected, bool(error <= tolerance), direction)


def _unit(shape: tuple[int, ...], k: int) -> np.ndarray:
    unit = np.zeros(shape)
    unit.reshape(-1)[k] = 1.0
    return unit


def _slopes(
    method: Callable[..., tuple[float, float] | None],
    run: Run,
    values: list[np.ndarray],
    i: int,
    moves: Sequence[np.ndarray],
) -> tuple[list[float], float] | None:
    slopes, worst = [], 0.0
    for move in moves:
        found = method(run, values, i, move)
        if found is None:
            return None
        slopes.append(found[0])
        worst = max(worst, found[1])
    return slopes, worst


def _moved(values: list[np.ndarray], i: int, change: np.ndarray) -> list[np.ndarray]:
    return [*values[:i], np.asarray(values[i] + change), *values[i + 1 :]]


def _complex_step(
    run: Run, values: list[np.ndarray], i: int, move: np.ndarray
) -> tuple[float, float] | None:
    try:
        y = run(_moved(values, i, 1j * STEP * move))
    except (TypeError, ValueError, ArithmeticError, np.linalg.LinAlgError):
        return None  # a forward that takes no complex numbers
    if not isinstance(y, complex) or not math.isfinite(y.imag):
        return None
    return y.imag / STEP, 1e-13


def _richardson(
    run: Run, values: list[np.ndarray], i: int, move: np.ndarray
) -> tuple[float, float] | None:
    """Ridders' table: central differences of shrinking step, extrapolated to step 0."""
    scale = float(np.max(np.abs(values[i][move != 0]))) if np.any(move) else 1.0
    h, shrink, size = 0.05 * max(scale, 0.1), 1.6, 12
    table = np.full((size, size), math.nan)
    best, error = math.nan, math.inf
    for k in range(size):
        ahead, back = run(_moved(values, i, h * move)), run(_moved(values, i, -h * move))
        table[0, k] = (ahead - back) / (2 * h) if not isinstance(ahead, complex) else math.nan
        factor = shrink**2
        for j in range(1, k + 1):
            table[j, k] = (table[j - 1, k] * factor - table[j - 1, k - 1]) / (factor - 1)
            factor *= shrink**2
            guess = max(abs(table[j, k] - table[j - 1, k]), abs(table[j, k] - table[j - 1, k - 1]))
            if guess < error:
                best, error = float(table[j, k]), float(guess)
        h /= shrink
    if not math.isfinite(best):
        return None
    return best, max(10 * error / max(abs(best), 1e-3), 1e-9)


def _kink(
    run: Run, values: list[np.ndarray], i: int, moves: Sequence[np.ndarray], wanted: np.ndarray
) -> str:
    """Why the numbers may rightly differ: another slope to the left than to the right."""
    for k, move in enumerate(moves):
        h = 1e-6 * max(1.0, float(np.max(np.abs(values[i]))))
        here = run(values)
        right = (run(_moved(values, i, h * move)) - here) / h
        left = (here - run(_moved(values, i, -h * move))) / h
        if isinstance(right, complex) or isinstance(left, complex):
            continue
        if abs(right - left) > 1e-3 * max(abs(right), abs(left), 1.0):
            at = "" if len(moves) == 1 else f" in entry {k}"
            chosen = f"{float(wanted.reshape(-1)[k]):.6g}"
            return (
                f"a kink{at}: the slope is {left:.6g} on the left and {right:.6g} on the right; "
                f"by convention it is {chosen}"
            )
    return ""
