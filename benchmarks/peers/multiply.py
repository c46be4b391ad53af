"""One matrix product: by chainrule, by libraries, and as fast as multiply-adds go at all."""

from __future__ import annotations

import ctypes
import re
import threading
from collections.abc import Callable
from importlib.metadata import files
from typing import Any

import numpy as np

from benchmarks.work import Multiply, Prepared, mean_square

FLOPS = 10**9
"""About as many operations has one call of a loop of ours, a product or more: starting threads is
no part of a product."""


def multiply(work: Multiply, variant: str) -> Prepared:
    """The product as the contestant ``variant`` computes it: a name, and ": " and what is told of
    the machine, for a stand-in."""
    name, _, told = variant.partition(": ")
    _tell(told)
    return {"chainrule": _ours, "MKL": _mkl, "PyTorch": _pytorch, "peak": _peak}.get(name, _numpy)(
        work
    )


def _tell(told: str) -> None:
    """Let this process take the machine for another: "16 KB, 128 KB" of caches, or vectors of
    "16 bytes", of which there are 16."""
    from chainrule.run.native.runtime import machine

    numbers = [int(word) for word in re.findall(r"\d+", told)]
    if "KB" in told:
        first, second = (machine.Cache(size * 2**10, 8, 64) for size in numbers)
        machine.caches = lambda: (first, second)
    elif numbers and numbers != [machine.vector_bytes()]:
        machine.vector_bytes = lambda: numbers[0]
        machine.vector_registers = lambda: 16


def _ours(work: Multiply) -> Prepared:
    """On one thread the machine code alone, as Python's part of a call is none of a product; on
    several, which must start, a loop whose carry is the product, overwritten in each step."""
    from chainrule.core.graph import Graph
    from chainrule.run import native
    from chainrule.run.native.program import CallMemory

    spec = {"A @ B": "ij,jk->ik", "A @ B.T": "ij,kj->ik", "A.T @ B": "ji,jk->ik"}[work.layout]
    a, b, c = work.arrays()
    product = f"    z: {_type(c)} = contract(a, b, spec='{spec}')\n    return z,"
    if work.threads == 1:
        given = f"a: {_type(a)}, b: {_type(b)}"
        program = native.compile(Graph.parse(f"def f({given}):\n{product}"), 1)
        memory, held = CallMemory(program), [program]
        held += [memory.give(i, x) for i, x in enumerate((a, b))]
        if memory.outputs[0] is None:
            memory.table[2] = c.ctypes.data
        place, call = memory.place, program.alone
        assert call is not None

        def one(held: Any = held) -> np.ndarray:
            call(place)
            return c if memory.outputs[0] is None else memory.outputs[0]

        return Prepared(one, outcome=lambda: mean_square(one()))
    given = f"c: {_type(c)}, x: int64, a: {_type(a)}, b: {_type(b)}"
    loop = native.repeat(Graph.parse(f"def f({given}):\n{product}"), 1, 1, work.threads)
    steps = np.arange(max(1, FLOPS // work.flops))

    def run() -> Any:
        return loop([c], [steps], [a, b])[1][0]

    return Prepared(run, len(steps), outcome=lambda: mean_square(run()))


def _type(array: np.ndarray) -> str:
    return f"{array.dtype}{list(array.shape)}"


def _numpy(work: Multiply) -> Prepared:
    """By NumPy's BLAS."""
    a, b, c = work.arrays()
    a, b = work.laid_out(a, b)
    return Prepared(
        lambda: np.matmul(a, b, out=c), outcome=lambda: mean_square(np.matmul(a, b, out=c))
    )


def _pytorch(work: Multiply) -> Prepared:
    import torch  # pyright: ignore[reportMissingImports]

    torch.set_num_threads(work.threads)
    a, b, c = map(torch.from_numpy, work.arrays())
    a, b = work.laid_out(a, b)
    return Prepared(
        lambda: torch.mm(a, b, out=c), outcome=lambda: mean_square(torch.mm(a, b, out=c))
    )


def _mkl(work: Multiply) -> Prepared:
    """By Intel's library, through the C interface of BLAS."""
    (path,) = (f for f in files("mkl") or () if "mkl_rt" in f.name)
    library = ctypes.CDLL(str(path.locate()))
    library.MKL_Set_Num_Threads(work.threads)
    a, b, c = work.arrays()
    single = work.dtype == "float32"
    function = library.cblas_sgemm if single else library.cblas_dgemm
    real = ctypes.c_float if single else ctypes.c_double
    turned = [112 if x else 111 for x in (work.layout == "A.T @ B", work.layout == "A @ B.T")]
    one, zero = real(1), real(0)
    place = [(ctypes.c_void_p(x.ctypes.data), ctypes.c_int64(x.shape[1])) for x in (a, b, c)]
    sizes = map(ctypes.c_int64, (work.m, work.n, work.k))
    arguments = (101, *turned, *sizes, one, *place[0], *place[1], zero, *place[2])

    def run(held: Any = (a, b)) -> np.ndarray:
        function(*arguments)
        return c

    return Prepared(run, outcome=lambda: mean_square(run()))


# The limit ---------------------------------------------------------------------------------


def _peak(work: Multiply) -> Prepared:
    """As many multiply-adds as the product takes, of vectors that stay in registers, by each
    thread its share."""
    spin, flops = _multiply_adds(work.dtype)
    count = max(1, round(work.flops / flops / work.threads))

    def run() -> None:
        others = [threading.Thread(target=spin, args=(count,)) for _ in range(work.threads - 1)]
        for other in others:
            other.start()
        spin(count)
        for other in others:
            other.join()

    return Prepared(run)


def _multiply_adds(dtype: str) -> tuple[Callable[[int], Any], int]:
    """A function that runs so many turns of a loop, and how many operations a turn has."""
    from chainrule.run.native.runtime import machine

    type, size = ("float", 4) if dtype == "float32" else ("double", 8)
    lanes, chains = machine.vector_bytes() // size, machine.vector_registers() - 4
    vector, short = f"<{lanes} x {type}>", f"v{lanes}f{8 * size}"
    begin = [f"%c{i} = phi {vector} [ zeroinitializer, %entry ], [ %n{i}, %more ]"
             for i in range(chains)]  # fmt: skip
    steps = [f"%n{i} = call {vector} @llvm.fma.{short}({vector} %x, {vector} %x, {vector} %c{i})"
             for i in range(chains)]  # fmt: skip
    sums = [f"%s{i} = fadd {vector} {f'%s{i - 1}' if i else '%x'}, %n{i}" for i in range(chains)]
    lines = "\n  ".join
    text = f"""define void @spin(i64 %count, ptr %out) {{
entry:
  %x = load {vector}, ptr %out, align {size}
  br label %more
more:
  %i = phi i64 [ 0, %entry ], [ %next, %more ]
  {lines(begin)}
  {lines(steps)}
  %next = add i64 %i, 1
  %again = icmp ult i64 %next, %count
  br i1 %again, label %more, label %done
done:
  {lines(sums)}
  store {vector} %s{chains - 1}, ptr %out, align {size}
  ret void
}}"""
    library = machine.Library([machine.assemble(text)], ["spin"], [])
    function = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_void_p)(library.address("spin"))

    def spin(count: int, keep: Any = library) -> None:
        out = np.zeros(64)
        function(count, out.ctypes.data)

    return spin, 2 * lanes * chains
