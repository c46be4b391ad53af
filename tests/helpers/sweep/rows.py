"""What each function is called with: the shapes of its arrays, and values for what is no array.

A row that is missing fails the tests; a keyword of NumPy's that a row does not mention takes its
values from ``arguments.KEYWORDS``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tests.helpers.sweep.arguments import Mask, Shape

ANY: list[Shape] = [(4,), (2, 3), (), (1,), (0,), (2, 0), (1, 3), (2, 3, 2)]
FEW: list[Shape] = [(4,), (2, 3), (), (0,)]
MATRIX: list[Shape] = [(2, 3), (3, 3), (1, 3), (0, 3), (4,), (), (2, 2, 3)]
SQUARE: list[Shape] = [(3, 3), (1, 1), (2, 3), (2, 2, 2), (0, 0), (3,), (2, 0, 0)]
VECTOR: list[Shape] = [(4,), (1,), (0,), (2, 3), ()]
PAIRS: list[Sequence[Shape]] = [
    ((4,), (4,)),
    ((2, 3), (3,)),
    ((2, 1), (1, 3)),
    ((), (4,)),
    ((4,), ()),
    ((), ()),
    ((0,), (1,)),
    ((2, 3), (2,)),
    ((1,), (1,)),
    ((2, 0), (2, 1)),
]
PRODUCTS: list[Sequence[Shape]] = [
    ((3,), (3,)),
    ((2, 3), (3,)),
    ((3,), (3, 2)),
    ((2, 3), (3, 2)),
    ((2, 2, 3), (3, 2)),
    ((), (3,)),
    ((3,), ()),
    ((), ()),
    ((0,), (0,)),
    ((2, 0), (0, 3)),
    ((2, 3), (2, 3)),
    ((1,), (1,)),
    ((2,), (3,)),
    ((1, 3), (3, 1)),
    ((2, 2, 3), (2, 3, 2)),
]
FLOATS = ("float64", "float32")


@dataclass(frozen=True)
class Row:
    """One way to call a function.

    ``shapes`` lists the shapes of its arrays; ``names`` the parameters that they are, as NumPy
    names them (the first ones where empty); ``listed`` passes them all in one list. ``values``
    are for parameters that are no arrays; a callable value is made from the first shape.
    ``loose``: of a factorisation, how many roundings of its largest number (verdicts.allowed);
    ``degree``: of a sum, the degree in which the arrays enter the terms that may cancel.
    ``own``: the first array is that whose method is called, so it is traced always.
    """

    shapes: list[Sequence[Shape]]
    values: dict[str, list[Any]] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    listed: bool = False
    flavours: tuple[str, ...] = ("plain", "special")
    dtypes: tuple[str, ...] = ()
    static: bool = False
    own: bool = False
    loose: float = 0.0
    degree: float = 0
    signed: bool = True


def one(shapes: list[Shape] = ANY, names: tuple[str, ...] = (), **values: Any) -> Row:
    return Row([(shape,) for shape in shapes], values, names)


def two(shapes: list[Sequence[Shape]] = PAIRS, names: tuple[str, ...] = (), **values: Any) -> Row:
    return Row(list(shapes), values, names)


def several(*shapes: Sequence[Shape], **values: Any) -> Row:
    return Row(list(shapes), values, listed=True)


def static(row: Row) -> Row:
    """Its result is known without computing: no array that ``jit`` could return."""
    return replace(row, static=True)


def matrices(row: Row, loose: float = 1e3, signed: bool = False) -> Row:
    """Well conditioned, and compared with the tolerance of a factorisation."""
    return replace(row, flavours=("matrix",), loose=loose, signed=signed)


def unsigned(row: Row) -> Row:
    """Which of two zeros is chosen, or results, depends on the order of sums and on vectors."""
    return replace(row, signed=False)


def floating(row: Row) -> Row:
    return replace(row, dtypes=FLOATS)


def increasing(row: Row) -> Row:
    return replace(row, flavours=("increasing",))


def weights(kind: str) -> Callable[[Shape], Any]:
    def make(shape: Shape) -> Any:
        shape = shape[:1] if kind == "first" else shape
        found = np.resize([1.0, 2.0, 0.5], int(np.prod(shape))).reshape(shape)
        return found * 0 if kind == "zero" else found

    make.__name__ = f"weights_{kind}"
    return make


JOINED: list[Sequence[Shape]] = [
    ((2, 3), (2, 3)),
    ((4,), (2,)),
    ((2, 3), (1, 3)),
    ((), ()),
    ((0,), (2,)),
    ((2, 3),),
    ((2, 3), (3,)),
    ((2, 3, 2), (2, 3, 2)),
    ((4,), (4,), (4,)),
]
KTH = [0, 1, -1, 9, (0, 2), 1.0]
Q = [0.3, 0, 1, [0.1, 0.9], np.float32(0.5), np.array([[0.25, 0.5]]), 1.5, np.nan, []]
SECTIONS = [1, 2, 3, [1], [1, 3], [2, 1], [-1], [], 0, -2, 2.0]
INDICES = [
    0,
    -1,
    [1, 0],
    [[0, 1], [1, 0]],
    9,
    -9,
    [],
    1.0,
    np.int8(1),
    np.array([0, 1], np.uint8),
    [True, False],
]
PLACES = [0, -1, 1, [0, 1], [1, 0], [0, 0], slice(0, 2), 9, -9, [], [True, False, True, True], 1.0]
ORDS = [None, 1, 2, np.inf, -np.inf, 0, 3, -1, -2, 0.5, "fro", "nuc", "x"]
FLATTEN = {"order": ["C", "F", "A", "K", "x"]}
ROUND = {"decimals": [0, 1, 2, -1, np.int64(1), 1.0]}
BOUNDS = {
    "a_min": [None, 0, -0.5, 1],
    "a_max": [None, 1, 2.0],
    "min": [None, 0],
    "max": [None, 1.5],
}
WHERE = {"where": [True, Mask("all"), Mask("last")]}

ROWS: dict[str, list[Row]] = {
    # along axes
    **{
        f"np.{n}": [one()]
        for n in (
            "sum",
            "prod",
            "mean",
            "var",
            "std",
            "max",
            "amax",
            "min",
            "amin",
            "any",
            "all",
            "count_nonzero",
            "ptp",
            "argmax",
            "argmin",
            "nanargmax",
            "nanargmin",
            "cumsum",
            "cumprod",
            "cumulative_sum",
            "cumulative_prod",
            "argsort",
            "sort",
            "nansum",
            "nanprod",
            "nancumsum",
            "nancumprod",
            "nanmean",
            "nanvar",
            "nanstd",
            "nanmax",
            "nanmin",
            "median",
            "nanmedian",
            "flatnonzero",
            "argwhere",
            "nonzero",
            "copy",
            "sinc",
            "i0",
            "isposinf",
            "isneginf",
            "iscomplex",
            "isreal",
            "fix",
            "real",
            "imag",
            "real_if_close",
            "angle",
            "nan_to_num",
            "ravel",
            "squeeze",
            "atleast_1d",
            "atleast_2d",
            "atleast_3d",
            "flip",
            "fliplr",
            "flipud",
            "diagonal",
            "trace",
            "diag",
            "diagflat",
            "tril",
            "triu",
            "ones_like",
            "zeros_like",
            "unstack",
            "ediff1d",
            "diff",
            "trapezoid",
            "unwrap",
            "transpose",
        )
    },
    "np.partition": [one(kth=KTH)],
    "np.argpartition": [one(kth=KTH)],
    "np.conjugate": [one(where=[True])],
    "np.round": [one(**ROUND)],
    "np.around": [one(**ROUND)],
    "np.clip": [
        one(**BOUNDS),
        two(names=("a", "a_min"), **BOUNDS),
        two(names=("a", "max"), **BOUNDS),
    ],
    "np.isclose": [two()],
    "np.allclose": [static(two())],
    "np.array_equal": [static(two())],
    "np.array_equiv": [static(two())],
    "np.isin": [
        two(kind=[None, "sort", "table", "x"], assume_unique=[False, True], invert=[False, True])
    ],
    "np.isrealobj": [static(one(FEW))],
    "np.iscomplexobj": [static(one(FEW))],
    "np.result_type": [static(two())],
    "np.common_type": [static(two(PAIRS[:2]))],
    "np.can_cast": [
        static(one(FEW, to=["float64", "float32", "int8"], casting=["safe", "no", "x"]))
    ],
    "np.astype": [
        one(dtype=["float64", "float32", "int64", "int8", "bool", float, "complex128", "x"])
    ],
    "np.shape": [static(one())],
    "np.ndim": [static(one())],
    "np.size": [static(one())],
    "np.average": [
        one(
            weights=[None, weights("all"), weights("first"), weights("zero")],
            returned=[False, True],
        ),
        two(names=("a", "weights"), returned=[False, True]),
    ],
    **{f"np.{n}quantile": [one(q=Q, weights=[None, weights("all")])] for n in ("", "nan")},
    **{
        f"np.{n}percentile": [
            one(
                q=[30, 0, 100, [10, 90.0], np.float32(50), 101, np.nan],
                weights=[None, weights("all")],
            )
        ]
        for n in ("", "nan")
    },
    "np.cov": [
        one(
            [(4,), (2, 3), (1, 3), (), (3, 1)],
            y=[None],
            rowvar=[True, False],
            bias=[False, True],
            ddof=[None, 0, 1, 2],
            fweights=[None, [1, 2, 1], [1, 2, 1, 3], [1.5, 1, 1]],
            aweights=[None, [1.0, 0.5, 2.0], [-1.0, 1, 1]],
            dtype=[None, "float32", "float64"],
        ),
        two(
            [((4,), (4,)), ((2, 3), (2, 3)), ((2, 3), (3,))], names=("m", "y"), rowvar=[True, False]
        ),
    ],
    "np.corrcoef": [
        one([(4,), (2, 3), (1, 3)], y=[None], rowvar=[True, False], dtype=[None, "float32"]),
        two([((4,), (4,)), ((2, 3), (2, 3))], names=("x", "y"), rowvar=[True, False]),
    ],
    # choosing and reading
    "np.take": [one(indices=INDICES, mode=["raise", "wrap", "clip", "x"])],
    "np.take_along_axis": [
        one(
            indices=[
                [0, 1],
                [[0, 1, 1]],
                [[0], [1]],
                0,
                [[[0]]],
                [9],
                [[-1, 0, 1], [0, 0, 0]],
                [1.0],
            ]
        )
    ],
    "np.compress": [
        one(
            condition=[[True, False, True], [1, 0], [True], [], [False] * 9, [0, 1, 0, 1, 1]],
            names=("a",),
        )
    ],
    "np.extract": [
        one(
            condition=[[True, False, True, False], [[True, False, True]] * 2, [1, 0], []],
            names=("arr",),
        )
    ],
    "np.delete": [one(obj=PLACES)],
    "np.insert": [one(obj=PLACES, values=[7.0, [7.0, 8.0], [[1.0, 2.0, 3.0]], []])],
    "np.where": [
        Row(
            [
                ((4,), (4,), (4,)),
                ((2, 3), (3,), ()),
                ((), (), ()),
                ((0,), (1,), (1,)),
                ((2,), (2, 3), (3,)),
            ]
        ),
        one(),
    ],
    "np.select": [one(call=[])],
    # NumPy 2.4 takes the least int64 for a place by adding 1 to it until it is none
    "np.choose": [replace(one(call=[]), flavours=("plain",))],
    "np.piecewise": [one(call=[])],
    "np.searchsorted": [
        increasing(
            two(
                [((4,), (4,)), ((4,), ()), ((0,), (3,)), ((4,), (2, 3)), ((2, 3), (3,))],
                side=["left", "right", "x"],
                sorter=[None, [3, 2, 1, 0], [0]],
            )
        ),
    ],
    "np.digitize": [
        one(
            bins=[[1.0, 2.0], [2.0, 1.0], [1, 0, 3], [], [1.0], [1, 1], [[1.0]], 1.0],
            right=[False, True],
        )
    ],
    "np.interp": [
        one(
            xp=[[0.0, 1.0, 2.0], [0.0], [], [0, 1], [0, 1, 1]],
            fp=[[0.0, 2.0, 1.0], [3.0], [], [1, 2]],
            left=[None, -1.0],
            right=[None, 9],
            period=[None, 2, -2.5, 0],
        ),
        increasing(
            Row([((4,), (3,), (3,)), ((), (4,), (4,))], {"left": [None, -1.0], "period": [None, 3]})
        ),
    ],
    # shapes
    "np.reshape": [
        one(shape=[(2, 2), 4, -1, (3, -1), (-1, -1), (), (0, -1), (2.0, 2), (1, 1)], **FLATTEN)
    ],
    "np.matrix_transpose": [one()],
    "np.linalg.matrix_transpose": [one()],
    "np.swapaxes": [one(axis1=[0, -1, 5, 1.0], axis2=[1, 0, -1])],
    "np.moveaxis": [one(source=[0, -1, (0, 1), 5, 1.0], destination=[1, 0, -1, (1, 0), (0, 0)])],
    "np.rollaxis": [one(axis=[0, 1, -1, 5], start=[0, 1, 2, 3, -1, 9])],
    "np.expand_dims": [one(axis=[0, -1, (0, 1), 2, 9, (0, 0), 1.0, [0]])],
    "np.broadcast_to": [
        one(shape=[(2, 3), (4,), 4, (), (3, 4), (2, 2, 3), (0,), (-1,), (1,), (2.0,)])
    ],
    "np.broadcast_arrays": [two()],
    "np.linalg.diagonal": [one()],
    "np.linalg.trace": [one()],
    "np.empty_like": [one(call=[])],
    "np.full_like": [one(fill_value=[2, 1.5, np.nan, [1.0], 300])],
    # joining
    "np.concatenate": [several(*JOINED)],
    "np.stack": [several(*JOINED)],
    "np.vstack": [several(*JOINED)],
    "np.hstack": [several(*JOINED)],
    "np.dstack": [several(*JOINED)],
    "np.column_stack": [several(*JOINED)],
    "np.block": [several(*JOINED)],
    "np.append": [two(JOINED[:5])],
    "np.meshgrid": [
        two(
            [((3,), (2,)), ((), (3,)), ((0,), (2,)), ((2, 2), (3,))],
            indexing=["xy", "ij", "x"],
            sparse=[False, True],
            copy=[True, False],
        )
    ],
    "np.array_split": [one(indices_or_sections=SECTIONS, axis=[0, 1, -1, 5, None])],
    "np.split": [one(indices_or_sections=SECTIONS, axis=[0, 1, -1, 5, None])],
    "np.hsplit": [one(indices_or_sections=SECTIONS)],
    "np.vsplit": [one(indices_or_sections=SECTIONS)],
    "np.dsplit": [one(indices_or_sections=SECTIONS)],
    # repeating
    "np.tile": [one(reps=[2, (2, 1), (1, 2, 1), (), 0, -1, 1.5, [2]])],
    "np.repeat": [one(repeats=[2, 0, [1, 2], [1, 2, 0, 1], [2], -1, 1.5, []])],
    "np.rot90": [
        one(k=[1, 0, 2, 3, -1, 5, 1.0], axes=[(0, 1), (1, 0), (0, -1), (0, 0), (0,), (0, 5)])
    ],
    "np.roll": [one(shift=[1, -1, 0, 9, (1, 2), 1.0, 1.5])],
    "np.pad": [
        one(
            [(4,), (2, 3), (), (1,), (0,)],
            pad_width=[1, (1, 2), [[1, 0], [0, 2]], 0, -1, 1.5, {0: 1}, {-1: (2, 1)}, 5, ((1,),)],
            mode=[
                "constant",
                "edge",
                "reflect",
                "symmetric",
                "wrap",
                "linear_ramp",
                "maximum",
                "mean",
                "median",
                "minimum",
                "empty",
                "x",
            ],
            constant_values=[1, (1, 2.5), [[1, 2], [3, 4]]],
            end_values=[0, (1, 2)],
            stat_length=[None, 1, (2, 1), 9, 0],
            reflect_type=["even", "odd", "x"],
        ),
    ],
    # products
    **{
        f"np.{n}": [two(PRODUCTS)]
        for n in ("dot", "vdot", "inner", "outer", "kron", "linalg.matmul", "linalg.outer")
    },
    "np.linalg.vecdot": [two([*PAIRS, ((2, 3), (2, 3))], axis=[-1, 0, 1, 5, None])],
    "np.tensordot": [
        two(PRODUCTS, axes=[2, 1, 0, ((0,), (0,)), (1, 0), ([1], [0]), 5, -1, ((0, 1), (0, 1))])
    ],
    "np.linalg.tensordot": [two(PRODUCTS, axes=[2, 1, 0, ((0,), (0,)), 5])],
    "np.einsum": [
        two(
            [((2, 3), (3, 2)), ((3, 3), (3, 3)), ((2, 3), (2, 3))],
            subscripts=[
                "ij,jk->ik",
                "ij,jk",
                "ij,ij->",
                "ii,ij->j",
                "...j,jk->...k",
                "ij,kl",
                "ij,ij->ijk",
                "ij,jk->ii",
                "i,j",
                "ij, jk -> ki",
                "ij,jk->iK",
            ],
            optimize=[False, True, "greedy"],
            dtype=[None, "float32"],
            order=["K", "C"],
            casting=["safe", "unsafe"],
        ),
        one(
            [(2, 3), (3, 3), (3,), ()],
            subscripts=["ij->ji", "ii->i", "ii", "i->", "...->...", "ij->", "->", "ij", "ba"],
        ),
    ],
    "np.cross": [
        two(
            [
                ((3,), (3,)),
                ((2, 3), (3,)),
                ((2,), (2,)),
                ((3, 2), (3, 2)),
                ((4,), (3,)),
                ((), (3,)),
            ],
            axisa=[-1, 0, 5],
            axisb=[-1, 0],
            axisc=[-1, 0, 5],
            axis=[None, 0, -1],
        )
    ],
    "np.linalg.cross": [
        two([((3,), (3,)), ((2, 3), (2, 3)), ((3, 2), (3, 2)), ((2,), (2,))], axis=[-1, 0, 5])
    ],
    **{
        f"np.{n}": [
            two(
                [
                    ((4,), (3,)),
                    ((2,), (4,)),
                    ((1,), (1,)),
                    ((0,), (2,)),
                    ((), (3,)),
                    ((2, 3), (3,)),
                ],
                mode=["full", "same", "valid", "x", 1],
            )
        ]
        for n in ("convolve", "correlate")
    },
    "np.polyval": [two([((3,), (4,)), ((3,), ()), ((0,), (2,)), ((1,), (2, 3)), ((2, 2), (2,))])],
    # differences, polynomials, grids
    "np.gradient": [
        one(
            [(4,), (2, 3), (3, 3), (), (1,), (0,)],
            axis=[None, 0, -1, (0, 1), (), 5],
            edge_order=[1, 2, 3],
        ),
        one([(4,), (3, 3)], spacing=[2.0, [0.0, 1.0, 3.0, 4.0], [1.0, 2.0], [[0.0]]]),
    ],
    "np.linspace": [
        two(
            num=[5, 0, 1, 2, 2.0, -1],
            retstep=[False, True],
            endpoint=[True, False],
            axis=[0, -1, 1, 5],
        )
    ],
    "np.logspace": [
        two(
            PAIRS[:6],
            num=[5, 0, 1],
            endpoint=[True, False],
            base=[10.0, 2, np.array([2.0, 10, 3, 4])],
            axis=[0, -1],
        )
    ],
    "np.geomspace": [two(PAIRS[:6], num=[5, 0, 1], endpoint=[True, False], axis=[0, -1])],
    "np.vander": [one(VECTOR, N=[None, 0, 2, 5, -1], increasing=[False, True])],
    "np.tril_indices_from": [one(MATRIX)],
    "np.triu_indices_from": [one(MATRIX)],
    "np.diag_indices_from": [one(SQUARE)],
    "np.unravel_index": [
        one(
            [(4,), (2, 3), (), (0,)],
            shape=[(3, 4), 6, (2, 2, 2), (), (0,), (-1, 2), (2.0, 3)],
            order=["C", "F", "x"],
        )
    ],
    "np.ravel_multi_index": [
        several(
            ((4,), (4,)),
            ((), ()),
            ((3,), ()),
            ((0,), (0,)),
            ((2,), (2,), (2,)),
            dims=[(3, 4), (9, 9), (2,), (300, 300)],
            mode=["raise", "wrap", "clip", ("clip", "wrap"), "x"],
            order=["C", "F", "x"],
        ),
    ],
    "np.ix_": [two([((3,), (2,)), ((0,), (2,)), ((2, 2), (2,)), ((), (2,))])],
    "np.lib.stride_tricks.sliding_window_view": [
        one(
            window_shape=[2, (2,), (2, 2), 0, 9, -1, 2.0],
            axis=[None, 0, -1, (0, 1), 5],
            writeable=[False, True],
        )
    ],
    "np.resize": [one(new_shape=[(3,), 5, (2, 4), (), 0, (-1,), (2.0,)])],
    "np.bincount": [
        one(
            [(4,), (0,), (), (2, 3)],
            weights=[None, [1.0, 2.0, 0.5, 1.0], [1.0]],
            minlength=[0, 6, -1, None],
        ),
        two([((4,), (4,)), ((0,), (0,)), ((4,), (3,))], names=("x", "weights"), minlength=[0, 6]),
    ],
    "np.polyadd": [two([((3,), (2,)), ((), (2,)), ((0,), (2,)), ((2, 2), (2,))])],
    "np.polysub": [two([((3,), (2,)), ((), (2,)), ((0,), (2,)), ((2, 2), (2,))])],
    "np.polymul": [two([((3,), (2,)), ((), (2,)), ((0,), (2,)), ((2, 2), (2,))])],
    "np.polyder": [one(VECTOR, m=[1, 0, 2, 9, -1, 1.0])],
    "np.polyint": [
        one(VECTOR, m=[1, 0, 2, -1, 1.0], k=[None, 3, [1.0], [1.0, 2.0], [1.0, 2.0, 3.0]])
    ],
    "np.poly": [one([(3,), (1,), (0,), (2, 2), (2, 3), ()])],
    "np.apply_along_axis": [one([(4,), (2, 3), (), (2, 0)], call=[])],
    "np.apply_over_axes": [one([(4,), (2, 3), (2, 3, 2)], call=[])],
    "np.array2string": [static(one(FEW, call=[]))],
    "np.array_repr": [static(one(FEW, call=[]))],
    "np.array_str": [static(one(FEW, call=[]))],
    # linear algebra
    "np.linalg.norm": [one([*FEW, (3, 3), (2, 3, 2), (0, 3)], ord=ORDS)],
    "np.linalg.vector_norm": [one([*FEW, (2, 3, 2)], ord=ORDS)],
    "np.linalg.matrix_norm": [one(MATRIX, ord=ORDS)],
    "np.linalg.inv": [matrices(one(SQUARE))],
    "np.linalg.pinv": [
        matrices(
            one(
                [*SQUARE, (3, 2)],
                rcond=[None, 1e-3, 0.5],
                rtol=[None, 1e-3],
                hermitian=[False, True],
            )
        )
    ],
    "np.linalg.solve": [
        matrices(
            two(
                [
                    ((3, 3), (3,)),
                    ((3, 3), (3, 2)),
                    ((2, 2, 2), (2,)),
                    ((2, 2, 2), (2, 2, 1)),
                    ((2, 3), (2,)),
                    ((3, 3), (2,)),
                    ((0, 0), (0,)),
                    ((1, 1), (1,)),
                    ((3, 3), ()),
                ]
            )
        )
    ],
    "np.linalg.det": [matrices(one([*SQUARE, (4, 4)]))],
    "np.linalg.slogdet": [matrices(one([*SQUARE, (4, 4)]))],
    "np.linalg.cholesky": [matrices(one(SQUARE, upper=[False, True]))],
    "np.linalg.eigh": [matrices(one(SQUARE, UPLO=["L", "U", "l", "x"]), 1e4)],
    "np.linalg.eigvalsh": [matrices(one(SQUARE, UPLO=["L", "U", "l", "x"]), 1e4)],
    "np.linalg.svd": [
        matrices(
            one(
                MATRIX,
                full_matrices=[True, False],
                compute_uv=[True, False],
                hermitian=[False, True],
            ),
            1e4,
        )
    ],
    "np.linalg.svdvals": [matrices(one(MATRIX), 1e4)],
    "np.linalg.qr": [
        matrices(one([*MATRIX, (3, 2)], mode=["reduced", "complete", "r", "raw", "x"]), 1e4)
    ],
    "np.linalg.lstsq": [
        matrices(
            two(
                [((4, 2), (4,)), ((3, 3), (3, 2)), ((2, 3), (2,)), ((3, 3), (2,)), ((3,), (3,))],
                rcond=[None, -1, 0.1],
            ),
            1e4,
        )
    ],
    "np.linalg.matrix_rank": [
        matrices(one(MATRIX, tol=[None, 0.5, 20.0], rtol=[None, 0.5], hermitian=[False, True]))
    ],
    "np.linalg.tensorinv": [
        matrices(one([(4, 2, 2), (2, 2, 4), (3, 3), (2, 3)], ind=[1, 2, 0, -1, 9]))
    ],
    "np.linalg.tensorsolve": [
        matrices(
            two([((2, 2, 4), (2, 2)), ((3, 3), (3,)), ((2, 3), (2,))], axes=[None, (0,), (1,)])
        )
    ],
    "np.linalg.cond": [
        matrices(one([*MATRIX, (2, 2, 2)], p=[None, 1, 2, -2, np.inf, "fro", "nuc", "x"]), 1e4)
    ],
    "np.linalg.matrix_power": [matrices(one(SQUARE, n=[0, 1, 2, 3, 5, -1, -2, 1.0]))],
    "np.linalg.multi_dot": [
        several(
            ((2, 3), (3, 2)),
            ((3,), (3, 2), (2,)),
            ((2, 3), (3, 2), (2, 4)),
            ((3,), (3,)),
            ((2, 3), (2, 3)),
            ((2, 3),),
        )
    ],
}


SPECIAL: dict[str, list[Callable[[Any], Any]]] = {
    "np.select": [
        lambda x: np.select([x > 1, x > 0], [x, 2 * x], 7),
        lambda x: np.select([x > 1], [x]),
        lambda x: np.select([x > 1, x > 0], [x]),
        lambda x: np.select([x], [x]),
        lambda x: np.select([x > 0], [1], x),
        lambda x: np.select([], []),
    ],
    "np.choose": [
        *[
            lambda x, m=m: np.choose(np.zeros(np.shape(x), int), [x, 2 * x], mode=m)
            for m in ("raise", "wrap", "clip", "x")
        ],
        *[
            lambda x, m=m: np.choose(np.array([0, 7]), [x, 2 * x], mode=m)
            for m in ("raise", "wrap", "clip")
        ],
        lambda x: np.choose(x, [1.0, 2.0, 3.0]),
        lambda x: np.choose(x, [x, x], mode="wrap"),
        lambda x: np.choose(np.array([0, 1]), [x, 3]),
        lambda x: np.choose([0, -1], [x, x]),
        lambda x: np.choose(0, []),
        lambda x: np.choose(np.array([0, 1]), [x], out=np.zeros(2)),
    ],
    "np.piecewise": [
        lambda x: np.piecewise(x, [x > 0], [lambda v: v * 2, 7]),
        lambda x: np.piecewise(x, [x > 0, x < 0], [1, -1]),
        lambda x: np.piecewise(x, x > 0, [1.5, 2.5]),
        lambda x: np.piecewise(x, [x > 0], [1, 2, 3]),
        lambda x: np.piecewise(x, [x > 0], []),
    ],
    "np.empty_like": [
        lambda x: np.shape(np.empty_like(x)),
        lambda x: np.empty_like(x, shape=(0,)),
        lambda x: np.empty_like(x, dtype="x"),
    ],
    "np.apply_along_axis": [
        *[lambda x, k=k: np.apply_along_axis(np.sum, k, x) for k in (0, 1, -1, 5)],
        lambda x: np.apply_along_axis(np.sort, 0, x),
        lambda x: np.apply_along_axis(lambda v: np.outer(v, v), 0, x),
    ],
    "np.apply_over_axes": [
        lambda x, k=k: np.apply_over_axes(np.sum, x, k) for k in (0, 1, (0, -1), 5)
    ],
    "np.array2string": [lambda x: type(np.array2string(x))],
    "np.array_repr": [lambda x: type(np.array_repr(x))],
    "np.array_str": [lambda x: type(np.array_str(x))],
}
"""Functions that take functions or lists of conditions: whole calls of one array."""

for _name in (
    *(
        "np.einsum",
        "np.tensordot",
        "np.linalg.tensordot",
        "np.sum",
        "np.nansum",
        "np.max",
        "np.amax",
    ),
    *("np.min", "np.amin", "np.nanmax", "np.nanmin", "np.nanmedian", "np.nanquantile", "np.ptp"),
    *("np.nanpercentile", "np.quantile", "np.percentile", "np.median", "np.sort", "np.clip"),
    *("np.partition", "np.average", "np.mean", "np.nanmean", "np.convolve", "np.correlate"),
):
    ROWS[_name] = [unsigned(row) for row in ROWS[_name]]

SUMS = {
    1: (
        *("sum", "nansum", "mean", "nanmean", "cumsum", "nancumsum", "cumulative_sum", "average"),
        *("trace", "linalg.trace", "std", "nanstd", "trapezoid", "gradient", "ediff1d", "diff"),
        *("linspace", "logspace", "interp", "median", "nanmedian", "quantile", "percentile"),
        *("nanquantile", "nanpercentile", "unwrap", "pad", "polyval", "corrcoef", "linalg.norm"),
        *("linalg.vector_norm", "linalg.matrix_norm", "apply_along_axis", "apply_over_axes"),
    ),
    2: (
        *("var", "nanvar", "cov", "dot", "vdot", "inner", "matmul", "matvec", "vecmat", "vecdot"),
        *("linalg.matmul", "linalg.vecdot", "tensordot", "linalg.tensordot", "einsum", "cross"),
        *("linalg.cross", "convolve", "correlate", "polymul", "linalg.multi_dot", "poly"),
    ),
}
"""Functions whose terms may cancel: what is left of them has the rounding of the terms, in
whatever order they are added."""
for _degree, _names in SUMS.items():
    for _name in _names:
        if (_row := f"np.{_name}") in ROWS:
            ROWS[_row] = [replace(row, degree=_degree) for row in ROWS[_row]]
