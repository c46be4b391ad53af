"""What every test runs under: reproducible examples, and nothing left behind."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import settings
from threadpoolctl import threadpool_limits

from chainrule.core import graph
from chainrule.core.recording import active

pytest.register_assert_rewrite("tests.helpers")
os.environ.setdefault("CHAINRULE_TUNE", "0")  # tests of the tuner measure, others need not
graph.ALWAYS_VERIFY = True

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell that starts a command in the background has it ignore Ctrl-C, and its children with
    # it; some tests are about Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("chainrule", derandomize=True, deadline=None, database=None)
settings.load_profile("chainrule")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Fourteen thousand tests are objects that stay: to look through them for garbage again and
    again took a third of the time of collecting them."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(autouse=True, scope="session")
def _one_blas_thread() -> Iterator[None]:
    """The test processes already use all cores; BLAS threads that wait for one another spin."""
    with threadpool_limits(1):
        yield


@pytest.fixture(autouse=True)
def _nothing_left_behind() -> Iterator[None]:
    """No recording stays open, whatever a test raised, and nobody touches NumPy's global
    random state or its error settings."""
    state = np.random.get_state()  # noqa: NPY002
    errors = np.geterr()
    yield
    assert active() is None, "a recording was left open"
    assert np.geterr() == errors, "floating-point error settings were left changed"
    now = np.random.get_state()  # noqa: NPY002
    assert np.array_equal(state[1], now[1]), "the global random state was used"  # type: ignore[index]
