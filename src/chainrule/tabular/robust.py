"""Inputs as RealMLP takes them: around the median, in quartiles, smoothly within 3.

The second stage of a coding: what the rules of the columns make, in another order and scale.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.tabular.rules import Category, Date, Number, Rule

__all__ = ["Blocks", "Robust"]

LIMIT = 3.0
FAR = 1e100
"""Inputs beyond it are at the limit, to the last bit; their squares would overflow."""
BLOCK = 2**12
"""Rows that are turned into inputs at a time, so that they stay in the processor's cache."""


@dataclass(frozen=True)
class Blocks:
    """How the inputs of a row are laid out, from left to right.

    Attributes:
        numbers: how many are numbers or features of dates; plain: how many others as they are.
        embedded: for each category that gets an embedding, how many inputs it has.
    """

    numbers: int
    plain: int
    embedded: tuple[int, ...] = ()


@dataclass(frozen=True)
class Robust:
    """``z / sqrt(1 + (z / 3)^2)`` for ``z = (x - center) factor``, of the inputs in this order.

    Attributes:
        order: numbers first, then other inputs, then categories that get embeddings, whose inputs
            stay 0 and 1.
        centers, factors: of each, in this order: the median of the training rows, and one over the
            distance of their quartiles; where that is 0, over half their range; 0 for one value.
        numbers, embedded: as ``Blocks`` has them.
    """

    order: tuple[int, ...]
    centers: tuple[float, ...]
    factors: tuple[float, ...]
    numbers: int
    embedded: tuple[int, ...]

    @classmethod
    def learn(
        cls,
        rules: Sequence[Rule],
        five: Callable[[list[int]], NDArray[np.float64]],
        embed_above: int | None,
    ) -> Robust:
        """From ``five``: the least, the quartiles and the greatest of inputs, (5, inputs), by their
        places, of the training rows as the rules code them."""
        numbers, plain, embedded = [], [], []
        place = 0
        for rule in rules:
            own = list(range(place, place + len(rule.inputs())))
            place += len(own)
            if isinstance(rule, (Number, Date)):
                spikes = len(rule.spikes) if isinstance(rule, Number) else 0
                end = len(own) - rule.indicator - spikes
                numbers += own[:end]
                plain += own[end : len(own) - spikes]
                words = own[len(own) - spikes :]
                if embed_above is not None and spikes > embed_above:
                    embedded.append(words)
                else:
                    plain += words
            elif isinstance(rule, Category) and embed_above is not None and len(own) > embed_above:
                embedded.append(own)
            else:
                plain += own
        scaled = numbers + plain
        least, low, center, high, most = five(scaled)
        spread = high - low
        half = (most - least) / 2
        spread = np.where(spread == 0, half, spread)
        factor = np.where(spread == 0, 0.0, 1.0 / np.where(spread == 0, 1.0, spread))
        rest = [i for own in embedded for i in own]
        return cls(
            tuple(scaled + rest),
            (*center.tolist(), *[0.0] * len(rest)),
            (*factor.tolist(), *[1.0] * len(rest)),
            len(numbers),
            tuple(map(len, embedded)),
        )

    @property
    def blocks(self) -> Blocks:
        """How the inputs are laid out."""
        plain = len(self.order) - self.numbers - sum(self.embedded)
        return Blocks(self.numbers, plain, self.embedded)

    def apply(self, x: NDArray[np.floating[Any]]) -> None:
        """Turn inputs (inputs, rows) that the rules have coded into the network's, in place."""
        scaled = len(self.order) - sum(self.embedded)
        centers, factors = np.array([self.centers, self.factors])[:, :, None]
        for start in range(0, x.shape[1], BLOCK):
            part = x[:, start : start + BLOCK]
            z = part[list(self.order)]
            z = (z - centers) * factors
            np.clip(z, -FAR, FAR, out=z)
            for at in range(0, scaled, 8):  # what stays in the processor's cache
                some = z[at : min(at + 8, scaled)]
                some /= np.sqrt(1.0 + np.square(some / LIMIT))
            part[:] = z

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Robust:
        """The stage whose ``to_json`` gives ``record``, which is not checked here."""
        lists = ("order", "centers", "factors", "embedded")
        tuples: dict[str, Any] = {key: tuple(record[key]) for key in lists}
        return cls(**{**record, **tuples})

    def to_json(self) -> dict[str, Any]:
        """As a JSON record; ``from_json`` is the inverse."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in vars(self).items()}
