"""Rebuilding expressions: parts replaced, everything above them made again."""

from __future__ import annotations

from collections.abc import Callable

from chainrule.explanation.formula import node as trees
from chainrule.explanation.formula.node import Node
from chainrule.explanation.matrix import tree


def rewrite(node: Node, change: Callable[[Node], Node | None]) -> Node:
    """``node`` with the outermost nodes that ``change`` answers for replaced, rebuilt by the
    constructors."""
    return trees.rewrite(node, change, remake)


def remake(node: Node, args: tuple[Node, ...]) -> Node:
    """The same operation on other arguments."""
    if node.op in _CONSTRUCTORS:
        return _CONSTRUCTORS[node.op](*args)
    if node.op == "power":
        return tree.power(args[0], node.data)
    shape = args[0].shape if node.shape == node.args[0].shape else node.shape
    return Node(node.op, args, shape, node.data)


_CONSTRUCTORS: dict[str, Callable[..., Node]] = {
    make.__name__: make
    for make in (
        *(tree.add, tree.mul, tree.hadamard, tree.transpose, tree.trace, tree.total),
        *(tree.inv, tree.diag, tree.diagonal),
    )
}
