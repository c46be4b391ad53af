"""Rebuilding expressions: parts replaced, everything above them made again."""

from __future__ import annotations

from collections.abc import Callable

from chainrule.explanation.matrix.tree import (
    Node,
    add,
    apply,
    diag,
    diagonal,
    hadamard,
    inv,
    mul,
    power,
    total,
    trace,
    transpose,
)

__all__ = ["remake", "rewrite"]


def rewrite(node: Node, change: Callable[[Node], Node | None]) -> Node:
    """``node`` with the outermost nodes that ``change`` answers for replaced, rebuilt by the
    constructors."""
    found = change(node)
    if found is not None:
        return found
    args = tuple(rewrite(a, change) for a in node.args)
    if all(a is b for a, b in zip(args, node.args, strict=True)):
        return node
    return remake(node, args)


def remake(node: Node, args: tuple[Node, ...]) -> Node:
    """The same operation on other arguments."""
    make = _CONSTRUCTORS.get(node.op)
    if make is not None:
        return make(*args)
    if node.op == "power":
        return power(args[0], node.data)
    if node.op == "apply":
        return apply(node.data, args[0])
    shape = args[0].shape if node.shape == node.args[0].shape else node.shape
    return Node(node.op, args, shape, node.data)


_CONSTRUCTORS: dict[str, Callable[..., Node]] = {
    "add": add,
    "mul": mul,
    "hadamard": hadamard,
    "transpose": transpose,
    "trace": trace,
    "total": total,
    "inv": inv,
    "diag": diag,
    "diagonal": diagonal,
}
