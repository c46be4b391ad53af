"""A backward pass beside numbers, and the mistakes that explain what differs."""

from __future__ import annotations

import ast
import itertools
import math
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np

from chainrule.checking.entries import ArrayCheck
from chainrule.checking.handwritten.drafts import Draft, Edit, Facts, counts
from chainrule.checking.handwritten.edits import drafts
from chainrule.checking.handwritten.kinds import KINDS
from chainrule.checking.handwritten.reach import Reach
from chainrule.checking.handwritten.statement import bare, target_of
from chainrule.checking.handwritten.student import functions_of
from chainrule.checking.numeric import Slope, differences, places, sizes
from chainrule.checking.patterns import pattern_of
from chainrule.checking.verdicts import EPSILON, Entry, Tolerance, judged
from chainrule.errors import UsageError

Status = Literal["correct", "wrong", "follows", "missing", "inconclusive"]
Gradients = Mapping[str, np.ndarray]
BATCH = 150
MOST_MISTAKES = 4
MOST_EDITS = 12_000
SECONDS = 40.0
MOST_ENTRIES = 400
"""Of larger arrays so many entries are looked at, drawn at random."""


class Program(Protocol):
    """A student's program, here or in another process."""

    def describe(self) -> dict[str, Any]: ...

    def losses(self, name: str, moves: Sequence[Any], point: int = 0) -> list[float]: ...

    def gradients(
        self, variants: Sequence[Sequence[tuple[str, str]]], point: int = 0
    ) -> list[dict[str, Any]]: ...


@dataclass(frozen=True)
class Mistake:
    """A change that makes gradients right: where and what, and the parameters it mends."""

    edit: Edit
    mends: tuple[str, ...]

    @property
    def kind(self) -> str:
        return self.edit.kind

    @property
    def teaches(self) -> str:
        return KINDS[self.edit.kind]


@dataclass(frozen=True)
class Parameter:
    """The gradient by one parameter. "follows": wrong only because of a mistake that counts
    elsewhere."""

    name: str
    status: Status
    check: ArrayCheck | None
    note: str = ""
    points: float = 0.0
    of: float = 1.0


@dataclass(frozen=True)
class HomeworkCheck:
    """What was found in a hand-written backward pass."""

    file: str
    parameters: tuple[Parameter, ...]
    mistakes: tuple[Mistake, ...]
    error: str = ""
    notes: tuple[str, ...] = ()
    loss: float = math.nan
    explained: bool = True

    @property
    def ok(self) -> bool:
        return not self.error and all(
            p.status in ("correct", "inconclusive") for p in self.parameters
        )

    def __bool__(self) -> bool:
        return self.ok

    @property
    def points(self) -> float:
        return sum(p.points for p in self.parameters)

    def __str__(self) -> str:
        from chainrule.checking.handwritten.report import text

        return text(self)


@dataclass
class _Truth:
    """Numeric gradients at one point, of the entries that are looked at."""

    slopes: dict[str, dict[int, Slope]]
    shapes: dict[str, tuple[int, ...]]
    tolerance: Tolerance

    def largest(self, name: str) -> float:
        known = [abs(s.value) for s in self.slopes[name].values() if math.isfinite(s.value)]
        return max(known, default=0.0)

    def check(self, name: str, given: np.ndarray) -> ArrayCheck:
        shape, largest = self.shapes[name], self.largest(name)
        flat = given.reshape(-1)
        entries = []
        for k, slope in self.slopes[name].items():
            index = tuple(map(int, np.unravel_index(k, shape)))
            entries.append(judged(index, float(flat[k]), slope, largest, self.tolerance, 1.0))
        true = np.full(given.size, np.nan)
        for k, slope in self.slopes[name].items():
            true[k] = slope.value
        size = int(np.prod(shape))
        missed = 0.0 if len(entries) == size else 1 - len(entries) / size
        pattern = pattern_of(shape, entries)
        return ArrayCheck(name, given, true.reshape(shape), tuple(entries), missed, pattern=pattern)

    def agrees(self, name: str, given: Any) -> bool:
        array = _fitted(given, self.shapes[name])
        if array is None:
            return False
        largest = self.largest(name)
        flat = array.reshape(-1)
        for k, slope in self.slopes[name].items():
            if slope.kind == "smooth":
                allowed = slope.error + 1e-6 * largest + self.tolerance.of(largest)
                if not abs(flat[k] - slope.value) <= allowed:
                    return False
        return True


def _fitted(given: Any, shape: tuple[int, ...]) -> np.ndarray | None:
    """A gradient in the shape of its parameter: axes of length 1 may be more or fewer."""
    array = np.asarray(given, float)
    if array.shape == shape:
        return array
    squeezed = tuple(n for n in array.shape if n != 1) == tuple(n for n in shape if n != 1)
    return array.reshape(shape) if squeezed else None


def checked(
    program: Program,
    source: str | Mapping[str, ast.FunctionDef],
    file: str,
    *,
    weights: Mapping[str, float] | None = None,
    rows: int | None = None,
    seconds: float = SECONDS,
    reference: Program | None = None,
) -> HomeworkCheck:
    """Compare, and look for the mistakes.

    Args:
        source: the program's text, or its functions by name. file: its name, for lines.
        weights: points by parameter, 1 each.
        rows: of the batch, where that is known.
        seconds: after which the search for mistakes ends.
        reference: a right program of the same arguments, whose gradients are compared with in place
            of differences of the program's own loss. Its ``describe`` was called.
    """
    about = program.describe()
    values = {n: np.asarray(v, float) for n, v in about["parameters"].items()}
    error = about["error"]
    if not values and not error:
        raise UsageError(
            f"no gradient was found in what {about['backward'] or about['forward']} returned, nor "
            'beside the parameters: return a dict such as {"W1": ...}, or a tuple in the order of '
            "the arguments"
        )
    truth = _truth(program, values, 0, about, reference)
    (answer,) = program.gradients([[]])
    found = _arrays(answer)
    error = error or answer.get("error", "")
    checks = {
        name: None if (g := _fitted(found[name], v.shape)) is None else truth.check(name, g)
        for name, v in values.items()
        if name in found
    }
    wrong = [
        n
        for n in values
        if n not in checks or checks[n] is None or checks[n].verdict == "wrong"  # type: ignore[union-attr]
    ]
    mistakes: list[Mistake] = []
    explained = True
    if wrong and source:
        search = _Search(program, source, about, truth, values, rows, answer, seconds, reference)
        mistakes, left = search.run(wrong)
        explained = not left
    parameters = tuple(
        _parameter(n, values[n], found, checks, wrong, mistakes, (weights or {}).get(n, 1.0), error)
        for n in values
    )
    notes = [f"{n} was returned, but no parameter has that name" for n in about["unmatched"]]
    return HomeworkCheck(
        file, parameters, tuple(mistakes), error, tuple(notes), about["loss"], explained
    )


def _parameter(
    name: str,
    value: np.ndarray,
    found: Mapping[str, Any],
    checks: Mapping[str, ArrayCheck | None],
    wrong: Sequence[str],
    mistakes: Sequence[Mistake],
    weight: float,
    stopped: str,
) -> Parameter:
    check = checks.get(name)
    if name not in wrong:
        status: Status = "correct"
        if check is not None and "inconclusive" in check.verdict:
            status = "inconclusive"
        return Parameter(name, status, check, points=weight, of=weight)
    note = ""
    if name not in found:
        note = "the program stops before" if stopped else "no gradient was found for it"
        return Parameter(name, "missing", None, note, 0.0, weight)
    if check is None:
        note = f"the gradient has shape {np.shape(found[name])}, {name} has {value.shape}"
    own = [m for m in mistakes if m.mends and m.mends[0] == name]
    causes = [m for m in mistakes if name in m.mends]
    if causes and not own:
        first = causes[0].mends[0]
        note = note or f"follows from the mistake that {first} shows"
        return Parameter(name, "follows", check, note, weight, weight)
    return Parameter(name, "wrong", check, note, 0.0, weight)


def _arrays(answer: Mapping[str, Any]) -> dict[str, Any]:
    return {k: np.asarray(v, float) for k, v in answer.get("found", {}).items()}


def _truth(
    program: Program,
    values: Mapping[str, np.ndarray],
    point: int,
    about: Mapping[str, Any],
    reference: Program | None,
) -> _Truth:
    slopes = {} if reference is None else _referred(reference, values, point)
    shapes = {n: v.shape for n, v in values.items()}
    tolerance = Tolerance(about["itemsize"], about["size"])
    if reference is not None:
        return _Truth(slopes, shapes, tolerance)
    for name, value in values.items():
        size = value.size
        chosen: Sequence[int] = range(size)
        if size > MOST_ENTRIES:
            rng = np.random.default_rng(0)
            chosen = sorted(map(int, rng.choice(size, MOST_ENTRIES, replace=False)))
        eps = EPSILON[about["reference"]]
        slopes[name] = _slopes(program, name, value, chosen, point, eps, quick=True)
        rough = [
            k
            for k, s in slopes[name].items()
            if s.kind != "smooth" or s.error > 1e-7 * max(abs(s.value), 1e-3)
        ]
        if rough:
            slopes[name].update(_slopes(program, name, value, rough, point, eps, quick=False))
    return _Truth(slopes, shapes, tolerance)


def _referred(
    reference: Program, values: Mapping[str, np.ndarray], point: int
) -> dict[str, dict[int, Slope]]:
    """The gradients of a right program."""
    (answer,) = reference.gradients([[]], point)
    if "error" in answer:
        raise UsageError(f"the reference stopped: {answer['error']}")
    found = {}
    for name, value in values.items():
        true = _fitted(answer["found"].get(name, math.nan), value.shape)
        if true is None:
            raise UsageError(
                f"the reference gives no gradient of the shape of {name}, {value.shape}"
            )
        flat = true.reshape(-1)
        found[name] = {k: Slope(float(v), 0.0, "reference") for k, v in enumerate(flat)}
    return found


def _slopes(
    program: Program,
    name: str,
    value: np.ndarray,
    chosen: Sequence[int],
    point: int,
    eps: float,
    *,
    quick: bool,
) -> dict[int, Slope]:
    own = sizes(value).reshape(-1)
    scales = {k: float(own[k]) for k in chosen}
    steps = {k: places(scales[k], resolution=eps, quick=quick) for k in chosen}
    losses = iter(program.losses(name, [(k, h) for k in chosen for h in steps[k]], point))
    found = {}
    for k in chosen:
        ys = list(itertools.islice(losses, len(steps[k])))
        found[k] = differences(
            lambda hs, ys=ys: ys, scales[k], eps=eps, resolution=eps, quick=quick
        )
    return found


class _Search:
    """Mistakes one after another: the change that mends most, until nothing is wrong."""

    def __init__(
        self,
        program: Program,
        source: str | Mapping[str, ast.FunctionDef],
        about: Mapping[str, Any],
        truth: _Truth,
        values: Mapping[str, np.ndarray],
        rows: int | None,
        given: Mapping[str, Any],
        seconds: float,
        reference: Program | None,
    ) -> None:
        self.program, self.about, self.truth, self.values = program, about, truth, values
        self.given = given if "found" in given else {"found": {}, "loss": about["loss"]}
        self.functions = functions_of(ast.parse(source)) if isinstance(source, str) else source
        self.counts = [rows] if rows else counts(about)
        self.text = "\n".join(map(ast.unparse, self.functions.values()))
        self.reference = reference
        self.end = time.monotonic() + seconds
        self.other: _Truth | None = None
        self.applied: dict[str, ast.FunctionDef] = {}

    def run(self, wrong: Sequence[str]) -> tuple[list[Mistake], list[str]]:
        left, mistakes = list(wrong), []
        while left and len(mistakes) < MOST_MISTAKES:
            best = self._best(left)
            if best is None:
                break
            edit, mended = best
            mistakes.append(Mistake(edit, tuple(sorted(mended, key=self._order))))
            self.applied[edit.function] = edit.tree
            (self.given,) = self.program.gradients([self._variant(None, "")])
            left = [n for n in left if n not in mended]
        return mistakes, left

    def _order(self, name: str) -> tuple[int, int]:
        """Parameters in the order in which the backward pass comes to them: the last layer first,
        weights before biases."""
        names = list(self.values)
        digits = [int(d) for d in re.findall(r"\d+", name)]
        return (-(digits[0] if digits else 0), names.index(name))

    def _candidates(self) -> Iterator[Draft]:
        for name, function in self.functions.items():
            held = self.about["functions"].get(name)
            if held is None:
                continue
            atoms = {t: tuple(s) for t, s in held["atoms"].items()}
            shapes = {n: v.shape for n, v in self.values.items()}
            own = "backward" in held["phases"] or not self.about["backward"]
            facts = Facts(atoms, self.counts, shapes, not own, self.text)
            yield from drafts(name, self.applied.get(name, function), facts)

    def _best(self, left: Sequence[str]) -> tuple[Edit, set[str]] | None:
        """The change that mends most of what is wrong, the likeliest of those that mend as much."""
        seen: set[str] = set()
        every = list(self._candidates())
        reach = Reach(self.program.gradients, self._variant, every, self.given)
        likely = [(order, d) for d in every if (order := reach.order(d, set(left))) is not None]
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
            self.other = _truth(self.program, self.values, 1, about, self.reference)
        (answer,) = self.program.gradients([self._variant(edit, text)], point=1)
        found = answer.get("found", {})
        return all(n in found and self.other.agrees(n, found[n]) for n in (*mended, *right))


def _is_own(draft: Draft, mended: set[str]) -> bool:
    """Whether a draft that mends one gradient changes the statement that makes it: of changes that
    mend as much, that is the nearest."""
    names = {bare(name).lower() for name in mended}
    target = bare(target_of(draft.statement)).lower()
    return len(names) == 1 and not draft.is_added and target.endswith(names.pop())


__all__ = ["Entry", "HomeworkCheck", "Mistake", "Parameter", "Program", "checked"]
