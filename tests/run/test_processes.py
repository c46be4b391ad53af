"""Functions, networks and errors in other processes, and processes copied at bad times.

Every worker here is a real process; what it computes is compared with this one's to the bit.
"""

from __future__ import annotations

import copy
import multiprocessing
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import cloudpickle
import numpy as np
import pytest

import chainrule as cr
from chainrule import errors, optim
from chainrule.train import DivergedError
from tests.helpers import workers

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # Python 3.12's

Call = Callable[..., Any]


def _pool(method: str) -> Iterator[Call]:
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        yield lambda f, *args: pool.submit(f, *args).result(timeout=120)


def _joblib() -> Iterator[Call]:
    import joblib

    with joblib.parallel_config("loky", inner_max_num_threads=1):
        yield lambda f, *args: joblib.Parallel(2)([joblib.delayed(f)(*args)])[0]


def _dask() -> Iterator[Call]:
    import dask
    from distributed.protocol import deserialize, serialize

    def call(f: Call, *args: Any) -> Any:
        f, args = deserialize(*serialize((f, args)))
        return dask.delayed(f, traverse=False)(*args).compute(scheduler="processes", num_workers=1)

    yield call


METHODS = multiprocessing.get_all_start_methods()
KINDS = [*METHODS, "joblib", "dask"]


@pytest.fixture(scope="module", params=KINDS)
def call(request: pytest.FixtureRequest) -> Iterator[Call]:
    """Calls a function in another process, started in each way."""
    kinds: dict[str, Any] = {"joblib": _joblib, "dask": _dask}
    yield from kinds[request.param]() if request.param in kinds else _pool(request.param)


def test_compiled_functions_and_networks_go_to_other_processes(call: Call) -> None:
    used = cr.jit(workers.wave)
    used(workers.POINTS)  # what was compiled stays here
    optimizer = optim.adam(optim.schedules.cosine(1e-2, 20))
    given = {
        "jitted": [used, cr.jit(workers.wave), cr.jit(workers.wave, executor="numpy")],
        "optimizer": optimizer,
        "result": workers.fitted(optimizer),
        "model": workers.table_model(),
    }
    there, here = call(workers.answers, given), workers.answers(given)
    result = there.pop("result")
    assert np.array_equal(workers.predicted(result), workers.predicted(here.pop("result")))
    for name, value in here.items():
        assert np.array_equal(there[name], value), name


def test_errors_come_back_from_other_processes(call: Call) -> None:
    with pytest.raises(DivergedError, match="the train loss is") as caught:
        call(workers.diverges)
    assert caught.value.epoch == 1
    assert np.isfinite(workers.predicted(caught.value.result)).all()
    with pytest.raises(errors.UnknownValueError, match="from UnknownValueError"):
        call(workers.raises, "UnknownValueError")


COPIES = (
    lambda value: pickle.loads(pickle.dumps(value)),
    lambda value: cloudpickle.loads(cloudpickle.dumps(value)),
    copy.deepcopy,
)


def _values() -> Iterator[Any]:
    """What must copy: in each state that it may be in."""
    jitted = cr.jit(workers.wave)
    yield jitted
    jitted(workers.POINTS)
    yield jitted
    yield workers.decorated
    for made in (optim.adam(), optim.lbfgs(), optim.sgd(0.1, momentum=0.9, nesterov=True)):
        yield made
        result = workers.fitted(made)
        yield result
        workers.predicted(result)
        yield result
    yield workers.table_model()
    try:
        workers.diverges()
    except DivergedError as error:
        yield error
    for name in errors.__all__:
        yield getattr(errors, name)("what", "why")


def test_whatever_a_user_holds_can_be_copied() -> None:
    for value in _values():
        for copied in COPIES:
            other = copied(value)
            assert type(other) is type(value)
            if isinstance(value, Exception):
                assert other.args == value.args
                assert vars(other).keys() == vars(value).keys()


def test_a_function_without_a_name_goes_by_cloudpickle_and_copies() -> None:
    scale = 3.0
    jitted = cr.jit(lambda x: np.sum(x * scale))
    jitted(workers.POINTS)
    for copied in COPIES[1:]:
        assert copied(jitted)(workers.POINTS + 1) == jitted(workers.POINTS + 1)


# Copies of a process at bad times -----------------------------------------------------------

COMPILING = """
import os, sys, threading, time
import multiprocessing as mp
import numpy as np, chainrule as cr

def compile_on_and_on():
    k = 0
    while True:
        k += 1
        cr.jit(lambda x: np.sum(np.tanh(x * k)))(np.arange(3.0))

def child():
    f = cr.jit(lambda x: np.sum(np.cos(x)))
    assert abs(f(np.arange(3.0)) - np.cos(np.arange(3.0)).sum()) < 1e-12

threading.Thread(target=compile_on_and_on, daemon=True).start()
time.sleep(float(sys.argv[1]))
found = []
for _ in range(3):
    process = mp.get_context("fork").Process(target=child)
    process.start()
    process.join(60)
    found.append("hangs" if process.is_alive() else process.exitcode)
    process.kill()
    time.sleep(0.05)
print(found, flush=True)
os._exit(0)
"""

RUNNING = """
import os, sys, threading, time
import numpy as np, chainrule as cr
from chainrule import nn, optim, train
from chainrule.run.native.runtime import team
from tests.helpers.workers import fitted, processors_taken

def on_and_on():
    x = np.ones((2000, 3))
    while True:
        train.fit(nn.MLP((3, 64, 64, 1)), (x, x[:, :1]), loss=nn.SquaredError(),
                  optimizer=optim.adam(), epochs=20, threads=2)

threading.Thread(target=on_and_on, daemon=True).start()
found = []
deadline = time.monotonic() + 60
while len(found) < 2 and time.monotonic() < deadline:
    if not processors_taken():
        time.sleep(0.001)
        continue
    child = os.fork()
    if not child:
        taken = processors_taken()
        ended = fitted(optim.adam()).stopped
        os._exit(0 if (taken, processors_taken(), ended) == (0, 0, "epochs") else 1)
    found.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print(found, flush=True)
os._exit(0)
"""


def printed(script: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, *arguments],
        capture_output=True,
        text=True,
        timeout=200,
    )
    return done.stdout.strip() or done.stderr


@pytest.mark.skipif("fork" not in METHODS, reason="this system does not copy processes")
@pytest.mark.parametrize("after", ["0", "0.2", "1"])
def test_a_copy_made_while_a_thread_compiles_compiles_too(after: str) -> None:
    """Soon after the start the thread still imports what it needs."""
    assert printed(COMPILING, after) == "[0, 0, 0]"


@pytest.mark.skipif("fork" not in METHODS, reason="this system does not copy processes")
def test_a_copy_made_while_a_network_trains_finds_all_processors_free() -> None:
    pytest.importorskip("llvmlite")
    assert printed(RUNNING) == "[0, 0]"
