"""Gradients against other libraries, where they are installed.

HIPS autograd and JAX have a NumPy of their own, so they run the expressions of the other test
files as they stand; what they refuse is left out, and enough must remain. PyTorch has a table.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from tests.helpers.expressions import elementwise, indexing, products, reductions, shaping
from tests.helpers.peers import peer
from tests.helpers.surface import ARRAYS, Expression, leaves

pytestmark = pytest.mark.peers

BLOCKS: dict[str, list[str]] = {
    "elementwise": elementwise.SMOOTH + elementwise.PIECEWISE,
    "reductions": reductions.SMOOTH + reductions.PIECEWISE,
    "shaping": shaping.MOVES,
    "products": products.PRODUCTS,
    "algebra": products.NORMS + products.FACTORS,
    "indexing": indexing.WRITTEN,
}
# where autograd answers otherwise: part of the line, and the reason (ours is right numerically)
AUTOGRAD_DIFFERS: dict[str, str] = {
    "where=M": "the keyword is ignored in its derivative",
    "correction=1": "the keyword is ignored in its derivative",
    "np.sinc(0.0 * v)": "0/0 at 0",
    "np.tile(m, 2)": "its vector-Jacobian product repeats the wrong axis",
    "np.linalg.norm(v, np.inf)": "raises to the power of infinity",
    "np.linalg.cholesky": "symmetric in both triangles; ours reads one, as NumPy does",
}

JAX_DIFFERS: dict[str, str] = {
    "np.linalg.cholesky": "symmetric in both triangles; ours reads one, as NumPy does",
    "np.linalg.eigh": "symmetric in both triangles; ours reads one, as NumPy does",
    "np.linalg.eigvalsh": "symmetric in both triangles; ours reads one, as NumPy does",
}


def _weights(y: Any, k: int) -> np.ndarray:
    return np.random.Generator(np.random.Philox(k)).uniform(-1, 1, np.shape(y))


def _loss(f: Callable[..., Any], total: Callable[[Any], Any]) -> Callable[..., Any]:
    """A weighted sum of all the floating results of ``f``."""

    def loss(*xs: Any) -> Any:
        found = 0.0
        for k, y in enumerate(leaves(f(*xs))):
            if np.dtype(getattr(y, "dtype", type(y))).kind == "f":
                found = found + total(y * _weights(y, k))
        return found

    return loss


def _compare(block: str, numpy: Any, gradient: Callable[[Any, Any], Any], differs: Any) -> int:
    """How many expressions of a block the peer takes; its gradients must equal ours."""
    compared = 0
    for text in BLOCKS[block]:
        theirs, ours = Expression(text, numpy), Expression(text)
        args = ours.arguments()
        everything = tuple(range(len(args)))
        with np.errstate(all="ignore"):
            try:
                found = gradient(_loss(theirs.function, numpy.sum), everything)(*args)
                found = [np.asarray(g, float) for g in found]
            except Exception:  # what a peer refuses, it refuses in many ways
                continue
            expected = cr.grad(_loss(ours.function, np.sum), everything)(*args)
        if any(part in text for part in differs) or _not_followed(found, expected):
            continue
        for mine, other in zip(expected, found, strict=True):
            np.testing.assert_allclose(other, mine, rtol=1e-9, atol=1e-11, err_msg=text)
        compared += 1
    return compared


def _not_followed(found: Any, expected: Any) -> bool:
    """All zeros where ours are not: a function that the peer runs without differentiating."""
    wrong = [f for f, e in zip(found, expected, strict=True) if not np.allclose(f, e)]
    return bool(wrong) and not any(np.any(f) for f in wrong)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("block", "enough"),
    [
        ("elementwise", 150),
        ("reductions", 70),
        ("shaping", 130),
        ("products", 90),
        ("algebra", 30),
        ("indexing", 70),
    ],
)
def test_autograd(block: str, enough: int) -> None:
    autograd = pytest.importorskip("autograd")
    numpy = pytest.importorskip("autograd.numpy")
    compared = _compare(block, numpy, autograd.grad, AUTOGRAD_DIFFERS)
    assert compared >= enough


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("block", BLOCKS)
def test_jax(block: str) -> None:
    jax = peer("jax")
    jax.config.update("jax_enable_x64", True)
    assert _compare(block, jax.numpy, jax.grad, JAX_DIFFERS) >= len(BLOCKS[block]) // 3


# name: in NumPy, and in PyTorch, of arrays that ARRAYS in surface.py names
TORCH: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "exp": (np.exp, lambda torch, v: torch.exp(v)),
    "tanh": (np.tanh, lambda torch, v: torch.tanh(v)),
    "sinc": (np.sinc, lambda torch, v: torch.sinc(v)),
    "logaddexp": (lambda v: np.logaddexp(v, 0.5), lambda torch, v: torch.logaddexp(v, v * 0 + 0.5)),
    "arctan2": (lambda v: np.arctan2(v, 0.5), lambda torch, v: torch.atan2(v, v * 0 + 0.5)),
    "hypot": (lambda v: np.hypot(v, 0.5), lambda torch, v: torch.hypot(v, v * 0 + 0.5)),
    "power": (lambda v: v**3, lambda torch, v: v**3),
    "abs": (np.abs, lambda torch, v: torch.abs(v)),
    "clip": (lambda v: np.clip(v, -1, 1), lambda torch, v: torch.clamp(v, -1, 1)),
    "where": (lambda v: np.where(v > 0, v * v, v), lambda torch, v: torch.where(v > 0, v * v, v)),
    "max": (np.max, lambda torch, v: torch.amax(v)),
    "sort": (np.sort, lambda torch, v: torch.sort(v).values),
    "prod": (np.prod, lambda torch, v: torch.prod(v)),
    "cumsum": (np.cumsum, lambda torch, v: torch.cumsum(v, 0)),
    "cumprod": (np.cumprod, lambda torch, v: torch.cumprod(v, 0)),
    "var": (np.var, lambda torch, v: torch.var(v, correction=0)),
    "std": (lambda v: np.std(v, ddof=1), lambda torch, v: torch.std(v)),
    "norm": (np.linalg.norm, lambda torch, v: torch.linalg.vector_norm(v)),
    "norm of order 3": (
        lambda v: np.linalg.norm(v, 3),
        lambda torch, v: torch.linalg.vector_norm(v, 3),
    ),
    "softmax": (cr.nn.softmax, lambda torch, v: torch.softmax(v, -1)),
    "logsumexp": (cr.nn.logsumexp, lambda torch, v: torch.logsumexp(v, -1)),
    "outer": (lambda v: np.outer(v, v * v), lambda torch, v: torch.outer(v, v * v)),
    "gather": (lambda v: v[[0, 2, 2]], lambda torch, v: v[[0, 2, 2]]),
    "roll": (lambda v: np.roll(v, 1) * v, lambda torch, v: torch.roll(v, 1) * v),
}
TORCH_MATRIX: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "det": (np.linalg.det, lambda torch, a: torch.linalg.det(a)),
    "inv": (np.linalg.inv, lambda torch, a: torch.linalg.inv(a)),
    "slogdet": (lambda a: np.linalg.slogdet(a)[1], lambda torch, a: torch.linalg.slogdet(a)[1]),
    "svd": (np.linalg.svdvals, lambda torch, a: torch.linalg.svdvals(a)),
    "pinv": (np.linalg.pinv, lambda torch, a: torch.linalg.pinv(a)),
    "einsum": (
        lambda a: np.einsum("ij,jk,kk->i", a, a, a),
        lambda torch, a: torch.einsum("ij,jk,kk->i", a, a, a),
    ),
    "solve": (lambda a: np.linalg.solve(a, a.T), lambda torch, a: torch.linalg.solve(a, a.T)),
    "tril": (lambda a: np.tril(a) @ a, lambda torch, a: torch.tril(a) @ a),
    "kron": (lambda a: np.kron(a, a), lambda torch, a: torch.kron(a, a)),
}


@pytest.mark.parametrize("name", [*TORCH, *TORCH_MATRIX])
def test_torch(name: str) -> None:
    torch = pytest.importorskip("torch")
    ours, theirs = TORCH[name] if name in TORCH else TORCH_MATRIX[name]
    x = ARRAYS["v" if name in TORCH else "a"]
    y, pull = cr.vjp(ours, x)
    given = torch.tensor(x, requires_grad=True)
    found = theirs(torch, given)
    np.testing.assert_allclose(y, found.detach().numpy(), rtol=1e-12)
    g = _weights(y, 0)
    (found * torch.tensor(g)).sum().backward()
    np.testing.assert_allclose(pull(g)[0], given.grad.numpy(), rtol=1e-9, atol=1e-12)
