"""``chainrule play``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from chainrule.cli import shared
from chainrule.cli.train import Hidden

if TYPE_CHECKING:
    from chainrule.tabular import Plan

__all__ = ["command"]

ROWS = 2000

EXAMPLES = """\b
Examples:
  chainrule play penguins.csv --target species
  chainrule play penguins.csv --target species --hidden 4,3 --activation tanh
  chainrule play houses.parquet --target price --drop id --rows 500 --out lesson.html
"""


@click.command("play", epilog=EXAMPLES, short_help="Write a page that trains in the browser.")
@click.argument("data")
@click.option("--target", required=True, metavar="COLUMN", help="What to predict: name or place.")
@click.option("--task", metavar="NAME", help="regression, binary or multiclass; else inferred.")
@click.option("--hidden", type=Hidden(), default="8,8", show_default=True,
              help='Units per hidden layer, up to three; "" for none.')  # fmt: skip
@click.option("--activation", default="relu", show_default=True,
              help="relu, leaky_relu, tanh, logistic or identity.")  # fmt: skip
@click.option("--rows", type=click.IntRange(10), default=ROWS, show_default=True, metavar="N",
              help="The most rows that the page holds; of more, a sample.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0, 2**31), default=0, show_default=True,
              help="Fixes split, sample and initial weights.")  # fmt: skip
@click.option("--drop", multiple=True, metavar="COLUMN", help="Leave a column out. Repeatable.")
@click.option("--keep", multiple=True, metavar="COLUMN",
              help="Use a column that looks like an identifier or free text.")  # fmt: skip
@click.option("--category", multiple=True, metavar="COLUMN",
              help="Take the numbers of a column as categories. Repeatable.")  # fmt: skip
@shared.reading_options
@click.option("--out", metavar="FILE", help="The page (default: NAME-play.html beside DATA).")
@click.option("--force", is_flag=True, help="Replace --out if it exists.")
@shared.debug_option
def command(
    data: str, rows: int, out: str | None, force: bool, target: str, **settings: Any
) -> None:
    """Write one page that trains a network on the table DATA in the browser.

    Each neuron, each weight and each step of backpropagation can be seen while it learns; every
    hyper-parameter can be changed. The page is one file that loads and sends nothing. It holds
    rows of the table, so share it as you would share those. Its model can be saved, for
    chainrule predict, unless its layers are residual: model files have no such layers.
    """
    from chainrule.explanation.play.page import page
    from chainrule.tabular import Options, prepare, read_table

    format = shared.reading(settings)
    name = Path(shared.table_name(data)).with_suffix("")
    path = Path(out) if out is not None else name.with_name(f"{name.name}-play.html")
    shared.check_output(path, "--out", [Path(data)], force=force)
    plan = prepare(read_table(data, format), target, Options(**settings, validation=0.0))
    shared.print_notes([n for n in plan.notes if "early stopping" not in n], quiet=False)
    made = page(lesson(plan, rows, f"{name.name}-play.safetensors"))
    shared.write_text(made, path, force=force)
    shared.print_lines([f"saved {path}   ·   open it in a browser"])


def lesson(plan: Plan, rows: int, file: str) -> Any:
    """What the page is made of: the plan's rows, or so many of them, and its model file."""
    import dataclasses

    import numpy as np

    from chainrule.explanation.play.page import Lesson
    from chainrule.tabular.rules import Number
    from chainrule.tabular.scoring import score_table

    rng = np.random.default_rng(plan.options.seed)
    total = sum(len(part.truth) for part in plan.parts.values())
    parts = {}
    for name, part in plan.parts.items():
        count = len(part.truth)
        kept = max(1, count * rows // total) if total > rows else count
        chosen = np.sort(rng.permutation(count)[:kept])
        parts[name] = (part.x[chosen], plan.coded(part)[chosen])
    model = plan.untrained()
    fresh = dataclasses.replace(model, members=(plan.network.build().init(0),), kept_epochs=(0,))
    scores = score_table(plan.target, plan.judged(fresh))
    inputs = plan.coding.inputs()
    plain = {rule.name for rule in plan.coding.rules if isinstance(rule, Number)}
    return Lesson(
        source=Path(plan.table.source).name,
        target=plan.target.name,
        task=plan.target.task,
        inputs=inputs,
        classes=plan.target.classes,
        numbers=[i for i, name in enumerate(inputs) if name in plain],
        parts=parts,
        total=plan.table.rows,
        hidden=plan.network.sizes[1:-1],
        activation=plan.options.activation,
        seed=plan.options.seed,
        center=plan.target.center,
        scale=plan.target.scale,
        metadata=dataclasses.replace(fresh, scores=scores).metadata(),
        file=file,
    )
