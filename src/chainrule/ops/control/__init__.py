"""Loops: one primitive whose body is a graph, and its derivative, which is a loop too."""

from chainrule.ops.control.building import body_of, segmented
from chainrule.ops.control.loop import Loop
from chainrule.ops.control.primitive import bundle, item, scan

__all__ = ["Loop", "body_of", "bundle", "item", "scan", "segmented"]
