"""The combinations: a function, the arrays it is called with, and the keywords."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

import chainrule.ops  # noqa: F401  (fills the tables)
from chainrule.core.dispatch import FUNCTIONS, SCIPY_UFUNCS, UFUNCS, public_name
from tests.helpers.sweep import methods
from tests.helpers.sweep.arguments import DTYPES, KEYWORDS, MIXED, Operand, Shape
from tests.helpers.sweep.rows import FEW, PAIRS, PRODUCTS, ROWS, SPECIAL, Row

FORMS = {**SPECIAL, **methods.FORMS}


@dataclass(frozen=True)
class Case:
    """One combination, and its place among those of the function. ``run(*arrays)`` makes the call:
    the same function where combinations differ in their arrays only."""

    function: str
    operands: tuple[Operand, ...]
    settings: tuple[tuple[str, Any], ...]
    run: Callable[..., Any]
    row: Row
    number: int = 0

    def __str__(self) -> str:
        arguments = [str(x) for x in self.operands] + [f"{k}={v!r}" for k, v in self.settings]
        return f"{self.function}({', '.join(arguments)})"

    @property
    def arrays(self) -> list[Any]:
        return [x.value(k) for k, x in enumerate(self.operands)]

    @property
    def copies(self) -> list[Any]:
        """The arrays for NumPy, which may write to them (``overwrite_input=``)."""
        return [x.copy() if isinstance(x, np.ndarray) else x for x in self.arrays]


OTHERS = {
    np.arange, np.array, np.asanyarray, np.asarray, np.copyto, np.empty, np.eye, np.fill_diagonal,
    np.full, np.identity, np.ones, np.place, np.put, np.put_along_axis, np.putmask, np.zeros,
}  # fmt: skip
"""What takes a traced value as ``like=``, or writes into one: tests/ops/inplace tests these."""


def functions() -> list[str]:
    """The names of everything that is registered (functions, ufuncs and their methods), and of
    the methods, attributes and operators of arrays."""
    ufuncs = sorted({f"np.{u.__name__}" for u in UFUNCS if getattr(np, u.__name__, None) is u})
    named = sorted(public_name(f) for f in FUNCTIONS if not isinstance(f, str) and f not in OTHERS)
    special = sorted(f"scipy.special.{n}" for n in SCIPY_UFUNCS if not n.startswith("_"))
    return [*named, *[u for u in ufuncs if u not in named], *special, *methods.names()]


def find(name: str) -> Any:
    """NumPy's or SciPy's function of this public name, or a method or operator as a function."""
    if name.startswith("scipy"):
        import scipy.special

        found: Any = scipy.special
        for part in name.split(".")[2:]:
            found = getattr(found, part)
        return found
    if not name.startswith("np."):
        return methods.find(name)
    found = np
    for part in name.split(".")[1:]:
        found = getattr(found, part)
    return found


def rows(name: str) -> list[tuple[str, Row]]:
    """What to call, and how: a ufunc's methods follow from how many arguments it takes."""
    if name in ROWS:
        return [(name, row) for row in ROWS[name]]
    ufunc = find(name)
    if not isinstance(ufunc, np.ufunc):
        raise LookupError(f"{name} has no row in tests/helpers/sweep/rows.py")
    if ufunc.signature is not None:
        axes = {"axis": [-1, 0, 5], "keepdims": [False, True], "axes": [[(-1,), (-1,), ()], [0, 0]]}
        return [(name, Row(list(PRODUCTS), {**axes, **_UFUNC}, degree=2))]
    if ufunc.nin == 1:
        return [(name, Row([(s,) for s in [*FEW, (1, 3)]], _UFUNC))]
    if ufunc.nin > 2:
        shapes = [((4,),) * ufunc.nin, ((),) * ufunc.nin, ((2, 1), (3,), *((),) * (ufunc.nin - 2))]
        return [(name, Row(shapes, _UFUNC))]
    signed = name not in ("np.maximum", "np.minimum", "np.fmax", "np.fmin")
    found = [(name, Row(list(PAIRS), _UFUNC))]
    if ufunc.nout == 1 and ufunc.nin == 2:
        alone = [(s,) for s in [*FEW, (1,), (2, 0), (2, 3, 2)]]
        found += [
            (f"{name}.reduce", Row(alone, {})),
            (f"{name}.accumulate", Row(alone, {"axis": [0, 1, -1, 5, None, (0,)]})),
            (
                f"{name}.reduceat",
                Row(
                    alone[:-1],
                    {"indices": [[0, 2], [0], [1, 0], [], 1, [9], [-1]], "axis": [0, 1, -1, 5]},
                ),
            ),
            (f"{name}.outer", Row([((2,), (3,)), ((), (2,)), ((2, 1), (0,))], {})),
        ]
    # np.add.reduce(x, axis=()) adds 0.0 to -0.0
    return [(n, replace(r, signed=signed and n != "np.add.reduce")) for n, r in found]


_UFUNC = {
    "dtype": [None, "float64", "float32", "int64", "complex128"],
    "casting": ["same_kind", "safe", "x"],
    "order": ["K", "C"],
    "signature": [None, "dd->d"],
    "subok": [True, False],
    "where": [True],  # a mask leaves numbers undefined, and NumPy's own memory in disorder
}
UNKNOWN = "new_unknown_keyword"
_POSITIONAL = {"np.einsum": "subscripts", "np.gradient": "spacing"}


@cache
def parameters(function: Any, name: str) -> dict[str, inspect.Parameter]:
    """The parameters of NumPy's signature; that of ``reduce`` leaves some out."""
    found = dict(inspect.signature(function).parameters)
    method = name.rpartition(".")[2]
    if method == "reduce":
        extra = ("keepdims", "initial", "where")
        found |= {
            k: inspect.Parameter(k, inspect.Parameter.KEYWORD_ONLY, default=None) for k in extra
        }
    return found


def _settings(
    name: str, function: Any, row: Row
) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
    """The values of what must be given, and of what may be."""
    given = parameters(function, name)
    required: dict[str, list[Any]] = {}
    optional: dict[str, list[Any]] = {}
    arrays = _array_names(name, row, given)
    for key, values in row.values.items():
        known = given.get(key)
        free = known is None or known.default is not known.empty
        if key in _POSITIONAL.values() and name in _POSITIONAL:
            free = key == "spacing"
        (optional if free else required)[key] = values
    for key, parameter in given.items():
        if key in arrays or key in row.values or parameter.kind in (2, 4):
            continue
        if parameter.default is parameter.empty:
            raise LookupError(f"{name}: the row gives no values for {key}")
        if key in KEYWORDS:
            optional[key] = KEYWORDS[key]
        elif isinstance(parameter.default, bool):
            optional[key] = [False, True]
        elif key not in _FREE.get(name, ()):
            raise LookupError(f"{name}: no values for the keyword {key}")
    optional[UNKNOWN] = [1]
    return required, optional


_FREE = {
    "np.trapezoid": ("x", "dx"),
    "np.diff": ("n", "prepend", "append"),
    "np.ediff1d": ("to_end", "to_begin"),
    "np.unwrap": ("discont", "period"),
    "np.where": ("x", "y"),
    "np.nan_to_num": ("nan", "posinf", "neginf"),
    "np.real_if_close": ("tol",),
    "np.interp": ("left", "right", "period"),
    "np.gradient": ("edge_order",),
    "np.cov": ("fweights", "aweights"),
    **{f"scipy.special.{n}": ("extobj",) for n in ()},
}


def _array_names(name: str, row: Row, given: dict[str, inspect.Parameter]) -> list[str]:
    if row.names:
        return list(row.names)
    count = 1 if row.listed else len(row.shapes[0])
    return (
        [k for k in given if k not in row.values][:count]
        if name not in ("np.einsum",)
        else ["operands"]
    )


def _operands(row: Row) -> Iterator[tuple[Operand, ...]]:
    for shapes in row.shapes:
        for flavour in row.flavours:
            for dtype in row.dtypes or DTYPES:
                yield tuple(Operand(tuple(s), dtype, flavour) for s in shapes)
        if len(shapes) == 2 and not row.dtypes:
            for one, two in MIXED:
                pair = []
                for s, dtype in zip(shapes, (one, two), strict=True):
                    if dtype == "py" and (s or (row.own and not pair)):
                        break
                    pair.append(Operand(tuple(s), dtype, row.flavours[0]))
                else:
                    yield tuple(pair)


def cases(name: str, keep: Callable[[], bool] = lambda: True) -> Iterator[Case]:
    """All combinations of one function that ``keep`` keeps: all arrays with each value of each
    keyword, and some arrays with each pair of values of two keywords."""
    number = itertools.count()
    if name in FORMS:
        for called, row in rows(name):
            for k, call in enumerate(FORMS[name]):
                settings = (("form", k),)
                for operands in filter(lambda _: keep(), _operands(row)):
                    yield Case(called, operands, settings, call, row, next(number))
        return
    for called, row in rows(name):
        function = find(called)
        required, optional = _settings(called, function, row)
        everything = list(_operands(row))
        some = everything[:: max(1, len(everything) // 3)]
        for settings, narrow in _choices(required, optional):
            given = tuple(settings.items())
            runs: dict[Shape, Callable[..., Any]] = {}
            for operands in some if narrow else everything:
                k, shape = next(number), operands[0].shape
                if keep():
                    if shape not in runs:
                        runs[shape] = _call(called, function, row, shape, settings)
                    yield Case(called, operands, given, runs[shape], row, k)


NEEDED: dict[str, dict[str, Any]] = {
    "reflect_type": {"mode": "reflect"},
    "weights": {"method": "inverted_cdf"},
}
"""What NumPy wants beside a keyword, where a function has it."""


def keywords(name: str) -> Iterator[tuple[str, bool, Case]]:
    """For each value of each keyword that may be left out: its name, whether the value is the
    default, and the combination of it with one array of floats."""
    if name in FORMS:
        return
    for called, row in rows(name):
        function = find(called)
        given = parameters(function, called)
        required, optional = _settings(called, function, row)
        base = {k: v[0] for k, v in required.items()}
        operands = next(x for x in _operands(row) if x[0].dtype == "float64")
        del optional[UNKNOWN]
        yield "", False, _case(called, function, row, operands, base)
        for key, values in optional.items():
            default = given[key].default if key in given else None
            for value in values:
                same = value is default or (type(value) is type(default) and value == default)
                beside = NEEDED.get(key, {}) if given.keys() >= NEEDED.get(key, {}).keys() else {}
                settings = {**base, **beside, key: value}
                yield key, same, _case(called, function, row, operands, settings)


def _choices(required: Any, optional: Any) -> Iterator[tuple[dict[str, Any], bool]]:
    """Settings, and whether they are tried on a few arrays only."""
    bases = [dict(zip(required, v, strict=True)) for v in itertools.product(*required.values())]
    for base in bases:
        yield base, False
    known = [key for key in optional if key != UNKNOWN]
    for k, (key, values) in enumerate(optional.items()):
        for value in values:
            for j, base in enumerate(bases):
                yield {**base, key: value}, j > 0
        for other in known[k + 1 :] if key != UNKNOWN else ():
            others = optional[other]
            for pair in itertools.product(values, others):
                for base in bases[:1]:
                    yield {**base, key: pair[0], other: pair[1]}, True


def _case(name: str, function: Any, row: Row, operands: Any, settings: dict[str, Any]) -> Case:
    call = _call(name, function, row, operands[0].shape, settings)
    return Case(name, operands, tuple(settings.items()), call, row)


def _call(
    name: str, function: Any, row: Row, shape: Shape, settings: dict[str, Any]
) -> Callable[..., Any]:
    """The call of a function with these settings, for arrays of which the first has ``shape``."""
    values = {
        k: v(shape) if callable(v) and not isinstance(v, type) else v for k, v in settings.items()
    }
    before = [values.pop("subscripts")] if name == "np.einsum" else []
    after = [values.pop("spacing")] if "spacing" in values else []
    after += [values.pop(k) for k in _by_position(function, name) if k in values]
    names, listed = row.names, row.listed

    def run(*arrays: Any) -> Any:
        if listed:
            return function(*before, list(arrays), *after, **values)
        if names:
            return function(*before, *after, **dict(zip(names, arrays, strict=True)), **values)
        return function(*before, *arrays, *after, **values)

    return run


@cache
def _by_position(function: Any, name: str) -> list[str]:
    return [
        key
        for key, parameter in parameters(function, name).items()
        if parameter.default is parameter.empty and key != "start" and parameter.kind != 3
    ]
