"""Numbers as students write them: several in one answer, in order or with their names."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

import numpy as np

from chainrule.core.recording import quiet
from chainrule.errors import UsageError
from chainrule.explanation.formula.parsing import parse


def parts_of(given: str) -> list[str]:
    """The answer at its commas, semicolons and lines, those inside brackets apart; brackets round
    the whole may stay."""
    given = given.strip()
    if given.startswith(("(", "[")) and given.endswith((")", "]")) and re.search("[,;]", given):
        given = given[1:-1]
    parts, depth = [""], 0
    for c in given:
        depth += (c in "([{") - (c in ")]}")
        if c in ";\n" or (c == "," and depth <= 0):
            depth = 0
            parts.append("")
        else:
            parts[-1] += c
    return [part.strip() for part in parts]


def labelled(given: str, asked: Sequence[str], *, all_wanted: bool = True) -> dict[int, str]:
    """Which part answers which of the names in ``asked``: by its label, else by its place.

    Raises:
        UsageError: a label that is not asked for, or twice; too many or too few parts.
    """
    labels = {form: i for i, name in reversed(list(enumerate(asked))) for form in _forms(name)}
    found: dict[int, str] = {}
    parts = [part for part in parts_of(given) if part]
    for place, part in enumerate(parts):
        label, equals, said = part.rpartition("=") if "==" not in part else ("", "", part)
        index = labels.get(_plain(label)) if equals else place
        if index is None:
            raise UsageError(f"{label.strip()} is not asked for; wanted: {', '.join(asked)}")
        if index in found:
            raise UsageError(f"{asked[index]} is answered twice")
        if index >= len(asked):
            break
        found[index] = said.strip()
    if len(parts) > len(asked) or (all_wanted and len(found) < len(asked)):
        raise UsageError(f"{len(asked)} numbers are wanted ({', '.join(asked)}), not {len(parts)}")
    return found


def _plain(label: str) -> str:
    """∂f/∂x₁, df/dx_1 and d f / d x1 alike."""
    text = unicodedata.normalize("NFKD", label).replace("∂", "d").replace("\\partial", "d")
    text = text.replace("\u0302", "hat").replace("^*", "*")
    return re.sub(r"[\s_{}]|\\[,;! ]", "", text)


def _forms(name: str) -> list[str]:
    """Spellings of a name: df/dx is written fx, dx and grad x too."""
    plain = _plain(name)
    found = re.fullmatch(r"d([^/]+)/d(.+)", plain)
    if found is None:
        return [plain]
    of, by = found.groups()
    return [plain, f"{of}{by}", f"d{by}", f"grad{by}", f"\\frac{of and 'd' + of}d{by}"]


def number(part: str) -> float:
    """The number that ``part`` gives, as a formula of numbers.

    Raises:
        UsageError: it is none, or not finite.
    """
    parsed = parse(part.strip().replace("−", "-"))
    if parsed.names:
        raise UsageError(f"a number is wanted, but {part.strip()} holds {parsed.names[0]}")
    with quiet(), np.errstate(all="ignore"):
        value = np.asarray(parsed(), float)
    if value.shape != () or not np.isfinite(value):
        raise UsageError(f"{part.strip()} is not one finite number")
    return float(value)


def near(a: float, b: float, tolerance: float) -> bool:
    return abs(a - b) <= tolerance * max(abs(b), 1e-12) + 1e-12


def brief(value: float) -> str:
    return f"{value:.6g}".replace("-", "−")
