"""Arguments on which the battery tries a primitive; made when asked, not on import."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.core.node import Sample

Make = Callable[[], list[Sample]]


def points(*rows: Any, kinks: tuple[Any, ...] = ()) -> Make:
    """Element-wise samples: each row one value or one tuple of arguments.

    Gives the points as a vector, one as a scalar, a matrix, a non-contiguous view and an
    empty array, in float64 and float32; ``kinks`` are points without a two-sided derivative.
    """

    def make() -> list[Sample]:
        columns = [np.array(c, float) for c in zip(*map(_row, rows), strict=True)]
        found = [Sample(tuple(columns)), Sample(tuple(c[0, ...] for c in columns))]
        matrix = tuple(np.resize(c, (2, 3)) for c in columns)
        found.append(Sample(matrix))
        found.append(Sample(tuple(m.T for m in matrix)))
        found.append(Sample(tuple(m[:, :0] for m in matrix)))
        found.append(Sample(tuple(c.astype(np.float32) for c in columns)))
        if kinks:
            at = [np.array(c, float) for c in zip(*map(_row, kinks), strict=True)]
            found.append(Sample(tuple(at), smooth=False))
        return found

    return make


def _row(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def arrays(*shapes: tuple[int, ...], seed: int = 0, low: float = -2.0, high: float = 2.0) -> Any:
    """Reproducible arrays of these shapes with distinct entries between low and high."""
    rng = np.random.Generator(np.random.Philox(seed))
    return tuple(rng.uniform(low, high, shape) for shape in shapes)


def case(*inputs: Any, smooth: bool = True, symmetric: bool = False, **attrs: Any) -> Sample:
    return Sample(tuple(np.asarray(x) for x in inputs), attrs, smooth, symmetric)


def both(make: Make) -> Make:
    """The samples, and the same in float32."""

    def doubled() -> list[Sample]:
        found = make()
        single = [
            Sample(
                tuple(x.astype(np.float32) if x.dtype.kind == "f" else x for x in s.inputs),
                {k: ("float32" if v == "float64" else v) for k, v in s.attrs.items()},
                s.smooth,
                s.symmetric,
            )
            for s in found
        ]
        return found + single

    return doubled
