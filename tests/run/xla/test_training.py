"""Trainings of many networks, cut short, or shared out, on XLA."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("jax")

import chainrule as cr
from chainrule import run, train
from chainrule.core.tree import leaves
from chainrule.train import Checkpoint, fit, fit_many
from chainrule.train.evaluation import HeldOut
from chainrule.train.monitor import all_finite

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


DTYPES = ["float32", "float64"] if "CHAINRULE_XLA_GRAPHS" in os.environ else ["float32"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_networks_side_by_side_are_those_that_are_trained_alone(dtype: str) -> None:
    given = COMMON | {"dtype": dtype}
    many = fit_many(MODEL, (X, T), seeds=[0, 1, 2], **given)
    for seed, one in enumerate(many):
        alone = fit(MODEL, (X, T), seed=seed, **given)
        for a, b in zip(*map(leaves, (one.params, alone.params)), strict=True):
            assert type(a) is np.ndarray
            assert a.dtype == np.dtype(dtype)
            np.testing.assert_allclose(a, b, rtol=1e-4 if dtype == "float32" else 1e-9, atol=1e-6)


@pytest.mark.parametrize("folds", [None, np.arange(40) % 5 != np.arange(5)[:, None]])
def test_many_networks_are_evaluated_in_one_call(folds: Any, monkeypatch: Any) -> None:
    """With early stopping, as on the interpreter; few widths are compiled."""
    made, compiled = list[Any](), run.Runner.compile

    def counted(self: Any, *given: Any) -> Any:
        made.append(given)
        return compiled(self, *given)

    given = COMMON | {"dtype": "float64", "epochs": 9, "early_stopping": 1, "folds": folds,
                      "metrics": ("accuracy",), "evaluate_train": False}  # fmt: skip
    given |= {} if folds is None else {"validation": None}
    alone = fit_many(MODEL, (X, T), seeds=range(5), **given | {"executor": "numpy"})
    monkeypatch.setattr(run.Runner, "compile", counted)
    ready, score = list[bool](), HeldOut.score
    monkeypatch.setattr(
        HeldOut, "score", lambda self, *a: ready.append(bool(self.ready)) or score(self, *a)
    )
    many = fit_many(MODEL, (X, T), seeds=range(5), **given)
    assert all(ready[:10])
    assert len({len(one.history) for one in many}) > 1
    for one, other in zip(many, alone, strict=True):
        assert len(one.history) == len(other.history)
        for row, wanted in zip(one.history, other.history, strict=True):
            for name in ("validation_loss", "validation_accuracy"):
                np.testing.assert_allclose(row[name], wanted[name], rtol=1e-9)
    assert len(made) <= 3


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


DEVICES = """
import hashlib
import numpy as np
import chainrule as cr
from chainrule.train import fit

rng = np.random.default_rng(0)
x = rng.normal(size=(61, 4)).astype(np.float32)
for name in ("cpu", "cpu:2", "cpu:1,3", "cpu:*"):
    found = fit(
        cr.nn.MLP((4, 16, 3), dropout=0.2, batch_norm=True), (x, rng.integers(0, 3, 61) * 0),
        loss="categorical_cross_entropy", optimizer="adam", epochs=3, batch_size=20,
        shards=None if name == "cpu:*" else 8, executor=cr.Executor("xla", device=name),
    )
    leaves = cr.tree.leaves((found.params, found.slots))
    print(hashlib.sha256(b"".join(leaf.tobytes() for leaf in leaves)).hexdigest())
try:
    cr.jit(np.sin, executor=cr.Executor("xla", device="cpu:1,4"))(0.0)
except cr.ChainruleError as error:
    print(error)
"""


def test_devices_share_the_shards_and_change_no_bit() -> None:
    env = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=4",
                        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}  # fmt: skip
    done = subprocess.run([sys.executable, "-c", DEVICES], env=env, capture_output=True, text=True)
    *digests, refused = done.stdout.splitlines() or [done.stderr]
    assert len(digests) == 4, done.stderr
    assert len({*digests}) == 1
    assert "JAX has no device 'cpu:1,4' here; it has: cpu:0, cpu:1" in refused


def test_finite_is_looked_at_on_the_device_in_64_bits() -> None:
    import jax

    with jax.enable_x64(True):
        there = [jax.numpy.asarray(x) for x in (np.ones(3), np.full(2, 1e300))]
        broken = jax.numpy.asarray(np.array([1.0, np.inf], np.float32))
    assert all_finite([*there, np.zeros(2)])
    assert not all_finite([*there, broken])
    assert not all_finite([*there, np.array(np.nan)])


def test_a_larger_tile_changes_no_prediction(monkeypatch: Any) -> None:
    """As elsewhere than on the CPU, where a device is not busy with a tile of the CPU's."""
    from chainrule.run.xla import placed

    result = fit(MODEL, (X, T), **COMMON | {"epochs": 1})
    x = RNG.normal(size=(600, 4))
    before = result.predict(x)
    monkeypatch.setattr(placed, "tile", 512)
    where = cr.Executor("xla", device="cpu")
    other = train.Predictor(result.model, result.loss, run.Runner(where))
    np.testing.assert_allclose(other.predict(result.params, result.state, x), before, rtol=1e-12)
    few = other.predict(result.params, result.state, x[:3])
    assert few.tobytes() == other.predict(result.params, result.state, x)[:3].tobytes()
