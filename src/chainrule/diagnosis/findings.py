"""What a check found: one thing, its evidence, and one change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

__all__ = ["Finding", "Findings", "found_by"]

LEVELS = ("error", "warning", "note")


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Attributes:
        rule: its name, as ``chainrule diagnose --explain`` lists it.
        level: "error" where the result is wrong or useless, "warning" where it costs something,
            "note" what one should know.
        text: what is the case, in a sentence.
        evidence: the numbers that say so.
        change: one thing to do about it, for people.
        settings: the same as new values of ``tabular.Options``, where it is such; this is what
            ``--cure`` tries.
        where: file:line, column or layer; "" of the whole.
        weight: how much stands behind it, for ranking; within a level the larger comes first.
    """

    rule: str
    level: str
    text: str
    evidence: str = ""
    change: str = ""
    settings: dict[str, Any] = field(default_factory=dict[str, Any])
    where: str = ""
    weight: float = 1.0

    def to_json(self) -> dict[str, Any]:
        """As a JSON record."""
        return {
            name: getattr(self, name)
            for name in ("rule", "level", "text", "evidence", "change", "settings", "where")
        }


def found_by(
    rules: Mapping[str, Callable[[Any], Iterable[Finding]]], looked_at: Any
) -> list[Finding]:
    """What the rules find, each finding with the name of its rule."""
    return [replace(one, rule=name) for name, rule in rules.items() for one in rule(looked_at)]


@dataclass(frozen=True)
class Findings(Sequence[Finding]):
    """Findings, the gravest first, and the names of the checks that found nothing, and of those
    that could not look; prints as a text."""

    found: tuple[Finding, ...]
    passed: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()

    @classmethod
    def ranked(cls, found: Sequence[Finding], rules: Sequence[str]) -> Findings:
        """In the order of their levels and weights; of a rule that found much, the first three."""
        order = sorted(found, key=lambda one: (LEVELS.index(one.level), -one.weight))
        kept = [
            one
            for i, one in enumerate(order)
            if sum(other.rule == one.rule for other in order[:i]) < 3
        ]
        met = {one.rule for one in found}
        return cls(tuple(kept), tuple(name for name in rules if name not in met))

    def __getitem__(self, i: Any) -> Any:
        return self.found[i]

    def __len__(self) -> int:
        return len(self.found)

    @property
    def rules(self) -> list[str]:
        """The names of what was found, the gravest first."""
        return [one.rule for one in self.found]

    @property
    def not_seen(self) -> str:
        """What was not looked at, and why."""
        names = ", ".join(self.unseen)
        return f"not looked at, since they are for plain networks: {names}"

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> list[str]:
        """The text, line by line."""
        marks = {"error": "!!", "warning": " !", "note": " ."}
        lines: list[str] = []
        for i, one in enumerate(self.found, 1):
            where = f"{one.where}: " if one.where else ""
            lines.append(f"  {marks[one.level]} {i}  {where}{one.text}")
            if one.evidence:
                lines.append(f"        evidence  {one.evidence}")
            if one.change:
                lines.append(f"        change    {one.change}")
        count = f"{len(self.passed)} check{'s' * (len(self.passed) != 1)} passed"
        lines.append(f"  {'nothing else' if self.found else 'nothing'} found: {count}")
        if self.unseen:
            lines.append(f"  {self.not_seen}")
        return lines
