"""Our networks as an entry to TabArena (github.com/autogluon/tabarena, arXiv 2506.16791).

    from tabarena.benchmark.models.wrapper.abstract_class import AbstractExecModel

    Entry = entry(AbstractExecModel)

TabArena makes an ``Entry(problem_type=, eval_metric=, settings=)`` for each split, and calls its
``fit_custom(X, y, X_test)``. The base class is handed in, so that this file needs no TabArena.
"""

from __future__ import annotations

from typing import Any

import pandas

from chainrule.estimators import TabularClassifier, TabularRegressor

__all__ = ["entry"]


def entry(base: type) -> Any:
    """A subclass of TabArena's ``AbstractExecModel`` that trains ``TabularClassifier`` or
    ``TabularRegressor``, made with ``settings``."""

    class Chainrule(base):
        """Frames and labels are taken as they stand, so TabArena is asked to prepare neither."""

        def __init__(
            self,
            problem_type: str,
            eval_metric: Any,
            settings: dict[str, Any] | None = None,
            **rest: Any,
        ) -> None:
            rest = {"preprocess_data": False, "preprocess_label": False, **rest}
            super().__init__(problem_type=problem_type, eval_metric=eval_metric, **rest)
            kinds: dict[str, Any] = {
                "binary": TabularClassifier,
                "multiclass": TabularClassifier,
                "regression": TabularRegressor,
            }
            if problem_type not in kinds:
                raise ValueError(f"problem_type={problem_type!r}: must be one of {list(kinds)}")
            self.model = kinds[problem_type](**(settings or {}))

        def _fit(self, X: Any, y: Any, X_val: Any = None, y_val: Any = None, **_: Any) -> Any:
            if X_val is not None:  # the ensemble leaves out folds of its own
                X, y = pandas.concat([X, X_val]), pandas.concat([y, y_val])
            self.model.fit(X, y.to_numpy())
            return self

        def _predict(self, X: Any) -> Any:
            return pandas.Series(self.model.predict(X), index=X.index)

        def _predict_proba(self, X: Any) -> Any:
            found = self.model.predict_proba(X)
            return pandas.DataFrame(found, index=X.index, columns=self.model.classes_)

    return Chainrule
