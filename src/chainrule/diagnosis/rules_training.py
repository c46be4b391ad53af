"""Rules on how a network was trained: its loss, the rate, number and size of steps, the end."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from chainrule.diagnosis.facts import Evidence, say
from chainrule.diagnosis.findings import Finding
from chainrule.diagnosis.rules_data import FEW


def wrong_loss(e: Evidence) -> Iterator[Finding]:
    of_classes = ("binary_cross_entropy", "categorical_cross_entropy", "hinge", "focal")
    if e.classes and e.loss and e.loss not in of_classes:
        right = "binary_cross_entropy" if e.classes == 2 else "categorical_cross_entropy"
        yield say(
            "error",
            f"the loss {e.loss} does not fit targets that are {e.classes} classes",
            "its minimum is a mean or a quantile of class numbers, not a probability",
            f"use {right}",
            {"loss": right},
            weight=9,
        )
    if not e.classes and e.loss in of_classes:
        yield say(
            "error",
            f"the loss {e.loss} does not fit targets that are numbers",
            "it takes classes or probabilities",
            "use squared_error",
            {"loss": "squared_error"},
            weight=9,
        )
    elif e.labels and (e.poor or e.left > 0.3):
        right = "binary_cross_entropy" if e.labels == "0 and 1" else "categorical_cross_entropy"
        yield say(
            "error",
            f"the targets are {e.labels}: classes, which the loss {e.loss} takes for numbers",
            f"{e.left:.0%} of the loss of a constant is left",
            f"use {right}",
            {"loss": right},
            weight=7.5,
        )


def diverged(e: Evidence) -> Iterator[Finding]:
    losses = e.losses
    if e.stopped == "non_finite" or (len(losses) and not np.isfinite(losses).all()):
        yield say(
            "error",
            "training left the finite numbers",
            f"after epoch {len(losses)}",
            f"lower the learning rate: {lower_rate(e):g}",
            {"learning_rate": lower_rate(e)},
            weight=10,
        )


def rate_too_high(e: Evidence) -> Iterator[Finding]:
    losses = e.losses
    if len(losses) < 2 or e.rate is None or not np.isfinite(losses).all():
        return
    moved = first_step(e)
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
        yield say(
            "error",
            "the learning rate is too high",
            "; ".join(signs) + (f"; best {losses.min():.3g}, top {top:.3g}" if top else ""),
            f"lower it: {lower_rate(e):g}",
            {"learning_rate": lower_rate(e)},
            weight=6 + len(signs) + min(moved, 1),
        )


def first_step(e: Evidence) -> float:
    """The largest relative step of a layer's weights in the first epoch that was looked at; 0 of
    networks other than plain ones, whose healthy steps depend on how they are parametrised."""
    if not e.sizes:
        return 0.0
    for one in e.statistics[1:]:
        found = [layer.moved for layer in one.layers if layer.moved is not None]
        return max(found, default=0.0)
    return 0.0


def lower_rate(e: Evidence) -> float:
    rate = e.rate or 0.01
    usual = e.usual or rate / 10
    return float(f"{min(usual, rate / 10):.1g}")


def rate_too_low(e: Evidence) -> Iterator[Finding]:
    losses = e.losses
    if len(losses) < 2 or e.rate is None or not np.isfinite(losses).all():
        return
    moved = first_step(e)
    far = e.usual is not None and e.rate <= e.usual / 8
    slow = 0 < moved < 2e-5 or (moved < 3e-4 and far)
    if slow and falling_by(losses) > (0 if far else 0.001) and (e.left > 0.1 or e.poor):
        better = float(f"{max(e.usual or 0.0, 10 * e.rate):.1g}")
        yield say(
            "error",
            "the learning rate is too low",
            f"update / weight = {moved:.1g} (healthy: 1e-4 to 1e-2); the loss still falls "
            f"after {len(losses)} epochs, and {e.left:.0%} of that of a constant is left",
            f"raise it: {better:g}",
            {"learning_rate": better},
            weight=6,
        )


def falling_by(losses: np.ndarray) -> float:
    """By what share of itself the loss falls in an epoch, over the last quarter of them."""
    n = max(len(losses) // 4, 1)
    before, last = float(losses[-1 - n]), float(losses[-1])
    return (before - last) / (n * abs(before)) if before else 0.0


def falling_power(losses: np.ndarray, start: float) -> float:
    """The power a of a loss that falls like (1 + epoch)^-a, over the last half of a curve, or all
    of a short one with the loss at the start; less two standard errors, so that noise is none."""
    n = len(losses)
    first = n // 2 if n >= SHORT else 0
    x, y = np.log(1.0 + np.arange(first + 1, n + 1)), losses[first:]
    if n < SHORT and start > 0:
        x, y = np.append(0.0, x), np.append(start, y)
    if len(x) < 2 or not np.all((y > 0) & np.isfinite(y)):
        return 0.0
    x, y = x - x.mean(), np.log(y)
    power = -float(x @ y) / float(x @ x)
    apart = y - y.mean() + power * x
    error = math.sqrt(float(apart @ apart) / max(len(x) - 2, 1) / float(x @ x))
    return power - 2 * error


SHORT = 8


def stopped_early(e: Evidence) -> Iterator[Finding]:
    """Says so where both curves still fall by more than their noise, and gravely where what more
    epochs would bring is more than the score's standard error: that share of what the scores on
    held-out and on training rows lack."""
    losses, held, n = e.losses, e.held, len(e.losses)
    if not n or e.stopped != "epochs" or n > e.epochs or not np.isfinite(losses).all():
        return
    power = falling_power(losses, e.start)
    if len(held) == n:
        power = min(power, falling_power(held, e.start))
    longer = max(3 * n, 30)
    drop = 1 - ((1 + longer) / (1 + n)) ** -max(power, 0.0)
    best = max(e.score, e.train_score)
    lacking = 1 - best if math.isfinite(best) else 1.0
    behind = e.best_rival[1] - e.score > 0.03
    if n < SHORT and n * e.updates < 500 and e.left > 0.5 and behind and not drop > 0.1:
        yield say(
            "error",
            "training was stopped too early",
            f"after {n * e.updates} updates {e.left:.0%} of a constant answer's loss are left, and "
            f"the curve of {n} epochs is too short to say more",
            f"train for {longer} epochs",
            {"epochs": longer},
            weight=4,  # behind a rate or a start that is to blame
        )
    if drop > 0.1 and e.left > 0.02 and drop * lacking > 1e-3:
        grave = drop * lacking > max(e.error, 0.01)
        yield say(
            "error" if grave else "note",
            "training was stopped too early",
            f"the loss still fell like epochs^-{power:.2g}, beyond its noise; so it would be "
            f"{drop:.0%} lower after {longer} epochs, and the scores lack {lacking:.2g}",
            f"train for {longer} epochs",
            {"epochs": longer},
            weight=5 if grave else 2,
        )


def few_updates(e: Evidence) -> Iterator[Finding]:
    total = e.updates * len(e.history)
    few = total < 100 or (total < 200 and (e.poor or e.left > 0.3))
    few = few and e.rows >= FEW  # of fewer rows, smaller minibatches make few updates more
    if e.rate is not None and e.updates <= 4 and few and len(e.history) > 4:
        small = 32 if e.rows > 64 else max(e.rows // 4, 1)
        yield say(
            "error",
            "the minibatches are so large that there were few updates",
            f"{total} updates of {e.batch} rows",
            f"batch size {small}",
            {"batch_size": small},
            weight=5.1,
        )


def noisy_batches(e: Evidence) -> Iterator[Finding]:
    """The loss jumps up and down and no longer falls, with minibatches so small that their
    gradients are mostly chance, and a rate that is not to blame."""
    losses = e.losses
    usual = e.rate is not None and e.rate < 5 * (e.usual or e.rate)
    if len(losses) < SHORT or not usual or not 0 < e.batch <= 16 or e.updates < 16:
        return
    late = losses[len(losses) // 2 :]
    if not np.all((late > 0) & np.isfinite(late)):
        return
    jumps = float(np.std(np.diff(np.log(late)))) / math.sqrt(2)
    if jumps > 0.1 and e.left > 0.02 and falling_power(losses, e.start) <= 0:
        larger = min(max(4 * e.batch, 32), e.rows)
        yield say(
            "warning" if e.poor or e.left > 0.3 else "note",
            f"minibatches of {e.batch} rows are so small that the loss is mostly noise",
            f"over the last half it jumps by {jumps:.0%} from epoch to epoch and falls no more",
            f"batch size {larger}, or a rate that falls: schedule cosine",
            {"batch_size": larger},
            weight=4.2,
        )


def slow_optimizer(e: Evidence) -> Iterator[Finding]:
    plain = e.optimizer in ("sgd", "adagrad")
    if (
        plain and e.left > 0.3 and 0 <= first_step(e) < 3e-3 and falling_by(e.losses) > 0
        if len(e.losses) > 1
        else False
    ):
        yield say(
            "warning",
            f"{e.optimizer} makes little headway here",
            f"{e.left:.0%} of the loss of a constant is left after {len(e.history)} epochs",
            "use adam",
            {"optimizer": "adam", "learning_rate": None},
            weight=4.5,
        )


def overfitted(e: Evidence) -> Iterator[Finding]:
    held, losses = e.held, e.losses
    if len(held) < 4 or len(held) != len(losses):
        return
    best = int(np.argmin(held))
    rise = held[-1] / held[best] - 1 if held[best] > 0 else 0.0
    kept_best = e.patience > 0
    if not (rise > 0.25 and best < 0.7 * len(held) and losses[-1] < losses[best]) or kept_best:
        return
    gap = e.train_score - e.score
    grave = gap > 0.1 and e.short > 1.5
    yield say(
        "warning" if grave else "note",
        f"over-fitted from epoch {best + 1} on",
        f"the validation loss rose by {rise:.0%} after it while the training loss fell",
        "stop early: early_stopping 20",
        {"early_stopping": 20},
        weight=3,
    )


def surer(e: Evidence) -> Iterator[Finding]:
    """The validation loss rises and the validation accuracy does not move."""
    held, accuracy = e.held, e.held_accuracy
    if len(held) < 4 or len(accuracy) != len(held) or e.patience > 0:
        return
    best = int(np.argmin(held))
    after = accuracy[best:]
    flat = abs(float(np.mean(after[-3:])) - accuracy[best]) <= max(e.error, 0.01)
    if held[best] > 0 and held[-1] > 1.25 * held[best] and best < 0.7 * len(held) and flat:
        yield say(
            "note",
            "the validation loss rises while the accuracy is flat: the network grows surer of "
            "the same answers, its mistakes among them",
            f"from epoch {best + 1} on the loss went from {held[best]:.3g} to {held[-1]:.3g}, the "
            f"accuracy from {accuracy[best]:.3g} to {accuracy[-1]:.3g}",
            "do not read its outputs as probabilities; stop early: early_stopping 20",
            {"early_stopping": 20},
            weight=2.5,
        )
