"""Typed expressions: checked node by node against lists of what is allowed, never evaluated.

The grammar limits length and nesting; the tree it gives is walked by this module, which knows
numbers, names, and the operators and functions of a table. Nothing is compiled, and no name reaches
Python.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

import numpy as np

from chainrule.core.recording import quiet
from chainrule.errors import UsageError
from chainrule.explanation.formula.cursor import (
    INSTEAD,
    SIDE,
    SIDE_BY_SIDE,
    by_entries,
    canonical,
    is_inner,
    is_ones,
    is_row,
    is_whole,
)
from chainrule.explanation.formula.grammar import Statement, read, sides
from chainrule.explanation.formula.mathml import from_mathml
from chainrule.explanation.formula.node import Node
from chainrule.explanation.formula.tokens import ExpressionError
from chainrule.explanation.formula.vocabulary import CONSTANTS, FUNCTIONS, OPERATORS

MOST_NAMES = 50
MOST_SIDES = 20
ENTRYWISE = frozenset({"abs", "exp", "log", "ln", "sqrt"})
"""Functions that a matrix has of its own, too."""
SIGMA = ("sigma", "σ")
"""The logistic where it is called, a name where it is not."""


class _Parameter(inspect.Parameter):
    """A parameter with any name, also one that Python has not: a^[1]."""

    def __init__(self, name: str) -> None:
        super().__init__("x", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        self._said = name

    @property
    def name(self) -> str:
        return self._said


@dataclass(eq=False)
class Expression:
    """A checked expression: a function of its free names, in the order of first appearance.

    ``output`` is the name given by an assignment at the end, or None. After a call,
    ``quantities`` holds the values of the names that the expression assigns. ``notes`` say
    which of two readings was taken; ``readings``, after a call, those that depend on shapes, and
    ``values`` what each node of the trees was, by its id.
    """

    text: str
    names: tuple[str, ...]
    output: str | None
    statements: Sequence[tuple[str | None, Node]] = field(repr=False)
    notes: tuple[str, ...] = field(default=(), repr=False)
    in_sums: frozenset[str] = field(default=frozenset(), repr=False)
    quantities: dict[str, Any] = field(default_factory=dict, repr=False)
    readings: dict[str, None] = field(default_factory=dict, repr=False)
    values: dict[int, Any] = field(default_factory=dict, repr=False)
    same: tuple[Expression, ...] = field(default=(), repr=False)
    """Other sides of its equation, which are to have the same value."""

    @property
    def __name__(self) -> str:
        return self.output or ("J" if len(self.names) == 1 else "f")

    @property
    def __signature__(self) -> Any:
        return inspect.Signature([_Parameter(name) for name in self.names])

    def __call__(self, *values: Any) -> Any:
        known = {**CONSTANTS, **dict(zip(self.names, values, strict=True))}
        result: Any = None
        self.quantities.clear()
        self._check_sums(known)
        with quiet():
            for name, item in self.statements:
                result = _Walk(self.text, known, self.readings, self.values).of(item)
                if name is not None:
                    known[name] = self.quantities[name] = result
        return result

    def _check_sums(self, known: Mapping[str, Any]) -> None:
        """In a sum over i an array has the index, and one axis."""
        for name in self.in_sums:
            word = name.partition("_")[0]
            if name in known and np.ndim(known[name]):
                why = f"{name} is an array and has no index in the sum: {name}_i"
                raise ExpressionError(why, self.text, max(self.text.find(word), 0))


def parse(text: str, given: Collection[str] = (), *, numbers: bool = False) -> Expression:
    """The expression that ``text`` holds, checked whole before anything is computed.

    Statements ``name = expression`` may come before it, separated by semicolons or lines:
    ``"t = x**2; J = cos(t)"``. ``pi`` and ``e`` are numbers, unless they are among the
    ``given`` names. A blackboard's spelling, LaTeX (between dollar signs or not) and MathML are
    read too. With ``numbers`` every name stands for a number, so it may be given an array of them.

    Raises:
        ExpressionError: what is not understood, with a caret under the place.
    """
    source = from_mathml(text) if text.lstrip().startswith("<") else text
    if len(several := sides(source)) > 1:
        return _one_side(source, several, given, numbers)
    statements, notes, in_sums = read(source, FUNCTIONS, given)
    if not statements:
        raise ExpressionError("the expression is empty", text)
    check = _Check(text, {name for name in CONSTANTS if name not in given}, given)
    checked = [check.statement(said, said is statements[-1], numbers) for said in statements]
    return Expression(
        text, tuple(check.free), checked[-1][0], checked, tuple(notes), frozenset(in_sums)
    )


def _one_side(
    text: str, several: Sequence[str], given: Collection[str], numbers: bool
) -> Expression:
    """The first side whose names all have values; others are compared with it."""
    if len(several) > MOST_SIDES:
        raise UsageError(f"an equation has at most {MOST_SIDES} sides, not {len(several)}")
    found: list[Expression] = []
    failed: list[ExpressionError] = []
    for side in several:
        try:
            found.append(parse(side, given, numbers=numbers))
        except ExpressionError as error:
            failed.append(error)
    have = {canonical(name) for name in given}
    ready = [e for e in found if have.issuperset(map(canonical, e.names))]
    if not found:
        raise failed[0]
    if all(e.statements[-1][1].op in ("number", "name") for e in found) and not (ready and have):
        raise ExpressionError(INSTEAD["="], text, text.find("=", text.find("=") + 1))
    named = [e for e in ready if e.names] or [e for e in found if e.names] or found
    chosen = max(named, key=lambda e: e.statements[-1][1].op not in ("number", "name"))
    same = tuple(e for e in ready if e is not chosen)
    shown = [e.text.rpartition("= ")[2].strip() for e in same]
    note = f"sides with the same value: {', '.join(shown)}" if same else ""
    left = len(several) - 1 - len(same)
    more = f"{left} other side{'s' * (left > 1)} of the equation not compared" if left else ""
    return replace(chosen, same=same, notes=(*chosen.notes, *filter(None, (note, more))))


def compare_sides(expression: Expression, given: Mapping[str, Any]) -> None:
    """Refuse sides of an equation that differ at the values given; a number may be rounded.

    Raises:
        UsageError: the two sides with their values.
    """
    if not expression.same:
        return
    value = np.asarray(expression(*arguments(expression, given)))
    for other in expression.same:
        found = np.asarray(other(*arguments(replace(other, same=(expression,)), given)))
        digits = re.search(r"=\s*[-−]?\d*\.?(\d*)\s*\Z", other.text)
        bound = 0.5001 * 10.0 ** -len(digits[1]) if digits else 0.0
        if value.shape == found.shape and np.allclose(value, found, rtol=1e-9, atol=bound):
            continue
        raise UsageError(f"the sides of the equation differ here: {expression.text} is "
                         f"{value.tolist()}, {other.text} is {found.tolist()}")  # fmt: skip


def fail(why: str, text: str, node: Node) -> NoReturn:
    """Raise, with a caret under a node of the tree."""
    raise ExpressionError(why, text, node.place)


_NUMERIC = frozenset({"+", "-", "*", "⊙", " ", "·", "%", "**", "^", "−"})
"""Operators whose numbers may not overflow."""


class _Check:
    """Walks a tree once, refusing every node that is not on the list."""

    def __init__(
        self, text: str, assigned: Iterable[str] = (), given: Collection[str] = ()
    ) -> None:
        self.text, self.given = text, given
        self.free: dict[str, None] = {}
        self.assigned: set[str] = set(assigned)

    def statement(self, said: Statement, last: bool, numbers: bool) -> tuple[str | None, Node]:
        tree = by_entries(said.value) if numbers else said.value
        if said.name is not None:
            self.name(said.name, said.place)
        self.of(tree)
        if said.name is not None:
            self.assigned.add(said.name)
        elif not last:
            why = "only the last part is an expression; the others assign names: t = x**2"
            raise ExpressionError(why, self.text, said.place)
        return said.name, tree

    def name(self, name: str, place: int, free: bool = False) -> None:
        why = ""
        if name.startswith("__") or len(name) > MOST_NAMES:
            why = f"a name may not begin with two underscores or be longer than {MOST_NAMES}"
        elif name in FUNCTIONS and name not in self.given and not (free and name in SIGMA):
            why = f"{name} is a function; call it, {name}(...), or choose another name"
        if why:
            raise ExpressionError(why, self.text, place)

    def of(self, item: Node) -> float | None:
        """Check ``item``; its value where it is made of numbers alone."""
        if item.op == "number":
            return self.number(item)
        if item.op == "name":
            if item.data not in self.assigned and item.data not in self.free:
                self.name(item.data, item.place, free=True)
                self.free[item.data] = None
            return None
        if item.op == "Subscript":
            self.of(item.args[0])
            index_of(self.text, item)
            return None
        values = [self.of(part) for part in item.args]
        if item.op == "indexed":
            return None
        if item.op in FUNCTIONS:
            self.count(item)
        elif item.op not in OPERATORS:
            why = "a list is given as a value, x=[1, 2]"
            fail(why if item.op == "list" else f"{item.op} is not part of an expression",
                 self.text, item)  # fmt: skip
        elif item.op in _NUMERIC | {"/"} and None not in values:
            with quiet():
                found = float(OPERATORS[item.op](*map(np.float64, values)))
            if math.isinf(found) and item.op != "/":
                why = "this number is too large for a float: it would become infinite"
                fail(why, self.text, item)
            return found
        return None

    def number(self, item: Node) -> float:
        try:
            return float(item.data)
        except OverflowError:
            return fail("the number is too large", self.text, item)

    def count(self, item: Node) -> None:
        count = FUNCTIONS[item.op][1]
        fewest, most = (count, count) if isinstance(count, int) else count
        if not fewest <= len(item.args) <= most:
            wanted = f"{most} argument{'s' * (most != 1)}"
            fail(f"{item.op} takes {wanted}, not {len(item.args)}", self.text, item)


def index_of(text: str, item: Node) -> tuple[int, ...]:
    """The whole numbers in ``x[0]`` or ``W[1, -2]``."""
    found = []
    for part in item.args[1:]:
        if not is_whole(part):
            fail("an index is a whole number, as in x[0] or W[1, 2]", text, part)
        found.append(-part.args[0].data if part.op == "−" else part.data)
    return tuple(found)


class _Walk:
    """Computes a checked tree with NumPy, on plain or traced values."""

    def __init__(
        self,
        text: str,
        known: Mapping[str, Any],
        notes: dict[str, None] | None = None,
        values: dict[int, Any] | None = None,
    ) -> None:
        self.text = text
        self.known = known
        self.notes = {} if notes is None else notes
        self.values = {} if values is None else values

    def of(self, item: Node) -> Any:
        self.values[id(item)] = found = self.worked_out(item)
        return found

    def worked_out(self, item: Node) -> Any:
        if item.op == "number":
            return float(item.data)
        if item.op == "name":
            return self.known[item.data]
        if item.op == "Subscript":
            index = index_of(self.text, item)
            return self.of(item.args[0])[index if len(index) != 1 else index[0]]
        args = [self.of(part) for part in item.args]
        if item.op == "where" and item.data is not None:
            self.of(item.data)  # the opposite condition, to be written
        if item.op == "indexed":
            return self.indexed(item, *args)
        if item.op in ("sum", "prod") and item.data and np.ndim(args[0]):
            return (np.sum if item.op == "sum" else np.prod)(args[0], axis=-1)
        if item.op in SIDE or item.op == "@":
            return self.product(item, *args)
        return self.computed(item, *args)

    def indexed(self, item: Node, value: Any) -> Any:
        """The entries of an array, its axes in the order of the sums around it."""
        typed, places, depth = item.data
        if np.ndim(value) == 0:
            return value
        if np.ndim(value) != len(places):
            axes = "two axes" if np.ndim(value) == 2 else f"{np.ndim(value)} axes"
            word = item.args[0].data
            fail(f"{word} has {axes}, so {typed} is no number: write a product of matrices, or a "
                 "sum over each index", self.text, item)  # fmt: skip
        if depth == 1:
            return value
        turned = np.transpose(value, np.argsort(places).tolist())
        return turned[tuple(slice(None) if i in places else None for i in range(depth))]

    def product(self, item: Node, left: Any, right: Any) -> Any:
        """Of vectors x yᵀ is the outer product, xᵀ y and x · y the inner one; with 𝟏 a sum."""
        first, second = item.args
        if is_ones(second) and np.ndim(left):
            return np.sum(left, axis=-1)
        if first.op == "ᵀ" and is_ones(first.args[0]):
            return np.sum(right, axis=0) if np.ndim(right) else right
        if second.op == "ᵀ" and is_ones(second.args[0]):
            fail("how long 𝟏 is cannot be known here", self.text, second)
        if np.ndim(left) == np.ndim(right) == 1 and item.op != "@":
            if second.op == "ᵀ":
                return np.outer(left, right)
            if item.op == " " and not is_row(first):  # two columns
                inner = is_inner(item)
                self.notes[SIDE_BY_SIDE[inner]] = None
                return np.matmul(left, right) if inner else np.multiply(left, right)
        return self.computed(item, left, right)

    def computed(self, item: Node, *args: Any) -> Any:
        if item.op in ENTRYWISE and np.ndim(args[0]) == 2:
            less = "; the determinant is det" if item.op == "abs" else ""
            self.notes[f"{item.op} of a matrix is taken entry by entry{less}"] = None
        operation = OPERATORS.get(item.op) or FUNCTIONS[item.op][0]
        try:
            return operation(*args)
        except np.linalg.LinAlgError as error:
            return fail(f"{error}", self.text, item)


# Values of the free names -----------------------------------------------------------------------


def parse_value(name: str, text: str) -> Any:
    """The number or array that ``name=text`` gives: ``2``, ``-pi/4``, ``[1, 2]``."""
    said = read(text, FUNCTIONS)[0]
    if len(said) != 1 or said[0].name is not None:
        raise UsageError(f"{name}={text}: a value is a number or a list of numbers")
    value = _value(text, said[0].value)
    try:
        array = np.array(value, np.float64)
    except ValueError:
        raise UsageError(f"{name}={text}: the rows of the list differ in length") from None
    return float(array) if array.ndim == 0 else array


def _value(text: str, item: Node) -> Any:
    if item.op == "list":
        return [_value(text, part) for part in item.args]
    check = _Check(text, CONSTANTS)
    check.of(item)
    for name in check.free:
        fail(f"{name} is not a number", text, item)
    with quiet():
        return float(_Walk(text, CONSTANTS).of(item))


def arguments(expression: Expression, given: Mapping[str, Any]) -> tuple[Any, ...]:
    """The values of an expression's free names, in order.

    Raises:
        UsageError: a name without a value, or a value without a name.
    """
    same = {canonical(name): value for name, value in given.items()}
    for name in expression.names:
        if canonical(name) not in same:
            letters = len(name) <= 4 and name.isalpha() and any(c in given for c in name)
            hint = f"; for a product write {' '.join(name)}" if letters else ""
            word, _, index = name.partition("_")
            if index.isalpha() and canonical(word) in same:
                hint = f"; a sum over {index} is written Σ_{index}"
            raise UsageError(f"{name} has no value: add {name}=1 (or another number){hint}")
    known = {canonical(name) for e in (expression, *expression.same) for name in e.names}
    for name in given:
        if canonical(name) not in known:
            listed = ", ".join(expression.names) or "none"
            raise UsageError(f"{name}: the expression has no such name; it has: {listed}")
    return tuple(same[canonical(name)] for name in expression.names)


def places(expression: Expression, wrt: Collection[str] | None) -> list[int] | None:
    """The numbers of the names to differentiate by; None for all of them."""
    if wrt is None:
        return None
    for name in wrt:
        if name not in expression.names:
            listed = ", ".join(expression.names) or "none"
            raise UsageError(f"wrt {name}: the expression has no such name; it has: {listed}")
    return [i for i, name in enumerate(expression.names) if name in wrt]
