"""What NumPy's optional arguments mean: given or not, supported or refused."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.core.dispatch import refuse_keywords
from chainrule.core.traced import Traced, known_value
from chainrule.errors import DtypeError, UsageError
from chainrule.ops import structure

NOT_GIVEN: Any = np._NoValue  # type: ignore[attr-defined]


def given(x: Any) -> bool:
    """Whether an optional argument was given: neither None nor NumPy's marker."""
    return x is not None and x is not NOT_GIVEN


def selects(where: Any) -> bool:
    """Whether ``where=`` was given and leaves anything out."""
    return given(where) and where is not True


def refuse(function: str, **keywords: Any) -> None:
    """Raise for keywords of NumPy's signature that are given and that we don't support."""
    refuse_keywords(function, {k: v for k, v in keywords.items() if given(v)})


def constant(x: Any, wanted: str) -> Any:
    """The array behind an argument that decides about shapes, or an error that teaches."""
    return known_value(x, wanted) if isinstance(x, Traced) else x


def require(x: Any, holds: Any, function: str, message: str) -> Any:
    """``x``, once every entry of ``holds`` is true: at once where they are known, else when the
    graph runs. A traced ``x`` only."""
    known = known_if_any(holds)
    if known is None:
        return structure.require(x, holds, message=f"{function}: {message}")
    if not np.all(known):
        raise UsageError(message)
    return x


def known_if_any(x: Any) -> Any:
    """The array behind ``x`` where it has one by now, else None."""
    return x.recording.value(x.node) if isinstance(x, Traced) else np.asarray(x)


def check_cast(found: Any, wanted: Any, casting: str) -> None:
    """NumPy's rule for ``dtype=``: the cast must be one that ``casting`` allows."""
    if not np.can_cast(found, wanted, casting):  # type: ignore[arg-type]
        raise DtypeError(
            f"dtype={np.dtype(wanted)} would cast {found}, which is not {casting}: cast with "
            "x.astype(...) first"
        )


def plain_axis(axis: Any) -> Any:
    """``axis``, which reductions and the like do not take as a truth value or a list of several."""
    if isinstance(axis, (bool, np.bool_)):
        raise DtypeError(f"an axis is an integer, not {axis}")
    if isinstance(axis, list):
        raise DtypeError(f"several axes are a tuple, not the list {axis}")
    return axis
