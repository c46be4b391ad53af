"""Writes to arrays from outside, in functions that stand for many turns of a loop or rows."""

from __future__ import annotations

from typing import Any
from weakref import ref

from chainrule.core.dispatch import FUNCTIONS
from chainrule.core.frames import users_line
from chainrule.core.traced import Traced
from chainrule.errors import MutationError


class Watch:
    """Writes while a function is recorded that stands for many turns or rows: what it writes into
    must be its own, for a write to an array outside would be made once."""

    def __init__(self, recording: Any) -> None:
        self.recording = recording

    def __enter__(self) -> Watch:
        self.outer, self.recording.written = self.recording.written, {}
        return self

    def __exit__(self, *error: Any) -> None:
        self.written, self.recording.written = self.recording.written, self.outer

    def check(self, own: Any, what: str) -> None:
        """Raise if an array that was written to is still there, and is none of ``own``, the arrays
        that the function was given or returned, nor what these are views of."""
        known = set()
        for x in own:
            while type(x) is Traced:
                known.add(id(x))
                x = x.alias and x.alias.base
        for r, line in self.written.values():
            x = r()
            if x is not None and id(x) not in known:
                raise MutationError(
                    f"{what} writes into a traced {x.type} from outside ({line}), which would be "
                    "written once, not in each: return what is to be kept, or carry the array"
                )


def noted(x: Traced) -> None:
    """Note that ``x`` is written to, if someone watches."""
    written = x.recording.written
    if written is not None:
        written[id(x)] = ref(x), users_line()


FUNCTIONS["watch"] = Watch
