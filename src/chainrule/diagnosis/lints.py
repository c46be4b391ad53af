"""Lints: what is odd about a function, read off its recording. Nothing is trained.

Each lint is a function from the re-run to findings, in the table ``LINTS``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import numpy as np

from chainrule.api import value_and_grad
from chainrule.core.graph import ancestors
from chainrule.core.node import CONSTANT, INPUT, Node
from chainrule.core.record import function_name, parameter_names
from chainrule.core.tree import flatten
from chainrule.diagnosis.findings import Finding, Findings, found_by
from chainrule.diagnosis.rerun import Rerun, rerun
from chainrule.errors import UsageError

__all__ = ["LINTS", "lint"]

LOST = 1e-4
"""A float32 sum that is wrong by so much, relatively, has lost half of its digits."""


class Looked:
    """A loss that was recorded with its gradient, and what the lints ask of it."""

    def __init__(self, f: Any, run: Rerun, gradients: dict[Node, Node]) -> None:
        self.f, self.run = f, run
        self.loss = run.leaves[0][1]
        self.gradients = gradients

    @cached_property
    def forward(self) -> list[Node]:
        """The operations that the loss is made of."""
        return [
            node
            for node in ancestors([self.loss], self.run.inputs)
            if self.run.visit_of(node) is None
        ]

    @cached_property
    def users(self) -> dict[Node, list[Node]]:
        """Who reads each."""
        found: dict[Node, list[Node]] = {}
        for node in self.forward:
            for x in node.inputs:
                found.setdefault(x, []).append(node)
        return found

    def where(self, node: Node) -> str:
        place = self.run.place(node)
        return "" if place is None else place.line or place.scope

    def text(self, node: Node) -> str:
        place = self.run.place(node)
        return " ".join(place.text.split()) if place is not None else ""


def lint(f: Callable[..., Any], *args: Any, **keywords: Any) -> Findings:
    """What is odd about a loss ``f`` at these arguments.

    Args:
        f: a function of arrays, or trees of them, to one number, written with NumPy; under
            ``jit`` what it freezes is looked at too. It is called once, with its gradient.
        args, keywords: as ``f`` takes them; parameters are the floating positional ones.

    Returns:
        Findings; prints as a text. Empty where nothing is odd.

    Raises:
        UsageError: no floating argument. What ``cr.grad(f)`` raises.
    """
    floats = [i for i, x in enumerate(args) if _is_parameter(x)]
    if not floats:
        raise UsageError("lint needs a floating positional argument, the parameters of the loss")
    with rerun(value_and_grad(f, argnums=floats), args, keywords) as run:
        gradients = [node for path, node in run.leaves if path.startswith("gradient")]
        given = [x for x, label in run.inputs.items() if _position(f, label, floats, args)]
        looked = Looked(f, run, dict(zip(given, gradients, strict=True)))
        found = found_by(LINTS, looked)
    return Findings.ranked(found, list(LINTS))


def _is_parameter(x: Any) -> bool:
    leaves, _ = flatten(x, static=True)
    return bool(leaves) and all(
        isinstance(leaf, float) or getattr(leaf, "dtype", None) in (np.float32, np.float64)
        for leaf in leaves
    )


def _position(f: Any, label: str, floats: list[int], args: tuple[Any, ...]) -> bool:
    names = [*parameter_names(f)[: len(args)]]
    names += [f"x{i}" for i in range(len(names), len(args))]
    return any(label == names[i] or label.startswith(f"{names[i]}/") for i in floats)


def _finding(level: str, text: str, evidence: str, change: str, where: str = "") -> Finding:
    return Finding("", level, text, evidence, change, {}, where)


# The lints ----------------------------------------------------------------------------------


def _unused(looked: Looked) -> Iterator[Finding]:
    used = set(looked.forward) if looked.loss.inputs else {looked.loss}
    users = looked.users
    for x in looked.gradients:
        if x in used and (x in users or x is looked.loss):
            continue
        yield _finding(
            "error",
            f"the loss does not depend on {looked.run.inputs[x]}",
            "no operation reads it",
            "use it, or leave it out",
        )


def _cut(looked: Looked) -> Iterator[Finding]:
    for x, gradient in looked.gradients.items():
        if x not in looked.users:
            continue
        if np.any(np.asarray(looked.run.value(gradient))):
            continue
        name = looked.run.inputs[x]
        if gradient.is_constant:
            wall = _wall(looked, x)
            passes = "" if wall is None else looked.text(wall) or wall.primitive.name
            yield _finding(
                "error",
                f"no gradient reaches {name}",
                passes and f"{passes} passes none on",
                "differentiate something that moves with it, or leave it out",
                "" if wall is None else looked.where(wall),
            )
        else:
            yield _finding(
                "warning",
                f"the gradient with respect to {name} is 0 in every entry",
                f"{gradient.type.size} entries, at these arguments",
                "look for units that are off for all rows, a factor 0 or saturation",
            )


def _wall(looked: Looked, x: Node) -> Node | None:
    """The first operation on the way from x that has no derivative."""
    reach = {x}
    for node in looked.forward:
        if reach.isdisjoint(node.inputs):
            continue
        if node.primitive.rule is None and node.type.dtype.kind != "b":
            return node
        reach.add(node)
    return None


def _broadcasting(looked: Looked) -> Iterator[Finding]:
    for node in looked.forward:
        shape = node.type.shape
        if len(shape) != 2 or shape[0] != shape[1] or shape[0] < 2 or len(node.inputs) != 2:
            continue
        rows = [_repeated(x) for x in node.inputs]
        if {axis for axis, _ in rows} != {0, 1}:
            continue
        (column,) = [x for axis, x in rows if axis == 0]
        (row,) = [x for axis, x in rows if axis == 1]
        if column.type.ndim == 2 and row.type.ndim == 1 and not _widened(column):
            n = shape[0]
            yield _finding(
                "error",
                f"({n}, 1) against ({n},) makes ({n}, {n}): every row meets every other",
                looked.text(node),
                "give both one shape: np.reshape(x, (-1, 1)), or x[:, 0] of the other",
                looked.where(node),
            )


def _repeated(x: Node) -> tuple[int | None, Node]:
    """Along which axis of a matrix a vector lies that was repeated to it, and the vector, as a
    column where it was one."""
    if x.primitive.name != "broadcast" or len(x.attrs["axes"]) != 1:
        return None, x
    (axis,) = x.attrs["axes"]
    (source,) = x.inputs
    if axis == 0 and source.primitive.name == "reshape":
        (source,) = source.inputs
    return axis, source


def _widened(x: Node) -> bool:
    """Whether a column was made of a vector by hand, ``x[:, None]``: that is meant."""
    return x.primitive.name == "reshape" and x.inputs[0].type.ndim == 1


def _lost_digits(looked: Looked) -> Iterator[Finding]:
    for node in looked.forward:
        if node.type.dtype != np.float32 or not node.inputs:
            continue
        values = [np.asarray(looked.run.value(x), np.float64) for x in node.inputs]
        now = np.asarray(looked.run.value(node), np.float64)
        if node.primitive.name == "reduce_sum":
            exact = values[0].sum(axis=node.attrs["axes"])
            scale = np.abs(exact)
            error = np.abs(now - exact) / np.where(scale > 0, scale, np.inf)
            if error.size and error.max() > LOST:
                yield _finding(
                    "warning",
                    f"a float32 sum of {values[0].size // max(now.size, 1)} numbers loses digits",
                    f"relative error {error.max():.1g} against float64",
                    "sum in float64: np.sum(x, dtype=np.float64)",
                    looked.where(node),
                )
        elif node.primitive.name == "subtract":
            size = max(float(np.max(np.abs(x), initial=0.0)) for x in values)
            left = float(np.max(np.abs(now), initial=0.0)) / (size or 1.0)
            sums = len({x for x in node.inputs if _is_sum(x)})
            if left < LOST * 0.1 and sums > (left == 0):
                yield _finding(
                    "warning",
                    "a difference of float32 sums cancels",
                    f"{looked.text(node)}: {left:.1g} of its operands is left, and float32 has 7 "
                    "digits",
                    "subtract the mean first: np.mean((x - np.mean(x))**2), or use float64",
                    looked.where(node),
                )


def _is_sum(x: Node, depth: int = 6) -> bool:
    """Whether it is made of a sum, or is one with something added."""
    if x.primitive.name == "reduce_sum" or depth == 0:
        return depth > 0
    moving = {y for y in x.inputs if y.primitive not in (CONSTANT, INPUT)}
    if x.primitive.name == "subtract" or (len(moving) != 1 and x.primitive.name != "add"):
        return False
    return any(_is_sum(y, depth - 1) for y in moving)


def _squashed_twice(looked: Looked) -> Iterator[Finding]:
    """Outputs that are probabilities already go into a loss that makes them of logits."""
    for node in looked.forward:
        if node.primitive.name == "divide" and _is_softmax(looked, node):
            if _reaches(looked, node, "exp", 5) is not None:
                yield _finding(
                    "error",
                    "a softmax goes into a loss that takes logits, and does a softmax of its own",
                    looked.text(node) or looked.where(node),
                    "give the loss the values before the softmax",
                    looked.where(node),
                )
        elif _is_logistic(looked, node) and _reaches(looked, node, "logaddexp", 3) is not None:
            yield _finding(
                "error",
                "a logistic function goes into a loss that takes logits and has one of its own",
                looked.text(node) or looked.where(node),
                "give the loss the values before the logistic function",
                looked.where(node),
            )


def _is_softmax(looked: Looked, node: Node) -> bool:
    value = np.asarray(looked.run.value(node))
    if value.ndim < 1 or node.inputs[0].primitive.name != "exp" or value.shape[-1] < 2:
        return False
    sums = value.sum(axis=-1)
    return bool(np.all(value >= 0) and np.allclose(sums, 1, atol=1e-3))


def _is_logistic(looked: Looked, node: Node) -> bool:
    if node.primitive.name == "logistic":
        return True
    if node.primitive.name not in ("divide", "reciprocal"):
        return False
    below = node.inputs[-1]
    return below.primitive.name == "add" and any(x.primitive.name == "exp" for x in below.inputs)


_PASSING = frozenset({"subtract", "negative", "reshape", "identity", "cast", "slice", "gather"})


def _reaches(looked: Looked, node: Node, name: str, depth: int) -> Node | None:
    """The operation of this name that reads the node, directly or through shifts and views."""
    front = [node]
    for _ in range(depth):
        following = []
        for x in front:
            for user in looked.users.get(x, []):
                if user.primitive.name == name:
                    return user
                if user.primitive.name in _PASSING:
                    following.append(user)
        front = following
    return None


def _logistic_squared(looked: Looked) -> Iterator[Finding]:
    for node in looked.forward:
        if not _is_logistic(looked, node):
            continue
        error = _reaches(looked, node, "subtract", 2)
        if error is None:
            continue
        squares = [
            user
            for user in looked.users.get(error, [])
            if user.primitive.name == "square"
            or (user.primitive.name == "multiply" and len({*user.inputs}) == 1)
            or user.attrs.get("exponent") == 2
        ]
        if squares:
            yield _finding(
                "warning",
                "a squared error of logistic outputs: where the output saturates on the wrong side "
                "the gradient vanishes",
                looked.text(squares[0]),
                "use the cross-entropy: nn.BinaryCrossEntropy() of the values before the logistic "
                "function",
                looked.where(squares[0]),
            )


def _integer_division(looked: Looked) -> Iterator[Finding]:
    for node in looked.forward:
        if node.primitive.name == "floor_divide":
            yield _finding(
                "warning",
                "// rounds down, and passes no gradient on",
                looked.text(node),
                "write / unless rounding is meant",
                looked.where(node),
            )


def _frozen(looked: Looked) -> Iterator[Finding]:
    if getattr(getattr(looked.f, "_make", None), "__name__", "") != "jit":
        return
    function = inspect.unwrap(looked.f)
    try:
        variables = inspect.getclosurevars(function)
    except TypeError:
        return
    for name, value in {**variables.globals, **variables.nonlocals}.items():
        array = isinstance(value, np.ndarray) and value.flags.writeable and value.dtype.kind == "f"
        inside = name in variables.nonlocals
        if array or (inside and isinstance(value, (int, float)) and not isinstance(value, bool)):
            kind = "array" if array else "number"
            yield _finding(
                "note",
                f"jit freezes the {kind} {name}, taken from outside {function_name(function)}",
                "a later change of it is not seen",
                f"pass {name} as an argument if it changes",
            )


LINTS: dict[str, Callable[[Looked], Iterator[Finding]]] = {
    "unused-parameter": _unused,
    "cut-gradient": _cut,
    "accidental-broadcasting": _broadcasting,
    "lost-digits": _lost_digits,
    "squashed-twice": _squashed_twice,
    "logistic-squared-error": _logistic_squared,
    "integer-division": _integer_division,
    "frozen-by-jit": _frozen,
}
"""The lints by name."""
