"""Functions and gradients of PyTorch and JAX, seen as NumPy's. Neither is imported unless an
argument is one of its arrays."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.core.tree import flatten

Adapted = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any], Callable[..., Any]]
"""The function of NumPy arrays, its arguments, and the framework's own gradient of it."""
Adapter = Callable[[Callable[..., Any], tuple[Any, ...], Any], Adapted]


def of(call: Any) -> Adapter | None:
    """The adapter for the framework whose arrays are among the arguments of a call."""
    for name, adapter, kind in (("torch", from_torch, "Tensor"), ("jax", from_jax, "Array")):
        module = sys.modules.get(name)
        if module is not None and any(isinstance(x, getattr(module, kind)) for x in _leaves(call)):
            return adapter
    return None


def _leaves(tree: Any) -> list[Any]:
    if isinstance(tree, dict):
        return [x for value in tree.values() for x in _leaves(value)]
    if isinstance(tree, (tuple, list)):
        return [x for value in tree for x in _leaves(value)]
    return [tree]


def _mapped(tree: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(tree, dict):
        return {key: _mapped(value, change) for key, value in tree.items()}
    if isinstance(tree, (tuple, list)):
        return type(tree)([_mapped(value, change) for value in tree])
    return change(tree)


def from_torch(f: Callable[..., Any], args: tuple[Any, ...], keywords: Any) -> Adapted:
    """PyTorch: arguments are copied, so that no ``.grad`` of the caller's is touched. For the
    numeric derivative float32 tensors are float64 where ``f`` takes these."""
    import torch  # type: ignore[import-not-found]

    def tensor(x: Any, like: Any) -> Any:
        return torch.as_tensor(np.array(x)) if isinstance(like, torch.Tensor) else x

    def call(*arrays: Any, **named: Any) -> Any:
        given = [_together(a, like, tensor) for a, like in zip(arrays, args, strict=True)]
        with torch.enable_grad():  # f may differentiate inside
            y = f(*given, **{k: _together(v, keywords[k], tensor) for k, v in named.items()})
        return y.detach().numpy() if isinstance(y, torch.Tensor) else y

    def own(*_: Any, **__: Any) -> Any:
        def leaf(x: Any) -> Any:
            floating = isinstance(x, torch.Tensor) and x.is_floating_point()
            return x.detach().clone().requires_grad_() if floating else x

        leaves = _mapped(args, leaf)
        f(*leaves, **keywords).backward()

        def grad(x: Any) -> Any:
            if not isinstance(x, torch.Tensor) or not x.requires_grad:
                return x
            return torch.zeros_like(x).numpy() if x.grad is None else x.grad.numpy()

        return _mapped(leaves, grad)

    call.__name__ = getattr(f, "__name__", "f")

    def plain(x: Any) -> Any:
        return x.detach().cpu().numpy() if isinstance(x, torch.Tensor) else x

    return call, _mapped(args, plain), _mapped(dict(keywords), plain), own


def from_jax(f: Callable[..., Any], args: tuple[Any, ...], keywords: Any) -> Adapted:
    """JAX: in float64 where ``jax_enable_x64`` is set, else all is rounded to float32."""
    import jax  # type: ignore[import-not-found]

    def array(x: Any, like: Any) -> Any:
        return jax.numpy.asarray(x, like.dtype) if isinstance(like, jax.Array) else x

    def call(*arrays: Any, **named: Any) -> Any:
        given = [_together(a, like, array) for a, like in zip(arrays, args, strict=True)]
        return np.asarray(
            f(*given, **{k: _together(v, keywords[k], array) for k, v in named.items()})
        )

    floating = tuple(
        i
        for i, arg in enumerate(args)
        if any(np.asarray(x).dtype.kind == "f" for x in flatten(_mapped(arg, np.asarray))[0])
    )

    def own(*_: Any, **__: Any) -> Any:
        found = jax.grad(f, floating)(*args, **keywords)
        return _mapped(found, np.asarray)

    call.__name__ = getattr(f, "__name__", "f")

    def plain(x: Any) -> Any:
        return np.asarray(x) if isinstance(x, jax.Array) else x

    return call, _mapped(args, plain), _mapped(dict(keywords), plain), own


def _together(x: Any, like: Any, change: Callable[[Any, Any], Any]) -> Any:
    if isinstance(like, dict):
        return {key: _together(x[key], like[key], change) for key in like}
    if isinstance(like, (tuple, list)):
        return type(like)([_together(a, b, change) for a, b in zip(x, like, strict=True)])
    return change(x, like)


def as_numpy_function(gradient: Any, framework: Adapter) -> Any:
    """A gradient, or a function of arrays of the framework, as NumPy arrays."""
    del framework

    def plain(x: Any) -> Any:
        if hasattr(x, "detach"):
            return x.detach().cpu().numpy()
        return np.asarray(x)

    if not callable(gradient):
        return _mapped(gradient, plain)
    return lambda *args, **keywords: _mapped(gradient(*args, **keywords), plain)
