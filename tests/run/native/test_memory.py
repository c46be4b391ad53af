"""What programs leave behind that nobody needs any more."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("llvmlite")

MANY = """
import ctypes, gc, os, sys
os.environ["CHAINRULE_CACHE"] = ""
import numpy as np
import chainrule as cr
from chainrule.run import cache

cache.REMEMBERED = 0

def bytes_in_use():
    ctypes.CDLL(None).malloc_trim(0)
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

def some(first, stop):
    for i in range(first, stop):
        f = cr.jit(lambda x: x * (1.0 + i) - 2.0)
        assert f(3.0) == 3.0 * (1.0 + i) - 2.0
        del f
    gc.collect()

warm, count = map(int, sys.argv[1:])
some(0, warm)
before = bytes_in_use()
some(warm, warm + count)
print((bytes_in_use() - before) / count)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's account of memory")
def test_functions_that_are_dropped_leave_little_behind() -> None:
    """Less than 10 kB each: measured 2, and 100 where LLVM's passes are not freed. The second 256
    begin and end with as many in one linker."""
    run = [sys.executable, "-c", MANY, "44", "256"]
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    assert float(done.stdout) < 10_000
