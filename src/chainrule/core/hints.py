"""What to write instead of the functions of NumPy and SciPy that are not recorded."""

from __future__ import annotations

import ast

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
    "np.full": "Use np.broadcast_to(x, shape)",
    "np.vectorize": "np.vectorize calls its function once per number and collects the results in "
    "an array; call the function on the whole array, as NumPy's functions work element by "
    "element, or use np.apply_along_axis or np.stack",
}
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


def call_instead(call: str) -> str:
    """What to write instead of a call in which NumPy asks no traced value, from its own text:
    ``cr.array`` for lists, ``X @ w`` for ``X.dot(w)``; "" where neither is the remedy."""
    try:
        node = ast.parse(call.strip(), mode="eval").body
    except SyntaxError:
        return ""
    if not isinstance(node, ast.Call):
        return ""
    name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    if name in ("array", "asarray", "asanyarray"):
        node.func = ast.Name("cr.array")
        node.args = [x for x in node.args if ast.unparse(x) != "object"]
        node.keywords = [k for k in node.keywords if ast.unparse(k.value) != "object"]
        return ast.unparse(node)
    if name == "dot" and isinstance(node.func, ast.Attribute) and len(node.args) == 1:
        return ast.unparse(ast.BinOp(node.func.value, ast.MatMult(), node.args[0]))
    before = ast.unparse(node)
    parts = node.args
    if name in _OF_SEQUENCES and parts and isinstance(parts[0], (ast.List, ast.Tuple)):
        parts = parts[0].elts
    for k, part in enumerate(parts):
        if isinstance(part, (ast.List, ast.Tuple)) and part.elts:
            parts[k] = ast.Call(ast.Name("cr.array"), [part], [])
    after = ast.unparse(node)
    return after if after != before else ""
