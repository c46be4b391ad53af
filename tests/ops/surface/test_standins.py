"""NumPy is asked what it says to a call, once for each kind of arguments and about little."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.core.recording import fresh_recording
from chainrule.core.types import type_of
from chainrule.errors import ChainruleError
from chainrule.ops.surface import standins
from chainrule.ops.surface.standins import Answer, numpys_answer


def traced(x: np.ndarray, recording: Any) -> Any:
    return recording.input(type_of(x), x)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The arguments of each question to NumPy."""
    questions: list[Any] = []
    real = standins._tried

    def tried(function: Any, args: Any, kwargs: Any, standing: Any) -> Answer:
        questions.append(standing.of(args))
        return real(function, args, kwargs, standing)

    monkeypatch.setattr(standins, "_tried", tried)
    monkeypatch.setattr(standins, "_answers", {})
    return questions


def test_an_array_larger_than_memory_is_no_refusal() -> None:
    huge = cr.ArrayType((1 << 46,), "float64")
    cr.trace(lambda x: np.convolve(x, np.ones(3), "same").sum())(huge)
    cr.trace(lambda x: np.isclose(x, 0.5))(huge)


def test_a_function_that_writes_into_its_argument_is_asked_with_one_it_can_write_to() -> None:
    with fresh_recording(eager=True) as r:
        x = traced(np.array([3.0, 1.0, 2.0]), r)
        assert numpys_answer(np.median, (x,), {"overwrite_input": True}).refusal is None


@pytest.mark.parametrize(
    "call",
    [
        lambda x, i: np.interp(x, np.arange(80.0) + i, np.ones(80) * i),
        lambda x, i: np.average(x, weights=np.ones(100) + i),
        lambda x, i: np.isclose(x, np.ones(100) * i),
        lambda x, i: np.isclose(x, 0.25 + i, rtol=0.1 * i + 0.05),
        lambda x, i: np.convolve(x, np.ones(100) * i),
        lambda x, i: np.kron(x, np.ones(100) * i),
        lambda x, i: np.append(x, np.full(3, 0.5 * i)),
    ],
)
def test_other_numbers_are_not_asked_about_again(call: Any, asked: list[Any]) -> None:
    with fresh_recording(eager=True) as r:
        x = traced(np.linspace(0, 1, 100), r)
        call(x, 1)
        first = len(asked)
        assert first
        for i in range(2, 5):
            call(x, i)
        assert len(asked) == first


def test_other_small_integers_are_not_asked_about_again(asked: list[Any]) -> None:
    with fresh_recording(eager=True) as r:
        for i in range(4):
            np.append(traced(np.arange(5) + i, r), 1)
    assert len(asked) == 1


def test_refusals_that_depend_on_numbers_are_kept_apart() -> None:
    with fresh_recording(eager=True) as r:
        x = traced(np.arange(200.0), r)
        for q, bins in ((0.5, np.arange(90.0)), (1.5, np.resize([0.0, 2.0, 1.0], 90))):
            for call in (lambda q=q: np.quantile(x, q), lambda b=bins: np.digitize(x, b)):
                if q < 1:
                    call()
                else:
                    with pytest.raises(ChainruleError):
                        call()


def test_of_large_arrays_numpy_is_asked_about_smaller_ones(asked: list[Any]) -> None:
    with fresh_recording(eager=True) as r:
        x = traced(np.ones(200_000), r)
        assert np.convolve(x, np.ones(2000), "same").shape == x.shape
        assert sum(a.size for a in asked[-1] if isinstance(a, np.ndarray)) < 200
        with pytest.raises(ChainruleError, match="200000"):
            np.split(x, 3)
        assert len(np.split(x, 4)) == 4


@pytest.mark.parametrize("dtype", ["int64", "int8", "bool", "float32"])
@pytest.mark.parametrize("shape", [(2, 0), (0, 0), (0, 3, 2), (2, 0, 3)])
def test_the_pseudo_inverse_of_nothing_has_numpys_dtype(shape: Any, dtype: str) -> None:
    a = np.zeros(shape, dtype)
    with fresh_recording(eager=True) as r:
        found = np.linalg.pinv(traced(a, r))
    wanted = np.linalg.pinv(a)
    assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype)


def test_a_refusal_names_the_function_that_was_called() -> None:
    with fresh_recording(eager=True) as r:
        x = traced(np.ones(3), r)
        for f in (np.nansum, np.nanmax, np.round, np.percentile):
            more = (30,) if f is np.percentile else ()
            with pytest.raises(ChainruleError, match=rf"np\.{f.__name__}\b"):
                f(x, *more, out=np.zeros(()))
