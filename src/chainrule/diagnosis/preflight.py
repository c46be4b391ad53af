"""Checks before training: does the loss start where it should, can a few rows be learned by heart,
do layers pass signals on, and do the data hold what they promise.

Each check is a function from ``Before`` to findings, in the table ``CHECKS``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from chainrule import nn, optim, train
from chainrule.api import value_and_grad
from chainrule.core.recording import quiet
from chainrule.core.tree import flatten, map_tree
from chainrule.diagnosis.evidence import chance
from chainrule.diagnosis.facts import say
from chainrule.diagnosis.findings import Finding, Findings, found_by
from chainrule.diagnosis.layers import parts_of
from chainrule.diagnosis.rules_data import FEW, ON_ROWS, Rows, ranges
from chainrule.diagnosis.statistics import Statistics, statistics
from chainrule.errors import NonFiniteError, UsageError
from chainrule.nn.sequential import fresh

__all__ = ["CHECKS", "preflight"]


@dataclass(frozen=True, kw_only=True)
class Before(Rows):
    """What the checks look at; see ``preflight``."""

    model: Any
    seed: int

    @cached_property
    def start(self) -> tuple[Any, Any]:
        """Fresh parameters and state, float64."""
        return fresh(self.model, self.seed, np.float64, self.x.astype(float))

    def prepared(self, rows: int) -> tuple[np.ndarray, np.ndarray]:
        """Some rows, evenly spread, as the loss takes them."""
        at = np.unique(np.linspace(0, len(self.x) - 1, min(rows, len(self.x))).astype(int))
        targets = self.loss.prepare(self.targets[at], self.outputs, np.float64)
        return self.x[at].astype(float), targets

    @cached_property
    def outputs(self) -> int:
        with quiet():
            return np.shape(self.model(*self.start, self.x[:1].astype(float))[0])[-1]

    def mean_loss(self, params: Any, x: np.ndarray, targets: np.ndarray) -> Any:
        outputs, _ = self.model(params, self.start[1], x)
        return np.mean(self.loss(outputs, targets))

    @cached_property
    def layers(self) -> Statistics | None:
        """What the layers do at the start; None of a network whose layers are of other kinds."""
        if parts_of(self.model) is None:
            return None
        x, targets = self.prepared(256)
        return statistics(self.model, *self.start, x, targets, self.loss)


def preflight(
    model: Any,
    data: tuple[Any, Any],
    *,
    loss: Any,
    held: Any = None,
    names: Sequence[str] = (),
    classes: int = 0,
    seed: int = 0,
) -> Findings:
    """What is wrong before training begins. Twenty rows are trained on; nothing else is.

    Args:
        model, loss: as ``train.fit`` takes them. data: (x, targets), the training rows.
        held: inputs (m, columns) of rows for validation or test, to be compared with.
        names: of the columns of x. classes: how many the targets are, 0 of numbers.
        seed: of the initial weights.

    Returns:
        Findings; prints as a text. Empty where nothing is wrong.

    Raises:
        UsageError: no rows. What ``loss.prepare`` and the model raise.
    """
    x, targets = np.asarray(data[0]), np.asarray(data[1])
    if not len(x):
        raise UsageError("preflight needs rows: data=(x, targets)")
    held = None if held is None else np.asarray(held)
    before = Before(
        x=x, targets=targets, loss=nn.loss(loss), held=held, names=tuple(names), classes=classes,
        model=model, seed=seed,
    )  # fmt: skip
    found = found_by(CHECKS, before)
    return Findings.ranked(found, list(CHECKS))


# Network and loss ----------------------------------------------------------------------------


def _initial_loss(b: Before) -> Iterator[Finding]:
    x, targets = b.prepared(1000)
    with quiet():
        start = float(b.mean_loss(b.start[0], x, targets))
    if b.loss.name == "categorical_cross_entropy":
        expected, said = math.log(b.outputs), f"ln {b.outputs}"
    elif b.loss.name == "binary_cross_entropy":
        expected, said = b.outputs * math.log(2), "ln 2" if b.outputs == 1 else f"{b.outputs} ln 2"
    elif b.loss.name == "squared_error":
        around = targets.reshape(len(targets), -1)
        expected, said = 0.5 * float(np.sum(np.var(around, axis=0))), "half the variance"
        center = 0.5 * float(np.sum(np.mean(around, axis=0) ** 2))
        if center > expected:
            yield say(
                "warning",
                "the targets are far from 0, where the outputs start",
                f"mean {np.mean(around):.3g}, standard deviation {np.std(around):.3g}",
                "standardise the targets",
                weight=3,
            )
            return
    else:
        return
    far = 20 if b.loss.name == "squared_error" else 3  # outputs vary as the inputs do
    if not math.isfinite(start) or start > far * expected + 0.1:
        yield say(
            "error",
            "the loss before training is far from that of a guess",
            f"{start:.3g}, expected about {expected:.3g} ({said})",
            "look at the scale of the initial weights and of the inputs",
            weight=6,
        )


def _penalty(b: Before) -> Iterator[Finding]:
    penalty = nn.Penalty(0.0, 1e-2)
    if not float(penalty(b.start[0])) > 0:
        yield say(
            "warning",
            "a penalty on the weights does not raise the loss",
            f"it is {float(penalty(b.start[0])):.3g}",
            "name the weights 'weights' in the tree, or initialise them at random",
            weight=2,
        )


def _overfit(b: Before) -> Iterator[Finding]:
    x, _ = b.prepared(FEW)
    at = np.unique(np.linspace(0, len(b.x) - 1, min(FEW, len(b.x))).astype(int))
    targets = b.targets[at]
    best = chance(b.loss, _as_given(b, targets))
    if best < 1e-6:  # one answer for all of them
        return
    if b.loss.name == "squared_error":
        targets = (targets - targets.mean(axis=0)) / max(float(np.std(targets)), 1e-12)
        best = 0.5 * float(np.sum(np.var(targets.reshape(len(targets), -1), axis=0)))
    spread = x.std(axis=0)
    x = (x - x.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    _, rows = np.unique(x, axis=0, return_index=True)
    same = len(rows) < len(x)
    try:
        result = train.fit(
            b.model, (x, targets), loss=b.loss, optimizer=optim.adam(1e-2), epochs=400,
            batch_size="full", seed=b.seed, evaluate_train=False, executor="numpy",
        )  # fmt: skip
        last = min(row["train_loss"] for row in result.history)
    except NonFiniteError:
        last = math.inf
    if last > 0.2 * best and not same and not getattr(b.model, "needs_key", False):
        yield say(
            "error",
            f"{len(x)} rows cannot be learned by heart",
            f"after 400 steps the loss is {last:.3g}, {last / best:.0%} of that of a constant",
            "look at targets, output unit and initial weights; or give it more units",
            weight=8,
        )


def _as_given(b: Before, targets: np.ndarray) -> np.ndarray:
    return targets if b.loss.name == "categorical_cross_entropy" else np.asarray(targets, float)


def _gradients(b: Before) -> Iterator[Finding]:
    """A directional derivative on three rows against a central difference."""
    x, targets = b.prepared(3)
    params = b.start[0]
    rng = np.random.default_rng(b.seed)
    direction = map_tree(lambda a: rng.normal(size=a.shape), params)
    if getattr(b.model, "batch_norm", False):
        return
    with quiet():
        _, gradient = value_and_grad(lambda p: b.mean_loss(p, x, targets))(params)
        pairs = zip(flatten(gradient)[0], flatten(direction)[0], strict=True)
        given = sum(float(np.sum(g * d)) for g, d in pairs)
        apart = []
        for h in (1e-4, 1e-5, 1e-6):
            up, down = (
                float(b.mean_loss(map_tree(lambda a, d, s=s: a + s * d, params, direction), x,
                                  targets))
                for s in (h, -h)
            )  # fmt: skip
            apart.append(abs((up - down) / (2 * h) - given))
    scale = max(abs(given), 1e-3)
    if not min(apart) <= 1e-4 * scale:
        yield say(
            "error",
            "the gradient disagrees with a difference quotient on three rows",
            f"along a random direction {given:.6g}, by differences off by {min(apart):.2g}",
            "check the parts of your own with cr.check_gradient; a kink on these rows does it too",
            weight=9,
        )


def _signals(b: Before) -> Iterator[Finding]:
    found = b.layers
    if found is None or len(found.layers) < 3:
        return
    hidden = found.layers[:-1]
    stds = [layer.std for layer in hidden]
    for layer in hidden:
        if layer.same > 0.5 and layer.units > 1:
            yield say(
                "error", "all units of the layer start the same, and so stay the same",
                f"{layer.same:.0%} of {layer.units} are copies", "initialise at random",
                where=f"layer {layer.name}", weight=8,
            )  # fmt: skip
            return
        if layer.saturated > 0.6:
            yield say(
                "warning", f"{layer.activation} is saturated from the start",
                f"{layer.saturated:.0%} of its activations have less than a twentieth of the slope",
                "smaller initial weights, or standardised inputs", where=f"layer {layer.name}",
                weight=5,
            )  # fmt: skip
        if layer.dead > 0.6:
            yield say(
                "warning", f"{layer.dead:.0%} of the units are 0 on every row from the start",
                f"{layer.units} units", "initialise for this activation",
                where=f"layer {layer.name}", weight=5,
            )  # fmt: skip
    first, last = hidden[0], found.layers[-1]
    ratio = first.signal / last.signal if last.signal else 0.0
    spread = max(stds) / max(min(stds), 1e-300)
    if spread > 30:
        yield say(
            "warning", "activations grow or shrink from layer to layer",
            "standard deviations " + ", ".join(f"{s:.2g}" for s in stds),
            "initialise for this activation: init auto", weight=4,
        )  # fmt: skip
    if ratio < 1e-2 or ratio > 1e2:
        word = "vanish" if ratio < 1 else "explode"
        yield say(
            "warning", f"gradients {word} on the way to layer 1",
            f"{ratio:.1g} of those of the output layer; factors of the weights "
            + ", ".join(f"{layer.weight_factor:.2g}" for layer in hidden)
            + ", of the slopes " + ", ".join(f"{layer.slope_factor:.2g}" for layer in hidden),
            "initialise for this activation, use relu, or normalise", where="layer 1", weight=4.5,
        )  # fmt: skip


# Data ---------------------------------------------------------------------------------------


def _scales(b: Before) -> Iterator[Finding]:
    reach = ranges(b.x)
    moving = np.flatnonzero(reach > 0)
    if moving.size < 1:
        return
    large, small = (int(moving[f(reach[moving])]) for f in (np.argmax, np.argmin))
    furthest = float(np.abs(b.x).max())
    if reach[large] > 100 * reach[small] or furthest > 100:
        yield say(
            "warning",
            "the inputs have very different scales",
            f"ranges from {reach[small]:.2g} ({b.name(small)}) to {reach[large]:.2g} "
            f"({b.name(large)}); the largest input is {furthest:.3g}",
            "standardise them: (x - mean) / standard deviation",
            weight=4,
        )


CHECKS: dict[str, Callable[[Before], Iterator[Finding]]] = {
    "gradient": _gradients,
    "learned-by-heart": _overfit,
    "initial-loss": _initial_loss,
    "penalty-raises-loss": _penalty,
    "signals": _signals,
    "input-scales": _scales,
    **ON_ROWS,
}
"""The checks by name."""
