"""The node of a matrix expression, and its leaves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

from chainrule.forks import load

__all__ = [
    "ONE",
    "SCALAR",
    "ZERO",
    "Dim",
    "Node",
    "Shape",
    "contains",
    "eye",
    "flagged",
    "is_zero",
    "number",
    "ones",
    "symbol",
    "walk",
    "zeros",
]

Dim = str | int
Shape = tuple[Dim, Dim]
SCALAR: Shape = (1, 1)


@dataclass(frozen=True, eq=False)
class Node:
    """One operation on ``args``. ``data`` is what the operation needs besides: a number, a
    name, an exponent. Two nodes are the same expression when their ``key`` is the same."""

    op: str
    args: tuple[Node, ...]
    shape: Shape
    data: Any = None

    @cached_property
    def key(self) -> str:
        """Text that two nodes share when they are equal up to the order of commuting parts."""
        keys = [a.key for a in self.args]
        if self.op in ("add", "hadamard"):
            keys.sort()
        if self.op == "mul":
            keys = sorted(a.key for a in self.args if a.shape == SCALAR)
            chain = [a for a in self.args if a.shape != SCALAR]
            keys.append(_chain_key(chain, self.shape))
        data = "" if self.data is None else str(self.data)
        size = str(self.shape) if not self.args else ""
        return f"{self.op}[{data}{size}]({','.join(keys)})"

    def __repr__(self) -> str:
        return f"<{_above('text').code(self)}: {self.shape[0]}×{self.shape[1]}>"


def _above(module: str) -> Any:
    """A module that is built on nodes, which a node's own key and spelling need."""
    return load(f"chainrule.explanation.matrix.{module}")


def _chain_key(chain: list[Node], shape: Shape) -> str:
    transpose = _above("tree").transpose
    here = "@".join(a.key for a in chain)
    if shape != SCALAR or not chain:
        return here
    back = "@".join(transpose(a).key for a in reversed(chain))
    return min(here, back)  # a scalar is its own transpose: x'y and y'x are the same


# Leaves ------------------------------------------------------------------------------------


def number(value: int | float | Fraction) -> Node:
    """A constant. Whole numbers and fractions stay exact."""
    return Node("number", (), SCALAR, Fraction(value))


ZERO = number(0)
ONE = number(1)


def symbol(name: str, shape: Shape, flags: Iterable[str] = ()) -> Node:
    """A named scalar, vector or matrix. ``flags``: "symmetric", "probabilities"."""
    return Node("symbol", (), shape, (name, tuple(sorted(flags))))


def ones(shape: Shape) -> Node:
    return ONE if shape == SCALAR else Node("ones", (), shape)


def zeros(shape: Shape) -> Node:
    return ZERO if shape == SCALAR else Node("zeros", (), shape)


def eye(dim: Dim) -> Node:
    return ONE if dim == 1 else Node("eye", (), (dim, dim))


def is_zero(node: Node) -> bool:
    return node.op == "zeros" or (node.op == "number" and node.data == 0)


def walk(node: Node) -> Iterator[Node]:
    """The node and everything below it."""
    stack = [node]
    while stack:
        at = stack.pop()
        yield at
        stack.extend(at.args)


def contains(node: Node, name: str) -> bool:
    """Whether the symbol ``name`` occurs in ``node``."""
    return any(n.op == "symbol" and n.data[0] == name for n in walk(node))


def flagged(node: Node, flag: str) -> bool:
    """Whether a symbol was declared "symmetric", or to hold "probabilities"."""
    return node.op == "symbol" and flag in node.data[1]
