"""The table of an explanation: each operation beside the derivatives that it passes on.

As in L4.3 and L4.4, the line of ``u₁ = sin t`` holds what flows from u₁ to t. The backward half
is read upwards: each line uses what is below it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from chainrule.explanation.formula.node import Node
from chainrule.explanation.formula.numbers import array_text
from chainrule.explanation.steps.data import Explanation, Quantity, Step


@dataclass(frozen=True, eq=False)
class Row:
    """``forward`` is set on the first line of an operation only; ``backward`` is a step of kind
    backward, sum or start, or None; ``branch`` says that it is one of several into its node."""

    forward: Quantity | None
    backward: Step | None
    branch: bool = False


def rows(e: Explanation) -> list[Row]:
    """The lines of the table, from the inputs down to the output."""
    passed: dict[int, list[Step]] = {}
    sums: dict[int, Step] = {}
    lone: list[Step] = []
    start = None
    for step in e.steps:
        if step.kind == "backward" and step.via is not None:
            passed.setdefault(step.via, []).append(step)
        elif step.kind == "sum":
            if step.terms:
                # It is complete at the use that comes last on the way back.
                sums[step.terms[-1]] = step
            else:
                lone.append(step)
        elif step.kind == "start":
            start = step
    branches = {i for step in sums.values() for i in step.terms}
    found = [Row(None, step) for step in lone]
    for node in e.nodes:
        if node.kind == "operation":
            found += _operation(node, passed.get(node.id, []), sums, branches)
    if start is not None:
        found.append(Row(None, start))
    return found


def _operation(
    node: Quantity, passed: list[Step], sums: dict[int, Step], branches: set[int]
) -> Iterator[Row]:
    backward: list[tuple[Step, bool]] = []
    for step in sorted(passed, key=lambda step: step.position or 0):
        if step.index in sums:
            backward.append((sums[step.index], False))
        backward.append((step, step.index in branches))
    if not backward:
        yield Row(node, None)
        return
    first = True
    for step, branch in backward:
        # The total of a sum stands above the operation's own line.
        own = first and step.kind != "sum"
        yield Row(node if own else None, step, branch)
        first = first and not own


def stated(formula: Node | None, value: Any, precision: int) -> Node | None:
    """The formula of a number; None where it is a number itself, so that nobody reads 1 = 1."""
    text = "" if formula is None else formula.text()
    number = text.lstrip("−").replace(".", "").isdigit() or text == array_text(value, precision)
    return None if number else formula


def inputs(e: Explanation) -> list[Quantity]:
    """Inputs and captured arrays: what is given."""
    return [node for node in e.nodes if node.kind != "operation"]
