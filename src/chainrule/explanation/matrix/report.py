"""The renderings of a matrix derivative: text, Markdown, LaTeX, JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chainrule.explanation.matrix.index import write_terms
from chainrule.explanation.matrix.text import code, latex, shape_text, text
from chainrule.explanation.matrix.tree import SCALAR, Node, split

if TYPE_CHECKING:
    from chainrule.explanation.matrix.explaining import MatrixDerivative, MatrixStep

__all__ = ["factors", "to_json", "to_latex", "to_markdown", "to_text"]


def factors(node: Node) -> list[list[tuple[str, str, str]]]:
    """For each term the factors: text, LaTeX and shape."""
    terms = node.args if node.op == "add" else (node,)
    found = []
    for term in terms:
        _, bare = split(term)
        whole = bare.op == "mul" and bare.shape == SCALAR and SCALAR not in _shapes(bare)
        parts = bare.args if bare.op == "mul" and not whole else (bare,)
        found.append([(text(p), latex(p), shape_text(p.shape)) for p in parts])
    return found


def _shapes(node: Node) -> list:
    return [a.shape for a in node.args]


def _symbols(result: MatrixDerivative) -> list[tuple[str, str]]:
    found = []
    for name, node in result.symbols.items():
        words = [shape_text(node.shape), *node.data[1]]
        found.append((text(node), " ".join(words), name))
    return [(shown, words) for shown, words, _ in found]


def _left(result: MatrixDerivative, step: MatrixStep) -> str:
    return step.left.replace(result.wrt, text(result.symbols[result.wrt]))


def _rules(step: MatrixStep) -> str:
    return ", ".join(name for name, _ in step.rules)


def _index_left(result: MatrixDerivative, as_latex: bool) -> str:
    rows, columns = result.function.shape
    outer = ("" if rows == 1 else "i") + ("" if columns == 1 else "j")
    rows, columns = result.symbols[result.wrt].shape
    inner = ("" if rows == 1 else "k") + ("" if columns == 1 else "l")
    name = result.symbols[result.wrt]
    if as_latex:
        below = rf"\partial {latex(name)}" + (f"_{{{inner}}}" if inner else "")
        return rf"\frac{{\partial F_{{{outer}}}}}{{{below}}}"
    return f"∂F_{outer}/∂{text(name)}" + (f"_{inner}" if inner else "")


def check_text(result: MatrixDerivative) -> str:
    """What was tried, in words."""
    tried = "; ".join(", ".join(f"{k}={v}" for k, v in s.items()) for s in result.check.sizes)
    where = f" with {tried}" if tried else ""
    close = f"to {result.check.difference:.0e}" if result.check.difference else "exactly"
    return f"agrees with the engine at random values{where} ({close})"


def to_text(result: MatrixDerivative) -> str:
    """Lines for a terminal."""
    lines = [f"F = {text(result.function)}    ({result.kind})"]
    lines.append("    " + ", ".join(f"{name}: {words}" for name, words in _symbols(result)))
    lines.append("")
    rows = _step_rows(result)
    width = max((len(row[0]) for row in rows), default=0)
    lines += [f"{shown.ljust(min(width, 60))}   {rules}".rstrip() for shown, rules in rows]
    lines.append("")
    if result.derivative is not None:
        shape = shape_text(result.derivative.shape)
        lines.append(f"{result.layout} layout: {shape}")
        lines += [
            "    " + " · ".join(f"{t} ({s})" for t, _, s in term)
            for term in factors(result.derivative)
        ]
    lines += [f"note: {note}" for note in result.notes]
    lines.append(f"check: {check_text(result)}")
    return "\n".join(lines)


def _step_rows(result: MatrixDerivative) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    last = ""
    for step in result.steps:
        left = _left(result, step)
        lead = " " * len(left) if left == last else left
        rows.append((f"{lead} = {text(step.right)}", _rules(step)))
        last = left
    if result.index or result.derivative is None:
        rows.append(
            (f"{_index_left(result, False)} = {write_terms(list(result.index))}", "read off")
        )
    return rows


def _latex_rows(result: MatrixDerivative) -> list[tuple[str, str, str]]:
    rows = []
    last = ""
    by = latex(result.symbols[result.wrt])
    for step in result.steps:
        left = rf"\frac{{\partial F}}{{\partial {by}}}" if step.left[0] == "∂" else (
            r"dF^{\top}" if step.left == "dFᵀ" else "dF"
        )  # fmt: skip
        rows.append(("" if left == last else left, latex(step.right), _rules(step)))
        last = left
    if result.derivative is None:
        terms = write_terms(list(result.index), latex=True)
        rows.append((_index_left(result, True), terms, "read off"))
    return rows


def to_latex(result: MatrixDerivative) -> str:
    """An ``aligned`` block for math mode, with dollars, as notebooks show it."""
    rows = [("F", latex(result.function), ""), *_latex_rows(result)]
    body = " \\\\\n".join(
        rf"{left} &= {right}" + (rf" && \text{{{_plain(why)}}}" if why else "")
        for left, right, why in rows
    )
    return "$$\\begin{aligned}\n" + body + "\n\\end{aligned}$$"


def _plain(words: str) -> str:
    """Words of rule names for ``\\text``; they are ours and hold no special characters but -."""
    return words.replace("( )", "").replace("&", "and")


def to_markdown(result: MatrixDerivative) -> str:
    """A section with the formulas, the rules used, shapes and check."""
    lines = [f"### Derivative of `{_ticks(result.source)}` by `{result.wrt}`", ""]
    lines += [to_latex(result), ""]
    sentences = {name: said for step in result.steps for name, said in step.rules}
    lines += ["| rule | says |", "|---|---|"]
    lines += [f"| {name} | {_cell(said)} |" for name, said in sentences.items()]
    lines += ["", "| symbol | shape |", "|---|---|"]
    lines += [f"| {name} | {words} |" for name, words in _symbols(result)]
    if result.derivative is not None:
        lines += ["", f"| factor of the result ({result.layout} layout) | shape |", "|---|---|"]
        for term in factors(result.derivative):
            lines += [f"| ${math}$ | {shape} |" for _, math, shape in term]
    lines += ["", *(f"Note: {note}.\n" for note in result.notes)]
    lines.append(f"Check: {check_text(result)}.")
    return "\n".join(lines) + "\n"


def _cell(words: str) -> str:
    return words.replace("|", r"\|")


def _ticks(source: str) -> str:
    return source.replace("`", "'")


def to_json(result: MatrixDerivative) -> dict[str, Any]:
    """A document with the fields described in docs/matrix-calculus.md."""
    return {
        "schema": "chainrule.matrix-derivative/1",
        "expression": result.source,
        "wrt": result.wrt,
        "layout": result.layout,
        "kind": result.kind,
        "function": _spelled(result.function),
        "symbols": {
            name: {"shape": list(node.shape), "flags": list(node.data[1])}
            for name, node in result.symbols.items()
        },
        "derivative": None if result.derivative is None else _spelled(result.derivative),
        "index_notation": None
        if result.derivative is not None
        else {
            "text": result.derivative_text,
            "latex": result.derivative_latex,
            "kronecker": result.kronecker_text,
        },
        "shape": list(result.shape),
        "factors": []
        if result.derivative is None
        else [
            [{"text": t, "latex": m, "shape": s} for t, m, s in term]
            for term in factors(result.derivative)
        ],
        "steps": [
            {
                "left": step.left,
                "text": text(step.right),
                "latex": latex(step.right),
                "rules": [{"name": n, "sentence": s} for n, s in step.rules],
            }
            for step in result.steps
        ],
        "notes": list(result.notes),
        "check": {
            "sizes": [dict(s) for s in result.check.sizes],
            "largest_relative_difference": result.check.difference,
        },
    }


def _spelled(node: Node) -> dict[str, Any]:
    return {
        "text": text(node), "latex": latex(node), "code": code(node), "shape": list(node.shape)
    }  # fmt: skip
