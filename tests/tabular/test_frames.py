"""Whatever has columns is a table: mappings, pyarrow, pandas, polars; all else is refused."""

from __future__ import annotations

import copy
import datetime
import pickle
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from chainrule.errors import DataError, DtypeError, NonFiniteError, ShapeError, UsageError
from chainrule.tabular import Options, TabularModel, table_of, train
from chainrule.tabular.columns import decide

N = 60
RNG = np.random.default_rng(2)
X = RNG.normal(size=N)
COLUMNS = {
    "x": X.tolist(),
    "gaps": [None if i % 7 == 0 else int(i) for i in range(N)],
    "word": [None if i % 9 == 0 else "ab"[i % 2] for i in range(N)],
    "flag": [bool(i % 3) for i in range(N)],
    "day": [datetime.date(2024, 1, 1) + datetime.timedelta(days=int(i * i)) for i in range(N)],
    "y": ["yes" if x > 0 else "no" for x in X],
}
FEW = Options(epochs=2, hidden=(3,), early_stopping=0)


def arrow(columns):
    return pytest.importorskip("pyarrow").table(columns)


def pandas(columns):
    return pytest.importorskip("pandas").DataFrame(columns)


def nullable(columns):
    return pandas(columns).convert_dtypes()


def categorical(columns):
    return pandas(columns).astype({"word": "category"})


def polars(columns):
    return pytest.importorskip("polars").DataFrame(columns)


class Protocol:
    """A data frame of nobody: names and columns."""

    def __init__(self, columns):
        self.columns = list(columns)
        self.given = columns

    def __getitem__(self, name):
        return self.given[name]


FRAMES = [dict, Protocol, arrow, pandas, nullable, categorical, polars]


@pytest.mark.parametrize("frame", FRAMES, ids=lambda f: f.__name__)
def test_frames_hold_what_their_mapping_holds(frame):
    wanted, found = table_of(COLUMNS), table_of(frame(COLUMNS))
    assert found.names() == wanted.names()
    for name in wanted.names():
        one, other = wanted[name], found[name]
        np.testing.assert_array_equal(other.missing, one.missing)
        if one.numbers is not None:
            np.testing.assert_array_equal(other.numbers, one.numbers)
        elif name != "day":  # times of day may or may not be written
            assert [w.lower() for w in other.codes[1]] == [w.lower() for w in one.codes[1]]
    assert wanted["gaps"].numbers is not None


@pytest.mark.parametrize("frame", FRAMES, ids=lambda f: f.__name__)
def test_frames_train_validate_predict_and_evaluate(frame):
    data = frame(COLUMNS)
    model = train(data, "y", FEW, validation=data, executor="numpy", threads=1)
    assert isinstance(model, TabularModel)
    predicted = model.predict(data)
    assert len(predicted.values) == N
    np.testing.assert_array_equal(predicted.values, model.predict(COLUMNS).values)
    scores, _ = model.evaluate(data)
    assert scores.of("accuracy", "data") == np.mean(predicted.values == np.array(COLUMNS["y"]))


def test_numbers_among_objects_are_numbers_and_text_is_not():
    table = table_of(
        {"a": [Decimal("1.5"), None, 2], "b": ["1.5", None, "2"], "c": [True, None, 0]}
    )
    np.testing.assert_array_equal(table["a"].numbers, [1.5, np.nan, 2])
    assert table["b"].numbers is None
    assert table["c"].numbers is None


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (np.zeros((3, 2)), UsageError, "a table is a mapping of columns.* not a ndarray"),
        ([1, 2], UsageError, "not a list"),
        ("penguins.csv", UsageError, r"read_table\(path\).* not a str"),
        (None, UsageError, "not a NoneType"),
        (dict, UsageError, "a table is a mapping"),
        ({"x": [1, 2], "y": [1]}, ShapeError, "columns of different lengths"),
        ({"x": np.zeros((3, 2)), "y": [1, 2, 3]}, ShapeError, "column 'x' has shape"),
        (
            {"x": np.ma.array([1, 2], mask=[0, 1]), "y": [1, 2]},
            DtypeError,
            "column 'x' is a Masked",
        ),
    ],
)
def test_what_is_no_table_is_refused(data, error, message):
    with pytest.raises(error, match=message):
        train(data, "y", FEW)


def test_options_are_options():
    with pytest.raises(UsageError, match=r"options are a tabular.Options"):
        train(COLUMNS, "y", {"epochs": 2})
    assert Options(hidden=[4, 2], drop="id", keep=["a"]) == Options(
        hidden=(4, 2), drop=("id",), keep=("a",)
    )
    with pytest.raises(UsageError, match=r"hidden=\(0,\): every layer"):
        Options(hidden=(0,))
    with pytest.raises(UsageError, match=r"optimizer=.*saved with its model, so they go by name"):
        Options(optimizer=0.1)
    with pytest.raises(UsageError, match="there is no option 'epoch', 'seeds'"):
        Options.from_json({**Options().to_json(), "seeds": 1, "epoch": 2})
    with pytest.raises(UsageError, match=r"hidden=\(64.5,\): every layer"):
        Options(hidden=64.5)
    for name, misspelt, meant in (
        ("optimizer", "addam", "adam"), ("schedule", "cosin", "cosine"),
        ("task", "binry", "binary"),
        ("activation", "thanh", "tanh"), ("init", "he_norml", "he_normal"),
        ("class_weight", "balancd", "balanced"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=f"{name}='{misspelt}': .*did you mean '{meant}'"):
            Options(**{name: misspelt})
    with pytest.raises(NonFiniteError, match="smaller learning rate"):
        train(COLUMNS, "x", Options(optimizer="sgd", learning_rate=1e30, epochs=3))


def test_messages_and_notes_speak_no_flags():
    """Only the command line has flags; the library's words for them are its own arguments."""
    import pathlib
    import re

    import chainrule.tabular

    for path in pathlib.Path(chainrule.tabular.__file__).parent.glob("*.py"):
        assert not re.findall(r"(?<!-)--[a-z][a-z-]+", path.read_text()), path.name


def test_a_model_survives_pickle_and_deepcopy_after_it_has_predicted():
    model = train(COLUMNS, "y", FEW)
    wanted = model.predict(COLUMNS).probabilities
    for came in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        np.testing.assert_array_equal(came.predict(COLUMNS).probabilities, wanted)


def test_words_looked_at_once_are_words_looked_at_one_by_one():
    class Word(str):
        """No plain str, so that its column takes the other way."""

    pool = ["a", " a", "b ", "", "NA", "?", None, "nan", "x y", "1", "TRUE", " "]
    rng = np.random.default_rng(0)
    for count in (1, 2, 40) * 30:
        cells = [pool[i] for i in rng.integers(len(pool), size=count)]
        found, other = (
            table_of({"c": np.array([None if c is None else kind(c) for c in cells], object)})["c"]
            for kind in (str, Word)
        )
        assert np.array_equal(found.missing, other.missing), cells
        assert found.obstacle == other.obstacle, cells
        assert (found.numbers is None) == (other.numbers is None), cells
        assert found.codes[1] == other.codes[1], cells
        assert np.array_equal(found.codes[0], other.codes[0]), cells


TEXT = ["b", " a ", None, "NA", "b", "2", "nan"]


def test_text_is_the_same_words_however_a_frame_holds_it():
    pa, pd, pl = (pytest.importorskip(name) for name in ("pyarrow", "pandas", "polars"))
    backwards = pa.DictionaryArray.from_arrays(
        [2, 1, None, 4, 2, 0, None], ["2", "a", "b", "", "?"]
    )
    columns = [
        TEXT,
        np.array(TEXT, object),
        *(pd.Series(TEXT, dtype=kind) for kind in (None, object, "string", "category")),
        *(pl.Series(TEXT).cast(kind) for kind in (pl.String, pl.Categorical)),
        *(pa.array(TEXT, kind) for kind in (pa.string(), pa.large_string())),
        pa.chunked_array([TEXT[:3], TEXT[3:]]),
        backwards,
    ]
    for column in columns:
        found = table_of({"word": column})["word"]
        assert (found.codes[0].tolist(), found.codes[1]) == (
            [0, 1, -1, -1, 0, 2, -1],
            ("b", "a", "2"),
        )
        assert (found.numbers, found.obstacle) == (None, (0, 4))
    for empty in (pd.Series([None, "NA"]), pa.array([None, ""]), pl.Series(["", None])):
        assert np.isnan(table_of({"word": empty})["word"].numbers).all()
    mixed = pd.Series([1, True, "a"], dtype=object)  # 1 == True, and their words differ
    assert table_of({"word": mixed})["word"].codes[1] == ("1", "true", "a")
    assert table_of({"word": pd.Series([[1], [2]])})["word"].unsupported


def test_a_fingerprint_makes_no_words_of_numbers():
    whole, broken = table_of({"x": [1, 2, 3]}), table_of({"x": [1.0, 2.0, 3.5]})
    same = table_of({"x": np.array([1.0, 2.0, 3.0], np.float32)})
    assert whole.fingerprint == same.fingerprint
    assert whole.fingerprint != broken.fingerprint
    assert whole.fingerprint != table_of({"z": [1, 2, 3]}).fingerprint
    assert "codes" not in vars(same["x"])


def test_two_columns_of_one_name_are_refused():
    pandas = pytest.importorskip("pandas")
    estimators = pytest.importorskip("chainrule.estimators")
    frame = pandas.DataFrame(np.ones((4, 3)), columns=["a", "b", "a"])
    with pytest.raises(UsageError, match="several columns are called 'a'; rename all but one"):
        table_of(frame)
    with pytest.raises(UsageError, match="several columns are called 'a'"):
        estimators.TabularRegressor().fit(frame, np.arange(4.0))


def test_a_column_of_infinities_is_refused_as_one_infinity_is():
    for cells in ([np.inf] * 4, [np.inf, 1.0, 2.0, 3.0]):
        table = table_of({"a": cells, "b": [1.0, 2.0, 3.0, 5.0]})
        with pytest.raises(DataError, match="'inf' is not a finite number"):
            decide(table, ["a", "b"])


def test_rows_are_coded_by_threads_as_by_one(monkeypatch):
    """Each thread codes its own rows, to the last bit; the first error is told."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=9_000)
    table = {"x": x, "w": rng.choice(["a", "b", ""], 9_000), "y": x + rng.normal(size=9_000)}
    for preset in ("sklearn", "realmlp-td-s"):
        model = train(table, "y", Options(preset=preset, epochs=1, ensemble=1, seed=0))
        alone, _ = model.inputs(table)
        monkeypatch.setattr("chainrule.tabular.coding.MANY", 1000)
        monkeypatch.setattr("chainrule.tabular.coding.available", lambda: 3)
        np.testing.assert_array_equal(model.inputs(table)[0], alone)
        far = {**table, "x": np.where(np.arange(9_000) == 8_765, 1e308, x)}
        far["x"][4321] = -1e308
        if preset == "sklearn":
            model = replace(model, coding=replace(model.coding, rules=tuple(
                replace(r, scale=1e-5) if r.name == "x" else r for r in model.coding.rules
            )))  # fmt: skip
            with pytest.raises(DataError, match="row 4322:x: '-1e\\+308' is too large"):
                model.inputs(far)
        monkeypatch.undo()
