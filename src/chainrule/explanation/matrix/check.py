"""The engine's word on a matrix derivative: the result, and every line before it, at numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from chainrule.errors import DerivativeError
from chainrule.explanation.formula.node import Node
from chainrule.explanation.matrix.build import differential
from chainrule.explanation.matrix.index import index_value
from chainrule.explanation.matrix.kronecker import vec_value
from chainrule.explanation.matrix.numeric import (
    Point,
    engine_derivative,
    evaluate,
    points,
    well_posed,
)

if TYPE_CHECKING:
    from chainrule.explanation.matrix.explaining import Work

TOLERANCE = 1e-7
TRIALS = 2


@dataclass(frozen=True)
class MatrixStep:
    """One line: ``left`` = ``right``, by ``rules`` (name and sentence of each)."""

    left: str
    right: Node
    rules: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class MatrixCheck:
    """The comparison with the engine: sizes tried, and the largest relative difference."""

    sizes: tuple[Mapping[str, int], ...]
    difference: float


def checked(work: Work, symbols: Mapping[str, Node], seed: int, source: str) -> MatrixCheck:
    """Compare the derivative, and every line before it, with the engine at random points."""
    sizes: list[Mapping[str, int]] = []
    worst = 0.0
    name = work.variable.data[0]
    with np.errstate(all="ignore"):
        for attempt, point in enumerate(points(symbols, seed)):
            if attempt == 24:
                raise DerivativeError(
                    f"{source} is not finite at any of the random points tried, so its "
                    "derivative cannot be confirmed; no result is given"
                )
            if not well_posed(work.function, point):
                continue
            expected = engine_derivative(work.function, name, point)
            if not np.all(np.isfinite(expected)) or np.max(np.abs(expected)) > 1e100:
                continue
            worst = max(worst, _compare_lines(work, point, source))
            worst = max(worst, _compare(work, expected, point, source))
            sizes.append(dict(point.sizes))
            if len(sizes) == TRIALS:
                return MatrixCheck(tuple(sizes), worst)
    raise AssertionError


def _compare(work: Work, expected: np.ndarray, point: Point, source: str) -> float:
    if work.derivative is None:
        if work.blocks:
            shapes = work.function.shape, work.variable.shape
            a, b, c, d = expected.shape
            stacked = expected.transpose(1, 0, 3, 2).reshape(a * b, c * d)
            _agree(vec_value(work.blocks, point, *shapes), stacked, source, "the form with ⊗")
        found = index_value(work.index, work.function, work.variable.shape, point)
    else:
        found = np.asarray(evaluate(work.derivative, point))
        expected = _arranged(work, expected)
    return _agree(found, expected, source, "the result")


def _arranged(work: Work, engine: np.ndarray) -> np.ndarray:
    """The engine's four axes as the matrix that the layout prescribes."""
    a, b, c, d = engine.shape
    numerator = work.layout == "numerator"
    if work.of == work.by == "scalar":
        return engine.reshape(())
    if work.of == "scalar":
        return engine.reshape(c, d).T if numerator else engine.reshape(c, d)
    if work.by == "scalar":
        column = engine.reshape(a, b) if work.of == "matrix" else engine.reshape(a * b, 1)
        return column if numerator else column.T
    jacobian = engine.reshape(a * b, c * d)
    return jacobian if numerator else jacobian.T


def _compare_lines(work: Work, point: Point, source: str) -> float:
    """Every line for dF must have the value of the engine's directional derivative."""
    name = work.variable.data[0]
    rng = np.random.default_rng(len(point.values))
    change = rng.normal(size=np.shape(point.values[name]))
    if "symmetric" in work.variable.data[1]:
        change = (change + change.T) / 2
    values = {**point.values, "d" + name: change}
    expected = np.asarray(evaluate(differential(work.function), point, values, name))
    worst = 0.0
    for number, step in enumerate(work.steps, 1):
        if step.left.startswith("dF"):
            found = np.asarray(evaluate(step.right, point, values, name))
            wanted = expected.T if step.left == "dFᵀ" else expected
            rules = ", ".join(rule for rule, _ in step.rules)
            worst = max(worst, _agree(found, wanted, source, f"line {number} ({rules})"))
    return worst


def _agree(found: np.ndarray, expected: np.ndarray, source: str, what: str) -> float:
    if found.shape != expected.shape:
        found = np.broadcast_to(found, expected.shape) if found.shape == () else found
    scale = 1.0 + float(np.max(np.abs(expected)))
    if found.shape == expected.shape:
        difference = float(np.max(np.abs(found - expected))) / scale
        if difference <= TOLERANCE:
            return difference
    raise DerivativeError(
        f"{source}: {what} does not agree with the engine's derivative at a random point, so no "
        "result is given. This is a fault of chainrule; please report it with the expression"
    )
