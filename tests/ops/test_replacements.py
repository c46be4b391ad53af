"""What SciPy cannot hand to us is refused by name, with code that does the same.

Each refused call is made on a traced argument; the code is read from the message and run:
its value is SciPy's, and its derivative that of SciPy's by central differences.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import scipy

import chainrule as cr
from chainrule.core.replacements import CONTINUOUS, DISCRETE, REPLACEMENTS
from tests.helpers.oracles import assert_derivative

for _module in ("fft", "integrate", "interpolate", "linalg", "ndimage", "optimize", "signal",
                "sparse.linalg", "spatial.distance", "special", "stats"):  # fmt: skip
    importlib.import_module(f"scipy.{_module}")

NEWEST = "1.17.0"
"""From this SciPy on, every function that has a replacement is refused."""
RNG = np.random.default_rng(0)
A = RNG.normal(size=(3, 3))
P = A @ A.T + 3 * np.eye(3)
V = np.array([0.3, 0.5, 1.2])
T = np.linspace(0, 1, 5)
Y = np.array([1.3, 1.7, 1.1, 1.9, 1.5])
first = lambda found: found[0]  # noqa: E731

Case = tuple[dict[str, Any], str, Callable[[Any], Any] | None]
"""The arguments by SciPy's names, which of them is traced, and which part of the result counts."""


def case(traced: str, pick: Callable[[Any], Any] | None = None, **arguments: Any) -> Case:
    return arguments, traced, pick


CASES: dict[str, Case] = {
    "linalg.cholesky": case("a", a=P, lower=False),
    "linalg.cho_factor": case("a", lambda f: np.triu(f[0] if len(f) == 2 else f), a=P, lower=False),
    "linalg.solve": case("a", a=P, b=V),
    "linalg.solve_triangular": case("a", a=P, b=V, lower=True),
    "linalg.expm": case("A", A=A),
    "linalg.inv": case("a", a=P),
    "linalg.pinv": case("a", a=A[:, :2]),
    "linalg.det": case("a", a=P),
    "linalg.norm": case("a", a=A, ord=None, axis=None, keepdims=False),
    "linalg.lstsq": case("a", first, a=A[:, :2], b=V),
    "linalg.eigh": case("a", first, a=P),
    "linalg.eigvalsh": case("a", a=P),
    "linalg.svd": case("a", lambda found: found[1], a=A),
    "linalg.svdvals": case("a", a=A),
    "linalg.qr": case("a", lambda found: found[1], a=A),
    "linalg.sqrtm": case("A", A=P),
    "linalg.logm": case("A", A=P),
    "linalg.toeplitz": case("c", c=V),
    "linalg.circulant": case("c", c=V),
    "linalg.solve_banded": case("b", l_and_u=(1, 1), ab=P, b=V),
    "linalg.matmul_toeplitz": case("x", c_or_cr=V, x=V),
    "linalg.solve_sylvester": case("q", a=P, b=A @ A + 2 * np.eye(3), q=A),
    "linalg.khatri_rao": case("a", a=A, b=P),
    "special.logsumexp": case("a", a=A, axis=1, b=None, keepdims=False),
    "special.softmax": case("x", x=A, axis=None),
    "special.log_softmax": case("x", x=A, axis=1),
    "special.polygamma": case("x", n=2, x=V),
    "special.factorial": case("n", n=V),
    "special.comb": case("N", N=V + 3, k=2.0),
    "special.perm": case("N", N=V + 3, k=2.0),
    "special.multigammaln": case("a", a=3.5, d=2),
    "special.diric": case("x", x=V, n=3),
    **{f"special.spherical_{kind}n": case("z", n=1, z=V) for kind in "jyik"},
    "integrate.trapezoid": case("y", y=Y, x=T, dx=1.0, axis=-1),
    "integrate.cumulative_trapezoid": case("y", y=Y, x=T),
    "integrate.simpson": case("y", y=Y, x=T, dx=1.0),
    "integrate.cumulative_simpson": case("y", y=Y, x=T, dx=1.0),
    "integrate.romb": case("y", y=Y, dx=0.25),
    "signal.convolve": case("in1", in1=V, in2=Y, mode="full"),
    "signal.fftconvolve": case("in1", in1=V, in2=Y, mode="full"),
    "signal.oaconvolve": case("in1", in1=V, in2=Y, mode="full"),
    "signal.correlate": case("in1", in1=Y, in2=V, mode="valid"),
    "signal.lfilter": case("x", b=[1.0, 0.5], a=[1.0, -0.3], x=Y),
    "signal.sosfilt": case("x", sos=np.array([[1, 0.5, 0, 1, -0.3, 0.0]]), x=Y),
    "signal.detrend": case("data", data=Y),
    "signal.savgol_filter": case("x", x=Y, window_length=3, polyorder=1),
    **{f"fft.{name}": case("x", x=Y, type=2) for name in ("dct", "idct", "dst", "idst")},
    "ndimage.gaussian_filter1d": case("input", input=Y, sigma=1.0),
    "ndimage.gaussian_filter": case("input", input=A, sigma=1.0),
    **{
        f"spatial.distance.{name}": case("u", u=V, v=Y[:3])
        for name in ("euclidean", "sqeuclidean", "cityblock", "cosine")
    },
    "spatial.distance.cdist": case("XA", XA=A, XB=P),
    "spatial.distance.pdist": case("X", X=A),
    "sparse.linalg.spsolve": case("b", A=scipy.sparse.csc_array(P), b=V),
    "optimize.rosen": case("x", x=V),
    **{f"stats.{name}": case("a", a=Y) for name in ("zscore", "skew", "kurtosis", "gmean", "hmean",
                                                   "sem", "variation")},
    "stats.moment": case("a", a=Y, order=3),
    "stats.pmean": case("a", a=Y, p=3.0),
    "stats.iqr": case("x", x=Y),
    "stats.trim_mean": case("a", a=Y, proportiontocut=0.2),
    "stats.ttest_1samp": case("a", lambda f: getattr(f, "statistic", f), a=Y, popmean=1.0),
    "stats.linregress": case("y", lambda f: getattr(f, "slope", f), x=T, y=Y),
    "stats.entropy": case("pk", pk=V),
    "stats.pearsonr": case("x", lambda f: getattr(f, "statistic", f), x=Y, y=T**2),
    **{f"stats.multivariate_normal.{name}": case("cov", x=V, mean=V[::-1], cov=P)
       for name in ("logpdf", "pdf")},
    "stats.multivariate_normal.entropy": case("cov", mean=V, cov=P),
    **{f"stats.dirichlet.{name}": case("alpha", x=np.array([0.2, 0.3, 0.5]), alpha=V)
       for name in ("logpdf", "pdf")},
    **{f"stats.dirichlet.{name}": case("alpha", alpha=V) for name in ("mean", "var")},
}  # fmt: skip
SYMMETRIC = {
    "cholesky",
    "cho_factor",
    "eigh",
    "eigvalsh",
    "sqrtm",
    "logm",
    "logpdf",
    "pdf",
    "entropy",
}
POSITIONAL: dict[str, Case] = {  # ufuncs, and functions whose first arguments have other names
    "linalg.solve_toeplitz": case("b", c=np.array([5.0, 1.0, 0.5]), b=V),
    "linalg.block_diag": case("a", a=A, b=P),
    "special.loggamma": case("x", x=V),
    "special.kn": case("x", n=2, x=V),
    "special.yn": case("x", n=2, x=V),
    "special.stdtr": case("t", df=3.5, t=np.array([-0.5, 1.3])),
    "special.chdtr": case("x", v=3.5, x=V),
    "special.chdtrc": case("x", v=3.5, x=V),
    "special.gdtr": case("x", a=1.5, b=2.5, x=V),
    "special.pdtr": case("m", k=2.0, m=V),
    "special.pdtrc": case("m", k=2.0, m=V),
    "special.bdtr": case("p", k=2.0, n=5, p=V / 2),
    "special.fdtr": case("x", dfn=2.5, dfd=4.0, x=V),
    "special.inv_boxcox": case("y", y=V, lmbda=0.7),
    "special.inv_boxcox1p": case("y", y=V, lmbda=0.7),
    "special.powm1": case("x", x=V, y=0.7),
    **{f"special.{name}": case("x", x=V)
       for name in ("exprel", "cosm1", "sindg", "cosdg", "tandg")},
    **{name.removeprefix("scipy."): case("x", n=3, x=V)
       for name in REPLACEMENTS if name.startswith("scipy.special.eval_")},
}  # fmt: skip
SHAPES: dict[str, dict[str, float]] = {
    "t": {"df": 3.5}, "gamma": {"a": 2.5}, "invgamma": {"a": 2.5}, "beta": {"a": 2.5, "b": 1.5},
    "chi2": {"df": 3.5}, "f": {"dfn": 3.5, "dfd": 4.5}, "lognorm": {"s": 0.7},
    "weibull_min": {"c": 1.5}, "pareto": {"b": 2.5}, "powerlaw": {"a": 1.7},
    "invgauss": {"mu": 0.8}, "skewnorm": {"a": 1.5}, "truncnorm": {"a": -1.0, "b": 2.0},
    "vonmises": {"kappa": 1.5},
    "bernoulli": {"p": 0.3}, "binom": {"n": 10, "p": 0.3}, "poisson": {"mu": 2.5},
    "geom": {"p": 0.3}, "nbinom": {"n": 4, "p": 0.3}, "betabinom": {"n": 10, "a": 2.5, "b": 1.5},
}  # fmt: skip


def code_of(error: BaseException, name: str) -> str:
    """The code in the message, which names the function and the user's line too."""
    message = str(error)
    assert f"scipy.{name}" in message, message
    assert __file__ in message, message
    return re.search(r"Write (.*)$", message)[1]  # type: ignore[index]


def run(code: str, arguments: dict[str, Any]) -> Any:
    *steps, result = code.split("; ")
    names = {"np": np, "scipy": scipy, "cr": cr, **arguments}
    for step in steps:
        exec(step, names)
    return eval(result, names)


def check(name: str, call: Callable[..., Any], given: Case, traced: str = "") -> None:
    arguments, chosen, pick = given
    traced = traced or chosen
    pick = pick or (lambda found: found)
    x = np.asarray(arguments[traced], float)

    def theirs(x: Any) -> Any:
        return call(**{**arguments, traced: x})

    try:
        cr.vjp(theirs, x)
        assert np.lib.NumpyVersion(scipy.__version__) < NEWEST, f"scipy.{name} is recorded"
        code = REPLACEMENTS[f"scipy.{name}"]  # an older SciPy hands this one to us
    except cr.errors.ChainruleError as error:
        code = code_of(error, name)
    except ValueError:  # SciPy 1.14 asks NumPy for a common dtype, and says that there is none
        if name != "signal.lfilter" or np.lib.NumpyVersion(scipy.__version__) >= "1.15.0":
            raise
        return

    def ours(x: Any) -> Any:
        return pick(run(code, {**arguments, traced: x}))

    direction = np.random.default_rng(1).normal(size=x.shape)
    if name.rpartition(".")[2] in SYMMETRIC and x.ndim == 2:
        direction = direction + direction.T
    value, slope = cr.jvp(ours, (x,), (direction,))
    np.testing.assert_allclose(value, np.asarray(pick(theirs(x))), rtol=1e-12, atol=1e-13)
    assert_derivative(slope, lambda h: np.real(pick(theirs(x + np.real(h) * direction * 0.1))) * 10)


def logm(A: Any) -> Any:
    """SciPy's, whose estimates of norms draw from the global random state."""
    state = np.random.get_state()  # noqa: NPY002
    try:
        return scipy.linalg.logm(A)
    finally:
        np.random.set_state(state)  # noqa: NPY002


def find(name: str) -> Any:
    if name == "linalg.logm":
        return logm
    found: Any = scipy
    for part in name.split("."):
        found = getattr(found, part)
    return found


@pytest.mark.parametrize("name", CASES)
def test_functions(name: str) -> None:
    if name in ("linalg.khatri_rao", "linalg.circulant", "linalg.expm", "linalg.toeplitz"):
        check(name, lambda **given: find(name)(*given.values()), CASES[name])
    else:
        check(name, find(name), CASES[name])


@pytest.mark.parametrize("name", POSITIONAL)
def test_functions_of_positions(name: str) -> None:
    check(name, lambda **given: find(name)(*given.values()), POSITIONAL[name])


def of_distributions() -> Iterator[tuple[str, str, str]]:
    """Distribution, method, and which argument is traced: each of the density's, x of the rest."""
    for key in REPLACEMENTS:
        _, package, name, *method = key.split(".")
        if package == "stats" and name in CONTINUOUS | DISCRETE and method:
            shapes = SHAPES.get(name, {})
            for traced in ("x", "loc", "scale", *shapes) if method[0] == "logpdf" else ("x",):
                if name in CONTINUOUS:
                    yield name, method[0], traced
            if name in DISCRETE:
                yield name, method[0], next(s for s in ("p", "mu", "a") if s in shapes)


@pytest.mark.parametrize(("name", "method", "traced"), list(of_distributions()))
def test_distributions(name: str, method: str, traced: str) -> None:
    if name in DISCRETE:
        arguments: dict[str, Any] = {"k": 1 if name == "bernoulli" else 3, **SHAPES[name]}
    else:
        x = 2.9 if name == "pareto" else 0.7
        start = {"q": x} if method == "ppf" else {"x": x}
        arguments = {**start, **SHAPES.get(name, {}), "loc": 0.1, "scale": 1.3}
        traced = "q" if method == "ppf" else traced
    function = getattr(getattr(scipy.stats, name), method)
    call = lambda **given: function(*given.values())  # noqa: E731
    check(f"stats.{name}.{method}", call, (arguments, traced, None))


def scipys(name: str, method: str, points: np.ndarray) -> Any:
    """SciPy's values; those of cauchy, which subtracts before SciPy 1.15, by halves."""
    if name != "cauchy" or method.endswith("pdf"):
        return getattr(getattr(scipy.stats, name), method)(points, **SHAPES.get(name, {}))
    x = points if "sf" in method else -points
    half = scipy.stats.halfcauchy.sf(np.abs(x)) / 2
    found = np.where(x < 0, 1 - half, half)
    return np.log(found) if method.startswith("log") else found


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", {**CONTINUOUS, **DISCRETE})
def test_distributions_outside_the_support_and_in_the_tails(name: str) -> None:
    shapes, theirs = SHAPES.get(name, {}), getattr(scipy.stats, name)
    density, variable = ("pmf", "k") if name in DISCRETE else ("pdf", "x")
    low, high = theirs.support(**shapes)
    points = [low - 1, low - 0.25, low, low + 0.5, high - 0.5, high, high + 0.25, high + 1]
    right = {"f": 2e9, "cauchy": 1e20}.get(name) or theirs.isf(1e-20, **shapes)
    tails = [30, 130, 160] if name in DISCRETE else [theirs.ppf(1e-20, **shapes), right, right / 2]
    for t in tails:  # beside an end other than 0, the distance to it is not a double
        if not (0 < high - t < 1e-9 or (low != 0 and 0 < t - low < 1e-9)):
            points.append(t)
    points = np.array([*filter(np.isfinite, points), np.nan])
    if name == "f":  # whose density SciPy gives NaN at 0
        points = points[points != 0]
    for method in ("log" + density, density, "cdf", "sf", "logcdf", "logsf"):
        code = REPLACEMENTS.get(f"scipy.stats.{name}.{method}")
        if code is None:
            assert density not in method
            continue
        given = {"loc": 0.0, "scale": 1.0, **shapes}
        expected = scipys(name, method, points)
        assert method != "sf" or np.isfinite(high) or 0 < np.nanmin(expected) < 2e-20
        found = run(code, {**given, variable: points})
        atol = 1e-15 * method.startswith("log")  # a logarithm near 0 is that of nearly 1
        np.testing.assert_allclose(found, expected, 1e-10, atol, err_msg=code)
        traced = next((s for s in ("p", "mu", "a") if s in shapes), "") if name in DISCRETE else "x"
        for x in points[(points < low) | (points > high)]:
            given[variable] = x
            f = lambda t, code=code, g=given, traced=traced: run(code, {**g, traced: t})  # noqa: E731
            value, slope = cr.value_and_grad(f)(given[traced])
            assert value == run(code, given)
            assert slope == 0


def test_cho_solve() -> None:
    for lower in (True, False):
        factor = scipy.linalg.cho_factor(P, lower)[0]  # with what was there in the other triangle
        given = {"c": factor, "lower": lower, "b": V}
        call = lambda c, lower, b: scipy.linalg.cho_solve((c, lower), b)  # noqa: E731
        check("linalg.cho_solve", call, (given, "c", None))
        check("linalg.cho_solve", call, (given, "b", None))
    pair = scipy.linalg.lu_factor(P)
    given = {"a": P, "b": V}
    check("linalg.lu_solve", lambda a, b: scipy.linalg.lu_solve(pair, b), (given, "b", None))


@pytest.mark.parametrize("name", ["quad", "quad_vec"])
def test_quadrature(name: str) -> None:
    def call(a: Any, b: Any, **rest: Any) -> Any:
        return getattr(scipy.integrate, name)(lambda t: np.exp(a * t), 0, b)[0]

    with pytest.raises(cr.errors.ChainruleError) as error:
        cr.vjp(lambda a: call(a, 2.0), 0.7)
    code = code_of(error.value, f"integrate.{name}")

    def ours(a: Any) -> Any:
        f = lambda t: np.exp(a * t)  # noqa: E731
        return run(code, {"func": f, "f": f, "a": 0, "b": 2.0})

    value, slope = cr.jvp(ours, (0.7,), (1.0,))
    np.testing.assert_allclose(value, call(0.7, 2.0), rtol=1e-12)
    assert_derivative(slope, lambda h: np.asarray(call(0.7 + np.real(h), 2.0)))


def test_interpolation() -> None:
    interpolate, at = scipy.interpolate, np.array([0.1, 0.3, 0.9])
    for name in ("CubicSpline", "PchipInterpolator", "Akima1DInterpolator"):
        spline = getattr(interpolate, name)(T, Y)
        call = lambda self, x: self(x)  # noqa: E731
        check(f"interpolate.{name}", call, ({"self": spline, "x": at}, "x", None))
    pieces = interpolate.PPoly(RNG.normal(size=(3, 4)), T)
    check("interpolate.PPoly", lambda self, x: self(x), ({"self": pieces, "x": at}, "x", None))
    spline = interpolate.make_interp_spline(T, Y)
    call = lambda spline, x: spline(x)  # noqa: E731
    check("interpolate.BSpline", call, ({"spline": spline, "x": at}, "x", None))
    tck = interpolate.splrep(T, Y)
    call = lambda tck, x: interpolate.splev(x, tck)  # noqa: E731
    check("interpolate.splev", call, ({"tck": tck, "x": at}, "x", None))
    for name in ("interp1d", "CubicSpline"):
        make = getattr(interpolate, name)
        call = lambda x, y, x_new, make=make: make(x, y)(x_new)  # noqa: E731
        given = {"x": T, "y": Y, "x_new": at}
        check(f"interpolate.{name}", call, (given, "y", None))
        if name == "interp1d":
            check("interpolate.interp1d", call, (given, "x_new", None))
    call = lambda x, y, k, x_new: interpolate.make_interp_spline(x, y, k)(x_new)  # noqa: E731
    given = {"x": T, "y": Y, "k": 3, "x_new": at}
    check("interpolate.make_interp_spline", call, (given, "y", None))


FORMATS = ("csr_array", "csc_array", "coo_array", "bsr_array", "dia_array", "lil_array",
           "dok_array", "csr_matrix", "csc_matrix", "coo_matrix")  # fmt: skip


@pytest.mark.parametrize("format", FORMATS)
def test_sparse_products(format: str) -> None:
    S = getattr(scipy.sparse, format)(np.array([[1.0, 0, 2], [0, 0, 3]]))
    for call in (lambda x: S @ x, lambda x: S.dot(x)):
        with pytest.raises(cr.errors.ChainruleError) as error:
            cr.vjp(call, V)
        dense, large = code_of(error.value, f"sparse.{format}").split(
            ", or for a large S and a vector x: "
        )
        for code in (dense, large):
            ours = lambda x, code=code: run(code, {"S": S, "x": x})  # noqa: E731
            np.testing.assert_allclose(cr.vjp(ours, V)[0], S @ V)
            np.testing.assert_allclose(cr.jacobian(ours)(V), S.toarray())
    with pytest.raises(cr.errors.ChainruleError, match=r"toarray\(\)"):
        cr.vjp(lambda x: x @ S.T, V)


def test_frozen_and_new_distributions() -> None:
    stats = scipy.stats
    calls = [lambda m: stats.norm(m, 1.3).logpdf(0.7), lambda x: stats.norm(0.1, 1.3).logpdf(x),
             lambda x: stats.gamma(2.5).cdf(x)]  # fmt: skip
    names = ["norm", "norm.logpdf", "gamma.cdf"]
    if hasattr(stats, "Normal"):  # from SciPy 1.15
        calls += [lambda m: stats.Normal(mu=m, sigma=1.0).logpdf(1.0),
                  lambda x: stats.Normal(mu=0.0, sigma=1.0).logpdf(x)]  # fmt: skip
        names += ["Normal", "Normal.logpdf"]
    for call, name in zip(calls, names, strict=True):
        with pytest.raises(cr.errors.ChainruleError) as error:
            cr.grad(call)(0.7)
        assert code_of(error.value, f"stats.{name}") == REPLACEMENTS[f"scipy.stats.{name}"]


def test_every_replacement_is_run() -> None:
    elsewhere = {"linalg.cho_solve", "linalg.lu_solve", "integrate.quad", "integrate.quad_vec"}
    for name in REPLACEMENTS:
        key = name.removeprefix("scipy.")
        package, _, rest = key.partition(".")
        distribution = package == "stats" and rest.split(".")[0] in {
            *CONTINUOUS,
            *DISCRETE,
            "Normal",
        }
        assert (
            key in {*CASES, *POSITIONAL, *elsewhere} or distribution or package == "interpolate"
        ), key
