"""The page of a network on one example: neurons as in L0.2 beside the module table of L4.4."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.explanation.formula.numbers import number_text
from chainrule.explanation.network.data import Line, Module, NetworkExplanation
from chainrule.explanation.network.modules import SIMPLE_DELTA
from chainrule.explanation.network.stage import SCRIPTS, SHEETS, stage
from chainrule.explanation.network.text import LAYOUTS, agreement, value_text
from chainrule.explanation.page import formula as page_formula
from chainrule.explanation.page.document import document, header, math
from chainrule.render import escape

RATE = 0.1
"""Of the step that the page shows for a weight."""
DIGITS = 5


def page(e: NetworkExplanation) -> str:
    """The whole page as text, self-contained."""
    title = e.title or "A network on one example"
    what = f"convention {e.convention}: {LAYOUTS[e.convention]}"
    notice = f'<p class="notice">{escape.html(what)}</p>'
    body = (
        header("A network on one example, forward and backward", escape.html(title), notice)
        + f'<main class="network">{stage("z = Σ w a + b, a = g(z); δ = ∂J/∂z")}{_table(e)}</main>'
        + f"<footer><p>{escape.html(agreement(e))}</p></footer>"
    )
    data = {"net": _net(e), "pass": _pass(e)}
    return document(title, body, data, (*SCRIPTS, "network"), (*SHEETS, "network"))


def _net(e: NetworkExplanation) -> dict[str, Any]:
    count = len(e.prediction)
    outputs = e.outputs if len(e.outputs) == count else [f"output {k + 1}" for k in range(count)]
    target = None
    if e.target is not None and count > 1 and np.max(e.target) == 1:
        target = outputs[int(np.argmax(e.target))]
    return {
        "sizes": [len(e.x), *(len(layer.z) for layer in e.neurons)],
        "inputs": list(e.inputs) or [f"x{i + 1}" for i in range(len(e.x))],
        "outputs": list(outputs),
        "activations": [layer.activation for layer in e.neurons[:-1]],
        "unit": next(m.title for m in e.modules if m.kind == "output activation"),
        "loss": e.loss_name.replace("_", " "),
        "matched": e.loss_name in SIMPLE_DELTA,
        "convention": e.convention,
        "rate": RATE,
        "targetText": target,
        "normalised": any(module.kind == "normalisation" for module in e.modules),
        "residual": [module.layer for module in e.modules if module.kind == "residual"],
    }


def _pass(e: NetworkExplanation) -> dict[str, Any]:
    layers = []
    for own, params, slopes in zip(
        e.neurons, e.params["layers"], e.gradient["layers"], strict=True
    ):
        layers.append(
            {
                "weights": _list(params["weights"]),
                "bias": _list(params["bias"]) if "bias" in params else None,
                "gw": _list(slopes["weights"]),
                "gb": _list(slopes["bias"]) if "bias" in slopes else None,
                **{k: _list(getattr(own, k)) for k in ("z", "h", "a", "slope", "up", "delta")},
            }
        )
    return {
        "x": _list(e.x),
        "target": None if e.target is None else _list(e.target),
        "prediction": _list(e.prediction),
        "loss": _list(e.loss)[0],
        "layers": layers,
    }


def _list(array: Any) -> list[float | str]:
    return [x if np.isfinite(x) else str(x) for x in np.ravel(array).astype(float).tolist()]


# The module table -------------------------------------------------------------------------------


def _table(e: NetworkExplanation) -> str:
    marks = {page_formula.canonical(line.name.mathml()): ("data-u", 1) for line in e.deltas}
    for module in e.modules:
        for line in module.backward:
            marks.setdefault(page_formula.canonical(line.name.mathml()), ("data-u", 1))
    rows = "".join(_module(e, module, marks) for module in e.modules)
    head = "".join(
        f'<th scope="col">{text}</th>' for text in ("", "formula", "local", "× upstream", "value")
    )
    return (
        '<section class="card table" aria-label="The modules"><h2>The modules '
        '<span class="note">from the loss down; green forward, red backward</span></h2>'
        '<div class="modulebox" tabindex="0"><table class="modules"><caption class="unseen">Each '
        "module: what it computes, and its gradients as local times upstream</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div></section>"
    )


def _module(e: NetworkExplanation, module: Module, marks: dict[str, tuple[str, int]]) -> str:
    rows = [
        f'<tr class="of"><th colspan="5" scope="colgroup">{escape.html(module.heading)}</th></tr>'
    ]
    rows += [_line(e, module, line, "f", {}) for line in module.forward]
    rows += [_line(e, module, line, "b", marks) for line in module.backward]
    return "".join(rows)


def _line(
    e: NetworkExplanation,
    module: Module,
    line: Line,
    kind: str,
    marks: dict[str, tuple[str, int]],
) -> str:
    def shown(value: Any) -> str:
        if np.size(value) == 1:
            return escape.html(number_text(np.reshape(value, ()), DIGITS))
        return escape.html(value_text(e, value, 3))

    name = math(page_formula.checked(line.name.mathml(), {}))
    formula = math(page_formula.checked(line.formula.mathml(), marks))
    factors = ""
    if line.local is not None:
        factors = (
            f'<td class="local">{shown(line.local)}</td><td class="up">{shown(line.upstream)}</td>'
        )
    wide = "" if factors else ' colspan="3"'
    return (
        f'<tr class="{kind}" data-pass="{kind}" data-layer="{module.layer}">'
        f'<th scope="row">{name}</th><td class="formula"{wide}>{formula}</td>{factors}'
        f'<td class="number">{shown(line.value)}</td></tr>'
    )


__all__ = ["page"]
