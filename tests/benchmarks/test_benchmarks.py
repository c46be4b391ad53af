"""The benchmarks run, at sizes of no interest; nothing here looks at a time."""

from __future__ import annotations

import importlib
import importlib.util
import json
import math
import random
import sys
from argparse import Namespace
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import many, native, native_cold, native_compare, native_costs, products, table
from benchmarks.native_settings import OURS, Settings, row
from benchmarks.processes import Contestant, Worker, WorkerError, compete, workers
from benchmarks.work import (
    Function,
    Gradient,
    Multiply,
    Network,
    Prediction,
    Training,
    Unrolled,
    Work,
)
from tests.helpers.places import ROOT

CLASSES, NUMBERS = Network((5, 4, 3), 8, 6), Network((5, 4, 1), 8, 6)
FUNCTION = Function("Rosenbrock in 10", "rosenbrock", 10)
TINY = Settings(2, 1e-4, (NUMBERS,), (CLASSES,), (NUMBERS,), (FUNCTION,), (300,), (20,))
OF_OURS = native_compare.LIBRARIES[0]
OF_PRODUCTS = native_compare.PRODUCTS[1]

WORK: list[Work] = [
    Training(network, optimizer, "float64")
    for network in (CLASSES, NUMBERS)
    for optimizer in ("adam", "sgd")
]
WORK += [Prediction(network, 300) for network in (CLASSES, NUMBERS)]
WORK += [Gradient(FUNCTION), Gradient(Function("J", "lecture"))]
PEERS = [
    pytest.param("scikit", "", id="scikit"),
    pytest.param("hips", "", id="hips", marks=pytest.mark.peers),
    pytest.param("pytorch", "eager", id="eager", marks=pytest.mark.peers),
    pytest.param("pytorch", "whole", id="whole", marks=pytest.mark.peers),
    pytest.param("jax_xla", "steps", id="steps", marks=pytest.mark.peers),
    pytest.param("jax_xla", "scan", id="scan", marks=pytest.mark.peers),
]

machine_code = pytest.mark.skipif(
    importlib.util.find_spec("llvmlite") is None, reason="measures machine code"
)


@pytest.fixture(scope="module")
def modules() -> dict[str, Any]:
    """Imported before a test looks at NumPy's random state, from which JAX's import draws."""
    found = {}
    for name in ("ours", "scikit", "hips", "pytorch", "jax_xla"):
        with suppress(ModuleNotFoundError):
            found[name] = importlib.import_module(f"benchmarks.peers.{name}")
    return found


@machine_code
@pytest.mark.parametrize(("module", "variant"), PEERS)
def test_libraries_compute_what_we_compute(
    module: str, variant: str, modules: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    if module not in modules:
        pytest.skip(f"what {module} needs is not installed")
    peer, ours = modules[module], modules["ours"]
    if module == "pytorch":  # compiling takes long, and changes no number
        monkeypatch.setattr(peer, "_compiled", lambda f, variant: f)
    compared = 0
    for work in WORK:
        make = getattr(peer, work.kind, None)
        theirs = make(work, variant) if make else None
        if theirs is None:
            continue
        theirs.run()
        if theirs.outcome:
            wanted = getattr(ours, work.kind)(work, "").outcome()
            assert theirs.outcome() == pytest.approx(wanted, rel=work.tolerance), work.title
            compared += 1
    assert compared >= 2


@machine_code
def test_graphs_through_xla_beside_jax_by_hand(
    modules: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each kind of row of ``benchmarks.gpu``, smaller."""
    if "jax_xla" not in modules:
        pytest.skip("JAX is not installed")
    gpu = importlib.import_module("benchmarks.gpu")
    monkeypatch.setattr(gpu, "ROUNDS", 1)
    assert len(gpu.table(gpu=True)) == len(gpu.table(gpu=False)) + 6  # the large one, and compiled
    rows = [
        gpu.measured("step", CLASSES.steps, gpu.training(CLASSES)),
        gpu.measured("at once", CLASSES.steps, gpu.many(CLASSES, 2)),
        gpu.measured("prediction", 1, gpu.prediction(Prediction(NUMBERS, 300))),
        gpu.measured("gradient", 1, gpu.gradient(Gradient(FUNCTION))),
    ]
    assert [len(row["seconds"]["chainrule"]) for row in rows] == [1] * 4
    assert all("JAX by hand" in row["seconds"] for row in rows)
    assert "left out" not in capsys.readouterr().out
    monkeypatch.setattr(modules["jax_xla"], "gradient", lambda *_: 1 / 0)
    assert "JAX by hand" not in gpu.gradient(Gradient(FUNCTION))
    assert "JAX by hand is left out: ZeroDivisionError" in capsys.readouterr().out


@machine_code
def test_themes_with_real_workers(capsys: pytest.CaptureFixture[str]) -> None:
    both = (OF_OURS, OF_PRODUCTS)
    found = native_compare.training(TINY, both)
    assert [r["work"]["optimizer"] for r in found] == ["adam", "adam", "sgd", "sgd"]
    found += native_compare.predict(TINY, both)
    assert {len(times) for r in found for times in r["seconds"].values()} == {2}
    assert all(list(r["ratios"]) == ["products, all threads"] for r in found)
    assert "of our time" in capsys.readouterr().out
    (called,) = native_compare.calls(TINY, (OF_OURS,))
    assert called["ratios"] == called["left_out"] == {}


@machine_code
def test_costs_with_real_workers() -> None:
    summed = Function("log-sum-exp", "logsumexp", 300_000)
    sines = Unrolled("chain", "sines", (5, 10))
    small = Settings(1, 0.0, (), (), (NUMBERS,), (summed,), operations=(20,), unrolled=(sines,))
    (found,) = native_costs.gradient(small)
    arguments, gradient = (found["memory"]["gradient"][k] for k in ("arguments", "peak"))
    assert arguments == 2_400_000
    assert gradient >= 0.9 * arguments  # the gradient itself; pages may be some off
    assert found["memory_ratio"] > 1
    (fit,) = native_costs.memory(small)
    assert fit["stated"]["parameters"] == 4 * (5 * 4 + 4 + 4 + 1)
    assert fit["stated"]["optimizer"] == 2 * fit["stated"]["parameters"]
    compiled, shorter, longer = native_costs.compilation(small)
    assert compiled["nodes"] >= 20
    assert longer["nodes"] > shorter["nodes"] >= 15  # sin, cos and a product each
    assert min(longer["microseconds"].values()) > 0


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere peaks cannot be forgotten")
@machine_code
def test_a_peak_is_of_this_work_alone() -> None:
    from benchmarks.memory import peak_of

    def work(millions: int) -> None:
        np.ones(millions * 1_000_000, np.uint8)  # freed again at once

    work(80)
    assert peak_of(lambda: work(20)) == pytest.approx(20e6, rel=0.1)


@machine_code
def test_cold_starts() -> None:
    (found,) = native_cold.cold(Settings(rounds=1), (OURS, native_cold.EMPTY))
    assert list(found["ratios"]) == [native_cold.EMPTY]


# Workers -----------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_worker_is_stopped_unless_asked() -> None:
    def state(worker: Worker) -> str:
        assert worker.process is not None
        return Path(f"/proc/{worker.process.pid}/stat").read_text().rpartition(")")[2].split()[0]

    with workers([OF_PRODUCTS]) as found:
        (worker,) = found.values()
        for request in (("prepare", WORK[0]), ("run", 0.0)):
            worker.ask(*request)
            assert state(worker) == "T"
        pid = worker.process.pid  # type: ignore[union-attr]
    assert not Path(f"/proc/{pid}").exists()


def test_what_a_worker_cannot_do_is_said() -> None:
    worker = Worker(Contestant("none", "peers.no_such_module"))
    with pytest.raises(WorkerError, match="ModuleNotFoundError: No module named"):
        worker.ask("prepare", WORK[0])
    worker.end()
    worker = Worker(OF_PRODUCTS, limit=0.0)
    with pytest.raises(WorkerError, match="no answer within 0 s"):
        worker.ask("prepare", WORK[0])
    worker.limit = 60.0
    assert worker.ask("prepare", WORK[0]) == (True, None)  # started again
    worker.end()
    with workers([Contestant("absent", "peers.ours", package="no-such-package")]) as nobody:
        assert nobody == {}


class Fake:
    """A worker that answers from a list."""

    def __init__(self, outcome: float | None, times: list[float]) -> None:
        self.outcome, self.times = outcome, iter(times)

    def ask(self, name: str, *arguments: Any) -> Any:
        if name == "prepare":
            return True, self.outcome
        time = next(self.times, None)
        if time is None:
            raise WorkerError("tired")
        return time


def test_ratios_are_within_rounds() -> None:
    fakes: Any = {
        OURS: Fake(1.0, [1.0, 2.0, 10.0]),
        "slow": Fake(1.0 + 1e-9, [2.0, 6.0, 40.0]),
        "tired": Fake(None, [1.0]),
    }
    found = compete(fakes, WORK[0], 3, 0.1, random.Random(0))
    assert found.left_out == {"tired": "tired"}
    ratios = row("work", found.seconds, found.left_out)["ratios"]
    assert ratios == {"slow": {"median": 3.0, "low": 2.5, "high": 3.5}}
    differ: Any = {OURS: Fake(1.0, [1.0]), "nan": Fake(math.nan, []), "far": Fake(1.001, [])}
    left_out = compete(differ, WORK[0], 1, 0.1, random.Random(0)).left_out
    assert left_out.keys() == {"nan", "far"}
    assert "computes something else: 1.001, not 1.0" in left_out.values()
    with pytest.raises(SystemExit, match="without chainrule: no compiler"):
        row("work", {}, {OURS: "no compiler"})


def test_many_networks_train_alike_in_every_way(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """``main`` compares their losses; JAX stays out: its import draws from the global generator."""
    monkeypatch.setattr(many, "installed", lambda _: False)
    found: dict[str, Any] = {}
    monkeypatch.setattr(many, "NETWORKS", (Network((4, 16, 3), 8, 4),))
    monkeypatch.setattr(many, "save", lambda _, results: found.update(results))
    small = ["--networks", "2", "--epochs", "3", "--rounds", "1"]
    many.main(small)
    assert {many.TOGETHER, many.ALONE} <= found["4-16-3"]["seconds"].keys()
    assert capsys.readouterr().out.count("4-16-3") == 2  # as it is measured, and in the table
    right = many.mean_loss
    each = iter(range(9))
    monkeypatch.setattr(many, "mean_loss", lambda *given: right(*given) + 0.1 * next(each))
    with pytest.raises(AssertionError):
        many.main(small)


# Files -------------------------------------------------------------------------------------


def test_a_theme_measured_again_replaces_only_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "native.json"
    for theme, seconds in (("cold", 1.5), ("calls", 2.0), ("cold", 3.0)):
        monkeypatch.setitem(native.THEMES, theme, lambda _, s=seconds: [{"seconds": [s, s]}])
        native.main(["--only", theme, "--json", str(path)])
    written = json.loads(path.read_text())
    assert written["results"] == {"cold": [{"seconds": [3, 3]}], "calls": [{"seconds": [2, 2]}]}
    assert '"seconds": [3.0, 3.0]' in path.read_text()  # a list of numbers is one line
    path.write_text(json.dumps(written | {"machine": {"cores": 1000}}))
    with pytest.raises(SystemExit, match="another machine"):
        native.main(["--only", "cold", "--json", str(path)])
    with pytest.raises(SystemExit):
        native.main(["--networks", "4-16-3"])


def test_the_readme_has_the_table_of_the_results() -> None:
    results = json.loads((ROOT / "benchmarks" / "results" / "native.json").read_text("utf-8"))
    readme = (ROOT / "README.md").read_text("utf-8")
    shown = readme.partition(table.BEGIN)[2].partition(table.END)[0].strip("\n")
    assert shown == table.render(results), "python -m benchmarks.table writes it anew"
    assert table.placed(readme, shown) == readme
    assert shown.count("\n| ") >= 12
    with pytest.raises(SystemExit, match="speed:begin"):
        table.placed("no comments", shown)


def test_a_cell_is_the_fastest_of_its_contestants() -> None:
    ratios = {"a": {"median": 12.34}, "b": {"median": 3.456}, "c": {"median": 0.04}}
    assert table.cell(ratios, ("a", "b")) == "3.5"
    assert table.cell(ratios, ("a",)) == "12"
    assert table.cell(ratios, ("c",)) == "0.04"
    assert table.cell(ratios, ("d",)) == "–"


@machine_code
def test_stand_ins_are_compared_with_the_limit_of_their_vectors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(products, "TRAINING", ((16, 64, 32),))
    monkeypatch.setattr(products, "STAND_INS", {"as it is": 0, "16 KB, 128 KB": 0})
    monkeypatch.setattr(products, "PATIENCE", 0)
    options = Namespace(dtypes=["float32"], layouts=["A @ B"], rounds=1, seconds=1e-4)
    (found,) = products.stand_ins(options, random.Random(0))
    assert list(found["shares"]) == list(products.STAND_INS)
    assert all(list(x) == ["usual", "tuned"] for x in found["shares"].values())


def test_kept_tables_of_products_name_their_processor(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    products.kept(tmp_path)
    assert "no table is kept" in capsys.readouterr().out
    cell = {"size": [256, 256, 256], "dtype": "float32", "threads": 1,
            "shares": {"chainrule": 0.8, "MKL": 0.84}}  # fmt: skip
    about = {"machine": {"processor": "A Processor"}, "load": [1.5], "results": [cell]}
    (tmp_path / "products-some.json").write_text(json.dumps(about))
    products.kept(tmp_path)
    said = capsys.readouterr().out
    assert "A Processor (products-some.json, load [1.5])" in said
    assert "of the limit, large sizes, median: 0.800" in said
    assert "of the fastest, least: 0.952" in said


@pytest.mark.parametrize("layout", products.LAYOUTS)
def test_products_of_all_layouts_are_the_same_product(layout: str) -> None:
    chosen = [one for one in products.contestants(1) if one.name in ("chainrule", "OpenBLAS")]
    chosen.append(products.contestants(1)[-1])
    with workers(chosen) as everybody:
        work = Multiply(20, 40, 30, layout)
        found = products.measured(everybody, work, 1, 1e-4, random.Random(0))
    assert not found["left_out"]
    assert set(found["shares"]) == {"chainrule", "OpenBLAS"}
    assert products.summary([found])["of the fastest, least"] <= 1
