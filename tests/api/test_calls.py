"""How a transformed function may be called: keywords, static arguments, methods, and which
arguments are differentiated."""

from __future__ import annotations

import copy
import dataclasses
import doctest
import enum
import gc
import importlib
import pickle
import subprocess
import sys
import textwrap
import weakref
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest

import chainrule as cr
from chainrule.api import jitted
from chainrule.errors import DtypeError, UnknownValueError, UsageError

X = np.array([1.0, 2.0, 3.0])


def product(x: Any, k: Any) -> Any:
    return x * k


def cube(x: Any) -> Any:
    return x**3


def pair(x: Any) -> Any:
    return x * x, "aux"


@cr.grad
def slope(x: Any) -> Any:
    return x * x


@cr.custom_gradient
def stated(x: Any) -> Any:
    return x * x, lambda g: 5.0 * g


def _pickled(x: Any) -> Any:
    return pickle.loads(pickle.dumps(x))


def _cloudpickled(x: Any) -> Any:
    return cloudpickle.loads(cloudpickle.dumps(x))


# keywords ---------------------------------------------------------------------------------


def test_every_transformation_takes_keywords() -> None:
    stated = cr.custom_gradient(lambda x, k: (x * k, lambda g: (g * k, g * x)))
    six = {
        "value_and_grad": cr.value_and_grad(product)(2.0, k=3.0)[0],
        "vjp": cr.vjp(product, 2.0, k=3.0)[0],
        "jvp": cr.jvp(product, (2.0,), (1.0,), k=3.0)[0],
        "jit": cr.jit(product)(2.0, k=3.0),
        "jit by name": cr.jit(product)(k=3.0, x=2.0),
        "custom_gradient": stated(2.0, k=3.0),
        "explain": cr.explain(product)(2.0, k=3.0).value,
        "in jit": cr.jit(lambda x, k: cr.value_and_grad(product)(x, k=k)[0])(2.0, k=3.0),
    }
    assert six == dict.fromkeys(six, 6.0)
    three = {
        "grad": cr.grad(product)(2.0, k=3.0),
        "jit(grad)": cr.jit(cr.grad(product))(2.0, k=3.0),
        "grad(jit)": cr.grad(cr.jit(product))(2.0, k=3.0),
        "jacobian": cr.jacobian(product)(2.0, k=3.0),
        "hessian": cr.hessian(lambda x, k: x**2 * k / 2)(2.0, k=3.0),
        "hvp": cr.hvp(lambda x, k: x**2 * k / 2)(2.0, 1.0, k=3.0),
        "vjp": cr.vjp(product, 2.0, k=3.0)[1](1.0)[0],
        "jvp": cr.jvp(product, (2.0,), (1.0,), k=3.0)[1],
        "custom_gradient": cr.grad(stated)(2.0, k=3.0),
        "its keyword": cr.grad(lambda k, x: stated(x, k=k))(2.0, 3.0),
    }
    assert three == dict.fromkeys(three, 3.0)
    assert [str(x.type) for x in cr.trace(product)(2.0, k=X).inputs] == ["float64", "float64[3]"]
    assert len(cr.jit(product).passes(2.0, k=3.0)) > 1
    assert cr.explain(product)(2.0, k=3.0).gradient == (3.0, 2.0)
    assert cr.explain(product, argnames="k")(2.0, k=3.0).gradient == 2.0


def test_arrays_given_by_keyword_are_traced() -> None:
    recorded = []
    f = cr.jit(lambda x, k: recorded.append(1) or np.sum(x * k))  # type: ignore[func-returns-value]
    for scale in (1.0, 2.0, 3.0):
        assert f(X, k=scale * X) == scale * 14.0
    assert f(k=X, x=X) == 14.0
    assert len(recorded) == 2
    with pytest.raises(UnknownValueError, match="static"):
        cr.jit(lambda x, k: x if k > 0 else -x)(1.0, k=2.0)


def test_a_stated_gradient_may_leave_out_keywords_that_nothing_is_differentiated_by() -> None:
    @cr.custom_gradient
    def scaled(x: Any, k: float = 1.0) -> Any:
        return x * k, lambda g: g * k

    assert cr.grad(scaled)(2.0) == 1.0
    assert cr.grad(lambda x: scaled(x, k=3.0))(2.0) == 3.0
    with pytest.raises(UsageError, match="1 cotangents for 2 arguments"):
        cr.grad(lambda k: scaled(2.0, k=k))(3.0)


def test_an_exploding_keyword_name_is_no_option_of_ours() -> None:
    """Keywords of f that are called like options of the engine's own functions."""

    def f(x: Any, executor: Any, rewrite: Any, threads: Any) -> Any:
        return x * executor + rewrite * threads

    given = {"executor": 2.0, "rewrite": 3.0, "threads": 4.0}
    assert cr.jit(f)(1.0, **given) == 14.0
    assert cr.grad(f)(1.0, **given) == 2.0
    assert len(cr.trace(f)(1.0, **given).inputs) == 4


def general(x: Any, k: Any = 2.0, n: int = 2, *more: Any, mode: str = "up", **named: Any) -> Any:
    """Every kind of parameter. Linear in x, with the slope of k and the rest."""
    assert type(n) is int
    assert mode in ("up", "down")
    slope = k + sum(more) + sum(named.values())
    return x[:n] * slope * (1 if mode == "up" else -1)


GENERAL = [
    (args, {**k, **mode, **named})
    for args, keywords in [
        ((X,), [{}, {"k": 3.0}, {"n": 1}, {"k": 3.0, "n": 1}]),
        ((X, 3.0), [{}, {"n": 1}]),
        ((X, 3.0, 1), [{}]),
        ((X, np.float32(3.0), 3, 4.0, 5.0), [{}]),
    ]
    for k in keywords
    for mode in ({}, {"mode": "down"})
    for named in ({}, {"extra": 6.0})
]


@pytest.mark.parametrize(("args", "keywords"), GENERAL)
@pytest.mark.parametrize("how", [{"static_argnums": 2}, {"static_argnames": "n"}])
def test_all_ways_of_passing_give_the_same(how: Any, args: Any, keywords: Any) -> None:
    expected = general(*args, **keywords)

    def total(*args: Any, **keywords: Any) -> Any:
        return np.sum(general(*args, **keywords))

    jitted = cr.jit(general, executor="numpy", **how)
    np.testing.assert_allclose(jitted(*args, **keywords), expected, rtol=1e-15)
    np.testing.assert_allclose(jitted(*args, **keywords), expected, rtol=1e-15)
    slope = np.zeros(3)
    slope[: len(expected)] = expected / X[: len(expected)]
    gradients = [
        cr.grad(total)(*args, **keywords),
        cr.grad(total, argnums=-len(args))(*args, **keywords),
        cr.jacobian(jitted)(*args, **keywords).sum(axis=0),
        cr.jit(cr.jacobian(general), executor="numpy", **how)(*args, **keywords).sum(axis=0),
        cr.jvp(lambda x: general(x, *args[1:], **keywords), (X,), (np.ones(3),))[1],
    ]
    for found in gradients[:-1]:
        np.testing.assert_allclose(found, slope, rtol=1e-15)
    np.testing.assert_allclose(gradients[-1], slope[: len(expected)], rtol=1e-15)
    graph = cr.trace(general, **how)(*args, **keywords)
    given = (*args[:2], *args[3:], *keywords.values())
    assert len(graph.free_inputs) == sum(type(v) not in (str, int) for v in given)


# which arguments --------------------------------------------------------------------------


def test_arguments_are_chosen_by_name_however_they_are_passed() -> None:
    def f(x: Any, y: Any = 5.0, *, z: Any = 7.0) -> Any:
        return x * y**2 * z

    assert cr.grad(f, argnames="y")(2.0, 3.0) == 84.0
    assert cr.grad(f, argnames="y")(2.0, y=3.0) == 84.0
    assert cr.grad(f, argnames="y")(2.0) == 140.0  # at its default
    assert cr.grad(f, argnames=("z", "x"))(2.0, 3.0, z=1.0) == (18.0, 9.0)
    assert cr.grad(f, argnums=0, argnames="z")(2.0, 3.0) == (63.0, 18.0)
    assert cr.jit(cr.grad(f, argnames="y"))(2.0, y=3.0) == 84.0
    assert cr.jacobian(f, argnames="z")(2.0, 3.0) == 18.0
    assert cr.hessian(f, argnames="y")(2.0, y=3.0) == 28.0
    assert cr.hvp(f, argnames="y")(2.0, 1.0, y=3.0) == 28.0


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"argnums": (0, 0)}, r"argnums=\(0, 0\) names the same argument of product twice"),
        ({"argnums": (0, -2)}, "twice"),
        ({"argnums": (1, -1)}, "twice"),
        ({"argnums": 0, "argnames": "x"}, "twice"),
        ({"argnames": ("k", "k")}, "twice"),
        ({"argnums": 2}, "argnums=2, but product was called with 2 positional arguments"),
        ({"argnums": -3}, "argnums=-3, but product"),
        ({"argnums": "k"}, "argnums takes positions.*not 'k'; argnames takes names"),
        ({"argnums": (0, 1.0)}, "argnums takes positions"),
        ({"argnums": True}, "argnums takes positions"),
        ({"argnames": "q"}, "argnames='q', but product was called without 'q'; it got 'x', 'k'"),
        ({"argnames": 0}, "argnames takes names"),
    ],
)
def test_arguments_that_cannot_be_chosen_are_refused_by_name(chosen: Any, message: str) -> None:
    transformations: list[Any] = [cr.grad, cr.value_and_grad, cr.jacobian, cr.hessian, cr.explain]
    for transformation in transformations:
        with pytest.raises((UsageError, TypeError), match=message):
            transformation(product, **chosen)(2.0, 3.0)


def test_hvp_differentiates_by_one_argument() -> None:
    with pytest.raises(UsageError, match="one argument"):
        cr.hvp(product, argnums=(0, 1))  # type: ignore[arg-type]


def test_what_is_not_differentiated_may_be_anything() -> None:
    def f(x: Any, mode: str, act: Any = np.sin, up: bool = True, nothing: None = None) -> Any:
        assert type(up) is bool
        return act(x) if mode == "plain" and up else -act(x)

    c = np.cos(2.0)
    assert cr.grad(f)(2.0, "plain") == pytest.approx(c)
    assert cr.grad(f)(2.0, "plain", up=False) == pytest.approx(-c)
    assert cr.jacobian(f)(2.0, "other") == pytest.approx(-c)
    _, pull = cr.vjp(f, 2.0, "other", np.tanh)
    assert pull(1.0) == pytest.approx((np.tanh(2.0) ** 2 - 1, None, None), nan_ok=True)
    assert cr.jvp(f, (2.0, "other"), (1.0, None))[1] == pytest.approx(-c)
    assert cr.jvp(f, (2.0,), (1.0,), mode="plain")[1] == pytest.approx(c)
    assert cr.jit(cr.grad(f), static_argnames="mode")(2.0, "plain") == pytest.approx(c)
    assert cr.jit(cr.grad(f))(2.0, mode="plain", up=False) == pytest.approx(-c)
    with pytest.raises(DtypeError, match="'mode' of f is a str, which has no derivative"):
        cr.grad(f, argnums=1)(2.0, "plain")
    with pytest.raises(DtypeError, match=r"'k' of product is int.*by keyword"):
        cr.vjp(product, 2.0, 3)


def test_strings_among_the_results_come_out_as_they_are() -> None:
    def f(x: Any) -> Any:
        return x * x, {"name": "square", "y": x}

    expected = (9.0, {"name": "square", "y": 3.0})
    assert cr.jit(f)(3.0) == expected
    assert cr.jit(cr.value_and_grad(f, has_aux=True))(3.0) == (expected, 6.0)
    explained = cr.explain(lambda x, mode: x * x)(3.0, "square")
    assert (explained.value, explained.gradient) == (9.0, 6.0)


def test_extra_results_of_vjp_and_jvp() -> None:
    def f(x: Any) -> Any:
        y = x * x
        return y, {"y": y, "name": "square"}

    y, pull, aux = cr.vjp(f, 3.0, has_aux=True)
    assert (y, pull(1.0), aux) == (9.0, (6.0,), {"y": 9.0, "name": "square"})
    assert cr.jvp(f, (3.0,), (1.0,), has_aux=True) == (9.0, 6.0, aux)
    assert cr.grad(lambda x: cr.vjp(f, x, has_aux=True)[1](1.0)[0])(3.0) == 2.0
    assert cr.grad(lambda x: cr.jvp(f, (x,), (1.0,), has_aux=True)[2]["y"])(3.0) == 6.0
    with pytest.raises(UsageError, match="pair"):
        cr.vjp(product, 1.0, 2.0, has_aux=True)


# static arguments -------------------------------------------------------------------------


class Mode(enum.Enum):
    UP = 1
    DOWN = -1


def test_what_is_no_array_and_no_number_is_static_by_itself() -> None:
    def f(x: Any, how: Any) -> Any:
        signs: Any = {True: 1, False: -1, "a": 2, Mode.DOWN: -3, None: 4, np.float32: 5}
        return how(x) if callable(how) and how is not np.float32 else signs[how] * x

    g = cr.jit(f)
    for how in (True, False, "a", Mode.DOWN, None, np.float32, np.negative, lambda x: x * 7):
        assert g(2.0, how) == f(2.0, how)
        assert g(2.0, how=how) == f(2.0, how)
        assert cr.trace(f)(2.0, how).free_inputs[0].type.shape == ()
    assert (
        cr.jit(lambda tree: tree["x"] if tree["up"] else -tree["x"])({"x": 1.0, "up": False}) == -1
    )
    assert cr.jit(lambda x: {"x": x, "nothing": None})(1.0) == {"x": 1.0, "nothing": None}


@pytest.mark.parametrize("how", [{"static_argnums": 1}, {"static_argnames": "n"},
                                 {"static_argnums": -1}, {"static_argnames": ["n"]}])  # fmt: skip
def test_static_arguments_make_a_program_for_each_value(how: Any) -> None:
    recorded = []

    def head(x: Any, n: int) -> Any:
        recorded.append(n)
        return x[:n] * 2

    f = cr.jit(head, **how)
    for n in (2, 1, 2, np.int64(2), 1):
        np.testing.assert_array_equal(f(X, n), X[:n] * 2)
        np.testing.assert_array_equal(f(X, n=n), X[:n] * 2)
    assert recorded == [2, 2, 1, 1, 2, 2]  # by position and by keyword; np.int64 is another type
    np.testing.assert_array_equal(cr.jacobian(cr.jit(head, **how))(X, 2), 2 * np.eye(3)[:2])
    graph = cr.trace(head, **how)(X, 2)
    assert [str(y.type) for y in graph.outputs] == ["float64[2]"]
    assert len(f.passes(X, n=2)) > 1


def test_static_values_that_are_equal_but_of_another_type_stay_apart() -> None:
    f = cr.jit(lambda x, n: x * 0 + (type(n).__name__ == "int"), static_argnums=1)
    assert [f(1.0, n) for n in (1, 1.0, True, np.int64(1), 1)] == [1, 0, 0, 0, 1]
    g = cr.jit(lambda x, t: x * (2 if type(t[0]) is int else 3), static_argnames="t")
    assert [g(1.0, t) for t in ((1,), (1.0,), (True,))] == [2, 3, 3]
    h = cr.jit(lambda x, z: x * np.copysign(1.0, z), static_argnames="z")
    assert [h(1.0, z) for z in (0.0, -0.0)] == [1, -1]


def test_defaults_are_part_of_the_function() -> None:
    @cr.jit(static_argnames=("n", "mode"))
    def f(x: Any, n: int = 2, *, mode: str = "up", scale: float = 1.0) -> Any:
        return x[:n] * (scale if mode == "up" else -scale)

    np.testing.assert_array_equal(f(X), X[:2])
    np.testing.assert_array_equal(f(X, 1, mode="down"), -X[:1])
    np.testing.assert_array_equal(f(X, scale=3.0, n=3), 3 * X)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cr.jit(product, static_argnums=1)(X, [1]), "'k' of product is a list.*hashable"),
        (lambda: cr.jit(product, static_argnames="k")(X, k={}), "'k' of product is a dict"),
        (lambda: cr.jit(product, static_argnames="k")(X, X), "'k' of product is a ndarray"),
        (lambda: cr.jit(product, static_argnames="k")(X, ([1],)), "'k' of product is a tuple"),
        (lambda: cr.jit(product)(X, {1, 2}), "'k' of product is a set"),
        (lambda: cr.jit(product, static_argnums=2), "static_argnums=2: product has 2 positional"),
        (lambda: cr.jit(product, static_argnums=-3), "static_argnums=-3"),
        (lambda: cr.jit(product, static_argnums="k"), "static_argnums takes positions"),
        (lambda: cr.jit(product, static_argnames="q"), "no such parameter; it has 'x', 'k'"),
        (lambda: cr.trace(product, static_argnames="q"), "no such parameter"),
        (lambda: cr.explain(product, static_argnames="q"), "no such parameter"),
        (lambda: cr.jit(product, static_argnums=(1, 1)), r"static_argnums=\(1, 1\) names the same"),
        (lambda: cr.trace(product, static_argnums=(0, -2)), r"static_argnums=\(0, -2\) names the"),
        (lambda: cr.jit(product, static_argnames=("k", "k")), "names the same argument of product"),
        (lambda: cr.jit(product, static_argnames=1), "static_argnames takes names of parameters"),
        (lambda: cr.jit(3.0), "jit takes a function, not a float"),
    ],
)
def test_static_arguments_that_do_not_fit(call: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        call()


def test_a_length_that_is_traced_says_how_to_make_it_static() -> None:
    with pytest.raises(cr.ChainruleError, match="static_argnames"):
        cr.jit(lambda x, n: x[:n])(X, 2)


def test_static_objects_are_not_kept_alive_nor_are_their_programs() -> None:
    class Scale:
        def __init__(self, by: float) -> None:
            self.by = by

    f = cr.jit(lambda x, scale, act: act(x) * scale.by)
    for by in (1.0, 2.0, 3.0):
        scale = Scale(by)
        gone = weakref.ref(scale)
        act = lambda x: x + 1.0  # noqa: E731
        assert f(1.0, scale, act) == 2.0 * by
        del scale, act
        gc.collect()
        assert gone() is None
    assert not f._programs


class Node:
    def __init__(self, parent: Any = None, hold: Any = lambda child: child) -> None:
        self.scale, self.parent = 1.0, parent
        self.child = hold(Node(self)) if parent is None else None


class Slotted:
    """Takes no weak reference."""

    __slots__ = ("back",)

    def __init__(self, back: Any) -> None:
        self.back = back


@pytest.mark.parametrize(
    "hold",
    [lambda child: child, lambda child: [child], lambda child: {"a": (1, [child])},
     Slotted, lambda child: [Slotted(child)], lambda child: child.__init__],
)  # fmt: skip
def test_static_objects_in_a_circle_are_not_kept_alive(hold: Any) -> None:
    f = cr.jit(lambda x, node: x * node.scale, executor="numpy")
    node = Node(hold=hold)
    gone = weakref.ref(node)
    assert f(2.0, node) == 2.0
    del node
    gc.collect()
    assert gone() is None
    assert not f._programs


class OneSlot:
    __slots__ = "weights"


class PrivateSlot:
    __slots__ = ("__weights",)

    def __getattr__(self, name: str) -> Any:
        return self.__weights

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, "_PrivateSlot__weights", value)


class __Under(OneSlot):
    __slots__ = {"__dict__": "", "other": "documented"}


class Plain:
    pass


@pytest.mark.parametrize("kind", [OneSlot, PrivateSlot, __Under, Plain])
@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: [x], lambda x: {"a": (x,)}])
def test_a_changed_attribute_is_noticed_wherever_it_is_kept(kind: Any, wrap: Any) -> None:
    def number(x: Any) -> Any:
        while isinstance(x, (list, tuple, dict)):
            x = x["a"] if isinstance(x, dict) else x[0]
        return x

    f = cr.jit(lambda x, static: x * number(static.weights), executor="numpy")
    static = kind()
    for n in (2.0, 3.0, 4.0, 2.0):
        static.weights = wrap(n)
        assert f(1.0, static) == n
    made = len(f._programs)
    assert f(1.0, static) == 2.0
    assert len(f._programs) == made  # nothing changed, so nothing is recorded again


def test_a_change_inside_a_long_list_of_an_object_is_noticed() -> None:
    f = cr.jit(lambda x, static: x * static.weights[0], executor="numpy")
    static = Plain()
    for n in (2.0, 3.0, 4.0):
        static.weights = [n] + [float(i) for i in range(20_000)]
        assert f(1.0, static) == n
        static.weights[0] = n + 0.5
        assert f(1.0, static) == n + 0.5


def test_programs_are_bounded() -> None:
    f = cr.jit(lambda x, n: x * n, static_argnums=1, executor="numpy")
    for n in range(jitted.MOST_PROGRAMS + 10):
        f(1.0, n)
    assert len(f._programs) == jitted.MOST_PROGRAMS
    assert f(1.0, 3) == 3.0


# methods ----------------------------------------------------------------------------------


class Model:
    def __init__(self, scale: Any) -> None:
        self.scale = scale

    @cr.jit
    def __call__(self, x: Any) -> Any:
        return x * self.scale

    @cr.jit(static_argnames="n")
    def head(self, x: Any, n: int) -> Any:
        return x[:n] * self.scale

    @classmethod
    @cr.jit
    def twice(cls, x: Any) -> Any:
        return 2 * x

    @staticmethod
    @cr.jit
    def thrice(x: Any) -> Any:
        return 3 * x


class Slotted:
    __slots__ = ("__weakref__", "scale")

    def __init__(self, scale: Any) -> None:
        self.scale = scale

    @cr.jit
    def __call__(self, x: Any) -> Any:
        return x * self.scale


@cr.jit
def by_name(x: Any) -> Any:
    return x * x


def test_methods() -> None:
    one, other = Model(2.0), Model(3.0)
    assert (one(1.0), other(1.0), one(1.0)) == (2.0, 3.0, 2.0)
    np.testing.assert_array_equal(one.head(X, n=2), 2 * X[:2])
    np.testing.assert_array_equal(Model.head(other, X, 1), 3 * X[:1])
    assert (one.twice(1.0), Model.twice(1.0), one.thrice(1.0)) == (2.0, 2.0, 3.0)
    assert cr.grad(one)(1.0) == 2.0
    assert cr.jit(one)(1.0) == cr.jit(one.__call__)(1.0) == 2.0
    assert "algebra" in str(one.head.passes(X, n=2))
    assert one.head.__name__ == "head"
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(one.head))(X, n=1), [2.0])


def test_an_instance_counts_as_another_when_an_attribute_is_bound_anew() -> None:
    model = Model(2.0)
    assert model(1.0) == 2.0
    model.scale = 5.0
    assert model(1.0) == 5.0
    model.scale = np.array([1.0, 2.0])
    np.testing.assert_array_equal(model(1.0), [1.0, 2.0])
    slotted = Slotted(2.0)
    assert slotted(1.0) == slotted(1.0) == 2.0
    assert len(Slotted.__call__._programs) == 1
    slotted.scale = 5.0
    assert slotted(1.0) == 5.0
    model.scale[0] = 9.0  # changed inside: frozen, as the docstring says
    np.testing.assert_array_equal(model(1.0), [1.0, 2.0])


def test_the_arrays_of_a_dataclass_are_traced_in_its_methods() -> None:
    recorded = []

    @dataclasses.dataclass
    class Line:
        slope: Any
        offset: Any
        mode: str = "plain"

        @cr.jit
        def __call__(self, x: Any) -> Any:
            recorded.append(1)
            return self.slope * x + (self.offset if self.mode == "plain" else 0.0)

    for slope in (1.0, 2.0, 3.0):
        assert Line(slope, 1.0)(2.0) == 2 * slope + 1
    assert len(recorded) == 1
    assert Line(1.0, 1.0, "other")(2.0) == 2.0
    gradient = cr.grad(lambda line: line(2.0))(Line(3.0, 1.0))
    assert gradient == Line(2.0, 1.0)


# jitted functions as values ---------------------------------------------------------------


def test_jitted_functions_are_pickled_and_copied_without_their_programs() -> None:
    local = cr.jit(lambda x, n: x[:n], static_argnames="n", executor="numpy", threads=1)
    for _ in ("before the first call", "after it"):
        assert copy.deepcopy(by_name) is by_name
        assert pickle.loads(pickle.dumps(by_name)) is by_name
        named = pickle.loads(pickle.dumps(cr.jit(product, threads=1)))
        assert named(2.0, 3.0) == 6.0
        assert (named._options["executor"], named._options["threads"]) == (None, 1)
        for again in (
            copy.deepcopy(local),
            copy.copy(local),
            cloudpickle.loads(cloudpickle.dumps(local)),
        ):
            np.testing.assert_array_equal(again(X, n=2), X[:2])
            assert (again._options["executor"], again._options["threads"]) == ("numpy", 1)
        derived = cloudpickle.loads(cloudpickle.dumps(cr.grad(local)))
        with pytest.raises(cr.ChainruleError, match="single number"):
            derived(X, n=2)
        assert by_name(3.0) == 9.0
        np.testing.assert_array_equal(local(X, n=1), X[:1])


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, _pickled, _cloudpickled])
def test_transformed_functions_are_pickled_and_copied(copied: Any) -> None:
    assert copied(cr.grad(product))(2.0, 3.0) == 3.0
    assert copied(cr.grad(product, 1))(2.0, 3.0) == 2.0
    assert copied(cr.value_and_grad(product, argnames="k"))(2.0, k=3.0) == (6.0, 2.0)
    assert copied(cr.grad(pair, has_aux=True))(2.0) == (4.0, "aux")
    assert copied(cr.jacobian(product, (0, 1)))(2.0, 3.0) == (3.0, 2.0)
    assert copied(cr.hessian(product))(2.0, 3.0) == 0.0
    assert copied(cr.hvp(cube))(2.0, 1.0) == 12.0
    assert copied(cr.jit(cr.grad(product)))(2.0, 3.0) == 3.0
    assert copied(cr.grad(cr.jit(product)))(2.0, 3.0) == 3.0
    assert copied(cr.grad(cr.grad(cube)))(2.0) == 12.0
    assert copied(cr.vjp(product, 2.0, 3.0)[1])(1.0) == (3.0, 2.0)
    assert copied(cr.vmap(cr.grad(product), (0, None)))(X, 3.0).tolist() == [3.0] * len(X)
    assert str(copied(cr.trace(cube))(2.0)) == str(cr.trace(cube)(2.0))
    assert cr.grad(copied(stated))(2.0) == 5.0
    assert copied(slope) is slope
    assert slope.__name__ == "slope"
    assert repr(cr.grad(product)) == "<grad of product>"


def test_what_main_decorates_goes_to_other_processes(tmp_path: Path) -> None:
    """Pickled by name to a process that imports it, by value to one that doesn't."""
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            """
            import multiprocessing, pickle, subprocess, sys
            import chainrule as cr, cloudpickle

            @cr.jit(executor="numpy")
            def f(x):
                return x * x

            @cr.jit
            @cr.jit
            def twice(x, *, k=1.0):
                return x * k

            @cr.jit
            @cr.grad
            def slope(x):
                return x * x

            if __name__ == "__main__":
                assert pickle.loads(pickle.dumps(slope)) is slope
                assert pickle.loads(cloudpickle.dumps(slope))(3.0) == 6.0
                assert pickle.loads(pickle.dumps(f))(3.0) == 9.0
                assert pickle.loads(pickle.dumps(twice))(3.0, k=2.0) == 6.0
                try:
                    f.__wrapped__()
                except TypeError as error:
                    assert str(error).startswith("f() missing"), error
                try:
                    pickle.loads(cloudpickle.dumps(f))._f()
                except TypeError as error:
                    assert str(error).startswith("f() missing"), error
                with multiprocessing.get_context("spawn").Pool(1) as pool:
                    print(pool.map(f, [2.0, 3.0]))
                    print(pool.map(slope, [2.0, 3.0]), pool.map(cr.grad(f), [5.0]))
                code = "import sys, pickle; print(pickle.load(sys.stdin.buffer)(4.0))"
                for given in map(cloudpickle.dumps, (f, slope)):
                    subprocess.run([sys.executable, "-c", code], input=given, check=True)
            """
        )
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == ["16.0", "8.0", "[4.0, 6.0] [10.0]", "[4.0, 9.0]"]


def test_a_jitted_function_looks_like_the_function() -> None:
    assert (by_name.__name__, by_name.__module__) == ("by_name", __name__)
    assert "by_name" in repr(by_name)
    assert cr.jit(cr.jit(product))(2.0, k=3.0) == 6.0


@pytest.mark.parametrize(
    "name",
    ["api.custom", "api.derivatives", "api.jitted", "core.containers", "core.tree", "ops.random"],
)
def test_examples_in_docstrings_hold(name: str) -> None:
    failed, tried = doctest.testmod(
        importlib.import_module(f"chainrule.{name}"), extraglobs={"np": np}
    )
    assert tried
    assert not failed
