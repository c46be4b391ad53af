"""``chainrule diagnose``."""

from __future__ import annotations

from typing import Any

import click

from chainrule.cli import shared
from chainrule.errors import UsageError

__all__ = ["command"]

EXAMPLES = """\b
Examples:
  chainrule diagnose penguins.csv --target species
  chainrule diagnose houses.csv --target price --drop id --json
  chainrule diagnose --explain
"""


@click.command("diagnose", epilog=EXAMPLES, short_help="Check data and network before training.")
@click.argument("data", required=False)
@click.option("--target", metavar="COLUMN", help="What to predict: name or place.")
@click.option("--task", metavar="NAME", help="regression, binary or multiclass; else inferred.")
@click.option("--hidden", metavar="UNITS", help="Units per hidden layer, such as 64,32.")
@click.option("--activation", metavar="NAME", help="Of the hidden layers.")
@click.option("--init", metavar="NAME", help="Initial weights.")
@click.option("--seed", type=int, metavar="N", help="Of split and initial weights.")
@click.option("--drop", multiple=True, metavar="COLUMN", help="Leave a column out. Repeatable.")
@shared.reading_options
@click.option("--explain", is_flag=True, help="List what is checked, here and after training.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@shared.debug_option
def command(
    data: str | None,
    target: str | None,
    explain: bool,
    as_json: bool,
    **settings: Any,
) -> None:
    """Check the table DATA and the network that would be trained on it, before any training.

    The loss of the untrained network against that of a guess; whether 20 rows can be learned by
    heart; gradients against difference quotients; what each layer passes on; scales, constant,
    copied and telling columns, rows in two parts, rare classes. ``chainrule train --report``
    judges a training that is done.
    """
    if explain:
        shared.print_lines(_listed())
        return
    if data is None or target is None:
        raise UsageError("diagnose needs a table and --target COLUMN; --explain lists the checks")
    from chainrule.diagnosis import preflight_plan
    from chainrule.tabular import prepare, read_table
    from chainrule.tabular.options import Options

    format = shared.reading(settings)
    hidden = settings.pop("hidden")
    given = {name: value for name, value in settings.items() if value not in (None, ())}
    if hidden is not None:
        try:
            given["hidden"] = tuple(int(n) for n in hidden.split(",") if n.strip())
        except ValueError:
            raise UsageError(f"--hidden {hidden}: is not numbers of units such as 64,32") from None
    plan = prepare(read_table(data, format), target, Options(**given))
    found = preflight_plan(plan)
    if as_json:
        shared.print_json(
            {
                "data": data,
                "findings": [one.to_json() for one in found],
                "passed": list(found.passed),
                "notes": [shared.in_flags(note) for note in plan.notes],
            }
        )
        return
    from chainrule.cli.text import clean

    shared.print_notes(plan.notes, quiet=False)
    shared.print_lines([clean(line) for line in found.lines()])


def _listed() -> list[str]:
    """Every check with what its code says about it."""
    from chainrule.diagnosis.preflight import CHECKS
    from chainrule.diagnosis.review import RULES

    lines = ["before training (chainrule diagnose)"]
    lines += [f"  {name}" for name in CHECKS]
    lines += ["", "after training (chainrule train --report)"]
    return lines + [f"  {name}" for name in RULES]
