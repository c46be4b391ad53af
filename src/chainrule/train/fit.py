"""``fit``: train a network on arrays (L0.5, L1.6, L4.5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.core.tree import flatten_with_paths, map_tree
from chainrule.errors import DataError, UsageError
from chainrule.nn import Loss, Penalty
from chainrule.nn import loss as loss_of
from chainrule.nn.initializers import generator
from chainrule.nn.penalties import Strength
from chainrule.optim import Lbfgs, Optimizer
from chainrule.optim import optimizer as optimizer_of
from chainrule.run import Runner
from chainrule.train.data import ArrayData, Data, batch_rows, check_inputs
from chainrule.train.descent import descend, search
from chainrule.train.evaluation import HeldOut, Metric, Predictor, dtype_of, quiet
from chainrule.train.result import Callback, DivergedError, FitResult
from chainrule.train.steps import Step
from chainrule.train.watch import EarlyStopping, Kept, NonFiniteLossError, Watch

Tree = Any


def fit(
    model: Any,
    data: tuple[Any, Any] | Data,
    *,
    loss: Loss | str,
    optimizer: Optimizer | Lbfgs | str,
    validation: tuple[Any, ...] | None = None,
    test: tuple[Any, ...] | None = None,
    epochs: int = 200,
    batch_size: int | str | None = None,
    seed: int = 0,
    sample_weight: Any = None,
    metrics: Mapping[str, Metric] | None = None,
    l1: Strength = 0.0,
    l2: Strength = 0.0,
    early_stopping: int | EarlyStopping | None = None,
    callbacks: Sequence[Callback] = (),
    params: Tree = None,
    state: Tree = None,
    dtype: Any = None,
    evaluate_train: bool = True,
    executor: str | None = None,
    threads: int | None = None,
) -> FitResult:
    """Train ``model`` and return the network with its history.

    Parameters:
        model: an ``nn.MLP``, or anything with its ``init`` and call.
        data: ``(x, targets)``, x of shape (n, columns); or an object with ``take`` as
            ``train.Data`` describes it, which yields arrays that need no more checking.
        loss: of one example, from linear outputs: ``nn.CategoricalCrossEntropy()`` and so on.
        validation, test: ``(x, targets)`` or ``(x, targets, weights)``, evaluated after every
            epoch; ``test`` decides nothing.
        epochs: passes over the data; iterations for L-BFGS.
        batch_size: rows per step, 32 unless said otherwise, or "full". L-BFGS is always full.
            The last minibatch of an epoch takes the rows that are left, and averages over them.
        seed: initial weights, order of the rows and dropout derive from it and nothing else:
            the order from (seed, epoch), a dropout mask from (seed, epoch, step).
        sample_weight: (n,); a minibatch's loss is ``sum(w loss) / sum(w)``, as if a row of
            weight 2 stood there twice.
        metrics: name -> ``f(predictions, targets, weights) -> float`` on whole sets, with
            predictions (n, k) from the loss's output unit and targets as they were given.
        l1, l2: ``l1 sum |W| + l2/2 sum W^2`` over weights, added to the mean loss: the strength
            does not depend on the batch size. See ``nn.Penalty`` for strengths per group.
        early_stopping: patience in epochs; needs ``validation``; restores the best weights.
        callbacks: each called with an ``EpochEnd`` after every epoch; "stop" ends training.
        params, state: where to start instead of ``model.init(seed, dtype)``; not written to.
        dtype: float32 or float64; by default that of ``params``, else of a floating x, else
            float64. Inputs are cast to it once.
        evaluate_train: evaluate the training set after every epoch too, without dropout, which
            costs a forward pass but compares with the validation loss (L4.5). Otherwise, or
            when data come from an object, ``train_loss`` is the running mean over the epoch's
            minibatches, which is always there as ``running_loss``.
        executor: "native" (machine code, the default where llvmlite is installed) or "numpy".
        threads: how many share the work in machine code, None for as many as are worth it. The
            network's bits do not depend on it.

    Losses in the history are without the penalty. Ctrl-C ends training as if it were over, and
    the result says ``stopped="interrupted"``.

    Raises:
        DataError: data that do not fit; the message names row and column.
        UsageError: arguments that do not fit together.
        DivergedError: a loss is not finite (a NonFiniteError); its ``result`` holds the last
            finite network.
    """
    loss, optimizer, runner = loss_of(loss), optimizer_of(optimizer), Runner(executor, threads)
    _check_usage(model, optimizer, epochs, early_stopping, validation, batch_size, seed)
    penalty = Penalty(l1, l2)
    dtype = _dtype(dtype, params, data)
    params, state = _start(model, seed, dtype, params, state)
    predictor = Predictor(model, loss, runner)
    size = "full" if isinstance(optimizer, Lbfgs) else batch_size
    source, rows = _training(model, loss, params, state, data, sample_weight, size, seed)
    rows = rows if evaluate_train else []
    outputs = _outputs(model, params, state, source.take(1, 0)[0])
    for name, held in (("validation", validation), ("test", test)):
        if held is not None:
            rows.append(HeldOut.of(name, *_parts(name, held), loss, outputs, dtype))
    if early_stopping is not None and not isinstance(early_stopping, EarlyStopping):
        early_stopping = EarlyStopping(early_stopping)
    watch = Watch(predictor, rows, metrics or {}, penalty, early_stopping, callbacks, epochs)
    step = Step(model, loss, penalty)
    slots = {} if isinstance(optimizer, Lbfgs) else optimizer.init(params)
    kept = Kept.start(params, state, slots)
    del params, state, slots  # not to be kept in memory beside those that replace them
    try:
        if isinstance(optimizer, Lbfgs):
            stopped = search(step, optimizer, source, kept, watch, runner)
        else:
            stopped = descend(step, optimizer, source, kept, watch, seed, runner)
    except KeyboardInterrupt:
        stopped = "interrupted"
    except NonFiniteLossError as found:
        kept.back()
        result = _result(model, loss, kept, watch, "non_finite")
        raise DivergedError(_diverged(found), found.epoch, found.step, result) from None
    return _result(model, loss, kept, watch, stopped)


def _result(model: Any, loss: Loss, kept: Kept, watch: Watch, stopped: str) -> FitResult:
    params, state, slots = kept.carry
    if watch.early_stopping is not None and watch.best is not None and stopped != "non_finite":
        params, state = watch.best
    return FitResult(
        params,
        state,
        tuple(watch.history),
        watch.best_epoch,
        stopped,
        kept.steps,
        slots,
        model,
        loss,
        watch.predictor,
        watch.memory,
    )


def _diverged(found: NonFiniteLossError) -> str:
    if found.step is None:
        where, kept = f"after epoch {found.epoch}", "its last finite update"
    else:
        where, kept = f"in epoch {found.epoch}, step {found.step}", "the update before"
    first = found.epoch == 1 and found.step == 1
    if first:
        kept, hint = "the start", "look at the scale of the inputs, the targets and the weights"
    else:
        hint = "try a smaller learning rate, or optim.chain(optim.clip_by_norm(1.0), ...)"
    shown = "not finite" if found.what == "a parameter" else f"{found.value}"
    return (
        f"{found.what} is {shown} {where}: {hint}. The network of {kept} is in this error's "
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
    if isinstance(epochs, bool) or not isinstance(epochs, (int, np.integer)) or epochs < 1:
        raise UsageError(f"epochs must be an integer of at least 1, not {epochs!r}")
    generator(seed)  # refuses what is no seed
    if early_stopping is not None and validation is None:
        raise UsageError("early_stopping needs validation=(x, targets) to look at")
    if isinstance(optimizer, Lbfgs):
        if batch_size not in (None, "full"):
            raise UsageError('L-BFGS needs the whole batch: batch_size="full", or leave it out')
        if getattr(model, "needs_key", False):
            raise UsageError("L-BFGS needs the same loss each time: train without dropout")
    if getattr(model, "batch_norm", False) and batch_size == 1:
        raise UsageError("batch normalisation needs more than one row per minibatch")


def _dtype(dtype: Any, params: Tree, data: Any) -> np.dtype[Any]:
    if dtype is None:
        if params is not None:
            dtype = dtype_of(params)
        else:
            x = data.take(1, 0)[0] if hasattr(data, "take") else _parts("data", data)[0]
            found = getattr(x, "dtype", None)
            dtype = found if found in (np.float32, np.float64) else np.float64
    known = np.dtype(dtype)
    if known not in (np.float32, np.float64):
        raise UsageError(f"training computes in float32 or float64, not {known}")
    return known


def _start(model: Any, seed: int, dtype: Any, params: Tree, state: Tree) -> tuple[Tree, Tree]:
    """Where to start, in this dtype; copies, so that the caller's arrays stay theirs."""
    fresh, fresh_state = model.init(seed, dtype)
    params = fresh if params is None else params
    state = fresh_state if state is None else state
    params, state = (map_tree(lambda a: np.array(a, dtype), tree) for tree in (params, state))
    for path, leaf in flatten_with_paths(params)[0]:
        if not np.isfinite(leaf).all():
            raise DataError(f"params: {path} has numbers that are not finite")
    return params, state


def _training(
    model: Any,
    loss: Loss,
    params: Tree,
    state: Tree,
    data: Any,
    sample_weight: Any,
    batch_size: Any,
    seed: int,
) -> tuple[Data, list[HeldOut]]:
    """Where minibatches come from, and the training rows to evaluate where they are known."""
    if hasattr(data, "take"):
        if sample_weight is not None:
            raise UsageError("sample_weight goes with arrays; a data object yields weights itself")
        return data, []
    x, targets, weights = _parts("data", data, sample_weight)
    dtype = dtype_of(params)
    x = check_inputs(x, dtype)
    outputs = _outputs(model, params, state, x)
    rows = HeldOut.of("train", x, targets, weights, loss, outputs, dtype)
    size = batch_rows(batch_size, len(rows.x))
    return ArrayData(rows.x, rows.targets, rows.weights, size, seed), [rows]


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
