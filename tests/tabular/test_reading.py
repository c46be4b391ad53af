"""CSV and Parquet as tables: traps of real files, and every kind of bad file by its message."""

import datetime
import json
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chainrule.errors import DataError, ShapeError, UsageError
from chainrule.tabular import Format, read_table, table_of
from chainrule.tabular.words import MISSING

PLAIN = "a,b,c\n1,x,2.5\n2,y,\n3,x,-1e-3\n"


def read(tmp_path, content, **format):
    path = tmp_path / "data.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_table(path, Format(**format))


def words(table, name):
    codes, known = table[name].codes
    return ["" if code < 0 else known[code] for code in codes]


def test_a_plain_file(tmp_path):
    table = read(tmp_path, PLAIN)
    assert table.names() == ["a", "b", "c"]
    assert table.rows == 3
    assert table["a"].numbers.tolist() == [1, 2, 3]
    assert words(table, "b") == ["x", "y", "x"]
    assert table["b"].numbers is None
    assert table["c"].missing.tolist() == [False, True, False]
    assert table["c"].numbers[2] == -1e-3
    assert words(table, "a") == ["1", "2", "3"]
    assert table.where(1, "c").endswith("data.csv:3:c")
    assert table.fingerprint.rows == 3
    assert len(table.fingerprint.sha256) == 64


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_separators_are_found(tmp_path, separator):
    text = PLAIN.replace(",", separator)
    assert read(tmp_path, text)["c"].numbers[0] == 2.5
    assert read(tmp_path, text, delimiter=separator)["c"].numbers[0] == 2.5


def test_separators_that_mislead(tmp_path):
    # decimal commas between semicolons; commas within a quoted name; semicolons in text
    assert read(tmp_path, "a;b\n1,5;2,5\n1;2\n").names() == ["a", "b"]
    assert read(tmp_path, '"a, or";b\n1;2\n').names() == ["a, or", "b"]
    assert read(tmp_path, "id,text\n1,a;b;c\n2,d\n").names() == ["id", "text"]
    assert read(tmp_path, "only\n1\n2\n").names() == ["only"]
    assert read(tmp_path, "a^b\n1^2\n", delimiter="^").names() == ["a", "b"]


def test_quotes(tmp_path):
    table = read(tmp_path, 'n,text\n1,"a, ""b"""\n2,"two\nlines"\n3,end\n')
    assert words(table, "text") == ['a, "b"', "two\nlines", "end"]
    assert table.where(2, "text").endswith(":5:text")  # the third row is on the fifth line
    long = "x" * 200_000
    assert words(read(tmp_path, f'n,t\n1,"{long}"\n'), "t") == [long]


def test_line_ends_and_blank_lines(tmp_path):
    for end in ("\n", "\r\n", "\r"):
        table = read(tmp_path, PLAIN.replace("\n", end) + end + end)
        assert table.rows == 3
    table = read(tmp_path, "a,b\n\n1,2\n\n\n3,4")
    assert table.rows == 2
    assert table.where(1, "a").endswith(":6:a")


def test_missing_words_and_spaces(tmp_path):
    cells = ["", " ", "?", " ?", "NA", "N/A", "NaN", "nan", "null", "NULL", '""', '" "']
    table = read(tmp_path, "a,b\n" + "".join(f"{cell},1\n" for cell in cells) + " 7 ,1\n")
    assert table["a"].missing.tolist() == [True] * len(cells) + [False]
    assert table["a"].numbers[-1] == 7
    assert read(tmp_path, "a,b\n-1,x\n-,y\n", missing=("-",))["a"].numbers[0] == -1
    # Words that may be categories are missing among numbers only.
    assert words(read(tmp_path, "a,b\nNone,x\n-,y\n"), "a") == ["None", "-"]
    assert read(tmp_path, "a,b\nNone,x\n-,y\n2,z\n")["a"].missing.tolist() == [True, True, False]
    only = read(tmp_path, "a,b\nNA,x\n,y\n-9,z\n", missing_only=True, missing=("-9",))
    assert words(only, "a") == ["NA", "", ""]


def test_headers(tmp_path):
    assert read(tmp_path, ',"b c" , d\n1,2,3\n').names() == ["c1", "b c", "d"]
    assert read(tmp_path, "1,x\n2,y\n", header=False).names() == ["c1", "c2"]
    assert read(tmp_path, "1,x\n2,y\n", header=False).rows == 2
    assert "header=False" in read(tmp_path, "1,x\n2,y\n").notes[0]
    assert read(tmp_path, PLAIN).notes == ()


def test_columns_by_place(tmp_path):
    table = read(tmp_path, "a,2,c\n1,2,3\n")
    assert [table.choose(name, "target") for name in ("a", "1", "-1", "2")] == [
        "a",
        "a",
        "c",
        "2",
    ]
    for wrong in ("0", "4", "-4", "z", "1.5"):
        with pytest.raises(UsageError, match=rf"target='{wrong}': .*no such column"):
            table.choose(wrong, "target")


def test_encodings(tmp_path):
    text = "name,n\nnaïve,1\nß,2\n"
    assert words(read(tmp_path, b"\xef\xbb\xbf" + text.encode()), "name")[0] == "naïve"
    assert words(read(tmp_path, text.encode("latin-1"), encoding="latin-1"), "name")[1] == "ß"
    assert words(read(tmp_path, text.encode("utf-16"), encoding="utf-16"), "name")[1] == "ß"


NUMBERS = ["1", "-1", "+1", "1.", ".5", "-0.5e-3", "1E5", "1e-400"]
WORDS = ["1_0", "0x10", "1,000", "1e", "e5", "--1", "1 0", "①", "1.0.0", ".", "+", "½"]


@pytest.mark.parametrize("word", NUMBERS)
def test_numbers(tmp_path, word):
    assert read(tmp_path, f"a;b\n{word};1\n")["a"].numbers[0] == float(word)


@pytest.mark.parametrize("word", WORDS)
def test_words_that_are_no_numbers(tmp_path, word):
    assert read(tmp_path, f"a;b\n{word};1\n")["a"].numbers is None


def test_all_rows_are_looked_at(tmp_path):
    rows = "".join(f"{i},{i}\n" for i in range(70_000))
    table = read(tmp_path, "a,b\n" + rows + "end,1\n")
    assert table["a"].numbers is None
    assert table["a"].obstacle == (70_000, 1)
    assert table["b"].numbers is not None


@pytest.mark.parametrize(
    ("content", "format", "message"),
    [
        ("", {}, r"data\.csv: is empty"),
        (" \n\n", {}, r"data\.csv: is empty"),
        (b"\xef\xbb\xbf", {}, "is empty"),
        ("a,b\n", {}, "header but no rows"),
        ("a,b,a\n1,2,3\n", {}, r"data\.csv:1: columns 1 and 3 are both called 'a'"),
        ("c2,\n1,2\n", {}, "both called 'c2'"),
        ("a,b\n1,2\n3\n4,5\n", {}, r"data\.csv:3: found 1 cells, expected 2 as in the header"),
        ("a,b\n\n1,2\n3,4,5\n", {}, r"data\.csv:4: found 3 cells, expected 2"),
        ("1,2\n3\n", {"header": False}, r"data\.csv:2: found 1 cells, .* the first line"),
        ('a,b\n"x\ny",2\n3\n', {}, r"data\.csv:4: found 1"),
        ('a,b\n1,x\n2,"y\n3,z\n', {}, r'data\.csv:3: a cell begins with "'),
        ('a,b\n1,"x\n2,y\n3,"z\n', {}, r"data\.csv:2: a cell begins"),
        ('a,b\n1,x\n2,"y', {}, r'data\.csv:3: a cell begins with "'),
        ('a,b\n1,x\n2,"y\n', {}, r'data\.csv:3: a cell begins with "'),
        ("n\nß".encode("latin-1"), {}, r"data\.csv:2: byte 0xdf at offset 2 is not UTF-8.*latin-1"),
        ("a\n☃".encode(), {"encoding": "ascii"}, r"data\.csv:2: byte 0xe2 .* not ASCII"),
        ("a\n1\n".encode("utf-16"), {}, "encoding='utf-16'"),
        ("a,b\n1,\0\n", {}, r"data\.csv:2: holds a zero byte"),
        (b"\x1f\x8b\x08", {}, "damaged or cut short"),
        (b"PAR1 no parquet", {}, "cannot be read as Parquet"),
    ],
)
def test_bad_files(tmp_path, content, format, message):
    with pytest.raises(DataError, match=message):
        read(tmp_path, content, **format)


def test_bad_arguments(tmp_path):
    with pytest.raises(UsageError, match="encoding='klingon'"):
        read(tmp_path, PLAIN, encoding="klingon")
    with pytest.raises(UsageError, match="one character"):
        read(tmp_path, PLAIN, delimiter=", ")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="folder without tables"):
        read_table(tmp_path / "empty")
    with pytest.raises(FileNotFoundError):
        read_table(tmp_path / "none.csv")


def parquet(tmp_path, columns):
    path = tmp_path / "data.parquet"
    pa.parquet.write_table(pa.table(columns), path)
    return read_table(path)


def test_parquet_types(tmp_path):
    day = datetime.date(2024, 2, 29)
    moment = datetime.datetime(2024, 2, 29, 12, 30, tzinfo=datetime.UTC)
    table = parquet(
        tmp_path,
        {
            "int": pa.array([1, None], pa.int8()),
            "float": pa.array([1.5, np.nan], pa.float32()),
            "decimal": pa.array([1, 2], pa.decimal128(5, 2)),
            "bool": [True, False],
            "text": ["12", " ? "],
            "coded": pa.array(["x", "y"]).dictionary_encode(),
            "date": [day, None],
            "moment": [moment, moment],
            "nothing": pa.nulls(2),
            "list": [[1], [2]],
        },
    )
    assert table["int"].numbers[0] == 1
    assert words(table, "int") == ["1", ""]
    assert table["float"].missing.tolist() == [False, True]
    assert table["decimal"].numbers.tolist() == [1, 2]
    assert words(table, "bool") == ["true", "false"]
    assert table["text"].numbers is None  # Parquet's own types hold
    assert words(table, "text") == ["12", ""]
    assert words(table, "coded") == ["x", "y"]
    assert words(table, "date") == ["2024-02-29", ""]
    assert words(table, "moment")[0].startswith("2024-02-29T12:30:00")
    assert table["nothing"].missing.all()
    assert "list" in table["list"].unsupported
    assert table.where(1, "int").endswith("data.parquet:row 2:int")


def test_bad_parquet(tmp_path):
    with pytest.raises(DataError, match="no rows"):
        parquet(tmp_path, {"a": pa.array([], pa.int64())})
    whole = (tmp_path / "data.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"cut\.parquet: cannot be read"):
        read_table(tmp_path / "cut.parquet")


CELL = st.text(
    st.characters(codec="utf-8", exclude_characters="\0\r", exclude_categories=["Cs"]), max_size=8
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(CELL, st.floats(allow_nan=False, allow_infinity=False)), min_size=1),
    separator=st.sampled_from(",;\t|"),
)
def test_any_cells_survive(tmp_path, rows, separator):
    quoted = [(f'"{text.replace(chr(34), chr(34) * 2)}"', repr(x)) for text, x in rows]
    content = "\n".join(separator.join(row) for row in [("text", "x"), *quoted]) + "\n"
    table = read(tmp_path, content, delimiter=separator)
    assert table["x"].numbers.tolist() == [x for _, x in rows]
    expected = [text.strip() for text, _ in rows]
    known = table["text"].missing
    for cell, found, gone in zip(expected, words(table, "text"), known, strict=True):
        assert found == ("" if gone else cell)
        assert gone == (cell in MISSING)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.binary(max_size=60),
        st.text(st.sampled_from('ab1,;\t\n\r" .?'), max_size=60).map(str.encode),
        st.binary(max_size=30).map(b"PAR1".__add__),
    )
)
def test_any_bytes_are_a_table_or_refused(tmp_path, content):
    try:
        table = read(tmp_path, content)
    except DataError:
        return
    assert table.rows >= 1
    assert len(set(table.names())) == len(table.columns)
    for column in table.columns:
        assert len(column.missing) == len(column.codes[0]) == table.rows
        assert table.where(table.rows - 1, column.name)


def test_tables_from_arrays():
    table = table_of(
        {
            "n": [1, 2.5, np.nan],
            "t": np.array(["x", None, " ? "], dtype=object),
            "b": [True, False, True],
            "d": np.array(["2024-01-01", "NaT", "2024-01-03"], dtype="datetime64[D]"),
        }
    )
    assert words(table, "n") == ["1", "2.5", ""]
    assert words(table, "t") == ["x", "", ""]
    assert words(table, "b") == ["true", "false", "true"]
    assert words(table, "d") == ["2024-01-01", "", "2024-01-03"]
    assert table.where(1, "t") == "table:row 2:t"
    with pytest.raises(ShapeError, match="different lengths"):
        table_of({"a": [1], "b": [1, 2]})
    with pytest.raises(DataError, match=r"has no column 'z'.*\"n\", \"t\""):
        table["z"]
    assert json.dumps(table.fingerprint.sha256) != json.dumps(
        table_of({"n": [1, 2.5, 3]}).fingerprint.sha256
    )


def test_reading_does_not_import_pandas(tmp_path):
    """As pyarrow does for most ways to NumPy, which takes longer than small tables do."""
    pytest.importorskip("pandas")
    (tmp_path / "t.csv").write_text("v,w,z\n1.5,a,01\n,b,2\n")
    pa.parquet.write_table(pa.table({"v": [1, None], "w": ["a", "b"]}), tmp_path / "t.parquet")
    program = (
        "import sys; from chainrule.tabular import read_table\n"
        "for path in sys.argv[1:]: read_table(path)['w'].codes\n"
        "sys.exit('pandas' in sys.modules)"
    )
    command = [sys.executable, "-c", program, tmp_path / "t.csv", tmp_path / "t.parquet"]
    assert subprocess.run(command, check=False).returncode == 0
