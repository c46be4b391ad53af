"""Numbers as students write them: several in one answer, in order or with their names."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

import numpy as np

from chainrule.core.recording import quiet
from chainrule.errors import UsageError
from chainrule.explanation.formula.parsing import parse

_SLOPE = r"(?:∇|\\nabla|nabla|grad(?:ient)?)\s*\w*\s*(?:[=:]|is\b)"
_LABEL = re.compile(r"(?P<label>.*?)(?:->|→|:=|[=:≈]|\bis\b)(?P<said>[^=]*)\Z", re.DOTALL)
_PLACE = re.compile(r"(?P<place>\d{1,2}|[a-z])(?:\)|\.(?=\s))\s*(?P<said>.+)\Z", re.DOTALL)


def parts_of(given: str) -> list[str]:
    """The answer at its commas, semicolons and lines, those inside brackets apart; brackets round
    the whole may stay, and ∇f = before them."""
    given = re.sub(rf"\A\s*{_SLOPE}\s*(?=[(\[])", "", given).strip()
    if given.startswith(("(", "[")) and given.endswith((")", "]")) and re.search("[,; ]", given):
        given = given[1:-1]
    if re.search(r"[;\n]", given):  # where these part the answers, a comma is a decimal one
        given = re.sub(r"(?<=\d),(?=\d)", ".", given)
    parts, depth = [""], 0
    for c in given:
        depth += (c in "([{") - (c in ")]}")
        if c in ";\n" or (c == "," and depth <= 0):
            depth = 0
            parts.append("")
        else:
            parts[-1] += c
    found = [part.strip() for part in parts]
    if len(found) == 1:  # -3 4 0 1, or dx=-3 dy=4
        spaced = re.findall(r"(?:\S+?\s*[=:]\s*)?[-+−]?[\d.]+(?:[eE][-+−]?\d+)?", found[0])
        if len(spaced) > 1 and "".join("".join(spaced).split()) == "".join(found[0].split()):
            return spaced
    return found


def labelled(given: str, asked: Sequence[str], *, all_wanted: bool = True) -> dict[int, str]:
    """Which part answers which of the names in ``asked``: by its label, by its number (2: 4, b) 4),
    else by the places that are left, in order.

    Raises:
        UsageError: a label that is not asked for, or twice; too many or too few parts.
    """
    labels = {form: i for i, name in reversed(list(enumerate(asked))) for form in _forms(name)}
    labels |= {_plain(name): i for i, name in enumerate(asked)}
    found: dict[int, str] = {}
    parts = [part for part in parts_of(given) if part]
    places: list[str] = []
    for part in parts:
        named = _LABEL.match(part) if "==" not in part else None
        numbered = _PLACE.match(part)
        if named is not None:
            word, said = named["label"].strip(), named["said"]
            index = labels.get(_plain(word), _numbered(word))
        elif numbered is not None:
            word, said = numbered["place"], numbered["said"]
            index = _numbered(word)
        else:
            places.append(part)
            continue
        if index is None or index >= len(asked):
            raise UsageError(f"{word} is not asked for; wanted: {', '.join(asked)}")
        if index in found:
            raise UsageError(f"{asked[index]} is answered twice")
        found[index] = said.strip()
    left = (i for i in range(len(asked)) if i not in found)
    found |= dict(zip(left, places, strict=False))
    if len(parts) > len(asked) or (all_wanted and len(found) < len(asked)):
        raise UsageError(f"{len(asked)} numbers are wanted ({', '.join(asked)}), not {len(parts)}")
    return found


def _numbered(word: str) -> int | None:
    """The place behind 2, (2), b) and the like."""
    word = word.strip("(). ")
    if word.isdecimal():
        return int(word) - 1 if int(word) else None
    return ord(word) - ord("a") if len(word) == 1 and "a" <= word <= "h" else None


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
    return [plain, f"{of}{by}", f"{of}'{by}", f"d{by}", f"d{by}{of}", f"grad{by}", by,
            f"\\frac{of and 'd' + of}d{by}"]  # fmt: skip


def number(part: str) -> float:
    """The number that ``part`` gives, as a formula of numbers.

    Raises:
        UsageError: it is none, or not finite.
    """
    parsed = parse(part.strip().replace("−", "-"))
    if parsed.names:
        said, name = part.strip(), parsed.names[0]
        raise UsageError(
            f"a number is wanted, {'not' if said == name else f'but {said} holds'} {name}"
        )
    with quiet(), np.errstate(all="ignore"):
        value = np.asarray(parsed(), float)
    if value.shape != () or not np.isfinite(value):
        raise UsageError(f"{part.strip()} is not one finite number")
    return float(value)


def near(a: float, b: float, tolerance: float) -> bool:
    return abs(a - b) <= tolerance * max(abs(b), 1e-12) + 1e-12


def brief(value: float) -> str:
    return f"{value:.6g}".replace("-", "−")
