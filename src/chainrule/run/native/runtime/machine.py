"""LLVM behind one door: text to object code, object code to addresses.

Addresses of SciPy and of C's library are bound when object code is linked, never written into
it, so that an object from the disk works in any later process.
"""

from __future__ import annotations

import ctypes
import functools
import sys
import threading
import weakref
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import llvmlite
import llvmlite.binding as llvm
from llvmlite.binding import ffi, newpassmanagers

from chainrule import forks
from chainrule.run import cache
from chainrule.run.native.runtime.externals import RUNTIME, address_of

HOT, PLAIN, COLD = "; hot", "; plain", "; cold"
"""How the text of a module begins: it is optimised; it stands there as it should be, vectors and
all; or it is not worth LLVM's time."""
_lock = threading.RLock()  # llvmlite guards its calls, but linking takes several
_linker: _Linker | None = None
LINKED = 256
"""How many libraries one linker links."""
forks.wait_for(_lock)
forks.wait_for(ffi.lib._lock)


@functools.cache
def _target(effort: int = 2) -> Any:
    """LLVM for this machine; with effort 0 its quickest way to code."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    llvm.initialize_native_asmparser()
    target = llvm.Target.from_triple(llvm.get_default_triple())
    # Windows maps libraries farther away than a small model's addresses reach.
    model = "large" if "windows" in llvm.get_default_triple() else "default"
    machine = target.create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=_features(), opt=effort, reloc="pic", codemodel=model
    )
    machine.set_asm_verbosity(False)
    return machine


@functools.cache
def _features() -> str:
    features = llvm.get_host_cpu_features().flatten()
    # LLVM splits 512-bit vectors on some machines that handle them well.
    return features + ",-prefer-256-bit" if is_x86() else features


@functools.cache
def processor() -> str:
    """What LLVM calls this kind of processor."""
    return llvm.get_host_cpu_name()


@functools.cache
def vector_bytes() -> int:
    """The width of the machine's vectors in bytes."""
    features = llvm.get_host_cpu_features()
    return 64 if features.get("avx512f") else 32 if features.get("avx2") else 16


@functools.cache
def vector_registers() -> int:
    """How many vectors the machine holds in registers."""
    return 32 if vector_bytes() == 64 or not is_x86() else 16


class Cache(NamedTuple):
    """A cache of one processor: its bytes, how many lines of the same set it holds, bytes of a
    line."""

    size: int
    ways: int
    line: int

    @property
    def sets(self) -> int:
        return max(1, self.size // (self.ways * self.line))


@functools.cache
def caches() -> tuple[Cache, Cache]:
    """The first and the second level of data cache; where the system does not say, small ones."""
    found = {1: Cache(32 * 2**10, 8, 64), 2: Cache(256 * 2**10, 8, 64)}
    for folder in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"):
        try:
            about = {name: (folder / name).read_text().strip() for name in _ABOUT}
            level, size = int(about["level"]), int(about["size"].removesuffix("K")) * 2**10
            ways, line = (int(about[name]) for name in _ABOUT[3:])
        except (OSError, ValueError):
            continue
        if about["type"] != "Instruction" and level in found and min(size, ways, line) > 0:
            found[level] = Cache(size, ways, line)
    return found[1], found[2]


_ABOUT = ("level", "type", "size", "ways_of_associativity", "coherency_line_size")
PAGE, PAGES = 4096, 64
"""Bytes of a page of memory, and of how many pages a processor knows the places at once."""


@functools.cache
def has_fma() -> bool:
    """Whether there is an instruction that multiplies, adds and rounds once; in its place, C's
    function takes fifty times as long."""
    return not is_x86() or bool(llvm.get_host_cpu_features().get("fma"))


@functools.cache
def identity() -> str:
    """What object code depends on beside its text: machine and versions."""
    version = ".".join(map(str, llvm.llvm_version_info))
    names = (sys.platform, llvm.get_default_triple(), llvm.get_host_cpu_name(), _features())
    return "|".join((*names, llvmlite.__version__, version))


@functools.cache
def is_x86() -> bool:
    return llvm.get_default_triple().startswith("x86_64")


@functools.cache
def is_arm() -> bool:
    return llvm.get_default_triple().startswith(("aarch64", "arm64"))


def pause() -> str:
    """The instruction that tells the processor that a loop only waits."""
    if is_x86():
        return "call void @llvm.x86.sse2.pause()"
    if is_arm():
        return "call void @llvm.aarch64.hint(i32 1)"
    return ""


SPINS = 4000
"""How often a thread looks whether others are there before it lets other programs run."""


def waiting() -> str:
    """LLVM's blocks from ``wait`` to ``rest`` of a loop in which a thread has looked, in the block
    ``look``, ``%spin`` times; ``%more`` is one more. They call ``cr_yield``."""
    return f"""wait:
  %more = add i64 %spin, 1
  %long = icmp ugt i64 %spin, {SPINS}
  br i1 %long, label %yield, label %pause
yield:
  %ignored = call i32 @cr_yield()
  br label %rest
pause:
  {pause()}
  br label %rest
rest:
  br label %look"""


class _Linker:
    """One of LLVM's linkers, and how many libraries it has in memory. It keeps some kB of each
    that it ever linked, so after ``LINKED`` another takes its place, and it goes with the last."""

    def __init__(self) -> None:
        # LLVM's older linker may put code farther from its constants than instructions reach.
        self.jit = llvm.create_lljit_compiler(_target(), use_jit_link=True)
        self.linked = self.living = 0

    def link(self, builder: Any) -> Any:
        self.linked += 1
        tracker = builder.link(self.jit, f"chainrule{self.linked}")
        self.living += 1
        return tracker

    def unlink(self, tracker: Any) -> None:
        with _lock:
            tracker.close()
            self.living -= 1
            self.close_if_done()

    def close_if_done(self) -> None:
        if self.linked >= LINKED and not self.living:
            self.jit.close()


def assemble(text: str) -> bytes:
    """Object code of a module's text, for this machine."""
    target = _target(0 if text.startswith(COLD) else 2)
    plain = text.startswith((COLD, PLAIN))
    return target.emit_object(_parsed(text, target) if plain else optimised(text))


def object_code(text: str) -> bytes:
    """The same, made before if it was: see ``run.cache``."""
    return cache.kept(f"{identity()}|{text}", lambda: assemble(text))


def _parsed(text: str, machine: Any) -> Any:
    head = f'target triple = "{machine.triple}"\ntarget datalayout = "{machine.target_data}"\n'
    return llvm.parse_assembly(head + text)


def optimised(text: str) -> Any:
    """LLVM's module of a text, optimised for this machine."""
    machine = _target()
    module = _parsed(text, machine)
    tuning = llvm.create_pipeline_tuning_options(speed_level=2)
    tuning.loop_vectorization = tuning.slp_vectorization = True
    tuning.loop_unrolling = tuning.loop_interleaving = True
    builder = llvm.create_pass_builder(machine, tuning)
    late = llvm.create_new_module_pass_manager()
    late.add_always_inliner_pass()  # functions of vectors, which only vectorised loops call
    for manager in (builder.getModulePassManager(), late):
        manager.run(module, builder)
        if type(manager)._dispose is ffi.ObjectRef._dispose:
            # llvmlite's own inherits a method that does nothing before the one that frees it.
            newpassmanagers.NewPassManager._dispose(manager)
        manager.close()
    return module


class Library:
    """Object code in memory, which stays there while this object does."""

    def __init__(
        self, code: Sequence[bytes], exports: Iterable[str], imports: Iterable[str]
    ) -> None:
        global _linker
        with _lock:
            builder = llvm.JITLibraryBuilder()
            for one in code:
                builder.add_object_img(one)
            for name in exports:
                builder.export_symbol(name)
            # Each name stays in LLVM's tables for good, so only those that are used.
            used = [name for name in RUNTIME if any(name.encode() in one for one in code)]
            for name in {*imports, *used}:
                address = address_of(name)
                if address:
                    builder.import_symbol(name, address)
            if _linker is None or _linker.linked >= LINKED:
                _linker = _Linker()
            tracker = _linker.link(builder)
            self._addresses = {name: tracker[name] for name in exports}
            weakref.finalize(self, _linker.unlink, tracker).atexit = False

    def address(self, name: str) -> int:
        return self._addresses[name]


PROBE = """declare i32 @cr_yield()

define double @probe(double %x) {
  %y = fmul double %x, 0x3FF4000000000000
  %ignored = call i32 @cr_yield()
  ret double %y
}"""


@functools.cache
def trouble() -> str:
    """Why machine code can't be made or run here; "" where it can."""
    try:
        library = Library([assemble(PROBE)], ["probe"], ["cr_yield"])
        function = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)(library.address("probe"))
        found = function(2.0)
    except Exception as error:  # of LLVM, of the system's linker, of its rules for memory
        return f"{type(error).__name__}: {error}"
    return "" if found == 2.5 else f"2 * 1.25 came out as {found}"
