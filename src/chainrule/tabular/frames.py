"""Tables from what Python holds: mappings of arrays, and frames of pandas, polars and pyarrow."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.core.types import refuse_subclass
from chainrule.errors import ShapeError, UsageError
from chainrule.tabular.arrays import encoded, merged, names_of
from chainrule.tabular.cells import column_of_words
from chainrule.tabular.layout import Format
from chainrule.tabular.numerals import evidence
from chainrule.tabular.table import Column, Table, cells_key, encode_numbers, encode_texts
from chainrule.tabular.words import MISSING, shown

__all__ = ["cells_column", "table_of"]


def table_of(
    columns: Any,
    source: str = "table",
    format: Format | None = None,
    words: Collection[str] = (),
) -> Table:
    """A table from columns of equal length; a ``Table`` stays as it is.

    Parameters:
        columns: a mapping from names to arrays (n,), or a data frame: anything with the names
            as ``columns`` or ``column_names`` that gives a column by its name (pandas, polars,
            pyarrow).
        source: what messages call it.
        format: how text is read; None is ``Format()`` for a data frame, and for a mapping that
            text is not read as numbers.
        words: names of columns whose text is not read as numbers.

    Numbers and booleans are taken as such (nan is missing); ``datetime64`` becomes ISO text
    (NaT is missing), ``timedelta64`` seconds; of other cells, None, nan, pandas' NA and the words
    in ``MISSING`` are missing, and the rest are numbers if all are, else text. Text of a frame is
    read as that of a CSV file: ``"$1,212.50"`` is a number if all of its column are; a column of
    the frame's own type for categories stays as it is.

    Raises:
        UsageError: nothing with columns.
        ShapeError: columns of unequal length, or one that is no vector.
        DtypeError: a masked array or an ``np.matrix``.
    """
    if isinstance(columns, Table):
        return columns
    given = _columns(columns)
    if format is None and not isinstance(columns, Mapping):
        format = Format()
    gone = frozenset(MISSING if format is None else format.missing_words())
    made = [_column_of(name, values, gone) for name, values in given]
    if format is not None:
        declared = {name for name, values in given if _categories(values)} | set(words)
        made = _read(made, format, declared)
    lengths = {column.name: len(column.missing) for column in made}
    if len(set(lengths.values())) > 1:
        raise ShapeError(f"columns of different lengths: {lengths}")
    rows = next(iter(lengths.values()), 0)
    return Table(source, rows, tuple(made), lambda: _digest(made), format=format or Format())


def _digest(columns: list[Column]) -> str:
    digest = hashlib.sha256()
    for column in columns:
        digest.update(json.dumps(column.name).encode() + cells_key(column))
    return digest.hexdigest()


def _columns(data: Any) -> list[tuple[str, Any]]:
    """Names and columns of whatever has them."""
    names = list(data) if isinstance(data, Mapping) else names_of(data)
    if names is None or isinstance(data, type) or not hasattr(data, "__getitem__"):
        raise UsageError(
            f"a table is a mapping of columns, such as {{'x': [1.0, 2.0], 'y': ['a', 'b']}}, a "
            f"data frame, or what read_table(path) returns, not a {type(data).__name__}"
        )
    return [(str(name), data[name]) for name in names]


def _categories(given: Any) -> bool:
    """Whether these cells are of a type for categories: of pandas, polars or Arrow."""
    kind = getattr(given, "dtype", getattr(given, "type", None))
    return hasattr(kind, "index_type") or type(kind).__name__ in CATEGORIES


CATEGORIES = ("CategoricalDtype", "Categorical", "Enum")
"""Types for categories, of pandas and polars."""
SHOWN = 200
"""So many words of a column may show which decimal mark is meant."""


def _read(made: list[Column], format: Format, declared: Collection[str]) -> list[Column]:
    """The columns with their text read as that of a file, but for those that are ``declared`` to
    be words."""
    text = [c.stored is None and not c.unsupported for c in made]
    seen = [w for c, t in zip(made, text, strict=True) if t for w in c.codes[1][:SHOWN]]
    hint = format.decimal or evidence(seen)
    return [
        _read_one(c, format, hint, c.name not in declared) if t else c
        for c, t in zip(made, text, strict=True)
    ]


def _read_one(column: Column, format: Format, hint: str, as_numbers: bool) -> Column:
    codes, words = column.codes
    read = column_of_words(column.name, codes, words, format, hint=hint, as_numbers=as_numbers)
    if read.stored is None or read.note or not words:
        return read
    return replace(read, note=f"{shown(words[0])} is text, and is read as a number")


def _column_of(name: str, given: Any, gone: frozenset[str]) -> Column:
    refuse_subclass(given, f"column {name!r}")
    text = encoded(given)
    if text is not None:
        return _text_column(name, *merged(*text, gone))
    values = np.asarray(given)
    if values.ndim != 1:
        raise ShapeError(f"column {name!r} has shape {values.shape}; expected one dimension")
    if values.dtype.kind in "iuf":
        own = hasattr(given, "chunks")  # a chunked array of pyarrow is never written to
        numbers = values.astype(np.float64, copy=not own)
        missing = np.isnan(numbers)
        if values.dtype.kind != "f" and np.any(np.abs(numbers) >= 2**53):
            words = [str(value) for value in values.tolist()]  # a float does not hold them
            return Column(name, missing, numbers, lambda: encode_texts(words, missing))
        return Column(name, missing, numbers, lambda: encode_numbers(numbers, missing))
    if values.dtype.kind == "m":
        return _column_of(name, values / np.timedelta64(1, "s"), gone)
    if values.dtype.kind == "M":
        return cells_column(name, ["" if np.isnat(v) else str(v) for v in values], gone)
    return cells_column(name, values.tolist(), gone)


def cells_column(name: str, values: list[Any], missing_words: Collection[str]) -> Column:
    """A column of Python values: numbers if all are that are not missing, else text.

    None, nan, pandas' NA and the words given are missing.
    """
    gone = frozenset(missing_words)
    if set(map(type, values)) <= {str, type(None)}:
        seen = {word: i for i, word in enumerate(dict.fromkeys(values))}
        codes = np.fromiter(map(seen.__getitem__, values), np.int32, len(values))
        words = ["" if word is None else word for word in seen]
        return _text_column(name, *merged(codes, words, gone))
    cells = ["" if _is_missing(v) else _cell_text(v) for v in values]
    missing = np.array([cell in gone for cell in cells], dtype=bool)
    present = np.flatnonzero(~missing)
    nested = next((v for v in values if isinstance(v, dict | list)), None)
    if nested is not None:
        codes = np.full(len(cells), -1, dtype=np.int32)
        what = f"nested values ({type(nested).__name__})"
        return Column(name, codes < 0, None, lambda: (codes, ()), unsupported=what)
    odd = [
        i
        for i in present
        if isinstance(values[i], bool) or not isinstance(values[i], Real | Decimal)
    ]
    if not odd:
        numbers = np.array(
            [np.nan if m else float(v) for v, m in zip(values, missing, strict=True)]
        )
        if any(isinstance(values[i], int) and abs(values[i]) >= 2**53 for i in present):
            return Column(name, missing, numbers, lambda: encode_texts(cells, missing))
        return Column(name, missing, numbers, lambda: encode_numbers(numbers, missing))
    obstacle = (int(odd[0]), len(odd))
    return Column(name, missing, None, lambda: encode_texts(cells, missing), obstacle)


def _text_column(name: str, codes: NDArray[np.int32], words: tuple[str, ...]) -> Column:
    """A column of words, which are not read as numbers; of nothing but missing cells, numbers."""
    present = np.flatnonzero(codes >= 0)
    if not len(present):
        return Column(name, codes < 0, np.full(len(codes), np.nan), lambda: (codes, words))
    obstacle = (int(present[0]), len(present))
    return Column(name, codes < 0, None, lambda: (codes, words), obstacle)


def _cell_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value).strip()


def _is_missing(value: Any) -> bool:
    try:
        return value is None or bool(value != value)
    except TypeError:  # pandas' NA is neither equal nor unequal to itself
        return True
