"""The multi-layer perceptron: a feedforward network of any depth (L0.2, L1.5, L4.6)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from chainrule.core import scope
from chainrule.core.containers import register
from chainrule.core.settings import whole
from chainrule.errors import ShapeError, UsageError
from chainrule.nn.activations import Activation, activation
from chainrule.nn.initializers import Initializer, initializer
from chainrule.nn.layers import BatchNorm, Dense, Dropout, LayerNorm
from chainrule.ops.random import fold_in

Tree = Any


@register
@dataclass(frozen=True)
class MLP:
    """Hidden layers, then a linear layer whose outputs the loss turns into predictions.

    A hidden layer is linear, normalisation if asked for, activation, dropout. Two sizes mean no
    hidden layer: linear, logistic or softmax regression, by the loss it is trained with (L0.1).

    Parameters:
        sizes: numbers of inputs, of units per hidden layer, and of outputs: (11, 64, 32, 3).
        activation: of the hidden layers; one, or one per hidden layer.
        dropout: share of hidden units set to 0 in training; one, or one per hidden layer.
        batch_norm, layer_norm: normalise before each hidden activation; not both.
        initializer: one for all layers, one per layer, or "auto": the one that fits the
            activation (He for the ReLU family, LeCun for SELU, Glorot for the rest and for the
            output layer).
        bias: whether layers have a bias, which starts at 0.
        residual: a hidden layer with as many units as the hidden layer before adds its inputs to
            what it computes (He et al. 2016).

    The parameters are ``{"layers": ({"weights": (inputs, outputs), "bias": (outputs,)}, ...)}``;
    a normalised layer also has ``"batch_norm"`` or ``"layer_norm"``: ``{"scale", "shift"}``. The
    state is ``{"layers": ({"batch_norm": {"mean", "variance"}} or {}, ...)}``.

    Raises:
        UsageError: settings that do not fit together.
    """

    sizes: Sequence[int]
    activation: str | Activation | Sequence[str | Activation] = "relu"
    dropout: float | Sequence[float] = 0.0
    batch_norm: bool = False
    layer_norm: bool = False
    initializer: str | Initializer | Sequence[str | Initializer] = "auto"
    bias: bool = True
    residual: bool = False

    def __post_init__(self) -> None:
        sizes = tuple(self.sizes) if isinstance(self.sizes, (tuple, list)) else ()
        if len(sizes) < 2:
            raise UsageError(
                f"sizes are at least two numbers, (inputs, ..., outputs), not {self.sizes!r}"
            )
        if self.batch_norm and self.layer_norm:
            raise UsageError("choose batch_norm or layer_norm, not both")
        object.__setattr__(self, "sizes", tuple(whole("sizes", n) for n in sizes))
        for name in ("activation", "dropout", "initializer"):
            if isinstance(getattr(self, name), list):
                object.__setattr__(self, name, tuple(getattr(self, name)))
        _ = self.blocks  # checks the rest

    @property
    def hidden(self) -> int:
        """How many hidden layers there are."""
        return len(self.sizes) - 2

    @property
    def needs_key(self) -> bool:
        """Whether a training step draws random numbers, and so needs a key of its own."""
        return any(block.dropout.rate for block in self.blocks)

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """The layers, the linear output last."""
        activations = _per_layer("activation", self.activation, self.hidden)
        dropouts = _per_layer("dropout", self.dropout, self.hidden)
        inits = _per_layer("initializer", self.initializer, self.hidden + 1)
        blocks = []
        for i, (inputs, outputs) in enumerate(zip(self.sizes, self.sizes[1:], strict=False)):
            last = i == self.hidden
            chosen = activation("identity" if last else activations[i])
            start = initializer(chosen.init if inits[i] == "auto" else inits[i])
            blocks.append(
                Block(
                    Dense(inputs, outputs, self.bias, start),
                    BatchNorm(outputs) if self.batch_norm and not last else None,
                    LayerNorm(outputs) if self.layer_norm and not last else None,
                    None if last else chosen,
                    Dropout(0.0 if last else float(dropouts[i])),
                    self.residual and not last and i > 0 and inputs == outputs,
                )
            )
        return tuple(blocks)

    def init_state(self, dtype: Any = np.float64) -> Tree:
        """The state of a fresh network, its arrays of ``dtype``."""
        dtype = network_dtype(dtype)
        return {"layers": tuple(block.init_state(dtype) for block in self.blocks)}

    def init(self, seed: int, dtype: Any = np.float64) -> tuple[Tree, Tree]:
        """Fresh ``(params, state)``: the same for the same seed, in either dtype up to rounding.

        Each layer draws from a stream of its own.

        Raises:
            UsageError: a seed that is no whole number from 0 up, another dtype than a float's.
        """
        dtype = network_dtype(dtype)
        params = [block.init(seed, dtype, place=i) for i, block in enumerate(self.blocks)]
        return {"layers": tuple(params)}, self.init_state(dtype)

    def __call__(
        self, params: Tree, state: Tree, x: Any, *, key: Any = None, train: bool = False
    ) -> tuple[Any, Tree]:
        """Linear outputs (n, outputs) for inputs (n, inputs), and the new state.

        Raises:
            ShapeError: x or params do not have the shapes of this network.
            UsageError: dropout while training without a key.
        """
        self._check(params, x)
        states = []
        with scope("mlp"):
            for i, block in enumerate(self.blocks):
                with scope(str(i)):
                    # Without dropout the key is not touched, so a step needs none.
                    own = (
                        fold_in(key, i)
                        if train and block.dropout.rate and key is not None
                        else None
                    )
                    x, new = block(params["layers"][i], state["layers"][i], x, key=own, train=train)
                states.append(new)
        return x, {"layers": tuple(states)}

    def _check(self, params: Tree, x: Any) -> None:
        """Know your shapes (L0.3)."""
        shape = np.shape(x)
        if not shape or shape[-1] != self.sizes[0]:
            got = f"{shape[-1]} columns" if shape else "a single number"
            raise ShapeError(
                f"the network has {self.sizes[0]} inputs, x has shape {shape}: {got}; "
                f"x needs shape (n, {self.sizes[0]})"
            )
        if len(params["layers"]) != len(self.blocks):
            raise ShapeError(
                f"params have {len(params['layers'])} layers, the network {len(self.blocks)}"
            )
        for i, (layer, block) in enumerate(zip(params["layers"], self.blocks, strict=True)):
            expected = (block.linear.inputs, block.linear.outputs)
            check_weights(f"layer {i}", np.shape(layer["weights"]), expected)

    def summary(self) -> str:
        """A table of the layers: shapes and numbers of parameters."""
        return summary(self)

    def __str__(self) -> str:
        return self.summary()


@register
@dataclass(frozen=True)
class Block:
    """One layer of an MLP: linear, normalisation, activation, dropout."""

    linear: Dense
    batch_norm: BatchNorm | None
    layer_norm: LayerNorm | None
    activation: Activation | None
    dropout: Dropout
    residual: bool = False

    def init_state(self, dtype: Any) -> Tree:
        """The running figures of batch normalisation, if there is one."""
        return {} if self.batch_norm is None else {"batch_norm": self.batch_norm.init_state(dtype)}

    def init(self, seed: int, dtype: Any, *, place: int) -> Tree:
        """Fresh parameters."""
        params, _ = self.linear.init(seed, dtype, place=place)
        if self.batch_norm is not None:
            params["batch_norm"], _ = self.batch_norm.init(seed, dtype)
        if self.layer_norm is not None:
            params["layer_norm"], _ = self.layer_norm.init(seed, dtype)
        return params

    def __call__(
        self, params: Tree, state: Tree, x: Any, *, key: Any, train: bool
    ) -> tuple[Any, Tree]:
        before = x
        x, _ = self.linear(params, {}, x)
        new = {}
        if self.batch_norm is not None:
            x, new["batch_norm"] = self.batch_norm(
                params["batch_norm"], state["batch_norm"], x, train=train
            )
        if self.layer_norm is not None:
            x, _ = self.layer_norm(params["layer_norm"], {}, x)
        if self.activation is not None:
            with scope(self.activation.name):
                x = self.activation(x)
        x, _ = self.dropout({}, {}, x, key=key, train=train)
        return (before + x if self.residual else x), new


def network_dtype(dtype: Any) -> np.dtype[Any]:
    """float32 or float64; anything else is a ``UsageError``."""
    try:
        found = np.dtype(dtype)
    except TypeError:
        found = None
    if found is None or found not in (np.float32, np.float64):
        raise UsageError(f"networks compute in float32 or float64, not {found or repr(dtype)}")
    return found


def check_weights(what: str, found: tuple[int, ...], expected: tuple[int, int]) -> None:
    """Raise ShapeError unless the shapes agree; say so when the transpose would."""
    if tuple(found) == expected:
        return
    hint = ""
    if tuple(found) == expected[::-1]:
        hint = (
            "; the transpose would fit: these weights are stored as (outputs, inputs), import "
            'them with nn.import_weights(..., convention="outputs_inputs") or "torch"'
        )
    raise ShapeError(
        f"{what}: weights need shape {expected}, (inputs, outputs), and have {tuple(found)}{hint}"
    )


def summary(model: MLP) -> str:
    """The table that ``MLP.summary`` returns."""
    rows = [("layer", "weights", "bias", "then", "parameters")]
    total = 0
    for i, block in enumerate(model.blocks):
        n, m = block.linear.inputs, block.linear.outputs
        normal = block.batch_norm or block.layer_norm
        count = n * m + (m if block.linear.bias else 0) + (2 * m if normal else 0)
        total += count
        then = ["batch norm"] if block.batch_norm else ["layer norm"] if block.layer_norm else []
        then += [str(block.activation)] if block.activation else ["linear outputs"]
        then += [f"dropout {block.dropout.rate:g}"] if block.dropout.rate else []
        then += ["plus inputs"] if block.residual else []
        bias = f"({m},)" if block.linear.bias else "none"
        rows.append((str(i), f"({n}, {m})", bias, ", ".join(then), f"{count:,}"))
    rows.append(("total", "", "", "", f"{total:,}"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.rjust(width) if j == 4 else cell.ljust(width)
            for j, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    name = "-".join(map(str, model.sizes))
    rule = "-" * max(map(len, lines))
    return "\n".join([f"MLP {name}", lines[0], rule, *lines[1:-1], rule, lines[-1]])


def _per_layer(name: str, value: Any, count: int) -> tuple[Any, ...]:
    if not isinstance(value, (tuple, list)):
        _CHECKS[name](value)  # although there may be no layer that uses it
        return (value,) * count
    if len(value) != count:
        kind = "layer" if name == "initializer" else "hidden layer"
        raise UsageError(f"{name} has {len(value)} entries; the network has {count} {kind}s")
    return tuple(value)


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "dropout": Dropout,
    "activation": activation,
    "initializer": lambda value: value if value == "auto" else initializer(value),
}
