"""Trainings of many networks, cut short, or shared out, on XLA."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("jax")

import chainrule as cr
from chainrule.core.tree import leaves
from chainrule.train import Checkpoint, fit, fit_many

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 4))
T = np.eye(3)[RNG.integers(0, 3, 40)]
MODEL = cr.nn.MLP((4, 5, 3), dropout=0.3, batch_norm=True)
COMMON: dict[str, Any] = {
    "loss": "categorical_cross_entropy", "optimizer": cr.optim.adam(0.1), "epochs": 3,
    "batch_size": 8, "validation": (X[:9], T[:9]), "early_stopping": 2, "executor": "xla",
}  # fmt: skip


def bits(result: Any) -> Any:
    kept = leaves((result.params, result.state, result.slots))
    history = [tuple((row | {"seconds": 0}).items()) for row in result.history]
    assert all(type(x) is np.ndarray for x in kept)
    return [(x.dtype, x.tobytes()) for x in kept], history, result.best_epoch


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_networks_side_by_side_are_those_that_are_trained_alone(dtype: str) -> None:
    given = COMMON | {"dtype": dtype}
    many = fit_many(MODEL, (X, T), seeds=[0, 1, 2], **given)
    for seed, one in enumerate(many):
        alone = fit(MODEL, (X, T), seed=seed, **given)
        for a, b in zip(*map(leaves, (one.params, alone.params)), strict=True):
            assert type(a) is np.ndarray
            assert a.dtype == np.dtype(dtype)
            np.testing.assert_allclose(a, b, rtol=1e-4 if dtype == "float32" else 1e-9, atol=1e-6)


@pytest.mark.parametrize("shards", [1, 4])
def test_taken_up_at_any_step_it_has_the_same_bits(shards: int, tmp_path: Path) -> None:
    given, copies = COMMON | {"shards": shards, "batch_size": 16}, list[Path]()

    def copy(event: Any) -> None:
        copies.append(shutil.copytree(event.path.parent, tmp_path / str(len(copies))))

    undisturbed = bits(fit(MODEL, (X, T), **given))
    once = Checkpoint(tmp_path / "kept", 1, callback=copy)
    assert bits(fit(MODEL, (X, T), checkpoint=once, **given)) == undisturbed
    for folder in copies[2:5:2]:
        again = fit(MODEL, (X, T), checkpoint=folder, resume=True, **given)
        assert bits(again) == undisturbed
