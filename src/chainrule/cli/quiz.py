"""``chainrule quiz make`` and ``chainrule quiz mark``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from chainrule.cli import shared
from chainrule.errors import UsageError

__all__ = ["command"]

TOPICS = ("chain-rule", "gates", "matrix", "network")
FORMATS = ("text", "markdown", "json")
LARGEST = 4_000_000

EXAMPLES = """\b
Examples:
  chainrule quiz make --topic gates --n 5 --seed 7
  chainrule quiz make --topic matrix --format markdown --out quiz.md
  chainrule quiz mark quiz.md answers.txt
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
    default="all",
    show_default=True,
    help="Questions for a class, answers for the teacher, or both.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Write to a file.")
@click.option("--force", is_flag=True, help="Replace --out if it exists.")
@shared.debug_option
def make_command(
    topic: str, n: int, seed: int, form: str, part: str, out: Path | None, force: bool
) -> None:
    """The same topic, number and seed give the same quiz."""
    from chainrule.explanation.quiz import asking as quizzes

    if out is not None:
        shared.check_output(out, "--out", (), force=force)
    made = quizzes.make(topic, n, seed)
    if form == "json":
        import json

        document = quizzes.to_json(made, part)
        content = json.dumps(document, ensure_ascii=False, indent=2) + "\n"
    else:
        write = quizzes.to_markdown if form == "markdown" else quizzes.to_text
        content = write(made, part)
    shared.write_text(content, out, force=force)
    if out is not None:
        print(f"wrote {out}", file=sys.stderr)


@command.command("mark", short_help="Mark answers, and name the likely slip in wrong ones.")
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("answers", nargs=-1, metavar="[ANSWERS | N:ANSWER]...", required=True)
@click.option("--json", "as_json", is_flag=True, help="The marks, as JSON.")
@shared.debug_option
def mark_command(file: Path, answers: tuple[str, ...], as_json: bool) -> None:
    """Mark answers to the quiz in FILE, which `quiz make` wrote in any format.

    ANSWERS is a file with lines such as "1: 2*x*cos(x**2)" (or JSON), "-" for standard input,
    or the answers themselves. Any algebraically equal answer is right.
    """
    from chainrule.explanation.quiz import asking as quizzes

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
