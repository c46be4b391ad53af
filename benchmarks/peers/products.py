"""The matrix products of a network and nothing else, by NumPy's BLAS or PyTorch's.

No library that computes with such products is faster; how much of its time they take says how
much there is to gain.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.work import Network, Prediction, Prepared, Training

Product = tuple[np.ndarray, np.ndarray, np.ndarray]


def _arrays(rows: int, network: Network, dtype: str) -> tuple[list[Any], list[Any]]:
    draw = np.random.default_rng(0)
    layers = [draw.standard_normal((rows, n), dtype) for n in network.sizes]
    return layers, [w for w, _ in network.layers(dtype)]


def _forward(layers: list[Any], weights: list[Any]) -> Iterator[Product]:
    for k, w in enumerate(weights):
        yield layers[k], w, np.empty_like(layers[k + 1])


def _backward(layers: list[Any], weights: list[Any]) -> Iterator[Product]:
    """What the gradient adds: of each layer's weights, and of all inputs but the network's."""
    for k, w in enumerate(weights):
        yield layers[k].T, layers[k + 1], np.empty_like(w)
        if k:
            yield layers[k + 1], w.T, np.empty_like(layers[k])


def _prepared(products: list[Product], variant: str, times: int) -> Prepared:
    multiply: Any = np.matmul
    given: Any = products
    if variant == "torch":
        import torch

        multiply = torch.mm
        given = [tuple(map(torch.from_numpy, product)) for product in products]

    def run() -> None:
        for _ in range(times):
            for a, b, out in given:
                multiply(a, b, out=out)

    return Prepared(run, times)


def training(work: Training, variant: str) -> Prepared:
    layers, weights = _arrays(work.network.batch, work.network, work.dtype)
    products = [*_forward(layers, weights), *_backward(layers, weights)]
    return _prepared(products, variant, work.network.steps)


def prediction(work: Prediction, variant: str) -> Prepared:
    layers, weights = _arrays(work.rows, work.network, work.dtype)
    return _prepared(list(_forward(layers, weights)), variant, 1)
