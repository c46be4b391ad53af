"""Who is handed the calls of transformed functions: see ``diagnosis.trace_nonfinite``."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from chainrule.core.recording import active

Tracer = Callable[[Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]

TRACER: ContextVar[Tracer | None] = ContextVar("chainrule_tracer", default=None)
"""``tracer(f, args, keywords)`` calls ``f``, with no tracer set, and returns what it returns."""


def handed(f: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a function that transforms and calls at once, so that a tracer is handed it."""

    @functools.wraps(f)
    def call(*args: Any, **keywords: Any) -> Any:
        tracer = TRACER.get()
        if tracer is None or active() is not None:
            return f(*args, **keywords)
        return tracer(f, args, keywords)

    return call
