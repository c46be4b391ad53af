"""Questions in parts, whole classes, and the sets of wrong and right answers of one formula."""

from __future__ import annotations

import csv
import os
import random
import re
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from click.testing import CliRunner

from chainrule.cli.quiz import command
from chainrule.errors import UsageError
from chainrule.explanation.quiz import asking as quizzes
from chainrule.explanation.quiz import classes
from chainrule.explanation.quiz.marking import mark_answer
from chainrule.explanation.quiz.numbers import labelled
from chainrule.explanation.quiz.parts import _explained, question_of
from chainrule.explanation.quiz.questions import Mark, Question
from tests.helpers.spellings import SPELLINGS

AT = {"x": -2.0, "y": 5.0, "z": -4.0}


def circuit() -> Question:
    function = "q = x + y; f = q*z"  # L1.3: q = 3, f = -12, df/dq = -4, df/dx = df/dy = -4
    return question_of(function, AT, _explained(function, AT))


def verdicts(mark: Mark) -> dict[str, str]:
    return {p.label: p.verdict for p in mark.parts}


# Parts --------------------------------------------------------------------------------------


def test_the_parts_of_the_lectures_circuit() -> None:
    question = circuit()
    assert question.asked == ("q", "f", "∂f/∂q", "∂f/∂z", "∂f/∂y", "∂f/∂x")
    assert question.answer == "q = 3; f = -12; ∂f/∂q = -4; ∂f/∂z = 3; ∂f/∂y = -4; ∂f/∂x = -4"
    for answer in (question.answer, "3, -12, -4, 3, -4, -4", "fx=-4; fy=-4; fz=q, ",
                   "df/dx = -4; df/dy = -4; q = 3; f = -12; df/dz = 3; df/dq = -4"):  # fmt: skip
        mark = mark_answer(1, question, answer)
        wanted = 2.0 if "fz=q" in answer else 6.0
        assert mark.points == wanted, mark


def test_an_error_counts_once_and_is_carried_forward() -> None:
    # q is wrong, and what follows from 7 is right by it: f = -28, df/dz = 7
    mark = mark_answer(1, circuit(), "q = 7; f = -28; dq = -4; dz = 7; dy = -4; dx = -4")
    assert verdicts(mark) == {"q": "wrong", "f": "carried", "∂f/∂q": "right", "∂f/∂z": "carried",
                              "∂f/∂y": "right", "∂f/∂x": "right"}  # fmt: skip
    assert (mark.points, mark.of, mark.right) == (5.0, 6.0, False)
    # a wrong delta, carried to both inputs; a missing and an unreadable part take nothing else
    mark = mark_answer(1, circuit(), "q = 3; f = ?; dq = 4; dy = 4; dx = 4")
    assert verdicts(mark) == {"q": "right", "f": "unreadable", "∂f/∂q": "wrong", "∂f/∂z": "missing",
                              "∂f/∂y": "carried", "∂f/∂x": "carried"}  # fmt: skip
    assert mark.slip == "sign"
    assert mark.points == 3.0
    # a wrong delta with the true gradients is no contradiction that costs more
    mark = mark_answer(1, circuit(), "q = 3; f = -12; dq = 4; dz = 3; dy = -4; dx = -4")
    assert mark.points == 5.0


def network() -> Question:
    function = ("a1 = v1*x1 + v2*x2; h1 = tanh(a1); a2 = v3*x1 + v4*x2; h2 = tanh(a2); "
                "b = w1*h1 + w2*h2; E = (b - t)**2/2")  # fmt: skip
    names = ("v1", "x1", "v2", "x2", "v3", "v4", "w1", "w2", "t")
    at = dict(zip(names, (0.5, 1.0, -0.6, 0.5, 1.0, 1.5, 0.5, -1.0, 1.0), strict=True))
    return question_of(function, at, _explained(function, at))


def independent(at: dict[str, float], wrong: dict[str, float]) -> dict[str, float]:
    """The network of ``network`` by hand, with some values replaced on the way."""
    v: dict[str, float] = {}

    def put(key: str, value: float) -> None:
        v[key] = value
        v[key] = wrong.get(key, value)

    put("a1", at["v1"] * at["x1"] + at["v2"] * at["x2"])
    put("h1", np.tanh(v["a1"]))
    put("a2", at["v3"] * at["x1"] + at["v4"] * at["x2"])
    put("h2", np.tanh(v["a2"]))
    put("b", at["w1"] * v["h1"] + at["w2"] * v["h2"])
    put("E", (v["b"] - at["t"]) ** 2 / 2)
    put("db", v["b"] - at["t"])
    for h, a, w, (p, q) in (("h2", "a2", "w2", ("v3", "v4")), ("h1", "a1", "w1", ("v1", "v2"))):
        put(f"d{h}", v["db"] * at[w])
        put(f"d{a}", v[f"d{h}"] * (1 - v[h] ** 2))
        put(f"d{w}", v["db"] * v[h])
        put(f"d{p}", v[f"d{a}"] * at["x1"])
        put(f"d{q}", v[f"d{a}"] * at["x2"])
    return v


@pytest.mark.parametrize("place", ["h1", "b", "db", "dh2", "da1"])
def test_a_network_is_marked_as_one_who_goes_on_with_the_error(place: str) -> None:
    question = network()
    at = question.data["at"]
    right, said = independent(at, {}), independent(at, {place: 1.75})
    mark = mark_answer(1, question, "; ".join(f"{k} = {v:.6g}" for k, v in said.items()))
    assert mark.points == mark.of - 1
    wrong = {p.label for p in mark.parts if p.verdict == "wrong"}
    assert wrong == {question.asked[question.data["keys"].index(place.replace("d", "∂"))]}
    changed = sum(abs(said[k] - right[k]) > 0.02 * abs(right[k]) for k in said)
    assert sum(p.verdict == "carried" for p in mark.parts) == changed - 1
    assert mark_answer(1, question, question.answer).points == mark.of


def test_slips_of_parts_are_named() -> None:
    question = network()
    v = independent(question.data["at"], {})
    for key, value, slip in (
        ("dh2", -v["dh2"], "sign"), ("da1", v["dh1"], "missing local derivative"),
        ("dw1", v["h1"], "missing upstream"), ("b", 0.5 * v["h1"], "forgotten branch"),
        ("dw2", v["db"] + v["h2"], "sum for product"),
    ):  # fmt: skip
        said = "; ".join(f"{k} = {value if k == key else x:.6g}" for k, x in v.items())
        assert mark_answer(1, question, said).slip == slip, key


@pytest.mark.parametrize("seed", range(4))
def test_keys_of_parts_have_all_points(seed: int) -> None:
    made = quizzes.make("backprop", 3, seed)
    report = quizzes.mark(made, {i: q.answer for i, q in enumerate(made.questions, 1)})
    assert report.points == report.of > 12
    assert "points" in report.text()
    assert report.to_json()["marks"][0]["parts"][0]["verdict"] == "right"


def test_labels_of_numbers_are_read() -> None:
    asked = ("∂f/∂x", "∂f/∂y", "∂f/∂x₁")
    assert labelled("dy = 2; dx = 1; d f/d x_1 = 3", asked) == {0: "1", 1: "2", 2: "3"}
    assert labelled("1; 2; 3", asked) == {0: "1", 1: "2", 2: "3"}
    assert labelled("[1, 2, 3]", asked)[2] == "3"
    for wrong, why in (("dx = 1; dx = 2; dy = 3", "twice"), ("dw = 1; 2; 3", "not asked for"),
                       ("1; 2", "wanted"), ("1;2;3;4", "wanted")):  # fmt: skip
        with pytest.raises(UsageError, match=why):
            labelled(wrong, asked)
    data = {"function": "x*y", "at": {"x": 2.0, "y": 3.0}, "wrt": ["x", "y"]}
    question = Question("numbers", "", ("∂f/∂x", "∂f/∂y"), "3, 2", "", data, 1e-9)
    assert mark_answer(1, question, "fy = 2; fx = 3").right
    assert not mark_answer(1, question, "fy = 3; fx = 2").right


# Classes ------------------------------------------------------------------------------------


def run(*args: Any) -> Any:
    result = CliRunner().invoke(command, [str(a) for a in args])
    assert result.exception is None or isinstance(result.exception, (SystemExit, UsageError))
    return result


def test_a_class_from_names_to_marks(tmp_path: Path) -> None:
    names = tmp_path / "names.csv"
    names.write_text("name,group\nAda Lovelace,1\nJosé Núñez,2\n=cmd(),2\nNobody,1\n", "utf-8")
    room, out = tmp_path / "class", tmp_path / "marks.csv"
    made = run("make", "--topic", "backprop", "--n", 2, "--seed", 3, "--students", names,
               "--format", "markdown", "--out", room)  # fmt: skip
    assert made.exit_code == 0, made.output
    sheets = {p.stem: p.read_text("utf-8") for p in room.glob("*.md")}
    assert set(sheets) == {"Ada_Lovelace", "Jose_Nunez", "cmd", "Nobody"}
    shown = {k: s.split(" at ")[0] for k, s in sheets.items()}
    assert len({s.split("**1.**")[1] for s in shown.values()}) == 1, "one function for all"
    assert len({s.split("**1.**")[1] for s in sheets.values()}) == 4, "numbers of their own"
    assert not any("Answers" in s for s in sheets.values()), "the key stays with the teacher"
    assert "answer" not in sheets["Nobody"].lower().replace("answers", "")

    ada, jose = (quizzes.load(sheets[k]) for k in ("Ada_Lovelace", "Jose_Nunez"))
    (room / "Ada_Lovelace.answers.txt").write_text(
        f"1: {ada.questions[0].answer}\nwhat a day\n2: {ada.questions[1].answer}\n", "utf-8"
    )
    first = jose.questions[0].answer.split("; ")
    first[-1] = f"{first[-1].split(' = ')[0]} = 0.123"
    first[0] = f"{first[0].split(' = ')[0]} = (("
    (room / "answers").mkdir()
    (room / "answers" / "Jose_Nunez.txt").write_text(f"1: {'; '.join(first)}", "utf-8")
    (room / "cmd.answers.txt").write_bytes(b"\xff\xfe1: 2")
    assert run("mark", room, "--out", out).exit_code == 0
    rows = {r["student"]: r for r in csv.DictReader(out.read_text("utf-8").splitlines())}
    assert set(rows) == {"Ada Lovelace", "José Núñez", "'=cmd()", "Nobody"}
    assert rows["Ada Lovelace"]["points"] == rows["Ada Lovelace"]["of"]
    assert "line 2 is unreadable: what a day" in rows["Ada Lovelace"]["notes"]
    of = len(jose.questions[0].asked)
    assert float(rows["José Núñez"]["q1"]) == of - 2
    assert "no answer to 2" in rows["José Núñez"]["notes"]
    assert "unreadable: ((" in rows["José Núñez"]["notes"]
    assert "not text in UTF-8" in rows["'=cmd()"]["notes"]
    assert rows["Nobody"]["notes"] == "no answers were handed in: there is no Nobody.answers.txt"
    page = (tmp_path / "marks" / "Jose_Nunez.html").read_text("utf-8")
    assert "<h1>José Núñez</h1>" in page
    assert "<h2>Question 1" in page
    assert "backward: local × upstream\n" in page, "the solution, line by line"
    assert "http" not in page.replace("http-equiv", ""), "nothing is loaded"
    summary = (tmp_path / "marks" / "summary.html").read_text("utf-8")
    assert "4 students" in summary
    assert "Nobody: no answers" in summary
    assert run("mark", room, "--out", out).exit_code != 0, "nothing is replaced unasked"
    assert run("mark", room, "--out", out, "--force").exit_code == 0


@pytest.mark.parametrize(
    "content",
    [
        "Question 1: p = 1; q = 2\nQuestion 2: 3",
        "Q1. p = 1; q = 2\nQ2) 3",
        "(1) p = 1; q = 2\n(2) 3",
        "1 p = 1; q = 2\n2 3",
        "1:\np = 1\nq = 2\n\n2:\n3",
        "### 1\np = 1; q = 2\n### 2\n3",
        "| n | answer |\n|---|---|\n| 1 | p = 1; q = 2 |\n| 2 | 3 |",
        "1.\tp = 1; q = 2\r\n2.\t3",
        "**1.** Let f = p q\\. Find it.\nAnswer: p = 1; q = 2\n\n"
        "**2.** Let g = 3\\*x. Find it.\nAnswer: 3",
        "# Quiz\n<!-- recipe -->\n- 2: 3\n- 1: p = 1\n  q = 2",
        "My answers:\n1: p = 1; q = 2\n2: 3\nbye",
    ],
)
def test_answers_as_students_hand_them_in(content: str) -> None:
    prompts, notes = ["Let f = p q. Find it.", "Let g = 3*x. Find it."], list[str]()
    found = quizzes.read_answers(content, "a", notes, prompts)
    assert {n: labelled(said, ("p", "q")[: 3 - n]) for n, said in found.items()} == {
        1: {0: "1", 1: "2"}, 2: {0: "3"},
    }  # fmt: skip
    assert all("My answers" in note or "bye" in note or "n | answer" in note for note in notes)


def test_files_by_any_name_and_in_windows_letters(tmp_path: Path) -> None:
    names = ["anna", "Anna", "李小龙", "con", "José"]
    made = classes.sheets("gates", 1, 5, names, ".md")
    files = [file for file in made if file != "students.csv"]
    assert files == ["anna.md", "Anna_.md", "李小龙.md", "con_.md", "Jose.md"]
    for file, quiz in made.items():
        text = quiz if isinstance(quiz, str) else quizzes.to_markdown(quiz, "questions")
        (tmp_path / file).write_text(text, "utf-8")
    (tmp_path / "answers").mkdir()
    key = {file: f"1: {made[file].questions[0].answer}" for file in files}
    (tmp_path / "ANNA.TXT").write_text(key["anna.md"], "utf-16")
    (tmp_path / "answers" / "Anna_.md").write_text(key["Anna_.md"], "utf-8-sig")
    (tmp_path / "李小龙 answers.txt").write_text(key["李小龙.md"].replace("-", "−"), "utf-8")
    (tmp_path / "answers" / "josé.txt").write_text(key["Jose.md"], "utf-8")
    marked = classes.mark_class(tmp_path)
    assert [m.report.points for m in marked] == [1.0, 1.0, 1.0, 0.0, 1.0]
    assert [m.notes for m in marked if m.student != "con"] == [()] * 4
    table = list(csv.DictReader(classes.marks_table(marked).splitlines()))
    assert table[0]["notes"] == ""


def test_a_comma_is_a_decimal_one_where_something_else_parts() -> None:
    asked = ("x", "y")
    assert labelled("x = 0,5; y = −1,25", asked) == {0: "0.5", 1: "−1.25"}
    assert labelled("4,5", asked) == {0: "4", 1: "5"}


def test_misconceptions_of_a_class_are_counted(tmp_path: Path) -> None:
    students = [f"s{i}" for i in range(3)]
    for file, quiz in classes.sheets("backprop", 1, 5, students, ".md").items():
        text = quiz if isinstance(quiz, str) else quizzes.to_markdown(quiz, "questions")
        (tmp_path / file).write_text(text, "utf-8")
    for i, student in enumerate(students):
        quiz = quizzes.load((tmp_path / f"{student}.md").read_text("utf-8"))
        said = quiz.questions[0].answer.split("; ")
        place = next(k for k, s in enumerate(said) if s.startswith("∂"))
        label, _, value = said[place].partition(" = ")
        if i < 2:
            said = [*said[:place], f"{label} = {-float(value):g}"]
        (tmp_path / f"{student}.answers.txt").write_text(f"1: {'; '.join(said)}", "utf-8")
    summary = dict(classes.summary(classes.mark_class(tmp_path)))
    assert "sign, 2 of 3: s0, s1" in summary["Misconceptions"]


@pytest.mark.parametrize("content", ["", "a\na\n", "name\n"])
def test_lists_of_names_that_are_none(content: str) -> None:
    with pytest.raises(UsageError):
        classes.students_in(content, "names.csv")


_NUMBER = r"-?(?:[0-9]+[.,]?[0-9]*|[.,][0-9]+)(?:[eE][-+]?[0-9]+)?"
FIELD = rf"\{{([0-9]*):NUMERICAL:={_NUMBER}:{_NUMBER}\}}"
"""A field as Moodle reads it: its weight, the number, the error (qtype_multianswer)."""


@pytest.mark.parametrize("topic", ["backprop", "gates", "chain-rule"])
def test_moodles_format(topic: str) -> None:
    made = quizzes.make(topic, 2, 4)
    root = ElementTree.fromstring(classes.moodle(made).encode())
    questions = [q for q in root.iter("question") if q.get("type") != "category"]
    assert len(questions) == 2
    for item, q in zip(questions, made.questions, strict=True):
        text = item.findtext("questiontext/text") or ""
        fields = text.count(":NUMERICAL:=")
        assert item.get("type") == ("essay" if topic == "chain-rule" else "cloze")
        assert fields == (0 if topic == "chain-rule" else len(q.asked))
        grade = q.points if topic == "chain-rule" else sum(map(float, re.findall(FIELD, text)))
        assert float(item.findtext("defaultgrade") or 0) == grade
        assert len(re.findall(FIELD, text)) == fields
    for item in questions:  # docs.moodle.org, Moodle XML format: both are required of each
        assert item.find("name/text") is not None
        assert "\n" in (item.findtext("generalfeedback/text") or "")
        assert "\\n" not in ElementTree.tostring(item, "unicode"), "lines of the solution"
        assert not re.search("commas|as in|your own", item.findtext("questiontext/text") or "")
        assert item.find("questiontext[@format='html']") is not None
        assert {part.tag for part in item} <= {
            "name", "questiontext", "generalfeedback", "graderinfo", "defaultgrade"
        }  # fmt: skip
    assert root.tag == "quiz"
    assert root.findtext("question[@type='category']/category/text") == "$course$/chainrule"
    if topic != "chain-rule":
        first = text.split("NUMERICAL:=")[1].split(":")[0]
        assert float(first) == pytest.approx(quizzes.truths(q)[0])


# Wrong answers of twenty kinds ---------------------------------------------------------------

WRONG: list[tuple[str, str, str, str]] = [
    # what went wrong, function, answer, the slips that name it; a, b, n are drawn
    ("inner derivative forgotten", "sin(a*x**n)", "cos(a*x**n)", "missing inner derivative"),
    ("sign of cosine", "cos(a*x)", "a*sin(a*x)", "sign"),
    ("exponent not lowered", "x**n", "n*x**n", "wrong power"),
    ("exponent not brought down", "x**n", "x**(n-1)", "wrong power|wrong constant"),
    ("exponent lowered by two", "x**n + x", "n*x**(n-2) + 1", "wrong power"),
    ("product of slopes", "x**n*sin(a*x)", "n*x**(n-1)*a*cos(a*x)", "product rule"),
    ("second factor not differentiated", "x**n*exp(a*x)", "n*x**(n-1)*exp(a*x)",
     "forgotten branch"),
    ("first factor not differentiated", "x**n*sin(a*x)", "a*x**n*cos(a*x)", "forgotten branch"),
    ("plus in the quotient rule", "sin(a*x)/(b + x**2)",
     "(a*cos(a*x)*(b + x**2) + 2*x*sin(a*x))/(b + x**2)**2", "sign"),
    ("denominator not squared", "sin(a*x)/(b + x**2)",
     "(a*cos(a*x)*(b + x**2) - 2*x*sin(a*x))/(b + x**2)", "wrong power"),
    ("quotient rule the wrong way round", "sin(a*x)/(b + x**2)",
     "(2*x*sin(a*x) - a*cos(a*x)*(b + x**2))/(b + x**2)**2", "sign"),
    ("constant factor dropped", "b*tanh(x) + x", "1 - tanh(x)**2 + 1", "missing factor"),
    ("outer slope at x", "sin(a*x**n)", "n*a*x**(n-1)*cos(x)", "wrong place"),
    ("not differentiated", "tanh(a*x)", "tanh(a*x)", "not differentiated"),
    ("only the inside differentiated", "exp(x**n)*x", "exp(x**n)*n*x**(n-1) + x*exp(x**n)",
     "not differentiated|wrong power|forgotten branch|product"),
    ("sign of the whole", "x**n*exp(-x)", "-(n*x**(n-1)*exp(-x) - x**n*exp(-x))", "sign"),
    ("times a number too many", "log(b + x**2)", "4*x/(b + x**2)", "wrong constant"),
    ("a branch forgotten", "t = a*x**2; sin(t) + n*t", "2*a*x*cos(a*x**2)", "forgotten branch"),
    ("minus in a difference lost", "exp(a*x) - x**n", "a*exp(a*x) + n*x**(n-1)", "sign"),
    ("a number a little off", "x**n*sin(x)", "n*x**(n-1)*sin(x) + x**n*cos(1.00001*x)",
     "near miss"),
    ("exp lowered like a power", "exp(a*x)", "a*x*exp(a*x - 1)", "wrong local derivative"),
    ("slopes added", "x**2*log(x)", "2*x + 1/x", "product rule"),
    ("one term twice", "x**n*exp(x)", "2*n*x**(n-1)*exp(x)", "product rule"),
    ("by another name", "x**n*exp(a*y)", "a*x**n*exp(a*y)", "wrong variable"),
    ("another name moves", "x**n + sin(a*y)", "n*x**(n-1) + a*cos(a*y)", "not held constant"),
    ("differentiated twice", "log(b + x**2)", "2/(b + x**2) - 4*x**2/(b + x**2)**2",
     "differentiated twice"),
    ("a number in one term", "b*x**2 - sin(a*x)", "7*b*x - a*cos(a*x)", "wrong constant"),
    ("the inside of a sum", "exp(x**n + x)", "exp(x**n + x)", "missing inner derivative"),
    ("of a logistic written out", "1/(1 + exp(-a*x))", "1/(1 + exp(-a*x))*(1 + 1/(1 + exp(-a*x)))",
     "wrong local derivative"),
    ("its inside", "1/(1 + exp(-y*x))", "exp(-y*x)/(1 + exp(-y*x))**2",
     "missing inner derivative"),
]  # fmt: skip
EACH = 10 if os.environ.get("CHAINRULE_FORMULAS") else 2


def drawn(r: random.Random, *texts: str) -> list[str]:
    numbers = {"a": r.randint(2, 5), "b": r.randint(2, 6), "n": r.randint(3, 6)}
    found = []
    for text in texts:
        for letter, value in numbers.items():
            text = text.replace(f"{letter}*", f"{value}*").replace(f"({letter} ", f"({value} ")
            text = text.replace(f"**{letter}", f"**{value}").replace(f"({letter}-", f"({value}-")
        found.append(text)
    return found


def test_wrong_answers_of_many_kinds_are_wrong_and_named() -> None:
    r, named, wrong, kinds = random.Random(3), 0, 0, Counter[str]()
    assert len(WRONG) == 30
    for kind, function, answer, slips in WRONG:
        for _ in range(EACH):
            text, given = drawn(r, function, answer)
            data = {"function": text, "wrt": "x"}
            mark = mark_answer(1, Question("formula", "", ("dJ/dx",), "", "", data), given)
            wrong += not mark.right
            good = mark.slip in slips.split("|")
            named += good
            kinds[kind] += good
    total = EACH * len(WRONG)
    assert wrong >= 0.95 * total
    assert named >= 0.9 * total, kinds


# Right answers in other spellings --------------------------------------------------------------

RIGHT: list[tuple[str, list[str]]] = [
    ("sin(x**2)", [
        "2x cos(x^2)", "2*x*cos(x**2)", "2x·cos(x²)", "2 x cos x²", "cos(x^2) 2x", "x cos(x²)·2",
        r"2x\cos(x^2)", r"$2x \cos\left(x^{2}\right)$", "2x cos(x·x)", "2×x×cos(x²)",
        "dJ/dx = 2x cos(x²)", "f'(x) = 2x cos(x²)", "(2x)(cos(x^2))", "2x sin(x² + π/2)",
        "4x cos(x²)/2", "2x(1 − 2 sin²(x²/2))", "−(−2x) cos(x²)", "2x cos(−x²)",
        r"\frac{4x\cos(x^2)}{2}", "2*x*cos(x^2) + 0"]),
    ("exp(-3*x - 3)", [
        "-3 exp(-3x - 3)", "−3e^{−3x−3}", "-3*e**(-3*x-3)", "-3 e^(-3(x+1))", "-3/e^(3x+3)",
        "-3/exp(3x+3)", r"-3e^{-3x-3}", r"\frac{-3}{e^{3x+3}}", "-3exp(-3x)exp(-3)",
        "-3 e^-3 e^(-3x)", "exp(−3x − 3)·(−3)", "-(3exp(-3x-3))", "-3 exp(-(3x+3))",
        r"-3\exp\left(-3x-3\right)", "−3·exp(−3·(x + 1))", "-1.5*2*exp(-3x-3)", "-3 (e^(x+1))^-3",
        "dJ/dx = −3 exp(−3x − 3)", "-exp(-3x-3)*3", "-3/(e^3 e^(3x))"]),
    ("x**8*16", [
        "128 x^7", "128x⁷", "128*x**7", "128 x^{7}", "x^7·128", "2^7 x^7", "(2x)^7", "128 x^8/x",
        "64 x^7 + 64 x^7", "128 x^3 x^4", r"128\,x^{7}", "128·x⁷", "x⁷×128", "8·16 x^7",
        "128 (x^7)", "128*x*x*x*x*x*x*x", "128 x² x⁵", "dJ/dx = 128x^7", "256 x^7/2",
        r"\frac{128x^8}{x}"]),
    ("1/(1 + exp(-x))", [
        "σ(x)(1 − σ(x))", "sigma(x)*(1-sigma(x))", "e^-x/(1+e^-x)^2", "exp(-x)/(1+exp(-x))**2",
        r"\frac{e^{-x}}{(1+e^{-x})^2}", r"\sigma(x)(1-\sigma(x))", "σ(x) − σ(x)²", "σ(x)σ(−x)",
        "1/(1+e^x) · 1/(1+e^-x)", "1/(2 + e^x + e^-x)", "e^x/(1+e^x)^2", "logistic(x) logistic(-x)",
        "(1 − tanh(x/2)^2)/4", "1/(4 cosh(x/2)^2)", "dJ/dx = σ(x)(1−σ(x))", "σ(x) · (1 − σ(x))",
        "sigmoid(x)(1 - sigmoid(x))", "(1 − σ(x)) σ(x)", "1/(1+e^-x) − 1/(1+e^-x)²",
        "exp(x)/(exp(x)+1)^2"]),
    ("log(1 + x**2)", [
        "2x/(1+x^2)", "2x/(x²+1)", "2*x/(1+x**2)", r"\frac{2x}{1+x^2}", "2x (1+x²)^-1",
        "x/(1/2 + x²/2)", "2x ÷ (1 + x²)", "(2x)/(1+x·x)", "2/(x + 1/x)", "(1+x²)⁻¹·2x",
        "1/(1+x²)·2x", "dJ/dx = 2x/(1+x²)", "4x/(2+2x²)", "2x/(1 + x^2)", "2x·1/(x²+1)",
        r"\frac{1}{1+x^2}\cdot 2x", "−2x/(−1−x²)", "(x+x)/(1+x²)", "2x*(x^2+1)^(-1)",
        "2/x − 2/(x(1+x²))"]),
    ("tanh(3*x)", [
        "3(1 − tanh(3x)^2)", "3 (1 - tanh²(3x))", "3 - 3 tanh(3x)²", "3/cosh(3x)^2",
        "3 sech(3x)^2", "3 sech²(3x)", r"3\operatorname{sech}^2(3x)", "12/(e^(3x)+e^(-3x))^2",
        "3*(1-tanh(3*x)**2)", "3(1−tanh 3x tanh 3x)", r"3\left(1-\tanh^{2}(3x)\right)",
        "(1 − tanh(3x)²)·3", "dJ/dx = 3(1 − tanh²(3x))", "3(1+tanh(3x))(1−tanh(3x))",
        "3/cosh²(3x)", "6/(1 + cosh(6x))", "3(cosh(3x))^-2", "3·(1 − (tanh(3x))²)",
        r"\frac{3}{\cosh^2(3x)}", "-3(tanh(3x)^2 - 1)"]),
    ("tan(x)", [
        "1 + tan(x)^2", "1/cos(x)^2", "sec(x)^2", "sec²(x)", "sec² x", "1 + tan² x", "cos(x)^-2",
        r"\sec^2(x)", r"\frac{1}{\cos^2 x}", "tan²(x) + 1", "1/(1 − sin²x)", "2/(1+cos(2x))",
        "(cos²x + sin²x)/cos²x", "dJ/dx = sec²x", "sec(x)/cos(x)", "1 + sin(x)²/cos(x)²",
        "(1/cos x)^2", "4/(2cos x)^2", "sec(x)·sec(x)", "4/(cos2x + 1)^2 cos²x"]),
    ("sqrt(x)", [
        "1/(2√x)", "1/(2 sqrt(x))", "x^(-1/2)/2", "½ x^(−1/2)", r"\frac{1}{2\sqrt{x}}", "0.5/√x",
        "0.5*x**-0.5", "√x/(2x)", "1/√(4x)", "sqrt(x)/(2x)", "1/(√x+√x)", r"\frac12 x^{-1/2}",
        "(1/2)(1/√x)", "(4x)^(-1/2)", "1/2 * 1/sqrt(x)", "dJ/dx = 1/(2√x)", "0.5 x^{-0.5}",
        "x/(2 x^(3/2))", "½/√x", r"\frac{\sqrt{x}}{2x}"]),
    ("x*log(x)", [
        "log x + 1", "1 + ln x", "ln(x)+1", r"\ln x + 1", r"1+\log(x)", "log(x) + 1", "log(e x)",
        "ln(e·x)", "(x + x log x)/x", "1 − log(1/x)", "dJ/dx = ln x + 1", "ln x + x/x",
        "2 + log(x/e)", "log(x²)/2 + 1", "log_2(x) ln2 + 1", "1+log x", "log(x) + x·(1/x)",
        "(ln x)+1", "ln(x) + x^0", "1 + 2 log √x"]),
    ("max(0, x)*3", [
        "3[x > 0]", "3 [x>0]", "where(x > 0, 3, 0)", "3*where(x > 0, 1, 0)", "[x > 0]·3",
        "[0 < x] 3", "3(1 − [x < 0])", "3/2 + 3/2 sign(x)", "3·[x ≥ 0]", "3 max(0,x)/x",
        "3 relu(x)/x", r"3\,[x > 0]", "dJ/dx = 3[x>0]", "(3)[x > 0]", "3 [x > 0] [x > -1]",
        "1.5 (1 + |x|/x)", "3 − 3[x < 0]", "6[x>0]/2", "3[x>0] + 0[x<0]", "[3x > 0]·3"]),
]  # fmt: skip


def test_four_hundred_equal_spellings_are_right() -> None:
    assert sum(len(spellings) for *_, spellings in [*RIGHT, *SPELLINGS]) > 390
    all_of_them = [*((function, "x", spellings) for function, spellings in RIGHT), *SPELLINGS]
    step = 1 if os.environ.get("CHAINRULE_FORMULAS") else 5
    refused = []
    for k, (function, wrt, spellings) in enumerate(all_of_them):
        data = {"function": function, "wrt": wrt}
        question = Question("formula", "", ("dJ/dx",), "", "", data)
        for given in spellings[k % step :: step]:
            mark = mark_answer(1, question, given)
            if not mark.right:
                refused.append((function, given, mark.says))
    assert not refused
