"""Functions and gradients of PyTorch and JAX, seen as NumPy's. Neither is imported here:
who has one of its arrays has it."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.core.record import function_name, parameter_names
from chainrule.errors import DerivativeError, DtypeError

Function = Callable[..., Any]
Calls = tuple[Function, tuple[Any, ...], dict[str, Any], Function]
"""The function of NumPy arrays, its arguments, and the gradient to check, of such arrays too."""


def adapted(f: Function, args: tuple[Any, ...], keywords: Any, gradient: Any) -> Calls | None:
    """A call with arrays of a framework among its arguments as one of NumPy's; None if there are
    none. Only arguments with such arrays are differentiated: the others stay as they are."""
    for name, kind, tool in (("torch", "Tensor", _Torch), ("jax", "Array", _Jax)):
        module = sys.modules.get(name)
        if module is not None:
            framework = tool(module, getattr(module, kind))
            if framework.is_among((args, keywords)):
                return framework.calls(f, args, dict(keywords), gradient)
    return None


class _Framework:
    def __init__(self, module: Any, kind: type) -> None:
        self.module, self.kind = module, kind

    def is_among(self, tree: Any) -> bool:
        return any(isinstance(x, self.kind) for x in _leaves(tree))

    def array(self, x: Any, like: Any) -> Any:
        raise NotImplementedError

    def plain(self, x: Any) -> Any:
        raise NotImplementedError

    def gradient(self, f: Function, args: tuple[Any, ...], keywords: Any, at: list[int]) -> Any:
        """The framework's own, by the arguments ``at``: a tuple of trees."""
        raise NotImplementedError

    def calls(self, f: Function, args: tuple[Any, ...], keywords: Any, gradient: Any) -> Calls:
        at = [i for i, arg in enumerate(args) if self.is_among(arg)]

        def whole(arrays: tuple[Any, ...]) -> tuple[Any, ...]:
            full = list(args)
            for i, x in zip(at, arrays, strict=True):
                full[i] = _together(x, args[i], self.array)
            return tuple(full)

        def call(*arrays: Any) -> Any:
            return self.plain(f(*whole(arrays), **keywords))

        def checked(*arrays: Any) -> Any:
            if gradient is None:
                found = self.gradient(f, whole(arrays), keywords, at)
            elif callable(gradient):
                found = gradient(*whole(arrays), **keywords)
            else:
                found = gradient
            if isinstance(found, tuple) and len(found) == len(args) != len(at):
                found = tuple(found[i] for i in at)
            return _mapped(found, self.plain)

        names = [*parameter_names(f), *(f"x{i}" for i in range(len(args)))]
        shown = [inspect.Parameter(names[i], inspect.Parameter.POSITIONAL_ONLY) for i in at]
        call.__wrapped__ = f  # type: ignore[attr-defined]
        call.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined]
        call.__name__ = function_name(f)
        return call, tuple(_mapped(args[i], self.plain) for i in at), {}, checked


class _Torch(_Framework):
    """Arguments are copied, so that no ``.grad`` of the caller's is touched."""

    def array(self, x: Any, like: Any) -> Any:
        if not isinstance(like, self.kind):
            return x
        made = self.module.as_tensor(np.array(x), device=like.device)
        return made.requires_grad_(like.is_floating_point())  # a gradient may differentiate f

    def plain(self, x: Any) -> Any:
        if not isinstance(x, self.kind):
            return x
        tensor: Any = x
        if tensor.dtype == self.module.bfloat16:
            raise DtypeError(
                "NumPy has no bfloat16, in which differences would tell nothing either: check with "
                "x.float() or x.double()"
            )
        return np.array(tensor.detach().cpu().numpy())

    def gradient(self, f: Function, args: tuple[Any, ...], keywords: Any, at: list[int]) -> Any:
        floating = [
            x
            for x in _leaves([args[i] for i in at])
            if isinstance(x, self.kind) and x.requires_grad  # type: ignore[attr-defined]
        ]
        value = f(*args, **keywords)
        if not getattr(value, "requires_grad", False):
            raise DerivativeError(
                f"PyTorch has no way back from what {function_name(f)} returns to its arguments: "
                "it went through numpy(), item(), detach() or torch.no_grad()"
            )
        found = self.module.autograd.grad(value, floating, allow_unused=True)
        by_tensor = {id(x): g for x, g in zip(floating, found, strict=True)}

        def grad(x: Any) -> Any:
            g = by_tensor.get(id(x))
            return self.module.zeros_like(x) if g is None and isinstance(x, self.kind) else g

        return tuple(_mapped(args[i], grad) for i in at)


class _Jax(_Framework):
    """In float64 where ``jax_enable_x64`` is set; otherwise JAX rounds everything to float32."""

    def array(self, x: Any, like: Any) -> Any:
        if not isinstance(like, self.kind):
            return x
        wide = self.module.config.jax_enable_x64
        return self.module.numpy.asarray(x if wide else np.asarray(x, like.dtype))  # type: ignore[attr-defined]

    def plain(self, x: Any) -> Any:
        return np.array(x) if isinstance(x, self.kind) else x

    def gradient(self, f: Function, args: tuple[Any, ...], keywords: Any, at: list[int]) -> Any:
        floating = [i for i in at if any(_is_float(x) for x in _leaves(args[i]))]
        found = self.module.grad(f, tuple(floating))(*args, **keywords)
        return tuple(found)


def _is_float(x: Any) -> bool:
    return np.asarray(x).dtype.kind == "f"


def _leaves(tree: Any) -> list[Any]:
    if isinstance(tree, dict):
        return [x for value in tree.values() for x in _leaves(value)]
    if isinstance(tree, (tuple, list)):
        return [x for value in tree for x in _leaves(value)]
    return [tree]


def _mapped(tree: Any, change: Callable[[Any], Any]) -> Any:
    return _together(tree, tree, lambda x, _: change(x))


def _together(x: Any, like: Any, change: Callable[[Any, Any], Any]) -> Any:
    if isinstance(like, dict):
        return {key: _together(x[key], like[key], change) for key in like}
    if isinstance(like, (tuple, list)):
        parts = [_together(a, b, change) for a, b in zip(x, like, strict=True)]
        return type(like)(*parts) if hasattr(like, "_fields") else type(like)(parts)
    return change(x, like)
