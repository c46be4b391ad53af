"""The check of NumPy's surface: an expression on traced values means what it means on arrays.

An expression is a line of NumPy in which a few names stand for arrays (``ARRAYS``, traced and
differentiated) and others for plain ones (``PLAIN``). The line itself is the test's name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.lib import NumpyVersion

import chainrule as cr
from chainrule.core.recording import fresh_recording
from chainrule.core.traced import Traced, known_value
from chainrule.core.types import type_of
from tests.helpers.oracles import ridders


def _random(*shape: int, low: float = -2.0, high: float = 2.0, seed: int = 0) -> np.ndarray:
    rng = np.random.Generator(np.random.Philox(seed + 1000 * len(shape) + sum(shape)))
    return np.asarray(rng.uniform(low, high, shape))


def _well_conditioned(n: int, *batch: int) -> np.ndarray:
    return _random(*batch, n, n, seed=5) + 3 * np.eye(n)


ARRAYS: dict[str, np.ndarray] = {
    "s": np.asarray(0.7),
    "r": np.asarray(-1.3),
    "v": np.array([0.9, -1.4, 0.3, 1.7]),
    "w": np.array([1.2, 0.4, -0.8, -1.9]),
    "short": np.array([0.6, -1.1, 1.5]),
    "p": np.array([0.3, 1.6, 2.2, 0.8]),
    "q": np.array([1.1, 0.2, 0.7, 1.9]),
    "unit": np.array([-0.8, -0.25, 0.35, 0.6]),
    "m": _random(2, 3),
    "n": _random(2, 3, seed=1),
    "c": _random(3, 4, seed=2),
    "col": _random(2, 1, seed=3),
    "t": _random(2, 3, 4),
    "b": _random(2, 4, 3, seed=4),
    "one": _random(1, 3, 1),
    "e": np.zeros((2, 0)),
    "a": _well_conditioned(3),
    "a2": _well_conditioned(2, 2),
    "spd": _well_conditioned(3) @ _well_conditioned(3).T,
    "tall": _random(4, 2, seed=6),
    "wide": _random(2, 4, seed=7),
    "holes": np.array([[1.3, np.nan, -0.4], [0.2, 2.1, np.nan]]),
}
PLAIN: dict[str, np.ndarray] = {
    "K": np.array([2.0, -1.0, 0.5, 1.5]),
    "K3": np.array([0.4, -0.7, 1.2]),
    "F32": np.array([0.5, 1.5, -2.0, 3.0], np.float32),
    "I": np.array([3, -1, 2, 5]),
    "P": np.array([2, 0, 1]),
    "B": np.array([True, False, True, True]),
    "B3": np.array([True, False, True]),
    "M": np.array([[True, False, True], [False, True, True]]),
}
for _array in (*ARRAYS.values(), *PLAIN.values()):
    _array.flags.writeable = False


SINCE = {
    "np.matvec(": "2.2.0",
    "np.vecmat(": "2.2.0",
    "np.pad(m, {": "2.2.0",  # widths in a dict were refused before
    "** np.array(2.0)": "2.3.0",  # an exponent of 2 without axes was taken for a Python number
    "** np.int64(2)": "2.3.0",
}
"""Expressions that mean what they do now since this version of NumPy."""


def lines(text: str) -> list[str]:
    """The expressions of a block, one a line; a line that starts with a space continues the one
    before."""
    joined = re.sub(r"\n\s+", " ", text.strip())
    later = [part for part, version in SINCE.items() if NumpyVersion(np.__version__) < version]
    return [line for line in joined.splitlines() if not any(part in line for part in later)]


class Expression:
    """A line of NumPy (or of what stands for it) as a function of the arrays that it names."""

    def __init__(self, text: str, numpy: Any = np) -> None:
        code = compile(text, "<expression>", "eval")
        used = set(code.co_names)
        for inner in code.co_consts:
            used |= set(getattr(inner, "co_names", ()))
        self.names = [name for name in ARRAYS if name in used]
        source = f"lambda {', '.join(self.names)}: {text}"
        self.function: Callable[..., Any] = eval(source, {"np": numpy, **PLAIN})

    def arguments(self, dtype: Any = np.float64) -> list[np.ndarray]:
        return [ARRAYS[name].astype(dtype) for name in self.names]


def leaves(y: Any) -> list[Any]:
    """The arrays of a result: an array, or a (named) tuple or list of them."""
    if isinstance(y, (tuple, list)):
        return [leaf for item in y for leaf in leaves(item)]
    return [y]


def eager(f: Callable[..., Any], args: Sequence[Any], traced: Sequence[int]) -> Any:
    """What ``f`` gives where the arguments at these positions are traced, values flowing."""
    with fresh_recording(eager=True) as recording:
        given = [recording.input(type_of(x), x) if i in traced else x for i, x in enumerate(args)]
        y = f(*given)
        found = [known_value(z, "a test") if isinstance(z, Traced) else z for z in leaves(y)]
        return y, [np.array(z) for z in found]


def assert_equal_arrays(got: Any, expected: Any, what: str, coarsest: Any = None) -> None:
    """``coarsest``: the dtype in which another executor rounded on the way, whose rounding a
    result in float64 shows too."""
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.shape == expected.shape, f"{what}: shape {got.shape}, NumPy's {expected.shape}"
    assert got.dtype == expected.dtype, f"{what}: dtype {got.dtype}, NumPy's {expected.dtype}"
    # Sums and products are added in another order than NumPy's: a hundred roundings or so.
    loose = 2e-5 if np.float32 in (expected.dtype, coarsest) else 1e-12
    if expected.dtype.kind == "f":
        top = np.max(np.abs(expected[np.isfinite(expected)]), initial=0.0)
        np.testing.assert_allclose(got, expected, rtol=loose, atol=loose * top, err_msg=what)
    else:
        np.testing.assert_array_equal(got, expected, err_msg=what)


def check_value(text: str, abstract: bool = True, alone: bool = True) -> None:
    """Value, dtype, shape and kind of container equal NumPy's: all arguments traced, each
    alone beside plain ones, recorded abstractly, and as two rows; in both precisions."""
    expression = Expression(text)
    f, count = expression.function, len(expression.names)
    given, results = [], []
    for dtype in (np.float64, np.float32):
        args = expression.arguments(dtype)
        with np.errstate(all="ignore"):
            expected = f(*args)
            ways = [list(range(count))] + [[i] for i in range(count) if alone and count > 1]
            for traced in ways:
                y, values = eager(f, args, traced)
                assert isinstance(y, (tuple, list)) == isinstance(expected, (tuple, list))
                assert isinstance(y, list) == isinstance(expected, list)
                assert len(values) == len(leaves(expected))
                what = f"{text} with {[expression.names[i] for i in traced]} traced, {dtype}"
                for got, wanted in zip(values, leaves(expected), strict=True):
                    assert_equal_arrays(got, wanted, what)
            given.append(args)
            results.append(leaves(expected))
            if not abstract:
                continue
            rows = [args, [np.asarray(0.75 * x, dtype) for x in args]]
            batch = [np.stack(column) for column in zip(*rows, strict=True)]
            together = cr.vmap(lambda *xs: leaves(f(*xs)))(*batch)
            alone_each = [leaves(f(*row)) for row in rows]
            for got, *wanted in zip(together, *alone_each, strict=True):
                assert_equal_arrays(got, np.stack(wanted), f"vmap of {text}, {dtype}")
    if not abstract:
        return
    # One program of both precisions: two take twice as long to compile.
    jitted = cr.jit(lambda both: [leaves(f(*xs)) for xs in both])(given)
    for dtype, found, expected in zip((np.float64, np.float32), jitted, results, strict=True):
        for got, wanted in zip(found, expected, strict=True):
            assert_equal_arrays(got, wanted, f"jit of {text}, {dtype}", dtype)


def _floats(expression: Expression) -> Callable[..., list[Any]]:
    def f(*xs: Any) -> list[Any]:
        return [y for y in leaves(expression.function(*xs)) if np.result_type(y).kind == "f"]

    return f


def check_gradient(text: str, second: bool = False) -> None:
    """Forward mode equals the numeric derivative along a direction, reverse mode is its
    transpose for each argument, and, with ``second``, forward over reverse mode equals the
    numeric derivative of reverse mode."""
    expression = Expression(text)
    f, args = _floats(expression), expression.arguments()
    rng = np.random.Generator(np.random.Philox(11))
    ts = [rng.uniform(0.5, 1.0, x.shape) * rng.choice([-1.0, 1.0], x.shape) for x in args]
    with np.errstate(all="ignore"):
        y, slopes = cr.jvp(f, tuple(args), tuple(ts))
        for k, slope in enumerate(slopes):
            _close(slope, *ridders(_along(f, args, ts, k), 0.004), f"tangent of {text}")
        gs = [np.asarray(rng.uniform(-1, 1, np.shape(z))) for z in y]
        backs = cr.vjp(f, *args)[1](gs)
        for i, t in enumerate(ts):
            alone = [t if i == k else np.zeros_like(x) for k, x in enumerate(args)]
            forth = cr.jvp(f, tuple(args), tuple(alone))[1]
            there = sum(_dot(g, z) for g, z in zip(gs, forth, strict=True))
            scale = sum(_dot(abs(g), abs(z)) for g, z in zip(gs, forth, strict=True))
            found = backs[i]
            assert (found.shape, found.dtype) == (args[i].shape, args[i].dtype)
            assert abs(there - _dot(found, t)) <= 1e-10 * scale + 1e-13, (
                f"{text}: <g, Jt> = {there}, <Jᵀg, t> = {_dot(found, t)}"
            )
        if second:
            _check_second(f, args, ts, gs, text)


def _check_second(f: Any, args: Any, ts: Any, gs: Any, text: str) -> None:
    everything = tuple(range(len(args)))

    def loss(*xs: Any) -> Any:
        return sum(np.sum(g * y) for g, y in zip(gs, f(*xs), strict=True))

    def gradient(*xs: Any) -> Any:
        return cr.grad(loss, everything)(*xs)

    bends = cr.jvp(gradient, tuple(args), tuple(ts))[1]
    for i, bend in enumerate(bends):
        moved = _along(gradient, args, ts, i)
        _close(bend, *ridders(moved, 0.004, levels=5), f"second derivative of {text}")


def _along(f: Any, args: Any, ts: Any, k: int) -> Callable[[float], Any]:
    """h -> the k-th result of ``f`` at the arguments moved by h along the tangents."""
    return lambda h: f(*[x + h * t for x, t in zip(args, ts, strict=True)])[k]


def _dot(a: Any, b: Any) -> float:
    return float(np.sum(np.asarray(a) * np.asarray(b)))


def _close(got: Any, expected: Any, error: Any, what: str) -> None:
    assert np.shape(got) == np.shape(expected), what
    top = np.max(np.abs(expected), initial=0.0)
    allowed = 20 * error + 1e-8 * np.abs(expected) + 1e-10 * top + 1e-13
    assert np.all(np.isfinite(expected)), f"{what}: the numeric derivative is {expected}"
    assert np.all(np.abs(got - expected) <= allowed), f"{what}: {got}, numerically {expected}"
