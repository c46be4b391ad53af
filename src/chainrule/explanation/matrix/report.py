"""A matrix derivative with its derivation, and its renderings: text, Markdown, LaTeX, JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chainrule.explanation.formula.node import SCALAR, Node
from chainrule.explanation.matrix.check import MatrixCheck, MatrixStep
from chainrule.explanation.matrix.index import IndexTerm, write_terms
from chainrule.explanation.matrix.kronecker import Block, write_blocks
from chainrule.explanation.matrix.text import Latex, Layout, Text, code, latex, shape_text, text
from chainrule.explanation.matrix.tree import split


@dataclass(frozen=True)
class MatrixDerivative:
    """The derivative of ``function`` by ``wrt`` with its derivation.

    ``derivative`` is the index-free form in ``layout``; it is None where only the index
    notation ``index`` says it. Text, LaTeX, Markdown and JSON come from the same values.
    """

    source: str
    wrt: str
    layout: str
    function: Node
    symbols: Mapping[str, Node]
    kind: str
    derivative: Node | None
    index: tuple[IndexTerm, ...]
    steps: tuple[MatrixStep, ...]
    check: MatrixCheck
    notes: tuple[str, ...] = ()
    blocks: tuple[Block, ...] = ()

    def _kronecker(self, writer: Layout) -> str | None:
        turned = self.layout == "denominator"
        return write_blocks(list(self.blocks), writer, turned) if self.blocks else None

    @property
    def kronecker_text(self) -> str | None:
        """∂vec F/∂vec X in this layout, columns stacked: ``Bᵀ ⊗ A`` in numerator layout; None where
        the derivative has a form of its own, or this one is not worked out."""
        return self._kronecker(Text())

    @property
    def kronecker_latex(self) -> str | None:
        return self._kronecker(Latex())

    @property
    def shape(self) -> tuple[Any, ...]:
        """The derivative's sizes: two, or the four of the index notation."""
        if self.derivative is not None:
            return self.derivative.shape
        return (*self.function.shape, *self.symbols[self.wrt].shape)

    @property
    def derivative_text(self) -> str:
        return write_terms(self.index) if self.derivative is None else text(self.derivative)

    @property
    def derivative_latex(self) -> str:
        if self.derivative is None:
            return write_terms(self.index, latex=True)
        return latex(self.derivative)

    @property
    def derivative_code(self) -> str | None:
        """As it would be typed, or None for index notation."""
        return None if self.derivative is None else code(self.derivative)

    def _rows(self, *, as_latex: bool = False) -> list[tuple[str, str, str]]:
        """For each line the left side, the right side and the rules used."""
        write = latex if as_latex else text
        by = write(self.symbols[self.wrt])
        rows = []
        for step in self.steps:
            left = step.left.replace(self.wrt, by)
            if as_latex:
                slope = rf"\frac{{\partial F}}{{\partial {by}}}"
                left = {"dF": "dF", "dFᵀ": r"dF^{\top}"}.get(step.left, slope)
            rows.append((left, write(step.right), ", ".join(name for name, _ in step.rules)))
        if self.derivative is None:
            rows.append((self._entry(by, as_latex), write_terms(self.index, latex=as_latex),
                         "read off"))  # fmt: skip
        return rows

    def _entry(self, by: str, as_latex: bool) -> str:
        """An entry's slope by an entry, as the left side of index notation."""
        outer, inner = (
            ("" if rows == 1 else i) + ("" if columns == 1 else j)
            for (rows, columns), i, j in (
                (self.function.shape, "i", "j"), (self.symbols[self.wrt].shape, "k", "l")
            )
        )  # fmt: skip
        if as_latex:
            below = rf"\partial {by}" + (f"_{{{inner}}}" if inner else "")
            return rf"\frac{{\partial F_{{{outer}}}}}{{{below}}}"
        return f"∂F_{outer}/∂{by}" + (f"_{inner}" if inner else "")

    def _checked(self) -> str:
        """What was tried, in words."""
        tried = "; ".join(", ".join(f"{k}={v}" for k, v in s.items()) for s in self.check.sizes)
        where = f" with {tried}" if tried else ""
        close = f"to {self.check.difference:.0e}" if self.check.difference else "exactly"
        return f"agrees with the engine at random values{where} ({close})"

    def _symbols(self) -> list[tuple[str, str]]:
        return [
            (text(node), " ".join([shape_text(node.shape), *node.data[1]]))
            for node in self.symbols.values()
        ]

    def text(self) -> str:
        """Lines for a terminal."""
        lines = [f"F = {text(self.function)}    ({self.kind})"]
        lines += ["    " + ", ".join(f"{name}: {words}" for name, words in self._symbols()), ""]
        shown, last = [], ""
        for left, right, rules in self._rows():
            shown.append((f"{' ' * len(left) if left == last else left} = {right}", rules))
            last = left
        width = min(60, max((len(row) for row, _ in shown), default=0))
        lines += [f"{row.ljust(width)}   {rules}".rstrip() for row, rules in shown] + [""]
        if self.derivative is not None:
            lines.append(f"{self.layout} layout: {shape_text(self.derivative.shape)}")
            lines += [
                "    " + " · ".join(f"{t} ({s})" for t, _, s in term)
                for term in factors(self.derivative)
            ]
        lines += [f"note: {note}" for note in self.notes]
        return "\n".join([*lines, f"check: {self._checked()}"])

    __str__ = text

    def latex(self) -> str:
        """An ``aligned`` block for math mode, with dollars, as notebooks show it."""
        rows, last = [f"F &= {latex(self.function)}"], ""
        for left, right, rules in self._rows(as_latex=True):
            why = rules.replace("( )", "").replace("&", "and")  # ours, without other signs
            beside = rf" && \text{{{why}}}" if why else ""
            rows.append(f"{'' if left == last else left} &= {right}{beside}")
            last = left
        return "$$\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}$$"

    _repr_latex_ = latex

    def markdown(self) -> str:
        """A section with the formulas, the rules used, shapes and check."""
        source = self.source.replace("`", "'")
        lines = [f"### Derivative of `{source}` by `{self.wrt}`", "", self.latex(), ""]
        sentences = {name: said for step in self.steps for name, said in step.rules}
        cells = {name: said.replace("|", r"\|") for name, said in sentences.items()}
        lines += ["| rule | says |", "|---|---|"]
        lines += [f"| {name} | {said} |" for name, said in cells.items()]
        lines += ["", "| symbol | shape |", "|---|---|"]
        lines += [f"| {name} | {words} |" for name, words in self._symbols()]
        if self.derivative is not None:
            lines += ["", f"| factor of the result ({self.layout} layout) | shape |", "|---|---|"]
            for term in factors(self.derivative):
                lines += [f"| ${math}$ | {shape} |" for _, math, shape in term]
        lines += ["", *(f"Note: {note}.\n" for note in self.notes), f"Check: {self._checked()}."]
        return "\n".join(lines) + "\n"

    _repr_markdown_ = markdown

    def to_json(self) -> dict[str, Any]:
        """A document with the fields described in docs/matrix-calculus.md."""
        found = self.derivative
        index = {
            "text": self.derivative_text, "latex": self.derivative_latex,
            "kronecker": self.kronecker_text,
        }  # fmt: skip
        return {
            "schema": "chainrule.matrix-derivative/1",
            "expression": self.source,
            "wrt": self.wrt,
            "layout": self.layout,
            "kind": self.kind,
            "function": _spelled(self.function),
            "symbols": {
                name: {"shape": list(node.shape), "flags": list(node.data[1])}
                for name, node in self.symbols.items()
            },
            "derivative": None if found is None else _spelled(found),
            "index_notation": index if found is None else None,
            "shape": list(self.shape),
            "factors": [
                [{"text": t, "latex": m, "shape": s} for t, m, s in term]
                for term in ([] if found is None else factors(found))
            ],
            "steps": [
                {
                    "left": step.left,
                    "text": text(step.right),
                    "latex": latex(step.right),
                    "rules": [{"name": n, "sentence": s} for n, s in step.rules],
                }
                for step in self.steps
            ],
            "notes": list(self.notes),
            "check": {
                "sizes": [dict(s) for s in self.check.sizes],
                "largest_relative_difference": self.check.difference,
            },
        }


def factors(node: Node) -> list[list[tuple[str, str, str]]]:
    """For each term the factors: text, LaTeX and shape."""
    found = []
    for term in node.args if node.op == "add" else (node,):
        _, bare = split(term)
        whole = bare.shape == SCALAR and all(a.shape != SCALAR for a in bare.args)
        parts = bare.args if bare.op == "mul" and not whole else (bare,)
        found.append([(text(p), latex(p), shape_text(p.shape)) for p in parts])
    return found


def _spelled(node: Node) -> dict[str, Any]:
    return {
        "text": text(node), "latex": latex(node), "code": code(node), "shape": list(node.shape)
    }  # fmt: skip
