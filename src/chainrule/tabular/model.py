"""A trained model of a table: everything needed to predict, evaluate and inspect."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule import io
from chainrule.core import tree
from chainrule.core.recording import quiet
from chainrule.errors import DataError, UsageError
from chainrule.run import Runner
from chainrule.tabular.calibration import Calibration, intervals
from chainrule.tabular.coding import Coding
from chainrule.tabular.frames import table_of
from chainrule.tabular.layout import Format
from chainrule.tabular.network import LOSSES, Network, joint, loss_of
from chainrule.tabular.options import EXPONENTIAL, Options
from chainrule.tabular.rules import Dropped
from chainrule.tabular.schema import FORMAT, VERSION, check_metadata
from chainrule.tabular.scoring import Judged, Running, Scores, score_table
from chainrule.tabular.stored import RESIDUALS, named, restored, taken_residuals, unsound
from chainrule.tabular.table import Fingerprint, Table
from chainrule.tabular.target import Target
from chainrule.tabular.weights import row_weights
from chainrule.train import Predictor
from chainrule.version import __version__

__all__ = ["File", "Prediction", "TabularModel"]


@dataclass(frozen=True)
class File:
    """A data file that took part in training: its name without folders, and its fingerprint."""

    name: str
    fingerprint: Fingerprint

    @classmethod
    def of(cls, table: Table) -> File:
        return cls(Path(table.source).name, table.fingerprint)

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, **vars(self.fingerprint)}

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> File:
        return cls(record["name"], Fingerprint(record["sha256"], record["rows"], record["columns"]))


@dataclass(frozen=True)
class Prediction:
    """Predictions, one per row of a table, in its order.

    ``values``: numbers in the target's units (float64), or class names (object).
    ``probabilities``: shape (rows, classes) in the order of ``classes``; None for regression.
    ``notes``: what the user should know about the data.
    ``interval``: lower and upper ends, (rows, 2), where they were asked for.
    """

    values: NDArray[Any]
    classes: tuple[str, ...]
    probabilities: NDArray[np.float64] | None
    notes: tuple[str, ...]
    interval: NDArray[np.float64] | None = None


@dataclass(frozen=True, eq=False)
class TabularModel:
    """What ``train`` learned, and where it comes from.

    Attributes:
        target, coding: how the cells of the target, and of the inputs, become numbers.
        network: how to build the network.
        members: the trees (params, state) of each network; one, unless it is an ensemble.
        options: those of the training run, learning rate and batch size included.
        names: the training table's columns in its order.
        reading: how it was read, and other data are to be.
        history: one row per epoch, its losses those that were minimised: for regression, of the
            standardised target.
            Of an ensemble they are means.
        kept_epochs: for each network the one whose weights it has; stopped: why training ended.
        scores: on the training, validation and test rows, and the baseline's.
        files: the data by use; None where no table of its own was given.
        rows: counts of the training, validation and test rows, and of those left out for want of
            a target.
        version: of the chainrule that trained it.
        notes: what a user should know about the file it was read from.
        calibration: the temperature by which the last layers' weights were divided, and so linear
            outputs; None for 1.
        residuals: absolute ones, in units of the target, of rows that were held out: one sorted
            array for all, or one of each network, from the rows it was not trained on. Empty
            where there are none, or rows have weights.
    """

    target: Target
    coding: Coding
    network: Network
    members: tuple[tuple[Any, Any], ...]
    options: Options
    names: tuple[str, ...]
    reading: Format
    history: tuple[dict[str, Any], ...]
    kept_epochs: tuple[int, ...]
    stopped: str
    scores: Scores
    files: dict[str, File | None]
    rows: dict[str, int]
    version: str = __version__
    notes: tuple[str, ...] = ()
    calibration: Calibration | None = None
    residuals: tuple[NDArray[np.float64], ...] = ()

    @property
    def params(self) -> Any:
        """The parameters of the first network, as ``nn`` has them."""
        return self.members[0][0]

    @property
    def state(self) -> Any:
        """The state of the first network."""
        return self.members[0][1]

    @property
    def kept_epoch(self) -> int:
        """The epoch whose weights the first network has."""
        return self.kept_epochs[0]

    def predict(self, table: Any, *, coverage: float | None = None) -> Prediction:
        """Predictions for every row of a table, or of what ``table_of`` makes one of.

        Columns are found by name; a target is not needed. A row's prediction depends on that row
        only, to the last bit. ``coverage`` asks for intervals that hold this share of new rows
        like those of training (``calibration.intervals``).

        Raises:
            DataError: columns that are missing or changed their type; non-finite numbers.
            UsageError: intervals of classes, or without rows held out.
        """
        if coverage is not None:
            self._check_intervals()
        table = self.read(table)
        x, notes = self.inputs(table)
        outputs, predicted = self.compute(x)
        _refuse_infinite(table, outputs)
        if self.target.task == "regression":
            values = self._values(predicted)
            _refuse_infinite(table, values)
            interval = None if coverage is None else intervals(values, self.residuals, coverage)
            return Prediction(values, (), None, tuple(notes), interval)
        names = np.array(self.target.classes, dtype=object)
        if self.target.task == "binary":
            probabilities = np.column_stack([1 - predicted[:, 0], predicted[:, 0]])
        else:
            probabilities = predicted
        values = names[LOSSES[self.target.task].classes(outputs)]
        return Prediction(values, self.target.classes, probabilities, tuple(notes))

    def _check_intervals(self) -> None:
        if self.target.task != "regression":
            raise UsageError(
                f"intervals are of numbers, and {self.target.name!r} has classes; their "
                f"probabilities say how sure the model is"
            )
        if self.options.weight is not None:
            raise UsageError(
                "intervals are of rows that count the same, and the model was trained with "
                f"weights ({self.options.weight!r}); train without them"
            )
        if not self.residuals:
            raise UsageError(
                "intervals come from rows held out of training, and the model had none; train "
                "with validation=0.2"
            )

    def evaluate(self, table: Any) -> tuple[Scores, list[str]]:
        """The task's scores on a table with the target, beside the baseline's; and notes.

        Of a ``Stream`` they are sums over its pieces (``scoring.Running``). Rows without a target
        are left out, with a note.

        Raises:
            DataError: as ``predict``; no target, or classes that the model does not know.
        """
        if not hasattr(table, "groups"):
            judged, notes = self._evaluated(self.read(table))
            return score_table(self.target, {"data": judged}), notes
        running, notes, any_target = Running(self.target), list[str](), False
        for piece in table.every(self.used):
            if self.target.name in piece and piece[self.target.name].missing.all():
                continue
            any_target = True
            one, said = self._evaluated(piece)
            running.add(one)
            notes += [note for note in said if note not in notes and len(notes) < 20]
        if not any_target:
            raise self.target.without(table.name)
        scores, said = running.scores()
        return scores, notes + said

    @property
    def used(self) -> list[str]:
        """The columns that evaluating looks at."""
        rules = [rule.name for rule in self.coding.rules if not isinstance(rule, Dropped)]
        return [*rules, self.target.name, *filter(None, [self.options.weight])]

    def _evaluated(self, table: Table) -> tuple[Judged, list[str]]:
        x, notes = self.inputs(table)
        if self.target.name not in table:
            raise DataError(
                f"{table.source}: has no column {self.target.name!r}, the target, which "
                f"evaluating needs; to predict without it, call predict"
            )
        rows = self.target.rows(table)
        notes += self.target.left_out(table, rows)
        weights = None
        if self.options.weight is not None:
            if self.options.weight in table:
                weights = row_weights(table, self.options.weight)[rows]
            else:
                notes.append(
                    f"{table.source}: has no weight column {self.options.weight!r}; every row "
                    f"counts the same"
                )
        judged = self.judge(x[rows], self.target.numbers(table, rows), weights)
        _refuse_infinite(
            table, judged.predicted if judged.log_losses is None else judged.log_losses, rows
        )
        return judged, notes

    def inputs(self, table: Any) -> tuple[NDArray[np.float64], list[str]]:
        """The network's inputs for every row of a table, shape (rows, inputs), and notes."""
        table = self.read(table)
        self._check_places(table)
        x, notes = self.coding.encode(table)
        notes = [*self.notes, *table.notes, *notes]
        extra = [name for name in table.names() if name not in self.names]
        if extra:
            notes.insert(0, f"{table.source}: columns not known to the model, ignored: {extra}")
        return x, notes

    def read(self, columns: Any, source: str = "table") -> Table:
        """What ``table_of`` makes of ``columns``, their text read as in training.

        ``source`` is what messages call it. Raises as ``table_of``.
        """
        words = [rule.name for rule in self.coding.rules if rule.kind in ("category", "boolean")]
        words += [self.target.name] * bool(self.target.classes)
        return table_of(columns, source, self.reading, words)

    def _check_places(self, table: Table) -> None:
        """Without a header columns are known by place only, so their number must be right."""
        if self.reading.header or table.header:
            return
        width, found = len(self.names), len(table.columns)
        without_target = width - 1 if self.names[-1] == self.target.name else width
        if found not in (width, without_target):
            also = f" or {without_target} (without the target)" if without_target < width else ""
            raise DataError(
                f"{table.source}: has {found} columns, and the model was trained on {width}{also} "
                f"without a header, where only their places tell which is which; give the file "
                f"the same columns in the same order"
            )

    def _values(self, predicted: NDArray[np.float64]) -> NDArray[np.float64]:
        """The output unit's predictions in the units of a regression's target."""
        with quiet():
            return self.target.restored(predicted[:, 0], self.options.loss)

    @property
    def kind(self) -> str:
        """The output unit's: "exponential" of a regression by its logarithm, else the task."""
        return "exponential" if self.options.loss in EXPONENTIAL else self.target.task

    @property
    def loss(self) -> Any:
        """What was minimised, as a value of ``nn``; a recipe's label smoothing aside."""
        return loss_of(self.target.task, self.options.loss)

    @cached_property
    def predictor(self) -> Predictor:
        """Runs the network, in machine code where there is any."""
        return Predictor(self.network.build(), self.loss, Runner(), exact=True)

    @cached_property
    def _double(self) -> list[tuple[Any, Any]]:
        """Parameters and state of each network in float64, whatever they were trained in."""
        return [tree.map_tree(lambda a: np.asarray(a, np.float64), one) for one in self.members]

    def compute(
        self, x: NDArray[np.float64], only: int | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Linear outputs and predictions of the output unit, each (rows, outputs), in float64.

        An ensemble's predictions are the means of its networks', its linear outputs those that
        stand for them; ``only`` asks a single network, by its place.

        ``x`` are inputs (rows, inputs), as ``inputs`` makes them; DataError if one is not finite.
        A row's bits depend on that row and the weights only: not on the other rows, their number
        or order.
        """
        if not len(x):
            return np.empty((0, self.target.outputs)), np.empty((0, self.target.outputs))
        with quiet():  # what overflows is refused by its row
            asked = self._double if only is None else [self._double[only]]
            each = [self.predictor.outputs(*one, x) for one in asked]
            outputs = joint([z for one in each for z in self.network.apart(one)], self.kind)
            return outputs, self.predictor.unit(outputs)

    def joined(self, x: Any) -> Any:
        """Linear outputs (rows, outputs) of inputs ``x``, as ``compute`` has them but for rounding:
        a function that is differentiated, for explanations."""
        network = self.network.build()
        each = [network(*one, x)[0] for one in self._double]
        return joint([z for one in each for z in self.network.apart(one)], self.kind)

    def judge(
        self,
        x: NDArray[np.float64],
        truth: NDArray[Any],
        weights: NDArray[np.float64] | None = None,
        *,
        only: int | None = None,
    ) -> Judged:
        """The model's answers for inputs whose target is known, ready to be scored.

        Args:
            x: (n, inputs), as ``inputs`` makes them.
            truth: (n,), class indices, or values in the target's units.
            weights: of the rows, (n,); None counts all the same.
            only: the place of a network of an ensemble, to be asked alone.

        Raises:
            DataError: inputs that are not finite, or classes out of range.
        """
        outputs, predicted = self.compute(x, only)
        if self.target.task == "regression":
            return Judged(truth, self._values(predicted), weights=weights)
        loss = LOSSES[self.target.task]
        prepared = loss.prepare(truth, outputs.shape[1], np.float64)
        probabilities = predicted[:, 0] if self.target.task == "binary" else predicted
        with quiet():
            losses = np.asarray(loss(outputs, prepared))
        return Judged(truth, loss.classes(outputs), probabilities, losses, weights)

    def parameters(self) -> int:
        """How many numbers were trained."""
        return sum(np.size(leaf) for params, _ in self.members for leaf in tree.leaves(params))

    def save(self, path: str | os.PathLike[str], *, replace: bool = True) -> None:
        """Write the model to one safetensors file at ``path``, atomically.

        The file holds no time and no path: the same data, settings, version and machine give
        the same bytes.

        Raises:
            UsageError: the file exists, and ``replace`` is False.
            OSError: it cannot be written.
        """
        arrays = dict(named(self.members))
        arrays |= {f"{RESIDUALS}{k}": np.asarray(r) for k, r in enumerate(self.residuals)}
        io.save(path, arrays, self.metadata(), replace=replace)

    def metadata(self) -> dict[str, Any]:
        """All but the arrays, as the JSON document of ``schema.SCHEMA``."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "chainrule": self.version,
            "reading": {
                **self.reading.to_json(),
                "names": list(self.names),
            },
            "target": self.target.to_json(),
            "columns": self.coding.to_json(),
            "network": self.network.to_json(),
            "robust": None if self.coding.robust is None else self.coding.robust.to_json(),
            "options": self.options.to_json(),
            "history": list(self.history),
            "kept_epochs": list(self.kept_epochs),
            "stopped": self.stopped,
            "calibration": None if self.calibration is None else asdict(self.calibration),
            "scores": self.scores.to_json(),
            "data": {k: None if f is None else f.to_json() for k, f in self.files.items()},
            "rows": dict(self.rows),
        }

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> TabularModel:
        """The model saved at ``path``. Runs no code from the file; everything in it is checked.

        Raises:
            DataError: the file is not a whole, sound model of a known version.
            OSError: it is missing or cannot be read.
        """
        notes: list[str] = []
        arrays, metadata = io.load(path, notes)
        check_metadata(metadata, str(path))
        coding = Coding.from_json(metadata["columns"], metadata["robust"])
        network = Network.from_json(metadata["network"])
        inputs = len(coding.inputs())
        if network.sizes[0] != inputs:
            raise unsound(path, f"{network.sizes[0]} inputs do not fit the columns' {inputs}")
        residuals = taken_residuals(path, arrays, len(metadata["kept_epochs"]))
        members = restored(path, network, arrays, len(metadata["kept_epochs"]))
        reading, files = metadata["reading"], metadata["data"]
        try:
            options = Options.from_json(metadata["options"])
        except UsageError as error:
            raise unsound(path, f"options: {error}") from None
        return cls(
            target=Target.from_json(metadata["target"]),
            coding=coding,
            network=network,
            members=members,
            options=options,
            names=tuple(reading["names"]),
            reading=Format.from_json(reading),
            history=tuple(metadata["history"]),
            kept_epochs=tuple(metadata["kept_epochs"]),
            stopped=metadata["stopped"],
            scores=Scores.from_json(metadata["scores"]),
            files={k: None if f is None else File.from_json(f) for k, f in files.items()},
            rows=metadata["rows"],
            version=metadata["chainrule"],
            notes=tuple(notes),
            calibration=Calibration(**metadata["calibration"]) if metadata["calibration"] else None,
            residuals=residuals,
        )


def _refuse_infinite(
    table: Table, values: NDArray[np.float64], rows: NDArray[np.intp] | None = None
) -> None:
    """Raise DataError at the first of these rows (None: all) with a value that is not finite."""
    finite = np.isfinite(values).reshape(len(values), -1).all(axis=1)
    if not finite.all():
        row = int(np.argmin(finite))
        row = row if rows is None else int(rows[row])
        raise DataError(
            f"{table.where(row, 'prediction')}: is not finite; the row's numbers, or the model's "
            f"weights, are too large"
        )
