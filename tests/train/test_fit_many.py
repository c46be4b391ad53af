"""``fit_many`` against ``fit`` of each network: the same bits, whenever each of them stops."""

import gc
import weakref
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import run
from chainrule.train import alike, evaluation, together
from chainrule.train.programs import likeness

RNG = np.random.Generator(np.random.Philox(11))
N = 71
LABEL = RNG.integers(0, 3, N)
X, T = RNG.normal(size=(N, 4)) + np.eye(3, 4)[LABEL], np.eye(3)[LABEL]
EVEN = (X[:64], T[:64])  # no batch is left over, which would be compiled by itself
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
    many = cr.train.fit_many(DROPOUT, EVEN, seeds=range(8), **options)
    for seed, got in enumerate(many):
        assert_same(got, cr.train.fit(DROPOUT, EVEN, seed=seed, **options))
    assert len({len(r.history) for r in many}) >= 4  # else nothing was tested
    assert {r.stopped for r in many} == {"early_stopping"}


adam, sgd = cr.optim.adam, cr.optim.sgd
OF_EACH: dict[str, dict[str, Any]] = {
    "rates": {"optimizer": [adam(0.01), adam(0.1), adam(0.03, beta1=0.8), adam(0.01)]},
    "penalties": {"l2": [0.01, 0.1, 1.0, 0.5], "l1": [0.01, 0.02, 0.01, 0.03]},
    "dropout": {"model": [cr.nn.MLP((4, 6, 3), dropout=p) for p in (0.1, 0.5, 0.25, 0.1)]},
    "losses": {"loss": [cr.nn.CategoricalCrossEntropy(label_smoothing=s) for s in
                        (0.1, 0.2, 0.05, 0.3)]},
    "schedules": {"optimizer": [sgd(cr.optim.schedules.cosine(r, steps=n), momentum=0.9) for r, n in
                                ((0.1, 20), (0.2, 20), (0.1, 30), (0.3, 24))]},
    "other steps": {"optimizer": [adam(0.01), sgd(0.1), adam(0.02), sgd(0.2, momentum=0.5)],
                    "l2": [0.0, 0.1, 0.1, 0.0], "epochs": [3, 1, 2, 4],
                    "model": [PLAIN, DROPOUT, PLAIN, DROPOUT], "batch_size": [16, 16, 32, 16]},
}  # fmt: skip


@pytest.mark.parametrize("name", OF_EACH)
def test_each_network_may_have_settings_of_its_own(name: str) -> None:
    lists, options = OF_EACH[name], COMMON | {"epochs": 2, "evaluate_train": False}
    folds = [np.arange(N) % 5 != 1, range(40), range(1, 58), range(57)]
    given = {"model": PLAIN, "data": EVEN, "seeds": range(4)} | options | lists
    if name == "other steps":
        given |= {"folds": folds, "data": (X, T)}
    many = cr.train.fit_many(**given)
    for k in range(4) if name == "other steps" else (0, 3):  # alone each is compiled anew
        got = many[k]
        own = {"model": PLAIN} | options | {key: value[k] for key, value in lists.items()}
        data = EVEN
        if name == "other steps":
            rows = np.arange(N)[folds[k]]
            data = (X[rows], T[rows])
            own["validation"] = (np.delete(X, rows, 0), np.delete(T, rows, 0))
        assert_same(got, cr.train.fit(own.pop("model"), data, seed=k, **own))


def test_numbers_that_differ_share_loops_and_other_operations_do_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[int] = []
    compiled = together.Group._compiled
    monkeypatch.setattr(
        together.Group, "_compiled", lambda g, size: made.append(size) or compiled(g, size)
    )
    options = COMMON | {"seeds": range(4), "epochs": 1}
    for name, loops in (("rates", [4]), ("dropout", [4]), ("schedules", [4])):
        made.clear()
        cr.train.fit_many(**({"model": PLAIN, "data": EVEN} | options | OF_EACH[name]))
        assert made == loops, name
    made.clear()
    mixed = ["adam", cr.optim.sgd(0.1), "adam", "adam"]
    cr.train.fit_many(PLAIN, EVEN, **(options | {"optimizer": mixed}))
    assert sorted(made) == [1, 3]


def test_networks_that_have_stopped_take_no_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """What blocks compute beside the steps of those that go on is bounded by the time that
    smaller loops take to be made."""
    done: list[tuple[int, int]] = []
    chunk = together.Group._chunk

    def counted(group: Any, epoch: int, size: int, block: Any, *rest: Any) -> Any:
        done.append((size, len(block)))
        group.making = 0.0  # as if loops cost nothing
        return chunk(group, epoch, size, block, *rest)

    monkeypatch.setattr(together.Group, "_chunk", counted)
    options = COMMON | {"epochs": [1, 4, 1, 4, 4, 2, 1, 3, 4, 1, 1], "evaluate_train": False}
    cr.train.fit_many(PLAIN, EVEN, seeds=range(11), **options)
    full = [(size, used) for size, used in done if size > used]
    assert len(full) <= 2, done  # the first that was not full
    assert {size for size, _ in done} <= {1, 2, 4, 8}


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
        ({"seeds": [0, 1], "l2": [0.1] * 3}, "2 seeds and 3 entries of l2"),
        ({"seeds": [0, 1], "optimizer": ["adam", "lbfgs"]}, "L-BFGS searches"),
        ({"seeds": [0, 1], "l2": [0.1, -1.0]}, "l2"),
        ({"seeds": [0], "params": {}}, "takes no params="),
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


def test_networks_that_count_their_steps_and_are_heard():
    """A leaf without axes, the steps of a scheduled dropout, stays an array."""
    rate = cr.optim.schedules.flat_cosine(0.2, 40)
    layers = cr.nn.Dense(3, 4), "relu", cr.nn.Dropout(rate), cr.nn.Dense(4, 1)
    model = cr.nn.Sequential(*layers)
    x = np.random.default_rng(0).normal(size=(64, 3))
    heard = []
    results = cr.train.fit_many(
        model, (x, x[:, 0]), seeds=range(3), loss="squared_error", optimizer="adam", epochs=2,
        batch_size=16, callbacks=[lambda event: heard.append(event.epoch)],
    )  # fmt: skip
    assert [float(r.state["layers"][2]["steps"]) for r in results] == [8.0] * 3
    assert sorted(heard) == [1, 1, 1, 2, 2, 2]


def count_recordings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows with each function that is recorded from here on."""
    found: list[str] = []
    for module in (alike, run):
        record = module.record

        def counted(f: Any, *args: Any, record: Any = record, **keywords: Any) -> Any:
            found.append(getattr(f, "__name__", str(f)))
            return record(f, *args, **keywords)

        monkeypatch.setattr(module, "record", counted)
    return found


def test_a_second_call_records_and_compiles_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    options = COMMON | {"epochs": 2, "validation": HELD, "batch_size": 8}
    first = cr.train.fit_many(DROPOUT, (X, T), seeds=[3, 4], **options)
    recorded = count_recordings(monkeypatch)
    again = cr.train.fit_many(cr.nn.MLP((4, 6, 3), dropout=0.3), (X, T), seeds=[3, 4], **options)
    assert not recorded
    for got, expected in zip(again, first, strict=True):
        assert_same(got, expected)
    cr.train.fit_many(DROPOUT, (X, T), seeds=[3, 4], **options | {"l2": 0.5})
    assert recorded


SETTINGS: list[Any] = [
    *[cr.optim.optimizer(x) for x in ("adam", "adamw", "rmsprop", "momentum", "nesterov")],
    cr.optim.chain(cr.optim.clip_by_norm(1.0), adam(0.01)),
    cr.optim.chain(cr.optim.clip_by_norm(2.0), adam(0.01)),
    cr.optim.groups({"*weights": adam(0.1), "*bias": sgd(0.2)}),
    sgd(cr.optim.schedules.cosine(0.1, steps=9)),
    sgd(cr.optim.schedules.cosine(0.1, steps=8)),
    *[cr.nn.MLP((4, 5, 3), name) for name in cr.nn.ACTIVATIONS],
    *[cr.nn.loss(name) for name in cr.nn.LOSSES],
    cr.nn.Huber(0.3), DROPOUT, NORMED, PLAIN, 0.0, -0.0, 1, 1.0, True,
]  # fmt: skip


def test_settings_of_the_library_are_like_those_made_alike_and_no_others() -> None:
    others: list[Any] = []
    keys = [likeness(value, others) for value in SETTINGS]
    assert not others
    assert len({*keys}) == len(keys)
    again = cr.optim.chain(cr.optim.clip_by_norm(2.0), adam(0.01))
    assert likeness(again, others) == keys[6]
    assert likeness(cr.nn.MLP([4, 6, 3]), others) in keys
    exec("def f(x): return x", nowhere := {})
    assert likeness(nowhere["f"], others) == likeness(nowhere["f"], others)
    assert len(others) == 2


def test_what_is_kept_takes_other_data_and_holds_none() -> None:
    options = COMMON | {"validation": HELD}
    cr.train.fit_many(DROPOUT, (X, T), seeds=[1, 2], **options)
    x, t = 2 * X[::-1].copy(), T.copy()
    held = weakref.ref(x)
    (got,) = cr.train.fit_many(DROPOUT, (x, t), seeds=[1], **options)
    assert_same(got, cr.train.fit(DROPOUT, (x, t), seed=1, **options))
    del x
    gc.collect()
    assert held() is None


def mine(factor: float) -> cr.optim.Optimizer:
    """A rule of a user's, of whose settings its name says nothing."""
    return cr.optim.Optimizer(
        "mine",
        lambda params: {},
        lambda g, slots, params, step: (cr.tree.map(lambda a: factor * a, g), slots),
        sgd(0.1).learning_rate,
    )


def test_what_users_write_is_like_itself_alone() -> None:
    factor, rules = [1.0], [mine(0.01), mine(0.02)]

    def loss(outputs: Any, targets: Any) -> Any:
        return factor[0] * np.sum((outputs - targets) ** 2, axis=-1)

    options = COMMON | {"optimizer": rules, "loss": loss}
    for value in (1.0, 0.2):  # it reads something that changes between calls
        factor[0] = value
        many = cr.train.fit_many(PLAIN, EVEN, seeds=[0], **options)
        for got, rule in zip(many, rules, strict=True):
            assert_same(got, cr.train.fit(PLAIN, EVEN, seed=0, **options | {"optimizer": rule}))


def test_networks_are_evaluated_in_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    x, t = rng.normal(size=(900, 4)), np.eye(3)[rng.integers(0, 3, 900)]
    folds = [rng.permutation(900)[:k] for k in (900 - 5, 900 - 256, 900 - 300, 600)]
    options = COMMON | {"epochs": 3, "metrics": "accuracy", "early_stopping": 1}
    alone, outputs = 0, evaluation.Tiles.__call__

    def counted(tiles: Any, constants: Any, *arrays: Any, **more: Any) -> Any:
        nonlocal alone
        alone += bool(cr.tree.leaves(constants))
        return outputs(tiles, constants, *arrays, **more)

    with monkeypatch.context() as patch:
        patch.setattr(evaluation.Tiles, "__call__", counted)
        many = cr.train.fit_many(NORMED, (x, t), seeds=[7], folds=folds, **options)
    assert alone == 0
    for got, rows in zip(many, folds, strict=True):
        rest = np.setdiff1d(np.arange(900), rows)
        own = {"seed": 7, "validation": (x[rest], t[rest])}
        assert_same(got, cr.train.fit(NORMED, (x[rows], t[rows]), **own, **options))
