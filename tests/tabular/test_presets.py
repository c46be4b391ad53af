"""RealMLP's recipes and ensembles over folds: every number computed again in NumPy."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from chainrule import nn
from chainrule.core import tree
from chainrule.errors import UsageError
from chainrule.tabular import Options, Stream, TabularModel, prepare, table_of, train
from chainrule.tabular.network import joint
from chainrule.tabular.options import PRESETS
from chainrule.tabular.presets import RECIPES
from chainrule.tabular.robust import Blocks
from chainrule.train.splits import folds, split

N = 120
RNG = np.random.default_rng(8)
X, Z = RNG.normal(size=(2, N))
GAPS = np.where(RNG.random(N) < 0.2, np.nan, np.exp(3 * X))
MANY = np.array([f"c{i}" for i in range(12)])[RNG.integers(12, size=N)]
FEW = np.array(["red", "green", "blue"])[RNG.integers(3, size=N)]
COLUMNS = {"few": FEW, "x": X, "gaps": GAPS, "many": MANY, "flag": np.where(Z > 1.5, "yes", "no")}
DATA = table_of({**COLUMNS, "side": np.where(X + Z > 0, "right", "left"), "sum": 9 + 5 * X - Z})
SMALL = {"hidden": (8, 8), "epochs": 4, "batch_size": 16}


def _options(preset, **more):
    return Options(preset=preset, **{**SMALL, **more})


def test_the_presets_are_the_recipes():
    assert ("sklearn", *RECIPES) == PRESETS
    for name in ("realmlp-td-s", "realmlp-td"):
        recipe = RECIPES[name]
        assert (recipe.hidden, recipe.epochs, recipe.batch(10**6)) == ((256,) * 3, 256, 256)
        assert (recipe.activations, recipe.cycles) == (("selu", "mish"), 4)
        assert (recipe.label_smoothing, recipe.members) == (0.1, 1)
        assert (recipe.scale_factor, recipe.bias_factor) == (6.0, 0.1)
    assert RECIPES["realmlp-td"].rates == (0.04, 0.2)
    assert RECIPES["realmlp-td-s"].rates == (0.04, 0.07)
    td = RECIPES["realmlp-td"]
    assert (td.frequencies, td.sigma, td.dropout, td.weight_decay) == (16, 0.1, 0.15, 0.02)


@pytest.mark.parametrize("preset", RECIPES)
def test_inputs_are_robust_and_smoothly_clipped(preset):
    plan = prepare(DATA, "side", _options(preset, ensemble=1, drop=("sum",)))
    names = plan.coding.inputs()
    rows = split(N, seed=0, strata=np.unique(DATA["side"].codes[0], return_inverse=True)[1])[0]
    assert len(plan.parts["train"].x) == len(rows)
    for name, column in (("x", X), ("gaps", GAPS)):
        filled = np.where(np.isnan(column), np.nanmedian(column[rows]), column)
        low, center, high = np.quantile(filled[rows], [0.25, 0.5, 0.75])
        z = (filled - center) / (high - low)
        found = plan.parts["train"].x[:, names.index(name)]
        assert found == pytest.approx((z / np.sqrt(1 + (z / 3) ** 2))[rows], abs=1e-9)
        assert np.abs(found).max() < 3
    # A rare 0/1 column has equal quartiles: 0, and 2 / sqrt(1 + 4/9).
    rare = plan.parts["train"].x[:, names.index("flag")]
    assert set(np.round(rare, 6)) == {0.0, round(2 / np.sqrt(1 + 4 / 9), 6)}
    assert "gaps missing" in names
    places = plan.coding.places()
    assert sorted(i for own in places.values() for i in own) == list(range(len(names)))
    assert all(names[i].startswith(name) for name, own in places.items() for i in own)
    embedded = preset != "realmlp-td-s"
    assert plan.network.embedded == ((12,) if embedded else ())
    many = plan.parts["train"].x[:, [i for i, name in enumerate(names) if name.startswith("many")]]
    assert (set(np.unique(many)) == {0.0, 1.0}) == embedded


def test_the_networks_parts():
    blocks = Blocks(2, 3, (12,))
    model = RECIPES["realmlp-td"].build(blocks, 4, "selu", 100)
    params, _ = model.init(0)
    shapes = {path: leaf.shape for path, leaf in tree.flatten_with_paths(params)[0]}
    width = 2 * 4 + 3 + 8  # three periodic features and itself, one-hot, an embedding of 8
    assert shapes["layers/1/scale"] == (width,)
    assert shapes["layers/0/parts/2/weights"] == (12, 8)
    assert [s for p, s in shapes.items() if p.endswith("weights")][1:] == [
        (width, 256), (256, 256), (256, 256), (256, 4),
    ]  # fmt: skip
    assert [s for p, s in shapes.items() if p.endswith("alpha")] == [(256,)] * 3
    plain, _ = RECIPES["realmlp-td-s"].build(blocks, 4, "selu", 100).init(0)
    assert not plain["layers"][-1]["weights"].any()
    assert plain["layers"][-1]["weights"].shape == (256, 4)
    assert plain["layers"][2]["bias"].std() == pytest.approx(1, abs=0.2)  # 256 draws: 4 deviations


def _start(model):
    """The deviation of the frequencies at the start."""
    leaves = dict(tree.flatten_with_paths(model.init(0, rows=np.zeros((9, 60)))[0])[0])
    return np.std(leaves["layers/0/parts/0/frequencies"])


def test_fewer_rows_start_with_lower_frequencies():
    recipe = dataclasses.replace(RECIPES["realmlp-fast"], hidden=(8,))
    # Of 960 draws: a deviation of 2.3 %.
    for rows, deviation in ((999, 0.3), (1000, 1.0)):
        found = recipe.build(Blocks(60, 0), 1, "mish", 10, rows)
        assert _start(found) == pytest.approx(deviation, rel=0.1)
    few = {f"x{i}": RNG.normal(size=N) for i in range(60)} | {"y": X}
    for copies, deviation in ((1, 0.3), (11, 1.0)):  # of 5 networks each has four fifths
        plan = prepare({k: np.tile(v, copies) for k, v in few.items()}, "y", Options(test=0.0))
        assert _start(plan._settings({})[0]) == pytest.approx(deviation, rel=0.1)


def test_one_step_moves_each_leaf_by_its_factor():
    recipe = dataclasses.replace(RECIPES["realmlp-td"], hidden=(8,))
    blocks, steps = Blocks(2, 1), 1000
    model = recipe.build(blocks, 1, "mish", steps)
    params, _ = model.init(0, rows=RNG.normal(size=(50, 3)))
    rule = recipe.optimizer(blocks, 0.2, steps)
    gradients = tree.map_tree(np.ones_like, params)
    moved, _ = rule.update(gradients, rule.init(params), params, np.asarray(37))
    # Adam's step after gradients of 1 is the same for all; only the bias correction is behind.
    first = 0.1 / (1 - 0.9**38) / (np.sqrt(0.05 / (1 - 0.95**38)) + 1e-8)
    rate = 0.2 * 0.5 * (1 - np.cos(2 * np.pi * np.log2(1 + 15 * 37 / steps)))
    factors = {"bias": 0.1, "scale": 6.0, "alpha": 0.1, "weights": 1.0}
    after = dict(tree.flatten_with_paths(moved)[0])
    for path, leaf in tree.flatten_with_paths(params)[0]:
        factor = 0.1 if path.startswith("layers/0/") else factors[path.split("/")[-1]]
        decay = 0.0 if path.endswith("bias") else 0.02
        assert after[path] == pytest.approx(leaf - rate * factor * (first + decay * leaf)), path


@pytest.mark.parametrize("target", ["side", "few", "sum"])
@pytest.mark.parametrize("preset", ["realmlp-td", "sklearn"])
def test_an_ensemble_is_the_mean_of_its_networks(preset, target, tmp_path):
    options = _options(preset, ensemble=3, task=None)
    model = train(DATA, target, options)
    assert len(model.members) == 3
    assert len(model.kept_epochs) == 3
    x, _ = model.inputs(DATA)
    network, loss = model.network.build(), {"side": nn.BinaryCrossEntropy(),
        "few": nn.CategoricalCrossEntropy(), "sum": nn.SquaredError()}[target]  # fmt: skip
    alone = [
        np.asarray(loss.predict(network(*tree.map_tree(lambda a: np.asarray(a, float), one), x)[0]))
        for one in model.members
    ]
    mean = np.mean(alone, axis=0)
    predicted = model.predict(DATA)
    if target == "sum":
        expected = mean[:, 0] * model.target.scale + model.target.center
        assert predicted.values == pytest.approx(expected, rel=1e-9)
    else:
        found = predicted.probabilities if target == "few" else predicted.probabilities[:, 1:]
        assert found == pytest.approx(mean, rel=1e-9)
        assert not np.allclose(alone[0], alone[1])
    model.save(tmp_path / "m")
    again = TabularModel.load(tmp_path / "m")
    assert np.array_equal(again.predict(DATA).values, predicted.values)
    assert again.metadata() == model.metadata()


def test_every_row_is_left_out_by_one_network_and_judged_by_it():
    plan = prepare(DATA, "side", _options("sklearn", ensemble=4))
    model = plan.fit()
    assert sorted(np.concatenate(plan.left_out)) == list(range(len(plan.parts["train"].truth)))
    assert model.rows["validation"] == 0
    part = plan.parts["train"]
    losses = []
    for k, left in enumerate(plan.left_out):
        outputs, _ = model.compute(part.x[left], only=k)
        losses.append(np.mean(np.log1p(np.exp(-np.where(part.truth[left], 1, -1) * outputs[:, 0]))))
    assert model.scores.of("log loss", "validation") == pytest.approx(np.mean(losses))
    assert model.scores.of("log loss", "one network") > model.scores.of("log loss", "test")


def test_joint_outputs_stay_finite_for_certain_networks():
    sure = [np.array([[800.0], [-800.0]]), np.array([[700.0], [-900.0]])]
    # Of the two means of probabilities the larger term decides, halved.
    expected = [700 + np.log(2), -800 - np.log(2)]
    assert joint(sure, "binary")[:, 0] == pytest.approx(expected, rel=1e-12)
    several = joint([np.array([[900.0, -900.0]]), np.array([[0.0, 0.0]])], "multiclass")
    assert np.exp(several) == pytest.approx(np.array([[0.75, 0.25]]), rel=1e-12)


def test_folds_are_alike_in_each_class():
    strata = np.repeat([0, 1, 2], [50, 7, 3])
    parts = folds(60, 5, 1, strata)
    assert sorted(np.concatenate(parts)) == list(range(60))
    counts = np.array([np.bincount(strata[part], minlength=3) for part in parts])
    assert (counts.max(axis=0) - counts.min(axis=0) <= 1).all()
    with pytest.raises(UsageError, match="5 folds of 4 rows"):
        folds(4, 5)


def test_what_is_meant_by_default():
    options = prepare(DATA, "side").options
    assert (options.preset, options.ensemble, options.epochs) == ("realmlp-fast", 5, 200)
    assert (options.batch_size, options.learning_rate) == (0, 0.04)
    assert prepare(DATA, "side", options).folded  # what is resolved means the same again
    for described in ({"hidden": (64, 32)}, {"activation": "tanh"}, {"l2": 0.1}):
        options = prepare(DATA, "side", Options(**described)).options
        assert (options.preset, options.ensemble, options.epochs) == ("sklearn", 1, 200)
        assert options.hidden == (64, 32)
    with pytest.raises(UsageError, match="activation='tanh': preset"):
        Options(preset="realmlp-td", activation="tanh")
    with pytest.raises(UsageError, match="lbfgs trains one network"):
        Options(optimizer="lbfgs", ensemble=2)
    with pytest.raises(UsageError, match="preset='realmlp'"):
        Options(preset="realmlp")


def test_frequent_values_of_a_number_that_hardly_varies_have_inputs(tmp_path):
    """As Adult's gains of 0, 5013 and 7688: one input each from 20 training rows on."""
    rng = np.random.default_rng(0)
    gain = rng.choice([0.0, 5013.0, 7688.0, 2.5, 1e-3], 1000, p=[0.8, 0.09, 0.08, 0.028, 0.002])
    gain[rng.random(1000) < 0.05] = np.nan
    even, two = rng.choice([1.0, 2.0, 3.0], 1000), rng.choice([0.0, 1.0], 1000, p=[0.9, 0.1])
    rows = {"gain": gain, "even": even, "two": two, "x": rng.normal(size=1000)}
    rows["y"] = np.where(gain == 5013, "a", np.where(rng.random(1000) < 0.5, "a", "b"))
    options = Options(test=0.0, validation=0.0, epochs=1, ensemble=1)
    plan = prepare(rows, "y", options)
    kept = [0.0, 2.5, 5013.0, 7688.0]
    assert np.sum(gain == 2.5) >= 20 > np.sum(gain == 1e-3)
    assert {r.name: list(getattr(r, "spikes", ())) for r in plan.coding.rules} == {
        "gain": kept, "even": [], "two": [], "x": []
    }  # fmt: skip
    names = plan.coding.inputs()
    assert [n for n in names if n.startswith("gain")] == [
        "gain", "gain missing", "gain = 0", "gain = 2.5", "gain = 5013", "gain = 7688"
    ]  # fmt: skip
    asked = {**{k: np.zeros(4) for k in rows}, "gain": np.array([5013.0, 5012.0, np.nan, 0.0])}
    x = plan.coding.encode(table_of(asked))[0]
    places = [names.index(f"gain = {v:g}") for v in kept]
    none = plan.coding.encode(table_of({**asked, "gain": np.full(4, 99.0)}))[0]
    np.testing.assert_array_equal(
        x[:, places] > none[:, places],
        np.array([[0, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0]], bool),
    )
    model = plan.fit()
    model.save(tmp_path / "m.safetensors")
    again = TabularModel.load(tmp_path / "m.safetensors")
    assert again.coding == model.coding
    np.testing.assert_array_equal(
        again.predict(rows).probabilities, model.predict(rows).probabilities
    )
    parquet = pytest.importorskip("pyarrow.parquet")
    pa = pytest.importorskip("pyarrow")
    parquet.write_table(pa.table(rows), tmp_path / "r.parquet", row_group_size=130)
    streamed = prepare(Stream(tmp_path / "r.parquet"), "y", options)
    assert [getattr(r, "spikes", ()) for r in streamed.coding.rules] == [
        getattr(r, "spikes", ()) for r in plan.coding.rules
    ]
    pixels = {f"p{i}": rng.choice([0.0, *range(1, 16)], 3000, p=[0.8, *[0.2 / 15] * 15])
              for i in range(40)}  # fmt: skip
    plan = prepare({**pixels, "y": np.tile(rows["y"], 3)}, "y", Options(epochs=1, ensemble=1))
    assert len(plan.coding.inputs()) == 40
    named = prepare(rows, "y", Options(preset="realmlp-td", epochs=1))
    assert not any(getattr(r, "spikes", ()) for r in named.coding.rules)
