"""``chainrule train``."""

from __future__ import annotations

import dataclasses
import glob
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from chainrule.cli import ranks, shared
from chainrule.cli.config import config_option
from chainrule.cli.lasting import (
    checkpoint_of,
    chosen,
    executor_of,
    lasting_options,
    streamed,
    workers_of,
)
from chainrule.cli.searching import print_search, search_options, searched
from chainrule.cli.verdict import Judgement, diagnosis_options
from chainrule.errors import UsageError
from chainrule.tabular.options import DEFAULT, LOSSES, PRESETS, SCHEDULES, TASKS, Options

if TYPE_CHECKING:
    from chainrule.tabular import Plan, TabularModel

__all__ = ["command"]

EXAMPLES = """\b
Examples:
  chainrule train penguins.csv --target species
  chainrule train wine.csv --target quality --task multiclass --class-weight balanced
  chainrule train adult-train.csv --no-header --target -1 --test adult-test.csv \\
      --map-class "<=50K." "<=50K" --map-class ">50K." ">50K"
  zcat sales.csv.gz | chainrule train - --target price --out sales.safetensors
  chainrule train "parts/*.parquet" --target price --out all.safetensors
  chainrule train houses.parquet --target price --hidden 128,64 --schedule cosine --l2 1e-4
  chainrule train houses.csv --target price --drop id --config settings.toml --out m.safetensors
  mpiexec -n 4 chainrule train big.parquet --target price
  chainrule train big.parquet --target price --checkpoint kept --every 5m --resume
  chainrule train "parts/*.parquet" --target price --memory 1GB --out all.safetensors
"""


class Hidden(click.ParamType):  # pyright: ignore[reportMissingTypeArgument]
    """``64,32``; nothing at all for no hidden layer."""

    name = "64,32"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        try:
            return tuple(int(part) for part in str(value).split(",") if str(value).strip())
        except ValueError:
            self.fail(f"{value!r} is not numbers of units such as 64,32", param, ctx)


class Ensemble(click.ParamType):  # pyright: ignore[reportMissingTypeArgument]
    """A number of networks, or ``tabm``."""

    name = "N|tabm"

    def convert(self, value: Any, param: Any, ctx: Any) -> int | str:
        if value == "tabm" or isinstance(value, int):
            return value
        try:
            return int(value)
        except ValueError:
            self.fail(f"{value!r} is not a number of networks, or tabm", param, ctx)


class BatchSize(click.ParamType):  # pyright: ignore[reportMissingTypeArgument]
    """A number of rows, or ``full``."""

    name = "N|full"

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        if value == "full":
            return 0
        try:
            size = int(value)
        except ValueError:
            size = 0
        if size < 1:
            self.fail(f"{value!r} is not a number of rows from 1 up, or full", param, ctx)
        return size


METAVARS = {
    "--ensemble": "N|tabm",
    "--hidden": "UNITS",
    "--batch-size": "N|full",
    "--weight": "COLUMN",
}


_METAVAR_OF: dict[Any, str] = {int: "N", float: "NUMBER"}


def _options(command: Any) -> Any:
    """The settings that are passed on to ``tabular.Options``, with its names and defaults."""
    defaults = {field.name: field.default for field in dataclasses.fields(Options)}
    options = (
        ("--task", str, f"{', '.join(TASKS[:-1])} or {TASKS[-1]}; inferred from the target."),
        (
            "--loss",
            str,
            f"What training minimises: {', '.join(LOSSES['regression'])} of numbers, "
            f"{' or '.join(LOSSES['binary'])} of classes; by default the first of these.",
        ),
        (
            "--preset",
            str,
            f"{', '.join(PRESETS)}: the plain network of the options below, or a recipe. By "
            f"default {DEFAULT}, five networks, unless an option describes a plain one: hidden, "
            "activation, optimizer, schedule, l1, l2, dropout, batch-norm, init, early-stopping.",
        ),
        (
            "--ensemble",
            Ensemble(),
            "How many networks, each without another fold of the rows; tabm for one network of 16 "
            "members that share weights.",
        ),
        (
            "--hidden",
            Hidden(),
            'Units per hidden layer; "" for none. By default 64,32, or the preset\'s.',
        ),
        (
            "--activation",
            str,
            "Of hidden layers: identity, logistic, tanh, relu, leaky_relu, elu, selu, gelu, "
            "silu, mish or softplus.",
        ),
        ("--optimizer", str, "adam, adamw, rmsprop, sgd, momentum, nesterov or lbfgs."),
        ("--learning-rate", float, "By default the optimizer's own: 0.001 for adam."),
        ("--schedule", str, f"Of the learning rate: {', '.join(SCHEDULES)}."),
        ("--epochs", int, "Most passes over the training rows; by default 200, or the preset's."),
        ("--batch-size", BatchSize(), "Rows per step; by default 32 to 256 by their count."),
        ("--l1", float, "Strength of the penalty on the weights' absolute values."),
        ("--l2", float, "Strength of the penalty on half the weights' squares."),
        ("--dropout", float, "Share of hidden units left out at each step."),
        ("--init", str, "Initial weights: auto, or as he_normal, glorot_uniform, zeros."),
        ("--seed", int, "Fixes split, initial weights and the order of rows."),
        ("--shards", int, "Virtual shards of each minibatch; by default 8 where several train it."),
        ("--early-stopping", int, "Epochs without a better validation loss; 0 for never."),
        ("--class-weight", str, "balanced: every class weighs the same in sum."),
        ("--weight", str, "The column with the weight of each row."),
    )
    for name, kind, text in reversed(options):
        default = defaults[name[2:].replace("-", "_")]
        shown = ",".join(map(str, default)) if isinstance(default, tuple) else default
        command = click.option(
            name,
            type=kind,
            metavar=METAVARS.get(name, _METAVAR_OF.get(kind, "NAME")),
            default=shown,
            help=text,
            show_default=default not in (None, 0.0),
        )(command)
    return command


@click.command("train", epilog=EXAMPLES)
@click.argument("data")
@click.option("--target", required=True, metavar="COLUMN", help="What to predict: name or place.")
@_options
@click.option("--batch-norm", is_flag=True, help="Normalise each hidden layer over the batch.")
@click.option(
    "--validation",
    default=str(Options.validation),
    show_default=True,
    metavar="FILE|SHARE",
    help="Rows that choose the epoch: a file, or a share of DATA (0 for none).",
)
@click.option(
    "--test",
    default=str(Options.test),
    show_default=True,
    metavar="FILE|SHARE",
    help="Rows for the final judgement: a file, or a share of DATA (0 for none).",
)
@click.option("--drop", multiple=True, metavar="COLUMN", help="Leave a column out. Repeatable.")
@click.option(
    "--keep",
    multiple=True,
    metavar="COLUMN",
    help="Use a column that looks like an identifier or free text. Repeatable.",
)
@click.option(
    "--calibrate/--no-calibrate",
    default=Options.calibrate,
    show_default=True,
    help="Divide a classifier's outputs by a temperature that suits rows held out.",
)
@click.option(
    "--category",
    multiple=True,
    metavar="COLUMN",
    help="Take the numbers of a column as categories. Repeatable.",
)
@click.option(
    "--map-class",
    multiple=True,
    nargs=2,
    metavar="WORD CLASS",
    help="A word of the target that stands for a class, in all data. Repeatable.",
)
@shared.reading_options
@click.option(
    "--threads",
    type=click.IntRange(1),
    metavar="N",
    help="How many share the work; by default as many as are worth it. The model is the same.",
)
@click.option(
    "--executor",
    type=click.Choice(("native", "numpy", "xla", "auto")),
    help="Machine code, NumPy, or XLA (JAX); by default machine code where llvmlite is installed. "
    "auto: whichever is fastest here, in a few steps on each.",
)
@click.option(
    "--device",
    metavar="NAME",
    help="With --executor xla: cpu, gpu, tpu, or one of several as gpu:1; by default JAX's choice.",
)
@click.option(
    "--precision",
    type=click.Choice(("highest", "tf32", "bf16")),
    help="With --executor xla: of products of float32; by default highest.",
)
@lasting_options
@diagnosis_options
@search_options
@click.option("--out", metavar="FILE", help="The model file (default: beside DATA).")
@click.option(
    "--force",
    is_flag=True,
    help="Replace --out even if chainrule did not write it; resume with other --epochs or another "
    "version; without --resume, replace the checkpoints of a training that is not at its end.",
)
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option(
    "--quiet", is_flag=True, help="Print errors only, and what --executor auto or xla takes."
)
@shared.debug_option
def command(
    data: str,
    target: str,
    validation: str,
    test: str,
    threads: int | None,
    executor: str | None,
    device: str | None,
    precision: str | None,
    workers: Any,
    memory: str | None,
    checkpoint: str | None,
    every: str,
    resume: bool,
    debug_nonfinite: bool,
    report: str | None,
    cure: bool,
    search: bool,
    minutes: float | None,
    trials: int | None,
    out: str | None,
    force: bool,
    as_json: bool,
    quiet: bool,
    **settings: Any,
) -> int:
    """Train an ensemble of networks on the table DATA, or one network, and save it.

    DATA is a file, a folder or a glob of files, or - for standard input: CSV, Parquet, Arrow,
    JSON lines or Excel, also packed by gzip, zstd, bzip2 or xz; with --memory also Parquet, Arrow
    or CSV at an address such as s3://bucket/folder.

    The task is inferred from the target unless --task says it: text, two different values, or
    whole numbers from 0 or 1 up without a gap are classes, other numbers regression. Columns
    are numbers, categories, true/false or dates by looking at all rows; identifiers, free text,
    constant and duplicate columns are left out with a note. Columns may be given by place: 1 is
    the first, -1 the last. An existing model that chainrule wrote is replaced.

    The scores stand beside those of always giving the most frequent class, or the mean, of the
    training rows: on the test rows, or else the validation or training rows. Ctrl-C ends
    training early and keeps what was learned so far; with --checkpoint the same command with
    --resume goes on, also after a crash.
    """
    from chainrule.tabular import prepare, read_table

    format = shared.reading(settings)
    files, shares = _held_out(validation=validation, test=test)
    workers, settings["shards"] = workers_of(workers, settings["shards"])
    quiet |= ranks.RANK > 0
    judgement = Judgement(report, cure, debug_nonfinite)
    whole = bool(judgement.wanted or search or files)
    stream = streamed(data, format, memory, settings, whole)
    options = Options(**settings, **shares)
    path = Path(shared.table_name(data, streamed=stream is not None) if out is None else out)
    replaced = _check_out(path, [Path(data), *files.values()], force=force)
    if judgement.wanted and options.tabm:
        raise UsageError("--report and --cure do not know the layers of TabM: leave one out")
    running: dict[str, Any] = {"executor": executor_of(executor, device, precision),
                               "threads": threads, "workers": workers}  # fmt: skip
    if checkpoint is not None:
        running |= {"checkpoint": checkpoint_of(checkpoint, every, force, quiet or as_json),
                    "resume": resume}  # fmt: skip
        if judgement.wanted:
            raise UsageError("--checkpoint: --report and --cure look at a whole training")
    elif resume:
        raise UsageError("--resume: say where the checkpoints are, with --checkpoint FOLDER")
    if search and (judgement.wanted or checkpoint is not None or "validation" in files):
        raise UsageError("--search: divides the rows itself and trains many networks; leave out "
                         "--report, --cure, --checkpoint and a file for --validation")  # fmt: skip
    if not search and (minutes is not None or trials is not None):
        raise UsageError("--minutes and --trials are of a search: add --search")
    judgement.check([Path(data), path, *files.values()], force=force)
    tables = {name: read_table(file, format) for name, file in files.items()}
    table = read_table(data, format) if stream is None else stream
    plan = prepare(table, target, options, **tables)

    talk = not (quiet or as_json)
    if talk:
        _print_plan(plan)
    shared.print_notes(plan.notes, quiet=quiet or as_json)
    more: dict[str, Any] = {}
    if executor in ("auto", "xla"):
        running["executor"], more["executor"] = chosen(plan, running["executor"], quiet=as_json)
    started = time.perf_counter()
    found = None
    if search:
        minutes = 5.0 if minutes is None and trials is None else minutes
        found = searched(table, target, options, tables, minutes, trials, running, quiet or as_json)
    model = _fit(plan, judgement, running, quiet=quiet or as_json) if found is None else found.model
    seconds = time.perf_counter() - started
    ended = 130 if model.stopped == "interrupted" else 0
    if ranks.RANK:
        return ended
    model.save(path)
    judgement.write(plan)
    if as_json:
        more |= {} if found is None else {"search": found.to_json()}
        shared.print_json(_result(model, plan, path, seconds) | more | judgement.to_json())
    elif talk:
        if found is not None:
            print_search(found)
        _print_result(model, path, replaced)
        shared.print_lines(judgement.lines())
    return ended


def _held_out(**given: str) -> tuple[dict[str, Path], dict[str, Any]]:
    """Which of validation and test are files, and which are shares."""
    files: dict[str, Path] = {}
    shares: dict[str, Any] = {}
    for name, value in given.items():
        try:
            shares[name] = float(value)
        except ValueError:
            files[name] = Path(value)
            if not files[name].exists() and not glob.has_magic(value):
                raise UsageError(
                    f"--{name} {value}: is neither a file nor a share of the rows such as 0.2"
                ) from None
    return files, shares


def _check_out(path: Path, inputs: list[Path], *, force: bool) -> bool:
    """Whether a model that chainrule wrote will be replaced; any other file needs --force."""
    from chainrule import io

    ours = path.is_file() and io.is_ours(path)
    shared.check_output(path, "--out", inputs, force=force or ours)
    return ours


def _fit(
    plan: Plan,
    judgement: Judgement,
    running: dict[str, Any],
    *,
    quiet: bool,
) -> TabularModel:
    from chainrule.cli.progress import Progress, wanted

    with Progress(plan.options.epochs or 0, wanted(quiet), lines=not quiet) as progress:
        return judgement.fit(plan, progress, **running)


def _print_plan(plan: Plan) -> None:
    from chainrule.cli.render import plan_lines

    shared.print_lines(plan_lines(plan))


def _print_result(model: TabularModel, path: Path, replaced: bool) -> None:
    from chainrule.cli.render import beaten_lines, calibration_lines, scores_lines
    from chainrule.cli.text import clean
    from chainrule.tabular.words import outcome

    did, name = "replaced" if replaced else "saved", shlex.quote(str(path))
    shared.print_lines(
        [
            outcome(model),
            "",
            *scores_lines(model.scores),
            *calibration_lines(model),
            *beaten_lines(model.scores),
            "",
            clean(f"{did} {path}   ·   predict:  chainrule predict {name} new.csv"),
        ]
    )


def _result(model: TabularModel, plan: Plan, path: Path, seconds: float) -> dict[str, Any]:
    from chainrule.cli.render import scores_json

    return {
        "model": str(path),
        "task": model.target.task,
        "target": model.target.name,
        "classes": list(model.target.classes),
        "rows": model.rows,
        "inputs": model.coding.inputs(),
        "network": model.network.to_json(),
        "options": model.options.to_json(),
        "epochs": len(model.history),
        "kept_epoch": model.kept_epoch,
        "kept_epochs": list(model.kept_epochs),
        "stopped": model.stopped,
        "calibration": None if model.calibration is None else vars(model.calibration),
        "seconds": round(seconds, 3),
        **scores_json(model.scores),
        "notes": [shared.in_flags(note) for note in plan.notes],
    }
