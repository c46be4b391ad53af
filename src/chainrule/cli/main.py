"""The entry point: runs a command and turns whatever goes wrong into one message.

Exit status: 0 done, 1 failed while running, 2 wrong usage or bad data, 130 interrupted (Ctrl-C),
143 terminated (SIGTERM, which does what Ctrl-C does).
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from chainrule.cli import ranks
from chainrule.errors import ChainruleError, DataError, UsageError

__all__ = ["main"]

BLAS_THREADS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
"""What the common BLAS libraries read their number of threads from, when NumPy loads them."""

WRITING = (errno.ENOSPC, errno.EFBIG, errno.EIO)
"""Errors of writing. Files name themselves; what is left is what click prints."""

INSTALL = "install it with:  pip install 'chainrule[cli]'"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line on ``arguments`` (default: the process's) and return its status."""
    if sys.stdout is None:  # closed by who started the process
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:  # a terminal without "·" shows "?" instead of failing
            reconfigure(errors="replace")
    if "numpy" not in sys.modules:
        # Products of this size gain nothing from threads, and lose much where other processes
        # want the cores too; one thread also gives the same bits on any number of cores.
        for variable in BLAS_THREADS:
            os.environ.setdefault(variable, "1")
    settings = {"debug": False, "terminated": False}
    ranks.join()
    status = _status(list(sys.argv[1:] if arguments is None else arguments), settings)
    return 143 if settings["terminated"] else status


def _status(arguments: list[str], settings: dict[str, bool]) -> int:
    """The exit status of a command, whatever goes wrong having been said."""
    try:
        with _terminable(settings), warnings.catch_warnings():
            warnings.showwarning = lambda message, *_: ranks.RANK or _say(str(message), "note")
            status = _run(arguments, settings)
            sys.stdout.flush()
            return status
    except BrokenPipeError:
        _abandon_output()  # the reader has gone, as in `| head`: nobody is left to be told
        return 1
    except KeyboardInterrupt:
        if not ranks.RANK:
            _say("interrupted")
        return 130
    except Exception as error:
        if settings["debug"]:
            traceback.print_exc()
        status, message = _explained(error)
        ranks.take_turn()
        _say(message)
        ranks.end_all(status)
        try:
            sys.stdout.flush()
        except OSError:
            _abandon_output()
        return status


class _Terminated(KeyboardInterrupt):
    """SIGTERM. Not KeyboardInterrupt itself: where that passes ``exec`` of a text, as when imports
    make dataclasses, ``python -m`` ends by SIGINT whatever the exit status is."""


@contextlib.contextmanager
def _terminable(settings: dict[str, bool]) -> Iterator[None]:
    """Within it SIGTERM does what Ctrl-C does, unless whoever started the process, or calls this
    from a program, has said what it does. The library itself handles no signal."""

    def end(*_: object) -> None:
        settings["terminated"] = True
        raise _Terminated

    alone = threading.current_thread() is threading.main_thread()
    if not alone or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _abandon_output() -> None:
    """Python writes what is left when it ends; where that is impossible, it goes nowhere."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(arguments: list[str], settings: dict[str, bool]) -> int:
    import click

    from chainrule.cli.app import app

    try:
        status = app.main(arguments, prog_name="chainrule", standalone_mode=False, obj=settings)
        return status if isinstance(status, int) else 0
    except click.Abort:
        raise KeyboardInterrupt from None
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        path = context.command_path if context is not None else "chainrule"
        ranks.take_turn()
        message = _hint(error) or error.format_message()
        end = "" if message.endswith((".", "?")) else "."
        _say(f"{message}{end} See {path} --help")
        ranks.end_all(error.exit_code)
        return error.exit_code


MEANT = {
    "--lr": "--learning-rate",
    "--objective": "--loss",
    "--criterion": "--loss",
    "--layers": "--hidden",
    "--units": "--hidden",
    "--patience": "--early-stopping",
    "--weight-decay": "--l2",
    "--alpha": "--l2",
    "--label": "--target",
    "--output": "--out",
    "--coverage": "--interval",
    "--confidence": "--interval",
    "--sep": "--delimiter",
    "--separator": "--delimiter",
    "--na-values": "--missing",
    "--nan": "--missing",
    "--categorical": "--category",
    "--exclude": "--drop",
    "--ignore": "--drop",
    "--test-size": "--test",
    "--random-state": "--seed",
    "--verbose": "--quiet (for less)",
}
"""Options by the names that other programs give them."""


def _hint(error: Any) -> str:
    """The message for an option that is called otherwise here; "" for other errors."""
    name = getattr(error, "option_name", None)
    meant = MEANT.get(name or "", "")
    command = getattr(getattr(error, "ctx", None), "command", None)
    known = {option for param in getattr(command, "params", ()) for option in param.opts}
    if not meant or name in known or meant.split(" ")[0] not in known:
        return ""
    return f"No such option: {name}. Did you mean {meant}?"


PYTHON = (
    (r", or optim\.chain\(.*?\.\.\.\)", ""),
    (r"\. The network of [^.]* is in this error's ``result``", ""),
    ("a smaller learning rate", "a smaller learning rate with --learning-rate"),
)
"""Advice of the library that does not help on the command line, and what stands there."""


def _explained(error: Exception) -> tuple[int, str]:
    """The exit status and the message for an error."""
    if isinstance(error, DataError | UsageError):
        from chainrule.cli.shared import in_flags

        return 2, in_flags(str(error))
    if isinstance(error, ChainruleError):
        message = str(error)
        for advice, instead in PYTHON:
            message = re.sub(advice, instead, message)
        return 1, message
    if isinstance(error, ModuleNotFoundError) and not (error.name or "").startswith("chainrule"):
        return 1, f"the command line needs the package {error.name}; {INSTALL}"
    if isinstance(error, OSError) and error.strerror:
        unnamed = "standard output: " if error.errno in WRITING else ""
        place = unnamed if error.filename is None else f"{error.filename}: "
        missing = isinstance(error, FileNotFoundError | IsADirectoryError)
        return (2 if missing else 1), f"{place}{error.strerror}"
    if isinstance(error, MemoryError):
        return 1, "out of memory; take fewer rows, or drop columns with --drop"
    kind = type(error).__name__
    return 1, f"unexpected {kind}: {error}. This is a fault of chainrule; --debug shows where"


def _say(message: str, who: str = "chainrule") -> None:
    from chainrule.cli.text import clean

    with contextlib.suppress(OSError, ValueError):
        print(f"{who}: {clean(message)}", file=sys.stderr, flush=True)
