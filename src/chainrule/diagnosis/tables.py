"""Diagnosis of a network for a table: the checks before, the verdict after, and the cure tried."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule import optim
from chainrule.diagnosis.evidence import evidence_of
from chainrule.diagnosis.facts import Evidence
from chainrule.diagnosis.findings import Finding, Findings, found_by
from chainrule.diagnosis.preflight import preflight
from chainrule.diagnosis.review import review_evidence
from chainrule.diagnosis.rules_data import ON_ROWS, Rows
from chainrule.diagnosis.statistics import Monitor
from chainrule.errors import ChainruleError, NonFiniteError
from chainrule.nn.sequential import fresh
from chainrule.tabular import Plan, TabularModel, prepare
from chainrule.tabular.network import loss_of
from chainrule.tabular.options import ARCHITECTURE, Options
from chainrule.tabular.plan import Part
from chainrule.tabular.presets import RECIPES
from chainrule.train import FitResult

__all__ = ["Trial", "Verdict", "cured", "preflight_plan", "reviewed"]

SEEDS = 3


@dataclass(frozen=True)
class Verdict:
    """A trained model with what was found about it."""

    model: TabularModel
    findings: Findings
    evidence: Evidence
    monitor: Monitor


@dataclass(frozen=True)
class Trial:
    """A change that was tried: scores on the same rows for the same seeds, before and after.

    ``verdict`` is "it helps", "it harms" or "no difference beyond the noise of seeds".
    """

    finding: Finding
    change: str
    score: str
    before: tuple[float, ...]
    after: tuple[float, ...]
    verdict: str

    def __str__(self) -> str:
        def said(scores: Sequence[float]) -> str:
            spread = float(np.std(scores, ddof=1)) if len(scores) > 1 else 0.0
            return f"{np.mean(scores):.4g} ± {spread:.2g}"

        return (
            f"{len(self.after)} seeds: {self.score} {said(self.after)}, before "
            f"{said(self.before)}: {self.verdict}"
        )


def preflight_plan(plan: Plan) -> Findings:
    """``preflight`` for a plan of training; the columns are the network's inputs."""
    part = plan.parts["train"]
    held = [other.x for name, other in plan.parts.items() if name != "train"]
    return preflight(
        plan.network.build(),
        (part.x, plan.coded(part)),
        loss=loss_of(plan.target.task, plan.options.loss),
        held=np.concatenate(held) if held else None,
        names=plan.coding.inputs(),
        classes=len(plan.target.classes),
        seed=plan.options.seed,
    )


@dataclass(frozen=True)
class Held:
    """Rows that a verdict is about, by name; and the network of an ensemble that it is about, where
    only one of them was not trained on these rows."""

    name: str
    part: Part
    only: int | None = None


def held_out(plan: Plan) -> Held:
    """The rows that a verdict is about: test, else validation, else training rows."""
    if "test" not in plan.parts and plan.left_out:
        _, own = plan.own(0)
        assert own is not None
        return Held("validation", own, 0)
    name = next(name for name in ("test", "validation", "train") if name in plan.parts)
    return Held(name, plan.parts[name])


def reviewed(plan: Plan, on_epoch: Callable[[Any], Any] | None = None, **running: Any) -> Verdict:
    """Train by a plan, with every layer watched, and review what came of it.

    Of an ensemble it is the first network that is reviewed; layers are those of plain networks.

    Args:
        plan: as ``tabular.prepare`` makes it. on_epoch: called with each ``EpochEnd``.
        running: executor and threads, as ``Plan.fit`` takes them.

    Raises:
        NonFiniteError: training diverged; KeyboardInterrupt before the first epoch is over.
    """
    network, loss = plan.network.build(), loss_of(plan.target.task, plan.options.loss)
    part, _ = plan.own(0)
    monitor = Monitor(network, loss, part.x, plan.coded(part))
    batch = plan.options.batch_size or len(part.x)
    dtype = np.float64 if plan.options.optimizer == "lbfgs" else np.float32
    start = fresh(network, plan.options.seed, dtype, part.x)
    monitor.start(*start, steps=math.ceil(len(part.x) / batch))

    def watch(event: Any) -> Any:
        monitor(event)
        return None if on_epoch is None else on_epoch(event)

    model = plan.fit(watch, **running)
    evidence = _evidence(plan, model, monitor)
    findings = _with_rows(review_evidence(evidence), plan, loss)
    return Verdict(model, findings, evidence, monitor)


def _with_rows(findings: Findings, plan: Plan, loss: Any) -> Findings:
    """With what the rules on rows find, which explains what the others see."""
    part, held = plan.own(0)[0], held_out(plan)
    rows = Rows(
        x=part.x, targets=plan.coded(part), loss=loss, names=plan.coding.inputs(),
        held=None if held.name == "train" else held.part.x, classes=len(plan.target.classes),
    )  # fmt: skip
    found = [*findings.found, *found_by(ON_ROWS, rows)]
    ranked = Findings.ranked(found, [*findings.passed, *ON_ROWS])
    return dataclasses.replace(ranked, unseen=findings.unseen)


def _evidence(plan: Plan, model: TabularModel, monitor: Monitor) -> Evidence:
    options, recipe = model.options, RECIPES.get(plan.network.preset)
    first, chooses = plan.own(0)
    if recipe is None:
        patience, optimizer = options.early_stopping, options.build_optimizer(len(first.x))
    else:  # which keeps its best epoch, and whose rate is usual in its parametrisation
        patience, optimizer = 1, optim.adam(options.learning_rate or 0.0)
    result = FitResult(
        model.params, model.state, model.history, model.kept_epoch, model.stopped, 0, {},
        monitor.model, monitor.loss, model.predictor,
    )  # fmt: skip
    parts = [first, held_out(plan).part]
    found = evidence_of(
        result,
        *[(part.x, plan.coded(part)) for part in parts],
        classes=len(plan.target.classes),
        monitor=monitor,
        optimizer=optimizer,
        batch_size=options.batch_size or "full",
        epochs=options.epochs,
        l1=options.l1,
        l2=options.l2,
        early_stopping=0 if chooses is None else patience,
        seed=options.seed,
    )
    usual = found.usual if recipe is None else recipe.rate(plan.target.task)
    return dataclasses.replace(found, usual=usual)


# The cure -------------------------------------------------------------------------------------


def cured(
    plan: Plan, findings: Findings, most: int = 2, seeds: int = SEEDS, **running: Any
) -> list[Trial]:
    """Try the changes of the gravest findings: train again, before and after, on the same seeds
    and rows, and say whether it helped beyond the noise of seeds.

    Args:
        plan, findings: what was trained and what was found.
        most: how many changes are tried, each alone.
        seeds: how many initialisations and orders; the split stays that of the plan.
        running: executor and threads, as ``Plan.fit`` takes them.

    Raises:
        UsageError, DataError: as ``tabular.prepare``.
    """
    names = {field.name for field in dataclasses.fields(Options)}
    before: list[float] | None = None
    trials: list[Trial] = []
    tried: list[dict[str, Any]] = []
    score, sign = ("RMSE", -1) if plan.target.task == "regression" else ("log loss", -1)
    for finding in findings:
        settings = {k: v for k, v in finding.settings.items() if k in names}
        if not settings or settings in tried or len(trials) == most:
            continue
        if plan.network.preset != "sklearn" and not settings.keys().isdisjoint(ARCHITECTURE):
            continue  # the recipe decides on that
        tried.append(settings)
        if before is None:
            before = _scores(plan, {}, seeds, score, running)
        after = _scores(plan, settings, seeds, score, running)
        said = ", ".join(f"{name}={value}" for name, value in settings.items())
        verdict = _compared(before, after, sign)
        trials.append(Trial(finding, said, score, tuple(before), tuple(after), verdict))
    return trials


def _scores(
    plan: Plan, settings: dict[str, Any], seeds: int, score: str, running: dict[str, Any]
) -> list[float]:
    """The scores of trainings that differ in their seeds, on the rows that the plan holds out."""
    found = []
    name = held_out(plan).name
    for seed in range(seeds):
        options = dataclasses.replace(plan.options, **settings)
        try:
            other = prepare(plan.table, plan.target.name, options)
            other = dataclasses.replace(
                other, parts=plan.parts, target=plan.target, coding=plan.coding,
                options=dataclasses.replace(other.options, seed=plan.options.seed + seed),
            )  # fmt: skip
            value = other.fit(**running).scores.of(score, name)
        except NonFiniteError:
            value = None
        except ChainruleError:
            raise
        found.append(math.inf if value is None else value)
    return found


def _compared(before: Sequence[float], after: Sequence[float], sign: int) -> str:
    """Whether the difference is beyond twice its standard error."""
    if not all(map(math.isfinite, after)):
        return (
            "it harms: training diverges"
            if all(map(math.isfinite, before))
            else ("no difference beyond the noise of seeds")
        )
    if not all(map(math.isfinite, before)):
        return "it helps"
    gain = sign * (float(np.mean(after)) - float(np.mean(before)))
    n = max(len(before), 2)
    noise = math.sqrt((np.var(before, ddof=1) + np.var(after, ddof=1)) / n)
    noise = max(noise, 1e-9 * abs(float(np.mean(before))))
    if abs(gain) <= 3 * noise:  # three seeds know their spread badly: t, not the normal
        return "no difference beyond the noise of seeds"
    return "it helps" if gain > 0 else "it harms"
