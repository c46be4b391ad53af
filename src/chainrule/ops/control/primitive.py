"""The primitives of loops. ``scan`` has several results; ``item`` is one of them, and ``bundle``
their cotangents or tangents on the way to the rule of the loop: none outlives a derivative."""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from chainrule.core.evaluation import Evaluator, constant_values, evaluator
from chainrule.core.graph import Graph
from chainrule.core.node import Primitive
from chainrule.core.rules import Deferred, Linear
from chainrule.core.traced import Traced
from chainrule.core.types import DTYPES, ArrayType, TupleType, array_type
from chainrule.errors import ShapeError
from chainrule.ops.control.batching import batched, bundle_batched, item_batched
from chainrule.ops.control.loop import Loop, part_of, parts_of
from chainrule.ops.control.rule import LoopRule

_evaluators: WeakKeyDictionary[Graph, Evaluator] = WeakKeyDictionary()


def _evaluator(body: Graph) -> Evaluator:
    found = _evaluators.get(body)
    if found is None:
        found = _evaluators[body] = evaluator(body, constant_values(body))
    return found


def _forward(*inputs: Any, **attrs: Any) -> tuple[Any, ...]:
    loop = Loop(*parts_of(inputs, **attrs))
    run, count = _evaluator(loop.body), len(loop.carry)
    carry, length, ys = list(loop.carry), loop.length, None
    last = int(carry[0] if loop.stops and loop.reverse else length or 0) - 1
    done = 0
    while done != length and (not loop.stops or carry[0] > 0):
        t = last - done if loop.reverse else done
        found = run([*loop.consts, *carry, *[x[t] for x in loop.xs]])
        carry, row = found[:count], found[count:]
        if ys is None:  # of the dtypes that come, which are complex in complex steps
            ys = [np.zeros((length, *y.shape), y.dtype) for y in row]  # type: ignore[arg-type]
        for whole, y in zip(ys, row, strict=True):
            whole[t] = y
        done += 1
    if ys is None:
        made = [y.type for y in loop.body.outputs[count:]]
        ys = [np.zeros((length or 0, *y.shape), y.dtype) for y in made]
    return (*carry, *ys)


def _infer(*inputs: Any, **attrs: Any) -> Any:
    loop = Loop(*parts_of(inputs, **attrs))
    entries = []
    for x in loop.xs:
        if not x.shape or x.shape[0] != loop.length:
            raise ShapeError(f"a loop of {loop.length} turns takes the first axis of {x}")
        entries.append(array_type(x.shape[1:], x.dtype))
    given = [*loop.consts, *loop.carry, *entries]
    if given != [x.type for x in loop.body.inputs]:
        raise ShapeError("the body of a loop takes inputs of other types")
    made = [y.type for y in loop.body.outputs]
    count = len(loop.carry)
    if made[:count] != list(loop.carry):
        raise ShapeError("the body of a loop changes the type of its carry")
    length = loop.length
    if loop.stops and not (made[:1] == [_COUNT] or (made[:1] == [_BOOL] and not loop.reverse)):
        raise ShapeError("a loop stops by its first carry, a bool or the number of turns to come")
    if length is None:
        if len(made) > count or loop.xs or not loop.stops:
            raise ShapeError("a loop without a length stops by its carry, and has no xs and no ys")
        return TupleType(tuple(made))
    ys = [array_type((length, *y.shape), y.dtype) for y in made[count:]]
    return TupleType((*made[:count], *ys))


_BOOL, _COUNT = array_type((), np.dtype(bool)), array_type((), np.dtype(np.int64))

scan = Primitive(
    "scan",
    forward=_forward,
    infer=_infer,
    rule=LoopRule(),
    text="scan({})",
    latex=r"\operatorname{{scan}}\left({}\right)",
    teaches="A loop runs backwards: each turn gets the gradient from the turn after it, and what "
    "all turns share adds up theirs.",
    batch=batched,
)

# results of a loop, and their cotangents ----------------------------------------------------


def _item_transpose(i: int, g: Traced, x: Traced, *, index: int) -> Deferred:
    types = tuple(map(str, x.node.type.parts))  # type: ignore[attr-defined]
    return Deferred(bundle, (g,), {"places": (index,), "types": types})


item = Primitive(
    "item",
    forward=lambda x, index: x[index],
    infer=lambda x, index: x.parts[index],
    rule=Linear(_item_transpose),
    text="item({})",
    latex=r"\operatorname{{item}}\left({}\right)",
    teaches="One of several results passes its gradient to the place it was taken from.",
    instead=part_of,
    batch=item_batched,
)


@lru_cache(maxsize=1024)
def _type_named(text: str) -> ArrayType:
    name, _, shape = text.partition("[")
    lengths = tuple(int(n) for n in shape.rstrip("]").split(",") if n)
    return ArrayType(lengths, next(dtype for dtype in DTYPES if dtype.name == name))


def _bundle_forward(*gs: Any, places: tuple[int, ...], types: tuple[str, ...]) -> tuple[Any, ...]:
    wholes = [_type_named(t) for t in types]
    parts = [np.zeros(t.shape, t.dtype) for t in wholes]
    for place, g in zip(places, gs, strict=True):
        parts[place] = g
    return tuple(parts)


def _bundle_infer(*gs: ArrayType, places: tuple[int, ...], types: tuple[str, ...]) -> Any:
    found = TupleType(tuple(map(_type_named, types)))
    if [found.parts[i] for i in places] != list(gs):
        raise ShapeError(f"parts {', '.join(map(str, gs))} at places {places} of {found}")
    return found


def _bundle_merge(parts: list[Deferred]) -> Traced:
    """One bundle; cotangents of one result are added before they come here."""
    places = tuple(p for part in parts for p in part.attrs["places"])
    gs = [g for part in parts for g in part.inputs]
    return bundle(*gs, places=places, types=parts[0].attrs["types"])


bundle = Primitive(
    "bundle",
    forward=_bundle_forward,
    infer=_bundle_infer,
    rule=Linear(
        lambda i, g, *gs, places, types: g.recording.emit(item, (g,), {"index": places[i]})
    ),
    text="({})",
    latex=r"\left({}\right)",
    teaches="Results side by side: each passes on its own gradient.",
    merge=_bundle_merge,
    batch=bundle_batched,
)
