"""The entry point: runs a command and turns whatever goes wrong into one message.

Exit status: 0 done, 1 failed while running, 2 wrong usage or bad data, 130 interrupted.
"""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Sequence

from chainrule.errors import ChainruleError, DataError, UsageError

__all__ = ["main"]

BLAS_THREADS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
"""What the common BLAS libraries read their number of threads from, when NumPy loads them."""

INSTALL = "install it with:  pip install 'chainrule[cli]'"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line on ``arguments`` (default: the process's) and return its status."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:  # a terminal without "·" shows "?" instead of failing
            reconfigure(errors="replace")
    if "numpy" not in sys.modules:
        # Products of this size gain nothing from threads, and lose much where other processes
        # want the cores too; one thread also gives the same bits on any number of cores.
        for variable in BLAS_THREADS:
            os.environ.setdefault(variable, "1")
    settings = {"debug": False}
    try:
        status = _run(list(sys.argv[1:] if arguments is None else arguments), settings)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # The reader has gone, as in `| head`: nobody is left to be told.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        _say("interrupted")
        return 130
    except Exception as error:
        if settings["debug"]:
            traceback.print_exc()
        status, message = _explained(error)
        _say(message)
        return status


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
        message = error.format_message()
        end = "" if message.endswith((".", "?")) else "."
        _say(f"{message}{end} See {path} --help")
        return error.exit_code


def _explained(error: Exception) -> tuple[int, str]:
    """The exit status and the message for an error."""
    if isinstance(error, DataError | UsageError):
        from chainrule.cli.shared import in_flags

        return 2, in_flags(str(error))
    if isinstance(error, ChainruleError):
        return 1, str(error)
    if isinstance(error, ModuleNotFoundError) and not (error.name or "").startswith("chainrule"):
        return 1, f"the command line needs the package {error.name}; {INSTALL}"
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename is not None else ""
        missing = isinstance(error, FileNotFoundError | IsADirectoryError)
        return (2 if missing else 1), f"{place}{error.strerror}"
    if isinstance(error, MemoryError):
        return 1, "out of memory; take fewer rows, or drop columns with --drop"
    kind = type(error).__name__
    return 1, f"unexpected {kind}: {error}. This is a fault of chainrule; --debug shows where"


def _say(message: str) -> None:
    from chainrule.cli.text import clean

    with contextlib.suppress(OSError, ValueError):
        print(f"chainrule: {clean(message)}", file=sys.stderr, flush=True)
