"""What may go wrong while a program runs on a device, which cannot raise errors itself.

The first demand that does not hold sets a number; the host looks at it when it reads results.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.core.failures import failed
from chainrule.core.graph import Graph
from chainrule.core.node import Node
from chainrule.run.xla.backend import jnp

__all__ = ["Faults"]


class Faults:
    """The demands of one program, and while it is traced the number of the one that failed.

    ``errors`` grows as bodies are traced, some of them more than once: the number of a demand is
    its first place there. ``raised`` holds what went wrong in call-outs.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.errors: list[tuple[Node, Exception]] = []
        self.known: dict[tuple[Node, str], int] = {}
        self.raised: list[BaseException] = []
        self.number: Any = None
        self.entries: Sequence[Node] = ()
        self.later: dict[tuple[Node, str], tuple[int, Exception, Callable[[Any], Any]]] = {}

    def start(self, number: Any = None, entries: Sequence[Node] = ()) -> None:
        """Begin to trace with no failure, or with what an outer program found so far. ``entries``
        are the inputs that a loop gives a step, of which all are there before its first."""
        self.number, self.entries = jnp.zeros((), np.int32) if number is None else number, entries

    def demand_of(
        self, node: Node, error: Exception, given: Node, value: Any, holds: Callable[[Any], Any]
    ) -> None:
        """Demand what ``holds`` says of the value of a node. Where a loop gives it to its steps,
        the host looks at all entries at once: on a device, a tenth of a small network's step."""
        if given in self.entries:
            self.later[node, str(error)] = self.entries.index(given), error, holds
        else:
            self.demand(node, error, holds(value))

    def look_at(self, xs: Sequence[np.ndarray]) -> None:
        """Raise what is wrong with entries that a loop is to be given."""
        for (node, _), (place, error, holds) in self.later.items():
            if not holds(xs[place]):
                raise failed(error, node, self.graph)

    def demand(self, node: Node, error: Exception, holds: Any) -> None:
        """Note that this node fails with this error where ``holds`` is false."""
        key = node, str(error)
        if key not in self.known:
            self.errors.append((node, error))
            self.known[key] = len(self.errors)
        here = jnp.where(holds, 0, self.known[key]).astype(np.int32)
        self.number = jnp.where(self.number == 0, here, self.number)

    def check(self, number: Any) -> None:
        """Raise what went wrong in a call, if anything did: an error said of the user's line."""
        if self.raised:
            raise self.raised.pop()
        found = int(number) if self.errors else 0
        if found:
            node, error = self.errors[found - 1]
            raise failed(error, node, self.graph)
