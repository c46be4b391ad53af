"""The network behind an estimator: its value, its first weights, its trees as public attributes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from chainrule import nn
from chainrule.core.tree import map_tree
from chainrule.errors import ShapeError

Tree = Any


def hidden_sizes(given: Any) -> list[int]:
    """Units of each hidden layer.

    Raises:
        ValueError: one that is below 1.
    """
    sizes = list(given) if hasattr(given, "__iter__") else [given]
    if any(size <= 0 for size in sizes):
        raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
    return [int(size) for size in sizes]


def network_of(estimator: Any, sizes: Sequence[int]) -> nn.MLP:
    """The network that an estimator's parameters describe, with these numbers of units.

    Raises UsageError for parameters that do not fit together.
    """
    return nn.MLP(
        tuple(sizes),
        activation=estimator.activation,
        dropout=estimator.dropout,
        batch_norm=estimator.batch_norm,
        layer_norm=estimator.layer_norm,
        residual=estimator.residual,
    )


def first_weights(
    estimator: Any, sizes: Sequence[int], random: np.random.RandomState, dtype: Any
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Weights and biases, as given or drawn as scikit-learn draws them (Glorot, Bengio 2010)."""
    # scikit-learn's rule: Glorot's bound times sqrt(6), for logistic units sqrt(2).
    factor = 2.0 if estimator.activation == "logistic" else 6.0
    coefs, intercepts = [], []
    for inputs, outputs in pairwise(sizes):
        bound = np.sqrt(factor / (inputs + outputs))
        coefs.append(random.uniform(-bound, bound, (inputs, outputs)).astype(dtype))
        intercepts.append(random.uniform(-bound, bound, outputs).astype(dtype))
    for name, drawn in (("coefs_init", coefs), ("intercepts_init", intercepts)):
        given = getattr(estimator, name)
        if given is not None:
            drawn[:] = _given(name, given, drawn, dtype)
    return coefs, intercepts


def _given(name: str, given: Any, like: list[np.ndarray], dtype: Any) -> list[np.ndarray]:
    arrays = [np.array(a, dtype) for a in given]
    found, wanted = [a.shape for a in arrays], [a.shape for a in like]
    if found != wanted:
        raise ShapeError(f"{name} must have the shapes {wanted}, not {found}")
    return arrays


def first_norms(model: nn.MLP, dtype: Any) -> list[dict[str, np.ndarray]]:
    """Scale and shift of each layer's normalisation, with the running mean and variance."""
    return [
        {} if kind is None else {**layer.init(0, dtype)[0], **layer.init(0, dtype)[1]}
        for kind, layer in map(_norm, model.blocks)
    ]


def trees_of(estimator: Any, model: nn.MLP, dtype: Any = None) -> tuple[Tree, Tree]:
    """``(params, state)`` of the network from an estimator's fitted attributes."""
    layers, states = [], []
    norms = getattr(estimator, "norms_", None) or [{}] * len(model.blocks)
    parts = zip(model.blocks, estimator.coefs_, estimator.intercepts_, norms, strict=True)
    for block, weights, bias, norm in parts:
        layer: Tree = {"weights": np.asarray(weights), "bias": np.asarray(bias)}
        state: Tree = {}
        kind, _ = _norm(block)
        if kind is not None:
            layer[kind] = {name: norm[name] for name in ("scale", "shift")}
            if kind == "batch_norm":
                state[kind] = {name: norm[name] for name in ("mean", "variance")}
        layers.append(layer)
        states.append(state)
    trees = {"layers": tuple(layers)}, {"layers": tuple(states)}
    return trees if dtype is None else map_tree(lambda a: np.asarray(a, dtype), trees)


def attributes_of(model: nn.MLP, params: Tree, state: Tree) -> dict[str, Any]:
    """``coefs_``, ``intercepts_`` and, with normalisation, ``norms_``; copies."""
    layers = params["layers"]
    found: dict[str, Any] = {
        "coefs_": [np.array(layer["weights"]) for layer in layers],
        "intercepts_": [np.array(layer["bias"]) for layer in layers],
    }
    if model.batch_norm or model.layer_norm:
        found["norms_"] = [
            {}
            if kind is None
            else {k: np.array(v) for k, v in {**layer[kind], **running.get(kind, {})}.items()}
            for (kind, _), layer, running in zip(
                map(_norm, model.blocks), layers, state["layers"], strict=True
            )
        ]
    return found


def _norm(block: Any) -> tuple[str | None, Any]:
    if block.batch_norm is not None:
        return "batch_norm", block.batch_norm
    return ("layer_norm", block.layer_norm) if block.layer_norm is not None else (None, None)
