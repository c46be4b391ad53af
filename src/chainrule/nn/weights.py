"""Weights in and out, in the shape conventions of L0.3: know your shapes.

=====================  ====================  ================================================
convention             a layer computes      where it is met
=====================  ====================  ================================================
``inputs_outputs``     ``x @ W + b``         here, the slides, Keras, scikit-learn
``outputs_inputs``     ``W x + b``           textbooks, with x a column
``torch``              ``x @ W.T + b``       PyTorch: stored (outputs, inputs), state_dict names
``bias_row``           ``[1, x] @ Theta``    the bias as weights of a dummy feature 1 (L0.1):
                                             Theta is (1 + inputs, outputs), bias first
=====================  ====================  ================================================

A square matrix fits either way round; only the convention you name decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.core.settings import Named
from chainrule.core.told import told
from chainrule.core.types import plain_array
from chainrule.errors import DtypeError, ShapeError, UsageError
from chainrule.nn.mlp import MLP, check_weights, network_dtype

Tree = Any
CONVENTIONS = ("inputs_outputs", "outputs_inputs", "torch", "bias_row")
_NAMED = Named(
    "convention",
    dict.fromkeys(CONVENTIONS, lambda: None),
    '"torch"',
    lambda given: False,
    {"keras": "inputs_outputs", "slides": "inputs_outputs", "textbook": "outputs_inputs"},
)


@told("nn.export_weights")
def export_weights(
    params: Tree,
    state: Tree = None,
    *,
    convention: str = "inputs_outputs",
    names: Sequence[str] | None = None,
) -> dict[str, np.ndarray]:
    """The parameters of an MLP as named arrays in another convention; copies (L0.3).

    Names are ``layers/0/weights`` and so on, with ``theta`` under ``bias_row``. Under
    ``torch`` they are those of ``nn.Sequential(Linear, ReLU, Linear, ...)``: ``0.weight``,
    ``0.bias``, ``2.weight``, ...; a normalisation layer takes a number of its own, with
    ``running_mean`` and ``running_var`` when ``state`` is given.

    Args:
        params, state: of an ``nn.MLP``; the state is needed for batch normalisation only.
        convention: one of ``CONVENTIONS``, or keras, slides, textbook.
        names: prefixes of the linear layers, one a layer, where modules are numbered otherwise
            (dropout in between).

    Raises:
        UsageError: an unknown convention; another number of names than layers; batch
            normalisation under ``torch`` without state.
    """
    convention = _NAMED.value(convention, {}, lambda name, settings: name)
    layers = params["layers"]
    prefixes = _prefixes(layers, convention, names)
    out: dict[str, np.ndarray] = {}
    for i, (layer, prefix) in enumerate(zip(layers, prefixes, strict=True)):
        weights, bias = np.asarray(layer["weights"]), layer.get("bias")
        if convention == "bias_row":
            row = np.zeros(weights.shape[1], weights.dtype) if bias is None else bias
            out[f"{prefix}/theta"] = np.concatenate([row[None, :], weights])
        elif convention == "torch":
            out[f"{prefix}.weight"] = weights.T.copy()
            if bias is not None:
                out[f"{prefix}.bias"] = np.array(bias)
        else:
            turned = weights.T if convention == "outputs_inputs" else weights
            out[f"{prefix}/weights"] = turned.copy()
            if bias is not None:
                out[f"{prefix}/bias"] = np.array(bias)
        running = None if state is None else state["layers"][i]
        out.update(_norm_out(layer, running, prefix, convention))
    return out


@told("nn.import_weights")
def import_weights(
    weights: Mapping[str, Any] | Sequence[Any],
    model: MLP,
    *,
    convention: str = "inputs_outputs",
    dtype: Any = None,
) -> tuple[Tree, Tree]:
    """``(params, state)`` of ``model`` from arrays in another convention; copies (L0.3).

    Args:
        weights: named arrays, layer by layer in order (a ``state_dict`` turned to NumPy, or what
            ``export_weights`` returns; the prefixes of the names are free), or a plain sequence
            of arrays in the same order (Keras's ``get_weights``, ``[W0, b0, W1, b1, ...]``).
        model: the network they are for.
        convention: as ``export_weights`` takes it.
        dtype: of the result; None is float32 if all the arrays are, else float64.

    Raises:
        ShapeError: an array does not have its shape; the message names the layer, what is
            expected and found, and says when the transpose would fit.
        UsageError: an unknown convention, too few or too many arrays, another dtype than a float's.
        DtypeError: an array is masked, an ``np.matrix``, or of complex numbers or text.
    """
    convention = _NAMED.value(convention, {}, lambda name, settings: name)
    params, state = model.init(0, np.float64)
    wanted = _wanted(params, convention)
    arrays = _arrays(weights, wanted)
    if dtype is None:
        dtype = np.float32 if all(a.dtype == np.float32 for _, a in arrays) else np.float64
    dtype = network_dtype(dtype)
    given = {place: (name, array) for place, (name, array) in zip(wanted, arrays, strict=True)}
    for i, layer in enumerate(params["layers"]):
        _layer_in(i, layer, state["layers"][i], given, convention, dtype)
    return params, state


def _prefixes(layers: Any, convention: str, names: Sequence[str] | None) -> list[str]:
    if names is not None:
        if len(names) != len(layers):
            raise UsageError(f"{len(names)} names for {len(layers)} layers")
        return list(names)
    if convention != "torch":
        return [f"layers/{i}" for i in range(len(layers))]
    prefixes, at = [], 0
    for layer in layers:
        prefixes.append(str(at))
        at += 3 if _norm_of(layer) else 2  # linear, normalisation, activation
    return prefixes


def _norm_of(layer: Tree) -> str | None:
    return next((kind for kind in ("batch_norm", "layer_norm") if kind in layer), None)


def _norm_out(layer: Tree, state: Tree, prefix: str, convention: str) -> dict[str, np.ndarray]:
    kind = _norm_of(layer)
    if kind is None:
        return {}
    scale, shift = layer[kind]["scale"], layer[kind]["shift"]
    if convention != "torch":
        out = {f"{prefix}/{kind}/scale": scale, f"{prefix}/{kind}/shift": shift}
        if kind == "batch_norm" and state is not None:
            out[f"{prefix}/{kind}/mean"] = state[kind]["mean"]
            out[f"{prefix}/{kind}/variance"] = state[kind]["variance"]
        return {name: np.array(value) for name, value in out.items()}
    head, _, number = prefix.rpartition(".")
    if not number.isdigit():
        raise UsageError(f"cannot number the normalisation after the layer named {prefix!r}")
    at = f"{head}.{int(number) + 1}" if head else str(int(number) + 1)
    out = {f"{at}.weight": scale, f"{at}.bias": shift}
    if kind == "batch_norm":
        if state is None:
            raise UsageError("export of batch normalisation to torch needs the state as well")
        out[f"{at}.running_mean"] = state[kind]["mean"]
        out[f"{at}.running_var"] = state[kind]["variance"]
    return {name: np.array(value) for name, value in out.items()}


def _wanted(params: Tree, convention: str) -> list[tuple[int, str]]:
    """The places to fill, in the order in which every convention lists them."""
    places = []
    for i, layer in enumerate(params["layers"]):
        places.append((i, "weights"))
        if "bias" in layer and convention != "bias_row":
            places.append((i, "bias"))
        kind = _norm_of(layer)
        if kind is not None:
            places += [(i, "scale"), (i, "shift")]
            places += [(i, "mean"), (i, "variance")] if kind == "batch_norm" else []
    return places


def _arrays(weights: Any, wanted: list[tuple[int, str]]) -> list[tuple[str, np.ndarray]]:
    if isinstance(weights, Mapping):
        named = [(k, v) for k, v in weights.items() if not k.endswith("num_batches_tracked")]
    else:
        named = [(f"array {i}", v) for i, v in enumerate(weights)]
    if len(named) != len(wanted):
        needs = ", ".join(f"{what} of layer {i}" for i, what in wanted)
        raise UsageError(
            f"{len(named)} arrays for a network that has {len(wanted)}: {needs}; "
            f"given were {', '.join(name for name, _ in named)}"
        )
    arrays = [(name, plain_array(value, name)) for name, value in named]
    for name, array in arrays:
        if array.dtype.kind not in "biuf":
            raise DtypeError(f"{name} has dtype {array.dtype}: weights are real numbers")
    return arrays


def _layer_in(
    i: int, layer: Tree, state: Tree, given: Mapping[Any, Any], convention: str, dtype: Any
) -> None:
    """Fill one layer of the fresh trees."""
    inputs, outputs = layer["weights"].shape
    name, array = given[i, "weights"]
    what = f"layer {i} ({name})"
    if convention == "bias_row":
        rows = (1 + inputs, outputs)
        if array.shape != rows:
            hint = "; the transpose would fit" if array.shape == rows[::-1] else ""
            raise ShapeError(
                f"{what}: theta needs shape {rows}, (1 + inputs, outputs) with the bias in the "
                f"first row, and has {array.shape}{hint}"
            )
        if "bias" in layer:
            layer["bias"] = np.array(array[0], dtype)
        elif np.any(array[0]):
            raise UsageError(f"{what}: the first row is a bias, but the network has none")
        array = array[1:]
    elif convention == "inputs_outputs":
        check_weights(what, array.shape, (inputs, outputs))
    elif array.shape != (outputs, inputs):
        hint = ""
        if array.shape == (inputs, outputs):
            hint = '; the transpose would fit: import with convention="inputs_outputs"'
        raise ShapeError(
            f"{what}: weights need shape {(outputs, inputs)}, (outputs, inputs), and have "
            f"{array.shape}{hint}"
        )
    else:
        array = array.T
    layer["weights"] = np.array(array, dtype, order="C")
    kind = _norm_of(layer)
    targets = {"bias": layer}
    if kind is not None:
        targets |= {"scale": layer[kind], "shift": layer[kind]}
        if kind == "batch_norm":
            targets |= {"mean": state[kind], "variance": state[kind]}
    for part, tree in targets.items():
        if (i, part) in given:
            name, array = given[i, part]
            if array.shape != (outputs,):
                raise ShapeError(
                    f"layer {i} ({name}): {part} needs shape {(outputs,)}, one number per unit, "
                    f"and has {array.shape}"
                )
            tree[part] = np.array(array, dtype)
