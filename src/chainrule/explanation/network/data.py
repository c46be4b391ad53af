"""What the explanation of a network is made of: modules with their lines, and the whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.explanation.formula.node import Node
from chainrule.explanation.steps.data import render

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Line:
    """``name = formula = value``; the value's shape is that of the convention.

    ``local`` and ``upstream`` are the numbers of the two factors of a gradient, None where it is
    no product of two.
    """

    name: Node
    formula: Node
    value: Array
    local: Array | None = None
    upstream: Array | None = None


@dataclass(frozen=True, eq=False)
class Neurons:
    """A layer on the example, one number a neuron: scores z, h = g(z), what the layer returns
    (h, or h plus its inputs), g'(z), dJ/da and delta = dJ/dz (L0.2, L0.4); of the last layer h
    and a are z and ``up`` is delta."""

    activation: str
    z: Array
    h: Array
    a: Array
    slope: Array
    up: Array
    delta: Array


@dataclass(frozen=True, eq=False)
class Module:
    """One module: what it computes, and what it passes back.

    ``kind`` is "loss", "output activation", "linear", "normalisation", "hidden activation" or
    "residual" (a layer that adds its inputs); ``layer`` counts linear layers from 1 and is 0 for
    the loss.
    """

    kind: str
    layer: int
    title: str
    forward: tuple[Line, ...]
    backward: tuple[Line, ...]

    @property
    def heading(self) -> str:
        """Kind, layer where there may be several of a kind, and title: linear 2."""
        single = self.kind in ("loss", "output activation")
        layer = self.kind if single else f"{self.kind} {self.layer}"
        return layer if self.kind == "linear" else f"{layer}: {self.title}"


@dataclass(frozen=True, eq=False)
class NetworkExplanation:
    """A network on one example: modules from the loss down to the first layer, as in L4.4.

    ``neurons`` has the layers from the first to the last, ``params`` their weights.
    ``deltas`` is the recursion δ = dJ/dz from the last layer to the first. ``gradient`` has the
    tree of the parameters, as ``cr.grad`` of the loss returns it. ``inputs`` and ``outputs``
    are names of columns and of outputs or classes.
    """

    title: str
    modules: tuple[Module, ...]
    deltas: tuple[Line, ...]
    neurons: tuple[Neurons, ...]
    params: Any
    x: Array
    target: Array | None
    prediction: Array
    loss: float
    loss_name: str
    input_gradient: Array
    gradient: Any
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    convention: str
    precision: int
    error: float
    make_graph: Callable[[], Any] = field(repr=False)

    @property
    def graph(self) -> Any:
        """The ``Explanation`` of the loss by every parameter, whose nodes carry the scopes of
        their layers."""
        return self.make_graph()

    def text(self) -> str:
        return render(self, "text", RENDERERS)

    def markdown(self) -> str:
        return render(self, "markdown", RENDERERS)

    def latex(self) -> str:
        return render(self, "latex", RENDERERS)

    def html(self) -> str:
        return render(self, "html", RENDERERS)

    def to_json(self) -> dict[str, Any]:
        return render(self, "to_json", RENDERERS)

    def json(self) -> str:
        return render(self.to_json(), "json")

    def page(self) -> str:
        return render(self, "page", RENDERERS)

    def svg(self) -> str:
        return self.graph.svg()

    def png(self) -> bytes:
        return self.graph.png()

    def dot(self) -> str:
        return self.graph.dot()

    def __str__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        return self.html()


RENDERERS: Mapping[str, str] = {
    form: f"network.text:{form}" for form in ("text", "markdown", "latex", "html", "to_json")
} | {"page": "network.page:page"}
"""Format -> where its renderer is."""
