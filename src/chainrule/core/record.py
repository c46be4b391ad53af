"""Abstract recording of a whole function: from a callable and types to a graph."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.core.draws import Draws
from chainrule.core.garbage import seldom_collected
from chainrule.core.graph import Graph
from chainrule.core.node import NO_ATTRS
from chainrule.core.recording import Recording, Rewriter, Roller, fresh_recording
from chainrule.core.static import Static
from chainrule.core.traced import Traced
from chainrule.core.tree import TreeDef, flatten
from chainrule.core.types import ArrayType, check_dtype, refuse_subclass, type_of
from chainrule.core.unknown import escaped
from chainrule.errors import DtypeError


@dataclass(frozen=True, slots=True)
class Recorded:
    """A graph with the shapes of the trees that go in, as (arguments, keywords), and come out."""

    graph: Graph
    in_tree: TreeDef
    out_tree: TreeDef


def leaf_type(x: Any, what: str = "argument") -> ArrayType:
    """The type of a leaf: an array, a number, or an ``ArrayType`` itself."""
    if isinstance(x, ArrayType):
        return x
    if isinstance(x, Traced):
        return x.type
    if not isinstance(x, (np.ndarray, np.generic, bool, int, float)):
        raise DtypeError(
            f"{what} is a {type(x).__name__}; pass arrays, numbers, or trees of them "
            "(tuples, lists, dicts)"
        )
    refuse_subclass(x, what)
    array = np.asarray(x)
    check_dtype(array.dtype, what)
    return type_of(array)


def function_name(f: Callable[..., Any]) -> str:
    """The name of ``f`` as an identifier, ``f`` where it has none."""
    name = getattr(f, "__name__", type(f).__name__)
    return name if name.isidentifier() else "f"


def flatten_call(args: tuple[Any, ...], keywords: Mapping[str, Any]) -> tuple[list[Any], TreeDef]:
    """The leaves of a call, arrays and numbers, and its shape: what is static included."""
    return flatten((args, dict(keywords)), static=True)


def argument_paths(f: Callable[..., Any], call: TreeDef) -> list[str]:
    """A name for each leaf of a call: the parameter's, with the path inside its tree."""
    return [label for name, arg in named_arguments(f, call) for label in arg.paths(name)]


def named_arguments(f: Callable[..., Any], call: TreeDef) -> list[tuple[str, TreeDef]]:
    """The arguments of a call by the names of the parameters."""
    positional, keywords = call.children
    names = [*parameter_names(f)[: len(positional.children)]]
    names += [f"x{i}" for i in range(len(names), len(positional.children))]
    return [
        *zip(names, positional.children, strict=True),
        *zip(keywords.keys, keywords.children, strict=True),
    ]


def leaf_types(leaves: Sequence[Any], f: Callable[..., Any], call: TreeDef) -> list[ArrayType]:
    """The types of the leaves of a call. Errors name the argument."""
    try:
        return [leaf_type(leaf) for leaf in leaves]
    except DtypeError:
        for leaf, label in zip(leaves, argument_paths(f, call), strict=True):
            leaf_type(leaf, f"argument {label!r} of {function_name(f)}")
        raise


def parameter_names(f: Callable[..., Any]) -> Sequence[str]:
    if inspect.isfunction(f) and not hasattr(f, "__wrapped__"):  # at a tenth of the cost
        return f.__code__.co_varnames[: f.__code__.co_argcount]
    try:
        found = inspect.signature(f).parameters.values()
    except (TypeError, ValueError):
        return ()
    return [p.name for p in found if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]


@seldom_collected()
def record(
    f: Callable[..., Any],
    *args: Any,
    keywords: Mapping[str, Any] = NO_ATTRS,
    rewrite: Rewriter | None = None,
    roller: Callable[[], Roller] | None = None,
) -> Recorded:
    """Record ``f`` for all values of arguments of these types.

    Args:
        f: a function written with NumPy. args, keywords: trees of arrays, numbers or
            ``ArrayType``; what else they hold (strings, bools, functions) is passed as it is.
        rewrite: see ``Recording``. roller: makes its ``roll``.

    Raises:
        UnknownValueError: ``f`` branches on a value that depends on its arguments.

    Warns where ``f`` draws random numbers: they are drawn once, here.
    """
    leaves, in_tree = flatten_call(args, keywords)
    types = leaf_types(leaves, f, in_tree)
    labels = argument_paths(f, in_tree)

    def recorded() -> Recorded:
        roll = None if roller is None else roller()
        with fresh_recording(eager=False, rewrite=rewrite, roll=roll) as recording:
            inputs = [
                recording.input(type, name=label).standing_for(leaf)
                for leaf, type, label in zip(leaves, types, labels, strict=True)
            ]
            positional, named = in_tree.unflatten([x.renamed() for x in inputs])
            result = f(*positional, **named)
            found, out_tree = flatten(result)
            if any(isinstance(y, str) for y in found) and len(found) > 1:
                marked = [Static(y) if isinstance(y, str) else y for y in found]
                found, out_tree = flatten(out_tree.unflatten(marked))
            outputs = [lift_output(y, recording) for y in found]
            if roll is not None:
                outputs = roll(outputs, inputs)
            graph = recording.graph(inputs, outputs, function_name(f))
        return Recorded(graph, in_tree, out_tree)

    draws = Draws(f, [args, keywords])
    made = recorded()
    draws.warn(recorded)
    return made


def lift_output(y: Any, recording: Recording) -> Traced:
    """A result of the recorded function as a traced value; numbers become constants."""
    if isinstance(y, Traced):
        if y.recording is not recording:
            raise escaped()
        return y
    if not isinstance(y, (np.ndarray, np.generic, bool, int, float)):
        raise DtypeError(
            f"the function returned a {type(y).__name__}; return arrays, numbers, or trees of them"
        )
    refuse_subclass(y, "the result of the function")
    return recording.capture(np.asarray(y))
