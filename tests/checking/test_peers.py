"""``cr.check_gradient`` on functions and gradients of PyTorch and JAX, where they are installed."""

from __future__ import annotations

import contextlib
from collections import namedtuple
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import DerivativeError, DtypeError

with contextlib.suppress(ImportError):  # here, as it draws from NumPy's global random state
    import jax as _  # noqa: F401

pytestmark = pytest.mark.peers

RNG = np.random.default_rng(0)
X, W, B = RNG.normal(size=(6, 3)), RNG.normal(size=(3, 2)), RNG.normal(size=2)
Pair = namedtuple("Pair", "W b")


class Torch:
    def __init__(self) -> None:
        self.module = pytest.importorskip("torch")

    def array(self, x: Any, dtype: str) -> Any:
        return self.module.tensor(x, dtype=getattr(self.module, dtype), requires_grad=True)

    def loss(self, W: Any, b: Any, factor: float = 1.0) -> Any:
        x = self.module.as_tensor(X, dtype=W.dtype)
        return self.module.tanh(x @ W + b).pow(2).mean() * factor

    def gradient(self, W: Any, b: Any, *rest: float) -> Any:
        return self.module.autograd.grad(self.loss(W, b, *rest), (W, b))

    def relu(self, x: Any) -> Any:
        return self.module.relu(x).sum()

    def wrong_cube(self, x: Any) -> Any:
        class Cube(self.module.autograd.Function):
            @staticmethod
            def forward(ctx: Any, x: Any) -> Any:
                ctx.save_for_backward(x)
                return x**3

            @staticmethod
            def backward(ctx: Any, g: Any) -> Any:
                return g * 2 * ctx.saved_tensors[0] ** 2

        return Cube.apply(x).sum()


class Jax:
    def __init__(self) -> None:
        self.module = pytest.importorskip("jax")
        self.module.config.update("jax_enable_x64", True)
        self.np = self.module.numpy

    def array(self, x: Any, dtype: str) -> Any:
        return self.np.asarray(x, dtype)

    def loss(self, W: Any, b: Any, factor: float = 1.0) -> Any:
        return self.np.mean(self.np.tanh(self.np.asarray(X, W.dtype) @ W + b) ** 2) * factor

    def gradient(self, W: Any, b: Any, *rest: float) -> Any:
        return self.module.jit(self.module.grad(self.loss, (0, 1)))(W, b, *rest)

    def relu(self, x: Any) -> Any:
        return self.module.nn.relu(x).sum()

    def wrong_cube(self, x: Any) -> Any:
        cube = self.module.custom_vjp(lambda x: x**3)
        cube.defvjp(lambda x: (x**3, x), lambda x, g: (g * 2 * x**2,))
        return cube(x).sum()


@pytest.fixture(params=[Torch, Jax])
def peer(request: pytest.FixtureRequest) -> Any:
    return request.param()


def numpy_loss(W: Any, b: Any) -> Any:
    return np.mean(np.tanh(X @ W + b) ** 2)


def test_its_gradient_of_our_function(peer: Any) -> None:
    def gradient(W: Any, b: Any) -> Any:
        return peer.gradient(peer.array(W, "float64"), peer.array(b, "float64"))

    assert cr.check_gradient(numpy_loss, W, B, gradient=gradient).conclusive
    assert cr.check_gradient(numpy_loss, W, B, gradient=gradient(W, B))
    doubled = lambda *a: (2 * gradient(*a)[0], gradient(*a)[1])  # noqa: E731
    found = cr.check_gradient(numpy_loss, W, B, gradient=doubled)
    assert [a.verdict for a in found.arrays] == ["wrong", "correct"]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_its_functions(peer: Any, dtype: str) -> None:
    w, b = peer.array(W, dtype), peer.array(B, dtype)
    for gradient in (None, peer.gradient, peer.gradient(w, b)):
        found = cr.check_gradient(peer.loss, w, b, gradient=gradient)
        assert [(a.name, a.verdict) for a in found.arrays] == [("W", "correct"), ("b", "correct")]
    wrong = cr.check_gradient(
        peer.loss, w, b, gradient=lambda *a: tuple(1.1 * g for g in peer.gradient(*a))
    )
    assert [len(a.wrong) for a in wrong.arrays] == [6, 2]
    assert getattr(w, "grad", None) is None  # the caller's array is not touched


def test_trees_and_what_is_not_differentiated(peer: Any) -> None:
    w, b = peer.array(W, "float64"), peer.array(B, "float64")
    assert cr.check_gradient(lambda p: peer.loss(p["W"], p["b"]), {"W": w, "b": b})["p/W"]
    assert cr.check_gradient(lambda p: peer.loss(p.W, p.b), Pair(w, b)).conclusive
    assert cr.check_gradient(lambda w, b: peer.loss(w, b), w, b=b).conclusive
    found = cr.check_gradient(peer.loss, w, b, 3.0)  # a number stays one
    assert [a.name for a in found.arrays] == ["W", "b"]
    assert found.conclusive
    assert cr.check_gradient(peer.loss, w, b, 3.0, gradient=peer.gradient).conclusive


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_kinks_and_a_wrong_rule_of_its_own(peer: Any, dtype: str) -> None:
    assert cr.check_gradient(peer.relu, peer.array([0.0, 1.0], dtype))
    assert cr.check_gradient(peer.relu, peer.array([0.0], dtype)).arrays[0].verdict == (
        "inconclusive: kink"
    )
    found = cr.check_gradient(peer.wrong_cube, peer.array([0.5, 0.6], dtype))
    assert "each is 2/3 times" in found["x"].pattern


def test_what_takes_float32_only() -> None:
    """The weights of a module stay in float32, so the differences are taken in it."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    layer = torch.nn.Linear(3, 2)
    x = torch.tensor(X, dtype=torch.float32)
    assert cr.check_gradient(lambda x: layer(x).pow(2).sum(), x).conclusive


def test_jax_without_float64() -> None:
    jax = pytest.importorskip("jax")
    with jax.enable_x64(False):
        peer = Jax.__new__(Jax)
        peer.module, peer.np = jax, jax.numpy
        w, b = peer.array(W, "float32"), peer.array(B, "float32")
        assert cr.check_gradient(peer.loss, w, b).conclusive
        wrong = lambda *a: tuple(1.1 * g for g in peer.gradient(*a))  # noqa: E731
        assert not cr.check_gradient(peer.loss, w, b, gradient=wrong)


def test_what_pytorch_cannot_give_is_said() -> None:
    torch = pytest.importorskip("torch")
    x = torch.ones(3, dtype=torch.float64)
    with pytest.raises(DerivativeError, match=r"no way back .* numpy\(\)"):
        cr.check_gradient(lambda x: torch.tensor(float(x.detach().numpy().sum())), x)
    with pytest.raises(DtypeError, match=r"bfloat16.*x\.double\(\)"):
        cr.check_gradient(lambda x: (x**2).sum(), x.to(torch.bfloat16))
    assert not cr.check_gradient(lambda x: torch.nn.functional.dropout(x, 0.5).sum(), x)
