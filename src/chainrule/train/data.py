"""Where minibatches come from: a protocol, and arrays in memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np

from chainrule.core.settings import whole
from chainrule.core.types import plain_array, refuse_subclass
from chainrule.errors import DataError, UsageError
from chainrule.ops.random import keys_of

LITTLE = 4096
"""Inputs of so many numbers are checked in less time than a call of their network takes."""

# Which stream of random numbers: no seed's batch order may equal its dropout masks.
ORDER, MASKS = 1, 2


class Batch(NamedTuple):
    """Rows for one step: x (n, columns), targets as the loss takes them, weights (n,) or None."""

    x: np.ndarray
    targets: np.ndarray
    weights: np.ndarray | None = None


class Window(NamedTuple):
    """Some rows of an epoch, which stand in arrays in another order: the arrays of a ``Batch``,
    the rows of its minibatches one after the other, and the number of the first minibatch."""

    x: np.ndarray
    targets: np.ndarray
    weights: np.ndarray | None
    order: np.ndarray
    first: int


class Data(Protocol):
    """What ``fit`` asks of training data.

    ``take`` must depend on its arguments only, so that an interrupted run can go on later from
    any step of any epoch and reach the same bits.
    """

    @property
    def rows(self) -> int:
        """Rows in an epoch."""
        ...

    @property
    def steps(self) -> int:
        """Minibatches in an epoch."""
        ...

    def take(self, epoch: int, step: int) -> Batch:
        """Minibatch ``step`` (0 .. steps-1) of ``epoch`` (1, 2, ...)."""
        ...


@dataclass(frozen=True)
class ArrayData:
    """Rows in memory, in an order drawn anew for each epoch from (seed, epoch) alone.

    The order is ``Generator(Philox(key=key_of(seed, 1, epoch))).permutation(rows)``; minibatch
    i holds rows i * size .. (i + 1) * size - 1 of it. The last one has what is left, and its
    loss is the mean over its own rows; ``padded``, it is as long as the others, by rows of weight
    0, so that one program does all. A full batch keeps the order of the rows.

    Attributes:
        x, targets, weights: as a ``Batch`` has them, of all n rows, checked before.
        batch_size: rows per minibatch; n or more is a full batch.
        seed: a whole number from 0 up.
        shuffle: whether the order is drawn, or where it comes from instead, as ``fit`` takes it.
    """

    x: np.ndarray
    targets: np.ndarray
    weights: np.ndarray | None
    batch_size: int
    seed: int
    shuffle: bool | Callable[[int], Any] = True
    padded: bool = False
    _orders: dict[int, np.ndarray] = field(
        default_factory=dict[int, np.ndarray], repr=False, compare=False
    )

    @property
    def rows(self) -> int:
        """Rows in an epoch."""
        return len(self.x)

    @property
    def steps(self) -> int:
        """Minibatches in an epoch."""
        return -(-len(self.x) // self.batch_size)

    def take(self, epoch: int, step: int) -> Batch:
        """Minibatch ``step`` (0 .. steps-1) of ``epoch`` (1, 2, ...)."""
        if self.batch_size >= len(self.x):
            return Batch(self.x, self.targets, self.weights)
        rows = self.order(epoch)[step * self.batch_size : (step + 1) * self.batch_size]
        weights = None if self.weights is None else np.take(self.weights, rows)
        if self.padded:
            weights = counted(weights, self.counts[step], self.batch_size, self.x.dtype)
        return Batch(np.take(self.x, rows, axis=0), np.take(self.targets, rows, axis=0), weights)

    @property
    def counts(self) -> np.ndarray:
        """How many rows of each minibatch (steps,) are its own."""
        sizes = np.full(self.steps, self.batch_size)
        sizes[-1] = self.rows - self.batch_size * (self.steps - 1)
        return sizes

    @property
    def given(self) -> bool:
        """Whether the order is not drawn."""
        return callable(self.shuffle) or not self.shuffle

    def windows(self, epoch: int, step: int) -> Iterator[Window]:
        """All rows in the order of ``epoch``, whichever ``step`` is wanted."""
        yield Window(self.x, self.targets, self.weights, self.order(epoch), 0)

    def order(self, epoch: int) -> np.ndarray:
        """The permutation of the rows (n,) in this epoch; ``padded``, rows of the last minibatch
        come again (steps * batch_size,)."""
        return self.orders(epoch, 1)[0]

    def orders(self, epoch: int, count: int) -> list[np.ndarray]:
        """The permutations (n,) in ``count`` epochs from ``epoch`` on."""
        self.draw([self], epoch, count)
        return [self._orders[e] for e in range(epoch, epoch + count)]

    @staticmethod
    def draw(data: Sequence[ArrayData], epoch: int, count: int) -> None:
        """Draw the permutations of ``count`` epochs from ``epoch`` on for all of ``data``.

        Their keys are made together: for a little table each takes as long as its permutation.
        """
        epochs = range(epoch, epoch + count)
        drawn = list[ArrayData]()
        for one in data:
            if all(e in one._orders for e in epochs):
                continue
            if one.given:
                one._keep(epoch, [one._given(e) for e in epochs])
            else:
                drawn.append(one)
        if not drawn:
            return
        seeds = np.repeat([one.seed for one in drawn], count)
        keys = keys_of(seeds, ORDER, np.tile(epochs, len(drawn))).reshape(len(drawn), count, 2)
        philox = np.random.Philox(key=keys[0, 0])
        rng, start = np.random.Generator(philox), philox.state
        for one, own in zip(drawn, keys, strict=True):
            orders = list[np.ndarray]()
            for key in own:
                start["state"]["key"] = key
                philox.state = start  # in a sixth of the time of a new generator
                orders.append(rng.permutation(len(one.x)))
            one._keep(epoch, orders)

    def _keep(self, epoch: int, orders: Iterable[np.ndarray]) -> None:
        """The permutations from ``epoch`` on are these; any other can be drawn again."""
        self._orders.clear()
        if self.padded and (more := -self.rows % self.batch_size):
            last = self.rows // self.batch_size * self.batch_size
            orders = [np.append(order, np.resize(order[last:], more)) for order in orders]
        self._orders.update(enumerate(orders, epoch))

    def _given(self, epoch: int) -> np.ndarray:
        rows = len(self.x)
        if callable(self.shuffle):
            order = np.asarray(self.shuffle(epoch))
            if not _permutes(order, rows):
                raise DataError(
                    f"shuffle({epoch}) must be the row numbers 0 .. {rows - 1}, once each"
                )
            return order.astype(np.int64)
        return np.arange(rows)


def counted(weights: Any, rows: Any, size: int, dtype: Any) -> Any:
    """The weights (size,) of a minibatch of which only the first ``rows`` count; recorded, too."""
    there = np.arange(size) < rows
    if weights is None:
        return there.astype(dtype)
    return np.where(there, weights, np.zeros((), dtype))


def _permutes(order: np.ndarray, rows: int) -> bool:
    """Whether these are the numbers 0 .. rows - 1, once each."""
    if order.dtype.kind not in "iu" or order.shape != (rows,):
        return False
    if order.min() < 0 or order.max() >= rows:
        return False
    return bool(np.bincount(order.astype(np.int64, copy=False)).max() == 1)


def batch_rows(batch_size: int | str | None, rows: int, default: int = 32) -> int:
    """Rows per minibatch; "full" is all of them, and no more than there are."""
    if batch_size == "full":
        return rows
    if batch_size is None:
        batch_size = default
    if isinstance(batch_size, str):
        raise UsageError(f'batch_size is an integer or "full", not {batch_size!r}')
    return min(whole("batch_size", batch_size), rows)


def fills(model: Any, rows: int, size: int) -> bool:
    """Whether to fill up the last of an epoch's minibatches: where that adds few rows, and each
    row's output is its own."""
    alone = not getattr(model, "batch_norm", False) and not getattr(model, "needs_key", True)
    return alone and size < rows and 0 < -rows % size <= rows // 8


def check_inputs(x: Any, dtype: Any, name: str = "x") -> np.ndarray:
    """Inputs as a contiguous array (n, columns) of ``dtype``; not a copy where they are one.

    Raises:
        DataError: not a table of numbers, no rows, or a number that is not finite in ``dtype``;
            the message names row and column.
    """
    array = x if type(x) is np.ndarray else plain_array(x, name)
    if array.dtype.kind not in "fiub":
        raise DataError(f"{name} must be numbers, not {array.dtype}")
    if array.ndim != 2:
        hint = "; write x[:, None] for one column" if array.ndim == 1 else ""
        raise DataError(f"{name} needs shape (rows, columns), not {array.shape}{hint}")
    if not len(array):
        raise DataError(f"{name} has no rows")
    if array.dtype == dtype and array.size <= LITTLE:
        cast = np.ascontiguousarray(array)
        total = np.vdot(cast, cast)  # never warns, and to enter errstate takes longer
    else:
        with np.errstate(over="ignore", invalid="ignore"):
            cast = np.ascontiguousarray(array, dtype=dtype)
            total = np.add.reduce(cast, axis=None)
    if math.isfinite(total):  # then all are, and it takes less than to look at each
        return cast
    good = np.isfinite(cast)
    if not good.all():
        row, column = (int(i) for i in np.argwhere(~good)[0])
        value, more = array[row, column], int((~good).sum()) - 1
        others = f" ({more} more like it)" if more else ""
        why = f"which {np.dtype(dtype)} cannot hold" if np.isfinite(value) else "not finite"
        raise DataError(
            f"{name}[{row}, {column}] is {value}, {why}{others}; fill or drop such values first"
        )
    return cast


def check_weights(weights: Any, rows: int, dtype: Any, name: str) -> np.ndarray | None:
    """Sample weights (n,) of ``dtype``: finite, not negative, not all zero; None stays None."""
    if weights is None:
        return None
    array = plain_array(weights, name)
    if array.dtype.kind not in "fiub" or array.shape != (rows,):
        raise DataError(
            f"{name} must be {rows} numbers, one per row, not {array.dtype} {array.shape}"
        )
    array = array.astype(dtype)
    bad = np.flatnonzero(~np.isfinite(array) | (array < 0))
    if bad.size:
        raise DataError(f"{name}[{bad[0]}] is {array[bad[0]]}; weights are finite and at least 0")
    if not array.any():
        raise DataError(f"{name} are all 0")
    return array


class CheckedData:
    """A data object, asked for each minibatch once, whose arrays are what they seem."""

    def __init__(self, data: Data) -> None:
        self.data = data
        self.first = self._checked(1, 0)
        self.waiting = True  # nobody has taken it yet

    @property
    def rows(self) -> int:
        return self.data.rows

    @property
    def steps(self) -> int:
        return self.data.steps

    def take(self, epoch: int, step: int) -> Batch:
        if (epoch, step) == (1, 0) and self.waiting:
            self.waiting = False
            return self.first
        return self._checked(epoch, step)

    def _checked(self, epoch: int, step: int) -> Batch:
        batch = Batch(*self.data.take(epoch, step))
        for name, array in zip(batch._fields, batch, strict=True):
            refuse_subclass(array, f"{name} of minibatch {step} of epoch {epoch}")
        return batch
