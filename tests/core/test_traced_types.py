"""Code that looks at types takes the same branch whether it is recorded or not."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import DtypeError, RecordingError

KINDS: dict[str, Callable[[Any], Any]] = {
    "ndarray": lambda x: isinstance(x, np.ndarray),
    "generic": lambda x: isinstance(x, np.generic),
    "floating": lambda x: isinstance(x, np.floating),
    "float64": lambda x: isinstance(x, np.float64),
    "float": lambda x: isinstance(x, float),
    "int": lambda x: isinstance(x, int),
    "Number": lambda x: isinstance(x, numbers.Number),
    "isscalar": np.isscalar,
}
STEPS: dict[str, Callable[[Any], Any]] = {
    "itself": lambda x: x,
    "twice": lambda x: 2 * x,
    "halved by np.float32": lambda x: x / np.float32(2),
    "negative": lambda x: -x,
    "sine": np.sin,
    "sum": np.sum,
    "mean": np.mean,
    "power": lambda x: x**2,
    "comparison": lambda x: x > 0,
    "rows": lambda x: np.stack([x, x]),
    "count": lambda x: np.argmax(np.stack([x, x])),
}
ARGUMENTS = [2.0, np.float64(2.0), np.float32(2.0), np.array(2.0), np.ones(2), np.ones((2, 2))]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("step", STEPS)
def test_a_traced_value_is_what_it_stands_for(step: str, kind: str) -> None:
    for x in ARGUMENTS:
        expected = bool(KINDS[kind](STEPS[step](x)))
        seen = []

        def f(x: Any, seen: list[bool] = seen) -> Any:
            seen.append(bool(KINDS[kind](STEPS[step](x))))
            return np.sum(x)

        cr.grad(f)(x)
        cr.grad(cr.grad(lambda x, f=f: f(x) ** 2) if np.ndim(x) == 0 else f)(x)
        cr.jit(f)(x)
        assert seen == [expected] * 3, (type(x), np.shape(x))


def test_jit_keeps_a_program_for_each_kind_of_number() -> None:
    f = cr.jit(lambda x: x * 2.0 if isinstance(x, np.ndarray) else x * 3.0)
    for _ in range(2):
        assert f(np.float64(1.0)) == 3.0
        assert f(np.array(1.0)) == 2.0
        assert f(1.0) == 3.0


@pytest.mark.parametrize("use", [lambda x: {2.0: x}[x], lambda x: sum({x, x * 2}), hash])
def test_a_traced_value_is_not_hashable_and_says_so(use: Callable[[Any], Any]) -> None:
    with pytest.raises(RecordingError, match=rf"not hashable \({__file__}:\d+\)"):
        cr.grad(use)(2.0)


MASKED = np.ma.array([1.0, 2.0], mask=[False, True])
MATRIX = np.array([[1.0, 2.0], [3.0, 4.0]]).view(np.matrix)
pytestmark = pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
MEETINGS: list[Callable[[Any, Any], Any]] = [
    lambda x, c: x * c,
    lambda x, c: c * x,
    lambda x, c: x + c,
    lambda x, c: c - x,
    lambda x, c: c > x,
    lambda x, c: x @ c,
    lambda x, c: c @ x,
    lambda x, c: x > c,
    lambda x, c: np.maximum(x, c),
    lambda x, c: np.where(x > 0, x, c),
    lambda x, c: np.concatenate([x, c]),
    lambda x, c: np.stack([c, x]),
    lambda x, c: np.dot(c, x),
    lambda x, c: np.outer(x, c),
    lambda x, c: np.clip(x, 0, c),
    lambda x, c: (x, c)[1],
]


@pytest.mark.parametrize("constant", [MASKED, MATRIX], ids=["masked", "matrix"])
@pytest.mark.parametrize("meet", MEETINGS)
def test_masked_arrays_and_matrices_are_refused_as_constants(
    meet: Callable[[Any, Any], Any], constant: Any
) -> None:
    x = np.ones(constant.shape)
    kind = type(constant).__name__
    with pytest.raises(DtypeError, match=kind):
        cr.vjp(lambda x: meet(x, constant), x)
    with pytest.raises(DtypeError, match=kind):
        cr.jit(lambda x: meet(x, constant))(x)


def test_what_to_pass_instead_is_said() -> None:
    with pytest.raises(DtypeError, match=r"MaskedArray.*x.filled"):
        cr.grad(lambda x: np.sum(x * MASKED))(np.ones(2))
    with pytest.raises(DtypeError, match=r"matrix.*np.asarray"):
        cr.grad(lambda x: np.sum(x * MATRIX))(np.ones((2, 2)))
