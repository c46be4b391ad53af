"""``--config FILE.toml``: options from a file; those on the command line win."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import click

from chainrule.errors import UsageError

__all__ = ["config_option"]


def _load(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value is None:
        return
    from chainrule.io import naming

    try:
        with naming(value):
            settings = tomllib.loads(Path(value).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--config {value}: is not TOML ({error})") from None
    known = {
        option.name: option
        for option in ctx.command.params
        if isinstance(option, click.Option) and option.expose_value and option.name
    }
    defaults = {}
    for key, setting in settings.items():
        option = known.get(_option_name(key, known))
        if option is None or option.name is None:
            names = ", ".join(sorted(o.opts[-1].lstrip("-") for o in known.values()))
            raise UsageError(f"--config {value}: unknown key {key!r}; known are {names}")
        defaults[option.name] = _checked(f"--config {value}: {key}", option, setting)
    ctx.default_map = {**(ctx.default_map or {}), **defaults}


def _option_name(key: str, known: dict[str, click.Option]) -> str:
    """The parameter that a key names, spelt as on the command line or with underscores."""
    for name, option in known.items():
        if f"--{key.replace('_', '-')}" in option.opts:
            return name
    return ""


def _checked(where: str, option: click.Option, setting: Any) -> Any:
    """The setting, if TOML's type is what the option takes: nothing is rounded or guessed."""
    if option.multiple:
        items = setting if isinstance(setting, list) else [setting]
        if not all(isinstance(item, str | int) and not isinstance(item, bool) for item in items):
            raise UsageError(f"{where} = {setting!r}: expected a list of words")
        return [str(item) for item in items]
    if option.is_flag:
        wanted, fits = "true or false", isinstance(setting, bool)
    elif isinstance(option.type, click.types.IntParamType):
        wanted, fits = "a whole number", isinstance(setting, int) and not isinstance(setting, bool)
    elif isinstance(option.type, click.types.FloatParamType):
        wanted = "a number"
        fits = isinstance(setting, int | float) and not isinstance(setting, bool)
    else:
        if isinstance(setting, list):  # as in hidden = [64, 32]
            setting = ",".join(map(str, setting))
        wanted = "a word or number"
        fits = isinstance(setting, str | int | float) and not isinstance(setting, bool)
        setting = str(setting)
    if not fits:
        raise UsageError(f"{where} = {setting!r}: expected {wanted}")
    return setting


def config_option(command: Any) -> Any:
    """Adds ``--config``."""
    return click.option(
        "--config",
        metavar="FILE.toml",
        is_eager=True,
        expose_value=False,
        callback=_load,
        help="Options from a TOML file, spelt as here without dashes; the command line wins.",
    )(command)
