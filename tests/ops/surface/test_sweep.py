"""NumPy's whole surface against NumPy: a seeded share of the sweep, and faults that it must see.

The full product: ``nox -s sweep``, or ``python -m tests.helpers.sweep``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule.core.dispatch import FUNCTIONS, UFUNCS
from chainrule.errors import UsageError
from tests.helpers.sweep.cases import cases, functions
from tests.helpers.sweep.covering import covering, pairs
from tests.helpers.sweep.exceptions import EXCEPTIONS
from tests.helpers.sweep.running import sweep
from tests.helpers.sweep.verdicts import EQUAL, Compiled, eagerly, names, verdict

NEWEST = np.lib.NumpyVersion(np.__version__) >= "2.4.0"
SHARES = {"eager": 0.006, "numpy": 0.0025, "native": 0.0003}
"""Of about a million combinations: what takes some ten seconds each way."""


LEAST = {"eager": 0.36, "numpy": 0.38, "native": 0.57}
"""Of which so many equal NumPy: a little under what they do (0.375, 0.397, 0.602), as most of the
rest is refused by NumPy too, and a function that begins to refuse would not be seen otherwise."""


newest_only = pytest.mark.skipif(
    not NEWEST, reason="older NumPys have other keywords, refuse otherwise, and show no signatures"
)


@newest_only
def test_every_registered_function_has_a_row() -> None:
    for name in functions():
        assert next(cases(name)).function.startswith(name)


@newest_only
@pytest.mark.parametrize("way", SHARES)
def test_a_share_of_all_combinations_equals_numpy_or_is_refused(way: str) -> None:
    if way == "native":
        pytest.importorskip("llvmlite")
    report = sweep([way], functions(), SHARES[way])
    print(report)
    assert not report.faults, "\n".join(report.faults)
    assert report.counts["exceptions"] <= 0.02 * report.counts.total()
    assert report.counts[EQUAL] >= LEAST[way] * report.counts.total()


@newest_only
def test_a_covering_has_every_pair_that_numpy_takes() -> None:
    taken = [case for case in cases("np.ptp") if verdict(case, eagerly)[0] == EQUAL]
    some = list(covering("np.ptp"))
    assert len(some) < len(taken) / 3
    assert {p for c in taken for p in pairs(c)} <= {p for c in some for p in pairs(c)}


def test_every_exception_has_a_reason() -> None:
    assert all(len(entry.reason) > 30 for entry in EXCEPTIONS)


SEEDED: dict[str, tuple[Any, Any]] = {
    "value": (np.sort, lambda a, *args, **kw: np.negative(a)),
    "shape": (np.median, lambda a, *args, **kw: np.reshape(a, (-1,))),
    "dtype": (np.argmax, lambda a, *args, **kw: np.zeros(np.argmin(a).shape, np.int32) + a.size),
    "nan": (np.nansum, lambda a, *args, **kw: np.sum(a)),
    "infinity": (np.nan_to_num, lambda x, *args, **kw: np.where(np.isnan(x), 0, x)),
    "sign of zero": (np.fix, lambda x, *args, **kw: x - np.mod(x, 1) + 0.0),
    "accepted": (np.squeeze, lambda a, axis=None: np.reshape(a, a.shape)),
    "raw error": (np.mean, lambda a, *args, **kw: [][1]),
    "nameless": (np.ravel, lambda a, *args, **kw: _refuse()),
    "container": (np.shape, lambda a: list(a.shape)),
}
"""A verdict, and a function that is made to deserve it."""


def test_a_name_is_no_part_of_another_word() -> None:
    assert not names("np.ravel", "Use np.stack on the input")
    assert not names("np.stack", "np.vstack takes a list")
    assert not names("np.linalg.outer", "np.linalg.norm takes one axis")
    assert names("np.power.reduce", "np.power of integers")
    assert names("np.ravel", "np.ravel: no")


def _refuse() -> None:
    error = UsageError("Use np.stack on the input")
    error.located = "elsewhere", "no"  # type: ignore[attr-defined]
    raise error


@pytest.mark.parametrize("fault", SEEDED)
def test_a_seeded_fault_is_seen(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    function, wrong = SEEDED[fault]
    name = f"np.{function.__name__}"
    if fault == "raw error":  # what leaves our functions raw is caught, so it is seeded in NumPy's
        monkeypatch.setattr("chainrule.core.dispatch._FAULTS", ())
    monkeypatch.setitem(FUNCTIONS, function, wrong)
    seen = {verdict(case, eagerly)[0] for case in list(cases(name))[:400]}
    assert fault in seen, f"{fault} of {name} not among {seen}"


@newest_only
def test_a_wrong_ufunc_is_seen_in_every_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(UFUNCS, np.exp2, lambda x: x + x)
    some = list(cases("np.exp2"))[:8]
    assert "value" in {verdict(case, eagerly)[0] for case in some}
    assert "value" in {verdict(case, Compiled("numpy"))[0] for case in some}
