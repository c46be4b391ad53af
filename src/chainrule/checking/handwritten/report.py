"""What a check of a hand-written backward pass says, as text and as data."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from chainrule.checking.report import details, sampling

if TYPE_CHECKING:
    from chainrule.checking.handwritten.mistakes import Mistake
    from chainrule.checking.handwritten.search import HomeworkCheck

HINTS = 3
"""Levels: 0 right or wrong, 1 what to think about, 2 the line, 3 what to write."""


def text(check: HomeworkCheck, hints: int = HINTS) -> str:
    lines: list[str] = []
    if check.error:
        lines += [f"the program itself stops at {check.error}", ""]
    for p in check.parameters:
        shape = f" ({'×'.join(map(str, p.check.given.shape))})" if p.check is not None else ""
        said = {"wrong": "WRONG", "missing": "MISSING", "follows": "wrong, but it follows"}
        note = f": {p.note}" if p.note and p.status != "correct" else ""
        lines.append(f"{p.name}{shape}: {said.get(p.status, p.status)}{note}")
        if p.check is not None:
            shown = details(p.check) if p.status == "wrong" else sampling(p.check)
            lines += [f"  {line}" for line in shown]
    for number, mistake in enumerate(check.mistakes, 1):
        lines += ["", *_mistake(check, mistake, number, hints)]
    if check.is_open:
        lines += ["", "nothing could be decided: the loss jumps, or its rounding hides its slopes"]
    elif not check.ok and not check.explained:
        lines += ["", "no single common mistake explains " + ("the rest" if check.mistakes else
                  "this") + "; look at the patterns above"]  # fmt: skip
    lines += ["", *check.notes]
    total = sum(p.of for p in check.parameters)
    lines.append(f"points: {check.points:g} of {total:g}")
    return "\n".join(lines).replace("\n\n\n", "\n\n")


def _mistake(check: HomeworkCheck, mistake: Mistake, number: int, hints: int) -> list[str]:
    edit = mistake.edit
    if hints <= 0:
        return []
    lines = [f"likely {number}  {mistake.kind}: {mistake.teaches}"]
    if hints >= 2:
        where = edit.old or "a line is missing before this one"
        lines.append(f"where     {check.file}:{edit.line}   {where}")
    if hints >= 3:
        lines.append(f"try       {edit.new or 'leave it out'}")
        tried = "tried: this makes" if mistake.is_tried else "not tried: the numbers would make"
        lines.append(f"          ({tried} {', '.join(mistake.mends)} right)")
    return lines


def data(check: HomeworkCheck, hints: int = HINTS) -> dict[str, Any]:
    """Plain data for graders, version 1 of docs/checking.md."""

    def number(x: float) -> float | None:
        return x if math.isfinite(x) else None

    parameters = []
    for p in check.parameters:
        worst = p.check.worst if p.check is not None else None
        parameters.append(
            {
                "name": p.name,
                "status": p.status,
                "points": p.points,
                "of": p.of,
                "note": p.note,
                "pattern": p.check.pattern if p.check is not None else "",
                "missed": p.check.missed if p.check is not None else 0.0,
                "worst": None
                if worst is None
                else {
                    "index": list(worst.index),
                    "given": number(worst.given),
                    "true": number(worst.true),
                    "error": number(worst.error),
                },
            }
        )
    mistakes = [
        {
            "kind": m.kind,
            "teaches": m.teaches,
            **({"line": m.edit.line, "code": m.edit.old} if hints >= 2 else {}),
            **({"instead": m.edit.new} if hints >= 3 else {}),
            "mends": list(m.mends),
        }
        for m in check.mistakes
    ]
    return {
        "version": 1,
        "file": check.file,
        "ok": check.ok,
        "error": check.error,
        "points": check.points,
        "of": sum(p.of for p in check.parameters),
        "parameters": parameters,
        "mistakes": mistakes if hints >= 1 else [],
        "explained": check.explained,
        "notes": list(check.notes),
    }
