"""``trace_nonfinite``: transformed functions and trainings watched for what is not finite."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from chainrule.core.frames import warn
from chainrule.core.settings import Named
from chainrule.core.tracing import TRACER
from chainrule.diagnosis.diverged import origin_of
from chainrule.diagnosis.nonfinite import NonFiniteOriginError, NonFiniteReport, nonfinite
from chainrule.diagnosis.rerun import all_finite
from chainrule.errors import UsageError
from chainrule.train import DivergedError


@dataclass
class Tracing:
    """What ``trace_nonfinite`` has found so far."""

    action: str
    reports: list[NonFiniteReport] = field(default_factory=list[NonFiniteReport])

    def __call__(self, f: Callable[..., Any], args: Any, keywords: Any) -> Any:
        token = TRACER.set(None)
        try:
            result = f(*args, **keywords)
            if not all_finite(result):
                self.found(nonfinite(f, *args, **keywords))
            return result
        finally:
            TRACER.reset(token)

    def found(self, report: NonFiniteReport | None) -> None:
        """Do with a report what was asked for; None is a call whose second run was finite."""
        if report is None:
            return
        self.reports.append(report)
        if self.action == "raise":
            raise NonFiniteOriginError(str(report), report)
        if self.action == "warn":
            warn(str(report))


_ACTIONS = Named(
    "action", dict.fromkeys(("raise", "warn", "collect"), str), '"raise"', lambda given: False
)


@contextmanager
def trace_nonfinite(action: str = "raise") -> Iterator[Tracing]:
    """Inside ``with cr.trace_nonfinite():``, a transformed function (``grad``, ``jit``, ``vjp`` and
    the rest) whose result is not finite raises an error that says where that began: the first
    operation of the forward pass and the first edge of the backward pass, the user's line, and a
    form that stays finite, tried. So does ``fit`` where training diverges.

    What a ``where`` or ``nan_to_num`` hides on purpose is left alone: only results count. Either
    executor may run the function; what fails is done again on NumPy. A call that is finite costs a
    look at its results more.

    Args:
        action: "raise" a ``NonFiniteOriginError``; "warn" at the user's line and go on; or
            "collect" the reports in what ``with ... as traced`` gives: ``traced.reports``.

    >>> import numpy as np, chainrule as cr
    >>> with cr.trace_nonfinite("collect") as traced:
    ...     g = cr.grad(lambda x: np.sum(np.sqrt(x)))(np.array([0.0, 4.0]))
    >>> traced.reports[0].backward.operation
    'sqrt'

    Raises:
        UsageError: another action.
    """
    if not isinstance(action, str):
        raise UsageError("trace_nonfinite is written with brackets: with cr.trace_nonfinite():")
    tracing = Tracing(_ACTIONS.known(action))
    token = TRACER.set(tracing)
    try:
        yield tracing
    finally:
        TRACER.reset(token)
        diverged = sys.exc_info()[1]
        if isinstance(diverged, DivergedError):
            tracing.found(origin_of(diverged))
