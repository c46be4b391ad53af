"""The pages of L4.9: the nine types of derivative, common derivatives, the chain-rule question."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chainrule.errors import UsageError
from chainrule.explanation.matrix.explaining import LAYOUTS, MatrixDerivative, matrix

_KINDS = ("scalar", "vector", "matrix")
_SHAPE = {"scalar": (), "vector": ("M",), "matrix": ("M", "N")}
_BY = {"scalar": (), "vector": ("P",), "matrix": ("P", "Q")}


def derivative_types(layout: str = "denominator") -> dict[str, dict[str, tuple[Any, ...] | None]]:
    """The table of L4.9: for each denominator x (row) and numerator y (column) the shape of
    ∂y/∂x; None where it has more than two indices. y has sizes M, N and x sizes P, Q."""
    _check_layout(layout)
    return {by: {of: _type_shape(of, by, layout) for of in _KINDS} for by in _KINDS}


def _type_shape(of: str, by: str, layout: str) -> tuple[Any, ...] | None:
    y, x = _SHAPE[of], _BY[by]
    if of == by == "scalar":
        return ()
    if of == "scalar":  # a gradient: as x, or its transpose
        shape = (*x, 1)[:2]
        return shape if layout == "denominator" else shape[::-1]
    if by == "scalar":
        shape = (*y, 1)[:2]
        return shape if layout == "numerator" else shape[::-1]
    if of == by == "vector":
        return (*y, *x) if layout == "numerator" else (*x, *y)
    return None


def _check_layout(layout: str) -> None:
    if layout not in LAYOUTS:
        raise UsageError(f'layout={layout!r}: it is "denominator" or "numerator"')


COMMON: tuple[tuple[str, dict[str, Any], tuple[str, ...]], ...] = (
    ("b * x", {"b": (), "x": ()}, ()),
    ("x * b", {"b": (), "x": ()}, ()),
    ("x**2", {"x": ()}, ()),
    ("b * x**2", {"b": (), "x": ()}, ()),
    ("x.T @ B", {}, ()),
    ("x.T @ b", {}, ()),
    ("x.T @ x", {}, ()),
    ("x.T @ B @ x", {}, ("B",)),
)
"""The lecture's page of common derivatives: expression, sizes, symmetric symbols."""


def common_derivatives(layout: str = "denominator") -> list[MatrixDerivative]:
    """The derivatives of that page: scalar ones, and the vector ones beside them."""
    return [
        matrix(source, "x", layout, sizes=sizes, symmetric=symmetric)
        for source, sizes, symmetric in COMMON
    ]


# The chain-rule question -------------------------------------------------------------------


@dataclass(frozen=True)
class Candidate:
    """One of the answers offered: its letter, the formula, whether it is right, and why."""

    letter: str
    formula: str
    right: bool
    reason: str


@dataclass(frozen=True)
class ChainRuleQuestion:
    """Suppose y = g(u) and u = h(x), all vectors: which product is ∂y/∂x?"""

    layout: str
    shapes: dict[str, tuple[str, str]]
    candidates: tuple[Candidate, ...]
    answer: str
    correct: str

    def text(self) -> str:
        shapes = ", ".join(f"{name} is {a}×{b}" for name, (a, b) in self.shapes.items())
        lines = [
            "Suppose y = g(u) and u = h(x), with y of M, u of K and x of P entries.",
            f"Which is the chain rule in {self.layout} layout?   ({shapes})",
            "",
        ]
        width = max(len(c.formula) for c in self.candidates)
        for c in self.candidates:
            mark = "✓" if c.right else "✗"
            lines.append(f"{c.letter}. {c.formula.ljust(width)}  {mark} {c.reason}")
        lines += ["", f"Answer: {self.answer}. The chain rule is ∂y/∂x = {self.correct}."]
        return "\n".join(lines)

    __str__ = text


_OFFERED = (
    ("A", "∂y/∂u ∂u/∂x", "G @ H"),
    ("B", "(∂y/∂u)ᵀ ∂u/∂x", "G.T @ H"),
    ("C", "∂y/∂u (∂u/∂x)ᵀ", "G @ H.T"),
    ("D", "(∂y/∂u)ᵀ (∂u/∂x)ᵀ", "G.T @ H.T"),
    ("E", "(∂y/∂u ∂u/∂x)ᵀ", "(G @ H).T"),
)


def chain_rule_question(layout: str = "denominator") -> ChainRuleQuestion:
    """The question of L4.9 with its six candidates, judged by their shapes.

    For sizes that differ (M, K, P) one product at most has the shape of ∂y/∂x; it is the
    chain rule then, because (∂y/∂x)_ij = Σ_k (∂u_k/∂x_i)(∂y_j/∂u_k) in denominator layout.
    """
    _check_layout(layout)
    denominator = layout == "denominator"
    sizes = (
        {"G": ("K", "M"), "H": ("P", "K")} if denominator else {"G": ("M", "K"), "H": ("K", "P")}
    )
    target = ("P", "M") if denominator else ("M", "P")
    judged = [_judge(letter, shown, source, sizes, target) for letter, shown, source in _OFFERED]
    right = [c for c in judged if c.right]
    none = Candidate(
        "F", "none of the above", not right,
        "one of the others is right" if right else
        "no product above has the shape of ∂y/∂x: the inner derivative must stand first",
    )  # fmt: skip
    shapes = {"∂y/∂u": sizes["G"], "∂u/∂x": sizes["H"], "∂y/∂x": target}
    correct = "∂u/∂x ∂y/∂u" if denominator else "∂y/∂u ∂u/∂x"
    answer = right[0].letter if right else "F"
    return ChainRuleQuestion(layout, shapes, (*judged, none), answer, correct)


def _judge(
    letter: str, shown: str, source: str, sizes: dict[str, Any], target: tuple[Any, ...]
) -> Candidate:
    factors = source.strip("()").removesuffix(").T").split(" @ ")
    left, right = (sizes[f[0]][::-1] if f.endswith(".T") else sizes[f[0]] for f in factors)
    product = f"({_x(left)}) · ({_x(right)})"
    if left[1] != right[0]:
        why = f"{product} does not fit: the inner sizes {left[1]} and {right[0]} differ"
        return Candidate(letter, shown, False, why)
    shape = (right[1], left[0]) if source.endswith(").T") else (left[0], right[1])
    if shape == target:
        return Candidate(letter, shown, True, f"{product} is {_x(target)}, as ∂y/∂x")
    why = f"{product} is {_x(shape)}, but ∂y/∂x is {_x(target)}"
    if shape == target[::-1]:
        why += ": it is the transpose, the other layout's answer"
    return Candidate(letter, shown, False, why)


def _x(shape: tuple[Any, ...]) -> str:
    return f"{shape[0]}×{shape[1]}"
