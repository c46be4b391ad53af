"""Evaluation in tiles of a fixed number of rows.

Every product then has the same shape whatever the number of rows, and the last tile is filled
up: a row's prediction depends on neither the values of the rows beside it nor their number. Its
place in the tile may still show in the last bit, because NumPy's BLAS need not round all rows
of a product alike (OpenBLAS in float32 does not).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from chainrule.core.tree import flatten
from chainrule.errors import DataError
from chainrule.nn import Loss
from chainrule.run import compile as compile_
from chainrule.train.data import check_inputs, check_weights

Tree = Any
Metric = Callable[[np.ndarray, np.ndarray, np.ndarray | None], float]
TILE = 256


class Compiled:
    """Recorded functions compiled once per signature of their arguments.

    The executor's ``compile`` fixes shapes and dtypes; this keeps one result for each.
    """

    def __init__(self, function: Callable[..., Any], executor: str | None) -> None:
        self.function = function
        self.executor = executor
        self.made: dict[Any, Callable[..., Any]] = {}

    def at(self, signature: Any, *args: Any) -> Callable[..., Any]:
        """The compiled function for arguments like these, known by ``signature``."""
        found = self.made.get(signature)
        if found is None:
            found = self.made[signature] = compile_(self.function, *args, executor=self.executor)
        return found


@dataclass(frozen=True)
class Predictor:
    """A network to be evaluated, with compiled functions that all calls share.

    Attributes:
        model, loss: as given to ``fit``.
        executor: where to run, as ``chainrule.run.compile`` takes it.
    """

    model: Any
    loss: Loss
    executor: str | None = None

    @cached_property
    def _outputs(self) -> Compiled:
        def outputs(params: Tree, state: Tree, x: Any) -> Any:
            return self.model(params, state, x, train=False)[0]

        return Compiled(outputs, self.executor)

    @cached_property
    def _unit(self) -> Compiled:
        return Compiled(self.loss.predict, self.executor)

    @cached_property
    def _losses(self) -> Compiled:
        return Compiled(self.loss, self.executor)

    def outputs(self, params: Tree, state: Tree, x: Any) -> np.ndarray:
        """Linear outputs (n, k) for inputs (n, columns)."""
        x = check_inputs(x, dtype_of(params))
        run: Any = None
        tiles = []
        for start in range(0, len(x), TILE):
            rows = _filled(x[start : start + TILE])
            if run is None:
                run = self._outputs.at((x.shape[1], x.dtype), params, state, rows)
            tiles.append(run(params, state, rows))
        return np.concatenate(tiles)[: len(x)]

    def predict(self, params: Tree, state: Tree, x: Any) -> np.ndarray:
        """Predictions (n, k): the loss's output unit over the linear outputs."""
        return self.unit(self.outputs(params, state, x))

    def unit(self, outputs: np.ndarray) -> np.ndarray:
        """Predictions from linear outputs."""
        tiles = []
        for start in range(0, len(outputs), TILE):
            rows = _filled(outputs[start : start + TILE])
            tiles.append(self._unit.at((rows.shape, rows.dtype), rows)(rows))
        return np.concatenate(tiles)[: len(outputs)]

    def losses(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """The loss of each row; ``targets`` as the loss's ``prepare`` returns them."""
        tiles = []
        for start in range(0, len(outputs), TILE):
            rows = _filled(outputs[start : start + TILE])
            wanted = _filled(targets[start : start + TILE])
            signature = (rows.shape, rows.dtype, wanted.shape, wanted.dtype)
            tiles.append(self._losses.at(signature, rows, wanted)(rows, wanted))
        return np.concatenate(tiles)[: len(outputs)]


@dataclass(frozen=True)
class HeldOut:
    """Rows to be evaluated after each epoch, checked once.

    ``given`` are the targets as the caller gave them, for the metrics; ``targets`` are those
    prepared for the loss.
    """

    name: str
    x: np.ndarray
    targets: np.ndarray
    given: np.ndarray
    weights: np.ndarray | None

    @staticmethod
    def of(
        name: str, x: Any, targets: Any, weights: Any, loss: Loss, outputs: int, dtype: Any
    ) -> HeldOut:
        """Checked arrays; raises DataError naming ``name``, row and column."""
        x = check_inputs(x, dtype, "x" if name == "train" else f"{name} x")
        rows = len(x)
        prepared = loss.prepare(targets, outputs, dtype)
        if len(prepared) != rows:
            raise DataError(f"{name}: {rows} rows of x and {len(prepared)} targets")
        label = "sample_weight" if name == "train" else f"{name} weights"
        return HeldOut(
            name, x, prepared, np.asarray(targets), check_weights(weights, rows, dtype, label)
        )

    def score(
        self, predictor: Predictor, params: Tree, state: Tree, metrics: Mapping[str, Metric]
    ) -> dict[str, float]:
        """``{"train_loss": ..., "train_accuracy": ...}``: weighted means over all rows.

        The loss is without the penalty, and added up in float64.
        """
        with quiet():
            outputs = predictor.outputs(params, state, self.x)
            losses = predictor.losses(outputs, self.targets).astype(np.float64)
        weights = None if self.weights is None else self.weights.astype(np.float64)
        scores = {f"{self.name}_loss": float(np.average(losses, weights=weights))}
        if metrics:
            with quiet():
                predicted = predictor.unit(outputs)
            for name, metric in metrics.items():
                value = metric(predicted, self.given, self.weights)
                scores[f"{self.name}_{name}"] = float(value)
        return scores


def quiet() -> np.errstate:
    """NumPy's warnings off: what overflows is looked for in the loss, and reported with place."""
    return np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore")


def dtype_of(params: Tree) -> np.dtype[Any]:
    """The dtype a network computes in: that of its first parameter."""
    return np.asarray(flatten(params)[0][0]).dtype


def _filled(rows: np.ndarray) -> np.ndarray:
    """A tile of exactly TILE rows; the last row is repeated to fill it."""
    missing = TILE - len(rows)
    if not missing:
        return np.ascontiguousarray(rows)
    return np.concatenate([rows, np.repeat(rows[-1:], missing, axis=0)])
