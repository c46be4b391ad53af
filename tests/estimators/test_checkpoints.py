"""The perceptrons' checkpoints: taken up at any step, all that is fitted has the same bits."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse

from chainrule.errors import UsageError
from chainrule.estimators import MLPClassifier, MLPRegressor
from chainrule.train import Checkpoint

RNG = np.random.default_rng(3)
X = RNG.standard_normal((50, 3))
Y = RNG.integers(0, 3, 50)
Z = X @ [1.0, -1.0, 0.5] + 0.1 * RNG.standard_normal(50)
COMMON: dict[str, Any] = {
    "hidden_layer_sizes": (4,), "batch_size": 16, "max_iter": 6, "random_state": 1,
}  # fmt: skip
CASES: list[tuple[Any, Any, Any, dict[str, Any]]] = [
    (MLPClassifier, X, Y, {"early_stopping": True, "n_iter_no_change": 2, "dropout": 0.2,
                           "validation_fraction": 0.2, "learning_rate_init": 0.1}),
    (MLPClassifier, scipy.sparse.csr_array(X), Y, {"batch_norm": True}),
    (MLPRegressor, X, Z, {"solver": "sgd", "learning_rate": "adaptive", "tol": 1.0,
                          "n_iter_no_change": 1}),
    (MLPRegressor, X, Z, {"solver": "sgd", "learning_rate": "invscaling"}),
    (MLPRegressor, X, Z, {"solver": "lbfgs", "alpha": 0.1}),
]  # fmt: skip


def fitted(kind: Any, x: Any, y: Any, options: dict[str, Any], **more: Any) -> Any:
    return kind(**COMMON | options, **more).fit(x, y)


def bits(estimator: Any, x: Any) -> Any:
    arrays = (*estimator.coefs_, *estimator.intercepts_, estimator.predict(x))
    arrays += tuple(v for norm in getattr(estimator, "norms_", ()) for v in norm.values())
    history = [{**row, "seconds": 0} for row in estimator.history_]
    names = ("loss_curve_", "validation_scores_", "best_loss_", "n_iter_", "t_", "stopped_")
    return [a.tobytes() for a in arrays], history, [getattr(estimator, n, None) for n in names]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("kind", "x", "y", "options"), CASES)
def test_taken_up_at_any_step(
    kind: Any, x: Any, y: Any, options: dict[str, Any], tmp_path: Path
) -> None:
    undisturbed = bits(fitted(kind, x, y, options), x)
    copies: list[Path] = []

    def keep(event: Any) -> None:
        copies.append(shutil.copytree(event.path.parent, tmp_path / str(len(copies))))

    checkpoint = Checkpoint(tmp_path / "kept", 1, callback=keep)
    assert bits(fitted(kind, x, y, options, checkpoint=checkpoint), x) == undisturbed
    assert len(copies) > 5
    for folder in (*copies[:-2:4], *copies[-2:]):  # also between the last epoch and the end
        again = fitted(kind, x, y, options, checkpoint=folder, resume=True)
        assert bits(again, x) == undisturbed


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_what_does_not_go_together_is_said(tmp_path: Path) -> None:
    fitted(MLPRegressor, X, Z, {}, checkpoint=str(tmp_path))
    for options, words in (
        ({"alpha": 0.5}, "alpha was '0.0001' and is '0.5'"),
        ({"random_state": 2}, "random_state was '1' and is '2'"),
        ({"max_iter": 9}, "epochs was 6 and is 9; force=True"),
        ({"random_state": None}, "random_state must be a whole number"),
        ({"warm_start": True}, "warm_start False"),
    ):
        with pytest.raises(UsageError, match=words):
            fitted(MLPRegressor, X, Z, options, checkpoint=str(tmp_path), resume=True)
    with pytest.raises(UsageError, match="say where the checkpoints are"):
        fitted(MLPRegressor, X, Z, {}, resume=True)
