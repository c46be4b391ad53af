"""The functions of matrix expressions: their sizes, and how they are differentiated.

Differentials are stated as text in the grammar itself, with ``U`` for the
argument and ``d(U)`` for its differential, ``column(U)`` for a column of ones as long as U is
wide and ``spread(U)`` for the square matrix of ones that adds up U's rows; the tests compare
every one with the engine.
"""

from __future__ import annotations

from dataclasses import dataclass

ELEMENTWISE = (
    *("exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "arctan", "arcsin", "arccos"),
    *("logistic", "softplus", "relu", "step", "abs", "sign"),
)
"""Functions applied entry by entry; the engine has their slopes."""

FUNCTIONS: dict[str, str] = {
    **dict.fromkeys(("sqrt", "square", "softmax", "log_softmax", *ELEMENTWISE), "ab -> ab"),
    **dict.fromkeys(("indicator", "inverse", "ones"), "ab -> ab"),
    **dict.fromkeys(("trace", "det", "logdet"), "aa -> 11"),
    **dict.fromkeys(("sum", "norm", "norm1", "norm2"), "ab -> 11"),
    **dict.fromkeys(("softmax_cross_entropy", "binary_cross_entropy"), "ab, ab -> 11"),
    "inv": "aa -> aa", "transpose": "ab -> ba", "logsumexp": "ab -> a1", "diag": "a1 -> aa",
    "diagonal": "aa -> a1", "outer": "a1, b1 -> ab", "dot": "a1, a1 -> 11",
}  # fmt: skip
"""Name -> the sizes of its arguments and of its result."""

ALIASES = {"sigmoid": "logistic", "expit": "logistic", "heaviside": "step", "ln": "log",
           "sigma": "logistic", "σ": "logistic", "tr": "trace", "sgn": "sign"}  # fmt: skip

WORDS = frozenset({*FUNCTIONS, *ALIASES, "mean", "vector", "matrix", "eye", "adj", "max"}) - {
    *("indicator", "inverse", "ones")
}
"""What is applied to arguments; these three are written with signs."""


@dataclass(frozen=True)
class Differential:
    """One rule of matrix calculus: the differential of ``function`` of ``U`` (and ``V``)."""

    name: str
    function: str
    result: str
    sentence: str
    shape: str = "any"
    """Which arguments the rule is for: any, vector (a column), row, rows (of a matrix, each by
    itself)."""


_ROWS = "each row by itself"

DIFFERENTIALS: tuple[Differential, ...] = (
    Differential(
        "differential of an inverse", "inv(U)", "-inv(U) @ d(U) @ inv(U)",
        "U U⁻¹ = I does not change, so dU U⁻¹ + U dU⁻¹ = 0.",
    ),
    Differential(
        "differential of a determinant", "det(U)", "det(U) * trace(inv(U) @ d(U))",
        "Jacobi's formula: each entry's slope is its cofactor, det U times an entry of U⁻ᵀ.",
    ),
    Differential(
        "differential of log det", "logdet(U)", "trace(inv(U) @ d(U))",
        "log of |det U| divides Jacobi's formula by det U.",
    ),
    Differential(
        "differential of a squared norm", "norm2(U)", "2 * trace(U.T @ d(U))",
        "The sum of squares has slope twice each entry.",
    ),
    Differential(
        "differential of a norm", "norm(U)", "trace(U.T @ d(U)) / norm(U)",
        "The root of the sum of squares: the slope is the unit direction.",
    ),
    Differential(
        "differential of softmax", "softmax(U)",
        "softmax(U) * d(U) - softmax(U) @ (softmax(U).T @ d(U))",
        "Every output falls by its share when another rises: the Jacobian is diag(s) − s sᵀ.",
        shape="vector",
    ),
    Differential(
        "differential of softmax", "softmax(U)",
        "softmax(U) * d(U) - (d(U) @ softmax(U).T) * softmax(U)",
        "Every output falls by its share when another rises: the Jacobian is diag(s) − s sᵀ.",
        shape="row",
    ),
    Differential(
        "differential of softmax", "softmax(U)",
        "softmax(U) * (d(U) - (softmax(U) * d(U)) @ spread(U))",
        f"diag(s) − s sᵀ, {_ROWS}.", shape="rows",
    ),
    Differential(
        "differential of log softmax", "log_softmax(U)",
        "d(U) - ones(U) * (softmax(U).T @ d(U))",
        "Each log probability is its score less the log of the sum of exponentials.",
        shape="vector",
    ),
    Differential(
        "differential of log softmax", "log_softmax(U)",
        "d(U) - (d(U) @ softmax(U).T) * ones(U)",
        "Each log probability is its score less the log of the sum of exponentials.",
        shape="row",
    ),
    Differential(
        "differential of log softmax", "log_softmax(U)",
        "d(U) - (softmax(U) * d(U)) @ spread(U)",
        f"The score less the log of the sum of exponentials, {_ROWS}.", shape="rows",
    ),
    Differential(
        "differential of log-sum-exp", "logsumexp(U)", "softmax(U).T @ d(U)",
        "The slope of the smooth maximum is the softmax.", shape="vector",
    ),
    Differential(
        "differential of log-sum-exp", "logsumexp(U)", "d(U) @ softmax(U).T",
        "The slope of the smooth maximum is the softmax.", shape="row",
    ),
    Differential(
        "differential of log-sum-exp", "logsumexp(U)", "(softmax(U) * d(U)) @ column(U)",
        f"The slope of the smooth maximum is the softmax, {_ROWS}.", shape="rows",
    ),
    Differential(
        "softmax with cross-entropy", "softmax_cross_entropy(U, V)",
        "trace((sum(V) * softmax(U) - V).T @ d(U)) - trace(log_softmax(U).T @ d(V))",
        "With targets that sum to one, the scores' error is prediction minus target.",
        shape="vector row",
    ),
    Differential(
        "softmax with cross-entropy", "softmax_cross_entropy(U, V)",
        "trace((softmax(U) * (V @ spread(U)) - V).T @ d(U)) - trace(log_softmax(U).T @ d(V))",
        f"With targets that sum to one, prediction minus target, {_ROWS}.", shape="rows",
    ),
    Differential(
        "logistic with cross-entropy", "binary_cross_entropy(U, V)",
        "trace((logistic(U) - V).T @ d(U)) - trace(U.T @ d(V))",
        "The logistic's slope cancels the loss's: the error is prediction minus target.",
    ),
)  # fmt: skip
"""The rules, tried in this order; sums, products, transposes, traces are in matrix_steps."""
