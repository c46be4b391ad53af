"""Learning-rate schedules: functions of the step, recorded like everything else.

A step counts the updates done before this one: 0, 1, 2, ... It may be an array whose value is
not known while recording, so schedules use np operations and no branch. All compute in
float64, whatever the network's dtype, because 0.999 ** 10_000 deserves it and costs nothing.

=====================  ==========================================================  ==============
``constant``           value
``step``               initial * factor ** floor(step / every)                     StepLR
``inverse_scaling``    initial / (1 + step) ** power
``exponential``        initial * factor ** (step / every)                          ExponentialLR
``cosine``             final + (initial - final) (1 + cos(pi step / steps)) / 2    CosineAnnealingLR
``one_cycle``          up to the peak and far down again, both along a cosine      OneCycleLR
``warm_up``            a line up to another schedule's first value, then that one  LinearLR
``per_epoch``          another schedule, fed epochs instead of steps
``join``               one schedule after another
=====================  ==========================================================  ==============

The last column names PyTorch's class with the same values.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.errors import UsageError


@dataclass(frozen=True)
class Schedule:
    """A learning rate as a function of the step; made by the functions of this module."""

    name: str
    settings: dict[str, Any]
    function: Callable[[Any], Any] = field(repr=False, compare=False)

    def __call__(self, step: Any) -> Any:
        return self.function(step)

    def describe(self) -> dict[str, Any]:
        """Name and settings as plain data, for a saved model."""
        plain = {
            k: v.describe() if isinstance(v, Schedule) else v for k, v in self.settings.items()
        }
        return {"schedule": self.name, **plain}


def schedule(value: float | Schedule) -> Schedule:
    """``value`` itself, or the constant schedule of a number."""
    return value if isinstance(value, Schedule) else constant(value)


def constant(value: float) -> Schedule:
    """Always ``value``."""
    value = _rate("value", value)
    return Schedule("constant", {"value": value}, lambda step: value)


def step(initial: float, factor: float, every: int) -> Schedule:
    """Times ``factor`` after each ``every`` steps."""
    initial, every, factor = _rate("initial", initial), _count("every", every), _factor(factor)
    return Schedule(
        "step",
        {"initial": initial, "factor": factor, "every": every},
        lambda at: initial * _power(factor, at // every),
    )


def inverse_scaling(initial: float, power: float = 0.5) -> Schedule:
    """``initial / (1 + step) ** power``: power 1 meets the conditions of Robbins and Monro."""
    initial = _rate("initial", initial)
    return Schedule(
        "inverse_scaling",
        {"initial": initial, "power": power},
        lambda at: initial * np.exp(-power * np.log1p(1.0 * at)),
    )


def exponential(initial: float, factor: float, every: float = 1) -> Schedule:
    """Times ``factor`` over each ``every`` steps, smoothly."""
    initial, factor = _rate("initial", initial), _factor(factor)
    if not every > 0:
        raise UsageError(f"every must be positive, not {every}")
    return Schedule(
        "exponential",
        {"initial": initial, "factor": factor, "every": every},
        lambda at: initial * _power(factor, at / every),
    )


def cosine(initial: float, steps: int, final: float = 0.0) -> Schedule:
    """From ``initial`` to ``final`` along half a cosine, then flat (Loshchilov, Hutter 2017)."""
    initial, final, steps = _rate("initial", initial), _rate("final", final), _count("steps", steps)
    return Schedule(
        "cosine",
        {"initial": initial, "steps": steps, "final": final},
        lambda at: _glide(initial, final, np.minimum(at / steps, 1.0)),
    )


def one_cycle(
    peak: float, steps: int, *, rise: float = 0.3, start: float = 1 / 25, end: float = 1e-4 / 25
) -> Schedule:
    """Up to ``peak`` over the share ``rise`` of the steps, then down (Smith, Topin 2018).

    It begins at ``start * peak`` and ends at ``end * peak``, at step ``steps - 1``; both ways
    follow half a cosine.
    """
    peak, steps = _rate("peak", peak), _count("steps", steps)
    if not 0 < rise < 1:
        raise UsageError(f"rise is a share between 0 and 1, not {rise}")
    top = rise * steps - 1.0
    if not 0 < top < steps - 1:
        raise UsageError(f"one_cycle needs more than {steps} steps to rise for a share of {rise}")

    def at_step(at: Any) -> Any:
        up = _glide(start * peak, peak, np.minimum(at / top, 1.0))
        down = _glide(peak, end * peak, np.clip((at - top) / (steps - 1.0 - top), 0.0, 1.0))
        return np.where(at <= top, up, down)

    settings = {"peak": peak, "steps": steps, "rise": rise, "start": start, "end": end}
    return Schedule("one_cycle", settings, at_step)


def warm_up(then: float | Schedule, steps: int, start: float = 0.0) -> Schedule:
    """A line from ``start`` times to all of ``then``'s first value, and from there ``then``.

    The first update already moves: step i < steps has the factor
    ``start + (1 - start) (i + 1) / steps``. ``then`` counts from the end of the warm-up.
    """
    after, steps = schedule(then), _count("steps", steps)

    def at_step(at: Any) -> Any:
        factor = start + (1.0 - start) * np.minimum((at + 1) / steps, 1.0)
        return factor * after(np.maximum(at - steps, 0))

    return Schedule("warm_up", {"then": after, "steps": steps, "start": start}, at_step)


def per_epoch(of_epoch: Schedule, steps: int) -> Schedule:
    """``of_epoch`` with whole epochs of ``steps`` steps as its clock: 0, 0, ..., 1, 1, ..."""
    steps = _count("steps", steps)
    return Schedule(
        "per_epoch", {"of_epoch": of_epoch, "steps": steps}, lambda at: of_epoch(at // steps)
    )


def join(first: float | Schedule, steps: int, then: float | Schedule) -> Schedule:
    """``first`` for ``steps`` steps, then ``then``, which counts from there."""
    before, after, steps = schedule(first), schedule(then), _count("steps", steps)

    def at_step(at: Any) -> Any:
        return np.where(at < steps, before(at), after(np.maximum(at - steps, 0)))

    return Schedule("join", {"first": before, "steps": steps, "then": after}, at_step)


def _factor(value: float) -> float:
    if not 0 < value < math.inf:
        raise UsageError(f"factor must be positive and finite, not {value}")
    return float(value)


def _power(base: float, exponent: Any) -> Any:
    return np.exp(math.log(base) * exponent)


def _glide(begin: float, end: float, share: Any) -> Any:
    """Half a cosine from ``begin`` (share 0) to ``end`` (share 1)."""
    return end + (begin - end) * 0.5 * (1.0 + np.cos(math.pi * share))


def _rate(name: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
        raise UsageError(f"{name}: a learning rate is a number or a schedule, not {value!r}")
    if not 0 <= value < math.inf:
        raise UsageError(f"{name}: a learning rate is finite and at least 0, not {value}")
    return float(value)


def _count(name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise UsageError(f"{name} must be an integer of at least 1, not {value!r}")
    return int(value)
