"""What a prediction owes to each input: gradients, and integrated gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.api import jit, vjp
from chainrule.core.settings import whole
from chainrule.errors import UsageError
from chainrule.estimators.network import network_of, trees_of
from chainrule.estimators.rows import by_tiles
from chainrule.tabular import attribution

__all__ = ["Attributions", "input_gradients"]


def input_gradients(model: Any, params: Any, state: Any, x: np.ndarray, output: int) -> np.ndarray:
    """The derivative of each row's linear output with respect to its inputs, (n, columns)."""

    def outputs(x: Any) -> Any:
        return model(params, state, x, train=False)[0][:, output]

    @jit
    def gradients(x: Any) -> Any:
        # One row's output depends on that row alone: one pass backward serves all of them.
        values, back = vjp(outputs, x)
        return back(np.ones(np.shape(values), values.dtype))[0]

    return np.asarray(gradients(x))


class Attributions:
    """Methods of estimators with ``coefs_`` that explain a prediction by its inputs."""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    def input_gradients(self, X: Any, output: Any = None) -> np.ndarray:
        """Slopes of each row's linear output in its inputs, shape (n, columns) (L2.3).

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The rows.
        output : label or int, default=None
            Which output: a class of a classifier with several, else its number. Not needed where
            there is one; for two classes the output speaks for the second.
        """
        return self._attributed(X, output, input_gradients)

    def integrated_gradients(
        self, X: Any, output: Any = None, *, baseline: Any = None, steps: int = 64
    ) -> np.ndarray:
        """What each input adds to the linear output, against a baseline; shape (n, columns).

        A row's parts add up to its output less that of the baseline, up to the error of the
        integral over the way between (Sundararajan, Taly, Yan 2017).

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The rows.
        output : label or int, default=None
            As ``input_gradients`` takes it.
        baseline : array-like of shape (n_features,), default=None
            Where the way begins; zeros unless given.
        steps : int, default=64
            Points on the way.
        """
        steps = whole("steps", steps)
        start = np.zeros(self.n_features_in_) if baseline is None else np.asarray(baseline, float)
        if start.shape != (self.n_features_in_,):
            raise UsageError(f"baseline has shape {start.shape}, not ({self.n_features_in_},)")

        def integrated(model: Any, params: Any, state: Any, x: np.ndarray, output: int) -> Any:
            def slope(rows: np.ndarray) -> np.ndarray:
                return input_gradients(model, params, state, rows.astype(x.dtype), output)

            return attribution.integrated_gradients(slope, x, start, steps)

        return self._attributed(X, output, integrated)

    def _attributed(self, X: Any, output: Any, method: Any) -> np.ndarray:
        X = self._inputs(X)
        model = network_of(self, self._sizes())
        params, state = trees_of(self, model, X.dtype)
        place = self._place(output)
        return by_tiles(X, lambda x: method(model, params, state, x, place))

    def _place(self, output: Any) -> int:
        """The number of an output that is named by its class or its number."""
        count = self.n_outputs_
        if output is None:
            if count > 1:
                raise UsageError(f"say which of the {count} outputs: output=...")
            return 0
        names = list(getattr(self, "classes_", ())) if count > 1 else []
        if output in names:
            return names.index(output)
        if not names and isinstance(output, (int, np.integer)) and 0 <= output < count:
            return int(output)
        raise UsageError(f"output={output!r} is none of {names or list(range(count))}")
