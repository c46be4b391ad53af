"""Whole derivatives, Jacobians and Hessians, and their products with vectors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.api.derivatives import grad, jvp, vjp, with_aux
from chainrule.api.inputs import (
    Argnames,
    Argnums,
    Function,
    Inputs,
    Wanted,
    at_place,
    float_output,
    is_plain,
    returned,
    returned_tree,
)
from chainrule.api.transformed import Transformed, check_function
from chainrule.autodiff import pullback, pushforward
from chainrule.core.record import lift_output
from chainrule.core.recording import Recording, recording
from chainrule.core.traced import Traced
from chainrule.core.tree import flatten
from chainrule.core.types import ArrayType
from chainrule.errors import UsageError


def jacobian(
    f: Function,
    argnums: Argnums = None,
    argnames: Argnames = None,
    *,
    mode: str | None = None,
    has_aux: bool = False,
) -> Function:
    """The Jacobian of ``f`` (L1.2).

    Args:
        f: returns a tree of floating arrays; with ``has_aux`` a pair of it and anything else.
        argnums, argnames: which arguments to differentiate by, as ``grad`` takes them.
        mode: "reverse", row by row; "forward", column by column; None: whichever are fewer.
        has_aux: whether ``f`` returns extra results, passed through: ``(jacobian, aux)``.

    Returns:
        A function of the same arguments: for an output of shape (a...) and an argument of shape
        (b...) an array of shape (a..., b...), in the tree of the output and then of the argument.

    Raises:
        DerivativeError: ``f`` returns integers or bools.
        DtypeError, UsageError: as of ``grad``; ``mode`` is something else.
    """
    check_function(f, "jacobian")
    if mode not in (None, "forward", "reverse"):
        raise UsageError(f'mode is "forward", "reverse" or None, not {mode!r}')
    wanted = Wanted(argnums, argnames)

    def call(*args: Any, **keywords: Any) -> Any:
        with recording(eager=True) as (rec, outermost):
            inputs = Inputs(f, args, keywords, wanted, rec, outermost)
            result, aux = f(*inputs.args, **inputs.keywords), None
            if has_aux:
                result, aux = with_aux(result, f)
            leaves, treedef = flatten(result)
            outputs = [float_output(lift_output(y, rec), f) for y in leaves]
            rows = sum(y.size for y in outputs)
            columns = sum(x.size for x in inputs.traced)
            fewer = "forward" if columns < rows else "reverse"
            build = _by_columns if (mode or fewer) == "forward" else _by_rows
            blocks = build(outputs, inputs.traced, rec)
            inputs.done()
            keep = not outermost
            plain = is_plain(inputs.leaves)
            found = treedef.unflatten(
                inputs.result(
                    [
                        returned(b, keep, like if plain and not b.shape else None)
                        for b, like in zip(row, inputs.leaves, strict=True)
                    ]
                )
                for row in blocks
            )
            return (found, returned_tree(aux, keep, plain)) if has_aux else found

    options = {"argnums": argnums, "argnames": argnames, "mode": mode, "has_aux": has_aux}
    return Transformed(f, jacobian, options, call)


def jacfwd(
    f: Function, argnums: Argnums = None, argnames: Argnames = None, *, has_aux: bool = False
) -> Function:
    """The Jacobian of ``f``, column by column in forward mode.

    Args:
        f, argnums, argnames, has_aux: as ``jacobian`` takes them.

    Returns:
        What ``jacobian`` returns, with the same errors.
    """
    check_function(f, "jacfwd")
    return jacobian(f, argnums, argnames, mode="forward", has_aux=has_aux)


def jacrev(
    f: Function, argnums: Argnums = None, argnames: Argnames = None, *, has_aux: bool = False
) -> Function:
    """The Jacobian of ``f``, row by row in reverse mode.

    Args:
        f, argnums, argnames, has_aux: as ``jacobian`` takes them.

    Returns:
        What ``jacobian`` returns, with the same errors.
    """
    check_function(f, "jacrev")
    return jacobian(f, argnums, argnames, mode="reverse", has_aux=has_aux)


def _unit(x: Traced, k: int, rec: Recording) -> Traced:
    unit = np.zeros(x.shape, x.dtype)
    unit.reshape(-1)[k] = 1
    return rec.capture(unit)


def _by_rows(outputs: list[Traced], inputs: list[Traced], rec: Recording) -> list[list[Any]]:
    blocks = []
    for y in outputs:
        rows = [pullback([y], [_unit(y, k, rec)], inputs) for k in range(y.size)]
        blocks.append(
            [
                _assemble([row[j] for row in rows], y.shape + x.shape, y.ndim, x, rec)
                for j, x in enumerate(inputs)
            ]
        )
    return blocks


def _by_columns(outputs: list[Traced], inputs: list[Traced], rec: Recording) -> list[list[Any]]:
    columns = []
    for x in inputs:
        units = [_unit(x, k, rec) for k in range(x.size)]
        columns.append([pushforward(outputs, [x], [unit]) for unit in units])
    blocks = []
    for i, y in enumerate(outputs):
        row = []
        for x, found in zip(inputs, columns, strict=True):
            parts = _assemble([c[i] for c in found], x.shape + y.shape, x.ndim, y, rec)
            axes = (*range(x.ndim, x.ndim + y.ndim), *range(x.ndim))
            row.append(np.transpose(parts, axes))  # type: ignore[call-overload]
        blocks.append(row)
    return blocks


def _assemble(parts: list[Any], shape: Any, ndim: int, like: Traced, rec: Recording) -> Any:
    if not parts:
        return rec.zeros(ArrayType(shape, like.dtype))
    filled = [p if p is not None else rec.zeros(like.type) for p in parts]
    if ndim == 0:
        return filled[0]
    return np.reshape(np.stack(filled), shape)  # type: ignore[call-overload]


def hessian(
    f: Function, argnums: Argnums = None, argnames: Argnames = None, *, has_aux: bool = False
) -> Function:
    """The matrix of second derivatives of a function that returns one number: forward mode over
    the gradient, column by column.

    Args:
        f: returns one real number; with ``has_aux`` a pair of it and anything else.
        argnums, argnames: which arguments to differentiate by, as ``grad`` takes them.
        has_aux: whether ``f`` returns extra results, passed through: ``(hessian, aux)``.

    Returns:
        A function of the same arguments: for an argument of shape (a...) an array of shape
        (a..., a...); for several arguments or leaves a block for each pair of them.

    Raises:
        DerivativeError, DtypeError, UsageError: as of ``grad``.
    """
    check_function(f, "hessian")
    gradient = grad(f, argnums, has_aux, argnames)
    return jacobian(gradient, argnums, argnames, mode="forward", has_aux=has_aux)


def hvp(
    f: Function,
    argnums: int | None = None,
    argnames: str | None = None,
    *,
    has_aux: bool = False,
) -> Function:
    """The product of the Hessian with a vector, without the Hessian: ``hvp(f)(x, v)``.

    Args:
        f: returns one real number; with ``has_aux`` a pair of it and anything else.
        argnums, argnames: the argument to differentiate by, one position or name.
        has_aux: whether ``f`` returns extra results, passed through: ``(product, aux)``.

    Returns:
        A function of the arguments of ``f`` and then the vector, the last positional argument,
        which has the tree, shapes and dtypes of the argument that is differentiated; so has the
        product. Forward over reverse mode: a small multiple of the cost of ``f``.

    Raises:
        UsageError: there is no such argument, or no vector.
        DerivativeError, DtypeError, ShapeError: as of ``grad`` and ``jvp``.
    """
    check_function(f, "hvp")
    options = {"argnums": argnums, "argnames": argnames}

    def product(part: Function, x: Any, v: Any, by: Any) -> Any:
        def gradient(x: Any) -> Any:
            return part(x, lambda g, *args, **named: grad(g, by[0], has_aux, by[1])(*args, **named))

        found = jvp(gradient, (x,), (v,), has_aux=has_aux)
        return (found[1], found[2]) if has_aux else found[1]

    return _product(f, hvp, options | {"has_aux": has_aux}, options, product)


def ggnvp(
    f: Function,
    loss: Function,
    argnums: int | None = None,
    argnames: str | None = None,
    *,
    has_aux: bool = False,
) -> Function:
    """The product of the generalised Gauss-Newton matrix of ``loss(f(x))`` with a vector:
    ``ggnvp(f, loss)(x, v)`` is Jᵀ H J v, with J the Jacobian of ``f`` and H the Hessian of
    ``loss`` at ``f(x)`` (Schraudolph, 2002).

    It is positive semidefinite where ``loss`` is convex, and the Hessian itself where ``f`` is
    linear or the residuals vanish.

    Args:
        f: returns a tree of floating arrays; with ``has_aux`` a pair of it and anything else.
        loss: takes that tree, returns one real number.
        argnums, argnames: the argument of ``f`` to differentiate by, one position or name.
        has_aux: whether ``f`` returns extra results, passed through: ``(product, aux)``.

    Returns:
        A function of the arguments of ``f`` and then the vector, as that of ``hvp``: a small
        multiple of the cost of both.

    Raises:
        As of ``hvp``.
    """
    check_function(f, "ggnvp")
    check_function(loss, "ggnvp")
    options = {"argnums": argnums, "argnames": argnames}

    def product(part: Function, x: Any, v: Any, by: Any) -> Any:
        def inner(x: Any) -> Any:
            return part(x, lambda f, *args, **named: f(*args, **named))

        y, t, *aux = jvp(inner, (x,), (v,), has_aux=has_aux)
        curved = jvp(grad(loss), (y,), (t,))[1]
        found = vjp(inner, x, has_aux=has_aux)[1](curved)[0]
        return (found, *aux) if has_aux else found

    return _product(f, ggnvp, options | {"loss": loss, "has_aux": has_aux}, options, product)


def _product(
    f: Function, make: Callable[..., Any], options: dict[str, Any], by: Any, product: Function
) -> Function:
    """A function of the arguments of ``f`` and then a vector. ``product(part, x, v, by)``:
    ``part(x, call)`` does ``call(f, ...)`` with x in the place of the one argument."""
    wanted = Wanted(by["argnums"], by["argnames"])
    if not wanted.single:
        raise UsageError(f"{make.__name__} differentiates by one argument, not {wanted.said}")

    def call(*args: Any, **keywords: Any) -> Any:
        if not args or (len(args) < 2 and not keywords):
            raise UsageError(f"{make.__name__}(f) takes the arguments of f and then the vector")
        primals, v = args[: len(args) - 1], args[len(args) - 1]
        (place,) = wanted.places(f, primals, keywords)

        def part(x: Any, called: Function) -> Any:
            filled, named = list(primals), dict(keywords)
            target: Any = filled if isinstance(place, int) else named
            target[place] = x
            return called(f, *filled, **named)

        at: Any = (place, None) if isinstance(place, int) else (None, place)
        return product(part, at_place(f, primals, keywords, place), v, at)

    made = Transformed(f, make, options, call)
    del made.__dict__["__wrapped__"]  # its signature is another
    return made
