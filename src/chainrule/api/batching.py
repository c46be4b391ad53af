"""``vmap``: a function of one row as a function of many."""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.api.inputs import Function, name_of, returned
from chainrule.api.transformed import Transformed, check_function
from chainrule.core.batching import Batch
from chainrule.core.dispatch import FUNCTIONS
from chainrule.core.draws import Draws
from chainrule.core.record import (
    argument_paths,
    flatten_call,
    leaf_type,
    lift_output,
    named_arguments,
)
from chainrule.core.recording import Recording, recording
from chainrule.core.traced import Traced
from chainrule.core.tree import TreeDef, flatten
from chainrule.core.types import normalize_axis, type_of
from chainrule.errors import ShapeError, UsageError
from chainrule.ops.coerce import lift

Axes = list[int | None]


def vmap(f: Function, in_axes: Any = 0, out_axes: Any = 0) -> Function:
    """``f`` for many rows at once: ``vmap(f)(x)[i]`` is ``f(x[i])``, computed for all rows by the
    same operations with an axis more, not by a loop over rows.

    It nests with ``grad`` and its relatives, ``jit``, ``custom_gradient`` and itself: per-example
    gradients are ``vmap(grad(loss), in_axes=(None, 0, 0))(parameters, x, y)``.

    Args:
        f: a function of one row, to trees of arrays and numbers. It runs once, for all rows: a
            branch on a value that differs from row to row raises, write ``np.where``.
        in_axes: which axis of the arguments counts the rows: a number, negative ones from the end,
            or None for what each row gets whole. One for all arguments; or a tuple with one for
            each positional argument, keywords then being split along axis 0; or a dict by the
            names of the parameters, however they are passed. In place of a number may stand a tree
            that begins like the argument, with numbers where it ends.
        out_axes: where that axis stands in the results: a number, or a tree that begins like the
            result. None for what is the same in each row, which then gets no such axis.

    Returns:
        A function of the same arguments, strings, functions and the like being passed as they are.
        Element-wise operations give each row the bits that it has alone; products and sums may
        round in another order.

    Raises:
        UsageError: no argument is split into rows, or ``in_axes`` or ``out_axes`` do not fit.
        ShapeError: an argument lacks the axis, or two have different numbers of rows.
        UnknownValueError: ``f`` branches on the value of a row.

    Warns where ``f`` draws NumPy's random numbers, which all rows would share; ``cr.random`` with
    a key for each row draws anew.

    >>> vmap(np.dot, in_axes=(0, None))(np.eye(3), np.array([1.0, 2.0, 3.0]))
    array([1., 2., 3.])
    """
    check_function(f, "vmap")

    def call_rows(*args: Any, **keywords: Any) -> Any:
        leaves, call = flatten_call(args, keywords)
        axes = _in_axes(in_axes, f, call)
        size, axes = _rows(leaves, axes, f, call)

        def run(rec: Recording, outermost: bool) -> Any:
            batch = Batch(rec, size)
            with FUNCTIONS["watch"](rec, f"vmap runs once for all rows, and {name_of(f)}"):
                given = [
                    _renamed(x) if axis is None else batch.row(_rows_first(x, axis, rec, outermost))
                    for x, axis in zip(leaves, axes, strict=True)
                ]
                positional, named = call.unflatten(given)
                result = f(*positional, **named)
            return _results(result, batch, out_axes, f, outermost)

        with recording(eager=True) as (rec, outermost):
            draws = Draws(f, [args, keywords]) if outermost else None
            result = run(rec, outermost)
        if draws is not None:
            draws.warn(functools.partial(_again, run), "all rows of the batch (vmap) share them")
        return result

    return Transformed(f, vmap, {"in_axes": in_axes, "out_axes": out_axes}, call_rows)


def _again(run: Any) -> None:
    with recording(eager=True) as (rec, outermost):
        run(rec, outermost)


def _in_axes(in_axes: Any, f: Function, call: TreeDef) -> Axes:
    """The axis of each leaf of a call, as ``in_axes`` says."""
    count, arguments = len(call.children[0].children), named_arguments(f, call)
    if isinstance(in_axes, dict):
        names = [name for name, _ in arguments]
        unknown = [key for key in in_axes if key not in names]
        left = [name for name, tree in arguments if tree.count and name not in in_axes]
        if unknown:
            raise UsageError(
                f"in_axes names {unknown[0]!r}, but {name_of(f)} was called with "
                f"{', '.join(map(repr, names)) or 'nothing'}; an argument that is a dict takes a "
                "tuple: in_axes=({...},)"
            )
        if left:
            raise UsageError(
                f"in_axes does not name {left[0]!r}, an argument of {name_of(f)}: say 0 or None"
            )
        given = [in_axes.get(name) for name in names]
    elif isinstance(in_axes, (tuple, list)):
        if len(in_axes) != count:
            raise UsageError(
                f"in_axes has {len(in_axes)} entries, but {name_of(f)} was called with {count} "
                "positional arguments: one for each; keywords are split along axis 0, or named: "
                'in_axes={"x": 0, "w": None}'
            )
        given = [*in_axes, *[0] * (len(arguments) - count)]
    else:
        given = [in_axes] * len(arguments)
    pairs = zip(given, arguments, strict=True)
    return [
        _axis(axis, "in_axes")
        for one, (name, tree) in pairs
        for axis in tree.spread(one, f"in_axes of {name!r}")
    ]


def _axis(axis: Any, what: str) -> int | None:
    if axis is None:
        return None
    try:
        if isinstance(axis, (bool, np.bool_)):
            raise TypeError
        return operator.index(axis)
    except TypeError:
        raise UsageError(f"{what} takes numbers of axes and None, not {axis!r}") from None


def _rows(leaves: Sequence[Any], axes: Axes, f: Function, call: TreeDef) -> tuple[int, Axes]:
    """How many rows the arguments have, and along which axis of each, counted from the front."""
    size, first, found = None, "", []
    for i, (x, axis) in enumerate(zip(leaves, axes, strict=True)):
        if axis is None:
            found.append(None)
            continue
        label = f"argument {argument_paths(f, call)[i]!r} of {name_of(f)}"
        type_ = leaf_type(x, label)
        if not -type_.ndim <= axis < type_.ndim:
            raise ShapeError(
                f"{label}, {type_}, has no axis {axis} that counts rows: choose another with "
                "in_axes=, or None for what every row gets whole"
            )
        found.append(axis % type_.ndim)
        n = type_.shape[axis]
        if size is None:
            size, first = n, f"{label} has {n} rows along axis {axis}"
        elif n != size:
            raise ShapeError(f"{first}, but {label} has {n} along axis {axis}")
    if size is None:
        raise UsageError(
            f"vmap of {name_of(f)}: no argument is split into rows; in_axes must name an axis of "
            "one of them at least"
        )
    return size, found


def _renamed(x: Any) -> Any:
    return x.renamed() if isinstance(x, Traced) else x


def _rows_first(x: Any, axis: int, rec: Recording, outermost: bool) -> Traced:
    """An argument as an input of the recording, its rows along the first axis."""
    if outermost and not isinstance(x, Traced):
        value = np.moveaxis(np.array(x), axis, 0)
        value.flags.writeable = False
        return rec.input(type_of(value), value)
    return np.moveaxis(lift(x, rec), axis, 0)  # type: ignore[call-overload]


def _results(result: Any, batch: Batch, out_axes: Any, f: Function, outermost: bool) -> Any:
    """The result of one row, for all of them; a string stays as it is."""
    found, tree = flatten(result)
    axes = [_axis(axis, "out_axes") for axis in tree.spread(out_axes, "out_axes")]
    rec = batch.recording
    outputs = [None if isinstance(y, str) else lift_output(y, rec) for y in found]
    whole = iter(batch.of([y for y in outputs if y is not None]))
    results = []
    for y, one, axis in zip(found, outputs, axes, strict=True):
        if one is None:
            results.append(y)
            continue
        all_rows = next(whole)
        if axis is None:
            if all_rows is not None:
                raise UsageError(
                    f"out_axes=None for a result of {name_of(f)} that differs from row to row: say "
                    "along which axis the rows shall stand"
                )
            results.append(returned(one, not outermost))
            continue
        placed = all_rows if all_rows is not None else batch.repeated(one)
        to = normalize_axis(axis, placed.ndim, "out_axes")
        moved = np.moveaxis(placed, 0, to)  # type: ignore[call-overload]
        results.append(returned(moved, not outermost))
    return tree.unflatten(results)
