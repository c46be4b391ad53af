"""Excel files (.xlsx) as CSV text, so that their cells are read by the same rules.

The reader is openpyxl, an optional extra. A row of the sheet is a line of the text.
"""

from __future__ import annotations

import csv
import io
from datetime import date, datetime, time
from typing import Any
from zipfile import ZipFile

from chainrule.errors import DataError, UsageError
from chainrule.tabular.sources import Source
from chainrule.tabular.words import number_text, quoted

__all__ = ["as_text"]


def as_text(source: Source, sheet: str | None = None) -> Source:
    """The first sheet, or the one called ``sheet``, as a source of CSV text.

    Cells that are merged downwards all have the word of the first.

    Raises DataError where openpyxl is not installed or cannot read the file, or for a formula
    without a value; UsageError for a sheet that is not there.
    """
    try:
        import openpyxl
    except ModuleNotFoundError:
        raise DataError(
            f"{source.name}: reading Excel files needs the package openpyxl; install it with "
            f"pip install 'chainrule[excel]', or save the sheet as CSV"
        ) from None
    with source.open() as stream:
        content = io.BytesIO(stream.read())
    try:
        special = _special(content)
        book = openpyxl.load_workbook(content, read_only=not special, data_only=True)
        if sheet is not None and sheet not in book.sheetnames:
            raise UsageError(
                f"sheet={sheet!r}: {source.name} has no such sheet; it has "
                f"{quoted(book.sheetnames)}"
            )
        chosen = book[sheet or book.sheetnames[0]]
        if special:
            _refuse_uncomputed(source.name, chosen, openpyxl.load_workbook(content)[chosen.title])
            _spread(chosen)
        rows = chosen.iter_rows(values_only=True)
        lines = io.StringIO()
        writer = csv.writer(lines, lineterminator="\n")
        width = 0
        for row in rows:
            cells = [_word(value) for value in row]
            width = max(width, len(cells))
            if any(cells):
                writer.writerow([*cells, *[""] * (width - len(cells))])
            else:
                lines.write("\n")
    except (UsageError, DataError):
        raise
    except Exception as error:  # openpyxl has no error of its own for damaged files
        raise DataError(
            f"{source.name}: cannot be read as an Excel file ({error}); save the sheet as CSV"
        ) from None
    data = lines.getvalue().encode()
    return Source(source.name, lambda: io.BytesIO(data), source.keys)


def _special(content: io.BytesIO) -> bool:
    """Whether some sheet has formulas or merged cells, for which all of it is loaded."""
    with ZipFile(content) as parts:
        names = [name for name in parts.namelist() if name.startswith("xl/worksheets/")]
        return any(b"<f" in (text := parts.read(name)) or b"<mergeCell" in text for name in names)


def _refuse_uncomputed(name: str, values: Any, formulas: Any) -> None:
    """Refuse formulas that no program has computed: their cells would count as missing."""
    for row in formulas.iter_rows():
        for cell in row:
            if cell.data_type == "f" and values[cell.coordinate].value is None:
                raise DataError(
                    f"{name}:{cell.row}:{cell.column_letter}: the formula has no value in the "
                    f"file; open it in a spreadsheet program and save it, or save it as CSV"
                )


def _spread(sheet: Any) -> None:
    """Give all cells that are merged downwards the value of the first."""
    for place in list(sheet.merged_cells.ranges):
        if place.max_row > place.min_row:
            value = sheet.cell(place.min_row, place.min_col).value
            sheet.unmerge_cells(str(place))
            for row in range(place.min_row, place.max_row + 1):
                sheet.cell(row, place.min_col).value = value


def _word(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return number_text(value)
    if isinstance(value, datetime):
        return value.isoformat() if value.time() != time() else value.date().isoformat()
    if isinstance(value, date | time):
        return value.isoformat()
    return " ".join(str(value).split("\n"))
