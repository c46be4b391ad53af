"""The logistic function's complement and its logarithm, as losses are typed in textbooks."""

from __future__ import annotations

from chainrule.compile.patterns import Rewrite, apply, inner, made_by, number
from chainrule.compile.stability.exponentials import minus
from chainrule.core.traced import Traced


def _one_minus_logistic(x: Traced, z: Traced) -> Traced | None:
    if number(x) != 1 or not made_by(z, "logistic"):
        return None
    return apply("logistic", minus(inner(z)))


def _log_logistic(x: Traced) -> Traced | None:
    return apply("log_logistic", inner(x)) if made_by(x, "logistic") else None


REWRITES = (
    Rewrite("complement", "subtract", _one_minus_logistic, "1 - logistic(a) -> logistic(-a)"),
    Rewrite("log-logistic", "log", _log_logistic, "log(logistic(a)) -> log_logistic(a)"),
)
