"""What an explanation is made of: quantities, steps, checks; how it is shown is a table.

Every number in them comes from the interpreter: values from the primitives' forwards, local
derivatives from their rules. Renderers read these and compute nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from chainrule.errors import UsageError
from chainrule.explanation.formula.node import Node
from chainrule.explanation.steps.program import Program
from chainrule.forks import load

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
    name: Node
    operation: str
    formula: Node
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
    name: Node
    formula: Node
    value: Array
    inputs: tuple[int, ...] = ()
    via: int | None = None
    position: int | None = None
    local: Node | None = None
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
    name: Node
    value: Array
    formula: Node | None
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


@dataclass(frozen=True, eq=False)
class Explanation:
    """A function explained at a point: its quantities, the steps of both passes, the results.

    ``gradient`` is as ``cr.grad`` returns it: of the one argument, or a tuple over several,
    None in place of what is not floating. ``precision`` is the number of significant digits
    that renderings print. ``notes`` say which of two readings of a typed expression was taken.
    ``openings`` makes, of the gates among ``nodes``, the explanations that ``inside`` returns.
    Of an array nothing is differentiated: there are no results, and ``gradient`` is None.
    See docs/explanations.md.
    """

    name: Node
    formula: Node | None
    nodes: tuple[Quantity, ...]
    steps: tuple[Step, ...]
    results: tuple[Result, ...]
    counts: Counts
    output: int
    value: np.ndarray
    gradient: Any
    program: Program | None
    precision: int = 10
    notes: tuple[str, ...] = ()
    openings: Mapping[int, Callable[[], Explanation]] = field(default_factory=dict, repr=False)

    def inside(self, node: int) -> Explanation:
        """What is inside a gate, by its id in ``nodes``: the same numbers in smaller steps.

        Raises:
            UsageError: the operation is one step, and nothing is inside.
        """
        if node not in self.openings:
            raise UsageError(f"{self.nodes[node].name} is one operation; nothing is inside it")
        return self.openings[node]()

    def text(self) -> str:
        """Plain text for a terminal: the forward and backward tables side by side (L4.3)."""
        return render(self, "text")

    def markdown(self) -> str:
        """Tables in GitHub's Markdown."""
        return render(self, "markdown")

    def latex(self) -> str:
        """A LaTeX document that compiles as it stands."""
        return render(self, "latex")

    def mathml(self) -> str:
        """A ``<math>`` element with the passes as aligned rows."""
        return render(self, "mathml")

    def html(self) -> str:
        """A fragment of HTML: the tables, formulas in MathML; no script, no style."""
        return render(self, "html")

    def page(self) -> str:
        """One self-contained page of HTML to step through, with sliders where they can be live."""
        return render(self, "page")

    def svg(self) -> str:
        """A picture of the graph: values above its edges, gradients below them."""
        return render(self.to_json(), "svg")

    def png(self) -> bytes:
        """The picture as a PNG, drawn by Chromium.

        Raises:
            UsageError: no Chromium is found.
        """
        return render(self.to_json(), "png")

    def dot(self) -> str:
        """The graph for Graphviz: values on the nodes, gradients on the edges."""
        return render(self, "dot")

    def to_json(self) -> dict[str, Any]:
        """Plain data by the schema of docs/explanations.md, version 1."""
        return render(self, "to_json")

    def json(self) -> str:
        """``to_json`` as text."""
        return render(self.to_json(), "json")

    def __str__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        return self.html()

    def _repr_latex_(self) -> str:
        return render(self, "display")


RENDERERS: Mapping[str, str] = {
    "text": "render.text:text",
    "markdown": "render.markdown:markdown",
    "latex": "render.latex:document",
    "display": "render.latex:display",
    "mathml": "render.html:mathml",
    "html": "render.html:fragment",
    "page": "page.page:page",
    "svg": "picture.svg:svg",
    "png": "picture.png:png",
    "dot": "render.dot:dot",
    "to_json": "render.document:to_json",
    "json": "render.document:dumps",
}
"""Format -> where its renderer is, loaded when asked for: a function of the explanation, for
pictures and JSON of its document."""


def render(e: Any, form: str, renderers: Mapping[str, str] = RENDERERS) -> Any:
    """``e`` in one of its formats."""
    module, _, name = renderers[form].partition(":")
    return getattr(load(f"chainrule.explanation.{module}"), name)(e)
