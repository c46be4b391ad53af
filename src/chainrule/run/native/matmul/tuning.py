"""Which variant of a product is fastest on this machine: measured once for each class of shapes.

Caches and registers say how to cut a product (``tiling.py``), but not all: how fast the second
cache is, what else shares the third, how well a processor reads ahead. So the first large product
of a class is computed by each of a few variants in turn, for some hundredths of a second, and the
choice is kept where machine code is. It never shows in the bits, and nothing needs it: without a
folder for machine code, on a machine too busy to measure on, or with ``CHAINRULE_TUNE=0``, products
are cut in the usual way.
"""

from __future__ import annotations

import ctypes
import os
import time
from statistics import median

import numpy as np

from chainrule.run import cache
from chainrule.run.native.matmul.gemm import Gemm, Operand
from chainrule.run.native.matmul.tiling import USUAL, VARIANTS, Tiling, Variant, tiling_of
from chainrule.run.native.numbers.ir import ATTRIBUTES, Builder
from chainrule.run.native.numbers.parts import modules
from chainrule.run.native.runtime import machine, team

WORTH = 2**22
"""Products of fewer multiply-adds are left as they are."""
LARGEST, ROWS = 2**26, 128
"""Multiply-adds of what is measured: of a larger product its first rows, but so many."""
MEMORY = 2**26
"""Bytes of an operand, beyond which none is measured."""
GAIN = 1.04
"""A variant must be so many times as fast as the usual way, in the median and at its best, and
then once more beside it alone: the best of several by chance is not the best again."""
ROUNDS, AGAIN, SECONDS = 3, 11, 3e-4
"""How often each variant runs, in turns, and the best one beside the usual way; for so long each
time."""
BUSY = 1.5
"""With more programs than so many for each processor a measurement is noise: another process may
find the machine calmer."""
_chosen: dict[str, Variant] = {}


def variant_of(
    size: tuple[int, int, int], type: str, a: tuple[int, int], b: tuple[int, int]
) -> Variant:
    """The variant for a product of these sizes and strides (rows, columns): the fastest one of
    its class where that was or can be measured."""
    m, n, k = size
    if m * n * k < WORTH or os.environ.get("CHAINRULE_TUNE") == "0":
        return USUAL
    cut = tiling_of(size, type, a, b)
    orders = tuple(x[1] == 1 for x in (a, b))
    levels = tuple(x.bit_length() // 2 for x in size)  # up to 127, 511, 2047, ...
    about = (type, levels, orders, cut.copies_a, cut.copies_b)
    said = (*machine.caches(), machine.vector_bytes(), machine.vector_registers())
    name = f"variant of products {about} with {said} of {VARIANTS}"
    if name not in _chosen:
        if cache.cache_folder() is None:
            return USUAL
        key = f"{machine.identity()}|{name}"
        try:
            found = cache.kept(key, lambda: bytes([fastest(size, type, a, b)]))[0]
        except TooBusyError:
            found = 0
        # Another thread may have measured too: all of this process go by the same answer.
        _chosen.setdefault(name, VARIANTS[found])
    return _chosen[name]


class TooBusyError(Exception):
    """Other programs take the processors."""


def fastest(size: tuple[int, int, int], type: str, a: tuple[int, int], b: tuple[int, int]) -> int:
    """The place in ``VARIANTS`` of the fastest one, by the clock of this thread: other programs
    that interrupt it do not count.

    Raises:
        TooBusyError: there are too many, which also empty the caches.
    """
    if hasattr(os, "getloadavg") and os.getloadavg()[0] > BUSY * team.available():
        raise TooBusyError
    m, n, k = size
    m = min(m, max(ROWS, LARGEST // (n * k)))
    dtype = np.dtype(np.float32 if type == "float" else np.float64)
    spans = [(m - 1) * a[0] + (k - 1) * a[1] + 1, (k - 1) * b[0] + (n - 1) * b[1] + 1, m * n]
    if max(spans) * dtype.itemsize > MEMORY:
        return 0
    arrays = [np.ones(span, dtype) for span in spans]
    cuts = [tiling_of((m, n, k), type, a, b, variant=variant) for variant in VARIANTS]
    tried = {i: _Trial(cut, a, b, arrays) for i, cut in enumerate(cuts) if i == cuts.index(cut)}
    gains = _gains(tried, ROUNDS)
    best = max(gains, key=gains.__getitem__)
    if gains[best] >= GAIN:
        gains = _gains({i: tried[i] for i in (0, best)}, AGAIN)
    return best if gains[best] >= GAIN else 0


def _gains(tried: dict[int, _Trial], rounds: int) -> dict[int, float]:
    """How many times as fast as the first each is: in the median of rounds, or at its best if
    that is less."""
    once = min([trial.seconds(1) for trial in tried.values()])
    turns = max(1, round(SECONDS / max(once, 1e-6)))
    times: dict[int, list[float]] = {i: [] for i in tried}
    for _ in range(rounds):
        for i, trial in tried.items():
            times[i].append(trial.seconds(turns))
    usual = times[0]
    return {
        i: min(median(x / y for x, y in zip(usual, own, strict=True)), min(usual) / min(own))
        for i, own in times.items()
    }


class _Trial:
    """The machine code of one variant, whose tiles and copies programs share, and what it
    multiplies."""

    def __init__(
        self, cut: Tiling, a: tuple[int, int], b: tuple[int, int], arrays: list[np.ndarray]
    ) -> None:
        builder = Builder()
        writer = Gemm(builder, cut, "%scratch")
        writer.write(Operand("%a", *a), Operand("%b", *b), Operand("%c", cut.n, 1))
        builder.effect("ret void")
        names = ("a", "b", "c", "scratch")
        parameters = ", ".join(f"ptr noalias nocapture align {cut.size} %{name}" for name in names)
        text = f"define void @run({parameters}) #0 {{\n{builder.text()}\n}}"
        texts = modules(
            [(machine.PLAIN, [x]) for x in (text, *writer.helpers.values())], ATTRIBUTES
        )
        self.library = machine.Library([machine.object_code(x) for x in texts], ("run",), ())
        self.run = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 4)(self.library.address("run"))
        self.arrays = [*arrays, np.empty(max(1, cut.scratch()), arrays[0].dtype)]
        self.pointers = [x.ctypes.data for x in self.arrays]

    def seconds(self, turns: int) -> float:
        """What a turn takes."""
        start = _clock()
        for _ in range(turns):
            self.run(*self.pointers)
        return (_clock() - start) / turns


_fine = time.get_clock_info("thread_time").resolution <= 1e-6
_clock = time.thread_time if _fine else time.perf_counter
