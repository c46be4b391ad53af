"""Many minibatches in one call, where the executor has a loop of its own.

A chunk is short enough for Ctrl-C and progress to be felt. What comes out is what single steps
give: the same order of rows, the same masks, and after a loss that is not finite the same
networks are training. Where a chunk ends changes no bit, so that a training can be taken up at
any step. Where nobody asks between epochs, a chunk has several of them: if a number is not finite
after these, they are done again one by one.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.core.tree import flatten
from chainrule.core.types import ArrayType
from chainrule.ops.random import keys_of
from chainrule.run import Runner, on_host
from chainrule.train.data import MASKS, ArrayData, Batch, counted
from chainrule.train.monitor import NonFiniteLossError, Position, TrainingState, all_finite

Leaves = list[np.ndarray]
Done = tuple[np.ndarray, Leaves, Leaves]
"""The losses of some steps, and the carry before and after the last of them."""
SECONDS = 0.05
"""About how long a chunk should take, unless the executor's loop says otherwise (``seconds``)."""
MOST = 2**12
"""Steps of a chunk for which a loop may be made, should it need to know."""


def ends(
    run: Any,
    carry: Leaves,
    xs: Leaves,
    constants: Leaves,
    seen: Callable[..., None] | None = None,
    spent: bool = False,
) -> Done:
    """Steps of an executor's loop, in one call where it can tell the carry before the last of them,
    else in two, after the first of which losses are ``seen``. A carry that came out of the loop and
    that nobody reads any more is ``spent``: a device may write there."""
    if hasattr(run, "ends"):
        (losses,), before, after = run.ends(carry, xs, constants, spent)
        return losses, before, after
    (losses,), before = run(carry, [x[:-1] for x in xs], constants)
    if seen is not None:
        seen(losses)
    (last,), after = run(before, [x[-1:] for x in xs], constants)
    return np.concatenate([losses, last]), before, after


def longer(length: int, run: Any, seconds: float, steps: int) -> int:
    """How many steps the next chunk should have, after one of so many that took so long."""
    wanted = math.ceil(getattr(run, "seconds", SECONDS) * steps / max(seconds, 1e-6))
    return max(2, min(wanted, 4 * length, 2**14))


class Chunks:
    """The full minibatches of each epoch, chunk by chunk.

    Args:
        step: ``(carry, batch, key, count) -> (mean loss, carry)``, recorded on first use.
        keyed: whether the model needs a key for its masks.
    """

    def __init__(
        self,
        step: Callable[..., Any],
        data: Any,
        training: TrainingState,
        seed: int,
        keyed: bool,
        runner: Runner,
    ) -> None:
        self.step, self.data, self.training = step, data, training
        self.seed, self.keyed, self.runner = seed, keyed, runner
        self.arrays: tuple[Any, ...] = ()
        if isinstance(data, ArrayData):
            self.arrays = data.x, data.targets, data.weights
        self.length = 8  # steps in a chunk, adapted as their time becomes known
        self.run: Any = None
        self.made = 0.0  # seconds that the loop's programs took to compile so far
        self.tried = False
        self.means: list[float] = []  # losses of whole epochs that the last call did but for one
        self.careful = False  # something was not finite: one epoch after the other

    @property
    def full(self) -> int:
        """How many full minibatches an epoch has, padded ones among them; 0 where one has all
        rows."""
        data = self.data
        if data.batch_size >= data.rows:
            return 0
        return data.steps if self.padded else data.rows // data.batch_size

    @property
    def padded(self) -> bool:
        """Whether a minibatch may have rows that do not count."""
        return getattr(self.data, "padded", False)

    def ahead(self, epoch: int, last: int, length: int) -> int:
        """So many whole epochs may be done as one chunk of about ``length`` steps, up to the
        ``last``; 1 if this one has been begun, or ends with a smaller minibatch."""
        if self.training.position.step or not self.joins(epoch, last):
            return 1
        return max(1, min(last - epoch + 1, length // self.full))

    def joins(self, epoch: int, last: int) -> bool:
        """Whether this epoch may be done in one call with those after it."""
        data = self.data
        return not (
            last == epoch
            or self.careful
            or not isinstance(data, ArrayData)
            or (data.rows % data.batch_size and not data.padded)
        )

    def epoch(self, epoch: int, last: int) -> None:
        """Do all full minibatches of an epoch that are left, or none; or those of whole epochs from
        this on, at most up to the ``last``.

        Raises:
            NonFiniteLossError: a minibatch's loss is not finite.
        """
        data, training = self.data, self.training
        self.means = []
        if not hasattr(data, "windows") or data.batch_size >= data.rows:
            return
        if self.tried and self.run is None:
            return
        full = self.full
        if self.run is not None and (several := self.ahead(epoch, last, self.length)) > 1:
            started, end = time.perf_counter(), several * full
            rows = self.rows_of(epoch, 0, end)
            losses, before, after = self.steps(epoch, rows, 0, training.steps, training.now)
            if self.well(losses, after):
                self.move(end, before, after)
                self.count(losses, rows)
                self.length = longer(self.length, self.run, time.perf_counter() - started, end)
                return
        for window in data.windows(epoch, training.position.step):
            self.arrays = window[:3]
            if not self.tried:
                self.tried, self.run = True, self._compiled()
                if self.run is not None:  # once: with another number it is compiled anew
                    epochs = last - epoch + 1 if self.joins(epoch, last) else 1
                    self.run.most = min(full * epochs, MOST)
            if self.run is None:
                return
            end = min(full, window.first + len(window.order) // data.batch_size)
            rows = (end - window.first) * data.batch_size
            order = window.order[:rows].reshape(-1, data.batch_size)
            while (done := training.position.step) < end:
                stop = min(done + min(self.length, training.room()), end)
                started = time.perf_counter()
                losses = self._chunk(epoch, order, window.first, done, stop)
                made, self.made = self.made, getattr(self.run, "making", 0.0)
                took = time.perf_counter() - started - (self.made - made)
                self.length = longer(self.length, self.run, took, stop - done)
                self.count(losses, order[done - window.first : stop - window.first])

    def rows_of(self, epoch: int, start: int, stop: int) -> np.ndarray:
        """The rows (n, batch_size) of full minibatches, by their numbers from the first of the
        epoch on; those of the epochs after it follow."""
        data, full = self.data, self.full
        rows = full * data.batch_size
        orders = data.orders(epoch, -(-stop // full))
        order = np.concatenate([x[:rows] for x in orders]) if len(orders) > 1 else orders[0][:rows]
        return order.reshape(-1, data.batch_size)[start:stop]

    def well(self, losses: np.ndarray, after: Leaves, known: bool = False) -> bool:
        """Whether all is finite after whole epochs; ``known`` to be."""
        self.careful = not (known or (np.isfinite(losses).all() and all_finite(after)))
        self.training.looked = None if self.careful else after
        return not self.careful

    def count(self, losses: np.ndarray, rows: np.ndarray) -> None:
        """Minibatches of these rows are done: of one epoch, or all of several."""
        training, of_rows, full = self.training, self.arrays[2], self.full
        weights = np.full(len(rows), float(self.data.batch_size))
        if self.padded:
            weights = self._counts(training.position.step, len(rows))
        if of_rows is not None:
            there = np.arange(int(rows.shape[1])) < weights[:, None]
            weights = np.where(there, of_rows[rows], 0).sum(axis=1).astype(np.float64)
        if len(losses) <= full:
            pairs = zip(losses.tolist(), weights.tolist(), strict=True)
            training.position, self.means = training.position.after(pairs), []
            training.mark()
            return
        # Added up one after the other, too; a moment is made when all these epochs are told of.
        each = np.stack([weights * losses.astype(np.float64), weights]).reshape(2, -1, full)
        sums = [Position(0, full, *x) for x in np.cumsum(each, axis=2)[:, :, -1].T.tolist()]
        self.means = [x.mean for x in sums[:-1]]
        training.position = sums[-1]._replace(epoch=training.position.epoch + len(sums) - 1)

    @property
    def arena(self) -> int:
        """Bytes of all that a step computes on its way, 0 where there is no loop."""
        return 0 if self.run is None else self.run.arena

    def _compiled(self) -> Any:
        data = self.data
        rows = ArrayType((data.batch_size,), np.dtype(np.int64))
        key = ArrayType((2,), np.dtype(np.uint64)) if self.keyed else None
        count = ArrayType((), np.dtype(np.int64))
        there = count if self.padded else None

        def step(carry: Any, x: Any, constants: Any) -> Any:
            rows, key, count, there = x
            inputs, targets, weights = constants
            weights = None if weights is None else weights[rows]
            if there is not None:
                weights = counted(weights, there, data.batch_size, inputs.dtype)
            return self.step(carry, Batch(inputs[rows], targets[rows], weights), key, count)

        return self.runner.repeat(
            step, on_host(self.training.carry), (rows, key, count, there), self.arrays, flush=True
        )

    def _counts(self, first: int, n: int) -> np.ndarray:
        """How many rows count of each of n minibatches, the first being number ``first``."""
        return self.data.counts[np.arange(first, first + n) % self.full]

    def _chunk(self, epoch: int, order: np.ndarray, base: int, start: int, stop: int) -> np.ndarray:
        """Steps ``start`` to ``stop`` of the epoch, whose step ``base`` has the first rows of
        ``order``; returns their losses."""
        before = self.training.steps - start  # updates before this epoch

        def steps(first: int, end: int, leaves: Leaves) -> Done:
            return self.steps(
                epoch, order[first - base : end - base], first, before + first, leaves
            )

        return self.settle(epoch, start, steps(start, stop, self.training.now), steps)

    def settle(self, epoch: int, start: int, done: Done, steps: Callable[..., Done]) -> np.ndarray:
        """Move on by what was done from step ``start`` on; as far as losses are finite, if they
        are not."""
        training, (losses, before, after) = self.training, done
        bad = np.flatnonzero(~np.isfinite(losses))
        good = int(bad[0]) if bad.size else len(losses)  # updates done before the loss was seen
        if bad.size and good:
            _, before, after = steps(start, start + good, training.now)
        if good:
            self.move(good, before, after)
        if bad.size:
            raise NonFiniteLossError("the loss", float(losses[good]), epoch, start + good + 1)
        return losses

    def move(self, steps: int, before: Leaves, after: Leaves) -> None:
        """So many more steps are done, after finite losses: the carry before the last, and now."""
        training = self.training
        training.now, training.steps = before, training.steps + steps - 1
        training.move(after)

    def steps(self, epoch: int, rows: np.ndarray, first: int, count: int, leaves: Leaves) -> Done:
        """What the minibatches of these rows do to the carry ``leaves``.

        first: which step of the epoch the first one is; count: how many updates came before.
        """
        n = len(rows)
        xs = [rows, np.arange(count, count + n)]
        if self.keyed:
            xs.insert(1, self.keys(epoch, first, n))
        if self.padded:
            xs.append(self._counts(first, n))

        def seen(losses: np.ndarray) -> None:
            if leaves is self.training.now and np.isfinite(losses[:1]).all():
                self.training.safe = leaves  # what was safe before may go

        return ends(self.run, leaves, xs, flatten(self.arrays)[0], seen)

    def keys(self, epoch: int, first: int, n: int) -> np.ndarray:
        """The keys (n, 2) of n minibatches, by the number of the ``first`` in this epoch; those of
        the epochs after it follow."""
        return mask_keys([self.seed], self.full, epoch, first, n)[:, 0]


def mask_keys(seeds: Sequence[int], full: int, epoch: int, first: int, n: int) -> np.ndarray:
    """The keys (n, seeds, 2) of n minibatches in epochs of ``full`` ones, as of ``Chunks.keys``."""
    epochs, steps = np.divmod(np.arange(first, first + n), full)
    numbers = [np.repeat(x, len(seeds)) for x in (epoch + epochs, steps)]
    return keys_of(np.tile(seeds, n), MASKS, *numbers).reshape(n, len(seeds), 2)
