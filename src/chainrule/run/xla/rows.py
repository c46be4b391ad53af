"""The lowering table: one row a primitive, each a call of JAX's NumPy or of XLA's own operations.

A row takes the values of a node's inputs and its attributes. What is not here is called out: the
interpreter computes it in the middle of the program.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.core.node import Node
from chainrule.core.types import Shape
from chainrule.errors import UsageError
from chainrule.ops.structure.reading import region_index
from chainrule.run.xla import special
from chainrule.run.xla.backend import jax, jnp, jsp, lax
from chainrule.run.xla.faults import Faults
from chainrule.run.xla.philox import random_uniform

Row = Callable[..., Any]

SAME = (
    "add", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "bitwise_and",
    "bitwise_or", "bitwise_xor", "cbrt", "ceil", "cos", "divide", "equal", "exp", "exp2",
    "expm1", "floor", "fmod", "greater", "greater_equal", "hypot", "invert",
    "isfinite", "isinf", "isnan", "left_shift", "less", "less_equal", "log", "log10", "log1p",
    "log2", "logaddexp", "logical_and", "logical_not", "logical_or", "logical_xor", "maximum",
    "minimum", "multiply", "negative", "not_equal", "power",
    "right_shift", "signbit", "sin", "sqrt", "square", "subtract", "tan", "tanh",
    "trunc",
)  # fmt: skip
"""Primitives that JAX's NumPy has under the same name with the same meaning."""

SPECIAL = (
    "boxcox", "boxcox1p", "entr", "erf", "erfc", "i0", "i0e", "logit", "ndtr", "ndtri",
    "spence", "xlog1py", "xlogy",
)  # fmt: skip
"""The same of ``scipy.special``, where JAX's form has its precision."""


def _cast(x: Any, dtype: str) -> Any:
    """A factor made of a bool by XLA's own conversion becomes a choice, and NaN times 0 is 0."""
    if x.dtype == bool:
        return jnp.where(x, np.ones((), dtype), np.zeros((), dtype))
    return x.astype(dtype)


def _bell(x: Any, scale: int) -> Any:
    e = jnp.exp(-scale * jnp.abs(x))
    return e / ((1 + e) * (1 + e))


def _sign(x: Any) -> Any:
    return jnp.where(x == 0, jnp.zeros_like(x), jnp.sign(x))  # -0 has no sign, as in NumPy


def _reciprocal(x: Any) -> Any:
    """Of the integer 0 what NumPy's cast of an infinity makes."""
    if x.dtype.kind == "f":
        return 1 / x
    signed = x.dtype.kind == "i"
    ones = (x == 1) | (x == -1) if signed else x == 1
    zero = np.iinfo(x.dtype).min if signed and x.dtype.itemsize >= 4 else 0
    return jnp.where(x == 0, zero, jnp.where(ones, x, 0))


def _floor_divide_integers(a: Any, b: Any) -> Any:
    return jnp.where(b == 0, 0, jnp.floor_divide(a, jnp.where(b == 0, 1, b)))


def _remainder(a: Any, b: Any) -> Any:
    """With the sign of b where it is 0, too."""
    if a.dtype.kind != "f":
        return jnp.remainder(a, b)
    found = jnp.fmod(a, b)
    moved = jnp.where((found < 0) != (b < 0), found + b, found)
    return jnp.where(found == 0, jnp.copysign(jnp.zeros_like(b), b), moved)


def _floor_divide(a: Any, b: Any) -> Any:
    """As Python and NumPy divide: exact where the quotient is, by way of the remainder."""
    if a.dtype.kind != "f":
        return _floor_divide_integers(a, b)
    rest = jnp.fmod(a, b)
    whole = (a - rest) / b
    whole = jnp.where((rest != 0) & ((rest < 0) != (b < 0)), whole - 1, whole)
    down = jnp.floor(whole)
    down = jnp.where(whole - down > 0.5, down + 1, down)
    down = jnp.where(whole == 0, jnp.copysign(jnp.zeros_like(a), a / b), down)
    return jnp.where(b == 0, a / b, down)


def _recurrence(a: Any, b: Any, axis: int) -> Any:
    def turn(y: Any, row: Any) -> Any:
        y = row[1] + row[0] * y
        return y, y

    a, b = jnp.moveaxis(a, axis, 0), jnp.moveaxis(b, axis, 0)
    if not len(b):
        return jnp.moveaxis(b, 0, axis)
    _, rest = lax.scan(turn, b[0], (a[1:], b[1:]))
    return jnp.moveaxis(jnp.concatenate([b[:1], rest]), 0, axis)


def _iota(like: Any, shape: Shape, axis: int) -> Any:
    return lax.broadcasted_iota(np.int64, shape, axis)


def _place(*gs: Any, shape: Shape, regions: Any) -> Any:
    total = jnp.zeros(shape, gs[0].dtype)
    for g, region in zip(gs, regions, strict=True):
        total = total.at[region_index(region)].add(g)
    return total


def _write(base: Any, *parts: Any, regions: Any) -> Any:
    for part, region in zip(parts, regions, strict=True):
        base = base.at[region_index(region)].set(part)
    return base


def _contract(x: Any, y: Any, spec: str) -> Any:
    return jnp.einsum(spec, x, y)


def _contract_rounded(x: Any, y: Any, spec: str) -> Any:
    """A product whose factors of float32 are rounded to bfloat16; the sums are of float32."""
    if x.dtype != np.float32:
        return _contract(x, y, spec)
    # XLA's CPU has not all products of bfloat16, whose numbers are float32's too.
    return lax.platform_dependent(
        x, y,
        cpu=lambda x, y: _contract(
            lax.reduce_precision(x, 8, 7), lax.reduce_precision(y, 8, 7), spec
        ),
        default=lambda x, y: jnp.einsum(
            spec, x.astype(jnp.bfloat16), y.astype(jnp.bfloat16), preferred_element_type=np.float32
        ),
    )  # fmt: skip


def _convolve(a: Any, v: Any) -> Any:
    if a.dtype.kind != "f":  # XLA's own goes by floats
        at = np.arange(a.shape[-1] + v.shape[-1] - 1)[:, None] - np.arange(a.shape[-1])
        inside = (at >= 0) & (at < v.shape[-1])
        spread = jnp.where(inside, v[..., np.where(inside, at, 0)], np.zeros((), v.dtype))
        return jnp.einsum("...i,...ni->...n", a, spread)
    if a.ndim == 1:
        return jnp.convolve(a, v)
    flat = (x.reshape(-1, x.shape[-1]) for x in (a, v))
    found = jax.vmap(jnp.convolve)(*flat)
    return found.reshape(*a.shape[:-1], found.shape[-1])


def _searchsorted(a: Any, v: Any, side: str) -> Any:
    if a.ndim == 1:
        return jnp.searchsorted(a, v, side=side)
    rows = (a.reshape(-1, a.shape[-1]), v.reshape(a[..., 0].size, -1))
    return jax.vmap(lambda a, v: jnp.searchsorted(a, v, side=side))(*rows).reshape(v.shape)


def _power_constant(x: Any, exponent: float) -> Any:
    if isinstance(exponent, int) and abs(exponent) <= 64:
        return lax.integer_pow(x, exponent) if exponent >= 0 or x.dtype.kind == "f" else x**exponent
    return jnp.power(x, jnp.asarray(exponent, x.dtype))


def _eigh(a: Any, uplo: str) -> Any:
    """Both triangles are equal, and the vectors' signs depend on which one LAPACK reads."""
    w, v = jnp.linalg.eigh(a, uplo, symmetrize_input=False)
    return jnp.concatenate([w[..., None, :], v], axis=-2)


def _slogdet(a: Any) -> Any:
    """From the pivots, as LAPACK: JAX multiplies 2x2 matrices out, which overflows."""
    lu, pivots, _ = lax.linalg.lu(a)
    diagonal = jnp.diagonal(lu, axis1=-2, axis2=-1)
    turned = (pivots != np.arange(a.shape[-1])) ^ (diagonal < 0)
    singular = jnp.any(diagonal == 0, -1)
    sign = jnp.where(singular, 0, 1 - 2 * (jnp.sum(turned, -1) % 2)).astype(a.dtype)
    size = jnp.where(singular, -jnp.inf, jnp.sum(jnp.log(jnp.abs(diagonal)), -1))
    return jnp.stack([sign, size], axis=-1)


def _gamma(f: Row) -> Row:
    return lambda x, order: f(jnp.asarray(order, x.dtype), x)


IN_DOUBLE: dict[str, Row] = {
    "beta": special.beta,
    "betainc": lambda x, order: jsp.special.betainc(order[0], order[1], x),
    "betaincc": lambda x, order: jsp.special.betainc(order[1], order[0], 1 - x),
    "betaln": special.betaln,
    "dawsn": jsp.special.dawsn,
    "erfcinv": lambda x: -jsp.special.ndtri(x / 2) / np.sqrt(2.0),
    "erfcx": special.erfcx,
    "erfi": special.erfi,
    "erfinv": special.erfinv,
    "exp1": jsp.special.exp1,
    "expi": special.expi,
    "expm": lambda a: jsp.linalg.expm(a, max_squarings=64),
    "gammainc": _gamma(jsp.special.gammainc),
    "gammaincc": _gamma(jsp.special.gammaincc),
    "gammaln": special.gammaln,
    "huber": special.huber,
    "kl_div": special.kl_div,
    "log_ndtr": special.log_ndtr,
    "mills": special.mills,
    "polygamma": special.polygamma,
    "pseudo_huber": special.pseudo_huber,
    "rel_entr": special.rel_entr,
    "rgamma": special.rgamma,
    "zeta": special.zeta,
}
"""Rows that compute in float64, as SciPy does: in float32 theirs have not its precision."""


def _in_double(row: Row) -> Row:
    return lambda *xs, **attrs: row(*(x.astype(np.float64) for x in xs), **attrs)


ROWS: dict[str, Row] = {
    **{name: _in_double(row) for name, row in IN_DOUBLE.items()},
    **{name: getattr(jnp, name) for name in SAME},
    **{name: getattr(jsp.special, name) for name in SPECIAL},
    # elementwise
    "abs": jnp.abs,
    "arctanh": special.arctanh,
    "cast": _cast,
    "cosh": special.cosh,
    "floor_divide": _floor_divide,
    "digamma": special.digamma,
    "exp10": lambda x: jnp.power(jnp.asarray(10.0, x.dtype), x),
    "exp2": lambda x: jnp.power(jnp.asarray(2.0, x.dtype), x),
    "gamma": jsp.special.gamma,
    "i1": lambda x: jnp.where(x == 0, x, jsp.special.i1(x)),
    "i1e": lambda x: jnp.where(x == 0, x, jsp.special.i1e(x)),
    "kinked": jnp.multiply,
    "log_logistic": jax.nn.log_sigmoid,
    "log1p": special.log1p,
    "log_ratio": special.log_ratio,
    "logistic": jax.nn.sigmoid,
    "logistic_slope": lambda y, x: _bell(x, 1),
    "one_minus_square": lambda x: (1 - x) * (1 + x),
    "power_constant": _power_constant,
    "reciprocal": _reciprocal,
    "remainder": _remainder,
    "sign": _sign,
    "sinh": special.sinh,
    "quotient_or_zero": lambda x, z: jnp.where(z != 0, x / jnp.where(z != 0, z, 1), 0),
    "share": lambda x, z: x / (x + z),
    "root": lambda x, degree: jnp.sqrt(x) if degree == 2 else x ** (1 / degree),
    "round": jnp.rint,
    "select": jnp.where,
    "tanh_slope": lambda y, x: 4 * _bell(x, 2),
    # passed through
    "custom": lambda value, *xs, rule: value,
    "identity": lambda x: x,
    "likely": lambda x: x,
    "stop_gradient": lambda x: x,
    "value_of": lambda x, z: x,
    # moved and joined
    "broadcast": lambda x, shape, axes: lax.broadcast_in_dim(x, shape, axes),
    "concatenate": lambda *xs, axis: jnp.concatenate(xs, axis),
    "iota": _iota,
    "item": lambda results, index: results[index],
    "place": _place,
    "reshape": lambda x, shape: x.reshape(shape),
    "slice": lambda x, region: x[region_index(region)],
    "transpose": lambda x, axes: x.transpose(axes),
    "write": _write,
    # along axes
    "argmax": lambda x, axis: jnp.argmax(x, axis),
    "argmin": lambda x, axis: jnp.argmin(x, axis),
    "argsort": lambda x, axis: jnp.argsort(x, axis, stable=True),
    "cumprod": lambda x, axis: jnp.cumprod(x, axis, dtype=x.dtype),
    "cumsum": lambda x, axis: jnp.cumsum(x, axis, dtype=x.dtype),
    "recurrence": _recurrence,
    "reduce_all": lambda x, axes: jnp.all(x, axes),
    "reduce_any": lambda x, axes: jnp.any(x, axes),
    "reduce_max": lambda x, axes: jnp.max(x, axes),
    "reduce_min": lambda x, axes: jnp.min(x, axes),
    "reduce_prod": lambda x, axis: jnp.prod(x, axis, dtype=x.dtype),
    "reduce_sum": lambda x, axes: jnp.sum(x, axes, dtype=x.dtype),
    "searchsorted": _searchsorted,
    # products
    "contract": _contract,
    "convolve": _convolve,
    # matrices
    "det": jnp.linalg.det,
    "eigh": _eigh,
    "qr": lambda a: jnp.concatenate(jnp.linalg.qr(a), axis=-2),
    "slogdet": _slogdet,
    # others
    "random_uniform": random_uniform,
}  # fmt: skip

# what may fail while it runs --------------------------------------------------------------


def _within(
    faults: Faults, node: Node, shape: Shape, axes: tuple[int, ...], places: Any, at: int
) -> None:
    """Demand that index arrays, the inputs from number ``at`` on, hold places of such an array."""
    given = node.inputs[at : at + len(axes)]
    for x, axis, index in zip(given, axes, places, strict=True):
        n = shape[axis]
        error = IndexError(f"an index array holds an index that is out of bounds for length {n}")
        faults.demand_of(node, error, x, index, lambda i, n=n: ((i >= -n) & (i < n)).all())


def _gather(faults: Faults, node: Node, x: Any, *places: Any, axes: tuple[int, ...]) -> Any:
    _within(faults, node, x.shape, axes, places, 1)
    return jnp.moveaxis(x, axes, range(len(axes)))[places]


def _put(faults: Faults, node: Node, base: Any, value: Any, *places: Any, axes: Any) -> Any:
    _within(faults, node, base.shape, axes, places, 2)
    front = jnp.moveaxis(base, axes, range(len(axes))).at[places].set(value)
    return jnp.moveaxis(front, range(len(axes)), axes)


def _scatter_add(faults: Faults, node: Node, *inputs: Any, shape: Shape, axes: Any) -> Any:
    front = jnp.moveaxis(jnp.zeros(shape, inputs[0].dtype), axes, range(len(axes)))
    step = 1 + len(axes)
    for start in range(0, len(inputs), step):
        g, *places = inputs[start : start + step]
        _within(faults, node, shape, axes, places, start + 1)
        front = front.at[tuple(places)].add(g)
    return jnp.moveaxis(front, range(len(axes)), axes)


def _require(faults: Faults, node: Node, x: Any, holds: Any, *, message: str) -> Any:
    faults.demand(node, UsageError(message), jnp.all(holds))
    return x


def _cholesky(faults: Faults, node: Node, a: Any) -> Any:
    y = jnp.linalg.cholesky(a, symmetrize_input=False)
    known = ~jnp.any(jnp.isnan(a))
    error = np.linalg.LinAlgError("Matrix is not positive definite")
    faults.demand(node, error, jnp.all(jnp.isfinite(y)) | ~known)
    return y


def _singular_values(faults: Faults, node: Node, a: Any, **how: Any) -> Any:
    """U, S, Vᵀ of a matrix without NaN, which LAPACK refuses."""
    u, s, vh = jnp.linalg.svd(a, **how)
    ended = ~jnp.any(jnp.isnan(s)) | jnp.any(jnp.isinf(a))
    error = np.linalg.LinAlgError("SVD did not converge")
    faults.demand(node, error, ended & ~jnp.any(jnp.isnan(a)))
    return u, s, vh


def _svd(faults: Faults, node: Node, a: Any) -> Any:
    u, s, vh = _singular_values(faults, node, a, full_matrices=False)
    return jnp.concatenate([u, s[..., None, :], jnp.swapaxes(vh, -1, -2)], axis=-2)


def _polar(faults: Faults, node: Node, a: Any) -> Any:
    u, _, vh = _singular_values(faults, node, a, full_matrices=False)
    return u @ vh


def _cofactor(faults: Faults, node: Node, a: Any) -> Any:
    """As the interpreter, from singular values and their products: exact where A is singular."""
    u, s, vh = _singular_values(faults, node, a.astype(np.float64))
    own = np.eye(a.shape[-1], dtype=bool)
    others = jnp.prod(jnp.where(own, 1, s[..., None, :]), -1)
    sign = jnp.linalg.det(u) * jnp.linalg.det(vh)
    return sign[..., None, None] * ((u * others[..., None, :]) @ vh)


def _pinv(faults: Faults, node: Node, a: Any, rcond: float) -> Any:
    a = a.astype(np.float64)
    u, s, vh = _singular_values(faults, node, a, full_matrices=False)
    kept = s > rcond * jnp.max(s, -1, keepdims=True, initial=0)
    s = jnp.where(kept, 1 / jnp.where(kept, s, 1), 0)
    return jnp.swapaxes((u * s[..., None, :]) @ vh, -1, -2)


def _solve(faults: Faults, node: Node, a: Any, b: Any) -> Any:
    factors = jsp.linalg.lu_factor(a)
    pivots = jnp.diagonal(factors[0], axis1=-2, axis2=-1)
    faults.demand(node, np.linalg.LinAlgError("Singular matrix"), jnp.all(pivots != 0))
    return jsp.linalg.lu_solve(factors, b)


def _inv(faults: Faults, node: Node, a: Any) -> Any:
    eye = jnp.broadcast_to(jnp.eye(a.shape[-1], dtype=a.dtype), a.shape)
    return _solve(faults, node, a, eye)


def _bundle(faults: Faults, node: Node, *gs: Any, places: Any, types: Any) -> tuple[Any, ...]:
    parts = [jnp.zeros(t.shape, t.dtype) for t in node.type.parts]  # type: ignore[attr-defined]
    for place, g in zip(places, gs, strict=True):
        parts[place] = g
    return tuple(parts)


CHECKED: dict[str, Row] = {
    "bundle": _bundle,
    "cholesky": _cholesky,
    "cofactor": _cofactor,
    "gather": _gather,
    "inv": _inv,
    "pinv": _pinv,
    "put": _put,
    "require": _require,
    "polar": _polar,
    "scatter_add": _scatter_add,
    "solve": _solve,
    "svd": _svd,
}
"""Rows of what the interpreter may refuse to compute, or whose type says more than its inputs:
they take ``(faults, node, *values)``."""
ROUNDED: dict[str, Row] = {"contract": _contract_rounded}
"""Rows that take the place of others where products are computed from rounded factors."""
RECORDED = ("dawson", "erfc_ratio", "exprel", "logrel", "sinc")
"""Primitives whose NumPy is recorded as any program is, and lowered."""
WITHOUT_ROW = ("constant", "input", "scan")
"""What is no operation on the device, and the loop, which ``lowering.py`` makes of its body."""
