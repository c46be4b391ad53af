"""Gradients that the user states or stops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chainrule.api.inputs import Function, like_output, name_of
from chainrule.api.transformed import Transformed, check_function
from chainrule.core.record import lift_output, parameter_names
from chainrule.core.traced import Traced
from chainrule.core.tree import TreeDef, flatten
from chainrule.errors import UsageError
from chainrule.ops.structure import UserRule, custom
from chainrule.ops.structure import stop_gradient as _stop


def stop_gradient(x: Any) -> Any:
    """``x`` as a constant: the same values, through which no gradient flows.

    Args:
        x: an array, a number, or a tree of them, which may hold anything else too.

    Returns:
        The same tree.
    """
    leaves, treedef = flatten(x)
    return treedef.unflatten(_stop(x).like(x) if isinstance(x, Traced) else x for x in leaves)


def custom_gradient(f: Function) -> Function:
    """State the gradient yourself: ``f(*args)`` returns ``(y, vjp)``, and ``vjp(g)`` the
    cotangents of the arguments (one, or a tuple of them; None for zero).

    It is used instead of differentiating ``f``; written with NumPy, it can itself be
    differentiated again.

    Args:
        f: of any arguments. Those passed by keyword come after the others, in the order of the
            parameters; cotangents may leave them out where nothing is differentiated by them.

    Returns:
        A function of the same arguments that returns ``y``, a tree of arrays.

    Raises:
        UsageError: ``f`` does not return such a pair, or ``vjp`` not such cotangents.
        ShapeError, DtypeError: a cotangent is not like its argument.

    >>> @custom_gradient
    ... def log1pexp(x):
    ...     e = np.exp(x)
    ...     return np.log(1 + e), lambda g: g * (1 - 1 / (1 + e))
    """

    check_function(f, "custom_gradient")

    def call(*args: Any, **keywords: Any) -> Any:
        result = f(*args, **keywords)
        names = parameter_names(f)
        order = sorted(keywords, key=lambda k: names.index(k) if k in names else len(names))
        given = (*args, *[keywords[name] for name in order])
        xs = [x for x in flatten(given)[0] if isinstance(x, Traced)]
        if not isinstance(result, tuple) or len(result) != 2 or not callable(result[1]):
            raise UsageError(f"{name_of(f)} must return (value, vjp) under custom_gradient")
        if not xs:
            return result[0]
        y, back = result
        outputs, out_tree = flatten(y)
        ys = [lift_output(value, xs[0].recording) for value in outputs]
        made = []
        for k, value in enumerate(ys):
            pull = _user_vjp(f, back, k, ys, out_tree, given, len(args))
            made.append(custom(_stop(value), *xs, rule=UserRule.make(name_of(f), pull)))
        return out_tree.unflatten(made)

    return Transformed(f, custom_gradient, {}, call)


def _user_vjp(
    f: Function,
    back: Function,
    k: int,
    ys: list[Traced],
    out_tree: TreeDef,
    args: tuple[Any, ...],
    positional: int,
) -> Function:
    """The pullback of output ``k`` alone, to the traced leaves of ``args``."""

    def is_traced(arg: Any) -> bool:
        return any(isinstance(x, Traced) for x in flatten(arg)[0])

    def pull(g: Traced, xs: Sequence[Traced]) -> list[Any]:
        gs = [g.renamed() if i == k else y.recording.zeros(y.type) for i, y in enumerate(ys)]
        found = back(out_tree.unflatten(gs))
        counts = {len(args)} if any(map(is_traced, args[positional:])) else {len(args), positional}
        several = isinstance(found, tuple) and not (counts == {1} and isinstance(args[0], tuple))
        cotangents = found if several else (found,)
        if len(cotangents) not in counts:
            raise UsageError(
                f"the vjp of {name_of(f)} returned {len(cotangents)} cotangents for {len(args)} "
                "arguments"
            )
        parts: list[Any] = []
        for cotangent, arg in zip(cotangents, args, strict=False):
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
