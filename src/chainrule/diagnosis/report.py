"""The report of a training as one page: self-contained, without scripts, for screen and paper."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from chainrule.diagnosis.importance import importance
from chainrule.diagnosis.tables import Trial, Verdict, held_out
from chainrule.render.charts import bars, lines
from chainrule.render.elements import Markup, element, joined, table
from chainrule.render.page import page
from chainrule.tabular import Plan
from chainrule.tabular.network import layers_text
from chainrule.tabular.scoring import Judged
from chainrule.tabular.words import outcome
from chainrule.version import __version__

__all__ = ["report_page"]

MOST_CLASSES, MOST_POINTS, WORST = 12, 400, 10


def report_page(
    plan: Plan, verdict: Verdict, trials: Sequence[Trial] = (), command: str = ""
) -> str:
    """The whole HTML document.

    Args:
        plan: what was trained by. verdict: what came of it. trials: changes that were tried.
        command: what to type to do it again.
    """
    parts = (_findings, _scores, _curves, _layers, _errors, _columns, _worst, _data, _setting,
             _trust, _again)  # fmt: skip
    about = _About(plan, verdict, trials, command)
    body = joined(section for part in parts for section in part(about))
    name = plan.target.name
    head = element(
        "header",
        None,
        element("h1", None, f"Predicting {name}"),
        element("p", {"class": "lead"}, _lead(about)),
    )
    return page(f"Predicting {name}: report", element("main", None, head, body), styles=(STYLE,))


class _About:
    """What every section draws on."""

    def __init__(self, plan: Plan, verdict: Verdict, trials: Sequence[Trial], command: str) -> None:
        self.plan, self.verdict, self.trials, self.command = plan, verdict, trials, command
        self.model = verdict.model
        rows = held_out(plan)
        self.held, part = rows.name, rows.part
        self.judged: Judged = self.model.judge(part.x, part.truth, part.weights, only=rows.only)

    @property
    def classes(self) -> tuple[str, ...]:
        return self.plan.target.classes


def _number(x: float) -> str:
    """Four digits, or whole numbers with their thousands apart."""
    return f"{x:,.0f}" if 1e4 <= abs(x) < 1e9 else f"{x:.4g}"


def _section(title: str, *children: str) -> Markup:
    return element("section", None, element("h2", None, title), *children)


def _paragraph(text: str, name: str | None = None) -> Markup:
    return element("p", {"class": name}, text)


def _lead(a: _About) -> str:
    found = a.verdict.findings
    grave = [one for one in found if one.level == "error"]
    state = (
        "Nothing was found to be wrong."
        if not len(found)
        else f"{len(grave)} finding{'s' * (len(grave) != 1)} to be mended first."
        if grave
        else "Nothing is badly wrong; see the findings."
    )
    scores = a.model.scores
    name, values = scores.rows[1]
    at = scores.sets.index(a.held)
    value, base = values[at], values[-1]
    compared = (
        ""
        if value is None or base is None
        else (
            f" On {a.held} rows {name} is {_number(value)}, {scores.sets[-1]} has {_number(base)}."
        )
    )
    return state + compared


# Sections -------------------------------------------------------------------------------------


def _findings(a: _About) -> Iterator[Markup]:
    found = a.verdict.findings
    tried = {id(trial.finding): trial for trial in a.trials}
    items = []
    for one in found:
        lines_ = [element("strong", None, f"{one.where}: " * bool(one.where) + one.text)]
        for name, text in (("Evidence", one.evidence), ("Change", one.change)):
            if text:
                lines_.append(element("div", None, element("em", None, name), f" {text}"))
        trial = tried.get(id(one))
        if trial is not None:
            lines_.append(
                element("div", None, element("em", None, "Tried"), f" {trial.change}: {trial}")
            )
        items.append(element("li", {"class": one.level}, *lines_))
    passed = _paragraph(f"{len(found.passed)} checks passed: {', '.join(found.passed)}.", "quiet")
    unseen = [_paragraph(f"{found.not_seen.capitalize()}.", "quiet")] if found.unseen else []
    of = len(a.model.members)
    about = [_paragraph(f"About the first of {of} networks.", "quiet")] if of > 1 else []
    shown = element("ol", {"class": "findings"}, *items) if items else _paragraph("None.")
    yield _section("Findings", *about, shown, passed, *unseen)


def _scores(a: _About) -> Iterator[Markup]:
    scores = a.model.scores
    rows = [
        [name, *("–" if v is None else _number(v) for v in values)] for name, values in scores.rows
    ]
    yield _section("Scores", _wide(table(["", *scores.sets], rows)))


def _wide(inner: Markup) -> Markup:
    """A box that scrolls sideways on a narrow screen."""
    return element("div", {"class": "wide"}, inner)


def _curves(a: _About) -> Iterator[Markup]:
    history = a.model.history
    epochs = list(range(1, len(history) + 1))
    curves = []
    for key, name in (("train_loss", "training"), ("validation_loss", "validation")):
        ys = [row.get(key) for row in history]
        if all(y is not None for y in ys):
            curves.append((name, epochs, ys))
    e = a.verdict.evidence
    curves.append(("a constant answer", [1, max(len(epochs), 2)], [e.chance, e.chance]))
    yield _section(
        "Curves",
        lines(curves, title="Mean loss after each epoch", x="epoch", y="loss", logarithmic=True),
        _paragraph(f"Training: {outcome(a.model)}."),
    )


def _layers(a: _About) -> Iterator[Markup]:
    history = a.verdict.monitor.history
    if not history:
        return
    epochs = [one.epoch for one in history]
    names = [layer.name for layer in history[0].layers]

    def over(what: Callable[[Any], float], hidden: bool = False) -> list[Any]:
        last = len(names) - hidden
        return [
            (f"layer {names[i]}", epochs, [what(one.layers[i]) for one in history])
            for i in range(last)
        ]

    charts = [
        lines(over(lambda s: s.std), title="Standard deviation of activations", x="epoch",
              y="deviation"),
        lines(over(lambda s: s.signal), title="Gradient of the layer's linear outputs", x="epoch",
              y="root mean square", logarithmic=True),
        *([lines(over(lambda s: 100 * s.dead, True), title="Units that are 0 on every row",
                 x="epoch", y="percent")] if any(s.dead for one in history for s in one.layers[:-1])
          else []),
        lines(over(lambda s: s.moved if s.moved is not None else float("nan")),
              title="Update / weight", x="epoch", y="ratio", logarithmic=True),
    ]  # fmt: skip
    first, last = history[0], history[-1]
    rows = [
        [
            f"{s.name} ({s.activation or 'output'})",
            str(s.units),
            f"{s.std:.3g} / {t.std:.3g}",
            _factor(s.weight_factor),
            _factor(s.slope_factor),
            f"{s.signal:.2g} / {t.signal:.2g}",
            f"{t.dead:.0%}",
            f"{t.saturated:.0%}",
        ]
        for s, t in zip(first.layers, last.layers, strict=True)
    ]
    head = ["layer", "units", "activations, start / end", "weights multiply the gradient by",
            "slopes by", "gradient, start / end", "dead", "saturated"]  # fmt: skip
    yield _section(
        "Layers",
        _wide(table(head, rows)),
        element("div", {"class": "grid"}, *charts),
        _paragraph(
            "On its way back the gradient is multiplied in each layer by the factor of the weights "
            "and that of the slopes, here at the start; products far below 1 vanish, far above 1 "
            "they explode.", "quiet",
        ),
    )  # fmt: skip


def _factor(x: float | None) -> str:
    return "–" if x is None else f"{x:.2g}"


def _errors(a: _About) -> Iterator[Markup]:
    judged = a.judged
    if not a.classes:
        truth, predicted = (x[:MOST_POINTS].tolist() for x in (judged.truth, judged.predicted))
        residuals = (judged.truth - judged.predicted)[:MOST_POINTS].tolist()
        yield _section(
            f"Residuals ({a.held} rows)",
            element(
                "div", {"class": "grid"},
                lines([("", truth, predicted)], title="Predicted against true", x="true",
                      y="predicted", points=True, diagonal=True),
                lines([("", predicted, residuals)], title="Residual against prediction",
                      x="predicted", y="true − predicted", points=True),
            ),
        )  # fmt: skip
        return
    k = len(a.classes)
    charts: list[Markup] = []
    if k <= MOST_CLASSES:
        counts = np.zeros((k, k), int)
        np.add.at(counts, (judged.truth, judged.predicted), 1)
        rows = [[name, *map(str, counts[i])] for i, name in enumerate(a.classes)]
        charts.append(
            element("div", None, _wide(table(["true \\ predicted", *a.classes], rows,
                                             "Confusion: rows by their true and predicted class")))
        )  # fmt: skip
    p = judged.probabilities
    assert p is not None
    if k == 2:
        positive, truth = p, judged.truth == 1
    else:
        positive, truth = p.max(axis=1), judged.predicted == judged.truth
    charts.append(_calibration(positive, truth, k))
    curves = []
    for i, name in enumerate(a.classes[1:] if k == 2 else a.classes[:6]):
        of = judged.truth == (1 if k == 2 else i)
        if of.any() and not of.all():
            curves.append((name, *_roc(p if k == 2 else p[:, i], of)))
    charts.append(
        lines(curves, title="ROC: hits against false alarms", x="false alarms", y="hits",
              diagonal=True, span=(0.0, 1.0))
    )  # fmt: skip
    yield _section(f"Errors ({a.held} rows)", element("div", {"class": "grid"}, *charts))


def _calibration(probability: np.ndarray, truth: np.ndarray, classes: int) -> Markup:
    """How often what has a probability comes true, in ten groups of equal size."""
    order = np.argsort(probability, kind="stable")
    groups = [g for g in np.array_split(order, min(10, max(len(order) // 5, 1))) if len(g)]
    xs = [float(np.mean(probability[g])) for g in groups]
    ys = [float(np.mean(truth[g])) for g in groups]
    apart = sum(len(g) * abs(x - y) for g, x, y in zip(groups, xs, ys, strict=True)) / len(order)
    what = "the positive class" if classes == 2 else "the predicted class"
    return lines(
        [("", xs, ys)], title=f"Calibration of {what}: off by {apart:.3f} on average",
        x="probability", y="share that is so", points=True,
        diagonal=True, span=(0.0, 1.0),
    )  # fmt: skip


def _roc(score: np.ndarray, truth: np.ndarray) -> tuple[list[float], list[float]]:
    order = np.argsort(-score, kind="stable")
    hits = np.cumsum(truth[order]) / truth.sum()
    alarms = np.cumsum(~truth[order]) / (~truth).sum()
    return [0.0, *map(float, alarms)], [0.0, *map(float, hits)]


def _columns(a: _About) -> Iterator[Markup]:
    found = importance(a.plan, a.model)
    order = np.argsort(found.permutation)[::-1][:15]
    by_loss = [(found.columns[i], found.permutation[i]) for i in order]
    by_slope = [(found.columns[i], found.gradients[i]) for i in order]
    yield _section(
        "Columns",
        element(
            "div", {"class": "grid"},
            bars(by_loss, title="Permutation: by how much the loss rises when the column is "
                 "shuffled"),
            bars(by_slope, title="Integrated gradients: mean share in the predicted answer's "
                 "output"),
        ),
        _paragraph(
            f"The integrated gradients of a row add up to its output but for "
            f"{found.completeness:.1g} of the outputs' spread, at most (completeness). What a "
            "column shares with another is divided between them, or seen in neither alone.",
            "quiet",
        ),
    )  # fmt: skip


def _worst(a: _About) -> Iterator[Markup]:
    judged = a.judged
    losses = judged.log_losses
    if losses is None:
        losses = np.abs(judged.truth - judged.predicted)
    order = np.argsort(-losses)[:WORST]
    names = a.classes
    rows = []
    for i in order:
        true, said = judged.truth[i], judged.predicted[i]
        rows.append(
            [str(int(i) + 1), *(
                [names[int(true)], names[int(said)], f"{np.exp(-losses[i]):.3g}"] if names
                else [_number(float(x)) for x in (true, said, losses[i])]
            )]
        )  # fmt: skip
    last = "probability of the true class" if names else "off by"
    yield _section(
        f"The worst rows of {a.held}",
        _wide(table([f"{a.held} row", "true", "predicted", last], rows)),
        _paragraph("Wrong labels and rare cases gather here.", "quiet"),
    )


def _data(a: _About) -> Iterator[Markup]:
    plan = a.plan
    rows = [
        ["rows", f"{plan.table.rows:,}"],
        ["parts", ", ".join(f"{name} {len(part.truth):,}" for name, part in plan.parts.items())],
        ["target", f"{plan.target.name} ({plan.target.task})"],
        ["inputs", f"{len(plan.coding.inputs()):,}, from {len(plan.coding.rules)} columns"],
        ["missing cells", f"{plan.missing_cells:,}"],
    ]
    if a.classes:
        shares = zip(a.classes[:MOST_CLASSES], plan.target.shares, strict=False)
        rows.append(["classes", ", ".join(f"{name} {share:.0%}" for name, share in shares)])
    notes = [element("li", None, note) for note in plan.notes]
    yield _section("Data", _wide(table(["", ""], rows)), element("ul", None, *notes))


def _setting(a: _About) -> Iterator[Markup]:
    record = {**a.model.options.to_json(), "layers": layers_text(a.model.network.sizes)}
    rows = [
        [name, ", ".join(map(str, value)) if isinstance(value, list) else str(value)]
        for name, value in record.items()
        if value not in (None, [], "")
    ]
    yield _section("Settings", element("details", None, element("summary", None, "all of them"),
                                       _wide(table(["setting", "value"], rows))))  # fmt: skip


def _trust(a: _About) -> Iterator[Markup]:
    plan, n = a.plan, len(a.judged.truth)
    said = [
        f"The scores come from {n} {a.held} rows"
        + (" that also chose the epoch: they are too good" if a.held == "validation" else "")
        + (" that were trained on: they are far too good" if a.held == "train" else "") + ".",
        "Rows unlike the training rows get an answer all the same: values outside the ranges "
        "that were seen, categories that were never seen.",
    ]  # fmt: skip
    if a.classes:
        wrong = float(np.mean(a.judged.truth != a.judged.predicted))
        half = 1.96 * np.sqrt(max(wrong * (1 - wrong), 1 / n) / n)
        said.append(f"The share of errors is known to ± {half:.1%} only.")
        rare = min(plan.target.shares, default=1.0)
        if rare < 0.05:
            said.append(f"The rarest class has {rare:.1%} of the rows: little is known of it.")
    else:
        said.append(
            f"Predictions are means: half of the residuals lie within "
            f"{_number(np.quantile(np.abs(a.judged.truth - a.judged.predicted), 0.5))}."
        )
    if any(one.level == "error" for one in a.verdict.findings):
        said.append("While the findings above stand, the model should not be used.")
    yield _section("When not to trust it", element("ul", None, *[
        element("li", None, text) for text in said]))  # fmt: skip


def _again(a: _About) -> Iterator[Markup]:
    prints = [
        f"{use}: {file.name}, sha256 {file.fingerprint.sha256[:16]}…"
        for use, file in a.plan.files.items()
        if file is not None
    ]
    yield _section(
        "Doing it again",
        element("pre", None, a.command or "tabular.train(...) with the settings above"),
        _paragraph(f"chainrule {__version__}; {'; '.join(prints)}", "quiet"),
    )


STYLE = """
:root { color-scheme: light dark; --ink: #1b2230; --soft: #5b6575; --paper: #ffffff;
  --box: #f3f5f8; --rule: #d5dae2; --c0: #1f6fb2; --c1: #c2571a; --c2: #2f8f4e; --c3: #8a4fb0;
  --c4: #a8792b; --c5: #b03060; --bad: #b3261e; --warn: #8a6100; }
@media screen and (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --soft: #a3adbb;
  --paper: #14181f;
  --box: #1d232d; --rule: #343c49; --c0: #6db3ee; --c1: #f0995c; --c2: #74cf92; --c3: #c79bea;
  --c4: #e0bd78; --c5: #f08cae; --bad: #ff8a80; --warn: #f0c869; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.7rem; margin: .5rem 0; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2rem 0 .6rem; border-bottom: 1px solid var(--rule); }
.lead { font-size: 1.1rem; } .quiet { color: var(--soft); font-size: .9rem; }
.wide { overflow-x: auto; max-width: 100%; background:
  linear-gradient(to left, var(--paper) 1rem, transparent) right / 2rem 100% no-repeat local,
  linear-gradient(to left, var(--rule), transparent) right / .7rem 100% no-repeat; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .92rem; }
caption { text-align: left; color: var(--soft); padding-bottom: .3rem; }
th, td { padding: .25rem .6rem; text-align: left; border-bottom: 1px solid var(--rule);
  vertical-align: top; }
th { font-weight: 600; }
.findings { padding-left: 1.4rem; } .findings li { margin: .6rem 0; padding: .5rem .8rem;
  background: var(--box); border-left: 4px solid var(--soft); overflow-wrap: anywhere; }
.findings .error { border-color: var(--bad); } .findings .warning { border-color: var(--warn); }
.findings em { color: var(--soft); font-style: normal; display: inline-block; min-width: 5.5rem; }
.grid { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr));
  gap: 1rem; align-items: start; margin-top: 1rem; }
.chart { margin: 0; } .chart svg { width: 100%; height: auto; max-width: 34rem; }
figcaption { color: var(--soft); font-size: .88rem; }
svg text { fill: var(--soft); font: 11px system-ui, sans-serif; }
.axis { stroke: var(--soft); } .grid line, line.grid { stroke: var(--rule); stroke-width: .6; }
.line { fill: none; stroke-width: 2; } .guide { fill: none; stroke: var(--soft);
  stroke-dasharray: 4 4; } .bar { fill: var(--c0); } .dot { opacity: .65; stroke: none; }
.c0 { stroke: var(--c0); } .c1 { stroke: var(--c1); } .c2 { stroke: var(--c2); }
.c3 { stroke: var(--c3); } .c4 { stroke: var(--c4); } .c5 { stroke: var(--c5); }
.dot.c0 { fill: var(--c0); } .key { display: inline-block; margin-left: .8rem; }
.key::before { content: ""; display: inline-block; width: 1rem; height: 3px;
  vertical-align: middle; margin-right: .3rem; background: var(--c0); }
.key.c1::before { background: var(--c1); } .key.c2::before { background: var(--c2); }
.key.c3::before { background: var(--c3); } .key.c4::before { background: var(--c4); }
.key.c5::before { background: var(--c5); }
pre { background: var(--box); padding: .8rem; overflow-x: auto; white-space: pre-wrap;
  overflow-wrap: anywhere; }
@media screen and (max-width: 40rem) { th, td { padding: .25rem .3rem; }
  table { font-size: .8rem; } svg text { font-size: 12px; } main { padding: .7rem; } }
@media print { :root { color-scheme: light; } body { font-size: 11pt; }
  figure, tr, li { break-inside: avoid; } h2 { break-after: avoid; }
  details::details-content { content-visibility: visible; block-size: auto; }
  .wide { overflow: visible; background: none; } main { max-width: none; padding: 0; } }
"""
