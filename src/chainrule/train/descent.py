"""The two ways to train: minibatch after minibatch, or a search with the whole batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from functools import cached_property
from typing import Any

import numpy as np

from chainrule.core.recording import quiet
from chainrule.core.tree import flatten, flatten_with_paths
from chainrule.errors import UsageError
from chainrule.ops.random import key_of
from chainrule.optim import Lbfgs, Optimizer
from chainrule.run import Runner, held, on_host
from chainrule.train.chunks import Chunks
from chainrule.train.data import MASKS, Batch, Data
from chainrule.train.monitor import (
    EpochMonitor,
    NonFiniteLossError,
    Position,
    TrainingState,
    bytes_of,
)
from chainrule.train.steps import Step


def descend(
    steps: Steps, optimizer: Optimizer, training: TrainingState, monitor: EpochMonitor
) -> Generator[Steps | EpochMonitor, None, str]:
    """Update after every minibatch; returns why it ended. Says in ``monitor.memory`` what it takes.
    Before each epoch it yields its steps, whose chunks another may have done; if they are one of
    many (``together``), the monitor before it evaluates, so that another may do that too.

    Raises:
        NonFiniteLossError: a minibatch's loss is not finite.
    """
    if monitor.over:
        return "early_stopping"
    if monitor.enough:
        return "callback"
    rate, alone = optimizer.learning_rate, monitor.asks or training.seen is not None
    while (epoch := training.position.epoch) <= monitor.epochs:
        steps.last, stop = epoch if alone else monitor.epochs, None
        yield steps
        begun: Any = None
        if monitor.callbacks and not alone:
            begun = training.now, training.safe, training.steps, training.position
        means = steps.epoch(epoch)
        if steps.together and monitor.rows:
            yield monitor
        if "arena" not in monitor.memory:
            monitor.memory |= steps.memory()
        for i, running in enumerate(means):
            left = len(means) - i
            updates = training.steps - (left - 1) * steps.data.steps
            now = None if rate is None else float(rate(updates - 1))
            stop = monitor.after_epoch(epoch + i, training, running, now, left)
            if stop is not None:
                means = means[: i + 1]
                if left > 1:
                    steps.again(begun, epoch + i)
                break
        training.position, training.judged = Position(epoch + len(means)), monitor.judged()
        training.mark()
        if stop is not None:
            return stop
    return "epochs"


class Steps:
    """The compiled step, one for each shape of minibatch, on flat lists of arrays.

    Flat, because walking trees and checking types would cost a small network as much again.
    """

    def __init__(
        self,
        step: Step,
        optimizer: Optimizer,
        data: Data,
        training: TrainingState,
        seed: int,
        runner: Runner,
    ) -> None:
        self.settings = step, optimizer
        self.function = step.whole(optimizer)
        self.data = data
        self.together = False
        self.last = 0  # the epoch up to which nobody asks anything between epochs
        self.training = training
        self.seed = seed
        self.runner = runner
        self.keyed = getattr(step.model, "needs_key", True)
        self.made: dict[Any, Callable[[list[Any]], list[np.ndarray]]] = {}
        self.chunks = Chunks(self.function, data, training, seed, self.keyed, runner)

    def epoch(self, epoch: int) -> list[float]:
        """All steps that are left of an epoch, maybe of some epochs after it; returns for each the
        mean loss of all its minibatches, each one's before its update."""
        training = self.training

        def advance(leaves: list[np.ndarray], i: int) -> list[np.ndarray]:
            value, weight, leaves = self.once(leaves, epoch, i)
            if not math.isfinite(value):
                raise NonFiniteLossError("the loss", value, epoch, i + 1)
            training.move(leaves)
            training.position = training.position.after(((value, weight),))
            training.mark()
            return leaves

        with quiet():
            self.chunks.epoch(epoch, self.last)
            if rest := range(training.position.step, self.data.steps):
                self.runner.loop(advance, training.now, rest)
        return [*self.chunks.means, training.position.mean]

    def again(self, begun: tuple[Any, ...], last: int) -> None:
        """Do the epochs since ``begun`` once more, but none after the ``last``: one of those that
        were done in one call was to be the last."""
        training, self.last = self.training, last
        training.now, training.safe, training.steps, training.position = begun
        while (epoch := training.position.epoch) <= last:
            self.epoch(epoch)
            training.position = Position(training.position.epoch + 1)
        training.checked = training.looked = training.now

    def once(self, leaves: list[np.ndarray], epoch: int, i: int) -> tuple[float, float, Any]:
        """Step ``i`` of an epoch: mean loss before it, weight, leaves after it."""
        batch = Batch(*self.data.take(epoch, i))
        key = key_of(self.seed, MASKS, epoch, i) if self.keyed else None
        loss, *leaves = self._run(leaves, batch, key)
        weight = len(batch.x) if batch.weights is None else float(batch.weights.sum())
        return float(loss), weight, leaves

    def memory(self) -> dict[str, int]:
        """Bytes that training takes beside the data."""
        return self._carried | {"order": 8 * self.data.rows, "arena": self.chunks.arena}

    @cached_property
    def _carried(self) -> dict[str, int]:
        params, state, slots = map(bytes_of, self.training.carry)
        return {
            "parameters": params + state,
            "optimizer": slots,
            # Before the last update, before this chunk of them, and after the last epoch.
            "copies": 3 * (params + state + slots),
        }

    def _run(self, leaves: list[np.ndarray], batch: Batch, key: Any) -> list[np.ndarray]:
        """``[mean loss, *leaves of the carry]`` after one step."""
        count = np.asarray(self.training.steps)
        given = [array for array in (*batch, key) if array is not None]
        signature = tuple([(array.shape, array.dtype) for array in given])
        run = self.made.get(signature)
        if run is None:
            arguments = (on_host(self.training.carry), batch, key, count)
            found, run = self.compiled(arguments)
            _check_types(self.training, found[1])
            self.made[signature] = run
        return run([*leaves, *given, count])

    def compiled(self, arguments: tuple[Any, ...]) -> tuple[Any, Any]:
        """What one step returns, and a function of flat lists for more of them."""
        run = self.runner.compile(self.function, *arguments)
        return run(*arguments), held(run)


def _check_types(training: TrainingState, carry: Any) -> None:
    """A step must return what it got, or the next one does not fit."""
    for (path, new), old in zip(flatten_with_paths(carry)[0], training.now, strict=True):
        if new.shape != old.shape or new.dtype != old.dtype:
            _, _, name = path.partition("/")
            raise UsageError(
                f"a training step turned {name} from {old.dtype}{list(old.shape)} into "
                f"{new.dtype}{list(new.shape)}; model and optimiser must keep shapes and dtypes"
            )


def search(
    step: Step,
    optimizer: Lbfgs,
    data: Data,
    training: TrainingState,
    monitor: EpochMonitor,
    runner: Runner,
) -> str:
    """L-BFGS over the flat vector of all parameters; an epoch is an iteration.

    Raises:
        NonFiniteLossError: loss or gradient are not finite somewhere the search looked.
    """
    batch = Batch(*data.take(1, 0))
    params, state, _ = training.carry
    leaves, treedef = flatten(params)
    ends = np.cumsum([leaf.size for leaf in leaves])
    run = runner.compile(step.objective, params, state, batch)
    looked: list[tuple[np.ndarray, float, Any]] = []  # the last point: vector, loss, state
    stopped: list[str] = []
    start = np.concatenate([np.asarray(leaf, np.float64).ravel() for leaf in leaves])
    if training.log == ():
        training.log = ((0.0, start),)
    # SciPy cannot be told to go on, but asks the same again: it gets the answers it had.
    (_, start), *known = training.log or ((0.0, start),)
    known, done, seen = iter(known), training.steps, 0

    def unflatten(vector: np.ndarray) -> Any:
        parts = np.split(vector, ends[:-1])
        return treedef.unflatten(
            part.reshape(leaf.shape).astype(leaf.dtype)
            for part, leaf in zip(parts, leaves, strict=True)
        )

    def objective(vector: np.ndarray) -> tuple[float, np.ndarray]:
        found = next(known, None)
        if found is None:
            found = evaluated(vector)
            if training.log is not None:
                training.log = (*training.log, found)
        return found

    def evaluated(vector: np.ndarray) -> tuple[float, np.ndarray]:
        point = unflatten(vector)
        with quiet():
            loss, total, gradients, new = run(point, training.carry[1], batch)
        flat = np.concatenate([np.asarray(g, np.float64).ravel() for g in flatten(gradients)[0]])
        for what, value in (("the loss", float(total)), ("the gradient", float(flat.sum()))):
            if not math.isfinite(value):
                raise NonFiniteLossError(what, value, training.steps + 1, 1, point)
        looked[:] = [(vector.copy(), float(loss), new)]
        return float(total), flat

    def after(vector: np.ndarray) -> bool:
        nonlocal seen
        seen += 1
        if seen <= done:  # that iteration was judged before
            return False
        if not looked or not np.array_equal(looked[0][0], vector):
            evaluated(vector)
        _, loss, new = looked[0]
        training.move(flatten((unflatten(vector), new, {}))[0])
        stop = monitor.after_epoch(training.steps, training, loss, None)
        training.position, training.judged = Position(training.steps + 1), monitor.judged()
        training.mark()
        if stop is not None:
            stopped.append(stop)
        return stop is not None

    why = optimizer.minimize(objective, start, monitor.epochs, after)
    return stopped[0] if stopped else why
