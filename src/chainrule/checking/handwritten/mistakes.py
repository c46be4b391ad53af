"""The mistakes in a backward pass: changes of it that make gradients right."""

from __future__ import annotations

import ast
import math
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.checking.handwritten.drafts import Draft, Edit, Facts, counts, first_line
from chainrule.checking.handwritten.edits import drafts
from chainrule.checking.handwritten.loading import functions_of, tables_of
from chainrule.checking.handwritten.numbers import by_numbers
from chainrule.checking.handwritten.reach import Reach
from chainrule.checking.handwritten.statement import bare, target_of
from chainrule.checking.handwritten.truth import Program, Truth, truth_at
from chainrule.checking.slips import SLIPS

BATCH = 150
MOST_MISTAKES = 4
MOST_EDITS = 12_000


@dataclass(frozen=True)
class Mistake:
    """A change that makes gradients right: where and what, and the parameters that it mends."""

    edit: Edit
    mends: tuple[str, ...]
    is_tried: bool = True
    """Whether the change was made and run; else the numbers alone say so."""

    @property
    def kind(self) -> str:
        return self.edit.kind

    @property
    def teaches(self) -> str:
        return SLIPS[self.edit.kind]


class Search:
    """Mistakes one after another: the change that mends most, until nothing is wrong."""

    def __init__(
        self,
        program: Program,
        source: str | Mapping[str, ast.FunctionDef],
        about: Mapping[str, Any],
        truth: Truth,
        values: Mapping[str, np.ndarray],
        rows: int | None,
        given: Mapping[str, Any],
        seconds: float,
        reference: Program | None,
    ) -> None:
        self.program, self.about, self.truth, self.values = program, about, truth, values
        self.given = given if "found" in given else {"found": {}, "loss": about["loss"]}
        tree = ast.parse(source if isinstance(source, str) else "")
        self.tables = tables_of(tree)
        own = functions_of(tree) if isinstance(source, str) else source
        self.functions = {**own, **self.tables}
        self.counts = [rows] if rows else counts(about)
        self.text = "\n".join(map(ast.unparse, self.functions.values()))
        self.reference = reference
        self.end = time.monotonic() + seconds
        self.other: Truth | None = None
        self.applied: dict[str, ast.FunctionDef] = {}

    def run(self, wrong: Sequence[str]) -> tuple[list[Mistake], list[str]]:
        left, mistakes = list(wrong), []
        while left and len(mistakes) < MOST_MISTAKES:
            best = self._best(left)
            if best is None:
                said, left = self._by_numbers(left)
                return [*mistakes, *said], left
            edit, mended = best
            mistakes.append(Mistake(edit, tuple(sorted(mended, key=self._order))))
            self.applied[edit.function] = edit.tree
            (self.given,) = self.program.gradients([self._variant(None, "")])
            left = [n for n in left if n not in mended]
            if time.monotonic() > self.end:
                break
        return mistakes, left

    def _by_numbers(self, left: Sequence[str]) -> tuple[list[Mistake], list[str]]:
        """What factors and multiples say of gradients that no change mends; what is left then."""
        found: list[Mistake] = []
        rest = list(left)
        while said := by_numbers(rest, self.given["found"], self.values, self.truth, self.counts):
            kind, shown, names = said
            phases = {n: held["phases"] for n, held in self.about["functions"].items()}
            makers = [m for m in self.reach.makers(names) if "backward" in phases[m[1]]]
            if not makers:
                break
            s, function = makers[-1 if kind == "L2 term" else 0]  # a term comes last
            text = first_line(s)
            tree = self.applied.get(function, self.functions[function])
            edit = Edit(kind, function, s.lineno, text, f"{text}   # {shown}", tree)
            found.append(Mistake(edit, tuple(sorted(names, key=self._order)), is_tried=False))
            rest = [n for n in rest if n not in names]
        return found, rest

    def _order(self, name: str) -> tuple[int, int]:
        """Parameters in the order in which the backward pass comes to them: the last layer first,
        weights before biases."""
        names = list(self.values)
        digits = [int(d) for d in re.findall(r"\d+", name)]
        return (-(digits[0] if digits else 0), names.index(name))

    def _candidates(self) -> Iterator[Draft]:
        for name, function in self.functions.items():
            seen = self.about["functions"]
            held = seen.get(name, seen.get("<lambda>") if name in self.tables else None)
            if held is None:
                continue
            atoms = {t: tuple(s) for t, s in held["atoms"].items()}
            shapes = {n: v.shape for n, v in self.values.items()}
            own = "backward" in held["phases"] or not self.about["backward"]
            facts = Facts(atoms, self.counts, shapes, not own, self.text, held["shared"])
            yield from drafts(name, self.applied.get(name, function), facts)

    def _best(self, left: Sequence[str]) -> tuple[Edit, set[str]] | None:
        """The change that mends most of what is wrong, the likeliest of those that mend as much."""
        seen: set[str] = set()
        every = list(self._candidates())
        self.reach = Reach(self.program.gradients, self._variant, every, self.given)
        orders = ((self.reach.order(d, set(left)), d) for d in every)
        likely = [(order, d) for order, d in orders if order is not None]
        pool = [d for _, d in sorted(likely, key=lambda pair: pair[0])][:MOST_EDITS]
        right = [n for n in self.values if n not in left]
        best: tuple[tuple[float, float, bool], Draft, str, set[str]] | None = None
        for start in range(0, len(pool), BATCH):
            batch = []
            for draft in pool[start : start + BATCH]:
                text = draft.source()
                if text not in seen:
                    seen.add(text)
                    batch.append((draft, text))
            answers = self.program.gradients([self._variant(d, text) for d, text in batch])
            for (draft, text), answer in zip(batch, answers, strict=True):
                mended = self._mended(answer, left, right)
                key = (-len(mended), draft.rank, not _is_own(draft, mended))
                better = mended and (best is None or key < best[0])
                if better and self._confirmed(draft, text, mended, right):
                    best = key, draft, text, mended
            done = best is not None and len(best[3]) == len(left)
            if done or time.monotonic() > self.end:
                break
        return None if best is None else (best[1].made(), best[3])

    def _variant(self, edit: Draft | None, text: str) -> list[tuple[str, str]]:
        name = "" if edit is None else edit.function
        others = [(n, ast.unparse(t)) for n, t in self.applied.items() if n != name]
        return [*others, *([] if edit is None else [(name, text)])]

    def _mended(
        self, answer: Mapping[str, Any], left: Sequence[str], right: Sequence[str]
    ) -> set[str]:
        """The parameters that become right; none if one that was right becomes wrong, or the loss
        is another."""
        if "error" in answer or not math.isclose(
            answer["loss"], self.about["loss"], rel_tol=1e-9, abs_tol=1e-12
        ):
            return set()
        found = answer["found"]
        mended = {n for n in left if n in found and self.truth.agrees(n, found[n])}
        if not mended or not all(n in found and self.truth.agrees(n, found[n]) for n in right):
            return set()
        return mended

    def _confirmed(self, edit: Draft, text: str, mended: set[str], right: Sequence[str]) -> bool:
        """The same at another point, so that it is no coincidence."""
        if self.other is None:
            about = dict(self.about)
            (answer,) = self.program.gradients([[]], point=1)
            about["size"] = max(about["size"], abs(answer.get("loss", 0.0)))
            self.other = truth_at(self.program, self.values, 1, about, self.reference)
        (answer,) = self.program.gradients([self._variant(edit, text)], point=1)
        found = answer.get("found", {})
        return all(n in found and self.other.agrees(n, found[n]) for n in (*mended, *right))


def _is_own(draft: Draft, mended: set[str]) -> bool:
    """Whether a draft that mends one gradient changes the statement that makes it: of changes that
    mend as much, that is the nearest."""
    names = {bare(name).lower() for name in mended}
    target = bare(target_of(draft.statement)).lower()
    return len(names) == 1 and not draft.is_added and target.endswith(names.pop())
