"""From a table to a model: tasks, splits, weights, options, determinism, bad targets."""

import numpy as np
import pytest

from chainrule.errors import ChainruleError, DataError, NonFiniteError, UsageError
from chainrule.optim.rules import OPTIMIZERS
from chainrule.tabular import Options, prepare, read_table, table_of, train
from chainrule.tabular.coding import learn_coding
from chainrule.tabular.columns import decide
from chainrule.tabular.options import SCHEDULES, batch_rule
from chainrule.train.splits import split
from tests.helpers.places import PENGUINS

N = 200
RNG = np.random.default_rng(3)
X, Z = RNG.normal(size=(2, N))
COLUMNS = {
    "x": X,
    "z": Z,
    "side": np.where(X > 0, "right", "left"),
    "third": np.array(["low", "middle", "high"])[np.digitize(X + Z, [-0.7, 0.7])],
    "sum": 1000 + 50 * (2 * X - Z),
    "level": np.digitize(Z, [-1, 0, 1]),
}
QUICK = Options(hidden=(8,), epochs=3, learning_rate=0.01)


def table(*names, **more):
    return table_of({name: COLUMNS[name] for name in names} | more)


def test_penguins_with_a_plain_network():
    model = train(read_table(PENGUINS), "species", Options(preset="sklearn", calibrate=False))
    assert model.scores.of("accuracy", "test") >= 0.97
    assert model.target.classes == ("Adelie", "Chinstrap", "Gentoo")
    assert model.network.sizes == (11, 64, 32, 3)
    assert model.rows == {"train": 206, "validation": 69, "test": 69, "no_target": 0}
    assert model.stopped == "early_stopping"
    best = min(model.history, key=lambda row: row["validation_loss"])
    assert model.kept_epoch == best["epoch"]
    # The table's first row is the loss that was minimised, on the kept weights: in single
    # precision while training, in double precision here.
    assert model.scores.of("log loss", "validation") == pytest.approx(
        best["validation_loss"], rel=1e-5
    )


def test_regression_is_standardised_inside():
    model = train(
        table("x", "z", "sum"), "sum", Options(hidden=(64, 32), epochs=120, learning_rate=0.01)
    )
    assert model.scores.of("R2", "test") > 0.98
    assert abs(model.scores.of("R2", "always " + f"{model.target.center:.6g}")) < 0.1
    rows = split(N)[0]
    assert model.target.center == pytest.approx(COLUMNS["sum"][rows].mean(), rel=1e-12)
    predicted = model.predict(table("x", "z"))
    # R2 above 0.98 leaves a deviation of 0.02 ** 0.5 = 14 % of the target's, 112: the mean of
    # the predictions cannot be farther off than one such deviation.
    assert predicted.values.mean() == pytest.approx(COLUMNS["sum"].mean(), abs=16)
    assert predicted.probabilities is None
    # History is of the standardised target: half the squared error over the variance.
    kept = model.history[model.kept_epoch - 1]["validation_loss"]
    mse = model.scores.of("squared error", "validation")
    assert kept == pytest.approx(mse / model.target.scale**2 / 2, rel=1e-5)  # float32's


@pytest.mark.parametrize(
    ("target", "task"),
    [
        (["a", "b"], "binary"),
        (["yes", "no"], "binary"),
        (["a", "b", "c"], "multiclass"),
        ([0, 1], "binary"),
        ([-1, 1], "binary"),
        ([0.5, 7.25], "binary"),
        ([0, 1, 2], "multiclass"),
        ([1, 2, 3, 4, 5], "multiclass"),
        (list(range(21)), "multiclass"),
        (list(range(22)), "regression"),
        ([0, 1, 3], "regression"),
        ([2, 3, 4], "regression"),
        ([0, 0.5, 1], "regression"),
        ([3, 4, 5, 6, 7, 8], "regression"),
        ([True, False], "binary"),
    ],
)
def test_the_task_is_inferred(target, task):
    cells = np.resize(np.array(target), N)
    assert prepare(table("x", t=cells), "t").target.task == task


def test_values_that_hardly_repeat_are_no_classes():
    assert (
        prepare(table_of({"x": [1, 2, 4, 8], "t": [1, 2, 3, 4]}), "t").target.task == "regression"
    )
    assert prepare(table_of({"x": [1, 2, 4, 8], "t": [1, 2, 1, 2]}), "t").target.task == "binary"


def test_the_task_can_be_given():
    assert prepare(table("x", "level"), "level").target.task == "multiclass"
    plan = prepare(table("x", "level"), "level", Options(task="regression"))
    assert plan.target.task == "regression"
    plan = prepare(table("x", "side"), "side", Options(task="multiclass"))
    assert plan.network.sizes[-1] == 2
    assert any("task='regression'" in n for n in prepare(table("x", "level"), "level").notes)


def test_classes_are_words_in_sorted_order():
    plan = prepare(table("x", t=np.resize([10, 9, 100], N)), "t", Options(task="multiclass"))
    assert plan.target.classes == ("9", "10", "100")
    plan = prepare(table("x", "side"), "side")
    assert plan.target.classes == ("left", "right")  # the second is the positive one
    model = train(table("x", "side"), "side", Options(hidden=(16,), epochs=40, learning_rate=0.02))
    predicted = model.predict(table("x"))
    assert (predicted.values == COLUMNS["side"]).mean() > 0.95
    assert predicted.probabilities.sum(axis=1) == pytest.approx(np.ones(N))
    assert np.array_equal(predicted.values == "right", predicted.probabilities[:, 1] > 0.5)


def test_no_hidden_layer_is_logistic_regression():
    model = train(table("x", "z", "side"), "side", Options(hidden=(), epochs=60, learning_rate=0.1))
    assert model.network.sizes == (2, 1)
    assert model.scores.of("accuracy", "test") > 0.9


def test_statistics_come_from_training_rows_only():
    x, plain = X.copy(), Options(preset="sklearn")
    plan = prepare(table("z", "side", x=x), "side", plain)
    unused = np.setdiff1d(np.arange(N), _training_rows(plan, x))
    x[unused] += 1e6
    changed = prepare(table("z", "side", x=x), "side", plain)
    assert changed.coding == plan.coding
    # The seeded fault: learning from all rows would be seen.
    leaky = learn_coding(plan.table, decide(plan.table, ["x", "z"]), np.arange(N))
    assert leaky.rules[0] != plan.coding.rules[0]
    assert np.array_equal(changed.parts["train"].x, plan.parts["train"].x)


def _training_rows(plan, x):
    rule = next(rule for rule in plan.coding.rules if rule.name == "x")
    column = plan.coding.inputs().index("x")
    values = plan.parts["train"].x[:, column] * rule.scale + rule.center
    return [int(np.argmin(np.abs(x - value))) for value in values]


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    options = Options(hidden=(8,), epochs=4, dropout=0.2, batch_norm=True)
    for name in "ab":
        train(table("x", "z", "third"), "third", options).save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    other = Options(hidden=(8,), epochs=4, dropout=0.2, batch_norm=True, seed=1)
    train(table("x", "z", "third"), "third", other).save(tmp_path / "c")
    assert (tmp_path / "a").read_bytes() != (tmp_path / "c").read_bytes()


@pytest.mark.parametrize("optimizer", sorted(OPTIMIZERS.table))
def test_every_optimizer_learns(optimizer):
    model = train(table("x", "z", "side"), "side", Options(optimizer=optimizer, epochs=30))
    baseline = model.scores.sets[-1]
    assert model.scores.of("log loss", "test") < 0.6 * model.scores.of("log loss", baseline)


@pytest.mark.parametrize("schedule", sorted(SCHEDULES))
def test_every_schedule(schedule):
    options = Options(schedule=schedule, epochs=10, early_stopping=0, hidden=(4,))
    rates = [r["learning_rate"] for r in train(table("x", "side"), "side", options).history]
    assert len(rates) == 10
    assert max(rates) <= 1e-3 * (1 + 1e-12)
    if schedule == "constant":
        assert min(rates) == max(rates)
    elif schedule != "warm-up":
        assert rates[-1] < 0.6 * max(rates)


def test_penalties_shrink_weights():
    sizes = []
    for l2 in (0.0, 1.0):
        options = Options(l2=l2, epochs=20, hidden=(8,), learning_rate=0.02, early_stopping=0)
        model = train(table("x", "z", "sum"), "sum", options)
        sizes.append(sum(np.sum(layer["weights"] ** 2) for layer in model.params["layers"]))
    assert sizes[1] < 0.2 * sizes[0]


def test_weights_of_rows_and_classes():
    weights = np.where(X > 0, 1.0, 0.0)
    plan = prepare(table("x", "z", "third", w=weights), "third", Options(weight="w", hidden=(16,)))
    assert "w" not in [rule.name for rule in plan.coding.rules]
    assert plan.parts["train"].weights.sum() == plan.parts["train"].weights.astype(bool).sum()
    model = plan.fit()
    unweighted = train(table("x", "z", "third"), "third", Options(hidden=(16,)))
    assert model.scores.rows != unweighted.scores.rows

    rare = np.where(np.arange(N) % 10 == 0, "rare", "common")
    options = Options(class_weight="balanced", epochs=5, hidden=())
    model = train(table("x", "z", t=rare), "t", options)
    found = model.predict(table("x", "z")).probabilities[:, 1].mean()
    assert found == pytest.approx(0.5, abs=0.15)  # unweighted it would be 0.1


def test_weights_that_count_nothing():
    last = np.zeros(N)
    test_rows = split(N, strata=COLUMNS["side"])[2]
    last[test_rows] = 1
    with pytest.raises(DataError, match="every weight of the train rows is 0"):
        prepare(table("x", "side", w=last), "side", Options(weight="w"))


def test_rows_without_a_target_are_left_out_and_counted():
    cells = COLUMNS["side"].astype(object)
    cells[:7] = None
    plan = prepare(table("x", t=cells), "t")
    assert plan.no_target == 7
    assert sum(len(part.truth) for part in plan.parts.values()) == N - 7
    assert "left out: 7 rows without 't'" in plan.notes[-1]


def test_tables_for_validation_and_test():
    data = table("x", "z", "side")
    model = train(data, "side", QUICK, validation=data, test=data)
    assert model.rows == {"train": N, "validation": N, "test": N, "no_target": 0}
    assert model.scores.of("accuracy", "validation") == model.scores.of("accuracy", "train")
    plan = prepare(data, "side", Options(validation=0, test=0))
    assert list(plan.parts) == ["train"]
    assert "no early stopping" in plan.notes[-1]
    odd = table("x", "z", side=np.where(X > 0, "right", "up"))
    with pytest.raises(DataError, match="class 'up' is none of the classes"):
        prepare(data, "side", QUICK, test=odd)
    with pytest.raises(DataError, match='lacks "z"'):
        prepare(data, "side", QUICK, test=table("x", "side"))


def test_every_class_is_trained():
    cells = np.array(["common"] * (N - 1) + ["once"])
    plan = prepare(table("x", t=cells), "t")
    assert set(plan.parts["train"].truth) == {0, 1}


def test_notes_on_columns():
    columns = {"number": np.arange(N), "same": COLUMNS["side"], "copy": X}
    plan = prepare(table("x", "side", **columns), "side")
    assert any('"number" (counts the rows)' in note for note in plan.notes)
    assert any('"copy" (the same as x)' in note for note in plan.notes)
    assert any('"same" equals the target' in note for note in plan.notes)
    plan = prepare(table("x", "side", **columns), "side", Options(drop=("same", "number", "copy")))
    assert plan.notes == ()
    assert [rule.kind for rule in plan.coding.rules] == ["number", *["dropped"] * 3]


def bad(cells):
    return table("x", t=np.array(cells, dtype=object) if None in cells else np.array(cells))


@pytest.mark.parametrize(
    ("data", "target", "options", "error", "message"),
    [
        (table("x", "side"), "y", {}, UsageError, "target='y': table has no such column"),
        (bad([None] * N), "t", {}, DataError, "every cell of the target 't' is missing"),
        (bad(["a"] * N), "t", {}, DataError, "one class, 'a', in every row"),
        (bad([3.5] * N), "t", {}, DataError, "is 3.5 in every row"),
        (bad([str(i) for i in range(N)]), "t", {}, DataError, "200 different values"),
        (bad([1.0, 2.0, 5.0, np.inf] * 50), "t", {}, DataError, "row 4:t: 'inf' is not a finite"),
        (bad(["a", "b"] * 100), "t", {"task": "regression"}, DataError, "row 1:t: 'a' is not a n"),
        (bad(["a", "b", "c", "d"] * 50), "t", {"task": "binary"}, UsageError, "has 4 classes"),
        (table("side"), "side", {}, DataError, "no column is left to predict 'side'"),
        (table("side", k=["c"] * N), "side", {}, DataError, "left to predict .*every cell is 'c'"),
        (table("x", "side"), "side", {"drop": ("x",)}, DataError, "no column is left"),
        (table("x", "side"), "side", {"drop": ("side",)}, UsageError, "drop='side': is the target"),
        (table("x", "side"), "side", {"weight": "side"}, UsageError, "weight='side': is the"),
        (table("x", "side"), "side", {"weight": "x"}, DataError, "row .*:x: the weight"),
        (table("x", "side", w=np.zeros(N)), "side", {"weight": "w"}, DataError, "every weight"),
        (table("x", "side"), "side", {"activation": "sin"}, UsageError, "activation='sin': .*relu"),
        (table("x", "side"), "side", {"init": "big"}, UsageError, "init='big': .*he_normal"),
        (table("x", "sum"), "sum", {"class_weight": "balanced"}, UsageError, "is for classes"),
        (table("x", "side"), "side", {"validation": 0.6, "test": 0.5}, UsageError, "leave no row"),
        (table("x", "sum"), "1", {"drop": ("9",)}, UsageError, "drop='9'"),
    ],
)
def test_bad_data_and_options(data, target, options, error, message):
    with pytest.raises(error, match=message):
        prepare(data, target, Options(**options))


@pytest.mark.parametrize(
    "options",
    [
        {"task": "ranking"},
        {"optimizer": "adamax"},
        {"schedule": "random"},
        {"class_weight": "heavy"},
        {"hidden": (0,)},
        {"epochs": 0},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"l2": -1.0},
        {"l1": float("nan")},
        {"dropout": 1.0},
        {"seed": -1},
        {"early_stopping": -1},
        {"batch_size": -1},
        {"validation": 1.0},
        {"test": float("nan")},
        {"optimizer": "lbfgs", "schedule": "cosine"},
        {"optimizer": "lbfgs", "batch_size": 32},
        {"optimizer": "lbfgs", "learning_rate": 0.1},
        {"optimizer": "lbfgs", "dropout": 0.1},
        {"hidden": (), "dropout": 0.1},
        {"hidden": (), "batch_norm": True},
    ],
)
def test_options_that_make_no_sense(options):
    with pytest.raises(UsageError, match=next(reversed(options)) + "="):
        Options(**options)


def test_batch_rule():
    sizes = {200: 32, 3200: 32, 3201: 64, 12_384: 128, 30_000: 256, 10**7: 256}
    assert {rows: batch_rule(rows) for rows in sizes} == sizes


def test_divergence_is_an_error():
    with pytest.raises(NonFiniteError) as caught:
        train(table("x", "z", "sum"), "sum", Options(optimizer="sgd", learning_rate=1e9, epochs=50))
    assert isinstance(caught.value, ChainruleError)
