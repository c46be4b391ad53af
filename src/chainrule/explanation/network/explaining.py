"""One example through a network, module by module (L4.4), with the delta recursion (L0.4, L2.3).

Every number is computed by the network's own layers and by the engine's derivatives of them;
the formulas beside them are in the convention of the user's choice (L0.3).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from chainrule import nn
from chainrule.api import value_and_grad, vjp
from chainrule.core.recording import quiet, scope
from chainrule.errors import UsageError
from chainrule.explanation.formula.expressions import (
    MINUS_ONE,
    added,
    call_of,
    derivative,
    factors_of,
    is_call,
    multiplied,
    named,
)
from chainrule.explanation.formula.node import Node
from chainrule.explanation.network.data import Line, Module, NetworkExplanation, Neurons
from chainrule.explanation.network.modules import (
    CONVENTIONS,
    LOSS,
    OUTPUTS,
    SIMPLE_DELTA,
    TARGET,
    Convention,
    activation_formulas,
    contracted,
    formulas_at,
    oriented,
)
from chainrule.explanation.steps.explaining import check_precision, explain

Array = np.ndarray


def explain_network(
    model: nn.MLP,
    params: Any,
    x: Any,
    target: Any,
    *,
    state: Any = None,
    loss: Any = None,
    convention: str = "inputs_outputs",
    precision: int = 10,
    inputs: Sequence[str] = (),
    outputs: Sequence[str] = (),
    title: str = "",
) -> NetworkExplanation:
    """Explain one example through an MLP, as prediction sees it (no dropout).

    Args:
        x: the example's inputs, shape (inputs,). target: as the loss takes it: a class, a
            number, or probabilities. loss: from ``nn``; by default the one that fits one
            output and a 0/1 target, or several outputs and a class.
        convention: "inputs_outputs", "outputs_inputs", "torch" or "bias_row" (L0.3).
        inputs, outputs: names of the inputs, and of the outputs or classes.

    Raises:
        UsageError: an unknown convention, or no target to compare with.
    """
    check_precision(precision)
    if convention not in CONVENTIONS:
        raise UsageError(f"convention={convention!r}: choose one of {', '.join(CONVENTIONS)}")
    if target is None:
        raise UsageError(
            "the row has no target, and without one there is no loss to explain; choose a row "
            "whose target is known"
        )
    if loss is None:
        single = model.sizes[-1] == 1
        loss = nn.BinaryCrossEntropy() if single else nn.CategoricalCrossEntropy()
    x = np.asarray(x, np.asarray(params["layers"][0]["weights"]).dtype).reshape(1, -1)
    state = state if state is not None else model.init(0)[1]
    rows = np.asarray(target)[None] if np.ndim(target) else np.asarray([target])
    prepared = loss.prepare(rows, model.sizes[-1], x.dtype)
    walk = _Walk(model, params, state, loss, x, prepared, CONVENTIONS[convention])
    return walk.explanation(precision, tuple(inputs), tuple(outputs), title)


class _Walk:
    """Runs the network module by module and pulls the loss back through it."""

    def __init__(
        self,
        model: nn.MLP,
        params: Any,
        state: Any,
        loss: Any,
        x: Array,
        target: Array,
        c: Convention,
    ) -> None:
        self.model, self.params, self.state, self.loss = model, params, state, loss
        self.x, self.target, self.c = x, target, c
        self.depth = len(model.blocks)
        self.modules: list[Module] = []
        self.deltas: list[Line] = []
        self.neurons: list[Neurons] = []

    # Names ------------------------------------------------------------------------------------

    def name(self, letter: str, layer: int, accent: str = "") -> Node:
        single = self.depth == 1 and letter in "zδ"
        return named(f"{letter}{layer}", letter, "" if single else str(layer), accent, (1, 2))

    def activated(self, layer: int) -> Node:
        """What the activation returns: a, or h where the layer adds its inputs, a = h + inputs."""
        return self.name("h" if self.model.blocks[layer - 1].residual else "a", layer)

    def below(self, layer: int) -> Node:
        """What layer ``layer`` reads: x or the activation under it."""
        return named("x", "x", shape=(1, 2)) if layer == 1 else self.name("a", layer - 1)

    @property
    def prediction(self) -> Node:
        return named("y_hat", "y", "", "hat", (1, 2))

    def shown(self, array: Any) -> Array:
        return oriented(array, self.c.columns)

    # The two passes ---------------------------------------------------------------------------

    def explanation(
        self, precision: int, inputs: tuple[str, ...], outputs: tuple[str, ...], title: str
    ) -> NetworkExplanation:
        with quiet():
            scores, pulls = self._forward()
            self.outputs = [self.x, *(np.asarray(parts[-1][1]) for parts in pulls)]
            prediction = np.asarray(self.loss.predict(scores))
            delta = self._top(scores, prediction)
            for layer in range(self.depth, 0, -1):
                delta = self._layer(layer, delta, pulls[layer - 1])
            value, gradient = value_and_grad(self._loss)(self.params)
        return NetworkExplanation(
            title=title,
            modules=tuple(self.modules),
            deltas=tuple(self.deltas),
            neurons=tuple(reversed(self.neurons)),
            params=self.params,
            x=self.x[0],
            target=self._target_row(prediction),
            prediction=prediction[0],
            loss=float(value),
            loss_name=self.loss.name,
            input_gradient=np.asarray(delta)[0],
            gradient=gradient,
            inputs=inputs,
            outputs=outputs,
            convention=self.c.name,
            precision=precision,
            error=self._error(gradient),
            make_graph=lambda: self._graph(precision),
        )

    def _loss(self, params: Any) -> Any:
        outputs, _ = self.model(params, self.state, self.x)
        with scope("loss"):
            return np.sum(self.loss(outputs, self.target))

    def _forward(self) -> tuple[Any, list[Any]]:
        """Linear outputs, and for each layer the pullbacks of its parts in order."""
        h, pulls = self.x, []
        for i, block in enumerate(self.model.blocks):
            params, state = self.params["layers"][i], self.state["layers"][i]
            a, back = vjp(lambda p, z, b=block: b.linear(p, {}, z)[0], _linear_part(params), h)
            parts = [("linear", a, back)]
            normal = block.batch_norm or block.layer_norm
            if normal is not None:
                key = "batch_norm" if block.batch_norm else "layer_norm"
                run = functools.partial(normal, params[key], state.get(key, {}))
                n, back = vjp(lambda z, run=run: run(z)[0], a)
                parts.append(("normalisation", n, back))
            if block.activation is not None:
                y, back = vjp(block.activation, parts[-1][1])
                parts.append(("hidden activation", y, back))
            if block.residual:
                parts.append(("residual", *vjp(lambda y, h: h + y, parts[-1][1], h)))
            pulls.append(parts)
            h = parts[-1][1]
        return h, pulls

    def _target_row(self, prediction: Array) -> Array:
        """The target in the shape of the prediction; a class becomes one-hot."""
        if self.target.ndim == prediction.ndim:
            return self.target[0]
        if self.target.dtype.kind in "iu":
            return np.eye(prediction.shape[1])[self.target[0]]
        return self.target.reshape(-1)

    # Modules ----------------------------------------------------------------------------------

    def _top(self, scores: Any, prediction: Array) -> Array:
        """The loss and the output unit; returns dJ/dz of the last layer."""
        z, y = self.name("z", self.depth), self.prediction
        t = self._target_row(prediction).reshape(1, -1)
        losses, pull = vjp(lambda outputs: self.loss(outputs, self.target), scores)
        (delta,) = pull(np.ones_like(losses))
        found = OUTPUTS.get(self.loss.name)
        value = np.asarray(losses).reshape(())
        if found is None:
            self._other_loss(z, scores, t, Line(LOSS, z, value), delta, prediction)
            return delta
        up = derivative(LOSS, y)
        slope = vjp(self.loss.predict, scores)[1](np.ones_like(prediction))[0]
        down = self.shown(found.gradient(prediction, t, delta, slope))
        self.modules.append(
            Module(
                "loss",
                0,
                self.loss.name.replace("_", " "),
                (Line(LOSS, found.loss(y), value),),
                (Line(up, found.slope(y), down),),
            )
        )
        unit = z if found.unit is None else found.unit(z)
        through: Node = added(y, multiplied(MINUS_ONE, TARGET))
        lines = [Line(derivative(LOSS, z), through, self.shown(delta))]
        if found.passed is not None:
            product = multiplied(up, *factors_of(found.passed(y)))
            factors = (self.shown(slope), down)
            lines.insert(0, Line(derivative(LOSS, z), product, self.shown(delta), *factors))
        self.modules.append(
            Module(
                "output activation",
                self.depth,
                found.unit_name,
                (Line(y, unit, self.shown(prediction)),),
                tuple(lines),
            )
        )
        return delta

    def _other_loss(
        self, z: Node, scores: Any, t: Array, line: Line, delta: Any, prediction: Array
    ) -> None:
        """A loss by the scores, and what its output unit makes of them."""
        single = scores.size == t.size == 1
        names = {"z": z, "y": TARGET}
        formula, slope, at = None, None, scores.reshape(-1)
        if single:
            point = {"z": at[0], "y": t.reshape(-1)[0]}
            formula, slope = formulas_at(lambda z, y: self.loss(z, y), point, names, "J")
        unit, _ = formulas_at(lambda z: self.loss.predict(z), {"z": at}, names, "p")
        forward = replace(line, formula=formula or call_of("loss", (z, TARGET), (), ()))
        passed = slope or call_of("slope", (z, TARGET), (), ())
        back = (Line(derivative(LOSS, z), passed, self.shown(delta)),)
        name = self.loss.name.replace("_", " ")
        self.modules.append(Module("loss", 0, name, (forward,), back))
        title = "identity" if unit is z else unit.op if unit and is_call(unit) else "unit"
        unit = unit or named("unit", f"predict({z.text()})")
        shown = (Line(self.prediction, unit, self.shown(prediction)),)
        self.modules.append(Module("output activation", self.depth, title, shown, ()))

    def _layer(self, layer: int, delta: Any, parts: list[Any]) -> Any:
        """The modules of one layer from the top; ``delta`` comes in as dJ/da (dJ/dz for the
        last layer) and goes out as dJ/dx of what is below."""
        block, up, slope = self.model.blocks[layer - 1], delta, np.ones_like(delta)
        z, n, h, a = (self.name(letter, layer) for letter in "znha")
        h, skipped, formula = h if block.residual else a, None, a
        for kind, value, pull in reversed(parts[1:]):
            passed, *rest = pull(delta)
            under, over, local = z, n, None
            if kind == "hidden activation":
                title, over = str(block.activation), h
                under = n if block.batch_norm or block.layer_norm else z
                forward, prime = activation_formulas(block.activation, under, over)
                formula = multiplied(derivative(LOSS, over), *factors_of(prime))
                (slope,) = pull(np.ones_like(delta))
                local = self.shown(slope)
            elif kind == "residual":
                title, under, over, (skipped,) = "plus inputs", h, a, rest
                forward, formula = added(self.below(layer), h), derivative(LOSS, a)
            else:
                title = "batch norm" if block.batch_norm else "layer norm"
                forward = call_of(title.replace(" ", "_"), (under,), (), (1, 2))
                formula = call_of("pulled_back", (derivative(LOSS, over),), (), (1, 2))
            line = Line(over, forward, self.shown(value))
            factors = (None, None) if local is None else (local, self.shown(delta))
            back = Line(derivative(LOSS, under), formula, self.shown(passed), *factors)
            self.modules.append(Module(kind, layer, title, (line,), (back,)))
            delta = passed
        self._delta_line(layer, delta)
        activated = parts[-1 - (skipped is not None)][1]
        shown = (parts[0][1], activated, parts[-1][1], slope, up, delta)
        numbers = (np.asarray(v)[0] for v in shown)
        self.neurons.append(Neurons(str(block.activation or ""), *numbers))
        return self._linear(layer, delta, parts[0], skipped)

    def _delta_line(self, layer: int, delta: Any) -> None:
        """δ = ŷ − y at the top, δ Wᵀ ⊙ g′(z) below (L0.4)."""
        name = self.name("δ", layer)
        if layer == self.depth:
            matched = self.loss.name in SIMPLE_DELTA
            formula: Node = (
                added(self.prediction, multiplied(MINUS_ONE, TARGET))
                if matched
                else derivative(LOSS, self.name("z", layer))
            )
        else:
            above, w = self.name("δ", layer + 1), self._inner(layer + 1)
            pulled = self._passed(layer + 1, contracted(self.c, "inputs", w, w, above))
            block = self.model.blocks[layer - 1]
            z, h = self.name("z", layer), self.activated(layer)
            _, slope = activation_formulas(block.activation, z, h)
            formula = multiplied(pulled, *factors_of(slope))
            if block.batch_norm or block.layer_norm:
                formula = call_of("pulled_back", (formula,), (), (1, 2))
        self.deltas.append(Line(name, formula, self.shown(delta)))

    def _passed(self, layer: int, through: Node) -> Node:
        """dJ/dx of what a layer reads: through its weights, and past them where it adds x."""
        past = self.model.blocks[layer - 1].residual
        return added(through, derivative(LOSS, self.name("a", layer))) if past else through

    @property
    def _weights(self) -> str:
        return "Θ" if self.c.name == "bias_row" else "W"

    def _inner(self, layer: int) -> Node:
        """The weights without the row of the bias, which leads to nothing below."""
        w = self.name(self._weights, layer)
        joined = self.c.name == "bias_row"
        return named(w.key + "_below", w.data.letter, w.data.index, "bar", (1, 2)) if joined else w

    def _linear(self, layer: int, delta: Any, part: Any, skipped: Any) -> Any:
        _, value, pull = part
        gradients, under = pull(delta)
        z, below, d = self.name("z", layer), self.below(layer), self.name("δ", layer)
        w, b = self.name(self._weights, layer), self.name("b", layer)
        joined = self.c.name == "bias_row"
        with_one = named(f"one_{below.key}", f"[1, {below.text()}]", shape=(1, 2))
        source = with_one if joined else below
        product = contracted(self.c, "forward", source, w, d)
        has_bias = "bias" in gradients
        forward = added(product, b) if has_bias and not joined else product
        slope = contracted(self.c, "weights", source, w, d)
        up, read = self.shown(delta), self._reads(layer)
        lines = [Line(derivative(LOSS, w), slope, self._stored(gradients), read, up)]
        if has_bias and not joined:
            lines.append(Line(derivative(LOSS, b), d, self.shown(gradients["bias"])))
        back = self._passed(layer, contracted(self.c, "inputs", below, self._inner(layer), d))
        factors: tuple[Any, Any] = (None, None)
        if skipped is not None:
            under = under + skipped
        else:
            factors = (self._stored(self.params["layers"][layer - 1], bias=False), up)
        lines.append(Line(derivative(LOSS, below), back, self.shown(under), *factors))
        forward_lines = (Line(z, forward, self.shown(value)),)
        self.modules.append(Module("linear", layer, "linear", forward_lines, tuple(lines)))
        return under

    def _reads(self, layer: int) -> Array:
        """What the layer's weights multiply, as the convention has it."""
        below = self.outputs[layer - 1]
        joined = self.c.name == "bias_row"
        return self.shown(np.concatenate([np.ones((1, 1)), below], axis=1) if joined else below)

    def _stored(self, gradients: Any, bias: bool = True) -> Array:
        """Weights, or their gradient, in the layout of the convention."""
        weights = np.asarray(gradients["weights"])
        if self.c.name == "bias_row" and bias:
            first = gradients.get("bias", np.zeros(weights.shape[1], weights.dtype))
            return np.concatenate([np.asarray(first)[None, :], weights])
        return weights.T if self.c.transposed else weights

    # Checks and the graph -------------------------------------------------------------------------

    def _error(self, gradient: Any) -> float:
        """The largest difference between the module table and ``cr.grad`` of the whole loss."""
        worst = 0.0
        linear = {m.layer: m for m in self.modules if m.kind == "linear"}
        for i, layer in enumerate(gradient["layers"]):
            wanted = self._stored(layer)
            found = linear[i + 1].backward[0].value
            scale = max(float(np.max(np.abs(wanted), initial=0.0)), 1e-300)
            worst = max(worst, float(np.max(np.abs(found - wanted), initial=0.0)) / scale)
        return worst

    def _graph(self, precision: int) -> Any:
        return explain(self._loss, (self.params,), precision=precision, name="J")


def _linear_part(params: Any) -> Any:
    return {key: params[key] for key in ("weights", "bias") if key in params}
