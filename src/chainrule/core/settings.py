"""Settings that users give: things by name, and numbers within bounds.

One rule for all named things (losses, optimisers, activations, schedules, initialisers,
metrics): each is given by name, with settings, or as a value; whatever else is given gets an
error that says what was meant.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import numpy as np

from chainrule.errors import UsageError

__all__ = ["Named", "number", "whole"]


@dataclass(frozen=True)
class Named:
    """The names of one kind of thing.

    Attributes:
        kind: what messages call it, for example "loss".
        table: name -> the class or function that stands for it.
        example: how a value is written, for example ``nn.Huber(delta=0.5)``.
        accepts: whether something given is a value of this kind already.
        aliases: further names, as they are used elsewhere.
        skip: how many leading parameters of the table's functions are no settings.
    """

    kind: str
    table: Mapping[str, Callable[..., Any]]
    example: str
    accepts: Callable[[Any], bool]
    aliases: Mapping[str, str] = field(default_factory=dict)
    skip: int = 0

    def value(
        self,
        given: Any,
        settings: Mapping[str, Any],
        make: Callable[[str, Mapping[str, Any]], Any] | None = None,
    ) -> Any:
        """What ``given`` means: a name is made to a value, by ``make`` or by calling its entry.

        Raises:
            UsageError: no such name, no such setting, one that is lacking, settings beside a
                value, or neither a name nor a value.
        """
        if isinstance(given, str):
            name = self.known(given)
            self._check(name, settings)
            return make(name, settings) if make else self.table[name](**settings)
        if isinstance(given, type) or not self.accepts(given):
            raise UsageError(self._refusal(given))
        if settings:
            raise UsageError(f"settings go with the name of a {self.kind}; {given!r} is made")
        return given

    def known(self, name: str) -> str:
        """The name in the table that ``name`` or its alias is; UsageError if there is none."""
        found = self.aliases.get(name, name)
        if found in self.table:
            return found
        plain = name.strip().lower().replace("-", "_").replace(" ", "_")
        near = get_close_matches(plain, [*self.table, *self.aliases], 1)
        meant = f"did you mean {near[0]!r}? Known" if near else "known"
        also = ", ".join(f"{alias} for {of}" for alias, of in self.aliases.items())
        raise UsageError(
            f"unknown {self.kind} {name!r}; {meant} are {', '.join(self.table)}"
            + (f" (and {also})" if also else "")
        )

    def _check(self, name: str, settings: Mapping[str, Any]) -> None:
        takes = list(inspect.signature(self.table[name]).parameters.values())[self.skip :]
        names = [p.name for p in takes]
        for setting in settings:
            if setting not in names:
                listed = " and ".join(names) or "no settings"
                raise UsageError(
                    f"{self.kind} {name} has no setting {setting!r}; it takes {listed}"
                )
        lacking = [p.name for p in takes if p.default is p.empty and p.name not in settings]
        if lacking:
            raise UsageError(
                f"{self.kind} {name} needs {' and '.join(lacking)}; for example {self.example}"
            )

    def _refusal(self, given: Any) -> str:
        name = next((n for n, entry in self.table.items() if entry is given), None)
        if name is not None or isinstance(given, type):
            what = "class" if isinstance(given, type) else "function"
            by_name = f", or {name!r}" if name is not None else ""
            return (
                f"the {self.kind} is the {what} {given.__name__} itself; call it, "
                f"{given.__name__}(...), to have one{by_name}"
            )
        return (
            f"the {self.kind} is a name ({', '.join(self.table)}) or a value such as "
            f"{self.example}, not {given!r}"
        )


def number(
    name: str,
    value: Any,
    *,
    at_least: float = -math.inf,
    above: float = -math.inf,
    below: float = math.inf,
) -> float:
    """``value`` as a float, if it is a finite number within the bounds; else a UsageError."""
    is_number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if is_number and at_least <= value < below and above < value:
        return float(value)
    bounds = [f"at least {at_least:g}"] if at_least > -math.inf else []
    bounds += [f"above {above:g}"] if above > -math.inf else []
    bounds += [f"below {below:g}"] if below < math.inf else []
    raise UsageError(
        f"{name}={value!r}: must be a finite number{', ' if bounds else ''}{' and '.join(bounds)}"
    )


def whole(name: str, value: Any, at_least: int = 1) -> int:
    """``value`` as an int, if it is a whole number of at least that; else a UsageError."""
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool) and value >= at_least:
        return int(value)
    raise UsageError(f"{name}={value!r}: must be an integer of at least {at_least}")
