"""From ``import`` to the end of a first short fit, in fresh processes."""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
from collections.abc import Sequence

from benchmarks.measure import installed
from benchmarks.native_compare import CPU, Rows
from benchmarks.native_settings import OURS, Settings, row, show
from benchmarks.processes import environment_of

EMPTY = "chainrule, empty cache"
TIMED = """
import time
begin = time.perf_counter()
import numpy
from benchmarks.work import Network, Training
network = Network((4, 16, 3), 32, 100)
work = Training(network, "adam", "float32")
{}
print(time.perf_counter() - begin)
"""
PEER = "from benchmarks.peers import {0}; {0}.training(work, '{1}').run()"
FITTED = (
    "from benchmarks.peers import ours; ours.fitted(network, 'adam', *network.data('float32'), 1)"
)
SCRIPTS = {
    OURS: ("llvmlite", FITTED),
    EMPTY: ("llvmlite", FITTED),
    "PyTorch": ("torch", PEER.format("pytorch", "eager")),
    "JAX scan": ("jax", PEER.format("jax_xla", "scan")),
    "scikit-learn": ("scikit-learn", PEER.format("scikit", "")),
    "autograd": ("autograd", PEER.format("hips", "")),
}
"""By contestant: the package it needs, and 100 steps of 4-16-3."""


def cold(settings: Settings, contestants: Sequence[str] = tuple(SCRIPTS)) -> Rows:
    order = random.Random(settings.seed)
    able = [name for name in contestants if installed(SCRIPTS[name][0])]
    times: dict[str, list[float]] = {name: [] for name in able}
    left_out: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as warm:
        for name in able:  # fills the warm cache, and those of modules and of the file system
            try:
                seconds(name, warm)
            except subprocess.CalledProcessError as error:
                left_out[name] = (error.stderr.strip().splitlines() or [str(error)])[-1]
                del times[name]
        for _ in range(settings.rounds):
            for name in order.sample(list(times), len(times)):
                times[name].append(seconds(name, warm))
    found = row("import and 100 steps of 4-16-3", times, left_out)
    show(found)
    return [found]


def seconds(name: str, warm: str) -> float:
    with tempfile.TemporaryDirectory() as empty:
        folder = empty if name == EMPTY else warm
        own = {"CHAINRULE_CACHE": folder, **CPU}
        script = TIMED.format(SCRIPTS[name][1])
        done = subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            check=True,
            env=environment_of(own),
        )
    return float(done.stdout.splitlines()[-1])
