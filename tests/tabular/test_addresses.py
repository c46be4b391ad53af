"""Tables at addresses, streamed: the same model as from the folder, and faults that are named."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import Request, urlopen

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import fs, parquet

from chainrule.cli.main import main
from chainrule.errors import DataError, UsageError
from chainrule.tabular import Options, Stream, prepare, read_table
from chainrule.tabular.sources import masked

KEY, SECRET = "AKIAEXAMPLE", "se%2Fcret"
PLAIN = {"Content-Type": "application/octet-stream"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two parts in folders that make a column, whose order differs as text; what is no data."""
    path = tmp_path_factory.mktemp("at") / "my parts"
    rng = np.random.default_rng(0)
    for name in ("day=a", "day=a-b"):
        x = rng.standard_normal((2, 200))
        (path / name).mkdir(parents=True)
        table = pa.table({"a": x[0], "b": x[1], "y": x[0] - x[1] ** 2})
        parquet.write_table(table, path / name / "0.parquet", row_group_size=60)
    for name in ("_SUCCESS", "day=a/.hidden.parquet", "notes.md"):
        (path / name).write_text("no data")
    return path


def copied(folder: Path, system: Any, root: str) -> None:
    for file in folder.rglob("*"):
        if file.is_file():
            to = f"{root}/{file.relative_to(folder)}"
            system.create_dir(os.path.dirname(to))
            with system.open_output_stream(to) as stream:
                stream.write(file.read_bytes())


def copied_to_s3(folder: Path, port: str, root: str) -> None:
    """By requests of our own: pyarrow writes in parts, which some versions of moto refuse."""
    whole = [file for file in folder.rglob("*") if file.is_file()]
    for to, data in [
        (root.partition("/")[0], b""),
        *((f"{root}/{file.relative_to(folder)}", file.read_bytes()) for file in whole),
    ]:
        address = f"http://{port}/{quote(to)}"
        with urlopen(Request(address, data, PLAIN, method="PUT"), timeout=20) as answer:
            assert answer.status == 200


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The port of an S3 server of this machine."""
    pytest.importorskip("moto.server", reason="moto[server] is not installed")
    from moto.server import ThreadedMotoServer  # pyright: ignore

    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    yield f"127.0.0.1:{server.get_host_and_port()[1]}"
    server.stop()


@pytest.fixture(scope="module")
def bucket(folder: Path, s3: str) -> str:
    """The same, with a copy of the folder."""
    copied_to_s3(folder, s3, "bucket/my parts")
    return s3


@pytest.fixture(params=["file", "memory", "s3"])
def address(request: pytest.FixtureRequest, folder: Path) -> Callable[[str], str]:
    """The address of what is in a copy of the folder."""
    if request.param == "file":
        return lambda inside: f"file://{str(folder).replace(' ', '%20')}{inside}"
    if request.param == "memory":
        inner = pytest.importorskip("fsspec", reason="fsspec is not installed")
        system = fs.PyFileSystem(fs.FSSpecHandler(inner.filesystem("memory")))
        copied(folder, system, "/my parts")
        return lambda inside: f"memory://my parts{inside}"
    port = request.getfixturevalue("bucket")
    options = f"scheme=http&endpoint_override={port}"
    return lambda inside: f"s3://{KEY}:{SECRET}@bucket/my%20parts{inside}?{options}"


def trained(path: str | Path, to: Path) -> bytes:
    options = Options(order="streamed", hidden=(4,), epochs=1, batch_size=64)
    prepare(Stream(path), "y", options).fit().save(to)
    return to.read_bytes()


@pytest.fixture(scope="module")
def local(folder: Path) -> bytes:
    """The model file of the folder itself."""
    return trained(folder, folder.parent / "here")


def test_the_model_is_that_of_the_folder(
    folder: Path, local: bytes, address: Callable[[str], str], tmp_path: Path
) -> None:
    here = Stream(folder)
    there = Stream(address(""))
    assert there.names == here.names
    assert there.groups == here.groups
    assert [one.name.partition("my parts/")[2] for one in there.sources] == [
        str(Path(one.name).relative_to(folder)) for one in here.sources
    ]
    assert trained(address("/"), tmp_path / "there") == local
    for glob in ("/*/*.parquet", "/**/0.parquet", "/day=a-[ab]/0.parquet"):
        wanted = [Path(one.name).parent.name for one in Stream(str(folder) + glob).sources]
        found = [Path(one.name).parent.name for one in Stream(address(glob)).sources]
        assert found == wanted, glob
    assert Stream(address("/day=a/0.parquet")).rows == 200


def test_faults_are_named_and_tell_no_secret(address: Callable[[str], str]) -> None:
    for inside, words in (("/none", "no such file, folder"), ("/*/*.csv", "no file is called so")):
        with pytest.raises(DataError, match=words) as caught:
            Stream(address(inside))
        assert not any(word in str(caught.value) for word in (KEY, SECRET, "se/cret"))


def test_a_file_that_changes_is_noticed() -> None:
    inner = pytest.importorskip("fsspec", reason="fsspec is not installed").filesystem("memory")
    system = fs.PyFileSystem(fs.FSSpecHandler(inner))
    for turn in range(2):
        parquet.write_table(pa.table({"a": [1.0 + turn], "y": [2.0]}), "/t/0.pq", filesystem=system)
        if not turn:
            stream = Stream("memory://t")
            assert next(stream.every())["a"].numbers == 1
    with pytest.raises(
        DataError, match=r"0\.pq: changed while it was read"
    ):  # the size is the same
        next(stream.every())
    inner.rm("/t/0.pq")
    with pytest.raises(DataError, match=r"0\.pq: changed while it was read"):
        next(stream.every())


def test_commands(s3: str, folder: Path, tmp_path: Path, capsys: Any, monkeypatch: Any) -> None:
    """train, predict and evaluate; the model goes to the current folder."""
    monkeypatch.chdir(tmp_path)
    copied_to_s3(folder, s3, "shop/parts")
    data = f"s3://k:s3cret@shop/parts?scheme=http&endpoint_override={s3}"
    few = ["--epochs", "1", "--hidden", "4", "--target", "y"]
    assert main(["train", data, *few, "--memory", "1GB"]) == 0
    assert os.listdir() == ["parts.safetensors"]
    assert b"s3cret" not in Path("parts.safetensors").read_bytes()
    for out, place in (("there.csv", data), ("here.csv", str(folder))):
        assert main(["predict", "parts.safetensors", place, "--memory", "1GB", "--quiet",
                     "--out", out]) == 0  # fmt: skip
    assert Path("there.csv").read_bytes() == Path("here.csv").read_bytes()
    capsys.readouterr()
    assert main(["evaluate", "parts.safetensors", data, "--memory", "1GB", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["data"] == "s3://shop/parts"
    assert main(["train", data, *few]) == 2
    said = capsys.readouterr()
    assert "--memory 1GB" in said.err
    assert "s3cret" not in said.out + said.err


def test_servers_that_refuse_or_are_not_there(s3: str) -> None:
    at = f"?scheme=http&endpoint_override={s3}"
    with pytest.raises(DataError, match=r"s3://nobucket/x: there is no bucket nobucket; check"):
        Stream(f"s3://k:s3cret@nobucket/x{at}")
    with pytest.raises(
        UsageError, match=r"s3://b/x: is no address that can be used .*query"
    ) as caught:
        Stream(f"s3://k:s3cret@b/x{at}&what=1")
    assert "s3cret" not in str(caught.value)


def test_what_may_not_be_read(s3: str, folder: Path) -> None:

    def asked_after(requests: bytes) -> None:
        """From then on moto looks at signatures."""
        header = {"Content-Type": "text/plain"}
        urlopen(Request(f"http://{s3}/moto-api/reset-auth", requests, header)).close()

    at = f"s3://k:s3cret@kept/parts?scheme=http&endpoint_override={s3}"
    copied_to_s3(folder, s3, "kept/parts")
    stream = Stream(at)
    asked_after(b"0")
    try:
        for read in (lambda: Stream(at), lambda: next(stream.every())):
            with pytest.raises(DataError, match=r"s3://kept/parts.*give credentials") as caught:
                read()
            assert "s3cret" not in str(caught.value)
    finally:
        asked_after(b"inf")


def test_a_server_that_goes_away(s3: str, folder: Path) -> None:
    from moto.server import ThreadedMotoServer  # pyright: ignore

    other = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    other.start()
    port = f"127.0.0.1:{other.get_host_and_port()[1]}"
    copied_to_s3(folder, port, "gone/parts")
    stream = Stream(f"s3://k:s3cret@gone/parts?scheme=http&endpoint_override={port}")
    other.stop()
    with pytest.raises(DataError, match=r"s3://gone/.*0\.parquet: cannot be .*check the network"):
        next(stream.every())


def test_schemes_that_no_one_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="needle://b/x: neither pyarrow nor fsspec knows needle"):
        Stream("needle://k:s3cret@b/x")
    monkeypatch.setitem(__import__("sys").modules, "fsspec.core", None)
    with pytest.raises(UsageError, match=r"fsspec, which may, is not there; .*pip install fsspec"):
        Stream("needle://b/x")
    with pytest.raises(UsageError, match=r"s3://b/a\.csv: is an address .*fetch it first") as told:
        read_table("s3://k:s3cret@b/a.csv?region=x")
    assert "s3cret" not in str(told.value)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("s3://key:se/cr+et@b/a@b?x=1", "s3://b/a@b"),
        ("s3://anonymous@b/x", "s3://b/x"),
        ("hdfs://host:8020/user/a@b", "hdfs://host:8020/user/a@b"),
        ("hdfs://me@host:8020/x", "hdfs://host:8020/x"),
        ("cannot read s3://k:s@b/x and more", "cannot read s3://b/x and more"),
        ("folder/a?.csv", "folder/a?.csv"),
    ],
)
def test_masked(address: str, shown: str) -> None:
    assert masked(address) == shown
