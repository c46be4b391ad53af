"""From a table to a trained model: prepare (typing, splitting, coding), then fit."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule import train as training
from chainrule.errors import DataError, NonFiniteError, UsageError
from chainrule.tabular.coding import Coding, learn_coding
from chainrule.tabular.columns import Decision, decide, same_cells
from chainrule.tabular.model import File, TabularModel, row_weights
from chainrule.tabular.network import LOSSES, Network
from chainrule.tabular.options import DEFAULTS, Options
from chainrule.tabular.presets import RECIPES
from chainrule.tabular.robust import Blocks, Robust
from chainrule.tabular.rules import Dropped
from chainrule.tabular.scoring import Judged, Scores, score_table
from chainrule.tabular.table import Table, table_of
from chainrule.tabular.target import Target, learn_target, with_statistics
from chainrule.tabular.words import quoted
from chainrule.train.splits import folds, split

__all__ = ["Part", "Plan", "prepare", "train"]

OnEpoch = Callable[[training.EpochEnd], Any]


def _dtype(optimizer: str) -> type[np.floating[Any]]:
    """Single precision is faster, and far finer than the data; a line search needs double."""
    return np.float64 if optimizer == "lbfgs" else np.float32


@dataclass(frozen=True, eq=False)
class Part:
    """Rows ready for the network: inputs (n, inputs), targets in their own units, weights."""

    x: NDArray[np.float64]
    truth: NDArray[Any]
    weights: NDArray[np.float64] | None


@dataclass(frozen=True, eq=False)
class Plan:
    """Everything that training needs and does not change; ``fit`` does the rest.

    Attributes:
        table: the training table.
        target, coding: how the cells of the target, and of the inputs, become numbers; learned
            from the training rows.
        network: what is to be built and trained.
        options: those in force, learning rate and batch size included.
        folded: whether the networks of an ensemble each leave out a fold of the training rows.
        parts: the rows by use, "train" and, where there are rows, "validation" and "test".
        files: the data by use, under all three names; None where no table of its own was given.
        notes: what the user should know about the data.
        missing_cells: how many cells are empty, but in the columns of target and weights and in
            those that the options drop.
        no_target: the rows left out for want of a target.
    """

    table: Table
    target: Target
    coding: Coding
    network: Network
    options: Options
    folded: bool
    parts: dict[str, Part]
    files: dict[str, File | None]
    notes: tuple[str, ...]
    missing_cells: int
    no_target: int

    def fit(
        self,
        on_epoch: OnEpoch | None = None,
        *,
        executor: str | None = None,
        threads: int | None = None,
    ) -> TabularModel:
        """Train, and judge the result on every part.

        ``on_epoch`` is called after every epoch; ``executor`` and ``threads`` are as
        ``train.fit`` takes them. Ctrl-C ends training early; the model then says so
        (``stopped``). Raises NonFiniteError if training diverges, and passes KeyboardInterrupt
        on if not even one epoch is finished.
        """
        results = self._run(on_epoch, executor, threads)
        if not all(result.history for result in results):
            raise KeyboardInterrupt
        rows = {name: len(part.truth) for name, part in self.parts.items()}
        first = results[0]
        model = TabularModel(
            target=self.target,
            coding=self.coding,
            network=self.network,
            members=tuple((result.params, result.state) for result in results),
            options=self.options,
            names=tuple(self.table.names()),
            reading=self.table.reading(),
            history=_history(results),
            kept_epochs=tuple(self._kept(result) for result in results),
            stopped=first.stopped,
            scores=_no_scores(),
            files=self.files,
            rows={name: rows.get(name, 0) for name in ("train", "validation", "test")}
            | {"no_target": self.no_target},
        )
        return dataclasses.replace(model, scores=score_table(self.target, self.judged(model)))

    def _kept(self, result: training.FitResult) -> int:
        """The epoch whose weights a network has."""
        best = result.best_epoch if self._patience() is not None else None
        return len(result.history) if best is None else best

    def judged(self, model: TabularModel) -> dict[str, Judged | list[Judged]]:
        """The model's answers on every part; weights of classes do not count here.

        For an ensemble also each network's on the rows it was not trained on, as "validation", and
        on those that judge the whole, as "one network".
        """
        found: dict[str, Judged | list[Judged]] = {}
        for name, part in self.parts.items():
            if name == "test" and len(model.members) > 1:
                found["one network"] = [
                    model.judge(part.x, part.truth, part.weights, only=k)
                    for k in range(len(model.members))
                ]
            found[name] = model.judge(part.x, part.truth, part.weights)
            if self.left_out and name == "train":
                found["validation"] = [
                    self._part(part, left, model, k) for k, left in enumerate(self.left_out)
                ]
        return found

    @staticmethod
    def _part(part: Part, rows: NDArray[np.intp], model: TabularModel, only: int) -> Judged:
        weights = None if part.weights is None else part.weights[rows]
        return model.judge(part.x[rows], part.truth[rows], weights, only=only)

    @cached_property
    def left_out(self) -> list[NDArray[np.intp]]:
        """Of the training rows, those that each network of an ensemble is not trained on."""
        members, truth = self.options.ensemble or 1, self.parts["train"].truth
        if not self.folded:
            return []
        strata = None if self.target.task == "regression" else truth
        return folds(len(truth), members, self.options.seed, strata)

    def _patience(self) -> int | None:
        """A recipe has no early stopping, but keeps the best epoch."""
        wanted = self.options.early_stopping
        if self.network.preset != "sklearn":
            wanted = self.options.epochs
        return wanted if wanted and ("validation" in self.parts or self.left_out) else None

    def _run(
        self, on_epoch: OnEpoch | None, executor: str | None, threads: int | None
    ) -> Sequence[training.FitResult]:
        options, parts = self.options, self.parts
        start = parts["train"]
        factors = self._class_factors()
        dtype = _dtype(options.optimizer)
        x = start.x.astype(dtype)
        held = None
        if "validation" in parts:
            part = parts["validation"]
            held = (part.x.astype(dtype), self._coded(part), _weighted(part, factors))
        rows = len(x) - max(map(len, self.left_out), default=0)
        steps = options.steps(rows)
        settings: dict[str, Any] = {
            "loss": LOSSES[self.target.task],
            "validation": held,
            "epochs": options.epochs,
            "batch_size": options.batch_size or "full",
            "sample_weight": _weighted(start, factors),
            "early_stopping": self._patience(),
            "dtype": dtype,
            "executor": executor,
            "threads": threads,
        }
        if self.network.preset == "sklearn":
            settings |= {"l1": options.l1, "l2": options.l2}
            settings["optimizer"] = options.build_optimizer(rows)
        else:
            recipe = RECIPES[self.network.preset]
            assert options.learning_rate is not None
            settings["optimizer"] = recipe.optimizer(self._blocks, options.learning_rate, steps)
            settings["loss"] = recipe.loss(self.target.task)
        model, data = self.network.build(steps), (x, self._coded(start))
        members = options.ensemble or 1
        if members == 1:
            heard = () if on_epoch is None else (on_epoch,)
            return [training.fit(model, data, seed=options.seed, callbacks=heard, **settings)]
        return self._together(model, data, rows, members, on_epoch, settings)

    def _together(
        self,
        model: Any,
        data: Any,
        rows: int,
        members: int,
        on_epoch: OnEpoch | None,
        settings: dict[str, Any],
    ) -> Sequence[training.FitResult]:
        """The networks of an ensemble, each trained on ``rows`` of the training rows."""
        every = np.arange(len(data[0]))
        # All of one length, so that their epochs have the same minibatches: a row less here and
        # there, where folds are not equal.
        parts = [np.setdiff1d(every, left)[:rows] for left in self.left_out] or None
        results = training.fit_many(
            model,
            data,
            seeds=[self.options.seed + k for k in range(members)],
            folds=parts,
            callbacks=() if on_epoch is None else (_Once(on_epoch),),
            **settings,
        )
        if any(result.stopped == "non_finite" for result in results):
            raise NonFiniteError(
                "the loss of a network of the ensemble is not finite: try a smaller learning rate"
            )
        return results

    @property
    def _blocks(self) -> Blocks:
        assert self.coding.robust is not None
        return self.coding.robust.blocks

    def _coded(self, part: Part) -> NDArray[Any]:
        """Targets as the loss takes them: class indices, or standardised numbers."""
        if self.target.task == "regression":
            return (part.truth - self.target.center) / self.target.scale
        return part.truth

    def _class_factors(self) -> NDArray[np.float64] | None:
        """With balanced classes: n / (k n_c), so that every class weighs the same in sum."""
        if self.options.class_weight is None:
            return None
        part, k = self.parts["train"], len(self.target.classes)
        counts = np.bincount(part.truth, part.weights, minlength=k)
        if np.any(counts == 0):
            raise DataError("class_weight='balanced': a class has no weight in the training rows")
        return counts.sum() / (k * counts)


class _Once:
    """Hears of every epoch of every network, and tells of each epoch once."""

    def __init__(self, on_epoch: OnEpoch) -> None:
        self.on_epoch, self.told, self.answer = on_epoch, 0, None

    def __call__(self, event: training.EpochEnd) -> Any:
        if event.epoch > self.told:
            self.told, self.answer = event.epoch, self.on_epoch(event)
        return self.answer


def _history(results: Sequence[training.FitResult]) -> tuple[dict[str, Any], ...]:
    """One row per epoch, its losses the means of the networks that ran it."""
    rows = []
    for row in max((result.history for result in results), key=len):
        epoch = int(row["epoch"])
        same = [r.history[epoch - 1] for r in results if len(r.history) >= epoch]
        found: dict[str, Any] = {"epoch": epoch, "learning_rate": row.get("learning_rate")}
        for key in ("train_loss", "validation_loss"):
            found[key] = float(np.mean([r[key] for r in same])) if key in row else None
        rows.append(found)
    return tuple(rows)


def train(
    table: Any,
    target: str,
    options: Options | None = None,
    *,
    validation: Any = None,
    test: Any = None,
    on_epoch: OnEpoch | None = None,
    executor: str | None = None,
    threads: int | None = None,
) -> TabularModel:
    """Train a network that predicts the column ``target``: ``prepare`` and ``fit`` in one.

    Parameters:
        table, validation, test: as ``table_of`` takes them: a ``Table``, a mapping of columns,
            or a data frame.
        target: the column to predict, by its name or place.
        options: how to split and train; None is ``Options()``.
        on_epoch, executor, threads: see ``Plan.fit``.

    Raises:
        DataError, UsageError: as ``prepare``, naming file, line and column, or the option.
        NonFiniteError: training diverged.
    """
    plan = prepare(table, target, options, validation=validation, test=test)
    return plan.fit(on_epoch, executor=executor, threads=threads)


def prepare(
    table: Any,
    target: str,
    options: Options | None = None,
    *,
    validation: Any = None,
    test: Any = None,
) -> Plan:
    """Type the columns, divide the rows and learn the coding from the training rows.

    ``target`` is the column to predict, ``options`` what ``Options`` says. Tables given for
    validation and test take the place of shares of ``table``.
    Raises DataError and UsageError naming file, line and column, or the option.
    """
    options = Options() if options is None else options
    if not isinstance(options, Options):
        raise UsageError(f"options are a tabular.Options(...), not {options!r}")
    table = table_of(table)
    validation, test = (None if t is None else table_of(t) for t in (validation, test))
    target = table.choose(target, "target")
    options = _with_names(table, target, options)
    given = {name: other for name, other in (("validation", validation), ("test", test)) if other}
    options = dataclasses.replace(options, **dict.fromkeys(given, 0.0))
    learned, target_notes = learn_target(table, target, options.task, options.map_class)
    if options.class_weight and learned.task == "regression":
        raise UsageError("class_weight='balanced': is for classes, and the task is regression")
    rows = learned.rows(table)
    truth = learned.numbers(table, rows)
    weights = None if options.weight is None else row_weights(table, options.weight)[rows]
    preset = options.preset
    members = min(options.members(preset), len(truth))
    options = dataclasses.replace(options, ensemble=members)
    folded = members > 1 and options.validation == DEFAULTS["validation"]
    if folded:
        options = dataclasses.replace(options, validation=0.0)
    chosen = _divided(learned, truth, options)
    first = chosen["train"]
    coding, typing_notes = _learn_columns(table, target, options, rows[first])
    x, _ = coding.encode(table)
    if preset != "sklearn":
        robust = Robust.learn(coding.rules, x[rows[first]], RECIPES[preset].embed_above)
        coding, x = dataclasses.replace(coding, robust=robust), robust.apply(x)
    parts = {
        name: Part(x[rows[at]], truth[at], None if weights is None else weights[at])
        for name, at in chosen.items()
    }
    notes = [*table.notes, *target_notes, *typing_notes, *learned.left_out(table, rows)]
    for name, other in given.items():
        parts[name], said = _part_of(other, learned, coding, options)
        notes += [*other.notes, *said]
    one = len(first) - -(-len(first) // members) if folded else len(first)
    options = options.resolved(one, learned.task)
    wanted = options.early_stopping or preset != "sklearn"
    if wanted and "validation" not in parts and not folded:
        notes.append("no validation rows, so there is no early stopping: every epoch is run")
    _check_weights(parts)
    learned = with_statistics(learned, parts["train"].truth, parts["train"].weights)
    return Plan(
        table=table,
        target=learned,
        coding=coding,
        network=_network(options, coding, learned),
        options=options,
        folded=folded,
        parts={name: parts[name] for name in ("train", "validation", "test") if name in parts},
        files={
            "train": File.of(table),
            "validation": File.of(validation) if validation else None,
            "test": File.of(test) if test else None,
        },
        notes=tuple(note for note in notes if note),
        missing_cells=_missing_cells(table, (target, options.weight, *options.drop)),
        no_target=table.rows - len(rows),
    )


def _divided(target: Target, truth: NDArray[Any], options: Options) -> dict[str, NDArray[np.intp]]:
    """Which of the rows with a target train, validate and test; none of these is empty."""
    parts = split(
        len(truth),
        validation=options.validation,
        test=options.test,
        seed=options.seed,
        strata=None if target.task == "regression" else truth,
    )
    named = zip(("train", "validation", "test"), parts, strict=True)
    return {name: rows for name, rows in named if len(rows)}


def _network(options: Options, coding: Coding, target: Target) -> Network:
    return Network(
        sizes=(len(coding.inputs()), *options.hidden, target.outputs),
        activation=options.activation,
        dropout=options.dropout,
        batch_norm=options.batch_norm,
        initializer=options.init,
        preset=options.preset,
        numbers=coding.robust.numbers if coding.robust else 0,
        embedded=coding.robust.embedded if coding.robust else (),
    )


def _missing_cells(table: Table, besides: tuple[str | None, ...]) -> int:
    columns = (column for column in table.columns if column.name not in besides)
    return sum(int(column.missing.sum()) for column in columns)


def _check_weights(parts: dict[str, Part]) -> None:
    for name, part in parts.items():
        if part.weights is not None and not part.weights.any():
            raise DataError(f"every weight of the {name} rows is 0, so none counts")


def _with_names(table: Table, target: str, options: Options) -> Options:
    """The options with columns by name, where the user may have given places."""
    weight = None if options.weight is None else table.choose(options.weight, "weight")
    drop = tuple(table.choose(name, "drop") for name in options.drop)
    keep = tuple(table.choose(name, "keep") for name in options.keep)
    category = tuple(table.choose(name, "category") for name in options.category)
    for option, name in (("weight", weight), *(("drop", name) for name in drop)):
        if name == target:
            raise UsageError(f"{option}={name!r}: is the target; choose another column")
    return dataclasses.replace(options, weight=weight, drop=drop, keep=keep, category=category)


def _learn_columns(
    table: Table, target: str, options: Options, rows: NDArray[np.intp]
) -> tuple[Coding, list[str]]:
    """The coding of all columns but target and weight, and what to tell about it."""
    features = [name for name in table.names() if name not in (target, options.weight)]
    used = [name for name in features if name not in options.drop]
    decided = {d.name: d for d in decide(table, used, options.keep, options.category)}
    left_out = {name: Decision(name, "dropped", "left out as asked") for name in options.drop}
    decisions = [(decided | left_out)[name] for name in features]
    coding = learn_coding(table, decisions, rows)
    dropped = [
        f"{quoted((rule.name,))} ({rule.why})"
        for rule in coding.rules
        if isinstance(rule, Dropped) and rule.name not in options.drop
    ]
    if not coding.inputs():
        why = ": " + ", ".join(dropped) if dropped else ""
        raise DataError(
            f"{table.source}: no column is left to predict {target!r} from{why}; bring other "
            f"columns, or keep one with the option keep"
        )
    notes = [decision.note for decision in decisions]
    if dropped:
        notes.append(f"columns not used: {', '.join(dropped)}")
    notes += [
        f"column {quoted((name,))} equals the target in every row; add drop=({name!r},) if it is "
        f"not known when predicting"
        for name in used
        if decided[name].kind != "dropped" and same_cells(table[name], table[target])
    ]
    return coding, notes


def _part_of(
    table: Table, target: Target, coding: Coding, options: Options
) -> tuple[Part, list[str]]:
    """The rows of a validation or test file."""
    x, notes = coding.encode(table)
    rows = target.rows(table)
    notes += target.left_out(table, rows)
    weights = None if options.weight is None else row_weights(table, options.weight)[rows]
    return Part(x[rows], target.numbers(table, rows), weights), notes


def _weighted(part: Part, factors: NDArray[np.float64] | None) -> NDArray[np.float64] | None:
    if factors is None:
        return part.weights
    of_class = factors[part.truth]
    return of_class if part.weights is None else of_class * part.weights


def _no_scores() -> Scores:
    return Scores((), "", ())
