"""What ``train`` asks of trainings that are long: checkpoints, where they run, and workers that
share them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from chainrule.cli import ranks, shared
from chainrule.errors import UsageError

if TYPE_CHECKING:
    from chainrule.run.settings import Executor
    from chainrule.tabular import Plan

__all__ = ["checkpoint_of", "chosen", "executor_of", "lasting_options", "streamed", "workers_of"]


def lasting_options(command: Any) -> Any:
    """Adds --order, --memory, --workers, --checkpoint, --every and --resume."""
    for option in (
        click.option(
            "--resume",
            is_flag=True,
            help="Go on from --checkpoint, to the same model as if nothing had happened.",
        ),
        click.option(
            "--every",
            default="5m",
            show_default=True,
            metavar="TIME|STEPS",
            help="How often: 30s, 5m, 1h, or a number of steps.",
        ),
        click.option(
            "--checkpoint",
            metavar="FOLDER",
            help="Write down where training stands, there, so that --resume can go on.",
        ),
        click.option(
            "--workers",
            metavar="N|ADDRESS",
            help="Share the minibatches: among N processes of this machine, or those of a Dask "
            "cluster at tcp://HOST:PORT. (Those that mpiexec starts share them anyway.) The model "
            "is that of one process with the same --shards.",
        ),
        click.option(
            "--memory",
            metavar="SIZE",
            help="Stream DATA, so that the process takes about this much, as 1GB. The model is "
            "that of --order streamed.",
        ),
        click.option(
            "--order",
            default="shuffled",
            metavar="NAME",
            show_default=True,
            help="Of the rows: shuffled, or streamed, which reads files group by group.",
        ),
    ):
        command = option(command)
    return command


def streamed(
    data: str, format: Any, memory: str | None, settings: dict[str, Any], whole: bool
) -> Any:
    """What --order and --memory make of the data; None where they are to be read whole, as other
    options want it in the case of ``whole``."""
    if memory is None and settings["order"] != "streamed":
        return None
    if whole:
        raise UsageError("--order streamed: leave out --search, --report and --cure, and give "
                         "--validation and --test as shares")  # fmt: skip
    settings["order"] = "streamed"
    from chainrule.tabular import Stream

    return Stream(data, format, memory=memory)


def checkpoint_of(folder: str, every: str, force: bool, quiet: bool) -> Any:
    """Checkpoints that say where training goes on."""
    from chainrule.train import Checkpoint, Checkpointed

    def tell(event: Checkpointed) -> None:
        if event.what == "resumed":
            at = f"epoch {event.epoch}, step {event.step}"
            shared.print_notes([f"going on from {event.path} ({at})"], quiet=quiet)

    return Checkpoint(folder, every, force, callback=tell)


def workers_of(given: str | None, shards: int) -> tuple[Any, int]:
    """Who trains, and the shards of a minibatch, of which several have 8 unless told otherwise."""
    workers: Any = int(given) if given is not None and given.isdigit() else given
    if ranks.SIZE > 1:
        if given is not None:
            raise UsageError("--workers: mpiexec has started them; leave one of both out")
        workers = "mpi"
    if workers in (None, 1):
        return None, shards
    from chainrule.train.workers import SHARDS

    source = click.get_current_context().get_parameter_source("shards")
    usual = source is click.core.ParameterSource.DEFAULT
    return workers, SHARDS if usual else shards


def executor_of(name: str | None, device: str | None, precision: str | None) -> Executor | None:
    """What --executor, --device and --precision name together."""
    if name is None and (device or precision):
        raise UsageError(f"--{'device' if device else 'precision'} goes with --executor xla")
    from chainrule.run.settings import Executor

    return None if name is None else Executor(name, device, precision)


def chosen(plan: Plan, given: Executor, *, quiet: bool) -> tuple[Executor, dict[str, Any]]:
    """XLA, or of "auto" what takes least for a few steps; says which, and on which device, also
    with --quiet, and returns what --json says of it: no GPU is taken silently."""
    from chainrule.run import device_of
    from chainrule.run.settings import Executor

    xla = Executor("xla", given.device, given.precision)
    if given.name == "xla":
        shared.print_notes([f"executor xla on {device_of(xla)}"], quiet=quiet)
        return xla, {"name": "xla", "device": device_of(xla)}
    trial = plan.try_executors(None if xla == Executor("xla") else (None, xla))
    shared.print_notes([str(trial)], quiet=quiet)
    taken = xla if trial.executor == "xla" else Executor(trial.executor)
    about = {"name": taken.name, "device": device_of(taken) or None}
    return taken, about | {"seconds_per_step": dict(trial.seconds)}
