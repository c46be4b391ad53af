"""Where a computation left the finite numbers, and what to write instead: the report."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chainrule.diagnosis.origins import Origin, origins
from chainrule.diagnosis.remedies import Fix, remedy
from chainrule.diagnosis.rerun import rerun
from chainrule.errors import NonFiniteError

__all__ = ["NonFiniteOriginError", "NonFiniteReport", "nonfinite"]


@dataclass(frozen=True)
class NonFiniteReport:
    """Where what came out of a call stopped being finite; prints as a text.

    Attributes:
        function: the name of what was called.
        failed: the results that are not finite, by path: "" is the only one.
        forward, backward: the first operation of each pass that made non-finite out of finite.
        fix: a form that stays finite, tried; None where none is known.
        where: of a training run, its epoch and step; "" of other calls.
        kind: what came out, "nan" or "inf".
        note: what else is known.
    """

    function: str
    failed: tuple[str, ...]
    forward: Origin | None
    backward: Origin | None
    fix: Fix | None
    where: str = ""
    kind: str = "nan"
    note: str = ""

    def __str__(self) -> str:
        return "\n".join(_lines(self))


class NonFiniteOriginError(NonFiniteError):
    """What ``trace_nonfinite`` raises: ``report``, a ``NonFiniteReport``, and its text."""

    def __init__(self, message: str, report: NonFiniteReport) -> None:
        super().__init__(message)
        self.report = report

    def __reduce__(self) -> Any:
        return NonFiniteError, (str(self),)


def nonfinite(
    f: Callable[..., Any], *args: Any, where: str = "", **keywords: Any
) -> NonFiniteReport | None:
    """Where ``f(*args, **keywords)`` stops being finite; None where all results are finite.

    Args:
        f: a function written with NumPy, or a transformed one: ``cr.value_and_grad(loss)``,
            ``cr.jit(f)``. It is called again, up to a few dozen times, with every operation
            looked at; a function under ``jit`` in the stable form that ``jit`` gives it.
        args, keywords: as ``f`` takes them.
        where: of a training run, for the report.
    """
    with rerun(f, args, keywords) as run:
        failed = run.failed
        if not failed:
            return None
        name = run.name
        kind = "nan" if run.has_nan else "inf"
        forward, backward = origins(run)
    first = forward or backward
    fix = None if first is None else remedy((f, args, keywords), first)
    return NonFiniteReport(name, tuple(failed), forward, backward, fix, where, kind)


# The text ---------------------------------------------------------------------------------


def _lines(report: NonFiniteReport) -> Iterator[str]:
    named = [path for path in report.failed if path]
    what = f"{report.kind} in {', '.join(named[:4]) if named else 'the result'}"
    yield f"{what} of {report.function}{report.where and ' ' + report.where}"
    for origin in (report.forward, report.backward):
        if origin is not None:
            yield from _of_origin(origin)
    if report.forward is report.backward is None:
        yield "  no operation that made it was met: it comes from outside the recorded function"
    if report.note:
        yield f"  note        {report.note}"
    if report.fix is not None:
        yield from _of_fix(report.fix)
    elif report.forward is not None and report.forward.kind == "given":
        yield "  write        a check of the data before the call"


def _of_origin(origin: Origin) -> Iterator[str]:
    at = f" at {list(origin.index)}" if origin.index else ""
    many = f" ({origin.count} of {origin.size} entries)" if origin.size > 1 else ""
    line, text = _place(origin)
    pass_ = f"  {origin.direction:<9}"
    if origin.kind == "given":
        yield f"{pass_}   {origin.operation} has {origin.value:g}{at}{many}"
        return
    operands = ", ".join(
        f"{one.text} = {one.value:.6g}" if one.text else f"{one.value:.6g}"
        for one in origin.operands
    )
    how = "made of infinities" if origin.kind == "combined" else "first made here"
    if origin.edge is None:
        where = f"{pass_}   {line}{text}"
        yield f"{where}{origin.operation} of {operands}{at}: {origin.value:g}, {how}{many}"
    else:
        edge = origin.edge
        local = "" if edge.local is None else f"local slope {edge.local:g}, "
        yield (
            f"{pass_}   {line}{text}{origin.operation} of {operands}{at}: {local}upstream "
            f"{edge.upstream:g}, product {edge.product:g}{many}"
        )
    if origin.hidden_by is not None:
        choice = origin.hidden_by
        yield (
            f"  hidden by   {choice.text or 'a choice'} at {_short(choice.line)}, which takes the "
            "other branch; both are differentiated"
        )


def _place(origin: Origin) -> tuple[str, str]:
    place = origin.place
    if place is None:
        return "", ""
    scope = f"[{place.scope}] " if place.scope else ""
    text = " ".join(place.text.split())
    return (f"{_short(place.line)}  " if place.line else "") + scope, f"{text}    " if text else ""


def _short(line: str) -> str:
    file, _, number = line.rpartition(":")
    return f"{Path(file).name}:{number}"


def _of_fix(fix: Fix) -> Iterator[str]:
    for change in fix.changes[:4]:
        before = " ".join(change.before.split())
        said = "write" if change.is_code else "form "
        yield f"  {said}       {change.after}" + (f"    for {before}" if before else "")
    if fix.source == "compiler":
        yield f"              cr.jit computes it so by itself ({', '.join(fix.rules)})"
    else:
        yield "              which differs only where it was not finite"
    yield f"              {fix.proof}"
