"""Words and numbers in pictures: how they are set, how much room they take."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

from chainrule.render import escape

DIGITS = 4
LONGEST = 28

Runs = list[list[str]]
"""Stretches of text, each with its style: "i" italic (variables), "n" upright."""

_WORD = re.compile(r"[^\W\d_⁰¹²³⁴-⁹₀-₉]+(?:[\u0300-\u036f]+[^\W\d_⁰¹²³⁴-⁹₀-₉]*)*")


def runs(text: str, longest: int = LONGEST) -> Runs:
    """``text`` on one line as mathematicians set it: single letters italic, words upright."""
    shown = escape.clean(text)
    if len(shown) > longest:
        shown = shown[: longest - 1] + "…"
    found: Runs = []
    at = 0
    for word in _WORD.finditer(shown):
        if sum(c.isalpha() for c in word[0].rstrip("ᵀ")) == 1:
            found += [[shown[at : word.start()], "n"]] if word.start() > at else []
            found.append([word[0], "i"])
            at = word.end()
    if at < len(shown) or not found:
        found.append([shown[at:], "n"])
    return found


def plain(pieces: Runs) -> str:
    return "".join(text for text, _ in pieces)


# Room ----------------------------------------------------------------------------------------

_NARROW = frozenset("ijlIft.,:;'|!()[]{}-· \u2032")
_BROAD = frozenset("mwMWQO@%…—→∞")


def width(text: str, size: float) -> float:
    """An upper bound for the width of ``text`` in common sans fonts, in pixels.

    The widest in use (DejaVu Sans, Verdana) set the measure, so labels keep clear elsewhere too.
    """
    total = 0.0
    for c in text:
        if unicodedata.combining(c):
            continue
        if unicodedata.east_asian_width(c) in "WF":
            total += 1.05
        elif c in _NARROW:
            total += 0.40
        elif c in _BROAD:
            total += 1.0
        elif c.isupper():
            total += 0.77
        else:
            total += 0.645 if c.isascii() else 0.84 if c in "+−×÷=<>≤≥" else 0.70
    return total * size


# Numbers -------------------------------------------------------------------------------------


def short(value: Any, digits: int = DIGITS) -> str:
    """A number with ``digits`` significant digits, halves rounded up as JavaScript does.

    ``value`` may be a string from the JSON schema: "inf", "-inf", "nan".
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    x = float(value)
    if math.isnan(x):
        return "NaN"
    if math.isinf(x):
        return "∞" if x > 0 else "−∞"
    if x == 0:
        return "0"
    rounded = Context(prec=digits, rounding=ROUND_HALF_UP).plus(Decimal(x))
    exponent = rounded.adjusted()
    if -5 < exponent < max(digits, 6):
        shown = f"{rounded:f}"
        shown = shown.rstrip("0").rstrip(".") if "." in shown else shown
    else:
        mantissa = f"{rounded.scaleb(-exponent):f}"
        mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
        shown = f"{mantissa}e{exponent}"
    return shown.replace("-", "−")


def flat(value: Any) -> list[float]:
    """All entries of nested lists, in order."""
    if isinstance(value, list):
        return [x for part in value for x in flat(part)]
    return [float(value)]


def shape_text(shape: Sequence[int]) -> str:
    """``(64, 32)`` as 64×32, a vector's length in brackets."""
    return f"({shape[0]})" if len(shape) == 1 else "×".join(map(str, shape))
