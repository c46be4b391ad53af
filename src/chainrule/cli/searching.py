"""``train --search``: what is searched, and what is said of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from chainrule.cli import shared
from chainrule.cli.text import clean, score
from chainrule.cli.text import table as lines

if TYPE_CHECKING:
    from chainrule.tabular import Options

__all__ = ["print_search", "search_options", "searched"]


def search_options(command: Any) -> Any:
    """Adds the options of a search."""
    for option in (
        click.option(
            "--trials", type=int, metavar="N", help="How many settings --search tries instead."
        ),
        click.option(
            "--minutes", type=float, metavar="N", help="How long --search takes; by default 5."
        ),
        click.option(
            "--search",
            is_flag=True,
            help="Search the hyper-parameters first, beside linear and gradient boosting (needs "
            "scikit-learn).",
        ),
    ):
        command = option(command)
    return command


def searched(
    table: Any,
    target: str,
    options: Options,
    tables: dict[str, Any],
    minutes: float | None,
    trials: int | None,
    running: dict[str, Any],
    quiet: bool,
) -> Any:
    """What a search finds, which is announced."""
    from chainrule.estimators import search

    span = f"{trials} settings" if minutes is None else f"{minutes:g} minutes"
    shared.print_notes([f"searching the hyper-parameters: {span}"], quiet=quiet)
    jobs = running["threads"] or os.cpu_count()
    return search(table, target, options, minutes=minutes, trials=trials, n_jobs=jobs,
                  executor=running["executor"], **tables)  # fmt: skip


def print_search(found: Any) -> None:
    """The contenders, what was found, and the verdict."""
    rows = [["", f"{found.score}, over folds", "± seeds", "test"]]
    for one in found.contenders:
        noise = score(found.score, one.noise) if one.noise > 0 else ""
        own = score(found.score, one.loss), noise, score(found.score, one.test)
        rows.append([one.name, *own])
    text = ", ".join(f"{name}={value!r}" for name, value in found.settings.items())
    shared.print_lines(
        [
            *lines(rows, right=[1, 2, 3]),
            "",
            clean(f"{found.trials} settings tried; {found.verdict}"),
            *([clean(shared.in_flags(f"found: {text}"))] if text else []),
            "",
        ]
    )
