"""``chainrule evaluate``."""

from __future__ import annotations

from pathlib import Path

import click

from chainrule.cli import shared

__all__ = ["command"]

EXAMPLES = """\b
Examples:
  chainrule evaluate penguins.safetensors labelled.csv
  chainrule evaluate adult.safetensors adult-test.csv --json
"""


@click.command("evaluate", epilog=EXAMPLES, short_help="Score a model on data that has the target.")
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("data", type=click.Path(path_type=Path))
@shared.header_option
@shared.reading_options
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("--quiet", is_flag=True, help="No notes.")
@shared.debug_option
def command(
    model: Path,
    data: Path,
    as_json: bool,
    quiet: bool,
    delimiter: str | None,
    encoding: str | None,
    header: bool | None,
    missing: tuple[str, ...],
) -> None:
    """Score a model on DATA, which has the target, beside what takes no learning."""
    from chainrule.cli.render import scores_json, scores_lines
    from chainrule.tabular import TabularModel, read_table

    loaded = TabularModel.load(model)
    format = shared.model_format(loaded, delimiter, encoding, header, missing)
    table = read_table(data, format)
    scores, notes = loaded.evaluate(table)
    if as_json:
        shared.print_json(
            {
                "model": str(model),
                "data": str(data),
                "target": loaded.target.name,
                "rows": len(loaded.target.rows(table)),
                **scores_json(scores),
                "notes": [shared.in_flags(note) for note in notes],
            }
        )
        return
    shared.print_notes(notes, quiet=quiet)
    shared.print_lines(scores_lines(scores))
