"""The language: types, graphs, recording, traced values, trees. Knows no derivative."""

from chainrule.core.graph import Graph, verify
from chainrule.core.namespace import namespace_for
from chainrule.core.node import PRIMITIVES, Node, Origin, Primitive, Sample
from chainrule.core.recording import Recording, scope
from chainrule.core.traced import Traced
from chainrule.core.types import ArrayType

__all__ = [
    "PRIMITIVES",
    "ArrayType",
    "Graph",
    "Node",
    "Origin",
    "Primitive",
    "Recording",
    "Sample",
    "Traced",
    "namespace_for",
    "scope",
    "verify",
]
