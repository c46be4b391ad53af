"""Derivatives: ``grad`` and its relatives, in reverse and in forward mode."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from threading import Lock
from typing import Any

import numpy as np

from chainrule.api.inputs import (
    Argnums,
    Function,
    Inputs,
    described,
    float_output,
    is_plain,
    like_output,
    name_of,
    position_of,
    returned,
    returned_tree,
    scalar_output,
)
from chainrule.autodiff import pullback, pushforward
from chainrule.core.record import lift_output
from chainrule.core.recording import Recording, active, recording, resumed
from chainrule.core.traced import Traced
from chainrule.core.tree import flatten
from chainrule.core.types import ArrayType
from chainrule.errors import UsageError

# Reverse mode -----------------------------------------------------------------------------


def value_and_grad(f: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """The function that returns ``(f(*args), gradient)``.

    Args:
        f: returns one real number; with ``has_aux``, a pair (number, anything else).
        argnums: which positional arguments to differentiate: a number, or several.
        has_aux: whether ``f`` returns extra results, passed through: ``((value, aux), grad)``.

    The gradient has the tree, shapes and dtypes of the chosen argument, and is a tuple of
    them if ``argnums`` is one. It costs a small multiple of ``f`` however many entries the
    arguments have (L4.8).

    Raises:
        DerivativeError: ``f`` returns something else than one real number.
        DtypeError: an argument to differentiate is of integers, bools or complex.
    """

    @functools.wraps(f)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        with recording(eager=True) as (rec, outermost):
            inputs = Inputs(f, args, argnums, rec, outermost)
            result = f(*inputs.args, **kwargs)
            aux = None
            if has_aux:
                result, aux = _with_aux(result, f)
            y = scalar_output(result, f, rec)
            one = rec.constant(1.0, y.dtype)
            found = _filled(pullback([y], [one], inputs.traced), inputs, rec)
            keep = not outermost
            plain = is_plain(inputs.leaves)
            gradient = [
                returned(g, keep, like) for g, like in zip(found, inputs.leaves, strict=True)
            ]
            value = returned_tree(y, keep, plain)
            if has_aux:
                value = (value, returned_tree(aux, keep, plain))
            return value, inputs.result(gradient)

    return wrapped


def _with_aux(result: Any, f: Function) -> tuple[Any, Any]:
    if not isinstance(result, tuple) or len(result) != 2:
        raise UsageError(
            f"has_aux=True: {name_of(f)} must return a pair (number, extra), "
            f"not {described(result)}"
        )
    return result


def _filled(found: Sequence[Traced | None], inputs: Inputs, rec: Recording) -> list[Traced]:
    """Zeros where no gradient arrived."""
    return [
        g if g is not None else rec.zeros(x.type) for g, x in zip(found, inputs.traced, strict=True)
    ]


def grad(f: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """The gradient of ``f``, a function of the same arguments.

    >>> import chainrule as cr
    >>> cr.grad(lambda x: x**3)(2.0)
    12.0

    See ``value_and_grad`` for the arguments; with ``has_aux`` it returns (gradient, aux).
    """
    both = value_and_grad(f, argnums, has_aux)

    @functools.wraps(f)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        value, gradient = both(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return wrapped


def vjp(f: Function, *primals: Any) -> tuple[Any, Function]:
    """The value of ``f`` and its pullback: ``y, pull = vjp(f, *primals)``.

    ``pull(g)`` takes a cotangent with the tree, shapes and dtypes of ``y`` and returns the
    tuple of cotangents of the primals: g times the Jacobian (L1.2, the transposed form).
    """
    argnums = tuple(range(len(primals)))
    if not primals:
        raise UsageError("vjp needs at least one primal: cr.vjp(f, x)")
    rec = active()
    if rec is not None:
        inputs = Inputs(f, primals, argnums, rec, False)
        y = f(*inputs.args)
        return y, lambda g: inputs.result(_pull(y, g, inputs, rec, f))
    rec = Recording(eager=True)  # stays open for as long as the pullback lives
    with resumed(rec):
        inputs = Inputs(f, primals, argnums, rec, True)
        y = f(*inputs.args)
        leaves, treedef = flatten(y)
        outputs = [lift_output(leaf, rec) for leaf in leaves]
    shown = treedef.unflatten(returned_tree(outputs, False, is_plain(inputs.leaves)))
    saved = inputs.tree.unflatten([rec.values[x.node] for x in inputs.traced])

    mark, lock = rec.serial, Lock()  # several threads may pull through one recording

    def pull(g: Any) -> Any:
        if active() is not None:  # differentiated itself: record it in the recording around
            return vjp(f, *saved)[1](g)
        with lock, resumed(rec):
            try:
                found = _pull(treedef.unflatten(outputs), g, inputs, rec, f)
                results = [returned(x, False, z) for x, z in zip(found, inputs.leaves, strict=True)]
            finally:
                rec.forget_after(mark)
        return inputs.result(results)

    return shown, pull


def _pull(y: Any, g: Any, inputs: Inputs, rec: Recording, f: Function) -> list[Traced]:
    leaves, treedef = flatten(y)
    cotangents, gdef = flatten(g)
    if gdef != treedef:
        raise UsageError(f"the cotangent has the tree {gdef}, the output of {name_of(f)} {treedef}")
    outputs = [float_output(lift_output(leaf, rec), f) for leaf in leaves]
    gs = [
        like_output(c, x.type, rec, "cotangent") for c, x in zip(cotangents, outputs, strict=True)
    ]
    return _filled(pullback(outputs, gs, inputs.traced), inputs, rec)


# Forward mode -----------------------------------------------------------------------------


def jvp(f: Function, primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """The value of ``f`` and its directional derivative: ``y, t = jvp(f, (x,), (v,))``.

    ``tangents`` has the trees, shapes and dtypes of ``primals``; t those of y: the Jacobian
    times v, at about twice the cost of ``f`` and without storing intermediate values.
    """
    if not isinstance(primals, (tuple, list)) or not isinstance(tangents, (tuple, list)):
        raise UsageError("jvp takes tuples: cr.jvp(f, (x,), (v,))")
    primals = tuple(primals)
    with recording(eager=True) as (rec, outermost):
        inputs = Inputs(f, primals, tuple(range(len(primals))), rec, outermost)
        given, tdef = flatten(tuple(tangents))
        if tdef != inputs.tree:
            raise UsageError(f"tangents have the tree {tdef}, primals {inputs.tree}")
        ts = [
            like_output(t, x.type, rec, "tangent")
            for t, x in zip(given, inputs.traced, strict=True)
        ]
        y = f(*inputs.args)
        leaves, treedef = flatten(y)
        outputs = [lift_output(leaf, rec) for leaf in leaves]
        found = [
            t if t is not None else rec.zeros(x.type)
            for t, x in zip(pushforward(outputs, inputs.traced, ts), outputs, strict=True)
        ]
        plain = is_plain(inputs.leaves)
        keep = not outermost
        return (
            treedef.unflatten(returned_tree(outputs, keep, plain)),
            treedef.unflatten(returned_tree(found, keep, plain)),
        )


def jacobian(f: Function, argnums: Argnums = 0) -> Function:
    """The Jacobian of ``f``: for an output of shape (a...) and an argument of shape (b...) an
    array of shape (a..., b...), in the tree of the output and then of the argument.

    Row by row in reverse mode, or column by column in forward mode, whichever is fewer.
    """

    @functools.wraps(f)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        with recording(eager=True) as (rec, outermost):
            inputs = Inputs(f, args, argnums, rec, outermost)
            leaves, treedef = flatten(f(*inputs.args, **kwargs))
            outputs = [float_output(lift_output(y, rec), f) for y in leaves]
            rows = sum(y.size for y in outputs)
            columns = sum(x.size for x in inputs.traced)
            build = _by_columns if columns < rows else _by_rows
            blocks = build(outputs, inputs.traced, rec)
            keep = not outermost
            plain = is_plain(inputs.leaves)
            return treedef.unflatten(
                inputs.result(
                    [
                        returned(b, keep, like if plain and not b.shape else None)
                        for b, like in zip(row, inputs.leaves, strict=True)
                    ]
                )
                for row in blocks
            )

    return wrapped


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


def hessian(f: Function, argnums: Argnums = 0) -> Function:
    """The matrix of second derivatives of a function that returns one number: for an
    argument of shape (a...) an array of shape (a..., a...)."""
    return jacobian(grad(f, argnums), argnums)


def hvp(f: Function, argnums: int = 0) -> Function:
    """The product of the Hessian with a vector, without the Hessian: ``hvp(f)(x, v)``.

    The vector comes last and has the tree, shapes and dtypes of the argument that is
    differentiated. Forward over reverse mode: a small multiple of the cost of ``f``.
    """

    @functools.wraps(f)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if len(args) < 2:
            raise UsageError("hvp(f) takes the arguments of f and then the vector")
        *primals, v = args
        position = position_of(f, argnums, tuple(primals))

        def gradient(x: Any) -> Any:
            filled = (*primals[:position], x, *primals[position + 1 :])
            return grad(f, position)(*filled, **kwargs)

        return jvp(gradient, (primals[position],), (v,))[1]

    return wrapped
