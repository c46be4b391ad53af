"""A verdict on training: rules over what a run left behind, each with its evidence and one change.

A rule is a function from ``Evidence`` to findings; the table is ``RULES``. A sign that costs
nothing is no finding: what concerns learning is said where the network does worse than it could,
which two models without training show, nearest neighbours and a linear one, or the curve does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

from chainrule.diagnosis import rules_network as network
from chainrule.diagnosis import rules_training as training
from chainrule.diagnosis.facts import Evidence, say
from chainrule.diagnosis.findings import Finding, Findings, found_by
from chainrule.diagnosis.rules_data import FEW

__all__ = ["RULES", "review_evidence"]


def review_evidence(evidence: Evidence) -> Findings:
    """The findings of all rules, ranked."""
    found = found_by(RULES, evidence)
    of_others = () if evidence.sizes else OF_LAYERS[-1:]
    unseen = of_others if evidence.statistics else OF_LAYERS
    ranked = Findings.ranked(found, [name for name in RULES if name not in unseen])
    return replace(ranked, unseen=unseen)


# What came of it ------


def _below_constant(e: Evidence) -> Iterator[Finding]:
    if math.isfinite(e.constant) and e.score < e.constant - max(e.error, 0.005):
        yield say(
            "error",
            "the network does worse than the same answer for every row",
            f"score {e.score:.3g}, a constant {e.constant:.3g}",
            "look at the findings beside this one; do not use the model",
            weight=4,
        )


def _at_chance(e: Evidence) -> Iterator[Finding]:
    if (
        e.left > 0.97
        and len(e.losses)
        and (e.rows < FEW or e.best_rival[1] > e.constant + 3 * e.error + 0.02)
    ):
        yield say(
            "error",
            "the loss has stayed at that of a constant answer: nothing was learned",
            f"{e.losses[-1]:.3g} after {len(e.losses)} epochs, a constant has {e.chance:.3g}",
            "look at the findings beside this one",
            weight=3.5,
        )


def _below_rivals(e: Evidence) -> Iterator[Finding]:
    if e.poor:
        name, best = e.best_rival
        yield say(
            "error",
            f"{name}, which takes no training, does better",
            f"score {e.score:.3g} against {best:.3g}, {e.short:.1f} standard errors less",
            "look at the findings beside this one",
            weight=2.5,
        )


def _no_signal(e: Evidence) -> Iterator[Finding]:
    """Nothing that was tried does better than a constant: neither the network, by score and by
    loss, nor the models that take no training."""
    best, most = e.best_rival[1], e.constant + 2 * e.error
    if e.rows < FEW:  # which tell little
        return
    if not (math.isfinite(e.constant) and math.isfinite(e.score) and max(best, e.score) <= most):
        return
    seen = e.held if len(e.held) else e.losses
    if e.classes and (not len(seen) or seen.min() < 0.97 * e.chance):  # it ranks, if not decides
        return
    shown = ", ".join(f"{name} {score:.3g}" for name, score in e.rivals.items())
    yield say(
        "error",
        "nothing does better than the same answer for every row",
        f"score {e.score:.3g}, a constant {e.constant:.3g}, {shown}",
        "see whether each row has its own target, and whether these columns can tell it",
        weight=3,
    )


RULES: dict[str, Callable[[Evidence], Iterator[Finding]]] = {
    "diverged": training.diverged,
    "wrong-loss": training.wrong_loss,
    "rate-too-high": training.rate_too_high,
    "rate-too-low": training.rate_too_low,
    "stopped-too-early": training.stopped_early,
    "dead-units": network.dead,
    "saturated": network.saturated,
    "vanishing-gradient": network.vanishing,
    "exploding-gradient": network.exploding,
    "equal-weights": network.same_weights,
    "initial-scale": network.large_weights,
    "linear-layers": network.linear_layers,
    "penalty-too-strong": network.penalty,
    "dropout-too-high": network.dropout,
    "too-narrow": network.narrow,
    "too-deep": network.deep,
    "input-scales": network.scales,
    "few-updates": training.few_updates,
    "noisy-batches": training.noisy_batches,
    "slow-optimizer": training.slow_optimizer,
    "over-fitted": training.overfitted,
    "surer-not-better": training.surer,
    "below-constant": _below_constant,
    "at-chance": _at_chance,
    "below-rivals": _below_rivals,
    "no-signal": _no_signal,
}
"""The rules by name. Changing one means drawing the seeded programs of the second set anew."""
OF_LAYERS = ("dead-units", "saturated", "vanishing-gradient", "exploding-gradient",
             "equal-weights", "initial-scale")  # fmt: skip
"""Those that need statistics of the layers; the last also a plain network's usual start."""
