"""``chainrule check``."""

from __future__ import annotations

import contextlib
import functools
from pathlib import Path
from typing import Any

import click

from chainrule.cli import shared
from chainrule.errors import UsageError

__all__ = ["command"]

EXAMPLES = """\b
Examples:
  chainrule check homework.py
  chainrule check homework.py --hint-level 1
  chainrule check homework.py --case case.py --points W1=2,b1=1 --json
  chainrule check homework.py --reference solution.py --case case.py
  chainrule check net.py --forward Net.loss --backward Net.backprop
"""


@click.command("check", epilog=EXAMPLES, short_help="Check a backward pass written by hand.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--forward", metavar="NAME", help="The function that computes the loss.")
@click.option("--backward", metavar="NAME", help="The function that computes the gradients.")
@click.option("--loss", "cost", metavar="NAME", help="The loss, where --forward does not give it.")
@click.option("--wrt", metavar="NAMES", help="Check these parameters only, as in W1,b1.")
@click.option(
    "--case",
    type=click.Path(path_type=Path),
    help="A file with a function check_case() that returns the arguments by name.",
)
@click.option(
    "--reference",
    type=click.Path(path_type=Path),
    help="A right solution, whose gradients are compared with (for a FILE without a loss).",
)
@click.option(
    "--with",
    "files",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A further file that the program reads or imports. Repeatable.",
)
@click.option(
    "--hint-level",
    "hints",
    type=click.IntRange(0, 3),
    default=3,
    show_default=True,
    help="0 right or wrong, 1 what to think about, 2 the line, 3 what to write.",
)
@click.option("--points", metavar="NAME=N,...", help="Points for each parameter (1 each).")
@click.option("--seconds", type=click.FloatRange(1, 3600), default=60, show_default=True)
@click.option("--memory", type=click.IntRange(64), default=2048, show_default=True, help="MiB.")
@click.option("--json", "as_json", is_flag=True, help="The result as JSON.")
@shared.debug_option
@click.pass_context
def command(
    ctx: click.Context,
    file: Path,
    forward: str | None,
    backward: str | None,
    cost: str | None,
    wrt: str | None,
    case: Path | None,
    reference: Path | None,
    files: tuple[Path, ...],
    hints: int,
    points: str | None,
    seconds: float,
    memory: int,
    as_json: bool,
) -> None:
    """Check the backward pass in FILE against numbers, and name the likely mistake.

    Functions are found by their usual names (forward, loss, backward, gradients, a class with
    such methods). The program runs in a process of its own, with limits on time, memory and
    files. The exit status is 0 if every gradient is right, 1 if one is wrong, 2 if the file
    cannot be checked.
    """
    from chainrule.checking.handwritten.process import DEFAULTS, Worker
    from chainrule.checking.handwritten.report import data, text
    from chainrule.checking.handwritten.search import checked
    from chainrule.io import naming

    with naming(file):
        source = file.read_text(encoding="utf-8")
    try:
        compile(source, str(file), "exec")
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        where = f"{file}:{line}" if line else str(file)
        raise UsageError(f"{where}: is not Python: {error.args[0]}") from None
    limits = {**DEFAULTS, "seconds": seconds, "memory": memory}
    names = wrt.split(",") if wrt else None
    with contextlib.ExitStack() as stack:
        started = functools.partial(Worker, case=case, files=files, limits=limits,
                                    needs_loss=reference is None)  # fmt: skip
        truth, theirs = None, {}
        if reference is not None:
            truth = stack.enter_context(started(reference, wrt=names))
            theirs = truth.describe()["parameters"]
            names = list(theirs)
        worker = stack.enter_context(
            started(file, forward=forward, backward=backward, cost=cost, wrt=names)
        )
        if truth is not None:
            _same_arguments(worker.describe()["parameters"], theirs)
        found = checked(worker, source, str(file), weights=_points(points),
                        seconds=0.6 * seconds, reference=truth)  # fmt: skip
    if as_json:
        shared.print_json(data(found, hints))
    else:
        shared.print_lines(text(found, hints).splitlines())
    ctx.exit(0 if found.ok else 2 if found.is_open else 1)


def _same_arguments(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Refuse to compare gradients at different places."""
    for name, value in theirs.items():
        if name not in ours:
            raise UsageError(f"the reference has a parameter {name}, and the file has none: "
                             "both take the arguments that --case gives")  # fmt: skip
        if ours[name] != value:
            raise UsageError(f"{name} has other values in the reference than in the file: give "
                             "both the same arguments with --case")  # fmt: skip


def _points(text: str | None) -> dict[str, float]:
    found = {}
    for part in (text or "").split(",") if text else ():
        name, _, number = part.partition("=")
        try:
            found[name.strip()] = float(number)
        except ValueError:
            raise UsageError(f"--points {part}: write NAME=NUMBER, as in W1=2,b1=1") from None
    return found
