"""Rules made of rules: changes of gradients, chains of them, and groups of parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

import numpy as np

from chainrule.core.settings import number
from chainrule.core.told import told
from chainrule.core.tree import flatten, flatten_with_paths, map_tree
from chainrule.errors import UsageError
from chainrule.optim.optimizer import (
    WEIGHTS,
    Optimizer,
    Tree,
    as_dtype,
    decay_factors,
    decayed,
    no_slots,
)
from chainrule.optim.rules import optimizer
from chainrule.optim.schedules import Schedule, product, schedule


@dataclass(frozen=True)
class Transform:
    """A recorded change of the gradients that needs nothing but them: a link of a ``chain``.

    Attributes:
        name: what ``describe``, and so a saved model, calls it.
        apply: from the tree of gradients to the changed one, of the same shapes and dtypes.
        settings: plain data that says how it was made.
    """

    name: str
    apply: Callable[[Tree], Tree] = field(repr=False)
    settings: Mapping[str, Any] = field(default_factory=dict, hash=False)


def clip_by_value(limit: float) -> Transform:
    """Each entry of the gradients into [-limit, limit].

    Raises:
        UsageError: ``limit`` is not positive and finite.
    """
    limit = number("limit", limit, above=0)
    return Transform("clip_by_value", partial(_clipped, limit=limit), {"limit": limit})


def clip_by_norm(limit: float) -> Transform:
    """All gradients times one factor, so that their joint norm is at most ``limit``.

    Gradients within the limit keep their bits. (Pascanu, Mikolov, Bengio 2013. PyTorch's
    ``clip_grad_norm_`` adds 1e-6 to the norm, this does not.)

    Raises:
        UsageError: ``limit`` is not positive and finite.
    """
    limit = number("limit", limit, above=0)
    return Transform("clip_by_norm", partial(_shrunk, limit=limit), {"limit": limit})


def _clipped(gradients: Tree, limit: float) -> Tree:
    return map_tree(lambda g: np.clip(g, -limit, limit), gradients)


def _shrunk(gradients: Tree, limit: float) -> Tree:
    factor = limit / np.maximum(global_norm(gradients), limit)
    return map_tree(lambda g: g * as_dtype(factor, g), gradients)


@told("optim.global_norm")
def global_norm(tree: Tree) -> Any:
    """The Euclidean norm of all leaves of ``tree`` together, a scalar; 0 without leaves."""
    leaves, _ = flatten(tree)
    total: Any = 0.0
    for leaf in leaves:
        total = total + np.sum(leaf * leaf)
    return np.sqrt(total)


def scale(by: float | Schedule) -> Optimizer:
    """What comes in times ``by``, a number or a schedule of the step; alone, gradient descent.

    As the last link of a chain it is the learning rate of all before it:
    ``chain(adam(1.0), weight_decay(0.01), scale(schedules.cosine(1e-3, 10_000)))``.

    Raises:
        UsageError: a number that is negative or not finite.
    """
    rate = schedule(by)
    return Optimizer("scale", no_slots, partial(_scaled, rate=rate), rate)


def _scaled(
    gradients: Tree, slots: Tree, params: Tree, step: Any, rate: Schedule
) -> tuple[Tree, Tree]:
    factor = rate(step)
    return map_tree(lambda g: as_dtype(factor, g) * g, gradients), {}


def weight_decay(rate: float | Schedule, on: str | Sequence[str] = WEIGHTS) -> Optimizer:
    """Adds ``rate`` times the parameter where its path matches ``on``, one pattern or any of
    several, to be chained.

    Before a rule it is the L2 penalty ``rate / 2 sum W^2``; after one it is decoupled from the
    rule's step, as in AdamW (Loshchilov and Hutter 2019). ``rate`` is a number or a schedule of
    the step.

    Raises:
        UsageError: a rate that is negative or not finite; at the first step, a pattern that
            matches no parameter.
    """
    if not isinstance(on, str):
        if not (isinstance(on, (tuple, list)) and all(isinstance(p, str) for p in on)):
            raise UsageError(f"weight_decay: on={on!r} is no pattern and no list of patterns")
        on = list(on)
    if isinstance(rate, Schedule):
        settings: dict[str, Any] = {"rate": rate.describe(), "on": on}
        direction = partial(_with_scheduled_decay, rate=rate, on=on)
    else:
        settings = {"rate": number("weight_decay", rate, at_least=0), "on": on}
        direction = partial(_with_decay, **settings)
    return Optimizer("weight_decay", no_slots, direction, None, settings)


def _with_decay(
    gradients: Tree, slots: Tree, params: Tree, step: Any, rate: float, on: str | Sequence[str]
) -> tuple[Tree, Tree]:
    decays = iter(decay_factors(params, rate, on))
    return map_tree(lambda p, g: decayed(g, p, next(decays)), params, gradients), {}


def _with_scheduled_decay(
    gradients: Tree, slots: Tree, params: Tree, step: Any, rate: Schedule, on: str | Sequence[str]
) -> tuple[Tree, Tree]:
    matched, now = iter(decay_factors(params, 1.0, on)), rate(step)

    def rule(p: Any, g: Any) -> Any:
        return g + as_dtype(now, p) * p if next(matched) else g

    return map_tree(rule, params, gradients), {}


def factors(table: Mapping[str, float]) -> Optimizer:
    """Each leaf's step times the number of the first pattern that matches its path, to be chained.

    ``chain(adam(1.0), factors({"*bias": 0.1}), scale(1e-3))``: biases learn at a tenth of the
    rate. Leaves that nothing matches keep their step. Put behind a decoupled ``weight_decay`` it
    scales that too.

    Args:
        table: pattern (``*`` and ``?`` as in file names) -> factor from 0 up.

    Raises:
        UsageError: a factor that is negative or not finite; at the first step, a pattern that
            matches no parameter.
    """
    if not isinstance(table, Mapping) or not all(isinstance(name, str) for name in table):
        raise UsageError('factors takes a mapping from patterns to numbers: {"*bias": 0.1}')
    settings = {name: number(f"factors[{name!r}]", by, at_least=0) for name, by in table.items()}
    direction = partial(_with_factors, table=settings)
    return Optimizer("factors", no_slots, direction, None, {"table": settings})


def _with_factors(
    gradients: Tree, slots: Tree, params: Tree, step: Any, table: Mapping[str, float]
) -> tuple[Tree, Tree]:
    paths = [path for path, _ in flatten_with_paths(params)[0]]
    for pattern in table:
        if not any(fnmatchcase(path, pattern) for path in paths):
            raise UsageError(f"factors: {pattern!r} matches none of {', '.join(paths)}")
    own = iter([next((by for p, by in table.items() if fnmatchcase(path, p)), 1.0)
                for path in paths])  # fmt: skip

    def rule(g: Any) -> Any:
        by = next(own)
        return g if by == 1.0 else by * g

    return map_tree(rule, gradients), {}


def chain(*parts: str | Transform | Optimizer) -> Optimizer:
    """One rule after another: each gets what the one before hands on, the first the gradients.

    ``chain(clip_by_norm(1.0), adam(1e-3))`` clips gradients, ``chain(adam(1e-3),
    clip_by_norm(0.1))`` clips steps; chains may be parts of chains. The learning rate is the
    product of those of the parts; ``fit`` needs at least one part that has one. Slots are a
    tuple, one entry a part.

    Raises:
        UsageError: no parts, or one that is no rule; L-BFGS, which is a search of its own.
    """
    if not parts:
        raise UsageError("chain needs rules: chain(clip_by_norm(1.0), sgd(0.1))")
    links = tuple(map(_link, parts))
    rates = [link.learning_rate for link in links if link.learning_rate is not None]
    settings = {"parts": [link.describe() for link in links]}
    init, direction = partial(_chained_slots, links=links), partial(_chained, links=links)
    return Optimizer("chain", init, direction, product(rates) if rates else None, settings)


def _link(part: Any) -> Optimizer:
    if isinstance(part, Transform):
        apply = partial(_applied, part.apply)
        return Optimizer(part.name, no_slots, apply, None, part.settings)
    found = optimizer(part)
    if not isinstance(found, Optimizer):
        raise UsageError("L-BFGS is a search with the whole batch: it cannot be part of others")
    return found


def _applied(
    apply: Callable[[Tree], Tree], gradients: Tree, slots: Tree, params: Tree, step: Any
) -> tuple[Tree, Tree]:
    return apply(gradients), {}


def _chained_slots(params: Tree, links: tuple[Optimizer, ...]) -> Tree:
    return tuple(link.init(params) for link in links)


def _chained(
    gradients: Tree, slots: Tree, params: Tree, step: Any, links: tuple[Optimizer, ...]
) -> tuple[Tree, Tree]:
    kept = []
    for link, own in zip(links, slots, strict=True):
        gradients, new = link.direction(gradients, own, params, step)
        kept.append(new)
    return gradients, tuple(kept)


@told("optim.groups")
def groups(table: Mapping[str, str | Transform | Optimizer]) -> Optimizer:
    """Each labelled group of parameters under a rule of its own.

    ``groups({"*/bias": sgd(0.01), "*": adamw(1e-3)})``: a leaf belongs to the first pattern
    that matches its path (``layers/0/weights``). A clip inside one group sees that group only;
    ``chain(clip_by_norm(1), groups(...))`` sees all. The learning rate in a history is the one
    of the last group.

    Args:
        table: pattern (``*`` and ``?`` as in file names) -> a rule or its name.

    Raises:
        UsageError: no groups, or one without a rule; with the parameters, no pattern matches a
            leaf, or a pattern gets no leaf.
    """
    if not table:
        raise UsageError("groups needs at least one pattern with an optimiser")
    rules = {pattern: _link(rule) for pattern, rule in table.items()}
    settings = {"groups": {pattern: rule.describe() for pattern, rule in rules.items()}}
    init, direction = partial(_group_slots, table=rules), partial(_grouped, table=rules)
    return Optimizer("groups", init, direction, list(rules.values())[-1].learning_rate, settings)


def _group_slots(params: Tree, table: Mapping[str, Optimizer]) -> Tree:
    parts = _partition(table, params)
    return {pattern: table[pattern].init(part) for pattern, part in parts.items()}


def _grouped(
    gradients: Tree, slots: Tree, params: Tree, step: Any, table: Mapping[str, Optimizer]
) -> tuple[Tree, Tree]:
    named, treedef = flatten_with_paths(params)
    grads = dict(flatten_with_paths(gradients)[0])
    moves, kept = {}, {}
    for pattern, part in _partition(table, params).items():
        own = {path: grads[path] for path in part}
        found, kept[pattern] = table[pattern].direction(own, slots[pattern], part, step)
        moves.update(found)
    return treedef.unflatten(moves[path] for path, _ in named), kept


def _partition(table: Mapping[str, Optimizer], params: Tree) -> dict[str, dict[str, Any]]:
    """Pattern -> {path: leaf}, the first pattern that matches."""
    named, _ = flatten_with_paths(params)
    parts: dict[str, dict[str, Any]] = {pattern: {} for pattern in table}
    for path, leaf in named:
        pattern = next((p for p in table if fnmatchcase(path, p)), None)
        if pattern is None:
            raise UsageError(
                f"no group matches the parameter {path!r}; patterns are {', '.join(table)}: "
                'end with "*" for all others'
            )
        parts[pattern][path] = leaf
    for pattern, part in parts.items():
        if not part:
            listed = ", ".join(path for path, _ in named)
            raise UsageError(f"group {pattern!r} gets none of the parameters {listed}")
    return parts
