"""What reductions share: where they start, how one step of them reads, and when they add into
memory instead of a register."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.run.native.numbers.arithmetic import multiply_add, select
from chainrule.run.native.numbers.casts import truth
from chainrule.run.native.numbers.ir import Builder, literal, memory_type, register_type
from chainrule.run.native.plan.nests import Nest


def words(dtype: np.dtype[Any]) -> tuple[str, str]:
    if dtype.kind == "b":
        return "or", "and"
    return ("fadd", "fmul") if dtype.kind == "f" else ("add", "mul")


def start_of(mode: str, dtype: np.dtype[Any]) -> Any:
    """Where a reduction starts: its neutral element; of a sum 0, since NumPy's sums and products
    of matrices are 0, not -0, where every term is -0."""
    if mode == "sum":
        return 0
    if mode in ("prod", "all"):
        return 1
    if mode == "any" or dtype.kind == "b":
        return mode == "min"
    if dtype.kind == "f":
        return -np.inf if mode == "max" else np.inf
    return np.iinfo(dtype).min if mode == "max" else np.iinfo(dtype).max


def combined(b: Builder, nest: Nest, old: str, value: str) -> str:
    """One step of a reduction."""
    dtype, mode = nest.out.type.dtype, nest.mode
    t = register_type(dtype)
    plus, times = words(dtype)
    if mode in ("sum", "prod"):
        return b.do(f"{plus if mode == 'sum' else times} {t} {old}, {value}")
    if mode in ("any", "all") or dtype.kind == "b":
        return b.do(f"{'or' if mode in ('any', 'max') else 'and'} i1 {old}, {value}")
    if dtype.kind == "f":
        return b.intrinsic("maximum" if mode == "max" else "minimum", t, old, value)
    letter = "s" if dtype.kind == "i" else "u"
    return b.intrinsic(f"{letter}{mode}", t, old, value)


def reduce(b: Builder, nest: Nest, places: list[str], values: list[str], position: str) -> None:
    """Add the numbers of a body to what is accumulated."""
    value = values[0]
    dtype = nest.operands[0][0].type.dtype
    if len(values) == 2:
        if dtype.kind == "f":
            _multiply_add(b, nest, places[0], *values)
            return
        _, times = words(dtype)
        value = b.do(f"{times} {register_type(dtype)} {values[0]}, {values[1]}")
    if nest.mode in ("any", "all"):
        value = truth(b, dtype, value)
    if nest.mode.startswith("arg"):
        _argument(b, nest, value, dtype, places, position)
    else:
        combine(b, nest, places[0], value)


def _multiply_add(b: Builder, nest: Nest, place: str, x: str, z: str) -> None:
    """One step of a sum of products: by an instruction, since where LLVM may contract as it
    likes, a number's bits depend on the loops around it."""
    dtype = nest.out.type.dtype
    old = b.load(dtype, place)
    new = multiply_add(b, register_type(dtype), x, z, old)
    b.store(dtype, new, place)


def _argument(
    b: Builder,
    nest: Nest,
    value: str,
    dtype: np.dtype[Any],
    places: list[str],
    position: str,
) -> None:
    """The first of the best, or the first NaN."""
    best, place = places
    t = register_type(dtype)
    position = position if nest.space and not nest.target.factors[-1] else "0"  # length 1
    old = b.load(dtype, best)
    more = nest.mode == "argmax"
    if dtype.kind == "f":
        better = b.do(f"fcmp {'ogt' if more else 'olt'} {t} {value}, {old}")
        nan = b.do(f"fcmp uno {t} {value}, {value}")
        fresh = b.do(f"and i1 {nan}, {b.do(f'fcmp ord {t} {old}, {old}')}")
        better = b.do(f"or i1 {better}, {fresh}")
    else:
        order = "s" if dtype.kind == "i" else "u"
        better = b.do(f"icmp {order}{'gt' if more else 'lt'} {t} {value}, {old}")
    start = b.do(f"icmp eq i64 {position}, 0")
    better = b.do(f"or i1 {better}, {start}")
    b.store(dtype, select(b, better, t, value, old), best)
    earlier = b.do(f"load i64, ptr {place}")
    b.effect(f"store i64 {select(b, better, 'i64', position, earlier)}, ptr {place}")


def accumulator(b: Builder, nest: Nest) -> list[str]:
    """A place on the stack that holds the start of a reduction."""
    dtype = nest.operands[0][0].type.dtype
    if nest.mode in ("any", "all"):
        dtype = np.dtype(bool)
    place = b.stack(memory_type(dtype))
    if nest.mode.startswith("arg"):
        position = b.stack("i64")
        b.store(dtype, literal(0, dtype), place)
        b.effect(f"store i64 0, ptr {position}")
        return [place, position]
    b.store(dtype, literal(start_of(nest.mode, dtype), dtype), place)
    return [place]


def lanes(b: Builder, nest: Nest, count: int) -> str:
    """Places on the stack for the partial sums of so many lanes, each at the start."""
    dtype = nest.out.type.dtype
    place = b.stack(memory_type(dtype), count)
    with b.loop(count) as i:
        start = literal(start_of(nest.mode, dtype), dtype)
        b.store(dtype, start, lane(b, nest, place, i))
    return place


def lane(b: Builder, nest: Nest, place: str, number: str) -> str:
    type = memory_type(nest.out.type.dtype)
    return b.do(f"getelementptr inbounds {type}, ptr {place}, i64 {number}")


def folded(b: Builder, nest: Nest, place: str, count: int) -> str:
    """The sum of all lanes, added up in pairs."""
    half = count // 2
    while half:
        with b.loop(half) as i:
            upper = b.do(f"add nuw nsw i64 {i}, {half}")
            part = read(b, lane(b, nest, place, upper), nest)
            combine(b, nest, lane(b, nest, place, i), part)
        half //= 2
    return read(b, place, nest)


def read(b: Builder, place: str, nest: Nest) -> str:
    return b.load(nest.out.type.dtype, place)


def combine(b: Builder, nest: Nest, place: str, value: str) -> None:
    dtype = nest.out.type.dtype
    b.store(dtype, combined(b, nest, b.load(dtype, place), value), place)
