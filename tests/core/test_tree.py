"""Trees: which containers there are, what is static, and errors that name the place."""

from __future__ import annotations

import dataclasses
import gc
import pickle
import weakref
from collections import Counter, OrderedDict, defaultdict
from typing import Any, NamedTuple

import attrs
import numpy as np
import pytest

import chainrule as cr
from chainrule.core.static import Static
from chainrule.errors import UsageError


@dataclasses.dataclass
class Layer:
    weights: Any
    bias: Any = None
    activation: str = "relu"
    size: int = dataclasses.field(default=3, metadata={"static": True})


@dataclasses.dataclass(frozen=True)
class Checked:
    rate: Any

    def __post_init__(self) -> None:
        if not self.rate > 0:
            raise ValueError("a rate is positive")


@dataclasses.dataclass(slots=True, kw_only=True)
class Tight:
    weights: Any
    bias: Any = 1.0


@dataclasses.dataclass
class OfTwo:
    weights: Any
    factor: dataclasses.InitVar[Any]

    def __post_init__(self, factor: Any) -> None:
        self.weights = self.weights * factor


@dataclasses.dataclass
class Derived:
    """What is no argument of the constructor is made again, and gradients flow through it."""

    weights: Any
    total: Any = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        self.total = np.sum(self.weights * self.weights)


@attrs.define
class Slotted:
    weights: Any
    _hidden: Any = 2.0
    mode: str = "tanh"


@attrs.frozen
class Frozen:
    weights: Any = attrs.field(converter=lambda w: w + 0.0)
    size: int = attrs.field(default=3, metadata={"static": True})


class Named(NamedTuple):
    weights: Any
    mode: str = "x"


class Attributes(dict[str, Any]):
    """Items are attributes too, as in scikit-learn's Bunch."""

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self.__dict__ = self


class Labelled(dict[str, Any]):
    def __init__(self, label: str) -> None:
        super().__init__()
        self.label = label


def labelled() -> Labelled:
    made = Labelled("mine")
    made["b"], made["a"] = 2.0, 1.0
    return made


TREES = [
    Layer(1.0, [2.0, 3.0]),
    Checked(1.0),
    Tight(weights=1.0),
    OfTwo(2.0, 3.0),
    Slotted(1.0),
    Frozen(1.0),
    Named(1.0),
    OrderedDict([("b", 1.0), ("a", 2.0)]),
    defaultdict(list, {"b": 1.0, "a": 2.0}),
    Attributes(b=1.0, a=2.0),
    labelled(),
    Counter("aab"),
]


@pytest.mark.parametrize("tree", TREES, ids=lambda tree: type(tree).__name__)
def test_containers_are_taken_apart_and_put_together(tree: Any) -> None:
    found, shape = cr.tree.flatten(tree)
    again = cr.tree.unflatten(shape, found)
    assert type(again) is type(tree)
    assert again == tree
    assert getattr(again, "__dict__", None) == getattr(tree, "__dict__", None)
    assert all(isinstance(leaf, (int, float)) for leaf in found)
    assert cr.tree.leaves(tree) == found
    assert len(cr.tree.paths(tree)) == len(set(cr.tree.paths(tree))) == shape.count
    assert pickle.loads(pickle.dumps(shape)) == shape
    doubled = cr.tree.map(lambda a, b: a + b, tree, again)
    assert cr.tree.leaves(doubled) == [2 * leaf for leaf in found]


@pytest.mark.parametrize(
    "tree", [t for t in TREES if not isinstance(t, Counter)], ids=lambda tree: type(tree).__name__
)
def test_gradients_have_the_tree_of_the_argument(tree: Any) -> None:
    """The gradient of -sum(x²)/2 is -x: not a value that a positive rate's check would pass."""

    def loss(tree: Any) -> Any:
        return -sum(np.sum(x * x) for x in cr.tree.leaves(tree)) / 2

    for derive in (cr.grad(loss), cr.jit(cr.grad(loss)), cr.grad(cr.jit(loss))):
        gradient = derive(tree)
        assert type(gradient) is type(tree)
        assert cr.tree.flatten(gradient)[1] == cr.tree.flatten(tree)[1]
        assert cr.tree.leaves(gradient) == [-x for x in cr.tree.leaves(tree)]


def test_the_order_of_an_ordered_dict_belongs_to_it_and_that_of_a_dict_does_not() -> None:
    one, other = OrderedDict(a=1.0, b=2.0), OrderedDict(b=2.0, a=1.0)
    assert cr.tree.flatten(one)[1] != cr.tree.flatten(other)[1]
    assert cr.tree.flatten(dict(one))[1] == cr.tree.flatten(dict(other))[1]
    assert cr.tree.leaves(other) == [2.0, 1.0]


def test_the_factory_of_a_defaultdict_stays() -> None:
    again = cr.tree.map(lambda x: x, defaultdict(list, a=1.0))
    assert again["new"] == []
    assert cr.tree.map(lambda x: x, labelled()).label == "mine"
    assert cr.tree.map(lambda x: 5.0, Attributes(a=1.0)).a == 5.0


def test_derived_attributes_are_derived_again() -> None:
    assert cr.tree.paths(Derived(3.0)) == ["weights"]
    assert cr.grad(lambda tree: tree.total)(Derived(3.0)) == Derived(6.0)
    assert cr.jit(lambda tree: tree.total)(Derived(3.0)) == 9.0


def test_attributes_beside_arrays_and_numbers_are_static() -> None:
    found, shape = cr.tree.flatten(Layer(1.0, None, "tanh", 4))
    assert found == [1.0]
    assert shape != cr.tree.flatten(Layer(1.0, None, "relu", 4))[1]
    assert shape != cr.tree.flatten(Layer(1.0, None, "tanh", 5))[1]
    assert cr.tree.leaves(Layer(True, np.sin, (np.float32, {"a": "x"}))) == []
    assert cr.tree.leaves(Layer(np.True_, 1, [2.0])) == [np.True_, 1, 2.0]
    assert cr.tree.leaves({"a": "x", "b": [True, np.sin]}) == ["x", True, np.sin]


def test_equal_static_values_of_different_type_are_different() -> None:
    values = [1, 1.0, True, np.float64(1.0), np.float32(1.0), 0.0, -0.0, (1, 2), (1.0, 2)]
    values += [Checked(1), Checked(1.0), frozenset([1]), frozenset([True]), slice(1), slice(1.0)]
    for i, a in enumerate(values):
        for j, b in enumerate(values):
            assert (Static(a) == Static(b)) is (i == j), (a, b)
    assert Static(float("nan")) == Static(float("nan"))
    assert len({Static(x) for x in values}) == len(values)


def test_registered_classes_are_trees() -> None:
    class Line:
        def __init__(self, slope: Any, offset: Any, label: str) -> None:
            self.slope, self.offset, self.label = slope, offset, label

        def __call__(self, x: Any) -> Any:
            return self.slope * x + self.offset

    f = cr.jit(lambda line, x: line(x))
    assert f(Line(2.0, 1.0, "a"), 3.0) == 7.0  # static, compared by identity
    cr.tree.register(
        Line,
        lambda line: ({"slope": line.slope, "offset": line.offset}, line.label),
        lambda label, parts: Line(**parts, label=label),
    )
    line = Line(2.0, 1.0, "a")
    assert cr.tree.paths(line) == ["slope", "offset"]
    gradient = cr.grad(lambda line, x: line(x))(line, 3.0)
    assert (gradient.slope, gradient.offset, gradient.label) == (3.0, 1.0, "a")
    assert cr.jit(lambda line, x: line(x))(line, 3.0) == 7.0
    assert cr.tree.map(lambda x: -x, [line])[0].slope == -2.0


def test_a_class_registered_without_functions_is_static() -> None:
    @cr.tree.register
    @dataclasses.dataclass(frozen=True)
    class Settings:
        size: int
        rate: float

    assert cr.tree.leaves(Settings(3, 0.5)) == []
    taken = cr.jit(lambda s, x: x[: s.size] * s.rate)
    for size, rate in ((2, 0.5), (1, 2.0), (2, 0.5)):
        np.testing.assert_array_equal(taken(Settings(size, rate), np.ones(3)), [rate] * size)
    model = cr.nn.MLP((2, 3, 1), activation="relu", dropout=0.25)
    params, state = model.init(0)
    x = np.ones((4, 2))
    called = cr.jit(lambda model, params, x: model(params, state, x)[0])
    np.testing.assert_allclose(called(model, params, x), model(params, state, x)[0], rtol=1e-15)
    settings = [model, cr.nn.Huber(), cr.nn.Quantile(0.3), cr.nn.Penalty(0.1)]
    assert cr.tree.leaves(settings) == []
    penalty = cr.jit(lambda penalty, params: penalty(params))
    assert penalty(cr.nn.Penalty(0.5), {"weights": np.ones(4)}) == 2.0


def broken(x: Any) -> Any:
    return [x]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cr.tree.map(max, {"m": [1.0, 2.0]}, {"m": [1.0]}), r"at m: \[\*, \*\] and \[\*\]"),
        (lambda: cr.tree.map(max, [1.0], [[1.0]]), r"at 0: \* and \[\*\]"),
        (lambda: cr.tree.map(max, [1.0], [None]), r"at 0: \* and None"),
        (lambda: cr.tree.map(max, {"a": 1.0}, {"b": 1.0}), r"different shape: \{a: \*\}"),
        (lambda: cr.tree.map(max, Layer(1.0), Layer(1.0, None, "tanh")), "at activation: 'relu'"),
        (lambda: cr.tree.unflatten(cr.tree.flatten([1.0])[1], []), "fewer leaves"),
        (lambda: cr.tree.flatten({1j: 1.0, 2j: 2.0}), "keys of a dict must have an order"),
        (lambda: cr.tree.register(3), "a class of your own, not 3"),  # type: ignore[arg-type]
        (lambda: cr.tree.register(dict), "a class of your own"),
        (lambda: cr.tree.register(Layer, broken), "both functions, or none"),
    ],
)
def test_errors_name_the_place(call: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        call()


def test_what_a_mapped_function_raises_names_the_leaf() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        cr.tree.map(lambda x: 1 / x, {"layers": [{"w": 1.0}, {"w": 0.0}]})
    assert caught.value.__notes__ == ["at layers/1/w of the tree"]


def test_labels_may_stand_in_the_place_of_leaves() -> None:
    """A tree of strings beside a tree of arrays: what to do with each parameter."""
    params = Layer(1.0, [2.0])
    labels = cr.tree.map(lambda p: "decay" if p > 1 else "keep", params)
    assert cr.tree.map(lambda p, label: (p, label), params, labels).bias == [(2.0, "decay")]


def test_a_tree_that_contains_itself_is_refused() -> None:
    tree: list[Any] = []
    tree.append(tree)
    with pytest.raises(UsageError, match="a list that contains itself"):
        cr.tree.flatten(tree)


def test_types_that_were_met_are_not_kept_for_ever() -> None:
    from chainrule.core import containers

    def made() -> Any:
        @dataclasses.dataclass
        class Once:
            x: float

        cr.tree.flatten(Once(1.0))
        return weakref.ref(Once)

    before = made()
    for _ in range(containers.MOST_KNOWN):
        made()
    gc.collect()
    assert before() is None
    assert len(containers.KNOWN) <= containers.MOST_KNOWN
