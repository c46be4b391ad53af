"""What several commands share: options, notes, output."""

from __future__ import annotations

import ast
import contextlib
import json
import os
import re
import shlex
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from chainrule.cli.text import clean
from chainrule.errors import NonFiniteError, UsageError

if TYPE_CHECKING:
    from chainrule.tabular import Format, TabularModel

__all__ = [
    "check_output",
    "debug_option",
    "header_option",
    "model_format",
    "print_json",
    "print_lines",
    "print_notes",
    "reading_options",
    "told_of_nonfinite",
    "write_file",
    "write_text",
]


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
    """Adds the options that say how to read a CSV file, besides whether it has a header."""
    for option in (
        click.option(
            "--missing",
            multiple=True,
            metavar="WORD",
            help="A further word for a missing cell, besides an empty one, ?, NA, N/A, NaN and "
            "null. Repeatable.",
        ),
        click.option(
            "--encoding", metavar="NAME", help="The file's character encoding (default: utf-8)."
        ),
        click.option(
            "--delimiter",
            metavar="CHAR",
            help="What separates cells: by default found out among , ; tab and |.",
        ),
    ):
        command = option(command)
    return command


header_option = click.option(
    "--header/--no-header",
    default=None,
    help="Whether the first line is names; by default as in training.",
)


def delimiter(value: str | None) -> str | None:
    """The separator meant by an option's value: ``tab`` and ``\\t`` are a tab."""
    return "\t" if value in ("tab", r"\t") else value


def model_format(
    model: TabularModel,
    delimiter_: str | None,
    encoding: str | None,
    header: bool | None,
    missing: tuple[str, ...],
) -> Format:
    """How to read data for a model: as its training data, unless told otherwise."""
    from chainrule.tabular import Format

    return Format(
        header=model.header if header is None else header,
        delimiter=delimiter(delimiter_),
        encoding=encoding,
        missing=(*model.missing, *missing),
    )


@contextlib.contextmanager
def told_of_nonfinite(wanted: bool) -> Iterator[None]:
    """Within it, a training that diverges says where, before its error is raised."""
    try:
        yield
    except NonFiniteError as error:
        if wanted:
            from chainrule.diagnosis import origin_of

            report = origin_of(error)  # type: ignore[arg-type]
            lines = (
                ["the failing minibatch, done again, is finite"]
                if report is None
                else [clean(line) for line in str(report).splitlines()]
            )
            click.echo("\n".join(lines), err=True)
        raise


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

    names = {*Options.__dataclass_fields__, "target", "header", "encoding", "delimiter", "missing"}

    def flag(found: re.Match[str]) -> str:
        name, text = found.groups()
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            return found[0]
        if name not in names:
            return found[0]
        option = "--" + name.replace("_", "-")
        if isinstance(value, bool):
            return option if value else f"--no-{name}"
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


def write_file(out: Path, data: bytes, *, force: bool) -> None:
    """Bytes to a file that ``check_output`` has passed."""
    from chainrule.io import atomic_write

    atomic_write(out, data, replace=force)


def _utf8(text: str) -> bytes:
    """Text as bytes; what is no character, as in a file name that is not UTF-8, as JSON has it."""
    return text.encode("utf-8", "backslashreplace")
