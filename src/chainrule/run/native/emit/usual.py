"""What the body of a loop computes where every condition that is likely holds."""

from __future__ import annotations

from collections.abc import Iterable

from chainrule.core.node import Node
from chainrule.run.native.plan.sites import Load, Site, Sites

DECIDES = {"logical_and": False, "logical_or": True}
"""What one argument must be to decide alone."""


class Usual:
    """A body in which what is likely holds: which sites are true or false then (``truth``), which
    argument each decided ``select`` is (``chosen``), and which ``children`` of sites are left.

    ``asked`` are the sites that must be tried: conditions that are said to be likely, and what
    was computed from some in another loop.
    """

    def __init__(self, sites: Sites) -> None:
        self.truth: dict[Site, bool] = {}
        self.chosen: dict[Site, Site] = {}
        self.children: dict[Site, tuple[Site, ...]] = {}
        self.asked: list[Site] = []
        known: dict[Node, bool | None] = {}
        for site, children in sites.order.items():
            node = sites.loaded.get(site) if isinstance(site, Load) else site.node
            truth = None if node is None else truth_of(node, known)
            if node is not None and truth is not None:
                self.truth[site] = truth
                if isinstance(site, Load) or node.primitive.name == "likely":
                    self.asked.append(site)
            elif not isinstance(site, Load) and site.node.primitive.name == "select":
                condition = self.truth.get(children[0])
                if condition is not None:
                    self.chosen[site] = children[1 if condition else 2]
            chosen = self.chosen.get(site)
            left = children if chosen is None else (chosen,)
            self.children[site] = () if site in self.truth else left


def truth_of(node: Node, known: dict[Node, bool | None], depth: int = 16) -> bool | None:
    """What a condition is where what is likely holds; None if that does not say it."""
    if not depth or node.type.dtype.kind != "b":
        return None
    if node not in known:
        name = node.primitive.name
        if name == "likely":
            known[node] = True
        elif name in DECIDES or name == "logical_not":
            known[node] = _connected(name, [truth_of(x, known, depth - 1) for x in node.inputs])
        else:
            known[node] = None
    return known[node]


def _connected(name: str, inputs: Iterable[bool | None]) -> bool | None:
    given = set(inputs)
    if name == "logical_not":
        (one,) = given
        return None if one is None else not one
    decides = DECIDES[name]
    return decides if decides in given else None if None in given else not decides
