"""Trees of arrays: nested tuples, lists, dicts, named tuples, dataclasses, attrs classes and None.

Public as ``cr.tree``. A tree has leaves (arrays, numbers, whatever is no container) and a shape,
its ``TreeDef``. Dicts are visited in sorted order of their keys, so that two dicts with the same
keys are the same tree however they were built; an ``OrderedDict`` in its own order.

What an attribute (of a dataclass, an attrs class, a named tuple) holds beside arrays and numbers,
such as "relu", True or a function, is *static*: no leaf, but part of the shape. So is a field with
``metadata={"static": True}``. ``register`` says how a class of your own is a tree.

One file: flattening, classifying and rebuilding a container call one another.
"""

from __future__ import annotations

import dataclasses
import enum
import numbers
import types
import weakref
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from chainrule.core.types import ArrayType
from chainrule.errors import UsageError

# Static values ----------------------------------------------------------------------------


class Static:
    """A value that belongs to the shape of a tree, or marks itself as such inside one. Equal ones
    have equal type: 1, 1.0 and True stay apart, and so do 0.0 and -0.0."""

    __slots__ = ("_key", "value")

    def __init__(self, value: Any) -> None:
        self.value = value
        self._key: Any = None

    @property
    def key(self) -> Any:
        """What decides equality. Raises a ``TypeError`` if the value is not hashable."""
        if self._key is None:
            self._key = _key(self.value)
        return self._key

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Static):
            return NotImplemented
        try:
            return self.key == other.key
        except TypeError:
            return type(self.value) is type(other.value) and bool(self.value == other.value)

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        return repr(self.value)

    def __reduce__(self) -> Any:
        return Static, (self.value,)

    def without_value(self, gone: Callable[[Any], None]) -> Static:
        """Its equal that keeps no object alive which is compared by identity; ``gone`` is called
        when such a one has been collected."""
        made = Static(None)
        made._key = _key(self.value, gone)
        return made


class _Same:
    """The identity of an object, and of what its attributes hold."""

    __slots__ = ("attributes", "hash", "ref")

    def __init__(self, x: Any, gone: Callable[[Any], None] | None = None) -> None:
        self.ref: Any
        try:
            self.ref = weakref.ref(x, gone)
        except TypeError:
            self.ref = lambda: x
        self.hash = id(x)
        self.attributes: dict[str, Any] = {}
        fixed = (type, types.FunctionType, types.BuiltinFunctionType, types.ModuleType)
        if not isinstance(x, fixed):
            slots = [s for kind in type(x).__mro__ for s in kind.__dict__.get("__slots__", ())]
            own = [s for s in slots if s[:2] != "__" and hasattr(x, s)]
            self.attributes = {s: getattr(x, s) for s in own} | getattr(x, "__dict__", {})

    def __hash__(self) -> int:
        return self.hash

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Same):
            return NotImplemented
        x, mine, its = self.ref(), self.attributes, other.attributes
        same = x is not None and x is other.ref() and mine.keys() == its.keys()
        return same and all(mine[name] is its[name] for name in mine)


_PLAIN = (str, bytes, int, bool, types.NoneType)


def _key(x: Any, gone: Callable[[Any], None] | None = None) -> Any:
    kind: Any = type(x)
    if kind in _PLAIN:
        return kind, x
    if kind in (float, complex):
        return kind, repr(x)
    if isinstance(x, np.generic):
        return kind, x.dtype, x.tobytes()
    if isinstance(x, tuple):
        return (kind, *[_key(part, gone) for part in x])
    if isinstance(x, frozenset):
        return kind, frozenset([_key(part, gone) for part in x])
    if kind is slice:
        return kind, *[_key(part, gone) for part in (x.start, x.stop, x.step)]
    if kind is types.MethodType:
        return kind, _Same(x.__func__, gone), _Same(x.__self__, gone)
    if kind.__hash__ is object.__hash__:
        return _Same(x, gone)
    hash(x)
    if dataclasses.is_dataclass(x) and not isinstance(x, type):
        compared = [f.name for f in dataclasses.fields(x) if f.compare]
        return (kind, x, *[_key(getattr(x, name), gone) for name in compared])
    return kind, x


# The shape of a tree ----------------------------------------------------------------------


class TreeDef(NamedTuple):
    """The shape of a tree without its leaves. (A named tuple, since these are made, compared and
    hashed in every call of a jitted function.)"""

    kind: Any  # "leaf", "none", "static" or the container's class
    keys: tuple[Any, ...] = ()
    children: tuple[TreeDef, ...] = ()
    extra: Static | None = None  # what the container holds beside its children

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
        return _known_as(kind).build(self, parts)

    def named_children(self, prefix: str = "") -> list[tuple[str, TreeDef]]:
        """The children with their paths."""
        keys = self.keys or range(len(self.children))
        names = [f"{prefix}/{key}" if prefix else str(key) for key in keys]
        return list(zip(names, self.children, strict=True))

    def paths(self, prefix: str = "") -> list[str]:
        """The path of each leaf, ``layers/0/weights``; of a lone leaf ``prefix`` itself."""
        if self.kind == "leaf":
            return [prefix]
        return [p for name, child in self.named_children(prefix) for p in child.paths(name)]

    def statics(self, prefix: str = "") -> list[tuple[str, Static]]:
        """The static values with their paths."""
        found = [] if self.extra is None else [(prefix, self.extra)]
        for name, child in self.named_children(prefix):
            found += child.statics(name)
        return found

    def without_values(self, gone: Callable[[Any], None]) -> TreeDef:
        """Its equal for a table that keeps no object alive: see ``Static.without_value``."""
        if self.extra is None and not self.children:
            return self
        children = tuple([child.without_values(gone) for child in self.children])
        extra = None if self.extra is None else self.extra.without_value(gone)
        return TreeDef(self.kind, self.keys, children, extra)

    def match(self, tree: Any, path: str = "") -> list[Any]:
        """What another tree of this shape has in place of the leaves, static values included.

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


# Containers -------------------------------------------------------------------------------


class _Container(NamedTuple):
    """How a class is a tree. ``take``: an instance to (keys, children, extra); ``build``: a
    TreeDef and children to an instance. ``static``: what its children hold beside arrays and
    numbers is static."""

    take: Callable[[Any], tuple[tuple[Any, ...], Sequence[Any], Static | None]]
    build: Callable[[TreeDef, list[Any]], Any]
    static: bool = True


_NUMBER, _OTHER, _STATIC = "number", "other", "static"
_known: dict[type, Any] = {}
"""How types that were seen are taken: ``_NUMBER`` (arrays too) and ``_OTHER`` are leaves,
``_STATIC`` is never one, the rest are a ``_Container``."""
_registered: dict[type, Any] = {Static: _STATIC, TreeDef: _STATIC}
MOST_KNOWN = 1000
"""How many types, and orders of keys, are remembered."""


def register(
    kind: type,
    flatten: Callable[[Any], tuple[Any, Any]] | None = None,
    unflatten: Callable[[Any, Any], Any] | None = None,
) -> type:
    """Say how instances of a class are trees; also a decorator, ``@cr.tree.register``.

    Args:
        kind: a class. Subclasses are not registered with it.
        flatten: from an instance to ``(children, static)``: children are a sequence or, to be
            named in paths, a dict of trees; static is a hashable value that belongs to the shape.
        unflatten: from ``(static, children)`` to an instance.

    Without the functions instances are static as a whole: jit freezes them and keeps a program
    for each that differs, by ``==`` and ``hash``. So is every model of ``cr.nn``.

    >>> class Line:
    ...     def __init__(self, slope, name):
    ...         self.slope, self.name = slope, name
    >>> _ = register(Line, lambda x: ({"slope": x.slope}, x.name), lambda n, c: Line(n=n, **c))
    >>> leaves(Line(2.0, "a"))
    [2.0]

    Raises:
        UsageError: ``kind`` is no class or a tree already, or only one function is given.
    """
    if not isinstance(kind, type) or kind in (tuple, list, dict, np.ndarray, *_PLAIN, float):
        raise UsageError(f"register takes a class of your own, not {kind!r}")
    if (flatten is None) != (unflatten is None):
        raise UsageError(f"registering {kind.__name__} takes both functions, or none")
    if flatten is None or unflatten is None:
        _registered[kind] = _STATIC
    else:
        _registered[kind] = _container_of(flatten, unflatten)
    _known.pop(kind, None)
    return kind


def _container_of(flatten: Callable[[Any], Any], unflatten: Callable[..., Any]) -> _Container:
    def take(x: Any) -> Any:
        found = flatten(x)
        if not isinstance(found, tuple) or len(found) != 2:
            raise UsageError(
                f"the flatten registered for {type(x).__name__} must return (children, static), "
                f"not {found!r}"
            )
        children, extra = found
        named = isinstance(children, Mapping)
        keys = tuple(children) if named else ()
        return keys, list(children.values() if named else children), Static(extra)

    def build(shape: TreeDef, parts: list[Any]) -> Any:
        children = dict(zip(shape.keys, parts, strict=True)) if shape.keys else tuple(parts)
        return unflatten(shape.extra.value, children)  # type: ignore[union-attr]

    return _Container(take, build, static=False)


def _known_as(kind: Any) -> Any:
    """How a type is taken: see ``_known``."""
    found = _known.get(kind)
    if found is None:
        found = _registered.get(kind) or _classified(kind)
        if len(_known) >= MOST_KNOWN:
            _known.clear()
        _known[kind] = found
    return found


def _classified(kind: type) -> Any:
    own: Any = kind
    if issubclass(kind, dict):
        return _Container(_take_dict, _build_dict, static=False)
    if issubclass(kind, tuple) and hasattr(kind, "_fields"):
        fields = tuple(own._fields)
        return _Container(lambda x: (fields, x, None), lambda shape, parts: own._make(parts))
    if kind is not ArrayType and dataclasses.is_dataclass(kind):
        return _attributes(kind, {f.name: f for f in dataclasses.fields(kind) if f.init})
    if hasattr(kind, "__attrs_attrs__"):
        return _attributes(kind, {a.alias or a.name: a for a in own.__attrs_attrs__ if a.init})
    if issubclass(kind, (str, bytes, bool, enum.Enum)):
        return _OTHER
    arrays = ("__array__", "__array_interface__", "__array_ufunc__")
    is_number = issubclass(kind, (numbers.Number, np.generic, ArrayType))
    return _NUMBER if is_number or any(hasattr(kind, a) for a in arrays) else _OTHER


def is_static(x: Any) -> bool:
    """Whether ``x`` is neither an array, a number, nor a tree that may hold such."""
    return x is not None and _known_as(type(x)) in (_OTHER, _STATIC)


def _attributes(kind: Any, fields: dict[str, Any]) -> _Container:
    """A class with fields, by the names that its constructor gives them."""
    static = {name: f.name for name, f in fields.items() if f.metadata.get("static")}
    data = {name: f.name for name, f in fields.items() if name not in static}
    keys = tuple(data.values())

    def take(x: Any) -> Any:
        kept = tuple(getattr(x, name) for name in static.values())
        return keys, [getattr(x, name) for name in keys], Static(kept) if kept else None

    def build(shape: TreeDef, parts: list[Any]) -> Any:
        kept = shape.extra.value if shape.extra is not None else ()
        values = (*parts, *kept)
        try:
            return kind(**dict(zip([*data, *static], values, strict=True)))
        except Exception:  # a check that an instance passed, and its gradient need not
            made = kind.__new__(kind)
            for name, value in zip([*keys, *static.values()], values, strict=True):
                object.__setattr__(made, name, value)
            return made

    return _Container(take, build)


def _take_dict(x: Any) -> Any:
    """Of an instance of a subclass of dict. Attributes beside the items belong to the shape."""
    keys = tuple(x) if isinstance(x, OrderedDict) else _order(x)
    factory = x.default_factory if isinstance(x, defaultdict) else None
    own = getattr(x, "__dict__", {})
    kept = "itself" if own is x else tuple(own.items())
    extra = Static((factory, kept)) if factory is not None or kept else None
    return keys, [dict.__getitem__(x, key) for key in keys], extra


def _build_dict(shape: TreeDef, parts: list[Any]) -> Any:
    made = shape.kind.__new__(shape.kind)
    put = (OrderedDict if isinstance(made, OrderedDict) else dict).__setitem__
    for key, part in zip(shape.keys, parts, strict=True):
        put(made, key, part)
    if shape.extra is not None:
        factory, kept = shape.extra.value
        if isinstance(made, defaultdict):
            made.default_factory = factory
        if kept == "itself":
            made.__dict__ = made
        elif kept:
            made.__dict__.update(kept)
    return made


_orders: dict[tuple[str, ...], tuple[str, ...]] = {}
"""Keys of dicts that were seen, in order."""


def _order(tree: dict[Any, Any]) -> tuple[Any, ...]:
    """The keys of a dict in order."""
    given = tuple(tree)
    keys = _orders.get(given)
    if keys is None:
        plain = all(type(key) is str for key in given)
        try:
            keys = tuple(sorted(given, key=None if plain else _typed))
        except TypeError as error:
            raise UsageError(f"the keys of a dict must have an order: {error}") from None
        if plain and len(_orders) < MOST_KNOWN:  # 1, 1.0 and True would be one
            _orders[given] = keys
    return keys


def _typed(key: Any) -> tuple[str, Any]:
    return type(key).__name__, key


# Functions on trees -----------------------------------------------------------------------


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
        keys = _order(tree)
        return TreeDef(dict, keys, tuple([_flatten(tree[k], leaves, static) for k in keys]))
    how: Any = _known.get(kind) or _known_as(kind)
    if how == _NUMBER or (how == _OTHER and not static):
        leaves.append(tree)
        return LEAF
    if how in (_STATIC, _OTHER):
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
        keys = _order(tree)
        return TreeDef(dict, keys, (LEAF,) * len(keys)), [tree[key] for key in keys]
    how = _known_as(kind)
    if how is _STATIC:
        return TreeDef("static", (), (), Static(tree)), ()
    if not isinstance(how, _Container):
        return LEAF, ()
    keys, parts, extra = how.take(tree)
    return TreeDef(kind, keys, (LEAF,) * len(parts), extra), parts


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
    if _known.get(kind) is _NUMBER:
        found.append(tree)
    elif kind is dict:
        for key in _order(tree):
            _collect(tree[key], found)
    elif kind is list or kind is tuple:
        for part in tree:
            _collect(part, found)
    else:
        _flatten(tree, found, False)


def flatten_with_paths(tree: Any) -> tuple[list[tuple[str, Any]], TreeDef]:
    """Like ``flatten``, each leaf with its path: ``layers/0/weights``; a lone leaf has ``""``."""
    leaves, treedef = flatten(tree)
    return list(zip(treedef.paths(), leaves, strict=True)), treedef


def paths(tree: Any, prefix: str = "") -> list[str]:
    """The path of each leaf, in the order of ``flatten``."""
    return flatten(tree)[1].paths(prefix)


def map_tree(f: Callable[..., Any], tree: Any, *rest: Any) -> Any:
    """The tree of ``f(leaf, *what the other trees have at the same place)``: ``cr.tree.map``.

    >>> map_tree(lambda p, g: p - 0.1 * g, {"w": 1.0}, {"w": 10.0})
    {'w': 0.0}

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
