"""Derivations of single rules, line by line, every line tried with numbers (L4.7).

A derivation is data: what is defined, and a chain of equal expressions, each by a named step
of algebra. The first line for the derivative is compared with the engine, every later one with
the line before it; one that differs is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from chainrule.errors import DerivativeError, UsageError
from chainrule.explanation.formula.node import SCALAR, Node
from chainrule.explanation.matrix.build import build
from chainrule.explanation.matrix.numeric import Point, engine_derivative, evaluate, points
from chainrule.explanation.matrix.parse import names_in, read
from chainrule.explanation.matrix.rewrite import rewrite
from chainrule.explanation.matrix.shapes import infer
from chainrule.explanation.matrix.text import typed_latex, typed_text
from chainrule.explanation.matrix.tree import symbol
from chainrule.render import escape

ALGEBRA = {
    "definition": "the function to differentiate",
    "reciprocal rule": "(1/u)′ = −u′/u², and the inner derivative of exp(−b) is −exp(−b)",
    "quotient rule": "(u/v)′ = (u′ v − u v′)/v²",
    "quotient rule for vectors": "the quotient rule, with a row of slopes for every entry",
    "chain rule": "outer slope times inner slope",
    "add and subtract 1": "nothing changes, but the numerator can now be split",
    "1 − 1 = 0": "what was added and subtracted in the denominator goes again",
    "split the fraction": "(u + v)/w = u/w + v/w",
    "cancel": "a common factor of numerator and denominator goes",
    "a square is a product": "u² = u u, and the fraction of a product is a product of fractions",
    "factor out": "u − u v = u (1 − v)",
    "multiply out": "(u + v) w = u w + v w",
    "definition put back": "the expression that was given a name gets its name",
    "inner sum": "sᵀ (y ⊘ s) adds up y ⊙ s ⊘ s = y",
    "probabilities": "the entries of y sum to one",
    "collect": "what occurs with both signs goes",
}
"""Steps of algebra: name -> what is done."""


@dataclass(frozen=True)
class Line:
    """One line: an expression in the grammar of docs/matrix-calculus.md, and the step to it."""

    expression: str
    step: str
    note: str = ""


@dataclass(frozen=True)
class Derivation:
    """A rule derived: ``name`` = ``lines[0]``, d``name``/d``variable`` = the other lines.

    ``given`` are names with their definitions, in order; the last is what is differentiated.
    """

    title: str
    name: str
    variable: str
    lines: tuple[Line, ...]
    source: str = ""
    given: tuple[tuple[str, str], ...] = ()
    sizes: Mapping[str, Any] = field(default_factory=dict)
    probabilities: tuple[str, ...] = ()

    def verified(self, seed: int = 0, trials: int = 4) -> Derivation:
        """This derivation, after every line was tried at random points.

        Raises:
            DerivativeError: a line is not equal to the one before it (its number, the two
                values, and the step are named).
        """
        _Trial(self, seed).run(trials)
        return self

    @property
    def left(self) -> str:
        return f"d{self.name}/d{self.variable}"

    @cached_property
    def symbols(self) -> dict[str, Node]:
        """Free symbols, then the defined ones with the shapes of their definitions."""
        flags = {"probabilities": set(self.probabilities)}
        found: dict[str, Node] = {}
        for name, said in [*self.given, (self.name, self.lines[0].expression)]:
            shown, tree = read(said)
            names = names_in(tree)
            known = {n: found[n].shape for n in names if n in found}
            sizes = {n: s for n, s in self.sizes.items() if n in names} | known
            for n, shape in infer(shown, tree, sizes, flags, self.variable).items():
                found.setdefault(n, symbol(n, shape, [f for f, of in flags.items() if n in of]))
            found[name] = symbol(name, build(tree, found).shape)
        return found

    @cached_property
    def trees(self) -> list[Node]:
        """The tree of every line."""
        for shown, tree in (found := [read(line.expression) for line in self.lines]):
            for name in names_in(tree):
                if name not in self.symbols:
                    raise UsageError(f"{shown}: {name} is not defined in this derivation")
        return [tree for _, tree in found]

    def _shown(self, tree: Node, write: Callable[..., str] = typed_text) -> str:
        return write(tree, {name: node.shape for name, node in self.symbols.items()})

    def _definitions(self) -> list[str]:
        return [f"where {name} = {self._shown(read(said)[1])}" for name, said in self.given]

    def text(self) -> str:
        """The lines with their numbers, and the steps beside them."""
        rows = []
        for n, (line, tree) in enumerate(zip(self.lines, self.trees, strict=True), 1):
            left = self.name if n == 1 else self.left if n == 2 else " " * len(self.left)
            rows.append((f"{left} = {self._shown(tree)}", f"({n})", _why(line)))
        width = max(len(r[0]) for r in rows)
        head = [self.title + (f"   [{self.source}]" if self.source else "")]
        body = [f"{a.ljust(width)}  {n}  {why}".rstrip() for a, n, why in rows]
        return "\n".join([*head, *self._definitions(), "", *body])

    __str__ = text

    def latex(self) -> str:
        """An ``align`` block with numbered lines, for math mode outside dollars."""
        return "\\begin{align}\n" + self._rows() + "\n\\end{align}"

    def _rows(self) -> str:
        name, of = (self._shown(read(n)[1], typed_latex) for n in (self.name, self.variable))
        left = [name, rf"\frac{{d{name}}}{{d{of}}}", *[""] * len(self.trees)]
        shown = (self._shown(tree, typed_latex) for tree in self.trees)
        return " \\\\\n".join(f"{a} &= {b}" for a, b in zip(left, shown, strict=False))

    def markdown(self) -> str:
        """A section: the formula block, then the steps as a list."""
        lines = [f"### {escape.markdown(self.title)}", ""]
        lines += [f"{escape.markdown(said)}\n" for said in self._definitions()]
        lines += ["$$", "\\begin{aligned}", self._rows(), "\\end{aligned}", "$$", ""]
        lines += [f"{n}. {escape.markdown(_why(line))}" for n, line in enumerate(self.lines, 1)]
        return "\n".join(lines) + "\n"

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": "chainrule.derivation/1",
            "title": self.title,
            "source": self.source,
            "name": self.name,
            "variable": self.variable,
            "given": [{"name": name, "expression": said} for name, said in self.given],
            "lines": [
                {
                    "number": n,
                    "left": self.name if n == 1 else self.left,
                    "expression": line.expression,
                    "text": self._shown(tree),
                    "latex": self._shown(tree, typed_latex),
                    "step": line.step,
                    "why": _why(line),
                }
                for n, (line, tree) in enumerate(zip(self.lines, self.trees, strict=True), 1)
            ],
        }

    def _repr_markdown_(self) -> str:
        return self.markdown()

    def _repr_latex_(self) -> str:
        return "$$\\begin{aligned}\n" + self._rows() + "\n\\end{aligned}$$"


def _why(line: Line) -> str:
    said = ALGEBRA.get(line.step, "")
    more = f" ({line.note})" if line.note else ""
    return f"{line.step}: {said}{more}" if said else line.step + more


# Trying ------------------------------------------------------------------------------------


class _Trial:
    def __init__(self, d: Derivation, seed: int) -> None:
        self.d, self.seed = d, seed
        self.given = [(name, build(read(said)[1], d.symbols)) for name, said in d.given]
        self.lines = [build(tree, d.symbols) for tree in d.trees]

    def run(self, trials: int) -> None:
        done = 0
        defined = {name for name, _ in self.given} | {self.d.name}
        free = {n: s for n, s in self.d.symbols.items() if n not in defined}
        for attempt, point in enumerate(points(free, self.seed)):
            if attempt > 40:
                raise DerivativeError(f"{self.d.title}: not finite at any point that was tried")
            with np.errstate(all="ignore"):
                done += self.at(point)
            if done == trials:
                return

    def at(self, point: Point) -> bool:
        """Whether the lines could be tried at this point; raises where two differ."""
        values = dict(point.values)
        for name, node in [*self.given, (self.d.name, self.lines[0])]:
            values[name] = np.asarray(evaluate(node, point, values))
        before = self._engine(point)
        if not np.all(np.isfinite(before)):
            return False
        for n, node in enumerate(self.lines[1:], 2):
            found = np.asarray(evaluate(node, point, values))
            self._compare(n, before, found, point)
            before = found
        return True

    def _engine(self, point: Point) -> np.ndarray:
        """The derivative of line 1, definitions put in, as a matrix with a row per output."""
        node = self.lines[0]
        for name, said in reversed(self.given):
            node = _put_in(node, name, said)
        x = self.d.symbols[self.d.variable]
        found = engine_derivative(node, self.d.variable, point)
        a, b, c, e = found.shape
        if x.shape == SCALAR:
            return found.reshape(()) if node.shape == SCALAR else found.reshape(a, b)
        return found.reshape(c, e) if node.shape == SCALAR else found.reshape(a * b, c * e)

    def _compare(self, n: int, before: np.ndarray, found: np.ndarray, point: Point) -> None:
        close = found.shape == before.shape and np.allclose(found, before, rtol=1e-9, atol=1e-11)
        if close:
            return
        earlier = "the engine's derivative of line (1)" if n == 2 else f"line ({n - 1})"
        at = self.d.variable
        raise DerivativeError(
            f"{self.d.title}: line ({n}) is not equal to {earlier}: "
            f"{_brief(found)} and {_brief(before)} at {at} = {_brief(point.values[at])}. "
            f"The step was {self.d.lines[n - 1].step!r}; correct the line\n"
            f"  ({n}) {self.d.lines[n - 1].expression}"
        )


def _put_in(node: Node, name: str, said: Node) -> Node:
    return rewrite(node, lambda n: said if n.op == "symbol" and n.data[0] == name else None)


def _brief(value: np.ndarray) -> str:
    flat = np.asarray(value).ravel()
    shown = ", ".join(f"{v:.6g}" for v in flat[:4]) + (", ..." if len(flat) > 4 else "")
    return shown if value.ndim == 0 else f"[{shown}]"


# The table ---------------------------------------------------------------------------------


def _lines(*rows: Sequence[str]) -> tuple[Line, ...]:
    return tuple(Line(*row) for row in rows)


_SCALAR = {"b": (), "x": (), "a": (), "t": ()}

DERIVATIONS: Mapping[str, Derivation] = {
    "sigmoid": Derivation(
        "Derivative of a sigmoid", "s", "b", source="L4.7", sizes=_SCALAR,
        lines=_lines(
            ("1 / (1 + exp(-b))", "definition"),
            ("exp(-b) / (exp(-b) + 1)**2", "reciprocal rule"),
            ("(exp(-b) + 1 - 1) / (exp(-b) + 1 + 1 - 1)**2", "add and subtract 1"),
            ("(exp(-b) + 1 - 1) / (exp(-b) + 1)**2", "1 − 1 = 0"),
            ("(exp(-b) + 1) / (exp(-b) + 1)**2 - 1 / (exp(-b) + 1)**2", "split the fraction"),
            ("1 / (exp(-b) + 1) - 1 / (exp(-b) + 1)**2", "cancel"),
            ("1 / (exp(-b) + 1) - (1 / (exp(-b) + 1)) * (1 / (exp(-b) + 1))",
             "a square is a product"),
            ("1 / (exp(-b) + 1) * (1 - 1 / (exp(-b) + 1))", "factor out"),
            ("s * (1 - s)", "definition put back", "s = 1/(exp(−b) + 1)"),
        ),
    ),
    "tanh": Derivation(
        "Derivative of tanh", "t", "x", sizes=_SCALAR,
        lines=_lines(
            ("(exp(x) - exp(-x)) / (exp(x) + exp(-x))", "definition"),
            ("((exp(x) + exp(-x)) * (exp(x) + exp(-x)) - (exp(x) - exp(-x)) * (exp(x) - exp(-x)))"
             " / (exp(x) + exp(-x))**2", "quotient rule"),
            ("(exp(x) + exp(-x))**2 / (exp(x) + exp(-x))**2"
             " - (exp(x) - exp(-x))**2 / (exp(x) + exp(-x))**2", "split the fraction"),
            ("1 - ((exp(x) - exp(-x)) / (exp(x) + exp(-x)))**2", "cancel"),
            ("1 - t**2", "definition put back"),
        ),
    ),
    "softplus": Derivation(
        "Derivative of softplus", "f", "x", sizes=_SCALAR,
        lines=_lines(
            ("log(1 + exp(x))", "definition"),
            ("1 / (1 + exp(x)) * exp(x)", "chain rule", "log has slope 1/u, u = 1 + exp(x)"),
            ("1 / (exp(-x) + 1)", "cancel", "numerator and denominator over exp(x)"),
            ("logistic(x)", "definition put back"),
        ),
    ),
    "softmax": Derivation(
        "Jacobian of softmax", "s", "z", source="L0.1",
        lines=_lines(
            ("exp(z) / sum(exp(z))", "definition"),
            ("(sum(exp(z)) * diag(exp(z)) - exp(z) @ exp(z).T) / sum(exp(z))**2",
             "quotient rule for vectors", "exp(z) has slopes diag(exp(z)), the sum exp(z)ᵀ"),
            ("diag(exp(z)) / sum(exp(z)) - (exp(z) @ exp(z).T) / sum(exp(z))**2",
             "split the fraction"),
            ("diag(exp(z) / sum(exp(z))) - (exp(z) / sum(exp(z))) @ (exp(z) / sum(exp(z))).T",
             "a square is a product"),
            ("diag(s) - s @ s.T", "definition put back"),
        ),
    ),
    "softmax_cross_entropy": Derivation(
        "Cross-entropy after softmax", "L", "z", source="L0.1", probabilities=("y",),
        given=(("s", "softmax(z)"),),
        lines=_lines(
            ("-y.T @ log(s)", "definition"),
            ("-(diag(s) - s @ s.T) @ (y / s)", "chain rule",
             "the Jacobian of softmax times the slopes −y ⊘ s"),
            ("-(diag(s) @ (y / s) - s * (s.T @ (y / s)))", "multiply out"),
            ("-(y - s * sum(y))", "inner sum"),
            ("-(y - s)", "probabilities"),
            ("s - y", "collect"),
        ),
    ),
    "logistic_cross_entropy": Derivation(
        "Binary cross-entropy after the logistic", "E", "a", source="L2.2, L4.4", sizes=_SCALAR,
        given=(("y", "logistic(a)"),),
        lines=_lines(
            ("-(t * log(y) + (1 - t) * log(1 - y))", "definition"),
            ("-(t / y - (1 - t) / (1 - y)) * (y * (1 - y))", "chain rule",
             "dE/dy times dy/da = y (1 − y)"),
            ("-(t * (1 - y) - (1 - t) * y)", "multiply out", "y and 1 − y cancel"),
            ("-(t - t * y - y + t * y)", "multiply out"),
            ("y - t", "collect"),
        ),
    ),
}  # fmt: skip
"""The derivations by name. Expressions that stand in one line are equal to those before."""


def derivation(name: str = "sigmoid") -> Derivation:
    """A derivation of the table, tried line by line before it is returned.

    Raises:
        UsageError: there is no such derivation.
    """
    found = DERIVATIONS.get(name)
    if found is None:
        raise UsageError(f"no derivation is called {name!r}; there are {', '.join(DERIVATIONS)}")
    return found.verified()
