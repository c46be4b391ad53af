"""Odd tables, one a row: read right value by value, or refused by file, line, column and remedy.

What a cell means is written beside it; nothing here is computed by the reader that is tested.
"""

import bz2
import gzip
import io
import json
import lzma
import re
import sys
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.orc
import pyarrow.parquet
import pytest

from chainrule.errors import DataError, UsageError
from chainrule.tabular import Format, read_table, table_of
from chainrule.tabular.columns import decide
from chainrule.tabular.dates import read_dates
from chainrule.tabular.target import learn_target
from tests.helpers.streams import same_in_pieces

N = None  # a missing cell


def csv(cells, name="v", delimiter=";"):
    """A table of one column of interest beside one that numbers no row."""
    lines = [f"{name}{delimiter}other"]
    lines += [f"{cell}{delimiter}{(i * 7) % 5}" for i, cell in enumerate(cells)]
    return "\n".join(lines) + "\n"


def meaning(table, name):
    """The cells of a column as they are used: numbers, moments, or words; None where missing."""
    column = table[name]
    [decision] = decide(table, [name], keep=(name,))
    if decision.kind == "date":
        codes, words = column.codes
        moments = read_dates(words, column.order).moments
        return [None if code < 0 else moments[code] for code in codes]
    if column.numbers is not None:
        return [None if np.isnan(value) else float(value) for value in column.numbers]
    codes, words = column.codes
    return [None if code < 0 else words[code] for code in codes]


def read(tmp_path, content, name="odd.csv", **format):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    table = read_table(path, Format(**format))
    if name == "odd.csv":
        same_in_pieces(path, table, Format(**format))
    return table


NUMBERS = {
    "dollars": (["$1,234.50", "$7", "$0.99"], [1234.5, 7, 0.99]),
    "dollars after": (["7$", "8$", "9.5$"], [7, 8, 9.5]),
    "dollars, some without": (["$7.5", "8", "9"], [7.5, 8, 9]),
    "euros": (["€ 7,50", "€ 1.234,00", "€ 8"], [7.5, 1234, 8]),
    "euros after": (["7,50 €", "1.234,00 €", "8,00 €"], [7.5, 1234, 8]),
    "pounds": (["£1,000,000", "£2,500.5", "£3"], [1e6, 2500.5, 3]),
    "yen": (["¥1,200,000", "¥900", "¥5"], [1.2e6, 900, 5]),
    "rupees, lakh": (["₹12,34,567.80", "₹1,00,000", "₹5"], [1234567.8, 100000, 5]),
    "codes of currencies": (["USD 5", "USD 1,234.5", "USD 7"], [5, 1234.5, 7]),
    "codes after": (["5.25 EUR", "6 EUR", "7 EUR"], [5.25, 6, 7]),
    "reais": (["R$ 5,50", "R$ 1.000,25", "R$ 7"], [5.5, 1000.25, 7]),
    "francs": (["CHF 1'234.50", "CHF 2", "CHF 3"], [1234.5, 2, 3]),
    "kroner": (["1 234,50 kr", "7,00 kr", "8,25 kr"], [1234.5, 7, 8.25]),
    "zloty": (["5,50 zł", "6,25 zł", "7,00 zł"], [5.5, 6.25, 7]),
    "negative dollars": (["-$5.25", "$-6", "($7)"], [-5.25, -6, -7]),
    "percent": (["12.5%", "7%", "-0.1%"], [12.5, 7, -0.1]),
    "percent with a space": (["12 %", "7 %", "0 %"], [12, 7, 0]),
    "a minus before the unit": (["1 234,50- €", "7,25 €", "8,00- €"], [-1234.5, 7.25, -8]),
    "accounts' zero": (["$1,234.50", "$ -", "$(99.00)"], [1234.5, 0, -99]),
    "accounts' zero after": (["12,50 €", "- €", "7,00 €"], [12.5, 0, 7]),
    "basis points": (["25 bps", "50 bps", "100 bps"], [25, 50, 100]),
    "percent, comma": (["12,5 %", "7,25%", "0%"], [12.5, 7.25, 0]),
    "per mille": (["5‰", "6‰", "7.5‰"], [5, 6, 7.5]),
    "commas between thousands": (["1,234,567", "12,345.5", "7"], [1234567, 12345.5, 7]),
    "commas, then whole": (["1,234", "1,234.5", "0.5"], [1234, 1234.5, 0.5]),
    "points between thousands": (["1.234.567", "12.345,5", "7"], [1234567, 12345.5, 7]),
    "spaces between thousands": (["1 234 567", "12 345.5", "7"], [1234567, 12345.5, 7]),
    "narrow spaces": (["1\u202f234,5", "7\u00a0000", "8"], [1234.5, 7000, 8]),
    "thin spaces": (["1\u2009234.5", "7\u2009000", "8"], [1234.5, 7000, 8]),
    "apostrophes": (["1'234'567", "12'345.5", "7"], [1234567, 12345.5, 7]),
    "round apostrophes": (["1’234’567", "12’345.5", "7"], [1234567, 12345.5, 7]),
    "decimal comma": (["1,5", "2,25", "3"], [1.5, 2.25, 3]),
    "decimal comma, negative": (["-1,5", "2,25", "-0,001"], [-1.5, 2.25, -0.001]),
    "decimal comma, power": (["1,5e3", "2,5E-2", "3"], [1500, 0.025, 3]),
    "decimal comma, long": (["0,1234", "0,5", "12,00001"], [0.1234, 0.5, 12.00001]),
    "plain thousandths": (["1.234", "5.678", "9.012"], [1.234, 5.678, 9.012]),
    "accounting": (["(1,234.50)", "500.25", "(7)"], [-1234.5, 500.25, -7]),
    "accounting, comma": (["(1.234,50)", "500,25", "(7)"], [-1234.5, 500.25, -7]),
    "minus after": (["5.5-", "6", "7-"], [-5.5, 6, -7]),
    "minus sign": (["−5", "−6.5", "7"], [-5, -6.5, 7]),
    "en dash": (["–5", "–6.5", "7"], [-5, -6.5, 7]),
    "full-width minus": (["－5", "6.5", "7"], [-5, 6.5, 7]),
    "full-width yen": (["￥1,200,000", "￥950", "￥12,000"], [1.2e6, 950, 12000]),
    "full-width accounting": (["（12）", "34", "（56．5）"], [-12, 34, -56.5]),
    "full-width percent": (["12％", "＋7．5％", "0％"], [12, 7.5, 0]),
    "plus signs": (["+5", "+6.5", "-7"], [5, 6.5, -7]),
    "apostrophe before": (["'5", "'6.5", "'-7"], [5, 6.5, -7]),
    "formulas": (['="5"', '="6.5"', "7"], [5, 6.5, 7]),
    "kilograms": (["5 kg", "6.5 kg", "7kg"], [5, 6.5, 7]),
    "kilometres an hour": (["5 km/h", "60 km/h", "7 km/h"], [5, 60, 7]),
    "degrees": (["-5 °C", "20.5 °C", "7°C"], [-5, 20.5, 7]),
    "square metres": (["50 m²", "60.5 m²", "7 m²"], [50, 60.5, 7]),
    "m2": (["50 m2", "60.5 m2", "7 m2"], [50, 60.5, 7]),
    "years and year": (["1 year", "2 years", "3 years"], [1, 2, 3]),
    "inches": (['5"', '6.5"', '7"'], [5, 6.5, 7]),
    "milliseconds": (["1,250 ms", "7.5 ms", "8 ms"], [1250, 7.5, 8]),
    "spaces around": (["  5", "6.5  ", "\u00a07"], [5, 6.5, 7]),
    "powers": (["1e3", "2.5E-2", "3e+0"], [1000, 0.025, 3]),
    "bare points": (["1.", ".5", "-.25"], [1, 0.5, -0.25]),
    "17 digits": (["0.1000000000000000055", "1e-320", "3"], [0.1, 1e-320, 3]),
    "exact halves": (["0.30000000000000004", "2.5", "3"], [0.30000000000000004, 2.5, 3]),
    "dressed exactly": (["$0.30000000000000004", "$2.5", "$3"], [0.30000000000000004, 2.5, 3]),
    "no cents": (["€ 5,-", "€ 7,50", "€ 1.200,-"], [5, 7.5, 1200]),
    "no cents, Swiss": (["CHF 5.-", "CHF 7.50", "CHF 1'200.—"], [5, 7.5, 1200]),
    "no cents, Indian": (["Rs. 500/-", "Rs. 1,25,250/-", "Rs. 99/-"], [500, 125250, 99]),
    "no cents, Swedish": (["100:-", "250:-", "35:-"], [100, 250, 35]),
    "times, the sign": (["2×", "3×", "1.5×"], [2, 3, 1.5]),
    "cents": (["50¢", "75¢", "5¢"], [50, 75, 5]),
    "a slash": (["5.5 mg/dL", "6.1 mg/dL", "7 mg/dL"], [5.5, 6.1, 7]),
    "micrograms": (["5 µg/m³", "6.5 µg/m³", "7 µg/m³"], [5, 6.5, 7]),
    "inner accounting": (["$ (5.25)", "$ 6.00", "$ (7.50)"], [-5.25, 6, -7.5]),
    "apart from its minus": (["- 5", "- 6.5", "7"], [-5, -6.5, 7]),
    "marks of direction": (["5", "\u200e-6.5", "\u202a7\u202c"], [5, -6.5, 7]),
    "Arabic": (["١٬٢٣٤٫٥", "٧٬٠٠٠٬٠٠٠", "٣"], [1234.5, 7e6, 3]),
    "Arabic percent": (["١٢٪", "٧٪", "٠٪"], [12, 7, 0]),
    "Persian": (["۱۲", "۷", "۳۰"], [12, 7, 30]),
    "full width": (["１２．５", "７", "－３"], [12.5, 7, -3]),
    "Devanagari, lakh": (["₹१२,३४,५६७.८०", "₹१,००,०००", "₹५"], [1234567.8, 100000, 5]),
    "Thai among others": (["๑๒.๕", "7", "๓"], [12.5, 7, 3]),
    "capitals of units": (["5 KG", "6 kg", "7 Kg"], [5, 6, 7]),
    "hours past a day": (["0:45:10", "26:15:00", "-3:00:00.5"], [2710, 94500, -10800.5]),
    "durations of ISO 8601": (["PT1H30M", "PT0.5S", "P1DT2H"], [5400, 0.5, 93600]),
    "hours and minutes": (["1h 30m", "45 min", "2 hrs"], [5400, 2700, 7200]),
    "timedeltas": (["1 days 03:00:00", "1 day, 2:03:04", "-1 days +23:59:59"], [97200, 93784, -1]),
    "past 2**53": (
        ["9007199254740993", "9007199254740995", "3"],
        [9007199254740992, 9007199254740996, 3],
    ),
}


@pytest.mark.parametrize(("cells", "expected"), NUMBERS.values(), ids=NUMBERS)
def test_numbers_in_other_dress(tmp_path, cells, expected):
    quoted = [f'"{cell.replace(chr(34), chr(34) * 2)}"' for cell in cells]
    for delimiter in (";", ",", "\t"):
        table = read(tmp_path, csv(quoted, delimiter=delimiter))
        assert meaning(table, "v") == expected
    column = table["v"]
    if any(not cell.strip().replace(".", "").isascii() or "$" in cell for cell in cells[:1]):
        assert "is read as" in column.note
    target, _ = learn_target(read(tmp_path, csv(quoted * 4)), "v", "regression")
    assert target.task == "regression"


MISSING = [
    *("", " ", "?", "NA", "N/A", "n/a", "na", "NaN", "nan", "-NaN", "NULL", "null", "Null"),
    *("#N/A", "#NA", "<NA>", "NaT", "\\N", "(null)", "#VALUE!", "#DIV/0!", "#REF!", "#NAME?"),
    *("None", "none", "-", "--", ".", "...", "–", "—", "nil", "missing", "Unknown", "n/d", "..."),
    *("#SPILL!", "#GETTING_DATA", "Err:502", "\u200b"),
    *("1.#IND", "-1.#QNAN", "N.A.", "n.a.", "(blank)", "<null>", "not available"),
    *("k.A.", "keine Angabe", "s/d", "n.c."),
]


@pytest.mark.parametrize("word", MISSING)
def test_words_for_missing_cells_among_numbers(tmp_path, word):
    assert meaning(read(tmp_path, csv(["1.5", word, "3"])), "v") == [1.5, N, 3]
    dates = meaning(read(tmp_path, csv(["2024-01-05", word, "2024-02-07", "2024-03-09"])), "v")
    assert dates[0] == datetime(2024, 1, 5)
    assert dates[1] is None


DATES = {
    "iso": (["2024-01-05", "2024-12-31"], ["2024-01-05", "2024-12-31"]),
    "iso, one digit": (["2024-1-5", "2024-12-31"], ["2024-01-05", "2024-12-31"]),
    "slashes, year first": (["2024/01/05", "2024/12/31"], ["2024-01-05", "2024-12-31"]),
    "points, year first": (["2024.01.05", "2024.12.31"], ["2024-01-05", "2024-12-31"]),
    "day first": (["05/01/2024", "31/12/2024"], ["2024-01-05", "2024-12-31"]),
    "month first": (["01/05/2024", "12/31/2024"], ["2024-01-05", "2024-12-31"]),
    "day first, dashes": (["05-01-2024", "31-12-2024"], ["2024-01-05", "2024-12-31"]),
    "points, day first": (["05.01.2024", "6.12.2024"], ["2024-01-05", "2024-12-06"]),
    "two digits of a year": (["05.01.24", "6.12.99"], ["2024-01-05", "1999-12-06"]),
    "day first, two digits": (["31/12/99", "01/02/05"], ["1999-12-31", "2005-02-01"]),
    "words": (["5 Jan 2024", "31 December 2024"], ["2024-01-05", "2024-12-31"]),
    "words, month first": (["Jan 5, 2024", "December 31, 2024"], ["2024-01-05", "2024-12-31"]),
    "words, year first": (["2024-Jan-05", "2024 Dec 31"], ["2024-01-05", "2024-12-31"]),
    "words, dashes": (["05-Jan-24", "31-DEC-2024"], ["2024-01-05", "2024-12-31"]),
    "without marks": (["05JAN2024", "31DEC24"], ["2024-01-05", "2024-12-31"]),
    "SAS, with times": (
        ["05JAN2024:07:30", "31DEC2024:23:59:59"],
        ["2024-01-05T07:30", "2024-12-31T23:59:59"],
    ),
    "ordinals": (["5th January 2024", "31st December 2024"], ["2024-01-05", "2024-12-31"]),
    "weekdays": (["Fri, 05 Jan 2024", "Tuesday 31 Dec 2024"], ["2024-01-05", "2024-12-31"]),
    "with times": (
        ["2024-01-05 07:30", "2024-12-31 23:59:59"],
        ["2024-01-05T07:30", "2024-12-31T23:59:59"],
    ),
    "in zones": (
        ["2024-01-05T07:30Z", "2024-12-31T23:00:00-02:00"],
        ["2024-01-05T07:30", "2025-01-01T01:00"],
    ),
    "halves of the day": (
        ["1/5/2024 7:30 PM", "12/31/2024 12:05 AM"],
        ["2024-01-05T19:30", "2024-12-31T00:05"],
    ),
    "mails": (
        ["Fri, 05 Jan 2024 07:30:00 +0100", "Tue, 31 Dec 2024 00:00:00 +0000"],
        ["2024-01-05T06:30", "2024-12-31"],
    ),
    "times": (["07:30", "23:59:30"], ["1970-01-01T07:30", "1970-01-01T23:59:30"]),
    "German": (["5. März 2024", "Di., 31. Dezember 2024"], ["2024-03-05", "2024-12-31"]),
    "French": (["1er janv. 2024", "mardi 14 août 2024"], ["2024-01-01", "2024-08-14"]),
    "Spanish": (["5 de enero de 2024", "5 dic 2024"], ["2024-01-05", "2024-12-05"]),
    "Italian": (["5 gen 2024", "31 luglio 2024"], ["2024-01-05", "2024-07-31"]),
    "Portuguese": (["5 de fevereiro de 2024", "7 out. 2024"], ["2024-02-05", "2024-10-07"]),
    "Dutch": (["5 mrt 2024", "31 mei 2024"], ["2024-03-05", "2024-05-31"]),
    "Chinese": (["2024年1月5日", "2024年12月31日"], ["2024-01-05", "2024-12-31"]),
    "Korean": (["2024년 1월 5일", "2024년 12월 31일"], ["2024-01-05", "2024-12-31"]),
    "months": (["2024-01", "2024-12"], ["2024-01-01", "2024-12-01"]),
    "month words": (["Jan 2024", "Dec 2024"], ["2024-01-01", "2024-12-01"]),
    "weeks": (["2024-W01", "2024-W52-7"], ["2024-01-01", "2024-12-29"]),
    "Arabic digits": (["٢٠٢٤-٠١-٠٥", "٢٠٢٤-١٢-٣١"], ["2024-01-05", "2024-12-31"]),
    "full width": (["２０２４年１月５日", "２０２４年１２月３１日"], ["2024-01-05", "2024-12-31"]),
    "hours of 12": (
        ["5 am", "12 am", "7.30 p.m."],
        ["1970-01-01T05", "1970-01-01T00", "1970-01-01T19:30"],
    ),
    "hours of 12, morning only": (["5 am", "12 am"], ["1970-01-01T05", "1970-01-01T00"]),
    "offsets of hours": (
        ["2024-01-05t07:30+02", "2024-12-31 23:00-05"],
        ["2024-01-05T05:30", "2025-01-01T04"],
    ),
    "Java's zones": (
        ["2024-01-05T07:30+01:00[Europe/Berlin]", "2024-07-05T07:30+02:00[Europe/Berlin]"],
        ["2024-01-05T06:30", "2024-07-05T05:30"],
    ),
    "zones by name": (
        ["2024-01-05 07:30 EST", "2024-07-05 07:30 CEST"],
        ["2024-01-05T12:30", "2024-07-05T05:30"],
    ),
    "a leap second": (
        ["2016-12-31T23:59:60Z", "2017-01-02T00:00:00z"],
        ["2017-01-01", "2017-01-02"],
    ),
    "the end of a day": (["2024-01-05 24:00", "2024-01-07 00:00"], ["2024-01-06", "2024-01-07"]),
    "quarters": (["2024Q1", "Q4 2024"], ["2024-01-01", "2024-10-01"]),
}


@pytest.mark.parametrize(("cells", "expected"), DATES.values(), ids=DATES)
def test_dates_and_times(tmp_path, cells, expected):
    table = read(tmp_path, csv([f'"{cell}"' for cell in cells]))
    assert meaning(table, "v") == [datetime.fromisoformat(word) for word in expected]


def test_digits_that_are_dates(tmp_path):
    days = ["20240105", "20240229", "20231231", "20240101", "20220615"]
    found = meaning(read(tmp_path, csv(days)), "v")
    assert found == [datetime.strptime(day, "%Y%m%d") for day in days]
    assert meaning(read(tmp_path, csv([*days, "20240230"])), "v")[0] == 20240105


def test_one_bad_date_is_a_note(tmp_path):
    days = [f"2024-01-{day:02d}" for day in range(1, 20)]
    table = read(tmp_path, csv([*days, "2024-02-30"]))
    [decision] = decide(table, ["v"])
    assert decision.kind == "date"
    assert "odd.csv:21:v: '2024-02-30' is no date (1 such cell)" in decision.note


def test_dates_in_two_orders_are_refused(tmp_path):
    text = csv(["13/01/2024", "01/14/2024", "15/01/2024", "01/16/2024"])
    with pytest.raises(DataError, match=r"odd\.csv:3:v: '01/14/2024' and '13/01/2024' have day"):
        decide(read(tmp_path, text), ["v"])
    [decision] = decide(read(tmp_path, text, date_order="dmy"), ["v"])
    assert (decision.kind, "(2 such cells)" in decision.note) == ("date", True)


WORDS = {
    "postcodes": ["00501", "90210", "10001"],
    "codes of two digits": ["01", "02", "11"],
    "ranges": ["10-20", "20-30", "10-20"],
    "versions": ["1.2.3", "1.10.0", "1.2.3"],
    "addresses": ["10.0.0.1", "10.0.0.2", "10.0.0.1"],
    "house numbers": ["12", "12A", "14"],
    "sizes": ["S", "M", "S"],
    "units that differ": ["5 kg", "500 g", "5 kg"],
    "currencies that differ": ["$5", "€5", "$6"],
    "places": ["1st", "2nd", "3rd"],
    "bounds": ["<5", ">10", "<5"],
    "scores": ["3:2", "10:90", "3:2"],
    "hexadecimal": ["0x10", "0x1f", "0x10"],
    "groups of two": ["1,23,4", "x", "1,23,4"],
    "coordinates": ["48°51'N", "2°21'E", "48°51'N"],
    "words that may be missing": ["None", "some", "-"],
    "plus and minus": ["+", "-", "+"],
    "mixed": ["yes", "true", "yes"],
    "squares": ["5²", "6²", "5²"],
    "halves": ["5½", "6½", "5½"],
    "lumber": ["2x3", "4x2", "2x3"],
    "lumber, spaced": ["2 × 3", "4 × 2", "2 × 3"],
    "powers of ten": ["1.5×10^3", "2×10^3", "1.5×10^3"],
    "June or July": ["5 jui 2024", "6 jui 2024", "5 jui 2024"],
    "debit and credit": ["5.00 CR", "6.00 DR", "5.00 CR"],
}


@pytest.mark.parametrize("cells", WORDS.values(), ids=WORDS)
def test_words_stay_words(tmp_path, cells):
    table = read(tmp_path, csv([f'"{cell}"' for cell in cells] * 2))
    assert meaning(table, "v") == cells * 2
    [decision] = decide(table, ["v"])
    assert decision.kind in ("category", "boolean")


def test_no_advice_on_words_of_which_most_may_be_missing(tmp_path):
    table = read(tmp_path, csv(["unknown"] * 9 + ["failure", "success"] * 2))
    [decision] = decide(table, ["v"])
    assert (decision.kind, decision.note) == ("category", "")
    table = read(tmp_path, csv(["1.5"] * 9 + ["failure", "unknown"]))
    assert "'failure' is not a number (2 of 11 cells)" in decide(table, ["v"])[0].note


@pytest.mark.parametrize("odd", ["", "-", "none"])
@pytest.mark.parametrize("dress", ["{}", "'{}", '"=""{}"""'])
def test_codes_stay_codes_in_other_dress(tmp_path, dress, odd):
    cells = [dress.format(zip) for zip in ("00501", "90210", "10001")]
    table = read(tmp_path, csv([*cells, *cells, odd]))
    assert meaning(table, "v")[:6] == ["00501", "90210", "10001"] * 2
    [decision] = decide(table, ["v"])
    assert decision.kind == "category"
    assert "has a leading zero, so the cells are codes" in decision.note


def test_booleans_in_any_case(tmp_path):
    for cells in (
        ["Ja", "nein", "JA"],
        ["Oui", "NON", "non"],
        ["Sí", "no", "SÍ"],
        ["да", "Нет", "ДА"],
        ["Não", "sim", "SIM"],
        ["是", "否", "是"],
        ["Wahr", "falsch", "WAHR"],
        ["Yes", "no", "YES"],
        ["TRUE", "False", "true"],
        ["On", "off", "ON"],
    ):
        [decision] = decide(read(tmp_path, csv(cells)), ["v"])
        assert decision.kind == "boolean"


DOUBTS = {
    "thousands or a decimal": (
        ["1,234", "5,678"],
        {"decimal": "."},
        [1234, 5678],
        {"decimal": ","},
        [1.234, 5.678],
    ),
    "dollars": (
        ["$1,234", "$5,678"],
        {"decimal": "."},
        [1234, 5678],
        {"decimal": ","},
        [1.234, 5.678],
    ),
    "euros": (
        ["€1.234", "€5.678"],
        {"decimal": "."},
        [1.234, 5.678],
        {"decimal": ","},
        [1234, 5678],
    ),
    "a unit with a point": (
        ["Rs. 1,250", "Rs. 500"],
        {"decimal": "."},
        [1250, 500],
        {"decimal": ","},
        [1.25, 500],
    ),
    "accounting": (["(1,234)", "5"], {"decimal": "."}, [-1234, 5], {"decimal": ","}, [-1.234, 5]),
    "days or months": (
        ["05/06/2024", "07/08/2024"],
        {"date_order": "dmy"},
        ["2024-06-05", "2024-08-07"],
        {"date_order": "mdy"},
        ["2024-05-06", "2024-07-08"],
    ),
    "dashes": (
        ["05-06-2024", "07-08-2024"],
        {"date_order": "dmy"},
        ["2024-06-05", "2024-08-07"],
        {"date_order": "mdy"},
        ["2024-05-06", "2024-07-08"],
    ),
    "short years": (
        ["05/06/07", "07/08/09"],
        {"date_order": "ymd"},
        ["2005-06-07", "2007-08-09"],
        {"date_order": "mdy"},
        ["2007-05-06", "2009-07-08"],
    ),
}


@pytest.mark.parametrize(
    ("cells", "one", "meant", "other", "meant_too"), DOUBTS.values(), ids=DOUBTS
)
def test_two_readings_are_asked(tmp_path, cells, one, meant, other, meant_too):
    content = csv([f'"{cell}"' for cell in cells])
    table = read(tmp_path, content)
    with pytest.raises(DataError, match=r"odd\.csv:2:v: .* may be .* or .*; add") as refused:
        decide(table, ["v"])
    for option, expected in ((one, meant), (other, meant_too)):
        [(name, value)] = option.items()
        assert f"{name}={value!r}" in str(refused.value)
        expected = [datetime.fromisoformat(v) if isinstance(v, str) else v for v in expected]
        assert meaning(read(tmp_path, content, **option), "v") == expected


@pytest.mark.parametrize(
    ("cells", "one", "other"),
    [
        (["1,234.5", "1.234,5"], "1.234,5", "1,234.5"),
        (["1.5", "2,25", "3.5"], "2,25", "1.5"),
        (["$1,234.50", "$1.234,50", "$7"], "$1.234,50", "$1,234.50"),
        (["1 234,5", "1 234.5"], "1 234,5", "1 234.5"),
    ],
)
def test_numbers_that_no_one_reading_fits_are_refused(tmp_path, cells, one, other):
    """They were words, or, of two cells, an AssertionError."""
    table = read(tmp_path, csv(cells))
    place = cells.index(one) + 2
    message = f"odd.csv:{place}:v: '{one}' and '{other}' are numbers with different marks"
    with pytest.raises(DataError, match=re.escape(message)):
        meaning(table, "v")
    words = ["1.5", "2,25", "two"]
    assert meaning(read(tmp_path, csv(words)), "v") == words


def test_the_rest_of_the_file_decides(tmp_path):
    table = read(tmp_path, 'v;w\n"1,234";"7,5"\n"5,678";"8,25"\n')
    assert meaning(table, "v") == [1.234, 5.678]
    table = read(tmp_path, 'v;w\n"1,234";7.5\n"5,678";8.25\n')
    assert meaning(table, "v") == [1234, 5678]
    table = read(tmp_path, "v;w\n1.234;7,5\n5.678;8,25\n")
    with pytest.raises(DataError, match=r"'1\.234' may be"):
        decide(table, ["v"])


def test_percent_in_some_cells_only(tmp_path):
    table = read(tmp_path, csv(["12%", "0.5", "7%"]))
    with pytest.raises(DataError, match=r"odd\.csv:3:v: '0\.5' has no '%'"):
        decide(table, ["v"])


LAYOUTS = {
    "sep=": "sep=;\nv;w\n1;2\n3;4\n",
    "sep= and a tab": "sep=\t\nv\tw\n1\t2\n3\t4\n",
    "a title": "Sales 2024\nv,w\n1,2\n3,4\n",
    "a title and a blank line": "Sales report\n\nv;w\n1;2\n3;4\n",
    "comments": "# made by hand\n# twice\nv,w\n1,2\n3,4\n",
    "comments among the rows": "v,w\n1,2\n# half of it, so far, is done\n3,4\n",
    "a header like a comment": "#v,w\n1,2\n3,4\n",
    "runs of spaces": "v   w\n1     2\n3     4\n",
    "spaces before": "  v w\n  1 2\n  3 4\n",
    "spaces, signs": "v      w\n 1.0    2\n 3.0    4e0\n",
    "tabs": "v\tw\n1\t2\n3\t4\n",
    "pipes": "v|w\n1|2\n3|4\n",
    "returns only": "v,w\r1,2\r3,4\r",
    "returns and line feeds": "v,w\r\n1,2\r\n3,4\r\n",
    "no end of the last line": "v,w\n1,2\n3,4",
    "blank lines": "\n\nv,w\n\n1,2\n\n\n3,4\n\n",
    "a byte order mark": "\ufeffv,w\n1,2\n3,4\n",
    "quotes": '"v","w"\n"1","2"\n"3","4"\n',
    "spaces around": " v , w \n 1 , 2 \n 3 , 4 \n",
    "several lines before": "Report\nDate\nv,w,x,y\n1,2,0,0\n3,4,0,0\n",
}


@pytest.mark.parametrize("content", LAYOUTS.values(), ids=LAYOUTS)
def test_layouts(tmp_path, content):
    table = read(tmp_path, content)
    assert table.names()[:2] == ["v", "w"]
    assert meaning(table, "v") == [1, 3]
    assert meaning(table, "w") == [2, 4]
    text = content.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    at = next(i for i, line in enumerate(text, 1) if line.strip().strip('"').startswith("3"))
    assert table.where(1, "v").endswith(f"odd.csv:{at}:v")


def files(content):
    """The same table in every kind of file, by the name of the file."""
    frame = pa.table({"v": [1.5, None, -3.0], "w": ["a", "b", "a"]})
    text = b"v,w\n1.5,a\n,b\n-3,a\n"
    out = {
        "plain.csv": text,
        "packed.csv.gz": gzip.compress(text),
        "twice.gz": gzip.compress(text[:9]) + gzip.compress(text[9:]),
        "twice packed.gz": gzip.compress(gzip.compress(text)),
        "packed.csv.bz2": bz2.compress(text),
        "packed.csv.xz": lzma.compress(text),
        "packed.csv.zst": pa.compress(text, "zstd", asbytes=True),
        "lines.jsonl": b'{"v": 1.5, "w": "a"}\n{"v": null, "w": "b"}\n\n{"w": "a", "v": -3}\n',
    }
    out["lines.jsonl.gz"] = gzip.compress(out["lines.jsonl"])
    for name, write in (
        ("t.parquet", pa.parquet.write_table),
        ("t.feather", pa.feather.write_feather),
    ):
        sink = pa.BufferOutputStream()
        write(frame, sink)
        out[name] = sink.getvalue().to_pybytes()
    out["t.parquet.gz"] = gzip.compress(out["t.parquet"])
    for name, open_ in (("t.arrow", pa.ipc.new_file), ("t.stream", pa.ipc.new_stream)):
        sink = pa.BufferOutputStream()
        with open_(sink, frame.schema) as writer:
            writer.write_table(frame)
        out[name] = sink.getvalue().to_pybytes()
    return out[content]


KINDS = [
    *("plain.csv", "packed.csv.gz", "twice.gz", "twice packed.gz"),
    *("packed.csv.bz2", "packed.csv.xz"),
    *("packed.csv.zst", "lines.jsonl", "lines.jsonl.gz", "t.parquet", "t.parquet.gz"),
    *("t.feather", "t.arrow", "t.stream"),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("through", ["file", "standard input"])
def test_kinds_of_files(tmp_path, monkeypatch, kind, through):
    path = tmp_path / kind
    path.write_bytes(files(kind))
    if through == "file":
        table = read_table(path)
    else:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(path.read_bytes())))
        table = read_table("-")
    assert meaning(table, "v") == [1.5, N, -3]
    assert meaning(table, "w") == ["a", "b", "a"]


def test_excel(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    sheet = book.active
    for row in (
        ["Sales", N, N],
        ["v", "w", "d"],
        [1.5, "00501", datetime(2024, 1, 5)],
        [N, "90210", N],
        [-3, "00501", datetime(2024, 2, 7)],
    ):
        sheet.append(row)
    book.create_sheet("more").append(["x"])
    book.save(tmp_path / "t.xlsx")
    table = read_table(tmp_path / "t.xlsx")
    assert meaning(table, "v") == [1.5, N, -3]
    assert meaning(table, "w") == ["00501", "90210", "00501"]
    assert meaning(table, "d")[0] == datetime(2024, 1, 5)
    assert table.where(0, "v").endswith("t.xlsx:3:v")
    with pytest.raises(UsageError, match=r"sheet='none': .*no such sheet; it has .*more"):
        read_table(tmp_path / "t.xlsx", Format(sheet="none"))


def test_excel_formulas_and_merged_cells(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in (
        ["Sales", N, N],
        ["g", "v", "t"],
        ["a", 1, timedelta(hours=30)],
        [N, 2, N],
        ["b", 3, N],
    ):
        book.active.append(row)
    book.active.merge_cells("A1:C1")
    book.active.merge_cells("A3:A4")
    book.save(tmp_path / "t.xlsx")
    table = read_table(tmp_path / "t.xlsx")
    assert meaning(table, "g") == ["a", "a", "b"]
    assert meaning(table, "t") == [108000, N, N]
    book.active["B4"] = "=B3*2"  # which openpyxl does not compute
    book.save(tmp_path / "t.xlsx")
    with pytest.raises(DataError, match=r"t\.xlsx:4:B: the formula has no value"):
        read_table(tmp_path / "t.xlsx")


def test_lengths_of_time_with_a_type(tmp_path):
    cells = [timedelta(hours=1), timedelta(seconds=-5), N]
    pa.parquet.write_table(
        pa.table({"v": pa.array(cells, pa.duration("us"))}), tmp_path / "t.parquet"
    )
    assert meaning(read_table(tmp_path / "t.parquet"), "v") == [3600, -5, N]
    frame = table_of({"v": np.array([3600, -5, "NaT"], "m8[s]")})
    assert meaning(frame, "v") == [3600, -5, N]


def test_lengths_of_time_stay_such_in_other_data(tmp_path):
    """Those below a day alone would be times of day."""
    dress = read(tmp_path, csv(["0:45:10", "26:15:00"]))["v"].dress
    assert meaning(read(tmp_path, csv(["0:45:10"] * 2), dress={"v": dress}), "v") == [2710] * 2


def test_a_word_among_numbers_of_json(tmp_path):
    text = '{"v": 1}\n{"v": "x"}\n{"v": 3}\n'
    [decision] = decide(read(tmp_path, text, "t.jsonl"), ["v"])
    assert "t.jsonl:2:v: 'x' is not a number (1 of 3 cells)" in decision.note


def test_folders_and_globs(tmp_path):
    for year, cells in (("2023", "1,a"), ("2024", "2,b")):
        folder = tmp_path / "all" / f"year={year}"
        folder.mkdir(parents=True)
        (folder / "part.csv").write_text(f"v,w\n{cells}\n")
    (tmp_path / "all" / "_SUCCESS").touch()
    (tmp_path / "all" / ".hidden.csv").write_text("no table")
    table = read_table(tmp_path / "all")
    assert meaning(table, "v") == [1, 2]
    assert meaning(table, "year") == [2023, 2024]
    assert table.where(1, "v").endswith("year=2024/part.csv:2:v")
    assert meaning(read_table(tmp_path / "all" / "*" / "part.csv"), "w") == ["a", "b"]
    (tmp_path / "all" / "year=2024" / "part.csv").write_text("w,v\nb,2\n")  # other order
    assert meaning(read_table(tmp_path / "all"), "v") == [1, 2]
    (tmp_path / "all" / "year=2024" / "part.csv").write_text("w,x\nb,2\n")
    with pytest.raises(DataError, match=r'part\.csv: lacks "v" and adds "x"'):
        read_table(tmp_path / "all")
    pa.parquet.write_table(pa.table({"v": [1]}), tmp_path / "all" / "more.parquet")
    with pytest.raises(DataError, match="of different kinds"):
        read_table(tmp_path / "all")


def test_folders_of_parquet(tmp_path):
    pa.parquet.write_table(pa.table({"v": [1, 2], "w": ["a", "b"]}), tmp_path / "1.parquet")
    pa.parquet.write_table(pa.table({"w": ["c"], "v": [2.5]}), tmp_path / "2.parquet")
    assert meaning(read_table(tmp_path), "v") == [1, 2, 2.5]
    pa.parquet.write_table(pa.table({"w": ["c"], "v": ["x"]}), tmp_path / "2.parquet")
    with pytest.raises(DataError, match=r"2\.parquet: column 'v' has type string, and type int64"):
        read_table(tmp_path)


BIG = 2**60
TYPED = {
    "int64": pa.array([BIG + 1, BIG + 2, BIG + 3]),
    "uint64": pa.array([2**64 - 1, 2**64 - 2, 2**64 - 3], pa.uint64()),
    "decimal": pa.array([BIG + 1, BIG + 2, BIG + 3], pa.decimal128(30, 0)),
}


@pytest.mark.parametrize("kind", TYPED)
def test_identifiers_beyond_2_53(tmp_path, kind):
    cells = TYPED[kind]
    pa.parquet.write_table(pa.table({"v": cells, "w": [1.5, 2.5, 4]}), tmp_path / "t.parquet")
    table = read_table(tmp_path / "t.parquet")
    assert list(table["v"].codes[1]) == [str(int(value)) for value in cells.to_pylist()]
    [decision] = decide(table, ["v"])
    assert decision.why.startswith("an identifier")


REFUSED = {
    "a web page": (b"<!DOCTYPE html><html></html>", {}, r"odd\.csv: is a web page"),
    "a PDF": (b"%PDF-1.7", {}, r"is a PDF; export"),
    "SQLite": (b"SQLite format 3\0", {}, "is an SQLite database; export"),
    "HDF5": (b"\x89HDF\r\n\x1a\n", {}, "is an HDF5 file; export"),
    "old Excel": (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        {},
        r"is an old Excel file; save it as \.xlsx",
    ),
    "NumPy": (b"\x93NUMPY\x01\x00", {}, "is a NumPy file"),
    "a pickle": (b"\x80\x04\x95", {}, "is a pickle, which is not opened"),
    "a JSON array": (b'[{"a": 1}]', {}, "one JSON array; write one record a line"),
    "bad JSON": (b'{"a": 1}\n{"a": }\n', {}, r"odd\.csv:2: is not JSON"),
    "JSON without records": (b'{"a": 1}\n[1]\n', {}, r"odd\.csv:2: is '\[1\]'; expected a record"),
    "a cut gzip": (gzip.compress(b"v,w\n1,2\n" * 99)[:-12], {}, "is damaged or cut short"),
    "a cut bzip2": (bz2.compress(b"v,w\n1,2\n" * 99)[:-12], {}, "is damaged or cut short"),
    "a cut Arrow file": (b"ARROW1\0\0", {}, "cannot be read as an Arrow file"),
    "UTF-16": ("v,w\n1,2\n".encode("utf-16"), {}, r"odd\.csv:1: .*add encoding='utf-16'"),
    "no UTF-16": (b"v,w\n1,2\n", {"encoding": "utf-16"}, "is plain ASCII, not UTF-16; leave"),
    "no Latin 1": ("v,w\nä,2\n".encode(), {"encoding": "latin-1"}, "the file is UTF-8.*leave"),
    "another separator": (b"v,w\n1,2\n", {"delimiter": ";"}, r"odd\.csv:1: .*add delimiter=','"),
    "a data line for a header": (b"1,5\n3,4\n", {}, r"odd\.csv:1: .*add header=False"),
    "a data line with words": (b"1,a\n3,a\n", {}, r"odd\.csv:1: .*header=True if it is names"),
    "UTF-32": ("v,w\n1,2\n".encode("utf-32"), {}, r"odd\.csv:1: .*add encoding='utf-32'"),
    "fixed width, an empty cell": (
        b"name     age  city\nAnn       34  Rome\nBob           Paris\n",
        {},
        r"odd\.csv:1: cells are aligned by spaces, and some are empty or have spaces",
    ),
    "fixed width, spaces in cells": (
        b"name     age  city\nAnn       34  New York\nBob        5  Paris\n",
        {},
        "read_fwf",
    ),
    "names of rows": (b"v w\nr1 1 2\nr2 3 4\n", {}, "header has 2 names, .* 3 cells"),
    "a line below the header": (b"| v | w |\n|---|---|\n| 1 | 2 |\n", {}, r"odd\.csv:2: is a line"),
    "two cells more": (b"v,w\n1,2,3,4\n5,6\n7,8\n", {}, r"odd\.csv:2: found 4 cells, expected 2"),
}


@pytest.mark.parametrize(("content", "format", "message"), REFUSED.values(), ids=REFUSED)
def test_refused(tmp_path, content, format, message):
    with pytest.raises(DataError, match=message):
        read(tmp_path, content, **format)


def test_addresses_are_refused_by_name():
    for address in ("https://x.org/a.csv", "s3://bucket/a.parquet", "ftp://x/a"):
        with pytest.raises(UsageError, match=f"{address}: is an address .*fetch it first"):
            read_table(address)


TARGETS = {
    "words among numbers": (
        ["1.5", "2.5", "n/s", "4", "5", "7.25"] * 3,
        r"odd\.csv:4:v: 'n/s' is not a number \(3 of 18 cells .*\); .*missing=\('n/s',\)",
    ),
    "words among dollars": (
        ["$1.5", "$2", "call", "$4", "$5", "$7.25"] * 3,
        r"odd\.csv:4:v: 'call' is not a number",
    ),
    "two readings": (['"1,234"', '"5,678"'] * 9, r"odd\.csv:2:v: '1,234' may be 1234"),
    "infinite": (["1", "inf", "3.5"] * 4, r"odd\.csv:3:v: 'inf' is not a finite number"),
    "one value": (["3.5"] * 8, "'v' is 3.5 in every row"),
    "one class": (["a"] * 8, "has one class, 'a'"),
    "nothing": ([""] * 8, "every cell of the target 'v' is missing"),
}


@pytest.mark.parametrize(("cells", "message"), TARGETS.values(), ids=TARGETS)
def test_targets_that_are_refused(tmp_path, cells, message):
    with pytest.raises(DataError, match=message):
        learn_target(read(tmp_path, csv(cells)), "v", None)


def test_classes_in_several_spellings_and_with_one_row(tmp_path):
    table = read(tmp_path, csv(["Yes", "no", "yes", "YES", "yes", "No", "no"]))
    target, notes = learn_target(table, "v", None)
    assert target.classes == ("no", "yes")
    assert target.task == "binary"
    assert target.numbers(table, np.arange(7)).tolist() == [1, 0, 1, 1, 1, 0, 0]
    assert any("taken as" in note for note in notes)
    _, notes = learn_target(read(tmp_path, csv(["a", "b", "a", "b", "c", "d"])), "v", None)
    assert any('"c", "d"' in note and "one row each" in note for note in notes)
    _, notes = learn_target(read(tmp_path, csv(["A", "b", "a", "b", "A", "a"])), "v", None)
    assert any("differ in capitals only; add map_class=('a', 'A')" in note for note in notes)


def test_mapped_classes(tmp_path):
    table = read(tmp_path, csv(["<=50K", ">50K", "<=50K", ">50K."]))
    target, _ = learn_target(table, "v", None, ((">50K.", ">50K"),))
    assert target.classes == ("<=50K", ">50K")
    assert target.numbers(table, np.arange(4)).tolist() == [0, 1, 0, 1]
    other = read(tmp_path, csv(["<=50K.", ">50K."]))
    with pytest.raises(DataError, match=r"map_class=\('<=50K\.', '<=50K'\) if that class is meant"):
        target.numbers(other, np.arange(2))
    with pytest.raises(UsageError, match="'rich' is none of the classes"):
        target.with_aliases([(">50K.", "rich")])


def test_many_blocks_are_one_table(tmp_path, monkeypatch):
    """A column that turns to words, or numbers, late; line breaks in quotes; lines and rows."""
    from chainrule.tabular import blocks

    monkeypatch.setattr(blocks, "BLOCK", 64)
    rows = [
        f'{i},{i / 4},"a\nb{i}",{"007" if i == 90 else 1000 - i},{"x" if i == 99 else i}'
        for i in range(100)
    ]
    table = read(tmp_path, "n,q,t,z,m\n" + "\n".join(rows) + "\n")
    assert meaning(table, "n") == list(range(100))
    assert meaning(table, "q") == [i / 4 for i in range(100)]
    assert meaning(table, "t") == [f"a\nb{i}" for i in range(100)]
    assert meaning(table, "z") == ["007" if i == 90 else str(1000 - i) for i in range(100)]
    assert meaning(table, "m") == ["x" if i == 99 else str(i) for i in range(100)]
    assert table.where(90, "z").endswith(f"odd.csv:{2 + 2 * 90}:z")
    assert json.dumps(Path(table.source).name) == '"odd.csv"'
    with pytest.raises(DataError, match=r"odd\.csv:202: found 2 cells, expected 5"):
        read(tmp_path, "n,q,t,z,m\n" + "\n".join(rows) + "\n1,2\n")


def test_long_cells_and_escapes_are_cut_in_messages(tmp_path):
    table = read(tmp_path, csv(["1.5", "2.5", "y" * 100_000, "4", "5"]))
    with pytest.raises(DataError) as refused:
        learn_target(table, "v", None)
    assert len(str(refused.value)) < 600
    table = read(tmp_path, f"{'n' * 100_000},b\n1,2\n2,4\n")
    with pytest.raises(UsageError) as refused:
        table.choose("q" * 100_000, "target")
    assert len(str(refused.value)) < 600


DRESSED = {
    "CHF": (
        ["CHF 1'250.50", "CHF 2'000.00", "CHF 99.95", "CHF 1'000'000.00"],
        [1250.5, 2000, 99.95, 1000000.0],
    ),
    "yen": (["¥1,200", "¥35", "¥1,000,000", "¥7"], [1200, 35, 1000000.0, 7]),
    "rupee": (
        ["₹1,00,000.50", "₹12,34,567.00", "₹500.25", "₹1.00"],
        [100000.5, 1234567, 500.25, 1],
    ),
    "eurotrail": (
        ["1.234,50 €", "12,00 €", "3.000.000,25 €", "0,99 €"],
        [1234.5, 12, 3000000.25, 0.99],
    ),
    "usd": (["USD 10", "USD 20.5", "USD 1,000", "USD 3"], [10, 20.5, 1000, 3]),
    "negdollar": (["-$5.00", "$6.00", "-$1,200.50", "$7.25"], [-5, 6, -1200.5, 7.25]),
    "dollarneg": (["$-5.00", "$6.00", "$-1,200.50", "$7.25"], [-5, 6, -1200.5, 7.25]),
    "acct": (["($5.00)", "$6.00", "($1,200.50)", "$7.25"], [-5, 6, -1200.5, 7.25]),
    "acctpct": (["(5%)", "6%", "(12.5%)", "7%"], [-5, 6, -12.5, 7]),
    "trailminus": (["5.00-", "6.00", "1200.50-", "7.25"], [-5, 6, -1200.5, 7.25]),
    "uminus": (["−5", "6", "−7.5", "8"], [-5, 6, -7.5, 8]),
    "thinspace": (
        ["1\u2009234", "2\u2009000", "3", "4\u2009567\u2009890"],
        [1234, 2000, 3, 4567890],
    ),
    "nnbsp": (["1\u202f234,5", "2\u202f000,25", "3,5", "4,75"], [1234.5, 2000.25, 3.5, 4.75]),
    "nbsp": (["1\xa0234", "2\xa0000", "3", "4"], [1234, 2000, 3, 4]),
    "apos": (["'12", "'13", "'14.5", "'15"], [12, 13, 14.5, 15]),
    "eqs": (['=""12""', '=""13""', '=""14.5""', '=""15""'], [12, 13, 14.5, 15]),
    "kg": (["5 kg", "6.5 kg", "7 kg", "8 kg"], [5, 6.5, 7, 8]),
    "celsius": (["20°C", "21.5°C", "-3°C", "0°C"], [20, 21.5, -3, 0]),
    "permille": (["5‰", "6‰", "7.5‰", "8‰"], [5, 6, 7.5, 8]),
    "plus": (["+5", "-6", "+7.5", "-8"], [5, -6, 7.5, -8]),
    "sci": (["1e3", "2.5E-2", "3e+5", "4E0"], [1000.0, 0.025, 300000.0, 4]),
    "scicomma": (["1,5e3", "2,5e-2", "3,0e5", "4,1e0"], [1500.0, 0.025, 300000.0, 4.1]),
    "ambigdot": (["1.234", "2.345", "3.456", "4.567"], [1.234, 2.345, 3.456, 4.567]),
    "decimalcomma": (["1,5", "2,25", "3,125", "10,0"], [1.5, 2.25, 3.125, 10]),
    "dashmiss": (["1.5", "-", "2.5", "--"], [1.5, None, 2.5, None]),
    "naword": (["1.5", "n/a", "2.5", "#N/A"], [1.5, None, 2.5, None]),
    "div0": (["1.5", "#DIV/0!", "2.5", "#VALUE!"], [1.5, None, 2.5, None]),
    "missing": (["1.5", "missing", "2.5", "unknown"], [1.5, None, 2.5, None]),
    "dotmiss": (["1.5", ".", "2.5", "."], [1.5, None, 2.5, None]),
    "pctspace": (["5 %", "6,5 %", "7 %", "8 %"], [5, 6.5, 7, 8]),
}
"""Cells of a column in a file with semicolons, and the numbers they are."""
LOOK_ALIKE = {
    "kgmix": ["5 kg", "6500 g", "7 kg", "8 kg"],
    "fraction": ["1/2", "3/4", "1/8", "5/8"],
    "hex": ["0x10", "0x20", "0x30", "0x40"],
    "underscore": ["1_000", "2_000", "3_500", "4_000"],
    "magn": ["1.5M", "2K", "3.25B", "4K"],
    "mixsep": ["1,234.5", "2.345,6", "3,456.7", "4,567.8"],
    "leadzero": ["00501", "10001", "02139", "94103"],
    "phone": ["+1 555 0100", "+1 555 0101", "+1 555 0102", "+1 555 0103"],
    "time": ["12:30", "13:45", "00:15", "23:59"],
    "version": ["1.2.3", "1.2.4", "2.0.0", "2.1.0"],
    "ip": ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"],
    "iban": ["DE89 3704", "DE89 3705", "DE89 3706", "DE89 3707"],
    "approx": ["~5", "~6", "~7", "~8"],
    "lt": ["<5", "6", "7", "8"],
    "range": ["5-10", "10-15", "15-20", "20-25"],
}
"""Cells that look like numbers in part and are none, or codes: they stay what they are."""


@pytest.mark.parametrize("kind", [*DRESSED, *LOOK_ALIKE])
def test_cells_in_a_file_with_semicolons(kind, tmp_path):
    cells, numbers = DRESSED.get(kind) or (LOOK_ALIKE[kind], None)
    lines = [f'{i};"{cell}";{i * 1.5}' for i, cell in enumerate(cells * 3)]
    path = tmp_path / "odd.csv"
    path.write_text("\n".join(["id;v;w", *lines]), encoding="utf-8")
    column = read_table(path)["v"]
    if numbers is None:
        assert column.numbers is None
        assert list(column.codes[1]) == cells
    else:
        expected = np.array([np.nan if x is None else x for x in numbers] * 3)
        np.testing.assert_array_equal(column.numbers, expected)
