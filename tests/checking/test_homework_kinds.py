"""Kinds of mistakes in backward passes written by hand, each named at its own line."""

from __future__ import annotations

import ast
import re

import pytest

from chainrule.checking.handwritten.search import checked
from chainrule.checking.handwritten.student import Student, loader
from chainrule.errors import UsageError
from tests.helpers.homework import check

MARGINS = """
import numpy as np
rng = np.random.default_rng(4)
X, y, W = rng.normal(size=(7, 4)), np.array([0, 1, 2, 0, 1, 2, 1]), rng.normal(size=(4, 3))
def svm_loss(W, X, y):
    n = X.shape[0]
    scores = X.dot(W)
    margins = np.maximum(0, scores - scores[np.arange(n), y][:, np.newaxis] + 1.0)
    margins[np.arange(n), y] = 0
    binary = (margins > 0).astype(float)
    counted = np.sum(binary, axis=1)
    binary[np.arange(n), y] = -counted
    dW = X.T.dot(binary) / n
    return np.sum(margins) / n, dW
"""


SIGMOID = """
import numpy as np
rng = np.random.default_rng(4)
X, t = rng.normal(size=(5, 3)), rng.random((5, 2))
W, b = rng.normal(size=(3, 2)), rng.normal(size=2)
def loss_and_grad(W, b, X, t):
    s = 1 / (1 + np.exp(-(X @ W + b)))
    r = s - t
    dz = 2 * r * s * (1 - s)
    dW = X.T @ dz
    db = np.sum(dz, axis=0)
    return np.sum(r * r), dW, db
"""


CALLED = """
import numpy as np
class Lin:
    def __init__(self, w, b): self.w, self.b = w, b
    def __call__(self, inp):
        self.inp = inp
        self.out = inp @ self.w + self.b
        return self.out
    def backward(self):
        self.inp_g = self.out_g @ self.w.T
        self.w_g = self.inp.T @ self.out_g
        self.b_g = self.out_g.sum(0)
class Mse:
    def __call__(self, inp, targ):
        self.inp, self.targ = inp, targ
        return ((inp - targ) ** 2).mean()
    def backward(self):
        self.inp_g = 2. * (self.inp - self.targ) / self.targ.size
class Model:
    def __init__(self, *layers):
        self.layers, self.loss = layers, Mse()
    def __call__(self, x, targ):
        for layer in self.layers: x = layer(x)
        return self.loss(x, targ)
    def backward(self):
        self.loss.backward()
        g = self.loss.inp_g
        for layer in reversed(self.layers):
            layer.out_g = g
            layer.backward()
            g = layer.inp_g
rng = np.random.default_rng(0)
x, targ = rng.normal(size=(10, 5)), rng.normal(size=(10, 3))
model = Model(Lin(rng.normal(size=(5, 6)), rng.normal(size=6)),
              Lin(rng.normal(size=(6, 3)), rng.normal(size=3)))
"""


@pytest.mark.parametrize(
    ("source", "old", "new", "kind", "line"),
    [
        (SIGMOID, "2 * r * s * (1 - s)", "2 * r * s", "wrong activation derivative", 9),
        (SIGMOID, "2 * r * s * (1 - s)", "(1 - s**2) * 2 * r", "wrong activation derivative", 9),
        (SIGMOID, "np.sum(dz, axis=0)", "dz[-1]", "bias not summed over the batch", 11),
        (SIGMOID, "np.sum(dz, axis=0)", "dz.mean()", "bias not summed over the batch", 11),
        (MARGINS, "    binary[np.arange(n), y] = -counted\n", "", "forgotten branch", 12),
        (CALLED, "self.inp.T @ self.out_g", "self.out.T @ self.out_g", "wrong variable", 11),
        (CALLED, "2. * (self.inp", "(self.inp", "factor 2", 18),
        (MARGINS, "X.T.dot(binary) / n", "X.T.dot(binary)", "batch factor", 13),
    ],
)
def test_a_mistake_is_named_at_its_own_line(
    source: str, old: str, new: str, kind: str, line: int
) -> None:
    assert source.count(old) == 1
    (first,) = check(source.replace(old, new)).mistakes
    assert (first.kind, first.edit.line) == (kind, line)
    assert (first.edit.old == "") == (new == "")  # a line is missing there


def test_what_is_called_returns_the_loss_and_what_is_not_looked_at_is_named() -> None:
    assert [p.status for p in check(CALLED).parameters] == ["correct"] * 4
    second = SIGMOID[SIGMOID.index("def ") :].replace("loss_and_grad", "halved_loss_and_grad")
    two = SIGMOID + second
    found = check(two)
    assert found.ok
    assert found.notes == (
        "halved_loss_and_grad was not checked: --forward halved_loss_and_grad does",
    )


def test_a_slope_at_an_index_of_a_loop_is_mended() -> None:
    source = """
import numpy as np
rng = np.random.default_rng(1)
W, b, x = rng.normal(size=(3, 3)), rng.normal(size=(3, 1)), rng.normal(size=(3, 1))
def loss(W, b, x):
    hs = {-1: x}
    for t in range(2):
        hs[t] = np.tanh(np.dot(W, hs[t - 1]) + b)
    value = np.sum(hs[1] ** 3)
    dW, db, dh = np.zeros_like(W), np.zeros_like(b), 3 * hs[1] ** 2
    for t in reversed(range(2)):
        draw = (1 - hs[t]) * dh
        dW += np.dot(draw, hs[t - 1].T)
        db += draw
        dh = np.dot(W.T, draw)
    return value, dW, db
"""
    (first,) = check(source).mistakes
    assert (first.kind, first.edit.line) == ("wrong activation derivative", 12)
    assert not check(source.replace("(1 - hs[t])", "(1 - hs[t] ** 2)")).mistakes


def test_a_program_that_stops_is_said_to_with_the_shapes_and_mended() -> None:
    source = MARGINS.replace("X.T.dot(binary) / n", "X.dot(binary) / n")
    source = source.replace("svm_loss(W, X, y):", "loss(W, X, y):", 1)
    source = source.replace(
        "    binary =",
        "    return np.sum(margins) / n, margins\n"
        "def gradient(W, X, y, margins):\n    n = X.shape[0]\n    binary =",
    )
    source = source.replace("return np.sum(margins) / n, dW", "return dW")
    found = check(source)
    assert "the program itself stops at line 16: ValueError" in str(found)
    assert "X: 7×4" in found.error
    assert "binary: 7×3" in found.error
    assert found.parameters[0].note == "the program stops before"
    assert found.mistakes[0].kind == "transpose"


PLAIN = """
import random
import numpy as np
rng = np.random.default_rng(3)
X, t = rng.normal(size=(5, 3)), rng.random((5, 2))
params = {"W": rng.normal(size=(3, 2)), "b": rng.normal(size=2)}
def loss(params, X, t):
    return np.sum((X @ params["W"] + params["b"] - t) ** 2)
def gradients(params, X, t):
    d = 2 * (X @ params["W"] + params["b"] - t)
    return {"W": X.T @ d, "b": d.sum(axis=0)}
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("- t) ** 2)\n", "- t) ** 2) * np.nan\n", "loss gives a loss of nan"),
        ("- t) ** 2)\n", "- t) ** 2) / 0.0\n", "loss gives a loss of inf"),
        ("- t) ** 2)\n", "- t) ** 2) + np.random.default_rng().random()\n", "another loss each"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_a_loss_that_cannot_be_followed_is_refused(old: str, new: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check(PLAIN.replace(old, new))


def test_random_numbers_of_python_are_seeded() -> None:
    noisy = PLAIN.replace("- t) ** 2)\n", "- t) ** 2) + random.random()\n")
    assert check(noisy).ok
    assert check(PLAIN.replace("default_rng(3)", "default_rng()")).ok  # drawn once, and kept
    assert not check(noisy.replace("d = 2", "d = 3")).ok


def test_what_cannot_be_decided_is_no_pass() -> None:
    found = check(
        PLAIN.replace("np.sum((X", "np.floor(1e-3 * np.sum((X").replace("** 2)\n", "** 2))\n")
    )
    assert not found.ok
    assert found.is_open or "wrong" in {p.status for p in found.parameters}


@pytest.mark.parametrize("gone", ["W", "b"])
def test_a_gradient_that_is_left_out_is_missing(gone: str) -> None:
    kept = '"b": d.sum(axis=0)' if gone == "W" else '"W": X.T @ d'
    source = PLAIN.replace('{"W": X.T @ d, "b": d.sum(axis=0)}', f"{{{kept}}}")
    found = check(source)
    assert {p.name: p.status for p in found.parameters}[gone] == "missing"
    assert not found.ok
    apart = SIGMOID.replace("np.sum(r * r), dW, db", "np.sum(r * r), db")
    assert "W was not checked: no gradient was found for it; --wrt b,W asks for one" in str(
        check(apart)
    )
    student = Student(loader(apart, "homework.py"))
    weighed = checked(student, apart, "homework.py", weights={"W": 2.0})
    assert (weighed.points, sum(p.of for p in weighed.parameters)) == (1.0, 3.0)


def test_no_hypothesis_multiplies_a_shape() -> None:
    from chainrule.checking.handwritten.drafts import Facts
    from chainrule.checking.handwritten.edits import drafts

    source = """def backward(self, d):
    grid = np.indices(self.where.shape)
    shape = self.where.shape
    dx = np.zeros(shape)
    dx[grid[0], self.where] = d
    return dx"""
    atoms = {"d": (6, 4), "self.where": (6, 4), "dx": (6, 4), "shape": (), "n": ()}
    (function,) = ast.parse(source).body
    assert isinstance(function, ast.FunctionDef)
    made = [d.source() for d in drafts("backward", function, Facts(atoms, [6], {"W": (6, 4)}))]
    assert len(made) > 20
    assert not [text for text in made if re.search(r"(indices|zeros)\([^)]*(\*|/)", text)]
    assert not [text for text in made if re.search(r"\.shape \*", text)]
