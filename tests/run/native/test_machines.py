"""Code for other machines: made and looked at for systems that are not at hand, run where this
processor can stand in for a lesser one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import warnings
from typing import Any

import pytest

pytest.importorskip("llvmlite")

import llvmlite.binding as llvm

from chainrule import run
from chainrule.run.native.runtime import externals, machine

AS_ANOTHER = """
import sys
import llvmlite.binding as llvm
triple, cpu, features = sys.argv[1:4]
class Features(dict):
    def flatten(self): return features
if triple:
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    llvm.get_default_triple = lambda: triple
llvm.get_host_cpu_name = lambda: cpu
llvm.get_host_cpu_features = lambda: Features(
    {name[1:]: name[0] == "+" for name in features.split(",")})

import numpy as np
import chainrule as cr
from chainrule import nn, optim, run, train
from chainrule.run.native.runtime import machine
from chainrule.run.native import plan, program
plan.WORTH_A_THREAD = 1000

def functions():
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(40, 70)), rng.normal(size=(70, 50))
    for dtype in (np.float32, np.float64):
        yield lambda x, w: np.tanh(x @ w).sum(), x.astype(dtype), w.astype(dtype)
        yield lambda x, w: (np.sin(x) @ w.T.T + np.exp(w[0])).T, x.astype(dtype), w.astype(dtype)
        yield lambda x, w: np.cumsum(np.sort(x, axis=1) / np.hypot(x, x), axis=0), x, w

def fitted(executor):
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(200, 30)), rng.integers(0, 3, 200)
    model = nn.MLP((30, 40, 20, 3), dropout=0.2, batch_norm=True)
    return train.fit(model, (x, t), loss=nn.CategoricalCrossEntropy(), optimizer=optim.adam(1e-2),
                     epochs=2, batch_size=40, executor=executor, threads=2)
"""
ASSEMBLE = (
    AS_ANOTHER
    + """
class Assembled(Exception):
    pass
def link(*_):
    raise Assembled
program.machine.Library = link
def show(text):
    print(machine._target().emit_assembly(machine.optimised(text)))
    return machine.assemble(text)
machine.object_code = show
def attempt(f, *args):
    try:
        f(*args)
    except Assembled:
        pass
for f, *args in functions():
    attempt(cr.jit(cr.value_and_grad(lambda x, w, f=f: np.sum(f(x, w))), executor="native"), *args)
attempt(fitted, "native")
"""
)
RUN = (
    AS_ANOTHER
    + """
for f, *args in functions():
    found, wanted = (cr.jit(f, executor=e)(*args) for e in ("native", "numpy"))
    # Sums in another order: some hundred roundings, of 6e-8 or 1e-16.
    tolerance = 1e-5 if wanted.dtype == np.float32 else 1e-12
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance * np.abs(wanted).max())
found, wanted = (fitted(e).history for e in ("native", "numpy"))
for a, b in zip(found, wanted):
    np.testing.assert_allclose(a["train_loss"], b["train_loss"], rtol=1e-6)
print(machine.vector_bytes(), machine.has_fma())
"""
)
BASE = "+sse2,+sse3,+ssse3,+sse4.1,+sse4.2,+popcnt"
HASWELL = BASE + ",+avx,+avx2,+fma,+bmi,+bmi2,+f16c,+lzcnt,+movbe"
MACHINES = {
    "Linux, ARM": ("aarch64-linux-gnu", "cortex-a72", "+neon"),
    "Linux, ARM with SVE": ("aarch64-linux-gnu", "neoverse-v1", "+neon,+sve"),
    "macOS, ARM": ("arm64-apple-macosx14.0.0", "apple-m1", "+neon"),
    "Windows": ("x86_64-pc-windows-msvc", "haswell", HASWELL),
}
CALL = re.compile(r"^\s+(?:callq?|jmp|bl?|movabsq)\s+\$?_*([A-Za-z]\w*)\b(?![@.])", re.M)
LABEL = re.compile(r"^_*([A-Za-z][\w.@]*):", re.M)


def python(script: str, *arguments: str) -> str:
    environment = {**os.environ, "CHAINRULE_CACHE": ""}
    done = subprocess.run([sys.executable, "-c", script, *arguments], env=environment,
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", MACHINES)
def test_code_for_other_systems_calls_only_what_is_linked(name: str) -> None:
    known = {*externals.RUNTIME, "cr_yield", *externals.LIBM.values()}
    text = python(ASSEMBLE, *MACHINES[name])
    called, made = set(CALL.findall(text)), set(LABEL.findall(text))
    assert "run" in made
    assert called - made <= {symbol.lstrip("_") for symbol in known}
    assert ".seh_" not in text  # which would ask for tables that nothing links


@pytest.mark.skipif(not machine.is_x86(), reason="stands in for other x86 processors")
@pytest.mark.parametrize(
    ("cpu", "features", "wanted"),
    [("haswell", HASWELL, "32 True"), ("nehalem", BASE, "16 False")],
)
def test_lesser_processors(cpu: str, features: str, wanted: str) -> None:
    if cpu == "haswell" and not llvm.get_host_cpu_features().get("avx2"):
        pytest.skip("this processor has no AVX2")
    assert python(RUN, "", cpu, features).strip() == wanted


def test_numpy_serves_where_machine_code_does_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise OSError("no memory may be both written and run")

    assert machine.trouble.__wrapped__() == ""
    monkeypatch.setattr(sys, "platform", "elsewhere")
    assert run.default_executor.__wrapped__() == "native"
    monkeypatch.setattr(machine, "Library", broken)
    monkeypatch.setattr(machine, "trouble", machine.trouble.__wrapped__)
    with pytest.warns(UserWarning, match="NumPy serves: OSError: no memory may be both"):
        assert run.default_executor.__wrapped__() == "numpy"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        monkeypatch.setattr(sys, "platform", "linux")
        monkeypatch.setattr(run.platform, "machine", lambda: "x86_64")
        assert run.default_executor.__wrapped__() == "native"
