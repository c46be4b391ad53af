"""Object code on the disk: found by the next process, made again when it is damaged."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("llvmlite")

from chainrule.run.native.runtime import cache, machine

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
g = Graph.parse('''def f(x: float64[1600, 1600]):
    z: float64[1600, 1600] = contract(x, x, spec='ij,jk->ik')
    a: float64[1600, 1600] = arcsin(z)
    return a,''')
x = np.zeros((1600, 1600)); x[0, 0] = 0.5
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
    return tmp_path / "cache"


def process(script: str = SCRIPT) -> list[str]:
    """What a fresh process prints that compiles a call of BLAS and one of C's library."""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=dict(os.environ)
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_a_second_process_finds_the_code_and_its_addresses_are_its_own(folder: Path) -> None:
    assert process() == ["assembled", "True"]
    assert process() == ["True"]
    (only,) = folder.iterdir()
    content = bytearray(only.read_bytes())
    content[len(content) // 2] ^= 0xFF
    only.write_bytes(content)
    assert process() == ["assembled", "True"]
    assert process() == ["True"]


def test_scipys_functions_are_imported_by_graphs_that_call_them(folder: Path) -> None:
    assert process(SPECIAL) == process(SPECIAL) == ["False", "True", "1.0", "2.0", "24.0"]


@pytest.mark.parametrize("damage", [b"", b"short", b"\0" * 5000])
def test_a_damaged_entry_is_made_again(folder: Path, damage: bytes) -> None:
    code = cache.object_code(TEXT)
    (only,) = folder.iterdir()
    only.write_bytes(damage)
    cache._memory.clear()
    assert cache.object_code(TEXT)[:4] == code[:4]
    assert len(only.read_bytes()) == len(code) + 32


@pytest.mark.skipif(sys.platform == "win32", reason="folders have no such modes there")
def test_the_folder_is_private_or_not_used(folder: Path) -> None:
    cache.object_code(TEXT)
    assert folder.stat().st_mode & 0o777 == 0o700
    (only,) = folder.iterdir()
    assert only.stat().st_mode & 0o077 == 0
    folder.chmod(0o755)
    assert cache.cache_folder() is None


def test_it_works_without_a_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    for name in ("", str(blocked / "below")):
        monkeypatch.setenv("CHAINRULE_CACHE", name)
        cache._memory.clear()
        assert cache.cache_folder() is None
        assert cache.object_code(TEXT)
    assert not folder.exists()


def test_the_key_holds_machine_and_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    before = cache._key(TEXT)
    assert before != cache._key(TEXT + " ")
    monkeypatch.setattr(cache, "__version__", "0.0.0")
    assert cache._key(TEXT) != before
    monkeypatch.undo()
    monkeypatch.setattr(machine, "identity", lambda: "another machine")
    assert cache._key(TEXT) != before


def test_old_entries_make_room(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = len(cache.object_code(TEXT)) + 32
    monkeypatch.setattr(cache, "KEPT_BYTES", 3 * size)
    monkeypatch.setattr(cache, "PRUNED_EVERY", 1)
    for i in range(6):
        cache.object_code(TEXT.replace("7", str(i)))
    assert 1 <= len(list(folder.iterdir())) <= 3
