"""Softmax and log-sum-exp typed with their maximum taken off: their values do not depend on what is
taken off, so nothing is differentiated through it (the maximum, its ties and their number)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from chainrule.compile.patterns import Rewrite, apply, inner, inputs_of
from chainrule.compile.stability.scaled import shifted
from chainrule.core.node import Node
from chainrule.core.traced import Traced

RESHAPES = frozenset({"reshape"})
VIEWS = RESHAPES | {"broadcast"}


class Shifted(NamedTuple):
    """A sum of exp(a - v), v the same along its axes."""

    total: Node
    a: Traced
    v: Traced

    @property
    def exp(self) -> Node:
        return self.total.inputs[0]

    @property
    def still(self) -> Traced:
        """a - v, with v a constant for derivatives."""
        return self.a - apply("stop_gradient", self.v)

    def meets(self, z: Node) -> bool:
        """Whether each entry of z, the sum repeated, lies beside exponentials with the same v."""
        shape, summed = self.exp.type.shape, self.total.attrs["axes"]

        def long(axes: Iterable[int]) -> list[int]:
            return [k for k in axes if shape[k] > 1]

        if not long(self.v.node.attrs["axes"]):
            return True
        kept = long(k for k in range(len(shape)) if k not in summed)
        return z.primitive.name == "broadcast" and long(z.attrs["axes"]) == kept


def _source(node: Node, through: frozenset[str]) -> Node:
    while node.primitive.name in through:
        node = node.inputs[0]
    return node


def _sum_of(total: Node, like: Traced) -> Shifted | None:
    """What is summed, if those are exponentials whose maximum was taken off."""
    if total.primitive.name != "reduce_sum" or total.inputs[0].primitive.name != "exp":
        return None
    below = inner(Traced(total.inputs[0], like.recording))
    if not shifted(below):
        return None
    a, v = inputs_of(below)
    spread = v.node.primitive.name == "broadcast"
    if not spread or set(v.node.attrs["axes"]) & set(total.attrs["axes"]):
        return None
    if _source(v.node, VIEWS).primitive.name == "stop_gradient":  # nothing to do
        return None
    return Shifted(total, a, v)


def _summed(z: Traced, through: frozenset[str]) -> Shifted | None:
    """What is summed, if z is its sum, repeated beside what was summed."""
    once = z.node.inputs[0] if z.node.primitive.name == "broadcast" else z.node
    found = _sum_of(_source(once, through), z)
    return found if found is not None and found.meets(z.node) else None


def _again(z: Traced, old: Node, new: Traced) -> Traced:
    """z, made of ``new`` where it was made of ``old`` through operations of one argument."""
    if z.node is old:
        return new
    return apply(z.node.primitive.name, _again(inner(z), old, new), **z.node.attrs)


def _softmax(x: Traced, z: Traced) -> Traced | None:
    if x.node.primitive.name != "exp" or x.recording.is_deriving:
        return None
    found = _summed(z, RESHAPES)
    if found is None or found.exp is not x.node:
        return None
    e = apply("exp", found.still)
    return e / _again(z, found.exp, e)


def _log_softmax(x: Traced, y: Traced) -> Traced | None:
    if x.node.primitive.name != "subtract" or x.recording.is_deriving:
        return None
    found = _summed(y, RESHAPES | {"log"})
    if found is None or found.exp.inputs[0] is not x.node:
        return None
    still = found.still
    return still - _again(y, found.exp, apply("exp", still))


def _log_sum_exp(x: Traced, y: Traced) -> Traced | None:
    for top, log in ((x, y), (y, x)):
        if log.node.primitive.name != "log" or log.recording.is_deriving:
            continue
        found = _sum_of(_source(log.node.inputs[0], RESHAPES), log)
        if found is None:
            continue
        once = found.v.node.inputs[0]  # v before it was repeated
        if _source(once, RESHAPES) is _source(top.node, RESHAPES):
            sums = _again(log, found.exp, apply("exp", found.still))
            return sums + apply("stop_gradient", top)
    return None


REWRITES = (
    Rewrite("softmax-shift", "divide", _softmax, "e / sum(e) of e = exp(a - max(a))"),
    Rewrite("log-softmax-shift", "subtract", _log_softmax, "b - log(sum(exp(b))), b = a - max(a)"),
    Rewrite("log-sum-exp-shift", "add", _log_sum_exp, "max(a) + log(sum(exp(a - max(a))))"),
)
