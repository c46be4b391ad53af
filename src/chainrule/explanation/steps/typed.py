"""Typed expressions, explained at numbers or arrays."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from chainrule.explanation.formula.parsing import arguments, parse, places
from chainrule.explanation.steps.explaining import explain


def explain_expression(
    text: str,
    *,
    names: str = "lecture",
    precision: int = 10,
    wrt: Collection[str] | None = None,
    **values: Any,
) -> Any:
    """Explain a typed expression at numbers or arrays: ``explain.expression("x**2", x=3.0)``.

    ``wrt`` names what to differentiate by; None takes everything that has a value.

    Raises:
        ExpressionError: what is not understood. UsageError: a name without a value.
    """
    expression = parse(text, values)
    given = {
        k: float(v) if isinstance(v, (int, float)) else np.asarray(v, np.float64)
        for k, v in values.items()
    }
    points = arguments(expression, given)
    argnums = places(expression, wrt)
    return explain(expression, points, names=names, precision=precision, argnums=argnums)
