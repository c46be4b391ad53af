"""What several commands share: options, notes, output."""

from __future__ import annotations

import ast
import glob
import json
import os
import re
import shlex
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import click

from chainrule.cli.text import clean
from chainrule.errors import UsageError

if TYPE_CHECKING:
    from chainrule.tabular import Format, TabularModel

__all__ = [
    "check_output",
    "debug_option",
    "memory_option",
    "print_json",
    "print_lines",
    "print_notes",
    "reading",
    "reading_options",
    "table_name",
    "write_file",
    "write_text",
    "write_texts",
]


ORDERS = ("dmy", "mdy", "ymd")
PACKED = (".gz", ".zst", ".bz2", ".xz")
READING = (
    *("header", "delimiter", "encoding", "missing", "missing_only", "decimal", "thousands"),
    *("date_order", "sheet"),
)
"""The options that say how to read data, as ``tabular.Format`` calls them."""

FLAGS = {"coverage": "interval"}
"""Settings whose option has another name."""

OBEYED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Control characters but line breaks and tabs."""


def _set_debug(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and ctx.obj is not None:
        ctx.obj["debug"] = True


def debug_option(command: Any) -> Any:
    """Adds ``--debug``, which shows the traceback of an error."""
    return click.option(
        "--debug",
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_set_debug,
        help="Show the traceback of an error.",
    )(command)


def reading_options(command: Any) -> Any:
    """Adds the options that say how to read data; ``reading`` takes them."""
    for option in (
        click.option(
            "--sheet", metavar="NAME", help="The sheet of an Excel file (default: the first)."
        ),
        click.option(
            "--date-order",
            type=click.Choice(ORDERS),
            help="Order of day, month and year where dates could be read in two ways.",
        ),
        click.option(
            "--thousands",
            metavar="CHAR",
            help="The mark between thousands, where numbers could be read in two ways.",
        ),
        click.option(
            "--decimal",
            metavar="CHAR",
            help="The decimal mark, a point or a comma, where numbers could be read in two ways.",
        ),
        click.option(
            "--missing-only",
            is_flag=True,
            help="Only empty cells and the words of --missing are missing; NA is a word.",
        ),
        click.option(
            "--missing",
            multiple=True,
            metavar="WORD",
            help="A further word for a missing cell, besides an empty one, ?, NA, N/A, NaN, null "
            "and the like. Repeatable.",
        ),
        click.option(
            "--encoding", metavar="NAME", help="The file's character encoding (default: utf-8)."
        ),
        click.option(
            "--delimiter",
            metavar="CHAR",
            help="What separates cells: by default found out among , ; tab | and runs of spaces.",
        ),
        click.option(
            "--header/--no-header",
            default=None,
            help="Whether the first line is names; by default found out, or as in training.",
        ),
    ):
        command = option(command)
    return command


def reading(options: dict[str, Any], model: TabularModel | None = None) -> Format:
    """How to read data, by the options of ``reading_options``, which are taken out; what they do
    not say is as in the training data of ``model``."""
    from chainrule.tabular import Format

    given = {name: options.pop(name) for name in READING}
    if given["delimiter"] in ("tab", r"\t"):
        given["delimiter"] = "\t"
    if model is None:
        return Format(**given)
    like = model.reading
    given["missing"] = (*like.missing, *given["missing"])
    given["missing_only"] |= like.missing_only
    said = {name: value for name, value in given.items() if value is not None}
    dress = {} if "decimal" in said or "thousands" in said else like.dress
    return replace(like, dress=dress, **said)


memory_option = click.option(
    "--memory",
    metavar="SIZE",
    help="Read DATA, Parquet, Arrow or CSV, piece by piece: the process takes about this much, "
    "as 1GB.",
)


def table_name(data: str, *, streamed: bool = False) -> str:
    """What a model of this data is called: the file's or folder's name without its endings.

    A model of an address, which may only be ``streamed``, goes to the current folder.
    """
    from chainrule.tabular.sources import is_address, masked, refuse_address

    if streamed and is_address(data):
        data = Path(unquote(masked(data))).name
    refuse_address(data)
    if data == "-":
        raise UsageError("--out: name the model file, as the data come from standard input")
    path = Path(data)
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise UsageError(f"--out: name the model file, as {path} is not an ordinary file")
    if not path.exists() and glob.has_magic(data):
        raise UsageError(f"--out: name the model file, as {data} stands for several files")
    while path.suffix.lower() in PACKED:
        path = path.with_suffix("")
    return str(path.with_suffix(".safetensors"))


def check_output(path: Path, option: str, inputs: Iterable[Path], *, force: bool) -> None:
    """Refuse an output file that cannot or must not be written, before any work is done."""
    if "\0" in str(path):
        raise UsageError(f"{option} {str(path)!r}: a file name has no zero byte")
    if path.is_dir():
        raise UsageError(f"{option} {path}: is a folder; give a file name")
    if path.exists() and not path.is_file():
        raise UsageError(f"{option} {path}: is not an ordinary file; give another name")
    if not path.parent.is_dir():
        raise UsageError(f"{option} {path}: there is no folder {path.parent}; make it first")
    if any(os.path.realpath(path) == os.path.realpath(other) for other in inputs):
        raise UsageError(f"{option} {path}: is the input itself; choose another name")
    if path.exists() and not force:
        raise UsageError(f"{option} {path}: exists already; add --force to replace it")
    if not os.access(path.parent, os.W_OK):
        raise UsageError(f"{option} {path}: the folder {path.parent} cannot be written to")


_SETTING = re.compile(r"""(?<![\w.])(\w+)=(\([^()]*\)|'[^']*'|"[^"]*"|[^\s:;,)]+)""")


def in_flags(message: str) -> str:
    """A message of ``tabular`` with its settings, ``drop=('id',)``, as options, ``--drop id``."""
    if "chainrule.tabular.options" not in sys.modules:
        return message
    from chainrule.tabular import Options

    names = {
        *Options.__dataclass_fields__,
        "target",
        "coverage",
        "every",
        "resume",
        "force",
        "memory",
    }
    names |= {*READING}

    def flag(found: re.Match[str]) -> str:
        name, text = found.groups()
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            return found[0]
        if name not in names:
            return found[0]
        option = "--" + FLAGS.get(name, name).replace("_", "-")
        if isinstance(value, bool):
            return option if value else f"--no-{name}"
        if name == "map_class":
            return " ".join((option, *map(shlex.quote, value)))
        if name == "hidden":
            value = ",".join(map(str, value))
        several = value if isinstance(value, tuple) else (value,)
        return " ".join(f"{option} {shlex.quote(str(one))}" for one in several)

    return _SETTING.sub(flag, message)


def print_notes(notes: Iterable[str], *, quiet: bool) -> None:
    """Notes on the data, on standard error."""
    if not quiet:
        for note in notes:
            print(f"note: {clean(in_flags(note))}", file=sys.stderr)


def print_lines(lines: Iterable[str]) -> None:
    """Lines of a result, on standard output, which errors name."""
    from chainrule.io import naming

    with naming("standard output"):
        for line in lines:
            print(line)
        sys.stdout.flush()


def print_json(value: Any) -> None:
    """A result as JSON, in UTF-8 whatever the terminal's encoding."""
    write_text(json.dumps(value, allow_nan=False, ensure_ascii=False, indent=2) + "\n")


def write_texts(texts: Iterable[str], out: Path | None, *, force: bool) -> None:
    """Texts, one after the other, as ``write_text`` writes them."""
    if out is None:
        for text in texts:
            write_text(text)
    else:
        write_file(out, map(_utf8, texts), force=force)


def write_text(text: str, out: Path | None = None, *, force: bool = False) -> None:
    """Text in UTF-8 to a file, or on standard output after what was printed before.

    A terminal obeys some characters, and data may hold them: there, and only there, they are
    shown as JSON has them.
    """
    if out is not None:
        write_file(out, _utf8(text), force=force)
        return
    from chainrule.io import naming

    if sys.stdout.isatty():
        text = OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    buffer = getattr(sys.stdout, "buffer", None)
    with naming("standard output"):
        sys.stdout.flush()
        if buffer is None:
            sys.stdout.write(text)
        else:
            buffer.write(_utf8(text))
            buffer.flush()


def write_file(out: Path, data: bytes | Iterable[bytes], *, force: bool) -> None:
    """Bytes to a file that ``check_output`` has passed."""
    from chainrule.io import atomic_write

    atomic_write(out, data, replace=force)


def _utf8(text: str) -> bytes:
    """Text as bytes; what is no character, as in a file name that is not UTF-8, as JSON has it."""
    return text.encode("utf-8", "backslashreplace")
