"""Penalties on parameters: L1 and L2 (L1.5 ``lambda/2 ||W||^2``, L3.1 ``lambda Omega(theta)``)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from chainrule.core.containers import register
from chainrule.core.settings import number, whole
from chainrule.core.tree import flatten_with_paths
from chainrule.errors import UsageError

Strength = float | Mapping[str, float]


@register
@dataclass(frozen=True)
class Penalty:
    """``l1 sum |W| + l2/2 sum W^2`` over the weights; biases, scales and shifts are left out.

    It is added once to the mean loss, so its strength does not depend on the batch size.
    (scikit-learn divides its ``alpha`` by the batch size: ``l2 = alpha / batch_size``.)

    A strength is one number for all leaves that end in ``weights``, or a mapping from patterns
    of paths to numbers, ``{"layers/0/*": 1e-3, "*/bias": 1e-4}``, of which the first that
    matches a leaf counts.

    Raises:
        UsageError: a negative or non-finite strength; a pattern that matches no leaf.
    """

    l1: Strength = 0.0
    l2: Strength = 0.0

    def __post_init__(self) -> None:
        for name, strength in (("l1", self.l1), ("l2", self.l2)):
            for value in _table(strength).values():
                number(name, value, at_least=0)

    def __bool__(self) -> bool:
        if (self.l1, self.l2) == (0.0, 0.0):  # it is asked in every epoch
            return False
        return any(v > 0 for s in (self.l1, self.l2) for v in _table(s).values())

    def __call__(self, params: Any) -> Any:
        """The penalty, a scalar; recorded like any function of the parameters."""
        leaves, _ = flatten_with_paths(params)
        absolute = _strengths("l1", self.l1, [path for path, _ in leaves])
        square = _strengths("l2", self.l2, [path for path, _ in leaves])
        total: Any = 0.0
        for (_, leaf), l1, l2 in zip(leaves, absolute, square, strict=True):
            if l1:
                total = total + l1 * np.sum(np.abs(leaf))
            if l2:
                total = total + (0.5 * l2) * np.sum(leaf * leaf)
        return total


def l2_from(value: float, convention: str, *, rows: int | None = None) -> float:
    """The ``l2`` that means what ``value`` means elsewhere, of weights (L1.5).

    ============  ==========================================================  ==================
    convention    what is added to the mean loss                              l2
    ============  ==========================================================  ==================
    ``keras``     ``regularizers.L2(value)``: ``value sum W^2``               ``2 value``
    ``torch``     ``weight_decay=value`` of SGD and Adam: ``value W`` to the  ``value``
                  gradient (biases too: ``l2={"*": value}``)
    ``sklearn``   ``alpha=value``: ``value / 2 sum W^2 / rows``               ``value / rows``
    ============  ==========================================================  ==================

    Args:
        value: the strength there.
        convention: one of these names.
        rows: of a minibatch, for ``sklearn``.

    Raises:
        UsageError: an unknown convention, a negative strength, or no rows where they are needed.
    """
    value = number("value", value, at_least=0)
    if str(convention) == "sklearn":
        if rows is None:
            raise UsageError("scikit-learn divides alpha by the rows of a minibatch: say rows=200")
        return value / whole("rows", rows)
    factor = {"keras": 2.0, "torch": 1.0}.get(str(convention))
    if factor is None:
        raise UsageError(f"convention={convention!r}: choose one of keras, torch, sklearn")
    return factor * value


def _table(strength: Strength) -> Mapping[str, float]:
    return strength if isinstance(strength, Mapping) else {"*weights": strength}


def _strengths(name: str, strength: Strength, paths: list[str]) -> list[float]:
    table = _table(strength)
    for pattern, value in table.items():
        if value and not any(fnmatchcase(path, pattern) for path in paths):
            raise UsageError(
                f"{name}: {pattern!r} matches none of {', '.join(map(repr, paths))}; give the "
                f'strength per pattern, for example {name}={{"*": {value:g}}}'
            )
    return [next((v for p, v in table.items() if fnmatchcase(path, p)), 0.0) for path in paths]
