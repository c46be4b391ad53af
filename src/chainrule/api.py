"""The transformations that users call: grad and its relatives, jit, trace.

Each takes a function written with NumPy and returns a function of the same arguments.
Arguments may be trees (nested tuples, lists, dicts, frozen dataclasses) of arrays. They nest
in any order. float32 and float64 are kept as given.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any, Protocol, cast

import numpy as np

from chainrule import run
from chainrule.autodiff import pullback, pushforward
from chainrule.compile import Passes, passes_of
from chainrule.core.graph import Graph
from chainrule.core.record import argument_paths, leaf_type, lift_output, record
from chainrule.core.recording import Recording, active, recording, resumed
from chainrule.core.traced import Traced, is_weak
from chainrule.core.tree import TreeDef, flatten
from chainrule.core.types import ArrayType
from chainrule.errors import DerivativeError, DtypeError, ShapeError, UsageError
from chainrule.ops.coerce import lift
from chainrule.ops.structure import UserRule, custom
from chainrule.ops.structure import stop_gradient as _stop

Function = Callable[..., Any]
Argnums = int | Sequence[int]


# What goes in and what comes out ----------------------------------------------------------


class _Inputs:
    """The arguments to differentiate, as fresh inputs of a recording."""

    def __init__(
        self, f: Function, args: tuple[Any, ...], argnums: Argnums, rec: Recording, outermost: bool
    ) -> None:
        self.single = isinstance(argnums, (int, np.integer))
        numbers = (argnums,) if isinstance(argnums, (int, np.integer)) else tuple(argnums)
        self.positions = [_position(f, int(n), args) for n in numbers]
        chosen = tuple(args[i] for i in self.positions)
        self.leaves, self.tree = flatten(chosen)
        labels = argument_paths(f, args)
        self.labels = _labels_of(labels, args, self.positions)
        for leaf, label in zip(self.leaves, self.labels, strict=True):
            _check_differentiable(leaf, label, f)
        self.traced = [
            _fresh(leaf, label, rec, outermost)
            for leaf, label in zip(self.leaves, self.labels, strict=True)
        ]
        filled = list(args)
        for i, tree in zip(self.positions, self.tree.unflatten(self.traced), strict=True):
            filled[i] = tree
        self.args = tuple(filled)

    def result(self, found: Sequence[Any]) -> Any:
        """Derivatives in the shape of the arguments: one tree, or a tuple of trees."""
        trees = self.tree.unflatten(found)
        return trees[0] if self.single else tuple(trees)


def _position(f: Function, n: int, args: tuple[Any, ...]) -> int:
    if not -len(args) <= n < len(args):
        raise UsageError(
            f"argnums={n}, but {_name(f)} was called with {len(args)} positional argument"
            f"{'s' * (len(args) != 1)}; what is differentiated must be passed by position"
        )
    return n % len(args)


def _labels_of(labels: list[str], args: tuple[Any, ...], positions: list[int]) -> list[str]:
    counts = [len(flatten(arg)[0]) for arg in args]
    found = []
    for i in positions:
        start = sum(counts[:i])
        found += labels[start : start + counts[i]]
    return found


def _name(f: Function) -> str:
    return getattr(f, "__name__", "the function")


def _check_differentiable(leaf: Any, label: str, f: Function) -> None:
    if isinstance(leaf, (bool, int)) and not isinstance(leaf, np.generic):
        kind = type(leaf).__name__
    else:
        if isinstance(leaf, complex) or np.iscomplexobj(leaf):
            raise DtypeError(
                f"argument {label!r} of {_name(f)} is complex; chainrule differentiates real "
                "numbers: pass the real and the imaginary part as two arguments"
            )
        dtype = leaf_type(leaf, f"argument {label!r} of {_name(f)}").dtype
        if dtype.kind == "f":
            return
        kind = dtype.name
    raise DtypeError(
        f"argument {label!r} of {_name(f)} is {kind}, which has no derivative: integers and "
        "bools move in jumps. Pass a float (3.0 instead of 3, x.astype(float)), or choose other "
        "arguments with argnums="
    )


def _fresh(leaf: Any, label: str, rec: Recording, outermost: bool) -> Traced:
    if outermost and not isinstance(leaf, Traced):
        value = np.array(leaf)
        value.flags.writeable = False
        return rec.input(leaf_type(value), value, label).like(leaf)
    return rec.fresh(lift(leaf, rec)).like(leaf)


def _scalar(y: Any, f: Function, rec: Recording) -> Traced:
    """The output of a function whose gradient is asked, checked to be one real number."""
    leaves, _ = flatten(y)
    if len(leaves) != 1 or not isinstance(y, (Traced, np.ndarray, np.generic, int, float)):
        raise DerivativeError(
            f"the gradient of {_name(f)} needs a single number, but it returned "
            f"{_describe(y)}; return the loss alone, or (loss, extra) with has_aux=True"
        )
    y = lift_output(y, rec)
    if y.shape != ():
        raise DerivativeError(
            f"the gradient of {_name(f)} needs a single number, but it returned {y.type}; sum or "
            "average it, or ask for cr.jacobian"
        )
    return _float_output(y, f)


def _describe(y: Any) -> str:
    kind = type(y).__name__
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}" if y is not None else "None"


def _float_output(y: Traced, f: Function) -> Traced:
    if not y.type.is_float:
        raise DerivativeError(
            f"{_name(f)} returned {y.type}, which has no derivative: integers and bools move in "
            "jumps. Keep its result floating"
        )
    return y


def _value(x: Traced) -> np.ndarray:
    """The number behind a node, as an array that shares memory with nothing."""
    value = x.recording.value(x.node)
    assert value is not None
    return np.array(value)


def _out(x: Any, keep: bool, like: Any = None) -> Any:
    """A result as the caller sees it: traced while nested, else an array or a number."""
    if not isinstance(x, Traced):
        return x
    if keep and not x.node.is_constant:
        return x.like(like)
    value = _value(x)
    if is_weak(like):
        return float(value)
    if isinstance(like, np.ndarray):
        return value
    return value[()]


def _is_plain(leaves: Sequence[Any]) -> bool:
    return bool(leaves) and all(map(is_weak, leaves))


def _out_tree(tree: Any, keep: bool, plain: bool) -> Any:
    leaves, treedef = flatten(tree)
    like = 0.0 if plain else None
    return treedef.unflatten(
        _out(
            x,
            keep,
            like if isinstance(x, Traced) and x.dtype == np.float64 and not x.shape else None,
        )
        for x in leaves
    )


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
            inputs = _Inputs(f, args, argnums, rec, outermost)
            result = f(*inputs.args, **kwargs)
            aux = None
            if has_aux:
                result, aux = _with_aux(result, f)
            y = _scalar(result, f, rec)
            one = rec.constant(1.0, y.dtype)
            found = _filled(pullback([y], [one], inputs.traced), inputs, rec)
            keep = not outermost
            plain = _is_plain(inputs.leaves)
            gradient = [_out(g, keep, like) for g, like in zip(found, inputs.leaves, strict=True)]
            value = _out_tree(y, keep, plain)
            if has_aux:
                value = (value, _out_tree(aux, keep, plain))
            return value, inputs.result(gradient)

    return wrapped


def _with_aux(result: Any, f: Function) -> tuple[Any, Any]:
    if not isinstance(result, tuple) or len(result) != 2:
        raise UsageError(
            f"has_aux=True: {_name(f)} must return a pair (number, extra), not {_describe(result)}"
        )
    return result


def _filled(found: Sequence[Traced | None], inputs: _Inputs, rec: Recording) -> list[Traced]:
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
        inputs = _Inputs(f, primals, argnums, rec, False)
        y = f(*inputs.args)
        return y, lambda g: inputs.result(_pull(y, g, inputs, rec, f))
    rec = Recording(eager=True)  # stays open for as long as the pullback lives
    with resumed(rec):
        inputs = _Inputs(f, primals, argnums, rec, True)
        y = f(*inputs.args)
        leaves, treedef = flatten(y)
        outputs = [lift_output(leaf, rec) for leaf in leaves]
    shown = treedef.unflatten(_out_tree(outputs, False, _is_plain(inputs.leaves)))
    saved = inputs.tree.unflatten([rec.values[x.node] for x in inputs.traced])

    mark, lock = rec.serial, Lock()  # several threads may pull through one recording

    def pull(g: Any) -> Any:
        if active() is not None:  # differentiated itself: record it in the recording around
            return vjp(f, *saved)[1](g)
        with lock, resumed(rec):
            try:
                found = _pull(treedef.unflatten(outputs), g, inputs, rec, f)
                results = [_out(x, False, z) for x, z in zip(found, inputs.leaves, strict=True)]
            finally:
                rec.forget_after(mark)
        return inputs.result(results)

    return shown, pull


def _pull(y: Any, g: Any, inputs: _Inputs, rec: Recording, f: Function) -> list[Traced]:
    leaves, treedef = flatten(y)
    cotangents, gdef = flatten(g)
    if gdef != treedef:
        raise UsageError(f"the cotangent has the tree {gdef}, the output of {_name(f)} {treedef}")
    outputs = [_float_output(lift_output(leaf, rec), f) for leaf in leaves]
    gs = [_like(c, x.type, rec, "cotangent") for c, x in zip(cotangents, outputs, strict=True)]
    return _filled(pullback(outputs, gs, inputs.traced), inputs, rec)


def _like(x: Any, type: ArrayType, rec: Recording, what: str) -> Traced:
    found = lift(x, rec, type.dtype if not hasattr(x, "dtype") else None)
    if found.shape != type.shape:
        raise ShapeError(f"the {what} has shape {found.shape}, it must have {type.shape}")
    if found.dtype != type.dtype:
        raise DtypeError(f"the {what} has dtype {found.dtype}, it must have {type.dtype}")
    return found


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
        inputs = _Inputs(f, primals, tuple(range(len(primals))), rec, outermost)
        given, tdef = flatten(tuple(tangents))
        if tdef != inputs.tree:
            raise UsageError(f"tangents have the tree {tdef}, primals {inputs.tree}")
        ts = [_like(t, x.type, rec, "tangent") for t, x in zip(given, inputs.traced, strict=True)]
        y = f(*inputs.args)
        leaves, treedef = flatten(y)
        outputs = [lift_output(leaf, rec) for leaf in leaves]
        found = [
            t if t is not None else rec.zeros(x.type)
            for t, x in zip(pushforward(outputs, inputs.traced, ts), outputs, strict=True)
        ]
        plain = _is_plain(inputs.leaves)
        keep = not outermost
        return (
            treedef.unflatten(_out_tree(outputs, keep, plain)),
            treedef.unflatten(_out_tree(found, keep, plain)),
        )


# Whole derivatives ------------------------------------------------------------------------


def jacobian(f: Function, argnums: Argnums = 0) -> Function:
    """The Jacobian of ``f``: for an output of shape (a...) and an argument of shape (b...) an
    array of shape (a..., b...), in the tree of the output and then of the argument.

    Row by row in reverse mode, or column by column in forward mode, whichever is fewer.
    """

    @functools.wraps(f)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        with recording(eager=True) as (rec, outermost):
            inputs = _Inputs(f, args, argnums, rec, outermost)
            leaves, treedef = flatten(f(*inputs.args, **kwargs))
            outputs = [_float_output(lift_output(y, rec), f) for y in leaves]
            rows = sum(y.size for y in outputs)
            columns = sum(x.size for x in inputs.traced)
            build = _by_columns if columns < rows else _by_rows
            blocks = build(outputs, inputs.traced, rec)
            keep = not outermost
            plain = _is_plain(inputs.leaves)
            return treedef.unflatten(
                inputs.result(
                    [
                        _out(b, keep, like if plain and not b.shape else None)
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
        position = _position(f, argnums, tuple(primals))

        def gradient(x: Any) -> Any:
            filled = (*primals[:position], x, *primals[position + 1 :])
            return grad(f, position)(*filled, **kwargs)

        return jvp(gradient, (primals[position],), (v,))[1]

    return wrapped


# Stating and stopping gradients -----------------------------------------------------------


def stop_gradient(x: Any) -> Any:
    """``x`` as a constant: the same values, through which no gradient flows. Takes trees."""
    leaves, treedef = flatten(x)
    return treedef.unflatten(_stop(x).like(x) if isinstance(x, Traced) else x for x in leaves)


def custom_gradient(f: Function) -> Function:
    """State the gradient yourself: ``f(*args)`` returns ``(y, vjp)``, and ``vjp(g)`` the
    cotangents of the arguments (one, or a tuple of them; None for zero).

    It is used instead of differentiating ``f``; written with NumPy, it can itself be
    differentiated again.

    >>> @custom_gradient
    ... def log1pexp(x):
    ...     e = np.exp(x)
    ...     return np.log(1 + e), lambda g: g * (1 - 1 / (1 + e))
    """

    @functools.wraps(f)
    def wrapped(*args: Any) -> Any:
        leaves, in_tree = flatten(args)
        if not any(isinstance(x, Traced) for x in leaves):
            return f(*args)[0]
        result = f(*args)
        if not isinstance(result, tuple) or len(result) != 2 or not callable(result[1]):
            raise UsageError(f"{_name(f)} must return (value, vjp) under custom_gradient")
        y, back = result
        rec = next(x.recording for x in leaves if isinstance(x, Traced))
        outputs, out_tree = flatten(y)
        ys = [lift_output(value, rec) for value in outputs]
        xs = [x for x in leaves if isinstance(x, Traced)]
        made = []
        for k, value in enumerate(ys):
            rule = UserRule.make(_name(f), _user_vjp(f, back, k, ys, out_tree, args, in_tree))
            made.append(custom(_stop(value), *xs, rule=rule))
        return out_tree.unflatten(made)

    return wrapped


def _user_vjp(
    f: Function,
    back: Function,
    k: int,
    ys: list[Traced],
    out_tree: TreeDef,
    args: Any,
    in_tree: Any,
) -> Function:
    def pull(g: Traced, xs: Sequence[Traced]) -> list[Any]:
        gs = [g if i == k else y.recording.zeros(y.type) for i, y in enumerate(ys)]
        found = back(out_tree.unflatten(gs))
        found = found if isinstance(found, tuple) and len(args) != 1 else (found,)
        if len(args) == 1 and isinstance(found[0], tuple) and not isinstance(args[0], tuple):
            (found,) = found
        if len(found) != len(args):
            raise UsageError(
                f"the vjp of {_name(f)} returned {len(found)} cotangents for {len(args)} arguments"
            )
        parts: list[Any] = []
        for cotangent, arg in zip(found, args, strict=True):
            leaves, _ = flatten(arg)
            given = [None] * len(leaves) if cotangent is None else flatten(cotangent)[0]
            if len(given) != len(leaves):
                raise UsageError(f"the vjp of {_name(f)} returned a tree unlike its argument")
            for c, leaf in zip(given, leaves, strict=True):
                if isinstance(leaf, Traced):
                    parts.append(
                        None if c is None else _like(c, leaf.type, g.recording, "cotangent")
                    )
        return parts

    return pull


# Graphs -----------------------------------------------------------------------------------


def trace(f: Function) -> Callable[..., Graph]:
    """The function that records ``f``: ``trace(f)(x)`` is its ``Graph`` for arguments of
    these types, which prints as text.

    >>> print(trace(lambda x: np.sin(x) * 2)(1.0))  # doctest: +SKIP
    """

    def traced(*args: Any) -> Graph:
        return record(f, *args).graph

    return traced


class Jitted(Protocol):
    """A function that runs as a graph; ``passes(*args)`` is what the compiler does to it for
    arguments of these types: ``Passes``, which prints as a table."""

    def __call__(self, *args: Any) -> Any: ...
    def passes(self, *args: Any) -> Passes: ...


def jit(f: Function, executor: str | None = None, threads: int | None = None) -> Jitted:
    """``f`` recorded once for each combination of argument types and run as a graph.

    Inside another transformation it is recorded along with it. Arguments are arrays, numbers
    and trees of them; a branch on their values raises ``UnknownValueError``.

    ``jit(f).passes(*args)`` runs nothing: it shows the stability rewrites and the compiler's
    passes, with the graph before and after each.

    Parameters:
        executor: "native" (machine code, the default where llvmlite is installed) or "numpy".
        threads: how many may share the work in machine code; None for as many as are worth it.
            The bits of the result do not depend on it.

    >>> print(jit(lambda x: 1 / (1 + np.exp(-x))).passes(0.5))
    operations of f before and after each pass of jit and fit
      stability       4 -> 1      put formulas in a form that stays finite, while recording
               1 x logistic            1 / (1 + exp(-a)) -> logistic(a)
      unwrap          1 -> 1      drop copies and stopped gradients
      fold            1 -> 1      compute constant scalars
      algebra         1 -> 1      drop factors of 1, join signs and views, repeat numbers last
    """
    known: dict[Any, tuple[run.Compiled, bool]] = {}
    quick: dict[Any, Function] = {}
    run.check_threads(threads)

    @functools.wraps(f)
    def wrapped(*args: Any) -> Any:
        if active() is not None:  # f may also close over traced values of that recording
            return f(*args)
        signature = _signature(args)
        found = quick.get(signature)
        if found is not None:
            return found(args)
        leaves, treedef = flatten(args)
        types = tuple(leaf_type(x, f"an argument of {_name(f)}") for x in leaves)
        key = (treedef, types, tuple(map(is_weak, leaves)))
        made = known.get(key)
        if made is None:
            compiled = run.compile(f, *args, executor=executor, threads=threads)
            made = known[key] = compiled, _is_plain(leaves)
        compiled, plain = made
        if None not in signature:
            quick[signature] = _quick(compiled, plain)
        results = compiled.flat([np.asarray(x) for x in leaves])
        return compiled.out_tree.unflatten([_number(y, plain) for y in results])

    wrapped.passes = functools.partial(passes_of, f)  # type: ignore[attr-defined]
    return cast(Jitted, wrapped)


def _signature(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """What decides how ``jit`` runs plain arguments: for floats their type, for arrays shape and
    dtype; None where it takes a closer look."""
    return tuple(
        [
            (x.shape, x.dtype) if type(x) is np.ndarray else float if type(x) is float else None
            for x in args
        ]
    )


def _quick(compiled: run.Compiled, plain: bool) -> Function:
    """What ``jit`` calls when it has seen such arguments before: checks and trees take longer
    than a small function itself."""
    flat, tree = compiled.flat, compiled.out_tree
    numbers = getattr(flat, "numbers", None) or (lambda args: flat([np.asarray(x) for x in args]))
    leaf = tree.kind == "leaf"
    row = tree.kind is tuple and all(child.kind == "leaf" for child in tree.children)

    def call(args: tuple[Any, ...]) -> Any:
        results: list[Any] = numbers(args)
        for i, y in enumerate(results):
            kind = type(y)
            if kind is np.float64:
                if plain:
                    results[i] = float(y)
            elif kind is np.ndarray and not y.ndim:
                results[i] = _number(y, plain)
        return results[0] if leaf else tuple(results) if row else tree.unflatten(results)

    return call


def _number(y: Any, plain: bool) -> Any:
    """An array without axes as a number; Python's, where only such came in."""
    if type(y) is np.ndarray:
        if y.ndim:
            return y
        y = y[()]
    return float(y) if plain and type(y) is np.float64 else y


__all__ = [
    "custom_gradient",
    "grad",
    "hessian",
    "hvp",
    "jacobian",
    "jit",
    "jvp",
    "stop_gradient",
    "trace",
    "value_and_grad",
    "vjp",
]
