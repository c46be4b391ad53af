"""Trees of arrays: nested tuples, lists, dicts, named tuples, dataclasses, attrs classes and None.

Public as ``cr.tree``. A tree has leaves (arrays, numbers, whatever is no container) and a shape,
its ``TreeDef``. Dicts are visited in sorted order of their keys, so that two dicts with the same
keys are the same tree however they were built; an ``OrderedDict`` in its own order.

What an attribute (of a dataclass, an attrs class, a named tuple) holds beside arrays and numbers,
such as "relu", True or a function, is *static*: no leaf, but part of the shape. So is a field with
``metadata={"static": True}``. ``register`` says how a class of your own is a tree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from chainrule.core.containers import (
    KNOWN,
    NUMBER,
    OTHER,
    STATIC,
    Container,
    known_as,
    order_of_keys,
    register,
)
from chainrule.core.static import Static
from chainrule.core.told import told
from chainrule.errors import UsageError


class TreeDef(NamedTuple):
    """The shape of a tree without its leaves. (A named tuple, since these are made, compared and
    hashed in every call of a jitted function.)

    Attributes:
        kind: "leaf", "none", "static" or the container's class.
        keys: of the children, where they have names.
        children: the shapes of what the container holds, left to right.
        extra: what a container holds beside its children; the value itself if static.
    """

    kind: Any
    keys: tuple[Any, ...] = ()
    children: tuple[TreeDef, ...] = ()
    extra: Static | None = None

    @property
    def count(self) -> int:  # type: ignore[override]
        """How many leaves the tree has."""
        return 1 if self.kind == "leaf" else sum(child.count for child in self.children)

    def unflatten(self, leaves: Iterable[Any]) -> Any:
        """The tree of this shape with these leaves, in the order of ``flatten``.

        Raises:
            UsageError: there are more or fewer leaves than places.
        """
        rest = iter(leaves)
        tree = self._build(rest)
        if next(rest, rest) is not rest:
            raise UsageError(f"more leaves than the {self.count} that the tree has places for")
        return tree

    def _build(self, leaves: Iterator[Any]) -> Any:
        kind = self.kind
        if kind == "leaf":
            try:
                return next(leaves)
            except StopIteration:
                raise UsageError("fewer leaves than the tree has places for") from None
        if kind == "none":
            return None
        if kind == "static":
            return self.extra.value  # type: ignore[union-attr]
        parts = [child._build(leaves) for child in self.children]
        if kind is tuple or kind is list:
            return kind(parts)
        if kind is dict:
            return dict(zip(self.keys, parts, strict=True))
        return known_as(kind).build(self, parts)

    def named_children(self, prefix: str = "") -> list[tuple[str, TreeDef]]:
        """The children with their paths, ``prefix/key``; of those without keys ``prefix/0``."""
        keys = self.keys or range(len(self.children))
        names = [f"{prefix}/{key}" if prefix else str(key) for key in keys]
        return list(zip(names, self.children, strict=True))

    def paths(self, prefix: str = "") -> list[str]:
        """The path of each leaf, ``layers/0/weights``; of a lone leaf ``prefix`` itself."""
        if self.kind == "leaf":
            return [prefix]
        return [p for name, child in self.named_children(prefix) for p in child.paths(name)]

    def statics(self, prefix: str = "") -> list[tuple[str, Static]]:
        """The static values with their paths, which begin with ``prefix``."""
        found = [] if self.extra is None else [(prefix, self.extra)]
        for name, child in self.named_children(prefix):
            found += child.statics(name)
        return found

    def without_values(self, gone: Callable[[Any], None]) -> TreeDef:
        """Its equal for a table that keeps no object alive; ``gone`` is called when one of those
        it compares by identity has been collected."""
        if self.extra is None and not self.children:
            return self
        children = tuple([child.without_values(gone) for child in self.children])
        extra = None if self.extra is None else self.extra.without_value(gone)
        return TreeDef(self.kind, self.keys, children, extra)

    def match(self, tree: Any, path: str = "") -> list[Any]:
        """What another tree of this shape has in place of the leaves, static values included.

        Args:
            tree: the other tree.
            path: where it stands in a larger one, for the message.

        Raises:
            UsageError: it has another shape; the message names the place.
        """
        top, parts = _top(tree)
        if self.kind == "leaf" and top.kind in ("leaf", "static"):
            return [tree]
        if self.kind == "static" and self.extra == Static(tree):
            return []
        mine, its = ((x.kind, x.keys, len(x.children), x.extra) for x in (self, top))
        if mine != its:
            place = f" at {path}" if path else ""
            other = flatten(tree, static=self.kind == "static")[1]
            raise UsageError(f"trees of different shape{place}: {self} and {other}")
        pairs = zip(self.named_children(path), parts, strict=True)
        return [leaf for (name, child), part in pairs for leaf in child.match(part, name)]

    def spread(self, prefix: Any, path: str = "") -> list[Any]:
        """What ``prefix`` says of each leaf: a tree that begins like this one, of which what
        stands where it ends, None too, counts for all leaves below.

        Args:
            prefix: the tree, or one value for all leaves.
            path: what it is, for the message.

        Raises:
            UsageError: it has another shape; the message names the place.
        """
        if self.kind in ("none", "static"):
            return []
        top, parts = _top(prefix)
        if top.kind in ("none", "leaf", "static"):
            return [prefix] * self.count
        sequences = {self.kind, top.kind} <= {list, tuple}
        alike = (sequences or self.kind == top.kind) and self.keys == top.keys
        if not alike or len(self.children) != len(parts):
            raise UsageError(f"{path}: {prefix!r} does not begin like the tree {self}")
        pairs = zip(self.named_children(path), parts, strict=True)
        return [leaf for (name, child), part in pairs for leaf in child.spread(part, name)]

    def __str__(self) -> str:
        if self.kind in ("leaf", "none", "static"):
            return {"leaf": "*", "none": "None"}.get(self.kind) or str(self.extra)
        parts = [str(child) for child in self.children]
        if self.kind in (list, tuple):
            left, right = "[]" if self.kind is list else "()"
            return left + ", ".join(parts) + right
        named = ", ".join(f"{k}: {p}" for k, p in zip(self.keys, parts, strict=bool(self.keys)))
        return f"{{{named}}}" if self.kind is dict else f"{self.kind.__name__}({named})"


LEAF = TreeDef("leaf")
NONE = TreeDef("none")


register(TreeDef)


def flatten(tree: Any, *, static: bool = False) -> tuple[list[Any], TreeDef]:
    """The leaves of a tree, left to right, and its shape.

    Args:
        static: count what is neither an array nor a number (strings, bools, functions) to the
            shape everywhere, not only in attributes.

    >>> found, shape = flatten({"w": [1.0, 2.0], "b": 3.0})
    >>> found
    [3.0, 1.0, 2.0]
    >>> shape.unflatten(["x", "y", "z"])
    {'b': 'x', 'w': ['y', 'z']}

    Raises:
        UsageError: the tree contains itself, or a dict's keys have no order.
    """
    leaves: list[Any] = []
    try:
        return leaves, _flatten(tree, leaves, static)
    except RecursionError:
        raise UsageError(
            f"a {type(tree).__name__} that contains itself, or is nested too deeply, is no tree"
        ) from None


def _flatten(tree: Any, leaves: list[Any], static: bool) -> TreeDef:
    if tree is None:
        return NONE
    kind = type(tree)
    if kind is tuple or kind is list:
        return TreeDef(kind, (), tuple([_flatten(part, leaves, static) for part in tree]))
    if kind is dict:
        keys = order_of_keys(tree)
        return TreeDef(dict, keys, tuple([_flatten(tree[k], leaves, static) for k in keys]))
    how: Any = KNOWN.get(kind) or known_as(kind)
    if how == NUMBER or (how == OTHER and not static):
        leaves.append(tree)
        return LEAF
    if how in (STATIC, OTHER):
        return TreeDef("static", (), (), tree if kind is Static else Static(tree))
    keys, parts, extra = how.take(tree)
    static = static or how.static
    return TreeDef(kind, keys, tuple([_flatten(part, leaves, static) for part in parts]), extra)


def _top(tree: Any) -> tuple[TreeDef, Sequence[Any]]:
    """The top of a tree, as if its children were leaves, and these."""
    kind = type(tree)
    if tree is None:
        return NONE, ()
    if kind is tuple or kind is list:
        return TreeDef(kind, (), (LEAF,) * len(tree)), tree
    if kind is dict:
        keys = order_of_keys(tree)
        return TreeDef(dict, keys, (LEAF,) * len(keys)), [tree[key] for key in keys]
    how = known_as(kind)
    if how is STATIC:
        return TreeDef("static", (), (), Static(tree)), ()
    if not isinstance(how, Container):
        return LEAF, ()
    keys, parts, extra = how.take(tree)
    return TreeDef(kind, keys, (LEAF,) * len(parts), extra), parts


@told("tree.unflatten")
def unflatten(shape: TreeDef, leaves: Iterable[Any]) -> Any:
    """The tree of this shape with these leaves: the inverse of ``flatten``.

    Raises:
        UsageError: there are more or fewer leaves than places.
    """
    return shape.unflatten(leaves)


def leaves(tree: Any) -> list[Any]:
    """The leaves of a tree, left to right: ``flatten`` for those who know its shape.

    >>> leaves({"b": 2.0, "a": (1.0, None)})
    [1.0, 2.0]
    """
    found: list[Any] = []
    _collect(tree, found)
    return found


def _collect(tree: Any, found: list[Any]) -> None:
    kind = type(tree)
    if kind is dict:
        for key in order_of_keys(tree):
            part = tree[key]
            if KNOWN.get(type(part)) is NUMBER:  # most are: a call less
                found.append(part)
            else:
                _collect(part, found)
    elif KNOWN.get(kind) is NUMBER:
        found.append(tree)
    elif kind is list or kind is tuple:
        for part in tree:
            _collect(part, found)
    else:
        _flatten(tree, found, False)


def flatten_with_paths(tree: Any) -> tuple[list[tuple[str, Any]], TreeDef]:
    """Like ``flatten``, each leaf with its path: ``layers/0/weights``; a lone leaf has ``""``.

    Args:
        tree: any tree of containers and leaves.
    """
    leaves, treedef = flatten(tree)
    return list(zip(treedef.paths(), leaves, strict=True)), treedef


def paths(tree: Any, prefix: str = "") -> list[str]:
    """The path of each leaf of ``tree``, in the order of ``flatten``, after ``prefix``."""
    return flatten(tree)[1].paths(prefix)


@told("tree.map")
def map_tree(f: Callable[..., Any], tree: Any, *rest: Any) -> Any:
    """The tree of ``f(leaf, *what the other trees have at the same place)``: ``cr.tree.map``.

    >>> map_tree(lambda p, g: p - 0.1 * g, {"w": 1.0}, {"w": 10.0})
    {'w': 0.0}

    Args:
        f: takes a leaf of each tree. tree: the first, whose shape the result has.
        rest: further trees of that shape.

    Raises:
        UsageError: another tree does not have the shape of the first; the message names the
            place. What ``f`` raises gets a note that names the leaf.
    """
    leaves, treedef = flatten(tree)
    columns = [leaves, *[treedef.match(other) for other in rest]]

    def called() -> Iterator[Any]:
        for i, row in enumerate(zip(*columns, strict=True)):
            try:
                yield f(*row)
            except Exception as error:
                error.add_note(f"at {treedef.paths()[i] or 'the only leaf'} of the tree")
                raise

    return treedef.unflatten(called())


map = map_tree

__all__ = [
    "TreeDef",
    "flatten",
    "flatten_with_paths",
    "leaves",
    "map",
    "paths",
    "register",
    "unflatten",
]


def __dir__() -> list[str]:
    return sorted(__all__)
