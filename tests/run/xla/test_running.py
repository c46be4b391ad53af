"""Programs, loops and training on XLA as users run them."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("jax")

import chainrule as cr
from chainrule import nn, optim, train
from chainrule.core.tree import leaves
from chainrule.errors import IndexingError, UsageError
from chainrule.run.xla import program
from chainrule.run.xla.backend import Target
from chainrule.run.xla.program import Code
from chainrule.train import fit


def decayed(rate: Any, impulses: Any) -> Any:
    def turn(y: Any, x: Any) -> Any:
        return rate * y + np.sin(x), y * x

    last, ys = cr.scan(turn, 0.0, impulses, reverse=True)
    return last + np.sum(ys)


def test_loops_differentiate_as_eagerly() -> None:
    x = np.linspace(0.1, 2.0, 7)
    run = cr.jit(cr.value_and_grad(decayed, argnums=(0, 1)), executor="xla")
    (value, grads), (wanted, exact) = run(0.5, x), cr.value_and_grad(decayed, (0, 1))(0.5, x)
    np.testing.assert_allclose(value, wanted, rtol=1e-14)
    for found, right in zip(grads, exact, strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-13)
    assert isinstance(grads[1], np.ndarray)
    assert grads[1].flags.writeable

    def halved(a: Any) -> Any:
        return cr.while_loop(lambda s: s[0] > 1.0, lambda s: (s[0] / 2, s[1] + 1), (a, 0))

    assert [float(v) for v in cr.jit(halved, executor="xla")(100.0)] == [100 / 2**7, 7]


def test_what_the_device_cannot_raise_is_raised_of_the_users_line() -> None:
    x = np.arange(5.0)
    with pytest.raises(IndexingError, match=r"test_running.py.*out of bounds for length 5"):
        cr.jit(lambda x, i: x[i], executor="xla")(x, np.array([0, 5]))
    with pytest.raises(np.linalg.LinAlgError, match="Singular"):
        cr.jit(np.linalg.inv, executor="xla")(np.zeros((2, 2)))
    with pytest.raises(np.linalg.LinAlgError, match="positive definite"):
        cr.jit(np.linalg.cholesky, executor="xla")(-np.eye(2))

    def within(carry: Any, i: Any) -> Any:  # in a turn of a loop, and in a call-out
        return carry + cr.array(x)[i], cr.random.uniform(np.array([1, 2], np.uint64), ())

    run = cr.jit(lambda places: cr.scan(within, 0.0, places)[0], executor="xla")
    assert run(np.array([1, 2])) == 3.0
    with pytest.raises(IndexingError, match="out of bounds"):
        run(np.array([1, 7, 2]))


MATRICES = {
    "nan": np.full((2, 2), np.nan), "a nan": np.array([[1, 2], [np.nan, 3]]),
    "inf": np.full((2, 2), np.inf), "an inf": np.array([[1, 2], [np.inf, 3]]),
    "one of two": np.stack([np.eye(2), np.full((2, 2), np.nan)]),
    "large": np.full((2, 2), 1e200), "singular": np.ones((2, 2)),
}  # fmt: skip


@pytest.mark.parametrize("rows", [40, 37])
def test_epochs_after_the_first_compile_nothing(rows: int, monkeypatch: Any) -> None:
    """Each had a program of its own, for as many steps as were left to the last."""
    made, compiled = list[Any](), program.compiled

    def counted(*given: Any) -> Any:
        made.append(given)
        return compiled(*given)

    monkeypatch.setattr(program, "compiled", counted)
    x = np.random.default_rng(0).normal(size=(rows, 2))
    counts = []
    for epochs in (2, 5):
        made.clear()
        fit(nn.MLP((2, 1)), (x, x[:, :1]), loss="squared_error", optimizer=optim.sgd(0.1),
            batch_size=8, epochs=epochs, evaluate_train=False, executor="xla")  # fmt: skip
        counts.append(len(made))
    assert counts == ([1, 1] if rows == 40 else [2, 2])


@pytest.mark.parametrize(
    "function",
    [np.linalg.svdvals, np.linalg.pinv, np.linalg.matrix_rank, np.linalg.slogdet,
     np.linalg.cholesky, np.linalg.inv, np.linalg.eigvalsh],
)  # fmt: skip
def test_matrices_are_refused_as_by_the_interpreter(function: Any) -> None:
    """Also those with NaN: the rank of such a matrix was 0."""

    def found(executor: str, a: Any) -> Any:
        try:
            return cr.jit(lambda a: function(a), executor=executor)(a)
        except np.linalg.LinAlgError as error:
            return str(error)

    for name, a in MATRICES.items():
        if name == "inf" and function is np.linalg.cholesky:
            continue  # infinities less infinities: what comes of them depends on the BLAS
        wanted, got = found("numpy", a), found("xla", a)
        assert isinstance(got, str) == isinstance(wanted, str), (name, wanted, got)
        if isinstance(wanted, str):
            assert got == wanted, name
            continue
        for x, y in zip(leaves(wanted), leaves(got), strict=True):
            np.testing.assert_allclose(y, x, rtol=1e-12, atol=1e-12, err_msg=name)


def test_nothing_times_nan_is_nan() -> None:
    mask = np.array([True, False])
    found = cr.jit(lambda x, m: x * m.astype(x.dtype), executor="xla")(np.full(2, np.nan), mask)
    assert np.isnan(found).all()


def test_what_no_memory_holds_is_refused_before_it_runs() -> None:
    def product(x: Any) -> Any:
        return np.outer(x, x) @ np.outer(x, x)

    with pytest.raises(UsageError, match=r"has not the memory .* takes 137329124 MiB: .*cr.remat"):
        cr.jit(product, executor="xla")(np.ones(3_000_000))
    assert cr.jit(lambda x: np.sum(np.outer(x, x)[:2]), executor="xla")(np.ones(3_000)) == 6_000


def test_memory_that_a_library_of_xlas_takes_is_named() -> None:
    """XLA's report of a program leaves it out: "which takes 31 MiB" was said of 30 TB."""
    code: Any = SimpleNamespace(
        largest=2**60, graph=SimpleNamespace(name="f"), target=Target.of(cr.Executor("xla"))
    )
    run = SimpleNamespace(memory_analysis=lambda: None)
    said = Code._said(code, RuntimeError("INTERNAL: YNNPACK operation failed: error"), run)
    assert "which takes 1099511627776 MiB" in str(said)


class Lent:
    """An array of a library that knows no NumPy but DLPack."""

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.shape, self.dtype = array, array.shape, array.dtype

    def __dlpack__(self, **asked: Any) -> Any:
        return self.array.__dlpack__(**asked)

    def __dlpack_device__(self) -> Any:
        return self.array.__dlpack_device__()


@pytest.mark.parametrize("executor", ["numpy", "xla"])
def test_arrays_of_others_go_in_by_dlpack(executor: str) -> None:
    import jax

    x = np.linspace(0, 1, 6).reshape(2, 3)
    run = cr.jit(lambda d, n: {"y": np.sum(d["x"] ** 2) * n}, executor=executor)
    right = np.sum(x**2) * 2.0
    with jax.enable_x64(True):
        given = jax.numpy.asarray(x)
        turned = jax.dlpack.from_dlpack(x.T.copy().T)  # its axes lie in another order
    for one in (Lent(x), given, turned, Lent(x.T.copy().T), Lent(np.repeat(x, 2, 1)[:, ::2])):
        found = run({"x": one}, 2.0)["y"]
        assert type(found) is np.float64
        np.testing.assert_allclose(found, right, rtol=1e-14)
    assert run({"x": jax.numpy.ones((2, 3), np.float32)}, 2.0)["y"] == 12.0
    with pytest.raises(cr.ChainruleError, match=r"bfloat16|Unsupported dtype"):
        run({"x": jax.numpy.ones((2, 3), "bfloat16")}, 2.0)


def test_results_stay_on_the_device_on_request() -> None:
    import jax

    there = cr.Executor("xla", results="device")
    half = cr.jit(lambda x: (x / 2, np.sum(x)), executor=there)
    y, total = half(np.ones((2, 3)))
    assert isinstance(y, jax.Array)
    assert y.dtype == np.float64
    assert float(total) == 6.0
    again, _ = half(y)
    assert np.array_equal(np.from_dlpack(again), np.full((2, 3), 0.25))
    lent = np.ones(5_000_000)
    found, _ = half(lent)
    lent[:] = 5.0  # its owner may write to it when the call is over
    assert np.asarray(found).max() == 0.5
    with pytest.raises(UsageError, match="being traced"):
        jax.jit(half)(jax.numpy.ones(3))
    with pytest.raises(UsageError, match='results="device" needs executor="xla"'):
        cr.jit(np.sin, executor=cr.Executor("native", results="device"))(1.0)
    with pytest.raises(UsageError, match='results is "numpy" or "device"'):
        cr.Executor("xla", results="jax")


def test_compiled_programs_are_found_by_the_next_process(tmp_path: Any) -> None:
    code = (
        "import numpy as np, chainrule as cr\n"
        "from jax._src.compiler import backend_compile_and_load as made\n"
        "from jax._src import compiler\n"
        "def watched(*a, **k):\n    print('compiled')\n    return made(*a, **k)\n"
        "compiler.backend_compile_and_load = watched\n"
        "f = cr.jit(lambda x: (np.linalg.det(x @ x), x[9:]), executor='xla')\n"
        "print(f(np.arange(4.0).reshape(2, 2) + np.eye(2))[0])\n"
    )
    env = os.environ | {"CHAINRULE_CACHE": str(tmp_path / "cache")}
    ran = [subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
           for _ in range(2)]  # fmt: skip
    assert [one.stdout.split() for one in ran] == [["compiled", "4.0"], ["4.0"]], ran[0].stderr


def test_what_cannot_be_loaded_is_compiled_anew(monkeypatch: Any) -> None:
    from chainrule.run.xla import backend

    monkeypatch.setattr(backend, "kept", lambda about, make: b"of another build")
    assert cr.jit(lambda x: x + 2.0, executor="xla")(0.5) == 2.5


def test_settings_of_jax_stay_the_users() -> None:
    import jax

    before = jax.config.read("jax_enable_x64"), jax.numpy.ones(2).dtype
    assert cr.jit(np.sin, executor="xla")(np.ones(3)).dtype == np.float64
    assert (jax.config.read("jax_enable_x64"), jax.numpy.ones(2).dtype) == before


@pytest.mark.parametrize(
    ("executor", "said"),
    [
        (cr.Executor("xla", device="tpu:3"), "no device 'tpu:3' here; it has: cpu:0"),
        (cr.Executor("numpy", device="gpu"), 'needs executor="xla"'),
        (cr.Executor("native", precision="bf16"), 'needs executor="xla"'),
        ("zla", "there are: numpy, native, xla"),
    ],
)
def test_what_cannot_be_had_is_refused(executor: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        cr.jit(np.sin, executor=executor)(1.0)
    with pytest.raises(UsageError, match=said):
        train.fit(
            nn.MLP((1, 1)), (np.ones((2, 1)), np.ones(2)), loss="squared_error",
            optimizer=optim.sgd(0.1), executor=executor,
        )  # fmt: skip


def test_a_precision_is_one_that_there_is() -> None:
    with pytest.raises(UsageError, match="precision is one of highest, tf32, bf16, not 'half'"):
        cr.Executor("xla", precision="half")
    x = np.random.default_rng(0).normal(size=(8, 300)).astype(np.float32)
    rounded = cr.jit(lambda x: x @ x.T, executor=cr.Executor("xla", precision="bf16"))(x)
    error = np.abs(rounded - x @ x.T).max() / np.abs(x @ x.T).max()
    assert 1e-5 < error < 1e-2  # bfloat16 has 8 bits: a sum that is as wrong as float32's was not
    assert rounded.dtype == np.float32
    for spec in ("ij,kj->ik", "bij,bjk->bik", "ij,ij->", "bi,bi->b", "ij,kj->kij", "bij,bkj->bki"):
        shapes = [[4 if c in "bk" else 5 for c in part] for part in spec.split("->")[0].split(",")]
        a, b = (np.random.default_rng(1).normal(size=shape).astype("f") for shape in shapes)
        product = cr.value_and_grad(lambda a, b, spec=spec: np.sum(np.einsum(spec, a, b)), (0, 1))
        found = cr.jit(product, executor=cr.Executor("xla", precision="bf16"))(a, b)[0]
        np.testing.assert_allclose(found, np.sum(np.einsum(spec, a, b)), rtol=0.05, atol=0.1)


def test_predictions_follow_parameters_that_are_written_to() -> None:
    x = np.linspace(-1, 1, 9)[:, None]
    result = fit(nn.MLP((1, 2, 1)), (x, x[:, 0]), loss="squared_error", optimizer="adam", epochs=1,
                 executor="xla")  # fmt: skip
    assert result.predict(x).any()
    assert all(type(a) is np.ndarray for a in (*result.moment.now, *result.moment.safe))
    for leaf in leaves(result.params):
        leaf[...] = 0
    assert not result.predict(x).any()


def test_compiled_functions_pickle() -> None:
    run = pickle.loads(pickle.dumps(cr.jit(np.cos, executor=cr.Executor("xla", device="cpu"))))
    assert run(0.0) == 1.0


@pytest.mark.parametrize("asked", ["cuda", "odd"])
def test_platforms_that_are_not_here_are_named(asked: str) -> None:
    code = "import numpy as np, chainrule as cr; cr.jit(np.sin, executor='xla')(1.0)"
    done = subprocess.run([sys.executable, "-c", code], env=os.environ | {"JAX_PLATFORMS": asked},
                          capture_output=True, text=True)  # fmt: skip
    assert f"UsageError: JAX finds no device with JAX_PLATFORMS={asked}: " in done.stderr


def test_where_jax_leaves_the_cpu_out_its_own_device_is_taken(monkeypatch: Any) -> None:
    """As with JAX_PLATFORMS=cuda on a machine that has one."""
    from chainrule.run.xla import backend

    def devices(kind: str | None = None) -> Any:
        if kind is not None:
            raise RuntimeError(f"Unknown backend {kind}")
        return [SimpleNamespace(platform="gpu", id=0, device_kind="a card")]

    monkeypatch.setattr(backend.jax, "devices", devices)
    assert backend.devices_named(None)[None].platform == "gpu"
    with pytest.raises(UsageError, match=r"no device 'tpu' here; it has: gpu:0 \(a card\)"):
        backend.devices_named("tpu")


FORKED = """
import os, warnings
import numpy as np, chainrule as cr
warnings.simplefilter("ignore")
run = cr.jit(np.sin, executor="xla")
run(1.0)
for f in (run, cr.jit(np.cos, executor="xla"), cr.jit(np.cos)):
    if (child := os.fork()) == 0:
        try:
            print(f(0.0), flush=True)
        except cr.ChainruleError as error:
            print(error, flush=True)
        os._exit(0)
    os.waitpid(child, 0)
print(run(0.0))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_process_is_told_that_jax_is_not_in_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKED], capture_output=True, text=True, timeout=60
    )
    compiled, anew, native, here = done.stdout.splitlines()
    for said in (compiled, anew):
        assert "forked from one in which JAX had run" in said
    assert (native, here) == ("1.0", "0.0")


def test_without_jax_the_error_names_the_extra() -> None:
    code = (
        "import sys; sys.modules['jax'] = None\n"
        "import numpy as np, chainrule as cr\n"
        "print(cr.jit(np.sin)(0.0))\n"
        "try: cr.jit(np.sin, executor='xla')(0.0)\n"
        "except cr.ChainruleError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("0.0\n")
    assert "pip install 'chainrule[xla]'" in done.stdout


# training ---------------------------------------------------------------------------------


def fits(dtype: Any, dropout: float) -> tuple[Any, Any]:
    """The same training on NumPy and on XLA: 100 steps, with a rest of rows in each epoch."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(328, 6)).astype(dtype)
    y = (x[:, 0] * x[:, 1] > 0).astype(int)
    given: dict[str, Any] = {
        "loss": nn.CategoricalCrossEntropy(), "optimizer": optim.adam(0.01), "epochs": 10,
        "batch_size": 32, "seed": 1, "validation": (x[:50], y[:50]), "early_stopping": 20,
    }  # fmt: skip
    model = nn.MLP((6, 8, 2), dropout=dropout)
    one, other = (fit(model, (x, y), executor=name, **given) for name in ("numpy", "xla"))
    return one, other


@pytest.mark.parametrize(
    ("dtype", "dropout", "within"), [("float32", 0.1, 1e-5), ("float64", 0.0, 1e-10)]
)
def test_fits_agree(dtype: str, dropout: float, within: float) -> None:
    one, other = fits(dtype, dropout)
    for a, b in zip(leaves(one.params), leaves(other.params), strict=True):
        assert type(b) is np.ndarray
        assert b.dtype == np.dtype(dtype)
        assert np.abs(a - b).max() <= within * np.abs(a).max()
    assert one.best_epoch == other.best_epoch
    losses = [[row["validation_loss"] for row in result.history] for result in (one, other)]
    np.testing.assert_allclose(losses[1], losses[0], rtol=within)
    x = np.ones((300, 6), dtype)
    np.testing.assert_allclose(other.predict(x), one.predict(x), rtol=100 * within)


def test_callbacks_and_divergence_get_arrays_of_numpy() -> None:
    seen: list[Any] = []
    x = np.linspace(-1, 1, 64)[:, None]
    settings: dict[str, Any] = {"loss": "squared_error", "batch_size": 16, "executor": "xla"}
    fit(nn.MLP((1, 1)), (x, x[:, 0]), optimizer=optim.sgd(0.1), epochs=2,
        callbacks=[lambda e: seen.append(leaves(e.params))], **settings)  # fmt: skip
    assert len(seen) == 2
    assert all(type(a) is np.ndarray for row in seen for a in row)
    with pytest.raises(train.DivergedError) as caught:
        fit(nn.MLP((1, 1)), (x * 1e30, x[:, 0]), optimizer=optim.sgd(1e30), epochs=5, **settings)
    assert all(type(a) is np.ndarray for a in leaves(caught.value.result.params))


def test_auto_takes_what_is_fastest_and_says_so(tmp_path: Any, capsys: Any) -> None:
    from chainrule.cli.main import main
    from tests.helpers.places import ROOT

    data, out = str(ROOT / "examples" / "penguins.csv"), str(tmp_path / "m.safetensors")
    settings = ["--preset", "sklearn", "--epochs", "3", "--out", out]
    assert main(["train", data, "--target", "species", "--executor", "auto", *settings]) == 0
    said = capsys.readouterr()
    assert "note: executor native: " in said.err + said.out  # a network this small is no GPU's
    assert "a step (xla on cpu:0 " in said.err + said.out
    auto = ["train", data, "--target", "species", "--executor", "auto"]
    assert main([*auto, *settings, "--json"]) == 0
    said = capsys.readouterr()
    document = json.loads(said.out)["executor"]
    assert said.err == ""
    assert (document["name"], document["device"]) == ("native", None)
    assert document["seconds_per_step"]["native"] < document["seconds_per_step"]["xla"]
    assert main(["train", data, "--target", "species", "--executor", "xla", *settings]) == 0
    said = capsys.readouterr()
    assert "accuracy" in said.out
    assert "note: executor xla on cpu:0" in said.err + said.out
    xla = ["train", data, "--target", "species", "--executor", "xla"]
    assert main([*xla, *settings, "--quiet"]) == 0
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "note: executor xla on cpu:0\n")
    assert main([*auto, "--device", "tpu", *settings]) == 2
    assert "JAX has no device 'tpu' here" in capsys.readouterr().err
    assert main(["train", data, "--target", "species", "--device", "gpu", *settings]) == 2
    assert "--device goes with --executor xla" in capsys.readouterr().err


def test_a_device_takes_its_steps_in_pieces(monkeypatch: Any) -> None:
    """As elsewhere than on the CPU: pieces of 1 and 8 steps, the last one by itself."""
    from chainrule.run.xla import program

    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 3))
    given: dict[str, Any] = {"loss": "squared_error", "optimizer": optim.adam(0.01), "epochs": 2,
                             "batch_size": 4, "executor": "xla"}  # fmt: skip
    counted = fit(nn.MLP((3, 4, 1), dropout=0.1), (x, x[:, 0]), **given)
    monkeypatch.setattr(program.Target, "counts", False)
    pieces = fit(nn.MLP((3, 4, 1), dropout=0.1), (x, x[:, 0]), **given)
    for part in ("now", "safe"):
        for a, b in zip(*(getattr(r.moment, part) for r in (counted, pieces)), strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-12, atol=1e-15)
    losses = [[row["running_loss"] for row in r.history] for r in (counted, pieces)]
    np.testing.assert_allclose(*losses, rtol=1e-12)


def test_rows_that_are_evaluated_after_each_epoch_go_to_a_device_once(monkeypatch: Any) -> None:
    from chainrule.run.xla import program

    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 3))
    given: dict[str, Any] = {
        "loss": "squared_error", "optimizer": "adam", "epochs": 3, "batch_size": 100,
        "validation": (x, x[:, 0]), "executor": "xla",
    }  # fmt: skip
    counted = fit(nn.MLP((3, 4, 1)), (x, x[:, 0]), **given)
    sent, put = [], program.Target.put
    monkeypatch.setattr(program.Target, "counts", False)
    monkeypatch.setattr(program.Target, "put", lambda self, a: sent.append(a) or put(self, a))
    tiles = fit(nn.MLP((3, 4, 1)), (x, x[:, 0]), **given)
    # Two tiles of 256 rows, in pieces of one: of the validation rows and of those of training.
    assert sum(np.shape(a) == (1, 256, 3) for a in sent) == 2 * 2
    for a, b in zip(counted.history, tiles.history, strict=True):
        assert a["validation_loss"] == pytest.approx(b["validation_loss"], rel=1e-12)
    monkeypatch.setattr(program, "SHARE", 2**50)  # as on a device with little memory
    sent.clear()
    fit(nn.MLP((3, 4, 1)), (x, x[:, 0]), **given)
    assert not any(np.shape(a) == (1, 256, 3) for a in sent)


def test_kept_code_is_for_all_arguments_also_those_not_used() -> None:
    from chainrule.run.xla import backend

    device = backend.jax.devices("cpu")[0]
    for kind in (np.int32, np.uint32):
        given = np.arange(3, dtype=np.float32), kind(1)
        run = backend.compiled(backend.jax.jit(lambda x, _: x * 1.2345).lower(*given), device)
        np.testing.assert_allclose(run(*given), given[0] * 1.2345)


def test_a_loop_looks_at_all_entries_before_its_first_step() -> None:
    """In pieces, the last of them with room that holds entries of a call before."""
    from chainrule import run

    rows, data = np.array([0, 2, 1, -3, 2, 2, 0, 1, 1, 2]), np.arange(3.0)

    def step(total: Any, row: Any, x: Any) -> Any:
        return total, total + x[row]

    loop = run.repeat(step, 0.0, rows[0], data, executor="xla")
    loop.most = 4
    wanted = np.concatenate([[0.0], np.cumsum(data[rows])])
    for count in (10, 7, 4, 3, 1):
        (seen,), before, (after,) = loop.ends([np.float64(0)], [rows[:count]], [data])
        np.testing.assert_array_equal(seen, wanted[:count])
        assert ([float(x) for x in before], float(after)) == ([wanted[count - 1]], wanted[count])
        for at in (0, count - 1):  # the host sees it; the numbers of other calls are not in its way
            bad = rows[:count].copy()
            bad[at] = -4 if at else 3
            with pytest.raises(IndexingError, match=r"test_running.py.*out of bounds for length 3"):
                loop.ends([np.float64(0)], [bad], [data])


@pytest.mark.parametrize("counts", [True, False])
def test_a_carry_that_nobody_keeps_gives_its_memory(counts: bool, monkeypatch: Any) -> None:
    """One that is kept stays what it was: of the caller's, and the one before the last step."""
    from chainrule import run

    monkeypatch.setattr(program.Target, "counts", counts)
    start, steps = [np.ones(1000), np.float64(0)], np.arange(20.0)
    loop = run.repeat(lambda c, x, _: (x, (c[0] + x, c[1] + 1)), tuple(start), steps[0], (),
                      executor="xla")  # fmt: skip
    wanted = [1.0 + np.sum(steps), 20]

    def most(arrays: Any) -> list[float]:
        return [float(np.max(np.asarray(x))) for x in arrays]

    _, first = loop(start, [steps])
    kept = [np.array(x) for x in first]
    for spent in (False, False, True):
        _, before, after = loop.ends(first, [steps], spent=spent)
        assert most(after) == [wanted[0] + 190, 40]
        assert most(before) == [wanted[0] + 190 - 19, 39]
        if not spent:
            assert all(np.array_equal(x, y) for x, y in zip(first, kept, strict=True))
    assert most(kept) == wanted
    assert all(x.is_deleted() for x in first)
    for made in loop.made.values():
        plan = made.memory_analysis()
        assert plan.alias_size_in_bytes >= 8008
        assert program.bytes_of(made) < plan.argument_size_in_bytes + plan.output_size_in_bytes
    assert start[0][0] == 1.0


def test_many_networks_hand_their_carry_on(monkeypatch: Any) -> None:
    told, ends = list[bool](), program.Loop.ends

    def spied(self: Any, *given: Any) -> Any:
        told.append(given[-1])
        return ends(self, *given)

    monkeypatch.setattr(program.Loop, "ends", spied)
    x = np.random.default_rng(0).normal(size=(40, 2))
    given: dict[str, Any] = {
        "loss": "squared_error", "optimizer": "adam", "epochs": 4, "batch_size": 8,
        "validation": (x, x[:, :1]), "executor": "xla",
    }  # fmt: skip
    train.fit_many(nn.MLP((2, 1)), (x, x[:, :1]), seeds=range(3), **given)
    assert told[0] is False
    assert told.count(True) == len(told) - 1 >= 3
