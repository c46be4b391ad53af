"""Others that predict the target of a table, each as people use it, with one interface:
``fit(X, y)``, ``predict(X)``, ``predict_proba(X)``, X a mapping of columns."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler


class Pipeline:
    """Columns coded by scikit-learn, learned from the training rows, then an estimator."""

    def __init__(self, make: Callable[[list[bool]], Any], onehot: bool, scaled: bool) -> None:
        self.make, self.onehot, self.scaled = make, onehot, scaled

    def fit(self, X: Mapping[str, np.ndarray], y: np.ndarray) -> Pipeline:
        """Learn coding and estimator; a regression's target is standardised for a network."""
        words = [name for name, column in X.items() if column.dtype.kind == "O"]
        numbers = [name for name in X if name not in words]
        table = self._array(X, numbers, words)
        at = list(range(len(numbers))), list(range(len(numbers), len(X)))
        plain: Any = "passthrough"
        if self.onehot:
            plain = make_pipeline(SimpleImputer(strategy="median", add_indicator=True),
                                  StandardScaler())  # fmt: skip
            coded: Any = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=5,
                                       sparse_output=False)  # fmt: skip
        else:
            coded = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
        coding = ColumnTransformer([("numbers", plain, at[0]), ("words", coded, at[1])])
        self.names = numbers, words
        self.shift, self.scale = (y.mean(), y.std()) if self.scaled else (0.0, 1.0)
        estimator = self.make([False] * len(numbers) + [True] * len(words))
        self.model = make_pipeline(coding, estimator)
        self.model.fit(table, (y - self.shift) / self.scale if self.scaled else y)
        return self

    def predict(self, X: Mapping[str, np.ndarray]) -> np.ndarray:
        """Values, or classes."""
        return self.model.predict(self._array(X, *self.names)) * self.scale + self.shift

    def predict_proba(self, X: Mapping[str, np.ndarray]) -> np.ndarray:
        """The probability of each class."""
        return self.model.predict_proba(self._array(X, *self.names))

    @staticmethod
    def _array(X: Mapping[str, np.ndarray], numbers: list[str], words: list[str]) -> np.ndarray:
        cells = [X[name].astype(object) for name in numbers]
        cells += [np.where(X[name] == None, "missing", X[name]) for name in words]  # noqa: E711
        return np.column_stack(cells)


def _boosting(task: str, seed: int) -> Any:
    kind = HistGradientBoostingRegressor if task == "regression" else HistGradientBoostingClassifier
    return Pipeline(lambda words: kind(categorical_features=words, random_state=seed), False, False)


def _network(task: str, seed: int) -> Any:
    kind = MLPRegressor if task == "regression" else MLPClassifier
    settings: dict[str, Any] = {"hidden_layer_sizes": (64, 32), "random_state": seed}
    return Pipeline(lambda words: kind(**settings), True, task == "regression")


def _linear(task: str, seed: int) -> Any:
    if task == "regression":
        return Pipeline(lambda words: Ridge(), True, False)
    return Pipeline(lambda words: LogisticRegression(max_iter=1000), True, False)


def _lightgbm(task: str, seed: int) -> Any:
    import lightgbm  # type: ignore[import-not-found]

    kind = lightgbm.LGBMRegressor if task == "regression" else lightgbm.LGBMClassifier
    return Pipeline(lambda words: kind(random_state=seed, verbose=-1), False, False)


def _catboost(task: str, seed: int) -> Any:
    import catboost  # type: ignore[import-not-found]

    kind = catboost.CatBoostRegressor if task == "regression" else catboost.CatBoostClassifier
    quiet = {"verbose": 0, "allow_writing_files": False}
    return Pipeline(lambda words: kind(random_seed=seed, **quiet), False, False)


class RealMLP:
    """pytabkit's, given numbers without gaps (it takes none) and words as categories."""

    def __init__(self, size: str, task: str, seed: int) -> None:
        import pytabkit  # type: ignore[import-not-found]

        kind = "Regressor" if task == "regression" else "Classifier"
        make = getattr(pytabkit, f"RealMLP_{size}_{kind}")
        self.model = make(random_state=seed, device="cpu")

    def fit(self, X: Mapping[str, np.ndarray], y: np.ndarray) -> RealMLP:
        """Train; the medians of gaps are those of the training rows."""
        numbers = {name: column for name, column in X.items() if column.dtype.kind != "O"}
        self.fill = {name: np.nanmedian(column) for name, column in numbers.items()}
        self.model.fit(self._frame(X), y)
        return self

    def predict(self, X: Mapping[str, np.ndarray]) -> np.ndarray:
        """Values, or classes."""
        return self.model.predict(self._frame(X)).reshape(-1)

    def predict_proba(self, X: Mapping[str, np.ndarray]) -> np.ndarray:
        """The probability of each class."""
        return self.model.predict_proba(self._frame(X))

    def _frame(self, X: Mapping[str, np.ndarray]) -> Any:
        import pandas

        columns = {
            name: np.where(np.isnan(column), self.fill[name], column)
            if name in self.fill
            else pandas.Series(column).fillna("missing").astype("category")
            for name, column in X.items()
        }
        return pandas.DataFrame(columns)


PEERS: dict[str, Callable[[str, int], Any]] = {
    "HistGradientBoosting": _boosting,
    "scikit-learn MLP": _network,
    "logistic/ridge": _linear,
    **{
        name: make
        for name, module, make in (
            ("LightGBM", "lightgbm", _lightgbm),
            ("CatBoost", "catboost", _catboost),
            ("pytabkit RealMLP-TD", "pytabkit", partial(RealMLP, "TD")),
            ("pytabkit RealMLP-TD-S", "pytabkit", partial(RealMLP, "TD_S")),
        )
        if importlib.util.find_spec(module)
    },
}
"""How to make each, from the task and a seed; those that are installed."""
