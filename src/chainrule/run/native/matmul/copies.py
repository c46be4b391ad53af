"""Copying parts of matrices, for products: rows of numbers, or columns that become rows.

What copies is a function that all products of a program share.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

from chainrule.run.native.numbers.ir import Builder

Helper = Callable[[str, str], object]
"""Takes the name and the text of a function that is called."""


def copy_rows(
    b: Builder, helper: Helper, type: str, lanes: int, source: str, stride: int, target: str,
    width: int, columns: int, rows: int,
) -> None:  # fmt: skip
    """``target[i, j] = source[i, j]`` for ``rows`` i and ``columns`` j.

    Rows of the source are ``stride`` apart, of the target ``width``; up to there, but not beyond
    a multiple of ``lanes``, zeros follow in each.
    """
    padding = min(-(-columns // lanes) * lanes, width) - columns
    name = f"rows_{type}_{columns}_{padding}"
    helper(*_function(name, type, _rows, lanes, columns, padding))
    b.effect(_call(name, source, stride, target, width, rows))


def tiles_beside(
    b: Builder, helper: Helper, type: str, lanes: int, source: str, stride: int, target: str,
    columns: int, rows: int, tiles: int = 1,
) -> None:  # fmt: skip
    """``target[t, i, j] = source[i, t * columns + j]`` for some ``tiles`` t, ``rows`` i and some
    ``columns`` j. Whole vectors are copied, but no number is read behind the last row, nor written
    behind a tile: what is too much of one row, the next ones overwrite, and so many rows at the
    end are copied without."""
    copied = -(-columns // lanes) * lanes
    last = max(rows + 1 - -(-copied // columns), 0)
    if last:
        name = f"beside_{type}_{lanes}_{columns}_{tiles}"
        helper(*_function(name, type, _beside, lanes, columns, tiles))
        b.effect(_call(name, source, stride, target, rows * columns, last))
    if last == rows:
        return
    for tile in range(tiles):
        first = _at(b, type, source, str(last), str(stride), str(tile * columns))
        place = _at(b, type, target, str(last), str(columns), str(tile * columns * rows))
        copy_rows(b, helper, type, lanes, first, stride, place, columns, columns, rows - last)


def transpose_columns(
    b: Builder, helper: Helper, type: str, lanes: int, source: str, stride: int, target: str,
    width: int, columns: int, rows: int,
) -> None:  # fmt: skip
    """``target[k, j] = source[j, k]`` for ``columns`` j and ``rows`` k: squares of vectors, then
    what is left.

    Rows of the source are ``stride`` apart, of the target ``width``. Columns up to a multiple of
    ``lanes`` are filled with zeros.
    """
    if columns < lanes or rows < lanes:
        name = f"edge_{type}_{columns}_{rows}"
        helper(*_function(name, type, _edge, columns, rows))
        b.effect(_call(name, source, stride, target, width, rows))
    else:
        name = f"squares_{type}_{lanes}"
        helper(*_function(name, type, _squares, lanes))
        # The last squares may copy again what others did.
        for j in (*range(0, columns - lanes, lanes), columns - lanes):
            for k, count in ((0, rows // lanes), (rows - lanes, rows % lanes and 1)):
                first = _at(b, type, source, str(j), str(stride), str(k))
                place = _at(b, type, target, str(k), str(width), str(j))
                if count:
                    b.effect(_call(name, first, stride, place, width, count))
    if columns % lanes:
        name = f"rows_{type}_0_{lanes - columns % lanes}"
        helper(*_function(name, type, _rows, lanes, 0, lanes - columns % lanes))
        place = _at(b, type, target, "0", str(width), str(columns))
        b.effect(_call(name, source, stride, place, width, rows))


def transpose_rows(
    b: Builder, helper: Helper, type: str, lanes: int, source: str, stride: int, target: str,
    count: int, columns: int,
) -> None:  # fmt: skip
    """``target[k, i] = source[i, k]`` for ``count`` i and ``columns`` k, rows of the target being
    ``count`` long. Up to ``lanes`` numbers behind the target's last are overwritten."""
    if columns < lanes or count > lanes:
        name = f"edge_{type}_{count}_{columns}"
        helper(*_function(name, type, _edge, count, columns))
        b.effect(_call(name, source, stride, target, count, columns))
        return
    name = f"strips_{type}_{lanes}_{count}"
    helper(*_function(name, type, _strips, lanes, count))
    # The last strip may copy again what the one before did.
    for k, strips in ((0, columns // lanes), (columns - lanes, columns % lanes and 1)):
        if strips:
            place = _at(b, type, target, str(k), str(count), "0")
            first = _at(b, type, source, "0", str(stride), str(k))
            b.effect(_call(name, first, stride, place, count, strips))


def _call(name: str, source: str, stride: int, target: str, width: int, count: int) -> str:
    numbers = f"i64 {stride}, ptr {target}, i64 {width}, i64 {count}"
    return f"call void @{name}(ptr {source}, {numbers})"


@functools.cache
def _function(name: str, type: str, write: Callable[..., None], *sizes: int) -> tuple[str, str]:
    """A function's name and its text: what it writes comes from %source to %target."""
    b, pointer = Builder(), f"ptr noalias nocapture align {_size(type)}"
    write(b, type, *sizes)
    b.effect("ret void")
    head = f"{pointer} %source, i64 %stride, {pointer} %target, i64 %width, i64 %count"
    return name, f"define internal void @{name}({head}) #0 {{\n{b.text()}\n}}"


def _rows(b: Builder, type: str, lanes: int, columns: int, padding: int) -> None:
    """Rows of known length, by vectors as wide as may be."""
    with b.loop("%count") as i:
        for start, lanes_here in _pieces(0, columns, lanes):
            kind = f"<{lanes_here} x {type}>"
            place = _at(b, type, "%source", i, "%stride", str(start))
            value = b.do(f"load {kind}, ptr {place}, align {_size(type)}")
            _store(b, kind, value, _at(b, type, "%target", i, "%width", str(start)), type)
        for start, lanes_here in _pieces(columns, padding, lanes):
            place = _at(b, type, "%target", i, "%width", str(start))
            _store(b, f"<{lanes_here} x {type}>", "zeroinitializer", place, type)


def _beside(b: Builder, type: str, lanes: int, columns: int, tiles: int) -> None:
    """Rows of whole vectors, or a little shorter than one, of tiles that are ``%width`` apart."""
    with b.loop("%count") as i:
        for tile in range(tiles):
            for start in range(0, columns, lanes):
                kind = f"<{lanes} x {type}>"
                place = _at(b, type, "%source", i, "%stride", str(tile * columns + start))
                value = b.do(f"load {kind}, ptr {place}, align {_size(type)}")
                first = _at(b, type, "%target", str(tile), "%width", str(start))
                place = _at(b, type, first, i, str(columns), "0")
                _store(b, kind, value, place, type)


def _pieces(start: int, count: int, lanes: int) -> Iterator[tuple[int, int]]:
    """Where vectors of ``lanes``, of half of that and so on begin that fill ``count`` numbers."""
    while count:
        while lanes > count:
            lanes //= 2
        yield start, lanes
        start, count = start + lanes, count - lanes


def _squares(b: Builder, type: str, lanes: int) -> None:
    """So many squares beside each other, which come below each other."""
    with b.loop("%count") as i:
        k = b.do(f"mul nuw nsw i64 {i}, {lanes}")
        _square(b, type, lanes, ("%source", "%stride"), ("%target", "%width"), "0", k)


def _strips(b: Builder, type: str, lanes: int, rows: int) -> None:
    """So many strips of a few rows: squares of which the last columns are overwritten by the
    first ones of the next row."""
    with b.loop("%count") as i:
        k = b.do(f"mul nuw nsw i64 {i}, {lanes}")
        _square(b, type, lanes, ("%source", "%stride"), ("%target", "%width"), "0", k, rows)


def _edge(b: Builder, type: str, columns: int, rows: int) -> None:
    """Number by number."""
    with b.loop(columns) as j, b.loop(rows) as k:
        place = _at(b, type, "%source", j, "%stride", k)
        value = b.do(f"load {type}, ptr {place}, align {_size(type)}")
        _store(b, type, value, _at(b, type, "%target", k, "%width", j), type)


def _square(
    b: Builder, type: str, lanes: int, source: tuple[str, str], target: tuple[str, str],
    j: str, k: str, count: int | None = None,
) -> None:  # fmt: skip
    """A square of lanes x lanes, exchanging halves, quarters, ... of its rows; or its first
    ``count`` rows."""
    vector = f"<{lanes} x {type}>"
    rows = ["poison"] * lanes
    for i in range(count or lanes):
        row = b.do(f"add nuw nsw i64 {j}, {i}")
        place = _at(b, type, source[0], row, source[1], k)
        rows[i] = b.do(f"load {vector}, ptr {place}, align {_size(type)}")
    d = 1
    while d < lanes:
        for i in range(lanes):
            if i & d:
                continue
            low, high = rows[i], rows[i | d]
            first = [lane if not lane & d else lanes + (lane ^ d) for lane in range(lanes)]
            second = [lane | d if not lane & d else lanes + lane for lane in range(lanes)]
            rows[i], rows[i | d] = (_shuffle(b, vector, low, high, m) for m in (first, second))
        d *= 2
    for i, value in enumerate(rows):
        row = b.do(f"add nuw nsw i64 {k}, {i}")
        place = _at(b, type, target[0], row, target[1], j)
        b.effect(f"store {vector} {value}, ptr {place}, align {_size(type)}")


def _store(b: Builder, kind: str, value: str, place: str, type: str) -> None:
    b.effect(f"store {kind} {value}, ptr {place}, align {_size(type)}")


def _shuffle(b: Builder, vector: str, low: str, high: str, mask: list[int]) -> str:
    shown = ", ".join(f"i32 {m}" for m in mask)
    return b.do(f"shufflevector {vector} {low}, {vector} {high}, <{len(mask)} x i32> <{shown}>")


def _at(b: Builder, type: str, pointer: str, row: str, stride: str, column: str) -> str:
    offset = b.do(f"mul nsw i64 {row}, {stride}")
    offset = b.do(f"add nsw i64 {offset}, {column}")
    return b.do(f"getelementptr inbounds {type}, ptr {pointer}, i64 {offset}")


def _size(type: str) -> int:
    return 4 if type == "float" else 8
