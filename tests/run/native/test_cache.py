"""Object code on the disk: found by the next process, made again when it is damaged."""

from __future__ import annotations

import ctypes
import itertools
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("llvmlite")

from chainrule.core.graph import Graph
from chainrule.run import cache, native
from chainrule.run.native.runtime import machine

TEXT = """define i32 @run() {
  ret i32 7
}
"""
SCRIPT = """
import sys
import numpy as np
import chainrule.ops
from chainrule.core.graph import Graph
from chainrule.run import native
from chainrule.run.native.runtime import machine
made = machine.assemble
def assemble(text):
    print("assembled")
    return made(text)
machine.assemble = assemble
g = Graph.parse('''def f(x: float64[64, 64]):
    z: float64[64, 64] = contract(x, x, spec='ij,jk->ik')
    a: float64[64, 64] = arcsin(z)
    return a,''')
x = np.zeros((64, 64)); x[0, 0] = 0.5
print(native.compile(g)([x])[0][0, 0] == np.arcsin(0.25))
"""

SPECIAL = """
import sys
import numpy as np
import chainrule.ops
from chainrule.core.graph import Graph
from chainrule.run import native
for name in ("sin", "gamma"):
    g = Graph.parse(f"def f(x: float64[3]):\\n    y: float64[3] = {name}(x)\\n    return y,")
    run = native.compile(g)
    print("scipy.special" in sys.modules)
print(*run([np.array([1.0, 3.0, 5.0])])[0])
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CHAINRULE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "_memory", type(cache._memory)())
    monkeypatch.setattr(cache, "_said", set())
    monkeypatch.setattr(cache, "_saves", itertools.count())
    return tmp_path / "cache"


def key(text: str) -> str:
    return cache._key(f"{machine.identity()}|{text}")


def process(script: str = SCRIPT) -> list[str]:
    """What a fresh process prints that compiles a call of C's library."""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=dict(os.environ)
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_a_second_process_finds_the_code_and_its_addresses_are_its_own(folder: Path) -> None:
    *assembled, right = process()
    assert right == "True"
    assert len(assembled) == len(list(folder.iterdir()))
    assert process() == ["True"]
    only = next(folder.iterdir())
    content = bytearray(only.read_bytes())
    content[len(content) // 2] ^= 0xFF
    only.write_bytes(content)
    assert process() == ["assembled", "True"]
    assert process() == ["True"]


def test_scipys_functions_are_imported_by_graphs_that_call_them(folder: Path) -> None:
    assert process(SPECIAL) == process(SPECIAL) == ["False", "True", "1.0", "2.0", "24.0"]


@pytest.mark.parametrize("damage", [b"", b"short", b"\0" * 5000])
def test_a_damaged_entry_is_made_again(folder: Path, damage: bytes) -> None:
    code = machine.object_code(TEXT)
    (only,) = folder.iterdir()
    only.write_bytes(damage)
    cache._memory.clear()
    assert machine.object_code(TEXT)[:4] == code[:4]
    assert only.read_bytes() == cache._entry(key(TEXT), code)


@pytest.mark.skipif(sys.platform == "win32", reason="folders have no such modes there")
def test_the_folder_is_private_or_not_used(folder: Path) -> None:
    machine.object_code(TEXT)
    assert folder.stat().st_mode & 0o777 == 0o700
    (only,) = folder.iterdir()
    assert only.stat().st_mode & 0o077 == 0
    folder.chmod(0o755)
    with pytest.warns(RuntimeWarning, match=rf"not kept in {folder}: .*chmod 700 {folder}"):
        assert cache.cache_folder() is None
    assert cache.cache_folder() is None  # said once


def test_it_works_without_a_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("CHAINRULE_CACHE", "")
    assert cache.cache_folder() is None
    assert machine.object_code(TEXT)
    cache._memory.clear()
    monkeypatch.setenv("CHAINRULE_CACHE", str(blocked / "below"))
    with pytest.warns(RuntimeWarning, match=r"below: Not a directory.*CHAINRULE_CACHE names"):
        assert machine.object_code(TEXT)
    monkeypatch.setenv("CHAINRULE_CACHE", "~no-such-user/below")
    with pytest.warns(RuntimeWarning, match="~no-such-user/below: "):
        assert cache.cache_folder() is None
    assert not folder.exists()


def test_the_folder_may_be_below_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("CHAINRULE_CACHE", "~/kept")
    assert cache.cache_folder() == tmp_path / "kept"


def test_the_key_holds_machine_and_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    before = key(TEXT)
    assert before != key(TEXT + " ")
    monkeypatch.setattr(cache, "__version__", "0.0.0")
    assert key(TEXT) != before
    monkeypatch.undo()
    monkeypatch.setattr(machine, "identity", lambda: "another machine")
    assert key(TEXT) != before


def entries(folder: Path) -> list[Path]:
    return sorted(folder.glob("chainrule-*.code"))


def test_old_entries_make_room_and_nothing_else_does(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.mkdir(mode=0o700)
    size = len(cache._entry(key(TEXT), machine.assemble(TEXT)))
    monkeypatch.setattr(cache, "KEPT_BYTES", 3 * size)
    monkeypatch.setattr(cache, "PRUNED_EVERY", 1)
    theirs = [folder / name for name in ("thesis.tar", "ab" * 32, ".chainrule-1.tmp", "a.code")]
    theirs.append(folder / f"chainrule-{'0' * 64}.code")  # named as ours, but not begun so
    for path in theirs:
        path.write_bytes(b"mine" * size)
        os.utime(path, (1, 1))
    for i in range(6):
        machine.object_code(TEXT.replace("7", str(i)))
    assert all(path.read_bytes() == b"mine" * size for path in theirs)
    assert 1 <= len(entries(folder)) - 1 <= 3


def test_an_entry_serves_its_own_key_only(folder: Path) -> None:
    machine.object_code(TEXT)
    machine.object_code(TEXT.replace("7", "8"))
    one, other = entries(folder)
    contents = one.read_bytes(), other.read_bytes()
    one.write_bytes(contents[1])
    other.write_bytes(contents[0])
    cache._memory.clear()
    for text in (TEXT, TEXT.replace("7", "8")):
        assert cache._load(folder, key(text)) is None
        library = machine.Library([machine.object_code(text)], ["run"], [])
        assert ctypes.CFUNCTYPE(ctypes.c_int32)(library.address("run"))() == int("8" in text) + 7
    assert (one.read_bytes(), other.read_bytes()) == contents


@pytest.mark.skipif(sys.platform == "win32", reason="pipes and modes are POSIX's")
@pytest.mark.parametrize("kind", ["folder", "pipe", "link", "dangling", "huge", "unreadable"])
def test_what_is_no_entry_is_passed_by(folder: Path, kind: str, tmp_path: Path) -> None:
    folder.mkdir(mode=0o700)
    path = folder / f"chainrule-{key(TEXT)}.code"
    elsewhere = tmp_path / "elsewhere"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind in ("link", "dangling"):
        path.symlink_to(elsewhere)
        if kind == "link":
            elsewhere.write_bytes(cache._entry(key(TEXT), machine.assemble(TEXT)))
    else:
        path.touch(0o000 if kind == "unreadable" else 0o600)
        os.truncate(path, 2**40 if kind == "huge" else 100)
    before = path.lstat()
    if kind in ("huge", "unreadable"):  # an ordinary file in that place is one of ours, damaged
        assert machine.object_code(TEXT)
        assert cache._load(folder, key(TEXT)) is not None
        return
    with pytest.warns(RuntimeWarning, match="not an ordinary file"):
        assert machine.object_code(TEXT)
    assert cache._load(folder, key(TEXT)) is None
    assert path.lstat() == before
    assert elsewhere.exists() == (kind == "link")


def test_a_full_disk_is_said_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, hard))
    try:
        with pytest.warns(RuntimeWarning, match="not kept in .*: File too large") as said:
            assert machine.object_code(TEXT)
        assert machine.object_code(TEXT.replace("7", "8"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, previous)
    assert len(said) == 1  # and warnings are errors outside the block
    assert list(folder.iterdir()) == []


def test_many_processes_write_at_once(folder: Path) -> None:
    script = (
        "from chainrule.run import cache\n"
        "from chainrule.run.native.runtime import machine\n"
        "cache.KEPT_BYTES, cache.PRUNED_EVERY = 4000, 1\n"
        "for i in range(20):\n"
        f"    assert machine.object_code({TEXT!r}.replace('7', str(i % 10)))\n"
        "    cache._memory.clear()\n"
    )
    made = [subprocess.Popen([sys.executable, "-W", "error", "-c", script]) for _ in range(3)]
    assert [process.wait() for process in made] == [0, 0, 0]
    for path in folder.iterdir():
        assert path.read_bytes() == cache._entry(path.name[10:74], path.read_bytes()[cache.HEAD :])


def test_programs_share_the_kernels_of_their_products(folder: Path) -> None:
    """What differs is how often they are called, and with which strides."""
    entries = []
    for rows, op in ((96, "tanh"), (192, "exp")):
        graph = Graph.parse(
            f"def f(x: float64[{rows}, 64], w: float64[64, 64]):\n"
            f"    z: float64[{rows}, 64] = contract(x, w, spec='ij,jk->ik')\n"
            f"    a: float64[{rows}, 64] = {op}(z)\n"
            "    return a,"
        )
        before = set(folder.glob("*")) if folder.exists() else set()
        texts = native.compile(graph, 1).code.texts
        entries.append((len(texts), len(set(folder.iterdir()) - before)))
    (first, made), (second, more) = entries
    assert made == first
    assert 0 < more < second
