"""Files are whole or not there; documents are exactly what the schema says."""

import hashlib
import json
import os
import stat
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule import io
from chainrule.errors import DataError, UsageError

FIXTURES = Path(__file__).parent / "fixtures"
ARRAYS = {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.float64([1.5])}


def test_what_is_saved_is_loaded(tmp_path):
    path = tmp_path / "m.safetensors"
    metadata = {"name": "naïve ✓", "list": [1, 2.5, None, True], "deep": {"a": {}}}
    io.save(path, ARRAYS | {"scalar": np.float64(3.0)}, metadata)
    arrays, found = io.load(path)
    assert found == metadata
    assert arrays["w"].dtype == np.float32
    assert np.array_equal(arrays["w"], ARRAYS["w"])
    assert arrays["scalar"].shape == ()
    arrays["w"][0, 0] = 7  # fresh and writable
    assert os.listdir(tmp_path) == ["m.safetensors"]


def test_equal_contents_are_equal_bytes(tmp_path):
    for name in "ab":
        io.save(tmp_path / name, ARRAYS, {"x": 1, "y": [2]})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_damage_to_any_byte_is_seen(tmp_path):
    """By the format where it is its own, by the sum elsewhere; a change of the word ``sha256``
    makes an entry that no schema knows."""
    path = tmp_path / "m"
    metadata = {"x": 1, "y": [2.5, "text", None]}
    io.save(path, ARRAYS, metadata)
    whole = path.read_bytes()
    assert "sha256" not in io.load(path)[1]
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        try:
            arrays, found = io.load(path)
        except DataError:
            continue
        if whole.index(b"sha256") <= at < whole.index(b"sha256") + 6:
            assert len(found) == len(metadata) + 1
            continue
        assert found == metadata, at  # a space before the numbers, say
        assert all(arrays[name].tobytes() == ARRAYS[name].tobytes() for name in ARRAYS), at
    numbers = whole[:-1] + bytes([whole[-1] ^ 1])
    path.write_bytes(numbers)
    with pytest.raises(DataError, match="m: is damaged: its contents do not match their checksum"):
        io.load(path)


def test_the_sum_is_that_of_document_and_arrays(tmp_path):
    """By hand, so that another program can check a file."""
    path = tmp_path / "m"
    io.save(path, ARRAYS, {"x": 1})
    length = struct.unpack("<Q", path.read_bytes()[:8])[0]
    header = json.loads(path.read_bytes()[8 : 8 + length])
    document = json.loads(header["__metadata__"]["chainrule"])
    text = b'{"x":1}\n"b" float64 (1,)\n' + ARRAYS["b"].tobytes()
    text += b'\n"w" float32 (2, 3)\n' + ARRAYS["w"].tobytes()
    assert document == {"sha256": hashlib.sha256(text).hexdigest(), "x": 1}
    with pytest.raises(ValueError, match="'sha256'"):
        io.save(path, ARRAYS, {"sha256": "x"})


def test_a_file_without_a_sum_is_read_with_a_note():
    path = FIXTURES / "model_without_sum_price.safetensors"
    notes = []
    assert io.load(path, notes)[1]["format"] == "chainrule.tabular"
    assert notes == [f"{path}: carries no checksum, so damage to it may go unseen"]


def test_views_are_stored_as_they_read(tmp_path):
    io.save(tmp_path / "m", {"t": np.arange(6.0).reshape(2, 3).T}, {})
    assert np.array_equal(io.load(tmp_path / "m")[0]["t"], np.arange(6.0).reshape(2, 3).T)


@pytest.mark.parametrize(
    ("arrays", "metadata"),
    [
        ({"w": np.array([np.nan])}, {}),
        ({"w": np.array(["text"])}, {}),
        ({"w": np.array([None])}, {}),
        ({}, {"x": float("inf")}),
    ],
)
def test_what_cannot_be_stored_is_refused(tmp_path, arrays, metadata):
    with pytest.raises(ValueError):
        io.save(tmp_path / "m", arrays, metadata)
    assert os.listdir(tmp_path) == []


def test_truncated_and_altered_files_are_refused(tmp_path):
    path = tmp_path / "m"
    io.save(path, ARRAYS, {"x": 1})
    whole = path.read_bytes()
    for end in (0, 1, 7, 8, 20, len(whole) - 1):
        path.write_bytes(whole[:end])
        with pytest.raises(DataError, match="m: is"):
            io.load(path)
    path.write_bytes(whole + b"more")
    with pytest.raises(DataError, match="whole safetensors"):
        io.load(path)
    path.write_bytes(struct.pack("<Q", 2**40) + whole[8:])
    with pytest.raises(DataError, match="whole safetensors"):
        io.load(path)


def _forged(path, header, body=b""):
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)


def test_foreign_files_are_refused(tmp_path):
    path = tmp_path / "m"
    path.write_bytes(b"species,island\nAdelie,Dream\n")
    with pytest.raises(DataError, match="whole safetensors"):
        io.load(path)
    assert not io.is_ours(path)
    _forged(path, {"__metadata__": {"format": "pt"}})
    with pytest.raises(DataError, match="not one that chainrule wrote"):
        io.load(path)
    assert not io.is_ours(path)
    with pytest.raises(DataError, match="folder"):
        io.load(tmp_path)
    with pytest.raises(FileNotFoundError):
        io.load(tmp_path / "none")
    assert not io.is_ours(tmp_path / "none")


def test_forged_contents_are_refused(tmp_path):
    path = tmp_path / "m"
    for document in (
        '{"a": NaN}', '{"a": -1e400}', '{"a": ' + "9" * 5000 + "}", '{"a": 1, "a": 2}', "[1]", "{",
        "[" * 100_000, '{"sha256": "x", "a": ' + "[" * 900 + "]" * 900 + "}",
    ):  # fmt: skip
        _forged(path, {"__metadata__": {"chainrule": document}})
        with pytest.raises(DataError, match=r"metadata is not|is damaged"):
            io.load(path)
    bad = np.array([np.inf]).tobytes()
    tensor = {"dtype": "F64", "shape": [1], "data_offsets": [0, 8]}
    _forged(path, {"__metadata__": {"chainrule": "{}"}, "w": tensor}, bad)
    with pytest.raises(DataError, match="'w' holds a number that is not finite"):
        io.load(path)
    tensor = {"dtype": "BF16", "shape": [4], "data_offsets": [0, 8]}
    _forged(path, {"__metadata__": {"chainrule": "{}"}, "w": tensor}, bad)
    with pytest.raises(DataError):
        io.load(path)


def test_writing_keeps_permissions_links_and_old_files(tmp_path):
    path, link = tmp_path / "file", tmp_path / "link"
    path.write_bytes(b"old")
    os.chmod(path, 0o640)
    link.symlink_to(path)
    io.atomic_write(link, b"new")
    assert link.is_symlink()
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    with pytest.raises(UsageError, match="exists already"):
        io.atomic_write(path, b"newer", replace=False)
    assert path.read_bytes() == b"new"
    io.atomic_write(tmp_path / "fresh", b"x", replace=False)
    assert sorted(os.listdir(tmp_path)) == ["file", "fresh", "link"]


def test_a_write_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(UsageError, match="not a regular file"):
        io.atomic_write(tmp_path, b"x")
    with pytest.raises(UsageError, match="not a regular file"):
        io.atomic_write("/dev/null", b"x")
    with pytest.raises(FileNotFoundError) as caught:
        io.atomic_write(tmp_path / "none" / "file", b"x")
    assert (caught.value.filename, caught.value.filename2) == (str(tmp_path / "none/file"), None)
    with pytest.raises(TypeError):
        io.atomic_write(tmp_path / "file", None)
    assert os.listdir(tmp_path) == []


WRITER = """
import sys
from chainrule.io import atomic_write
print("ready", flush=True)
while True:
    for letter in b"ab":
        atomic_write(sys.argv[1], bytes([letter]) * 3_000_000)
"""


def test_a_killed_writer_leaves_a_whole_file(tmp_path):
    path = tmp_path / "file"
    for pause in (0.01, 0.03, 0.05, 0.07):
        command = [sys.executable, "-c", WRITER, path]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            writer.stdout.readline()
            while not path.exists():  # on a machine that has other things to do
                time.sleep(0.01)
            time.sleep(0.05 + pause)
            writer.kill()
        content = path.read_bytes()
        assert len(content) == 3_000_000
        assert content == content[:1] * 3_000_000


def temporaries(folder):
    return sorted(path.name for path in folder.iterdir() if path.name.startswith(".chainrule-"))


HELD = """
import sys
from chainrule.io import atomic
atomic._take = lambda *_: print("held", flush=True) or sys.stdin.read()
atomic.atomic_write(sys.argv[1], b"x")
"""


def test_what_a_killed_writer_left_goes_and_what_a_living_one_writes_stays(tmp_path):
    command = [sys.executable, "-c", HELD, tmp_path / "file"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    theirs = [".chainrule-12.tmp", ".file.tmp", ".chainrule-" + "a" * 24 + ".tmp.old"]
    for name in theirs:
        (tmp_path / name).write_text("mine")
    (tmp_path / (".chainrule-" + "b" * 24 + ".tmp")).mkdir()
    with subprocess.Popen(command, **pipes) as dead, subprocess.Popen(command, **pipes) as living:
        for writer in (dead, living):  # both have begun: a later one would sweep too
            writer.stdout.readline()
        dead.kill()
        dead.wait()
        assert len(temporaries(tmp_path)) == 3 + 2
        io.atomic_write(tmp_path / "other", b"x")
        (left,) = (name for name in temporaries(tmp_path) if (tmp_path / name).is_file() and
                   name not in theirs)  # fmt: skip
        assert (tmp_path / left).read_bytes() == b"x"
        living.communicate(b"")
    io.atomic_write(tmp_path / "other", b"y")
    assert all((tmp_path / name).read_text() == "mine" for name in theirs)
    assert not [n for n in temporaries(tmp_path) if (tmp_path / n).is_file() and n not in theirs]


def test_a_full_disk_names_the_file_and_leaves_nothing(tmp_path):
    script = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
from chainrule.io import atomic_write
try:
    atomic_write(sys.argv[1], bytes(1000))
except OSError as error:
    print(error.filename, error.strerror)
"""
    pytest.importorskip("resource")
    path = tmp_path / "file"
    done = subprocess.run(
        [sys.executable, "-c", script, path], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{path} File too large\n"
    assert os.listdir(tmp_path) == []


SCHEMA = io.Record(
    {
        "version": io.Constant(1),
        "name": io.Text(),
        "sizes": io.ListOf(io.Integer(minimum=1, maximum=9), minimum=1),
        "rate": io.Nullable(io.Number(minimum=0)),
        "kind": io.OneOf(("a", "b")),
        "flags": io.MapOf(io.Boolean()),
        "rule": io.Tagged("is", {"x": io.Record({"n": io.Number()}), "y": io.Record({})}),
    }
)
GOOD = {
    "version": 1,
    "name": "n",
    "sizes": [1, 9],
    "rate": 0.5,
    "kind": "a",
    "flags": {"f": True},
    "rule": {"is": "x", "n": 1},
}


def test_a_document_that_fits():
    io.check(GOOD, SCHEMA)
    io.check(GOOD | {"rate": None, "rule": {"is": "y"}, "flags": {}}, SCHEMA)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "version: expected 1, found 2"),
        ({"version": True}, "version"),
        ({"name": 3}, "name: expected a string"),
        ({"sizes": []}, "sizes: expected a list of at least 1"),
        ({"sizes": [1, 2.0]}, r"sizes\[1\]: expected a whole number"),
        ({"sizes": [True]}, r"sizes\[0\]"),
        ({"sizes": [0]}, "at least 1"),
        ({"sizes": [10]}, "at most 9"),
        ({"sizes": {"0": 1}}, "expected a list"),
        ({"rate": -1}, "at least 0"),
        ({"rate": "x"}, "expected a number"),
        ({"rate": True}, "expected a number"),
        ({"rate": float("nan")}, "finite"),
        ({"kind": "c"}, "one of 'a', 'b'"),
        ({"flags": {"f": 1}}, "flags.f: expected true or false"),
        ({"flags": []}, "expected an object"),
        ({"rate": 10**400}, "rate: expected a number, with a decimal point"),
        ({"rate": 2**64}, "rate: expected a number, with a decimal point"),
        ({"name": "a\ud83d"}, "name: expected a string of whole characters"),
        ({"name": [[[[[[[[[[[]]]]]]]]]]]}, "name: expected a string"),
        ({"sizes": [10**4000]}, "at most 9, found 1000"),
        ({"rule": {"is": "z"}}, "rule.is: expected one of"),
        ({"rule": {"is": ["x"]}}, "rule.is"),
        ({"rule": {"is": "y", "n": 1}}, "rule: has unknown 'n'"),
        ({"rule": {"is": "x"}}, "rule: lacks 'n'"),
        ({"rule": []}, "expected an object"),
        ({"more": 1}, "the document: has unknown 'more'"),
    ],
)
def test_a_document_that_does_not_fit(change, message):
    with pytest.raises(DataError, match=message):
        io.check(GOOD | change, SCHEMA)


@given(st.sampled_from(sorted(GOOD)))
def test_every_key_is_needed(key):
    with pytest.raises(DataError, match=f"lacks '{key}'"):
        io.check({k: v for k, v in GOOD.items() if k != key}, SCHEMA)
