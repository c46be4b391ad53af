"""What is decided before a training, and the training: one network, or an ensemble over folds."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule import nn
from chainrule import train as training
from chainrule.errors import DataError, NonFiniteError
from chainrule.tabular.calibration import find_temperature, thinned
from chainrule.tabular.coding import Coding
from chainrule.tabular.model import File, TabularModel
from chainrule.tabular.network import LOSSES, Network, loss_of
from chainrule.tabular.options import Options
from chainrule.tabular.presets import RECIPES
from chainrule.tabular.scoring import Judged, Scores, score_table
from chainrule.tabular.table import Table
from chainrule.tabular.target import Target
from chainrule.train.splits import folds

__all__ = ["OnEpoch", "Part", "Plan"]

OnEpoch = Callable[[training.EpochEnd], Any]


def trained_dtype(optimizer: str) -> type[np.floating[Any]]:
    """Single precision is faster, and far finer than the data; a line search needs double."""
    return np.float64 if optimizer == "lbfgs" else np.float32


@dataclass(frozen=True, eq=False)
class Part:
    """Rows ready for the network: inputs (n, inputs), targets in their own units, weights."""

    x: NDArray[np.float64]
    truth: NDArray[Any]
    weights: NDArray[np.float64] | None

    def take(self, rows: NDArray[np.intp]) -> Part:
        """Some of the rows."""
        return Part(
            self.x[rows], self.truth[rows], None if self.weights is None else self.weights[rows]
        )


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
        **running: Any,
    ) -> TabularModel:
        """Train, and judge the result on every part.

        ``on_epoch`` is called after every epoch; ``running`` says how: ``executor``, ``threads``,
        ``checkpoint``, ``resume`` and ``workers``, as ``train.fit`` takes them. Ctrl-C ends
        training early; the model then says so (``stopped``). Raises NonFiniteError if training
        diverges, and passes KeyboardInterrupt on if not even one epoch is finished.
        """
        results = self._run(on_epoch, running)
        if not all(result.history for result in results):
            raise KeyboardInterrupt
        model = dataclasses.replace(
            self.untrained(),
            members=tuple((result.params, result.state) for result in results),
            history=_history(results),
            kept_epochs=tuple(self._kept(result) for result in results),
            stopped=results[0].stopped,
        )
        model = self._calibrated(model)
        return dataclasses.replace(model, scores=score_table(self.target, self.judged(model)))

    def untrained(self) -> TabularModel:
        """The model before its networks: without weights, history and scores."""
        return TabularModel(
            target=self.target,
            coding=self.coding,
            network=self.network,
            members=(),
            options=self.options,
            names=tuple(self.table.names()),
            reading=self.table.reading(),
            history=(),
            kept_epochs=(),
            stopped="epochs",
            scores=Scores((), "", ()),
            files=self.files,
            rows=self.rows | {"no_target": self.no_target},
        )

    @property
    def rows(self) -> dict[str, int]:
        """How many rows each part has."""
        counts = {name: len(part.truth) for name, part in self.parts.items()}
        return {name: counts.get(name, 0) for name in ("train", "validation", "test")}

    @property
    def trained_rows(self) -> int:
        """How many rows each network is trained on."""
        return len(self.trained_on[0])

    def _calibrated(self, model: TabularModel) -> TabularModel:
        """The model with what rows that trained no network, or not the one asked, say of it."""
        held = self._held_out()
        count = any(part.weights is not None for part, _ in held)
        if not held or (self.target.task == "regression" and count):
            return model
        if self.target.task == "regression":
            errors = [
                np.abs(judged.truth - judged.predicted)
                for judged in (model.judge(part.x, part.truth, only=k) for part, k in held)
            ]
            return dataclasses.replace(model, residuals=thinned(errors, self.options.seed))
        if not self.options.calibrate:
            return model
        loss, factors = LOSSES[self.target.task], self._class_factors()
        outputs = np.concatenate([model.compute(part.x, k)[0] for part, k in held])
        truth = np.concatenate([part.truth for part, _ in held])
        weights = [weighted(part, factors) for part, _ in held]
        counted = None if weights[0] is None else np.concatenate(weights)  # type: ignore[arg-type]
        prepared = loss.prepare(truth, outputs.shape[1], np.float64)
        found = find_temperature(loss, outputs, prepared, counted)
        members = tuple((_cooled(p, found.temperature), s) for p, s in model.members)
        return dataclasses.replace(model, members=members, calibration=found)

    def _held_out(self) -> list[tuple[Part, int | None]]:
        """Rows with the network that was not trained on them; None if that is every one."""
        if self.left_out:
            train = self.parts["train"]
            return [(train.take(rows), k) for k, rows in enumerate(self.left_out)]
        return [(self.parts["validation"], None)] if "validation" in self.parts else []

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
                    model.judge(own.x, own.truth, own.weights, only=k)
                    for own, k in self._held_out()
                ]
        return found

    def own(self, member: int) -> tuple[Part, Part | None]:
        """The rows that a network, ``member`` by its place, is trained on, and those that decide
        on its best epoch."""
        start = self.parts["train"]
        if not self.left_out:
            return start.take(self.trained_on[member]), self.parts.get("validation")
        return start.take(self.trained_on[member]), start.take(self.left_out[member])

    @cached_property
    def left_out(self) -> list[NDArray[np.intp]]:
        """Of the training rows, those that each network of an ensemble is not trained on."""
        members, truth = self.options.ensemble or 1, self.parts["train"].truth
        if not self.folded:
            return []
        strata = None if self.target.task == "regression" else truth
        return folds(len(truth), members, self.options.seed, strata)

    @cached_property
    def trained_on(self) -> list[NDArray[np.intp]]:
        """Of the training rows, those that each network is trained on.

        They are equally many for all, so that their epochs have the same minibatches; and fewer
        rows than an epoch has minibatches are no minibatch of their own. What is over is left out.
        """
        every = np.arange(len(self.parts["train"].truth))
        found = [np.setdiff1d(every, left) for left in self.left_out]
        found = found or [every] * (self.options.ensemble or 1)
        rows = min(map(len, found))
        batch = self.options.batch_size
        if batch and self.network.preset != "sklearn" and rows % batch < rows // batch:
            rows -= rows % batch
        rng = np.random.default_rng(self.options.seed)
        return [
            own if len(own) == rows else np.sort(rng.choice(own, rows, replace=False))
            for own in found
        ]

    def _patience(self) -> int | None:
        """A recipe has no early stopping, but keeps the best epoch."""
        wanted = self.options.early_stopping
        if self.network.preset != "sklearn":
            wanted = self.options.epochs
        return wanted if wanted and ("validation" in self.parts or self.left_out) else None

    def try_executors(self, executors: Any = None) -> training.Trial:
        """A few steps of one network on each of ``executors``, timed.

        executors: as ``train.try_executors`` takes them.
        """
        model, data, settings = self._settings({})
        return training.try_executors(model, data, executors, seed=self.options.seed, **settings)

    def _settings(self, running: dict[str, Any]) -> tuple[Any, tuple[Any, Any], dict[str, Any]]:
        """Model, data of all training rows, and how ``train.fit`` is to train."""
        options, parts = self.options, self.parts
        start = parts["train"]
        factors = self._class_factors()
        dtype = trained_dtype(options.optimizer)
        x = start.x.astype(dtype, copy=False)
        held = None
        if "validation" in parts:
            part = parts["validation"]
            held = (part.x.astype(dtype, copy=False), self.coded(part), weighted(part, factors))
        rows = self.trained_rows
        steps = options.steps(rows)
        settings: dict[str, Any] = {
            "loss": loss_of(self.target.task, options.loss),
            "validation": held,
            "epochs": options.epochs,
            "batch_size": options.batch_size or "full",
            "sample_weight": weighted(start, factors),
            "early_stopping": self._patience(),
            "evaluate_train": self.network.preset == "sklearn",  # else the running loss will do
            "dtype": dtype,
            "shards": options.shards,
            **running,
        }
        if self.network.preset == "sklearn":
            settings |= {"l1": options.l1, "l2": options.l2}
            settings["optimizer"] = options.build_optimizer(rows)
        else:
            recipe, robust = RECIPES[self.network.preset], self.coding.robust
            assert options.learning_rate is not None
            assert robust is not None
            settings["optimizer"] = recipe.optimizer(robust.blocks, options.learning_rate, steps)
            if options.loss is None:
                settings["loss"] = recipe.loss(self.target.task)
        if options.tabm:
            settings["loss"] = nn.EachMember(settings["loss"], options.tabm)
        return self.network.build(steps, rows), (x, self.coded(start)), settings

    def _run(
        self, on_epoch: OnEpoch | None, running: dict[str, Any]
    ) -> Sequence[training.FitResult]:
        options, trained = self.options, self.trained_on
        if running.get("checkpoint") is not None:
            running = running | {"checkpoint": self._checkpoint(running["checkpoint"])}
        model, data, settings = self._settings(running)
        rows, every = len(trained[0]), len(data[0])
        heard = () if on_epoch is None else (on_epoch,)
        if len(trained) == 1:
            if rows < every:
                data = data[0][trained[0]], data[1][trained[0]]
                weights = settings["sample_weight"]
                settings["sample_weight"] = None if weights is None else weights[trained[0]]
            return [training.fit(model, data, seed=options.seed, callbacks=heard, **settings)]
        settings["folds"] = None if rows == every else trained
        return self._many(model, data, on_epoch, settings)

    def _many(
        self, model: Any, data: Any, on_epoch: OnEpoch | None, settings: dict[str, Any]
    ) -> Sequence[training.FitResult]:
        """The networks of an ensemble."""
        results = training.fit_many(
            model,
            data,
            seeds=[self.options.seed + k for k in range(self.options.ensemble or 1)],
            callbacks=() if on_epoch is None else (_Once(on_epoch),),
            **settings,
        )
        if any(result.stopped == "non_finite" for result in results):
            raise NonFiniteError(
                "the loss of a network of the ensemble is not finite: try a smaller learning rate"
            )
        return results

    def coded(self, part: Part) -> NDArray[Any]:
        """Targets of a ``part`` as the loss takes them: class indices, or standardised numbers."""
        if self.target.task == "regression":
            return self.target.standardised(part.truth, self.options.loss)
        return part.truth

    def _checkpoint(self, given: Any) -> training.Checkpoint:
        """Checkpoints that also compare options and files, whose names users know."""
        found = given if isinstance(given, training.Checkpoint) else training.Checkpoint(given)
        files = {f"{name} file": f.fingerprint for name, f in self.files.items() if f is not None}
        about = {**found.about, **self.options.to_json(), **files, "target": self.target.name}
        return dataclasses.replace(found, about=about)

    def _class_factors(self) -> NDArray[np.float64] | None:
        """With balanced classes: n / (k n_c), so that every class weighs the same in sum."""
        if self.options.class_weight is None:
            return None
        shares = np.array(self.target.shares)
        if np.any(shares == 0):
            raise DataError("class_weight='balanced': a class has no weight in the training rows")
        return 1 / (len(shares) * shares)


def _cooled(params: Any, temperature: float) -> Any:
    """Parameters whose linear outputs are divided by a temperature."""
    *layers, last = params["layers"]
    last = last | {k: (last[k] / temperature).astype(last[k].dtype) for k in ("weights", "bias")}
    return params | {"layers": (*layers, last)}


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


def weighted(part: Part, factors: NDArray[np.float64] | None) -> NDArray[np.float64] | None:
    """The weights of a part's rows, times those of their classes."""
    if factors is None:
        return part.weights
    of_class = factors[part.truth]
    return of_class if part.weights is None else of_class * part.weights
