"""An explanation as plain text: two tables side by side, as the lecture draws them (L4.3)."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from chainrule.explanation.formula.numbers import array_text, number_text
from chainrule.explanation.render.rows import Row, inputs, rows
from chainrule.explanation.steps.data import Check, Explanation, Quantity, Result, Step

WIDTH = 118


def text(e: Explanation, width: int = WIDTH) -> str:
    """The whole explanation; the backward table stands below the forward one where both do not
    fit side by side."""
    table = rows(e)
    forward = aligned([_forward(e, row.forward) for row in table])
    backward = aligned([_backward(e, row) for row in table])
    lines = [_title(e), ""]
    left, right = max(map(wide, forward), default=0), max(map(wide, backward), default=0)
    if 4 + left + right <= width:
        lines += _beside(forward, backward, left, right)
    else:
        lines += _below(e, table)
    lines += ["", *_results(e), *_foot(e)]
    return "\n".join(line.rstrip() for line in lines)


def wide(line: str) -> int:
    """Columns that a line takes: combining marks take none."""
    return sum(not unicodedata.combining(c) for c in line)


def pad(cell: str, width: int) -> str:
    return cell + " " * (width - wide(cell))


def _title(e: Explanation) -> str:
    shown = e.formula.text() if e.formula is not None else ""
    name = e.name.text()
    given = ", ".join(f"{x.name} = {array_text(x.value, e.precision, 4)}" for x in inputs(e))
    head = f"{name} = {shown}" if shown and shown != name else name
    return f"{head}   at {given}" if given else head


def _forward(e: Explanation, node: Quantity | None) -> list[str]:
    if node is None:
        return []
    return [node.name.text(), f"= {node.formula}", f"= {array_text(node.value, e.precision)}"]


def _backward(e: Explanation, row: Row) -> list[str]:
    step = row.backward
    if step is None:
        return []
    value = array_text(step.value, e.precision)
    if step.kind == "start":
        return [step.name.text(), "", "", "", "", f"= {value}"]
    if step.kind == "sum":
        return [step.name.text(), "", _why(step), None, None, f"= {value}"]  # type: ignore[list-item]
    via = f"from {e.nodes[step.via].name}" if row.branch and step.via is not None else ""
    if step.local is None or step.local_value is None or step.upstream is None:
        return [step.name.text(), via, step.formula.text(), None, None, f"= {value}"]  # type: ignore[list-item]
    local = step.local.text()
    number = array_text(step.local_value, e.precision)
    shown = "" if number == local else f"= {number}"
    upstream = f"× {array_text(step.upstream, e.precision)}"
    return [step.name.text(), via, local, shown, upstream, f"= {value}"]


def _why(step: Step) -> str:
    return step.why.replace(": their gradients", ": they").replace(": its gradients", ": they")


def aligned(table: Sequence[Sequence[str | None]]) -> list[str]:
    """Lines with aligned columns; a cell followed by None runs on over the next columns."""
    count = max(map(len, table), default=0)
    widths = [0] * count
    for row in table:
        for i, cell in enumerate(row):
            runs = i + 1 < len(row) and row[i + 1] is None
            if cell is not None and not runs:
                widths[i] = max(widths[i], wide(cell))
    for row in table:  # long cells may widen the last column that they run over
        for i, cell in enumerate(row):
            last = i
            while last + 1 < len(row) and row[last + 1] is None:
                last += 1
            if cell is not None and last > i:
                room = sum(widths[i : last + 1]) + 2 * (last - i)
                widths[last] += max(0, wide(cell) - room)
    lines = []
    for row in table:
        line, start = "", 0
        for i, cell in enumerate(row):
            if cell is not None:
                line = pad(line, start) + cell
            start += widths[i] + (2 if widths[i] else 0)
        lines.append(line)
    return lines


def _beside(forward: list[str], backward: list[str], left: int, right: int) -> list[str]:
    left, right = max(left, len("forward")), max(right, len("backward: local × upstream"))
    lines = [
        f"  {pad('forward', left)}  backward: local × upstream",
        f"  {'─' * left}  {'─' * right}",
    ]
    lines += [f"  {pad(a, left)}  {b}" for a, b in zip(forward, backward, strict=True)]
    return [*lines, f"  {' ' * left}  read upwards: each line uses what is below it"]


def _below(e: Explanation, table: list[Row]) -> list[str]:
    forward = aligned([_forward(e, row.forward) for row in table if row.forward is not None])
    back = [row for row in reversed(table) if row.backward is not None]
    backward = aligned([_backward(e, row) for row in back])
    return [
        "  forward",
        *(f"    {line}" for line in forward),
        "",
        "  backward: local × upstream",
        *(f"    {line}" for line in backward),
    ]


def _results(e: Explanation) -> list[str]:
    lines = []
    for result in e.results:
        value = array_text(result.value, e.precision)
        if result.formula is None:
            lines.append(f"  {result.name} = {value}   check: {check_text(result, e.precision)}")
            continue
        shown = f" = {result.formula}"
        if shown != f" = {value}":
            shown += f" = {value}"
        lines.append(f"  {result.name}{shown}")
        lines.append(f"    check: {check_text(result, e.precision)}")
    return lines


def check_text(result: Result, precision: int) -> str:
    """The independent number beside a result, in words."""
    check = result.check
    if check.value is None:
        return f"none: {check.note}"
    if check.value.ndim and check.agrees:
        shown = ""
    else:
        shown = " " + array_text(check.value, precision)
    where = " along a random direction" if check.direction is not None else ""
    return f"{check.method}{where}{shown} ({_verdict(check)})"


def _verdict(check: Check) -> str:
    if not check.agrees:
        return check.note or f"DIFFERS by {check.error:.0e}"
    agrees = "equal" if check.error == 0 else f"agrees to {check.error:.0e}".replace("e-0", "e-")
    return f"{agrees}; {check.note}" if check.note else agrees


def _foot(e: Explanation) -> list[str]:
    c = e.counts
    lines = ["", *("  " + line for line in [*e.notes, *([counts_text(e)] if e.results else [])])]
    notes = list(dict.fromkeys(step.note for step in e.steps if step.note))
    lines += [f"  note: {note}" for note in notes]
    return lines if c.edges or notes or not e.results else lines[2:]


def remarks(e: Explanation) -> str:
    """Which readings were taken, and the counts, on one line."""
    return "; ".join([*e.notes, *([counts_text(e)] if e.results else [])])


def counts_text(e: Explanation) -> str:
    """Paths against edges, and what each way of differentiating costs (L2.1, L4.8)."""
    c = e.counts
    return (
        f"counting: {_several(c.paths, 'path')} from input to output over "
        f"{_several(c.edges, 'edge')}; multiplications: reverse mode "
        f"{c.reverse['multiplications']:,}, forward mode {c.forward['multiplications']:,}, "
        f"path by path {c.by_paths['multiplications']:,}"
    )


def _several(n: int, word: str) -> str:
    return f"{n:,} {word if n == 1 else word + 's'}"


__all__ = ["check_text", "number_text", "remarks", "text"]
