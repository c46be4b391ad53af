"""The rule that fits each column, what is learned from it, and how cells are coded."""

from datetime import datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.errors import DataError
from chainrule.tabular import Coding, table_of
from chainrule.tabular.coding import learn_coding
from chainrule.tabular.columns import decide
from chainrule.tabular.dates import FEATURES, date_features, read_dates
from chainrule.tabular.layout import Format
from chainrule.tabular.rules import MOST, enough
from chainrule.tabular.table import Table
from chainrule.tabular.typed import typed_column
from chainrule.tabular.words import number_text

N = 60
RNG = np.random.default_rng(0)


def kinds(columns, keep=()):
    table = table_of(columns)
    return {d.name: (d.kind, d.why) for d in decide(table, table.names(), keep)}


def learn(columns, rows=None, keep=()):
    table = table_of(columns)
    rows = np.arange(table.rows) if rows is None else np.array(rows)
    return table, learn_coding(table, decide(table, table.names(), keep), rows)


def encode(columns, rows=None):
    table, coding = learn(columns, rows)
    return coding.inputs(), coding.encode(table)[0]


def cycle(*words, n=N):
    return [words[i % len(words)] for i in range(n)]


NUMBERS = RNG.normal(size=N)


@pytest.mark.parametrize(
    ("cells", "kind", "why"),
    [
        (NUMBERS, "number", ""),
        (np.where(np.arange(N) == 3, np.nan, NUMBERS), "number", ""),
        (np.full(N, np.nan), "dropped", "every cell is missing"),
        (np.full(N, 7.0), "dropped", "every cell is '7'"),
        (cycle("x"), "dropped", "every cell is 'x'"),
        (cycle("x", None), "category", ""),
        (cycle("yes", "no"), "boolean", ""),
        (cycle("TRUE", "false", "True", None), "boolean", ""),
        (cycle("yes", "true"), "category", ""),
        (cycle("y", "n", "?"), "boolean", ""),
        (cycle("red", "green"), "category", ""),
        (cycle("2024-01-01", "2023-05-06T07:08", None), "date", ""),
        (cycle("2024-01-01", "2024-02-30"), "category", ""),
        (np.arange(N), "dropped", "counts the rows"),
        (np.arange(N) + 1, "dropped", "counts the rows"),
        (np.arange(N) + 2, "number", ""),
        (np.arange(N)[::-1], "number", ""),
        ([f"row {i}" for i in range(N)], "dropped", "an identifier: all cells differ"),
        ([f"text {i % 40}" for i in range(N)], "dropped", "free text: 40 different values in 60"),
        ([f"text {i % 30}" for i in range(N)], "category", ""),
        (cycle(*(f"w{i}" for i in range(20)), n=30), "category", ""),
    ],
)
def test_kinds(cells, kind, why):
    other = cycle(3.5, 4.0, 9.0, n=len(cells))
    found = kinds({"x": np.asarray(cells, dtype=None), "other": other})["x"]
    assert found[0] == kind
    assert found[1].startswith(why)
    assert bool(found[1]) == bool(why)


@pytest.mark.parametrize("name", ["id", "ID", "customer_id", "Order ID", "index", "Unnamed: 0"])
def test_identifiers_by_name(name):
    cells = np.random.default_rng(1).permutation(N) + 1000
    columns = {"x": NUMBERS, name: cells}
    assert kinds(columns)[name][0] == "dropped"
    assert kinds(columns, keep=[name])[name][0] == "number"
    assert kinds({"x": NUMBERS, "paid": cells})["paid"][0] == "number"
    assert kinds({"x": NUMBERS, name: cells // 2})[name][0] == "number"


def test_row_numbers_are_kept_if_there_is_nothing_else():
    assert kinds({"t": np.arange(N)})["t"][0] == "number"
    assert kinds({"t": np.arange(N), "c": cycle("x")})["t"][0] == "number"
    assert kinds({"t": np.arange(N), "x": NUMBERS}, keep=["t"])["t"][0] == "number"


def test_duplicates():
    found = kinds(
        {
            "a": NUMBERS,
            "b": NUMBERS * 1.0,
            "c": cycle("x", "y", None),
            "d": cycle("x", "y", None),
            "e": cycle("x", "z", None),
        }
    )
    assert found["b"] == ("dropped", "the same as a")
    assert found["d"] == ("dropped", "the same as c")
    assert found["e"][0] == "category"


def test_infinities_are_named(tmp_path):
    table = table_of({"x": [1.0, np.inf, -np.inf]})
    with pytest.raises(DataError, match=r"table:row 2:x: 'inf' is not a finite number \(2 such"):
        decide(table, ["x"])


def test_numbers_are_standardised_on_training_rows_only():
    x = np.array([1.0, 2.0, 3.0, 4.0, 1000.0])
    names, z = encode({"x": x}, rows=[0, 1, 2, 3])
    assert names == ["x"]
    assert z[:4].mean() == pytest.approx(0, abs=1e-15)
    assert z[:4].std() == pytest.approx(1)
    assert z[4, 0] == pytest.approx((1000 - 2.5) / np.sqrt(1.25))


def test_missing_numbers_get_the_median_and_a_flag_if_there_are_five():
    x = RNG.normal(size=200)
    x[:4] = np.nan
    names, z = encode({"x": x})
    assert names == ["x"]
    centered = (np.nanmedian(x) - np.nanmean(x)) / np.nanstd(x)
    assert z[:4, 0] == pytest.approx(np.full(4, centered))
    x[4] = np.nan
    names, z = encode({"x": x})
    assert names == ["x", "x missing"]
    assert z[:, 1].tolist() == [1.0] * 5 + [0.0] * 195


def test_a_number_with_one_value_and_gaps_is_its_flag():
    names, z = encode({"x": np.array(cycle(3.0, np.nan)), "y": NUMBERS})
    assert names == ["x missing", "y"]
    assert z[:, 0].tolist() == cycle(0, 1)


def test_huge_numbers_do_not_overflow():
    _, z = encode({"x": np.array([1e308, -1e308, 0.5e308, 1e300])})
    assert np.all(np.isfinite(z))
    assert z.std() == pytest.approx(1)
    table, coding = learn({"x": np.array([1e-300, 2e-300, 3e-300])})
    assert np.all(np.isfinite(coding.encode(table)[0]))
    with pytest.raises(DataError, match=r"row 1:x: '1e[+]?308' is too large"):
        coding.encode(table_of({"x": [1e308]}))


def test_categories():
    cells = [*["b"] * 186, *["a"] * 5, *["rare"] * 4, *[None] * 5]
    names, z = encode({"c": cells})
    assert names == ["c = a", "c = b", "c other", "c missing"]
    assert z.sum(axis=0).tolist() == [5, 186, 4, 5]
    assert np.all(z.sum(axis=1) == 1)


def test_unseen_categories_are_coded_and_reported():
    cells = [*["b"] * 195, *["a"] * 5]
    _, coding = learn({"c": cells})
    z, notes = coding.encode(table_of({"c": ["a", "new", "b", "new"]}))
    assert z.tolist() == [[1, 0], [0, 0], [0, 1], [0, 0]]
    assert "table:row 2:c: category 'new' was not seen" in notes[0]
    assert "(2 rows with such)" in notes[0]
    _, coding = learn({"c": [*cells, "rare"]})
    z, notes = coding.encode(table_of({"c": ["rare", "new", None]}))
    assert z.tolist() == [[0, 0, 1]] * 3
    assert len(notes) == 2  # one category, and one missing cell
    assert "(1 row with such)" in notes[0]


def test_small_tables_need_fewer_rows_of_a_category():
    assert [enough(n) for n in (1, 40, 79, 80, 199, 200, 10**6)] == [1, 1, 1, 2, 4, 5, 5]
    assert learn({"c": ["a", "b", "b", None]})[1].inputs() == ["c = a", "c = b", "c missing"]
    rare = [f"w{i % 120}" for i in range(480)]
    _, coding = learn({"c": rare})
    assert (coding.rules[0].kind, coding.rules[0].why) == (
        "dropped",
        "no category is in enough training rows",
    )


def test_categories_beyond_the_limit_share_an_input():
    cells = [f"w{i:03}" for i in range(MOST + 20) for _ in range(5 + (i < MOST))]
    table, coding = learn({"c": cells})
    z, _ = coding.encode(table)
    assert z.shape[1] == MOST + 1
    assert z[:, -1].sum() == 20 * 5


def test_categories_come_from_training_rows_only():
    cells = [*["a"] * 6, *["b"] * 6, *["later"] * 6]
    _, coding = learn({"c": cells}, rows=range(12))
    assert coding.inputs() == ["c = a", "c = b"]
    _, coding = learn({"c": cells}, rows=range(6))
    assert coding.inputs() == []
    assert coding.rules[0].kind == "dropped"


def test_booleans():
    names, z = encode({"b": cycle("Yes", "no", "no", None)})
    assert names == ["b", "b missing"]
    assert z[3, 0] == 0  # the mean, after standardising
    assert z[0, 0] > 0 > z[1, 0]
    present = z[z[:, 1] == 0, 0]
    assert present.mean() == pytest.approx(0, abs=1e-12)
    assert present.std() == pytest.approx(1)


def test_dates():
    names, z = encode({"d": cycle("2024-01-01", "2024-06-30", "2025-01-01", None)})
    assert names[0] == "d days"
    assert names[-1] == "d missing"
    assert not any("day sin" in name for name in names)  # no times of day
    assert z[3, :-1].tolist() == [0] * (len(names) - 1)
    raw = date_features(read_dates(["1970-01-02T06:00", "1970-01-02"]).moments)
    assert raw[0, 0] == 1.25
    assert raw[0, FEATURES.index("day sin")] == pytest.approx(1)
    assert raw[1, FEATURES.index("day cos")] == 1


@pytest.mark.parametrize(
    ("word", "same_as"),
    [
        ("2024-03-01T01:30:00+02:00", "2024-02-29T23:30"),
        ("2024-03-01 01:30:00.5Z", "2024-03-01T01:30:00.500000"),
        ("2024-03-01T01:30:00.123456789Z", "2024-03-01T01:30:00.123456"),
        ("2023-02-29", None),
        ("20240301", "2024-03-01"),
        ("2024-3-1", "2024-03-01"),
        ("1 March 2024 1:30 pm", "2024-03-01T13:30"),
        ("Mar-24", None),
        ("2024-03-01T25:00", None),
        ("13/03/2024", "2024-03-13"),
        ("03/13/2024", "2024-03-13"),
        ("13.3.24", "2024-03-13"),
        ("2024", None),
        ("0001-01-01T00:00+02:00", None),
        ("2024-03-01 noon", None),
    ],
)
def test_moments(word, same_as):
    expected = None if same_as is None else datetime.fromisoformat(same_as)
    assert read_dates([word]).moments == (expected,)


@pytest.mark.parametrize(
    ("trained", "new", "message"),
    [
        (NUMBERS, ["1", "a"], r"row 1:x: '1' is not a number; the model learned .* as numbers"),
        (cycle("yes", "no"), ["yes", "maybe"], "row 2:x: 'maybe' is neither 'yes' nor 'no'"),
        (cycle("a", "b"), [1.0, 2.0], "row 1:x: '1' is a number, .* as categories such as \"a\""),
        (cycle("2024-01-01", "2024-01-02"), ["y", "x"], "row 1:x: 'y' is not a date"),
        (NUMBERS, [1.0, np.inf], "row 2:x: 'inf' is not a finite"),
    ],
)
def test_a_changed_type_is_refused(trained, new, message):
    _, coding = learn({"x": np.asarray(trained), "y": NUMBERS})
    with pytest.raises(DataError, match=message):
        coding.encode(table_of({"x": np.asarray(new), "y": [0.0, 1.0]}))


def test_a_known_category_that_looks_like_a_number_is_no_change():
    _, coding = learn({"x": cycle("1", "2", "x")})
    z, _ = coding.encode(table_of({"x": [1, 2, 2]}))
    assert z[:, :2].tolist() == [[1, 0], [0, 1], [0, 1]]


def test_missing_columns_are_all_named():
    _, coding = learn({"a": NUMBERS, "b": cycle("x", "y"), "c": -NUMBERS, "k": cycle("x")})
    with pytest.raises(DataError, match='table: lacks "b", "c", which'):
        coding.encode(table_of({"a": NUMBERS}))


CELLS = st.one_of(
    st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), min_size=12, max_size=40),
    st.lists(st.sampled_from(["a", "b", "c", "é", "", "1"]), min_size=12, max_size=40),
    st.lists(st.sampled_from(["yes", "no", "?"]), min_size=12, max_size=40),
    st.lists(
        st.one_of(st.just(""), st.dates().map(str), st.datetimes().map(str)),
        min_size=12,
        max_size=40,
    ),
)


@settings(max_examples=80)
@given(cells=CELLS, seed=st.integers(0, 100))
def test_coding_survives_json_and_knows_no_neighbours(cells, seed):
    array = np.array(cells, dtype=float if isinstance(cells[0], float | None) else object)
    rng = np.random.default_rng(seed)
    table, coding = learn({"x": array}, rows=np.arange(len(cells) // 2))
    again = Coding.from_json(coding.to_json())
    assert again == coding
    z, _ = coding.encode(table)
    assert z.shape == (len(cells), len(coding.inputs()))
    assert np.all(np.isfinite(z))
    some = rng.permutation(len(cells))[: len(cells) // 2]
    part, _ = coding.encode(table_of({"x": array[some]}))
    assert np.array_equal(part, z[some])


@pytest.mark.parametrize("chosen", [None, "slice", "some"])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_columns_that_are_computed_together_have_the_bits_of_each_alone(kind, chosen):
    """Arrow's arrays, of which runs without a missing cell are computed in one call, in blocks."""
    pa = pytest.importorskip("pyarrow")
    rng, rows = np.random.default_rng(3), 3000
    cells = {f"x{k}": (10.0 ** rng.integers(-9, 9) * rng.standard_normal(rows)) for k in range(260)}
    cells = {name: x.astype(kind) for name, x in cells.items()}
    cells["x3"][rng.random(rows) < 0.1] = np.nan
    arrays = {name: pa.chunked_array([pa.array(x, from_pandas=True)]) for name, x in cells.items()}
    arrays |= {"w": pa.chunked_array([np.array(["a", "b", "c"])[rng.integers(0, 3, rows)]])}
    names = ["x0", "w", *list(arrays)[1:-1]]
    table = Table(
        "t", rows, tuple(typed_column(name, arrays[name], Format()) for name in names), lambda: ""
    )
    coding = learn_coding(table, decide(table, table.names()), np.arange(rows))
    at = {None: None, "slice": np.arange(40, 2950), "some": rng.integers(0, rows, 2000)}[chosen]
    got, _ = coding.encode(table, at, np.float32)
    each = [rule.encode(table, table[rule.name])[0] for rule in coding.rules]
    every = np.concatenate([fill(np.arange(rows) if at is None else at) for fill in each], axis=1)
    np.testing.assert_array_equal(got, every.astype(np.float32))
    assert "missing" in " ".join(coding.inputs())
    own = cells["x7"].astype(float)
    np.testing.assert_array_equal(
        got[:, coding.places()["x7"][0]],
        ((own - coding.rules[names.index("x7")].center) / coding.rules[names.index("x7")].scale)[
            slice(None) if at is None else at
        ].astype(np.float32),
    )
    assert table["x7"].text(5) == number_text(float(cells["x7"][5]))


def test_one_far_cell_among_columns_that_are_computed_together_is_named():
    x = np.random.default_rng(0).standard_normal((20, 3)) * 1e-300
    table = table_of({f"x{k}": c for k, c in enumerate(x.T)})
    coding = learn_coding(table, decide(table, table.names()), np.arange(20))
    x[17, 1] = 1e300
    with pytest.raises(DataError, match=r"row 18:x1: .*too large to compute with"):
        coding.encode(table_of({f"x{k}": c for k, c in enumerate(x.T)}))
