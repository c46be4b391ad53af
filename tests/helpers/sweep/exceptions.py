"""What neither equals NumPy nor is refused as it should be: each with its reason.

An entry names functions, the verdict that is known, and the combinations that it speaks of.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tests.helpers.sweep.cases import Case


class Known(NamedTuple):
    functions: str
    verdicts: str
    when: Callable[[Case], bool]
    reason: str

    def covers(self, case: Case, verdict: str) -> bool:
        return (
            case.function in self.functions.split()
            and verdict in self.verdicts.split(", ")
            and self.when(case)
        )


QUANTILES = "np.quantile np.percentile np.nanquantile np.nanpercentile"


def _integers_at_the_end(case: Case) -> bool:
    return case.operands[0].flavour == "special" and "int" in case.operands[0].dtype


def _infinite(case: Case) -> bool:
    return case.operands[0].flavour == "special"


def _large_integers(case: Case) -> bool:
    return case.operands[0].flavour == "special" and case.operands[0].dtype == "int64"


_POWERS = np.array([1.5, 0.0, 0.0, 3.0])
NUMPY_IS_WRONG = bool(np.power.reduce(_POWERS) != np.power.accumulate(_POWERS)[-1])
"""((1.5**0)**0)**3 is 1, but NumPy 2.4 says 3.375 where it has AVX-512."""

EXCEPTIONS = [
    Known(
        "np.power.reduce np.pow.reduce np.arctan2.reduce np.atan2.reduce "
        "np.power.reduceat np.pow.reduceat np.arctan2.reduceat np.atan2.reduceat",
        "value, nan, infinity", lambda case: NUMPY_IS_WRONG,
        "with AVX-512 NumPy does not take the result so far for the next step",
    ),
    Known(
        "np.pad np.linspace np.logspace np.geomspace", "value", _large_integers,
        "integers beyond 2**53 pass through floats, whose last bits NumPy rounds in another order",
    ),
    Known(
        "scipy.special.beta.reduce scipy.special.betaln.reduce scipy.special.binom.reduce "
        "scipy.special.xlogy.reduce scipy.special.xlog1py.reduce",
        "infinity, nan, value", lambda case: "where" in dict(case.settings),
        "with a mask NumPy gives another number than for the entries that the mask keeps",
    ),
    Known(
        "np.linalg.norm np.linalg.matrix_norm", "accepted", _infinite,
        "LAPACK gives up where there is a NaN; the largest singular value of one row is its "
        "length, which is NaN then",
    ),
    Known(
        "operator.pow", "dtype", lambda case: case.operands[0].dtype == "bool",
        "NumPy squares bools in int8 where the exponent is the Python number 2, which is not "
        "known here while a function is recorded for all exponents",
    ),
    Known(
        QUANTILES, "value", _integers_at_the_end,
        "NumPy subtracts neighbours as integers, which overflow; ours are floats",
    ),
    Known(
        QUANTILES, "nan, infinity", _infinite,
        "NumPy interpolates between an infinity and itself, which is NaN; ours is the infinity",
    ),
    Known(
        "np.nanquantile np.nanpercentile", "dtype", _infinite,
        "of nothing but NaN NumPy keeps the dtype of the array, whatever that of q",
    ),
    Known(
        "np.nanquantile np.nanpercentile", "shape", lambda case: dict(case.settings)["axis"] == (),
        "NumPy moves but the first axis of q to the front where axis is ()",
    ),
    Known(
        "np.linalg.cond", "raw error", lambda case: True,
        "the inverse of a singular matrix raises NumPy's LinAlgError, where NumPy gives infinity",
    ),
]  # fmt: skip


def known(case: Case, verdict: str) -> Known | None:
    return next((k for k in EXCEPTIONS if k.covers(case, verdict)), None)
