"""scikit-learn's multilayer perceptron; it chooses its weights and the order of rows itself."""

from __future__ import annotations

import warnings
from typing import Any

from sklearn.neural_network import MLPClassifier, MLPRegressor

from benchmarks.work import (
    MOMENTUM,
    RATES,
    Network,
    Prediction,
    Prepared,
    Training,
    mean_square,
)


def _model(network: Network, optimizer: str) -> Any:
    kind = MLPClassifier if network.classes else MLPRegressor
    return kind(
        hidden_layer_sizes=network.sizes[1:-1],
        solver=optimizer,
        learning_rate_init=RATES[optimizer],
        momentum=MOMENTUM,
        nesterovs_momentum=False,
        batch_size=network.batch,
        alpha=0.0,
        random_state=0,
    )


def training(work: Training, variant: str) -> Prepared:
    """An epoch: one call of ``partial_fit``."""
    network = work.network
    model = _model(network, work.optimizer)
    x, t = network.data(work.dtype)
    classes = {"classes": range(network.classes)} if network.classes else {}

    def run() -> None:
        model.partial_fit(x, t.ravel(), **classes)

    return Prepared(run, network.steps)


def prediction(work: Prediction, variant: str) -> Prepared:
    """With the right weights put in after a fit to a few rows, so that numbers agree."""
    network = work.network
    rows = 4 * (network.classes or 1)
    model = _model(network, "adam").set_params(max_iter=1, batch_size=rows)
    x, t = network.inputs(rows, work.dtype), network.targets(rows, work.dtype).ravel()
    if network.classes:
        t = [i % network.classes for i in range(rows)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it has not converged
        model.fit(x, t)
    model.coefs_ = [w for w, _ in network.layers(work.dtype)]
    model.intercepts_ = [b for _, b in network.layers(work.dtype)]
    predict = model.predict_proba if network.classes else model.predict
    given = network.inputs(work.rows, work.dtype)
    return Prepared(lambda: predict(given), outcome=lambda: mean_square(predict(given)))
