"""Long programs: the same numbers, and code whose size grows with their length."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import chainrule as cr

pytest.importorskip("llvmlite")

from chainrule.run.native.plan.arena import LARGEST, Life
from chainrule.run.native.plan.arena import plan as placed


def sines(x: Any, n: int) -> Any:
    for _ in range(n):
        x = np.sin(x) * 1.5
    return x


def sorts(x: Any, n: int) -> Any:
    """Call-outs among loops, in many steps."""
    for _ in range(n):
        x = np.sort(np.cos(x)) + np.cumsum(x) * 0.1
    return np.sum(x * x)


def layers(x: Any, n: int) -> Any:
    for i in range(n):
        x = np.tanh(x @ x.T) + x[:, i % 3 : i % 3 + 1]
    return np.sum(x)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    ("f", "x"), [(sines, 0.7), (sorts, np.linspace(-1, 1, 20)), (layers, np.eye(6))]
)
def test_long_programs_agree_with_the_interpreter(
    f: Any, x: Any, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from chainrule.run.native import plan

    monkeypatch.setattr(plan, "WORTH_A_THREAD", 1)
    n = 700 if f is sines else 120
    both = cr.value_and_grad(lambda x: f(x, n))
    value, gradient = cr.jit(both, threads=threads)(x)
    exact, expected = cr.jit(both, executor="numpy")(x)
    # Thousands of roundings, of which each step may double an earlier one's weight.
    assert value == pytest.approx(exact, rel=1e-8)
    np.testing.assert_allclose(gradient, expected, rtol=1e-7, atol=1e-10)


def test_code_grows_with_a_program_and_its_functions_do_not() -> None:
    sizes, longest = [], []
    for n in (500, 2000):
        code = cr.jit(cr.grad(lambda x, n=n: sines(x, n))).ir(0.7)
        functions = re.findall(r"^define .*?^}", code, flags=re.M | re.S)
        sizes.append(len(code) / n)
        longest.append(max(text.count("\n") for text in functions))
    assert sizes[1] <= 1.1 * sizes[0]
    assert longest[1] <= 1.1 * longest[0] < 2500  # some instructions for each of 400 nodes


def test_very_many_buffers_share_memory_and_never_overlap() -> None:
    rng = np.random.default_rng(0)
    lives = []
    for start in range(4 * LARGEST):
        size = int(rng.choice([4, 8, 8, 24, 64, 640, 5000]))
        lives.append(Life(size, start, start + int(rng.integers(0, 40))))
    offsets, peak = placed(lives)
    for i, (one, at) in enumerate(zip(lives, offsets, strict=True)):
        assert at % min(64, 8 if one.size <= 8 else 64) == 0
        assert at + one.size <= peak
        for other, there in zip(lives[i + 1 : i + 60], offsets[i + 1 : i + 60], strict=False):
            if other.start <= one.stop:
                assert at + one.size <= there or there + other.size <= at
    assert peak < sum(life.size for life in lives) / 5
