"""Questions in matrices: derivatives in index-free form, and the layers of a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from chainrule.explanation.matrix.explaining import matrix
from chainrule.explanation.matrix.parse import names_in, read
from chainrule.explanation.matrix.text import shape_text, text, typed_text
from chainrule.explanation.quiz.questions import Question

__all__ = ["matrix_question", "network_question"]

_MATRIX: tuple[tuple[str, str], ...] = (
    ("a.T @ X @ b", "X"),
    ("trace(A @ X @ B)", "X"),
    ("x.T @ B @ x", "x"),
    ("norm2(W @ x)", "W"),
    ("norm2(W @ x)", "x"),
    ("norm2(A @ x - b)", "x"),
    ("norm2(b - A @ x)/2", "x"),
    ("logdet(X)", "X"),
    ("trace(X.T @ A @ X)", "X"),
    ("trace(A @ X @ B @ X.T)", "X"),
    ("trace(A.T @ X)", "X"),
    ("a.T @ inv(X) @ b", "X"),
    ("norm2(X @ w - y)/2 + lam/2*norm2(w)", "w"),
    ("a.T @ tanh(W @ x)", "W"),
    ("a.T @ logistic(W @ x)", "x"),
    ("sum(exp(A @ x))", "x"),
    ("softmax_cross_entropy(W @ x, y)", "W"),
    ("softmax_cross_entropy(W @ x, y)", "x"),
    ("tanh(W @ x)", "x"),
    ("A @ x + b", "x"),
    ("x.T @ B", "x"),
)
_OTHER = {"A": "C", "B": "D", "W": "M", "a": "c", "b": "d", "X": "Z"}


def matrix_question(r: Random, number: int) -> Question:
    """The derivative of a matrix expression, in one of the layouts (L4.9)."""
    source, wrt = r.choice(_MATRIX)
    if r.random() < 0.5:  # other letters, so that the answer is not merely remembered
        source = "".join(_OTHER.get(c, c) if _alone(source, i) else c for i, c in enumerate(source))
        wrt = _OTHER.get(wrt, wrt)
    if r.random() < 0.3 and not source.startswith(("norm2(b", "tanh", "A", "C")):
        source = f"{r.randint(2, 5)}*({source})" if "+" in source else f"{r.randint(2, 5)}*{source}"
    layout = "denominator" if r.random() < 0.75 else "numerator"
    result = matrix(source, wrt, layout)
    shapes = {name: node.shape for name, node in result.symbols.items()}
    where = ", ".join(f"{text(n)}: {shape_text(n.shape)}" for n in result.symbols.values())
    shown = typed_text(read(source)[1], shapes)
    notes = "".join(f" {note[0].upper()}{note[1:]}." for note in result.notes)
    return Question(
        "matrix",
        f"Let F = {shown}   (typed: {source}) with {where}.{notes} Find ∂F/∂{wrt} in {layout} "
        "layout, typed with @ for the matrix product, * entry by entry, .T for the transpose.",
        (f"∂F/∂{wrt}",),
        str(result.derivative_code),
        result.text(),
        {"function": source, "wrt": wrt, "layout": layout, "sizes": _sizes(shapes), "given": [],
         "probabilities": _flagged(result.symbols)},
    )  # fmt: skip


def _alone(source: str, i: int) -> bool:
    """Whether the letter at ``i`` is a name by itself, not part of a longer word."""
    around = source[max(0, i - 1) : i] + source[i + 1 : i + 2]
    return not any(c.isalnum() or c == "_" for c in around) and source[max(0, i - 1) : i] != "."


def _sizes(shapes: Mapping[str, tuple[Any, ...]]) -> dict[str, list[Any]]:
    return {name: list(shape) for name, shape in shapes.items()}


def _flagged(symbols: Mapping[str, Any]) -> list[str]:
    return [name for name, node in symbols.items() if "probabilities" in node.data[1]]


# Networks ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Activation:
    name: str
    slope: str


_ACTIVATIONS = (
    _Activation("tanh", "1 - a1**2"),
    _Activation("logistic", "a1*(1 - a1)"),
    _Activation("relu", "step(z1)"),
)
_COLUMN = {
    "x": ("p", 1), "W1": ("h", "p"), "b1": ("h", 1), "W2": ("c", "h"), "b2": ("c", 1),
    "y": ("c", 1), "z1": ("h", 1), "a1": ("h", 1), "z2": ("c", 1),
}  # fmt: skip
_ROWS = {
    "X": ("N", "p"), "W1": ("p", "h"), "W2": ("h", "c"), "Y": ("N", "c"), "Z1": ("N", "h"),
    "A1": ("N", "h"), "Z2": ("N", "c"),
}  # fmt: skip


def network_question(r: Random, number: int) -> Question:
    """A delta or a gradient of a network with one hidden layer, in either convention (L0.3)."""
    activation = r.choice(_ACTIVATIONS)
    return _batch(r, activation) if r.random() < 0.3 else _single(r, activation)


def _single(r: Random, g: _Activation) -> Question:
    """One example as a column: z1 = W1 x + b1, a1 = g(z1), z2 = W2 a1 + b2, softmax."""
    hidden = f"{g.name}(W1 @ x + b1)"
    output = "softmax_cross_entropy({}, y)"
    delta1 = f"(W2.T @ delta2)*({g.slope})"
    asked = {
        "z2": (output.format("z2"), "yhat - y", 2),
        "W2": (output.format("W2 @ a1 + b2"), "delta2 @ a1.T", 2),
        "b2": (output.format("W2 @ a1 + b2"), "delta2", 2),
        "a1": (output.format("W2 @ a1 + b2"), "W2.T @ delta2", 2),
        "z1": (output.format(f"W2 @ {g.name}(z1) + b2"), delta1, 1),
        "W1": (output.format(f"W2 @ {hidden} + b2"), "delta1 @ x.T", 0),
        "b1": (output.format(f"W2 @ {hidden} + b2"), "delta1", 0),
        "x": (output.format(f"W2 @ {hidden} + b2"), "W1.T @ delta1", 0),
    }
    wrt = r.choice(list(asked))
    function, key, start = asked[wrt]
    layers = [
        ("z1", "W1 @ x + b1"), ("a1", f"{g.name}(z1)"), ("z2", "W2 @ a1 + b2"),
    ]  # fmt: skip
    given = [(n, said) for n, said in layers[start:] if n != wrt]
    if wrt in ("W2", "b2", "a1"):
        given = [("z2", "W2 @ a1 + b2")]
    given += [("yhat", "softmax(z2)"), ("delta2", "yhat - y")]
    if start < 2:
        given.append(("delta1", delta1))
    if wrt in ("z2", "z1"):  # asking for a delta: it is not a name to answer with
        given = [(n, s) for n, s in given if n != ("delta2" if wrt == "z2" else "delta1")]
    if wrt == "b2":
        key, given = "yhat - y", [(n, s) for n, s in given if n != "delta2"]
    if wrt == "b1":
        key, given = delta1, [(n, s) for n, s in given if n != "delta1"]
    return _layer_question(function, wrt, key, given, layers, g, _COLUMN, ["y"])


def _batch(r: Random, g: _Activation) -> Question:
    """A batch in rows, weights (inputs, outputs): Z1 = X W1, A1 = g(Z1), Z2 = A1 W2 (L0.4)."""
    slope = g.slope.replace("a1", "A1").replace("z1", "Z1")
    delta1 = f"(delta2 @ W2.T)*({slope})"
    output = "softmax_cross_entropy({}, Y)/m"
    if r.random() < 0.5:
        wrt, key = "W2", "1/m*A1.T @ delta2"
        function, first = output.format("A1 @ W2"), 2
    else:
        wrt, key = "W1", "1/m*X.T @ delta1"
        function, first = output.format(f"{g.name}(X @ W1) @ W2"), 0
    layers = [("Z1", "X @ W1"), ("A1", f"{g.name}(Z1)"), ("Z2", "A1 @ W2")]
    given = [*layers[first:], ("Yhat", "softmax(Z2)"), ("delta2", "Yhat - Y")]
    if wrt == "W1":
        given.append(("delta1", delta1))
    return _layer_question(function, wrt, key, given, layers, g, {**_ROWS, "m": ()}, ["Y"])


def _layer_question(
    function: str, wrt: str, key: str, given: list[tuple[str, str]],
    layers: list[tuple[str, str]], g: _Activation, table: Mapping[str, tuple[Any, ...]],
    probabilities: list[str],
) -> Question:  # fmt: skip
    """The question with its solution: the recursion in names, then the derivation in full."""
    names = names_in(read(function)[1])
    sizes = {name: table[name] for name in names}
    result = matrix(function, wrt, sizes=sizes)
    rows = "X" in table
    loss = (
        ("1/m Σ " if rows else "")
        + f"cross-entropy of {'Yhat' if rows else 'yhat'} and "
        + ("Y" if rows else "y")
    )
    forward = "; ".join(f"{n} = {said}" for n, said in layers)
    last = "Yhat = softmax(Z2), one example a row" if rows else "yhat = softmax(z2)"
    usable = [n for n, _ in given] + [n for n in names if n != "m"]
    deltas = "; ".join(f"{n} = {said}" for n, said in given if n.startswith("delta"))
    solution = f"∂L/∂{wrt} = {key}" + (f"   with {deltas}" if deltas else "")
    return Question(
        "matrix",
        f"A network: {forward}; {last}; L = {loss}. Find ∂L/∂{wrt}, which has the shape of {wrt} "
        f"({shape_text(result.symbols[wrt].shape)}). You may use the names "
        f"{', '.join(dict.fromkeys(usable))}" + (f", where {deltas}" if deltas else "") + ".",
        (f"∂L/∂{wrt}",),
        key,
        f"{solution}\n\n{result.text()}",
        {"function": function, "wrt": wrt, "layout": "denominator",
         "sizes": {n: list(s) for n, s in sizes.items()}, "given": [list(p) for p in given],
         "probabilities": probabilities},
    )  # fmt: skip
