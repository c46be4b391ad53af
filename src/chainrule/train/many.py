"""``fit_many``: many networks of one shape at once, as one loop of batched steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.core.settings import whole
from chainrule.core.told import told
from chainrule.errors import DataError, UsageError
from chainrule.forks import load
from chainrule.nn import loss as loss_of
from chainrule.optim import Lbfgs
from chainrule.optim import optimizer as optimizer_of
from chainrule.run import Runner, each_device
from chainrule.train.data import ArrayData
from chainrule.train.evaluation import HeldOut, Predictor, evaluate_together
from chainrule.train.fit import Fitting, fit, fitting
from chainrule.train.keeping import Keeper, from_files, owned
from chainrule.train.monitor import EpochMonitor, TrainingState
from chainrule.train.programs import likeness, programs
from chainrule.train.result import DivergedError, FitResult
from chainrule.train.streamed import Streamed
from chainrule.train.together import Group, Member, grouped
from chainrule.train.workers import ShardedSteps, on_dask, workers_of

EACH = ("loss", "optimizer", "l1", "l2", "epochs", "batch_size", "early_stopping")
"""The options that may be a list with one for each network."""


@told("train.fit_many")
def fit_many(
    model: Any,
    data: tuple[Any, Any] | Sequence[Streamed],
    *,
    seeds: Sequence[int],
    folds: Sequence[Any] | None = None,
    **options: Any,
) -> tuple[FitResult, ...]:
    """Train many networks of one shape at once: ``fit`` of every one of them, with the bits that
    it has alone.

    Minibatches of all networks are steps of one native loop, in blocks of a few networks. One that
    has stopped keeps its best weights and leaves its block. Networks whose steps do not have the
    same operations, such as those with and without dropout, get loops of their own.

    Parameters:
        model, data: as ``fit`` takes them; data are arrays, or a list with what is streamed to
            each network, whose epochs are then trained in turns. A list of models, one for each
            network, may differ in rates of dropout and the like.
        seeds: one for each network, as ``fit`` takes it; a single one for all.
        folds: for each network the rows that it is trained on, as indices or a mask (n,). The rows
            left out are its validation set.
        options: all other arguments of ``fit`` but ``params`` and ``state``; ``callbacks`` hear of
            every epoch of every network. A list as ``loss``, ``optimizer``, ``l1``, ``l2``,
            ``epochs``, ``batch_size`` or ``early_stopping`` has one for each network:
            ``optimizer=[adam(r) for r in rates]``; as ``resume`` the result each goes on from.

    Returns:
        One ``FitResult`` for each network, in order. One whose loss was not finite says
        ``stopped="non_finite"``, as the ``result`` of a ``DivergedError`` does.

    Raises:
        UsageError, DataError, DtypeError: as of ``fit``; seeds, folds and lists of other lengths.
    """
    workers = options.get("workers")
    with owned(options.get("checkpoint"), workers):
        if not on_dask(workers):
            return _fitted(model, data, seeds, folds, options)
        fit_on_dask = load("chainrule.train.dask").fit_on_dask
        usual: dict[str, Any] = {"callbacks": (), "checkpoint": None, "shards": None}
        return fit_on_dask("fit_many", model, data, seeds=seeds, folds=folds, **usual | options)


def _fitted(
    model: Any, data: Any, seeds: Any, folds: Any, options: dict[str, Any]
) -> tuple[FitResult, ...]:
    given = _options(options)
    streams = list(data) if isinstance(data[0], Streamed) else None
    each = _networks(model, seeds, folds, given, streams)
    x, targets, weights = _arrays(data if streams is None else ((), ()), given.pop("sample_weight"))
    runner = Runner(given["executor"], given["threads"])
    checkpoint, resume = given.pop("checkpoint"), given.pop("resume")
    devices = len(each_device(runner.executor))
    team, given["shards"] = workers_of(given.pop("workers"), given["shards"], devices)
    given["workers"] = team
    places: Sequence[Any] = [None] * len(each)
    going_on = from_files(resume, checkpoint, len(each))
    if checkpoint is not None:
        places = Keeper(checkpoint, going_on, len(each), team).networks
    predictors: dict[Any, Predictor] = {}  # one for equal models and losses
    trainings: list[Fitting] = []
    trained: list[np.ndarray | None] = []
    for k, one in enumerate(each):
        fold, stream = one.pop("fold"), one.pop("data")
        own = given | one
        rows, part = None, (x, targets) if weights is None else (x, targets, weights)
        if stream is not None:
            part, own["validation"] = stream, stream.left_out or own["validation"]
        if fold is not None:
            rows, left = _rows(fold, len(x), k)
            if own["validation"] is None:
                own["validation"] = tuple(array[left] for array in part)
            part = tuple(array[rows] for array in part)
        trained.append(rows if rows is None else rows % len(x))
        kind = likeness((own["model"], own["loss"]), [])
        if kind not in predictors:
            predictors[kind] = programs(own["model"], own["loss"], runner).predictor
        own |= {
            "sample_weight": None,
            "kept": places[k],
            "resume": resume[k] if isinstance(resume, (list, tuple)) else False,
            "predictor": predictors[kind],
        }
        trainings.append(fitting(own.pop("model"), part, **own))
    return _together(trainings, trained, runner)


def _options(options: dict[str, Any]) -> dict[str, Any]:
    """All keyword arguments of ``fit`` but the seed, those not given by their defaults."""
    known: Mapping[str, Any] = fit.__wrapped__.__kwdefaults__  # type: ignore[attr-defined]
    refused = {"params", "state", "seed"}
    for name in options:
        if name not in {*known, "loss", "optimizer"} or name in refused:
            instead = "seeds=" if name == "seed" else "fit for each network, which takes it"
            raise UsageError(f"fit_many takes no {name}=: use {instead}")
    for name in ("loss", "optimizer"):
        if name not in options:
            raise UsageError(f"fit_many needs {name}=, as fit does")
    return {**known, **options}


def _networks(
    model: Any, seeds: Any, folds: Any, given: dict[str, Any], data: Any
) -> list[dict[str, Any]]:
    """What each network has of its own: model, seed, fold, and an entry of every list."""
    seeds = [whole("seeds", seed, 0) for seed in np.ravel(seeds).tolist()]
    lists = {"seed": seeds} | ({} if folds is None else {"fold": list(folds)})
    lists |= {} if data is None else {"data": data}
    lists |= {
        name: list(value)
        for name, value in {"model": model, **{name: given[name] for name in EACH}}.items()
        if isinstance(value, (list, tuple, np.ndarray))
    }
    if len(seeds) == 1 and len(lists) > 1:
        lists["seed"] = seeds * max(map(len, lists.values()))
    count = len(lists["seed"])
    if not count:
        raise UsageError("fit_many needs a seed for each network: seeds=range(32)")
    for name, entries in lists.items():
        if len(entries) != count:
            plural = {"fold": "folds", "model": "models"}.get(name, f"entries of {name}")
            raise UsageError(
                f"{count} seeds and {len(entries)} {plural}: give one for each network"
            )
    each: list[dict[str, Any]] = [
        {"model": model, "fold": None, "data": None, **{name: given[name] for name in EACH}}
        | {name: entries[k] for name, entries in lists.items()}
        for k in range(count)
    ]
    for one in each:
        one["loss"], one["optimizer"] = loss_of(one["loss"]), optimizer_of(one["optimizer"])
        if isinstance(one["optimizer"], Lbfgs):
            raise UsageError("L-BFGS searches with each network by itself: call fit for each")
    return each


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
    live: dict[int, Any] = {}  # steps, or the monitor of those that are to be evaluated
    groups = list[Group]()

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
        members = {
            k: Member(steps, rows[k])
            for k, steps in live.items()
            if not isinstance(steps, ShardedSteps) and isinstance(steps.data, ArrayData)
        }
        groups = grouped([*members.values()], runner)
        while live:
            at = {k: steps.training.position.epoch for k, steps in live.items()}
            epoch = min(at.values())
            now = [k for k in live if at[k] == epoch]  # all, but after a checkpoint
            for group in groups:
                mine = [members[k] for k in now if k in members and members[k].group is group]
                group.epoch(epoch, mine)
            steps = {k: live[k] for k in now}
            for k in now:
                go_on(k, trainings[k].__next__)
            judged = {k: live[k] for k in now if isinstance(live.get(k), EpochMonitor)}
            _evaluate([(monitor, steps[k].training) for k, monitor in judged.items()])
            for k in judged:
                go_on(k, trainings[k].__next__)
    except KeyboardInterrupt:
        for k in [k for k in range(len(trainings)) if k not in results]:
            go_on(k, lambda k=k: trainings[k].throw(KeyboardInterrupt()))
    finally:
        for group in groups:
            group.forget()
    return tuple(results[k] for k in range(len(trainings)))


def _evaluate(judged: Sequence[tuple[EpochMonitor, TrainingState]]) -> None:
    """Evaluate networks side by side where predictor, columns and targets are alike."""
    alike: dict[Any, list[tuple[HeldOut, TrainingState]]] = {}
    for monitor, training in judged:
        for i, rows in enumerate(monitor.rows):
            if isinstance(rows, HeldOut):
                shapes = [(a.shape[1:], a.dtype) for a in (rows.x, rows.targets)]
                alike.setdefault((monitor.predictor, i, *shapes), []).append((rows, training))
    for (predictor, *_), each in alike.items():
        if len(each) > 1:
            tree, count = each[0][1].network
            known = [(rows, training.now[:count]) for rows, training in each]
            evaluate_together(predictor, known, tree)
