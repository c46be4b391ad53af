"""Diagnosis: where numbers stop being finite, what is odd about a function, why a network does
not learn."""

from __future__ import annotations

from chainrule.diagnosis.diverged import origin_of
from chainrule.diagnosis.nonfinite import NonFiniteOriginError, NonFiniteReport, nonfinite
from chainrule.diagnosis.tracing import trace_nonfinite

__all__ = [
    "NonFiniteOriginError",
    "NonFiniteReport",
    "nonfinite",
    "origin_of",
    "trace_nonfinite",
]
