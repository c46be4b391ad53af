"""Schedules: tables of values, PyTorch's formulas, the same when recorded."""

from __future__ import annotations

import math

import numpy as np
import pytest

from chainrule.errors import UsageError
from chainrule.optim import schedules
from chainrule.run import compile as compile_

TABLE = {
    "constant": (schedules.constant(0.1), {0: 0.1, 1000: 0.1}),
    "step": (schedules.step(0.8, 0.5, 10), {0: 0.8, 9: 0.8, 10: 0.4, 19: 0.4, 35: 0.1}),
    "inverse_scaling": (schedules.inverse_scaling(1.0), {0: 1.0, 3: 0.5, 99: 0.1}),
    "inverse": (schedules.inverse_scaling(1.0, power=1.0), {0: 1.0, 3: 0.25, 99: 0.01}),
    "exponential": (schedules.exponential(2.0, 0.5), {0: 2.0, 1: 1.0, 3: 0.25}),
    "exponential every": (
        schedules.exponential(2.0, 0.25, every=4),
        {0: 2.0, 2: 1.0, 4: 0.5},
    ),
    "cosine": (
        schedules.cosine(1.0, 100, final=0.2),
        {0: 1.0, 50: 0.6, 100: 0.2, 1000: 0.2, 25: 0.2 + 0.4 * (1 + math.cos(math.pi / 4))},
    ),
    "flat_cosine": (
        schedules.flat_cosine(0.4, 100),
        {0: 0.4, 50: 0.4, 75: 0.2, 100: 0.0, 200: 0.0, 60: 0.2 * (1 + math.cos(math.pi / 5))},
    ),
    # Of coslog4 the cycles end at t = 1/15, 3/15, 7/15 and 1, and peak where 1 + 15 t is a power
    # of two times the square root of two.
    "coslog": (
        schedules.coslog(0.2, 1500),
        {
            0: 0.0,
            300: 0.0,
            700: 0.0,
            1500: 0.0,
            200: 0.1 * (1 - math.cos(2 * math.pi * math.log2(3))),
        },
    ),
    "one_cycle": (
        schedules.one_cycle(1.0, 100),
        {0: 0.04, 29: 1.0, 99: 4e-6, 64: 4e-6 + (1 - 4e-6) / 2, 500: 4e-6},
    ),
    "warm_up": (
        schedules.warm_up(0.8, 4),
        {0: 0.2, 1: 0.4, 2: 0.6, 3: 0.8, 4: 0.8, 100: 0.8},
    ),
    "warm_up then": (
        schedules.warm_up(schedules.step(1.0, 0.1, 10), 5, start=0.5),
        {0: 0.6, 4: 1.0, 5: 1.0, 14: 1.0, 15: 0.1, 25: 0.01},
    ),
    "per_epoch": (
        schedules.per_epoch(schedules.exponential(1.0, 0.5), 7),
        {0: 1.0, 6: 1.0, 7: 0.5, 14: 0.25},
    ),
    "join": (
        schedules.join(0.3, 10, schedules.exponential(1.0, 0.5)),
        {0: 0.3, 9: 0.3, 10: 1.0, 11: 0.5},
    ),
}


@pytest.mark.parametrize("name", list(TABLE))
@pytest.mark.parametrize("recorded", [False, True])
def test_table(name, recorded):
    schedule, table = TABLE[name]
    f = compile_(lambda step: schedule(step), np.asarray(0)) if recorded else schedule
    for step, wanted in table.items():
        found = f(np.asarray(step))
        assert float(found) == pytest.approx(wanted, rel=1e-12), step


@pytest.mark.parametrize("name", list(TABLE))
def test_python_integers_too(name):
    schedule, table = TABLE[name]
    for step, wanted in table.items():
        assert float(schedule(step)) == pytest.approx(wanted, rel=1e-12)


def test_one_cycle_as_pytorch_writes_it():
    peak, steps = 0.1, 40
    first, last = 0.3 * steps - 1, steps - 1

    def anneal(a, b, share):
        return b + (a - b) / 2 * (1 + math.cos(math.pi * share))

    schedule = schedules.one_cycle(peak, steps)
    for step in range(steps):
        if step <= first:
            wanted = anneal(peak / 25, peak, step / first)
        else:
            wanted = anneal(peak, peak / 25 / 1e4, (step - first) / (last - first))
        assert float(schedule(step)) == pytest.approx(wanted, rel=1e-12)


def test_descriptions():
    described = schedules.warm_up(schedules.cosine(0.1, 50), 5).describe()
    assert described == {
        "schedule": "warm_up",
        "then": {"schedule": "cosine", "initial": 0.1, "steps": 50, "final": 0.0},
        "steps": 5,
        "start": 0.0,
    }


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: schedules.constant(-1.0),
        lambda: schedules.constant(True),
        lambda: schedules.step(0.1, 0.0, 5),
        lambda: schedules.step(0.1, 0.5, 0),
        lambda: schedules.cosine(0.1, 2.5),
        lambda: schedules.one_cycle(0.1, 3),
        lambda: schedules.one_cycle(0.1, 100, rise=1.0),
        lambda: schedules.exponential(0.1, 0.5, every=0),
    ],
)
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(UsageError):
        wrong()
