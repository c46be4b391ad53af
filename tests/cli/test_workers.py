"""One table, one model file: by one process, by MPI's, by Dask's; and whatever is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from chainrule.cli.main import main

PENGUINS = Path(__file__).parents[2] / "examples" / "penguins.csv"
MPI = ("mpiexec", "--allow-run-as-root", "--oversubscribe", "-n", "2")
HERE = (sys.executable, "-m", "chainrule")
linux = pytest.mark.skipif(sys.platform != "linux", reason="Open MPI is tried on Linux")


def command(folder: Path, *more: str) -> list[str]:
    options = ("--epochs", "30", "--early-stopping", "0", "--hidden", "4")
    return ["train", str(PENGUINS), "--target", "species", *options, *more, "--out",
            str(folder / f"{len([*folder.iterdir()])}.safetensors")]  # fmt: skip


many = pytest.mark.skipif("CHAINRULE_KILLS" not in os.environ, reason="CHAINRULE_KILLS is not set")


def run(*arguments: Any) -> Any:
    return subprocess.run([*map(str, arguments)], capture_output=True, text=True, timeout=300)


@linux
def test_the_model_file_is_the_same_whoever_trains_it(tmp_path: Path) -> None:
    assert main(command(tmp_path, "--shards", "8", "--quiet")) == 0
    done = run(*MPI, *HERE, *command(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("saved") == 1  # the first of them alone prints
    assert run(*HERE, *command(tmp_path, "--workers", "2")).returncode == 0
    files = [path.read_bytes() for path in tmp_path.iterdir()]
    assert len(files) == 3
    assert len({*files}) == 1


@linux
@many
def test_a_killed_rank_costs_only_the_steps_since_the_last_checkpoint(tmp_path: Path) -> None:
    assert main(command(tmp_path, "--shards", "8", "--quiet")) == 0
    kept = tmp_path / "kept"
    ours = command(tmp_path, "--checkpoint", str(kept), "--every", "20", "--resume", "--quiet")
    with subprocess.Popen([*MPI, *HERE, *ours], stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None and len([*kept.glob("*")]) < 2:
            time.sleep(0.02)
        found = run("pgrep", "-f", f"^{HERE[0]} -m chainrule .*{kept}").stdout.split()
        os.kill(int(found[-1]), signal.SIGKILL)
        _, err = process.communicate(timeout=100)
    assert process.returncode != 0
    assert "Traceback" not in err
    assert run(*MPI, *HERE, *ours).returncode == 0
    models = [path.read_bytes() for path in tmp_path.glob("*.safetensors")]
    assert len(models) == 2
    assert models[0] == models[1]


@linux
@many
@pytest.mark.parametrize("killed", [[1], [2, 1]])
def test_the_others_take_the_part_of_killed_ranks(tmp_path: Path, killed: list[int]) -> None:
    """With Open MPI's ULFM, which its wheel has."""
    more = ("--epochs", "300")
    assert main(command(tmp_path, "--shards", "8", "--quiet", *more)) == 0
    kept = tmp_path / "kept"
    ours = command(tmp_path, "--checkpoint", str(kept), "--every", "20", *more)
    mpi = (*MPI[:-1], "3", "--with-ft", "ulfm")
    with subprocess.Popen(
        [*mpi, *HERE, *ours], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as process:
        while process.poll() is None and len([*kept.glob("check*")]) < 2:
            time.sleep(0.02)
        found = run("pgrep", "-f", f"^{HERE[0]} -m chainrule .*{kept}").stdout.split()
        environments = {pid: Path(f"/proc/{pid}/environ").read_bytes() for pid in found}
        for rank in killed:
            name = f"OMPI_COMM_WORLD_RANK={rank}\0".encode()
            os.kill(int(next(p for p in found if name in environments[p])), signal.SIGKILL)
            time.sleep(0.3)
        _, err = process.communicate(timeout=200)
    assert err.count("processes of MPI are gone; the others do their part") >= 1, err
    models = [path.read_bytes() for path in tmp_path.glob("*.safetensors")]
    assert len(models) == 2
    assert models[0] == models[1]


@linux
@many
def test_a_rank_that_hangs_is_noticed_after_the_stated_time(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    ours = command(tmp_path, "--checkpoint", str(kept), "--every", "20", "--epochs", "9000")
    patient = os.environ | {"CHAINRULE_MPI_PATIENCE": "8"}
    with subprocess.Popen(
        [*MPI, *HERE, *ours, "--quiet"], stderr=subprocess.PIPE, text=True, env=patient
    ) as process:
        while process.poll() is None and len([*kept.glob("check*")]) < 2:
            time.sleep(0.02)
        ranks = run("pgrep", "-f", f"^{HERE[0]} -m chainrule .*{kept}").stdout.split()
        os.kill(int(ranks[-1]), signal.SIGSTOP)
        started = time.monotonic()
        _, err = process.communicate(timeout=100)
    assert process.returncode != 0
    assert 7 < time.monotonic() - started < 40
    assert err.count("chainrule: ") == 1
    assert "one of the 2 processes of MPI has not answered for 8 s" in err
    assert not run("pgrep", "-f", f"^{HERE[0]} -m chainrule .*{kept}").stdout


@linux
@many
def test_too_little_memory_in_a_rank_ends_all_with_one_message(tmp_path: Path) -> None:
    program = (
        "import os, sys; from chainrule.cli.main import main; from chainrule.train import mpi\n"
        "from tests.helpers.workers import limit_memory; import numpy as np\n"
        "total = mpi.Mpi.total\n"
        "def hungry(self, *given):\n"
        "    if self.rank == 1:\n"
        "        limit_memory(50); np.empty(2**30, np.uint8)\n"
        "    return total(self, *given)\n"
        "mpi.Mpi.total = hungry\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    done = run(*MPI, sys.executable, "-c", program, *command(tmp_path))
    assert done.returncode != 0
    assert done.stderr.count("chainrule: out of memory") == 1, done.stderr
    assert "Traceback" not in done.stderr


@linux
@many
def test_an_error_that_all_meet_is_said_once(tmp_path: Path) -> None:
    for more in (["--target", "nope"], ["--shards", "1"]):
        done = run(*MPI, *HERE, *command(tmp_path, *more))
        assert done.returncode == 2
        assert done.stderr.count("chainrule: ") == 1, done.stderr
