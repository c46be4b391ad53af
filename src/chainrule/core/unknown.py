"""What is said of traced values whose numbers are not known, or no longer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chainrule.core.frames import users_line
from chainrule.core.graph import Origins
from chainrule.core.node import Node
from chainrule.errors import EscapedTracerError, UnknownValueError

if TYPE_CHECKING:
    from chainrule.core.traced import Traced


def escaped() -> EscapedTracerError:
    return EscapedTracerError(
        "a traced value was used after the function that made it had returned: it stands for "
        "a step of that recording and holds no number of its own. Return it from the function "
        "(use has_aux=True for extra results) instead of storing it outside"
    )


def escaped_row() -> EscapedTracerError:
    return EscapedTracerError(
        "a value of one row was used outside the function that vmap runs for all rows: return it "
        "from that function instead of storing it outside"
    )


def unknown(x: Traced, wanted: str) -> UnknownValueError:
    """Why a traced value has no number, and what to write instead."""
    if _depends_on(x.node, x.recording.rows):
        return UnknownValueError(
            f"{wanted} needs the value of a traced {x.node.type} ({users_line()}), but vmap runs "
            f"its function once for all rows, which differ in it; it was made at {made_at(x)}. "
            "Write np.where(condition, a, b) instead of a Python branch: both are computed for "
            "every row; or a fixed number of steps instead of a loop on values. What all rows "
            "share (in_axes=None) may decide a branch"
        )
    return UnknownValueError(
        f"{wanted} needs the value of a traced {x.node.type} ({users_line()}), but this "
        f"function is being recorded for all values at once (jit, trace and fit do that); "
        f"it was made at {made_at(x)}. {_REMEDY}"
    )


def _depends_on(node: Node, found: set[Node]) -> bool:
    stack, seen = [node], {node}
    while stack:
        node = stack.pop()
        if node in found:
            return True
        stack += [x for x in node.inputs if x not in seen]
        seen.update(node.inputs)
    return False


_REMEDY = (
    "Write np.where(condition, a, b) instead of a Python branch, or a fixed number of steps "
    "instead of a loop on values, or make a flag or setting a static argument (static_argnames=); "
    "cr.grad without jit follows Python branches"
)


def made_at(x: Traced) -> str:
    """The user's line that made a traced value, for messages."""
    origins = Origins(x.recording.places).get(x.node)
    if origins:
        return f"{origins[-1].file}:{origins[-1].line}"
    name = x.recording.names.get(x.node)
    return f"input {name!r}" if name else "an input of the function"
