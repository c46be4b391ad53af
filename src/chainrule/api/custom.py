"""Gradients that the user states or stops."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from chainrule.api.inputs import Function, like_output, name_of
from chainrule.core.record import lift_output
from chainrule.core.traced import Traced
from chainrule.core.tree import TreeDef, flatten
from chainrule.errors import UsageError
from chainrule.ops.structure import UserRule, custom
from chainrule.ops.structure import stop_gradient as _stop


def stop_gradient(x: Any) -> Any:
    """``x`` as a constant: the same values, through which no gradient flows. Takes trees."""
    leaves, treedef = flatten(x)
    return treedef.unflatten(_stop(x).like(x) if isinstance(x, Traced) else x for x in leaves)


def custom_gradient(f: Function) -> Function:
    """State the gradient yourself: ``f(*args)`` returns ``(y, vjp)``, and ``vjp(g)`` the
    cotangents of the arguments (one, or a tuple of them; None for zero).

    It is used instead of differentiating ``f``; written with NumPy, it can itself be
    differentiated again.

    >>> @custom_gradient
    ... def log1pexp(x):
    ...     e = np.exp(x)
    ...     return np.log(1 + e), lambda g: g * (1 - 1 / (1 + e))
    """

    @functools.wraps(f)
    def wrapped(*args: Any) -> Any:
        leaves, in_tree = flatten(args)
        if not any(isinstance(x, Traced) for x in leaves):
            return f(*args)[0]
        result = f(*args)
        if not isinstance(result, tuple) or len(result) != 2 or not callable(result[1]):
            raise UsageError(f"{name_of(f)} must return (value, vjp) under custom_gradient")
        y, back = result
        rec = next(x.recording for x in leaves if isinstance(x, Traced))
        outputs, out_tree = flatten(y)
        ys = [lift_output(value, rec) for value in outputs]
        xs = [x for x in leaves if isinstance(x, Traced)]
        made = []
        for k, value in enumerate(ys):
            rule = UserRule.make(name_of(f), _user_vjp(f, back, k, ys, out_tree, args, in_tree))
            made.append(custom(_stop(value), *xs, rule=rule))
        return out_tree.unflatten(made)

    return wrapped


def _user_vjp(
    f: Function,
    back: Function,
    k: int,
    ys: list[Traced],
    out_tree: TreeDef,
    args: Any,
    in_tree: Any,
) -> Function:
    def pull(g: Traced, xs: Sequence[Traced]) -> list[Any]:
        gs = [g if i == k else y.recording.zeros(y.type) for i, y in enumerate(ys)]
        found = back(out_tree.unflatten(gs))
        found = found if isinstance(found, tuple) and len(args) != 1 else (found,)
        if len(args) == 1 and isinstance(found[0], tuple) and not isinstance(args[0], tuple):
            (found,) = found
        if len(found) != len(args):
            raise UsageError(
                f"the vjp of {name_of(f)} returned {len(found)} cotangents for {len(args)} "
                "arguments"
            )
        parts: list[Any] = []
        for cotangent, arg in zip(found, args, strict=True):
            leaves, _ = flatten(arg)
            given = [None] * len(leaves) if cotangent is None else flatten(cotangent)[0]
            if len(given) != len(leaves):
                raise UsageError(f"the vjp of {name_of(f)} returned a tree unlike its argument")
            for c, leaf in zip(given, leaves, strict=True):
                if isinstance(leaf, Traced):
                    parts.append(
                        None if c is None else like_output(c, leaf.type, g.recording, "cotangent")
                    )
        return parts

    return pull
