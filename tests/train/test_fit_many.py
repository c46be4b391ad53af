"""``fit_many`` against ``fit`` of each network: the same bits, whenever each of them stops."""

from typing import Any

import numpy as np
import pytest

import chainrule as cr

RNG = np.random.Generator(np.random.Philox(11))
N = 71
LABEL = RNG.integers(0, 3, N)
X, T = RNG.normal(size=(N, 4)) + np.eye(3, 4)[LABEL], np.eye(3)[LABEL]
HELD = (X[:20] + 0.1, T[:20])
COMMON: dict[str, Any] = {
    "loss": "categorical_cross_entropy", "optimizer": "adam", "epochs": 6, "batch_size": 16,
}  # fmt: skip
PLAIN, DROPOUT = cr.nn.MLP((4, 6, 3)), cr.nn.MLP((4, 6, 3), dropout=0.3)
NORMED = cr.nn.MLP((4, 6, 3), batch_norm=True)


def assert_same(got: cr.train.FitResult, expected: cr.train.FitResult) -> None:
    trees = [(r.params, r.state, r.slots) for r in (got, expected)]
    for a, b in zip(*map(cr.tree.leaves, trees), strict=True):
        assert (a.dtype, a.tobytes()) == (b.dtype, b.tobytes())
    assert got.stopped == expected.stopped
    assert (got.best_epoch, got.steps) == (expected.best_epoch, expected.steps)
    timeless = [[row | {"seconds": 0} for row in r.history] for r in (got, expected)]
    assert timeless[0] == timeless[1]


@pytest.mark.parametrize(
    ("model", "options"),
    [
        (PLAIN, {}),
        (DROPOUT, {"l2": 1e-2, "metrics": "accuracy", "validation": HELD, "dtype": np.float32}),
        (NORMED, {"optimizer": cr.optim.sgd(0.3, momentum=0.9), "evaluate_train": False}),
        (DROPOUT, {"sample_weight": np.arange(N) % 3, "test": HELD}),
        (PLAIN, {"batch_size": "full"}),
        (DROPOUT, {"executor": "numpy", "epochs": 2}),
    ],
)
def test_each_network_has_the_bits_that_it_has_alone(model: Any, options: dict[str, Any]) -> None:
    options = COMMON | options
    many = cr.train.fit_many(model, (X, T), seeds=range(5), **options)
    assert len(many) == 5
    for seed, got in enumerate(many):
        assert_same(got, cr.train.fit(model, (X, T), seed=seed, **options))


def test_each_network_stops_when_it_would_alone() -> None:
    options = COMMON | {
        "optimizer": cr.optim.adam(0.1), "epochs": 40, "validation": HELD, "early_stopping": 2
    }  # fmt: skip
    many = cr.train.fit_many(DROPOUT, (X, T), seeds=range(8), **options)
    for seed, got in enumerate(many):
        assert_same(got, cr.train.fit(DROPOUT, (X, T), seed=seed, **options))
    assert len({len(r.history) for r in many}) >= 4  # else nothing was tested
    assert {r.stopped for r in many} == {"early_stopping"}


@pytest.mark.parametrize("as_masks", [True, False])
def test_folds_train_on_their_rows_and_are_judged_by_the_others(as_masks: bool) -> None:
    masks = [np.arange(N) % 5 != k for k in range(5)]  # of 56 and of 57 rows
    folds = masks if as_masks else [RNG.permutation(np.flatnonzero(m)) for m in masks]
    options = COMMON | {"early_stopping": 1, "sample_weight": np.arange(N) % 4 + 1.0}
    many = cr.train.fit_many(PLAIN, (X, T), seeds=[3], folds=folds, **options)
    weights = options.pop("sample_weight")
    for got, rows, mask in zip(many, folds, masks, strict=True):
        held = (X[~mask], T[~mask], weights[~mask])
        data = (X[rows], T[rows], weights[rows])
        assert_same(got, cr.train.fit(PLAIN, data, seed=3, validation=held, **options))


def test_a_network_that_diverges_leaves_the_others_alone() -> None:
    x = X.copy()
    x[7] = 1e300  # in the rows of one fold only, and its losses are not finite
    folds = [np.setdiff1d(np.arange(N), [7]), np.arange(N), np.setdiff1d(np.arange(N), [7])]
    options = COMMON | {"validation": HELD, "loss": "squared_error"}
    many = cr.train.fit_many(PLAIN, (x, T), seeds=[0, 1, 2], folds=folds, **options)
    assert [r.stopped for r in many] == ["epochs", "non_finite", "epochs"]
    with pytest.raises(cr.train.DivergedError) as alone:
        cr.train.fit(PLAIN, (x, T), seed=1, **options)
    assert_same(many[1], alone.value.result)
    for k in (0, 2):
        assert_same(many[k], cr.train.fit(PLAIN, (x[folds[k]], T[folds[k]]), seed=k, **options))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"seeds": []}, "a seed for each network"),
        ({"seeds": [-1]}, "seeds=-1"),
        ({"seeds": [0, 1], "folds": [X[:, 0] > 0] * 3}, "2 seeds and 3 folds"),
        ({"seeds": [0], "folds": [[N]]}, "fold 0 has row numbers outside"),
        ({"seeds": [0], "folds": [X]}, "fold 0 must be row numbers, or a mask"),
        ({"seeds": [0, 1], "folds": [range(20), range(60)]}, "differ in minibatches"),
        ({"seeds": [0], "callbacks": [print]}, "takes no callbacks="),
        ({"seeds": [0], "seed": 1}, "takes no seed=: use seeds="),
        ({"seeds": [0], "optimizer": "lbfgs"}, "L-BFGS searches with each network by itself"),
        ({"seeds": [0], "early_stopping": 3}, "early_stopping needs validation"),
    ],
)
def test_what_does_not_fit_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(cr.ChainruleError, match=words):
        cr.train.fit_many(PLAIN, (X, T), **(COMMON | given))


def test_a_loss_is_needed() -> None:
    with pytest.raises(cr.errors.UsageError, match="needs loss="):
        cr.train.fit_many(PLAIN, (X, T), seeds=[0], optimizer="adam")
