"""A loop for many rows at once: one loop, whose body is batched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from chainrule.core.batching import Batch, Rows
from chainrule.core.body import carve, replay
from chainrule.core.traced import Traced
from chainrule.core.types import TupleType, array_type
from chainrule.ops import structure
from chainrule.ops.control.loop import Loop, bundled, item_of
from chainrule.ops.control.rule import literal


def batched(rows: Rows) -> Traced:
    """The results of a loop for all rows, each with an axis of them."""
    loop = Loop.of(rows.node)
    first, count = len(loop.consts), len(loop.carry)
    mapped = list(rows.mapped[first : first + count])
    while True:  # until no turn makes a row of a carry that was the same in all
        turn = _Turn(rows, loop, mapped)
        made = [m or y is not None for m, y in zip(mapped, turn.found, strict=False)]
        if made == mapped:
            break
        mapped = made
    results = turn.results()
    full = [
        rows.batch.repeated(y) if not has_rows else y if i < count else _swapped(y)
        for i, (y, has_rows) in enumerate(zip(results, turn.has_rows, strict=True))
    ]
    types = TupleType(tuple([y.type for y in full]))
    return bundled(dict(enumerate(full)), types, rows.batch.recording)


def item_batched(rows: Rows) -> Traced:
    """One of them."""
    return item_of(rows.inputs[0], rows.attrs["index"])


def bundle_batched(rows: Rows) -> Traced:
    """Results side by side, each with an axis of rows."""
    parts: Any = rows.node.type
    whole = [array_type((rows.size, *t.shape), t.dtype) for t in parts.parts]
    full = dict(zip(rows.attrs["places"], rows.full(), strict=True))
    return bundled(full, TupleType(tuple(whole)), rows.batch.recording)


class _Turn:
    """A turn, recorded for all rows; ``mapped`` says which carries differ from row to row."""

    def __init__(self, rows: Rows, loop: Loop, mapped: Sequence[bool]) -> None:
        self.rows, self.old, self.mapped = rows, loop, mapped
        recording = rows.batch.recording
        first, count = len(loop.consts), len(loop.carry)
        self.of_xs = rows.mapped[first + count :]
        self.batch = batch = Batch(recording, rows.size)
        consts = zip(rows.inputs[:first], rows.mapped[:first], strict=True)
        stand_ins = [batch.row(x) if is_mapped else x for x, is_mapped in consts]
        self.parameters: list[Traced] = []
        for x, is_mapped in zip(loop.body.inputs[first:], (*mapped, *self.of_xs), strict=True):
            shape = (rows.size, *x.type.shape) if is_mapped else x.type.shape
            name = loop.body.names.get(x, "")
            full = recording.input(array_type(shape, x.type.dtype), name=name)
            self.parameters.append(full)
            stand_ins.append(batch.row(full) if is_mapped else full)
        new = replay(loop.body, recording, stand_ins)
        outputs = [new[y] for y in loop.body.outputs]
        self.rows_end_apart = loop.stops and mapped[0]
        if self.rows_end_apart:  # those that are done, or do not run yet, wait for the others
            before: list[Any] = stand_ins[first : first + count]
            counts = before[0].dtype.kind != "b"
            self.decides = recording.input(array_type((), before[0].dtype))
            runs = before[0] >= self.decides if counts and loop.reverse else before[0] > 0
            before += [np.zeros_like(y) for y in outputs[count:]]  # type: ignore[call-overload]
            outputs = [np.where(runs, y, x) for x, y in zip(before, outputs, strict=True)]  # type: ignore[call-overload]
        self.outputs: list[Traced] = outputs  # type: ignore[assignment]
        self.found = batch.of(self.outputs)

    @property
    def has_rows(self) -> list[bool]:
        carried = len(self.mapped)
        return [y is not None or (i < carried and self.mapped[i]) for i, y in enumerate(self.found)]

    def results(self) -> list[Traced]:
        """Record the loop."""
        rows, old, batch = self.rows, self.old, self.batch
        first, count = len(old.consts), len(old.carry)
        outputs = [
            all_rows if all_rows is not None else batch.repeated(y) if has_rows else y
            for y, all_rows, has_rows in zip(self.outputs, self.found, self.has_rows, strict=True)
        ]
        start = [
            batch.repeated(x) if is_mapped and not had_rows else x
            for x, is_mapped, had_rows in zip(
                rows.inputs[first : first + count],
                self.mapped,
                rows.mapped[first : first + count],
                strict=True,
            )
        ]
        inputs = [*self.parameters]
        more = 0
        if self.rows_end_apart:  # one more carry, or two: what decides for all rows
            own, result = start[0], outputs[0]
            if own.dtype.kind == "b":
                news = [np.any(result, axis=0)]
                starts, ins = [np.any(own, axis=0)], [self.decides]
                if old.length is not None:
                    done = batch.recording.input(_COUNT)
                    news, ins = [*news, done + 1], [*ins, done]
                    starts.append(batch.recording.constant(0, _COUNT.dtype))
            else:
                news, starts, ins = [self.decides - 1], [np.max(own, axis=0)], [self.decides]
            more = len(ins)
            start, outputs, inputs = [*starts, *start], [*news, *outputs], [*ins, *inputs]  # type: ignore[list-item]
        xs = [
            _swapped(x) if is_mapped else x
            for x, is_mapped in zip(rows.inputs[first + count :], self.of_xs, strict=True)
        ]
        nodes, results = ([x.node for x in row] for row in (inputs, outputs))
        body = carve(batch.recording, nodes, results, {}, literal, {}, old.body.name)
        loop = replace(old, body=body.graph, consts=body.consts, carry=start, xs=xs)
        return loop.emit(batch.recording)[more:]


_COUNT = array_type((), np.dtype(np.int64))


def _swapped(x: Traced) -> Traced:
    """Turns before rows, or the reverse."""
    return structure.transpose(x, (1, 0, *range(2, x.ndim)))
