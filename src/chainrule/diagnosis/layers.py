"""The layers of a network as the statistics look at them: each product with weights, with what
normalises it and the activation behind it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from chainrule import nn
from chainrule.nn.activations import Activation, activation

Tree = Any


@dataclass(frozen=True)
class Part:
    """One layer.

    Attributes:
        place: of its weights among the layers' parameters. dense: the product. name: of the
            activation, "" of none. linear: from parameters, state and inputs to what the activation
            is given. bend: the activation, from parameters and its inputs; None of none.
    """

    place: int
    dense: nn.Dense
    name: str
    linear: Callable[[Tree, Tree, Any], Any]
    bend: Callable[[Tree, Any], Any] | None

    def weights(self, params: Tree) -> Any:
        return params["layers"][self.place]["weights"]


@dataclass(frozen=True)
class Parts:
    """The layers, and ``front``: what inputs go through before the first."""

    layers: tuple[Part, ...]
    front: Callable[[Tree, Tree, Any], Any]

    @property
    def outputs(self) -> int:
        return self.layers[-1].dense.outputs


def parts_of(model: Any) -> Parts | None:
    """The layers of an ``nn.MLP``, or of an ``nn.Sequential`` of dense layers, normalisations and
    activations, behind whatever takes the inputs; None of other networks."""
    if isinstance(model, nn.MLP):
        blocks: Sequence[Any] = model.blocks
        if any(block.residual for block in blocks):
            return None
        return Parts(tuple(map(_of_block, range(len(blocks)), blocks)), lambda _p, _s, x: x)
    if not isinstance(model, nn.Sequential):
        return None
    layers = model.layers
    places = [i for i, layer in enumerate(layers) if isinstance(layer, nn.Dense)]
    ends = [*places[1:], len(layers)]
    found = [_of_layers(layers, i, end) for i, end in zip(places, ends, strict=False)]
    parts = tuple(part for part in found if part is not None)
    if not places or len(parts) < len(found) or parts[-1].bend is not None:
        return None

    def front(params: Tree, state: Tree, x: Any) -> Any:
        return _through(layers, range(places[0]), params, state, x)

    return Parts(parts, front)


def _of_block(i: int, block: Any) -> Part:
    def linear(params: Tree, state: Tree, x: Any) -> Any:
        one, own = params["layers"][i], state["layers"][i]
        z, _ = block.linear(one, {}, x)
        if block.batch_norm is not None:
            z, _ = block.batch_norm(one["batch_norm"], own["batch_norm"], z, train=True)
        if block.layer_norm is not None:
            z, _ = block.layer_norm(one["layer_norm"], {}, z)
        return z

    act = block.activation
    if act is None:
        return Part(i, block.linear, "", linear, None)
    return Part(i, block.linear, act.name, linear, lambda _, z: act(z))


def _of_layers(layers: Sequence[Any], i: int, end: int) -> Part | None:
    """The dense layer ``i`` with those up to the next: normalisations, then what works entry by
    entry; None where there is anything else."""
    first = i + 1
    while first < end and isinstance(layers[first], (nn.BatchNorm, nn.LayerNorm)):
        first += 1
    rest = [j for j in range(first, end) if not isinstance(layers[j], nn.Dropout)]
    if not all(isinstance(layers[j], (Activation, nn.Parametric, nn.Scale)) for j in rest):
        return None

    def linear(params: Tree, state: Tree, x: Any) -> Any:
        return _through(layers, range(i, first), params, state, x, train=True)

    def bend(params: Tree, z: Any) -> Any:
        return _through(layers, rest, params, None, z)

    names = [_name(layers[j]) for j in rest]
    name = next((name for name in names if name), "")
    return Part(i, layers[i], name, linear, bend if rest else None)


def _name(layer: Any) -> str:
    if isinstance(layer, nn.Parametric):
        return activation(layer.activation).name
    return layer.name if isinstance(layer, Activation) else ""


def _through(
    layers: Sequence[Any], places: Sequence[int], params: Tree, state: Tree, x: Any, **how: Any
) -> Any:
    for i in places:
        if isinstance(layers[i], Activation):
            x = layers[i](x)
        else:
            own = {} if state is None else state["layers"][i]
            x, _ = layers[i](params["layers"][i], own, x, **how)
    return x
