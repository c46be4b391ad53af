"""Writes to arrays from outside, in functions that stand for many turns of a loop or rows."""

from __future__ import annotations

from typing import Any

from chainrule.core.dispatch import FUNCTIONS
from chainrule.core.frames import users_line
from chainrule.core.traced import Traced
from chainrule.errors import MutationError


class Watch:
    """While a function is recorded that stands for many turns or rows, ``what``: it writes into
    arrays that were made meanwhile, for a write to one from outside would be made once."""

    def __init__(self, recording: Any, what: str) -> None:
        self.recording, self.what = recording, what

    def __enter__(self) -> None:
        self.outer, self.recording.body = self.recording.body, self

    def __exit__(self, *error: Any) -> None:
        self.recording.body = self.outer


def noted(x: Traced) -> None:
    """``x`` is written to.

    Raises:
        MutationError: it, or what it is a view of, was made outside of what is recorded.
    """
    body, owner = x.recording.body, x
    while owner.alias is not None and owner.alias.base is not None:
        owner = owner.alias.base
    if body is not None and owner.body is not body:
        raise MutationError(
            f"{body.what} writes into a traced {x.type} from outside ({users_line()}), which would "
            "be written once, not in each: return what is to be kept, or carry the array"
        )


FUNCTIONS["watch"] = Watch
