"""What an explanation is made of: quantities, steps, checks. Plain data, no behaviour.

Every number in them comes from the interpreter: values from the primitives' forwards, local
derivatives from their rules. Renderers read these and compute nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from chainrule.explanation.symbolic import Expr

Array = np.ndarray
NodeKind = Literal["input", "constant", "operation"]
StepKind = Literal["input", "forward", "start", "backward", "sum"]


@dataclass(frozen=True, eq=False)
class Quantity:
    """A named quantity of the computation: an input, a captured constant or an operation.

    ``id`` is its place in ``Explanation.nodes``, a topological order. ``formula`` is its right
    hand side in the names of ``inputs`` (for inputs and constants, its own name); scalar
    constants, casts, broadcasts, reshapes and comparisons stand inside formulas and are no
    quantities of their own. ``gradient`` has the shape of ``value``; None where nothing is
    differentiated (constants, integers). ``scope`` is the path of ``cr.scope`` names around
    it, ``mlp/0/linear``, by which a picture can be folded into modules.
    """

    id: int
    kind: NodeKind
    name: Expr
    operation: str
    formula: Expr
    inputs: tuple[int, ...]
    value: Array
    gradient: Array | None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    scope: str = ""
    teaches: str = ""


@dataclass(frozen=True, eq=False)
class Step:
    """One line of the computation.

    ========  ============================================================================
    kind      what the line says
    ========  ============================================================================
    input     ``name = value``, given; ``node`` is the input
    forward   ``name = formula = value``, from ``inputs`` (ids of quantities)
    start     the derivative of the output by itself is 1
    backward  over the edge from ``node`` to the quantity ``via`` that uses it: ``name`` (the
              derivative by ``node``) receives ``local * upstream = value``. ``formula`` is the
              product in symbols; where the operation is not element by element (a matrix
              product, a reduction) there is no single local derivative: ``local`` and
              ``local_value`` are None and ``formula`` says what is done with ``upstream``
    sum       where branches meet: ``terms`` are the indices of the backward steps that are
              added (none: nothing reaches the output, the derivative is 0)
    ========  ============================================================================

    The derivative by a quantity is complete after the last step whose ``node`` it is.
    """

    index: int
    kind: StepKind
    node: int
    name: Expr
    formula: Expr
    value: Array
    inputs: tuple[int, ...] = ()
    via: int | None = None
    position: int | None = None
    local: Expr | None = None
    local_value: Array | None = None
    upstream: Array | None = None
    terms: tuple[int, ...] = ()
    why: str = ""
    note: str = ""


@dataclass(frozen=True, eq=False)
class Check:
    """An independent numeric derivative beside the one of the chain rule.

    ``method`` is "complex step", "differences" (Richardson's extrapolation) or "none", with
    the reason in ``note``. ``value`` has the shape of the gradient, or is the slope along one
    random ``direction`` where the argument is large. ``error`` is the largest difference,
    relative to the largest entry; ``expected`` the error that the method itself may have.
    """

    method: str
    value: Array | None
    error: float
    expected: float
    agrees: bool
    direction: Array | None = None
    note: str = ""


@dataclass(frozen=True, eq=False)
class Result:
    """The derivative by one input: its number, the whole formula where there is one, a check."""

    node: int
    name: Expr
    value: Array
    formula: Expr | None
    check: Check


@dataclass(frozen=True)
class Counts:
    """What each way of differentiating this graph costs, in scalar terms (L2.1, L4.8).

    ``paths`` run from the inputs to the output; ``edges`` are the local derivatives that are
    not zero by structure. Each of ``forward``, ``reverse`` and ``by_paths`` gives
    ``multiplications``, ``additions`` and ``stored`` numbers.
    """

    inputs: int
    nodes: int
    edges: int
    paths: int
    forward: Mapping[str, int]
    reverse: Mapping[str, int]
    by_paths: Mapping[str, int]
