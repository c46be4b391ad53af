"""What ``train`` says about a training: ``--report``, ``--cure`` and ``--debug-nonfinite``."""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from chainrule.cli import shared
from chainrule.cli.text import clean
from chainrule.errors import NonFiniteError

if TYPE_CHECKING:
    from chainrule.tabular import Plan, TabularModel

__all__ = ["Judgement", "diagnosis_options"]


def diagnosis_options(command: Any) -> Any:
    """Adds the options that judge a training."""
    for option in (
        click.option(
            "--debug-nonfinite",
            is_flag=True,
            help="If training diverges, do the failing minibatch again and say which operation "
            "did it.",
        ),
        click.option(
            "--cure",
            is_flag=True,
            help="Try what the verdict advises: train again on the same seeds, and say whether it "
            "helped.",
        ),
        click.option(
            "--report", metavar="FILE", help="Write a verdict on the training as an HTML page."
        ),
    ):
        command = option(command)
    return command


@dataclass
class Judgement:
    """What was asked for, and what was found; ``findings`` is None where nobody asked."""

    report: str | None
    cure: bool
    debug_nonfinite: bool
    verdict: Any = None
    trials: Any = ()

    @property
    def wanted(self) -> bool:
        return self.cure or self.report is not None

    def check(self, inputs: list[Path], *, force: bool) -> None:
        """Refuse a report that cannot be written, before any work is done."""
        if self.report is not None:
            path = Path(self.report)
            ours = path.is_file() and path.read_bytes()[:400].count(b"Content-Security-Policy") > 0
            shared.check_output(path, "--report", inputs, force=force or ours)

    def fit(self, plan: Plan, on_epoch: Callable[[Any], Any], **running: Any) -> TabularModel:
        """Train; watched, if a verdict is wanted."""
        with self._told():
            if not self.wanted:
                return plan.fit(on_epoch, **running)
            from chainrule.diagnosis import cured, reviewed

            self.verdict = reviewed(plan, on_epoch, **running)
            if self.cure:
                self.trials = cured(plan, self.verdict.findings, **running)
            return self.verdict.model

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Within it, a training that diverges says where, before its error is raised."""
        try:
            yield
        except NonFiniteError as error:
            if self.debug_nonfinite:
                from chainrule.diagnosis import origin_of

                found = origin_of(error)  # type: ignore[arg-type]
                text = found or (
                    "the failing minibatch, done again, is finite"
                    if getattr(error, "failing", None) is not None
                    else "the rows that it was evaluated on are streamed, and no longer at hand"
                )
                for line in str(text).splitlines():
                    click.echo(clean(line), err=True)
            raise

    def write(self, plan: Plan) -> None:
        """The page, if one was asked for."""
        if self.report is None:
            return
        from chainrule.diagnosis import report_page

        command = shlex.join(["chainrule", *sys.argv[1:]])
        page = report_page(plan, self.verdict, self.trials, command)
        shared.write_text(page, Path(self.report), force=True)

    def lines(self) -> list[str]:
        """The findings and what was tried, for the terminal."""
        if self.verdict is None:
            return []
        of = len(self.verdict.model.members)
        lines = [f"about the first of {of} networks:"] if of > 1 else []
        lines += [clean(line) for line in self.verdict.findings.lines()]
        tried = [f"        tried     {t.change}: {t}" for t in self.trials]
        if tried:
            lines += ["", *[clean(line) for line in tried]]
        if self.report is not None:
            lines.append(clean(f"  report: {self.report}"))
        return ["", *lines]

    def to_json(self) -> dict[str, Any]:
        """The same for ``--json``."""
        if self.verdict is None:
            return {}
        return {
            "findings": [one.to_json() for one in self.verdict.findings],
            "trials": [
                {"change": t.change, "score": t.score, "before": list(t.before),
                 "after": list(t.after), "verdict": t.verdict}
                for t in self.trials
            ],
        }  # fmt: skip
