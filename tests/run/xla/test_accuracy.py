"""How accurate functions are on XLA: against mpmath, and those called out against the interpreter
in the transformations in which they stand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from scipy import special

pytest.importorskip("jax")

import chainrule as cr
from chainrule.ops.special import polygamma
from chainrule.run.xla.rows import CHECKED, RECORDED, ROWS
from tests.helpers.special_values import CASES

NEAR = 10.0 ** -np.arange(0.2, 16, 0.4)
SOME = np.r_[NEAR, -NEAR, np.random.default_rng(0).uniform(-30, 30, 40)]
WIDE = np.exp(np.random.default_rng(1).uniform(-600, 600, 60))
INSIDE = np.r_[NEAR, -NEAR, 1 - NEAR / 2]
ABOUT_1 = np.r_[1 + NEAR, 1 - NEAR, WIDE]
ELEMENTARY: dict[str, tuple[Callable[..., Any], Callable[..., Any], np.ndarray]] = {
    "arccosh": (np.arccosh, mp.acosh, 1 + np.r_[NEAR, WIDE]),
    "arcsin": (np.arcsin, mp.asin, INSIDE),
    "arcsinh": (np.arcsinh, mp.asinh, np.r_[SOME, WIDE]),
    "arctan": (np.arctan, mp.atan, np.r_[SOME, WIDE]),
    "arctanh": (np.arctanh, mp.atanh, INSIDE),
    "cbrt": (np.cbrt, lambda x: mp.sign(x) * mp.cbrt(abs(x)), np.r_[SOME, WIDE]),
    "cos": (np.cos, mp.cos, SOME),
    "cosh": (np.cosh, mp.cosh, np.r_[SOME, 20 * SOME]),
    "exp": (np.exp, mp.exp, np.r_[SOME, 20 * SOME]),
    "exp2": (np.exp2, lambda x: mp.mpf(2) ** x, np.r_[SOME, 30 * SOME]),
    "expm1": (np.expm1, mp.expm1, SOME),
    "log": (np.log, mp.log, ABOUT_1),
    "log10": (np.log10, mp.log10, ABOUT_1),
    "log1p": (np.log1p, mp.log1p, np.r_[INSIDE, WIDE]),
    "logaddexp": (lambda x: np.logaddexp(x, 0), lambda x: mp.log1p(mp.exp(x)), SOME),
    "power": (lambda x: np.power(1.5, x), lambda x: mp.mpf(1.5) ** x, 10 * SOME),
    "sin": (np.sin, mp.sin, SOME),
    "sinh": (np.sinh, mp.sinh, np.r_[SOME, 20 * SOME]),
    "tan": (np.tan, mp.tan, SOME),
    "tanh": (np.tanh, mp.tanh, SOME),
}
ULPS = 8.0


def off(found: Any, exact: Callable[..., Any], x: np.ndarray) -> float:
    """The largest error, in units of the last place of what is right."""
    info, worst = np.finfo(found.dtype), 0.0
    for y, v in zip(found, x, strict=True):
        with mp.workdps(50):
            right = exact(mp.mpf(float(v)))
            if info.tiny < abs(right) < info.max:
                error = abs((mp.mpf(float(y)) - right) / right)
                worst = max(worst, float(error) / float(info.eps))
    return worst


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_elementary_functions(dtype: str) -> None:
    """XLA's own ``log1p`` is 120 units off at -0.414, ``sinh(566)`` 250, ``exp2(-845)`` 340."""
    with np.errstate(over="ignore", under="ignore"):
        xs = [x.astype(dtype) for *_, x in ELEMENTARY.values()]
    xs = [x[np.isfinite(x) & (np.abs(x) > 1e-30)] for x in xs]
    together = cr.jit(
        lambda *xs: [f(x) for x, (f, *_) in zip(xs, ELEMENTARY.values(), strict=True)],
        executor="xla",
    )
    for (name, (_, exact, _)), found, x in zip(ELEMENTARY.items(), together(*xs), xs, strict=True):
        assert off(found, exact, x) <= ULPS, name


def test_log_gamma_about_its_zeros() -> None:
    """SciPy's own has no digits just below 2, XLA's none at either."""
    x = np.r_[1 + NEAR, 1 - NEAR, 2 + NEAR, 2 - NEAR, np.linspace(0.3, 2.7, 50)]
    found = cr.jit(special.gammaln, executor="xla")(x)
    assert off(found, lambda x: mp.log(mp.gamma(x)), x) <= 64


def test_zeta_and_its_kin_at_their_edges() -> None:
    """XLA's own is NaN at infinity and at poles, and wrong below 0."""
    x = np.array([0, -0.0, 1e-300, 1e-3, 0.5, 1, 9, 1e7, 1.1e8, 1e300, np.inf, -np.inf, np.nan,
                  -0.5, -1, -1.5, -7.25, -100.3, -1e17])  # fmt: skip

    def every(x: Any) -> Any:
        orders = (1, 2, 2.5, 3, 7, 51, 0.5)
        return [special.zeta(s, x) for s in orders], [polygamma(n, x) for n in (1, 2, 3, 7)]

    with np.errstate(all="ignore"):
        wanted = cr.tree.leaves(cr.jit(every, executor="numpy")(x))
    for k, y in enumerate(cr.tree.leaves(cr.jit(every, executor="xla")(x))):
        np.testing.assert_allclose(y, wanted[k], rtol=1e-14, atol=1e-300, err_msg=str(k))


def test_beta_against_mpmath_and_at_scipys_edges() -> None:
    """With one large argument XLA's own log B has eight digits, and SciPy's nine."""
    draw = np.random.default_rng(0)
    a, b = np.exp(draw.uniform(-8, 20, (2, 60)))
    found = cr.jit(special.betaln, executor="xla")(a, b)
    with mp.workdps(50):
        for y, p, q in zip(found, map(float, a), map(float, b), strict=True):
            right = mp.loggamma(p) + mp.loggamma(q) - mp.loggamma(mp.mpf(p) + mp.mpf(q))
            assert abs((mp.mpf(float(y)) - right) / right) < 1e-13, (p, q)
    ends = np.array([-3, -2.5, -1, -0.5, 0, -0.0, 0.5, 2, 3, 20.25, np.inf, -np.inf, np.nan])
    given = [x.ravel() for x in np.meshgrid(ends, ends)]
    for f in (special.beta, special.betaln, special.rel_entr, special.kl_div):
        wanted, found = (cr.jit(f, executor=name)(*given) for name in ("numpy", "xla"))
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-300, err_msg=f.__name__)


CALLS = {
    name: CASES[name].f
    for name in ("binom", "expn(2)", "iv(1)", "ive(1)", "j0", "j1", "jv(2)", "k0", "k1", "kv(0.5)",
                 "lambertw(0)", "poch", "y0", "y1", "yv(2)")
}  # fmt: skip


def test_called_out_functions_in_transformations() -> None:
    """Alone, in many rows, and in turns of a loop, with two derivatives."""
    assert not {name.partition("(")[0] for name in CALLS} & {*ROWS, *CHECKED, *RECORDED}
    x = np.array([0.6, 1.7, 4.2])

    def value(x: Any) -> Any:
        given = {name: (x + 2, x) if name in ("binom", "poch") else (x,) for name in CALLS}
        return [np.sum(f(*given[name])) for name, f in CALLS.items()]

    def every(x: Any) -> Any:
        slope = [cr.grad(lambda x, k=k: value(x)[k]) for k in range(len(CALLS))]
        bend = [cr.grad(lambda x, g=g: np.sum(g(x))) for g in slope]
        return value(x), [g(x) for g in slope], [g(x) for g in bend]

    def ways(x: Any) -> Any:
        looped = cr.scan(lambda _, v: (0.0, every(v)), 0.0, x)[1]
        return every(x), cr.vmap(every)(x), looped

    found = cr.jit(ways, executor="xla")(x)
    wanted = [cr.tree.leaves(part) for part in cr.jit(ways, executor="numpy")(x)]
    for part, right in zip(found, wanted, strict=True):
        for y, z in zip(cr.tree.leaves(part), right, strict=True):
            np.testing.assert_allclose(y, z, rtol=1e-12)
