"""Copying a matrix that lies by columns into one that lies by rows, a square of vectors a time."""

from __future__ import annotations

from chainrule.run.native.ir import Builder


def write_transposed(
    b: Builder, type: str, lanes: int, source: str, stride: int, target: str, width: int,
    columns: int, rows: int,
) -> None:  # fmt: skip
    """``target[k, j] = source[j, k]`` for ``columns`` j and ``rows`` k.

    Rows of the source are ``stride`` apart, of the target ``width``. Columns up to a multiple of
    ``lanes`` are filled with zeros.
    """
    whole, rest = divmod(columns, lanes)
    squares, tail = divmod(rows, lanes)
    if whole and squares:
        with b.loop(whole) as jb, b.loop(squares) as kb:
            j = b.do(f"mul nuw nsw i64 {jb}, {lanes}")
            k = b.do(f"mul nuw nsw i64 {kb}, {lanes}")
            _square(b, type, lanes, (source, stride), (target, width), j, k)
    if whole and tail:
        _scalars(b, type, (source, stride), (target, width), (0, whole * lanes),
                 (squares * lanes, tail))  # fmt: skip
    if rest:
        _scalars(b, type, (source, stride), (target, width), (whole * lanes, rest), (0, rows))
        with b.loop(rows) as k, b.loop(lanes - rest) as j:
            j = b.do(f"add nuw nsw i64 {j}, {columns}")
            _store(b, type, "0.0", _at(b, type, target, k, width, j))


def _square(
    b: Builder, type: str, lanes: int, source: tuple[str, int], target: tuple[str, int],
    j: str, k: str,
) -> None:  # fmt: skip
    """A square of lanes x lanes, exchanging halves, quarters, ... of its rows."""
    vector = f"<{lanes} x {type}>"
    rows = []
    for i in range(lanes):
        row = b.do(f"add nuw nsw i64 {j}, {i}")
        place = _at(b, type, source[0], row, source[1], k)
        rows.append(b.do(f"load {vector}, ptr {place}, align {_size(type)}"))
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


def _scalars(
    b: Builder, type: str, source: tuple[str, int], target: tuple[str, int],
    columns: tuple[int, int], rows: tuple[int, int],
) -> None:  # fmt: skip
    with b.loop(columns[1]) as jj, b.loop(rows[1]) as kk:
        j = b.do(f"add nuw nsw i64 {jj}, {columns[0]}")
        k = b.do(f"add nuw nsw i64 {kk}, {rows[0]}")
        place = _at(b, type, source[0], j, source[1], k)
        value = b.do(f"load {type}, ptr {place}, align {_size(type)}")
        _store(b, type, value, _at(b, type, target[0], k, target[1], j))


def _store(b: Builder, type: str, value: str, place: str) -> None:
    b.effect(f"store {type} {value}, ptr {place}, align {_size(type)}")


def _shuffle(b: Builder, vector: str, low: str, high: str, mask: list[int]) -> str:
    shown = ", ".join(f"i32 {m}" for m in mask)
    return b.do(f"shufflevector {vector} {low}, {vector} {high}, <{len(mask)} x i32> <{shown}>")


def _at(b: Builder, type: str, pointer: str, row: str, stride: int, column: str) -> str:
    offset = b.do(f"mul nsw i64 {row}, {stride}")
    offset = b.do(f"add nsw i64 {offset}, {column}")
    return b.do(f"getelementptr inbounds {type}, ptr {pointer}, i64 {offset}")


def _size(type: str) -> int:
    return 4 if type == "float" else 8
