"""A row's prediction has the same bits whatever rows stand beside it, on any number of threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from chainrule import nn, optim, train
from chainrule.errors import DataError
from chainrule.run import Runner
from chainrule.run.native import plan
from chainrule.train import Predictor

NETWORKS: dict[str, Any] = {
    "tiny": {"sizes": (4, 16, 3)},
    "narrow layers": {"sizes": (3, 2, 5, 2), "activation": "tanh"},
    "wide layers": {"sizes": (70, 130, 67, 10), "activation": "gelu"},
    "batch norm": {"sizes": (20, 40, 4), "batch_norm": True},
    "one output": {"sizes": (33, 65, 1), "activation": "silu"},
    "no hidden layer": {"sizes": (100, 7)},
    "few outputs": {"sizes": (70, 5)},
    "narrow and wide": {"sizes": (70, 3, 90, 2)},
}


ROWS = 704  # eleven batches: none is left over, which would be compiled by itself


def fitted(name: str, dtype: Any, **given: Any) -> tuple[train.FitResult, np.ndarray]:
    rng = np.random.default_rng(0)
    model = nn.MLP(**NETWORKS[name])
    columns, outputs = model.sizes[0], model.sizes[-1]
    x = rng.normal(size=(ROWS, columns)).astype(dtype)
    t = np.arange(ROWS) % outputs if outputs > 1 else rng.normal(size=ROWS)
    loss = nn.CategoricalCrossEntropy() if outputs > 1 else nn.SquaredError()
    result = train.fit(
        model, (x, t), loss=loss, optimizer=optim.adam(1e-2), epochs=1, batch_size=64, dtype=dtype,
        executor="native", **given,
    )  # fmt: skip
    return result, x


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("name", NETWORKS)
def test_bits_do_not_depend_on_other_rows(name: str, dtype: Any) -> None:
    result, x = fitted(name, dtype)
    wanted = result.predict(x)
    order = np.random.default_rng(1).permutation(len(x))
    np.testing.assert_array_equal(result.predict(x[order]), wanted[order])
    for rows in (slice(0, 1), slice(5, 6), slice(250, 257), slice(3, 12), slice(100, 400)):
        np.testing.assert_array_equal(result.predict(x[rows]), wanted[rows])


def test_bits_do_not_depend_on_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "WORTH_A_THREAD", 1)
    found = [fitted("wide layers", np.float32, threads=threads) for threads in (1, 2, 3)]
    wanted = found[0][0].predict(found[0][1])
    for result, x in found:
        np.testing.assert_array_equal(result.predict(x), wanted)
        np.testing.assert_array_equal(result.predict(x[:3]), wanted[:3])


def test_executors_agree_and_denormals_stay() -> None:
    result, x = fitted("tiny", np.float64)
    other = train.fit(
        result.model, (x, np.arange(ROWS) % 3), loss=result.loss, optimizer=optim.sgd(1e-300),
        epochs=1, params=result.params, state=result.state, executor="numpy",
    )  # fmt: skip
    np.testing.assert_allclose(result.predict(x), other.predict(x), rtol=1e-12)
    far = np.array([[0.0, 0.0], [-720.0, 0.0], [-740.0, 0.0]])
    unit = train.evaluation.Predictor(
        result.model, nn.CategoricalCrossEntropy(), result.predictor.runner
    )
    assert 0 < unit.unit(far)[2, 0] < 1e-308


def test_training_says_what_memory_it_takes() -> None:
    result, _ = fitted("tiny", np.float32)
    parameters = 4 * (4 * 16 + 16 + 16 * 3 + 3)
    assert result.memory["parameters"] == parameters
    assert result.memory["optimizer"] == 2 * parameters
    assert result.memory["copies"] == 9 * parameters
    assert result.memory["order"] == 8 * ROWS
    assert 4 * 64 * 4 <= result.memory["arena"] < 100_000


def test_few_rows_are_predicted_with_the_weights_of_now() -> None:
    """What is known of weights from call to call is where they lie."""
    result, x = fitted("wide layers", np.float32)
    predictor, params = result.predictor, result.params

    def agree() -> None:
        wanted = predictor.predict(params, result.state, x)
        for rows in range(1, 10):
            found = predictor.predict(params, result.state, x[5 : 5 + rows])
            np.testing.assert_array_equal(found, wanted[5 : 5 + rows])

    agree()
    layers = [{name: array.copy() for name, array in layer.items()} for layer in params["layers"]]
    params = {"layers": layers}
    agree()
    layers[1]["weights"] *= np.float32(0.5)
    agree()
    layers[0]["bias"] = np.asfortranarray(layers[0]["bias"][::-1])
    layers[0]["weights"] = np.asfortranarray(layers[0]["weights"] + 1)
    agree()
    layers[0]["weights"][...] *= -1  # of an array that is copied for each call
    agree()


def test_threads_predict_few_rows_at_once() -> None:
    result, x = fitted("narrow layers", np.float64)
    wanted = result.predict(x)

    def some(seed: int) -> bool:
        starts = np.random.default_rng(seed).integers(0, 690, 300)
        return all(
            np.array_equal(result.predict(x[i : i + 1 + i % 8]), wanted[i : i + 1 + i % 8])
            for i in starts
        )

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(some, range(12)))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("executor", ["native", "numpy"])
def test_what_is_not_finite_is_named_wherever_it_stands(executor: str, threads: int) -> None:
    """Machine code adds up rows on its way and looks at numbers only where a sum is not finite."""
    model, loss = nn.MLP((6, 40, 3)), nn.CategoricalCrossEntropy()
    params, state = model.init(0, "float32")
    predictor = Predictor(model, loss, Runner(executor, threads))
    rows = np.random.default_rng(0).normal(size=(12 * 256 + 300, 6)).astype(np.float32)
    for count in (1, 2, 5, 200, 256, 700, len(rows)):
        wanted = predictor.outputs(params, state, rows[:count])
        for row in {0, count // 2, count - 1}:
            for value in (np.nan, np.inf, -np.inf):
                wrong = rows[:count].copy()
                wrong[row, 3] = value
                for x in (wrong, wrong.astype(float), wrong.tolist()):
                    with pytest.raises(DataError, match=rf"x\[{row}, 3\] is {value}"):
                        predictor.outputs(params, state, x)
        large = rows[:count].copy()
        large[-1] = 1.5e38  # its sum is beyond the range, no number is
        found = predictor.outputs(params, state, large)
        np.testing.assert_array_equal(found[:-1], wanted[:-1])
        np.testing.assert_array_equal(predictor.outputs(params, state, rows[:count]), wanted)
