"""Rules on the network: its units, weights and layers, and what keeps it small."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from chainrule.diagnosis.facts import LINEAR, Evidence, say
from chainrule.diagnosis.findings import Finding
from chainrule.diagnosis.rules_data import FEW
from chainrule.diagnosis.rules_training import first_step, lower_rate


def dead(e: Evidence) -> Iterator[Finding]:
    for layer in e.hidden(-1):
        if layer.dead > 0.6 and (e.poor or e.left > 0.5 or layer.dead > 0.95):
            alive = max(round(layer.units * (1 - layer.dead)), 0)
            high = first_step(e) > 0.05
            change = (
                (f"lower the learning rate: {lower_rate(e):g}", {"learning_rate": lower_rate(e)})
                if high
                else ("use leaky_relu", {"activation": "leaky_relu"})
            )
            yield say(
                "error",
                f"{layer.dead:.0%} of the units are dead: 0 on every row, and so is their gradient",
                f"{alive} of {layer.units} are left",
                *change,
                where=f"layer {layer.name}",
                weight=5 + layer.dead,
            )


def saturated(e: Evidence) -> Iterator[Finding]:
    for layer in e.hidden(-1):
        if layer.saturated > 0.6 and (e.poor or e.left > 0.5):
            yield say(
                "error",
                f"its units are saturated: {layer.activation} is flat there",
                f"{layer.saturated:.0%} of its activations have less than a twentieth of the slope",
                "use smaller initial weights or relu",
                {"init": "auto", "activation": "relu"},
                where=f"layer {layer.name}",
                weight=5,
            )


def vanishing(e: Evidence) -> Iterator[Finding]:
    yield from _chain(e, low=True)


def exploding(e: Evidence) -> Iterator[Finding]:
    yield from _chain(e, low=False)


def _chain(e: Evidence, low: bool) -> Iterator[Finding]:
    layers = e.statistics[0].layers if e.statistics else ()
    if len(layers) < 3:
        return
    first, last = layers[0], layers[-1]
    ratio = first.signal / last.signal if last.signal else 0.0
    if not (ratio < 1e-2 if low else ratio > 1e2) or not (e.poor or e.left > 0.2):
        return
    factors = [layer for layer in layers[:-1] if layer.weight_factor is not None]
    n = len(factors)
    weights = _geometric([layer.weight_factor or 0.0 for layer in factors])
    slopes = _geometric([layer.slope_factor or 0.0 for layer in factors])
    if low and (last.largest == 0 or all(layer.same > 0.9 for layer in layers[:1])):
        return  # outputs that start at 0 pass nothing on; equal weights are a finding of their own
    blame_weights = abs(math.log(max(weights, 1e-300))) > abs(math.log(max(slopes, 1e-300)))
    word = "vanish" if low else "explode"
    if blame_weights:
        change, settings = "initialise for this activation: init auto", {"init": "auto"}
    elif low and e.activation not in ("relu", "leaky_relu"):
        change, settings = "use relu", {"activation": "relu"}
    else:
        change, settings = "normalise: batch_norm", {"batch_norm": True}
    yield say(
        "error",
        f"gradients {word} on the way to layer 1",
        f"{ratio:.1g} of those of the output layer; from layer to layer the weights multiply by "
        f"{weights:.2g} and the slopes by {slopes:.2g}, over {n} layers",
        change,
        settings,
        where="layer 1",
        weight=5.5,
    )


def _geometric(factors: Sequence[float]) -> float:
    logs = [math.log(max(x, 1e-300)) for x in factors]
    return math.exp(sum(logs) / len(logs)) if logs else 1.0


def same_weights(e: Evidence) -> Iterator[Finding]:
    for layer in e.hidden(0):
        if layer.same > 0.5 and layer.units > 1:
            yield say(
                "error",
                "all units start the same, and so stay the same",
                f"weights {'all 0' if layer.largest == 0 else 'equal'} at the start",
                "initialise at random: init auto",
                {"init": "auto"},
                where=f"layer {layer.name}",
                weight=8,
            )
            return


def large_weights(e: Evidence) -> Iterator[Finding]:
    if not e.statistics or not (e.poor or e.left > 0.5 or e.start > 5 * e.chance > 0):
        return
    for layer, inputs in zip(e.statistics[0].layers, e.sizes, strict=False):
        scale = layer.weights / math.sqrt(max(layer.units, 1))  # sqrt(inputs) sigma
        if scale > 4 or 0 < scale < 0.1:
            what = "large" if scale > 4 else "small"
            sigma = scale / math.sqrt(inputs)
            yield say(
                "error",
                f"the initial weights are too {what}",
                f"standard deviation {sigma:.2g} for {inputs} inputs; {1 / math.sqrt(inputs):.2g} "
                "keeps the scale",
                "initialise for this activation: init auto",
                {"init": "auto"},
                where=f"layer {layer.name}",
                weight=5.8,
            )
            return


def linear_layers(e: Evidence) -> Iterator[Finding]:
    curved = e.best_rival[1] - e.rivals.get(LINEAR, math.inf) > max(2.5 * e.error, 0.03)
    if len(e.sizes) == 2 and (e.left > 0.9 if e.rows < FEW else e.poor and curved):
        yield say(
            "error",
            "without a hidden layer the network is linear, and that does not fit these rows",
            f"layers {'-'.join(map(str, e.sizes))}; {e.left:.0%} of the loss of a constant is left",
            "hidden 32",
            {"hidden": (32,)},
            weight=7,
        )
    if len(e.sizes) > 2 and e.activation in ("identity", "linear"):
        grave = e.poor or e.left > 0.3
        yield say(
            "error" if grave else "warning",
            "layers without a non-linear activation are together one linear layer",
            f"{len(e.sizes) - 1} layers, activation {e.activation}",
            "use relu",
            {"activation": "relu"},
            weight=7,
        )


def penalty(e: Evidence) -> Iterator[Finding]:
    strength = max(e.l1, e.l2)
    if strength < 1e-3 or not len(e.losses):
        return
    penalty = e.history[-1].get("penalty") or 0.0
    loss = float(e.losses[-1])
    start, end = e.ends()
    shrunk = (
        start is not None and end is not None
        and end.layers[0].weights < 0.5 * start.layers[0].weights
    )  # fmt: skip
    heavy = penalty > 0.5 * loss or shrunk or strength >= 0.1
    if heavy and (e.poor or e.left > 0.3):
        name = "l2" if e.l2 >= e.l1 else "l1"
        yield say(
            "error",
            "the penalty on the weights is too strong",
            f"{name}={strength:g}" + (f": {penalty:.3g} beside a loss of {loss:.3g}" if penalty else
            "; the weights of layer 1 have shrunk to less than half" if shrunk else ""),
            f"{name}={strength / 100:g}",
            {name: strength / 100},
            weight=6.5,
        )  # fmt: skip


def dropout(e: Evidence) -> Iterator[Finding]:
    if e.dropout >= 0.5 and (e.poor or e.left > 0.35):
        yield say(
            "error",
            "so much dropout that the training rows are not fitted",
            f"dropout {e.dropout:g}; {e.left:.0%} of the loss of a constant is left",
            f"dropout {0.1:g}",
            {"dropout": 0.1},
            weight=11 if e.dropout >= 0.7 else 5.5,
        )


def narrow(e: Evidence) -> Iterator[Finding]:
    hidden = e.sizes[1:-1]
    if not hidden:
        return
    least = min(hidden)
    need = max(min(e.sizes[-1], 8), 3)
    if least <= need and (e.poor or e.left > (0.08 if least <= 2 else 0.3)):
        wider = [max(n, 32) for n in hidden]
        yield say(
            "error",
            f"a hidden layer has {least} unit{'s' * (least != 1)}: too few for the answers",
            f"layers {'-'.join(map(str, e.sizes))}; {e.left:.0%} of the loss of a constant is left",
            f"hidden {','.join(map(str, wider))}",
            {"hidden": tuple(wider)},
            weight=5.2,
        )


def deep(e: Evidence) -> Iterator[Finding]:
    layers = len(e.sizes) - 2
    if layers >= 6 and not e.batch_norm and (e.poor or e.left > 0.5):
        yield say(
            "warning",
            f"{layers} hidden layers are hard to train without normalisation",
            f"{e.left:.0%} of the loss of a constant is left",
            "two hidden layers",
            {"hidden": tuple(e.sizes[1:3])},
            weight=3,
        )


def scales(e: Evidence) -> Iterator[Finding]:
    small, large = e.ranges
    if (large > 100 * small or e.furthest > 50) and (e.poor or e.left > 0.3):
        yield say(
            "error",
            "the inputs have very different scales",
            f"ranges from {small:.2g} to {large:.2g}; the largest input is {e.furthest:.3g}",
            "standardise them: (x - mean) / standard deviation",
            weight=5.6,
        )
