"""Run by ``test_scipy.py`` in a process of its own, as SciPy reads SCIPY_ARRAY_API on import.

Checks the ufuncs of ``scipy.special`` on traced values: values against SciPy itself, first and
second derivatives against mpmath, and the functions that are refused.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import mpmath as mp
import numpy as np
import pytest
import scipy
import scipy.integrate as integrate
import scipy.optimize as optimize
import scipy.special as special
import scipy.stats as stats

import chainrule as cr
from chainrule.core.replacements import WITH_ARRAY_API

mp.mp.dps = 40


def _ndtri(p: Any) -> Any:
    return mp.sqrt(2) * mp.erfinv(2 * p - 1)


def _rel_entr(x: Any, y: Any) -> Any:
    return x * mp.log(x / y)


def _huber(d: Any, r: Any) -> Any:
    return r * r / 2 if abs(r) <= d else d * (abs(r) - d / 2)


def _boxcox(x: Any, p: Any) -> Any:
    """(x^p − 1)/p, and what it tends to for p = 0."""
    return mp.expm1(p * mp.log(x)) / p if p else mp.log(x)


# name: the same function in mpmath, and the arguments where it is compared
ONE: dict[str, tuple[Callable[..., Any], list[float]]] = {
    "expit": (lambda x: 1 / (1 + mp.exp(-x)), [-700.0, -30.0, -1.0, 0.0, 0.5, 20.0]),
    "log_expit": (lambda x: -mp.log(1 + mp.exp(-x)), [-800.0, -1.0, 0.0, 2.5, 30.0]),
    "logit": (lambda x: mp.log(x / (1 - x)), [1e-9, 0.2, 0.5, 0.9]),
    "erf": (mp.erf, [-3.0, -0.5, 0.0, 1e-5, 1.5]),
    "erfc": (mp.erfc, [-2.0, 0.0, 0.7, 9.0]),
    "gammaln": (lambda x: mp.log(abs(mp.gamma(x))), [-1.5, 1e-3, 0.5, 1.0, 2.0, 7.3, 1e4]),
    "digamma": (mp.digamma, [-0.5, 1e-2, 0.5, 1.0, 3.3, 900.0]),
    "psi": (mp.digamma, [0.5, 4.0]),
    "entr": (lambda x: -x * mp.log(x), [1e-6, 0.3, 1.0, 4.0]),
    "erfinv": (mp.erfinv, [-0.9, 0.0, 0.4]),
    "ndtr": (mp.ncdf, [-9.0, -1.0, 0.0, 2.0]),
    "log_ndtr": (lambda x: mp.log(mp.ncdf(x)), [-9.0, -1.0, 0.0, 2.0]),
    "ndtri": (_ndtri, [0.01, 0.5, 0.8]),
    "gamma": (mp.gamma, [-1.5, 0.5, 1.0, 4.5]),
    "exp10": (lambda x: mp.mpf(10) ** x, [-2.0, 0.5]),
    "exp2": (lambda x: mp.mpf(2) ** x, [-2.0, 0.5]),
    "expm1": (mp.expm1, [-1.0, 1e-9, 2.0]),
    "log1p": (mp.log1p, [-0.5, 1e-9, 2.0]),
    "cbrt": (mp.cbrt, [0.3, 8.0]),
    "j0": (lambda x: mp.besselj(0, x), [0.5, 3.0]),
    "j1": (lambda x: mp.besselj(1, x), [0.5, 3.0]),
    "i0": (lambda x: mp.besseli(0, x), [0.5, 3.0]),
    "i1": (lambda x: mp.besseli(1, x), [0.5, 3.0]),
    "y0": (lambda x: mp.bessely(0, x), [0.5, 3.0]),
    "y1": (lambda x: mp.bessely(1, x), [0.5, 3.0]),
    "k0": (lambda x: mp.besselk(0, x), [0.5, 3.0]),
    "k1": (lambda x: mp.besselk(1, x), [0.5, 3.0]),
    "i0e": (lambda x: mp.exp(-abs(x)) * mp.besseli(0, x), [-0.5, 3.0]),
    "i1e": (lambda x: mp.exp(-abs(x)) * mp.besseli(1, x), [-0.5, 3.0]),
    "erfcx": (lambda x: mp.exp(x * x) * mp.erfc(x), [-2.0, -0.5, 0.0, 0.9, 1.1, 30.0]),
    "erfi": (mp.erfi, [-0.5, 0.0, 2.0]),
    "dawsn": (lambda x: mp.sqrt(mp.pi) / 2 * mp.exp(-x * x) * mp.erfi(x), [-0.5, 0.0, 2.0]),
    "rgamma": (mp.rgamma, [-1.5, 0.5, 1.0, 4.5]),
    "expi": (mp.ei, [-2.0, 0.5, 3.0]),
    "exp1": (mp.e1, [0.2, 3.0]),
    "spence": (lambda x: mp.polylog(2, 1 - x), [0.3, 0.9, 1.7]),
}
TWO: dict[str, tuple[Callable[..., Any], list[tuple[float, float]]]] = {
    "xlogy": (lambda x, y: x * mp.log(y), [(0.5, 2.0), (-3.0, 0.1), (0.0, 0.7)]),
    "xlog1py": (lambda x, y: x * mp.log1p(y), [(0.5, 2.0), (-3.0, -0.9), (0.0, 0.7)]),
    "betaln": (lambda x, y: mp.log(mp.beta(x, y)), [(0.5, 2.0), (1.5, 0.25)]),
    "beta": (mp.beta, [(0.5, 2.0), (1.5, 0.25)]),
    "rel_entr": (_rel_entr, [(0.5, 2.0), (1.5, 0.25), (1.0, 1.0)]),
    "kl_div": (lambda x, y: _rel_entr(x, y) - x + y, [(0.5, 2.0), (1.5, 0.25)]),
    "huber": (_huber, [(1.0, 0.3), (1.0, -2.5), (0.5, 4.0)]),
    "pseudo_huber": (lambda d, r: d * (mp.hypot(d, r) - d), [(1.0, 0.3), (0.5, 4.0), (2.0, 1e-3)]),
    "binom": (mp.binomial, [(5.0, 2.0), (3.5, 1.25)]),
    "poch": (mp.rf, [(5.0, 2.0), (3.5, 1.25)]),
    "boxcox": (_boxcox, [(0.5, 2.0), (1.5, -0.25), (2.0, 0.0)]),
    "boxcox1p": (lambda x, p: _boxcox(1 + x, p), [(0.5, 2.0), (-0.5, -0.25), (2.0, 0.0)]),
}
# name: parameters before x, the same function of x in mpmath, and where it is compared
PARAMETERS: dict[str, tuple[tuple[float, ...], Callable[..., Any], list[float]]] = {
    "jv": ((2.5,), mp.besselj, [0.5, 3.0]),
    "yv": ((2.0,), mp.bessely, [0.5, 3.0]),
    "iv": ((0.5,), mp.besseli, [0.5, 3.0]),
    "kv": ((1.5,), mp.besselk, [0.5, 3.0]),
    "ive": ((2.0,), lambda n, x: mp.exp(-abs(x)) * mp.besseli(n, x), [0.5, 3.0]),
    "zeta": ((2.5,), mp.zeta, [0.5, 3.0]),
    "expn": ((2,), mp.expint, [0.5, 3.0]),
    "gammainc": ((2.5,), lambda a, x: mp.gammainc(a, 0, x, True), [0.5, 3.0]),
    "gammaincc": ((2.5,), lambda a, x: mp.gammainc(a, x, mp.inf, True), [0.5, 3.0]),
    "betainc": ((2.5, 0.5), lambda a, b, x: mp.betainc(a, b, 0, x, True), [0.2, 0.9]),
    "betaincc": ((2.5, 0.5), lambda a, b, x: mp.betainc(a, b, x, 1, True), [0.2, 0.9]),
}
REFUSED: dict[str, str] = {
    "logsumexp": "cr.nn.logsumexp",
    "softmax": "cr.nn.softmax",
    "log_softmax": "cr.nn.log_softmax",
    "loggamma": "scipy.special.gammaln",
    "ellipk": "cr.custom_gradient",
    "polygamma": "scipy.special.zeta(n + 1, x)",
}

NEEDS_NAMESPACE: dict[str, Callable[[Any], Any]] = {
    "integrate.cumulative_trapezoid": lambda x: integrate.cumulative_trapezoid(x, dx=0.5),
    "integrate.romb": integrate.romb,
    "integrate.trapezoid": lambda x: integrate.trapezoid(x, dx=0.5),
    "optimize.rosen": optimize.rosen,
    "special.log_softmax": special.log_softmax,
    "special.logsumexp": special.logsumexp,
    "special.softmax": special.softmax,
    "stats.entropy": stats.entropy,
    "stats.gmean": stats.gmean,
    "stats.hmean": stats.hmean,
    "stats.kurtosis": stats.kurtosis,
    "stats.moment": lambda x: stats.moment(x, 3),
    "stats.pmean": lambda x: stats.pmean(x, 3.0),
    "stats.sem": stats.sem,
    "stats.skew": stats.skew,
    "stats.trim_mean": lambda x: stats.trim_mean(x, 0.2),
    "stats.zscore": stats.zscore,
}


def close(got: Any, expected: Any, what: str, single: bool = False) -> None:
    expected = np.array([float(v) for v in expected])
    loose = 1e-5 if single else 2e-12  # a few dozen roundings of 1e-7 or 1e-16, conditioning
    np.testing.assert_allclose(got, expected, rtol=loose, atol=1e-14, err_msg=what)


def check_one(name: str) -> None:
    exact, points = ONE[name]
    f, x = getattr(special, name), np.array(points)
    value, slope = cr.jvp(f, (x,), (np.ones_like(x),))
    np.testing.assert_allclose(value, f(x), rtol=1e-15)
    close(slope, [mp.diff(exact, v) for v in points], f"slope of {name}")
    bend = cr.grad(lambda x: np.sum(cr.grad(lambda x: np.sum(f(x)))(x)))(x)
    close(bend, [mp.diff(exact, v, 2) for v in points], f"second derivative of {name}")
    single = x[np.abs(x) < 20].astype(np.float32)
    y, slope = cr.jvp(f, (single,), (np.ones_like(single),))
    assert y.dtype == slope.dtype == np.float32, name
    assert np.shape(cr.jvp(f, (0.5,), (1.0,))[0]) == ()
    assert cr.jvp(f, (x[:0],), (x[:0],))[0].shape == (0,)


def check_two(name: str) -> None:
    exact, points = TWO[name]
    f = getattr(special, name)
    x, y = np.array(points).T
    values = [f(x, y), cr.jvp(f, (x, y), (x, y))[0]]
    # beside plain arrays and numbers, on either side
    values.append(cr.vjp(lambda x: f(x, y), x)[0])
    values.append(cr.vjp(lambda y: f(x, y), y)[0])
    for value in values:
        np.testing.assert_allclose(value, values[0], rtol=1e-14, atol=1e-15, err_msg=name)
    assert cr.vjp(lambda x: f(x, 2.0), x)[0].shape == x.shape
    assert cr.vjp(lambda x: f(0.5, x), y)[0].shape == y.shape
    dx, dy = cr.grad(lambda x, y: np.sum(f(x, y)), (0, 1))(x, y)
    close(dx, [mp.diff(exact, p, (1, 0)) for p in points], f"d/dx of {name}")
    close(dy, [mp.diff(exact, p, (0, 1)) for p in points], f"d/dy of {name}")
    mixed = cr.grad(lambda y: np.sum(cr.grad(lambda x: np.sum(f(x, y)))(x)))(y)
    close(mixed, [mp.diff(exact, p, (1, 1)) for p in points], f"mixed derivative of {name}")
    one = np.ones(2, np.float32)
    assert cr.vjp(lambda x: f(x, one), one)[0].dtype == np.float32, name


def check_parameters(name: str) -> None:
    parameters, exact, points = PARAMETERS[name]
    f = partial(getattr(special, name), *parameters)
    exact, x = partial(exact, *parameters), np.array(points)
    value, slope = cr.jvp(f, (x,), (np.ones_like(x),))
    np.testing.assert_allclose(value, f(x), rtol=1e-15)
    close(slope, [mp.diff(exact, v) for v in points], f"slope of {name}")
    bend = cr.grad(lambda x: np.sum(cr.grad(lambda x: np.sum(f(x)))(x)))(x)
    close(bend, [mp.diff(exact, v, 2) for v in points], f"second derivative of {name}")
    with pytest.raises(cr.errors.UnsupportedError, match="plain number"):
        cr.grad(lambda a: getattr(special, name)(a, *parameters[1:], 0.5))(parameters[0] * 1.0)


def check_lambertw() -> None:
    """The real branches, in float64 as SciPy's is complex128, and NaN where W is complex."""
    for branch, points in ((0, [-0.3, 0.0, 1.5, 1e10]), (-1, [-0.3, -1e-3])):
        x = np.array(points)
        f = lambda x, branch=branch: special.lambertw(x, branch).real  # noqa: E731
        value, slope = cr.jvp(f, (x,), (np.ones_like(x),))
        np.testing.assert_allclose(value, f(x), rtol=1e-15)
        exact = lambda v, branch=branch: mp.lambertw(v, branch)  # noqa: E731
        close(slope, [mp.diff(exact, v) for v in points], "slope of lambertw")
    assert np.isnan(cr.vjp(special.lambertw, -1.0)[0])
    assert cr.vjp(special.lambertw, np.float32(1))[0].dtype == np.float64


def check_refused(name: str, says: str) -> None:
    f = getattr(special, name)
    call = partial(f, 1) if name == "polygamma" else f
    for x in (np.array([0.5, 1.5]), 0.5):
        with pytest.raises(cr.errors.RecordingError) as error:
            cr.vjp(call, x)
        assert says in str(error.value), str(error.value)
        assert __file__ in str(error.value), str(error.value)


def check_with_namespace(name: str) -> None:
    """Value and slope along a direction, by differences; beside a plain array the call is
    refused by name or recorded, but never wrong."""
    f, x = NEEDS_NAMESPACE[name], np.array([1.3, 0.7, 2.1, 1.9, 0.5])
    t = np.array([0.3, -0.5, 0.2, 0.7, -0.4])
    value, slope = cr.jvp(f, (x,), (t,))
    np.testing.assert_allclose(value, f(x), rtol=1e-13, err_msg=name)
    h = 1e-4
    steps = [f(x + k * h * t) for k in (-2, -1, 1, 2)]
    expected = (steps[0] - 8 * steps[1] + 8 * steps[2] - steps[3]) / (12 * h)  # error of order h^4
    np.testing.assert_allclose(slope, expected, rtol=1e-9, atol=1e-9, err_msg=name)


def check_ours() -> None:
    """The replacements give what SciPy's give."""
    x = np.array([[0.5, -1.0, 3.0], [800.0, 2.0, -900.0]])
    for name in ("logsumexp", "softmax", "log_softmax"):
        ours, theirs = getattr(cr.nn, name), getattr(special, name)
        expected = theirs(x, axis=-1)
        np.testing.assert_allclose(ours(x, axis=-1), expected, rtol=1e-13)
        traced = cr.vjp(partial(ours, axis=-1), x)[0]
        np.testing.assert_allclose(traced, expected, rtol=1e-13)


def main() -> None:
    assert bool(scipy._lib._array_api.SCIPY_ARRAY_API) == bool(os.environ.get("SCIPY_ARRAY_API"))
    for name in ONE:
        check_one(name)
    for name in TWO:
        check_two(name)
    for name in PARAMETERS:
        check_parameters(name)
    check_lambertw()
    mode = bool(os.environ.get("SCIPY_ARRAY_API"))
    recent = tuple(map(int, scipy.__version__.split(".")[:2])) >= (1, 17)
    assert set(NEEDS_NAMESPACE) == set(WITH_ARRAY_API)
    for name in NEEDS_NAMESPACE if mode and recent else ():
        check_with_namespace(name)
    for name, says in REFUSED.items():
        if not (mode and f"special.{name}" in NEEDS_NAMESPACE):
            check_refused(name, says)
    check_ours()
    count = len(ONE) + len(TWO) + len(PARAMETERS)
    print(f"{count} functions, SCIPY_ARRAY_API={os.environ.get('SCIPY_ARRAY_API')}")


if __name__ == "__main__":
    sys.exit(main())
