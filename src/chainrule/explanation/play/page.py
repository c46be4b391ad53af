"""The page of ``chainrule play``: a network that trains in the browser on the reader's table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule import nn
from chainrule.errors import UsageError
from chainrule.explanation.network.stage import SCRIPTS, SHEETS, stage
from chainrule.explanation.page.document import document, header
from chainrule.explanation.play.steps import (
    ACTIVATIONS,
    LOSSES,
    MOST_LAYERS,
    OPTIMIZERS,
    passes_program,
    update_program,
)
from chainrule.render import escape

RATES = {"sgd": 0.1, "momentum": 0.02, "nesterov": 0.02, "rmsprop": 0.003, "adam": 0.01}
INITIALIZERS: Mapping[str, Mapping[str, Any]] = {
    "he_normal": {"fan": "in", "scale": 2},
    "he_uniform": {"fan": "in", "scale": 2, "uniform": True},
    "glorot_normal": {"fan": "average", "scale": 1},
    "glorot_uniform": {"fan": "average", "scale": 1, "uniform": True},
    "lecun_normal": {"fan": "in", "scale": 1},
    "normal": {"std": 0.01},
    "zeros": {"std": 0},
}
"""Those of ``nn.INITIALIZERS`` that the page draws: variance scale / fan, or a fixed deviation."""

UNITS = {"regression": "identity", "binary": "logistic", "multiclass": "softmax"}
DIGITS = 9
RESIDUAL = ", plus inputs"
"""Ends the name of a program whose hidden layers add their inputs; they have one width."""


@dataclass(frozen=True, eq=False)
class Lesson:
    """What the page is to be made of.

    Attributes:
        source, target: names of the data file and of its column.
        task: "regression", "binary" or "multiclass".
        inputs: names of the network's inputs. classes: of the classes.
        numbers: which inputs are numbers, for the axes of the surface.
        parts: "train" and perhaps "test": (x (n, inputs), targets (n,)), targets as classes or
            standardised numbers.
        total: rows of the table.
        hidden, activation, seed: the network to start with.
        center, scale: what standardised targets were made with.
        metadata: the document of a model file, for the export; file: what that is called.
    """

    source: str
    target: str
    task: str
    inputs: Sequence[str]
    classes: Sequence[str]
    numbers: Sequence[int]
    parts: Mapping[str, tuple[np.ndarray, np.ndarray]]
    total: int
    hidden: tuple[int, ...]
    activation: str
    seed: int
    center: float
    scale: float
    metadata: Mapping[str, Any]
    file: str


def page(lesson: Lesson) -> str:
    """The whole page as text: self-contained, it asks for nothing and sends nothing.

    Raises:
        UsageError: more hidden layers, or another activation, than the page has.
    """
    if len(lesson.hidden) > MOST_LAYERS:
        raise UsageError(
            f"hidden={lesson.hidden!r}: the page has up to {MOST_LAYERS} hidden layers"
        )
    if lesson.activation not in ACTIVATIONS:
        raise UsageError(f"activation={lesson.activation!r}: the page has {', '.join(ACTIVATIONS)}")
    data = _data(lesson)
    title = f"{lesson.source}: {lesson.target}"
    notice = (
        f'<p class="notice">This page holds {escape.html(held(lesson))}: whoever has the file has '
        "the data. It trains here, loads nothing and sends nothing.</p>"
    )
    body = (
        header("A network that trains on this page", escape.html(title), notice)
        + f"<main class='lesson'>{_controls(data)}{stage('on one example, at any moment')}"
        + _pictures(data)
        + "</main><noscript><p>The page trains by a script, which this browser does not "
        "run.</p></noscript>"
    )
    scripts = (*SCRIPTS, "graph", "learn", "model", "play")
    return document(f"Training on {title}", body, data, scripts, SHEETS)


def held(lesson: Lesson) -> str:
    """Which of the reader's rows the page holds."""
    counts = {name: len(t) for name, (_, t) in lesson.parts.items()}
    count = sum(counts.values())
    several = count < lesson.total
    rows = f"{count:,} of the table's {lesson.total:,} rows" if several else f"all {count:,} rows"
    parts = " and ".join(f"{n:,} to {name}" for name, n in counts.items())
    return f"{rows} ({parts})"


def _data(lesson: Lesson) -> dict[str, Any]:
    several = lesson.task == "multiclass"
    outputs = list(lesson.classes) if several else [lesson.target]
    losses = LOSSES[lesson.task]
    programs = {
        f"{activation}/{name}{RESIDUAL * residual}": {
            depth: passes_program(
                len(lesson.inputs), len(outputs), depth, activation, losses[name], several, residual
            )
            for depth in range(2 if residual else 0, MOST_LAYERS + 1)
            if depth or activation == ACTIVATIONS[0]
        }
        for name in losses
        for activation in ACTIVATIONS
        for residual in (False, True)
    }
    count = len(lesson.parts["train"][1])
    return {
        "inputs": list(lesson.inputs),
        "outputs": outputs,
        "classes": list(lesson.classes),
        "numbers": list(lesson.numbers),
        "task": lesson.task,
        "unit": UNITS[lesson.task],
        "convention": "inputs_outputs",
        "center": lesson.center,
        "scale": lesson.scale,
        "most": MOST_LAYERS,
        "activations": list(ACTIVATIONS),
        "losses": list(losses),
        "saved": {  # names of the model file, for those that it has; null is the task's own
            name: loss.name
            for name, loss in list(losses.items())[1:]
            if not isinstance(loss, nn.FunctionLoss)
        },
        "rates": RATES,
        "inits": INITIALIZERS,
        "auto": {name: nn.activation(name).init for name in ACTIVATIONS},
        "settings": {
            "hidden": list(lesson.hidden),
            "activation": lesson.activation,
            "loss": next(iter(losses)),
            "optimizer": "sgd",
            "init": "auto",
            "residual": False,
            "rate": RATES["sgd"],
            "l1": 0,
            "l2": 0,
            "batch": min(32, count),
            "epochs": 200,
            "gain": 1,
            "seed": lesson.seed,
        },
        "programs": programs,
        "updates": {name: update_program(name) for name in OPTIMIZERS},
        "rows": {
            name: {"x": _rounded(x), "t": _rounded(t)} for name, (x, t) in lesson.parts.items()
        },
        "document": lesson.metadata,
        "file": lesson.file,
    }


def _rounded(array: np.ndarray) -> list[float | int]:
    found = [float(f"{x:.{DIGITS}g}") for x in np.ravel(array).tolist()]
    return [int(x) if x.is_integer() else x for x in found]


# Parts ------------------------------------------------------------------------------------------


def _choice(key: str, label: str, options: Sequence[str], chosen: str = "") -> str:
    return _choice_of(key, label, [(name, name) for name in options], chosen)


def _choice_of(key: str, label: str, options: Sequence[tuple[Any, str]], chosen: Any) -> str:
    shown = "".join(
        f'<option value="{escape.html(str(value))}"{" selected" if value == chosen else ""}>'
        f"{escape.html(name)}</option>"
        for value, name in options
    )
    return f'<label>{label}<select id="{key}">{shown}</select></label>'


def _number(key: str, label: str, value: Any, more: str = 'step="any" min="0"') -> str:
    return f'<label>{label}<input id="{key}" type="number" value="{value}" {more}></label>'


def _controls(data: Mapping[str, Any]) -> str:
    s = data["settings"]
    hidden = escape.html(", ".join(map(str, s["hidden"])))
    whole = 'step="1" min="{}"'.format
    fields = (
        _number("rate", "learning rate", s["rate"])
        + _number("l2", "penalty L2", s["l2"])
        + _number("l1", "penalty L1", s["l1"])
        + _number("batch", "batch (0: all)", s["batch"], whole(0))
        + _number("epochs", "epochs", s["epochs"], whole(1))
        + f'<label>units per hidden layer<input id="hidden" value="{hidden}" '
        'placeholder="none" autocomplete="off"></label>'
        + _choice("activation", "activation", data["activations"], s["activation"])
        + _choice("residual", "residual layers", ("no", "yes"), "no")
        + _choice("loss", "loss", data["losses"], s["loss"])
        + _choice("optimizer", "optimizer", tuple(data["rates"]), s["optimizer"])
        + _choice("init", "initial weights", ("auto", *data["inits"]), s["init"])
        + _number("gain", "times", s["gain"])
        + _number("seed", "seed", s["seed"], whole(0))
    )
    return (
        '<section class="card controls" aria-label="Training"><div class="drive">'
        '<button type="button" id="play" class="main" aria-pressed="false">train</button>'
        '<button type="button" id="one" class="quiet">one minibatch</button>'
        '<button type="button" id="epoch" class="quiet">one epoch</button>'
        '<button type="button" id="restart" class="quiet">start again</button>'
        '<button type="button" id="export" class="quiet">save the model</button>'
        '<p id="numbers"></p></div>'
        f'<div class="fields">{fields}</div><p id="news" class="news" role="status"></p></section>'
    )


def _pictures(data: Mapping[str, Any]) -> str:
    names = data["inputs"]
    order = [*data["numbers"], *(i for i in range(len(names)) if i not in data["numbers"])]
    axes = [order[0], order[min(1, len(order) - 1)]]

    columns = [(i, names[i][:40]) for i in order]
    return (
        '<section class="card" aria-label="The example and the surface"><h2>Example and surface'
        '</h2><div class="fields">'
        + _choice("part", "rows", list(data["rows"]))
        + '<label>example<input id="row" type="number" min="1" step="1" value="1"></label>'
        + _choice_of("across", "across", columns, axes[0])
        + _choice_of("up", "up", columns, axes[1])
        + '</div><canvas id="surface" width="360" height="360" role="img"></canvas>'
        '<p class="note2">Filled points train, rings test; the other inputs are those of the '
        "example. Each hidden neuron shows its activation over the same two columns.</p></section>"
        '<section class="card below" aria-label="Loss and units"><div><h2>Loss by epoch '
        '<span class="note">'
        '<span class="k train">━ train</span> <span class="k test">━ test</span></span></h2>'
        '<svg id="curve" viewBox="0 0 440 150" role="img"></svg>'
        '</div><div><h2>The units</h2><ul id="health" aria-live="polite"></ul>'
        "<details><summary>The formula with its weights</summary>"
        '<pre id="formula" tabindex="0" aria-label="The formula"></pre></details></div></section>'
    )


__all__ = ["Lesson", "page"]
