"""Training data that are read again in each epoch, in windows of rows that a thread fills.

Rows come in pieces, some thousands that are read at once, and pieces in groups, such as the row
groups of Parquet files. In each epoch the groups stand in a new order, ``LANES`` of them are read
in turns, piece by piece, and the rows of each window are shuffled. All of that follows from
seed, epoch and the numbers of rows: rows in memory in the order ``Order.rows`` give the same bits.
"""

from __future__ import annotations

import atexit
import itertools
import queue
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from chainrule.errors import DataError, UsageError
from chainrule.ops.random import key_of
from chainrule.train.data import ORDER, Batch, Window

__all__ = ["Order", "Pieces", "Streamed", "StreamedRows", "ahead"]

LANES = 4
"""Groups that are read in turns, so that a window mixes rows of several."""

NUMBERS = 2**22
"""Inputs in a window, about. Two more windows are filled while one is trained on."""

PATIENCE = 10.0
"""Seconds that the end of the process waits for what is being read."""

Place = tuple[int, int]
"""A group, and a piece of it."""


class Pieces(Protocol):
    """Rows that can be read piece by piece."""

    @property
    def groups(self) -> tuple[tuple[int, ...], ...]:
        """How many rows each piece of each group has."""
        ...

    @property
    def first(self) -> Batch:
        """Some rows, of the arrays' types, from which a network may start."""
        ...

    @property
    def fingerprint(self) -> str:
        """Of the contents."""
        ...

    def read(self, places: Iterable[Place]) -> Iterator[Iterable[Batch]]:
        """The rows of these pieces, one after the other, each in one or several batches."""
        ...


@dataclass(frozen=True)
class Order:
    """The order of the rows in each epoch, see above. ``window``: rows of each but the last."""

    groups: tuple[tuple[int, ...], ...]
    window: int
    seed: int

    @cached_property
    def total(self) -> int:
        """Rows in all."""
        return sum(map(sum, self.groups))

    @property
    def whole(self) -> bool:
        """Whether one minibatch has all rows, which then keep their order."""
        return self.window == 0

    def places(self, epoch: int) -> Iterator[Place]:
        """The pieces in the order in which they are read."""
        numbers = np.arange(len(self.groups))
        if not self.whole:
            rng = np.random.Generator(np.random.Philox(key=key_of(self.seed, ORDER, epoch)))
            numbers = rng.permutation(len(self.groups))
        each = (zip(itertools.repeat(g), range(len(self.groups[g]))) for g in numbers.tolist())
        lanes = deque(itertools.islice(each, 1 if self.whole else LANES))
        while lanes:
            lane = lanes.popleft()
            place = next(lane, None)
            if place is None:
                lanes.extend(itertools.islice(each, 1))
                continue
            lanes.append(lane)
            yield place

    def within(self, epoch: int, window: int, rows: int) -> np.ndarray:
        """The order of the rows of a window, of which there are so many."""
        if self.whole:
            return np.arange(rows)
        key = key_of(self.seed, ORDER, epoch, window + 1)
        return np.random.Generator(np.random.Philox(key=key)).permutation(rows)

    def rows(self, epoch: int) -> np.ndarray:
        """The order of all rows (n,), numbered as the pieces stand in their groups."""
        ends = np.cumsum([rows for group in self.groups for rows in group])
        first = np.cumsum([0, *map(len, self.groups)])
        found = [np.empty(0, np.int64)]
        for g, p in self.places(epoch):
            end = int(ends[first[g] + p])
            found.append(np.arange(end - self.groups[g][p], end))
        order, window = np.concatenate(found), self.window or self.total
        parts = np.split(order, range(window, len(order), window))
        return np.concatenate([x[self.within(epoch, w, len(x))] for w, x in enumerate(parts)])


class Streamed:
    """The ``Data`` of some pieces.

    Args:
        pieces: where rows come from; read in another thread.
        batch_size: rows per minibatch; seed: of the order.
        window: the fewest rows of a window, by default as many as hold ``NUMBERS`` inputs.
        left_out: what decides on the best epoch of a network that is one of several.
        epochs: after which nothing is read ahead.
    """

    def __init__(
        self,
        pieces: Pieces,
        batch_size: int,
        seed: int,
        window: int | None = None,
        left_out: StreamedRows | None = None,
        epochs: int | None = None,
    ) -> None:
        self.left_out, self.epochs = left_out, epochs
        self.pieces, self.batch_size, self.seed = pieces, batch_size, seed
        self.first, self.fingerprint = pieces.first, pieces.fingerprint
        wanted = window or NUMBERS // max(1, pieces.first.x.shape[1])
        self.rows = sum(map(sum, pieces.groups))
        if batch_size >= self.rows and self.rows > wanted:
            raise UsageError(
                f"batch_size={batch_size}: a minibatch of all {self.rows} rows is not streamed; "
                f"give at most {wanted}"
            )
        self.each = max(1, -(-wanted // batch_size))  # full minibatches of a window
        whole = batch_size >= self.rows
        self.order = Order(pieces.groups, 0 if whole else self.each * batch_size, seed)
        self._at: int | None = None
        self._window: Any = None
        self._coming: Any = None

    @property
    def steps(self) -> int:
        """Minibatches in an epoch."""
        return -(-self.rows // self.batch_size)

    @property
    def per_epoch(self) -> int:
        """Windows in an epoch."""
        return -(-self.steps // self.each)

    @property
    def window_rows(self) -> int:
        """Rows that the arrays of a window have room for."""
        return min(self.each * self.batch_size, self.rows)

    def take(self, epoch: int, step: int) -> Batch:
        """Minibatch ``step`` (0 .. steps-1) of ``epoch`` (1, 2, ...)."""
        window = self.window(epoch, step // self.each)
        start = (step - window.first) * self.batch_size
        rows = window.order[start : start + self.batch_size]
        return Batch(*[x if x is None else np.take(x, rows, axis=0) for x in window[:3]])  # type: ignore[arg-type]

    def windows(self, epoch: int, step: int) -> Iterator[Window]:
        """The windows of an epoch from that with this minibatch on."""
        for number in range(step // self.each, self.per_epoch):
            yield self.window(epoch, number)

    def window(self, epoch: int, number: int) -> Window:
        """A window, by its number in the epoch; the next ones are being filled already."""
        at = epoch * self.per_epoch + number
        if self._at != at:
            if self._coming is None or self._at != at - 1:
                self.close()
                self._coming = ahead(self._filled(epoch, number))
            self._window = None  # before the next is waited for
            self._window, self._at = next(self._coming), at
        return self._window

    def close(self) -> None:
        """Stop reading."""
        if self._coming is not None:
            self._coming.close()
        self._coming = self._window = self._at = None

    def __getstate__(self) -> dict[str, Any]:
        self.close()
        return self.__dict__.copy()

    def _filled(self, epoch: int, number: int) -> Iterator[Window]:
        """All windows from this one on."""
        yield from self._epoch(epoch, number)
        while epoch != self.epochs:
            epoch += 1
            yield from self._epoch(epoch, 0)

    def _epoch(self, epoch: int, number: int) -> Iterator[Window]:
        size = self.each * self.batch_size
        skip, places = number * size, self.order.places(epoch)
        for g, p in places:  # those of windows before are not read
            if skip < self.pieces.groups[g][p]:
                places = itertools.chain([(g, p)], places)
                break
            skip -= self.pieces.groups[g][p]
        made, filled = self._room(), 0
        expected, places = itertools.tee(places)
        for (g, p), batches in zip(expected, self.pieces.read(places), strict=True):
            left = self.pieces.groups[g][p]
            for piece in batches:
                left -= len(piece.x)
                if left < 0:
                    break
                start = min(skip, len(piece.x))
                skip -= start
                while start < len(piece.x):
                    count = min(len(piece.x) - start, self.window_rows - filled)
                    for into, some in zip(made, piece, strict=True):
                        if into is not None and some is not None:
                            into[filled : filled + count] = some[start : start + count]
                    start, filled = start + count, filled + count
                    if filled == self.window_rows:
                        yield self._made(made, epoch, number, filled)
                        made, filled, number = self._room(), 0, number + 1
            if left:
                raise DataError(
                    f"group {g}, piece {p} has {'fewer' if left > 0 else 'more'} rows than "
                    f"{self.pieces.groups[g][p]}: the data changed while they were trained on"
                )
        if filled:
            yield self._made(made, epoch, number, filled)

    def _room(self) -> Batch:
        """Arrays of one size, for which the loop over minibatches is made once."""
        rows = self.window_rows
        made: list[Any] = [
            x if x is None else np.empty((rows, *x.shape[1:]), x.dtype) for x in self.first
        ]
        return Batch(*made)

    def _made(self, made: Batch, epoch: int, number: int, rows: int) -> Window:
        return Window(*made, self.order.within(epoch, number, rows), number * self.each)


@dataclass(frozen=True)
class StreamedRows:
    """Rows to be evaluated after each epoch, as ``HeldOut`` but read each time.

    Attributes:
        read: gives them piece by piece; fingerprint: of the contents.
    """

    name: str
    read: Callable[[], Iterator[Batch]]
    fingerprint: str

    def score(self, predictor: Any, params: Any, state: Any, metrics: Any) -> dict[str, float]:
        """``{"validation_loss": ...}``: the weighted mean, added up in float64."""
        if metrics:
            raise UsageError("metrics= look at whole sets of rows, and these are streamed")
        total = mass = 0.0
        with ahead(self.read()) as pieces:
            for x, targets, weights in pieces:
                losses = predictor.losses(predictor.outputs(params, state, x), targets)
                losses = losses.astype(np.float64)
                own = np.ones(len(losses)) if weights is None else weights.astype(np.float64)
                total += float(np.sum(losses * own))
                mass += float(np.sum(own))
        return {f"{self.name}_loss": total / mass}


_reading: weakref.WeakKeyDictionary[threading.Thread, threading.Event] = weakref.WeakKeyDictionary()


@atexit.register
def _end_reading() -> None:
    """End all threads that read: one that Python cuts off within pyarrow aborts the process."""
    threads = [*_reading.items()]
    for _, over in threads:
        over.set()
    for thread, _ in threads:
        thread.join(PATIENCE)


class ahead:
    """An iterator over ``items`` that a thread makes, one or two ahead. ``close`` ends it."""

    def __init__(self, items: Iterator[Any]) -> None:
        self.ready: queue.Queue[Any] = queue.Queue(1)
        self.over = threading.Event()
        thread = threading.Thread(target=_make, args=(items, self.ready, self.over), daemon=True)
        _reading[thread] = self.over
        thread.start()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        item, error = self.ready.get()
        if error is not None:
            self.close()
            raise error
        return item

    def __enter__(self) -> ahead:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """No more is wanted."""
        self.over.set()

    def __del__(self) -> None:
        self.close()


def _make(items: Iterator[Any], ready: queue.Queue[Any], over: threading.Event) -> None:
    """Put each item, and at the end why there are no more; the thread holds no ``ahead``."""

    def put(item: Any) -> None:
        while not over.is_set():
            try:
                ready.put(item, timeout=0.1)
                return
            except queue.Full:
                continue

    try:
        for item in items:
            put((item, None))
            del item
            if over.is_set():
                return
        put((None, StopIteration()))
    except BaseException as error:
        put((None, error))
