"""Slips in a derivative: their kinds, and the changes of one operation that make or undo them.

A change says two things. Made in the right formula it gives what comes out after a slip, so that
quizzes recognise a wrong answer; made in an answer or a statement that is wrong, it may undo the
slip, which checks of hand-written programs try. What is missing in the first case is too much in
the second (``UNDONE``).
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

SLIPS: dict[str, str] = {
    "batch factor": (
        "The loss averages over the m rows of the batch, so its gradient has the factor 1/m "
        "exactly once: a sum where the loss has a mean is m times too large, a second 1/m too"
        " small."
    ),
    "transpose": (
        "A product Y = A @ B passes G @ B.T back to A and A.T @ G to B: sizes must fit, and "
        "with square matrices nothing but the rule tells you."
    ),
    "forgotten branch": (
        "Where a value is used twice, the gradients of both uses add: += and not =, and no "
        "term left out."
    ),
    "mask from the wrong array": (
        "ReLU passes the gradient where its own input was positive: the mask is (z > 0) of "
        "that layer's pre-activation."
    ),
    "pre-activation for activation": (
        "tanh' is 1 - a**2 and the logistic function's slope a*(1 - a), in terms of the "
        "output a, not of the input z."
    ),
    "missing activation derivative": (
        "Behind the activation stands its slope: multiply the gradient by it, entry by entry,"
        " before it goes on to the layer's weights."
    ),
    "wrong activation derivative": (
        "The slope must be that of the activation that the forward pass uses: relu (z > 0), "
        "tanh 1 - a**2, logistic a*(1 - a)."
    ),
    "L2 term": (
        "A penalty lam/2 * sum(W**2) adds lam*W to the gradient of W; without the half it "
        "adds 2*lam*W. It is not divided by m unless the penalty is."
    ),
    "factor 2": (
        "The square's slope has the factor 2: d(r**2) = 2 r dr; with 1/2 in front of the "
        "square it cancels."
    ),
    "bias not summed over the batch": (
        "One bias serves all rows, so its gradient is the sum of the rows' gradients: sum "
        "over axis 0."
    ),
    "wrong axis": "Sum over the axis along which the value was repeated in the forward pass.",
    "sum against mean": (
        "Where the forward pass sums, the backward pass sums; where it averages, it averages."
    ),
    "sign": (
        "Minus in the forward pass is minus in the backward pass; softmax with cross-entropy "
        "gives p - y, not y - p."
    ),
    "softmax treated as element-wise": (
        "Each softmax output depends on every logit: its slope is no p*(1 - p) alone, but p *"
        " (g - sum(g*p)); with cross-entropy p - y."
    ),
    "updates not simultaneous": (
        "All gradients are taken at the same weights: compute every gradient first, then update."
    ),
    "stale cache": (
        "The backward pass belongs to the forward pass just made: keep its values anew at "
        "each call."
    ),
    "wrong layer": (
        "A layer's gradient goes back through that layer's own weights and activations: mind "
        "the index."
    ),
    "broadcasting accident": (
        "A column (n, 1) and a vector (n,) broadcast to (n, n): make the shapes equal first."
    ),
    "wrong variable": "Another value of the forward pass belongs here.",
    "product rule": "A product passes to each factor the gradient times the other factor.",
    "missing factor": "The chain rule multiplies by every local slope on the way; one is missing.",
    "extra factor": "A factor stands here that the chain rule does not have.",
    "wrong operation": "Another operation belongs here.",
    "wrong constant": "A number is off.",
    "wrong power": "The exponent falls by one and comes down as a factor.",
    "missing inner derivative": (
        "The slope of f(g(x)) is that of f times that of g: the inner slope is a factor too."
    ),
    "missing local derivative": (
        "A step multiplies what comes back to it by its own slope: local times upstream."
    ),
    "wrong local derivative": (
        "The slope of this function is another one: tan' is 1/cos**2, log' is 1/x, (a**x)' is "
        "a**x * log(a)."
    ),
    "quotient rule": "The slope of u/v is (u'v - uv')/v**2: not the quotient of the slopes.",
    "missing upstream": (
        "A step multiplies its own slope by what comes back to it: local times upstream."
    ),
    "sum for product": "Local slope and upstream multiply; only branches add.",
    "product gate": "A product passes to each factor the other factor's value, not its own.",
    "routing": "A maximum passes the whole gradient to the input that was taken, and to it alone.",
    "not differentiated": "The function itself stands where its slope belongs.",
    "antiderivative": "The slope is asked, not a function of which the given one is the slope.",
    "wrong place": "The outer slope is taken at the inner value, not at the variable.",
    "kind of product": "A matrix product sums over the inner size; * multiplies entry by entry.",
    "factor order": "A matrix product does not commute: the order of its factors matters.",
    "other layout": "The whole is transposed: the answer in the other layout.",
}
"""Every slip that is known, with the sentence that teaches it."""

UNDONE = {"missing factor": "extra factor", "forgotten branch": "extra factor"}
"""What a change is called that mends, where it is not what the change that spoils is called."""


Form = Any
"""A part of an expression as it is, a number, or a sign and its operands: ("+", a, ("*", b, 2)).
The signs are + - * / ** @, − before one operand and ᵀ behind one."""
Split = Callable[[Any], tuple[str, tuple[Any, ...]]]
"""The sign and the operands of a part, whatever kind of tree it is; "" of what has no sign."""


@dataclass(frozen=True)
class Change:
    """What stands in the place of one operation after a slip of this kind; ``part`` is what is
    left out, turned round or has the wrong sign."""

    kind: str
    part: Form
    new: Form


def changes(node: Any, split: Split) -> Iterator[Change]:
    """Every single change of the operation at the root of an expression."""
    match split(node):
        case "+", (a, b):
            yield Change("sign", b, ("-", a, b))
            yield Change("forgotten branch", b, a)
            yield Change("forgotten branch", a, b)
            yield Change("sum for product", node, ("*", a, b))
        case "-", (a, b):
            yield Change("sign", ("−", b), ("+", a, b))
            yield Change("sign", node, ("-", b, a))
            yield Change("forgotten branch", b, a)
            yield Change("forgotten branch", a, ("−", b))
        case "*", (a, b):
            yield Change("missing factor", b, a)
            yield Change("missing factor", a, b)
            yield Change("kind of product", node, ("@", a, b))
            yield Change("sum for product", node, ("+", a, b))
            yield Change("wrong operation", node, ("/", a, b))
        case "/", (a, b):
            yield Change("missing factor", b, a)
            yield Change("wrong operation", node, ("*", a, b))
        case "@", (a, b):
            yield Change("kind of product", node, ("*", a, b))
            yield from orders(node, split)
            yield Change("missing factor", b, a)
            yield Change("missing factor", a, b)
        case "**", (a, n):
            for by in (1, -1):
                yield Change("wrong power", n, ("**", a, ("+", n, by)))
            yield Change("wrong power", n, a)
        case "−", (a,):
            yield Change("sign", node, a)
        case "ᵀ", (a,):
            yield Change("transpose", node, a)
        case _:
            pass


def orders(node: Any, split: Split) -> Iterator[Change]:
    """A matrix product the other way round and with factors turned, and a longer chain in every
    other order."""

    def turned(x: Any) -> Form:
        sign, args = split(x)
        return args[0] if sign == "ᵀ" else ("ᵀ", x)

    def chain(x: Any) -> list[Any]:
        sign, args = split(x)
        return [f for a in args for f in chain(a)] if sign == "@" else [x]

    left, right = split(node)[1]
    for pair in ((left, right), (right, left)):
        for a, b in itertools.product(*((x, turned(x)) for x in pair)):
            if not (a is left and b is right):
                kind = "factor order" if a is right and b is left else "transpose"
                yield Change(kind, node, ("@", a, b))
    parts = chain(node)
    if 2 < len(parts) <= 4:
        for order in itertools.islice(itertools.permutations(parts), 1, None):
            product = functools.reduce(lambda a, b: ("@", a, b), order)
            yield Change("factor order", node, product)
