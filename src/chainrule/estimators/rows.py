"""Rows to be trained on and rows held out, dense or sparse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
from sklearn.model_selection import GroupShuffleSplit, train_test_split

from chainrule.errors import UsageError
from chainrule.train import Batch

__all__ = ["Order", "Rows", "SparseRows", "by_tiles", "split"]

TILE = 4096
"""Rows of a sparse matrix that are made dense at a time."""


@dataclass(frozen=True)
class Rows:
    """Validated inputs (n, columns), maybe sparse, targets as the loss takes them, weights or None.

    ``strata``: what the split into training and held-out rows keeps the shares of, or None.
    """

    x: Any
    targets: np.ndarray
    weights: np.ndarray | None
    strata: np.ndarray | None = None

    @property
    def sparse(self) -> bool:
        return scipy.sparse.issparse(self.x)

    def __len__(self) -> int:
        return self.x.shape[0]

    def take(self, rows: np.ndarray) -> Rows:
        """These rows, in this order."""
        weights = None if self.weights is None else self.weights[rows]
        return Rows(self.x[rows], self.targets[rows], weights)

    def parts(self) -> tuple[Any, ...]:
        """(x, targets) or (x, targets, weights), as ``fit`` takes them; x made dense."""
        x = self.x.toarray() if self.sparse else self.x
        return (x, self.targets) if self.weights is None else (x, self.targets, self.weights)


def split(
    rows: Rows, fraction: float, random: np.random.RandomState, groups: Any, last: bool
) -> tuple[Rows, Rows]:
    """Rows for training, and a share of them held out.

    Drawn as scikit-learn's MLP draws them; with ``groups`` (n,) no group is on both sides, and with
    ``last`` those that stand last are held out, which suits rows in order of time.

    Raises:
        ValueError: fewer than two rows are held out.
        UsageError: groups and order at once.
    """
    everything = np.arange(len(rows))
    if groups is not None and last:
        raise UsageError("groups and validation_order='last' are two ways to hold out rows")
    if last:
        held = everything[len(rows) - int(np.ceil(fraction * len(rows))) :]
        kept = everything[: len(rows) - len(held)]
    elif groups is not None:
        splitter = GroupShuffleSplit(1, test_size=fraction, random_state=random)
        kept, held = next(splitter.split(everything, groups=groups))
    else:
        kept, held = train_test_split(
            everything, random_state=random, test_size=fraction, stratify=rows.strata
        )
    if len(held) < 2:
        raise ValueError(
            "The validation set is too small. Increase 'validation_fraction' or the size of your "
            "dataset."
        )
    return rows.take(np.asarray(kept)), rows.take(np.asarray(held))


class Order:
    """The rows (n,) in the order of each epoch, 1, 2, ...; as scikit-learn draws it, a shuffle of
    the one before, or as they stand.

    Args:
        rows: how many. random: what draws. shuffle: whether it does.
    """

    def __init__(self, rows: int, random: np.random.RandomState, shuffle: bool) -> None:
        self.random, self.shuffle = random, shuffle
        self.drawn = 0  # epochs
        self.now = np.arange(rows)
        self.start: Any = random.get_state() if shuffle else None

    def of(self, epoch: int) -> np.ndarray:
        """That of an epoch which is not before the last one asked for."""
        while self.shuffle and epoch > self.drawn:
            self.now, self.drawn = self.now[self._draw()], self.drawn + 1
        return self.now

    def back(self, epochs: int) -> None:
        """Leave the random state as it is after so many epochs: more may have been drawn."""
        if self.drawn > epochs:
            self.random.set_state(self.start)
            for _ in range(epochs):
                self._draw()

    def _draw(self) -> np.ndarray:
        drawn = np.arange(len(self.now))
        self.random.shuffle(drawn)
        return drawn


@dataclass(frozen=True)
class SparseRows:
    """Minibatches of sparse inputs, each made dense when it is taken: ``train.Data``.

    Attributes:
        x: a sparse matrix that gives rows (CSR).
        targets, weights: as the loss prepared them, all rows.
        batch_size: rows per minibatch.
        order: from an epoch (1, 2, ...) to the order of the rows.
    """

    x: Any
    targets: np.ndarray
    weights: np.ndarray | None
    batch_size: int
    order: Callable[[int], np.ndarray]

    @property
    def rows(self) -> int:
        return self.x.shape[0]

    @property
    def steps(self) -> int:
        return -(-self.rows // self.batch_size)

    def take(self, epoch: int, step: int) -> Batch:
        rows = self.order(epoch)[step * self.batch_size : (step + 1) * self.batch_size]
        weights = None if self.weights is None else self.weights[rows]
        return Batch(self.x[rows].toarray(), self.targets[rows], weights)


def by_tiles(x: Any, function: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """``function`` of the rows of ``x``, which are made dense a part at a time if it is sparse."""
    if not scipy.sparse.issparse(x):
        return function(x)
    x = x.tocsr()
    tiles = range(0, x.shape[0], TILE)
    return np.concatenate([function(x[i : i + TILE].toarray()) for i in tiles])
