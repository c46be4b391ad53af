"""What may go wrong while a program runs on a device, which cannot raise errors itself.

The first demand that does not hold sets a number; the host looks at it when it reads results.
"""

from __future__ import annotations

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

    def start(self, number: Any = None) -> None:
        """Begin to trace with no failure, or with what an outer program found so far."""
        self.number = jnp.zeros((), np.int32) if number is None else number

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
