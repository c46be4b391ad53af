"""The group of commands; each is imported when it is called."""

from __future__ import annotations

from importlib import import_module

import click

from chainrule.cli.shared import debug_option
from chainrule.version import __version__

__all__ = ["COMMANDS", "app"]

COMMANDS = {
    "train": "chainrule.cli.train",
    "predict": "chainrule.cli.predict",
    "evaluate": "chainrule.cli.evaluate",
    "inspect": "chainrule.cli.inspect",
    "diagnose": "chainrule.cli.diagnose",
    "explain": "chainrule.cli.explain",
    "play": "chainrule.cli.play",
    "quiz": "chainrule.cli.quiz",
    "check": "chainrule.cli.check",
}
"""Each command's module, which holds it under the name ``command``."""


class LazyGroup(click.Group):
    """A group that imports a command's module only when the command is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        return import_module(COMMANDS[cmd_name]).command


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="chainrule", message="%(prog)s %(version)s")
@debug_option
@click.pass_context
def app(ctx: click.Context) -> None:
    """Train neural networks on tables, and use them.

    \b
    Examples:
      chainrule train penguins.csv --target species
      chainrule predict penguins.safetensors new.csv
      chainrule evaluate penguins.safetensors labelled.csv
      chainrule inspect penguins.safetensors

    Results go to standard output, everything else to standard error. The exit status is 0 when
    done, 1 if it failed while running, 2 for wrong usage or bad data, 130 if interrupted, 143 if
    terminated.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help(), err=True)
        ctx.exit(2)
