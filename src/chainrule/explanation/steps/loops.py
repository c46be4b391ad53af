"""Loops in an explanation: the first and the last of many equal turns, and what those between add.

While a function is explained its loops run turn by turn, ``cr.scan`` and ``fori_loop`` too. Turns
are equal if they are the same operations, each reading what the same place of its own turn or of
the turn before gives, or the same from outside. Of 16 and more, one line stands for those between:
the last of what they carry on, from where the derivative comes into them, and its share in the
derivative of what all turns use. So all sums are those of the whole loop.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from chainrule.explanation.formula.expressions import ZERO, added, named
from chainrule.explanation.formula.node import Node
from chainrule.explanation.formula.numbers import array_text
from chainrule.explanation.steps.data import Explanation, Quantity, Step

TURNS = 16
"""So many equal turns are shown as a loop, as ``jit`` makes one of them."""
LONGEST = 256
"""A turn has so many operations at most."""
SHARES = 3
"""Of what is added over the turns, so many numbers are shown, from the last turn on."""
DOTS = named("⋯", "⋯")


class Turns(NamedTuple):
    """Equal turns: which operations of an explanation, in order, and how many each turn has."""

    nodes: Sequence[int]
    period: int

    @property
    def count(self) -> int:
        return len(self.nodes) // self.period

    def of(self, turn: int) -> Sequence[int]:
        """The operations of a turn, from 0 on; -1 is the last."""
        start = (turn % self.count) * self.period
        return self.nodes[start : start + self.period]


def folded(e: Explanation) -> Explanation:
    """The explanation with its longest loop shown by two of its turns, if it has a long one."""
    turns = turns_of(e.nodes)
    return e if turns is None else _Folded(e, turns).explanation()


def turns_of(nodes: Sequence[Quantity]) -> Turns | None:
    """The longest stretch of equal turns; None where there are not 16."""
    order = [node for node in nodes if node.kind == "operation"]
    place = {node.id: i for i, node in enumerate(order)}
    best: tuple[int, int, int] | None = None
    for period in range(1, min(LONGEST, len(order) // TURNS) + 1):
        if best is not None and best[0] >= len(order) - period:
            break
        for start, stop in _stretches(len(order) - period, _alike(order, place, period)):
            turns, more = divmod(stop - start + period, period)
            if turns >= TURNS and (best is None or turns * period > best[0]):
                best = turns * period, start + more, period  # a loop ends where its last turn does
    if best is None:
        return None
    length, start, period = best
    return Turns([node.id for node in order[start : start + length]], period)


def _alike(order: Sequence[Quantity], place: dict[int, int], period: int) -> Callable[[int], bool]:
    def same(i: int) -> bool:
        a, b = order[i], order[i + period]
        if a.operation != b.operation or len(a.inputs) != len(b.inputs):
            return False
        for x, y in zip(a.inputs, b.inputs, strict=True):
            back = place.get(y, i + period + 1) - period
            carried = place.get(x) == back and i - back < 2 * period
            if not carried and x != y:
                return False
        return a.value.shape == b.value.shape

    return same


def _stretches(n: int, same: Callable[[int], bool]) -> list[tuple[int, int]]:
    """Where ``same`` holds of all numbers up to ``n``: from the first to after the last."""
    found, start = [], 0
    for i in range(n + 1):
        if i == n or not same(i):
            if i > start:
                found.append((start, i))
            start = i + 1
    return found


class _Folded:
    def __init__(self, e: Explanation, turns: Turns) -> None:
        self.e, self.turns = e, turns
        last = set(turns.of(-1))
        between = turns.nodes[turns.period : -turns.period]
        self.between = set(between)
        shown = {x for i in last for x in e.nodes[i].inputs if x in self.between}
        for i in between:  # what the last turn has of those between, and what is made of it
            if not shown.isdisjoint(e.nodes[i].inputs):
                shown.add(i)
        self.hidden = self.between - shown
        self.dots = {i for i in shown if not self.hidden.isdisjoint(e.nodes[i].inputs)}
        self.unsaid = self.hidden | self.dots
        kept = [node.id for node in e.nodes if node.id not in self.hidden]
        self.place = {old: new for new, old in enumerate(kept)}
        self.turn = {i: k for k in range(turns.count) for i in turns.of(k)}

    def explanation(self) -> Explanation:
        e, turns, place = self.e, self.turns, self.place
        names = f"{e.nodes[turns.of(0)[-1]].name} and {e.nodes[turns.of(-1)[-1]].name}"
        note = (
            f"{turns.count} equal turns of a loop; the first and the last end with {names}, "
            f"⋯ are the {turns.count - 2} between"
        )
        return replace(
            e,
            nodes=tuple([self._node(node) for node in e.nodes if node.id in place]),
            steps=tuple(self._steps()),
            results=tuple([replace(x, node=place[x.node]) for x in e.results]),
            output=place[e.output],
            program=None,
            notes=(*e.notes, note),
            openings={place[i]: opened for i, opened in e.openings.items() if i in place},
        )

    def _node(self, node: Quantity) -> Quantity:
        inputs = node.inputs
        if node.id in self.dots:  # it stands for all of them, and what they read
            read = {x for i in self.between for x in self.e.nodes[i].inputs} - self.between
            inputs, node = tuple(sorted(read)), replace(node, formula=DOTS, operation="turns")
        inputs = tuple([self.place[x] for x in inputs if x in self.place])
        return replace(node, id=self.place[node.id], inputs=inputs)

    def _steps(self) -> list[Step]:
        place = self.place
        self.found: list[Step] = []
        self.at: dict[int, int] = {}
        passed: dict[int, list[Step]] = defaultdict(list)
        for step in self.e.steps:
            if step.node in self.hidden:
                continue
            if step.via in self.unsaid:
                passed[step.node].append(step)
                continue
            if step.kind == "sum":
                self._sum(step, passed.pop(step.node, []))
                continue
            if step.via in passed:
                steps = passed.pop(step.via)
                self._through(steps, steps[0].name)
            if step.kind == "forward" and step.node in self.dots:
                step = replace(step, formula=DOTS)
            inputs = tuple([place[x] for x in step.inputs if x in place])
            via = None if step.via is None else place[step.via]
            self._add(replace(step, node=place[step.node], inputs=inputs, via=via), step)
        for steps in passed.values():  # the only way to the output leads through the dots
            self._through(steps, steps[0].name)
        return self.found

    def _add(self, new: Step, old: Step | None = None) -> int:
        index = len(self.found)
        self.found.append(replace(new, index=index))
        if old is not None:
            self.at[old.index] = index
        return index

    def _through(self, steps: Sequence[Step], name: Node) -> int:
        """What the turns between pass on to a quantity, as one step."""
        first = steps[0]
        over = max(s.via or 0 for s in steps) if first.node in self.between else max(self.dots)
        value = np.sum([step.value for step in steps], axis=0)
        return self._add(
            Step(
                0, "backward", self.place[first.node], name, DOTS, value,
                via=self.place[over], position=first.position,
                upstream=self.e.nodes[over].gradient, why=f"the {len(steps)} turns between",
            )
        )  # fmt: skip

    def _sum(self, step: Step, passed: Sequence[Step]) -> None:
        terms = [self.at[i] for i in step.terms if i in self.at]
        why = step.why
        if passed:
            terms.append(self._through(passed, step.name))
        used = {self.turn[s.via] for s in self._of(step) if s.via in self.turn}
        if len(used) >= TURNS:
            why = f"{why}; turn by turn {self._shares(step)}"
        formula = added(*[self.found[i].formula for i in terms]) if terms else ZERO
        new = replace(
            step, node=self.place[step.node], formula=formula, terms=tuple(terms), why=why
        )
        self._add(new, step)

    def _of(self, step: Step) -> list[Step]:
        return [self.e.steps[i] for i in step.terms]

    def _shares(self, step: Step) -> str:
        """What each turn adds, the last turn first, as far as the derivative comes."""
        each: dict[int, np.ndarray] = {}
        for part in self._of(step):
            if part.via in self.turn:
                k = self.turn[part.via]
                each[k] = each.get(k, 0) + part.value
        order = sorted(each, reverse=True)
        numbers = [array_text(each[k], self.e.precision) for k in (*order[:SHARES], order[-1])]
        return " + ".join([*numbers[:-1], "⋯", numbers[-1]]).replace("+ -", "− ")
