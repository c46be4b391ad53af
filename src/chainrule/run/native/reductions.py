"""What reductions share: where they start, how one step of them reads, and when they add into
memory instead of a register."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.run.native.ir import Builder, register_type
from chainrule.run.native.nests import Nest

STORES = ("store", "accumulate", "scatter", "add", "multiply", "linear")
"""Modes of a nest that are no reduction."""


def words(dtype: np.dtype[Any]) -> tuple[str, str]:
    if dtype.kind == "b":
        return "or", "and"
    return ("fadd", "fmul") if dtype.kind == "f" else ("add", "mul")


def start_of(mode: str, dtype: np.dtype[Any]) -> Any:
    """The neutral element of a reduction; of a sum of floats -0, which alone leaves -0 alone."""
    if mode == "sum":
        return -0.0 if dtype.kind == "f" else 0
    if mode in ("prod", "all"):
        return 1
    if mode == "any" or dtype.kind == "b":
        return mode == "min"
    if dtype.kind == "f":
        return -np.inf if mode == "max" else np.inf
    return np.iinfo(dtype).min if mode == "max" else np.iinfo(dtype).max


def prefilled(nest: Nest, factors: Sequence[int]) -> bool:
    """Whether a reduction adds into memory: some axis that stays lies inside one that goes."""
    if nest.mode in STORES or nest.mode.startswith("arg"):
        return False
    if 0 in nest.space:
        return True
    kept = [k for k, f in enumerate(factors) if f]
    return bool(kept) and len(kept) != kept[-1] + 1


SHARED = ("store", "sum", "prod", "max", "min", "any", "all", "argmax", "argmin")
"""Modes that threads can share out by what is written."""


def shared_axis(nest: Nest, threads: int) -> int | None:
    """The axis of a nest's loops along which threads share it: what they write lies apart. The
    first axis, unless it is shorter than there are threads and the second one is not."""
    axes = [axis for axis in range(min(nest.rank, 2)) if _divides(nest, axis)]
    long = [axis for axis in axes if nest.space[axis] >= threads]
    return next(iter(long or axes), None)


def _divides(nest: Nest, axis: int) -> bool:
    factor = nest.target.factors[axis]
    if not factor or nest.mode not in SHARED or 0 in nest.space:
        return False
    whole = factor * nest.space[axis] == nest.out.type.size  # a thread fills what it adds into
    return whole or not prefilled(nest, nest.target.factors)


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
