"""The node of all trees: what was typed, formulas of graphs, and the normal form of matrices.

A typed tree has signs for operations and words for functions: ``+ - * / % @ ** ^``, a space or
``·`` between factors side by side, ``⊙`` and ``.*`` as ``⊙``, ``−`` before one argument, ``ᵀ``
behind one, comparisons; its leaves are ``name`` and ``number``. Formulas of graphs are in
``expressions``, the normal form in ``matrix.tree``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from chainrule.forks import load

Dim = str | int
Shape = tuple[Dim, ...]
SCALAR: Shape = (1, 1)


@dataclass(frozen=True)
class Name:
    """A name, distinguished by ``key``: a letter or word, an index, a mark above it, and
    ``upper``, a layer in brackets.

    ``letter`` may be any text; writers escape it.
    """

    key: str
    letter: str = field(compare=False)
    index: str = field(default="", compare=False)
    accent: str = field(default="", compare=False)
    upper: str = field(default="", compare=False)


@dataclass(frozen=True)
class Slope:
    """The name of a derivative: d``of``/d``by``, with ∂ where ``partial``."""

    of: Node
    by: Node
    partial: bool = False

    @property
    def key(self) -> str:
        """Where its value stands for ``evaluate``: the derivative of the output by ``by``."""
        return "∂" + self.by.key


@dataclass(frozen=True, eq=False)
class Node:
    """One operation on ``args``. ``data`` is what the operation needs besides: a number, a name,
    an exponent. ``place``: where it was typed. ``bracket``: what it was typed in, ``(`` or ``{``,
    needed or not, ``f(`` after a function, ``(_`` where what is inside has the index of a sum.

    Nodes are equal when they are the same operation on equal parts in the same order, whatever
    the shape of a part that has a name; up to the order of commuting parts by ``key``.
    ``str(node)`` is the text of a formula; it has LaTeX and MathML spellings too.
    """

    op: str
    args: tuple[Node, ...] = ()
    shape: Shape = SCALAR
    data: Any = None
    place: int = 0
    bracket: str = ""

    @cached_property
    def key(self) -> str:
        """Text that two nodes share when they are equal up to the order of commuting parts."""
        if isinstance(self.data, (Name, Slope)):
            return self.data.key
        keys = [a.key for a in self.args]
        if self.op in ("add", "hadamard"):
            keys.sort()
        if self.op == "mul":
            keys = sorted(a.key for a in self.args if a.shape == SCALAR)
            keys.append(_chain_key([a for a in self.args if a.shape != SCALAR], self.shape))
        data = self.data.key if isinstance(self.data, Node) else self.data
        data = "" if data is None else str(data)
        size = str(self.shape) if not self.args else ""
        return f"{self.op}[{data}{size}]({','.join(keys)})"

    @cached_property
    def _same(self) -> tuple[Any, ...]:
        alone = self.shape if self.data is None and not self.args else ()
        return self.op, self.data, self.args, alone

    @cached_property
    def _hash(self) -> int:
        return hash(self._same)

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Node) and self._same == other._same)

    def __hash__(self) -> int:
        return self._hash

    def text(self) -> str:
        """Unicode text on one line."""
        return _written(self, "TextWriter")

    def latex(self) -> str:
        """LaTeX for math mode; parses in KaTeX."""
        return _written(self, "LatexWriter")

    def mathml(self) -> str:
        """Presentation MathML, the inside of a ``<math>`` element."""
        return _written(self, "MathmlWriter")

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return f"<{_above('text').code(self)}: {'×'.join(map(str, self.shape))}>"


def _written(node: Node, writer: str) -> str:
    """Writers stand above nodes and know them all."""
    return getattr(load("chainrule.explanation.formula.writers"), writer)().write(node)


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


def walk(node: Node) -> Iterator[Node]:
    """The node and everything below it."""
    stack = [node]
    while stack:
        at = stack.pop()
        yield at
        stack.extend(at.args)


def with_args(node: Node, args: tuple[Node, ...]) -> Node:
    """The same operation on other arguments, as it stands."""
    return replace(node, args=args)


def rewrite(
    node: Node,
    change: Callable[[Node], Node | None],
    make: Callable[[Node, tuple[Node, ...]], Node] = with_args,
) -> Node:
    """``node`` with the outermost nodes that ``change`` answers for replaced, and those above
    them made again."""
    found = change(node)
    if found is not None:
        return found
    args = tuple(rewrite(a, change, make) for a in node.args)
    if all(a is b for a, b in zip(args, node.args, strict=True)):
        return node
    return make(node, args)


def mapped(node: Node, change: Callable[[Node], Node]) -> Node:
    """What ``change`` makes of every node, from the leaves up."""
    args = tuple(mapped(a, change) for a in node.args)
    if any(a is not b for a, b in zip(args, node.args, strict=True)):
        node = with_args(node, args)
    return change(node)


def bare(node: Node) -> Node:
    """The node without brackets, where a line above or below takes their place."""
    return replace(node, bracket="") if node.bracket else node


def binary(left: Node, sign: str, right: Node) -> Node:
    return Node(sign, (left, right), place=left.place)


def call(word: str, *args: Node, place: int | None = None) -> Node:
    return Node(word, args, place=args[0].place if place is None else place)


def is_binary(node: Node) -> bool:
    """Whether a sign stands between two parts: + and @, but no comparison."""
    return len(node.args) == 2 and not (node.op[0].isalpha() or node.op in COMPARED)


COMPARED = frozenset({"<", "<=", ">", ">=", "==", "!="})
