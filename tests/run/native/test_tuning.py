"""Which variant of a product is taken: measured once for a class of shapes, kept where machine code
is, and never needed."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from chainrule.core.graph import Graph
from chainrule.run import cache, native
from chainrule.run.native.matmul import tuning
from chainrule.run.native.matmul.tiling import USUAL, VARIANTS, Variant
from chainrule.run.native.plan import Product
from chainrule.run.native.runtime import machine

TEXT = """def f(x: float32[70, 260], y: float32[260, 80]):
    z: float32[70, 80] = contract(x, y, spec='ij,jk->ik')
    return z,"""
SIZE, TYPE, A, B = (70, 80, 260), "float", (260, 1), (80, 1)


@pytest.fixture(autouse=True)
def calm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "BUSY", 10**6)


@pytest.fixture
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Products worth measuring though they are small, an empty cache; and what was measured."""
    monkeypatch.setenv("CHAINRULE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CHAINRULE_TUNE", "1")
    monkeypatch.setattr(tuning, "WORTH", 1)
    found: list[Any] = []
    right = tuning.fastest

    def fastest(*about: Any) -> int:
        found.append(about)
        return right(*about)

    monkeypatch.setattr(tuning, "fastest", fastest)
    forget(monkeypatch)
    return found


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """As another process knows nothing but what is on the disk."""
    monkeypatch.setattr(tuning, "_chosen", {})
    monkeypatch.setattr(cache, "_memory", type(cache._memory)())


def product() -> tuple[Variant, np.ndarray]:
    """The variant of a compiled product, and what it computes."""
    run = native.compile(Graph.parse(TEXT), 1)
    (step,) = run.plan.steps
    assert isinstance(step, Product)
    rng = np.random.default_rng(0)
    return step.variant, run([rng.normal(size=x.type.shape).astype("f") for x in run.plan.inputs])[
        0
    ]


def timed(monkeypatch: pytest.MonkeyPatch, costs: dict[Variant, list[float]]) -> None:
    """Let variants take so many seconds in turn, the last for ever; others take 1."""
    tiled = tuning.tiling_of
    of: dict[Any, Variant] = {}

    def tiling_of(*about: Any, variant: Variant = USUAL) -> Any:
        cut = tiled(*about, variant=variant)
        of.setdefault(cut, variant)
        return cut

    class Trial:
        def __init__(self, cut: Any, *_: Any) -> None:
            self.costs, self.turn = costs.get(of[cut], [1.0]), count()

        def seconds(self, _: int) -> float:
            return self.costs[min(next(self.turn), len(self.costs) - 1)]

    monkeypatch.setattr(tuning, "tiling_of", tiling_of)
    monkeypatch.setattr(tuning, "_Trial", Trial)


def test_a_class_is_measured_once_on_a_machine(
    measured: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, wanted = product()
    assert measured == [(SIZE, TYPE, A, B)]
    for others in (False, True):  # in this process, and in the next
        if others:
            forget(monkeypatch)
        assert product()[0] == first
        assert len(measured) == 1
    tuning.variant_of((100, 72, 300), TYPE, (300, 1), (72, 1))  # of the same class
    assert len(measured) == 1
    tuning.variant_of(SIZE, "double", A, B)
    monkeypatch.setattr(machine, "caches", lambda: (machine.Cache(2**14, 4, 64),) * 2)
    tuning.variant_of(SIZE, TYPE, A, B)
    assert len(measured) == 3
    monkeypatch.setenv("CHAINRULE_TUNE", "0")
    variant, found = product()
    assert variant == USUAL
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_fastest_is_taken_with_the_same_bits(
    variant: Variant, measured: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAINRULE_TUNE", "0")
    _, wanted = product()
    monkeypatch.setenv("CHAINRULE_TUNE", "1")
    # Vectors and caches in which each variant is another way to cut this product.
    monkeypatch.setattr(machine, "caches", lambda: (machine.Cache(2**14, 4, 64),) * 2)
    monkeypatch.setattr(machine, "vector_bytes", lambda: 32)
    monkeypatch.setattr(machine, "vector_registers", lambda: 16)
    timed(monkeypatch, {variant: [0.9]})
    found, result = product()
    assert found == variant
    np.testing.assert_array_equal(result, wanted)
    assert len(measured) == 1


def test_nothing_is_measured_without_a_folder_nor_of_small_products(
    measured: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAINRULE_CACHE", "")
    assert product()[0] == USUAL
    monkeypatch.undo()
    monkeypatch.setenv("CHAINRULE_TUNE", "1")
    assert product()[0] == USUAL
    assert not measured


def test_what_a_busy_machine_would_say_is_not_kept(
    measured: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Vectors and caches in which each variant is another way to cut this product.
    monkeypatch.setattr(machine, "caches", lambda: (machine.Cache(2**14, 4, 64),) * 2)
    monkeypatch.setattr(machine, "vector_bytes", lambda: 32)
    monkeypatch.setattr(machine, "vector_registers", lambda: 16)
    timed(monkeypatch, {VARIANTS[1]: [0.5]})
    monkeypatch.setattr(tuning, "BUSY", -1)
    assert [product()[0] for _ in range(2)] == [USUAL] * 2
    assert len(measured) == 1
    forget(monkeypatch)
    monkeypatch.setattr(tuning, "BUSY", 10**6)
    assert product()[0] == VARIANTS[1]


@pytest.mark.parametrize(
    "costs", [[0.97], [0.9] * 4 + [1.0], [0.9] * 6 + [1.0], [1.0, 1.0, 0.5, 1.0]]
)
def test_noise_chooses_nothing(costs: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    """A little faster, faster at first, faster once."""
    timed(monkeypatch, {VARIANTS[1]: costs})
    monkeypatch.setattr(machine, "caches", lambda: (machine.Cache(2**14, 4, 64),) * 2)
    assert tuning.fastest((256, 256, 1024), TYPE, (1024, 1), (256, 1)) == 0


def test_large_operands_are_not_measured() -> None:
    assert tuning.fastest((2**20, 64, 64), TYPE, (64, 1), (2**24, 1)) == 0
