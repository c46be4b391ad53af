"""Gradients stated by the user with ``cr.custom_gradient``."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from chainrule.core.batching import Rows
from chainrule.core.node import Primitive
from chainrule.core.rules import Custom
from chainrule.core.traced import Traced
from chainrule.errors import GraphError

_count = itertools.count()


class UserRule(str):
    """A vjp given with ``cr.custom_gradient``; as text it is only its name."""

    vjp: Any

    @classmethod
    def make(cls, name: str, vjp: Any) -> UserRule:
        rule = cls(f"{name}#{next(_count)}")
        rule.vjp = vjp
        return rule


def _custom_vjp(g: Traced, y: Traced, value: Traced, *xs: Traced, rule: str) -> list[Any]:
    if not isinstance(rule, UserRule):
        raise GraphError(
            f"the custom gradient {rule!r} is a Python function, which text does not carry; "
            "record the function again instead of parsing its graph"
        )
    return [None, *rule.vjp(g, xs)]


def _custom_batch(rows: Rows) -> Traced:
    """The user's vjp of one row, itself done for all rows: it may use what the function computed
    for that row."""
    rule, batch = rows.attrs["rule"], rows.batch

    def vjp(g: Traced, xs: Sequence[Traced]) -> list[Any]:
        found = rule.vjp(batch.row(g), [batch.row(x) for x in xs])
        parts = iter(batch.full([part for part in found if part is not None]))
        return [part if part is None else next(parts) for part in found]

    return custom(*rows.full(), rule=UserRule.make(rule.partition("#")[0], vjp))


custom = Primitive(
    "custom",
    forward=lambda value, *xs, rule: value,
    infer=lambda value, *xs, rule: value,
    rule=Custom(_custom_vjp, why="the user states the vjp; nothing else is known of it"),
    text="custom({})",
    latex=r"\operatorname{{custom}}\left({}\right)",
    teaches="The gradient of this step was stated by hand.",
    analytic=True,
    decree="stated",
    batch=_custom_batch,
)
