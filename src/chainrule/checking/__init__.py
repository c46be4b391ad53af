"""Gradients checked by numbers: whose is wrong, in which entry, and by which mistake."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chainrule.forks import load

if TYPE_CHECKING:
    from chainrule.checking.entries import ArrayCheck
    from chainrule.checking.gradient import GradientCheck, check_gradient
    from chainrule.checking.verdicts import Entry

__all__ = ["ArrayCheck", "Entry", "GradientCheck", "check_gradient"]

_HOMES = {
    "ArrayCheck": "entries",
    "Entry": "verdicts",
    **dict.fromkeys(("GradientCheck", "check_gradient"), "gradient"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'chainrule.checking' has no attribute {name!r}")
    value = getattr(load(f"chainrule.checking.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
