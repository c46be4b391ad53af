"""Which classes are trees, how an instance is taken apart and how it is put together."""

from __future__ import annotations

import dataclasses
import enum
import numbers
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from chainrule.core.static import PLAIN, Static
from chainrule.core.types import ArrayType
from chainrule.errors import UsageError

if TYPE_CHECKING:
    from chainrule.core.tree import TreeDef


class Container(NamedTuple):
    """How a class is a tree. ``take``: an instance to (keys, children, extra); ``build``: a
    TreeDef and children to an instance. ``static``: what its children hold beside arrays and
    numbers is static."""

    take: Callable[[Any], tuple[tuple[Any, ...], Sequence[Any], Static | None]]
    build: Callable[[TreeDef, list[Any]], Any]
    static: bool = True


NUMBER, OTHER, STATIC = "number", "other", "static"
KNOWN: dict[type, Any] = {}
"""How types that were seen are taken: ``NUMBER`` (arrays too) and ``OTHER`` are leaves,
``STATIC`` is never one, the rest are a ``Container``."""
_registered: dict[type, Any] = {Static: STATIC}
MOST_KNOWN = 1000
"""How many types, and orders of keys, are remembered."""


_Kind = TypeVar("_Kind", bound=type)


def register(
    kind: _Kind,
    flatten: Callable[[Any], tuple[Any, Any]] | None = None,
    unflatten: Callable[[Any, Any], Any] | None = None,
) -> _Kind:
    """Say how instances of a class are trees; also a decorator, ``@cr.tree.register``.

    Args:
        kind: a class. Subclasses are not registered with it.
        flatten: from an instance to ``(children, static)``: children are a sequence or, to be
            named in paths, a dict of trees; static is a hashable value that belongs to the shape.
        unflatten: from ``(static, children)`` to an instance.

    Without the functions instances are static as a whole: jit freezes them and keeps a program
    for each that differs, by ``==`` and ``hash``. So are layers, losses and penalties of ``cr.nn``.

    >>> import chainrule as cr
    >>> class Line:
    ...     def __init__(self, slope, name):
    ...         self.slope, self.name = slope, name
    >>> _ = cr.tree.register(
    ...     Line,
    ...     lambda line: ({"slope": line.slope}, line.name),
    ...     lambda name, parts: Line(**parts, name=name),
    ... )
    >>> cr.grad(lambda line, x: line.slope * x)(Line(2.0, "a"), 3.0).slope
    3.0

    Raises:
        UsageError: ``kind`` is no class or a tree already, or only one function is given.
    """
    if not isinstance(kind, type) or kind in (tuple, list, dict, np.ndarray, *PLAIN, float):
        raise UsageError(f"register takes a class of your own, not {kind!r}")
    if (flatten is None) != (unflatten is None):
        raise UsageError(f"registering {kind.__name__} takes both functions, or none")
    if flatten is None or unflatten is None:
        _registered[kind] = STATIC
    else:
        _registered[kind] = _container_of(flatten, unflatten)
    KNOWN.pop(kind, None)
    return kind


def _container_of(flatten: Callable[[Any], Any], unflatten: Callable[..., Any]) -> Container:
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

    return Container(take, build, static=False)


def known_as(kind: Any) -> Any:
    """How a type is taken: see ``KNOWN``."""
    found = KNOWN.get(kind)
    if found is None:
        found = _registered.get(kind) or _classified(kind)
        if len(KNOWN) >= MOST_KNOWN:
            KNOWN.clear()
        KNOWN[kind] = found
    return found


def _classified(kind: type) -> Any:
    own: Any = kind
    if issubclass(kind, dict):
        return Container(_take_dict, _build_dict, static=False)
    if issubclass(kind, tuple) and hasattr(kind, "_fields"):
        fields = tuple(own._fields)
        return Container(lambda x: (fields, x, None), lambda shape, parts: own._make(parts))
    if kind is not ArrayType and dataclasses.is_dataclass(kind):
        return _attributes(kind, {f.name: f for f in dataclasses.fields(kind) if f.init})
    if hasattr(kind, "__attrs_attrs__"):
        return _attributes(kind, {a.alias or a.name: a for a in own.__attrs_attrs__ if a.init})
    if issubclass(kind, (str, bytes, bool, enum.Enum)):
        return OTHER
    arrays = ("__array__", "__array_interface__", "__array_ufunc__", "__dlpack__")
    is_number = issubclass(kind, (numbers.Number, np.generic, ArrayType))
    return NUMBER if is_number or any(hasattr(kind, a) for a in arrays) else OTHER


def is_static(x: Any) -> bool:
    """Whether ``x`` is neither an array, a number, nor a tree that may hold such."""
    return type(x) not in (type(None), tuple, list) and known_as(type(x)) in (OTHER, STATIC)


def _attributes(kind: Any, fields: dict[str, Any]) -> Container:
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

    return Container(take, build)


def _take_dict(x: Any) -> Any:
    """Of an instance of a subclass of dict. Attributes beside the items belong to the shape."""
    keys = tuple(x) if isinstance(x, OrderedDict) else order_of_keys(x)
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


def order_of_keys(tree: dict[Any, Any]) -> tuple[Any, ...]:
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
