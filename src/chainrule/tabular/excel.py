"""Excel files (.xlsx) as CSV text, so that their cells are read by the same rules.

The reader is openpyxl, an optional extra. A row of the sheet is a line of the text.
"""

from __future__ import annotations

import csv
import io
from datetime import date, datetime, time
from typing import Any

from chainrule.errors import DataError, UsageError
from chainrule.tabular.sources import Source
from chainrule.tabular.words import number_text, quoted

__all__ = ["as_text"]


def as_text(source: Source, sheet: str | None = None) -> Source:
    """The first sheet, or the one called ``sheet``, as a source of CSV text.

    Raises DataError where openpyxl is not installed or cannot read the file, UsageError for a
    sheet that is not there.
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
        book = openpyxl.load_workbook(content, read_only=True, data_only=True)
        if sheet is not None and sheet not in book.sheetnames:
            raise UsageError(
                f"sheet={sheet!r}: {source.name} has no such sheet; it has "
                f"{quoted(book.sheetnames)}"
            )
        rows = book[sheet or book.sheetnames[0]].iter_rows(values_only=True)
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
    except UsageError:
        raise
    except Exception as error:  # openpyxl has no error of its own for damaged files
        raise DataError(
            f"{source.name}: cannot be read as an Excel file ({error}); save the sheet as CSV"
        ) from None
    data = lines.getvalue().encode()
    return Source(source.name, lambda: io.BytesIO(data), source.keys)


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
