"""Diagnosis: where numbers stop being finite, what is odd about a function, why a network does
not learn."""

from __future__ import annotations

from chainrule.diagnosis.diverged import origin_of
from chainrule.diagnosis.findings import Finding, Findings
from chainrule.diagnosis.lints import lint
from chainrule.diagnosis.nonfinite import NonFiniteOriginError, NonFiniteReport, nonfinite
from chainrule.diagnosis.tracing import trace_nonfinite

__all__ = [
    "Finding",
    "Findings",
    "NonFiniteOriginError",
    "NonFiniteReport",
    "lint",
    "nonfinite",
    "origin_of",
    "trace_nonfinite",
]
