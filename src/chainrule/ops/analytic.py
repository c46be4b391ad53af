"""Element-wise primitives of analysis: exponentials, logarithms, roots, trigonometry."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.core.node import Primitive
from chainrule.core.rules import Elementwise
from chainrule.core.traced import Traced
from chainrule.ops import structure
from chainrule.ops.coerce import for_scipy, scalar_like
from chainrule.ops.elementwise import elementwise, likely, zero_where
from chainrule.ops.kinks import note
from chainrule.ops.ranges import SAFE, SCALES
from chainrule.ops.roots import as_length
from chainrule.ops.samples import both, case, points
from chainrule.ops.special import logistic, tanh_slope
from chainrule.ops.special.registering import float_type

LN2 = float(np.log(2.0))
LN10 = float(np.log(10.0))
WIDE = points(-20.0, -1.0, 0.0, 0.5, 1.0, 20.0)
SMALL = points(-2.0, -0.5, 0.0, 0.7, 1.3)
UNIT = points(-0.9, -0.3, 0.0, 0.5, 0.8)
POSITIVE = points(1e-3, 0.5, 1.0, 2.0, 50.0)


exp = elementwise(
    "exp", np.exp, lambda y, x: y,
    text="exp({})", latex="e^{{{}}}", samples=points(-20.0, -1.0, 0.0, 2.5), ufunc=np.exp,
    analytic=True,
    teaches="The slope of exp is exp itself, so the output is all that is needed.",
)  # fmt: skip
exp2 = elementwise(
    "exp2", np.exp2, lambda y, x: y * LN2,
    text="2^{}", latex="2^{{{}}}", samples=SMALL, ufunc=np.exp2,
    analytic=True,
    teaches="2^x grows by its value times log 2.",
)  # fmt: skip
expm1 = elementwise(
    "expm1", np.expm1, lambda y, x: exp(x),
    text="exp({}) − 1", latex="e^{{{}}} - 1", samples=SMALL, ufunc=np.expm1,
    analytic=True,
    teaches="Subtracting 1 does not change a slope: it is exp(x).",
)  # fmt: skip
log = elementwise(
    "log", np.log, lambda y, x: 1 / x,
    text="log {}", latex=r"\log {}", samples=POSITIVE, ufunc=np.log,
    analytic=True,
    teaches="The slope of log is 1/x: steep near 0, flat far out.",
)  # fmt: skip
log2 = elementwise(
    "log2", np.log2, lambda y, x: 1 / (x * LN2),
    text="log₂ {}", latex=r"\log_{{2}} {}", samples=POSITIVE, ufunc=np.log2,
    analytic=True,
    teaches="log₂ is log over log 2, and so is its slope.",
)  # fmt: skip
log10 = elementwise(
    "log10", np.log10, lambda y, x: 1 / (x * LN10),
    text="log₁₀ {}", latex=r"\log_{{10}} {}", samples=POSITIVE, ufunc=np.log10,
    analytic=True,
    teaches="log₁₀ is log over log 10, and so is its slope.",
)  # fmt: skip


def _log1p_forward(x: Any) -> Any:
    if not np.iscomplexobj(x):
        return np.log1p(x)
    real = np.real(x)  # NumPy's complex form loses the digits of a small x
    return np.log1p(real) + 1j * np.imag(x) / (1 + real)


log1p = elementwise(
    "log1p", _log1p_forward, lambda y, x: 1 / (1 + x),
    text="log(1 + {})", latex=r"\log\left(1 + {}\right)", ufunc=np.log1p,
    samples=points(-0.9, -0.3, 0.0, 1e-8, 2.0, 30.0),
    analytic=True,
    teaches="The slope of log(1 + x) is 1/(1 + x).",
)  # fmt: skip
sqrt = elementwise(
    "sqrt", np.sqrt, lambda y, x: 0.5 / y,
    text="√{}", latex=r"\sqrt{{{}}}", ufunc=np.sqrt,
    samples=points(0.25, 1.0, 2.0, 50.0, kinks=(0.0,)), instead=as_length,
    analytic=True,
    teaches="The slope of √x is 1/(2√x), infinite at 0.",
)  # fmt: skip


def _quotient_or_zero_forward(x: Any, z: Any) -> Any:
    out = np.zeros(np.shape(x), np.result_type(x, z))
    return np.divide(x, z, out=out, where=z != 0)


quotient_or_zero = elementwise(
    "quotient_or_zero", _quotient_or_zero_forward, lambda y, x, z: 1 / z, lambda y, x, z: -y / z,
    text="{} / {}", latex=r"\frac{{{}}}{{{}}}",
    samples=points((-2.0, 3.0), (0.5, -1.5), (4.0, 0.3), kinks=((1.0, 0.0),)),
    teaches="A slope that is 0 by convention where a length is 0; its own slope there is NaN.",
)  # fmt: skip


def _root_partial(y: Traced, x: Traced, *, degree: float) -> Traced:
    if degree == 2:
        return quotient_or_zero(scalar_like(y, 0.5), y)
    return quotient_or_zero(y, x) / degree


_root = Primitive(
    "root",
    forward=lambda x, degree: np.sqrt(x) if degree == 2 else np.asarray(x ** (1 / degree)),
    infer=float_type,
    rule=Elementwise((_root_partial,)),
    instead=note,
    text="{}^(1/{degree})",
    latex=r"{}^{{1/{degree}}}",
    analytic=True,
    teaches="The slope of a length is infinite or 0/0 where the length is 0; it is taken as 0.",
    samples=both(
        lambda: [case([0.25, 1.0, 50.0], degree=2.0), case([0.25, 3.0], degree=3.0),
                 case(0.0, degree=2.0, smooth=False)]
    ),
)  # fmt: skip


def root(x: Traced, degree: float = 2) -> Traced:
    """``x ** (1/degree)`` of a sum of powers, with slope 0 at 0, as norms and deviations of
    nothing have it by convention, and a second derivative of NaN there."""
    return _root(x, degree=float(degree))


share = elementwise(
    "share", lambda x, z: x / (x + z),
    lambda y, x, z: z / (x + z) / (x + z), lambda y, x, z: -x / (x + z) / (x + z),
    text="{0} / ({0} + {1})", latex=r"\frac{{{0}}}{{{0} + {1}}}",
    samples=both(lambda: [case([1.0, 2.5], [0.5, -9.0])]), analytic=True,
    teaches="Near 1 a share hardly moves: its slope is what is left over, twice over the whole.",
)  # fmt: skip
value_of = elementwise(
    "value_of", lambda x, z: x, None, 1,
    text="{0}", latex="{0}", samples=both(lambda: [case([1.0, 2.5], [1.0, 2.5], smooth=False)]),
    teaches="One form of a number gives its value, another its derivatives.",
)  # fmt: skip


def scales(total: Traced) -> tuple[Traced, Traced, Traced]:
    """Where sums of squares are in range, as is likely, and else powers of two that keep them
    there, and their inverses, given the sums as they are: no second look at the numbers is needed,
    which counts for large arrays."""
    size = structure.stop_gradient(total)
    to = back = scalar_like(size, 1.0)
    edges, factors = SAFE[size.dtype.itemsize], SCALES[size.dtype.itemsize]
    outside = []
    for edge, factor, beyond in zip(edges, factors, (np.less, np.greater), strict=True):
        met = beyond(size, edge)
        to = structure.select(met, scalar_like(size, factor), to)
        back = structure.select(met, scalar_like(size, 1 / factor), back)
        outside.append(met)
    return likely(~(outside[0] | outside[1])), to, back


def length(x: Traced, total: Callable[[Any], Any], axes: tuple[int, ...], degree: float = 2) -> Any:
    """``root(total(x), degree)`` for a total of that degree in x, a sum along ``axes``.

    Where that leaves the range the value is still NumPy's, but the slope is that of ``x`` scaled
    by powers of two.
    """
    sum_ = total(x)
    plain = root(sum_, degree)
    recording = x.recording
    inside = recording.value(sum_.node)
    low, high = SAFE[x.dtype.itemsize]
    if inside is None and recording.rewrite is not None:
        summed = {a % x.ndim for a in axes}
        kept = [1 if k in summed else n for k, n in enumerate(x.shape)]
        outer, recording.rewrite = recording.rewrite, None
        try:
            if degree == 2:
                usual, to, back = scales(sum_)
                inner: Any = np.where(np.reshape(usual, kept), scalar_like(x, 1.0), x)
            else:
                inner, usual = x, None
                to, back = _scales_by_largest(x, axes)
            scaled = root(total(inner * np.reshape(to, kept)), degree) * np.reshape(
                back, plain.shape
            )
            scaled = scaled if usual is None else np.where(usual, plain, scaled)
        finally:
            recording.rewrite = outer
        return value_of(plain, scaled)
    if inside is None or np.all((inside > low) & (inside < high)):
        return plain
    entries = np.abs(np.asarray(recording.value(x.node)))
    most = np.max(np.where(np.isfinite(entries), entries, 0), axis=axes, keepdims=True, initial=0)
    if not most.any():
        return plain
    top = np.log2(high).astype(int)  # scales are normal numbers, and so are their reciprocals
    scale = np.ldexp(np.ones_like(most), np.clip(np.frexp(most)[1], -top, top))
    return value_of(plain, root(total(x / scale), degree) * np.reshape(scale, plain.shape))


def _scales_by_largest(x: Traced, axes: tuple[int, ...]) -> tuple[Traced, Traced]:
    """The powers of two next to the largest numbers, and their inverses."""
    size = structure.stop_gradient(np.abs(x))
    most: Any = np.max(np.where(np.isfinite(size), size, 0), axis=axes, keepdims=True, initial=0)
    top = math.log2(SAFE[x.dtype.itemsize][1])  # both are normal numbers then
    back: Any = np.exp2(np.clip(np.floor(np.log2(np.where(most == 0, 1, most))), -top, top))
    return 1 / back, back


def _cbrt_forward(x: Any) -> Any:
    if not np.iscomplexobj(x):
        return np.cbrt(x)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.real(x) < 0, -np.power(-x, 1 / 3), np.power(x, 1 / 3))


cbrt = elementwise(
    "cbrt", _cbrt_forward, lambda y, x: 1 / (3 * y * y),
    text="∛{}", latex=r"\sqrt[3]{{{}}}", ufunc=np.cbrt,
    samples=points(-8.0, 0.25, 2.0, kinks=(0.0,)),
    teaches="The slope of ∛x is 1/(3·∛x²), infinite at 0.",
)  # fmt: skip

# trigonometry -----------------------------------------------------------------------------

sin = elementwise(
    "sin", np.sin, lambda y, x: cos(x),
    text="sin({})", latex=r"\sin\left({}\right)", samples=WIDE, ufunc=np.sin,
    analytic=True,
    teaches="The slope of the sine is the cosine.",
)  # fmt: skip
cos = elementwise(
    "cos", np.cos, lambda y, x: -sin(x),
    text="cos({})", latex=r"\cos\left({}\right)", samples=WIDE, ufunc=np.cos,
    analytic=True,
    teaches="The slope of the cosine is minus the sine.",
)  # fmt: skip
tan = elementwise(
    "tan", np.tan, lambda y, x: 1 + y * y,
    text="tan({})", latex=r"\tan\left({}\right)", samples=SMALL, ufunc=np.tan,
    analytic=True,
    teaches="The slope of the tangent is one plus its square.",
)  # fmt: skip
one_minus_square = elementwise(
    "one_minus_square", lambda x: (1 - x) * (1 + x), lambda y, x: -2 * x,
    text="(1 − {}²)", latex=r"\left(1 - {}^{{2}}\right)", samples=UNIT,
    analytic=True,
    teaches="1 − x² as (1 − x)·(1 + x), exact near 1; its slope is −2x.",
)  # fmt: skip
arcsin = elementwise(
    "arcsin", np.arcsin, lambda y, x: 1 / sqrt(one_minus_square(x)),
    text="arcsin({})", latex=r"\arcsin\left({}\right)", samples=UNIT, ufunc=np.arcsin,
    analytic=True,
    teaches="The slope of arcsin is 1/√(1 − x²).",
)  # fmt: skip
arccos = elementwise(
    "arccos", np.arccos, lambda y, x: -1 / sqrt(one_minus_square(x)),
    text="arccos({})", latex=r"\arccos\left({}\right)", samples=UNIT, ufunc=np.arccos,
    analytic=True,
    teaches="The slope of arccos is −1/√(1 − x²).",
)  # fmt: skip
arctan = elementwise(
    "arctan", np.arctan, lambda y, x: 1 / (1 + x * x),
    text="arctan({})", latex=r"\arctan\left({}\right)", samples=WIDE, ufunc=np.arctan,
    analytic=True,
    teaches="The slope of arctan is 1/(1 + x²).",
)  # fmt: skip
sinh = elementwise(
    "sinh", np.sinh, lambda y, x: cosh(x),
    text="sinh({})", latex=r"\sinh\left({}\right)", samples=SMALL, ufunc=np.sinh,
    analytic=True,
    teaches="The slope of sinh is cosh.",
)  # fmt: skip
cosh = elementwise(
    "cosh", np.cosh, lambda y, x: sinh(x),
    text="cosh({})", latex=r"\cosh\left({}\right)", samples=SMALL, ufunc=np.cosh,
    analytic=True,
    teaches="The slope of cosh is sinh.",
)  # fmt: skip


def _tanh_slope(y: Traced, x: Traced) -> Traced:
    return tanh_slope(y, x)


tanh = elementwise(
    "tanh", np.tanh, _tanh_slope,
    text="tanh({})", latex=r"\tanh\left({}\right)", samples=WIDE, ufunc=np.tanh,
    analytic=True,
    teaches="The slope of tanh is one minus its value squared, so only the output is needed.",
)  # fmt: skip
arcsinh = elementwise(
    "arcsinh", np.arcsinh, lambda y, x: 1 / np.hypot(x, 1),
    text="arcsinh({})", latex=r"\operatorname{{arsinh}}\left({}\right)", samples=WIDE,
    ufunc=np.arcsinh, analytic=True,
    teaches="The slope of arcsinh is 1/√(x² + 1).",
)  # fmt: skip
arccosh = elementwise(
    "arccosh", np.arccosh, lambda y, x: 1 / (np.sqrt(x - 1) * np.sqrt(x + 1)),
    text="arccosh({})", latex=r"\operatorname{{arcosh}}\left({}\right)",
    samples=points(1.1, 2.0, 30.0), ufunc=np.arccosh,
    analytic=True,
    teaches="The slope of arccosh is 1/√(x² − 1).",
)  # fmt: skip
arctanh = elementwise(
    "arctanh", np.arctanh, lambda y, x: 1 / one_minus_square(x),
    text="arctanh({})", latex=r"\operatorname{{artanh}}\left({}\right)", samples=UNIT,
    ufunc=np.arctanh, analytic=True,
    teaches="The slope of arctanh is 1/(1 − x²).",
)  # fmt: skip


def _arctan2_forward(x: Any, z: Any) -> Any:
    if np.iscomplexobj(x) or np.iscomplexobj(z):  # first order is all a complex step needs
        a, b = np.real(x), np.real(z)
        slope = (b * np.imag(x) - a * np.imag(z)) / (a * a + b * b)
        return np.arctan2(a, b) + 1j * slope
    return np.arctan2(x, z)


def _over_square(numerator: Traced, x: Traced, z: Traced) -> Traced:
    """numerator / (x² + z²), dividing twice by the hypotenuse so that nothing overflows."""
    r = np.hypot(x, z)
    return numerator / r / r


arctan2 = elementwise(
    "arctan2", _arctan2_forward,
    lambda y, x, z: _over_square(z, x, z), lambda y, x, z: _over_square(-x, x, z),
    text="arctan2({}, {})", latex=r"\operatorname{{atan2}}\left({}, {}\right)",
    samples=points((1.0, 2.0), (-1.5, 0.5), (2.0, -1.0)), ufunc=np.arctan2,
    analytic=True,
    teaches="An angle turns with the perpendicular part of a move, over the distance.",
)  # fmt: skip


def _hypot_forward(x: Any, z: Any) -> Any:
    if np.iscomplexobj(x) or np.iscomplexobj(z):
        return np.sqrt(x * x + z * z)
    return np.hypot(x, z)


hypot = elementwise(
    "hypot", _hypot_forward,
    lambda y, x, z: quotient_or_zero(x, y), lambda y, x, z: quotient_or_zero(z, y),
    text="√({}² + {}²)", latex=r"\sqrt{{{}^{{2}} + {}^{{2}}}}", ufunc=np.hypot, instead=note,
    samples=points((3.0, 4.0), (-1.0, 0.5), (0.3, 2.0), kinks=((0.0, 0.0),)),
    analytic=True,
    teaches="A side changes the hypotenuse by its share of it, the cosine of the angle.",
)  # fmt: skip


def _logaddexp_forward(x: Any, z: Any) -> Any:
    if np.iscomplexobj(x) or np.iscomplexobj(z):
        top = np.maximum(np.real(x), np.real(z))
        return top + np.log(np.exp(x - top) + np.exp(z - top))
    return np.logaddexp(x, z)


def _softmax_share(y: Traced, x: Traced, z: Traced) -> Traced:
    return logistic(zero_where((x == z) & np.isinf(x), x - z))


logaddexp = elementwise(
    "logaddexp", _logaddexp_forward, _softmax_share, lambda y, x, z: _softmax_share(y, z, x),
    text="log(exp({}) + exp({}))", latex=r"\log\left(e^{{{}}} + e^{{{}}}\right)",
    samples=points((1.0, 2.0), (-1.5, 0.5), (30.0, -30.0)), ufunc=np.logaddexp,
    analytic=True,
    teaches="A smooth maximum shares the gradient by softmax.",
)  # fmt: skip


# sinc and its derivatives -----------------------------------------------------------------


def _sinc_forward(x: Any, *, order: int) -> Any:
    """The order-th derivative of sin(πx)/(πx): the closed form, or the Taylor series near 0."""
    if order == 0 and not np.iscomplexobj(x):  # as np.sinc
        u = np.pi * np.where(x == 0, 1e-20, x)
        return np.sin(u) / u
    u = np.pi * x.astype(np.result_type(x.dtype, np.float64))
    near = np.abs(u) < 0.5 + order
    far = np.where(near, 1.0, u)
    value = np.sin(far) / far
    for n in range(1, order + 1):
        value = (np.sin(far + n * np.pi / 2) - n * value) / far
    series, term = np.zeros_like(far), 1.0
    small = np.where(near, u, 0.0)
    powers = np.ones_like(far)
    for k in range(40 + 4 * order):
        # d^order of Σ (-1)^j u^(2j) / (2j+1)!, by its terms u^k, k = 2j - order
        if (k + order) % 2 == 0:
            j = (k + order) // 2
            sign_ = -1.0 if j % 2 else 1.0
            series = series + sign_ * powers / (term * (2 * j + 1))
        powers = powers * small
        term *= k + 1
    result = np.where(near, series, value) * np.pi**order
    return result if np.iscomplexobj(x) else result.astype(x.dtype)


sinc = Primitive(
    "sinc",
    forward=_sinc_forward,
    infer=float_type,
    rule=Elementwise((lambda y, x, order: sinc(x, order=order + 1),)),
    text="sinc⁽{order}⁾({})",
    latex=r"\operatorname{{sinc}}^{{({order})}}\left({}\right)",
    analytic=True,
    teaches="sinc is smooth at 0 too, where its slope is 0.",
    samples=both(lambda: [case([-2.3, -1.0, -1e-3, 0.0, 0.2, 1.7], order=n) for n in (0, 1, 2)]),
)

for _name, _primitive in {"exp2": exp2, "expm1": expm1, "log1p": log1p, "cbrt": cbrt}.items():
    for_scipy(_name, _primitive)
