"""What users may call: the public names of the package, with their signatures."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from typing import Any

MODULES = ("", "errors", "explain", "io", "nn", "optim", "random", "tabular", "train", "tree")


def exported() -> Iterator[tuple[str, Any]]:
    """(name from the root, object) of everything that a public module exports, but modules."""
    root = importlib.import_module("chainrule")
    for part in MODULES:
        module = getattr(root, part) if part else root
        names = getattr(module, "__all__", None) or [n for n in vars(module) if n[0].islower()]
        for name in sorted(names):
            value = getattr(module, name)
            if not inspect.ismodule(value):
                yield f"{module_name(part)}.{name}", value


def module_name(part: str) -> str:
    return f"chainrule.{part}" if part else "chainrule"


def members(kind: type) -> Iterator[tuple[str, Any]]:
    """Public methods and properties that a class of ours defines or inherits from one of ours."""
    for name in sorted(dir(kind)):
        if name.startswith("_") and name != "__call__":
            continue
        home = next((c for c in kind.__mro__ if name in vars(c)), None)
        if home is not None and home.__module__.startswith("chainrule"):
            yield name, inspect.getattr_static(kind, name)


def parameters(f: Any) -> list[inspect.Parameter]:
    """Of a function or class; none of those that cannot say."""
    try:
        found = inspect.signature(f).parameters.values()
    except (TypeError, ValueError):
        return []
    return [p for p in found if p.name not in ("self", "cls")]


def signature(f: Any) -> str:
    """Without annotations, which types are checked by."""
    bare = [p.replace(annotation=inspect.Parameter.empty) for p in parameters(f)]
    return str(inspect.Signature(bare))


def undocumented() -> Iterator[str]:
    """Public functions, classes and methods without a docstring, or with one that does not name
    each parameter. What a class's instances take and hold is said at the class, what a protocol's
    methods take at the protocol."""
    promised: dict[str, str] = {}
    for _, value in exported():
        if getattr(value, "_is_protocol", False):
            promised |= {n: m.__doc__ or "" for n, m in members(value) if inspect.isfunction(m)}
    for name, value in exported():
        if inspect.isclass(value) and issubclass(value, BaseException):
            if not value.__doc__:
                yield f"{name} has no docstring"
        elif inspect.isclass(value):
            text = f"{value.__doc__ or ''} {vars(value).get('__init__', value).__doc__ or ''}"
            if not getattr(value, "_is_protocol", False):
                yield from _missing(name, value, text)
            for member, what in members(value):
                what = getattr(what, "__func__", what)
                if inspect.isfunction(what) and member != "__call__":
                    own = f"{what.__doc__ or ''} {promised.get(member, '')}"
                    yield from _missing(f"{name}.{member}", what, own, text)
        elif inspect.isroutine(value):
            yield from _missing(name, value, value.__doc__ or "")


def _missing(name: str, value: Any, own: str, more: str = "") -> Iterator[str]:
    if not own.strip():
        yield f"{name} has no docstring"
    for p in parameters(value):
        if not p.name.startswith("_") and not re.search(rf"\b{p.name}\b", own + more):
            yield f"{name}: {p.name} is not explained"


def lines() -> list[str]:
    """One line for each name: its signature, a class's members below it."""
    found = []
    for name, value in exported():
        if inspect.isclass(value):
            bases = ", ".join(b.__name__ for b in value.__bases__ if b is not object)
            found.append(f"class {name}({bases})" if bases else f"class {name}")
            if not issubclass(value, (BaseException, tuple)) or dict(members(value)):
                found.append(f"    {name.rpartition('.')[2]}{signature(value)}")
            for member, what in members(value):
                if isinstance(what, (staticmethod, classmethod)):
                    what = what.__func__
                if inspect.isfunction(what):
                    found.append(f"    .{member}{signature(what)}")
                else:
                    found.append(f"    .{member}")
        elif callable(value):
            found.append(f"{name}{signature(value)}")
        else:
            found.append(f"{name}: {type(value).__name__}")
    return found
