"""``chainrule evaluate``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from chainrule.cli import shared

__all__ = ["command"]

EXAMPLES = """\b
Examples:
  chainrule evaluate penguins.safetensors labelled.csv
  chainrule evaluate adult-train.safetensors adult-test.csv --map-class "<=50K." "<=50K" \\
      --map-class ">50K." ">50K"
  chainrule evaluate penguins.safetensors labelled.csv --json
"""


@click.command("evaluate", epilog=EXAMPLES, short_help="Score a model on data that has the target.")
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("data")
@click.option(
    "--map-class",
    multiple=True,
    nargs=2,
    metavar="WORD CLASS",
    help="A word of DATA that stands for a class of the model. Repeatable.",
)
@shared.memory_option
@shared.reading_options
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("--quiet", is_flag=True, help="No notes.")
@shared.debug_option
def command(
    model: Path,
    data: str,
    memory: str | None,
    as_json: bool,
    quiet: bool,
    map_class: tuple[tuple[str, str], ...],
    **options: Any,
) -> None:
    """Score a model on DATA, which has the target, beside what takes no learning."""
    from chainrule.cli.render import scores_json, scores_lines
    from chainrule.tabular import Stream, TabularModel, read_table

    loaded = TabularModel.load(model)
    if map_class:
        loaded = replace(loaded, target=loaded.target.with_aliases(map_class))
    format = shared.reading(options, loaded)
    table = read_table(data, format) if memory is None else Stream(data, format, memory=memory)
    scores, notes = loaded.evaluate(table)
    if as_json:
        shared.print_json(
            {
                "model": str(model),
                "data": table.name if isinstance(table, Stream) else data,
                "target": loaded.target.name,
                **({} if isinstance(table, Stream) else {"rows": len(loaded.target.rows(table))}),
                **scores_json(scores),
                "notes": [shared.in_flags(note) for note in notes],
            }
        )
        return
    shared.print_notes(notes, quiet=quiet)
    shared.print_lines(scores_lines(scores))
