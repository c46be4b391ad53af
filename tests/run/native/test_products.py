"""Matrix products of every layout and odd size, from registers' tiles to batches."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from chainrule.core.graph import Graph
from chainrule.run import interpreter, native
from chainrule.run.native.plan import Product

SIZES = [(64, 64, 64), (37, 53, 45), (7, 130, 33), (100, 37, 50), (33, 1, 400), (1, 300, 40),
         (300, 40, 1), (128, 10, 128), (17, 65, 600), (256, 16, 31)]  # fmt: skip


def check(text: str, *shapes: tuple[int, ...], dtype: str) -> None:
    graph = Graph.parse(text)
    rng = np.random.default_rng(0)
    arguments = [rng.normal(size=shape).astype(dtype) for shape in shapes]
    (wanted,), (found,) = (e.compile(graph)(arguments) for e in (interpreter, native))
    assert found.shape == wanted.shape
    scale = np.abs(wanted).max()
    assert np.abs(found - wanted).max() <= scale * (2e-5 if dtype == "float32" else 1e-13)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("spec", ["ij,jk->ik", "ji,jk->ik", "ij,kj->ik", "ji,kj->ik", "ij,jk->ki"])
def test_layouts_and_odd_sizes(spec: str, dtype: str) -> None:
    left, right, out = spec.replace("->", ",").split(",")
    for m, n, k in SIZES:
        length = {"i": m, "j": k, "k": n}
        a, b, c = ([length[x] for x in part] for part in (left, right, out))
        text = (f"def f(x: {dtype}{a}, y: {dtype}{b}):\n"
                f"    z: {dtype}{c} = contract(x, y, spec='{spec}')\n    return z,")  # fmt: skip
        check(text, tuple(a), tuple(b), dtype=dtype)


@pytest.mark.parametrize(
    ("spec", "a", "b", "c"),
    [
        ("bij,bjk->bik", (3, 20, 30), (3, 30, 40), (3, 20, 40)),
        ("bij,jk->bik", (3, 20, 30), (30, 40), (3, 20, 40)),
        ("bij,bkj->bik", (3, 20, 30), (3, 40, 30), (3, 20, 40)),
        ("abij,abjk->abik", (2, 3, 20, 30), (2, 3, 30, 40), (2, 3, 20, 40)),
        ("ijk,kj->i", (90, 12, 11), (11, 12), (90,)),
        ("ij,kj->ikj", (20, 30), (40, 30), (20, 40, 30)),
        ("ibj,bjk->bik", (20, 3, 30), (3, 30, 40), (3, 20, 40)),
    ],
)
def test_batches_and_joined_axes(
    spec: str, a: tuple[int, ...], b: tuple[int, ...], c: tuple[int, ...]
) -> None:
    text = (f"def f(x: float64{list(a)}, y: float64{list(b)}):\n"
            f"    z: float64{list(c)} = contract(x, y, spec='{spec}')\n    return z,")  # fmt: skip
    check(text, a, b, dtype="float64")


def test_operands_that_are_views() -> None:
    check(
        """def f(x: float64[40, 60], y: float64[70, 30]):
    a: float64[20, 30] = slice(x, region=((1, 20, 2), (3, 30, 1)))
    b: float64[30, 70] = transpose(y, axes=(1, 0))
    z: float64[20, 70] = contract(a, b, spec='ij,jk->ik')
    return z,""",
        (40, 60), (70, 30), dtype="float64",
    )  # fmt: skip


def test_non_finite_numbers_pass_through() -> None:
    graph = Graph.parse("""def f(x: float64[32, 32], y: float64[32, 32]):
    z: float64[32, 32] = contract(x, y, spec='ij,jk->ik')
    return z,""")
    run = native.compile(graph)
    assert any(isinstance(step, Product) for step in run.plan.steps)
    x, y = np.ones((32, 32)), np.ones((32, 32))
    x[3, 4], y[5, 6], y[4, 9] = np.nan, np.inf, 0.0
    x[7, 4] = np.inf
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(run([x, y])[0], x @ y)


def test_memory_around_a_product_stays_untouched() -> None:
    """Tails of tiles write no number beyond their row."""
    text = """def f(x: float32[37, 41], y: float32[41, 53], g: float32[37, 53]):
    z: float32[37, 53] = contract(x, y, spec='ij,jk->ik')
    w: float32[37, 53] = multiply(z, g)
    return w, z"""
    graph = Graph.parse(text)
    rng = np.random.default_rng(1)
    arguments = [rng.normal(size=x.type.shape).astype("f") for x in graph.inputs]
    found = native.compile(graph)(arguments)
    wanted = interpreter.compile(graph)(arguments)
    x, y, g = (np.abs(a).astype(float) for a in arguments)
    bound = 41 * np.finfo("f").eps * (x @ y)  # of any order of summation (Higham 2002, 3.5)
    assert np.all(np.abs(found[0] - wanted[0]) <= g * bound)
    assert np.all(np.abs(found[1] - wanted[1]) <= bound)
