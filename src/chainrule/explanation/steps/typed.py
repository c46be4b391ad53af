"""Typed expressions, explained at numbers or arrays."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from chainrule.errors import UsageError
from chainrule.explanation.formula.parsing import arguments, parse, places
from chainrule.explanation.steps.data import Explanation
from chainrule.explanation.steps.explaining import explain


def explain_expression(
    text: str,
    *,
    names: str = "lecture",
    precision: int = 10,
    wrt: Collection[str] | None = None,
    entry: tuple[int, ...] | None = None,
    cotangent: Any = None,
    opened: bool | Collection[str] = False,
    **values: Any,
) -> Explanation:
    """Explain a typed expression at numbers or arrays: ``explain.expression("x**2", x=3.0)``.

    ``wrt`` names what to differentiate by; None takes everything that has a value. Of an array
    one ``entry`` is differentiated, as in (0, 1), or what it makes of a ``cotangent`` of its shape;
    ``opened`` shows gates by what is inside: True, or their names.

    Raises:
        ExpressionError: what is not understood. UsageError: a name without a value.
    """
    given = {name: _value(name, value) for name, value in values.items()}
    more = {"entry": entry, "cotangent": cotangent, "opened": opened}
    return explain_typed(text, given, names=names, precision=precision, wrt=wrt, **more)


def explain_typed(
    text: str,
    given: Mapping[str, Any],
    *,
    names: str = "lecture",
    precision: int = 10,
    wrt: Collection[str] | None = None,
    **more: Any,
) -> Explanation:
    """``explain_expression`` with the values in a mapping, whatever their names."""
    expression = parse(text, given)
    points = arguments(expression, given)
    argnums = places(expression, wrt)
    explained = explain(
        expression,
        points,
        names=names,
        precision=precision,
        argnums=argnums,
        notes=expression.notes,
        **more,
    )
    # what depends on shapes is known once it has been computed
    said = [*expression.notes, *expression.readings]
    rest = [note for note in explained.notes if note not in said]
    return replace(explained, notes=(*said, *rest))


def _value(name: str, value: Any) -> Any:
    if isinstance(value, (int, float)):
        return float(value)
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "fiub":
            raise ValueError
        return array.astype(np.float64)
    except (TypeError, ValueError):
        raise UsageError(
            f"{name}={value!r}: a value is a real number or an array of them"
        ) from None
