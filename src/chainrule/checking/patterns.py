"""How the wrong entries of a gradient lie, and by what they differ: in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from chainrule.checking.verdicts import Entry

CLOSE = 1e-6


def pattern_of(shape: tuple[int, ...], entries: Sequence[Entry]) -> str:
    """Where the wrong entries are and what turns them into the right ones; "" if none is wrong."""
    wrong = [e for e in entries if e.verdict == "wrong"]
    if not wrong:
        return ""
    parts = [_places(shape, [e.index for e in wrong], len(entries))]
    change = _change(shape, entries, wrong)
    return f"{parts[0]}; {change}" if change else parts[0]


def _places(shape: tuple[int, ...], wrong: Sequence[tuple[int, ...]], looked: int) -> str:
    count = len(wrong)
    whole = int(np.prod(shape))
    if not shape or looked == whole == 1:
        return "the number differs"
    if looked < whole:
        return f"{count} of the {looked} entries looked at differ (of {whole})"
    if count == whole:
        return f"all {whole} entries differ"
    said = f"{count} of {whole} entries differ"
    if len(shape) == 2:
        for axis, name in ((0, "row"), (1, "column")):
            lines = sorted({index[axis] for index in wrong})
            if len(lines) < shape[axis] and len(lines) <= shape[axis] / 2 + 1:
                each = f"{name} {lines[0]}" if len(lines) == 1 else _several(name, lines)
                full = count == len(lines) * shape[1 - axis]
                return f"{said}: {each}{', every entry' if full else ''}"
    if shape[0] == shape[-1] and len(shape) == 2 and all(i == j for i, j in wrong):
        return f"{said}: all on the diagonal"
    if len(wrong) <= 4:
        return f"{said}: " + ", ".join(str(list(index)) for index in wrong)
    return said


def _several(name: str, lines: Sequence[int]) -> str:
    if len(lines) <= 6:
        return f"{name}s {', '.join(map(str, lines))}"
    return f"all in {len(lines)} {name}s"


def _change(shape: tuple[int, ...], entries: Sequence[Entry], wrong: Sequence[Entry]) -> str:
    given = np.array([e.given for e in wrong])
    true = np.array([e.true for e in wrong])
    fine = np.isfinite(true) & np.isfinite(given)
    if not fine.all():
        return "" if np.isfinite(given).all() else "they are not finite"
    if not given.any():
        return "they are 0"
    clear = np.abs(true) > CLOSE * np.abs(true).max() if true.any() else np.zeros(0, bool)
    if not len(clear) or not clear.any():
        return "they should be 0"
    ratio = given[clear] / true[clear]
    if np.allclose(ratio, ratio[0], rtol=CLOSE, atol=0) and np.allclose(
        given, true * ratio[0], rtol=CLOSE, atol=CLOSE * np.abs(given).max()
    ):
        return f"each is {factor(float(ratio[0]))} what it should be"
    whole = len(entries) == int(np.prod(shape))
    if whole and len(shape) == 2 and shape[0] == shape[1] and len(entries) > 1:
        turned = np.array([e.true for e in entries]).reshape(shape).T
        found = np.array([e.given for e in entries]).reshape(shape)
        if np.allclose(turned, found, rtol=CLOSE, atol=CLOSE * np.abs(found).max()):
            return "the matrix is transposed"
    shift = given - true
    if len(wrong) > 1 and np.allclose(shift, shift[0], rtol=CLOSE, atol=0):
        return f"each is {shift[0]:+.4g} off"
    return ""


def factor(ratio: float) -> str:
    """``-1 times``, ``2 times``, ``1/5 of``."""
    near = Fraction(ratio).limit_denominator(1000) if math.isfinite(ratio) else Fraction(0)
    if near and abs(float(near) / ratio - 1) < CLOSE:
        if near.numerator in (1, -1) and near.denominator != 1:
            return f"{near} of"
        return f"{near} times"
    return f"{ratio:.6g} times"
