"""Gradients checked by numbers: whose is wrong, in which entry, and by which mistake."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chainrule.forks import load

if TYPE_CHECKING:
    from chainrule.checking.asserting import assert_gradient, check_primitive
    from chainrule.checking.entries import ArrayCheck
    from chainrule.checking.gradient import GradientCheck, check_gradient
    from chainrule.checking.handwritten.api import check_backward
    from chainrule.checking.handwritten.search import HomeworkCheck
    from chainrule.checking.verdicts import Entry

__all__ = [
    "ArrayCheck",
    "Entry",
    "GradientCheck",
    "HomeworkCheck",
    "assert_gradient",
    "check_backward",
    "check_gradient",
    "check_primitive",
]

_HOMES = {
    "ArrayCheck": "entries",
    "Entry": "verdicts",
    "HomeworkCheck": "handwritten.search",
    "check_backward": "handwritten.api",
    **dict.fromkeys(("assert_gradient", "check_primitive"), "asserting"),
    **dict.fromkeys(("GradientCheck", "check_gradient"), "gradient"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'chainrule.checking' has no attribute {name!r}")
    value = getattr(load(f"chainrule.checking.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
