"""A class: each student's own numbers, all answers marked, and what the teacher should know."""

from __future__ import annotations

import csv
import hashlib
import io
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chainrule.errors import UsageError
from chainrule.explanation.page.document import document
from chainrule.explanation.quiz import asking
from chainrule.explanation.quiz.questions import Quiz, Report
from chainrule.render import escape
from chainrule.render.elements import Markup, element

__all__ = ["Marked", "mark_class", "marks_table", "moodle", "sheets", "student_page", "summary",
           "summary_page", "summary_text"]  # fmt: skip

LARGEST = 4_000_000
MOST_STUDENTS = 2000
INDEX = "students.csv"


def students_in(content: str, name: str) -> list[str]:
    """The names in the first column of a table; a head of ``name`` or ``student`` is none."""
    rows = [row[0].strip() for row in csv.reader(io.StringIO(content)) if row and row[0].strip()]
    if rows and rows[0].lower() in ("name", "names", "student", "students", "id"):
        rows = rows[1:]
    doubled = [who for who, count in Counter(rows).items() if count > 1]
    if doubled:
        raise UsageError(f"{name}: {doubled[0]} is listed twice")
    if not 0 < len(rows) <= MOST_STUDENTS:
        raise UsageError(f"{name}: holds {len(rows)} names; 1 to {MOST_STUDENTS} are read")
    return rows


def mark_of(student: str) -> str:
    """What a student's numbers are drawn by, whoever else is in the class."""
    return hashlib.sha256(student.encode()).hexdigest()[:12]


def sheets(topic: str, n: int, seed: int, students: Sequence[str], ending: str) -> dict[str, Any]:
    """File name -> quiz, one a student, and ``students.csv``, which says whose each is."""
    made: dict[str, Any] = {}
    taken = {f"{word}{ending}" for word in _DEVICES}
    lines = [["student", "file"]]
    for student in students:
        stem = file_stem(student)
        while f"{stem}{ending}".lower() in taken:
            stem += "_"
        taken.add(f"{stem}{ending}".lower())
        made[f"{stem}{ending}"] = asking.make(topic, n, seed, mark_of(student))
        lines.append([student, f"{stem}{ending}"])
    made[INDEX] = _csv(lines)
    return made


def file_stem(student: str) -> str:
    plain = unicodedata.normalize("NFKD", student).encode("ascii", "ignore").decode()
    if not re.search("[A-Za-z0-9]", plain):  # other alphabets stay
        plain = unicodedata.normalize("NFC", student)
    return re.sub(r"[\W_]+", "_", plain).strip("_")[:60] or "student"


_DEVICES = ("con", "prn", "aux", "nul", *(f"{d}{n}" for d in ("com", "lpt") for n in range(10)))
"""What no file may be called on Windows."""


def _csv(rows: Sequence[Sequence[Any]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([[_cell(x) for x in row] for row in rows])
    return out.getvalue()


def _cell(value: Any) -> str:
    """Text that a spreadsheet does not take for a formula."""
    shown = f"{value:g}" if isinstance(value, float) else str(value)
    return "'" + shown if shown.startswith(("=", "+", "@", "\t", "\r")) else shown


@dataclass(frozen=True)
class Marked:
    """One student's marks; ``notes`` say what could not be read and what is missing."""

    student: str
    stem: str
    report: Report
    notes: tuple[str, ...]


def mark_class(folder: Path) -> list[Marked]:
    """Mark all answers in a folder that ``quiz make --students`` filled.

    Answers are ``NAME.answers.txt``, ``NAME.txt`` or ``answers/NAME.txt`` (or .json, .md) beside
    the questions ``NAME.md``, large and small letters alike, by the name of the file or of the
    student. What cannot be read is noted and the rest marked.

    Raises:
        UsageError: no ``students.csv``, or questions that this version makes otherwise.
    """
    index = folder / INDEX
    if not index.is_file():
        raise UsageError(f"{folder}: there is no {INDEX}; `quiz make --students` writes it")
    rows = list(csv.reader(io.StringIO(_text(index))))[1:]
    for row in rows:
        if len(row) != 2 or Path(row[1]).name != row[1]:
            raise UsageError(f"{index}: a line is not a student and a file: {row!r:.80}")
    handed = _handed_in(folder, {INDEX, *(file for _, file in rows)})
    return [_marked(folder, student.removeprefix("'"), file, handed) for student, file in rows]


def _handed_in(folder: Path, sheets: Collection[str]) -> dict[str, Path]:
    """The files of answers, by the names that they may be found under."""
    found: dict[str, Path] = {}
    for path in (*sorted(folder.glob("*")), *sorted((folder / "answers").glob("*"))):
        ours = path.parent == folder and path.name in sheets
        if path.suffix.lower() in (".txt", ".json", ".md") and path.is_file() and not ours:
            stem = re.sub(r"[\s._-]*answers?$", "", path.stem, flags=re.IGNORECASE)
            found.setdefault(stem.lower(), path)
    return found


def _marked(folder: Path, student: str, file: str, handed: Mapping[str, Path]) -> Marked:
    stem = Path(file).stem
    quiz = asking.load(_text(folder / file), file)
    path = handed.get(stem.lower(), handed.get(student.lower()))
    notes: list[str] = []
    answers: Mapping[int, str] = {}
    if path is None:
        notes.append(f"no answers were handed in: there is no {stem}.answers.txt")
    else:
        try:
            prompts = [question.prompt for question in quiz.questions]
            answers = asking.read_answers(_text(path), path.name, notes, prompts)
        except UsageError as error:
            notes.append(str(error).splitlines()[0])
    report = asking.mark(quiz, answers)
    if path is not None:
        missing = [str(m.number) for m in report.marks if m.slip == "no answer"]
        if missing:
            notes.append(f"no answer to {', '.join(missing)}")
        for m in report.marks:
            if m.slip == "not readable":
                notes.append(f"{m.number}: unreadable: {m.given[:60]}")
            notes += [f"{m.number}: {p.label} unreadable: {p.given[:60]}" for p in m.parts
                      if p.verdict == "unreadable"]  # fmt: skip
    return Marked(student, stem, report, tuple(notes))


def _text(path: Path) -> str:
    if not path.is_file():
        raise UsageError(f"{path}: there is no such file")
    if path.stat().st_size > LARGEST:
        raise UsageError(f"{path}: larger than {LARGEST:,} bytes; that is no answer sheet")
    content = path.read_bytes()
    wide = content.startswith((b"\xff\xfe", b"\xfe\xff")) and 0 in content  # Windows' Unicode
    try:
        return content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(f"{path}: is not text in UTF-8") from None


# What comes of it ---------------------------------------------------------------------------


def marks_table(found: Sequence[Marked]) -> str:
    """The marks as CSV: a line a student, a column a question."""
    most = max((len(m.report.marks) for m in found), default=0)
    rows: list[list[Any]] = [
        ["student", "points", "of", *(f"q{i + 1}" for i in range(most)), "slips", "notes"]
    ]
    for m in found:
        each = [x.points for x in m.report.marks] + [""] * (most - len(m.report.marks))
        slips = "; ".join(f"{k}: {v}" for k, v in _slips(m.report).most_common())
        rows.append([m.student, m.report.points, m.report.of, *each, slips, "; ".join(m.notes)])
    return _csv(rows)


def _slips(report: Report) -> Counter[str]:
    found: Counter[str] = Counter()
    for mark in report.marks:
        each = [p.slip for p in mark.parts if p.slip] if mark.parts else [mark.slip]
        found.update(s for s in each if s and s not in ("no answer", "not readable"))
    return found


def student_page(m: Marked) -> str:
    """One student's questions, answers, marks and solutions, as HTML that loads nothing."""
    body = [element("h1", None, m.student)]
    body += [element("p", None, f"{m.report.points:g} of {m.report.of:g} points")]
    body += [_listed(m.notes)] * bool(m.notes)
    for mark, question in zip(m.report.marks, m.report.quiz.questions, strict=True):
        said = [element("h2", None, f"Question {mark.number}: {mark.points:g} of {mark.of:g}")]
        said += [element("p", None, question.prompt)]
        said += [element("p", None, f"Your answer: {mark.given or 'none'}")]
        said += [_listed(mark.says.splitlines())]
        if not mark.right:
            said += [element("p", None, f"Answer: {mark.answer}")]
            lines = map(escape.html, question.solution.splitlines())
            said += [element("pre", {"tabindex": 0}, Markup("\n".join(lines)))]
        body.append(element("section", {"class": "card"}, *said))
    return _page(m.student, body)


def _listed(lines: Sequence[str]) -> Markup:
    return element("ul", None, *(element("li", None, line) for line in lines))


def _page(title: str, body: Sequence[Markup]) -> str:
    return document(title, element("main", {"class": "marks"}, *body), {}, (), ())


Summary = Sequence[tuple[str, Sequence[str]]]
"""Headings, and the lines below each."""


def summary(found: Sequence[Marked]) -> Summary:
    """For the teacher: points, the misconceptions by how many have them, what to look at."""
    points = sorted(m.report.points / m.report.of for m in found if m.report.of)
    middle = points[len(points) // 2] if points else 0.0
    who: dict[str, list[str]] = {}
    for m in found:
        for slip in _slips(m.report):
            who.setdefault(slip, []).append(m.student)
    slips = [
        f"{slip}, {len(names)} of {len(found)}: {', '.join(names[:20])}"
        for slip, names in sorted(who.items(), key=lambda pair: -len(pair[1]))
    ]
    most = max((len(m.report.marks) for m in found), default=0)
    shares = [[m.report.marks[i].points / m.report.marks[i].of for m in found
               if i < len(m.report.marks)] for i in range(most)]  # fmt: skip
    each = [f"{i}: {sum(of) / len(of):.0%} of the points" for i, of in enumerate(shares, 1)]
    noted = [f"{m.student}: {'; '.join(m.notes)}" for m in found if m.notes]
    return [
        ("Summary", [f"{len(found)} students, median {middle:.0%} of the points"]),
        ("Misconceptions", slips or ["none was recognised"]),
        ("Questions", each),
        *([("To look at", noted)] if noted else []),
    ]


def summary_text(said: Summary) -> str:
    return "\n\n".join("\n".join([head, *(f"  {line}" for line in lines)]) for head, lines in said)


def summary_page(said: Summary) -> str:
    body = [part for head, lines in said for part in (element("h2", None, head), _listed(lines))]
    return _page("Summary", body)


_HOW_TO_WRITE = re.compile(
    r", in this order, separated by commas| Write each with its name, as in .*?; .*?\.(?= |$)"
    r"| A part is right if it follows from your own earlier ones\."
)
"""What a sheet says of one line of answers: Moodle has a field for each, and marks them alone."""


def moodle(quiz: Quiz, category: str = "chainrule") -> str:
    """The quiz as Moodle XML: numbers and parts as numerical fields, formulas as essays with the
    key for the marker."""
    from xml.etree import ElementTree as ET

    root = ET.Element("quiz")
    head = ET.SubElement(root, "question", type="category")
    ET.SubElement(ET.SubElement(head, "category"), "text").text = f"$course$/{category}"
    for i, q in enumerate(quiz.questions, 1):
        numeric = q.kind in ("numbers", "parts")
        item = ET.SubElement(root, "question", type="cloze" if numeric else "essay")
        ET.SubElement(
            ET.SubElement(item, "name"), "text"
        ).text = f"{quiz.topic} {quiz.seed} question {i}"
        prompt = _HOW_TO_WRITE.sub("", q.prompt) if numeric else q.prompt
        said = f"<p>{escape.html(prompt)}</p>"
        if numeric:
            said += "".join(f"<p>{escape.html(a)} = {_field(t, q.tolerance)}</p>"
                            for a, t in zip(q.asked, asking.truths(q), strict=True))  # fmt: skip
        text = ET.SubElement(item, "questiontext", format="html")
        ET.SubElement(text, "text").text = said
        feedback = ET.SubElement(item, "generalfeedback", format="html")
        lines = "\n".join(map(escape.html, q.solution.splitlines()))
        ET.SubElement(feedback, "text").text = f"<pre>{lines}</pre>"
        if not numeric:
            info = ET.SubElement(item, "graderinfo", format="html")
            ET.SubElement(info, "text").text = f"<p>{escape.html(q.answer)}</p>"
        grade = len(q.asked) if numeric else q.points  # each field has one, and Moodle adds them
        ET.SubElement(item, "defaultgrade").text = f"{grade:g}"
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, "unicode") + "\n"


def _field(truth: float, tolerance: float) -> str:
    """A numerical field of a cloze question: the value and the error allowed."""
    allowed = max(abs(truth) * tolerance, 1e-9)
    return f"{{1:NUMERICAL:={truth:.10g}:{allowed:.3g}}}"
