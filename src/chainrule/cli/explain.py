"""``chainrule explain``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from chainrule.cli import shared
from chainrule.cli.text import clean
from chainrule.errors import UsageError

if TYPE_CHECKING:
    from chainrule.tabular import Table, TabularModel

__all__ = ["command"]

FORMATS = ("text", "markdown", "latex", "mathml", "html", "svg", "png", "dot", "json")
RENDERERS = {"html": "page"}
"""What a format is called on an Explanation, where the names differ."""

EXAMPLES = """\b
Examples:
  chainrule explain "cos(sin(x**2) + 3*x**2)" x=1
  chainrule explain "f = (x + y)*z" x=-2 y=5 z=-4
  chainrule explain "sin(x**2)" x=1 --format html --out page.html
  chainrule explain "a = w @ x; y = sigma(a); J = -log(y)" w=[1,2] x=[0.5,-1]
  chainrule explain "sum((W @ x)**2)" W=[[1,2],[3,4]] x=[1,0] --format markdown
  chainrule explain "H = relu(X @ W + b)" X=[[1,2]] W=[[1,-1],[2,-2]] b=[0,1] --entry 0,1
  chainrule explain penguins.safetensors penguins.csv --row 3
  chainrule explain "tanh(x)**2" --passes
"""


@click.command(
    "explain",
    epilog=EXAMPLES,
    short_help="Show every step of a derivative.",
    context_settings={"ignore_unknown_options": True},
)
@click.argument("expression", required=False)
@click.argument("values", nargs=-1, metavar="[NAME=VALUE]...")
@click.option("--format", "form", type=click.Choice(FORMATS), default="text", show_default=True)
@click.option(
    "--names",
    type=click.Choice(("lecture", "v")),
    default="lecture",
    show_default=True,
    help="Names of intermediate quantities: t, u1, u2, u or v1, v2, ...",
)
@click.option("--precision", type=int, default=10, show_default=True, help="Significant digits.")
@click.option("--wrt", metavar="NAMES", help="Differentiate by these only, as in x,y.")
@click.option("--entry", metavar="I,J", help="Of an array, explain this entry, counted from 0.")
@click.option("--cotangent", metavar="ARRAY", help="Of an array, pass this back, as [[1,0],[0,1]].")
@click.option("--open", "opened", is_flag=True, help="Show what is inside softmax, norms, losses.")
@click.option("--row", type=int, help="Explain MODEL on this row of DATA (the first is 1).")
@click.option(
    "--convention",
    type=click.Choice(("inputs_outputs", "outputs_inputs", "torch", "bias_row")),
    default="inputs_outputs",
    show_default=True,
    help="With --row: how weight matrices are laid out (L0.3).",
)
@click.option(
    "--passes", is_flag=True, help="Show the compiler's passes and rewrites, and what they leave."
)
@click.option("--out", type=click.Path(path_type=Path), help="Write to a file.")
@click.option("--force", is_flag=True, help="Replace --out if it exists.")
@shared.debug_option
@click.pass_context
def command(
    ctx: click.Context,
    expression: str | None,
    values: tuple[str, ...],
    form: str,
    names: str,
    precision: int,
    wrt: str | None,
    entry: str | None,
    cotangent: str | None,
    opened: bool,
    row: int | None,
    convention: str,
    passes: bool,
    out: Path | None,
    force: bool,
) -> None:
    """Explain the derivative of EXPRESSION at the given values, step by step.

    The expression is written as in NumPy without the np., as on a blackboard, or in LaTeX:
    "cos(sin(x**2) + 3*x**2)", "cos(sin x^2 + 3x^2)", "|x| e^-x", "||W x||^2". Earlier parts
    may assign names: "t = x**2; sin(t)". Nothing of it is evaluated as Python.

    With --row, explain a trained MODEL on one row of DATA: a plain network layer by layer, an
    ensemble or a recipe by what each column adds.
    """
    from chainrule.explanation.formula.parsing import ExpressionError

    _refuse_options((expression or "", *values))
    if out is not None:
        shared.check_output(out, "--out", [], force=force)
    elif form == "png":
        raise UsageError("--format png writes a picture: add --out picture.png")
    try:
        if passes:
            shown: str | bytes = _passes(expression, values)
        elif expression is None:
            raise UsageError('explain needs an expression: chainrule explain "x**2" x=3')
        elif row is None and Path(expression).suffix == ".safetensors":
            data = values[0] if values else "DATA"
            raise UsageError(
                f"{expression} is a model; add the row of the data to explain it on: "
                f"chainrule explain {expression} {data} --row 1"
            )
        elif row is not None:
            shown = _model(expression, values, row, form, precision, convention)
        else:
            more = {**_of_array(entry, cotangent), "opened": opened}
            shown = _expression(expression, values, form, names, precision, wrt, more)
    except ExpressionError as error:
        # The caret needs its own lines, which the one-line messages of other errors have not.
        print(f"chainrule: {error}", file=sys.stderr)
        ctx.exit(2)
    _write(shown, out, force)


def _refuse_options(words: tuple[str, ...]) -> None:
    for word in words:
        if word.startswith("--") and word[2:3].isalpha():
            raise UsageError(
                f"no such option: {word.partition('=')[0]}. See chainrule explain --help"
            )


def _write(shown: str | bytes, out: Path | None, force: bool) -> None:
    if isinstance(shown, str):
        shared.write_text(shown if shown.endswith("\n") else shown + "\n", out, force=force)
    elif out is not None:  # as checked before
        shared.write_file(out, shown, force=force)


def _given(words: tuple[str, ...]) -> dict[str, Any]:
    from chainrule.explanation.formula.parsing import parse_value
    from chainrule.explanation.formula.tokens import tokens

    found: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        name = name.strip()
        if equals and not name.isidentifier():  # ∂f/∂q, a^[1]
            said = tokens(name)
            name = said[0].text if [t.kind for t in said] == ["name", "end"] else ""
        if not equals or not name:
            raise UsageError(f"{word!r}: values are given as NAME=VALUE, for example x=1")
        if name in found:
            raise UsageError(f"{name} is given twice")
        found[name] = parse_value(name, text)
    return found


def _expression(
    text: str,
    words: tuple[str, ...],
    form: str,
    names: str,
    precision: int,
    wrt: str | None,
    more: dict[str, Any],
) -> str | bytes:
    from chainrule.explanation.steps.typed import explain_typed

    given = _given(words)
    chosen = None if wrt is None else [name.strip() for name in wrt.split(",") if name.strip()]
    explanation = explain_typed(text, given, names=names, precision=precision, wrt=chosen, **more)
    return getattr(explanation, RENDERERS.get(form, form))()


def _of_array(entry: str | None, cotangent: str | None) -> dict[str, Any]:
    """Which entry of an array is explained, or what is passed back."""
    from chainrule.explanation.formula.parsing import parse_value

    place = None
    if entry is not None:
        try:
            place = tuple(int(i) for i in entry.strip("[]() ").split(","))
        except ValueError:
            raise UsageError(f"--entry {entry}: whole numbers from 0, as in 0,1") from None
    given = None if cotangent is None else parse_value("--cotangent", cotangent)
    return {"entry": place, "cotangent": given}


def _passes(text: str | None, words: tuple[str, ...]) -> str:
    """The compiler's passes, with counts for the value and gradient of the expression."""
    from chainrule.api import jit, value_and_grad
    from chainrule.compile import listed
    from chainrule.explanation.formula.parsing import arguments, parse

    if text is None:
        return listed()
    given = _given(words)
    expression = parse(text, given)
    for name in expression.names:
        given.setdefault(name, 1.0)
    points = arguments(expression, given)
    both = value_and_grad(expression, tuple(range(len(points))))
    return str(jit(both).passes(*points))


def _model(
    model: str, words: tuple[str, ...], row: int, form: str, precision: int, convention: str
) -> str | bytes:
    from chainrule.explanation.network.explaining import explain_network
    from chainrule.nn import MLP
    from chainrule.tabular import TabularModel, read_table

    if len(words) != 1:
        raise UsageError("--row explains a model on data: chainrule explain MODEL DATA --row 3")
    loaded = TabularModel.load(model)
    network = loaded.network.build()
    table = read_table(words[0], loaded.reading)
    if not 1 <= row <= table.rows:
        raise UsageError(f"--row {row}: {words[0]} has rows 1 to {table.rows}")
    target, title = loaded.target, f"{Path(model).name} on row {row} of {Path(words[0]).name}"
    if not isinstance(network, MLP) or len(loaded.members) > 1:
        return _columns(loaded, table, row, form, title)
    x, _ = loaded.inputs(table)
    explanation = explain_network(
        network,
        loaded.params,
        x[row - 1],
        _truth(loaded, table, row - 1),
        state=loaded.state,
        loss=loaded.loss,
        convention=convention,
        precision=precision,
        inputs=loaded.coding.inputs(),
        outputs=target.classes if target.task == "multiclass" else (target.name,),
        title=title,
    )
    if not hasattr(explanation, RENDERERS.get(form, form)):
        raise UsageError(f"--format {form}: of a network there is no such rendering")
    return getattr(explanation, RENDERERS.get(form, form))()


def _columns(model: TabularModel, table: Table, row: int, form: str, title: str) -> str:
    """What each column adds to the answer, for networks that layer by layer would say little."""
    import json

    import numpy as np

    from chainrule.cli.text import number
    from chainrule.cli.text import table as lined_up
    from chainrule.tabular.attribution import column_gradients
    from chainrule.tabular.words import several

    target = model.target
    networks = several(len(model.members), "network") + f" ({model.network.preset})"
    if form not in ("text", "json"):
        raise UsageError(
            f"--format {form}: shows one plain network layer by layer, and this model holds "
            f"{networks}: take --format text, or train with --preset sklearn"
        )
    x = model.inputs(table)[0][row - 1 : row]
    start = np.zeros(x.shape[1])
    outputs, predicted = model.compute(np.stack([x[0], start]))
    place = int(outputs[0].argmax())
    _, parts = column_gradients(model, x, start, place)
    scale, center = (target.scale, target.center) if target.task == "regression" else (1.0, 0.0)
    added = dict(zip(model.coding.places(), (parts[0] * scale).tolist(), strict=True))
    of = target.classes[place if target.task == "multiclass" else 1] if target.classes else ""
    result: dict[str, Any] = {
        "title": title,
        "networks": len(model.members),
        "output": of or target.name,
        "from": float(outputs[1, place] * scale + center),
        "added": added,
        "to": float(outputs[0, place] * scale + center),
    }
    if of:
        result["probability"] = float(predicted[0, place])
    if form == "json":
        return json.dumps(result, indent=2, ensure_ascii=False)
    rows = [["an average row", "", number(result["from"])]]
    for name in sorted(added, key=lambda name: -abs(added[name])):
        rows.append([name, table[name].text(row - 1) or "missing", f"{added[name]:+.4g}"])
    rows.append(["this row", "", number(result["to"])])
    what = (f"log odds of {of}" if target.task == "binary" else f"score of {of}") if of else "value"
    chance = f", probability {result['probability']:.4g}" if of else ""
    return "\n".join(
        [clean(f"{title}: {networks}{chance}"), "", *lined_up([["", "cell", what], *rows], [2]), "",
         "integrated gradients: what each column adds on the way from the average row to this one"]
    )  # fmt: skip


def _truth(model: Any, table: Any, row: int) -> Any:
    """The row's target as the loss takes it; None if the data have no target there."""
    import numpy as np

    target = model.target
    if target.name not in table or table[target.name].missing[row]:
        return None
    number = target.numbers(table, np.array([row]))[0]
    return (
        target.standardised(number, model.options.loss) if target.task == "regression" else number
    )
