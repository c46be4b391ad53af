"""Recording: the user's line, warnings, and arrays from outside."""

from __future__ import annotations

import functools
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
import chainrule.ops.surface  # what a recording made by hand looks functions up in
from chainrule.core import frames
from chainrule.core.recording import Recording, fresh_recording
from chainrule.core.types import array_type


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


def test_equal_arrays_made_anew_are_one_input_whatever_their_bits_and_layout() -> None:
    with fresh_recording(eager=True) as recording:
        first = recording.capture(np.array([0.0, 1.0]))
        assert recording.capture(np.array([0.0, 1.0])).node is first.node
        for other in ([-0.0, 1.0], [0, 1], [[0.0, 1.0]]):
            assert recording.capture(np.array(other)).node is not first.node
        across = np.arange(6.0).reshape(2, 3)
        nodes = {recording.capture(x).node for x in (across, np.asfortranarray(across))}
        assert len(nodes) == 2  # NumPy would view one where it copies the other
        assert recording.capture(across.T).node is recording.capture(across.T).node


def test_an_array_that_no_one_can_write_to_is_neither_copied_nor_compared() -> None:
    array = np.frombuffer(np.arange(3.0).tobytes()).reshape(3, 1)
    recording = Recording(eager=True)
    node = recording.capture(array).node
    kept = recording.captures[node]
    assert kept is array
    copied = recording.capture(np.arange(3.0)).node
    kept = recording.captures[copied]
    assert Recording(eager=True).capture(kept).node.type == copied.type
    with pytest.raises(ValueError, match="WRITEABLE"):
        kept.flags.writeable = True
    assert recording.capture(np.zeros((0, 2))).shape == (0, 2)


def _older_view() -> tuple[np.ndarray, np.ndarray]:
    array = np.zeros(3)
    view = array[:]
    array.flags.writeable = False
    return array, view


def _writable_again() -> tuple[np.ndarray, np.ndarray]:
    array = np.zeros(3)
    array.flags.writeable = False
    return array, array


def _over_a_buffer() -> tuple[np.ndarray, np.ndarray]:
    buffer = bytearray(24)
    return np.frombuffer(memoryview(buffer).toreadonly()), np.frombuffer(buffer)


@pytest.mark.parametrize("make", [_older_view, _writable_again, _over_a_buffer])
def test_a_read_only_array_that_changes_all_the_same_is_noticed(make: Any) -> None:
    array, writer = make()
    with fresh_recording(eager=True) as recording:
        first = recording.capture(array)
        assert recording.capture(array).node is first.node
        if writer is array:
            writer.flags.writeable = True
        writer[1] = 5.0
        if writer is array:
            writer.flags.writeable = False
        second = recording.capture(array)
        np.testing.assert_array_equal(recording.captures[first.node], [0, 0, 0])
        np.testing.assert_array_equal(recording.captures[second.node], [0, 5, 0])


def test_a_memory_mapped_array_that_another_writes_to_is_compared(tmp_path: Path) -> None:
    file = tmp_path / "numbers"
    np.zeros(3).tofile(file)
    mapped = np.memmap(file, np.float64, "r")
    writer = np.memmap(file, np.float64, "r+")

    def f(x: np.ndarray) -> np.ndarray:
        first = np.sum(x * mapped)
        writer[:] = 1.0
        return first + 2 * np.sum(x * mapped)

    np.testing.assert_array_equal(cr.grad(f)(np.ones(3)), [2.0, 2.0, 2.0])


def test_what_ends_a_recording_or_goes_back_keeps_no_nodes() -> None:
    def body(recording: Recording) -> None:
        x = recording.input(array_type((3,), np.dtype("f8")), np.ones(3))
        y = x * 2.5 + recording.spread(3.5, x.type) + np.arange(3.0)
        one = recording.constant(1.0, np.dtype("f8"))
        recording.typed[y.node] = (one.node.primitive, (), one.node.attrs)

    def tables(recording: Recording) -> dict[str, int]:
        kept = ("values", "typed", "_known", "_numbers", "_spread", "ones", "_captured")
        return {name: len(getattr(recording, name)) for name in kept}

    with fresh_recording(eager=True) as recording:
        mark = recording.serial
        body(recording)
        assert all(tables(recording).values())
        recording.forget_after(mark)
        assert not any(tables(recording).values())
        body(recording)
    assert not any(tables(recording).values())


def test_a_pullback_keeps_no_lines() -> None:
    met: list[Any] = []

    def f(x: Any) -> Any:
        met.append(x)
        return np.sin(x) * x

    _, pull = cr.vjp(f, 2.0)
    pull(1.0)
    assert not met[0].recording.places


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
