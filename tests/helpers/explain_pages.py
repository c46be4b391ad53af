"""Explanations of different kinds, for the tests of pictures and pages."""

from __future__ import annotations

from typing import Any

import numpy as np

import chainrule as cr
from chainrule import nn
from chainrule.explanation import Explanation, explain


def J(x: Any) -> Any:
    return np.cos(np.sin(x**2) + 3 * x**2)


def scalar() -> Explanation:
    return explain(J)(1.0)


def gates() -> Explanation:
    def f(x: Any, y: Any, z: Any) -> Any:
        q = x + y
        return q * z

    return explain(f)(-2.0, 5.0, -4.0)


def matrix() -> Explanation:
    def f(W: Any, x: Any) -> Any:
        y = W @ x
        return np.sum(y**2)

    return explain(f)(np.array([[0.1, 0.5], [-0.3, 0.8]]), np.array([0.2, 0.4]))


def entropy() -> Explanation:
    """A gate with its prediction, (3, 2) weights and a bias (L1.5)."""
    return explain.expression(
        "-sum(y*log(softmax(W @ x + b)))", W=np.array([[0.1, 0.5], [-0.3, 0.8], [0.2, 0.2]]),
        x=np.array([0.2, 0.4]), b=np.array([0.0, 0.1, 0.2]), y=np.array([0.0, 0.0, 1.0]),
    )  # fmt: skip


def network(hidden: tuple[int, ...] = (3,), inputs: int = 2) -> Explanation:
    """A logistic MLP on one example; its layers and the loss are scopes."""
    model = nn.MLP(sizes=(inputs, *hidden, 1), activation="logistic")
    params, state = model.init(0)
    x, t, loss = np.linspace(0.5, -1.0, inputs)[None], np.array([[1.0]]), nn.BinaryCrossEntropy()
    flat = [a for layer in params["layers"] for a in (layer["weights"], layer["bias"])]

    def L(*arrays: Any) -> Any:
        pairs = zip(arrays[::2], arrays[1::2], strict=True)
        layers = tuple({"weights": w, "bias": b} for w, b in pairs)
        y, _ = model({"layers": layers}, state, x)
        with cr.scope("loss"):
            return np.mean(loss(y, t))

    return explain(L)(*flat)


def tangle(count: int, seed: int = 0) -> Explanation:
    """A scalar function of ``count`` quantities that use one another at random."""

    def f(x: Any, y: Any) -> Any:
        rng = np.random.default_rng(seed)
        known, open_ends = [x, y], [x, y]
        while len(known) + len(open_ends) - 1 < count:
            a = open_ends.pop(0) if len(open_ends) > 5 or rng.random() < 0.7 else known[-1]
            b = known[int(rng.integers(max(0, len(known) - 9), len(known)))]
            made = [lambda a, b: np.sin(a), lambda a, b: a + b, lambda a, b: a - 0.5,
                    lambda a, b: a * b][int(rng.integers(4))](a, b)  # fmt: skip
            known.append(made)
            open_ends.append(made)
        total = open_ends[0]
        for end in open_ends[1:]:
            total = total + end
        return total

    return explain(f)(0.5, -0.7)


HOSTILE = (
    "<script>window.pwned=1</script>",
    "</script><script>window.pwned=1</script>",
    "<img src=x onerror=window.pwned=1>",
    "<svg/onload=window.pwned=1>",
    '"><svg onload=window.pwned=1>',
    "' onmouseover='window.pwned=1' x='",
    "javascript:window.pwned=1",
    "</style><script>window.pwned=1</script>",
    "</title><script>window.pwned=1</script>",
    "--><script>window.pwned=1</script><!--",
    "]]><script>window.pwned=1</script><![CDATA[",
    "</math><img src=x onerror=window.pwned=1>",
    "<math><mtext></mtext><mglyph><style><img src=x onerror=window.pwned=1>",
    "</desc></svg><script>window.pwned=1</script>",
    "&lt;script&gt;window.pwned=1&lt;/script&gt;",
    "&#60;script&#62;window.pwned=1&#60;/script&#62;",
    "\\u003cscript\\u003ewindow.pwned=1\\u003c/script\\u003e",
    "{{constructor.constructor('window.pwned=1')()}}",
    "${window.pwned=1}",
    "`;window.pwned=1;//",
    "';window.pwned=1;//",
    "\u2028window.pwned=1\u2029",
    "\u202egnp.exe\u202c",
    "a\x00b\x1b[31m\x07",
    "\ud800",
    "<a href=javascript:window.pwned=1>x</a>",
    "<iframe srcdoc='<script>parent.pwned=1</script>'>",
    "<link rel=stylesheet href=https://example.org/x.css>",
    "<meta http-equiv=refresh content='0;url=https://example.org'>",
    "<base href=https://example.org/>",
    "<form action=https://example.org><button>x",
    "<style>@import url(https://example.org/x.css)</style>",
    "@import 'https://example.org/x.css';",
    "x" * 5000,
    "🙂" * 40,
    "__proto__",
    "constructor",
)
"""Names that would be code, markup or trouble wherever they are not escaped."""


def hostile(names: tuple[str, ...] = HOSTILE) -> Explanation:
    """Every name of the corpus as an input, a scope and the output."""

    def f(values: dict[str, Any]) -> Any:
        total = 0.0
        for name, x in values.items():
            with cr.scope(name):
                total = total + np.sin(x) * x
        return total

    return explain(f, name=names[0])({name: 0.1 * k for k, name in enumerate(names)})
