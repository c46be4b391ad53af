"""What ``train`` asks of trainings that are long: checkpoints, and workers that share them."""

from __future__ import annotations

from typing import Any

import click

from chainrule.cli import ranks, shared
from chainrule.errors import UsageError

__all__ = ["checkpoint_of", "lasting_options", "workers_of"]


def lasting_options(command: Any) -> Any:
    """Adds --workers, --checkpoint, --every and --resume."""
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
    ):
        command = option(command)
    return command


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
