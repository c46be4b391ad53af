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
``flat_cosine``        initial for half of the steps, then down to 0 along half a cosine
``coslog``             cycles of a cosine, each twice as long as the one before
``one_cycle``          up to the peak and far down again, both along a cosine      OneCycleLR
``warm_up``            a line up to another schedule's first value, then that one  LinearLR
``per_epoch``          another schedule, fed epochs instead of steps
``join``               one schedule after another
=====================  ==========================================================  ==============

The last column names PyTorch's class with the same values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from chainrule.core.settings import Named, number, whole
from chainrule.errors import UsageError


@dataclass(frozen=True)
class Schedule:
    """A learning rate as a function of the step; made by the functions of this module.

    Two are equal if they were made alike.

    Attributes:
        name: that of the function that made it.
        settings: what that was called with: numbers, or other schedules.
        function: from a step to the rate, recorded.
    """

    name: str
    settings: dict[str, Any] = field(hash=False)
    function: Callable[[Any], Any] = field(repr=False, compare=False)

    def __call__(self, step: Any) -> Any:
        """The rate, a float64 scalar, of the update that ``step`` updates were done before."""
        return self.function(step)

    def describe(self) -> dict[str, Any]:
        """Name and settings as plain data, for a saved model."""
        plain = {
            k: v.describe() if isinstance(v, Schedule) else v for k, v in self.settings.items()
        }
        return {"schedule": self.name, **plain}


def _made(function: Callable[..., Any], **settings: Any) -> Schedule:
    """The schedule whose rate at a step is ``function(step, **settings)``."""
    name = function.__name__.strip("_")
    return Schedule(name, settings, partial(function, **settings))


def schedule(value: float | str | Schedule, **settings: Any) -> Schedule:
    """``value`` itself, the constant schedule of a number, or the schedule of a name.

    ``schedule("cosine", initial=0.1, steps=1000)`` is ``cosine(0.1, 1000)``.

    Raises:
        UsageError: no such name, settings that it does not have or that are lacking, a rate
            that is negative or not finite, or neither a name nor a number.
    """
    if isinstance(value, (int, float, np.number)) and not isinstance(value, bool):
        return constant(value)
    return SCHEDULES.value(value, settings)


def constant(value: float) -> Schedule:
    """Always ``value``.

    Raises UsageError for settings out of their range.
    """
    return _made(_constant, value=_rate("value", value))


def _constant(at: Any, value: float) -> Any:
    return value


def product(rates: Sequence[Schedule]) -> Schedule:
    """All of them multiplied, at least one; a single one stays as it is."""
    made = rates[0]
    for rate in rates[1:]:
        made = _made(_product, first=made, second=rate)
    return made


def _product(at: Any, first: Schedule, second: Schedule) -> Any:
    return first(at) * second(at)


def step(initial: float, factor: float, every: int) -> Schedule:
    """Times ``factor`` after each ``every`` steps.

    Raises UsageError for settings out of their range.
    """
    initial, every, factor = (
        _rate("initial", initial),
        whole("every", every),
        number("factor", factor, above=0),
    )
    return _made(_step, initial=initial, factor=factor, every=every)


def _step(at: Any, initial: float, factor: float, every: int) -> Any:
    return initial * _power(factor, at // every)


def inverse_scaling(initial: float, power: float = 0.5) -> Schedule:
    """``initial / (1 + step) ** power``: power 1 meets the conditions of Robbins and Monro.

    Raises UsageError for settings out of their range.
    """
    return _made(_inverse_scaling, initial=_rate("initial", initial), power=power)


def _inverse_scaling(at: Any, initial: float, power: float) -> Any:
    return initial * np.exp(-power * np.log1p(1.0 * at))


def exponential(initial: float, factor: float, every: float = 1) -> Schedule:
    """Times ``factor`` over each ``every`` steps, smoothly.

    Raises UsageError for settings out of their range.
    """
    initial, factor = _rate("initial", initial), number("factor", factor, above=0)
    return _made(
        _exponential, initial=initial, factor=factor, every=number("every", every, above=0)
    )


def _exponential(at: Any, initial: float, factor: float, every: float) -> Any:
    return initial * _power(factor, at / every)


def cosine(initial: float, steps: int, final: float = 0.0) -> Schedule:
    """From ``initial`` to ``final`` along half a cosine, then flat (Loshchilov, Hutter 2017).

    Raises UsageError for settings out of their range.
    """
    initial, final, steps = (
        _rate("initial", initial),
        _rate("final", final),
        whole("steps", steps),
    )
    return _made(_cosine, initial=initial, steps=steps, final=final)


def _cosine(at: Any, initial: float, steps: int, final: float) -> Any:
    return _glide(initial, final, np.minimum(at / steps, 1.0))


def flat_cosine(initial: float, steps: int) -> Schedule:
    """``initial`` for the first half of the ``steps``, then to 0 along half a cosine.

    (``flat_cos`` of RealMLP, Holzmueller et al. 2024.) Raises UsageError for settings out of
    their range.
    """
    return _made(_flat_cosine, initial=_rate("initial", initial), steps=whole("steps", steps))


def _flat_cosine(at: Any, initial: float, steps: int) -> Any:
    return _glide(initial, 0.0, np.clip(2.0 * at / steps - 1.0, 0.0, 1.0))


def coslog(peak: float, steps: int, cycles: int = 4) -> Schedule:
    """``cycles`` waves of a cosine from 0 to ``peak`` and back, each twice as long as the last.

    ``peak (1 - cos(2 pi log2(1 + (2^cycles - 1) step / steps))) / 2``; it begins and ends at 0.
    (``coslog4`` of RealMLP, Holzmueller et al. 2024.) Raises UsageError for settings out of
    their range.
    """
    peak, steps = _rate("peak", peak), whole("steps", steps)
    return _made(_coslog, peak=peak, steps=steps, cycles=whole("cycles", cycles))


def _coslog(at: Any, peak: float, steps: int, cycles: int) -> Any:
    share = np.minimum(at / steps, 1.0)
    waves = np.log1p((2.0**cycles - 1.0) * share) * (1.0 / math.log(2.0))
    return peak * 0.5 * (1.0 - np.cos(2.0 * math.pi * waves))


def one_cycle(
    peak: float, steps: int, *, rise: float = 0.3, start: float = 1 / 25, end: float = 1e-4 / 25
) -> Schedule:
    """Up to ``peak`` over the share ``rise`` of the steps, then down (Smith, Topin 2018).

    It begins at ``start * peak`` and ends at ``end * peak``, at step ``steps - 1``; both ways
    follow half a cosine.

    Raises UsageError for settings out of their range.
    """
    peak, steps = _rate("peak", peak), whole("steps", steps)
    rise = number("rise", rise, above=0, below=1)
    if not 0 < rise * steps - 1.0 < steps - 1:
        raise UsageError(f"one_cycle needs more than {steps} steps to rise for a share of {rise}")
    return _made(_one_cycle, peak=peak, steps=steps, rise=rise, start=start, end=end)


def _one_cycle(at: Any, peak: float, steps: int, rise: float, start: float, end: float) -> Any:
    top = rise * steps - 1.0
    up = _glide(start * peak, peak, np.minimum(at / top, 1.0))
    down = _glide(peak, end * peak, np.clip((at - top) / (steps - 1.0 - top), 0.0, 1.0))
    return np.where(at <= top, up, down)


def warm_up(then: float | Schedule, steps: int, start: float = 0.0) -> Schedule:
    """A line from ``start`` times to all of ``then``'s first value, and from there ``then``.

    The first update already moves: step i < steps has the factor
    ``start + (1 - start) (i + 1) / steps``. ``then`` counts from the end of the warm-up.

    Raises UsageError for settings out of their range.
    """
    return _made(_warm_up, then=schedule(then), steps=whole("steps", steps), start=start)


def _warm_up(at: Any, then: Schedule, steps: int, start: float) -> Any:
    factor = start + (1.0 - start) * np.minimum((at + 1) / steps, 1.0)
    return factor * then(np.maximum(at - steps, 0))


def per_epoch(of_epoch: Schedule, steps: int) -> Schedule:
    """``of_epoch`` with whole epochs of ``steps`` steps as its clock: 0, 0, ..., 1, 1, ...

    Raises UsageError for settings out of their range.
    """
    return _made(_per_epoch, of_epoch=schedule(of_epoch), steps=whole("steps", steps))


def _per_epoch(at: Any, of_epoch: Schedule, steps: int) -> Any:
    return of_epoch(at // steps)


def join(first: float | Schedule, steps: int, then: float | Schedule) -> Schedule:
    """``first`` for ``steps`` steps, then ``then``, which counts from there.

    Raises UsageError for settings out of their range.
    """
    return _made(_join, first=schedule(first), steps=whole("steps", steps), then=schedule(then))


def _join(at: Any, first: Schedule, steps: int, then: Schedule) -> Any:
    return np.where(at < steps, first(at), then(np.maximum(at - steps, 0)))


SCHEDULES = Named(
    "schedule",
    {
        made.__name__: made
        for made in (
            constant,
            step,
            inverse_scaling,
            exponential,
            cosine,
            flat_cosine,
            coslog,
            one_cycle,
            warm_up,
            per_epoch,
            join,
        )
    },
    "schedules.cosine(initial=0.1, steps=1000)",
    lambda given: isinstance(given, Schedule),
)


def _power(base: float, exponent: Any) -> Any:
    return np.exp(math.log(base) * exponent)


def _glide(begin: float, end: float, share: Any) -> Any:
    """Half a cosine from ``begin`` (share 0) to ``end`` (share 1)."""
    return end + (begin - end) * 0.5 * (1.0 + np.cos(math.pi * share))


def _rate(name: str, value: float) -> float:
    return number(name, value, at_least=0)
