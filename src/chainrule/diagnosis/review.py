"""A verdict on training: rules over what a run left behind, each with its evidence and one change.

A rule is a function from ``Evidence`` to findings; the table is ``RULES``. A sign that costs
nothing is no finding: what concerns learning is said where the network does worse than it could,
which two models without training show, nearest neighbours and a linear one, or the curve does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.diagnosis.findings import Finding, Findings
from chainrule.diagnosis.statistics import LayerStatistics, Statistics

__all__ = ["RULES", "Evidence", "review_evidence"]

Row = dict[str, Any]


@dataclass(frozen=True)
class Evidence:
    """What the rules look at.

    Attributes:
        sizes, activation, initializer, dropout, batch_norm: of the network.
        loss: the name of the loss. classes: how many the targets have, 0 of numbers.
        optimizer: its name. rate: the learning rate, None of a line search; usual: the rate that
            this optimiser has unless told otherwise.
        batch, rows, epochs: rows of a minibatch and of the training set; epochs asked for.
        l1, l2: strengths of the penalty.
        patience: of early stopping, 0 without.
        history: a row an epoch: ``train_loss``, ``validation_loss``, maybe ``penalty``.
        stopped: why training ended. kept: the epoch whose weights were kept.
        statistics: of the layers, from the start on; empty where nobody looked.
        chance: the mean loss of the best constant answer. start: the loss before training.
        score, train_score: accuracy, or R2, on held-out rows and on training rows.
        rivals: scores of models that take no training on the same held-out rows, by name.
        error: the standard error of ``score`` for so many held-out rows.
        constant: the score of the best constant answer.
        spread: the largest and the smallest standard deviation of an input.
        furthest: the largest absolute input. shares: of the classes, in the training rows.
    """

    sizes: tuple[int, ...] = ()
    activation: str = ""
    initializer: str = "auto"
    dropout: float = 0.0
    batch_norm: bool = False
    loss: str = ""
    classes: int = 0
    optimizer: str = ""
    rate: float | None = None
    usual: float | None = None
    batch: int = 0
    rows: int = 0
    epochs: int = 0
    l1: float = 0.0
    l2: float = 0.0
    patience: int = 0
    history: Sequence[Row] = ()
    stopped: str = "epochs"
    kept: int = 0
    statistics: Sequence[Statistics] = ()
    chance: float = math.nan
    start: float = math.nan
    score: float = math.nan
    train_score: float = math.nan
    rivals: dict[str, float] = field(default_factory=dict[str, float])
    error: float = 0.0
    constant: float = math.nan
    spread: tuple[float, float] = (1.0, 1.0)
    furthest: float = 1.0
    shares: tuple[float, ...] = ()

    @property
    def losses(self) -> np.ndarray:
        """The training loss of each epoch."""
        return np.array([row["train_loss"] for row in self.history], float)

    @property
    def held(self) -> np.ndarray:
        """The validation loss of each epoch; empty without."""
        found = [row.get("validation_loss") for row in self.history]
        return np.array([x for x in found if x is not None], float)

    @property
    def updates(self) -> int:
        """How many updates an epoch has."""
        return max(math.ceil(self.rows / max(self.batch, 1)), 1) if self.batch else 1

    @property
    def best_rival(self) -> tuple[str, float]:
        """The best of the models that take no training."""
        if not self.rivals:
            return "", -math.inf
        name = max(self.rivals, key=lambda one: self.rivals[one])
        return name, self.rivals[name]

    @property
    def short(self) -> float:
        """By how many standard errors the score falls short of a rival's; 0 where it doesn't."""
        _, best = self.best_rival
        if not math.isfinite(best) or not math.isfinite(self.score):
            return 0.0 if math.isfinite(self.score) else 9.0
        return max(best - self.score, 0.0) / max(self.error, 1e-9)

    @property
    def poor(self) -> bool:
        """Whether the network does clearly worse than a model that takes no training."""
        _, best = self.best_rival
        return self.short > 2.5 and not best - self.score <= 0.03

    @property
    def unfitted(self) -> bool:
        """Whether even the training rows are far from fitted."""
        return self.left > 0.5

    @property
    def left(self) -> float:
        """The share of the loss of a constant answer that is left on the training rows."""
        if not len(self.losses) or not self.chance > 0:
            return 0.0
        last = self.losses[-1]
        return float(last / self.chance) if math.isfinite(last) else math.inf

    def ends(self) -> tuple[Statistics | None, Statistics | None]:
        """The statistics of the start and of the end."""
        found = self.statistics
        return (found[0], found[-1]) if found else (None, None)

    def hidden(self, which: int) -> Sequence[LayerStatistics]:
        """The hidden layers at the start (0) or the end (-1)."""
        return self.statistics[which].layers[:-1] if self.statistics else ()


def review_evidence(evidence: Evidence) -> Findings:
    """The findings of all rules, ranked."""
    found: list[Finding] = []
    for name, rule in RULES.items():
        for one in rule(evidence):
            found.append(
                Finding(
                    name, one.level, one.text, one.evidence, one.change, one.settings,
                    one.where, one.weight,
                )
            )  # fmt: skip
    return Findings.ranked(found, list(RULES))


def _say(
    level: str,
    text: str,
    evidence: str,
    change: str,
    settings: dict[str, Any] | None = None,
    where: str = "",
    weight: float = 1.0,
) -> Finding:
    return Finding("", level, text, evidence, change, settings or {}, where, weight)


# The rules ----------------------------------------------------------------------------------


def _wrong_loss(e: Evidence) -> Iterator[Finding]:
    of_classes = ("binary_cross_entropy", "categorical_cross_entropy", "hinge", "focal")
    if e.classes and e.loss and e.loss not in of_classes:
        right = "binary_cross_entropy" if e.classes == 2 else "categorical_cross_entropy"
        yield _say(
            "error",
            f"the loss {e.loss} does not fit targets that are {e.classes} classes",
            "its minimum is a mean or a quantile of class numbers, not a probability",
            f"use {right}",
            {"loss": right},
            weight=9,
        )
    if not e.classes and e.loss in of_classes:
        yield _say(
            "error",
            f"the loss {e.loss} does not fit targets that are numbers",
            "it takes classes or probabilities",
            "use squared_error",
            {"loss": "squared_error"},
            weight=9,
        )


def _diverged(e: Evidence) -> Iterator[Finding]:
    losses = e.losses
    if e.stopped == "non_finite" or (len(losses) and not np.isfinite(losses).all()):
        yield _say(
            "error",
            "training left the finite numbers",
            f"after epoch {len(losses)}",
            f"lower the learning rate: {_lower(e):g}",
            {"learning_rate": _lower(e)},
            weight=10,
        )


def _rate_too_high(e: Evidence) -> Iterator[Finding]:
    losses = e.losses
    if len(losses) < 2 or e.rate is None or not np.isfinite(losses).all():
        return
    moved = _moved(e)
    worst = float(losses.max())
    rises = float(np.mean(np.diff(losses) > 0.02 * np.abs(losses[:-1])))
    top = float(losses[: max(len(losses) // 2, 2)].max())
    signs = []
    if e.chance > 0 and worst > 3 * e.chance:
        signs.append(
            f"the loss reached {worst:.3g}, {worst / e.chance:.2g} times that of a constant"
        )
    if rises > 0.3 and e.left > 0.02:
        signs.append(f"it rose in {rises:.0%} of the epochs")
    if moved > 0.05:
        signs.append(f"update / weight = {moved:.2g} in the first epoch (healthy: 1e-4 to 1e-2)")
    usual = e.usual or e.rate
    far = e.rate / usual
    if (
        (len(signs) >= 2 and (e.poor or e.left > 0.3))
        or (moved > 0.3 and e.left > 0.1)
        or (signs and far >= 10 and (e.poor or e.left > 0.5))
    ):
        yield _say(
            "error",
            "the learning rate is too high",
            "; ".join(signs) + (f"; best {losses.min():.3g}, top {top:.3g}" if top else ""),
            f"lower it: {_lower(e):g}",
            {"learning_rate": _lower(e)},
            weight=6 + len(signs) + min(moved, 1),
        )


def _moved(e: Evidence) -> float:
    """The largest relative step of a layer's weights in the first epoch that was looked at."""
    for one in e.statistics[1:]:
        found = [layer.moved for layer in one.layers if layer.moved is not None]
        return max(found, default=0.0)
    return 0.0


def _lower(e: Evidence) -> float:
    rate = e.rate or 0.01
    usual = e.usual or rate / 10
    return float(f"{min(usual, rate / 10):.1g}")


def _rate_too_low(e: Evidence) -> Iterator[Finding]:
    losses = e.losses
    if len(losses) < 2 or e.rate is None or not np.isfinite(losses).all():
        return
    moved = _moved(e)
    far = e.usual is not None and e.rate <= e.usual / 8
    slow = 0 < moved < 2e-5 or (moved < 3e-4 and far)
    if slow and _falling(losses) > (0 if far else 0.001) and (e.left > 0.1 or e.poor):
        better = float(f"{max(e.usual or 0.0, 10 * e.rate):.1g}")
        yield _say(
            "error",
            "the learning rate is too low",
            f"update / weight = {moved:.1g} (healthy: 1e-4 to 1e-2); the loss still falls "
            f"after {len(losses)} epochs, and {e.left:.0%} of that of a constant is left",
            f"raise it: {better:g}",
            {"learning_rate": better},
            weight=6,
        )


def _falling(losses: np.ndarray) -> float:
    """By what share of itself the loss falls in an epoch, over the last quarter of them."""
    n = max(len(losses) // 4, 1)
    before, last = float(losses[-1 - n]), float(losses[-1])
    return (before - last) / (n * abs(before)) if before else 0.0


def _stopped_early(e: Evidence) -> Iterator[Finding]:
    losses = e.losses
    if len(losses) < 2 or e.stopped != "epochs" or not np.isfinite(losses).all():
        return
    held = e.held
    falling, beside = _falling(losses), _falling(held) if len(held) == len(losses) else math.inf
    gain = falling * len(losses)
    if gain > 0.15 and beside * len(losses) > 0.1 and e.left > 0.02 and len(losses) <= e.epochs:
        grave = e.poor or e.left > 0.3
        yield _say(
            "error" if grave else "note",
            "training was stopped too early",
            f"in its last quarter the loss fell by {falling:.1%} an epoch"
            + (f", the validation loss by {beside:.1%}" if math.isfinite(beside) else ""),
            f"train for {max(3 * len(losses), 30)} epochs",
            {"epochs": max(3 * len(losses), 30)},
            weight=5 if grave else 2,
        )


def _dead(e: Evidence) -> Iterator[Finding]:
    for layer in e.hidden(-1):
        if layer.dead > 0.6 and (e.poor or e.left > 0.5 or layer.dead > 0.95):
            alive = max(round(layer.units * (1 - layer.dead)), 0)
            high = _moved(e) > 0.05
            change = (
                (f"lower the learning rate: {_lower(e):g}", {"learning_rate": _lower(e)})
                if high
                else ("use leaky_relu", {"activation": "leaky_relu"})
            )
            yield _say(
                "error",
                f"{layer.dead:.0%} of the units of layer {layer.name} are dead: 0 on every row, "
                "and so is their gradient",
                f"{alive} of {layer.units} are left",
                *change,
                where=f"layer {layer.name}",
                weight=5 + layer.dead,
            )


def _saturated(e: Evidence) -> Iterator[Finding]:
    for layer in e.hidden(-1):
        if layer.saturated > 0.6 and (e.poor or e.left > 0.5):
            yield _say(
                "error",
                f"layer {layer.name} is saturated: {layer.activation} is flat there",
                f"{layer.saturated:.0%} of its activations have less than a twentieth of the slope",
                "use smaller initial weights or relu",
                {"init": "auto", "activation": "relu"},
                where=f"layer {layer.name}",
                weight=5,
            )


def _vanishing(e: Evidence) -> Iterator[Finding]:
    yield from _chain(e, low=True)


def _exploding(e: Evidence) -> Iterator[Finding]:
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
    if low and all(layer.same > 0.9 for layer in layers[:1]):
        return  # constant weights are a finding of their own
    blame_weights = abs(math.log(max(weights, 1e-300))) > abs(math.log(max(slopes, 1e-300)))
    word = "vanish" if low else "explode"
    if blame_weights:
        change, settings = "initialise for this activation: init auto", {"init": "auto"}
    elif low and e.activation not in ("relu", "leaky_relu"):
        change, settings = "use relu", {"activation": "relu"}
    else:
        change, settings = "normalise: batch_norm", {"batch_norm": True}
    yield _say(
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


def _same_weights(e: Evidence) -> Iterator[Finding]:
    for layer in e.hidden(0):
        if layer.same > 0.5 and layer.units > 1:
            yield _say(
                "error",
                f"all units of layer {layer.name} start the same, and so stay the same",
                f"weights {'all 0' if layer.largest == 0 else 'equal'} at the start",
                "initialise at random: init auto",
                {"init": "auto"},
                where=f"layer {layer.name}",
                weight=8,
            )
            return


def _large_weights(e: Evidence) -> Iterator[Finding]:
    if not e.statistics or not (e.poor or e.left > 0.5 or e.start > 5 * e.chance > 0):
        return
    for layer, inputs in zip(e.statistics[0].layers, e.sizes, strict=False):
        scale = layer.weights / math.sqrt(max(layer.units, 1))  # sqrt(inputs) sigma
        if scale > 4 or 0 < scale < 0.1:
            what = "large" if scale > 4 else "small"
            sigma = scale / math.sqrt(inputs)
            yield _say(
                "error",
                f"the initial weights of layer {layer.name} are too {what}",
                f"standard deviation {sigma:.2g} for {inputs} inputs; {1 / math.sqrt(inputs):.2g} "
                "keeps the scale",
                "initialise for this activation: init auto",
                {"init": "auto"},
                where=f"layer {layer.name}",
                weight=5.8,
            )
            return


def _linear_layers(e: Evidence) -> Iterator[Finding]:
    if len(e.sizes) > 2 and e.activation in ("identity", "linear"):
        grave = e.poor or e.left > 0.3
        yield _say(
            "error" if grave else "warning",
            "layers without a non-linear activation are together one linear layer",
            f"{len(e.sizes) - 1} layers, activation {e.activation}",
            "use relu",
            {"activation": "relu"},
            weight=7,
        )


def _penalty(e: Evidence) -> Iterator[Finding]:
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
        yield _say(
            "error",
            "the penalty on the weights is too strong",
            f"{name}={strength:g}" + (f": {penalty:.3g} beside a loss of {loss:.3g}" if penalty else
            "; the weights of layer 1 have shrunk to less than half" if shrunk else ""),
            f"{name}={strength / 100:g}",
            {name: strength / 100},
            weight=6.5,
        )  # fmt: skip


def _dropout(e: Evidence) -> Iterator[Finding]:
    if e.dropout >= 0.5 and (e.poor or e.left > 0.35):
        yield _say(
            "error",
            "so much dropout that the training rows are not fitted",
            f"dropout {e.dropout:g}; {e.left:.0%} of the loss of a constant is left",
            f"dropout {0.1:g}",
            {"dropout": 0.1},
            weight=11 if e.dropout >= 0.7 else 5.5,
        )


def _narrow(e: Evidence) -> Iterator[Finding]:
    hidden = e.sizes[1:-1]
    if not hidden:
        return
    least = min(hidden)
    need = max(min(e.sizes[-1], 8), 3)
    if least <= need and (e.poor or e.left > (0.08 if least <= 2 else 0.3)):
        wider = [max(n, 32) for n in hidden]
        yield _say(
            "error",
            f"a hidden layer has {least} unit{'s' * (least != 1)}: too few for the answers",
            f"layers {'-'.join(map(str, e.sizes))}; {e.left:.0%} of the loss of a constant is left",
            f"hidden {','.join(map(str, wider))}",
            {"hidden": tuple(wider)},
            weight=5.2,
        )


def _deep(e: Evidence) -> Iterator[Finding]:
    layers = len(e.sizes) - 2
    if layers >= 6 and not e.batch_norm and (e.poor or e.left > 0.5):
        yield _say(
            "warning",
            f"{layers} hidden layers are hard to train without normalisation",
            f"{e.left:.0%} of the loss of a constant is left",
            "two hidden layers",
            {"hidden": tuple(e.sizes[1:3])},
            weight=3,
        )


def _scales(e: Evidence) -> Iterator[Finding]:
    large, small = e.spread
    if (large > 100 * max(small, 1e-12) or e.furthest > 50) and (e.poor or e.left > 0.3):
        yield _say(
            "error",
            "the inputs have very different scales",
            f"standard deviations from {small:.2g} to {large:.2g}; the largest input is "
            f"{e.furthest:.3g}",
            "standardise them: (x - mean) / standard deviation",
            weight=5.6,
        )


def _few_updates(e: Evidence) -> Iterator[Finding]:
    total = e.updates * len(e.history)
    few = total < 100 or (total < 200 and (e.poor or e.left > 0.3))
    if e.rate is not None and e.updates <= 4 and few and len(e.history) > 4:
        small = 32 if e.rows > 64 else max(e.rows // 4, 1)
        yield _say(
            "error",
            "the minibatches are so large that there were few updates",
            f"{total} updates of {e.batch} rows",
            f"batch size {small}",
            {"batch_size": small},
            weight=5.1,
        )


def _slow_optimizer(e: Evidence) -> Iterator[Finding]:
    plain = e.optimizer in ("sgd", "adagrad")
    if (
        plain and e.left > 0.3 and 0 <= _moved(e) < 3e-3 and _falling(e.losses) > 0
        if len(e.losses) > 1
        else False
    ):
        yield _say(
            "warning",
            f"{e.optimizer} makes little headway here",
            f"{e.left:.0%} of the loss of a constant is left after {len(e.history)} epochs",
            "use adam",
            {"optimizer": "adam", "learning_rate": None},
            weight=4.5,
        )


def _overfitted(e: Evidence) -> Iterator[Finding]:
    held, losses = e.held, e.losses
    if len(held) < 4 or len(held) != len(losses):
        return
    best = int(np.argmin(held))
    rise = held[-1] / held[best] - 1 if held[best] > 0 else 0.0
    kept_best = e.patience > 0
    if rise > 0.25 and best < 0.7 * len(held) and not kept_best and losses[-1] < losses[best]:
        gap = e.train_score - e.score
        grave = gap > 0.1 and e.short > 1.5
        yield _say(
            "warning" if grave else "note",
            f"over-fitted from epoch {best + 1} on",
            f"the validation loss rose by {rise:.0%} after it while the training loss fell",
            "stop early: early_stopping 20",
            {"early_stopping": 20},
            weight=3,
        )


def _below_constant(e: Evidence) -> Iterator[Finding]:
    if math.isfinite(e.constant) and e.score < e.constant - max(e.error, 0.005):
        yield _say(
            "error",
            "the network does worse than the same answer for every row",
            f"score {e.score:.3g}, a constant {e.constant:.3g}",
            "look at the findings beside this one; do not use the model",
            weight=4,
        )


def _at_chance(e: Evidence) -> Iterator[Finding]:
    if e.left > 0.97 and len(e.losses) and e.best_rival[1] > e.constant + 3 * e.error + 0.02:
        yield _say(
            "error",
            "the loss has stayed at that of a constant answer: nothing was learned",
            f"{e.losses[-1]:.3g} after {len(e.losses)} epochs, a constant has {e.chance:.3g}",
            "look at the findings beside this one",
            weight=3.5,
        )


def _below_rivals(e: Evidence) -> Iterator[Finding]:
    if e.poor:
        name, best = e.best_rival
        yield _say(
            "error",
            f"{name}, which takes no training, does better",
            f"score {e.score:.3g} against {best:.3g}, {e.short:.1f} standard errors less",
            "look at the findings beside this one",
            weight=2.5,
        )


RULES: dict[str, Callable[[Evidence], Iterator[Finding]]] = {
    "diverged": _diverged,
    "wrong-loss": _wrong_loss,
    "rate-too-high": _rate_too_high,
    "rate-too-low": _rate_too_low,
    "stopped-too-early": _stopped_early,
    "dead-units": _dead,
    "saturated": _saturated,
    "vanishing-gradient": _vanishing,
    "exploding-gradient": _exploding,
    "equal-weights": _same_weights,
    "initial-scale": _large_weights,
    "linear-layers": _linear_layers,
    "penalty-too-strong": _penalty,
    "dropout-too-high": _dropout,
    "too-narrow": _narrow,
    "too-deep": _deep,
    "input-scales": _scales,
    "few-updates": _few_updates,
    "slow-optimizer": _slow_optimizer,
    "over-fitted": _overfitted,
    "below-constant": _below_constant,
    "at-chance": _at_chance,
    "below-rivals": _below_rivals,
}
"""The rules by name. Changing one means drawing the seeded programs of the second set anew."""
