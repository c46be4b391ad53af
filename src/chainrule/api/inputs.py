"""What goes into a transformation and what comes out: arguments as inputs of a recording,
results as the caller sees them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.core.containers import is_static
from chainrule.core.points import settled
from chainrule.core.record import leaf_type, lift_output, parameter_names
from chainrule.core.recording import Recording
from chainrule.core.traced import Traced, is_weak
from chainrule.core.tree import LEAF, TreeDef, flatten
from chainrule.core.types import ArrayType, type_of
from chainrule.core.unknown import escaped_row
from chainrule.errors import DerivativeError, DtypeError, ShapeError, UsageError
from chainrule.ops.coerce import lift

Function = Callable[..., Any]
PYTHONS = (np.float64, np.int64, np.bool_)
"""The types that Python's own numbers have as arrays."""
Argnums = int | Sequence[int] | None
Argnames = str | Sequence[str] | None

_READY = (np.dtype(np.float64), np.dtype(np.float32))


def several(x: Any) -> tuple[Any, ...]:
    """One or several positions or names, or None, as a tuple."""
    if x is None:
        return ()
    return tuple(x) if isinstance(x, Iterable) and not isinstance(x, str) else (x,)


class Wanted:
    """Which arguments to differentiate: positions and names. The first, unless something is said.
    ``instead`` says, in errors, what to do with one that has no derivative.

    Raises:
        UsageError: a position is no integer, a name no string.
    """

    def __init__(
        self,
        argnums: Argnums = None,
        argnames: Argnames = None,
        instead: str = "choose other arguments with argnums=",
    ) -> None:
        self.instead = instead
        if argnums is None and argnames is None:
            argnums = 0
        single = isinstance(argnums, (int, np.integer, str)) or isinstance(argnames, str)
        self.single = single and (argnums is None or argnames is None)
        self.said = f"argnums={argnums!r}" if argnames is None else f"argnames={argnames!r}"
        numbers, names = several(argnums), several(argnames)
        for n in numbers:
            if isinstance(n, bool) or not isinstance(n, (int, np.integer)):
                raise UsageError(
                    f"argnums takes positions such as 0 or (0, 1), not {n!r}; argnames takes names"
                )
        for name in names:
            if not isinstance(name, str):
                raise UsageError(f"argnames takes names of parameters, not {name!r}")
        self.each: tuple[int | str, ...] = (*[int(n) for n in numbers], *names)

    def places(
        self, f: Function, args: tuple[Any, ...], keywords: Mapping[str, Any]
    ) -> list[int | str]:
        """Where a call has them: at a position, or under a keyword.

        Raises:
            UsageError: it has no such argument, or the same twice.
        """
        if self.each == (0,) and args:
            return [0]
        found: list[int | str] = []
        for one in self.each:
            place = _place(f, one, args, keywords)
            if place is None and isinstance(one, int):
                raise UsageError(
                    f"{self.said}, but {name_of(f)} was called with {len(args)} positional argument"
                    f"{'s' * (len(args) != 1)}; what is differentiated must be passed by position, "
                    "or be named by argnames="
                )
            if place is None:
                given = [*parameter_names(f)[: len(args)], *keywords]
                raise UsageError(
                    f"{self.said}, but {name_of(f)} was called without {one!r}; it got "
                    f"{', '.join(map(repr, given)) or 'nothing'}"
                )
            if place in found:
                raise UsageError(f"{self.said} names the same argument of {name_of(f)} twice")
            found.append(place)
        return found


def _place(
    f: Function, one: int | str, args: tuple[Any, ...], keywords: Mapping[str, Any]
) -> int | str | None:
    """Where a call has an argument; under its name where it is left to its default."""
    if isinstance(one, int):
        return one % len(args) if -len(args) <= one < len(args) else None
    positional = parameter_names(f)[: len(args)]
    if one in positional:
        return positional.index(one)
    return one if one in keywords or default_of(f, one) is not None else None


def default_of(f: Function, name: str) -> Any:
    """The default of a parameter; None where there is none."""
    try:
        found = inspect.signature(f).parameters[name].default
    except (KeyError, TypeError, ValueError):
        return None
    return None if found is inspect.Parameter.empty else found


class Inputs:
    """The arguments to differentiate, as fresh inputs of a recording.

    ``leaves`` and ``tree`` are what the caller passed, ``traced`` the inputs; ``args`` and
    ``keywords`` call the function with these in place.
    """

    def __init__(
        self,
        f: Function,
        args: tuple[Any, ...],
        keywords: Mapping[str, Any],
        wanted: Wanted,
        rec: Recording,
        outermost: bool,
    ) -> None:
        self.f = f
        self.single = wanted.single
        self.places = wanted.places(f, args, keywords)
        self.leaves: list[Any] = []
        shapes = []
        for place in self.places:
            x = at_place(f, args, keywords, place)
            if type(x) is float or type(x) is np.ndarray:
                self.leaves.append(x)
                shapes.append(LEAF)
                continue
            leaves, shape = flatten(x)
            if shape.kind == "static":
                _check_differentiable(x, self._name(place), f, wanted.instead)
            self.leaves += leaves
            shapes.append(shape)
        self.tree = TreeDef(tuple, (), tuple(shapes))
        self._alone = len(self.leaves) == len(shapes) and all(map(LEAF.__eq__, shapes))
        for i, leaf in enumerate(self.leaves):
            kind = type(leaf)
            if kind is not float and not (kind is np.ndarray and leaf.dtype in _READY):
                _check_differentiable(leaf, self._labels()[i], f, wanted.instead)
        self.traced = [_fresh(leaf, rec, outermost) for leaf in self.leaves]
        filled, self.keywords = list(args), dict(keywords)
        handed = [x.renamed() for x in self.traced]  # what f writes into is no input
        for place, tree in zip(self.places, self._trees(handed), strict=True):
            if isinstance(place, int):
                filled[place] = tree
            else:
                self.keywords[place] = tree
        self.args = tuple(filled)

    def _name(self, place: int | str) -> str:
        if isinstance(place, str):
            return place
        names = parameter_names(self.f)
        return names[place] if place < len(names) else f"x{place}"

    def _labels(self) -> list[str]:
        """A name for each leaf, for messages."""
        pairs = zip(self.places, self.tree.children, strict=True)
        return [label for place, shape in pairs for label in shape.paths(self._name(place))]

    def done(self) -> None:
        """Nothing is differentiated by these any more."""
        if self.traced:
            self.traced[0].recording.running.difference_update([x.node for x in self.traced])

    def result(self, found: Sequence[Any]) -> Any:
        """Derivatives in the shape of the arguments: one tree, or a tuple of trees."""
        trees = self._trees(found)
        return trees[0] if self.single else tuple(trees)

    def _trees(self, leaves: Sequence[Any]) -> Sequence[Any]:
        """These leaves as the arguments hold theirs: each argument a lone leaf, most often."""
        return leaves if self._alone else self.tree.unflatten(leaves)


def at_place(
    f: Function, args: tuple[Any, ...], keywords: Mapping[str, Any], place: int | str
) -> Any:
    """The argument that a call has at a position or under a keyword, or by default."""
    if isinstance(place, int):
        return args[place]
    return keywords[place] if place in keywords else default_of(f, place)


def name_of(f: Function) -> str:
    return getattr(f, "__name__", "the function")


def _check_differentiable(leaf: Any, label: str, f: Function, instead: str) -> None:
    named = f"argument {label!r} of {name_of(f)}"
    if isinstance(leaf, complex) or np.iscomplexobj(leaf):
        raise DtypeError(
            f"{named} is complex; chainrule differentiates real numbers: pass the real and the "
            "imaginary part as two arguments"
        )
    if is_static(leaf) and not isinstance(leaf, bool):
        kind, why = described(leaf), ": pass numbers, arrays or trees of them (cr.tree)"
    else:
        plain = isinstance(leaf, (bool, int))
        dtype = None if plain else leaf_type(leaf, named).dtype
        if dtype is not None and dtype.kind == "f":
            return
        kind = dtype.name if dtype is not None else leaf.__class__.__name__  # of a traced one too
        why = ": integers and bools move in jumps. Pass a float (3.0 instead of 3, x.astype(float))"
    raise DtypeError(f"{named} is {kind}, which has no derivative{why}, or {instead}")


def _fresh(leaf: Any, rec: Recording, outermost: bool) -> Traced:
    if outermost and not isinstance(leaf, Traced):
        if is_weak(leaf):  # a scalar, which nobody can write to either
            value: Any = np.float64(leaf)
            x = rec.input(type_of(value), value)
            x.weak = True
            return x
        value = np.array(leaf)
        if value.ndim > 1 and not leaf.flags.c_contiguous:
            value = np.asfortranarray(value)  # not row by row, which reshape must know
        value.flags.writeable = False
        x = rec.input(type_of(value), value)
        x.is_array = isinstance(leaf, np.ndarray)
        return x
    return rec.point(lift(leaf, rec)).standing_for(leaf)


def scalar_output(y: Any, f: Function, rec: Recording) -> Traced:
    """The output of a function whose gradient is asked, checked to be one real number, whatever
    its axes."""
    if not isinstance(y, (Traced, np.ndarray, np.generic, int, float)):
        raise DerivativeError(
            f"the gradient of {name_of(f)} needs a single number, but it returned "
            f"{described(y)}; return the loss alone, or (loss, extra) with has_aux=True"
        )
    y = lift_output(y, rec)
    if y.type.size != 1:
        raise DerivativeError(
            f"the gradient of {name_of(f)} needs a single number, but it returned {y.type}; sum or "
            "average it, or ask for cr.jacobian"
        )
    return float_output(y, f)


def described(y: Any) -> str:
    kind = type(y).__name__
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}" if y is not None else "None"


def float_output(y: Traced, f: Function) -> Traced:
    if not y.type.is_float:
        raise DerivativeError(
            f"{name_of(f)} returned {y.type}, which has no derivative: integers and bools move in "
            "jumps. Keep its result floating"
        )
    return y


def _value(x: Traced) -> np.ndarray:
    """The number behind a node, as an array that shares memory with nothing."""
    value = x.recording.value(x.node)
    if value is None:
        raise escaped_row()
    return np.array(value)


def returned(x: Any, keep: bool, like: Any = None) -> Any:
    """A result as the caller sees it: traced while nested, else an array or a number."""
    if not isinstance(x, Traced):
        return x
    if keep and not settled(x.recording, x.node):
        return x.like(like)
    if is_weak(like):
        return x.recording.value(x.node).item()  # type: ignore[union-attr]
    value = _value(x)
    if isinstance(like, np.ndarray):
        return value
    return value[()]


def is_plain(leaves: Sequence[Any]) -> bool:
    return bool(leaves) and all(map(is_weak, leaves))


def returned_tree(tree: Any, keep: bool, plain: bool) -> Any:
    leaves, treedef = flatten(tree)
    return treedef.unflatten(returned_leaf(x, keep, plain) for x in leaves)


def returned_leaf(x: Any, keep: bool, plain: bool) -> Any:
    """A result; a Python number where only such came in and there is one of its precision."""
    number = plain and isinstance(x, Traced) and x.dtype.type in PYTHONS and not x.shape
    return returned(x, keep, 0.0 if number else None)


def like_output(x: Any, type: ArrayType, rec: Recording, what: str) -> Traced:
    found = lift(x, rec, type.dtype if not hasattr(x, "dtype") else None)
    if found.shape != type.shape:
        raise ShapeError(f"the {what} has shape {found.shape}, it must have {type.shape}")
    if found.dtype.kind in "bi" and np.can_cast(found.dtype, type.dtype):
        found = found.astype(type.dtype)  # scipy's operators try themselves on small integers
    if found.dtype != type.dtype:
        raise DtypeError(f"the {what} has dtype {found.dtype}, it must have {type.dtype}")
    return found
