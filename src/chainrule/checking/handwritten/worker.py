"""The process in which a student's program runs: questions in, numbers out, as lines of JSON.

It is started by ``process.Worker`` and gets nothing but the student's file and the arguments of the
exercise. What the program prints goes nowhere.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any


def main() -> None:
    """Answer questions until the input ends."""
    questions = os.fdopen(os.dup(0), "r", encoding="utf-8")
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    settings = json.loads(questions.readline())
    from chainrule.checking.handwritten.confinement import confine

    confine(os.path.dirname(settings["file"]), settings["limits"])
    from chainrule.checking.handwritten.loading import said

    program: Any = None
    for line in questions:
        asked = json.loads(line)
        try:
            if program is None:
                program = _load(settings)
            found = getattr(program, asked["ask"])(*asked["with"])
            answer = {"found": found}
        except BaseException as error:  # exit() and Ctrl-C of the student's too
            answer = {"error": _line(error) + said(error)}
        answer["number"] = asked["number"]
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _load(settings: dict[str, Any]) -> Any:
    from chainrule.checking.handwritten.student import Student, loader

    with open(settings["file"], encoding="utf-8") as file:
        make = loader(file.read(), settings["file"])
    case: Any = None
    if settings["case"]:
        with open(settings["case"], encoding="utf-8") as file:
            text = compile(file.read(), settings["case"], "exec")

        def made(_: Any) -> Any:
            namespace: dict[str, Any] = {"__name__": "case"}
            exec(text, namespace)
            return namespace["check_case"]()

        case = made

    sys.path.insert(0, os.path.dirname(settings["file"]))
    names = {k: settings[k] for k in ("forward", "backward", "cost", "wrt", "needs_loss")}
    return Student(make, case=case, **names)


def _line(error: BaseException) -> str:
    line, trace = "", error.__traceback__
    while trace is not None:
        if os.path.basename(trace.tb_frame.f_code.co_filename) == "homework.py":
            line = f"line {trace.tb_lineno}: "
        trace = trace.tb_next
    return line


if __name__ == "__main__":
    main()
