"""What both multi-layer perceptrons share: fitting in the manner of scikit-learn, by our engine."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from numbers import Integral
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from chainrule import optim
from chainrule.errors import DataError, UsageError
from chainrule.estimators.attribution import Attributions
from chainrule.estimators.descent import descend, programs, search, solver_of
from chainrule.estimators.epochs import Epochs
from chainrule.estimators.network import (
    attributes_of,
    first_norms,
    first_weights,
    hidden_sizes,
    network_of,
    trees_of,
)
from chainrule.estimators.parameters import CONSTRAINTS
from chainrule.estimators.rows import Order, Rows, SparseRows, by_tiles, split
from chainrule.run import Runner
from chainrule.train import Checkpoint, DivergedError, FitResult
from chainrule.train.checkpoint import described
from chainrule.train.data import batch_rows
from chainrule.train.keeping import owned

NOT_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and "
    "need to be preprocessed."
)
TAKEN: dict[str, Any] = {"accept_sparse": ["csr", "csc"], "dtype": (np.float64, np.float32)}
"""Inputs, as scikit-learn's own networks take them."""
FREE = {"checkpoint", "resume", "threads", "verbose", "max_iter", "max_seconds"}
"""Parameters that may differ where a training goes on (``fit`` itself compares the epochs)."""
FACTR = 2.220446049250313e-09
"""The share by which an iteration of L-BFGS lowers the loss at least: SciPy's default."""


@dataclass(repr=False, eq=False, kw_only=True)
class MultilayerPerceptron(Attributions, CallbackSupportMixin, BaseEstimator):
    """The shared part; use ``MLPClassifier`` or ``MLPRegressor``.

    Parameters are fields, from which the constructor is made: scikit-learn and editors read its
    signature.
    """

    _parameter_constraints: ClassVar[Mapping[str, Any]] = CONSTRAINTS
    solver: str = "adam"
    alpha: float = 0.0001
    batch_size: Any = "auto"
    learning_rate: str = "constant"
    learning_rate_init: float = 0.001
    power_t: float = 0.5
    max_iter: int = 200
    shuffle: bool = True
    random_state: Any = None
    tol: float = 1e-4
    verbose: Any = False
    warm_start: bool = False
    momentum: float = 0.9
    nesterovs_momentum: bool = True
    early_stopping: bool = False
    validation_fraction: float = 0.1
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    n_iter_no_change: float = 10
    max_fun: int = 15000
    l2: float = 0.0
    dropout: Any = 0.0
    batch_norm: bool = False
    layer_norm: bool = False
    residual: bool = False
    coefs_init: Any = None
    intercepts_init: Any = None
    validation_order: str = "random"
    max_seconds: float | None = None
    threads: int | None = None
    checkpoint: Any = None
    resume: bool = False

    if TYPE_CHECKING:  # fitted attributes, and parameters that one of the two has

        def __getattr__(self, name: str) -> Any: ...

    # What the two differ in -----------------------------------------------------------------

    def _unit(self, y: np.ndarray) -> tuple[int, str]:
        """How many outputs the network has for these validated targets, and their unit's name."""
        raise NotImplementedError

    def _loss(self) -> Any:
        """The loss as a value of ``nn``."""
        raise NotImplementedError

    def _targets(self, y: np.ndarray) -> np.ndarray:
        """Validated targets as the loss takes them."""
        raise NotImplementedError

    def _metric(self, targets: Any, predictions: Any, weights: Any) -> float:
        """The score of predictions (through the output unit) against targets of the loss."""
        raise NotImplementedError

    def _checked(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Any]:
        """Validated inputs and targets (n, k)."""
        raise NotImplementedError

    def _weighted(self, y: Any, sample_weight: Any, incremental: bool) -> Any:
        """The weights of the rows, those of their classes included."""
        return sample_weight

    def _strata(self, y: np.ndarray) -> Any:
        """What the rows held out keep the shares of."""
        return None

    def _loss_share(self) -> int:
        """By how much scikit-learn's loss is smaller than the sum over outputs."""
        return 1

    def _loss_offset(self, rows: Rows) -> float:
        """What scikit-learn's loss has beside ours, a constant."""
        return 0.0

    def _validated(self, X: Any, y: Any, reset: bool, **how: Any) -> tuple[Any, Any]:
        X, y = validate_data(self, X, y, **TAKEN, multi_output=True, reset=reset, **how)
        return X, column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y

    # Fitting --------------------------------------------------------------------------------

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        validation_data: Any = None,
        groups: Any = None,
    ) -> Self:
        """Train on inputs X, dense or sparse, and targets y.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            A class for each row, or 0 and 1 for each of several labels; or numbers.
        sample_weight : array-like of shape (n_samples,), default=None
            How much each row counts.
        validation_data : (X, y) or (X, y, sample_weight), default=None
            Rows to look at after each epoch; with ``early_stopping`` they decide.
        groups : array-like of shape (n_samples,), default=None
            Rows of a group are held out by ``early_stopping`` together.
        """
        return self._fit(X, y, sample_weight, False, validation_data, groups)

    @with_callbacks
    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        incremental: bool = False,
        validation_data: Any = None,
        groups: Any = None,
    ) -> Any:
        self._validate_params()
        if self.early_stopping and incremental:
            raise ValueError("partial_fit does not support early_stopping=True")
        kept = {} if incremental else self._kept()
        hidden = hidden_sizes(self.hidden_layer_sizes)
        first = not hasattr(self, "coefs_") or (not self.warm_start and not incremental)
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        given = {"X": X, "y": y, "metadata": metadata}
        X, checked = self._checked(X, y, incremental, reset=first)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X, dtype=X.dtype)
        weights = self._weighted(y, sample_weight, incremental)
        self._random_state = check_random_state(self.random_state)
        if first:
            self._initialize(checked, X, hidden)
        model = network_of(self, [X.shape[1], *hidden, self.n_outputs_])
        rows = Rows(X, self._targets(checked), weights, self._strata(checked))
        rows, held = self._held_out(rows, validation_data, groups, incremental)
        self._rows_, self._loss_offset_ = len(rows), self._loss_offset(rows)
        if not incremental or not hasattr(self, "history_"):
            self.history_ = []
        epochs = Epochs(self, model, given, 1 if incremental else self.max_iter)
        self.n_iter_ = 0
        with owned(kept.get("checkpoint")):
            if self.solver == "lbfgs":
                self._search(model, rows, held, epochs, kept)
            else:
                self._descend(model, rows, held, epochs, incremental, kept)
        epochs.close()
        return self

    def _kept(self) -> dict[str, Any]:
        """Where training writes down where it stands, as ``fit`` takes it."""
        if self.checkpoint is None and not self.resume:
            return {}
        if not isinstance(self.random_state, Integral) or self.warm_start:
            raise UsageError(
                "checkpoint, resume: everything that was drawn is drawn again, so random_state "
                "must be a whole number, and warm_start False"
            )
        given = self.checkpoint
        if given is not None:
            given = given if isinstance(given, Checkpoint) else Checkpoint(given)
            own = {k: described(v) for k, v in self.get_params(deep=False).items() if k not in FREE}
            given = replace(given, about={**given.about, **own})
        return {"checkpoint": given, "resume": bool(self.resume)}

    def _initialize(self, y: np.ndarray, X: Any, hidden: list[int]) -> None:
        self.t_ = 0
        self.history_: list[dict[str, Any]] = []
        self.n_outputs_, self.out_activation_ = self._unit(y)
        sizes = [X.shape[1], *hidden, self.n_outputs_]
        self.n_layers_ = len(sizes)
        self.coefs_, self.intercepts_ = first_weights(self, sizes, self._random_state, X.dtype)
        self.__dict__.pop("norms_", None)
        if self.batch_norm or self.layer_norm:
            self.norms_ = first_norms(network_of(self, sizes), X.dtype)
        if self.solver == "lbfgs":
            return
        self.loss_curve_: list[float] = []
        self._no_improvement_count = 0
        self.validation_scores_: Any = [] if self.early_stopping else None
        self.best_validation_score_ = -np.inf if self.early_stopping else None
        self.best_loss_ = None if self.early_stopping else np.inf

    def _held_out(
        self, rows: Rows, validation_data: Any, groups: Any, incremental: bool
    ) -> tuple[Rows, Rows | None]:
        """Rows to train on, and those that are looked at after each epoch, if any."""
        if validation_data is not None:
            if not isinstance(validation_data, (tuple, list)) or len(validation_data) not in (2, 3):
                raise UsageError("validation_data is (X, y) or (X, y, sample_weight)")
            x, y, *more = validation_data
            x, checked = self._checked(x, y, True, reset=False)
            weights = _check_sample_weight(more[0], x, dtype=x.dtype) if more else None
            return rows, Rows(x, self._targets(checked), weights)
        if not self.early_stopping or self.solver == "lbfgs":
            if groups is not None:
                raise UsageError("groups say which rows early_stopping=True holds out; it is off")
            return rows, None
        last = self.validation_order == "last"
        return split(rows, self.validation_fraction, self._random_state, groups, last)

    def _descend(
        self,
        model: Any,
        rows: Rows,
        held: Rows | None,
        epochs: Epochs,
        incremental: bool,
        kept: dict[str, Any],
    ) -> None:
        if not incremental or not hasattr(self, "_optimizer"):
            self._optimizer = solver_of(self.get_params(deep=False))
        batch = self._batch_rows(len(rows))
        order = Order(len(rows), self._random_state, self.shuffle)
        options = self._options(model, rows, held, epochs)
        data: Any = rows.parts
        if rows.sparse:
            targets = options["loss"].prepare(rows.targets, self.n_outputs_, rows.x.dtype)
            data = SparseRows(rows.x.tocsr(), targets, rows.weights, batch, order.of)
        else:
            data = rows.parts()
            options |= {"batch_size": batch, "shuffle": order.of, "pad": True}
        try:
            result = descend(self._optimizer, model, data, seed=self._seed(), **options, **kept)
        except DivergedError as error:
            if not self.early_stopping or epochs.best is None:
                raise DataError(f"{NOT_FINITE} ({error})") from error
            self.validation_scores_.append(float("nan"))
            self._warn(f"training ended before its time: {error}")
            result = error.result
        order.back(len(result.history))
        params, state = result.params, result.state
        if not self.early_stopping:
            self._take(model, params, state)
        elif epochs.best is not None:
            self._take(model, *epochs.best)
        self.stopped_ = epochs.why or result.stopped
        if result.stopped == "interrupted":
            warnings.warn("Training interrupted by user.", stacklevel=4)
        elif self.stopped_ == "epochs" and not incremental:
            self._warn(
                f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the "
                "optimization hasn't converged yet."
            )

    def _search(
        self, model: Any, rows: Rows, held: Rows | None, epochs: Epochs, kept: dict[str, Any]
    ) -> None:
        optimizer = optim.Lbfgs(
            gradient_tolerance=float(self.tol), loss_tolerance=FACTR, evaluations=self.max_fun
        )
        options = self._options(model, rows, held, epochs)
        try:
            result = search(optimizer, model, rows.parts(), **options, **kept)
        except DivergedError as error:
            result = error.result
            if not result.history:
                raise DataError(f"{NOT_FINITE} ({error})") from error
        if not result.history:
            self.loss_ = self._objective(result, rows)
        self._take(model, result.params, result.state)
        self.stopped_ = epochs.why or result.stopped
        why = {
            "epochs": "all that max_iter and max_fun allow is used up: increase them, or scale "
            "the data",
            "stalled": "the line search found nothing lower: scale the data",
            "non_finite": "the loss left the finite numbers: scale the data",
        }.get(self.stopped_)
        if why:
            self._warn(f"lbfgs failed to converge after {self.n_iter_} iterations: {why}")

    def _options(self, model: Any, rows: Rows, held: Rows | None, epochs: Epochs) -> dict[str, Any]:
        """What both ways of training have in common, as ``fit`` takes it."""
        params, state = trees_of(self, model, rows.x.dtype)
        return {
            "loss": self._loss(),
            "params": params,
            "state": state,
            "dtype": rows.x.dtype,
            "validation": None if held is None else held.parts(),
            "evaluate_train": held is not None,  # to be compared with; else it would only cost
            "metrics": {"score": self._metric},
            "judge": (lambda row: -row["validation_score"])
            if self.early_stopping and held
            else None,
            "callbacks": [epochs],
            "epochs": epochs.count,
            "runner": self._runner(),
            "alpha": float(self.alpha),
            "l2": float(self.l2),
        }

    def _take(self, model: Any, params: Any, state: Any) -> None:
        vars(self).update(attributes_of(model, params, state))

    def _warn(self, message: str) -> None:
        warnings.warn(message, ConvergenceWarning, stacklevel=6)

    def _runner(self) -> Runner:
        return Runner(None, self.threads)

    def _seed(self) -> int:
        """Of dropout's masks; drawn only where there are any, as scikit-learn draws nothing."""
        drops = np.any(np.asarray(self.dropout, float) > 0)
        return int(self._random_state.randint(2**31 - 1)) if drops else 0

    def _batch_rows(self, rows: int) -> int:
        if self.batch_size == "auto":
            return min(200, rows)
        if self.batch_size > rows:
            warnings.warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going to be "
                "clipped",
                stacklevel=5,
            )
        return batch_rows(self.batch_size, rows)

    def _objective(self, result: FitResult, rows: Rows) -> float:
        """The loss of a network that no iteration has changed, penalties included."""
        x, targets, *weights = rows.parts()
        loss = result.evaluate(x, targets, *weights)["loss"] / self._loss_share()
        total = float(weights[0].sum()) if weights else len(rows)
        squares = sum(float(np.sum(np.square(w))) for w in self.coefs_)
        return loss + self._loss_offset_ + 0.5 * (self.alpha / total + self.l2) * squares

    # Predicting -----------------------------------------------------------------------------

    def _sizes(self) -> list[int]:
        return [np.shape(self.coefs_[0])[0], *(np.shape(w)[1] for w in self.coefs_)]

    def _inputs(self, X: Any) -> Any:
        """Inputs to be predicted, validated."""
        check_is_fitted(self)
        return validate_data(self, X, **TAKEN, reset=False)

    def _predicted(self, X: Any) -> np.ndarray:
        """What the output unit gives, (n, outputs)."""
        X = self._inputs(X)
        model = network_of(self, self._sizes())
        params, state = trees_of(self, model)
        predictor = programs(model, self._loss(), self._runner()).predictor
        return by_tiles(X, lambda x: predictor.predict(params, state, x))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
