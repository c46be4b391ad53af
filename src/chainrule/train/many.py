"""``fit_many``: many networks of one shape at once, as one loop of batched steps."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.api import vmap
from chainrule.core.recording import quiet
from chainrule.core.settings import whole
from chainrule.core.told import told
from chainrule.core.tree import flatten
from chainrule.core.types import ArrayType
from chainrule.errors import DataError, UsageError
from chainrule.nn import loss as loss_of
from chainrule.optim import Lbfgs
from chainrule.optim import optimizer as optimizer_of
from chainrule.run import Runner
from chainrule.train.chunks import SECONDS, Chunks, Done, Leaves
from chainrule.train.data import Batch
from chainrule.train.descent import Steps
from chainrule.train.evaluation import Predictor
from chainrule.train.fit import Fitting, fit, fitting
from chainrule.train.monitor import NonFiniteLossError
from chainrule.train.result import DivergedError, FitResult


@told("train.fit_many")
def fit_many(
    model: Any,
    data: tuple[Any, Any],
    *,
    seeds: Sequence[int],
    folds: Sequence[Any] | None = None,
    **options: Any,
) -> tuple[FitResult, ...]:
    """Train a network for each seed, or for each fold, at once: ``fit`` of every one of them, with
    the bits that it has alone.

    Minibatches of all networks are steps of one native loop. A network that has stopped keeps its
    best weights; once half of them have, the others go on in a smaller loop.

    Parameters:
        model, data: as ``fit`` takes them; data are arrays.
        seeds: one for each network, as ``fit`` takes it.
        folds: for each network the rows that it is trained on, as indices or a mask (n,); as many
            folds as seeds, or one seed for all. The rows left out are its validation set.
        options: all other arguments of ``fit`` but ``callbacks``, ``params`` and ``state``.

    Returns:
        One ``FitResult`` for each network, in order. One whose loss was not finite says
        ``stopped="non_finite"``, as the ``result`` of a ``DivergedError`` does.

    Raises:
        UsageError, DataError, DtypeError: as of ``fit``; seeds and folds that do not fit; folds so
            unequal that their epochs have different numbers of minibatches.
    """
    given = _options(seeds, options)
    seeds, folds = _networks(seeds, folds, given)
    x, targets, weights = _arrays(data, given.pop("sample_weight"))
    runner = Runner(given["executor"], given["threads"])
    shared = Predictor(model, loss_of(given["loss"]), runner)
    trainings: list[Fitting] = []
    trained: list[np.ndarray | None] = []
    for k, seed in enumerate(seeds):
        rows, own = None, dict(given)
        part = (x, targets) if weights is None else (x, targets, weights)
        if folds is not None:
            rows, left = _rows(folds[k], len(x), k)
            if own["validation"] is None:
                own["validation"] = tuple(array[left] for array in part)
            part = tuple(array[rows] for array in part)
        trained.append(rows if rows is None else rows % len(x))
        own |= {"seed": seed, "sample_weight": None, "predictor": shared}
        trainings.append(fitting(model, part, **own))
    return _together(trainings, trained, runner)


def _options(seeds: Any, options: dict[str, Any]) -> dict[str, Any]:
    """All keyword arguments of ``fit`` but the seed, those not given by their defaults."""
    known: Mapping[str, Any] = fit.__wrapped__.__kwdefaults__  # type: ignore[attr-defined]
    refused = {"callbacks", "params", "state", "seed"}
    for name in options:
        if name not in {*known, "loss", "optimizer"} or name in refused:
            instead = "seeds=" if name == "seed" else "fit for each network, which takes it"
            raise UsageError(f"fit_many takes no {name}=: use {instead}")
    for name in ("loss", "optimizer"):
        if name not in options:
            raise UsageError(f"fit_many needs {name}=, as fit does")
    if isinstance(optimizer_of(options["optimizer"]), Lbfgs):
        raise UsageError("L-BFGS searches with each network by itself: call fit for each of them")
    return {**known, **options}


def _networks(seeds: Any, folds: Any, options: dict[str, Any]) -> tuple[list[int], Any]:
    """A seed, and a fold or None, for each network."""
    seeds = [whole("seeds", seed, 0) for seed in np.ravel(seeds).tolist()]
    if not seeds:
        raise UsageError("fit_many needs a seed for each network: seeds=range(32)")
    if folds is None:
        return seeds, None
    folds = list(folds)
    if len(seeds) == 1:
        seeds = seeds * len(folds)
    if len(seeds) != len(folds):
        raise UsageError(f"{len(seeds)} seeds and {len(folds)} folds: give one for each network")
    return seeds, folds


def _arrays(data: Any, sample_weight: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
        raise UsageError("fit_many takes data as (x, targets) or (x, targets, weights)")
    x, targets, *more = data
    if more and sample_weight is not None:
        raise UsageError("give the weights once: in data, or as sample_weight")
    weights = more[0] if more else sample_weight
    return np.asarray(x), np.asarray(targets), None if weights is None else np.asarray(weights)


def _rows(fold: Any, count: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows of a fold and those left out, both ascending as a mask has them, or as given."""
    rows = np.asarray(fold)
    if rows.dtype.kind == "b" and rows.shape == (count,):
        rows = np.flatnonzero(rows)
    if rows.ndim != 1 or rows.dtype.kind not in "iu" or not rows.size:
        raise DataError(f"fold {k} must be row numbers, or a mask of {count} rows with some true")
    if rows.min() < -count or rows.max() >= count:
        raise DataError(f"fold {k} has row numbers outside 0 to {count - 1}")
    return rows, np.setdiff1d(np.arange(count), rows % count)


def _together(
    trainings: Sequence[Fitting], rows: Sequence[np.ndarray | None], runner: Runner
) -> tuple[FitResult, ...]:
    """Run trainings side by side: what each yields before an epoch is done for all."""
    results: dict[int, FitResult] = {}
    live: dict[int, Steps] = {}
    group: Group | None = None

    def go_on(k: int, how: Any) -> None:
        try:
            live[k] = how()
        except StopIteration as end:
            results[k] = end.value
            live.pop(k, None)
        except DivergedError as error:
            results[k] = error.result
            live.pop(k, None)

    try:
        for k, training in enumerate(trainings):
            go_on(k, training.__next__)
        members = {k: Member(steps, rows[k]) for k, steps in live.items()}
        made: dict[Any, Any] = {}
        for k, steps in live.items():
            steps.chunks = members[k]
            steps.made = made  # of a last, smaller minibatch: compiled once for all
        epoch = 0
        while live:
            epoch += 1
            going = [members[k] for k in live]
            if group is None or len(live) <= group.size // 2:
                group = Group(going, runner)
            group.epoch(epoch, going)
            for k in list(live):
                go_on(k, trainings[k].__next__)
    except KeyboardInterrupt:
        for k in [k for k in range(len(trainings)) if k not in results]:
            go_on(k, lambda k=k: trainings[k].throw(KeyboardInterrupt()))
    return tuple(results[k] for k in range(len(trainings)))


class Member(Chunks):
    """The chunks of one network among many, which a ``Group`` has done."""

    def __init__(self, steps: Steps, rows: np.ndarray | None) -> None:
        super().__init__(
            steps.function, steps.data, steps.training, steps.seed, steps.keyed, steps.runner
        )
        self.rows = rows  # those of all the data that it is trained on
        self.waiting: list[tuple[float, float]] = []
        self.error: NonFiniteLossError | None = None
        self.group: Group | None = None

    @property
    def full(self) -> int:
        """How many full minibatches an epoch has; 0 where a group does none."""
        data = self.data
        return 0 if data.batch_size >= data.rows else data.rows // data.batch_size

    def order(self, epoch: int) -> np.ndarray:
        """The rows of its own data in each full minibatch."""
        size = self.data.batch_size
        return self.data.order(epoch)[: self.full * size].reshape(self.full, size)

    def epoch(self, epoch: int) -> Iterator[tuple[float, float]]:
        if self.group is None or self.group.run is None:
            yield from super().epoch(epoch)
            return
        done, self.waiting = self.waiting, []
        yield from done
        if self.error is not None:
            raise self.error

    def again(self, epoch: int, first: int, end: int, before: int, leaves: Leaves) -> Done:
        """Steps ``first`` to ``end`` by itself."""
        if self.run is None:
            self.run = self._compiled()
        return self.steps(epoch, self.order(epoch)[first:end], first, before + first, leaves)

    @property
    def arena(self) -> int:
        """Bytes of what a step computes on its way, this network's share."""
        shared = 0 if self.group is None or self.group.run is None else self.group.run.arena
        return shared // self.group.size if shared and self.group else super().arena


class Group:
    """``size`` networks whose minibatches are steps of one loop; of one that has stopped the loop
    goes on computing what nobody reads, until a smaller group takes over."""

    def __init__(self, members: Sequence[Member], runner: Runner) -> None:
        self.size, first = len(members), members[0]
        self.length = 2
        if len({m.full for m in members}) > 1 or len({m.data.batch_size for m in members}) > 1:
            raise UsageError("the folds are so unequal that their epochs differ in minibatches")
        self.given = _all_data(members)
        for member in members:
            member.group = self
        self.run: Any = self._compiled(first, runner) if first.full else None

    def _compiled(self, first: Member, runner: Runner) -> Any:
        k, keyed, whole_numbers = self.size, first.keyed, np.dtype(np.int64)
        keys = ArrayType((k, 2), np.dtype(np.uint64)) if keyed else None
        xs = (ArrayType((k, first.data.batch_size), whole_numbers), keys,
              ArrayType((k,), whole_numbers))  # fmt: skip
        carry = first.training.treedef.unflatten(
            [ArrayType((k, *leaf.shape), leaf.dtype) for leaf in first.training.now]
        )

        def step(carry: Any, x: Any, constants: Any) -> Any:
            inputs, targets, weights = constants

            def one(carry: Any, rows: Any, key: Any, count: Any) -> Any:
                weighted = None if weights is None else weights[rows]
                return first.step(carry, Batch(inputs[rows], targets[rows], weighted), key, count)

            return vmap(one, (0, 0, 0 if keyed else None, 0))(carry, *x)

        return runner.repeat(step, carry, xs, self.given, flush=True)

    def epoch(self, epoch: int, members: Sequence[Member]) -> None:
        """Do all full minibatches of an epoch for those members that go on."""
        if self.run is None:
            return
        begun, done, full = {m: m.training.steps for m in members}, 0, members[0].full
        while done < full and members:
            stop = min(done + self.length, full)
            started = time.perf_counter()
            with quiet():
                members = self._chunk(epoch, members, begun, done, stop)
            wanted = math.ceil(SECONDS * (stop - done) / max(time.perf_counter() - started, 1e-6))
            self.length = max(2, min(wanted, 4 * self.length, 2**14))
            done = stop

    def _chunk(
        self, epoch: int, members: Sequence[Member], begun: Any, start: int, stop: int
    ) -> list[Member]:
        """Steps ``start`` to ``stop``; returns the members whose losses were finite."""
        slots = [*members, *[members[0]] * (self.size - len(members))]
        orders = [m.order(epoch) if m.rows is None else m.rows[m.order(epoch)] for m in slots]

        def steps(first: int, end: int, leaves: Leaves) -> Done:
            xs = [np.stack([order[first:end] for order in orders], 1)]
            if members[0].keyed:
                xs.append(np.stack([m.keys(epoch, first, end - first) for m in slots], 1))
            xs.append(np.array([[begun[m] + i for m in slots] for i in range(first, end)],
                               np.int64).reshape(-1, self.size))  # fmt: skip
            (losses,), new = self.run(leaves, xs, flatten(self.given)[0])
            return losses, new

        stacked = [np.stack(x) for x in zip(*[m.training.now for m in slots], strict=True)]
        most = steps(start, stop - 1, stacked)
        end = steps(stop - 1, stop, most[1])
        going = []
        for k, m in enumerate(members):
            if np.isfinite(most[0][:1, k]).all():
                m.training.safe = m.training.now
            own, last = [(losses[:, k], [x[k] for x in leaves]) for losses, leaves in (most, end)]
            again = functools.partial(_again, m, epoch, begun[m])
            try:
                losses = m.settle(epoch, start, stop, own, last, again)
            except NonFiniteLossError as error:
                m.error = error
                continue
            m.waiting += m.weighed(losses, m.order(epoch)[start:stop])
            going.append(m)
        return going


def _again(member: Member, epoch: int, before: int, first: int, end: int, leaves: Leaves) -> Done:
    return member.again(epoch, first, end, before, leaves)


def _all_data(members: Sequence[Member]) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """x, targets and weights, of which each member trains on some rows, as its fit took them."""
    if members[0].rows is None:
        data = members[0].data
        return data.x, data.targets, data.weights
    count = 1 + max(int(np.max(m.rows)) for m in members)  # type: ignore[arg-type]
    whole: list[Any] = []
    for name in ("x", "targets", "weights"):
        parts = [getattr(m.data, name) for m in members]
        if parts[0] is None:
            whole.append(None)
            continue
        array = np.zeros((count, *parts[0].shape[1:]), parts[0].dtype)
        for m, part in zip(members, parts, strict=True):
            array[m.rows] = part
        whole.append(array)
    return tuple(whole)  # type: ignore[return-value]
