"""What goes into a transformation and what comes out: arguments as inputs of a recording,
results as the caller sees them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.core.record import argument_paths, leaf_type, lift_output
from chainrule.core.recording import Recording
from chainrule.core.traced import Traced, is_weak
from chainrule.core.tree import flatten
from chainrule.core.types import ArrayType
from chainrule.errors import DerivativeError, DtypeError, ShapeError, UsageError
from chainrule.ops.coerce import lift

Function = Callable[..., Any]
Argnums = int | Sequence[int]


class Inputs:
    """The arguments to differentiate, as fresh inputs of a recording."""

    def __init__(
        self, f: Function, args: tuple[Any, ...], argnums: Argnums, rec: Recording, outermost: bool
    ) -> None:
        self.single = isinstance(argnums, (int, np.integer))
        numbers = (argnums,) if isinstance(argnums, (int, np.integer)) else tuple(argnums)
        self.positions = [position_of(f, int(n), args) for n in numbers]
        chosen = tuple(args[i] for i in self.positions)
        self.leaves, self.tree = flatten(chosen)
        labels = argument_paths(f, args)
        self.labels = _labels_of(labels, args, self.positions)
        for leaf, label in zip(self.leaves, self.labels, strict=True):
            _check_differentiable(leaf, label, f)
        self.traced = [
            _fresh(leaf, label, rec, outermost)
            for leaf, label in zip(self.leaves, self.labels, strict=True)
        ]
        filled = list(args)
        for i, tree in zip(self.positions, self.tree.unflatten(self.traced), strict=True):
            filled[i] = tree
        self.args = tuple(filled)

    def result(self, found: Sequence[Any]) -> Any:
        """Derivatives in the shape of the arguments: one tree, or a tuple of trees."""
        trees = self.tree.unflatten(found)
        return trees[0] if self.single else tuple(trees)


def position_of(f: Function, n: int, args: tuple[Any, ...]) -> int:
    if not -len(args) <= n < len(args):
        raise UsageError(
            f"argnums={n}, but {name_of(f)} was called with {len(args)} positional argument"
            f"{'s' * (len(args) != 1)}; what is differentiated must be passed by position"
        )
    return n % len(args)


def _labels_of(labels: list[str], args: tuple[Any, ...], positions: list[int]) -> list[str]:
    counts = [len(flatten(arg)[0]) for arg in args]
    found = []
    for i in positions:
        start = sum(counts[:i])
        found += labels[start : start + counts[i]]
    return found


def name_of(f: Function) -> str:
    return getattr(f, "__name__", "the function")


def _check_differentiable(leaf: Any, label: str, f: Function) -> None:
    if isinstance(leaf, (bool, int)) and not isinstance(leaf, np.generic):
        kind = type(leaf).__name__
    else:
        if isinstance(leaf, complex) or np.iscomplexobj(leaf):
            raise DtypeError(
                f"argument {label!r} of {name_of(f)} is complex; chainrule differentiates real "
                "numbers: pass the real and the imaginary part as two arguments"
            )
        dtype = leaf_type(leaf, f"argument {label!r} of {name_of(f)}").dtype
        if dtype.kind == "f":
            return
        kind = dtype.name
    raise DtypeError(
        f"argument {label!r} of {name_of(f)} is {kind}, which has no derivative: integers and "
        "bools move in jumps. Pass a float (3.0 instead of 3, x.astype(float)), or choose other "
        "arguments with argnums="
    )


def _fresh(leaf: Any, label: str, rec: Recording, outermost: bool) -> Traced:
    if outermost and not isinstance(leaf, Traced):
        value = np.array(leaf)
        value.flags.writeable = False
        return rec.input(leaf_type(value), value, label).like(leaf)
    return rec.fresh(lift(leaf, rec)).like(leaf)


def scalar_output(y: Any, f: Function, rec: Recording) -> Traced:
    """The output of a function whose gradient is asked, checked to be one real number."""
    leaves, _ = flatten(y)
    if len(leaves) != 1 or not isinstance(y, (Traced, np.ndarray, np.generic, int, float)):
        raise DerivativeError(
            f"the gradient of {name_of(f)} needs a single number, but it returned "
            f"{described(y)}; return the loss alone, or (loss, extra) with has_aux=True"
        )
    y = lift_output(y, rec)
    if y.shape != ():
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
    assert value is not None
    return np.array(value)


def returned(x: Any, keep: bool, like: Any = None) -> Any:
    """A result as the caller sees it: traced while nested, else an array or a number."""
    if not isinstance(x, Traced):
        return x
    if keep and not x.node.is_constant:
        return x.like(like)
    value = _value(x)
    if is_weak(like):
        return float(value)
    if isinstance(like, np.ndarray):
        return value
    return value[()]


def is_plain(leaves: Sequence[Any]) -> bool:
    return bool(leaves) and all(map(is_weak, leaves))


def returned_tree(tree: Any, keep: bool, plain: bool) -> Any:
    leaves, treedef = flatten(tree)
    like = 0.0 if plain else None
    return treedef.unflatten(
        returned(
            x,
            keep,
            like if isinstance(x, Traced) and x.dtype == np.float64 and not x.shape else None,
        )
        for x in leaves
    )


def like_output(x: Any, type: ArrayType, rec: Recording, what: str) -> Traced:
    found = lift(x, rec, type.dtype if not hasattr(x, "dtype") else None)
    if found.shape != type.shape:
        raise ShapeError(f"the {what} has shape {found.shape}, it must have {type.shape}")
    if found.dtype != type.dtype:
        raise DtypeError(f"the {what} has dtype {found.dtype}, it must have {type.dtype}")
    return found
