"""A program's functions as several modules, by how much of LLVM's time they are worth."""

from __future__ import annotations

import re
from collections.abc import Sequence

_DEFINED = re.compile(r"^define (?:internal )?(.+?) @([\w.]+)(\(.*?\))", re.MULTILINE)
_DECLARED = re.compile(r"^declare .* @([\w.]+)\(.*$", re.MULTILINE)
_NAMED = re.compile(r"@([\w.]+)")


def modules(parts: Sequence[tuple[str, Sequence[str]]], attributes: str) -> list[str]:
    """The text of a module for each part: its first line, and its definitions. What one calls of
    another is visible in one, and declared in the other."""
    homes: dict[str, tuple[int, str]] = {}
    externals: dict[str, str] = {}
    bodies, owned, named = [], [], []
    for i, (_, definitions) in enumerate(parts):
        body = "\n\n".join(definitions)
        for type, name, parameters in _DEFINED.findall(body):
            homes[name] = i, f"declare {type} @{name}{parameters}"
        declared = {found[1]: found[0] for found in _DECLARED.finditer(body)}
        externals |= declared
        bodies.append(body)
        owned.append(declared)
        named.append(set(_NAMED.findall(body)))
    declarations: list[list[str]] = []
    visible: set[str] = set()
    for i, names in enumerate(named):
        foreign = sorted(name for name in names if name in homes and homes[name][0] != i)
        outside = sorted(name for name in names if name in externals and name not in owned[i])
        visible.update(foreign)
        declarations.append([*(homes[x][1] for x in foreign), *(externals[x] for x in outside)])

    def shown(found: re.Match[str]) -> str:
        return found[0].replace("internal ", "", 1) if found[2] in visible else found[0]

    return [
        "\n\n".join([first, *declared, _DEFINED.sub(shown, body), attributes])
        for (first, _), declared, body in zip(parts, declarations, bodies, strict=True)
    ]
