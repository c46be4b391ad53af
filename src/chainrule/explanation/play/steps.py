"""What the page computes, as functions to be recorded: a training step and the optimisers.

Nothing here differentiates by hand: gradients, deltas and slopes come from the engine.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from chainrule import nn
from chainrule.api import grad, value_and_grad, vjp
from chainrule.core.tree import map_tree
from chainrule.explanation.play.programs import Sizes, program
from chainrule.ops.special import logistic
from chainrule.ops.stable import softmax
from chainrule.optim.rules import OPTIMIZERS as RULES
from chainrule.optim.schedules import Schedule

ACTIVATIONS = ("relu", "leaky_relu", "tanh", "logistic", "identity")
OPTIMIZERS: Mapping[str, Mapping[str, Any]] = {
    "sgd": {},
    "momentum": {"momentum": 0.9},
    "nesterov": {"momentum": 0.9},
    "rmsprop": {},
    "adam": {},
}
MOST_LAYERS = 3


def _squared_probability(outputs: Any, targets: Any) -> Any:
    return 0.5 * np.sum((logistic(outputs) - targets) ** 2, axis=1)


def _squared_probabilities(outputs: Any, targets: Any) -> Any:
    one_hot = np.where(np.arange(outputs.shape[1]) == targets[:, None], 1.0, 0.0)
    return 0.5 * np.sum((softmax(outputs, axis=1) - one_hot) ** 2, axis=1)


TWO: Any = nn.BinaryCrossEntropy()
SEVERAL: Any = nn.CategoricalCrossEntropy()
LOSSES: Mapping[str, Mapping[str, Any]] = {
    "regression": {
        "squared error": nn.SquaredError(),
        "absolute error": nn.AbsoluteError(),
        "Huber": nn.Huber(),
    },
    "binary": {
        "cross-entropy": TWO,
        "focal": nn.Focal(),
        "squared error": nn.FunctionLoss(_squared_probability, TWO),
    },
    "multiclass": {
        "cross-entropy": SEVERAL,
        "focal": nn.Focal(),
        "squared error": nn.FunctionLoss(_squared_probabilities, SEVERAL),
    },
}
"""By task; all have the output unit of the model file's predictions. The first is the one that
belongs to it (L2.4); squared error on probabilities shows why (saturated units learn slowly)."""


def passes(model: nn.MLP, loss: Any, given: Any) -> dict[str, Any]:
    """Both passes over rows, and the gradient of a training step.

    Args:
        given: ``params``; ``x`` (n, inputs), ``t`` targets as the loss takes them, ``w`` weights
            (n,); ``l1`` and ``l2``, strengths of the penalty on weights.

    Returns:
        ``loss``, the weighted mean, and ``gradients`` of it and of the penalty; ``losses`` (n,),
        ``prediction`` (n, outputs); ``layers``, per layer ``z``, ``h`` = g(z), ``a`` (h, or h plus
        the inputs of a residual layer), ``slope`` = g'(z), ``up`` = dJ/da and ``delta`` = dJ/dz
        for J the weighted sum of losses (L0.4).
    """
    params, w = given["params"], given["w"]
    rows = np.shape(given["x"])[0]
    still = [{"z": np.zeros((rows, size)), "a": np.zeros((rows, size))} for size in model.sizes[1:]]

    def total(params: Any, shifts: Any) -> tuple[Any, Any]:
        a, layers = given["x"], []
        for block, own, shift in zip(model.blocks, params["layers"], shifts, strict=True):
            z = block.linear(own, {}, a)[0] + shift["z"]
            h = z if block.activation is None else block.activation(z)
            a = (a + h if block.residual else h) + shift["a"]
            layers.append({"z": z, "h": h, "a": a})
        losses = loss(a, given["t"])
        return np.sum(w * losses), (losses, loss.predict(a), layers)

    (value, (losses, prediction, layers)), (gradients, cotangents) = value_and_grad(
        total, argnums=(0, 1), has_aux=True
    )(params, still)
    share = 1.0 / np.where(np.sum(w) > 0, np.sum(w), 1.0)
    penalty = grad(lambda params: _penalty(params, given["l1"], given["l2"]))(params)
    for block, layer, back in zip(model.blocks, layers, cotangents, strict=True):
        layer |= {"delta": back["z"], "up": back["a"]}
        if block.activation is not None:
            layer["slope"] = vjp(block.activation, layer["z"])[1](np.ones_like(layer["z"]))[0]
    return {
        "loss": value * share,
        "losses": losses,
        "prediction": prediction,
        "layers": layers,
        "gradients": map_tree(lambda g, p: g * share + p, gradients, penalty),
    }


def _penalty(params: Any, l1: Any, l2: Any) -> Any:
    """``l1 sum |W| + l2/2 sum W^2``, of weights and not of biases (L1.5)."""
    weights = [layer["weights"] for layer in params["layers"]]
    return sum(l1 * np.sum(np.abs(w)) + 0.5 * l2 * np.sum(w * w) for w in weights)


def update(name: str, given: Any) -> dict[str, Any]:
    """One step of the optimiser ``name`` on an array: new ``p`` and ``slots``.

    ``given`` has ``p``, its gradient ``g``, the ``slots``, ``rate`` and ``step``.
    """
    rate = Schedule("given", {}, lambda step: given["rate"])
    rule = RULES.table[name](learning_rate=rate, **OPTIMIZERS[name])
    p, slots = rule.update(given["g"], given["slots"], given["p"], given["step"])
    return {"p": p, "slots": slots}


# Programs ---------------------------------------------------------------------------------------


def passes_program(
    inputs: int, outputs: int, hidden: int, activation: str, loss: Any, classes: bool,
    residual: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """``passes`` of a network with so many hidden layers; their widths h1, h2, ... and the
    number of rows n are open. Residual ones have all the width h1."""
    widths = [f"h{1 if residual else i + 1}" for i in range(hidden)]

    def network(at: Iterable[int]) -> nn.MLP:
        return nn.MLP((inputs, *at), activation=activation, residual=residual)

    def argument(sizes: Sizes) -> dict[str, Any]:
        model, n = network((*(sizes[w] for w in widths), outputs)), sizes["n"]
        at = model.sizes
        layers = tuple({"weights": np.zeros((i, j)), "bias": np.zeros(j)} for i, j in pairwise(at))
        return {
            "params": {"layers": layers},
            "x": np.zeros((n, inputs)),
            "t": np.zeros(n, np.int64) if classes else np.zeros((n, outputs)),
            "w": np.ones(n),
            "l1": 0.0,
            "l2": 0.0,
        }

    def run(given: Any) -> dict[str, Any]:
        at = [np.shape(layer["weights"])[1] for layer in given["params"]["layers"]]
        return passes(network(at), loss, given)

    return program(run, argument, ("n", *dict.fromkeys(widths)))


def update_program(name: str) -> dict[str, Any]:
    """``update`` of an array of an open number m of entries."""

    def argument(sizes: Sizes) -> dict[str, Any]:
        p = np.zeros(sizes["m"])
        rule = RULES.table[name](**OPTIMIZERS[name])
        return {"p": p, "g": p, "slots": rule.init(p), "rate": 0.0, "step": np.int64(0)}

    return program(lambda given: update(name, given), argument, ("m",))
