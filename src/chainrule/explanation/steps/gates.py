"""Gates as in the lectures: whole functions that stand as one operation (L1.3, L1.4, L0.4).

A gate is a part of the graph with one result. It is known by the call that made it, softmax or
a mean, or by its shape, as a cross-entropy; it is one only if recording its definition again
gives the same node. How a gate passes a gradient back is the engine's: the sum over the edges
into its inputs. ``rules`` say how the lecture writes that; the first whose values are the
engine's at this point is shown, and a gate without one opens.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.autodiff import pullback
from chainrule.core.node import Node
from chainrule.core.recording import Recording, quiet
from chainrule.core.traced import Traced
from chainrule.explanation.formula.building import behind, is_transparent
from chainrule.ops.special import logistic
from chainrule.ops.stable import log_softmax, logsumexp, softmax
from chainrule.ops.structure import broadcast_to

Rule = Callable[..., Any]


@dataclass(frozen=True)
class Kind:
    """A gate that the lectures draw as one.

    ``definition`` is the function; ``rules`` give, for the gradient g of the result y and the
    inputs, what each input receives (None: nothing is said of it). ``written``: formulas show it
    by the name ``name``, else as what it is made of. ``shown``: the input of the definition whose
    softmax or logistic stays a line of its own, ŷ.
    """

    name: str
    definition: Callable[..., Any]
    rules: tuple[Rule, ...]
    teaches: str
    written: bool = True


@dataclass(frozen=True, eq=False)
class Gate:
    """One in a graph: its result, its inputs, the nodes inside, and the rule that holds here.

    ``aside`` is a quantity inside that keeps its line, without a gradient of its own: ŷ.
    """

    kind: Kind
    node: Node
    inputs: tuple[Node, ...]
    inside: frozenset[Node]
    rule: Rule
    aside: Node | None = None


def _larger(x: Any, z: Any) -> Any:
    return np.where(x > z, 1.0, 0.0)


def _norm2(x: Any) -> Any:
    return np.sum(x * x)


def _entropy(y: Any, p: Any) -> Any:
    return -np.sum(y * np.log(p))


def _two_classes(t: Any, p: Any) -> Any:
    return -t * np.log(p) - (1 - t) * np.log(1 - p)


def _rows(x: Any) -> Any:
    return np.sum(x, axis=-1, keepdims=True)


def _log_odds(y: Any, p: Any) -> Any:
    return np.log(1 - p) - np.log(p)


CALLED: Mapping[str, Kind] = {
    "nn.softmax": Kind(
        "softmax", softmax, (lambda g, y, x: (y * (g - _rows(y * g)),),),
        "Softmax: raising one score lowers the probability of all others, which add up to 1.",
    ),
    "nn.log_softmax": Kind(
        "log_softmax", log_softmax, (lambda g, y, x: (g - softmax(x) * _rows(g),),),
        "The logarithm of softmax passes the gradient on, less its sum shared as softmax shares.",
    ),
    "nn.logsumexp": Kind(
        "logsumexp", logsumexp, (lambda g, y, x: (softmax(x) * g,),),
        "The slope of log Σ exp is softmax.",
    ),
    "mean": Kind(
        "mean", np.mean, (lambda g, y, x: (broadcast_to(g / x.size, x.shape),),),
        "A mean passes each entry an equal share of the gradient.",
    ),
    "norm": Kind(
        "norm", np.linalg.norm, (lambda g, y, x: (x / y * g,),),
        "The slope of a norm is the direction: the vector over its length.",
    ),
}  # fmt: skip

SQUARED_NORM = Kind(
    "norm2", _norm2, (lambda g, y, x: (2 * x * g,),),
    "The slope of a squared norm is twice the vector (L1.3).",
)  # fmt: skip
SOFTMAX_ENTROPY = Kind(
    "softmax with cross-entropy",
    lambda y, a: _entropy(y, softmax(a)),
    (
        lambda g, y, t, a: (-np.log(softmax(a)) * g, (softmax(a) - t) * g),
        lambda g, y, t, a: (-np.log(softmax(a)) * g, (softmax(a) * _rows(t) - t) * g),
    ),
    "Softmax and cross-entropy together pass back ŷ − y: what is predicted less what is true.",
    written=False,
)
SOFTMAX_LIKELIHOOD = Kind(
    "softmax with log-likelihood",
    lambda y, a: np.sum(y * np.log(softmax(a))),
    tuple(
        lambda g, y, t, a, rule=rule: tuple(-part for part in rule(g, y, t, a))
        for rule in SOFTMAX_ENTROPY.rules
    ),
    "Softmax and the logarithm together pass back y − ŷ: what is true less what is predicted.",
    written=False,
)
LOGISTIC_ENTROPY = Kind(
    "logistic with cross-entropy",
    lambda t, z: _two_classes(t, logistic(z)),
    (lambda g, y, t, z: (_log_odds(t, logistic(z)) * g, (logistic(z) - t) * g),),
    "Logistic and cross-entropy together pass back ŷ − y: what is predicted less what is true.",
    written=False,
)
SHORTER: Mapping[str, tuple[Rule, ...]] = {
    "maximum": (
        lambda g, y, x, z: (_larger(x, z) * g, _larger(z, x) * g),
        lambda g, y, x, z: (g / 2, g / 2),
    ),
    "minimum": (
        lambda g, y, x, z: (_larger(z, x) * g, _larger(x, z) * g),
        lambda g, y, x, z: (g / 2, g / 2),
    ),
    "reduce_max": (lambda g, y, x: (np.where(x == y, 1.0, 0.0) * g,),),
    "reduce_min": (lambda g, y, x: (np.where(x == y, 1.0, 0.0) * g,),),
}
"""Operations whose own rule allows for ties; without one it is shorter."""


# Finding ------------------------------------------------------------------------------------


def gates(
    rec: Recording,
    order: Sequence[Node],
    output: Node,
    kept: Collection[Node],
    opened: bool | Collection[str],
) -> dict[Node, Gate]:
    """The gates of a graph, by their results.

    Args:
        order: the quantities. kept: those that have a name of their own and stay. opened: the
            names of gates that are left open; True for all.
    """
    if opened is True:
        return {}
    users: dict[Node, set[Node]] = {}
    every = _ancestors(output)
    for node in every:
        for x in node.inputs:
            users.setdefault(x, set()).add(node)
    found: dict[Node, Gate] = {}
    hidden: set[Node] = set()
    for node in reversed(order):
        if node in hidden or not node.type.is_float:
            continue
        for kind, inputs, aside in _candidates(rec, node, kept):
            if opened and (kind.name in opened or _is_loss(kind.name) in opened):
                continue
            gate = _gate(rec, kind, node, inputs, aside, users)
            if gate is not None and not (gate.inside - {node}) & (set(kept) - {aside}):
                found[node] = gate
                hidden |= gate.inside - {node}
                if aside is not None:
                    hidden.discard(aside)
                break
    return found


def _is_loss(name: str) -> str:
    """The loss that is open where its logarithms are to be seen too."""
    return name.replace("log-likelihood", "cross-entropy")


def _ancestors(node: Node) -> list[Node]:
    found, stack = {node: None}, [node]
    while stack:
        for x in stack.pop().inputs:
            if x not in found:
                found[x] = None
                stack.append(x)
    return list(found)


def _candidates(
    rec: Recording, node: Node, kept: Collection[Node]
) -> Iterator[tuple[Kind, tuple[Node, ...], Node | None]]:
    root = behind(node)
    name = root.primitive.name
    called = (rec.calls or {}).get(node) or (rec.calls or {}).get(root)
    if called is not None and called[0] in CALLED:
        yield CALLED[called[0]], called[1], None
    if name == "reduce_sum" and root.inputs[0].primitive.name == "multiply":
        x, z = root.inputs[0].inputs
        if x is z:
            yield SQUARED_NORM, (x,), None
        for inputs, p in _likelihoods(rec, root):
            yield SOFTMAX_LIKELIHOOD, inputs, p
    if name == "negative":
        for inputs, p in _likelihoods(rec, behind(root.inputs[0])):
            yield SOFTMAX_ENTROPY, inputs, p
    if name == "subtract":
        yield from _two_class_entropies(root, kept)


def _likelihoods(rec: Recording, total: Node) -> Iterator[tuple[tuple[Node, ...], Node]]:
    """Σ y log softmax(a), the product either way round."""
    if total.primitive.name != "reduce_sum" or total.inputs[0].primitive.name != "multiply":
        return
    for y, log in (total.inputs[0].inputs, total.inputs[0].inputs[::-1]):
        if log.primitive.name == "log":
            called = (rec.calls or {}).get(p := log.inputs[0])
            if called is not None and called[0] == "nn.softmax":
                yield (behind(y), called[1][0]), p


def _two_class_entropies(
    root: Node, kept: Collection[Node]
) -> Iterator[tuple[Kind, tuple[Node, ...], Node]]:
    """−t log σ(z) − (1 − t) log(1 − σ(z)), where ŷ has no name of its own."""
    left = root.inputs[0]
    if left.primitive.name != "multiply" or left.inputs[1].primitive.name != "log":
        return
    minus, log = left.inputs
    p = log.inputs[0]
    if p.primitive.name == "logistic" and minus.primitive.name == "negative" and p not in kept:
        yield LOGISTIC_ENTROPY, (minus.inputs[0], p.inputs[0]), p


def _gate(
    rec: Recording, kind: Kind, node: Node, inputs: tuple[Node, ...], aside: Node | None,
    users: Mapping[Node, set[Node]],
) -> Gate | None:  # fmt: skip
    """The gate, if the definition gives this node, nothing inside is used elsewhere, and one of
    the rules holds."""
    inputs = tuple(y if (y := behind(x)).type.shape == x.type.shape else x for x in inputs)
    if any(is_transparent(x) for x in inputs):
        return None
    traced = [Traced(x, rec) for x in inputs]
    with quiet():
        made = kind.definition(*traced)
    if behind(made.node) is not behind(node):
        return None
    inside = _between(node, set(inputs))
    if any(not users.get(x, set()) <= inside for x in inside - {node}):
        return None
    one = broadcast_to(rec.constant(1, node.type.dtype), node.type.shape)
    wrt = [x for x in traced if x.node.type.is_float and not x.node.is_constant]
    with quiet():
        found = pullback([Traced(node, rec)], [one], wrt)
        pulled = {x.node: part for x, part in zip(wrt, found, strict=True)}
        for rule in kind.rules:
            parts = rule(one, Traced(node, rec), *traced)
            pairs = [(pulled[x], p) for x, p in zip(inputs, parts, strict=True) if x in pulled]
            if all(_equal(exact, part) for exact, part in pairs):
                return Gate(kind, node, inputs, frozenset(inside), rule, aside)
    return None


def _between(node: Node, inputs: set[Node]) -> set[Node]:
    found, stack = {node}, [node]
    while stack:
        for x in stack.pop().inputs:
            if x not in found and x not in inputs and not x.is_constant:
                found.add(x)
                stack.append(x)
    return found


def _equal(a: Traced | None, b: Any) -> bool:
    x = 0.0 if a is None else a.recording.values[a.node]
    z = b.recording.values[b.node] if isinstance(b, Traced) else b
    low = np.asarray(x).dtype == np.float32
    size = float(np.max(np.abs(x), initial=0.0))
    return bool(np.all(np.isfinite(x))) and np.allclose(
        x, z, rtol=1e-4 if low else 1e-9, atol=(1e-5 if low else 1e-12) * max(size, 1.0)
    )


def shorter(rec: Recording, node: Node, position: int, g: Traced, exact: Any) -> Traced | None:
    """The lecture's form of what an operation with ties passes back, where it equals ``exact``."""
    given = [Traced(x, rec) for x in node.inputs]
    for rule in SHORTER.get(node.primitive.name, ()):
        part = rule(g, Traced(node, rec), *given)[position]
        if _equal(exact, part):
            return part
    return None
