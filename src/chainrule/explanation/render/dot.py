"""An explanation as a graph for Graphviz: values on the nodes, gradients on the edges."""

from __future__ import annotations

from chainrule.explanation.formula.numbers import array_text
from chainrule.explanation.steps.data import Explanation
from chainrule.render import escape


def dot(e: Explanation) -> str:
    """A digraph from left to right; each edge carries what flows back over it."""
    lines = [
        f'digraph "{escape.dot(e.name.text())}" {{',
        "  rankdir=LR;",
        '  node [shape=box, fontname="sans-serif"];',
        '  edge [fontname="sans-serif", fontsize=10];',
    ]
    for node in e.nodes:
        shape = "box" if node.kind == "operation" else "ellipse"
        formula = "" if node.kind != "operation" else f" = {node.formula}"
        parts = [f"{node.name}{formula}", f"= {array_text(node.value, e.precision, 4)}"]
        if node.gradient is not None:
            parts.append(f"gradient {array_text(node.gradient, e.precision, 4)}")
        label = r"\n".join(escape.dot(part) for part in parts)
        lines.append(f'  n{node.id} [shape={shape}, label="{label}"];')
    drawn = set()
    for step in e.steps:
        if step.kind == "backward":
            flow = escape.dot(array_text(step.value, e.precision, 4))
            lines.append(f'  n{step.node} -> n{step.via} [label="{flow}"];')
            drawn.add((step.node, step.via))
    for node in e.nodes:
        lines += [f"  n{x} -> n{node.id};" for x in node.inputs if (x, node.id) not in drawn]
    return "\n".join([*lines, "}"]) + "\n"
