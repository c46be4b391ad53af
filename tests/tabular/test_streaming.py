"""Streamed tables: what one pass learns, the same model as in memory, faults of the files."""

from __future__ import annotations

import dataclasses
import gzip
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv, ipc, parquet

from chainrule.errors import DataError, UsageError
from chainrule.tabular import (
    Format,
    Options,
    Stream,
    blocks,
    prepare,
    read_table,
    stream_csv,
    streaming,
)
from chainrule.tabular.coding import learn_coding
from chainrule.tabular.columns import decide
from chainrule.tabular.frames import table_of
from chainrule.tabular.kept import Coded, Kept, spill_folder
from chainrule.tabular.rules import Dropped
from chainrule.tabular.scanning import scan
from chainrule.tabular.streaming import PARTS, Coder, StreamedPlan, _kept
from chainrule.tabular.summary import KEPT, Summary
from tests.helpers.streams import same_in_pieces

FILES, ROWS, GROUP = 3, 700, 150


def cells(rows: int, seed: int, start: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, 2))
    kind = rng.choice(["a", "b", "c", "d"], rows, p=[0.4, 0.4, 0.19, 0.01])
    gone = rng.random(rows) < 0.1
    day = np.datetime64("2024-01-01") + rng.integers(0, 500, rows)
    y = x[:, 0] - (kind == "a") + 0.2 * rng.standard_normal(rows)
    return {
        "id": np.arange(start, start + rows),
        "x": x[:, 0].astype(np.float32),
        "z": pa.array(x[:, 1], mask=gone),
        "copy": x[:, 0].astype(np.float32),
        "kind": kind,
        "flag": rng.choice([True, False], rows),
        "day": day,
        "note": [f"n{k}" for k in rng.permutation(rows)],
        "w": rng.choice([0.0, 0.5, 1, 2], rows),
        "y": pa.array(y, mask=rng.random(rows) < 0.02),
        "grade": np.digitize(y, [-1.0, 0.5]),
        "two": np.where(y > 0, "yes", "no"),
    }  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("parts")
    for k in range(FILES):
        table = pa.table(cells(ROWS + 20 * k, k, k * (ROWS + 20)))
        parquet.write_table(table, path / f"part-{k}.parquet", row_group_size=GROUP)
    return path


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CSV files, one of them packed, with numbers in other dress, codes and broken lines."""
    path = tmp_path_factory.mktemp("text")
    for k in range(FILES):
        found, rng = cells(ROWS, k, k * ROWS), np.random.default_rng(k)
        more = {
            "price": [f"${v:,.2f}" for v in rng.lognormal(6, 2, ROWS)],
            "zip": [f"{v:05d}" for v in rng.integers(1 if k else 10_000, 10_008, ROWS)],
            "said": [f'{v}, "so"\nand on' for v in rng.integers(0, 5, ROWS)],
            "late": [*["7"] * (ROWS - 1), "unknown" if k == 2 else "8"],
        }
        out = pa.BufferOutputStream()
        csv.write_csv(pa.table(found | more), out)
        data = out.getvalue().to_pybytes()
        (path / f"part-{k}.csv.gz").write_bytes(gzip.compress(data)) if k == 1 else (
            path / f"part-{k}.csv"
        ).write_bytes(data)
    return path


def plan_of(path: Path, target: str, kept: Any = Kept, **options: Any) -> StreamedPlan:
    """``kept`` makes what holds coded rows: of memory, of a file, or None, which reads again."""
    targets = {"y", "grade", "two"} - {target}
    drop = (*targets, *([] if "weight" in options else ["w"]))
    given = {"hidden": (6,), "epochs": 3, "batch_size": 32, "drop": drop, **options}
    plan = prepare(Stream(path), target, Options(order="streamed", **given))
    assert isinstance(plan, StreamedPlan)
    return dataclasses.replace(plan, coder=dataclasses.replace(plan.coder, kept=kept and kept()))


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK", 2**14)
    monkeypatch.setattr(Coder, "block", 60)


def trained(plan: StreamedPlan, path: Path, **running: Any) -> bytes:
    plan.fit(**running).save(path)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("kind", "target", "options"),
    [
        ("folder", "y", {"weight": "w"}),
        ("folder", "two", {"class_weight": "balanced", "dropout": 0.2}),
        ("folder", "grade", {"hidden": None, "epochs": 2, "ensemble": 2}),
        ("text", "price", {"category": ("late",)}),
    ],
)
def test_streamed_and_in_memory_write_the_same_file(
    request: Any, small_blocks: None, tmp_path: Path, kind: str, target: str, options: Any
) -> None:
    folder = request.getfixturevalue(kind)
    inside = trained(plan_of(folder, target, **options), tmp_path / "inside")
    for kept in (None, lambda: Kept(tmp_path)):
        again = plan_of(folder, target, kept, **options)
        assert trained(again, tmp_path / "streamed") == inside


def test_where_the_file_of_coded_rows_finds_no_room_the_rest_is_read_again(
    folder: Path, tmp_path: Path
) -> None:
    resource = pytest.importorskip("resource")
    inside = trained(plan_of(folder, "y", epochs=2), tmp_path / "inside")
    (tmp_path / "rows").mkdir()
    plan = plan_of(folder, "y", lambda: Kept(tmp_path / "rows"), epochs=2)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**15, limits[1]))
        model = plan.fit()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    model.save(tmp_path / "m")
    assert (tmp_path / "m").read_bytes() == inside
    assert plan.coder.kept is not None
    assert 0 < len(plan.coder.kept.known) < sum(map(len, plan.coder.stream.groups))
    assert not [*(tmp_path / "rows").iterdir()]


def test_what_does_not_fit_the_memory_is_kept_in_a_file_if_it_is_wanted_again(folder: Path) -> None:
    small, options = Stream(folder, memory="470MB"), Options(epochs=2, ensemble=1)
    inside, file = _kept(small, 5, options), _kept(small, 10**6, options)
    assert inside is not None
    assert inside.folder is None
    assert file is not None
    assert file.folder == spill_folder()
    assert file.folder is not None
    assert _kept(small, 10**6, dataclasses.replace(options, epochs=1)) is None


def test_rows_in_the_file_take_no_memory(tmp_path: Path) -> None:
    kept, rows = Kept(tmp_path), 4096
    tracemalloc.start()
    for place in range(8):
        x, part = np.zeros((rows, 16), np.float32), np.zeros(rows, np.int8)
        one = Coded(x, x[:, 0], None, part, part.astype(np.int64))
        kept.keep((0, place), [kept.written(one)])
        del x, part, one
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 4 * rows * 16, f"{held} bytes are held of pieces of {4 * rows * 16}"


def test_words_that_make_many_inputs_thin_the_sample(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is of so many numbers, not cells; the rows that stay are of the whole table."""
    found: list[Any] = []
    monkeypatch.setattr(streaming, "scan", lambda *given: found.append(scan(*given)) or found[0])
    plan = plan_of(folder, "y")
    whole = np.concatenate([one.x for one in plan.parts.values()])
    monkeypatch.setattr(streaming, "FEWEST", 10)
    monkeypatch.setattr(streaming, "NUMBERS", 500 * len(plan.coding.inputs()))
    parts, folds = streaming._sampled(plan.coder, found[0])
    some = np.concatenate([one.x for one in parts.values()])
    assert len(some) == 500 < len(whole)
    assert len(folds) == len(parts["train"].x)
    assert {row.tobytes() for row in some} <= {row.tobytes() for row in whole}
    np.testing.assert_allclose(some.mean(axis=0), whole.mean(axis=0), atol=0.15)


@pytest.mark.parametrize(("kind", "weight"), [("folder", None), ("folder", "w"), ("text", "w")])
def test_one_pass_learns_what_all_rows_at_once_teach(
    request: Any, small_blocks: None, kind: str, weight: str | None
) -> None:
    """``learn_coding`` and ``decide`` on the whole table are the reference."""
    folder = request.getfixturevalue(kind)
    plan = plan_of(folder, "y", weight=weight) if weight else plan_of(folder, "y")
    table, uses = read_table(folder), plan.coder.uses
    places = [(g, p) for g, group in enumerate(plan.coder.stream.groups) for p in range(len(group))]
    sizes = [plan.coder.stream.groups[g][p] for g, p in places]
    part = np.concatenate([uses.of(at, n)[0] for at, n in zip(places, sizes, strict=True)])
    rows = np.flatnonzero((part == 0) & ~table["y"].missing)
    weights = None if weight is None else table[weight].numbers[rows]  # type: ignore[index]
    names = [n for n in table.names() if n not in ("y", "grade", "two", "w")]
    expected = learn_coding(table, decide(table, names), rows, weights)
    found = {rule.name: rule for rule in plan.coding.rules}
    assert {"id", "copy", "note"} <= {r.name for r in plan.coding.rules if isinstance(r, Dropped)}
    for rule in expected.rules:
        mine = found[rule.name]
        assert type(mine) is type(rule)
        for name, value in vars(rule).items():
            if isinstance(value, float) or (value and isinstance(value, tuple) and isinstance(
                value[0], float)):  # fmt: skip
                np.testing.assert_allclose(getattr(mine, name), value, rtol=1e-12, atol=1e-15)
            else:
                assert getattr(mine, name) == value, (rule.name, name)
    assert plan.rows == {
        name: int(((part == k) & ~table["y"].missing).sum()) for k, name in enumerate(PARTS)
    }
    assert plan.table.reading() == table.reading()
    assert len(places) > FILES
    y = table["y"].numbers[rows]  # type: ignore[index]
    np.testing.assert_allclose(plan.target.center, np.average(y, weights=weights), rtol=1e-12)


def test_the_sketch_is_within_its_stated_error() -> None:
    rng = np.random.default_rng(1)
    for values in (rng.standard_normal(300_000), np.sort(rng.lognormal(0, 3, 300_000))):
        pieces = np.array_split(values, 32)
        format = read_table.__globals__["Format"]()

        def summary(lo: int, hi: int, pieces: Any = pieces) -> Summary:
            if hi - lo == 1:
                (column,) = table_of({"x": pieces[lo]}).columns
                every = np.ones(len(pieces[lo]), bool)
                return Summary.of(column, every, None, False)
            middle = (lo + hi) // 2
            return summary(lo, middle) + summary(middle, hi)

        found = summary(0, 32)
        column, rows, _ = found.trained(found.column("x", format))
        ranks = np.cumsum(column.counts(rows))  # type: ignore[arg-type]
        assert ranks[-1] == len(values)
        x = column.numbers[rows]  # type: ignore[index]
        assert (x[0], x[-1]) == (values.min(), values.max())
        true = np.searchsorted(np.sort(values), x, side="right")
        assert np.max(np.abs(true - ranks)) / len(values) <= 6 / KEPT
        mean, deviation = column.whole.moments  # type: ignore[union-attr, misc]
        np.testing.assert_allclose([mean, deviation], [values.mean(), values.std()], rtol=1e-12)


def test_goes_on_from_a_checkpoint_to_the_same_file(folder: Path, tmp_path: Path) -> None:
    whole = trained(plan_of(folder, "y"), tmp_path / "whole")
    seen: list[int] = []

    def stop(event: Any) -> None:
        seen.append(event.epoch)
        if event.epoch == 2:
            raise KeyboardInterrupt

    plan_of(folder, "y", kept=None).fit(stop, checkpoint=tmp_path / "kept")
    assert seen == [1, 2]
    kept = tmp_path / "kept"
    ours = trained(plan_of(folder, "y", kept=None), tmp_path / "m", checkpoint=kept, resume=True)
    assert ours == whole


def damaged(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[200:2000] = bytes(1800)
    path.write_bytes(data)


def other_type(path: Path) -> None:
    table = pa.table(cells(ROWS, 9))
    table = table.set_column(1, "x", pa.array(["word"] * ROWS))
    parquet.write_table(table, path)


def lacking(path: Path) -> None:
    parquet.write_table(pa.table(cells(ROWS, 9)).drop_columns(["kind"]), path)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (damaged, r"part-1.parquet: row group 0 cannot be read as Parquet"),
        (other_type, r"part-1.parquet: column 'x' has type string, and type float in .*part-0"),
        (lacking, r"part-1.parquet: its columns are .* files of one table have the same"),
        (lambda path: path.write_bytes(b""), r"part-1.parquet: is empty"),
        (lambda path: path.write_bytes(path.read_bytes()[:900]), "part-1.parquet: cannot be read"),
    ],
)
def test_faults_of_files_are_named(
    folder: Path, tmp_path: Path, fault: Callable[[Path], Any], words: str
) -> None:
    for file in folder.iterdir():
        os.link(file, tmp_path / file.name)
    victim = tmp_path / "part-1.parquet"
    data = victim.read_bytes()
    victim.unlink()
    victim.write_bytes(data)
    fault(victim)
    with pytest.raises(DataError, match=words):
        plan_of(tmp_path, "y")


@pytest.mark.filterwarnings("error")
def test_an_infinity_is_named_by_file_and_row_unless_its_column_is_left_out(tmp_path: Path) -> None:
    for k in range(2):
        table = cells(600, k)
        table["x"][500] = np.inf if k else 0.0
        parquet.write_table(pa.table(table), tmp_path / f"{k}.parquet", row_group_size=300)
    with pytest.raises(DataError, match=r"1\.parquet:row 501:x: 'inf' is .* among 300 rows\)"):
        plan_of(tmp_path, "y")
    assert plan_of(tmp_path, "y", drop=("x",)).coding.places()


def test_files_that_change_or_go_between_epochs(folder: Path, tmp_path: Path) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    victim = tmp_path / "part-2.parquet"
    kept = victim.read_bytes()

    def changed(event: Any) -> None:
        parquet.write_table(pa.table(cells(ROWS, 7)), victim, row_group_size=GROUP)

    with pytest.raises(DataError, match=r"part-2\.parquet: changed while it was read"):
        plan_of(tmp_path, "y", kept=None, epochs=9).fit(changed)
    victim.write_bytes(kept)
    with pytest.raises((FileNotFoundError, DataError), match=r"part-2\.parquet"):
        plan_of(tmp_path, "y", kept=None, epochs=9).fit(lambda _: victim.unlink(missing_ok=True))


def test_arrow_files_too(tmp_path: Path) -> None:
    for k in range(2):
        table = pa.table(cells(ROWS, k))
        with ipc.new_file(tmp_path / f"{k}.arrow", table.schema) as writer:
            writer.write_table(table, max_chunksize=GROUP)
    plan = plan_of(tmp_path, "y", kept=None)
    assert len(plan.coder.stream.groups) == 2 * -(-ROWS // GROUP)
    assert plan.fit().scores.of("R2", "test") is not None


@pytest.mark.parametrize("months", [("01", "12"), ("1", "spring"), ("1", "2")])
def test_what_folders_name_has_one_type(tmp_path: Path, months: tuple[str, str]) -> None:
    """Each piece alone might take ``12`` for a number; ``read_table`` sees all."""
    for k, month in enumerate(months):
        (tmp_path / f"month={month}").mkdir()
        parquet.write_table(pa.table(cells(ROWS, k)), tmp_path / f"month={month}" / "0.parquet")
    whole = read_table(tmp_path)["month"]
    pieces = [table["month"] for table in Stream(tmp_path).every(["month"])]
    assert [
        words[code] for codes, words in (piece.codes for piece in pieces) for code in codes
    ] == [whole.codes[1][code] for code in whole.codes[0]]
    if whole.numbers is None:
        assert all(piece.numbers is None for piece in pieces)
    else:
        found: list[Any] = [piece.numbers for piece in pieces]
        np.testing.assert_array_equal(np.concatenate(found), whole.numbers)
    kinds = {rule.name: type(rule) for rule in plan_of(tmp_path, "y").coding.rules}
    assert (
        kinds["month"]
        is {
            rule.name: type(rule)
            for rule in prepare(
                read_table(tmp_path), "y", Options(drop=("grade", "two", "w"))
            ).coding.rules
        }["month"]
    )


def test_what_cannot_be_streamed_is_said(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="is a folder without tables"):
        Stream(tmp_path / "empty")
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n')
    with pytest.raises(
        UsageError, match=r"a\.jsonl: is JSON lines, and .* write it as Parquet, or leave out"
    ):
        Stream(tmp_path / "a.jsonl")
    none = tmp_path / "none.parquet"
    parquet.write_table(pa.table(cells(0, 0)), none)
    with pytest.raises(DataError, match="has columns but no rows"):
        Stream(none)
    with pytest.raises(UsageError, match="memory='much': expected a size such as 800MB or 1GB"):
        Stream(folder, memory="much")
    with pytest.raises(UsageError, match="memory='100MB': is too little; '465MB' are needed"):
        prepare(Stream(folder, memory="100MB"), "y")
    with pytest.raises(UsageError, match="order='streamed': is of files"):
        prepare(read_table(folder), "y", Options(order="streamed"))


LATE = {
    "a soft word": ("n/d", "none"),
    "a word": ("many", "few"),
    "no dress": ("5", "6.5"),
    "another unit": ("€5", "€6"),
    "a code": ("0005", "0006"),
}


@pytest.mark.parametrize("late", LATE.values(), ids=LATE)
@pytest.mark.parametrize("dress", ["${:,.2f}", "{}", "{:.1f}"])
def test_more_words_than_are_kept_are_read_as_all_of_them_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dress: str, late: tuple[str, ...]
) -> None:
    monkeypatch.setattr(stream_csv, "MOST", 100)
    words = [dress.format(k * 37) for k in range(1, 400)]
    lines = [f'"{word}",{k % 7}' for k, word in enumerate([*words, *late, *words[:50]])]
    (tmp_path / "a.csv").write_text("\n".join(["v,other", *lines]))
    whole = read_table(tmp_path / "a.csv")
    assert same_in_pieces(tmp_path / "a.csv", whole, size=500) > 9


def test_packed_and_other_encodings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [f"{k};{'é' if k % 3 else 'ü'};{k},5" for k in range(300)]
    text = "\n".join(["# made", "id;word;v", *rows[:150], "# more", "", *rows[150:]])
    for name, data, encoding in (
        ("a.csv", text.encode(), None),
        ("bom.csv", b"\xef\xbb\xbf" + text.encode(), None),
        ("crlf.csv", text.replace("\n", "\r\n").encode(), None),
        ("a.csv.gz", gzip.compress(text.encode()), None),
        ("latin.csv", text.encode("latin-1"), "latin-1"),
    ):
        (tmp_path / name).write_bytes(data)
        form = Format(encoding=encoding)
        whole = read_table(tmp_path / name, form)
        assert same_in_pieces(tmp_path / name, whole, form, size=200) > 5
        monkeypatch.setattr(blocks, "BLOCK", 200)
        alone = name in ("a.csv", "bom.csv", "crlf.csv")
        assert (len(Stream(tmp_path / name, form).groups) > 5) == alone


def test_lines_of_other_width_are_named_before_training(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n" + "1,2\n" * 50 + "1,2,3\n")
    with pytest.raises(DataError, match=r"a\.csv:52: found 3 cells, expected 2"):
        Stream(tmp_path / "a.csv")
    (tmp_path / "b.csv").write_text("a,c\n1,2\n")
    with pytest.raises(DataError, match=r"b\.csv: lacks \"b\" and adds \"c\", other than .*a\.csv"):
        Stream(tmp_path)
