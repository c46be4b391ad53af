"""Derivatives that no product of matrices says: entry by entry, in index notation.

The derivative of a matrix by a matrix has four indices. Each term of dF is linear in dX, so
the slope of F[i, j] with respect to X[k, l] is a product of entries and of Kronecker deltas.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from chainrule.explanation.formula.node import SCALAR, Node, Shape
from chainrule.explanation.formula.spelling import POWER
from chainrule.explanation.matrix.differential import is_change, moves
from chainrule.explanation.matrix.numeric import Point, evaluate
from chainrule.explanation.matrix.text import Latex, Layout, Text
from chainrule.explanation.matrix.tree import is_zero, mul, plain, split, transpose

Index = str
Entry = tuple[Node, Index, Index]
SUMMED = "pqrstuv"
UNNAMED = 0xE000


def _unnamed(index: Index) -> bool:
    return bool(index) and ord(index) >= UNNAMED


@dataclass(frozen=True)
class IndexTerm:
    """One product: a number, scalars, entries such as A[i, k], deltas such as δ[i, k].

    An index is a letter, a private character while it is unnamed, or "" where the size is 1.
    """

    count: Fraction = Fraction(1)
    scalars: tuple[Node, ...] = ()
    entries: tuple[Entry, ...] = ()
    deltas: tuple[tuple[Index, Index], ...] = ()

    def renamed(self, old: Index, new: Index) -> IndexTerm:
        def swap(i: Index) -> Index:
            return new if i == old else i

        entries = tuple((n, swap(i), swap(j)) for n, i, j in self.entries)
        return replace(
            self, entries=entries, deltas=tuple((swap(i), swap(j)) for i, j in self.deltas)
        )


def index_terms(change: Node, variable: Shape) -> list[IndexTerm]:
    """The terms of dF[i, j] / dX[k, l] for the differential ``change`` of F."""
    if is_zero(change):
        return []
    rows, columns = change.shape
    start = ("" if rows == 1 else "i", "" if columns == 1 else "j")
    ends = ("" if variable[0] == 1 else "k", "" if variable[1] == 1 else "l")
    return [_lettered(_tidied(t)) for t in _Walk(ends).of(change, *start, IndexTerm())]


class _Walk:
    def __init__(self, ends: tuple[Index, Index]) -> None:
        self.ends = ends
        self.count = 0

    def fresh(self, size: object) -> Index:
        self.count += 1
        return "" if size == 1 else chr(UNNAMED + self.count)

    def of(self, e: Node, i: Index, j: Index, term: IndexTerm) -> list[IndexTerm]:
        if is_change(e):
            found = _joined(term, i, self.ends[0])
            if i == j and _unnamed(i):  # on the diagonal, so j has just been named too
                j = self.ends[0]
            return [_joined(found, j, self.ends[1])]
        if e.op == "add":
            return [t for part in e.args for t in self.of(part, i, j, term)]
        if e.op == "mul":
            return self.product(e, i, j, term)
        if e.op == "hadamard":
            at = next(n for n, f in enumerate(e.args) if moves(f))
            others = tuple((f, i, j) for n, f in enumerate(e.args) if n != at)
            return self.of(e.args[at], i, j, replace(term, entries=term.entries + others))
        (inside,) = e.args
        if e.op == "transpose":
            return self.of(inside, j, i, term)
        if e.op == "trace":
            p = self.fresh(inside.shape[0])
            return self.of(inside, p, p, term)
        if e.op == "total":
            return self.of(inside, self.fresh(inside.shape[0]), self.fresh(inside.shape[1]), term)
        if e.op == "diag":
            return self.of(inside, i, "", replace(term, deltas=(*term.deltas, (i, j))))
        return self.of(inside, i, i, term)  # diagonal

    def product(self, e: Node, i: Index, j: Index, term: IndexTerm) -> list[IndexTerm]:
        count, bare = split(e)
        scalars, chain = plain(bare) if bare.op == "mul" else ([], bare)
        still = tuple(s for s in scalars if not moves(s))
        moving = [s for s in scalars if moves(s)]
        term = replace(term, count=term.count * count, scalars=term.scalars + still)
        if moving and (len(scalars) > 1 or chain.shape != SCALAR):
            entries = () if chain.shape == SCALAR else ((chain, i, j),)
            return self.of(moving[0], "", "", replace(term, entries=term.entries + entries))
        if bare.op != "mul" or still:
            return self.of(chain, i, j, term)
        at = next(n for n, f in enumerate(bare.args) if moves(f))
        left, factor, right = bare.args[:at], bare.args[at], bare.args[at + 1 :]
        entries, p, q = term.entries, i, j
        if left:
            p = self.fresh(factor.shape[0])
            entries += ((mul(*left), i, p),)
        if right:
            q = self.fresh(factor.shape[1])
            entries += ((mul(*right), q, j),)
        return self.of(factor, p, q, replace(term, entries=entries))


def _joined(term: IndexTerm, index: Index, end: Index) -> IndexTerm:
    """The index of dX that ``index`` turned out to be: a sum's is renamed, F's gives a delta."""
    if index == end:
        return term
    if _unnamed(index):
        return term.renamed(index, end)
    return replace(term, deltas=(*term.deltas, (index, end)))


def _tidied(term: IndexTerm) -> IndexTerm:
    """Without ones, with deltas over an unnamed index carried out, transposes turned."""
    for a, b in term.deltas:
        if _unnamed(a) or _unnamed(b):
            gone, kept = (a, b) if _unnamed(a) else (b, a)
            deltas = tuple(d for d in term.deltas if d != (a, b))
            return _tidied(replace(term, deltas=deltas).renamed(gone, kept))
    entries: list[Entry] = []
    for node, i, j in term.entries:
        count, bare = split(node)
        scalars, bare = plain(bare)
        term = replace(
            term,
            count=term.count * count,
            scalars=term.scalars + tuple(s for s in scalars if s.op != "number"),
        )
        if bare.op == "transpose":
            bare, i, j = transpose(bare), j, i
        if bare.op == "eye":
            term = replace(term, deltas=(*term.deltas, (i, j)))
        elif bare.op != "ones" or _unnamed(i) or _unnamed(j):
            entries.append((bare, i, j))
    deltas = tuple(d for d in term.deltas if d[0] != d[1])
    return replace(term, entries=tuple(entries), deltas=deltas)


def _lettered(term: IndexTerm) -> IndexTerm:
    """Indices that are summed over get letters."""
    used = "".join(i + j for _, i, j in term.entries)
    for number, letter in zip(dict.fromkeys(c for c in used if _unnamed(c)), SUMMED, strict=False):
        term = term.renamed(number, letter)
    return term


# Writing and trying ------------------------------------------------------------------------


def write_terms(terms: Iterable[IndexTerm], *, latex: bool = False) -> str:
    """``A_ik B_lj − ...``"""
    writer: Layout = Latex() if latex else Text()
    shown = ""
    for term in terms:
        sign = writer.operator("−").strip() if term.count < 0 else "+"
        body = _product(term, writer, latex)
        shown += (f" {sign} " if shown else sign if sign != "+" else "") + body
    return shown or "0"


def _product(term: IndexTerm, writer: Layout, latex: bool) -> str:
    delta = r"\delta" if latex else "δ"
    parts = [writer.write(s, POWER) for s in term.scalars]
    parts += [_entry(writer.write(n, POWER), i + j, latex) for n, i, j in term.entries]
    parts += [_entry(delta, i + j, latex) for i, j in term.deltas]
    summed = "".join(c for c in SUMMED if any(c in i + j for _, i, j in term.entries))
    if summed:
        parts.insert(0, rf"\sum_{{{summed}}}" if latex else f"Σ_{summed}")
    count = abs(term.count)
    if count != 1 or not parts:
        parts.insert(0, str(count))
    return " ".join(parts)


def _entry(shown: str, indices: str, latex: bool) -> str:
    if not indices:
        return shown
    if latex:
        return rf"\left[{shown}\right]_{{{indices}}}"
    return f"{shown}_{indices}" if len(shown) <= 2 else f"[{shown}]_{indices}"


def index_value(terms: list[IndexTerm], change: Node, variable: Shape, point: Point) -> np.ndarray:
    """The terms' values, axes (rows of F, columns of F, rows of X, columns of X)."""
    extent = (*point.extent(change.shape), *point.extent(variable))
    letters = [c if n != 1 else "" for c, n in zip("ijkl", extent, strict=True)]
    size = dict(zip("ijkl", extent, strict=True))
    found = np.zeros(extent)
    for term in terms:
        arrays = [np.asarray(evaluate(s, point)) for s in term.scalars]
        specs = [""] * len(arrays)
        for node, i, j in term.entries:
            value = np.asarray(evaluate(node, point))
            rows_columns = zip(point.extent(node.shape), (i, j), strict=True)
            arrays.append(value.reshape([n for n, index in rows_columns if index]))
            specs.append(i + j)
        for i, j in term.deltas:
            arrays.append(np.eye(size[i]))
            specs.append(i + j)
        missing = [c for c in letters if c and c not in "".join(specs)]
        arrays += [np.ones(size[c]) for c in missing]
        specs += missing
        value = np.einsum(",".join(specs) + "->" + "".join(letters), *arrays) if arrays else 1.0
        found += float(term.count) * np.reshape(value, extent)
    return found
