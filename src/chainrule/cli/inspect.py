"""``chainrule inspect``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from chainrule.cli import shared

if TYPE_CHECKING:
    from chainrule.tabular import TabularModel

__all__ = ["command"]

EXAMPLES = """\b
Examples:
  chainrule inspect penguins.safetensors
  chainrule inspect penguins.safetensors --json
"""


@click.command(
    "inspect", epilog=EXAMPLES, short_help="Show a model: network, columns, history, scores."
)
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Everything, as JSON.")
@shared.debug_option
def command(model: Path, as_json: bool) -> None:
    """Show a model: network, rule and statistics of every column, history, scores, data."""
    from chainrule.cli.render import model_lines
    from chainrule.tabular import TabularModel

    loaded = TabularModel.load(model)
    shared.print_notes(loaded.notes, quiet=False)
    if as_json:
        shared.print_json(_json(loaded, model))
    else:
        shared.print_lines(model_lines(loaded, str(model)))


def _json(model: TabularModel, path: Path) -> dict[str, Any]:
    columns = [
        {**record, "inputs": rule.inputs()}
        for record, rule in zip(model.coding.to_json(), model.coding.rules, strict=True)
    ]
    return {
        "model": str(path),
        **model.metadata(),
        "columns": columns,
        "parameters": model.parameters(),
    }
