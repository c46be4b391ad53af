"""Names for the quantities of a computation, as the lectures give them (L1.3, L4.3)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from chainrule.core.node import Node
from chainrule.errors import UsageError
from chainrule.explanation.formula.greek import QUOTIENT, spell
from chainrule.explanation.formula.node import Node as Formula

SCHEMES = ("lecture", "v")
_ONE_INPUT = "tuvwghk"
_SEVERAL_INPUTS = "qrspmn"


def check_scheme(scheme: str) -> None:
    if scheme not in SCHEMES:
        raise UsageError(f"names={scheme!r}: choose one of {', '.join(SCHEMES)}")


def assign(
    quantities: Sequence[Node],
    inputs: Mapping[Node, str],
    output: Node,
    output_name: str,
    given: Mapping[Node, str],
    edges: Mapping[Node, Sequence[Node]],
    scheme: str,
) -> dict[Node, Formula]:
    """A name for every quantity; the rule is in docs/explanations.md.

    Args:
        quantities: all of them in topological order, inputs first. inputs: the labels of
            inputs. given: names that the user gave. edges: what each quantity is computed from.
    """
    check_scheme(scheme)
    names: dict[Node, str] = {}
    taken: set[str] = set()

    def take(node: Node, wanted: str) -> bool:
        if wanted in taken or node in names:
            return False
        taken.add(wanted)
        names[node] = wanted
        return True

    for node, label in inputs.items():
        if not take(node, label):
            take(node, _free(label, taken))
    rest = [node for node in quantities if node not in inputs]
    if output not in names and scheme == "v":
        take(output, _free(given.get(output, output_name), taken))
    if scheme == "v":
        numbers = itertools.count(1)
        for node in rest:
            while node not in names and not take(node, f"v{next(numbers)}"):
                pass
    else:
        if output not in names and output not in given:
            take(output, _free(output_name, taken))
        for node in rest:
            if node in given:
                take(node, given[node])
        _lecture(rest, inputs, edges, take, names, taken)
    short = _short(
        {name for name in names.values() if "/" in name and not QUOTIENT.fullmatch(name)}, taken
    )
    return {
        node: spell(short.get(name, name), node.type.shape, name) for node, name in names.items()
    }


def _short(paths: set[str], taken: set[str]) -> dict[str, str]:
    """Leaves of trees by their last word and their numbers, where that tells them apart:
    ``params/layers/0/weights`` is W₀."""
    found: dict[str, list[str]] = {}
    for path in sorted(paths):
        *_, word = [part for part in path.split("/") if not part.isdigit()] or [path]
        index = ",".join(part for part in path.split("/") if part.isdigit())
        found.setdefault(_LEAVES.get(word, word) + index, []).append(path)
    return {p: name for name, (p, *more) in found.items() if not more and name not in taken}


_LEAVES = {"weights": "W", "bias": "b", "scale": "γ", "shift": "β", "theta": "θ"}


def _free(wanted: str, taken: set[str]) -> str:
    candidates = (wanted, wanted + "_out", *(f"{wanted}_{i}" for i in range(2, len(taken) + 4)))
    return next(name for name in candidates if name not in taken)


def _lecture(
    rest: Sequence[Node],
    inputs: Mapping[Node, str],
    edges: Mapping[Node, Sequence[Node]],
    take: Any,
    names: dict[Node, str],
    taken: set[str],
) -> None:
    """Letters in order, the terms of one sum under the letter of the sum."""
    reach = _reach(rest, inputs, edges)
    families = _families(rest, edges, names)
    one, several, after = _letters(_ONE_INPUT), _letters(_SEVERAL_INPUTS), itertools.count(1)

    def fresh(node: Node) -> str:
        pool = one if len(reach[node]) <= 1 else several
        for letter in pool:
            if not any(name == letter or _stem(name) == letter for name in taken):
                return letter
        return next(f"v{i}" for i in after if f"v{i}" not in taken)

    stems: dict[Node, str] = {}
    for node in rest:
        root = families.get(node)
        if root is not None and root not in stems:
            own = names.get(root, "")
            stems[root] = own if len(own) == 1 else fresh(root)
            taken.add(stems[root])
            if root not in names:
                names[root] = stems[root]
        if node in names:
            continue
        if root is None:
            take(node, fresh(node))
            continue
        if not any(take(node, f"{stems[root]}{i}") for i in range(1, len(rest) + 2)):
            take(node, fresh(node))


def _stem(name: str) -> str:
    return name.rstrip("0123456789_")


def _letters(pool: str) -> Iterator[str]:
    """Each letter once; the iterator is shared, so a letter that was passed over is gone."""
    return iter(pool)


def _reach(
    rest: Sequence[Node], inputs: Mapping[Node, str], edges: Mapping[Node, Sequence[Node]]
) -> dict[Node, frozenset[Node]]:
    """The inputs that each quantity depends on, counted no further than two."""
    reach: dict[Node, frozenset[Node]] = {node: frozenset({node}) for node in inputs}
    for node in rest:
        found: set[Node] = set()
        for x in edges[node]:
            found |= reach[x]
            if len(found) > 2:
                found = set(itertools.islice(found, 2))
        reach[node] = frozenset(found)
    return reach


SUMS = frozenset({"add", "subtract"})


def _families(
    rest: Sequence[Node], edges: Mapping[Node, Sequence[Node]], names: Mapping[Node, str]
) -> dict[Node, Node]:
    """Each term of a sum with the sum whose letter it shares.

    A sum of sums is one sum; it takes two terms without a name to make a family. Partial sums
    are not terms.
    """
    users: dict[Node, list[Node]] = {}
    for node in rest:
        for x in dict.fromkeys(edges[node]):
            users.setdefault(x, []).append(node)
    partial = {
        node: users[node][0]
        for node in rest
        if node.primitive.name in SUMS
        and len(users.get(node, ())) == 1
        and users[node][0].primitive.name in SUMS
    }

    def root_of(node: Node) -> Node:
        while node in partial:
            node = partial[node]
        return node

    members: dict[Node, list[Node]] = {}
    for node in rest:
        consumers = users.get(node, ())
        if node in partial or len(consumers) != 1 or consumers[0].primitive.name not in SUMS:
            continue
        members.setdefault(root_of(consumers[0]), []).append(node)
    return {
        node: root
        for root, nodes in members.items()
        if sum(node not in names for node in nodes) > 1
        for node in nodes
        if node not in names
    }
