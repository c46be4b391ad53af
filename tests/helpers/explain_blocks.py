"""Random blocks and wires for the tests of layout, and which of them overlap."""

from __future__ import annotations

import os

import numpy as np

from chainrule.explanation.picture.layout import Block, Wire

GRAPHS = int(os.environ.get("CHAINRULE_EXPLAIN_GRAPHS", "80"))


def random_blocks(seed: int) -> tuple[list[Block], list[Wire]]:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 60)) if seed % 10 else 200
    blocks = [Block(w + 8, h, w) for w, h in zip(*rng.uniform(20, 90, (2, n)), strict=True)]
    reach = int(rng.integers(2, 15))
    pairs = {(int(rng.integers(max(0, t - reach), t)), t) for t in range(1, n) for _ in range(2)}
    return blocks, [Wire(s, t, *rng.uniform(10, 80, 2)) for s, t in sorted(pairs)]


def overlapping(box: np.ndarray) -> list[tuple[int, int]]:
    left, top, right, bottom = box.T[:, :, None]
    meet = (left < right.T) & (right > left.T) & (top < bottom.T) & (bottom > top.T)
    return [(i, j) for i, j in np.argwhere(meet) if i < j]
