"""Tables as they stand, in scikit-learn's manner."""

from __future__ import annotations

import datetime

import numpy as np
import pandas
import polars
import pyarrow
import pytest
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

from chainrule.errors import DataError, UsageError
from chainrule.estimators import TabularClassifier, TabularRegressor
from chainrule.tabular import Format, TabularModel
from chainrule.train import Checkpoint

RNG = np.random.default_rng(0)
ROWS = 200
SIZE = RNG.normal(size=ROWS)
COLOUR = RNG.choice(["red", "green", "blue"], ROWS)
DAY = [datetime.date(2024, 1, 1) + datetime.timedelta(int(d)) for d in RNG.integers(0, 300, ROWS)]
KIND = np.where(SIZE + (COLOUR == "red") > 0.5, "large", "small")
COLUMNS = {"size": SIZE, "colour": COLOUR.tolist(), "day": DAY}
QUICK = {"hidden": (16,), "epochs": 30, "random_state": 0, "learning_rate": 0.02}


@pytest.mark.parametrize("frame", [pandas.DataFrame, polars.DataFrame, pyarrow.table])
def test_frames_are_taken_as_they_stand(frame):
    table = frame(COLUMNS)
    model = TabularClassifier(**QUICK).fit(table, KIND)
    assert model.score(table, KIND) > 0.9
    assert list(model.feature_names_in_) == list(COLUMNS)
    assert {rule.name: rule.kind for rule in model.model_.coding.rules}["colour"] == "category"
    others = TabularClassifier(**QUICK).fit(pandas.DataFrame(COLUMNS), KIND)
    np.testing.assert_array_equal(model.predict_proba(table), others.predict_proba(
        pandas.DataFrame(COLUMNS)))  # fmt: skip


def test_missing_cells_weights_and_saved_models(tmp_path):
    frame = pandas.DataFrame(COLUMNS).drop(columns="day")
    frame.loc[::7, "size"] = np.nan
    frame["counts"] = 1.0
    model = TabularRegressor(**QUICK, weight="counts").fit(frame, SIZE)
    assert model.score(frame, SIZE) > 0.7
    model.model_.save(tmp_path / "model.safetensors")
    again = TabularModel.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(again.predict(frame).values, model.predict(frame))


def test_weights_of_classes():
    frame = pandas.DataFrame(COLUMNS)
    plain, heavy = (TabularClassifier(**QUICK, class_weight=w) for w in (None, {"large": 50.0}))
    found = [(m.fit(frame, KIND).predict(frame) == "large").mean() for m in (plain, heavy)]
    assert found[1] > found[0]


def test_parts_of_a_prediction_add_up_column_by_column():
    frame = pandas.DataFrame(COLUMNS)
    model = TabularRegressor(**QUICK, activation="tanh").fit(frame, SIZE)
    parts = model.integrated_gradients(frame)
    assert parts.shape == (ROWS, 3)
    coded = model.model_.inputs(frame)[0]
    outputs, _ = model.model_.compute(np.vstack([coded, np.zeros(coded.shape[1])]))
    whole = (outputs[:-1, 0] - outputs[-1, 0]) * model.model_.target.scale
    np.testing.assert_allclose(parts.sum(axis=1), whole, atol=1e-4)  # weights are float32
    assert np.abs(parts[:, 0]).mean() > 3 * np.abs(parts[:, 1:]).mean()
    with pytest.raises(UsageError, match="there is one output"):
        model.integrated_gradients(frame, output=1)


def test_folds():
    scores = cross_val_score(TabularClassifier(**QUICK), pandas.DataFrame(COLUMNS), KIND, cv=2)
    assert scores.min() > 0.8


def test_weights_of_rows_are_repetitions():
    frame = pandas.DataFrame(COLUMNS)
    times = RNG.integers(0, 3, ROWS)
    settings = {"optimizer": "lbfgs", "epochs": 20, "validation": 0.0, "random_state": 0}
    weighted = TabularRegressor(**settings).fit(frame, SIZE + 1, sample_weight=times)
    rows = np.repeat(np.arange(ROWS), times)
    repeated = TabularRegressor(**settings).fit(frame.iloc[rows], SIZE[rows] + 1)
    np.testing.assert_allclose(weighted.predict(frame), repeated.predict(frame), rtol=1e-5)
    heavy = TabularClassifier(**QUICK).fit(frame, KIND, np.where(KIND == "large", 50.0, 1.0))
    assert (heavy.predict(frame) == "large").mean() > (KIND == "large").mean()


def test_ends_of_numbers_and_parts_of_an_exponential():
    frame = pandas.DataFrame(COLUMNS)
    model = TabularRegressor(**QUICK).fit(frame, SIZE)
    low, high = model.predict_interval(frame, coverage=0.8).T
    inner = model.predict_interval(frame, coverage=0.4)
    assert np.mean((low <= SIZE) & (high >= SIZE)) > 0.75  # rows of training; new ones elsewhere
    assert ((low < inner[:, 0]) & (inner[:, 1] < high)).all()
    model = TabularRegressor(**QUICK, loss="gamma", activation="tanh").fit(frame, np.exp(SIZE))
    parts = model.integrated_gradients(frame).sum(axis=1)
    ratio = model.predict(frame) / model.predict(frame)[0]
    np.testing.assert_allclose(np.exp(parts - parts[0]), ratio, rtol=1e-3)


@pytest.mark.parametrize("labels", [KIND, COLOUR])
def test_parts_of_a_class_add_up_for_a_calibrated_model(labels):
    frame = pandas.DataFrame({"size": SIZE, "red": (COLOUR == "red").astype(float)})
    model = TabularClassifier(**QUICK, activation="tanh").fit(frame, labels)
    assert model.model_.calibration.temperature != 1
    parts = model.integrated_gradients(frame, output=None if labels is KIND else "green")
    coded = model.model_.inputs(frame)[0]
    outputs, _ = model.model_.compute(np.vstack([coded, np.zeros(coded.shape[1])]))
    own = outputs[:, 0 if labels is KIND else list(model.classes_).index("green")]
    np.testing.assert_allclose(parts.sum(axis=1), own[:-1] - own[-1], atol=1e-4)


def test_a_fit_that_was_cut_short_goes_on(tmp_path):
    """From a checkpoint in the middle, to the bits of a fit that nothing disturbed."""
    x = np.random.default_rng(0).normal(size=(60, 3))
    y = x[:, 0] - x[:, 1] ** 2
    plain = TabularRegressor(hidden=(4,), epochs=6, random_state=1)
    right = plain.fit(x, y).predict(x)

    def cut(event):
        if event.epoch == 4:
            raise ZeroDivisionError

    kept = plain.set_params(checkpoint=Checkpoint(tmp_path, 1, callback=cut))
    with pytest.raises(ZeroDivisionError):
        kept.fit(x, y)
    again = clone(kept).set_params(checkpoint=tmp_path, resume=True)
    assert again.fit(x, y).predict(x).tobytes() == right.tobytes()
    with pytest.raises(UsageError, match="random_state"):
        again.set_params(random_state=None).fit(x, y)


def _written(rng, n=150):
    """Numbers, and the same as text that people write, with columns of words."""
    price = np.round(rng.uniform(1000, 9999, n), 2)
    share = rng.integers(1, 99, n).astype(float)
    loss = np.round(rng.normal(size=n), 3)
    day, month = rng.integers(13, 29, n), rng.integers(1, 13, n)
    text = {
        "price": [f"${v:,.2f}" for v in price],
        "share": [f"{v:.0f} %" for v in share],
        "loss": [None if i == 7 else f"({-v:.3f})" if v < 0 else f"{v:.3f}"
                 for i, v in enumerate(loss)],
        "day": [f"{d}/{m}/2024" for d, m in zip(day, month, strict=True)],
        "zip": [f"0{v}" for v in rng.integers(1000, 1020, n)],
        "word": rng.choice(["a", "b2"], n).tolist(),
    }  # fmt: skip
    loss[7] = np.nan
    return {"price": price, "share": share, "loss": loss}, text


@pytest.mark.parametrize("frame", [pandas.DataFrame, polars.DataFrame, pyarrow.table])
def test_numbers_as_text_in_frames_are_read_as_in_files(frame, tmp_path):
    numbers, text = _written(np.random.default_rng(3))
    y = numbers["price"] / 1000
    given = {"hidden": (6,), "epochs": 3, "random_state": 0}
    with pytest.warns(UserWarning, match=r"'\$[\d,.]+' is read as [\d.]+ \('\$' left out"):
        model = TabularRegressor(**given).fit(frame(text), y)
    kinds = {rule.name: rule.kind for rule in model.model_.coding.rules}
    assert kinds == {"price": "number", "share": "number", "loss": "number", "day": "date",
                     "zip": "category", "word": "category"}  # fmt: skip
    with pytest.warns(UserWarning, match="codes, not numbers"):
        plain = TabularRegressor(**given).fit(frame({**text, **numbers}), y)
    np.testing.assert_array_equal(model.predict(frame(text)), plain.predict(frame(text)))
    first = {name: cells[:1] for name, cells in text.items()}
    np.testing.assert_array_equal(model.predict(frame(first)), model.predict(frame(text))[:1])
    model.model_.save(tmp_path / "m.safetensors")
    again = TabularModel.load(tmp_path / "m.safetensors")
    for asked in (frame(first), first):
        np.testing.assert_array_equal(again.predict(asked).values, model.predict(frame(first)))
    euros = frame({**first, "price": ["€1,212.50"]})
    with pytest.raises(DataError, match="price"):
        model.predict(euros)


def test_text_of_two_readings_is_refused_with_both_and_declared_words_stay():
    two = pandas.DataFrame({"v": [f"{k},{100 + k}" for k in range(1, 9)] * 5, "c": ["1", "2"] * 20})
    y = np.arange(40.0)
    given = {"hidden": (4,), "epochs": 1, "random_state": 0}
    with (
        pytest.warns(UserWarning, match="'1' is text"),
        pytest.raises(DataError, match=r"1101 \(decimal='\.'\) or 1\.101 .*format=tabular\.Format"),
    ):
        TabularRegressor(**given).fit(two, y)
    with pytest.warns(UserWarning, match="a decimal comma"):
        comma = TabularRegressor(format=Format(decimal=","), **given).fit(two, y)
    assert comma.model_.coding.rules[0].high == 8.108
    assert comma.predict(two.iloc[:1]) == comma.predict(two)[0]
    told = two.astype({"c": "category"}).assign(v=1.0 * np.arange(40) ** 2)
    kinds = [r.kind for r in TabularRegressor(**given).fit(told, y).model_.coding.rules]
    assert kinds == ["number", "category"]
    with pytest.warns(UserWarning, match="a decimal comma"):
        named = TabularRegressor(format=Format(decimal=","), category=("c",), **given).fit(two, y)
    assert [r.kind for r in named.model_.coding.rules] == ["number", "category"]
    assert comma.get_params()["format"] == Format(decimal=",")
