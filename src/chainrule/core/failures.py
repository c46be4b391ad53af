"""Errors that a primitive raises while a graph runs, said of the user's line that recorded it."""

from __future__ import annotations

from chainrule.core.graph import Graph
from chainrule.core.node import Node
from chainrule.errors import ChainruleError, IndexingError, NonFiniteError, UsageError

__all__ = ["failed"]

_KINDS = {IndexError: IndexingError, ArithmeticError: NonFiniteError, ValueError: UsageError}


def failed(error: Exception, node: Node, graph: Graph) -> Exception:
    """The error of ours for one that NumPy raised in a step; our own and a matrix that is
    singular as they are."""
    ours = next((ours for kind, ours in _KINDS.items() if type(error) is kind), None)
    if ours is None or isinstance(error, ChainruleError):
        return error
    places = graph.origins.get(node)
    line = f" ({places[-1].file}:{places[-1].line})" if places else ""
    types = ", ".join(str(x.type) for x in node.inputs)
    return ours(f"{graph.name}: {node.primitive.name} of {types}{line}: {error}")
