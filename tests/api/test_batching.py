"""``vmap`` against a loop over the rows: trees, axes, nestings, random programs, refusals."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import scipy.special
from hypothesis import given, note, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule.core.node import PRIMITIVES
from tests.helpers.programs import REFUSED, Program, build

RNG = np.random.Generator(np.random.Philox(3))
X, W, B = RNG.normal(size=(5, 3)), RNG.normal(size=(3, 2)), RNG.normal(size=2)


def looped(f: Callable[..., Any], axes: Any = 0, rows: int | None = None) -> Callable[..., Any]:
    """What ``vmap`` is tested against: ``f`` called once a row, each argument split along its axis,
    which is None for what is passed whole."""

    def call(*xs: Any) -> Any:
        each = axes if isinstance(axes, tuple) else (axes,) * len(xs)
        count = next(np.shape(x)[a] for x, a in zip(xs, each, strict=True) if a is not None)
        found = [
            f(*[x if a is None else np.moveaxis(x, a, 0)[i] for x, a in zip(xs, each, strict=True)])
            for i in range(count)
        ]
        return cr.tree.map(lambda *parts: np.stack(parts), found[0], *found[1:])

    return call


def assert_equal(got: Any, expected: Any) -> None:
    cr.tree.map(np.testing.assert_array_equal, got, expected)


def assert_close(got: Any, expected: Any, tolerance: float = 1e-12) -> None:
    """As close as rounding leaves sums in another order, of the largest entry."""

    def compare(a: Any, b: Any) -> None:
        assert (np.shape(a), np.asarray(a).dtype) == (np.shape(b), np.asarray(b).dtype)
        finite = np.abs(np.asarray(b, float))[np.isfinite(b)]
        top = np.max(finite, initial=1e-3)
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * top)

    cr.tree.map(compare, got, expected)


# arguments and results --------------------------------------------------------------------


def network(params: Any, x: Any) -> Any:
    return np.tanh(x @ params["w"] + params["b"])


def loss(params: Any, x: Any, y: Any) -> Any:
    return np.sum((network(params, x) - y) ** 2)


PARAMS = {"w": W, "b": B}
Y = RNG.normal(size=(5, 2))


def test_rows_have_the_bits_that_they_have_alone() -> None:
    def f(x: Any) -> Any:
        return scipy.special.expit(np.sin(x) * x**3 / (1 + np.exp(-x)) - np.hypot(x, 2.0))

    assert_equal(cr.vmap(f)(X), np.stack([f(x) for x in X]))
    jitted = cr.jit(f)
    assert_equal(cr.jit(cr.vmap(f))(X), np.stack([jitted(x) for x in X]))


@pytest.mark.parametrize("axis", [0, 1, -1, -2])
def test_rows_lie_along_any_axis(axis: int) -> None:
    def f(x: Any) -> Any:
        return np.outer(x, x[:2])

    expected = looped(f, axis)(X)
    assert_close(cr.vmap(f, axis)(X), expected)
    for out in (0, 1, 2, -1, -3):
        assert_close(cr.vmap(f, axis, out)(X), np.moveaxis(expected, 0, out))


def test_axes_are_one_number_a_tuple_a_dict_or_trees_that_begin_like_the_arguments() -> None:
    expected = np.stack([network(PARAMS, x) for x in X])
    assert_close(cr.vmap(network, (None, 0))(PARAMS, X), expected)
    assert_close(cr.vmap(network, [None, 0])(PARAMS, X), expected)
    assert_close(cr.vmap(network, {"params": None, "x": 1})(PARAMS, x=X.T), expected)
    many = {"w": np.stack([W * k for k in range(5)], -1), "b": B}
    each = [network({"w": W * k, "b": B}, X[0]) for k in range(5)]
    assert_close(cr.vmap(network, ({"w": -1, "b": None}, None))(many, X[0]), np.stack(each))
    nested = ([X, (X.T, {"a": 2.0})], "sum")

    def f(parts: Any, how: str) -> Any:
        assert how == "sum"
        return parts[0] + parts[1][0] * parts[1][1]["a"]

    assert_close(cr.vmap(f, ([0, (1, None)], 0))(*nested), X * 3.0)
    assert_close(cr.vmap(f, {"parts": [0, (1, None)]})(parts=nested[0], how="sum"), X * 3.0)


def test_keywords_are_split_along_their_first_axis_or_as_named() -> None:
    def f(x: Any, *, scale: Any, by: Any = 1.0) -> Any:
        return x @ scale * by

    expected = np.stack([x @ s for x, s in zip(X, X[::-1], strict=True)])
    assert_close(cr.vmap(f)(X, scale=X[::-1]), expected)
    assert_close(cr.vmap(f, (0,))(X, scale=X[::-1], by=np.full(5, 2.0)), 2 * expected)
    assert_close(
        cr.vmap(f, {"x": 0, "scale": None, "by": None})(X, scale=X[0], by=3.0), 3 * X @ X[0]
    )


@cr.tree.register
class Nothing:
    pass


@dataclass(frozen=True)
class Layer:
    w: Any
    activation: str = "tanh"


def test_what_is_no_array_passes_as_it_is() -> None:
    def f(layer: Layer, x: Any, flag: bool) -> Any:
        y = getattr(np, layer.activation)(x @ layer.w) if flag else x
        return {"y": y, "rows": x.shape[0], "name": layer.activation, "none": None}

    got = cr.vmap(f, (Layer(None, "tanh"), 0, 0))(Layer(W), X, True)
    assert got["name"] == "tanh"
    assert got["none"] is None
    assert_close(got["y"], np.tanh(X @ W))
    assert_equal(got["rows"], np.full(5, 3))


def test_results_that_are_the_same_in_each_row() -> None:
    def f(x: Any) -> Any:
        return x, W, 1.5

    a, b, c = cr.vmap(f)(X)
    assert_equal((a, b, c), (X, np.stack([W] * 5), np.full(5, 1.5)))
    a, b, c = cr.vmap(f, out_axes=(1, None, None))(X)
    assert_equal((a, b, c), (X.T, W, 1.5))
    a, b, c = cr.jit(cr.vmap(f, out_axes=(1, -1, 0)))(X)
    assert_equal((a, b, c), (X.T, np.stack([W] * 5, -1), np.full(5, 1.5)))


def test_a_batch_may_be_empty_or_one_row_long() -> None:
    for n in (0, 1):
        got = cr.vmap(cr.grad(loss), (None, 0, 0))(PARAMS, X[:n], Y[:n])
        assert {k: v.shape for k, v in got.items()} == {"w": (n, 3, 2), "b": (n, 2)}


def test_dtypes_are_those_of_a_row() -> None:
    single = X.astype(np.float32)
    assert cr.vmap(lambda x: x * 2.0 + 1)(single).dtype == np.float32
    assert cr.vmap(lambda i: i * B[0])(np.array([1, 0, 1])).dtype == np.float64
    assert cr.vmap(lambda i: i + 1)(np.array([1, 0, 1], np.int8)).dtype == np.int8
    assert cr.vmap(lambda x: x * 2.0)(X[:, 0].astype(np.float32)).dtype == np.float32


def test_arguments_are_left_as_they_are_and_results_are_fresh() -> None:
    x = X.copy()
    y = cr.vmap(lambda x: x)(x)
    y[:] = 0
    assert_equal(x, X)


# nesting ----------------------------------------------------------------------------------


def test_per_example_gradients() -> None:
    f = cr.vmap(cr.grad(loss), (None, 0, 0))
    each = [cr.grad(loss)(PARAMS, x, y) for x, y in zip(X, Y, strict=True)]
    expected = {k: np.stack([g[k] for g in each]) for k in PARAMS}
    for way in (
        f,
        cr.jit(f),
        cr.jit(f, executor="numpy"),
        cr.vmap(cr.jit(cr.grad(loss)), (None, 0, 0)),
    ):
        assert_close(way(PARAMS, X, Y), expected)


def test_one_batched_program_not_a_loop_over_rows() -> None:
    f = cr.vmap(cr.grad(loss), (None, 0, 0))
    small, large = (cr.trace(f)(PARAMS, np.ones((n, 3)), np.ones((n, 2))) for n in (2, 2000))
    assert len(small.nodes) == len(large.nodes)
    assert sum(node.primitive.name == "contract" for node in large.nodes) == 2


NESTS: dict[str, Callable[[Callable[..., Any]], Callable[..., Any]]] = {
    "value": lambda mapped: mapped(lambda x: np.sin(x) * x[0]),
    "grad": lambda mapped: mapped(cr.grad(lambda x: np.sum(x**3) * x[0])),
    "grad of": lambda mapped: cr.grad(lambda x: np.sum(mapped(lambda r: np.tanh(r) @ r)(x) ** 2)),
    "value and grad": lambda mapped: mapped(cr.value_and_grad(lambda x: np.prod(x))),
    "jvp": lambda mapped: mapped(lambda x: cr.jvp(np.exp, (x,), (x**2,))),
    "jvp of": lambda mapped: lambda x: cr.jvp(mapped(lambda r: r @ r), (x,), (np.cos(x),)),
    "vjp": lambda mapped: mapped(lambda x: cr.vjp(np.sin, x)[1](x)),
    "vjp of": lambda mapped: lambda x: cr.vjp(mapped(lambda r: r * r[0]), x)[1](x),
    "jacobian": lambda mapped: mapped(cr.jacobian(lambda x: np.outer(x, np.sin(x)))),
    "jacobian of": lambda mapped: cr.jacobian(mapped(lambda x: np.sort(x) * x)),
    "hessian": lambda mapped: mapped(cr.hessian(lambda x: np.sum(np.log1p(x**2)) * x[1])),
    "hessian of": lambda mapped: cr.hessian(lambda x: np.sum(mapped(lambda r: r @ r)(x) ** 2)),
    "hvp": lambda mapped: mapped(lambda x: cr.hvp(lambda z: np.sum(z**4))(x, np.ones(3))),
    "twice": lambda mapped: mapped(mapped(lambda x: x**2 + np.exp(x))),
    "closed over": lambda mapped: mapped(lambda x: mapped(lambda z: z * x)(x)),
    "crossed": lambda mapped: mapped(lambda x: cr.grad(lambda z: np.sum(mapped(np.sin)(z * x)))(x)),
    "jit": lambda mapped: mapped(cr.jit(lambda x: np.log(1 + np.exp(x)))),
    "custom": lambda mapped: mapped(cr.grad(lambda x: np.sum(softplus(x)))),
    "custom of": lambda mapped: cr.grad(lambda x: np.sum(mapped(softplus)(x) ** 2)),
    "custom twice": lambda mapped: mapped(cr.hessian(lambda x: np.sum(softplus(x)))),
    "custom of mapped twice": lambda mapped: cr.grad(
        lambda x: np.sum(mapped(cr.grad(lambda r: np.sum(mapped(softplus)(r))))(x))
    ),
    "scan": lambda mapped: mapped(
        lambda x: cr.scan(lambda c, z: (np.tanh(c + z), c[0]), x, np.ones((4, 3)))
    ),
    "grad of scan": lambda mapped: mapped(
        cr.grad(lambda x: np.sum(cr.scan(lambda c, z: (c * x, z), x, np.ones(3))[0]))
    ),
    "while": lambda mapped: mapped(
        lambda x: cr.while_loop(lambda c: np.max(c) < 3.0, lambda c: c * 1.5, np.abs(x) + 0.1)
    ),
    "counting while": lambda mapped: mapped(
        lambda x: cr.while_loop(
            lambda c: (c[0] < 2.0) | (c[1] < 3.0),
            lambda c: (c[0] + 1.0, c[1] + x[0] ** 2 + 0.1),
            (0.0, 0.0),
        )
    ),
    "grad of bounded while": lambda mapped: mapped(
        cr.grad(lambda x: cr.while_loop(lambda c: c < 3.0, lambda c: c * 1.5, x @ x + 0.1, 20))
    ),
    "stopped": lambda mapped: mapped(cr.grad(lambda x: np.sum(x * cr.stop_gradient(x)))),
    "masked": lambda mapped: cr.grad(
        lambda x: np.sum(mapped(lambda r: np.where(r > 0, np.log(r), 0.0))(x * (x > 0)))
    ),
}


@cr.custom_gradient
def softplus(x: Any) -> Any:
    e = np.exp(x)
    return np.log(1 + e), lambda g: 2 * g * (1 - 1 / (1 + e))  # twice what is right: seen if used


@pytest.mark.parametrize("name", NESTS)
def test_nests_with_everything(name: str) -> None:
    f = NESTS[name](cr.vmap)
    with np.errstate(all="ignore"):  # of the two branches of a mask one may be infinite
        expected = NESTS[name](looped)(X)
        assert_close(f(X), expected)
    for executor in ("native", "numpy"):
        assert_close(cr.jit(f, executor=executor)(X), expected)


def test_an_argument_that_is_split_and_closed_over() -> None:
    def total(w: Any) -> Any:
        return np.sum(cr.vmap(lambda x, v: np.sum(np.sin(x @ w) * v), (0, 1))(X, w))

    f = cr.grad(
        lambda w: np.sum(cr.vmap(lambda x, v: np.sum(np.sin(x @ w) * v[0]), (0, 1))(X[:2], w))
    )
    g = cr.grad(
        lambda w: sum(np.sum(np.sin(x @ w) * v[0]) for x, v in zip(X[:2], w.T, strict=True))
    )
    assert_close(f(W), g(W))
    with pytest.raises(cr.errors.ShapeError, match="'x' of <lambda> has 5 rows"):
        total(W)


def test_keys_are_batched_and_each_row_draws_as_it_does_alone() -> None:
    keys = np.stack([cr.random.key_of(7, i) for i in range(5)])

    def noisy(key: Any, x: Any) -> Any:
        first = cr.random.uniform(key, (4,)).sum()
        return x + first + cr.random.uniform(cr.random.fold_in(key, 3), x.shape, np.float32)

    expected = np.stack([noisy(k, x) for k, x in zip(keys, X, strict=True)])
    f = cr.vmap(noisy)
    for way in (f, cr.jit(f), cr.jit(f, executor="numpy")):
        assert_close(way(keys, X), expected)
    shared = cr.vmap(noisy, (None, 0))(keys[0], X)
    assert_close(shared, np.stack([noisy(keys[0], x) for x in X]))
    twice = cr.vmap(cr.vmap(noisy))(np.stack([keys, keys[::-1]]), np.stack([X, X]))
    assert_close(twice[1], np.stack([noisy(k, x) for k, x in zip(keys[::-1], X, strict=True)]))


def test_a_key_is_folded_with_the_number_of_a_row() -> None:
    key, numbers = cr.random.key_of(5), np.array([0, 1, 2**40])
    expected = np.stack([cr.random.fold_in(key, int(n)) for n in numbers])
    f = cr.vmap(cr.random.fold_in, (None, 0))
    for way in (f, cr.jit(f), cr.jit(f, executor="numpy")):
        assert_equal(way(key, numbers), expected)
    with pytest.raises(cr.errors.DtypeError, match="a single integer n, not float64"):
        f(key, X[:, 0])


def test_a_layer_with_dropout_draws_for_each_row() -> None:
    drop = cr.nn.Dropout(0.5)
    keys = np.stack([cr.random.key_of(1, i) for i in range(5)])

    def f(key: Any, x: Any) -> Any:
        return drop((), (), x[None], key=key, train=True)[0][0]

    expected = np.stack([f(k, x) for k, x in zip(keys, X, strict=True)])
    assert_equal(cr.vmap(f)(keys, X), expected)


def test_what_all_rows_share_may_decide_a_branch() -> None:
    def f(x: Any, k: Any) -> Any:
        return x * 2 if k > 1 else x

    assert_equal(cr.vmap(f, (0, None))(X, 3.0), X * 2)
    assert_equal(cr.vmap(f, (0, None))(X, np.float64(0.5)), X)


# what is refused --------------------------------------------------------------------------


def leaf(x: Any) -> Any:
    return x


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: cr.vmap(3), cr.errors.UsageError, "takes a function, not an int"),
        (lambda: cr.vmap(leaf)(2.0), cr.errors.ShapeError, "'x' of leaf, float64, has no axis 0"),
        (lambda: cr.vmap(leaf, 2)(X), cr.errors.ShapeError, "no axis 2 that counts rows"),
        (lambda: cr.vmap(leaf, -3)(X), cr.errors.ShapeError, "no axis -3"),
        (lambda: cr.vmap(leaf, 1.0)(X), cr.errors.UsageError, "numbers of axes and None, not 1.0"),
        (lambda: cr.vmap(leaf, True)(X), cr.errors.UsageError, "not True"),
        (lambda: cr.vmap(leaf, None)(X), cr.errors.UsageError, "no argument is split"),
        (lambda: cr.vmap(leaf, (0, 0))(X), cr.errors.UsageError, "2 entries.* 1 positional"),
        (lambda: cr.vmap(leaf, {"y": 0})(X), cr.errors.UsageError, "names 'y'.*tuple"),
        (lambda: cr.vmap(network, {"x": 0})(W, X), cr.errors.UsageError, "does not name 'params'"),
        (lambda: cr.vmap(leaf, ({"a": 0},))(X), cr.errors.UsageError, "in_axes of 'x'"),
        (lambda: cr.vmap(np.dot)(X, W), cr.errors.ShapeError, "5 rows along axis 0, but .* has 3"),
        (lambda: cr.vmap(leaf, 0, 2)(X), cr.errors.ShapeError, "out_axes 2 is out of bounds"),
        (lambda: cr.vmap(leaf, 0, None)(X), cr.errors.UsageError, "out_axes=None.*row to row"),
        (lambda: cr.vmap(leaf, 0, (0, 0))(X), cr.errors.UsageError, "out_axes: .* does not begin"),
        (lambda: cr.vmap(leaf)(X * 1j), cr.errors.DtypeError, "complex128 is not supported"),
        (lambda: cr.vmap(lambda x: {leaf})(X), cr.errors.DtypeError, "returned a set"),
    ],
)
def test_what_does_not_fit_is_said(call: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()


@pytest.mark.parametrize("wrap", [lambda f: f, cr.jit])
def test_a_branch_on_a_row_is_refused_with_its_line(wrap: Any) -> None:
    def f(x: Any) -> Any:
        y = x * 2
        return y if y > 0 else -y

    with pytest.raises(cr.errors.UnknownValueError, match=r"test_batching.py:\d+.*vmap.*np\.where"):
        wrap(cr.vmap(f))(X[:, 0])
    with pytest.raises(cr.errors.UnknownValueError, match=r"vmap runs its function once"):
        wrap(cr.vmap(lambda x: x[x > 0]))(X)


def test_what_leaves_its_row_is_refused() -> None:
    kept: list[Any] = []

    def f(x: Any) -> Any:
        kept.append(x)
        return x * 2

    def outer(x: Any) -> Any:
        return np.sum(cr.vmap(f)(x)) + kept[-1]

    for transformed in (cr.grad(outer), cr.jit(outer)):
        with pytest.raises(cr.errors.EscapedTracerError, match="one row was used outside"):
            transformed(X[:, 0])


def test_numbers_that_all_rows_would_share_are_warned_of() -> None:
    rng = np.random.default_rng(0)

    def noisy(x: Any) -> Any:
        return x + rng.normal()

    with pytest.warns(UserWarning, match=r"all rows of the batch \(vmap\) share them.*cr.random"):
        cr.vmap(noisy)(X)


def test_every_primitive_says_how_it_is_batched() -> None:
    for name in PRIMITIVES.keys() - {"input", "constant"}:
        assert callable(PRIMITIVES[name].batch_rule)


# random programs --------------------------------------------------------------------------

ROWS = 2
LAYERS: dict[str, Callable[[Callable[..., Any], Callable[..., Any]], Callable[..., Any]]] = {
    "map": lambda f, mapped: mapped(f),
    "grad": lambda f, mapped: cr.grad(lambda *xs: total(f(*xs))),
    "jvp": lambda f, mapped: lambda *xs: cr.jvp(f, xs, tuple(np.cos(x) for x in xs))[1],
    "vjp": lambda f, mapped: lambda *xs: pulled(f, xs),
    "jit": lambda f, mapped: cr.jit(f),
}
"""What a program is wrapped in, with ``vmap`` or the loop for ``mapped``."""


def total(ys: Any) -> Any:
    return sum((np.sum(np.sin(y)) for y in cr.tree.leaves(ys)), 0.0)


def pulled(f: Callable[..., Any], xs: Any) -> Any:
    ys, pull = cr.vjp(f, *xs)
    return pull(cr.tree.map(np.tanh, ys))


def nested(program: Callable[..., Any], layers: tuple[str, ...], mapped: Any) -> Any:
    for layer in layers:
        program = LAYERS[layer](program, mapped)
    return program


def stacked(program: Program, layers: tuple[str, ...], seed: int) -> tuple[np.ndarray, ...]:
    """Arguments with an axis of rows in front for each "map" among the layers."""
    rng = np.random.Generator(np.random.Philox(seed))
    shape = (ROWS,) * layers.count("map")
    return tuple(
        np.asarray(x * rng.uniform(0.8, 1.0, (*shape, *x.shape)), x.dtype) for x in program.inputs
    )


def floating(program: Program) -> Any:
    """The program with integers and bools among its results as floats, as every layer takes."""

    def f(*xs: Any) -> Any:
        return tuple(np.astype(y, np.float64) * np.float64(1) for y in program(*xs))

    return f


CASES = st.tuples(
    st.builds(build, st.integers(0, 2**32), st.integers(1, 8), st.just(np.float64)),
    st.lists(st.sampled_from(list(LAYERS)), min_size=1, max_size=4).filter(lambda x: "map" in x),
)


@given(CASES)
@settings(max_examples=int(os.environ.get("CHAINRULE_PROGRAMS", "60")))
def test_random_programs_nested(case: tuple[Program, list[str]]) -> None:
    program, chosen = case
    layers = tuple(chosen)
    note(f"{program}\n{layers}")
    xs = stacked(program, layers, 5)
    f = floating(program)
    try:
        with np.errstate(all="ignore"):
            expected = nested(f, layers, looped)(*xs)
    except (*REFUSED, cr.ChainruleError):
        return
    got = nested(f, layers, cr.vmap)
    with np.errstate(all="ignore"):
        assert_close(got(*xs), expected, 1e-8)
        for executor in ("native", "numpy"):
            assert_close(cr.jit(got, executor=executor)(*xs), expected, 1e-8)
