"""Estimators for scikit-learn: its own interface, networks of this library.

    from chainrule.estimators import MLPClassifier

    MLPClassifier(hidden_layer_sizes=(64, 32), dropout=0.1).fit(x, y).predict_proba(new)

scikit-learn is imported here and nowhere else in the library.
"""

from __future__ import annotations

try:
    import sklearn.callback  # noqa: F401  # that of 1.9
except ModuleNotFoundError as error:
    if error.name not in ("sklearn", "sklearn.callback"):
        raise
    raise ModuleNotFoundError(
        "chainrule.estimators needs scikit-learn 1.9 or newer: pip install 'chainrule[sklearn]'",
        name=error.name,
    ) from None

from chainrule.estimators.mlp import MLPClassifier, MLPRegressor
from chainrule.estimators.search import SearchResult, search
from chainrule.estimators.tabular import TabularClassifier, TabularRegressor

__all__ = [
    "MLPClassifier",
    "MLPRegressor",
    "SearchResult",
    "TabularClassifier",
    "TabularRegressor",
    "search",
]
