"""``MLPClassifier`` and ``MLPRegressor``: scikit-learn's, and what its users ask for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.special import xlogy
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.metrics import d2_pinball_score
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import compute_sample_weight
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call, type_of_target, unique_labels

from chainrule import nn
from chainrule.errors import UsageError
from chainrule.estimators.base import MultilayerPerceptron
from chainrule.estimators.parameters import CONSTRAINTS, SHARED
from chainrule.estimators.rows import Rows

__all__ = ["MLPClassifier", "MLPRegressor"]


def _stochastic(estimator: Any) -> bool:
    if estimator.solver == "lbfgs":
        raise AttributeError(
            "partial_fit is only available for stochastic optimizers; lbfgs is not"
        )
    return True


@dataclass(repr=False, eq=False)
class MLPClassifier(ClassifierMixin, MultilayerPerceptron):
    __doc__ = f"""A multi-layer perceptron for classes, in the manner of scikit-learn's (L1.5).

    The parameters up to ``max_fun`` are scikit-learn's, with its meaning and defaults; with the
    same ``random_state`` training takes the same steps, up to rounding.

    Parameters
    ----------
    {SHARED}
    loss : "log_loss", "focal", a loss of ``nn`` or a callable, default="log_loss"
        A callable of (outputs, targets) returns one number per row and is differentiated; the
        outputs are linear, (n, k), the targets 0 or 1: one column for two classes, else one for
        each class or label.
    label_smoothing : float, default=0.0
        Share of the target that is spread evenly over the classes; of the log loss only.
    class_weight : dict or "balanced", default=None
        Weight of each class; "balanced" lets all weigh the same in sum.
    """

    _parameter_constraints: ClassVar[Mapping[str, Any]] = {
        **CONSTRAINTS,
        "loss": [StrOptions({"log_loss", "focal"}), callable],
        "label_smoothing": CONSTRAINTS["validation_fraction"],
        "class_weight": [StrOptions({"balanced"}), dict, None],
    }

    hidden_layer_sizes: Any = (100,)
    activation: Any = "relu"
    _: KW_ONLY
    loss: Any = "log_loss"
    label_smoothing: float = 0.0
    class_weight: Any = None

    @available_if(_stochastic)
    def partial_fit(
        self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None
    ) -> MLPClassifier:
        """One pass over the given data, from where training stands; the solver goes on too.

        ``classes`` are all that there will be, needed in the first call. The other arguments are
        those of ``fit``.
        """
        if _check_partial_fit_first_call(self, classes):
            multilabel = type_of_target(y).startswith("multilabel")
            self._label_binarizer = LabelBinarizer().fit(y if multilabel else classes)
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X: Any) -> Any:
        """The most probable class of each row, (n_samples,), or labels (n_samples, n_labels)."""
        found = self._predicted(X)
        return self._label_binarizer.inverse_transform(
            found[:, 0] if self.n_outputs_ == 1 else found
        )

    def predict_proba(self, X: Any) -> np.ndarray:
        """The probability of each class, or of each label, (n_samples, n_classes)."""
        found = self._predicted(X)
        return np.hstack([1 - found, found]) if self.n_outputs_ == 1 else found

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Logarithms of ``predict_proba``."""
        found = self.predict_proba(X)
        with np.errstate(divide="ignore"):
            return np.log(found, out=found)

    # What the base class asks for -----------------------------------------------------------

    def _checked(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Any]:
        X, y = self._validated(X, y, reset)
        known = hasattr(self, "classes_") and (self.warm_start or incremental)
        if not known:
            self._label_binarizer = LabelBinarizer().fit(y)
            self.classes_ = self._label_binarizer.classes_
        else:
            self._check_classes(unique_labels(y), incremental)
        # bool, so that float32 inputs stay float32.
        return X, self._label_binarizer.transform(y).astype(bool)

    def _check_classes(self, classes: np.ndarray, incremental: bool) -> None:
        if self.warm_start and not incremental and set(classes) != set(self.classes_):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous "
                f"call to fit. Previously got {self.classes_}, `y` has {classes}"
            )
        if len(np.setdiff1d(classes, self.classes_, assume_unique=True)):
            raise ValueError(
                "`y` has classes not in `self.classes_`. "
                f"`self.classes_` has {self.classes_}. 'y' has {classes}."
            )

    def _unit(self, y: np.ndarray) -> tuple[int, str]:
        multiclass = self._label_binarizer.y_type_ == "multiclass"
        return y.shape[1], "softmax" if multiclass else "logistic"

    def _loss(self) -> Any:
        softmax = self.out_activation_ == "softmax"
        kind: Any = nn.CategoricalCrossEntropy if softmax else nn.BinaryCrossEntropy
        if self.loss == "log_loss":
            return kind(float(self.label_smoothing))
        if self.label_smoothing:
            raise UsageError("label_smoothing is of the log loss; leave it 0 with another loss")
        if self.loss == "focal":
            return nn.Focal()
        return self.loss if hasattr(self.loss, "prepare") else nn.FunctionLoss(self.loss, kind())

    def _targets(self, y: np.ndarray) -> np.ndarray:
        own = callable(self.loss) and not hasattr(self.loss, "prepare")
        return y if own or self.out_activation_ != "softmax" else y.argmax(axis=1)

    def _strata(self, y: np.ndarray) -> Any:
        return y if self.n_outputs_ == 1 else None  # as scikit-learn's

    def _metric(self, targets: Any, predictions: Any, weights: Any) -> float:
        if self.out_activation_ == "softmax":
            classes = targets if targets.ndim == 1 else targets.argmax(axis=1)
            right = predictions.argmax(axis=1) == classes
        else:
            right = (predictions > 0.5) == (targets > 0.5)
            right = right.reshape(len(right), -1).all(axis=1)
        return float(np.average(right, weights=weights))

    def _weighted(self, y: Any, sample_weight: Any, incremental: bool) -> Any:
        if self.class_weight is None:
            return sample_weight
        if incremental and self.class_weight == "balanced":
            raise ValueError(
                "class_weight='balanced' needs all rows; partial_fit takes a dict of weights"
            )
        of_class = compute_sample_weight(self.class_weight, y)
        return of_class if sample_weight is None else sample_weight * of_class

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


LOSSES = {"squared_error", "absolute_error", "huber", "quantile", "poisson", "gamma", "tweedie"}


@dataclass(repr=False, eq=False)
class MLPRegressor(RegressorMixin, MultilayerPerceptron):
    __doc__ = f"""A multi-layer perceptron for numbers, in the manner of scikit-learn's (L2.4).

    The parameters up to ``max_fun`` are scikit-learn's, with its meaning and defaults; with the
    same ``random_state`` training takes the same steps, up to rounding.

    Parameters
    ----------
    loss : name, a loss of ``nn`` or a callable, default="squared_error"
        "squared_error", "absolute_error", "huber", "quantile" (with ``quantiles``), "poisson",
        "gamma" or "tweedie" (the last three predict through an exponential). A callable of
        (outputs, targets), both (n, k), returns one number per row and is differentiated.
    {SHARED}
    quantiles : float or sequence, default=0.5
        Which quantiles of one target ``loss="quantile"`` predicts; several do not cross, and
        ``predict`` returns (n_samples, n_quantiles).
    """

    _parameter_constraints: ClassVar[Mapping[str, Any]] = {
        **CONSTRAINTS,
        "loss": [StrOptions(LOSSES), callable],
        "quantiles": [*CONSTRAINTS["validation_fraction"], list, tuple],
    }

    loss: Any = "squared_error"
    hidden_layer_sizes: Any = (100,)
    activation: Any = "relu"
    _: KW_ONLY
    quantiles: Any = 0.5

    @available_if(_stochastic)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> MLPRegressor:
        """One pass over the given data, from where training stands; the solver goes on too.

        The arguments are those of ``fit``.
        """
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X: Any) -> np.ndarray:
        """Predictions (n_samples,), or (n_samples, n_outputs) where there are several."""
        found = self._predicted(X)
        return found.ravel() if found.shape[1] == 1 else found

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """R2, or for several quantiles the mean D2 of the pinball loss, of predictions for X.

        ``y`` and ``sample_weight`` are as ``fit`` takes them.
        """
        if not self._several():
            return super().score(X, y, sample_weight)
        return self._metric(np.asarray(y), self.predict(X), sample_weight)

    # What the base class asks for -----------------------------------------------------------

    def _checked(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Any]:
        X, y = self._validated(X, y, reset, y_numeric=True)
        return X, y.reshape(len(y), -1)

    def _several(self) -> bool:
        return self.loss == "quantile" and isinstance(self.quantiles, (list, tuple))

    def _unit(self, y: np.ndarray) -> tuple[int, str]:
        if self._several():
            if y.shape[1] > 1:
                raise UsageError("several quantiles are of one target; y has several columns")
            return len(self.quantiles), "rising"
        loss = self._loss()
        exponential = isinstance(loss, (nn.Poisson, nn.Gamma, nn.Tweedie))
        return y.shape[1], "exp" if exponential else "identity"

    def _loss(self) -> Any:
        if self.loss == "quantile":
            return nn.Quantile(tuple(self.quantiles) if self._several() else float(self.quantiles))
        return nn.loss(self.loss)

    def _targets(self, y: np.ndarray) -> np.ndarray:
        return y

    def _loss_share(self) -> int:
        return self.n_outputs_ if self.loss == "squared_error" else 1  # a mean over outputs

    def _loss_offset(self, rows: Rows) -> float:
        if self.loss != "poisson":
            return 0.0
        constant = (xlogy(rows.targets, rows.targets) - rows.targets).sum(axis=1)
        return float(np.average(constant, weights=rows.weights))  # to half the deviance

    def _metric(self, targets: Any, predictions: Any, weights: Any) -> float:
        if not np.isfinite(predictions).all():
            return float("nan")
        if self._several():
            return float(np.mean([
                d2_pinball_score(targets.ravel(), predictions[:, i], sample_weight=weights, alpha=q)
                for i, q in enumerate(self.quantiles)
            ]))  # fmt: skip
        targets, predictions = (a.reshape(len(a), -1) for a in (targets, predictions))
        mean = np.average(targets, axis=0, weights=weights)
        error = np.average((targets - predictions) ** 2, axis=0, weights=weights)
        spread = np.average((targets - mean) ** 2, axis=0, weights=weights)
        # As r2_score: of a constant target, 1 where it is met, else 0.
        with np.errstate(divide="ignore", invalid="ignore"):
            scores = np.where(spread > 0, 1 - error / spread, np.where(error > 0, 0.0, 1.0))
        return float(np.mean(scores))
