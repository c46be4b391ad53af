"""Trees of arrays: nested tuples, lists, dicts, named tuples, frozen dataclasses and None.

Everything else is a leaf. Dicts are visited in sorted order of their keys, so that two dicts
with the same keys are the same tree however they were built.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from chainrule.core.types import ArrayType
from chainrule.errors import UsageError


@dataclass(frozen=True, slots=True)
class TreeDef:
    """The shape of a tree without its leaves."""

    kind: Any  # "leaf", "none" or the container's class
    keys: tuple[Any, ...] = ()
    children: tuple[TreeDef, ...] = ()

    @property
    def count(self) -> int:
        """How many leaves the tree has."""
        return 1 if self.kind == "leaf" else sum(child.count for child in self.children)

    def unflatten(self, leaves: Iterable[Any]) -> Any:
        """The tree of this shape with these leaves, in the order of ``flatten``."""
        rest = iter(leaves)
        tree = self._build(rest)
        if next(rest, rest) is not rest:
            raise UsageError(f"more leaves than the {self.count} that the tree has places for")
        return tree

    def _build(self, leaves: Iterator[Any]) -> Any:
        if self.kind == "leaf":
            try:
                return next(leaves)
            except StopIteration:
                raise UsageError("fewer leaves than the tree has places for") from None
        if self.kind == "none":
            return None
        parts = [child._build(leaves) for child in self.children]
        if self.kind is dict:
            return dict(zip(self.keys, parts, strict=True))
        if self.kind in (list, tuple):
            return self.kind(parts)
        kind: Any = self.kind
        if issubclass(kind, tuple):
            return kind(*parts)
        return kind(**dict(zip(self.keys, parts, strict=True)))

    def __str__(self) -> str:
        if self.kind in ("leaf", "none"):
            return "*" if self.kind == "leaf" else "None"
        parts = [str(child) for child in self.children]
        if self.kind in (list, tuple):
            left, right = "[]" if self.kind is list else "()"
            return left + ", ".join(parts) + right
        named = ", ".join(f"{k}: {p}" for k, p in zip(self.keys, parts, strict=True))
        return f"{{{named}}}" if self.kind is dict else f"{self.kind.__name__}({named})"


LEAF = TreeDef("leaf")
NONE = TreeDef("none")


_leaf_types: set[type] = set()
"""Types that were seen to be leaves: whether one is depends on its type alone."""

_orders: dict[tuple[str, ...], tuple[str, ...]] = {}
"""Keys of dicts that were seen, in order."""
ORDERS = 1000
"""How many of them are remembered."""


def _children(tree: Any) -> tuple[Any, tuple[Any, ...], Sequence[Any]] | None:
    kind: Any = type(tree)
    if kind in _leaf_types:
        return None
    if kind is tuple or kind is list:
        return kind, tuple(range(len(tree))), tree
    if kind is dict:
        keys = _order(tree)
        return dict, keys, [tree[key] for key in keys]
    if isinstance(tree, tuple) and hasattr(kind, "_fields"):
        return kind, tuple(kind._fields), tree
    if dataclasses.is_dataclass(tree) and not isinstance(tree, (type, ArrayType)):
        params = kind.__dataclass_params__
        if params.frozen:
            fields = [f.name for f in dataclasses.fields(tree) if f.init]
            return kind, tuple(fields), [getattr(tree, name) for name in fields]
    _leaf_types.add(kind)
    return None


def _order(tree: dict[Any, Any]) -> tuple[Any, ...]:
    """The keys of a dict in order."""
    given = tuple(tree)
    keys = _orders.get(given)
    if keys is None:
        plain = all(type(key) is str for key in given)
        keys = tuple(sorted(given, key=None if plain else _typed))
        if plain and len(_orders) < ORDERS:  # 1, 1.0 and True would be one
            _orders[given] = keys
    return keys


def _typed(key: Any) -> tuple[str, Any]:
    return type(key).__name__, key


def flatten(tree: Any) -> tuple[list[Any], TreeDef]:
    """The leaves of a tree, left to right, and its shape."""
    leaves: list[Any] = []
    return leaves, _flatten(tree, leaves)


def _flatten(tree: Any, leaves: list[Any]) -> TreeDef:
    if tree is None:
        return NONE
    found = _children(tree)
    if found is None:
        leaves.append(tree)
        return LEAF
    kind, keys, parts = found
    children = tuple([_flatten(part, leaves) for part in parts])
    return TreeDef(kind, () if kind in (list, tuple) else keys, children)


def leaves(tree: Any) -> list[Any]:
    """The leaves of a tree, left to right: ``flatten`` for those who know its shape."""
    found: list[Any] = []
    _collect(tree, found)
    return found


def _collect(tree: Any, found: list[Any]) -> None:
    kind = type(tree)
    if kind in _leaf_types:
        found.append(tree)
    elif kind is dict:
        for key in _order(tree):
            _collect(tree[key], found)
    elif kind is list or kind is tuple:
        for part in tree:
            _collect(part, found)
    else:
        _flatten(tree, found)


def flatten_with_paths(tree: Any) -> tuple[list[tuple[str, Any]], TreeDef]:
    """Like ``flatten``, each leaf with its path: ``layers/0/weights``; a lone leaf has ``""``."""
    leaves, treedef = flatten(tree)
    return list(zip(paths(tree), leaves, strict=True)), treedef


def paths(tree: Any, prefix: str = "") -> list[str]:
    if tree is None:
        return []
    found = _children(tree)
    if found is None:
        return [prefix]
    _, keys, parts = found
    result = []
    for key, part in zip(keys, parts, strict=True):
        result += paths(part, f"{prefix}/{key}" if prefix else str(key))
    return result


def map_tree(f: Callable[..., Any], tree: Any, *rest: Any) -> Any:
    """The tree of ``f(leaf, *leaves at the same place in the other trees)``.

    Raises:
        UsageError: the trees do not have the same shape.
    """
    leaves, treedef = flatten(tree)
    columns = [leaves]
    for other in rest:
        more, otherdef = flatten(other)
        if otherdef != treedef:
            raise UsageError(f"trees of different shape: {treedef} and {otherdef}")
        columns.append(more)
    return treedef.unflatten(f(*row) for row in zip(*columns, strict=True))
