"""What an optimiser is: a value with two recorded functions, and how such values compose."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from chainrule.core.tree import flatten, flatten_with_paths, map_tree
from chainrule.errors import UsageError
from chainrule.optim.schedules import Schedule

Tree = Any
WEIGHTS = "*weights"
"""The leaves that decay unless told otherwise: weights, and not biases."""


@dataclass(frozen=True)
class Optimizer:
    """A rule that turns gradients into steps; two are equal if they were made alike.

    Attributes:
        name: what ``describe``, and so a saved model, calls it.
        init: ``init(params) -> slots``, what the rule remembers between steps; arrays of zeros.
        direction: ``direction(gradients, slots, params, step) -> (directions, slots)``, what
            is to be subtracted from the parameters; made of np operations on trees, so it is
            recorded and compiled like any function. ``step`` is the number of updates done
            before, an integer array.
        learning_rate: the schedule, also shown in a training history; None for a rule that only
            changes gradients on their way and is to be chained with others.
        settings: plain data that says how it was made, for a saved model.
    """

    name: str
    init: Callable[[Tree], Tree] = field(repr=False, compare=False)
    direction: Callable[[Tree, Tree, Tree, Any], tuple[Tree, Tree]] = field(
        repr=False, compare=False
    )
    learning_rate: Schedule | None
    settings: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def update(self, gradients: Tree, slots: Tree, params: Tree, step: Any) -> tuple[Tree, Tree]:
        """One step: ``(params, slots)`` after it, in the shapes and dtypes of those before."""
        directions, slots = self.direction(gradients, slots, params, step)
        return map_tree(lambda p, d: p - d, params, directions), slots

    def describe(self) -> dict[str, Any]:
        """Name and settings as plain data (numbers, strings, lists, dicts)."""
        rate = {} if self.learning_rate is None else self.learning_rate.describe()
        return {"optimizer": self.name, "learning_rate": rate, **self.settings}


def decay_factors(params: Tree, rate: float, on: str | Sequence[str]) -> list[float]:
    """Per leaf: ``rate`` where its path matches ``on``, one pattern or any of several, else 0.

    Raises:
        UsageError: nothing matches, and not because there are only biases and the like.
    """
    paths = [path for path, _ in flatten_with_paths(params)[0]]
    spared = ("*bias", "*scale", "*shift")
    patterns = (on,) if isinstance(on, str) else on
    matched = [any(fnmatchcase(path, pattern) for pattern in patterns) for path in paths]
    if rate and not any(matched):
        odd = [path for path in paths if not any(fnmatchcase(path, s) for s in spared)]
        if odd:
            raise UsageError(
                f"weight_decay: {on!r} matches none of {', '.join(map(repr, paths))}; say what "
                'should decay, for example decay_on="*"'
            )
    return [rate if match else 0.0 for match in matched]


def per_leaf(rule: Callable[..., tuple[Any, ...]], count: int, *trees: Tree) -> tuple[Tree, ...]:
    """``count`` trees from a rule that maps the leaves at one place to ``count`` arrays."""
    rows: list[tuple[Any, ...]] = []
    map_tree(lambda *leaves: rows.append(rule(*leaves)), *trees)
    treedef = flatten(trees[0])[1]
    return tuple(treedef.unflatten(row[i] for row in rows) for i in range(count))


def as_dtype(value: Any, like: Any) -> Any:
    """A scalar in the dtype of an array, so that float32 leaves stay float32."""
    # Only Python's own float is weak: np.float64 is a subclass of it and is not.
    return value if type(value) is float else value.astype(like.dtype)


def decayed(g: Any, p: Any, decay: float) -> Any:
    """``g + decay p``; ``g`` itself without decay."""
    return g + decay * p if decay else g


def no_slots(params: Tree) -> Tree:
    """What a rule without a memory remembers."""
    return {}


def zeros(names: tuple[str, ...], params: Tree) -> Tree:
    """Slots: under each name zeros like the parameters."""
    return {name: map_tree(lambda p: np.zeros(np.shape(p), p.dtype), params) for name in names}
