"""Derivatives of matrix expressions in index-free form, step by step, in either layout (L4.9).

>>> result = matrix("trace(A @ X @ B)", wrt="X")
>>> print(result.derivative_text)
Aᵀ Bᵀ
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

from chainrule.errors import UsageError
from chainrule.explanation.formula.node import SCALAR, Node, Shape, walk
from chainrule.explanation.matrix.build import differential
from chainrule.explanation.matrix.check import MatrixStep, checked
from chainrule.explanation.matrix.differential import (
    Used,
    change_of,
    coefficient_of_scalar,
    collect_scalar,
    collect_vector,
    expand,
    is_change,
    open_d,
)
from chainrule.explanation.matrix.index import IndexTerm, index_terms
from chainrule.explanation.matrix.kronecker import Block, blocks, write_blocks
from chainrule.explanation.matrix.readings import expression
from chainrule.explanation.matrix.report import MatrixDerivative
from chainrule.explanation.matrix.rewrite import rewrite
from chainrule.explanation.matrix.simplify import simplify
from chainrule.explanation.matrix.text import Text, text
from chainrule.explanation.matrix.tree import is_zero, mul, plain, symbol, trace, transpose, zeros

LAYOUTS = ("denominator", "numerator")
MOST_NODES = 8000


def matrix(
    source: str,
    wrt: str,
    layout: str = "denominator",
    *,
    symmetric: Iterable[str] = (),
    probabilities: Iterable[str] = (),
    sizes: Mapping[str, Any] | None = None,
    seed: int = 0,
    order: int = 1,
    **more_sizes: Any,
) -> MatrixDerivative:
    """Differentiate a matrix expression symbolically and explain every step.

    Args:
        source: the expression, such as ``"trace(A @ X @ B)"``; its grammar is in
            docs/matrix-calculus.md.
        wrt: the symbol to differentiate by.
        layout: "denominator" (a gradient has the shape of its parameter; the Jacobian of y by x
            has a row for each x) or "numerator" (the transposes).
        symmetric: symbols with A = Aᵀ. probabilities: symbols whose entries (of a vector) or
            rows (of a matrix) sum to one.
        sizes: sizes of symbols, also as keywords: ``X=("n", "m")``, ``x=("n",)``, ``c=()``.
        order: 2 for the derivative of the derivative, whose F is the first one in denominator
            layout: of a scalar by a vector the Hessian.
        seed: of the random sizes and values at which the result is compared with the engine.

    Raises:
        UsageError: the expression is not in the grammar or its sizes do not fit.
        DerivativeError: the result could not be confirmed by the engine.

    Source: L4.9; Magnus and Neudecker, Matrix Differential Calculus (the differential).
    """
    if layout not in LAYOUTS:
        raise UsageError(f'layout={layout!r}: it is "denominator" or "numerator"')
    given = {**(sizes or {}), **more_sizes}
    function, symbols, notes = expression(
        source, wrt=wrt, sizes=given, symmetric=symmetric, probabilities=probabilities
    )
    if order not in (1, 2):
        raise UsageError(f"order={order!r}: first and second derivatives are worked out, 1 or 2")
    if order == 2:
        first = _derived(source, wrt, "denominator", function, symbols, (), seed)
        if first.derivative is None:
            raise UsageError(
                f"the derivative of {source} by {wrt} is given entry by entry, so it has no second "
                "derivative here"
            )
        function = first.derivative
        notes = [*notes, f"F is the first derivative by {wrt}, which is derived by {wrt} again"]
    return _derived(source, wrt, layout, function, symbols, tuple(notes), seed)


def _derived(
    source: str,
    wrt: str,
    layout: str,
    function: Node,
    symbols: dict[str, Node],
    notes: tuple[str, ...],
    seed: int,
) -> MatrixDerivative:
    work = Work(function, symbols[wrt], layout)
    work.differentiate()
    work.derive()
    check = checked(work, symbols, seed, source)
    return MatrixDerivative(
        source, wrt, layout, function, symbols, work.kind, work.derivative,
        tuple(work.index), tuple(work.steps), check, (*notes, *work.notes),
        tuple(work.blocks or ()),
    )  # fmt: skip


def _kind(shape: Shape) -> str:
    return "scalar" if shape == SCALAR else "vector" if 1 in shape else "matrix"


class Work:
    """The derivation on its way: lines, and what they lead to."""

    def __init__(self, function: Node, variable: Node, layout: str) -> None:
        self.function, self.variable, self.layout = function, variable, layout
        self.of, self.by = _kind(function.shape), _kind(variable.shape)
        self.kind = f"{self.of} by {self.by}"
        self.steps: list[MatrixStep] = []
        self.notes: list[str] = []
        self.change = differential(function)
        self.derivative: Node | None = None
        self.index: list[IndexTerm] = []
        self.blocks: list[Block] | None = None

    def line(self, left: str, right: Node, used: Used | tuple[tuple[str, str], ...]) -> None:
        rules = tuple(used.names.items()) if isinstance(used, Used) else used
        last = self.steps[-1] if self.steps else None
        if last is not None and last.left == left and text(last.right) == text(right):
            known = dict(last.rules)
            self.steps[-1] = MatrixStep(left, right, tuple((known | dict(rules)).items()))
        else:
            self.steps.append(MatrixStep(left, right, rules))

    def differentiate(self) -> None:
        """dF with every d( ) worked out."""
        while open_d(self.change):
            used = Used()
            self.change = expand(self.change, self.variable, used)
            if sum(1 for _ in itertools.islice(walk(self.change), MOST_NODES)) == MOST_NODES:
                raise UsageError(
                    "the differential grows beyond what can be read; name an inner part, "
                    "differentiate by it, and put the two together by the chain rule"
                )
            self.line("dF", self.change, used)

    def derive(self) -> None:
        """The derivative from dF, by the kinds of F and of the variable."""
        name = self.variable.data[0]
        if is_zero(self.change):
            self.nothing(name)
        elif self.by == "scalar":
            self.by_scalar(name)
        elif self.of == "scalar":
            self.scalar_by_array(name)
        elif self.of == self.by == "vector":
            self.jacobian(name)
        if self.derivative is None:
            self.by_index(name)

    def nothing(self, name: str) -> None:
        """F does not depend on the variable after all."""
        self.notes.append(f"F does not change with {name}")
        entries = [n for n in self.function.shape if n != 1]
        inputs = [n for n in self.variable.shape if n != 1]
        if len(entries) + len(inputs) > 2 or len(entries) == len(inputs) == 2:
            return
        if self.of == "scalar":
            shape, turned = self.variable.shape, self.layout == "numerator"
        elif self.by == "scalar":
            rows, columns = self.function.shape
            shape = (columns, 1) if rows == 1 else (rows, columns)
            turned = self.layout == "denominator"
        else:
            shape, turned = (entries[0], inputs[0]), self.layout == "denominator"
        self.finish(zeros(shape), name, turned, "dF = 0.")

    def finish(self, found: Node, name: str, transposed: bool, sentence: str) -> None:
        """The last line, in the layout asked for."""
        found = simplify(found)
        result = simplify(_transposed(found)) if transposed else found
        self.derivative = result
        self.line(f"∂F/∂{name}", result, ((f"{self.layout} layout", sentence),))

    def by_scalar(self, name: str) -> None:
        slope = coefficient_of_scalar(self.change)
        column = transpose(slope) if self.of == "vector" and slope.shape[0] == 1 else slope
        numerator = self.layout == "numerator"
        sentence = "dF = (∂F/∂t) dt; " + (
            "the derivative of a scalar has no layout."
            if self.of == "scalar"
            else "it has the shape of F." if numerator else "it has the shape of Fᵀ."
        )  # fmt: skip
        self.finish(column, name, self.of != "scalar" and not numerator, sentence)

    def scalar_by_array(self, name: str) -> None:
        waves: list[tuple[Node, Used]] = []
        gradient = simplify(collect_scalar(self.change, waves))
        for line, used in waves:
            self.line("dF", line, used)
        self.line("dF", _read_off(gradient, change_of(self.variable)), ())
        numerator = self.layout == "numerator"
        sentence = "dF = tr(Gᵀ dX): " + (
            "Gᵀ, the transpose of the shape of the variable."
            if numerator
            else "G is the gradient, of the shape of the variable."
        )
        self.finish(gradient, name, numerator, sentence)

    def jacobian(self, name: str) -> None:
        used = Used()
        change = self.change if self.change.shape[1] == 1 else transpose(self.change)
        column = self.variable.shape[1] == 1
        if not column:  # a row x: write the differential in the column xᵀ
            change, variable = _turned(change, self.variable)
        else:
            variable = change_of(self.variable)
        found = collect_vector(change, used)
        if found is None:
            return
        found = simplify(found)
        left = "dF" if self.change.shape[1] == 1 else "dFᵀ"
        right = Node("mul", (found, variable), (found.shape[0], 1))
        if column:
            self.line(left, right, used)
        numerator = self.layout == "numerator"
        self.finish(
            found, name, not numerator,
            f"{left} = M d{name}: " + ("M has a row for each entry of F."
            if numerator else "Mᵀ has a row for each entry of the variable."),
        )  # fmt: skip

    def by_index(self, name: str) -> None:
        self.index = index_terms(self.change, self.variable.shape)
        self.blocks = blocks(self.change, self.variable.shape)
        if self.blocks:
            shown = write_blocks(self.blocks, Text(), self.layout == "denominator")
            turned = any(block.turned for block in self.blocks)
            swap = "; K stacks a transpose, vec Xᵀ = K vec X" if turned else ""
            self.notes.append(
                f"with columns stacked by vec, in {self.layout} layout: "
                f"∂vec F/∂vec {name} = {shown}{swap}"
            )
        self.notes.append(
            f"the derivative of a {self.of} by a {self.by} has no form as a product of matrices "
            "here, so it is given entry by entry; indices i j belong to F, k l to the variable, "
            "δ is 1 where its indices agree and 0 elsewhere"
        )


def _transposed(found: Node) -> Node:
    """The transpose; of a sum of products term by term, as it is usually printed."""
    if found.op == "add" and all(len(plain(t)[1].args) > 1 for t in found.args):
        return Node("add", tuple(transpose(t) for t in found.args), transpose(found).shape)
    return transpose(found)


def _turned(change: Node, variable: Node) -> tuple[Node, Node]:
    """A differential in the row dx, written in the column dxᵀ."""
    name, flags = variable.data
    column = symbol(name, (variable.shape[1], 1), {*flags, "change"})
    return rewrite(change, lambda n: transpose(column) if is_change(n) else None), column


def _read_off(gradient: Node, change: Node) -> Node:
    """tr((G)ᵀ dX), the transpose left standing so that G can be read off."""
    if gradient.shape == SCALAR:
        return mul(gradient, change)
    turned = transpose(gradient)
    if len(gradient.args) > 1 and turned.op != "transpose":
        turned = Node("transpose", (gradient,), turned.shape)
    product = Node("mul", (turned, change), (turned.shape[0], change.shape[1]))
    if gradient.shape[1] == 1:
        return Node("mul", (turned, change), SCALAR)
    return Node("trace", (product,), SCALAR) if product.shape != SCALAR else trace(product)
