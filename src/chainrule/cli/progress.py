"""One line that follows the epochs on a terminal; elsewhere a line every few seconds."""

from __future__ import annotations

import os
import sys
import time
from types import TracebackType
from typing import Any

from chainrule.cli.text import number

__all__ = ["Progress", "wanted"]


PERIOD = 5.0
"""Seconds between two lines where there is no terminal."""


def wanted(quiet: bool) -> bool:
    """Whether to show progress: standard error is a terminal, and not that of a CI job."""
    return (
        not quiet
        and sys.stderr.isatty()
        and not os.environ.get("CI")
        and os.environ.get("TERM") != "dumb"
    )


class Progress:
    """A context; call it with each ``EpochEnd``.

    ``shown`` draws the line of a terminal; without it ``lines`` prints one every ``PERIOD``
    seconds, and a short run prints none.
    """

    def __init__(self, epochs: int, shown: bool, *, lines: bool = False) -> None:
        self.best = ""
        self.epochs = epochs
        self.started = self.told = time.monotonic()
        self.lines = lines and not shown
        self.line: Any = None
        if shown:
            self._start(epochs)

    def _start(self, epochs: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, ProgressColumn, TextColumn
        from rich.progress import Progress as Line
        from rich.text import Text

        class Seconds(ProgressColumn):
            """Time since the start, as ``0.2 s``."""

            def render(self, task: Any) -> Text:
                return Text(f"  {task.elapsed or 0:.1f} s")

        self.line = Line(
            TextColumn("epoch {task.completed:.0f}/{task.total:.0f} "),
            BarColumn(bar_width=28),
            TextColumn("{task.fields[losses]}", markup=False),
            Seconds(),
            console=Console(stderr=True),
        )
        self.task = self.line.add_task("", total=epochs, losses="")

    def __enter__(self) -> Progress:
        if self.line is not None:
            self.line.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.line is not None:
            self.line.stop()

    def __call__(self, event: Any) -> None:
        if self.line is None and not self.lines:
            return
        row = event.history_row
        losses = f"train {number(row['train_loss'])}"
        held = row.get("validation_loss")
        if held is not None:
            if event.best_epoch == event.epoch:
                self.best = f"best {number(held)} (epoch {event.epoch})"
            losses += f"  validation {number(held)}  {self.best}"
        if self.line is not None:
            self.line.update(self.task, completed=event.epoch, losses=losses)
            return
        now = time.monotonic()
        if now - self.told >= PERIOD:
            self.told = now
            seconds = f"{now - self.started:.0f} s"
            print(f"epoch {event.epoch}/{self.epochs}  {losses}  {seconds}", file=sys.stderr)
            sys.stderr.flush()
