"""The functions of ``scipy.special``, and the stable building blocks of losses.

The public functions take plain arrays and traced values alike. SciPy is imported when a
value is computed, not on import.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.core.graph import Primitive
from chainrule.core.rules import Elementwise
from chainrule.core.traced import Traced
from chainrule.core.types import ArrayType, normalize_axes
from chainrule.errors import DtypeError
from chainrule.ops.coerce import (
    apply_float,
    common_float,
    for_scipy,
    is_traced,
    plain,
    refuse_complex,
)
from chainrule.ops.elementwise import elementwise, zero_where
from chainrule.ops.samples import Make, both, case, points
from chainrule.ops.structure import stop_gradient

SQRT_PI = float(np.sqrt(np.pi))
SQRT_2PI = float(np.sqrt(2 * np.pi))
LN10 = float(np.log(10.0))


def _scipy(name: str, complex_form: Callable[..., Any] | None = None) -> Callable[..., Any]:
    """``scipy.special.<name>`` found at the first call; ``complex_form`` where SciPy's is real."""

    def forward(*xs: Any) -> Any:
        import scipy.special

        if complex_form is not None and any(np.iscomplexobj(x) for x in xs):
            return complex_form(*xs)
        return getattr(scipy.special, name)(*xs)

    return forward


def _special(
    name: str,
    *partials: Callable[..., Any],
    complex_form: Callable[..., Any] | None = None,
    aliases: tuple[str, ...] = (),
    scipy_name: str = "",
    samples: Make = list,
    teaches: str,
    text: str = "",
    latex: str = "",
) -> Callable[..., Any]:
    """Register the primitive of a SciPy ufunc; returns the function that users call."""
    forward = _scipy(scipy_name or name, complex_form)
    primitive = elementwise(
        name, forward, *partials, samples=samples, teaches=teaches, text=text, latex=latex
    )
    for alias in (scipy_name or name, *aliases):
        for_scipy(alias, primitive)

    def function(*xs: Any) -> Any:
        if is_traced(*xs):
            return apply_float(primitive, *xs, name=name)
        dtype = common_float(*map(plain, xs))
        return forward(*(np.asarray(x, dtype) for x in xs))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{teaches}\n\nElement by element on arrays, numbers or traced values."
    return function


WIDE = points(-20.0, -1.0, 0.0, 0.5, 1.0, 20.0)
SMALL = points(-2.0, -0.5, 0.0, 0.7, 1.3)
POSITIVE = points(0.3, 1.0, 2.5, 30.0)
LOG_PAIRS = points((0.5, 2.0), (1.5, 0.25), (0.0, 3.0))

logistic = _special(
    "logistic", lambda y, x: y * (1 - y), scipy_name="expit",
    complex_form=lambda x: 1 / (1 + np.exp(-x)),
    text="σ({})", latex=r"\sigma\left({}\right)", samples=WIDE,
    teaches="The slope of the logistic function is y·(1 − y): at most 1/4, near 0 when saturated.",
)  # fmt: skip
log_logistic = _special(
    "log_logistic", lambda y, x: logistic(-x), scipy_name="log_expit",
    complex_form=lambda x: -np.log1p(np.exp(-x)),
    text="log σ({})", latex=r"\log\sigma\left({}\right)", samples=SMALL,
    teaches="The slope of log σ(x) is σ(−x): what is missing to certainty.",
)  # fmt: skip
logit = _special(
    "logit", lambda y, x: 1 / (x * (1 - x)), complex_form=lambda x: np.log(x / (1 - x)),
    samples=points(0.01, 0.3, 0.5, 0.9), teaches="The log-odds steepen as 1/(x·(1 − x)).",
)  # fmt: skip
erf = _special(
    "erf", lambda y, x: (2 / SQRT_PI) * np.exp(-x * x), samples=SMALL,
    teaches="The slope of erf is the bell curve 2/√π·exp(−x²).",
)  # fmt: skip
erfc = _special(
    "erfc", lambda y, x: (-2 / SQRT_PI) * np.exp(-x * x), samples=SMALL,
    teaches="The slope of erfc is minus the bell curve.",
)  # fmt: skip
erfinv = _special(
    "erfinv", lambda y, x: (SQRT_PI / 2) * np.exp(y * y), samples=points(-0.9, 0.0, 0.5),
    teaches="An inverse has the reciprocal slope: √π/2·exp(y²).",
)  # fmt: skip
erfcinv = _special(
    "erfcinv", lambda y, x: (-SQRT_PI / 2) * np.exp(y * y), samples=points(0.1, 1.0, 1.5),
    teaches="An inverse has the reciprocal slope: −√π/2·exp(y²).",
)  # fmt: skip
ndtr = _special(
    "ndtr", lambda y, x: np.exp(-0.5 * x * x) / SQRT_2PI, samples=SMALL,
    teaches="The slope of the normal distribution function is the normal density.",
)  # fmt: skip
log_ndtr = _special(
    "log_ndtr", lambda y, x: np.exp(-0.5 * x * x - y) / SQRT_2PI, samples=SMALL,
    teaches="The slope of log Φ is the density over Φ.",
)  # fmt: skip
ndtri = _special(
    "ndtri", lambda y, x: SQRT_2PI * np.exp(0.5 * y * y), samples=points(0.1, 0.5, 0.9),
    teaches="An inverse has the reciprocal slope: one over the density.",
)  # fmt: skip
gammaln = _special(
    "gammaln", lambda y, x: digamma(x), samples=POSITIVE, complex_form=_scipy("loggamma"),
    teaches="The slope of log Γ is the digamma function.",
)  # fmt: skip
gamma = _special(
    "gamma", lambda y, x: y * digamma(x), samples=points(0.3, 1.0, 2.5, 6.0),
    teaches="The slope of Γ is Γ times digamma.",
)  # fmt: skip
digamma = _special(
    "digamma", lambda y, x: polygamma(1, x), scipy_name="psi", samples=POSITIVE,
    teaches="The slope of digamma is polygamma(1), trigamma.",
)  # fmt: skip
betaln = _special(
    "betaln",
    lambda y, x, z: digamma(x) - digamma(x + z), lambda y, x, z: digamma(z) - digamma(x + z),
    samples=points((0.5, 2.0), (1.5, 0.25)), teaches="log B(x, z) is log Γ(x)Γ(z)/Γ(x+z).",
)  # fmt: skip
beta = _special(
    "beta",
    lambda y, x, z: y * (digamma(x) - digamma(x + z)),
    lambda y, x, z: y * (digamma(z) - digamma(x + z)),
    samples=points((0.5, 2.0), (1.5, 0.25)), teaches="B(x, z) is Γ(x)Γ(z)/Γ(x+z).",
)  # fmt: skip
xlogy = _special(
    "xlogy", lambda y, x, z: np.log(z), lambda y, x, z: zero_where((x == 0) & (z == 0), x / z),
    complex_form=lambda x, z: x * np.log(z), samples=LOG_PAIRS, text="{} · log {}",
    latex=r"{} \log {}", teaches="x·log z is 0 where x is 0, and there z has no influence.",
)  # fmt: skip
xlog1py = _special(
    "xlog1py", lambda y, x, z: np.log1p(z),
    lambda y, x, z: zero_where((x == 0) & (z == -1), x / (1 + z)),
    complex_form=lambda x, z: x * np.log1p(z), samples=LOG_PAIRS, text="{} · log(1 + {})",
    latex=r"{} \log\left(1 + {}\right)",
    teaches="x·log(1 + z) is 0 where x is 0, and there z has no influence.",
)  # fmt: skip
entr = _special(
    "entr", lambda y, x: -np.log(x) - 1, complex_form=lambda x: -x * np.log(x), samples=POSITIVE,
    teaches="The slope of −x·log x is −log x − 1, infinite at 0.",
)  # fmt: skip
exp10 = _special(
    "exp10", lambda y, x: y * LN10, complex_form=lambda x: np.power(10.0, x), samples=SMALL,
    teaches="10^x grows by its value times log 10.",
)  # fmt: skip
j0 = _special(
    "j0", lambda y, x: -j1(x), samples=SMALL, teaches="The slope of J₀ is −J₁.",
)  # fmt: skip
j1 = _special(
    "j1", lambda y, x: 0.5 * (j0(x) - jv(2, x)), samples=SMALL,
    teaches="The slope of J₁ is (J₀ − J₂)/2.",
)  # fmt: skip
i0 = _special(
    "i0", lambda y, x: i1(x), samples=SMALL, teaches="The slope of I₀ is I₁.",
)  # fmt: skip
i1 = _special(
    "i1", lambda y, x: 0.5 * (i0(x) + iv(2, x)), samples=SMALL,
    teaches="The slope of I₁ is (I₀ + I₂)/2.",
)  # fmt: skip


def _float_infer(x: ArrayType, **attrs: Any) -> ArrayType:
    if not x.is_float:
        raise DtypeError(f"takes float32 or float64, not {x.dtype}")
    return x


def _polygamma_forward(x: Any, *, order: int) -> Any:
    import scipy.special

    return np.asarray(scipy.special.polygamma(order, x)).astype(x.dtype)


_polygamma = Primitive(
    "polygamma",
    forward=_polygamma_forward,
    infer=_float_infer,
    rule=Elementwise((lambda y, x, order: polygamma(order + 1, x),)),
    text="ψ⁽{order}⁾({})",
    latex=r"\psi^{{({order})}}\left({}\right)",
    teaches="Each polygamma is the slope of the one before.",
    samples=both(lambda: [case([0.5, 1.0, 4.0], order=1), case([0.5, 1.0, 4.0], order=2)]),
)


def _bessel(name: str, sign: float) -> Callable[[int, Any], Any]:
    """The Bessel function of integer order: its slope is half of (order−1) ± (order+1)."""

    def forward(x: Any, *, order: int) -> Any:
        refuse_complex(name, x)
        return np.asarray(_scipy(name)(order, x)).astype(x.dtype)

    primitive = Primitive(
        name,
        forward=forward,
        infer=_float_infer,
        rule=Elementwise(
            (lambda y, x, order: 0.5 * (function(order - 1, x) + sign * function(order + 1, x)),)
        ),
        text=f"{name[0].upper()}_{{order}}({{}})",
        latex=rf"{name[0].upper()}_{{{{{{order}}}}}}\left({{}}\right)",
        teaches="A Bessel function's slope is half the sum or difference of its neighbours.",
        samples=both(lambda: [case([0.5, 1.0, 4.0], order=2)]),
    )

    def function(order: int, x: Any) -> Any:
        if is_traced(x):
            return apply_float(primitive, x, order=int(order))
        return forward(np.asarray(x, common_float(plain(x))), order=int(order))

    function.__name__ = name
    return function


jv = _bessel("jv", -1.0)
iv = _bessel("iv", 1.0)


def polygamma(n: int, x: Any) -> Any:
    """The n-th derivative of digamma, element by element; ``n`` is an integer >= 1 or 0."""
    if int(n) == 0:
        return digamma(x)
    if is_traced(x):
        return apply_float(_polygamma, x, order=int(n))
    return _polygamma_forward(np.asarray(x, common_float(plain(x))), order=int(n))


# Stable building blocks -------------------------------------------------------------------


def stop(x: Any) -> Any:
    """``x`` as a constant: no gradient flows through it."""
    return stop_gradient(x) if isinstance(x, Traced) else x


def relu(x: Any) -> Any:
    """``x`` where it is positive, else 0; the derivative at 0 is 0 (L2.5)."""
    return np.where(x > 0, x, 0 * x if not hasattr(x, "dtype") else np.zeros((), x.dtype))


def softplus(x: Any) -> Any:
    """``log(1 + exp(x))`` without overflow; its derivative is the logistic function."""
    return np.logaddexp(x, np.zeros((), x.dtype) if hasattr(x, "dtype") else 0.0)


def logsumexp(a: Any, axis: Any = None, b: Any = None, keepdims: bool = False) -> Any:
    """``log(sum(b * exp(a)))`` along ``axis`` without overflow, as ``scipy.special.logsumexp``.

    Args:
        a: array of any shape. axis: int, tuple or None for all. b: factors that broadcast
            with ``a``. keepdims: keep the reduced axes with length 1.
    """
    a = plain(a)
    top = stop(np.max(a, axis=axis, keepdims=True))
    top = np.where(np.isfinite(top), top, np.zeros((), top.dtype))
    terms = np.exp(a - top)
    if b is not None:
        terms = terms * b
    total = np.log(np.sum(terms, axis=axis, keepdims=True)) + top
    return total if keepdims else np.squeeze(total, normalize_axes(axis, total.ndim))


def softmax(x: Any, axis: Any = -1) -> Any:
    """``exp(x) / sum(exp(x))`` along ``axis`` without overflow (L0.1, L1.5).

    Note that the default axis is the last, where ``scipy.special.softmax`` takes all.
    """
    x = plain(x)
    e = np.exp(x - stop(np.max(x, axis=axis, keepdims=True)))
    return e / np.sum(e, axis=axis, keepdims=True)


def log_softmax(x: Any, axis: Any = -1) -> Any:
    """``log(softmax(x))`` along ``axis``, accurate where the probability underflows."""
    x = plain(x)
    shifted = x - stop(np.max(x, axis=axis, keepdims=True))
    return shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))
