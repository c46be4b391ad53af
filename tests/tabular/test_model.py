"""The saved model: the same after loading, refused when altered; predictions to the last bit."""

import copy

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chainrule import io
from chainrule.errors import DataError
from chainrule.tabular import Options, TabularModel, table_of, train
from chainrule.train.ordered import Ordered

N = 300
RNG = np.random.default_rng(5)
X, Z = RNG.normal(size=(2, N))
DAYS = np.datetime64("2024-01-01") + RNG.integers(0, 700, N)
COLUMNS = {
    "x": np.where(RNG.random(N) < 0.1, np.nan, X),
    "z": Z,
    "colour": RNG.choice(np.array(["red", "green", "blue", None], dtype=object), N),
    "flag": RNG.choice(["yes", "no"], N),
    "day": DAYS,
    "fixed": np.full(N, 3.0),
    "class": np.array(["a", "b", "c"])[np.digitize(np.nan_to_num(X) + Z, [-0.7, 0.7])],
    "value": 100 + X * 10 + Z,
    "side": np.where(Z > 0, "up", "down"),
}
FEATURES = ("x", "z", "colour", "flag", "day", "fixed")


def table(*names, rows=None):
    rows = slice(None) if rows is None else rows
    return table_of({name: np.asarray(COLUMNS[name])[rows] for name in names})


def trained(target, **options):
    settings = {"hidden": (16, 8), "epochs": 6, "learning_rate": 0.01} | options
    return train(table(*FEATURES, target), target, Options(**settings))


@pytest.fixture(scope="module", params=["class", "value", "side", "norm"])
def model(request):
    if request.param == "norm":
        return trained("class", batch_norm=True, activation="tanh")
    return trained(request.param)


def answers(model, data):
    predicted = model.predict(data)
    if predicted.probabilities is None:
        return predicted.values[:, None]
    return predicted.probabilities


def test_a_model_survives_its_file(model, tmp_path):
    path = tmp_path / "m.safetensors"
    model.save(path)
    again = TabularModel.load(path)
    data = table(*FEATURES)
    assert np.array_equal(answers(again, data), answers(model, data))
    assert again.metadata() == model.metadata()
    again.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()
    with pytest.raises(Exception, match="exists already"):
        model.save(path, replace=False)


def test_a_row_does_not_depend_on_others(model):
    whole = answers(model, table(*FEATURES))
    order = np.random.default_rng(0).permutation(N)
    assert np.array_equal(answers(model, table(*FEATURES, rows=order)), whole[order])
    for rows in ([0], [299], range(17), range(255, 258), [5] * 600):
        rows = np.array(rows)
        assert np.array_equal(answers(model, table(*FEATURES, rows=rows)), whole[rows])
    shuffled = table(*reversed(FEATURES))
    assert np.array_equal(answers(model, shuffled), whole)


def test_blas_alone_would_not_do(model):
    """The seeded fault: the same network in single precision on BLAS is only nearly equal."""
    x, _ = model.inputs(table(*FEATURES))
    exact, _ = model.compute(x)
    network = model.network.build()
    blas, _ = network(model.params, model.state, x.astype(np.float32))
    assert np.allclose(blas, exact, rtol=0, atol=1e-5)  # sums of up to 64 roundings of 6e-8
    assert not np.array_equal(blas, exact)


def test_products_are_added_in_order():
    x = np.array([[1e16, 1.0, -1e16]])
    w = np.ones((3, 1)).view(Ordered)
    assert (x @ w).item() == 0.0  # (1e16 + 1) - 1e16, in that order
    assert type(x + w.T) is np.ndarray


def test_an_empty_batch_of_rows(model):
    x = np.empty((0, model.network.sizes[0]))
    outputs, predicted = model.compute(x)
    assert outputs.shape == predicted.shape == (0, model.network.sizes[-1])


def test_extra_and_missing_columns(model):
    data = table_of({name: COLUMNS[name] for name in FEATURES} | {"new": X})
    notes = model.predict(data).notes
    assert "columns not known to the model, ignored: ['new']" in notes[0]
    assert len(answers(model, table("x", "z", "colour", "flag", "day"))) == N  # fixed was dropped
    with pytest.raises(DataError, match='lacks "z", "flag", which'):
        model.predict(table("x", "colour", "day"))


def test_evaluate_needs_targets(model):
    target = model.target.name
    scores, _ = model.evaluate(table(*FEATURES, target))
    assert scores.sets[0] == "data"
    with pytest.raises(DataError, match=f"has no column '{target}', the target"):
        model.evaluate(table(*FEATURES))
    blank = table_of({n: COLUMNS[n] for n in FEATURES} | {target: np.array([None] * N)})
    with pytest.raises(DataError, match="every cell of the target"):
        model.evaluate(blank)


def test_scores_are_those_of_evaluate():
    data = table(*FEATURES, "class")
    model = train(data, "class", Options(hidden=(8,), epochs=3, validation=0, test=0))
    scores, _ = model.evaluate(data)
    assert [(n, v[0]) for n, v in scores.rows] == [(n, v[0]) for n, v in model.scores.rows]
    assert scores.rows[0][1][1] == model.scores.rows[0][1][1]


def test_columns_without_names_are_counted(tmp_path):
    from chainrule.tabular import Format, read_table

    path = tmp_path / "bare.csv"
    lines = [f"{x},{z},{s}" for x, z, s in zip(X, Z, COLUMNS["side"], strict=True)]
    path.write_text("\n".join(lines))
    plain = Format(header=False)
    options = Options(hidden=(4,), epochs=2)
    model = train(read_table(path, plain), "c3", options)
    path.write_text("\n".join(line.rsplit(",", 1)[0] for line in lines))
    assert len(model.predict(read_table(path, plain)).values) == N  # the target was last
    path.write_text("\n".join("0," + line for line in lines))
    with pytest.raises(DataError, match="has 4 columns, and the model was trained on 3 or 2"):
        model.predict(read_table(path, plain))


def saved(tmp_path):
    path = tmp_path / "m.safetensors"
    trained("class", batch_norm=True, epochs=2).save(path)
    return path, *io.load(path)


def test_altered_metadata_is_refused(tmp_path):
    path, arrays, metadata = saved(tmp_path)

    def altered(*place, value):
        changed = copy.deepcopy(metadata)
        at = changed
        for key in place[:-1]:
            at = at[key]
        if value is None:
            del at[place[-1]]
        else:
            at[place[-1]] = value
        return changed

    cases = [
        (altered("format", value="other"), "it is no tabular model"),
        (altered("version", value=6), "format version 6, and this chainrule reads version 5"),
        (altered("target", "aliases", value=[["a", "b", "c"]]), "not pairs"),
        (altered("scores", value=None), "lacks 'scores'"),
        (altered("more", value=1), "unknown 'more'"),
        (altered("columns", 0, "center", value="x"), r"columns\[0\].center: expected a number"),
        (altered("columns", 0, "kind", value="magic"), r"columns\[0\].kind: expected one of"),
        (altered("columns", 0, "name", value="z"), "two have the same name"),
        (altered("columns", 2, "counts", value=[1]), r"columns\[2\].counts"),
        (altered("columns", 4, "features", value=["days"]), r"columns\[4\].features"),
        (altered("target", "classes", value=["a", "b"]), "target.shares|network.sizes"),
        (altered("target", "classes", value=["a", "a", "c"]), "target.classes"),
        (altered("network", "sizes", 0, value=99), "99 inputs do not fit|too small"),
        (altered("network", "sizes", 1, value=10**6), "too small for a network"),
        (altered("network", "sizes", 1, value=15), "has shape"),
        (altered("network", "batch_norm", value=False), "arrays missing or unknown"),
        (altered("options", "epochs", value=0), "options.epochs"),
        (altered("history", 0, "train_loss", value="low"), r"history\[0\].train_loss"),
    ]
    for changed, message in cases:
        io.save(path, arrays, changed)
        with pytest.raises(DataError, match=message) as caught:
            TabularModel.load(path)
        assert str(path) in str(caught.value)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "m"
    trained("class", epochs=1, hidden=(3,)).save(path)
    return path.read_bytes()


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_is_refused_or_sound(whole, tmp_path, data):
    """Any bytes: either a model whose every part was checked, or a DataError, nothing else."""
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        damaged[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    path = tmp_path / "m"
    path.write_bytes(damaged)
    try:
        model = TabularModel.load(path)
    except DataError:
        return
    assert all(np.all(np.isfinite(layer["weights"])) for layer in model.params["layers"])


def test_altered_arrays_are_refused(tmp_path):
    path, arrays, metadata = saved(tmp_path)
    name = "params/layers/0/weights"
    variance = "state/layers/0/batch_norm/variance"
    cases = [
        ({k: v for k, v in arrays.items() if k != name}, f"too small|{name}"),
        (arrays | {"extra": np.zeros(3)}, "extra"),
        (arrays | {name: arrays[name].T.copy()}, "shape"),
        (arrays | {name: arrays[name].astype(np.int64)}, "dtype int64"),
        (arrays | {variance: -arrays[variance]}, "negative variance"),
    ]
    for changed, message in cases:
        io.save(path, changed, metadata)
        with pytest.raises(DataError, match=message):
            TabularModel.load(path)


def test_an_activation_by_another_name_is_refused(tmp_path):
    path, arrays, metadata = saved(tmp_path)
    metadata["network"]["activation"] = "__import__('os')"
    io.save(path, arrays, metadata)
    with pytest.raises(DataError, match="sound model"):
        TabularModel.load(path)
