"""A call done again where everything can be looked at: each operation, forward and backward, with
its value, the user's line and, in reverse mode, the edges along which cotangents went.

The interpreter's forwards compute it all, whichever executor ran the call before.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

import numpy as np

from chainrule.core import ArrayType
from chainrule.core.frames import text_at
from chainrule.core.graph import ancestors
from chainrule.core.node import Node
from chainrule.core.record import argument_paths, flatten_call, lift_output
from chainrule.core.recording import Recording, fresh_recording, quiet
from chainrule.core.rules import Deferred
from chainrule.core.traced import Traced
from chainrule.core.tree import flatten, flatten_with_paths
from chainrule.core.types import type_of


@dataclass(frozen=True)
class Visit:
    """A visit of reverse mode: the node, its cotangent, and what it passed on to inputs by number.
    ``first`` to ``last`` are the serial numbers of what was recorded for it."""

    node: Node
    g: Node
    parts: tuple[tuple[int, Node], ...]
    first: int
    last: int


@dataclass(frozen=True)
class Place:
    """Where the user's code made a node: ``line`` is file:line, ``text`` the expression there."""

    line: str
    text: str
    scope: str

    @property
    def operands(self) -> list[str]:
        """The texts of what the expression is applied to."""
        try:
            node = ast.parse(self.text.strip(), mode="eval").body
        except (SyntaxError, ValueError):
            return []
        match node:
            case ast.Call(args=args):
                found: Sequence[ast.expr] = args
            case ast.BinOp(left=left, right=right):
                found = (left, right)
            case ast.UnaryOp(operand=operand):
                found = (operand,)
            case _:
                found = ()
        return [ast.unparse(x) for x in found]


@dataclass
class Rerun:
    """What came out, and how. ``leaves`` are the results, as (path, node); ``outside`` the
    functions that were running before, whose lines are not the user's formulas."""

    name: str
    recording: Recording
    inputs: dict[Node, str]
    leaves: list[tuple[str, Node]]
    visits: list[Visit]
    outside: frozenset[CodeType]
    order: list[Node] = field(init=False)

    def __post_init__(self) -> None:
        self.order = ancestors([node for _, node in self.leaves], self.inputs)

    def value(self, node: Node) -> Any:
        """The number or array of a node; None of what stands for one row of a batch."""
        return self.recording.value(node)

    def bad(self, node: Node) -> np.ndarray:
        """Which of its entries are not finite."""
        value = self.value(node)
        if value is None or not node.type.is_float:
            return np.zeros(node.type.shape, bool)
        return ~np.isfinite(np.asarray(value))

    @property
    def failed(self) -> list[str]:
        """The results that are not finite, by path."""
        return [path for path, node in self.leaves if self.bad(node).any()]

    @property
    def has_nan(self) -> bool:
        """Whether a result has a nan in it, not only infinities."""
        return any(np.isnan(np.asarray(self.value(y))).any() for _, y in self.leaves)

    def place(self, node: Node) -> Place | None:
        """The first place of the user's where a node was made."""
        for code, at, scope in self._places(node):
            if code in self.outside:
                if scope:
                    return Place("", "", scope)
                continue
            text, line = text_at(code, at)
            return Place(f"{code.co_filename}:{line}", text, scope)
        return None

    def key(self, node: Node) -> Any:
        """The operation and the user's instruction that made a node."""
        for code, at, _ in self._places(node):
            return node.primitive.name, code, at
        return None

    def _places(self, node: Node) -> Sequence[Any]:
        """The places of a node; of one that a derivative made, of what it is the derivative of."""
        known, visit = self.recording.places, self.visit_of(node)
        while node not in known and visit is not None:
            node, visit = visit.node, self.visit_of(visit.node)
        stack = [node]
        for _ in range(64):  # tangents are recorded beside what moves them
            if not stack or stack[0] in known:
                break
            stack = sorted({*stack[1:], *stack[0].inputs}, key=lambda x: -x.serial)
        return known.get(stack[0], ()) if stack else ()

    def visit_of(self, node: Node) -> Visit | None:
        """The visit of reverse mode that recorded a node, if one did."""
        for visit in self.visits:
            if visit.first < node.serial <= visit.last:
                return visit
        return None


@contextmanager
def rerun(
    f: Callable[..., Any],
    args: Sequence[Any],
    keywords: dict[str, Any],
    rewrite: Any = None,
    name: str = "",
) -> Iterator[Rerun]:
    """``f(*args, **keywords)`` with floating arguments as inputs of a recording in which all values
    are known; ``f`` may be a transformed function."""
    leaves, tree = flatten_call(tuple(args), keywords)
    labels = argument_paths(f, tree)
    visits: list[Visit] = []
    outside = _running()
    with quiet(), fresh_recording(eager=True, rewrite=rewrite) as recording:
        recording.watch = _watch(recording, visits)
        inputs, given = {}, []
        for leaf, label in zip(leaves, labels, strict=True):
            array = np.array(leaf) if _is_float(leaf) else None
            if array is None:
                given.append(leaf)
                continue
            x = recording.input(type_of(array), array, label).standing_for(leaf)
            inputs[x.node] = label
            given.append(x)
        positional, named = tree.unflatten(given)
        paths, _ = flatten_with_paths(f(*positional, **named))
        found = [(said(f, p), lift_output(y, recording).node) for p, y in paths if _is_number(y)]
        yield Rerun(name or _name(f), recording, inputs, found, visits, outside)


def said(f: Any, path: str) -> str:
    """What a result of a transformed function is: its value or its gradient."""
    made = getattr(getattr(f, "_make", None), "__name__", "")
    if made == "grad":
        return f"gradient/{path}" if path else "gradient"
    if made == "value_and_grad":
        which, _, rest = path.partition("/")
        name = "value" if which == "0" else "gradient"
        return f"{name}/{rest}" if rest else name
    if made == "jit":
        return said(f._f, path)
    return path


def _is_float(leaf: Any) -> bool:
    if isinstance(leaf, (bool, int, ArrayType)):
        return False
    return isinstance(leaf, float) or getattr(leaf, "dtype", None) in (np.float32, np.float64)


def _is_number(y: Any) -> bool:
    return isinstance(y, (Traced, np.ndarray, np.generic, bool, int, float))


def _name(f: Any) -> str:
    return getattr(f, "__name__", None) or type(f).__name__


def _running() -> frozenset[CodeType]:
    found, frame = set(), sys._getframe(1)
    while frame is not None:
        found.add(frame.f_code)
        frame = frame.f_back
    return frozenset(found)


def _watch(recording: Recording, visits: list[Visit]) -> Callable[..., None]:
    def watch(node: Node, g: Traced, parts: Sequence[tuple[int, Any]]) -> None:
        found = []
        for i, part in parts:
            at_once = part.inputs[0] if type(part) is Deferred else part
            if isinstance(at_once, Traced):
                found.append((i, at_once.node))
        first = max(recording.derived_from, visits[-1].last if visits else 0)
        visits.append(Visit(node, g.node, tuple(found), first, recording.serial))

    return watch


def all_finite(result: Any) -> bool:
    """Whether every floating number in a tree of results is finite."""
    leaves, _ = flatten(result)
    for leaf in leaves:
        if isinstance(leaf, (float, np.ndarray, np.generic)):
            array = np.asarray(leaf)
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                return False
    return True
