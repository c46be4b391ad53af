"""``chainrule quiz make`` and ``chainrule quiz mark``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from chainrule.cli import shared
from chainrule.errors import UsageError

__all__ = ["command"]

TOPICS = ("chain-rule", "gates", "matrix", "network", "backprop")
FORMATS = ("text", "markdown", "json", "moodle")
LARGEST = 4_000_000

EXAMPLES = """\b
Examples:
  chainrule quiz make --topic gates --n 5 --seed 7
  chainrule quiz make --topic matrix --format markdown --out quiz.md
  chainrule quiz mark quiz.md answers.txt
  chainrule quiz make --topic backprop --students names.csv --format markdown --out class
  chainrule quiz mark class --out marks.csv
  chainrule quiz mark quiz.md "1: A.T @ B.T" "2: 2*x"
"""


@click.group("quiz", epilog=EXAMPLES, short_help="Make questions on derivatives, and mark answers.")
def command() -> None:
    """Make questions on derivatives with keys and worked solutions, and mark answers."""


@command.command("make", short_help="Write questions, an answer key and worked solutions.")
@click.option("--topic", type=click.Choice(TOPICS), required=True)
@click.option("--n", type=click.IntRange(1, 100), default=5, show_default=True)
@click.option("--seed", type=click.IntRange(0, 10**12 - 1), default=0, show_default=True)
@click.option("--format", "form", type=click.Choice(FORMATS), default="text", show_default=True)
@click.option(
    "--part",
    type=click.Choice(("all", "questions", "answers")),
    default=None,
    help="Questions for a class, answers for the teacher, or both. [default: all; with --students "
    "questions]",
)
@click.option(
    "--students",
    type=click.Path(path_type=Path),
    help="A CSV file of names: each student has numbers of their own; --out is a folder.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Write to a file.")
@click.option("--force", is_flag=True, help="Replace --out if it exists.")
@shared.debug_option
def make_command(
    topic: str, n: int, seed: int, form: str, part: str | None, students: Path | None,
    out: Path | None, force: bool,
) -> None:  # fmt: skip
    """The same topic, number and seed give the same quiz."""
    from chainrule.explanation.quiz import asking as quizzes

    if students is not None:
        _make_class(topic, n, seed, form, part or "questions", students, out, force)
        return
    if out is not None:
        shared.check_output(out, "--out", (), force=force)
    made = _written(quizzes.make(topic, n, seed), form, part or "all")
    shared.write_text(made, out, force=force)
    if out is not None:
        print(f"wrote {out}", file=sys.stderr)


def _written(made: Any, form: str, part: str, whose: str = "") -> str:
    from chainrule.explanation.quiz import asking as quizzes

    if form == "json":
        import json

        return json.dumps(quizzes.to_json(made, part), ensure_ascii=False, indent=2) + "\n"
    if form == "moodle":
        from chainrule.explanation.quiz.classes import moodle

        return moodle(made, f"chainrule/{whose or made.topic}")
    return (quizzes.to_markdown if form == "markdown" else quizzes.to_text)(made, part)


ENDINGS = {"text": ".txt", "markdown": ".md", "json": ".json", "moodle": ".xml"}


def _make_class(
    topic: str, n: int, seed: int, form: str, part: str, students: Path, out: Path | None,
    force: bool,
) -> None:  # fmt: skip
    from chainrule.explanation.quiz import classes

    if out is None:
        raise UsageError("--students writes a file for each: add --out FOLDER")
    names = classes.students_in(_content(students), str(students))
    made = classes.sheets(topic, n, seed, names, ENDINGS[form])
    files = {
        out / file: q if isinstance(q, str) else _written(q, form, part, Path(file).stem)
        for file, q in made.items()
    }
    _write_all(out, files, force)
    print(f"wrote the questions of {len(names)} students to {out}", file=sys.stderr)


def _write_all(folder: Path, files: dict[Path, str], force: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for path in files:
        shared.check_output(path, "--out", (), force=force)
    for path, content in files.items():
        shared.write_text(content, path, force=force)


@command.command("mark", short_help="Mark answers, and name the likely slip in wrong ones.")
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("answers", nargs=-1, metavar="[ANSWERS | N:ANSWER]...")
@click.option("--json", "as_json", is_flag=True, help="The marks, as JSON.")
@click.option("--out", type=click.Path(path_type=Path), help="Of a class, the table of marks.")
@click.option("--force", is_flag=True, help="Replace --out and the pages beside it.")
@shared.debug_option
def mark_command(
    file: Path, answers: tuple[str, ...], as_json: bool, out: Path | None, force: bool
) -> None:
    """Mark answers to the quiz in FILE, which `quiz make` wrote in any format but Moodle's.

    FILE may be the folder of a class that `quiz make --students` wrote, with answers beside the
    questions in NAME.answers.txt or answers/NAME.txt. Then --out marks.csv has a line for each
    student, and the folder marks beside it a page for each and a summary of misconceptions.

    ANSWERS is a file with lines such as "1: 2*x*cos(x**2)" (or JSON), "-" for standard input,
    or the answers themselves. Any algebraically equal answer is right.
    """
    from chainrule.explanation.quiz import asking as quizzes

    if file.is_dir():
        _mark_class(file, answers, out, force)
        return
    if not answers:
        raise UsageError('mark takes answers: a file, or "1: 2*x"')
    made = quizzes.load(_content(file), str(file))
    given: dict[int, str] = {}
    for argument in answers:
        found = _answers(argument)
        for number in found.keys() & given.keys():
            raise UsageError(f"question {number} is answered twice")
        given |= found
    report = quizzes.mark(made, given)
    if as_json:
        shared.print_json(report.to_json())
    else:
        shared.print_lines(report.text().splitlines())


def _mark_class(folder: Path, answers: tuple[str, ...], out: Path | None, force: bool) -> None:
    from chainrule.explanation.quiz import classes

    if answers:
        raise UsageError("the answers of a class lie in its folder; none are given beside it")
    found = classes.mark_class(folder)
    said = classes.summary(found)
    if out is None:
        shared.print_lines(classes.summary_text(said).splitlines())
        return
    pages = out.with_suffix("")
    files = {out: classes.marks_table(found), pages / "summary.html": classes.summary_page(said)}
    files |= {pages / f"{m.stem}.html": classes.student_page(m) for m in found}
    _write_all(pages, files, force)
    print(f"marked {len(found)} students: {out}, pages in {pages}", file=sys.stderr)


def _answers(argument: str) -> dict[int, str]:
    """The answers in a file, on standard input, or in the argument itself."""
    from chainrule.explanation.quiz import asking as quizzes

    if argument == "-":
        return quizzes.read_answers(sys.stdin.read(LARGEST), "standard input")
    if argument[:1].isdigit() and not Path(argument).is_file():
        return quizzes.read_answers(argument, "the answers")
    return quizzes.read_answers(_content(Path(argument)), argument)


def _content(path: Path) -> str:
    if path.is_file() and path.stat().st_size > LARGEST:
        raise UsageError(f"{path}: larger than {LARGEST:,} bytes; that is no quiz")
    from chainrule.io import naming

    try:
        with naming(path):
            return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(f"{path}: is not text in UTF-8") from None
