"""Every sum of a product goes along k, one number after another, however the product is cut, tuned,
copied and shared out: its bits are those of a plain loop of multiply-adds."""

from __future__ import annotations

import ctypes
import sys
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from chainrule.core.graph import Graph
from chainrule.run import native
from chainrule.run.native import plan
from chainrule.run.native.matmul import tiling
from chainrule.run.native.matmul.tiling import Variant
from chainrule.run.native.plan import Product, products
from chainrule.run.native.plan.products import cut_of
from chainrule.run.native.runtime import machine
from chainrule.run.native.runtime.machine import Cache

SEEDS = 5
LAYOUTS = {"A @ B": "ij,jk->ik", "A @ B.T": "ij,kj->ik", "A.T @ B": "ji,jk->ik",
           "A.T @ B.T": "ji,kj->ik", "(A @ B).T": "ij,jk->ki"}  # fmt: skip
NONE, SMALL = Cache(64, 1, 64), Cache(2**12, 4, 64)
CUTS = {
    "of this machine": {},
    "without caches": {"caches": (NONE, NONE), "DEPTH": 8},
    "without caches, across": {
        "caches": (NONE, NONE), "DEPTH": 8, "variant": Variant(across=True, three=True)
    },
    "for small caches": {"caches": (SMALL, Cache(2**14, 4, 64)), "DEPTH": 32},
    "for endless caches": {
        "caches": (Cache(2**30, 64, 64), Cache(2**34, 64, 64)), "variant": Variant(copies=True)
    },
    "copied whole": {"caches": (NONE, SMALL), "DEPTH": 10**6, "OFTEN": 1},
    "in vectors of 16 bytes": {
        "vector_bytes": 16, "DEPTH": 24, "PANEL": 0, "variant": Variant(three=True)
    },
    "in vectors of 32 bytes": {
        "vector_bytes": 32, "caches": (NONE, SMALL), "DEPTH": 24, "OFTEN": 1
    },
    "in vectors of 64 bytes": {
        "vector_bytes": 64, "caches": (NONE, SMALL), "DEPTH": 24, "OFTEN": 1
    },
    "in place": {
        "OFTEN": 10**6, "DEPTH": 160, "PANEL": 0, "variant": Variant(finer=4, across=True)
    },
}  # fmt: skip


def multiply_add() -> Any:
    """C's function, of arrays: rounded once, where the machine has an instruction for it."""
    library = ctypes.CDLL("ucrtbase" if sys.platform == "win32" else None)
    tables = {}
    for dtype, name, real in (
        ("float32", "fmaf", ctypes.c_float),
        ("float64", "fma", ctypes.c_double),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = real, [real] * 3
        tables[dtype] = np.frompyfunc(function, 3, 1)
    return tables


FMA = multiply_add()


def in_order(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The product by a loop over k."""
    c = np.zeros((a.shape[0], b.shape[1]), a.dtype)
    for k in range(a.shape[1]):
        x, y = np.broadcast_arrays(a[:, k : k + 1], b[k])
        c = FMA[str(a.dtype)](x, y, c).astype(a.dtype) if machine.has_fma() else x * y + c
    return c


def cut_as(monkeypatch: pytest.MonkeyPatch, cut: dict[str, Any]) -> None:
    for name, value in cut.items():
        if name == "variant":
            monkeypatch.setattr(products, "variant_of", lambda *_, value=value: value)
        elif name.isupper():
            monkeypatch.setattr(tiling, name, value)
        else:
            monkeypatch.setattr(machine, name, lambda value=value: value)
    if "vector_bytes" in cut:
        registers = 32 if cut["vector_bytes"] == 64 else 16
        monkeypatch.setattr(machine, "vector_registers", lambda: registers)


def drawn(seed: int) -> tuple[tuple[int, int, int], str, str, str, list[np.ndarray]]:
    """Sizes, a layout, a dtype, a graph's text, and its arguments: parts of larger matrices."""
    rng = np.random.default_rng(seed)
    m, n = (int(x) for x in rng.integers(1, 70, 2))
    k = int(rng.integers(600 // n + 1, 600 // n + 60))
    layout, dtype = list(LAYOUTS)[seed % len(LAYOUTS)], str(rng.choice(["float32", "float64"]))
    left, right, out = LAYOUTS[layout].replace("->", ",").split(",")
    length = {"i": m, "j": k, "k": n}
    lines, arguments, given = [], [], []
    for name, labels in (("x", left), ("y", right)):
        shape = [length[label] for label in labels]
        around = [
            size + int(more) for size, more in zip(shape, rng.choice([0, 0, 3, 16], 2), strict=True)
        ]
        region = tuple((0, size, 1) for size in shape)
        given.append(f"{name}0: {dtype}{around}")
        lines.append(f"    {name}: {dtype}{shape} = slice({name}0, region={region})")
        if around == shape:
            lines[-1] = ""
            given[-1] = f"{name}: {dtype}{shape}"
        arguments.append(rng.normal(size=around).astype(dtype))
    shape = [length[label] for label in out]
    text = "\n".join([f"def f({', '.join(given)}):", *filter(None, lines),
                      f"    z: {dtype}{shape} = contract(x, y, spec='{LAYOUTS[layout]}')",
                      "    return z,"])  # fmt: skip
    return (m, n, k), layout, dtype, text, arguments


def wanted(size: tuple[int, int, int], layout: str, arguments: list[np.ndarray]) -> np.ndarray:
    (m, n, k), (x, y) = size, arguments
    a = x[:k, :m].T if layout.startswith("A.T") else x[:m, :k]
    b = y[:n, :k].T if layout.endswith("B.T") else y[:k, :n]
    c = in_order(a, b)
    return c.T if layout.startswith("(") else c


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("seed", range(SEEDS))
def test_bits_do_not_depend_on_how_a_product_is_cut(
    seed: int, cut: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_as(monkeypatch, CUTS[cut])
    monkeypatch.setattr(plan, "WORTH_A_THREAD", 1)
    size, layout, _, text, arguments = drawn(seed)
    expected = wanted(size, layout, arguments)
    found = 0
    for threads in (1, 2):
        program = native.compile(Graph.parse(text), threads)
        found += sum(isinstance(step, Product) for step in program.plan.steps)
        np.testing.assert_array_equal(program(arguments)[0], expected)
    assert found in (0, 2)


def test_the_cuts_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the test above compares: with and without copies of either, sums that wait, blocks."""
    seen: dict[str, set[bool]] = {x: set() for x in ("a", "b", "depth", "block", "across", "three")}
    for cut in CUTS.values():
        with monkeypatch.context() as patch:
            cut_as(patch, cut)
            for seed in range(SEEDS):
                for step in native.compile(Graph.parse(drawn(seed)[3]), 1).plan.steps:
                    if isinstance(step, Product):
                        found = cut_of(step)
                        seen["a"].add(found.copies_a)
                        seen["b"].add(found.copies_b)
                        seen["depth"].add(found.depth < found.k)
                        seen["block"].add(found.block < found.tiles)
                        seen["across"].add(found.across)
                        seen["three"].add(found.three and found.vectors == 3)
    assert all(values == {True, False} for values in seen.values()), seen


def test_another_order_of_sums_is_seen() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(30, 90)), rng.normal(size=(90, 30))
    other = in_order(a[:, :45], b[:45]) + in_order(a[:, 45:], b[45:])
    assert (other != in_order(a, b)).any()
