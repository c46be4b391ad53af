"""Temperatures and conformal intervals, from rows that were held out."""

import dataclasses

import numpy as np
import pytest
from scipy.special import expit, softmax

from chainrule import io, nn
from chainrule.errors import DataError, UsageError
from chainrule.tabular import Options, TabularModel, train
from chainrule.tabular.calibration import find_temperature, intervals, thinned

RNG = np.random.default_rng(0)
N = 500
X = RNG.normal(size=N)
DATA = {
    "x": X,
    "number": np.sin(2 * X) + 0.3 * RNG.normal(size=N),
    "count": RNG.poisson(np.exp(0.5 + 0.5 * X)),
    "class": np.where(RNG.random(N) < expit(2 * X), "up", "down"),
}
NEW = {"x": RNG.normal(size=4000)}
QUICK = Options(hidden=(16,), epochs=30, learning_rate=0.02, test=0.0)


def _train(target, **options):
    columns = {name: DATA[name] for name in ("x", target)}
    return train(columns, target, dataclasses.replace(QUICK, **options))


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_a_temperature_is_the_one_by_which_logits_were_multiplied(temperature):
    logits = RNG.normal(size=(20_000, 3)) * 2
    classes = np.array([RNG.choice(3, p=p) for p in softmax(logits, axis=1)])
    loss = nn.CategoricalCrossEntropy()
    found = find_temperature(loss, logits * temperature, classes)
    assert found.temperature == pytest.approx(temperature, rel=0.03)
    # At the least log loss no other temperature nearby is better.
    around = [
        loss(logits * temperature / found.temperature / f, classes).mean() for f in (0.9, 1.1)
    ]
    assert found.after <= min(around)
    assert found.after <= found.before
    one = logits[:, :1]
    truth = RNG.random(len(one)) < expit(one[:, 0])
    found = find_temperature(
        nn.BinaryCrossEntropy(), one * temperature, truth.astype(float)[:, None]
    )
    assert found.temperature == pytest.approx(temperature, rel=0.06)


def test_weights_of_rows_are_repetitions_and_few_rows_say_little():
    logits, truth = RNG.normal(size=(300, 1)), (RNG.random((300, 1)) < 0.5).astype(float)
    times, loss = RNG.integers(0, 4, 300), nn.BinaryCrossEntropy()
    weighted = find_temperature(loss, logits, truth, times.astype(float))
    repeated = find_temperature(loss, np.repeat(logits, times, 0), np.repeat(truth, times, 0))
    assert weighted.temperature == pytest.approx(repeated.temperature, rel=1e-4)
    certain = find_temperature(loss, np.array([[3.0], [-3.0]]), np.array([[1.0], [0.0]]))
    assert 0.9 < certain.temperature < 1.0  # two rows that are told apart are no proof


@pytest.mark.parametrize(("held", "coverage"), [(9, 0.9), (19, 0.9), (30, 0.5)])
def test_intervals_hold_their_share_whatever_the_number_of_rows(held, coverage):
    # Exchangeable residuals: the k-th smallest of m holds the next one in k / (m + 1) of all cases.
    errors = np.abs(RNG.standard_cauchy(size=(20_000, held + 1)))
    within = [
        one[-1] <= intervals(np.zeros(1), [np.sort(one[:-1])], coverage)[0, 1]
        for one in errors[:5000]
    ]
    share = np.ceil((held + 1) * coverage - 1e-9) / (held + 1)
    assert np.mean(within) == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / 5000))


def test_the_ends_are_as_far_as_the_residuals_of_all_networks():
    residuals = [np.sort(np.abs(RNG.normal(size=n))) for n in (7, 9, 13)]
    predicted = RNG.normal(size=5)
    width = sorted(np.concatenate(residuals).tolist())[int(np.ceil(0.8 * 30)) - 1]
    assert intervals(predicted, residuals, 0.8) == pytest.approx(
        np.stack([predicted - width, predicted + width], 1)
    )


@pytest.mark.parametrize("ensemble", [1, 4])
def test_a_models_intervals_cover_new_rows_and_survive_the_file(ensemble, tmp_path):
    model = _train("number", ensemble=ensemble)
    truth = np.sin(2 * NEW["x"]) + 0.3 * RNG.normal(size=4000)
    assert len(model.residuals) == ensemble
    assert sum(map(len, model.residuals)) == (100 if ensemble == 1 else N)
    for coverage in (0.5, 0.9):
        low, high = model.predict(NEW, coverage=coverage).interval.T
        # Residuals of 100 rows leave the coverage a deviation of sqrt(c (1 - c) / 102).
        spread = 3 * np.sqrt(coverage * (1 - coverage) / 102)
        assert np.mean((low <= truth) & (truth <= high)) == pytest.approx(coverage, abs=spread)
    model.save(tmp_path / "m")
    again = TabularModel.load(tmp_path / "m")
    assert np.array_equal(again.predict(NEW, coverage=0.9).interval.T, [low, high])


def test_intervals_that_cannot_be_given_are_refused():
    few = _train("number", validation=0.02)
    with pytest.raises(UsageError, match=r"10 rows held out give at most 0\.909"):
        few.predict(NEW, coverage=0.95)
    assert few.predict(NEW, coverage=0.9).interval.shape == (4000, 2)
    for wrong in (0, 1, 90, "much"):
        with pytest.raises(UsageError, match="is a share between 0 and 1"):
            few.predict(NEW, coverage=wrong)
    with pytest.raises(UsageError, match="the model had none; train with validation"):
        _train("number", validation=0.0).predict(NEW, coverage=0.9)
    with pytest.raises(UsageError, match="'class' has classes; their probabilities"):
        _train("class").predict(NEW, coverage=0.9)
    columns = {"x": X, "number": DATA["number"], "w": np.ones(N)}
    weighted = train(columns, "number", dataclasses.replace(QUICK, weight="w"))
    with pytest.raises(UsageError, match="trained with weights"):
        weighted.predict(NEW, coverage=0.9)


@pytest.mark.parametrize("ensemble", [1, 3])
def test_a_calibrated_model_divides_its_outputs(ensemble, tmp_path):
    plain, cooled = (_train("class", ensemble=ensemble, calibrate=c) for c in (False, True))
    found, x = cooled.calibration, plain.inputs(NEW)[0]
    assert plain.calibration is None
    assert found.rows == (100 if ensemble == 1 else N)
    for k in range(ensemble):
        ratio = plain.compute(x, k)[0] / cooled.compute(x, k)[0]
        assert ratio == pytest.approx(found.temperature, rel=1e-3)
    assert cooled.scores.of("log loss", "validation") == pytest.approx(found.after, rel=0.02)
    cooled.save(tmp_path / "m")
    again = TabularModel.load(tmp_path / "m")
    assert again.calibration == found
    assert np.array_equal(again.predict(NEW).probabilities, cooled.predict(NEW).probabilities)


def test_many_residuals_are_thinned_alike():
    own = thinned([np.arange(30_000.0), np.arange(10_000.0)], 0)
    assert [len(r) for r in own] == [7500, 2500]
    assert all(np.all(np.diff(r) > 0) for r in own)
    assert np.median(own[0]) == pytest.approx(15_000, rel=0.05)


@pytest.mark.parametrize("bad", [[0.2, 0.1], [-1.0, 0.1], [[0.1]]])
def test_residuals_that_are_none_are_refused(bad, tmp_path):
    path = tmp_path / "m"
    _train("number", epochs=1).save(path)
    arrays, metadata = io.load(path)
    arrays["residuals/0"] = np.array(bad)
    io.save(path, arrays, metadata)
    with pytest.raises(DataError, match="residuals are not sorted numbers"):
        TabularModel.load(path)


@pytest.mark.parametrize("ensemble", [1, 2])
@pytest.mark.parametrize("loss", ["poisson", "gamma", "tweedie", "absolute_error", "focal"])
def test_losses_by_name(loss, ensemble, tmp_path):
    target = "class" if loss == "focal" else "count"
    columns = {
        "x": X,
        target: DATA[target] + (loss == "gamma") if target == "count" else DATA[target],
    }
    options = dataclasses.replace(QUICK, loss=loss, ensemble=ensemble, epochs=60)
    model = train(columns, target, options)
    probe = {"x": np.array([-1.0, 0.0, 1.0])}
    found = model.predict(probe)
    if loss == "focal":
        assert found.probabilities[:, 1] == pytest.approx(expit(2 * probe["x"]), abs=0.15)
    else:
        # Counts have the mean exp(0.5 + x / 2); their median is lower.
        mean = np.exp(0.5 + 0.5 * probe["x"]) + (loss == "gamma")
        assert found.values == pytest.approx(mean, abs=0.7)
        assert (model.kind == "exponential") == (loss != "absolute_error")
    model.save(tmp_path / "m")
    again = TabularModel.load(tmp_path / "m").predict(probe)
    assert np.array_equal(again.values, found.values)


def test_losses_that_do_not_fit_are_refused():
    with pytest.raises(
        UsageError, match=r"loss=.poisson.: is not for the task multiclass, which has log_loss"
    ):
        Options(task="multiclass", loss="poisson")
    with pytest.raises(UsageError, match="loss='focal': is not for the task regression"):
        _train("number", loss="focal")
    with pytest.raises(UsageError, match="loss='hinge'"):
        Options(loss="hinge")
    with pytest.raises(DataError, match=r"row \d+:number: loss='poisson' needs numbers from 0 up"):
        _train("number", loss="poisson")
    with pytest.raises(DataError, match=r"row \d+:count: loss='gamma' needs numbers above 0"):
        _train("count", loss="gamma")
