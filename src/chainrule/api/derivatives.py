"""Derivatives: ``grad`` and its relatives, in reverse and in forward mode."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Any

from chainrule.api.inputs import (
    Argnames,
    Argnums,
    Function,
    Inputs,
    Wanted,
    described,
    float_output,
    is_plain,
    like_output,
    name_of,
    returned,
    returned_leaf,
    returned_tree,
    scalar_output,
)
from chainrule.api.transformed import Transformed, check_function
from chainrule.autodiff import pullback, pushforward
from chainrule.core.containers import is_static
from chainrule.core.record import lift_output
from chainrule.core.recording import Recording, active, recording, resumed
from chainrule.core.traced import Traced
from chainrule.core.tracing import handed
from chainrule.core.tree import flatten
from chainrule.errors import UsageError

# Reverse mode -----------------------------------------------------------------------------


def value_and_grad(
    f: Function, argnums: Argnums = None, has_aux: bool = False, argnames: Argnames = None
) -> Function:
    """The function that returns ``(f(*args, **keywords), gradient)``.

    Args:
        f: returns one real number, also as an array of one, whose shape the value keeps; with
            ``has_aux``, a pair (number, anything else).
        argnums: positions of the arguments to differentiate: a number, or several; negative ones
            count from the last that is passed. The first if nothing is said.
        has_aux: whether ``f`` returns extra results, passed through: ``((value, aux), grad)``.
        argnames: names of arguments to differentiate, however they are passed.

    Returns:
        A function of the same arguments. What is not differentiated may be of any kind. The
        gradient has the tree, shapes and dtypes of the chosen argument, strings and the like in it
        as they were, and is a tuple of them if ``argnums`` or ``argnames`` is one. It costs a small
        multiple of ``f`` however many entries the arguments have (L4.8).

    Raises:
        DerivativeError: ``f`` returns something else than one real number.
        DtypeError: an argument to differentiate is of integers, bools or complex.
        UsageError: there is no such argument, or one is chosen twice.
    """
    check_function(f, "value_and_grad")
    options: dict[str, Any] = {"argnums": argnums, "has_aux": has_aux, "argnames": argnames}
    return Transformed(f, value_and_grad, options, _value_and_grad(f, **options))


def _value_and_grad(f: Function, argnums: Argnums, has_aux: bool, argnames: Argnames) -> Function:
    wanted = Wanted(argnums, argnames)

    def call(*args: Any, **keywords: Any) -> Any:
        with recording(eager=True) as (rec, outermost):
            inputs = Inputs(f, args, keywords, wanted, rec, outermost)
            result = f(*inputs.args, **inputs.keywords)
            aux = None
            if has_aux:
                result, aux = with_aux(result, f)
            y = scalar_output(result, f, rec)
            one = rec.constant(1.0, y.dtype)
            total = y.reshape(()) if y.shape else y
            found = _filled(pullback([total], [one], inputs.traced), inputs, rec)
            inputs.done()
            keep = not outermost
            plain = is_plain(inputs.leaves)
            gradient = [
                returned(g, keep, like) for g, like in zip(found, inputs.leaves, strict=True)
            ]
            value = returned_leaf(y, keep, plain)
            if has_aux:
                value = (value, returned_tree(aux, keep, plain))
            return value, inputs.result(gradient)

    return call


def with_aux(result: Any, f: Function) -> tuple[Any, Any]:
    if not isinstance(result, tuple) or len(result) != 2:
        raise UsageError(
            f"has_aux=True: {name_of(f)} must return a pair (number, extra), "
            f"not {described(result)}"
        )
    return result


def _filled(found: Sequence[Traced | None], inputs: Inputs, rec: Recording) -> list[Traced]:
    """Zeros where no gradient arrived."""
    return [
        g if g is not None else rec.zeros(x.type) for g, x in zip(found, inputs.traced, strict=True)
    ]


def grad(
    f: Function, argnums: Argnums = None, has_aux: bool = False, argnames: Argnames = None
) -> Function:
    """The gradient of ``f``, a function of the same arguments (L4.8).

    >>> import chainrule as cr
    >>> cr.grad(lambda x: x**3)(2.0)
    12.0
    >>> cr.grad(lambda x, k: x * k, argnames="k")(2.0, k=3.0)
    2.0

    Args:
        f, argnums, has_aux, argnames: as ``value_and_grad`` takes them, with the same errors.

    Returns:
        The gradient in the tree, shapes and dtypes of the chosen argument, a tuple of them for
        several; with ``has_aux``, ``(gradient, aux)``.
    """
    check_function(f, "grad")
    options: dict[str, Any] = {"argnums": argnums, "has_aux": has_aux, "argnames": argnames}
    both = _value_and_grad(f, **options)

    def call(*args: Any, **keywords: Any) -> Any:
        value, gradient = both(*args, **keywords)
        return (gradient, value[1]) if has_aux else gradient

    return Transformed(f, grad, options, call)


def vjp(f: Function, *primals: Any, has_aux: bool = False, **keywords: Any) -> Any:
    """The value of ``f`` and its pullback: ``y, pull = vjp(f, *primals)``.

    Args:
        f: a function of the primals, to trees of arrays; with ``has_aux`` a pair of such a result
            and anything else.
        primals: trees of floating arrays and numbers. A string, a function or the like is passed
            as it is.
        has_aux: whether to return ``y, pull, aux``.
        keywords: passed on to ``f``, not differentiated.

    Returns:
        ``y`` and ``pull(g)``, which takes a cotangent with the tree, shapes and dtypes of ``y`` and
        returns the tuple of cotangents of the primals, None for what is no array or number:
        g times the Jacobian (L1.2, the transposed form).

    Raises:
        DtypeError: a primal is of integers, bools or complex; or the cotangent has another dtype.
        DerivativeError: ``y`` is of integers or bools.
        UsageError, ShapeError: the cotangent has another tree or shape than ``y``.
    """
    made = _Called(f, primals, has_aux, keywords, "vjp")
    inputs, rec, aux = made.inputs, made.rec, made.aux
    outputs = made.tree.unflatten(made.outputs)

    def cotangents(found: Sequence[Any]) -> tuple[Any, ...]:
        each = dict(zip(inputs.places, inputs.result(found), strict=True))
        return tuple([each.get(i) for i in range(len(primals))])

    def pull_here(g: Any) -> Any:
        return cotangents(_pull(outputs, g, inputs, rec, f))

    if made.is_nested:
        return (made.y, pull_here, aux) if has_aux else (made.y, pull_here)

    again = list(primals)  # with the values of today, whatever becomes of the caller's arrays
    saved = inputs.tree.unflatten([rec.values[x.node] for x in inputs.traced])
    for place, x in zip(inputs.places, saved, strict=True):
        again[place] = x  # type: ignore[call-overload]

    def pull(g: Any) -> Any:
        if active() is not None:  # differentiated itself: record it in the recording around
            return vjp(f, *again, has_aux=has_aux, **keywords)[1](g)
        with made.again():
            found = _pull(outputs, g, inputs, rec, f)
            results = [returned(x, False, z) for x, z in zip(found, inputs.leaves, strict=True)]
        return cotangents(results)

    plain = is_plain(inputs.leaves)
    shown = returned_tree(outputs, False, plain)
    options = {"primals": again, "has_aux": has_aux, "keywords": keywords}
    pullback_of_f = Transformed(f, _pullback, options, pull)
    del pullback_of_f.__dict__["__wrapped__"]  # its signature is another
    results = (shown, pullback_of_f)
    return (*results, returned_tree(aux, False, plain)) if has_aux else results


class _Called:
    """A function called in a recording that stays open for as long as what is made of it lives."""

    def __init__(
        self,
        f: Function,
        primals: Sequence[Any],
        has_aux: bool,
        keywords: dict[str, Any],
        transformation: str,
    ) -> None:
        check_function(f, transformation)
        if not primals:
            raise UsageError(
                f"{transformation} needs at least one primal: cr.{transformation}(f, x)"
            )
        around = active()
        self.is_nested = around is not None
        self.rec = rec = around or Recording(eager=True, provenance=False)
        with resumed(rec):
            wanted = _all_but_static(primals)
            self.inputs = Inputs(f, tuple(primals), keywords, wanted, rec, not self.is_nested)
            self.y, self.aux = f(*self.inputs.args, **keywords), None
            if has_aux:
                self.y, self.aux = with_aux(self.y, f)
            leaves, self.tree = flatten(self.y)
            self.outputs = [lift_output(leaf, rec) for leaf in leaves]
            self.inputs.done()
        self._mark, self._lock = rec.serial, Lock()

    @contextmanager
    def again(self) -> Iterator[None]:
        """Go on in the recording, which then forgets it. Threads take turns."""
        with self._lock, resumed(self.rec):
            try:
                yield
            finally:
                self.rec.forget_after(self._mark)


def _pullback(f: Function, primals: list[Any], has_aux: bool, keywords: dict[str, Any]) -> Any:
    """What ``vjp`` returns beside the value, made again in another process."""
    return vjp(f, *primals, has_aux=has_aux, **keywords)[1]


def _all_but_static(primals: Sequence[Any]) -> Wanted:
    """All primals but strings, functions and the like; a bool is refused when it is met."""
    return Wanted(
        [i for i, x in enumerate(primals) if isinstance(x, bool) or not is_static(x)],
        instead="pass it by keyword: not differentiated, as what argnums= leaves out of grad",
    )


def _pull(y: Any, g: Any, inputs: Inputs, rec: Recording, f: Function) -> list[Traced]:
    leaves, treedef = flatten(y)
    cotangents, gdef = flatten(g)
    if gdef != treedef:
        raise UsageError(f"the cotangent has the tree {gdef}, the output of {name_of(f)} {treedef}")
    outputs = [float_output(lift_output(leaf, rec), f) for leaf in leaves]
    gs = [
        like_output(c, x.type, rec, "cotangent") for c, x in zip(cotangents, outputs, strict=True)
    ]
    return _filled(pullback(outputs, gs, inputs.traced), inputs, rec)


# Forward mode -----------------------------------------------------------------------------


@handed
def jvp(
    f: Function,
    primals: Sequence[Any],
    tangents: Sequence[Any],
    has_aux: bool = False,
    **keywords: Any,
) -> Any:
    """The value of ``f`` and its directional derivative: ``y, t = jvp(f, (x,), (v,))``.

    Args:
        f: a function of the primals, to trees of arrays; with ``has_aux`` a pair of such a result
            and anything else.
        primals: trees of floating arrays and numbers. A string, a function or the like is passed
            as it is.
        tangents: of the trees, shapes and dtypes of ``primals``; None beside what is no array or
            number.
        has_aux: whether to return ``y, t, aux``.
        keywords: passed on to ``f``, not differentiated.

    Returns:
        ``y`` and ``t``, of the tree, shapes and dtypes of y: the Jacobian times v (L1.2), at about
        twice the cost of ``f`` and without storing intermediate values.

    Raises:
        DtypeError: a primal is of integers, bools or complex; or a tangent has another dtype.
        UsageError, ShapeError: the tangents have another tree or shape than the primals.
    """
    check_function(f, "jvp")
    if not isinstance(primals, (tuple, list)) or not isinstance(tangents, (tuple, list)):
        raise UsageError("jvp takes tuples: cr.jvp(f, (x,), (v,))")
    primals = tuple(primals)
    with recording(eager=True) as (rec, outermost):
        inputs = Inputs(f, primals, keywords, _all_but_static(primals), rec, outermost)
        beside = zip(tangents, range(len(primals)), strict=False)
        moving = [v for v, i in beside if v is not None or i in inputs.places]
        given, tdef = flatten((*moving, *tangents[len(primals) :]))
        if tdef != inputs.tree:
            raise UsageError(f"tangents have the tree {tdef}, primals {inputs.tree}")
        ts = [
            like_output(t, x.type, rec, "tangent")
            for t, x in zip(given, inputs.traced, strict=True)
        ]
        y, aux = f(*inputs.args, **keywords), None
        if has_aux:
            y, aux = with_aux(y, f)
        leaves, treedef = flatten(y)
        outputs = [lift_output(leaf, rec) for leaf in leaves]
        found = [
            t if t is not None else rec.zeros(x.type)
            for t, x in zip(pushforward(outputs, inputs.traced, ts), outputs, strict=True)
        ]
        inputs.done()
        plain, keep = is_plain(inputs.leaves), not outermost
        results = [treedef.unflatten(returned_tree(tree, keep, plain)) for tree in (outputs, found)]
        return (*results, returned_tree(aux, keep, plain)) if has_aux else tuple(results)


def linearize(f: Function, *primals: Any, has_aux: bool = False, **keywords: Any) -> Any:
    """The value of ``f`` and its derivative as a linear function: ``y, push = linearize(f, x)``.

    Args:
        f, primals, has_aux, keywords: as ``vjp`` takes them.

    Returns:
        ``y`` and ``push(*tangents)``, one tangent for each primal, as ``jvp`` takes them: the
        Jacobian times them. ``f`` runs once, however many tangents are pushed; what it computed
        is kept for as long as ``push`` is. With ``has_aux``, ``y, push, aux``.

    Raises:
        As of ``jvp``.
    """
    made = _Called(f, primals, has_aux, keywords, "linearize")
    inputs, rec, outputs, treedef = made.inputs, made.rec, made.outputs, made.tree
    plain, keep = is_plain(inputs.leaves), made.is_nested

    def pushed(tangents: tuple[Any, ...]) -> Any:
        if len(tangents) != len(primals):
            raise UsageError(f"push takes a tangent for each of {len(primals)} primals")
        moving = tuple([tangents[i] for i in inputs.places])  # type: ignore[call-overload]
        given, tdef = flatten(moving)
        if tdef != inputs.tree:
            raise UsageError(f"tangents have the tree {tdef}, primals {inputs.tree}")
        pairs = zip(given, inputs.traced, strict=True)
        ts = [like_output(t, x.type, rec, "tangent") for t, x in pairs]
        found = [
            t if t is not None else rec.zeros(x.type)
            for t, x in zip(pushforward(outputs, inputs.traced, ts), outputs, strict=True)
        ]
        return returned_tree(treedef.unflatten(found), keep, plain)

    def push(*tangents: Any) -> Any:
        if made.is_nested:
            return pushed(tangents)
        if active() is not None:  # differentiated itself: record it in the recording around
            return jvp(f, primals, tangents, **keywords)[1]
        with made.again():
            return pushed(tangents)

    value = returned_tree(treedef.unflatten(outputs), keep, plain)
    return (value, push, returned_tree(made.aux, keep, plain)) if has_aux else (value, push)
