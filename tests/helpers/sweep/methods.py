"""Methods, attributes, operators and indexing of an array: rows of their own beside the functions,
for what reaches them (``x.reshape(2, 2)``, ``x[::-1, mask]``) no function of NumPy's is given."""

from __future__ import annotations

import inspect
import itertools
import operator
import random
from array import array
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from tests.helpers.sweep.arguments import Shape
from tests.helpers.sweep.rows import (
    FEW,
    INDICES,
    KTH,
    PRODUCTS,
    ROUND,
    ROWS,
    Row,
    increasing,
    one,
    static,
    two,
    unsigned,
)

EXTRA = {
    "mean": ("keepdims", "where"),
    "std": ("keepdims", "where", "mean", "correction"),
    "var": ("keepdims", "where", "mean", "correction"),
    **dict.fromkeys(("sum", "prod", "max", "min"), ("keepdims", "initial", "where")),
}
"""What NumPy's signatures of methods call ``**kwargs``."""


def method(name: str) -> Callable[..., Any]:
    """``x.name(...)`` as a function of ``x``, with the method's signature; of an attribute,
    its value."""
    theirs = getattr(np.ndarray, name)
    if not callable(theirs):
        return lambda x: getattr(x, name)

    def call(x: Any, *arguments: Any, **keywords: Any) -> Any:
        return getattr(x, name)(*arguments, **keywords)

    given = inspect.signature(theirs)
    known = [
        p for p in given.parameters.values() if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
    ]
    known += [
        inspect.Parameter(extra, inspect.Parameter.KEYWORD_ONLY, default=None)
        for extra in EXTRA.get(name, ())
    ]
    call.__signature__ = given.replace(parameters=known)  # type: ignore[attr-defined]
    return call


def own(row: Row) -> Row:
    """Its first argument is traced always: it is that one whose method is called."""
    return replace(row, own=True)


BOUNDS = {"min": [None, 0, -0.5, 1], "max": [None, 1, 2.0]}
METHODS: dict[str, list[Row]] = {
    **{
        f"x.{name}": [one()]
        for name in (
            *("all", "any", "argmax", "argmin", "argsort", "cumprod", "cumsum", "diagonal", "max"),
            *("mean", "min", "nonzero", "prod", "std", "sum", "trace", "var", "squeeze"),
            *("conj", "conjugate", "copy", "flatten", "ravel", "T", "mT", "real", "imag"),
        )
    },
    **{f"x.{name}": [static(one(FEW))] for name in ("shape", "size", "ndim", "dtype", "nbytes")},
    **{f"x.{name}": [static(one(FEW))] for name in ("itemsize", "device", "strides", "flags")},
    "x.astype": ROWS["np.astype"],
    "x.argpartition": [one(kth=KTH)],
    "x.clip": [one(**BOUNDS), own(two(names=("self", "min"), max=BOUNDS["max"]))],
    "x.compress": [one(condition=[[True, False, True], [1, 0], [True], [], [False] * 9])],
    "x.dot": [own(two(PRODUCTS))],
    "x.repeat": [one(repeats=[2, 0, [1, 2], [1, 2, 0, 1], [2], -1, 1.5, []])],
    "x.round": [one(**ROUND)],
    "x.searchsorted": [
        own(
            increasing(
                two(
                    [((4,), (4,)), ((4,), ()), ((0,), (3,)), ((2, 3), (3,))],
                    side=["left", "right", "x"],
                    sorter=[None, [3, 2, 1, 0]],
                )
            )
        )
    ],
    "x.swapaxes": [one(axis1=[0, -1, 5, 1.0], axis2=[1, 0, -1])],
    "x.take": [one(indices=INDICES, mode=["raise", "wrap", "clip", "x"])],
    "x.reshape": [one(call=[])],
    "x.transpose": [one(call=[])],
    "x.choose": ROWS["np.choose"],
    "x.flat": [one(call=[])],
    "x itself": [static(one(call=[]))],
}

BINARY = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and_", "or_", "xor", "lshift",
          "rshift", "lt", "le", "gt", "ge", "eq", "ne")  # fmt: skip
OPERATORS: dict[str, list[Row]] = {
    **{f"operator.{name}": [two()] for name in BINARY},
    "operator.matmul": [two(PRODUCTS)],
    **{f"operator.{name}": [one()] for name in ("neg", "pos", "abs", "invert")},
    "operator.pow of": [
        one(exponent=[0, 1, 2, 3, -1, 2.0, 0.5, True, np.int8(2), np.int64(2), np.float64(2)])
    ],
}
NAMED = {
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "divide",
    "floordiv": "floor_divide",
    "mod": "remainder",
    "pow": "power",
    "and_": "bitwise_and",
    "or_": "bitwise_or",
    "xor": "bitwise_xor",
    "lshift": "left_shift",
    "rshift": "right_shift",
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
    "eq": "equal",
    "ne": "not_equal",
    "neg": "negative",
    "pos": "positive",
    "pow of": "power",
}
"""What errors call an operator: NumPy's function that it is."""

_MASK = np.array([[True, False, True], [False, True, True]])
ENTRIES: list[Any] = [
    0, 1, -1, 3, -5, 9, np.int64(1), np.uint8(0), np.array(1), True, False, np.True_,
    np.array(False), 1.0, np.float64(1), "a", None, Ellipsis,
    slice(None), slice(1, None), slice(None, None, 2), slice(None, None, -1), slice(3, 0, -2),
    slice(5, 9), slice(-1, None), slice(-9, 2), slice(0, 3, 0), slice(1.0, None),
    slice(np.int64(0), np.int8(2)), slice(2, 1),
    [0, 1], [1, -1], [], [[0, 1], [1, 0]], [0, 9], [0.0, 1.0], range(2), range(0),
    array("l", [1, 0]), np.array([1, 0]), np.array([[1], [0]]), np.zeros(0, int),
    np.zeros((0, 2), np.int8),
    np.array([1, -2], np.int8), np.array([0, 2], np.uint64), np.array([0.0]),
    [True, False], [True, False, True, True], np.array([True, False, True]), _MASK, ~_MASK[:, :2],
    np.zeros(4, bool), np.zeros((0,), bool), (0,), (), (0, 1), ((0, 1),), [slice(0, 1)], [None],
]  # fmt: skip
"""What an index is made of."""


def _indices() -> list[Any]:
    """Each entry, all pairs, and some triples and quadruples of them as tuples."""
    draw = random.Random(4)
    longer = [tuple(draw.choices(ENTRIES, k=n)) for n in (3, 4) for _ in range(400)]
    return [*ENTRIES, *itertools.product(ENTRIES, ENTRIES), *longer]


SHAPES: list[Shape] = [(4,), (2, 3), (), (0,), (2, 3, 2)]
INDEXING = "x[...]"
ROWS_OF_INDEXING: list[Row] = [
    replace(one(SHAPES, index=_indices()), flavours=("plain",), dtypes=("float64",)),
    replace(one(SHAPES, index=ENTRIES), flavours=("special",)),
    own(two([((4,), (2,)), ((2, 3), (2,)), ((2, 3), ()), ((3,), (2, 2)), ((0,), (0,)), ((), ())])),
]

for _name in ("x.sum", "x.prod", "x.mean", "x.max", "x.min", "x.clip"):
    METHODS[_name] = [unsigned(row) for row in METHODS[_name]]
for _name in ("sum", "mean", "cumsum", "trace", "std", "var", "dot"):
    METHODS[f"x.{_name}"] = [
        replace(row, degree=ROWS[f"np.{_name}"][0].degree) for row in METHODS[f"x.{_name}"]
    ]
_ROWS = {**METHODS, **OPERATORS, INDEXING: ROWS_OF_INDEXING}
ROWS.update(_ROWS)


def names() -> list[str]:
    return list(_ROWS)


def find(name: str) -> Any:
    """The function of an array that the name of a row here stands for."""
    if name == INDEXING:
        return lambda x, index: x[index]
    if name == "operator.pow of":
        return lambda x, exponent: x**exponent
    prefix, _, rest = name.partition(".")
    return getattr(operator, rest) if prefix == "operator" else method(rest)


def said(name: str) -> list[str] | None:
    """The words of which an error must say one; of a function its own name."""
    if name in (INDEXING, "x.flat"):
        return ["x[...]", "x[mask]"]
    if name == "x itself":
        return [""]  # each of its forms is another
    prefix, _, rest = name.partition(".")
    return [NAMED.get(rest, rest)] if prefix == "operator" else None


_NEW_SHAPES: list[tuple[Any, ...]] = [
    (2, 2), (4,), (-1,), ((2, 2),), ([2, 2],), (3, -1), (-1, -1), (), ((),), (0, -1), (2.0, 2),
    (1, 1), (np.int64(2), 2), (np.array([2, 2]),), ("a",), (None,), (6, 1, -1),
]  # fmt: skip
_NEW_ORDERS: list[tuple[Any, ...]] = [
    (), (None,), (0,), (1, 0), ((1, 0),), ([1, 0],), (0, 1), (-1, 0), (0, 0), (2, 0, 1), (5,),
    (1.0, 0), ((),),
]  # fmt: skip
FORMS: dict[str, list[Callable[[Any], Any]]] = {
    "x.reshape": [
        *[lambda x, s=s: x.reshape(*s) for s in _NEW_SHAPES],
        *[lambda x, o=o: x.reshape(-1, order=o) for o in ("C", "F", "A", "K", "x", None)],
        *[lambda x, c=c: x.reshape(-1, copy=c) for c in (True, False, None)],
        lambda x: x.reshape(shape=(2, 2)),
        lambda x: x.reshape(2, 2, newshape=4),
    ],
    "x.transpose": [lambda x, a=a: x.transpose(*a) for a in _NEW_ORDERS],
    "x.choose": [
        *[lambda x, m=m: x.choose([1.0, 2.0, 3.0], mode=m) for m in ("raise", "wrap", "clip", "x")],
        lambda x: x.choose([x, x], mode="wrap"),
        lambda x: x.choose([], mode="wrap"),
        lambda x: x.choose([1.0, 2.0], out=np.zeros(2)),
    ],
    "x.flat": [
        lambda x: list(x.flat),
        *[lambda x, k=k: x.flat[k] for k in (0, -1, 9, slice(1, 3), slice(None, None, -2))],
    ],
    "x itself": [
        lambda x: len(x),
        lambda x: list(x),
        lambda x: 1.5 in x,
        lambda x: bool(x),
        lambda x: [len(row) for row in x],
        lambda x: divmod(x, 2),
        lambda x: divmod(3, x),
        lambda x: round(x),
        lambda x: round(x, 1),
    ],
}
"""Whole calls, where arguments have no names."""
