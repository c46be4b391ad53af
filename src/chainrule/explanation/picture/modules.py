"""Modules of a computation, by its scopes: what can be folded into one block, and what is.

A group is only folded if the rest stays acyclic, so a scope that is left and entered again
becomes several modules. Any set of the modules returned here may be folded at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MOST_BLOCKS = 200
CHUNK = 40


@dataclass(frozen=True, slots=True)
class Module:
    """``members`` are ids of quantities, those of inner modules included; ``parent`` is the
    index of the module around it, -1 for none."""

    name: str
    parent: int
    members: tuple[int, ...]


def modules(nodes: Sequence[Mapping[str, Any]]) -> list[Module]:
    """The modules of a document's nodes, outer ones first.

    Scopes of a single quantity are none. Where folding all scopes would still leave more than
    ``MOST_BLOCKS`` blocks, runs of operations are made into modules too.
    """
    unit = list(range(len(nodes)))  # the unit that each quantity belongs to so far
    found: list[tuple[str, tuple[int, ...]]] = []

    def close(name: str, members: list[int]) -> None:
        parts = _split(nodes, unit, members)
        for k, part in enumerate(parts):
            if len({unit[i] for i in part}) > 1:
                found.append((name if k == 0 else f"{name} ({k + 1})", tuple(part)))
                for i in part:
                    unit[i] = len(nodes) + len(found)

    for path in sorted(_scopes(nodes), key=lambda p: (-p.count("/"), p)):
        inside = [i for i, n in enumerate(nodes) if _within(n["scope"], path)]
        if len(inside) < sum(n["kind"] == "operation" for n in nodes):
            close(path, inside)
    if len(set(unit)) > MOST_BLOCKS:
        rest = [i for i, n in enumerate(nodes) if n["kind"] == "operation" and unit[i] == i]
        for start in range(0, len(rest), CHUNK):
            part = rest[start : start + CHUNK]
            close(f"operations {start + 1} to {start + len(part)}", part)
    return _nested(found)


def _scopes(nodes: Sequence[Mapping[str, Any]]) -> set[str]:
    found = set()
    for node in nodes:
        parts = node["scope"].split("/")
        found |= {"/".join(parts[: k + 1]) for k in range(len(parts))}
    return found - {""}


def _within(scope: str, path: str) -> bool:
    return scope == path or scope.startswith(path + "/")


def _split(
    nodes: Sequence[Mapping[str, Any]], unit: Sequence[int], members: Sequence[int]
) -> list[list[int]]:
    """``members`` parted so that no path leaves a part and comes back to it.

    Counts, along the paths, how often the group has been left before a unit is reached.
    """
    group = {unit[i] for i in members}
    before: dict[int, set[int]] = {u: set() for u in unit}
    after: dict[int, set[int]] = {u: set() for u in unit}
    for node in nodes:
        for x in node["inputs"]:
            a, b = unit[x], unit[node["id"]]
            if a != b:
                before[b].add(a)
                after[a].add(b)
    waiting = {u: len(b) for u, b in before.items()}
    ready = [u for u in sorted(waiting) if waiting[u] == 0]
    left: dict[int, int] = dict.fromkeys(unit, 0)
    while ready:
        u = ready.pop()
        for v in after[u]:
            left[v] = max(left[v], left[u] + (u in group and v not in group))
            waiting[v] -= 1
            if waiting[v] == 0:
                ready.append(v)
    parts: dict[int, list[int]] = {}
    for i in members:
        parts.setdefault(left[unit[i]], []).append(i)
    return [parts[k] for k in sorted(parts)]


def _nested(found: list[tuple[str, tuple[int, ...]]]) -> list[Module]:
    """Larger modules first, each with the smallest one around it."""
    found = sorted(found, key=lambda m: (-len(m[1]), m[1][0], m[0]))
    made: list[Module] = []
    for name, members in found:
        around = [k for k, m in enumerate(made) if set(members) <= set(m.members)]
        made.append(Module(name, around[-1] if around else -1, members))
    return made


def outermost(all_modules: Sequence[Module], folded: set[int], count: int) -> list[int]:
    """For each quantity the folded module that hides it, the outermost one, or -1."""
    owner = [-1] * count
    for k, module in enumerate(all_modules):  # outer ones come first
        if k in folded:
            for i in module.members:
                if owner[i] < 0:
                    owner[i] = k
    return owner


def fold_to_fit(all_modules: Sequence[Module], count: int, most: int = MOST_BLOCKS) -> set[int]:
    """The modules to fold so that at most ``most`` blocks remain, the innermost first."""
    folded: set[int] = set()

    def blocks() -> int:
        owner = outermost(all_modules, folded, count)
        return sum(o < 0 for o in owner) + len({o for o in owner if o >= 0})

    for k in range(len(all_modules) - 1, -1, -1):
        if blocks() <= most:
            break
        folded.add(k)
    return folded
