"""Quizzes: questions with keys and worked solutions, made from a seed, and their marking.

>>> made = quiz.make("gates", n=2, seed=7)
>>> quiz.mark(made, {1: "-4, -4, 3"})
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from chainrule.errors import UsageError
from chainrule.explanation.quiz import numbers
from chainrule.explanation.quiz.marking import mark_answer
from chainrule.explanation.quiz.matrix import matrix_question, network_question
from chainrule.explanation.quiz.parts import parts_question
from chainrule.explanation.quiz.questions import TOPICS, Mark, Question, Quiz, Report
from chainrule.explanation.quiz.scalar import (
    chain_rule_question,
    gates_question,
    neuron_question,
)
from chainrule.render import escape

__all__ = [
    "Mark",
    "Question",
    "Quiz",
    "Report",
    "load",
    "make",
    "mark",
    "quiz",
    "read_answers",
    "to_json",
    "to_markdown",
    "to_text",
]

MOST = 100
_RECIPE = re.compile(
    r"chainrule-quiz/1 topic=([a-z-]{1,20}) n=(\d{1,3}) seed=(\d{1,12})"
    r"(?: student=([0-9a-f]{1,12}))? check=([0-9a-f]{8})"
)


def make(topic: str, n: int = 5, seed: int = 0, student: str = "") -> Quiz:
    """``n`` questions on a topic: chain-rule, gates, matrix, network or backprop.

    ``student``, hexadecimal digits, has the same functions as the others and numbers of its own.

    Raises:
        UsageError: no such topic, or n not from 1 to 100.
    """
    if topic not in TOPICS:
        raise UsageError(f"topic {topic!r}: there are {', '.join(TOPICS)}")
    if isinstance(n, bool) or not isinstance(n, int) or not 1 <= n <= MOST:
        raise UsageError(f"n={n!r}: the number of questions lies between 1 and {MOST}")
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 10**12:
        raise UsageError(f"seed={seed!r}: a whole number from 0 to 10^12 is wanted")
    r = Random(f"chainrule {topic} {seed}")
    if student:
        r = _Drawn(r, Random(f"chainrule {topic} {seed} {student}"))
    questions: list[Question] = []
    seen: set[str] = set()
    for number in range(n):
        question = _question(topic, r, number)
        for _ in range(39):  # another draw where a question has been asked already
            if student or question.prompt not in seen:
                break
            question = _question(topic, r, number)
        seen.add(question.prompt)
        questions.append(question)
    return Quiz(topic, seed, tuple(questions), student)


class _Drawn(Random):
    """Draws what a question is about from one source, and its numbers from another."""

    def __init__(self, topics: Random, numbers: Random) -> None:
        self.topics, self.numbers = topics, numbers
        super().__init__(0)

    def choice(self, seq: Any) -> Any:
        numeric = all(isinstance(x, (int, float)) for x in seq)
        return (self.numbers if numeric else self.topics).choice(seq)

    def random(self) -> float:
        return self.numbers.random()

    def getrandbits(self, k: int, /) -> int:
        return self.numbers.getrandbits(k)


def _question(topic: str, r: Random, number: int) -> Question:
    if topic == "chain-rule":
        return chain_rule_question(r, number)
    if topic == "gates":
        return gates_question(r, number)
    if topic == "matrix":
        return matrix_question(r, number)
    if topic == "backprop":
        return parts_question(r, number)
    return neuron_question(r, number) if number % 3 == 2 else network_question(r, number)


def mark(quiz: Quiz, answers: Mapping[int, str]) -> Report:
    """Mark answers by question number (from 1).

    Raises:
        UsageError: an answer to a question that does not exist.
    """
    for number in answers:
        if not 1 <= number <= len(quiz.questions):
            raise UsageError(f"answer {number}: the quiz has {len(quiz.questions)} questions")
    marks = [
        mark_answer(number, question, answers.get(number, ""))
        for number, question in enumerate(quiz.questions, 1)
    ]
    return Report(quiz, tuple(marks))


# Files -------------------------------------------------------------------------------------


def to_text(quiz: Quiz, part: str = "all") -> str:
    """Questions, then keys and solutions. ``part``: "all", "questions" or "answers"."""
    lines = [f"Quiz: {quiz.topic}, {len(quiz.questions)} questions, seed {quiz.seed}"]
    lines += [f"[{quiz.recipe}]", ""]
    if part != "answers":
        for number, question in enumerate(quiz.questions, 1):
            lines += [f"{number}. {question.prompt}", ""]
    if part != "questions":
        lines += ["Answers", ""]
        for number, question in enumerate(quiz.questions, 1):
            lines.append(f"{number}. {', '.join(question.asked)} = {question.answer}")
            lines += [f"   {line}".rstrip() for line in question.solution.splitlines()]
            lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def to_markdown(quiz: Quiz, part: str = "all") -> str:
    """As ``to_text``, as Markdown; the solutions as code blocks."""
    lines = [f"<!-- {quiz.recipe} -->", f"# Quiz: {quiz.topic}", ""]
    if part != "answers":
        for number, question in enumerate(quiz.questions, 1):
            lines += [f"**{number}.** {escape.markdown(question.prompt)}", ""]
    if part != "questions":
        lines += ["## Answers", ""]
        for number, question in enumerate(quiz.questions, 1):
            lines += [f"**{number}.** {', '.join(question.asked)} = `{question.answer}`", ""]
            lines += ["```text", *question.solution.splitlines(), "```", ""]
    return "\n".join(lines).rstrip() + "\n"


def to_json(quiz: Quiz, part: str = "all") -> dict[str, Any]:
    """Plain data, schema chainrule.quiz/1 (docs/matrix-calculus.md)."""
    return {
        "schema": "chainrule.quiz/1",
        "recipe": quiz.recipe,
        "topic": quiz.topic,
        "seed": quiz.seed,
        "questions": [
            {
                "number": number,
                "kind": q.kind,
                "asked": list(q.asked),
                "tolerance": q.tolerance or None,
                **({} if part == "answers" else {"prompt": q.prompt}),
                **({} if part == "questions" else {"answer": q.answer, "solution": q.solution}),
            }
            for number, q in enumerate(quiz.questions, 1)
        ],
    }


def load(content: str, name: str = "the file") -> Quiz:
    """The quiz that a file holds, in any of the formats.

    The questions are made again from the recipe in the file; nothing else in it is believed.

    Raises:
        UsageError: no recipe, or one of another version whose questions differ.
    """
    found = _RECIPE.search(content)
    if found is None:
        raise UsageError(
            f"{name}: there is no line 'chainrule-quiz/1 topic=...' in it; mark a file that "
            "`chainrule quiz make` wrote"
        )
    topic, n, seed, student, check = found.groups()
    quiz = make(topic, int(n), int(seed), student or "")
    if quiz.check != check:
        raise UsageError(
            f"{name}: this version of chainrule makes other questions from its recipe (check "
            f"{quiz.check}, not {check}); mark it with the version that made it"
        )
    return quiz


_ANSWER = re.compile(
    r"(?:[#>|*•-]+\s+|[#>|*(]+)?"
    r"(?:(?:question|answer|exercise|aufgabe|frage|antwort|no|nr)[.:]?\s*|q\s*(?=\d+\s*[.:)]))?"
    r"\**(\d{1,3})\**(?:\s*(?:[:)=|]|\.(?!\d))+\**|\s*\Z)\s*(.*)",
    re.IGNORECASE,
)
"""1: 2x, Question 1. 2x, **1.** 2x, (1) 2x, | 1 | 2x |, ### 1."""
_PART = re.compile(r"[-*•]?\s*\S{1,24}(?:\s?/\s?\S{1,12})?\s*(?:(?:=|≈|→|->)\s*\S|:\s*[-+−]?[\d.])")
_SAID = re.compile(r"(?:(?:my )?answer|antwort|solution)\s*[:=]\s*", re.IGNORECASE)


def read_answers(
    content: str,
    name: str = "the answers",
    notes: list[str] | None = None,
    prompts: Sequence[str] = (),
) -> dict[int, str]:
    """Answers by number: lines ``1: 2*x*cos(x**2)``, or a JSON list or object.

    A line without a number goes on with the answer before it where it names a part, ``q = 3``, or
    where the number stood alone.

    Args:
        notes: takes what cannot be read, and of two answers the last counts; without it that is an
            error. prompts: the questions, which may stand in the file too.

    Raises:
        UsageError: a line without a number, or a number twice.
    """
    if content.lstrip()[:1] in ("{", "["):
        return _numbered(_json_answers(content, name), notes, len(prompts))

    def refuse(at: int, error: str, note: str) -> None:
        if notes is None:
            raise UsageError(f"{name}:{at}: {error}")
        notes.append(note)

    answers: dict[int, str] = {}
    number = 0
    for at, line in enumerate(map(str.strip, content.splitlines()), 1):
        found = _ANSWER.match(line) or re.match(rf"({number + 1})\s+(\S.*)", line)
        if number and not answers[number] and (line.isdecimal() or _SAID.match(line)):
            found = None  # what stands below a number alone is its answer
        if found is None and (not re.search(r"[^|:\s-]", line) or line.startswith(("#", "<!--"))):
            continue
        if found is None:
            if number and (not answers[number] or _PART.match(line)):
                answers[number] = f"{answers[number]}\n{_SAID.sub('', line, 1)}".strip()
            else:
                said = f"line {at} is unreadable: {line[:60]}"
                refuse(at, "write the question's number first, as in 1: 2*x", said)
            continue
        number, said = int(found[1]), found[2].rstrip("| ") if line[0] == "|" else found[2].strip()
        if any(said.replace("\\", "").startswith(prompt[:20]) for prompt in prompts):
            said = ""
        if said and answers.get(number):
            note = f"question {number} is answered twice"
            refuse(at, note, f"{note}; the last answer counts")
        answers[number] = said or answers.get(number, "")
    return _numbered(answers, notes, len(prompts))


def _numbered(answers: dict[int, str], notes: list[str] | None, count: int) -> dict[int, str]:
    """Those to questions that there are; the others are noted, if there are notes."""
    if notes is None:
        return answers
    notes += [f"there is no question {n}" for n in answers if not 1 <= n <= count]
    return {n: said for n, said in answers.items() if 1 <= n <= count}


def truths(question: Question) -> list[float]:
    """The numbers that a question asks for, as its key has them."""
    said = numbers.labelled(question.answer, question.asked)
    return [numbers.number(said[i]) for i in range(len(question.asked))]


def _json_answers(content: str, name: str) -> dict[int, str]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        # an answer may itself begin with a bracket, but then a number stands before it
        raise UsageError(f"{name}: begins as JSON but is not") from None
    if isinstance(found, dict) and isinstance(found.get("answers"), (dict, list)):
        found = found["answers"]
    pairs = found.items() if isinstance(found, dict) else enumerate(found, 1)
    answers: dict[int, str] = {}
    for key, value in pairs:
        if not str(key).isdecimal() or not isinstance(value, (str, int, float)):
            raise UsageError(
                f'{name}: wanted is an object such as {{"1": "2*x"}} or a list of text'
            )
        answers[int(key)] = str(value)
    return answers


class _Quiz:
    """``cr.explain.quiz(topic, n=5, seed=0)`` makes a quiz; ``mark``, ``load`` and the formats
    hang on it."""

    make = staticmethod(make)
    mark = staticmethod(mark)
    load = staticmethod(load)
    read_answers = staticmethod(read_answers)
    to_text = staticmethod(to_text)
    to_markdown = staticmethod(to_markdown)
    to_json = staticmethod(to_json)

    def __call__(self, topic: str, n: int = 5, seed: int = 0) -> Quiz:
        return make(topic, n, seed)


quiz = _Quiz()
