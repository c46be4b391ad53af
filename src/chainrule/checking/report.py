"""What a check of a gradient says, as text."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from chainrule.checking.entries import ArrayCheck
from chainrule.checking.verdicts import Entry

if TYPE_CHECKING:
    from chainrule.checking.gradient import GradientCheck


def text(check: GradientCheck) -> str:
    """The report: wrong arrays first, each with its worst entry and how its errors lie."""
    lines = []
    if check.differs:
        lines.append(f"value of {check.name}: DIFFERS. {check.differs}")
    order = sorted(check.arrays, key=lambda a: a.verdict != "wrong")
    for a in order:
        lines.append(
            f"gradient of {check.name} by {a.name}{_shape(a)}: "
            f"{'WRONG' if a.verdict == 'wrong' else a.verdict}{_how_close(a)}"
        )
        lines += [f"  {line}" for line in details(a)]
    if check.blame is not None:
        lines.append(f"first wrong operation: {check.blame}")
    return "\n".join(lines)


def _shape(a: ArrayCheck) -> str:
    return f" ({'×'.join(map(str, a.given.shape))})" if a.given.shape else ""


def _how_close(a: ArrayCheck) -> str:
    if a.verdict != "correct" or not a.entries:
        return ""
    return f" (largest relative error {shown_error(a.difference)})"


def details(a: ArrayCheck) -> list[str]:
    """The lines under an array's verdict."""
    lines = []
    if a.verdict == "wrong" and a.worst is not None:
        lines.append(f"worst    {entry_text(a.name, a.worst)}")
        lines.append(f"pattern  {a.pattern}")
    kinks = [e for e in a.entries if e.verdict in ("inconclusive: kink", "inconclusive: jump")]
    for e in kinks[:3]:
        lines.append(f"{e.verdict.partition(': ')[2]:<8} {side_text(a.name, e)}")
    if len(kinks) > 3:
        lines.append(f"         and {len(kinks) - 3} more entries at kinks or jumps")
    rounded = [e for e in a.entries if e.verdict == "inconclusive: rounding"]
    if rounded:
        e = max(rounded, key=lambda e: e.error)
        lines.append(
            f"rounding {len(rounded)} of {len(a.entries)} entries cannot be told, such as "
            f"{entry_text(a.name, e)}"
        )
    return [*lines, *sampling(a)]


def sampling(a: ArrayCheck) -> list[str]:
    """What was looked at, and what may have escaped, where that is not everything."""
    if not a.missed:
        return []
    count = len(a.directions)
    if count:
        return [
            f"sampled  along {count} random directions: an error is missed with a probability of "
            f"at most 2^-{count} = {a.missed:.1e}"
        ]
    return [
        f"sampled  {len(a.entries)} of {a.given.size} entries, drawn at random: an error in a "
        f"single entry is missed with a probability of {a.missed:.2g}"
    ]


def entry_text(name: str, e: Entry) -> str:
    """``W2[13, 4]: given 0.1031, true 0.1204 ± 2e-11``."""
    place = f"{name}{list(e.index)}" if e.index else name
    if math.isfinite(e.left) and e.left != e.right and e.step and "kink" not in e.verdict:
        low, high = sorted((e.left, e.right))
        if not low <= e.true <= high or high - low > e.error:
            sides = f" (between {low:.6g} and {high:.6g} within {e.step:.0e})"
        else:
            sides = ""
    else:
        sides = ""
    digits = _digits(e)
    return f"{place}: given {e.given:.{digits}g}, true {e.true:.{digits}g} ± {e.error:.0e}{sides}"


def side_text(name: str, e: Entry) -> str:
    """What is on either side of a kink or a jump."""
    place = f"{name}{list(e.index)}" if e.index else name
    if e.verdict == "inconclusive: jump":
        return (
            f"{place}: the function jumps from {e.left:.6g} on the left to {e.right:.6g} on the "
            f"right, so it has no derivative; given {e.given:.6g}"
        )
    return (
        f"{place}: the slope is {e.left:.6g} on the left and {e.right:.6g} on the right; given "
        f"{e.given:.6g}"
    )


def _digits(e: Entry) -> int:
    """As many digits as tell the numbers apart, three more than the first that differs."""
    size = max(abs(e.given), abs(e.true), 1e-300)
    apart = abs(e.given - e.true) / size
    if not math.isfinite(apart) or apart <= 0:
        return 6
    return min(max(4, math.ceil(-math.log10(apart)) + 3), 17)


def shown_error(error: float) -> str:
    return "0" if error == 0 else f"{error:.0e}".replace("e-0", "e-")


"""The smallest is printed without a leading zero in its exponent, as elsewhere."""
