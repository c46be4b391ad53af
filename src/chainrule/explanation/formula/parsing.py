"""Typed expressions: checked node by node against lists of what is allowed, never evaluated.

The grammar limits length and nesting; the tree it gives is walked by this module alone, which
knows numbers, names, operators and the functions of a table. Nothing is compiled, and no name
reaches Python.
"""

from __future__ import annotations

import ast
import inspect
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np

from chainrule.core.recording import quiet
from chainrule.errors import UsageError
from chainrule.explanation.formula.cursor import (
    SIDE_BY_SIDE,
    Dotted,
    Juxtaposed,
    by_entries,
    canonical,
    is_inner,
    is_ones,
    is_row,
)
from chainrule.explanation.formula.grammar import read
from chainrule.explanation.formula.mathml import from_mathml
from chainrule.explanation.formula.tokens import ExpressionError
from chainrule.explanation.formula.vocabulary import (
    COMPARISONS,
    CONSTANTS,
    FUNCTIONS,
    HINTS,
    OPERATORS,
    SIGNS,
)

MOST_DEPTH = 100
MOST_NAMES = 50
ENTRYWISE = frozenset({"abs", "exp", "log", "ln", "sqrt"})
"""Functions that a matrix has of its own, too."""


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
    which of two readings was taken; ``readings``, after a call, those that depend on shapes.
    """

    text: str
    names: tuple[str, ...]
    output: str | None
    statements: Sequence[tuple[str | None, ast.expr]] = field(repr=False)
    notes: tuple[str, ...] = field(default=(), repr=False)
    in_sums: frozenset[str] = field(default=frozenset(), repr=False)
    quantities: dict[str, Any] = field(default_factory=dict, repr=False)
    readings: dict[str, None] = field(default_factory=dict, repr=False)

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
                result = _Walk(self.text, known, self.readings).of(item)
                if name is not None:
                    known[name] = self.quantities[name] = result
        return result

    def _check_sums(self, known: Mapping[str, Any]) -> None:
        """In a sum over i an array has the index, and one axis."""
        for name in self.in_sums:
            word, _, index = name.partition("_")
            if name in known and np.ndim(known[name]):
                why = f"{name} is an array and has no index in the sum: {name}_i"
            elif name not in known and index and np.ndim(known.get(word, 0.0)) > 1:
                why = f"{word} has two axes, so {name} is no number: write a product of matrices"
            else:
                continue
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
    tree, notes, in_sums = read(
        from_mathml(text) if text.lstrip().startswith("<") else text, FUNCTIONS, given
    )
    if numbers:
        by_entries(tree)
    statements = [_statement(text, item) for item in tree.body]
    check = _Check(text, {name for name in CONSTANTS if name not in given})
    for place, (name, item) in enumerate(statements):
        check.depth(item)
        check.of(item)
        if name is not None:
            check.assigned.add(name)
        elif place < len(statements) - 1:
            fail(
                "only the last part is an expression; the others assign names: t = x**2", text, item
            )
    if not statements:
        raise ExpressionError("the expression is empty", text)
    return Expression(
        text, tuple(check.free), statements[-1][0], statements, tuple(notes), frozenset(in_sums)
    )


def fail(why: str, text: str, place: Any) -> NoReturn:
    """Raise, with a caret under a node of the tree."""
    raise ExpressionError(why, text, getattr(place, "col_offset", 0))


def _statement(text: str, item: ast.stmt) -> tuple[str | None, ast.expr]:
    if isinstance(item, ast.Expr):
        return None, item.value
    if isinstance(item, ast.Assign) and len(item.targets) == 1:
        (target,) = item.targets
        if isinstance(target, ast.Name):
            _check_name(text, target, target.id)
            return target.id, item.value
    return fail(HINTS.get(type(item), "this is not an expression"), text, item)


def _check_name(text: str, place: ast.AST, name: str) -> None:
    if name.startswith("__") or len(name) > MOST_NAMES:
        fail(
            f"a name may not begin with two underscores or be longer than {MOST_NAMES}", text, place
        )
    if name in FUNCTIONS:
        fail(f"{name} is a function; call it, {name}(...), or choose another name", text, place)


class _Check:
    """Walks a tree once, refusing every node that is not on the list."""

    def __init__(self, text: str, assigned: Iterable[str] = ()) -> None:
        self.text = text
        self.free: dict[str, None] = {}
        self.assigned: set[str] = set(assigned)

    def depth(self, item: ast.AST) -> None:
        level = [item]
        for _ in range(MOST_DEPTH):
            level = [child for node in level for child in ast.iter_child_nodes(node)]
            if not level:
                return
        fail(
            f"the expression is nested deeper than {MOST_DEPTH}; write it in steps: t = ...",
            self.text,
            item,
        )

    def of(self, item: ast.expr) -> float | None:
        """Check ``item``; its value where it is made of numbers alone."""
        if isinstance(item, ast.Constant):
            return self.constant(item)
        if isinstance(item, ast.Name):
            if item.id not in self.assigned and item.id not in self.free:
                _check_name(self.text, item, item.id)
                self.free[item.id] = None
        elif isinstance(item, ast.BinOp):
            if type(item.op) not in OPERATORS:
                self.refuse(item.op, item)
            return self.number(item, OPERATORS[type(item.op)], item.left, item.right)
        elif isinstance(item, ast.UnaryOp) and type(item.op) in SIGNS:
            return self.number(item, SIGNS[type(item.op)], item.operand)
        elif isinstance(item, ast.Compare) and len(item.ops) == 1:
            if type(item.ops[0]) not in COMPARISONS:
                self.refuse(item, item)
            self.of(item.left)
            self.of(item.comparators[0])
        elif isinstance(item, ast.Call):
            self.call(item)
        elif isinstance(item, ast.Subscript):
            self.of(item.value)
            index_of(self.text, item)
        elif isinstance(item, ast.Attribute) and item.attr == "T":
            self.of(item.value)
        else:
            self.refuse(item, item)
        return None

    def number(
        self, item: ast.expr, operation: Callable[..., Any], *parts: ast.expr
    ) -> float | None:
        """The value of numbers combined; one that overflows is refused."""
        values = [self.of(part) for part in parts]
        if any(v is None for v in values):
            return None
        with quiet():
            found = float(operation(*map(np.float64, values)))
        if math.isinf(found) and not isinstance(getattr(item, "op", None), ast.Div):
            fail("this number is too large for a float: it would become infinite", self.text, item)
        return found

    def constant(self, item: ast.Constant) -> float:
        value = item.value
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            kind = "string" if isinstance(value, (str, bytes)) else type(value).__name__
            fail(f"a {kind} is not part of an expression; only real numbers are", self.text, item)
        try:
            return float(value)
        except OverflowError:
            return fail("the number is too large", self.text, item)

    def call(self, item: ast.Call) -> None:
        function = item.func
        if not isinstance(function, ast.Name):
            self.refuse(function, function, "only functions of the table are called, by name")
        known = FUNCTIONS.get(function.id)
        if known is None:
            fail(
                f"no function is called {function.id}; there are "
                f"{', '.join(name for name in FUNCTIONS if ' ' not in name)}",
                self.text,
                function,
            )
        if item.keywords:
            fail(f"{function.id} takes no named arguments", self.text, item.keywords[0].value)
        fewest, most = (known[1], known[1]) if isinstance(known[1], int) else known[1]
        if not fewest <= len(item.args) <= most:
            count = f"{most} argument{'s' * (most != 1)}"
            fail(f"{function.id} takes {count}, not {len(item.args)}", self.text, function)
        for argument in item.args:
            self.of(argument)

    def refuse(self, node: ast.AST, place: ast.AST, why: str = "") -> NoReturn:
        found = HINTS.get(type(node), why or f"{type(node).__name__} is not part of an expression")
        fail(found, self.text, place)


def index_of(text: str, item: ast.Subscript) -> tuple[int, ...]:
    """The whole numbers in ``x[0]`` or ``W[1, -2]``."""
    parts = item.slice.elts if isinstance(item.slice, ast.Tuple) else [item.slice]
    found = []
    for part in parts:
        sign, number = 1, part
        if isinstance(part, ast.UnaryOp) and isinstance(part.op, ast.USub):
            sign, number = -1, part.operand
        if not isinstance(number, ast.Constant) or type(number.value) is not int:
            fail("an index is a whole number, as in x[0] or W[1, 2]", text, part)
        found.append(sign * number.value)
    if not found:
        fail("an index is a whole number, as in x[0] or W[1, 2]", text, item)
    return tuple(found)


class _Walk:
    """Computes a checked tree with NumPy, on plain or traced values."""

    def __init__(
        self, text: str, known: Mapping[str, Any], notes: dict[str, None] | None = None
    ) -> None:
        self.text = text
        self.known = known
        self.notes = {} if notes is None else notes

    def of(self, item: ast.expr) -> Any:
        if isinstance(item, ast.Constant):
            return float(item.value)  # type: ignore[arg-type]
        if isinstance(item, ast.Name):
            return self.known[item.id]
        if isinstance(item, ast.BinOp):
            left, right = self.of(item.left), self.of(item.right)
            if isinstance(item.op, (Juxtaposed, ast.MatMult)):
                return self.product(item, left, right)
            return self.computed(item, OPERATORS[type(item.op)], left, right)
        if isinstance(item, ast.UnaryOp):
            return SIGNS[type(item.op)](self.of(item.operand))
        if isinstance(item, ast.Compare):
            left, right = self.of(item.left), self.of(item.comparators[0])
            return COMPARISONS[type(item.ops[0])](left, right)
        if isinstance(item, ast.Subscript):
            index = index_of(self.text, item)
            return self.of(item.value)[index if len(index) != 1 else index[0]]
        if isinstance(item, ast.Attribute):
            return np.transpose(self.of(item.value))
        assert isinstance(item, ast.Call)
        assert isinstance(item.func, ast.Name)
        return self.computed(item, FUNCTIONS[item.func.id][0], *map(self.of, item.args))

    def product(self, item: ast.BinOp, left: Any, right: Any) -> Any:
        """Of vectors x yᵀ is the outer product, xᵀ y and x · y the inner one; with 𝟏 a sum."""
        turned = isinstance(item.right, ast.Attribute)
        if is_ones(item.right) and np.ndim(left):
            return np.sum(left, axis=-1)
        if isinstance(item.left, ast.Attribute) and is_ones(item.left.value):
            return np.sum(right, axis=0) if np.ndim(right) else right
        if isinstance(item.right, ast.Attribute) and is_ones(item.right.value):
            fail("how long 𝟏 is cannot be known here", self.text, item.right)
        if np.ndim(left) == np.ndim(right) == 1 and isinstance(item.op, Juxtaposed):
            if turned:
                return np.outer(left, right)
            if not is_row(item.left) and not isinstance(item.op, Dotted):
                return self.beside(item, left, right)
        return self.computed(item, OPERATORS[type(item.op)], left, right)

    def beside(self, item: ast.BinOp, left: Any, right: Any) -> Any:
        """Two columns without a sign between them."""
        inner = is_inner(item)
        self.notes[SIDE_BY_SIDE[inner]] = None
        return np.matmul(left, right) if inner else np.multiply(left, right)

    def computed(self, item: ast.expr, operation: Callable[..., Any], *args: Any) -> Any:
        word = item.func.id if isinstance(item, ast.Call) else ""  # type: ignore[attr-defined]
        if word in ENTRYWISE and np.ndim(args[0]) == 2:
            less = "; the determinant is det" if word == "abs" else ""
            self.notes[f"{word} of a matrix is taken entry by entry{less}"] = None
        try:
            return operation(*args)
        except np.linalg.LinAlgError as error:
            return fail(f"{error}", self.text, item)


# Values of the free names -----------------------------------------------------------------------


def parse_value(name: str, text: str) -> Any:
    """The number or array that ``name=text`` gives: ``2``, ``-pi/4``, ``[1, 2]``."""
    tree = read(text, FUNCTIONS)[0].body
    if len(tree) != 1 or not isinstance(tree[0], ast.Expr):
        raise UsageError(f"{name}={text}: a value is a number or a list of numbers")
    value = _value(text, tree[0].value)
    try:
        array = np.array(value, np.float64)
    except ValueError:
        raise UsageError(f"{name}={text}: the rows of the list differ in length") from None
    return float(array) if array.ndim == 0 else array


def _value(text: str, item: ast.expr) -> Any:
    if isinstance(item, (ast.List, ast.Tuple)):
        return [_value(text, x) for x in item.elts]
    check = _Check(text, CONSTANTS)
    check.depth(item)
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
            raise UsageError(f"{name} has no value: add {name}=1 (or another number){hint}")
    known = set(map(canonical, expression.names))
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
