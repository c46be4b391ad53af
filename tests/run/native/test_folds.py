"""Loops over a product's result, run tile by tile while it is near."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from chainrule.compile import optimise
from chainrule.core.record import record
from chainrule.core.tree import flatten
from chainrule.run import interpreter, native
from chainrule.run.native import plan
from chainrule.run.native.plan import Product, placing
from tests.helpers.native_loops import agree, both, network


def products_of(f: Any, *args: Any) -> list[Product]:
    made = native.compile(optimise(record(f, *args).graph)).plan
    return [step for step in made.steps if isinstance(step, Product)]


def check(f: Any, *args: Any, folded: int, kept: int) -> None:
    """As many products with loops, as many of these whose result is stored, and the numbers."""
    found = [step for step in products_of(f, *args) if step.nests]
    assert (len(found), sum(step.kept for step in found)) == (folded, kept)
    graph = optimise(record(f, *args).graph)
    for y, wanted in zip(
        native.compile(graph)(args), interpreter.compile(graph)(args), strict=True
    ):
        # Sums of up to some hundred terms in another order, in float32 in half of the cases;
        # a wrong fold is wrong by whole terms.
        scale = np.nanmax(np.abs(wanted))
        np.testing.assert_allclose(y, wanted, rtol=1e-5, atol=scale * 1e-5, equal_nan=True)


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("size", [(64, 64, 64), (37, 53, 45), (7, 130, 33), (100, 17, 50)])
def test_bias_and_activation(size: tuple[int, int, int], dtype: Any) -> None:
    rng = np.random.default_rng(0)
    m, n, k = size
    x, w, b = (rng.normal(size=s).astype(dtype) for s in ((m, k), (k, n), (n,)))
    check(lambda x, w, b: np.sum(np.sin(x @ w - b), axis=0), x, w, b, folded=0, kept=0)
    x[0, 0] = np.nan
    check(lambda x, w, b: np.maximum(x @ w + b, 0), x, w, b, folded=1, kept=0)
    check(lambda x, w, b: np.tanh(x @ w + b) * b, x, w, b, folded=1, kept=0)
    check(lambda x, w, b: (x @ w, np.tanh(x @ w + b)), x, w, b, folded=1, kept=1)


def test_loops_that_turn_or_shift_a_result_come_after_it() -> None:
    x, w = np.random.default_rng(0).normal(size=(2, 40, 40))
    check(lambda x, w: (x @ w).T + w, x, w, folded=0, kept=0)
    check(lambda x, w: (x @ w)[::-1] + w, x, w, folded=0, kept=0)
    check(lambda x, w: (x @ w) + (x @ w)[:, :1], x, w, folded=0, kept=0)


def of_its_operand(carry: Any, x: Any, c: Any) -> Any:
    """The update of a carry that the product itself reads: not to be overwritten tile by tile."""
    return np.sum(carry), carry - 0.1 * (carry @ x)


def test_a_product_s_operand_is_not_overwritten_tile_by_tile() -> None:
    rng = np.random.default_rng(0)
    agree(*both(of_its_operand, rng.normal(size=(40, 40)), rng.normal(size=(4, 40, 40)), ()))


def test_such_an_overwriting_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placing, "operands_of", lambda step: ())
    rng = np.random.default_rng(0)
    with pytest.raises(AssertionError):
        agree(*both(of_its_operand, rng.normal(size=(40, 40)), rng.normal(size=(4, 40, 40)), ()))


def test_a_training_step_folds_forward_and_backward_and_updates_in_one_loop() -> None:
    f, carry, xs, constants = network((64, 128, 96, 10), 64, np.float32, "relu")
    graph = optimise(record(f, carry, [x[0] for x in xs], constants).graph)
    code = native.repeat(graph, len(flatten(carry)[0]), 2, 1).code
    folded = [step for step in code.plan.steps if isinstance(step, Product) and step.nests]
    assert len(folded) == 4  # two activations, two derivatives of them
    assert sum(x.alias is not None for x in code.plan.outputs) == 18  # each parameter, in place
    written = re.findall(r"define internal void @(step\d+)(.*?)\n}", code.texts[0], re.DOTALL)
    (update,) = (name for name, body in written if "sqrt" in body and "i64 %first, %last" in body)
    assert code.texts[0].count(f"call void @{update}(") == 3  # each matrix of weights
    assert code.plan.arena < code.plan.apart


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("rows", [7, 40, 61, 197])
def test_rows_that_a_last_tile_repeats_are_updated_once(
    rows: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "WORTH_A_THREAD", 1000)

    def step(w: Any, one: Any, _: Any) -> Any:
        x, d = one
        return np.sum(w), w - 0.1 * (x @ d)

    rng = np.random.default_rng(0)
    w = rng.normal(size=(rows, 50))
    xs = rng.normal(size=(3, rows, 30)), rng.normal(size=(3, 30, 50))
    agree(*both(step, w, xs, (), threads))
