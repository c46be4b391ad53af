"""What a quiz is made of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from chainrule.explanation.formula.greek import spell

__all__ = ["TOPICS", "Mark", "PartMark", "Question", "Quiz", "Report"]


def spelled(name: str | None) -> str:
    """A name as formulas print it: w₀ for w0."""
    return spell(name or "").text()


TOPICS = ("chain-rule", "gates", "matrix", "network", "backprop")


@dataclass(frozen=True)
class Question:
    """One question with its key and worked solution.

    ``kind``: "formula" (an expression in x), "numbers" (as many as ``asked``), "matrix" (an
    expression in the given names), "parts" (numbers that build on each other, with a point each).
    ``data`` is what marking needs: the function, the point.
    ``tolerance`` is the relative error allowed in numbers; formulas are compared at random
    points, so any equal form is right.
    """

    kind: str
    prompt: str
    asked: tuple[str, ...]
    answer: str
    solution: str
    data: Mapping[str, Any] = field(default_factory=dict)
    tolerance: float = 0.0
    points: float = 1.0


@dataclass(frozen=True)
class Quiz:
    """Questions made from ``topic``, ``n`` and ``seed``; the same three give the same quiz."""

    topic: str
    seed: int
    questions: tuple[Question, ...]
    student: str = ""

    @property
    def recipe(self) -> str:
        """The line by which ``quiz mark`` makes the questions again."""
        return (
            f"chainrule-quiz/1 topic={self.topic} n={len(self.questions)} seed={self.seed} "
            + (f"student={self.student} " if self.student else "")
            + f"check={self.check}"
        )

    @property
    def check(self) -> str:
        """Eight characters that change when any question does."""
        said = json.dumps([[q.prompt, q.answer] for q in self.questions])
        return hashlib.sha256(said.encode()).hexdigest()[:8]


@dataclass(frozen=True)
class PartMark:
    """The judgement of one part: "right", "carried" (it follows from wrong earlier parts, and
    counts), "wrong", "missing" or "unreadable"."""

    label: str
    verdict: str
    given: str
    truth: float
    says: str
    slip: str | None = None

    @property
    def points(self) -> float:
        return float(self.verdict in ("right", "carried"))


@dataclass(frozen=True)
class Mark:
    """The judgement of one answer. ``slip`` names what probably went wrong, if that is known;
    ``points`` are those it has, of ``of``."""

    number: int
    right: bool
    given: str
    says: str
    slip: str | None
    answer: str
    points: float = 0.0
    of: float = 1.0
    parts: tuple[PartMark, ...] = ()


@dataclass(frozen=True)
class Report:
    """All marks of a quiz."""

    quiz: Quiz
    marks: tuple[Mark, ...]

    @property
    def right(self) -> int:
        return sum(m.right for m in self.marks)

    @property
    def points(self) -> float:
        return sum(m.points for m in self.marks)

    @property
    def of(self) -> float:
        return sum(m.of for m in self.marks)

    def text(self) -> str:
        lines = []
        for mark in self.marks:
            sign = "✓" if mark.right else "✗"
            lines.append(f"{mark.number}. {sign} {mark.given or '(no answer)'}")
            lines += [f"     {line}" for line in mark.says.splitlines()]
            if not mark.right:
                lines.append(f"     answer: {mark.answer}")
        lines.append(f"{self.right} of {len(self.marks)} right")
        if self.of != len(self.marks):
            lines[-1] += f"; {self.points:g} of {self.of:g} points"
        return "\n".join(lines)

    __str__ = text

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": "chainrule.quiz-report/1",
            "quiz": self.quiz.recipe,
            "right": self.right,
            "of": len(self.marks),
            "marks": [
                {
                    "number": m.number,
                    "right": m.right,
                    "given": m.given,
                    "says": m.says,
                    "slip": m.slip,
                    "answer": m.answer,
                    "points": m.points,
                    "of": m.of,
                    "parts": [{**vars(part), "points": part.points} for part in m.parts],
                }
                for m in self.marks
            ],
        }
