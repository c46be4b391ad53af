"""What code a jitted function has, and where its time goes."""

from __future__ import annotations

import inspect
import random
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import UsageError


def layered(w: Any, x: Any) -> Any:
    h = np.tanh(x @ w)
    s = np.sort(h, axis=0)
    return np.sum(s[1:] * np.exp(h[:-1]))


def lines_of(word: str) -> list[str]:
    """The lines of ``layered`` that hold a word, as a profile names them."""
    source, first = inspect.getsourcelines(layered)
    numbers = [first + i for i, line in enumerate(source) if word in line]
    return [f"{__file__}:{n} in layered" for n in numbers]


def arguments(size: int = 60) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(size, 8)), rng.normal(size=(40, size))


@pytest.mark.parametrize("executor", ["numpy", "native"])
def test_a_profile_names_every_operation_and_its_line(executor: str) -> None:
    if executor == "native":
        pytest.importorskip("llvmlite")
    found = cr.jit(cr.value_and_grad(layered), executor=executor).profile(*arguments())
    operations = [name for step in found.steps for name in step.operations]
    assert {"contract", "tanh", "argsort", "exp", "reduce_sum", "scatter_add"} <= set(operations)
    for word, name in (("tanh", "tanh"), ("sort", "argsort"), ("exp", "exp")):
        (step,) = (step for step in found.steps if name in step.operations)
        assert set(lines_of(word)) <= set(step.lines)
    assert all(step.lines for step in found.steps)  # of the backward pass too
    assert all(step.seconds >= 0 for step in found.steps)
    assert found.seconds > 0
    assert sum(found.by_line().values()) == pytest.approx(found.seconds)
    printed = str(found)
    assert printed.startswith(f"layered, executor {executor}: ")
    assert lines_of("sort")[0] in printed


def test_where_most_of_the_time_goes_stands_first() -> None:
    """A sort of 100,000 numbers against the sum of ten: a factor of thousands."""

    def f(x: Any, y: Any) -> Any:
        many = np.sort(x)
        return many[0] + np.sum(y)

    found = cr.jit(f).profile(np.random.default_rng(0).normal(size=100_000), np.ones(10))
    first = next(iter(found.by_line()))
    assert first.endswith("in f")
    start = inspect.getsourcelines(f)[1]
    assert f":{start + 1} " in first


def test_long_programs_and_methods_are_profiled_too() -> None:
    pytest.importorskip("llvmlite")

    class Model:
        @cr.jit
        def chain(self, x: Any) -> Any:
            drawn = random.Random(0)
            for _ in range(1500):  # turns that differ, else they become one loop
                x = np.sin(x) + 1.0 if drawn.random() < 0.5 else 2.0 * np.sin(x)
            return x

    model = Model()
    found = model.chain.profile(0.5)
    assert len(found.steps) > 2
    assert sum(len(step.operations) for step in found.steps) >= 1500
    code = model.chain.ir(0.5)
    assert "; cold" in code  # the second module
    assert code.count("define double @cr_sin_double_shared(") == 1  # one copy for all


def test_a_loop_made_of_turns_has_their_lines() -> None:
    pytest.importorskip("llvmlite")

    def chain(x: Any) -> Any:
        for _ in range(1500):
            x = np.sin(x)
        return x

    (step,) = cr.jit(chain).profile(0.5).steps
    assert step.operations == ("scan",)
    assert len(step.lines) == 1
    assert "in chain" in step.lines[0]


def test_the_code_of_a_function_is_shown() -> None:
    pytest.importorskip("llvmlite")
    code = cr.jit(layered).ir(*arguments())
    assert "define i32 @run(" in code
    assert "cr_tanh_double" in code
    with pytest.raises(UsageError, match="the NumPy executor makes no code"):
        cr.jit(layered, executor="numpy").ir(*arguments())
