"""A recurrent network whose turns are a scan, inside the loop that trains it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import train
from chainrule.run import default_executor

EXECUTORS = ["numpy", "native"] if default_executor() == "native" else ["numpy"]
RNG = np.random.default_rng(2)
X = RNG.normal(size=(48, 6, 2))
Y = np.tanh(X[:, :, 0].sum(axis=1, keepdims=True))


@dataclass(frozen=True)
class Recurrent:
    """A cell of 4 numbers over 6 turns; ``loop`` says how they are written."""

    loop: str

    def init(self, seed: int, dtype: Any = np.float64) -> tuple[Any, Any]:
        rng = np.random.default_rng(seed)
        shapes = {"W": (4, 4), "U": (2, 4), "V": (4, 1)}
        return {name: rng.normal(size=shape) * 0.4 for name, shape in shapes.items()}, {}

    def __call__(
        self, params: Any, state: Any, x: Any, *, key: Any = None, train: bool = False
    ) -> Any:
        def turn(h: Any, x: Any) -> tuple[Any, None]:
            return np.tanh(h @ params["W"] + x @ params["U"]), None

        x = np.reshape(x, (x.shape[0], 6, 2))
        h = np.zeros((x.shape[0], 4))
        if self.loop == "scan":
            h, _ = cr.scan(turn, h, np.swapaxes(x, 0, 1))
        else:
            for t in range(x.shape[1]):
                h, _ = turn(h, x[:, t])
        return h @ params["V"], state


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_scan_trains_as_its_loop_does(executor: str) -> None:
    """The same minibatches in the same order: only sums differ, in their order."""
    found = []
    for loop in ("scan", "python"):
        fitted = train.fit(
            Recurrent(loop), (X.reshape(48, 12), Y), loss="squared_error", optimizer="adam",
            epochs=3, batch_size=16, seed=1, executor=executor,
        )  # fmt: skip
        found.append(fitted.params)
    for name in found[0]:
        np.testing.assert_allclose(found[0][name], found[1][name], rtol=1e-7, atol=1e-9)
