"""Shapes of matrix expressions: every symbol's kind and sizes, found by unification.

Kinds follow textbooks: a name with a capital is a matrix, a small one a column vector, Greek
names and m, n, k are scalars. Where these sizes do not fit, other kinds of the small names are
tried (scalar, vector, row), fewest changes first; the result always shows what was taken.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from chainrule.errors import UsageError
from chainrule.explanation.formula.cursor import SIDE, is_inner
from chainrule.explanation.formula.greek import GREEK
from chainrule.explanation.formula.node import COMPARED, SCALAR, Dim, Node, Shape, walk
from chainrule.explanation.formula.parsing import fail
from chainrule.explanation.matrix.functions import ALIASES, FUNCTIONS, WORDS
from chainrule.explanation.matrix.parse import constant, constant_kind, names_in

SCALARS = {*GREEK.values(), "iota", "upsilon", "lambda_", "lam", "m", "n", "k"}
DIM_NAMES = ("n", "m", "k", "p", "q", "r", "s", "l")


class _Size:
    """A size that is not known yet. ``wide``: of a matrix, so not one."""

    def __init__(self, wide: bool = False) -> None:
        self.wide = wide
        self.same: _Size | Dim | None = None


Size = _Size | Dim
Pair = tuple[Size, ...]


class _Misfit(Exception):
    """Sizes that do not fit, at a place."""

    def __init__(self, node: Node, message: str) -> None:
        super().__init__(message)
        self.node, self.message = node, message


def _find(size: Size) -> Size:
    while isinstance(size, _Size) and size.same is not None:
        size = size.same
    return size


def _unify(a: Size, b: Size) -> bool:
    a, b = _find(a), _find(b)
    if a is b or (not isinstance(a, _Size) and not isinstance(b, _Size)):
        return a == b
    if not isinstance(a, _Size):
        a, b = b, a
    assert isinstance(a, _Size)
    if isinstance(b, _Size):
        b.wide = b.wide or a.wide
    elif b == 1 and a.wide:
        return False
    a.same = b
    return True


def _scalar(pair: Pair) -> bool:
    return _find(pair[0]) == 1 and _find(pair[1]) == 1


class _Walk:
    """One pass over the tree with given kinds."""

    def __init__(
        self, shapes: dict[str, Pair], source: str, open_kinds: frozenset[str] = frozenset()
    ) -> None:
        self.shapes, self.source, self.open_kinds = shapes, source, open_kinds

    def shape(self, node: Node) -> Pair:
        if node.op == "name":
            return self.shapes[node.data]
        if node.op == "number":
            return SCALAR
        if node.op in ("**", "−"):
            return self.shape(node.args[0])
        parts = [self.shape(part) for part in node.args]
        if node.op == "ᵀ":
            return parts[0][1], parts[0][0]
        if node.op == "^":
            return self.caret(node, parts[0])
        name = ALIASES.get(node.op, node.op)
        return self.call(node, name, parts) if name in FUNCTIONS else self.binary(node, *parts)

    def call(self, node: Node, name: str, parts: list[Pair]) -> Pair:
        """By the sizes in the table: one letter is one size."""
        if name == "inverse" and 1 not in map(_find, parts[0]):
            name = "inv"
        wanted, _, result = FUNCTIONS[name].partition(" -> ")
        sizes: dict[str, Size] = {"1": 1}
        for part, letters, pair in zip(node.args, wanted.split(", "), parts, strict=True):
            for place, (letter, size) in enumerate(zip(letters, pair, strict=True)):
                known = sizes.setdefault(letter, size)
                what, other = _DIFFER[place], parts[0]
                if letter == "1" or (letters == "aa" and place):
                    column = "a column vector is wanted"
                    what, other = column if letter == "1" else "the matrix is not square", pair
                self.unify(part, known, size, what, other, pair)
        if name == "logsumexp" and _find(parts[0][1]) == 1:
            return SCALAR
        return sizes[result[0]], sizes[result[1]]

    def caret(self, node: Node, a: Pair) -> Pair:
        rows, columns = map(_find, a)
        if rows != 1 and columns != 1:
            why = "powers are of square matrices; .^ is entrywise"
            self.unify(node.args[0], a[0], a[1], why, a, a)
        return a

    def binary(self, node: Node, a: Pair, b: Pair) -> Pair:
        left, right = node.args
        if node.op in SIDE and not (_scalar(a) or _scalar(b)):
            if _find(a[1]) == 1 == _find(b[1]):  # x · y, or σ(x) (1 − σ(x))
                self.unify(right, a[0], b[0], "the vectors differ in length", a, b)
                return SCALAR if is_inner(node) else a
            self.unify(right, a[1], b[0], "the inner sizes of a product differ", a, b)
            return a[0], b[1]
        if node.op == "@":
            for side, pair in ((left, a), (right, b)):
                if _scalar(pair):
                    raise _Misfit(side, "a scalar does not enter @; multiply it with *")
            self.unify(right, a[1], b[0], "the inner sizes of @ differ", a, b)
            return a[0], b[1]
        if node.op == "/" and not _scalar(b) and _scalar(a):
            return b
        if _scalar(a) or _scalar(b):
            whole, other = (a, right) if _scalar(b) else (b, left)
            adds = node.op in ("+", "-") or node.op in COMPARED  # a comparison is of a difference
            if adds and not _scalar(whole) and not self.elementary(other):
                raise _Misfit(other, "a scalar is added to an array; did you mean a vector?")
            return whole
        return self.same(node, a, b)

    def elementary(self, node: Node) -> bool:
        """Made of numbers and scalar symbols alone, so adding it to each entry is meant. A Greek
        letter alone, mu in x - mu, is rather a vector like x."""
        if node.op == "name" and node.data in self.open_kinds - {"m", "n", "k"}:
            return False
        return all(_scalar(self.shapes[name]) for name in names_in(node))

    def same(self, node: Node, a: Pair, b: Pair) -> Pair:
        for place in (0, 1):
            self.unify(node, a[place], b[place], _DIFFER[place], a, b)
        return a

    def unify(self, node: Node, a: Size, b: Size, what: str, left: Pair, right: Pair) -> None:
        if not _unify(a, b):
            both = dict.fromkeys((_show(left), _show(right)))
            raise _Misfit(node, f"{what}: {' and '.join(both)}")


_DIFFER = ("the numbers of rows differ", "the numbers of columns differ")


def _show(pair: Pair) -> str:
    known = [_find(s) for s in pair]
    return "×".join("?" if isinstance(s, _Size) else str(s) for s in known)


def kind_of(tree: Node, shapes: Mapping[str, Shape]) -> str:
    """scalar, vector, row or matrix, once the symbols' shapes are known."""
    rows, columns = map(_find, _Walk(dict(shapes), "").shape(tree))
    if rows == 1:
        return "scalar" if columns == 1 else "row"
    return "vector" if columns == 1 else "matrix"


# Inference ---------------------------------------------------------------------------------


def infer(
    source: str,
    tree: Node,
    given: Mapping[str, Any],
    flags: Mapping[str, set[str]],
    first_named: str = "",
    most: int | None = None,
) -> dict[str, Shape]:
    """The shape of every symbol. ``given``: sizes the user fixed, such as ("n", "m").

    ``first_named`` is the symbol whose open sizes are called n and m; ``most`` limits how many
    ways of giving kinds to names are tried.
    """
    _check_calls(source, tree)
    names = names_in(tree)
    for name in given:
        if name not in names:
            raise UsageError(f"{name} has a size but does not occur in {source}")
    first: _Misfit | None = None
    turned = {n.args[0].data for n in walk(tree) if n.op == "ᵀ" and n.args[0].op == "name"}
    ways = _assignments([n for n in names if n not in given], turned | {first_named})
    for kinds in itertools.islice(ways, most):
        shapes = {name: _given(name, given[name]) for name in given}
        shapes |= {name: _fresh(kind) for name, kind in kinds.items()}
        for name in kinds:
            if (kind := constant_kind(name)) and first_named != name:
                side = _Size(True)
                shapes[name] = (side, side) if kind == "square" else _fresh(kind)
        try:
            for name in flags.get("symmetric", ()):
                if name in shapes and not _unify(*shapes[name]):
                    raise _Misfit(tree, f"{name} is declared symmetric but not square")
            _Walk(shapes, source, frozenset(kinds)).shape(tree)
        except _Misfit as misfit:
            first = first or misfit
            continue
        order = sorted(names, key=lambda name: name != first_named)
        found = _named({name: shapes[name] for name in order})
        return {name: found[name] for name in names}
    assert first is not None
    return fail(
        f"{first.message}. Capitals are matrices, small letters column vectors; give sizes "
        'otherwise, such as x=("n",), A=("n", "m"), c=() for a scalar',
        source,
        first.node,
    )


def _check_calls(source: str, tree: Node) -> None:
    for node in walk(tree):
        if node.op in ("**", "^"):
            exponent = constant(node.args[1])
            if exponent is None:
                fail("the exponent must be a number, such as x**2", source, node.args[1])
            if abs(exponent) > 64:
                fail("the exponent must lie between -64 and 64", source, node.args[1])
        name = ALIASES.get(node.op, node.op)
        if name in WORDS and name not in FUNCTIONS:
            fail(f"{name} takes other arguments", source, node)
        if name in FUNCTIONS and len(node.args) != (count := FUNCTIONS[name].count(",") + 1):
            fail(f"{name} takes {count} argument{'s' * (count > 1)}", source, node)


def _kinds(name: str) -> tuple[str, ...]:
    if name[0].isupper():
        return ("matrix",)
    if name in SCALARS or "α" <= name[0] <= "ω":
        return ("scalar", "vector")
    return ("vector", "scalar", "row")


def _assignments(names: Sequence[str], kept: Collection[str] = ()) -> Iterator[dict[str, str]]:
    """Kinds for all names, those with the fewest departures from the convention first; ``kept``
    are the names that change last, such as one that is transposed."""
    choices = [_kinds(name) for name in names]
    # Greek letters first: that mu is a vector changes less than that x is a number
    free = [i for i, c in enumerate(choices) if len(c) > 1]
    free.sort(key=lambda i: (names[i] in kept, choices[i][0]))
    tried = 0
    for count in range(len(free) + 1):
        for changed in itertools.combinations(free, count):
            for picks in itertools.product(*(choices[i][1:] for i in changed)):
                found = [c[0] for c in choices]
                for i, pick in zip(changed, picks, strict=True):
                    found[i] = pick
                yield dict(zip(names, found, strict=True))
                tried += 1
                if tried > 500:
                    return


def _fresh(kind: str) -> Pair:
    if kind == "scalar":
        return SCALAR
    if kind == "row":
        return 1, _Size(True)
    return (_Size(True), 1) if kind == "vector" else (_Size(True), _Size(True))


def _given(name: str, size: Any) -> Pair:
    parts = tuple(size) if isinstance(size, (tuple, list)) else (size,)
    for part in parts:
        whole = isinstance(part, int) and not isinstance(part, bool) and 1 <= part <= 64
        text = isinstance(part, str) and part.isidentifier() and len(part) <= 8
        if not whole and not text:
            raise UsageError(
                f"{name}={size!r}: sizes are names or whole numbers from 1 to 64, such as "
                '("n", "m") or (3, 4)'
            )
    if len(parts) > 2:
        raise UsageError(f"{name}={size!r}: at most two sizes; there are no tensors here")
    return (*parts, 1, 1)[:2] if len(parts) < 2 else parts  # type: ignore[return-value]


def _named(shapes: dict[str, Pair]) -> dict[str, Shape]:
    """Names for the sizes that are still open: n, m, k ... in order of appearance."""
    taken = set(shapes) | {s for pair in shapes.values() for s in map(_find, pair)}
    free = [n for n in DIM_NAMES if n not in taken]
    free += [f"n{i}" for i in range(1, 100)]

    def name(size: Size) -> Dim:
        size = _find(size)
        if isinstance(size, _Size):
            size.same = free.pop(0)
            return size.same
        return size

    return {key: (name(rows), name(columns)) for key, (rows, columns) in shapes.items()}
