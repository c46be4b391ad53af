"""What to write instead of the functions of NumPy and SciPy that are not recorded."""

from __future__ import annotations

import ast
from collections.abc import Collection

from chainrule.core.replacements import REPLACEMENTS

_COMPLEX = "Its result is complex, and chainrule differentiates real numbers. "
_VALUES = (
    "The length of its result depends on values; call it on plain arrays before the function "
    "that is differentiated"
)
_COUNTS = "Counts jump and carry no derivative; call it on plain arrays outside the function"
_FILES = "Return the values from the function and write them outside"
_BITS = "It looks at the bits of a number, which carry no derivative; call it outside the function"
_DATES = "Dates carry no derivative; turn them into numbers before the function"
_MEMORY = "A traced value has no memory of its own"
_LEAST_SQUARES = (
    "Build the matrix with np.vander(x, degree + 1) and take np.linalg.lstsq(matrix, y)[0], or "
    "np.linalg.pinv(matrix) @ y under jit"
)

HINTS: dict[str, str] = {
    "np.linalg.eig": _COMPLEX + "For symmetric matrices use np.linalg.eigh; for singular values "
    "np.linalg.svd",
    "np.linalg.eigvals": _COMPLEX + "For symmetric matrices use np.linalg.eigvalsh; for singular "
    "values np.linalg.svd(a, compute_uv=False)",
    "np.roots": _COMPLEX + "Find the roots outside, and polish them inside with a Newton step, "
    "which carries the derivative",
    "np.polyfit": _LEAST_SQUARES,
    "np.polydiv": "Divide the polynomials outside the function",
    "np.sort_complex": _COMPLEX + "Use np.sort",
    "np.einsum_path": "np.einsum itself orders its products; call einsum_path on plain arrays",
    "np.frexp": _BITS,
    "np.nextafter": _BITS,
    "np.spacing": _BITS,
    "np.bitwise_count": _BITS,
    "np.packbits": _BITS,
    "np.unpackbits": _BITS,
    "np.gcd": "Whole numbers carry no derivative; call it on plain integers",
    "np.lcm": "Whole numbers carry no derivative; call it on plain integers",
    "np.lexsort": "Sort by one key with np.argsort, or call it on plain arrays",
    "np.trim_zeros": _VALUES,
    "np.min_scalar_type": "Use x.dtype",
    "np.fft.fftshift": "Use np.roll(x, x.shape[axis] // 2, axis)",
    "np.fft.ifftshift": "Use np.roll(x, -(x.shape[axis] // 2), axis)",
    "np.full": "Write np.full(shape, value, like=value)",
    "np.full_like": "Write np.full(shape, value, like=value)",
    **dict.fromkeys(
        ("np.arange", "np.zeros", "np.ones", "np.empty", "np.eye", "np.identity", "range"),
        "Lengths and counts must be plain numbers (x.shape, len(x), a constant, an argument named "
        "by static_argnames=); for numbers at traced distances write start + step * np.arange(n)",
    ),
    **dict.fromkeys(
        ("np.nditer", "np.ndenumerate"),
        "Go through places: for at in np.ndindex(x.shape): x[at] = 2 * x[at]",
    ),
    "np.vectorize": "np.vectorize calls its function once per number and collects the results in "
    "an array; call the function on the whole array, as NumPy's functions work element by "
    "element, or use np.apply_along_axis or np.stack",
}
for _name in ("Polynomial", "Chebyshev", "Legendre", "Hermite", "HermiteE", "Laguerre"):
    HINTS[f"np.polynomial.{_name}.__call__"] = (
        "Write np.polynomial.polynomial.polyval(x, p.convert(kind=np.polynomial.Polynomial).coef)"
    )
_ITERATED = (
    "Find the solution outside and take one Newton step inside, x - f(x) / f'(x), which carries "
    "the derivative by the implicit function theorem"
)
for _name in ("minimize", "minimize_scalar", "root", "root_scalar", "brentq", "newton", "fsolve"):
    HINTS[f"scipy.optimize.{_name}"] = _ITERATED
for _name in ("solve_ivp", "odeint", "ode"):
    HINTS[f"scipy.integrate.{_name}"] = (
        "Write its steps as a loop, those of Runge and Kutta: k1 = f(t, y); k2 = f(t + h/2, y + "
        "h/2*k1); k3 = f(t + h/2, y + h/2*k2); k4 = f(t + h, y + h*k3); y = y + h/6*(k1 + 2*k2 + "
        "2*k3 + k4)"
    )
for _name in ("lu", "lu_factor", "ldl"):
    HINTS[f"scipy.linalg.{_name}"] = (
        "Write np.linalg.solve(a, b) for what it solves and np.linalg.slogdet(a) for determinants"
    )
for _name in (
    "fft", "fft2", "fftn", "ifft", "ifft2", "ifftn", "rfft", "rfft2", "rfftn", "irfft", "irfft2",
    "irfftn", "hfft", "ihfft",
):  # fmt: skip
    HINTS[f"np.fft.{_name}"] = (
        _COMPLEX + "For a filter use np.convolve; a transform of fixed length is a product with a "
        "matrix of cosines or sines"
    )
for _name in (
    "unique", "unique_all", "unique_counts", "unique_inverse", "unique_values", "union1d",
    "intersect1d", "setdiff1d", "setxor1d",
):  # fmt: skip
    HINTS[f"np.{_name}"] = _VALUES
for _name in ("histogram", "histogram2d", "histogramdd", "histogram_bin_edges"):
    HINTS[f"np.{_name}"] = _COUNTS
for _name in ("save", "savez", "savez_compressed", "savetxt"):
    HINTS[f"np.{_name}"] = _FILES
for _name in ("busday_count", "busday_offset", "is_busday", "datetime_as_string", "isnat"):
    HINTS[f"np.{_name}"] = _DATES
for _name in ("may_share_memory", "shares_memory"):
    HINTS[f"np.{_name}"] = _MEMORY
for _name in ("view", "tobytes", "tofile", "dump", "dumps", "getfield", "setflags", "to_device"):
    HINTS[f"x.{_name}"] = _MEMORY + "; return the array from the function and do that outside"
for _name in ("flags", "strides"):
    HINTS[f"x.{_name}"] = _MEMORY + ", and its layout changes no result; leave it out"


CALLS: dict[str, str] = {
    **{
        f"math.{name}": f"np.{name}({{0}})"
        for name in (
            "acos", "acosh", "asin", "asinh", "atan", "atanh", "cbrt", "cos", "cosh", "degrees",
            "exp", "exp2", "expm1", "fabs", "isfinite", "isinf", "isnan", "log1p", "log2", "log10",
            "radians", "sin", "sinh", "sqrt", "tan", "tanh",
        )
    },
    "np.take": "cr.array({0})[{1}]",
    "math.atan2": "np.arctan2({0}, {1})",
    "math.comb": "scipy.special.binom({0}, {1})",
    "math.copysign": "np.copysign({0}, {1})",
    "math.dist": "np.linalg.norm(np.subtract({0}, {1}))",
    "math.erf": "scipy.special.erf({0})",
    "math.erfc": "scipy.special.erfc({0})",
    "math.factorial": "scipy.special.gamma({0} + 1)",
    "math.floor": "np.floor({0})",
    "math.ceil": "np.ceil({0})",
    "math.trunc": "np.trunc({0})",
    "math.fma": "{0} * {1} + {2}",
    "math.fmod": "np.fmod({0}, {1})",
    "math.fsum": "np.sum(cr.array({0}))",
    "math.gamma": "scipy.special.gamma({0})",
    "math.hypot": "np.hypot({0}, {1})",
    "math.isclose": "np.isclose({0}, {1})",
    "math.ldexp": "np.ldexp({0}, {1})",
    "math.lgamma": "scipy.special.gammaln({0})",
    "math.log": "np.log({0})",
    "math.modf": "({0} - np.trunc({0}), np.trunc({0}))",
    "math.perm": "scipy.special.poch({0} - {1} + 1, {1})",
    "math.pow": "np.power({0}, {1})",
    "math.remainder": "{0} - {1} * np.rint({0} / {1})",
    "math.sumprod": "np.dot(cr.array({0}), cr.array({1}))",
    "statistics.correlation": "np.corrcoef(cr.array({0}), cr.array({1}))[0, 1]",
    "statistics.covariance": "np.cov(cr.array({0}), cr.array({1}))[0, 1]",
    "statistics.fmean": "np.mean(cr.array({0}))",
    "statistics.geometric_mean": "np.exp(np.mean(np.log(cr.array({0}))))",
    "statistics.harmonic_mean": "1 / np.mean(1 / cr.array({0}))",
    "statistics.mean": "np.mean(cr.array({0}))",
    "statistics.median": "np.median(cr.array({0}))",
    "statistics.pstdev": "np.std(cr.array({0}))",
    "statistics.pvariance": "np.var(cr.array({0}))",
    "statistics.stdev": "np.std(cr.array({0}), ddof=1)",
    "statistics.variance": "np.var(cr.array({0}), ddof=1)",
    **{
        f"np.{name}": f"cr.array({{0}}).astype(np.{name})"
        for name in ("float64", "float32", "int64", "int32", "int16", "int8", "uint8", "bool")
    },
    **{f"np.{name}": "cr.array({0})" for name in (
        "ascontiguousarray", "asfortranarray", "asarray_chkfinite", "require", "asmatrix", "matrix",
    )},
    "np.poly1d": "np.polyval(cr.array({0}), t) for its value at t",
    "np.polynomial.Polynomial": "np.polyval(cr.array({0})[::-1], t) for its value at t",
    "np.polynomial.polynomial.polyval": "np.polyval(cr.array({1})[::-1], {0})",
}  # fmt: skip
"""Code for calls that reach a traced value through ``float(x)`` or ``x.__array__()``, in the places
of the arguments."""


def instead(function: str) -> str:
    """What to write instead of a function of this public name; "" where nothing is known."""
    if function in HINTS:
        return HINTS[function]
    code = REPLACEMENTS.get(function)
    if code is not None:
        return f"Write {code}"
    if function.startswith("scipy.fft."):
        return HINTS["np.fft.fft"]
    if function.startswith("scipy.sparse.") and not function.startswith("scipy.sparse.linalg."):
        return _sparse(function)
    return ""


def _sparse(function: str) -> str:
    _, _, method = function.removeprefix("scipy.sparse.").partition(".")
    if method in ("__matmul__", "__mul__", "dot"):
        return (
            "Write S.toarray() @ x, or for a large S and a vector x: C = S.tocoo(); "
            "np.bincount(C.row, C.data * x[C.col], S.shape[0])"
        )
    if method in ("__rmatmul__", "__rmul__"):
        return "Write x @ S.toarray()"
    return "A sparse array holds plain numbers: write it with S.toarray(), or keep x dense"


_OF_SEQUENCES = {"concatenate", "concat", "stack", "vstack", "hstack", "dstack", "column_stack"}
_JOINING = {"r_": "np.concatenate([{}])", "c_": "np.column_stack([{}])"}


def call_instead(
    node: ast.expr | None, function: str, recorded: bool, lists: Collection[str] = ()
) -> str:
    """What to write instead of a call or subscript in which NumPy asks no traced value, in the
    user's own words: ``cr.array`` for lists, ``X @ w`` for ``X.dot(w)``, ``np.sin(x)`` for
    ``math.sin(x)``; "" where nothing is known.

    Args:
        node: the user's code.
        function: the public name of what it calls, "" where that is not known.
        recorded: whether that function is recorded, for all that is known.
        lists: the names in the code that stand for lists with traced values.
    """
    if isinstance(node, ast.Subscript):
        return _joined(node)
    if not isinstance(node, ast.Call):
        return ""
    if function in CALLS:
        return _filled(CALLS[function], node)
    if function in HINTS:
        return HINTS[function]
    name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    if function in ("np.array", "np.asarray", "np.asanyarray"):
        name = function.removeprefix("np.")
    before = ast.unparse(node)
    after = ""
    if name in ("array", "asarray", "asanyarray"):
        node.func = ast.Name("cr.array")
        node.args = [x for x in node.args if ast.unparse(x) != "object"]
        node.keywords = [k for k in node.keywords if ast.unparse(k.value) != "object"]
        after = ast.unparse(node)
    elif name == "dot" and isinstance(node.func, ast.Attribute) and len(node.args) == 1:
        after = ast.unparse(ast.BinOp(node.func.value, ast.MatMult(), node.args[0]))
    elif recorded:
        after = ast.unparse(_with_arrays(node, name, lists))
    return f"Write {after}" if after not in ("", before) else ""


def _with_arrays(node: ast.Call, name: str, lists: Collection[str]) -> ast.Call:
    """The call with its lists as arrays: those of plain numbers only if there are no others."""
    parts = node.args
    if name in _OF_SEQUENCES and parts and isinstance(parts[0], (ast.List, ast.Tuple)):
        parts = parts[0].elts
    written = [k for k, x in enumerate(parts) if isinstance(x, (ast.List, ast.Tuple)) and x.elts]
    of_names = [k for k in written if any(isinstance(x, ast.Name) for x in ast.walk(parts[k]))]
    of_names += [k for k, x in enumerate(parts) if isinstance(x, ast.ListComp)]
    of_names += [k for k, x in enumerate(parts) if isinstance(x, ast.Name) and x.id in lists]
    for k in of_names or written:
        parts[k] = ast.Call(ast.Name("cr.array"), [parts[k]], [])
    return node


def _filled(code: str, node: ast.Call) -> str:
    """The replacement of a call, with the arguments that it names; "" where it has others."""
    try:
        return "Write " + code.format(*map(ast.unparse, node.args))
    except IndexError:
        return ""


def _joined(node: ast.Subscript) -> str:
    """``np.r_[x, 1.0]`` as a call that is recorded, where it joins nothing but arrays; ``tab[i]``
    of a plain array as that of a recorded one."""
    name = node.value.attr if isinstance(node.value, ast.Attribute) else ast.unparse(node.value)
    parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    strings = any(isinstance(getattr(x, "value", 0), str) for x in parts)
    if name not in _JOINING:
        if strings or any(isinstance(x, ast.Slice) for x in parts):  # a length in x[:n]
            return ""
        recorded = ast.Call(ast.Name("cr.array"), [node.value], [])
        return f"Write {ast.unparse(ast.Subscript(recorded, node.slice))}"
    if strings:
        return ""
    one = "np.atleast_1d({})" if name == "r_" else "{}"
    return "Write " + _JOINING[name].format(", ".join(_piece(x, one) for x in parts))


def _piece(part: ast.expr, one: str) -> str:
    """What ``np.r_`` makes of a part: numbers of ``1:9:2``, and of ``0:1:5j`` so many."""
    if not isinstance(part, ast.Slice) or part.upper is None:
        return one.format(ast.unparse(part))
    start = ast.unparse(part.lower) if part.lower else "0"
    step = getattr(part.step, "value", None)
    ends = f"{start}, {ast.unparse(part.upper)}"
    if isinstance(step, complex):
        return f"np.linspace({ends}, {int(abs(step))})"
    return f"np.arange({ends}, {ast.unparse(part.step)})" if part.step else f"np.arange({ends})"
