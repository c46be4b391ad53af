"""Memory: the arena against the best there is, registers instead of buffers, order of loops."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from chainrule.core.graph import Graph
from chainrule.run import native
from chainrule.run.native.plan.affine import Affine, reshaped, variables
from chainrule.run.native.plan.arena import ALIGNMENT, Life, padded, plan


def overlap(a: Life, b: Life) -> bool:
    return a.start <= b.stop and b.start <= a.stop


def valid(lives: list[Life], offsets: list[int]) -> bool:
    for (a, x), (b, y) in itertools.combinations(zip(lives, offsets, strict=True), 2):
        apart = x + padded(a.size) <= y or y + padded(b.size) <= x
        if overlap(a, b) and not apart:
            return False
    return True


def best(lives: list[Life]) -> int:
    """The smallest arena: first fit in every order of the buffers, which includes an optimum."""
    smallest = sum(padded(one.size) for one in lives)
    for order in itertools.permutations(range(len(lives))):
        offsets: dict[int, int] = {}
        peak = 0
        for i in order:
            at = 0
            for j in sorted((j for j in offsets if overlap(lives[i], lives[j])), key=offsets.get):
                if at + padded(lives[i].size) <= offsets[j]:
                    break
                at = max(at, offsets[j] + padded(lives[j].size))
            offsets[i] = at
            peak = max(peak, at + padded(lives[i].size))
        smallest = min(smallest, peak)
    return smallest


def test_the_arena_is_near_the_brute_force_optimum() -> None:
    rng = np.random.default_rng(0)
    ratios = []
    for _ in range(60):
        lives = []
        for _ in range(int(rng.integers(2, 7))):
            start = int(rng.integers(0, 6))
            size = int(rng.integers(1, 8)) * ALIGNMENT
            lives.append(Life(size, start, start + int(rng.integers(0, 4))))
        offsets, peak = plan(lives)
        assert valid(lives, offsets)
        assert peak == max(o + padded(x.size) for o, x in zip(offsets, lives, strict=True))
        ratios.append(peak / best(lives))
    assert min(ratios) >= 1
    assert np.mean(ratios) <= 1.02
    assert max(ratios) <= 1.34


def test_a_wrong_plan_is_seen() -> None:
    assert not valid([Life(64, 0, 1), Life(64, 1, 2)], [0, 0])


def test_what_one_loop_uses_needs_no_memory() -> None:
    graph = Graph.parse("""def f(x: float64[100]):
    e: float64[100] = exp(x)
    a: float64[100] = multiply(e, x)
    b: float64[100] = add(e, a)
    return a, b""")
    made = native.compile(graph).plan
    assert len(made.steps) == 1
    assert made.arena == 0


def test_reshapes_as_affine_indices() -> None:
    rng = np.random.default_rng(0)
    for old, new in [((6,), (2, 3)), ((2, 3), (2, 1, 3)), ((4, 1), (4,)), ((12, 5), (3, 4, 5)),
                     ((2, 3), (6,)), ((1, 1), ()), ((2, 6), (3, 4))]:  # fmt: skip
        rank = len(new)
        index = reshaped(variables(rank), old, new, rank)
        x = rng.normal(size=old)
        if index is None:
            assert (old, new) in {((2, 3), (6,)), ((2, 6), (3, 4))}
            continue
        for at in np.ndindex(new):
            place = tuple(a.constant + int(np.dot(a.factors, at)) if rank else a.constant
                          for a in index)  # fmt: skip
            assert x[place] == x.reshape(new)[at]
    assert Affine(1, (2, 0)).plus(Affine(3, (0, 5))) == Affine(4, (2, 5))


TEXT_OF_A_PROGRAM = """
import hashlib
import chainrule.ops
from chainrule.core.graph import Graph
from chainrule.run.native.emit import module
from chainrule.run.native import plan

g = Graph.parse('''def f(x: float32[64, 64], y: float32[64, 64]):
    z: float32[64, 64] = contract(x, y, spec='ij,jk->ik')
    a: float32[64, 64] = tanh(z)
    b: float32[64, 64] = log(z)
    return a, b''')
print(hashlib.sha256("".join(module.write(plan.make(g)).texts).encode()).hexdigest())
"""


def test_the_text_of_a_program_is_always_the_same() -> None:
    found = {
        subprocess.run(
            [sys.executable, "-c", TEXT_OF_A_PROGRAM], capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2", "3")
    }  # fmt: skip
    assert len(found) == 1
