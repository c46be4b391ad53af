"""Recording: the user's line, warnings, and arrays from outside."""

from __future__ import annotations

import functools
import os
import warnings

import numpy as np
import pytest

import chainrule as cr
from chainrule.core import frames
from chainrule.core.recording import Recording, fresh_recording


def test_numpys_warnings_name_the_users_lines() -> None:
    def f(x: float) -> float:
        y = np.log(x)
        return y * 0 + np.sqrt(x - 1)

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("default")
        cr.grad(f)(0.0)
        cr.grad(f)(0.0)
    assert [w.filename for w in said] == [__file__] * len(said)
    first = f.__code__.co_firstlineno
    assert {(w.lineno - first, str(w.message)) for w in said} == {
        (1, "divide by zero encountered in log"),
        (2, "invalid value encountered in multiply"),
        (2, "invalid value encountered in sqrt"),
    }
    assert len(said) == 3  # once a line


def test_what_numpy_is_asked_to_do_with_errors_stays() -> None:
    def f(x: float) -> float:
        return np.log(x)

    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        cr.grad(f)(0.0)
    with np.errstate(divide="ignore"), warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cr.value_and_grad(f)(0.0) == (-np.inf, np.inf)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RuntimeWarning, match="divide by zero"):
            cr.grad(f)(0.0)


def test_frames_of_the_standard_library_are_never_the_users_line() -> None:
    def f(x: np.ndarray) -> np.ndarray:
        return functools.reduce(np.add, [x, x * 2, x.sum()])

    graph = cr.trace(f)(np.ones(2))
    files = {origin.file for origins in graph.origins.values() for origin in origins}
    assert files == {__file__}
    assert frames.is_internal(functools.__file__)
    assert not frames.is_internal(__file__)
    package = os.path.dirname(os.path.dirname(frames.__file__))
    assert frames.is_internal(os.path.join(package, "api", "inputs.py"))
    assert not frames.is_internal(
        package + "_models/network.py"
    )  # a folder of the user's beside it


def test_an_array_that_changes_between_its_uses_is_two_arrays() -> None:
    buffer = np.zeros(3)

    def f(x: np.ndarray) -> np.ndarray:
        total = 0.0
        for i in range(3):
            buffer[:] = 0
            buffer[i] = i + 1
            total = total + np.sum(x * buffer)
        return total

    np.testing.assert_array_equal(cr.grad(f)(np.ones(3)), [1.0, 2.0, 3.0])


@pytest.mark.parametrize("change", [-0.0, np.nan])
def test_arrays_are_compared_by_their_bits(change: float) -> None:
    strided = np.zeros((3, 4), np.float32)[:, ::2]
    with fresh_recording(eager=True) as recording:
        first = recording.capture(strided)
        assert recording.capture(strided).node is first.node
        strided[1, 1] = change
        second = recording.capture(strided)
        assert second.node is not first.node
        assert recording.capture(strided).node is second.node


def test_an_array_that_no_one_can_write_to_is_neither_copied_nor_compared() -> None:
    array = np.arange(3.0)
    array.flags.writeable = False
    recording = Recording(eager=True)
    node = recording.capture(array).node
    assert recording.captures[node] is array


def test_a_function_is_called_once() -> None:
    calls = []

    def f(x: float) -> float:
        calls.append(x)
        return np.sin(x) * x if x > 0 else x

    for transformed in (
        cr.grad(f),
        cr.value_and_grad(f),
        cr.jacobian(f),
        lambda x: cr.vjp(f, x)[1](1.0),
        lambda x: cr.jvp(f, (x,), (1.0,)),
        cr.hessian(f),
        cr.explain(f),
        cr.explain(f, argnums=0),
    ):
        calls.clear()
        transformed(0.5)
        assert len(calls) == 1
    assert cr.explain(f)(0.5).program.branches
    assert not cr.explain(np.sin)(0.5).program.branches
