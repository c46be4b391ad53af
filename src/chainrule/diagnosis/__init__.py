"""Diagnosis: where numbers stop being finite, what is odd about a function, why a network does
not learn."""

from __future__ import annotations

from chainrule.diagnosis.diverged import origin_of
from chainrule.diagnosis.evidence import review
from chainrule.diagnosis.findings import Finding, Findings
from chainrule.diagnosis.lints import lint
from chainrule.diagnosis.nonfinite import NonFiniteOriginError, NonFiniteReport, nonfinite
from chainrule.diagnosis.preflight import preflight
from chainrule.diagnosis.report import report_page
from chainrule.diagnosis.statistics import Monitor, statistics
from chainrule.diagnosis.tables import cured, preflight_plan, reviewed
from chainrule.diagnosis.tracing import trace_nonfinite

__all__ = [
    "Finding",
    "Findings",
    "Monitor",
    "NonFiniteOriginError",
    "NonFiniteReport",
    "cured",
    "lint",
    "nonfinite",
    "origin_of",
    "preflight",
    "preflight_plan",
    "report_page",
    "review",
    "reviewed",
    "statistics",
    "trace_nonfinite",
]
