"""Lints: each odd function gets its finding, at its line, and ordinary ones get none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.special

import chainrule as cr
from chainrule import nn
from chainrule.diagnosis import lint

RNG = np.random.default_rng(0)
X, W, COLUMN = RNG.normal(size=(6, 3)), RNG.normal(size=3), RNG.normal(size=(3, 1))
T = RNG.normal(size=6)
B = (T > 0).astype(float)
LARGE = (1e4 + RNG.normal(size=2000)).astype(np.float32)
SCALE = np.ones(3)


def unused(w: Any, b: Any) -> Any:
    return np.sum((X @ w) ** 2)


def cut(w: Any) -> Any:
    return np.sum(np.round(X @ w) ** 2)


def stopped(w: Any) -> Any:
    return np.sum(cr.stop_gradient(X @ w) ** 2)


def compared(w: Any) -> Any:
    return np.mean(np.astype(X @ w > 0, float) == B)


def dead(w: Any) -> Any:
    return np.sum(np.maximum(-np.abs(X @ w) - 1, 0.0))


def broadcast(w: Any) -> Any:
    return np.mean((X @ w - T) ** 2)


def cancelling(x: Any) -> Any:
    return np.mean(x * x) - np.mean(x) ** 2


def cancelling_later(x: Any) -> Any:
    return np.var(x) + np.mean(x * x) - np.mean(x) ** 2


def centred(x: Any) -> Any:
    return np.mean((x - np.mean(x)) ** 2)


def summed(x: Any) -> Any:
    return np.sum(x - np.float32(1e4)) + np.sum(np.concatenate([x, -x, x[:1] * 0 + 1e-3]))


def twice(w: Any) -> Any:
    p = nn.softmax(X @ w)
    return np.mean(nn.CategoricalCrossEntropy()(p, np.array([0, 1, 2, 0, 1, 2])))


def twice_by_hand(w: Any) -> Any:
    e = np.exp(X @ w)
    p = e / np.sum(e, axis=1, keepdims=True)
    return -np.mean(np.log(np.exp(p[:, 0]) / np.sum(np.exp(p), axis=1)))


def logistic_twice(w: Any) -> Any:
    p = scipy.special.expit(X @ w)
    return np.mean(nn.BinaryCrossEntropy()(p, B))


def squared(w: Any) -> Any:
    return np.mean((1 / (1 + np.exp(-(X @ w))) - B) ** 2)


def halved(w: Any) -> Any:
    return np.sum(w**2) + np.sum(w // 2)


@cr.jit
def frozen(w: Any) -> Any:
    return np.sum((SCALE * w) ** 2)


ODD: list[tuple[Callable[..., Any], tuple[Any, ...], str, str]] = [
    (unused, (W, 1.0), "unused-parameter", "does not depend on b"),
    (cut, (W,), "cut-gradient", "no gradient reaches w"),
    (stopped, (W,), "cut-gradient", "no gradient reaches w"),
    (dead, (W,), "cut-gradient", "0 in every entry"),
    (broadcast, (COLUMN,), "accidental-broadcasting", "(6, 1) against (6,)"),
    (cancelling, (LARGE,), "lost-digits", "cancels"),
    (cancelling_later, (LARGE,), "lost-digits", "cancels"),
    (twice, (RNG.normal(size=(3, 3)),), "squashed-twice", "softmax"),
    (twice_by_hand, (RNG.normal(size=(3, 3)),), "squashed-twice", "softmax"),
    (logistic_twice, (W,), "squashed-twice", "logistic"),
    (squared, (W,), "logistic-squared-error", "vanishes"),
    (halved, (W,), "integer-division", "rounds down"),
    (frozen, (W,), "frozen-by-jit", "SCALE"),
]


def name(x: Any) -> str:
    return getattr(x, "__name__", "")


@pytest.mark.parametrize(("f", "args", "rule", "said"), ODD, ids=name)
def test_what_is_odd_is_found(f: Any, args: Any, rule: str, said: str) -> None:
    found = lint(f, *args)
    assert rule in found.rules
    (one,) = [one for one in found if one.rule == rule]
    assert said in one.text
    assert one.change
    if rule not in ("unused-parameter", "frozen-by-jit") and "every entry" not in said:
        assert one.where.startswith(__file__)
    assert said in str(found)


def outer(w: Any) -> Any:
    return np.sum(np.exp(-((w[:, None] - w[None, :]) ** 2)))


def linear(w: Any) -> Any:
    return np.mean((X @ w - T) ** 2)


def column(w: Any) -> Any:
    return np.mean((X @ w - T[:, None]) ** 2)


def classified(w: Any) -> Any:
    return np.mean(nn.CategoricalCrossEntropy()(X @ w, np.array([0, 1, 2, 0, 1, 2])))


def binary(w: Any) -> Any:
    return np.mean(nn.BinaryCrossEntropy()(X @ w, B))


def attention(w: Any) -> Any:
    p = nn.softmax(X @ w)
    return np.mean((p @ X[:3] - X) ** 2)


def gated(w: Any) -> Any:
    return np.mean((scipy.special.expit(X @ w) * (X @ w) - T) ** 2)


def single(w: Any) -> Any:
    return np.mean((X.astype(np.float32) @ w - T.astype(np.float32)) ** 2)


@cr.jit
def pure(w: Any, x: Any) -> Any:
    return np.sum((x @ w) ** 2)


SQUARE = RNG.normal(size=(3, 3))
ORDINARY: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
    (outer, (W,)),
    (linear, (W,)),
    (column, (COLUMN,)),
    (classified, (SQUARE,)),
    (binary, (W,)),
    (attention, (SQUARE,)),
    (gated, (W,)),
    (single, (W.astype(np.float32),)),
    (pure, (W, X)),
    (centred, (LARGE,)),
]


@pytest.mark.parametrize(("f", "args"), ORDINARY, ids=name)
def test_nothing_is_found_in_ordinary_losses(f: Any, args: Any) -> None:
    found = lint(f, *args)
    assert list(found) == []
    assert "nothing found: 8 checks passed" in str(found)


def test_parameters_in_trees_are_named_by_their_paths() -> None:
    model = nn.MLP((3, 4, 1))
    params, state = model.init(0)

    def loss(params: Any, extra: Any) -> Any:
        return np.mean(model(params, state, X)[0] ** 2)

    found = lint(loss, params, {"gain": np.ones(2)})
    assert [one.text for one in found] == ["the loss does not depend on extra/gain"]


def test_without_parameters_there_is_nothing_to_look_at() -> None:
    with pytest.raises(cr.errors.UsageError, match="floating positional argument"):
        lint(lambda n: np.ones(3).sum(), 3)
