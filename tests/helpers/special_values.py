"""Every function of ``scipy.special`` that is recorded, as mpmath has it.

mpmath differentiates the values itself; where that is slow, derivatives are given as values of
neighbouring functions. ``bound`` is in the units of ``judge``; where it is not 8, SciPy's
own values, of which the slopes are made, are less accurate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mpmath as mp
import scipy.special as special

from chainrule.ops.special import gammas
from tests.helpers.special_table import ONE, TWO, Form

Ends = tuple[float, float]


@dataclass(frozen=True)
class Case:
    """A function of the arguments that are differentiated, others fixed, and its domain."""

    f: Callable[..., Any]
    exact: Form
    domain: tuple[Ends, ...]
    near: tuple[Ends, ...]
    bound: float = 8.0
    slopes: tuple[Form, Form] | None = None

    def derivative(self, *orders: int) -> Form:
        """The exact partial derivative of these orders."""
        if not any(orders):
            return self.exact
        if self.slopes is not None:
            return self.slopes[orders[0] - 1]
        if len(orders) == 1:
            return lambda x: mp.re(mp.diff(self.exact, x, orders[0], relative=True))
        return lambda *xs: _mixed(self.exact, xs, orders)


def _mixed(f: Form, xs: tuple[Any, ...], orders: tuple[int, ...]) -> Any:
    """One argument after the other, each by a step of its own size."""
    if len(orders) == 1:
        return mp.diff(f, xs[0], orders[0], relative=True) if orders[0] else f(xs[0])

    def first(x: Any) -> Any:
        return _mixed(lambda *rest: f(x, *rest), xs[1:], orders[1:])

    with mp.workprec(2 * mp.mp.prec):  # type: ignore[operator]
        return mp.diff(first, xs[0], orders[0], relative=True) if orders[0] else first(xs[0])


def _fixed(name: str, exact: Form, *parameters: Any, **rest: Any) -> tuple[str, Case]:
    function = getattr(special, name, None)

    def f(x: Any) -> Any:
        return (function if name != "polygamma" else gammas.polygamma)(*parameters, x)  # type: ignore[misc]

    ends, near = rest.pop("domain"), rest.pop("near", (0, 3))
    label = f"{name}({', '.join(map(str, parameters))})"
    made = Case(f, lambda x: exact(*parameters, x), (ends,), (near,), **rest)
    return label, made


def _bessel(name: str, function: Form, before: float, n: float, ends: Ends, scaled: bool) -> Any:
    """The slopes by neighbouring orders (Abramowitz and Stegun 9.1.27, 9.6.26)."""
    after = -before if name in ("jv", "yv") else before

    def slope(n: Any, x: Any, k: int) -> Any:
        if k == 0:
            return function(n, x)
        return before * slope(n - 1, x, k - 1) + after * slope(n + 1, x, k - 1)

    if not scaled:
        forms = (lambda x: slope(n, x, 1)), (lambda x: slope(n, x, 2))
        return _fixed(name, function, n, domain=ends, bound=64.0, slopes=forms)
    forms = (
        lambda x: mp.exp(-x) * (slope(n, x, 1) - slope(n, x, 0)),
        lambda x: mp.exp(-x) * (slope(n, x, 2) - 2 * slope(n, x, 1) + slope(n, x, 0)),
    )
    exact = lambda n, x: mp.exp(-x) * function(n, x)  # noqa: E731
    return _fixed("ive", exact, n, domain=ends, bound=64.0, slopes=forms)


def _table() -> dict[str, Case]:
    found: list[tuple[str, Case]] = []
    for n in (0, 1, 2, 0.5, 3.7):
        least = -1e4 if n == int(n) else 0
        found += [
            _bessel("jv", mp.besselj, 0.5, n, (least, 1e4), False),
            _bessel("yv", mp.bessely, 0.5, n, (1e-8, 1e4), False),
            _bessel("iv", mp.besseli, 0.5, n, (max(least, -700), 700), False),
            _bessel("kv", mp.besselk, -0.5, n, (1e-8, 700), False),
            _bessel("iv", mp.besseli, 0.5, n, (1e-8, 1e8), True),
        ]
    for n in (1, 2, 3):
        found.append(_fixed("polygamma", mp.polygamma, n, domain=(1e-8, 1e8)))
    for s in (2, 2.5):
        found.append(_fixed("zeta", mp.zeta, s, domain=(1e-8, 1e8)))
    for n in (0, 1, 2, 5):
        forms = tuple((lambda x, k=k, n=n: (-1) ** k * mp.expint(n - k, x)) for k in (1, 2))
        found.append(_fixed("expn", mp.expint, n, domain=(1e-8, 700), slopes=forms))
    for a in (0.5, 1, 2, 30):
        slopes = _densities(lambda x, a=a: mp.exp((a - 1) * mp.log(x) - x) / mp.gamma(a))
        rest = {"domain": (1e-8, 600), "bound": 64.0}
        found += [
            _fixed("gammainc", _gamma_below, a, slopes=slopes, **rest),
            _fixed("gammaincc", _gamma_above, a, slopes=_minus(slopes), **rest),
        ]
    for a, b in ((0.5, 0.5), (2, 3), (20, 0.3)):
        slopes = _densities(lambda x, a=a, b=b: x ** (a - 1) * (1 - x) ** (b - 1) / mp.beta(a, b))
        rest = {"domain": (1e-2, 1), "near": (0, 1), "bound": 64.0}
        found += [
            _fixed("betainc", _beta_below, a, b, slopes=slopes, **rest),
            _fixed("betaincc", _beta_above, a, b, slopes=_minus(slopes), **rest),
        ]
    found += [
        ("lambertw(0)", _one(lambda x: special.lambertw(x).real, mp.lambertw, (-0.36, 1e25))),
        ("lambertw(-1)", _one(lambda x: special.lambertw(x, -1).real,
                              lambda x: mp.re(mp.lambertw(x, -1)), (-0.36, -1e-300), (-0.36, 0))),
    ]  # fmt: skip
    for name, (exact, ends, near) in PLAIN.items():
        bound = 64.0 if name[:2] in BESSEL else 8.0
        slopes = NEIGHBOURS.get(name)
        case = Case(getattr(special, name), exact, (ends,), (near,), bound, slopes)
        found.append((name, case))
    for name, (exact, ends, near) in PAIRS.items():
        found.append(
            (
                name,
                Case(
                    getattr(special, name),
                    exact,
                    ends,
                    near,
                    16.0 if name[:3] in ("box", "hub") else 64.0,
                ),
            )
        )
    return dict(found)


def _gamma_below(a: Any, x: Any) -> Any:
    return mp.gammainc(a, 0, x, regularized=True)


def _gamma_above(a: Any, x: Any) -> Any:
    return mp.gammainc(a, x, mp.inf, regularized=True)


def _beta_below(a: Any, b: Any, x: Any) -> Any:
    return mp.betainc(a, b, 0, x, regularized=True)


def _beta_above(a: Any, b: Any, x: Any) -> Any:
    return mp.betainc(a, b, x, 1, regularized=True)


def _one(f: Any, exact: Form, ends: Ends, near: Ends = (0, 3)) -> Case:
    return Case(f, exact, (ends,), (near,), 16.0)  # from W, whose rounding e^−W multiplies


def _densities(density: Form) -> tuple[Form, Form]:
    return density, lambda x: mp.diff(density, x, relative=True)


def _minus(forms: tuple[Form, Form]) -> tuple[Form, Form]:
    return (lambda x: -forms[0](x)), (lambda x: -forms[1](x))


BESSEL = ("i0", "i1", "j0", "j1", "k0", "k1", "y0", "y1")
PLAIN: dict[str, tuple[Form, Ends, Ends]] = {
    "dawsn": (lambda x: mp.sqrt(mp.pi) / 2 * mp.exp(-x * x) * mp.erfi(x), (-60, 60), (-9, 9)),
    "erfinv": (mp.erfinv, (-1, 1), (-1, 1)),
    "erfcinv": (lambda x: mp.erfinv(1 - x), (1e-30, 2), (0, 2)),
    "ndtri": (lambda x: mp.sqrt(2) * mp.erfinv(2 * x - 1), (1e-30, 1), (0, 1)),
    "rgamma": (mp.rgamma, (-30, 170), (-6, 6)),
    "gamma": (mp.gamma, (-30, 170), (-6, 6)),
    "gammaln": (lambda x: mp.log(abs(mp.gamma(x))), (1e-30, 1e6), (0, 6)),
    "psi": (mp.digamma, (-30, 1e6), (-6, 6)),
    "expi": (mp.ei, (-700, 700), (-2, 2)),
    "exp1": (mp.e1, (1e-30, 700), (0, 2)),
    "spence": (lambda x: mp.re(mp.polylog(2, 1 - x)), (1e-30, 1e6), (0, 2)),
    "exp2": (lambda x: mp.mpf(2) ** x, (-1000, 1000), (-3, 3)),
    "cbrt": (lambda x: mp.sign(x) * mp.cbrt(abs(x)), (-1e25, 1e25), (-3, 3)),
    "i0e": (lambda x: mp.besseli(0, x) * mp.exp(-abs(x)), (-1e8, 1e8), (-9, 9)),
    "i1e": (lambda x: mp.besseli(1, x) * mp.exp(-abs(x)), (-1e8, 1e8), (-9, 9)),
    **{f"{letter}{n}": ((lambda x, n=n, f=f: f(n, x)), ends, near)
       for letter, f, ends, near in (
           ("i", mp.besseli, (-700, 700), (-3, 3)), ("j", mp.besselj, (-1e4, 1e4), (-3, 3)),
           ("k", mp.besselk, (1e-8, 700), (0, 3)), ("y", mp.bessely, (1e-8, 1e4), (0, 3)))
       for n in (0, 1)},
}  # fmt: skip
"""Value, domain, and where the function bends."""


def _neighbours(letter: str, f: Form, n: int) -> tuple[Form, Form]:
    before = -0.5 if letter == "k" else 0.5
    after = -0.5 if letter in "kjy" else 0.5

    def slope(n: int, x: Any, k: int) -> Any:
        if k == 0:
            return f(n, x)
        return before * slope(n - 1, x, k - 1) + after * slope(n + 1, x, k - 1)

    return (lambda x: slope(n, x, 1)), (lambda x: slope(n, x, 2))


def _scaled(n: int) -> tuple[Form, Form]:
    slopes = _neighbours("i", mp.besseli, n)
    return (
        lambda x: mp.exp(-abs(x)) * (slopes[0](x) - mp.sign(x) * mp.besseli(n, x)),
        lambda x: (
            mp.exp(-abs(x)) * (slopes[1](x) - 2 * mp.sign(x) * slopes[0](x) + mp.besseli(n, x))
        ),
    )


NEIGHBOURS = {
    **{f"{letter}{n}": _neighbours(letter, f, n)
       for letter, f in (("i", mp.besseli), ("j", mp.besselj), ("k", mp.besselk), ("y", mp.bessely))
       for n in (0, 1)},
    "i0e": _scaled(0), "i1e": _scaled(1),
}  # fmt: skip
PAIRS: dict[str, tuple[Form, tuple[Ends, Ends], tuple[Ends, Ends]]] = {
    # the mixed second derivative of beta cancels where both arguments are small
    "beta": (mp.beta, ((0.05, 100), (0.05, 100)), ((0.05, 4), (0.05, 4))),
    "poch": (mp.rf, ((1e-3, 50), (1e-3, 50)), ((0, 4), (0, 4))),
    "binom": (mp.binomial, ((20, 60), (1e-3, 19)), ((20, 30), (0, 19))),
    "boxcox": (lambda x, p: mp.expm1(p * mp.log(x)) / p, ((1e-30, 1e30), (-5, 5)),
               ((0, 3), (-2, 2))),
    "boxcox1p": (lambda x, p: mp.expm1(p * mp.log1p(x)) / p, ((-1, 1e30), (-5, 5)),
                 ((-1, 3), (-2, 2))),
    "huber": (lambda d, r: r * r / 2 if abs(r) <= d else d * (abs(r) - d / 2),
              ((1e-8, 1e8), (-1e8, 1e8)), ((0, 2), (-3, 3))),
}  # fmt: skip
CASES = _table()
COVERED = {name.partition("(")[0] for name in CASES} | {*ONE, *TWO}
