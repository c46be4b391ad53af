"""Loops: ``scan``, ``fori_loop``, ``while_loop``, and ``remat``.

On values they are Python's own loops. While a function is recorded for all values at once
(``jit``, ``trace``, ``fit``) each is one step of the graph, whose body is a graph: recorded once,
whatever the number of turns, and differentiated by differentiating the body.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.api.inputs import Function, described, name_of
from chainrule.api.transformed import check_function
from chainrule.core.dispatch import FUNCTIONS
from chainrule.core.frames import users_line
from chainrule.core.record import leaf_type, lift_output
from chainrule.core.recording import Recording, active, quiet
from chainrule.core.traced import Traced, is_weak
from chainrule.core.tree import TreeDef, flatten
from chainrule.core.types import array_type
from chainrule.core.unknown import made_at
from chainrule.errors import DtypeError, ShapeError, UsageError
from chainrule.ops import structure
from chainrule.ops.coerce import lift
from chainrule.ops.control import Loop, body_of, segmented

Recompute = str | int


def scan(
    f: Callable[[Any, Any], tuple[Any, Any]],
    carry: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
    recompute: Recompute = "none",
) -> tuple[Any, Any]:
    """The loop ``carry, y = f(carry, x)`` over the entries of ``xs``; returns the last carry and
    all y.

    Args:
        f: takes the carry and an entry of ``xs``, returns a pair of the next carry, of the same
            tree, shapes and dtypes, and of a tree of arrays or None.
        carry: a tree of arrays and numbers. Numbers take the dtype that a turn gives them.
        xs: a tree of arrays whose first axis is that of the turns; None: ``f`` gets None.
        length: the number of turns; needed only where ``xs`` has no arrays.
        reverse: run from the last entry to the first; y keeps the place of its x.
        recompute: what the derivative of a recorded loop of T turns stores. "none": of each turn
            the carry and the products, sums and the like that its derivative reads. A number n: the
            carry of every n-th turn, T/n of them, and what is read of n turns; the turns in between
            run twice. "sqrt": that for n = √T, the least memory of these.

    Returns:
        The carry, and the tree of y, each with a first axis of turns.

    Raises:
        ShapeError, DtypeError, UsageError: the carry comes out of a turn as another tree, shape or
            dtype than it went in, naming the leaf and the line that made it; the first axes of xs
            differ.

    >>> scan(lambda c, x: (c + x, c * x), 0.0, np.array([1.0, 2.0, 3.0]))
    (np.float64(6.0), array([0., 2., 9.]))
    """
    check_function(f, "scan")
    leaves, tree = flatten(xs)
    leaves = [x if isinstance(x, Traced) else np.asarray(x) for x in leaves]
    length = _length(leaves, tree, length)
    turns = _turns_kept(recompute, length)
    recording = active()
    if recording is not None and not recording.eager:
        return _recorded(f, carry, leaves, tree, length, reverse, turns, recording)
    ys: list[Any] = [None] * length
    shape: TreeDef | None = None
    for t in reversed(range(length)) if reverse else range(length):
        entries = tree.unflatten(_own(x[t]) for x in leaves)
        found, y = _pair(f, f(_owned(carry), entries))
        _check_carry(carry, found, name_of(f))
        carry = found
        ys[t], shape = flatten(y)
    if shape is None:
        with quiet():  # nothing but the shapes of its results is asked
            _, y = _pair(f, f(carry, tree.unflatten(_like_an_entry(x) for x in leaves)))
        parts, shape = flatten(y)
        return carry, shape.unflatten(np.zeros((0, *np.shape(p)), _dtype(p)) for p in parts)
    return carry, shape.unflatten(_stacked(column) for column in zip(*ys, strict=True))


def _own(x: Any) -> Any:
    """``x`` for a function that may write into it: the caller's stays as it is."""
    if type(x) is Traced:
        return x.renamed()
    return x.copy() if isinstance(x, np.ndarray) else x


def _owned(tree: Any, static: bool = False) -> Any:
    leaves, shape = flatten(tree, static=static)
    return shape.unflatten(map(_own, leaves))


def _stacked(column: Sequence[Any]) -> Any:
    """The ys of all turns; Python numbers among them take the dtype of the others."""
    numbers = {_dtype(x) for x in column if is_weak(x)}
    others = {_dtype(x) for x in column if not is_weak(x)}
    if numbers and others:
        dtype = np.result_type(*others, *[x.type(0).item() for x in numbers])
        column = [
            lift(x, x.recording, dtype) if type(x) is Traced else dtype.type(x) if is_weak(x) else x
            for x in column
        ]
    return np.stack(column)  # type: ignore[arg-type]


def _dtype(x: Any) -> Any:
    return x.dtype if hasattr(x, "dtype") else np.asarray(x).dtype


def _like_an_entry(x: Any) -> Any:
    return np.ones(x.shape[1:], x.dtype)[()]


def _length(leaves: Sequence[Any], tree: TreeDef, length: int | None) -> int:
    """How many turns there are.

    Raises:
        ShapeError, UsageError: nothing says it, or two things do differently.
    """
    if length is not None and not _is_count(length):
        raise UsageError(f"length is the number of turns, an integer, not {described(length)}")
    if length is not None and length < 0:
        raise UsageError(f"length is the number of turns, 0 or more, not {length}")
    found: dict[int, str] = {} if length is None else {int(length): "length="}
    for x, path in zip(leaves, tree.paths("xs"), strict=True):
        if not x.shape:
            raise ShapeError(f"{path} ({users_line()}) has no axis to loop over: it is one number")
        found.setdefault(x.shape[0], path)
    if not found:
        raise UsageError(f"a scan without xs needs length= ({users_line()})")
    if len(found) > 1:
        said = ", ".join(f"{path} says {n}" for n, path in found.items())
        raise ShapeError(f"the number of turns is not clear ({users_line()}): {said}")
    return next(iter(found))


def _is_count(x: Any) -> bool:
    """Whether ``x`` is a plain integer: a traced one only looks like it."""
    return type(x) is int or issubclass(type(x), np.integer)


def _turns_kept(recompute: Recompute, length: int) -> int | None:
    """How many turns are computed again at once; None where none is."""
    if recompute == "none":
        return None
    if recompute == "sqrt":
        return max(1, math.isqrt(max(length - 1, 0)) + 1)
    if not _is_count(recompute) or int(recompute) < 1:
        raise UsageError(
            f'recompute is "none", "sqrt" or a number of turns from 1 on, not {recompute!r}'
        )
    return max(1, min(int(recompute), length))


def _pair(f: Function, result: Any) -> tuple[Any, Any]:
    if not isinstance(result, tuple) or len(result) != 2:
        raise UsageError(
            f"{name_of(f)} must return a pair (carry, y) under scan, with None for y if there is "
            f"none; it returned {described(result)}"
        )
    return result


def _check_carry(before: Any, after: Any, name: str) -> None:
    """Refuse a carry that a turn gave another tree, shape or dtype.

    Raises:
        UsageError, ShapeError, DtypeError: naming the leaf and the line that made it.
    """
    (old, tree), (new, other) = flatten(before), flatten(after)
    if tree != other:
        raise UsageError(
            f"the carry goes into {name} as {tree} and comes out as {other} ({users_line()}): "
            "each turn must return it as it gets it"
        )
    for x, y, path in zip(old, new, tree.paths("carry"), strict=True):
        if np.shape(x) == np.shape(y) and (is_weak(x) or _dtype(x) == _dtype(y)):
            continue
        line = f", made at {made_at(y)}" if isinstance(y, Traced) else ""
        kind = ShapeError if np.shape(x) != np.shape(y) else DtypeError
        raise kind(
            f"{path} goes into {name} as {_shown(x)} and comes out as {_shown(y)}{line} "
            f"({users_line()}): each turn must return the carry as it gets it"
        )


def _shown(x: Any) -> str:
    return str(array_type(np.shape(x), _dtype(x)))


# recording --------------------------------------------------------------------------------


def _recorded(
    f: Function,
    carry: Any,
    xs: Sequence[Any],
    shape: TreeDef,
    length: int | None,
    reverse: bool,
    turns: int | None,
    recording: Recording,
    stops: bool = False,
) -> tuple[Any, Any]:
    given, tree = flatten(carry)
    for x in given:
        leaf_type(x, "a part of a loop's carry")
    start = [lift(x, recording).standing_for(x) for x in given]
    rows = [lift(x, recording) for x in xs]
    while True:
        inputs = [recording.input(x.type, name="carry").standing_for(x) for x in start]
        entries = [recording.input(array_type(x.shape[1:], x.dtype), name="x") for x in rows]
        with FUNCTIONS["watch"](recording, f"the body of a loop, {name_of(f)},"):
            handed = [[x.renamed() for x in row] for row in (inputs, entries)]
            result = f(tree.unflatten(handed[0]), shape.unflatten(handed[1]))
        found, y = _pair(f, result)
        recording.spent.update([x.node for x in [*inputs, *entries]])
        stronger = _promoted(start, found, tree, recording)
        if stronger is None:
            break
        start = stronger
    _check_carry(tree.unflatten(start), found, name_of(f))
    parts, y_tree = flatten(y)
    outputs = [lift_output(x, recording) for x in (*flatten(found)[0], *parts)]
    made: list[Traced] = []
    if outputs:
        body = body_of(recording, [*inputs, *entries], outputs, "turn")
        loop = Loop(body.graph, body.consts, start, rows, length, reverse, stops=stops)
        made = loop.emit(recording) if turns is None else segmented(loop, turns, recording)
    last = [y.like(x) for y, x in zip(made, start, strict=False)]
    return tree.unflatten(last), y_tree.unflatten(made[len(start) :])


_TO_FLOAT = (np.dtype(int), np.dtype(float))  # of Python numbers: only so can one become another


def _promoted(
    start: Sequence[Traced], found: Any, tree: TreeDef, recording: Recording
) -> list[Traced] | None:
    """The first carry, where a number in it takes the dtype of what a turn returns; None where
    there is none such."""
    after, other = flatten(found)
    if other != tree:
        return None
    result = [
        lift(x, recording, _dtype(y)).like(y)
        if is_weak(x) and (not is_weak(y) or (x.dtype, _dtype(y)) == _TO_FLOAT)
        else x
        for x, y in zip(start, after, strict=True)
    ]
    return result if any(a is not b for a, b in zip(result, start, strict=True)) else None


# other loops ------------------------------------------------------------------------------


def fori_loop(lower: int, upper: int, f: Callable[[Any, Any], Any], init: Any) -> Any:
    """``for i in range(lower, upper): carry = f(i, carry)``, from ``init`` on; the last carry.

    Args:
        lower, upper: integers.
        f: takes the index and the carry, returns the next carry, like ``scan``'s.
        init: the first carry.

    Raises:
        UsageError: a bound is no integer. Others as of ``scan``.
    """
    for bound in (lower, upper):
        if not _is_count(bound):
            raise UsageError(
                f"the bounds of fori_loop are plain integers, not {described(bound)} "
                f"({users_line()}); for a number of turns that is computed use while_loop"
            )
    length = max(int(upper) - int(lower), 0)
    recording = active()
    indices: Any = range(int(lower), int(lower) + length)
    if recording is not None and not recording.eager:
        zero = recording.constant(0, np.dtype(np.int64))
        indices = structure.positions(zero, (length,), 0) + int(lower)
        return scan(lambda carry, i: (f(i, carry), None), init, indices)[0]
    carry = init
    for i in indices:
        found = f(i, _owned(carry))
        _check_carry(carry, found, name_of(f))
        carry = found
    return carry


def while_loop(
    cond: Callable[[Any], Any],
    body: Callable[[Any], Any],
    init: Any,
    bound: int | None = None,
) -> Any:
    """``while cond(carry): carry = body(carry)``, from ``init`` on; the last carry.

    Args:
        cond: takes the carry, returns one bool.
        body: takes the carry, returns the next, of the same tree, shapes and dtypes.
        init: the first carry.
        bound: the most turns there can be. A recorded loop with a bound can be differentiated
            in reverse mode too: in the time of the turns that it takes, with memory for ``bound``
            of them; one without in forward mode.

    Raises:
        UsageError: when it runs, the condition still holds after ``bound`` turns.
        DerivativeError: the gradient of a recorded loop without a bound is asked.
    """
    for function in (cond, body):
        check_function(function, "while_loop")
    if bound is not None and (not _is_count(bound) or bound < 0):
        raise UsageError(f"bound is the most turns of a while_loop, not {described(bound)}")
    recording = active()
    if recording is not None and not recording.eager:
        return _recorded_while(cond, body, init, bound, recording)
    carry, count = init, 0
    while True:
        goes_on = _one_bool(cond(carry), cond)
        if recording is not None and isinstance(goes_on, Traced) and _differs(goes_on):
            left = None if bound is None else bound - count
            return _recorded_while(cond, body, carry, left, recording)
        if not goes_on:
            return carry
        if count == bound:
            raise UsageError(_UNBOUNDED.format(bound))
        found = body(_owned(carry))
        _check_carry(carry, found, name_of(body))
        carry, count = found, count + 1


def _differs(x: Traced) -> bool:
    """Whether rows of ``vmap`` differ in x, so that only the program tells when each ends."""
    return x.recording.value(x.node) is None


_UNBOUNDED = "the condition of a while_loop still holds after {} turns, its bound"


def _one_bool(x: Any, cond: Function) -> Any:
    if np.shape(x) != ():
        raise ShapeError(
            f"{name_of(cond)}, the condition of a while_loop, must return one bool, not an array "
            f"of shape {np.shape(x)} ({users_line()}): use np.any(...) or np.all(...)"
        )
    return x


def _recorded_while(
    cond: Function, body: Function, init: Any, bound: int | None, recording: Recording
) -> Any:
    def goes_on(carry: Any) -> Traced:
        found = lift(_one_bool(cond(carry), cond), recording)
        return found if found.dtype.kind == "b" else found != 0

    def turn(state: Any, _: Any = None) -> Any:
        _on, done, carry = state
        found = body(_owned(carry))
        _check_carry_or_number(carry, found, body)
        return (goes_on(found), done + 1, found), None

    state = (goes_on(init), recording.constant(0, np.dtype(np.int64)), init)
    nothing = flatten(None)[1]
    on, _, carry = _recorded(turn, state, [], nothing, bound, False, None, recording, True)[0]
    if bound is None:
        return carry
    leaves, tree = flatten(carry)
    kept = [structure.require(x, ~on, message=_UNBOUNDED.format(bound)) for x in leaves]
    return tree.unflatten(y.like(x) for y, x in zip(kept, leaves, strict=True))


def _check_carry_or_number(before: Any, after: Any, f: Function) -> None:
    if flatten(before)[1] != flatten(after)[1]:
        _check_carry(before, after, name_of(f))


def remat(f: Function) -> Function:
    """``f``, whose recorded derivative computes it a second time instead of storing what it
    computes on the way: memory for its arguments and results alone, for the time of one more ``f``.

    Args:
        f: a function of trees of arrays to a tree of arrays. It may close over others. Eagerly, on
            values, it is ``f`` itself.

    Returns:
        A function of the same arguments.
    """

    @functools.wraps(f)
    def again(*args: Any, **keywords: Any) -> Any:
        recording = active()
        if recording is None or recording.eager:
            args, keywords = _owned((args, keywords), static=True)
            return f(*args, **keywords)
        leaves, tree = flatten((args, dict(keywords)), static=True)
        given = [lift(x, recording).standing_for(x) for x in leaves]
        inputs = [recording.input(x.type, name="x").standing_for(x) for x in given]
        with FUNCTIONS["watch"](recording, f"the function of remat, {name_of(f)},"):
            positional, named = tree.unflatten([x.renamed() for x in inputs])
            parts, shape = flatten(f(*positional, **named))
        recording.spent.update([x.node for x in inputs])
        outputs = [lift_output(y, recording) for y in parts]
        if not outputs:
            return shape.unflatten([])
        body = body_of(recording, inputs, outputs, "remat")
        xs = [structure.reshape(x, (1, *x.shape)) for x in given]
        made = Loop(body.graph, body.consts, [], xs, 1, recompute=True).emit(recording)
        found = [structure.reshape(y, y.shape[1:]) for y in made]
        return shape.unflatten(y.like(x) for y, x in zip(found, outputs, strict=True))

    return again
