"""``fit``: train a network on arrays (L0.5, L1.6, L4.5)."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.core.recording import quiet
from chainrule.core.settings import number, whole
from chainrule.core.told import told
from chainrule.core.tree import flatten_with_paths, map_tree
from chainrule.core.types import refuse_subclass
from chainrule.errors import DataError, UsageError
from chainrule.forks import load
from chainrule.nn import Loss, Penalty
from chainrule.nn import loss as loss_of
from chainrule.nn.penalties import Strength
from chainrule.nn.sequential import fresh, fresh_state
from chainrule.optim import Lbfgs, Optimizer
from chainrule.optim import optimizer as optimizer_of
from chainrule.run import Runner, each_device
from chainrule.run.settings import ExecutorLike
from chainrule.train.checkpoint import Checkpoint, described
from chainrule.train.data import ArrayData, CheckedData, Data, batch_rows, check_inputs, fills
from chainrule.train.descent import Steps, descend, search
from chainrule.train.evaluation import HeldOut, Predictor, dtype_of
from chainrule.train.failing import failing_step
from chainrule.train.keeping import Keeper, Kept, from_files, go_on, owned, same_as_then
from chainrule.train.metrics import Metric, metrics_of
from chainrule.train.monitor import (
    EarlyStopping,
    EpochMonitor,
    Moment,
    NonFiniteLossError,
    TrainingState,
)
from chainrule.train.result import Callback, DivergedError, FitResult
from chainrule.train.steps import Step
from chainrule.train.streamed import Streamed, StreamedRows
from chainrule.train.workers import ShardedSteps, Workers, on_dask, workers_of

Tree = Any


@told("train.fit")
def fit(
    model: Any,
    data: tuple[Any, Any] | Data,
    *,
    loss: Loss | str,
    optimizer: Optimizer | Lbfgs | str,
    validation: tuple[Any, ...] | StreamedRows | None = None,
    test: tuple[Any, ...] | StreamedRows | None = None,
    epochs: int = 200,
    batch_size: int | str | None = None,
    seed: int = 0,
    shuffle: bool | Callable[[int], Any] = True,
    sample_weight: Any = None,
    metrics: Metric | str | Sequence[Any] | Mapping[str, Any] | None = None,
    l1: Strength = 0.0,
    l2: Strength = 0.0,
    alpha: float = 0.0,
    early_stopping: int | EarlyStopping | None = None,
    callbacks: Sequence[Callback] = (),
    params: Tree = None,
    state: Tree = None,
    dtype: Any = None,
    evaluate_train: bool = True,
    executor: ExecutorLike = None,
    threads: int | None = None,
    checkpoint: str | os.PathLike[str] | Checkpoint | None = None,
    resume: bool | FitResult = False,
    shards: int | None = None,
    workers: Any = None,
) -> FitResult:
    """Train ``model`` and return the network with its history.

    Parameters:
        model: an ``nn.MLP``, or anything with its ``init`` and call.
        data: ``(x, targets)``, x of shape (n, columns); or an object with ``take`` as
            ``train.Data`` describes it, which yields arrays that need no more checking.
        loss: of one example, from linear outputs: ``nn.CategoricalCrossEntropy()`` and so on, its
            name, or a function of (outputs, targets).
        optimizer: one of ``optim``, or its name for one with its defaults.
        validation, test: ``(x, targets)`` or ``(x, targets, weights)``, evaluated after every
            epoch (or rows to be read each time); ``test`` decides nothing.
        epochs: passes over the data; iterations for L-BFGS.
        batch_size: rows per step, 32 unless said otherwise, or "full". L-BFGS is always full.
            The last minibatch of an epoch takes the rows that are left, and averages over them.
        seed: initial weights, order of the rows and dropout derive from it and nothing else:
            the order from (seed, epoch), a dropout mask from (seed, epoch, step).
        shuffle: a new order of the rows for each epoch; False takes them as they stand, and a
            function the order that it gives for an epoch (1, 2, ...), row numbers (n,).
        sample_weight: (n,); a minibatch's loss is ``sum(w loss) / sum(w)``, as if a row of
            weight 2 stood there twice.
        metrics: scores of whole sets: a function or a name of ``train.metrics``, several in a
            list, or a mapping from names of your own. Each is called as ``f(targets,
            predictions, weights)``, or without the weights if it takes two: targets as they were
            given, predictions (n, k) from the loss's output unit, (n,) where targets are; the
            library's own scores of classes get the classes that the loss chooses.
        l1, l2: ``l1 sum |W| + l2/2 sum W^2`` over weights, added to the mean loss: the strength
            does not depend on the batch size. See ``nn.Penalty`` for strengths per group.
        alpha: scikit-learn's penalty, ``alpha/2 sum W^2`` over the rows of the minibatch (the sum
            of their weights): weaker, the larger the batch. Part of the running loss.
        early_stopping: patience in epochs; needs ``validation``; restores the best weights.
        callbacks: each called with an ``EpochEnd`` after every epoch; "stop" ends training.
        params, state: where to start; not written to. Without ``params`` it is ``model.init(seed,
            dtype)``; with them alone the state is a fresh one, ``model.init_state(dtype)``.
        dtype: float32 or float64; by default that of ``params``, else of a floating x, else
            float64. Inputs are cast to it once.
        evaluate_train: evaluate the training set after every epoch too, without dropout, which
            costs a forward pass but compares with the validation loss (L4.5). Otherwise, or
            when data come from an object, ``train_loss`` is the running mean over the epoch's
            minibatches, which is always there as ``running_loss``.
        executor: "native" (machine code, the default where llvmlite is installed), "numpy", "xla"
            (JAX), or an ``Executor`` with a device and a precision.
        threads: how many share the work in machine code, None for as many as are worth it. The
            network's bits do not depend on it.
        checkpoint: a folder in which the training writes down where it stands, every five minutes,
            or a ``train.Checkpoint``, which says when. Callbacks keep no place there.
        resume: go on where the checkpoints end, with the bits of a training that was never cut
            short; begin if there are none. Or a ``FitResult`` to go on from, ``epochs`` counting
            those that it has.
        shards: into how many virtual shards each minibatch is divided, whose gradients are added
            in one fixed order; 1, or 8 where several workers train. The bits depend on it, and not
            on the number of workers.
        workers: who shares them: "mpi" in processes that ``mpiexec`` started, all of which return
            the result; a number of processes, the address of a Dask scheduler or its ``Client``.
            See docs/large.md.

    Losses in the history are without the penalty of ``l1`` and ``l2``. Ctrl-C ends training as if
    it were over, and the result says ``stopped="interrupted"``.

    Raises:
        DataError: data that do not fit; the message names row and column.
        DtypeError: data or parameters that are masked arrays or ``np.matrix``.
        UsageError: arguments that do not fit together; another training has the folder of
            checkpoints.
        DivergedError: a loss is not finite (a NonFiniteError); its ``result`` holds the last
            finite network.
        OSError: no checkpoint can be written at the start.
    """
    given = locals()
    with owned(checkpoint, workers):
        if not on_dask(workers):
            return finished(fitting(**given))
        return load("chainrule.train.dask").fit_on_dask("fit", **given)


Fitting = Generator[Any, None, FitResult]


def finished(training: Fitting) -> FitResult:
    """The result of a training that nobody has to wait for."""
    while True:
        try:
            next(training)
        except StopIteration as end:
            return end.value


def fitting(
    model: Any,
    data: Any,
    *,
    loss: Any,
    optimizer: Any,
    validation: Any,
    test: Any,
    epochs: int,
    batch_size: Any,
    seed: int,
    shuffle: Any,
    sample_weight: Any,
    metrics: Any,
    l1: Strength,
    l2: Strength,
    alpha: float,
    early_stopping: Any,
    callbacks: Sequence[Callback],
    params: Tree,
    state: Tree,
    dtype: Any,
    evaluate_train: bool,
    executor: ExecutorLike,
    threads: int | None,
    checkpoint: Any = None,
    resume: Any = False,
    shards: int | None = None,
    workers: Any = None,
    predictor: Predictor | None = None,
    kept: Kept | None = None,
    judge: Callable[[Any], Any] | None = None,
    pad: bool = False,
) -> Fitting:
    """What ``fit`` does, with a halt before each epoch of minibatches, at which it yields its steps
    (``descent.py``): whoever trains many networks at once does them for all. ``predictor``: one
    that several share, so that it is compiled once; ``kept``: its place in their checkpoints;
    ``judge``: from an epoch's row to what is lowest in the best one, the validation loss;
    ``pad``: whether the last minibatch of an epoch may be filled with rows of weight 0."""
    loss, optimizer, runner = loss_of(loss), optimizer_of(optimizer), Runner(executor, threads)
    _check_usage(model, optimizer, epochs, early_stopping, validation, batch_size, seed)
    searching = isinstance(optimizer, Lbfgs)
    going_on = from_files(resume, checkpoint)
    team, shards = workers_of(workers, shards, len(each_device(executor)))
    if searching and shards > 1:
        raise UsageError("L-BFGS looks at the whole batch: leave out shards and workers")
    source = _source(data, sample_weight)
    x, targets, weights = _parts("data", data, sample_weight) if source is None else source.first
    dtype = _dtype(dtype, params, x)
    x = check_inputs(x, dtype) if source is None else x
    params, state = _start(model, seed, dtype, params, state, x)
    outputs, rows = _outputs(model, params, state, x), []
    if source is None:
        held = HeldOut.of("train", x, targets, weights, loss, outputs, dtype)
        rows = [held] if evaluate_train else []
        size = batch_rows("full" if searching else batch_size, len(held.x))
        _check_shards(model, size, shards)
        padded = pad and shards == 1 and fills(model, len(held.x), size)
        source = ArrayData(held.x, held.targets, held.weights, size, seed, shuffle, padded)
    for name, more in (("validation", validation), ("test", test)):
        if hasattr(more, "score"):
            rows.append(more)
        elif more is not None:
            rows.append(HeldOut.of(name, *_parts(name, more), loss, outputs, dtype))
    if early_stopping is not None and not isinstance(early_stopping, EarlyStopping):
        early_stopping = EarlyStopping(early_stopping)
    step = Step(model, loss, Penalty(l1, l2), number("alpha", alpha, at_least=0))
    monitor = EpochMonitor(
        predictor or Predictor(model, loss, runner),
        rows,
        metrics_of(metrics),
        step.penalty,
        early_stopping,
        callbacks,
        epochs,
        judge=judge,
    )
    training = TrainingState.start(params, state, {} if searching else optimizer.init(params))
    del params, state  # not to be kept in memory beside those that replace them
    if checkpoint is not None:
        kept = Keeper(checkpoint, going_on, team=team).networks[0]
    if isinstance(resume, Moment):
        training.go_on(resume)
        monitor.go_on(resume.judged)
    elif isinstance(resume, FitResult):
        go_on(training, monitor, resume, searching)
    ended = None
    if kept is not None:
        training.log = () if searching else None
        same = same_as_then(step, optimizer, source, rows, monitor, seed, dtype, runner)
        more = {"shuffle": described(shuffle), "shards": str(shards)}
        ended = kept.begin(training, monitor, same | more)
    return (yield from _run(
        step, optimizer, source, training, monitor, runner, seed, team, shards, kept, ended
    ))  # fmt: skip


def _run(
    step: Step,
    optimizer: Optimizer | Lbfgs,
    source: Any,
    training: TrainingState,
    monitor: EpochMonitor,
    runner: Runner,
    seed: int,
    team: Workers,
    shards: int,
    kept: Kept | None,
    ended: str | None,
) -> Fitting:
    """The steps themselves, and the result; ``ended``: how they ended before, by a checkpoint."""
    try:
        if ended is not None:
            stopped = ended
        elif isinstance(optimizer, Lbfgs):
            stopped = search(step, optimizer, source, training, monitor, runner)
        else:
            given = step, optimizer, source, training, seed, runner
            sharded = shards > 1 or team.size > 1
            steps = ShardedSteps(*given, team, shards) if sharded else Steps(*given)
            with team.training(training):
                stopped = yield from descend(steps, optimizer, training, monitor)
    except KeyboardInterrupt:
        stopped = "interrupted"
    except NonFiniteLossError as found:
        training.read()
        failing = failing_step(step, optimizer, source, training, monitor, found, seed)
        if kept is not None:
            kept.end(None)
        training.back()
        result = _result(step, training, monitor, "non_finite")
        raise DivergedError(_diverged(found), found.epoch, found.step, result, failing) from None
    finally:
        getattr(source, "close", lambda: None)()
    training.read()
    if kept is not None and ended is None:
        kept.end(None if stopped == "interrupted" else stopped)
    return _result(step, training, monitor, stopped)


def _result(step: Step, training: TrainingState, monitor: EpochMonitor, stopped: str) -> FitResult:
    params, state, slots = training.carry
    if monitor.early_stopping is not None and monitor.best is not None and stopped != "non_finite":
        params, state = monitor.best
    return FitResult(
        params,
        state,
        tuple(monitor.history),
        monitor.best_epoch,
        stopped,
        training.steps,
        slots,
        step.model,
        step.loss,
        monitor.predictor,
        monitor.memory,
        training.moment if stopped != "non_finite" else None,
    )


def _diverged(found: NonFiniteLossError) -> str:
    if found.step is None:
        where, which = f"after epoch {found.epoch}", "its last finite update"
    else:
        where, which = f"in epoch {found.epoch}, step {found.step}", "the update before"
    hint = "look at the scale of the inputs, the targets and the weights"
    if found.epoch == 1 and found.step == 1:
        which = "the start"
    elif found.at is None:  # a line search has no learning rate
        hint = "try a smaller learning rate, or optim.chain(optim.clip_by_norm(1.0), ...)"
    shown = "not finite" if found.what == "a parameter" else f"{found.value}"
    return (
        f"{found.what} is {shown} {where}: {hint}. The network of {which} is in this error's "
        "``result``"
    )


def _check_usage(
    model: Any,
    optimizer: Any,
    epochs: Any,
    early_stopping: Any,
    validation: Any,
    batch_size: Any,
    seed: Any,
) -> None:
    if isinstance(optimizer, Optimizer) and optimizer.learning_rate is None:
        raise UsageError(
            f"optimizer {optimizer.name} has no learning rate: end it with a rule that has one, "
            "optim.chain(..., optim.sgd(0.1))"
        )
    whole("epochs", epochs)
    whole("seed", seed, 0)
    if early_stopping is not None and validation is None:
        raise UsageError("early_stopping needs validation=(x, targets) to look at")
    if isinstance(optimizer, Lbfgs):
        if batch_size not in (None, "full"):
            raise UsageError('L-BFGS needs the whole batch: batch_size="full", or leave it out')
        if getattr(model, "needs_key", False):
            raise UsageError("L-BFGS needs the same loss each time: train without dropout")
    if getattr(model, "batch_norm", False) and batch_size == 1:
        raise UsageError("batch normalisation needs more than one row per minibatch")


def _check_shards(model: Any, size: int, shards: int) -> None:
    if getattr(model, "batch_norm", False) and shards > 1 and size < 2 * shards:
        raise UsageError(
            f"batch normalisation needs more than one row per shard: batch_size={size} has "
            f"{shards} shards"
        )


def _dtype(dtype: Any, params: Tree, x: Any) -> np.dtype[Any]:
    if dtype is None and params is not None:
        dtype = dtype_of(params)
    elif dtype is None:
        found = getattr(x, "dtype", None)
        dtype = found if found in (np.float32, np.float64) else np.float64
    known = np.dtype(dtype)
    if known not in (np.float32, np.float64):
        raise UsageError(f"training computes in float32 or float64, not {known}")
    return known


def _start(
    model: Any, seed: int, dtype: Any, params: Tree, state: Tree, x: np.ndarray
) -> tuple[Tree, Tree]:
    """Where to start, in this dtype; copies, so that the caller's arrays stay theirs."""
    if params is None:
        params, its = fresh(model, seed, dtype, x)
        state = its if state is None else state
    elif state is None:
        state = fresh_state(model, dtype)
    for path, leaf in flatten_with_paths((params, state))[0]:
        refuse_subclass(leaf, path)
    params, state = (map_tree(lambda a: np.array(a, dtype), tree) for tree in (params, state))
    for path, leaf in flatten_with_paths(params)[0]:
        if not np.isfinite(leaf).all():
            raise DataError(f"params: {path} has numbers that are not finite")
    return params, state


def _source(data: Any, sample_weight: Any) -> Any:
    """The data object, if it is one."""
    if not (hasattr(data, "take") and hasattr(data, "steps")):
        return None
    if sample_weight is not None:
        raise UsageError("sample_weight goes with arrays; a data object yields weights itself")
    return data if isinstance(data, Streamed) else CheckedData(data)


def _outputs(model: Any, params: Tree, state: Tree, x: np.ndarray) -> int:
    """How many outputs there are; the model itself says so, or why x does not fit."""
    with quiet():
        return np.shape(model(params, state, x[:1])[0])[-1]


def _parts(name: str, held: Any, sample_weight: Any = None) -> tuple[Any, Any, Any]:
    """x, targets and weights (or None) of what the caller gave."""
    if not isinstance(held, (tuple, list)) or len(held) not in (2, 3):
        raise UsageError(f"{name} is (x, targets) or (x, targets, weights)")
    x, targets, *weights = held
    if weights and sample_weight is not None:
        raise UsageError("give the weights once: in data, or as sample_weight")
    return x, targets, weights[0] if weights else sample_weight
