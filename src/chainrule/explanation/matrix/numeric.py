"""Values of matrix expressions, computed with NumPy, and random points to compare them at.

The same evaluation runs on plain arrays and under ``grad``, so the check of a printed
derivative is the engine's own: it never sees the rules that produced the formula.
"""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from chainrule.api import grad, jacobian, jvp
from chainrule.explanation.formula.node import SCALAR, Dim, Node, Shape, walk
from chainrule.explanation.formula.vocabulary import FUNCTIONS
from chainrule.ops import stable

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Point:
    """A number for every named size and an array for every symbol (a scalar is 0-d)."""

    sizes: Mapping[str, int]
    values: dict[str, np.ndarray]

    def extent(self, shape: Shape) -> tuple[int, int]:
        rows, columns = (self.sizes.get(d, d) if isinstance(d, str) else d for d in shape)
        return int(rows), int(columns)


def evaluate(node: Node, point: Point, values: Values | None = None, wrt: str = "") -> Any:
    """The value of an expression: 0-d for a scalar, else two-dimensional.

    ``values`` replaces the point's arrays. ``d(U)`` needs ``wrt``; it is the engine's
    directional derivative along the value named ``"d" + wrt``.
    """
    return _Evaluation(point, point.values if values is None else values, wrt).of(node)


class _Evaluation:
    def __init__(self, point: Point, values: Values, wrt: str) -> None:
        self.point, self.values, self.wrt = point, values, wrt

    def of(self, node: Node) -> Any:
        if node.op == "symbol":
            change = "d" if "change" in node.data[1] else ""
            return self.values[change + node.data[0]]
        if node.op == "number":
            return _float(node.data)
        if node.op in ("ones", "zeros"):
            return getattr(np, node.op)(self.point.extent(node.shape))
        if node.op == "eye":
            return np.eye(self.point.extent(node.shape)[0])
        if node.op == "d":
            return self.differential(node.args[0])
        if node.op == "mul":
            return self.product(node)
        args = [self.of(a) for a in node.args]
        if node.op == "apply":
            return FUNCTIONS[node.data][0](args[0])
        if node.op == "power":
            return _power(args[0], node.data)
        return _OPERATIONS[node.op](*args)

    def product(self, node: Node) -> Any:
        scalars: Any = 1.0
        chain: Any = None
        for arg in node.args:
            value = self.of(arg)
            if arg.shape == SCALAR:
                scalars = scalars * value
            else:
                chain = value if chain is None else chain @ value
        if chain is None:
            return scalars
        return scalars * (np.reshape(chain, ()) if node.shape == SCALAR else chain)

    def differential(self, inner: Node) -> Any:
        values, wrt = dict(self.values), self.wrt

        def f(x: Any) -> Any:
            return np.asarray(0.0) * np.sum(x) + evaluate(inner, self.point, {**values, wrt: x})

        return jvp(f, (values[wrt],), (values["d" + wrt],))[1]


def _float(value: Fraction) -> np.float64:
    """NumPy's, which overflows to infinity where Python's raises."""
    try:
        return np.float64(float(value))
    except OverflowError:
        return np.float64(np.inf if value > 0 else -np.inf)


def _power(base: Any, exponent: Any) -> Any:
    if exponent.denominator == 2:
        root = np.sqrt(base)
        return root**exponent.numerator if exponent.numerator != 1 else root
    return base ** (int(exponent) if exponent.denominator == 1 else float(exponent))


def _along(f: Callable[..., Any]) -> Callable[..., Any]:
    """Of a column, or of each row."""
    return lambda x: f(x, axis=0 if x.shape[1] == 1 else 1)


_softmax, _log_softmax = _along(stable.softmax), _along(stable.log_softmax)


def _logsumexp(x: Any) -> Any:
    if 1 in x.shape:
        return stable.logsumexp(x)
    return np.reshape(stable.logsumexp(x, axis=1), (-1, 1))


_OPERATIONS: dict[str, Callable[..., Any]] = {
    **{op: FUNCTIONS[op][0] for op in ("transpose", "trace", "inv", "det")},
    "add": lambda *terms: functools.reduce(operator.add, terms),
    "hadamard": lambda *factors: functools.reduce(operator.mul, factors),
    "total": np.sum,
    "logdet": lambda a: np.linalg.slogdet(a)[1],
    "norm2": lambda a: np.sum(a * a),
    "norm": lambda a: np.sqrt(np.sum(a * a)),
    "diag": lambda v: np.diag(np.reshape(v, (-1,))),
    "diagonal": lambda a: np.reshape(np.diag(a), (-1, 1)),
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    "logsumexp": _logsumexp,
    "softmax_cross_entropy": lambda z, y: -np.sum(y * _log_softmax(z)),
    "binary_cross_entropy": lambda a, t: np.sum(stable.softplus(a) - t * a),
}


def engine_derivative(node: Node, wrt: str, point: Point) -> np.ndarray:
    """The derivative by the engine, with axes (rows of F, columns of F, rows of x, columns).

    Axes of scalars have length 1.
    """

    def f(x: Any) -> Any:
        return np.sum(x) * 0.0 + evaluate(node, point, {**point.values, wrt: x})

    x = point.values[wrt]
    found = grad(f)(x) if node.shape == SCALAR else jacobian(f)(x)
    inner = np.shape(x) or (1, 1)
    return np.reshape(found, (*point.extent(node.shape), *inner))


def well_posed(node: Node, point: Point) -> bool:
    """Whether the value is finite and no matrix to be inverted is nearly singular."""
    if not np.all(np.isfinite(evaluate(node, point))):
        return False
    inverted = [n.args[0] for n in walk(node) if n.op in ("inv", "det", "logdet")]
    return all(np.linalg.cond(evaluate(a, point)) < 1e5 for a in inverted)


# Random points -----------------------------------------------------------------------------


def points(symbols: Mapping[str, Node], seed: int = 0, *, equal: bool = False) -> Iterator[Point]:
    """Random points without end, of growing tameness: some formulas need positive numbers.

    Named sizes differ from one another, so that a product in the wrong order cannot pass
    (``equal=True`` makes them all the same, to compare formulas whose sizes do not fit).
    """
    rng = np.random.default_rng(seed)
    names = _names(symbols.values())
    for attempt in itertools.count():
        sizes = dict.fromkeys(names, 3)
        if not equal:
            picks = rng.permutation(np.arange(2, 5 + len(names)))
            sizes = {name: int(s) for name, s in zip(names, picks, strict=False)}
        point = Point(sizes, {})
        for name, node in symbols.items():
            point.values[name] = _draw(rng, node, point.extent(node.shape), attempt % 3)
        yield point


def _names(nodes: Any) -> list[str]:
    dims: list[Dim] = [d for node in nodes for n in walk(node) for d in n.shape]
    return list(dict.fromkeys(d for d in dims if isinstance(d, str)))


def _draw(rng: np.random.Generator, node: Node, extent: tuple[int, int], mode: int) -> np.ndarray:
    flags = node.data[1]
    if mode == 0:
        value = rng.normal(size=extent)
    elif mode == 1:  # for log and sqrt
        value = rng.uniform(0.3, 1.7, size=extent)
    else:  # for arcsin, and 1 - x > 0
        value = rng.uniform(0.05, 0.95, size=extent) / max(extent)
    if "symmetric" in flags:
        value = (value + value.T) / 2
    if "probabilities" in flags:
        value = stable.softmax(value, axis=0 if extent[1] == 1 else 1)
    return value.reshape(()) if node.shape == SCALAR else value
