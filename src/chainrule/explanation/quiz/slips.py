"""Likely slips in a scalar derivative: what the answer would be had one thing gone wrong.

The expression is walked forward once. Every node carries its value, its slope, and the slopes
that single mistakes would have given; a wrong answer is compared with all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.api import jvp
from chainrule.explanation.formula.node import Node, is_binary
from chainrule.explanation.formula.parsing import CONSTANTS, FUNCTIONS, OPERATORS, Expression
from chainrule.explanation.matrix.typed import typed_text

__all__ = ["Slip", "scalar_slips", "slope_and_value"]


@dataclass(frozen=True)
class Slip:
    """A hypothesis: its ``kind``, what to say, and the slopes it leads to."""

    kind: str
    says: str
    slope: np.ndarray


@dataclass(frozen=True)
class _Flow:
    value: np.ndarray
    slope: np.ndarray
    slips: tuple[Slip, ...]
    moves: bool
    bare: bool = False
    """Whether it is the variable itself."""


def slope_and_value(
    expression: Expression, wrt: str, values: Mapping[str, Any]
) -> tuple[np.ndarray, np.ndarray]:
    """The true slope and the value at arrays of points."""
    flow = _flow(expression, wrt, values)
    return flow.slope, flow.value


def scalar_slips(
    expression: Expression, wrt: str, values: Mapping[str, Any], *, overall: bool = True
) -> Iterator[Slip]:
    """Hypotheses in the order in which they are to be tried: single slips, then those of the
    whole formula (``overall``), which at one point alone would fit by chance."""
    flow = _flow(expression, wrt, values)
    yield from flow.slips
    if not overall:
        return
    yield Slip("sign", "the sign of the whole derivative is wrong", -flow.slope)
    yield Slip("not differentiated", "this is the function itself, not its derivative", flow.value)
    for power in (1, -1):
        x = np.asarray(values[wrt], float)
        says = f"a power of {wrt} is off by one: the answer is {wrt}^{power} times the derivative"
        yield Slip("power", says, flow.slope * x**power)


def _flow(expression: Expression, wrt: str, values: Mapping[str, Any]) -> _Flow:
    walk = _Walk(wrt, values)
    flow = walk.constant(0.0)
    with np.errstate(all="ignore"):
        for name, item in expression.statements:
            flow = walk.of(item)
            if name is not None:
                walk.known[name] = flow
    return flow


class _Walk:
    def __init__(self, wrt: str, values: Mapping[str, Any]) -> None:
        self.wrt = wrt
        self.size = np.broadcast(*(np.asarray(v) for v in values.values())).shape
        self.known: dict[str, _Flow] = {n: self.constant(v) for n, v in CONSTANTS.items()}
        for name, value in values.items():
            full = np.broadcast_to(np.asarray(value, float), self.size)
            mine = name == wrt
            slope = np.full(self.size, float(mine))
            self.known[name] = _Flow(full, slope, (), mine, mine)

    def constant(self, value: float) -> _Flow:
        full = np.full(self.size, float(value))
        return _Flow(full, np.zeros(self.size), (), False)

    def of(self, item: Node) -> _Flow:
        if item.op == "number":
            return self.constant(item.data)
        if item.op == "name":
            return self.known[item.data]
        if item.op == "−":
            inner = self.of(item.args[0])
            return self.through(item, inner, -inner.value, -np.ones(self.size), [])
        return self.binary(item) if is_binary(item) else self.call(item, item.op)

    def through(self, item: Node, inner: _Flow, value: Any, local: Any, own: list[Slip]) -> _Flow:
        """One argument moves: local slope times inner slope, and its slips carried along."""
        slope = local * inner.slope
        carried = [Slip(s.kind, s.says, local * s.slope) for s in inner.slips]
        if not inner.moves:
            own, carried, slope = [], [], np.zeros(self.size)
        return _Flow(value, slope, (*own, *carried), inner.moves)

    # Operators ----------------------------------------------------------------------------

    def binary(self, item: Node) -> _Flow:
        u, v = map(self.of, item.args)
        value, a = self.local(OPERATORS[item.op], u.value, v.value)
        b = self.local(OPERATORS[item.op], v.value, u.value, second=True)[1] if v.moves else 0
        own: list[Slip] = []
        match item.op:
            case "-":
                own = [Slip("sign", f"the minus in {_show(item)} was lost", u.slope + v.slope)]
            case "*" | "⊙":
                own = self.product(item, u, v)
            case "/":
                own = self.quotient(item, u, v, a, b)
            case "**" if not v.moves:
                return self.through(item, u, value, a, self.power(item, u, v, a))
        return self.joined(item, u, v, value, a, b, own)

    def local(
        self, f: Any, x: np.ndarray, other: np.ndarray, *, second: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """The value of ``f`` and its slope by ``x``, its first argument or its second."""
        partial = (lambda z: f(other, z)) if second else (lambda z: f(z, other))
        value, slope = jvp(partial, (np.asarray(x),), (np.ones(self.size),))
        return np.asarray(value), np.asarray(slope)

    def joined(
        self, item: Node, u: _Flow, v: _Flow, value: Any, a: Any, b: Any, own: list[Slip]
    ) -> _Flow:
        """Two arguments: the slopes add; each may have a slip, or a branch be left out."""
        slope = a * u.slope + b * v.slope
        slips = [Slip(s.kind, s.says, a * s.slope + b * v.slope) for s in u.slips]
        slips += [Slip(s.kind, s.says, a * u.slope + b * s.slope) for s in v.slips]
        if u.moves and v.moves:
            for kept, gone in ((a * u.slope, item.args[1]), (b * v.slope, item.args[0])):
                says = (
                    f"the branch through {_show(gone)} was dropped: {self.wrt} reaches "
                    f"{_show(item)} along two branches, and their gradients add"
                )
                slips.append(Slip("dropped branch", says, kept))
        both = u.moves or v.moves
        return _Flow(value, slope, (*slips, *own) if both else (), both)

    def product(self, item: Node, u: _Flow, v: _Flow) -> list[Slip]:
        own = []
        if u.moves and v.moves:
            says = f"the slope of the product {_show(item)} is u′v + uv′, not u′v′"
            own.append(Slip("product rule", says, u.slope * v.slope))
        else:
            still, moving = (v, u) if u.moves else (u, v)
            says = f"the constant factor in {_show(item)} was dropped"
            own.append(Slip("dropped factor", says, moving.slope))
            says = f"a product passes the other factor's value back, not its own: {_show(item)}"
            own.append(Slip("product gate", says, moving.value * moving.slope))
            says = f"{_show(item)}: a constant factor stays a factor, it is not added"
            own.append(Slip("product gate", says, still.value + moving.slope))
        return own

    def quotient(self, item: Node, u: _Flow, v: _Flow, a: Any, b: Any) -> list[Slip]:
        here = _show(item)
        own = [Slip("sign", f"the minus of the quotient rule is missing in {here}",
                    a * u.slope - b * v.slope)]  # fmt: skip
        if v.moves:
            says = f"the denominator of the quotient rule is squared: {here}"
            own.append(Slip("power", says, u.slope - u.value * v.slope / v.value))
            own.append(Slip("power", says, a * u.slope - u.value * v.slope / v.value))
            says = f"u′v and uv′ are the wrong way round in the quotient rule: {here}"
            own.append(Slip("sign", says, -(a * u.slope + b * v.slope)))
        return own

    def power(self, item: Node, u: _Flow, v: _Flow, local: Any) -> list[Slip]:
        n, here = v.value, _show(item)
        own = [
            Slip("power", f"the exponent falls by one in the slope of {here}",
                 n * u.value**n * u.slope),
            Slip("power", f"the factor {_show(item.args[1])} from the exponent is missing in the "
                 f"slope of {here}", u.value ** (n - 1) * u.slope),
            Slip("power", f"the exponent of {here} fell by two", n * u.value ** (n - 2) * u.slope),
        ]  # fmt: skip
        return own + self.missing_inner(item.args[0], u, local, here)

    def missing_inner(self, inner: Node, u: _Flow, local: Any, here: str) -> list[Slip]:
        if u.bare:
            return []
        said = _show(inner)
        return [
            Slip("missing inner derivative", f"the inner derivative is missing: the slope of "
                 f"{here} must be multiplied by that of {said}", local * np.ones(self.size)),
        ]  # fmt: skip

    # Functions ----------------------------------------------------------------------------

    def call(self, item: Node, name: str) -> _Flow:
        f = FUNCTIONS[name][0]
        count = len(item.args)
        args = [self.of(a) for a in item.args]
        if count == 2:
            return self.choice(item, name, *args)
        (u,) = args
        here = _show(item)

        def slope_at(x: np.ndarray) -> np.ndarray:
            return np.asarray(jvp(f, (x,), (np.ones(self.size),))[1])

        value, local = np.asarray(f(u.value)), slope_at(np.asarray(u.value))
        own = self.missing_inner(item.args[0], u, local, here) if u.moves else []
        if u.moves:
            says = f"the sign of the derivative of {name} is wrong in {here}"
            own.append(Slip("sign", says, -local * u.slope))
            says = f"{name} was not differentiated in {here}"
            own.append(Slip("not differentiated", says, value * u.slope))
            if not u.bare:
                says = (
                    f"the outer slope of {here} is taken at the inner value, "
                    f"{_show(item.args[0])}, not at {self.wrt}"
                )
                at = slope_at(np.asarray(self.known[self.wrt].value))
                own.append(Slip("wrong place", says, at * u.slope))
        return self.through(item, u, value, local, own)

    def choice(self, item: Node, name: str, u: _Flow, v: _Flow) -> _Flow:
        if name not in ("max", "maximum", "min", "minimum"):
            raise AssertionError(name)
        largest = name.startswith("max")
        first = (u.value > v.value) if largest else (u.value < v.value)
        a, b = first.astype(float), (~first).astype(float)
        here = _show(item)
        own = [
            Slip("routing", f"{name} passes the gradient to the input that was taken, not to the "
                 f"other: {here}", b * u.slope + a * v.slope),
            Slip("routing", f"{name} passes the gradient to one input only: {here}",
                 u.slope + v.slope),
            Slip("routing", f"{name} passes the whole gradient to the input that was taken, "
                 f"nothing is halved: {here}", (u.slope + v.slope) / 2),
        ]  # fmt: skip
        value = np.where(first, u.value, v.value)
        slope = a * u.slope + b * v.slope
        slips = [Slip(s.kind, s.says, a * s.slope + b * v.slope) for s in u.slips]
        slips += [Slip(s.kind, s.says, a * u.slope + b * s.slope) for s in v.slips]
        return _Flow(value, slope, (*slips, *own), u.moves or v.moves)


def _show(item: Node) -> str:
    return typed_text(item, {})
