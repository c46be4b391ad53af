"""``TabularClassifier`` and ``TabularRegressor``: networks on tables as they stand."""

from __future__ import annotations

import re
import warnings
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state, column_or_1d, compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    _check_sample_weight,
    _num_samples,
    check_array,
    check_consistent_length,
    check_is_fitted,
    validate_data,
)

from chainrule.errors import DataError, UsageError
from chainrule.tabular import Format, Options, Table, TabularModel, table_of, train
from chainrule.tabular.arrays import names_of
from chainrule.tabular.attribution import column_gradients
from chainrule.train.evaluation import TILE

__all__ = ["TabularClassifier", "TabularRegressor"]

TARGET = "target of fit"
"""The column that y becomes, beside those of X."""
WEIGHT = "weight of fit"
"""The column of the rows' weights, where their classes have weights of their own."""


@dataclass(repr=False, eq=False)
class _Tabular(BaseEstimator):
    """The shared part; parameters are fields, from which the constructor is made."""

    hidden: Any = None
    _: KW_ONLY
    preset: str | None = None
    ensemble: int | str | None = None
    activation: str = "relu"
    optimizer: str = "adam"
    learning_rate: float | None = None
    schedule: str = "constant"
    epochs: int | None = None
    batch_size: int | None = None
    l1: float = 0.0
    l2: float = 0.0
    dropout: float = 0.0
    batch_norm: bool = False
    init: str = "auto"
    validation: float = 0.2
    early_stopping: int = 20
    loss: str | None = None
    weight: str | None = None
    drop: Any = ()
    keep: Any = ()
    category: Any = ()
    format: Any = None
    random_state: Any = None
    threads: int | None = None
    checkpoint: Any = None
    resume: bool = False

    if TYPE_CHECKING:  # fitted attributes

        def __getattr__(self, name: str) -> Any: ...

    def _fit(self, X: Any, y: Any, task: str, factors: Any) -> Any:
        """Train on a table of X's columns and y, which is checked and numbers.

        factors: those of the rows' weights, (n_samples,), or None.
        """
        given = self.get_params(deep=False)
        running = {name: given.pop(name) for name in ("threads", "checkpoint", "resume")}
        random_state, format = given.pop("random_state"), given.pop("format")
        if running["resume"] and not isinstance(random_state, (int, np.integer)):
            raise UsageError("resume=True needs the random_state of then, a whole number")
        seed = int(check_random_state(random_state).randint(2**31 - 1))
        columns, framed = _columns(X)
        if not framed:  # columns that nobody named are all meant
            given["keep"] = tuple(name for name in columns if name not in given["drop"])
        columns = {**columns, TARGET: y}
        if factors is not None:
            weight = given["weight"]
            own = 1.0 if weight is None else np.asarray(columns.pop(weight), np.float64)
            columns[WEIGHT], given["weight"] = own * factors, WEIGHT
        if isinstance(given.get("class_weight"), dict):  # they are among the factors
            given["class_weight"] = None
        options = Options(task=task, test=0.0, seed=seed, **given)
        table = table_of(columns, "X", format or Format(), given["category"])
        told = [f"column {c.name!r}: {c.note}" for c in table.columns if c.note]
        if told:
            advice = "name columns that are to stay words in category"
            warnings.warn(f"{'; '.join(told)}; {advice}", UserWarning, stacklevel=3)
        try:
            self.model_: TabularModel = train(table, TARGET, options, **running)
        except DataError as error:
            if not re.search(r"\b(decimal|thousands|date_order)=", str(error)):
                raise
            raise DataError(f"{error} (options of format=tabular.Format(...))") from None
        self.history_ = list(self.model_.history)
        self.n_iter_ = len(self.history_)
        return self

    def _checked(self, X: Any, y: Any, sample_weight: Any) -> tuple[Any, Any, Any]:
        """X as a frame or a checked array, y and the weights as checked vectors."""
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None"
            )
        X = self._input(X, reset=True)
        kept: Any = None  # the dtype as it is
        y = column_or_1d(check_array(y, ensure_2d=False, dtype=kept, input_name="y"), warn=True)
        check_consistent_length(X, y)
        if _num_samples(X) < 2:
            raise ValueError("a network needs rows to learn from; got n_samples = 1")
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, y, ensure_non_negative=True)
        return X, y, sample_weight

    def _input(self, X: Any, reset: bool) -> Any:
        if _is_frame(X):
            names_of(X)  # a clear error where two have one name
            validate_data(self, X, skip_check_array=True, reset=reset)
            return X
        return validate_data(self, X, dtype=None, ensure_all_finite="allow-nan", reset=reset)

    def _table(self, X: Any) -> Table:
        check_is_fitted(self)
        return self.model_.read(_columns(self._input(X, reset=False))[0], "X")

    def integrated_gradients(self, X: Any, output: Any = None, *, steps: int = 64) -> np.ndarray:
        """What each column of X adds to the linear output, against an average row; (n, columns).

        The way begins where every network input is 0: numbers at their training mean (with a
        preset their median), categories unknown. Of an ensemble the joint output is meant. The
        parts of the inputs that a column becomes are added up; a column that is not used has 0. A
        row's parts add up to its output less that of the beginning (Sundararajan, Taly, Yan 2017).
        For regression the output is in units of the target.

        Parameters
        ----------
        X : frame or array of shape (n_samples, n_features)
            The rows.
        output : label, default=None
            Which class, where there are more than two; for two the output speaks for the second.
        steps : int, default=64
            Points on the way.
        """
        table, model = self._table(X), self.model_
        x, _ = model.inputs(table)
        place = self._place(output)
        names = table.names()
        used = [names.index(name) for name in model.coding.places()]
        found = np.zeros((len(x), len(names)))
        for k in range(0, len(x), TILE):
            part = x[k : k + TILE]
            _, sums = column_gradients(model, part, np.zeros(x.shape[1]), place, steps)
            found[k : k + TILE, used] = sums
        return found * (model.target.scale if model.kind == "regression" else 1.0)

    def _place(self, output: Any) -> int:
        classes = list(getattr(self, "classes_", ()))
        if len(classes) <= 2 and output is None:
            return 0
        if len(classes) > 2 and output in classes:
            return classes.index(output)
        raise UsageError(f"output={output!r}: choose one of {classes}" if len(classes) > 2 else
                         "there is one output: leave output= away")  # fmt: skip

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags


def _is_frame(X: Any) -> bool:
    return hasattr(X, "column_names") or (hasattr(X, "columns") and hasattr(X, "__getitem__"))


def _columns(X: Any) -> tuple[dict[str, Any], bool]:
    """The columns of a frame or an array by name, and whether they have names of their own."""
    if not _is_frame(X):
        return {f"x{i}": X[:, i] for i in range(X.shape[1])}, False
    return {str(name): X[name] for name in names_of(X) or ()}, True


SHARED = """hidden : tuple of ints, default=None
        Units of each hidden layer; () for none. None is (64, 32), or the recipe's.
    preset : str, default=None
        "sklearn" for the plain network that the parameters describe, or a recipe: "realmlp-td-s",
        "realmlp-td", "realmlp-fast". None is the last, an ensemble of five networks, but the plain
        network where one of hidden, activation, optimizer, schedule, l1, l2, dropout, batch_norm,
        init and early_stopping is given.
    ensemble : int, default=None
        How many networks, each trained without another fold of the rows.
    activation : str, default="relu"
        A name of ``nn.ACTIVATIONS``.
    optimizer, learning_rate, schedule : default="adam", None, "constant"
        As ``tabular.Options`` has them; None is the optimiser's own rate.
    epochs : int, default=None
        Most passes over the training rows; None is 200, or the recipe's.
    batch_size : int, default=None
        Rows per step; None follows their number, 0 is all at once.
    l1, l2 : float, default=0.0
        Strengths of the penalty ``l1 sum |W| + l2 / 2 sum W^2`` beside the mean loss.
    dropout : float, default=0.0
        Share of hidden units left out at each step.
    batch_norm : bool, default=False
        Normalise hidden units over the batch.
    init : str, default="auto"
        How weights start: a name of ``nn.INITIALIZERS``.
    validation : float, default=0.2
        Share of the rows that chooses the epoch.
    early_stopping : int, default=20
        Epochs without a better validation loss; 0 is off.
    loss : str, default=None
        What is minimised, as ``tabular.Options`` has it; None is the squared error of numbers, the
        cross-entropy of classes.
    weight : str, default=None
        The column with the weight of each row.
    drop, keep : tuple of str, default=()
        Columns left out; columns that no rule may drop (identifiers, constants). Of an array, whose
        columns are called x0, x1, ..., all are kept.
    category : tuple of str, default=()
        Columns that are categories whatever their cells.
    format : tabular.Format, default=None
        How text such as "1,5" or "03/04/2024" is read, where it can be read in two ways.
    random_state : int, RandomState or None, default=None
        Fixes split, initial weights and the order of rows.
    threads : int, default=None
        How many share the work; the result does not depend on it.
    checkpoint : folder or train.Checkpoint, default=None
        Where training writes down where it stands.
    resume : bool, default=False
        Go on from there, to the result of a training that was never cut short."""


@dataclass(repr=False, eq=False)
class TabularClassifier(ClassifierMixin, _Tabular):
    __doc__ = f"""A network for classes on a table as it stands, numbers, words and dates mixed.

    X is a frame of pandas, polars or pyarrow, or an array; missing cells are taken as they are.
    What becomes of each column is learned from the training rows (``model_.coding``).

    Parameters
    ----------
    {SHARED}
    calibrate : bool, default=True
        Divide linear outputs by the temperature that suits rows held out of training.
    class_weight : dict or "balanced", default=None
        Weight of each class; "balanced" lets all weigh the same in sum.

    Attributes
    ----------
    model_ : tabular.TabularModel
        What was learned; ``model_.save(path)`` writes it for ``chainrule predict``.
    classes_ : array of shape (n_classes,)
    history_ : list of dicts, one per epoch
    """

    _: KW_ONLY
    calibrate: bool = True
    class_weight: Any = None

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> TabularClassifier:
        """Train on a table X (n_samples, n_features) and labels y (n_samples,).

        ``sample_weight`` (n_samples,) says how much each row counts, beside ``weight`` and
        ``class_weight``.
        """
        X, y, factors = self._checked(X, y, sample_weight)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"y has one class, {str(self.classes_[0])!r}: there is nothing to learn"
            )
        if isinstance(self.class_weight, dict):
            of_class = compute_sample_weight(self.class_weight, y)
            factors = of_class if factors is None else of_class * factors
        task = "binary" if len(self.classes_) == 2 else "multiclass"
        return self._fit(X, codes, task, factors)

    def predict_proba(self, X: Any) -> np.ndarray:
        """The probability of each class, (n_samples, n_classes), in the order of ``classes_``."""
        table = self._table(X)  # first: an estimator that is not fitted has no model
        found = self.model_.predict(table).probabilities
        assert found is not None
        return found

    def predict(self, X: Any) -> Any:
        """The most probable class of each row of X, (n_samples,)."""
        found = self.predict_proba(X)
        second = found.shape[1] == 2  # a comparison takes a fifth of the time of argmax
        best = (found[:, 1] > found[:, 0]).astype(int) if second else found.argmax(axis=1)
        return self.classes_[best]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = False
        return tags


@dataclass(repr=False, eq=False)
class TabularRegressor(RegressorMixin, _Tabular):
    __doc__ = f"""A network for numbers on a table as it stands, numbers, words and dates mixed.

    X is a frame of pandas, polars or pyarrow, or an array; missing cells are taken as they are.
    What becomes of each column is learned from the training rows (``model_.coding``).

    Parameters
    ----------
    {SHARED}

    Attributes
    ----------
    model_ : tabular.TabularModel
        What was learned; ``model_.save(path)`` writes it for ``chainrule predict``.
    history_ : list of dicts, one per epoch
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> TabularRegressor:
        """Train on a table X (n_samples, n_features) and numbers y (n_samples,).

        ``sample_weight`` (n_samples,) says how much each row counts, beside ``weight``.
        """
        X, y, factors = self._checked(X, y, sample_weight)
        return self._fit(X, np.asarray(y, np.float64), "regression", factors)

    def predict(self, X: Any) -> np.ndarray:
        """The number predicted for each row of X, (n_samples,)."""
        table = self._table(X)
        return self.model_.predict(table).values

    def predict_interval(self, X: Any, coverage: float = 0.9) -> np.ndarray:
        """Lower and upper ends that hold a new row's number with this probability, (n_samples, 2).

        Conformal, from the residuals of rows held out of training (``validation``), or of the folds
        that each network of an ensemble leaves out: ``tabular.calibration.intervals``.
        ``sample_weight`` and ``weight`` are refused.
        """
        table = self._table(X)
        found = self.model_.predict(table, coverage=coverage).interval
        assert found is not None
        return found
