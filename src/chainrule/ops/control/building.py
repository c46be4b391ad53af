"""From a function recorded on inputs of its own to a loop; and loops in loops, which store less."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from chainrule.core.body import Body, carve
from chainrule.core.recording import Recording
from chainrule.core.traced import Traced
from chainrule.core.types import ArrayType
from chainrule.ops import structure
from chainrule.ops.control.loop import Loop
from chainrule.ops.control.rule import literal


def body_of(
    recording: Recording, parameters: Sequence[Traced], outputs: Sequence[Traced], name: str
) -> Body:
    """The graph from parameters, inputs made for it, to outputs."""
    inputs, results = ([x.node for x in row] for row in (parameters, outputs))
    return carve(recording, inputs, results, {}, literal, {}, name)


def segmented(loop: Loop, turns: int, recording: Recording) -> list[Traced]:
    """Record a loop so that its derivative keeps the carry of every ``turns``-th turn, and computes
    the turns in between again: a loop over loops. Returns its results, carry and ys."""
    length = loop.length or 0
    whole, rest = divmod(length, turns)
    if turns == 1 or not length:
        return replace(loop, recompute=True).emit(recording)
    cut = length - rest
    many, few = ((rest, length), (0, rest)) if loop.reverse else ((0, cut), (cut, length))
    carry, pieces = list(loop.carry), []
    for count, (start, stop) in ((whole, many), (1, few)):
        if start == stop or not count:
            continue
        each = (stop - start) // count
        xs = [_rows(x, start, stop, (count, each)) for x in loop.xs]
        found = _outer(replace(loop, carry=carry, xs=xs), count, each, recording)
        carry, ys = found[: len(carry)], found[len(carry) :]
        pieces.append([structure.reshape(y, (stop - start, *y.shape[2:])) for y in ys])
    if len(pieces) == 1:
        return [*carry, *pieces[0]]
    if loop.reverse:
        pieces.reverse()
    joined = [structure.concatenate(*parts, axis=0) for parts in zip(*pieces, strict=True)]
    return [*carry, *joined]


def _rows(x: Traced, start: int, stop: int, shape: tuple[int, int]) -> Traced:
    """Rows of an array, in groups."""
    if (start, stop) != (0, x.shape[0]):
        rest = tuple((0, n, 1) for n in x.shape[1:])
        x = structure.slice_(x, region=((start, stop - start, 1), *rest))
    return structure.reshape(x, shape + x.shape[1:])


def _outer(loop: Loop, count: int, each: int, recording: Recording) -> list[Traced]:
    """The loop as ``count`` loops of ``each`` turns; its xs have both axes."""
    carry = [recording.input(x.type) for x in loop.carry]
    xs = [recording.input(ArrayType(x.shape[1:], x.dtype)) for x in loop.xs]
    inner = replace(loop, carry=carry, xs=xs, length=each).emit(recording)
    body = body_of(recording, [*carry, *xs], inner, "segment")
    outer = replace(loop, body=body.graph, consts=body.consts, length=count, recompute=True)
    return outer.emit(recording)
