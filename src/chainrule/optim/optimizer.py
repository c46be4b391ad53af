"""What an optimiser is: a value with two recorded functions, and how they compose."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from chainrule.core.tree import flatten, flatten_with_paths, map_tree
from chainrule.errors import UsageError
from chainrule.optim.schedules import Schedule

Tree = Any


@dataclass(frozen=True)
class Optimizer:
    """A rule that turns gradients into new parameters.

    Attributes:
        init: ``init(params) -> slots``, what the rule remembers between steps; arrays of zeros.
        update: ``update(gradients, slots, params, step) -> (params, slots)``; made of np
            operations on trees, so it is recorded and compiled like any function. ``step`` is
            the number of updates done before, an integer array.
        learning_rate: the schedule, also shown in a training history.
        settings: plain data that says how it was made, for a saved model.
    """

    name: str
    init: Callable[[Tree], Tree] = field(repr=False)
    update: Callable[[Tree, Tree, Tree, Any], tuple[Tree, Tree]] = field(repr=False)
    learning_rate: Schedule
    settings: Mapping[str, Any] = field(default_factory=dict)

    def describe(self) -> dict[str, Any]:
        """Name and settings as plain data (numbers, strings, lists, dicts)."""
        return {
            "optimizer": self.name,
            "learning_rate": self.learning_rate.describe(),
            **self.settings,
        }


@dataclass(frozen=True)
class Transform:
    """A recorded change of the gradients before an optimiser sees them."""

    name: str
    apply: Callable[[Tree], Tree] = field(repr=False)
    settings: Mapping[str, Any] = field(default_factory=dict)


def clip_by_value(limit: float) -> Transform:
    """Each entry of the gradients into [-limit, limit]."""
    _positive("limit", limit)
    return Transform(
        "clip_by_value",
        lambda gradients: map_tree(lambda g: np.clip(g, -limit, limit), gradients),
        {"limit": float(limit)},
    )


def clip_by_norm(limit: float) -> Transform:
    """All gradients times one factor, so that their joint norm is at most ``limit``.

    Gradients within the limit keep their bits. (Pascanu, Mikolov, Bengio 2013. PyTorch's
    ``clip_grad_norm_`` adds 1e-6 to the norm, this does not.)
    """
    _positive("limit", limit)

    def apply(gradients: Tree) -> Tree:
        norm = global_norm(gradients)
        factor = limit / np.maximum(norm, limit)
        return map_tree(lambda g: g * as_dtype(factor, g), gradients)

    return Transform("clip_by_norm", apply, {"limit": float(limit)})


def global_norm(tree: Tree) -> Any:
    """The Euclidean norm of all leaves together."""
    leaves, _ = flatten(tree)
    total: Any = 0.0
    for leaf in leaves:
        total = total + np.sum(leaf * leaf)
    return np.sqrt(total)


def chain(*parts: Transform | Optimizer) -> Optimizer:
    """Transforms of the gradients, in order, then an optimiser: the last argument.

    ``chain(clip_by_norm(1.0), adam(1e-3))``.
    """
    last = parts[-1] if parts else None
    if not isinstance(last, Optimizer):
        raise UsageError("chain ends with an optimiser: chain(clip_by_norm(1.0), sgd(0.1))")
    transforms = [part for part in parts if isinstance(part, Transform)]
    if len(transforms) != len(parts) - 1:
        raise UsageError(
            "chain takes transforms of gradients, such as clip_by_norm, then one optimiser"
        )

    def update(gradients: Tree, slots: Tree, params: Tree, step: Any) -> tuple[Tree, Tree]:
        for part in transforms:
            gradients = part.apply(gradients)
        return last.update(gradients, slots, params, step)

    before = [{"transform": part.name, **part.settings} for part in transforms]
    return replace(last, update=update, settings={**last.settings, "before": before})


def groups(table: Mapping[str, Optimizer]) -> Optimizer:
    """Each labelled group of parameters under an optimiser of its own.

    ``groups({"*/bias": sgd(0.01), "*": adamw(1e-3)})``: a leaf belongs to the first pattern
    that matches its path (``layers/0/weights``). A clip inside one group sees that group only;
    ``chain(clip_by_norm(1), groups(...))`` sees all. The learning rate in a history is the one
    of the last group.

    Raises:
        UsageError: no pattern matches a leaf, or a pattern gets no leaf.
    """
    if not table:
        raise UsageError("groups needs at least one pattern with an optimiser")
    for pattern, optimizer in table.items():
        if not isinstance(optimizer, Optimizer):
            raise UsageError(f"group {pattern!r}: expected an optimiser, not {optimizer!r}")

    def init(params: Tree) -> Tree:
        parts = _partition(table, params)
        return {pattern: table[pattern].init(part) for pattern, part in parts.items()}

    def update(gradients: Tree, slots: Tree, params: Tree, step: Any) -> tuple[Tree, Tree]:
        named, treedef = flatten_with_paths(params)
        grads = dict(flatten_with_paths(gradients)[0])
        new, new_slots = {}, {}
        for pattern, part in _partition(table, params).items():
            own = {path: grads[path] for path in part}
            moved, new_slots[pattern] = table[pattern].update(own, slots[pattern], part, step)
            new.update(moved)
        return treedef.unflatten(new[path] for path, _ in named), new_slots

    settings = {"groups": {pattern: opt.describe() for pattern, opt in table.items()}}
    last = list(table.values())[-1]
    return Optimizer("groups", init, update, last.learning_rate, settings)


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


def decay_factors(params: Tree, rate: float, on: str) -> list[float]:
    """Per leaf: ``rate`` where its path matches ``on``, else 0.

    Raises:
        UsageError: nothing matches, and not because there are only biases and the like.
    """
    paths = [path for path, _ in flatten_with_paths(params)[0]]
    spared = ("*bias", "*scale", "*shift")
    if rate and not any(fnmatchcase(path, on) for path in paths):
        odd = [path for path in paths if not any(fnmatchcase(path, s) for s in spared)]
        if odd:
            raise UsageError(
                f"weight_decay: {on!r} matches none of {', '.join(map(repr, paths))}; say what "
                'should decay, for example decay_on="*"'
            )
    return [rate if fnmatchcase(path, on) else 0.0 for path in paths]


def per_leaf(rule: Callable[..., tuple[Any, ...]], count: int, *trees: Tree) -> tuple[Tree, ...]:
    """``count`` trees from a rule that maps the leaves at one place to ``count`` arrays."""
    columns = []
    treedef: Any = None
    for tree in trees:
        leaves, found = flatten(tree)
        if treedef is not None and found != treedef:
            raise UsageError(f"trees of different shape: {treedef} and {found}")
        treedef = found
        columns.append(leaves)
    rows = [rule(*row) for row in zip(*columns, strict=True)]
    return tuple(treedef.unflatten(row[i] for row in rows) for i in range(count))


def as_dtype(value: Any, like: Any) -> Any:
    """A scalar in the dtype of an array, so that float32 leaves stay float32."""
    # Only Python's own float is weak: np.float64 is a subclass of it and is not.
    return value if type(value) is float else value.astype(like.dtype)


def zeros_like(params: Tree) -> Tree:
    return map_tree(lambda p: np.zeros(np.shape(p), p.dtype), params)


def _positive(name: str, value: float) -> None:
    if not 0 < value < np.inf:
        raise UsageError(f"{name} must be positive and finite, not {value}")
