"""From a table to a trained model: prepare (typing, splitting, coding), then fit."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import DataError, UsageError
from chainrule.forks import load
from chainrule.tabular.coding import Coding, learn_coding
from chainrule.tabular.columns import Decision, decide, same_cells
from chainrule.tabular.frames import table_of
from chainrule.tabular.model import File, TabularModel
from chainrule.tabular.network import Network
from chainrule.tabular.options import DEFAULTS, LOSSES, Options
from chainrule.tabular.plan import OnEpoch, Part, Plan, trained_dtype
from chainrule.tabular.presets import RECIPES
from chainrule.tabular.robust import Robust
from chainrule.tabular.rules import Dropped, quantiles
from chainrule.tabular.table import Table
from chainrule.tabular.target import Target, learn_target, with_statistics
from chainrule.tabular.weights import row_weights
from chainrule.tabular.words import quoted
from chainrule.train.splits import split

__all__ = ["Part", "Plan", "prepare", "train"]

P = TypeVar("P", bound=Plan)


def train(
    table: Any,
    target: str,
    options: Options | None = None,
    *,
    validation: Any = None,
    test: Any = None,
    on_epoch: OnEpoch | None = None,
    **running: Any,
) -> TabularModel:
    """Train a network that predicts the column ``target``: ``prepare`` and ``fit`` in one.

    Parameters:
        table, validation, test: as ``table_of`` takes them: a ``Table``, a mapping of columns,
            or a data frame.
        target: the column to predict, by its name or place.
        options: how to split and train; None is ``Options()``.
        on_epoch, running: see ``Plan.fit``.

    Raises:
        DataError, UsageError: as ``prepare``, naming file, line and column, or the option.
        NonFiniteError: training diverged.
    """
    plan = prepare(table, target, options, validation=validation, test=test)
    return plan.fit(on_epoch, **running)


def prepare(
    table: Any,
    target: str,
    options: Options | None = None,
    *,
    validation: Any = None,
    test: Any = None,
) -> Plan:
    """Type the columns, divide the rows and learn the coding from the training rows.

    ``target`` is the column to predict, ``options`` what ``Options`` says. Tables given for
    validation and test take the place of shares of ``table``.
    Raises DataError and UsageError naming file, line and column, or the option.
    """
    options = Options() if options is None else options
    if not isinstance(options, Options):
        raise UsageError(f"options are a tabular.Options(...), not {options!r}")
    if hasattr(table, "groups"):
        if validation is not None or test is not None:
            raise UsageError("validation, test: are shares of a table that is streamed")
        return load("chainrule.tabular.streaming").prepare_streamed(table, target, options)
    if options.order == "streamed":
        raise UsageError(
            "order='streamed': is of files; give what tabular.Stream(path) makes of them"
        )
    table = table_of(table)
    validation, test = (None if t is None else table_of(t) for t in (validation, test))
    target = table.choose(target, "target")
    options = with_names(table, target, options)
    given = {name: other for name, other in (("validation", validation), ("test", test)) if other}
    options = dataclasses.replace(options, **dict.fromkeys(given, 0.0))
    learned, target_notes = targeted(table, target, options)
    rows = learned.rows(table)
    learned.check_loss(table, rows, options.loss)
    truth = learned.numbers(table, rows)
    weights = None if options.weight is None else row_weights(table, options.weight)[rows]
    options, folded = with_members(options, len(truth))
    chosen = _divided(learned, truth, options, 0.0 if folded else options.validation)
    first = chosen["train"]
    own = {name: _weights(weights, at, name) for name, at in chosen.items()}
    coding, typing_notes = learn_columns(
        table,
        target,
        options,
        lambda d: learn_coding(table, d, rows[first], own["train"], options.spikes),
    )
    order = np.concatenate(list(chosen.values()))
    order = order if len(rows) == table.rows else rows[order]  # an index is a tenth of a table
    x, _ = coding.encode(table, order, _kept(table, coding, options))
    del order
    if options.chosen != "sklearn":
        known = x[: len(first)]
        each = lambda places: [quantiles(known[:, i], FIVE) for i in places]  # noqa: E731
        five = lambda places: np.array(each(places)).reshape(-1, 5).T  # noqa: E731
        robust = Robust.learn(coding.rules, five, RECIPES[options.chosen].embed_above)
        coding = dataclasses.replace(coding, robust=robust)
        robust.apply(x.T)
    parts, start = {}, 0
    for name, at in chosen.items():
        inputs = x[start : start + len(at)]  # they stand in the order of the parts
        parts[name] = Part(inputs, truth[at], own[name])
        start += len(at)
    notes = [*table.notes, *target_notes, *typing_notes, *learned.left_out(table, rows)]
    for name, other in given.items():
        parts[name], said = _part_of(other, name, learned, coding, options)
        notes += [*other.notes, *said]
    one = len(first) - -(-len(first) // options.members) if folded else len(first)
    return planned(
        Plan,
        one,
        notes,
        table=table,
        target=with_statistics(learned, parts["train"].truth, parts["train"].weights),
        coding=coding,
        options=options,
        folded=folded,
        parts={name: parts[name] for name in ("train", "validation", "test") if name in parts},
        files={
            "train": File.of(table),
            "validation": File.of(validation) if validation else None,
            "test": File.of(test) if test else None,
        },
        missing_cells=_missing_cells(table, (target, options.weight, *options.drop)),
        no_target=table.rows - len(rows),
    )


def targeted(table: Table, target: str, options: Options) -> tuple[Target, list[str]]:
    """What ``learn_target`` makes of a column under these options, which fit its task."""
    task = "regression" if options.loss in LOSSES["regression"] else options.task
    learned, notes = learn_target(table, target, task, options.map_class)
    options.check_task(learned.task)
    if options.class_weight and learned.task == "regression":
        raise UsageError("class_weight='balanced': is for classes, and the task is regression")
    return learned, notes


def with_members(options: Options, rows: int) -> tuple[Options, bool]:
    """The options with no more networks than so many rows can have, and whether each network
    leaves out a fold."""
    members = max(1, min(options.members, rows // 4))
    folded = members > 1 and options.validation == DEFAULTS["validation"]
    return dataclasses.replace(options, ensemble=members), folded


def planned(kind: type[P], rows: int, notes: list[str], **known: Any) -> P:
    """A plan for networks trained on so many rows each, from all that is ``known``."""
    options = known["options"].resolved(rows, known["target"].task)
    wanted = options.early_stopping or options.preset != "sklearn"
    if wanted and "validation" not in known["parts"] and not known["folded"]:
        notes.append("no validation rows, so there is no early stopping: every epoch is run")
    network = network_of(options, known["coding"], known["target"])
    told = tuple(note for note in notes if note)
    found: dict[str, Any] = {"options": options, "network": network, "notes": told}
    return kind(**known | found)


def _divided(
    target: Target, truth: NDArray[Any], options: Options, validation: float
) -> dict[str, NDArray[np.intp]]:
    """Which of the rows with a target train, validate and test; none of these is empty."""
    parts = split(
        len(truth),
        validation=validation,
        test=options.test,
        seed=options.seed,
        strata=None if target.task == "regression" else truth,
    )
    named = zip(("train", "validation", "test"), parts, strict=True)
    return {name: rows for name, rows in named if len(rows)}


def network_of(options: Options, coding: Coding, target: Target) -> Network:
    assert options.hidden is not None
    assert options.preset is not None
    return Network(
        sizes=(len(coding.inputs()), *options.hidden, target.outputs),
        activation=options.activation,
        dropout=options.dropout,
        batch_norm=options.batch_norm,
        initializer=options.init,
        preset=options.preset,
        numbers=coding.robust.numbers if coding.robust else 0,
        embedded=coding.robust.embedded if coding.robust else (),
        tabm=options.tabm,
    )


def _missing_cells(table: Table, besides: tuple[str | None, ...]) -> int:
    columns = (column for column in table.columns if column.name not in besides)
    return sum(int(column.missing.sum()) for column in columns)


def _weights(
    weights: NDArray[np.float64] | None, rows: NDArray[np.intp], name: str
) -> NDArray[np.float64] | None:
    """Those of the rows of a part, some of which count."""
    if weights is not None and not weights[rows].any():
        raise DataError(f"every weight of the {name} rows is 0, so none counts")
    return None if weights is None else weights[rows]


def with_names(table: Table, target: str, options: Options) -> Options:
    """The options with columns by name, where the user may have given places."""
    weight = None if options.weight is None else table.choose(options.weight, "weight")
    drop = tuple(table.choose(name, "drop") for name in options.drop)
    keep = tuple(table.choose(name, "keep") for name in options.keep)
    category = tuple(table.choose(name, "category") for name in options.category)
    for option, name in (("weight", weight), *(("drop", name) for name in drop)):
        if name == target:
            raise UsageError(f"{option}={name!r}: is the target; choose another column")
    return dataclasses.replace(options, weight=weight, drop=drop, keep=keep, category=category)


def learn_columns(
    table: Table, target: str, options: Options, learn: Callable[[list[Decision]], Coding]
) -> tuple[Coding, list[str]]:
    """The coding of all columns but target and weight, and what to tell about it; ``learn`` makes
    the rules of columns of decided kinds."""
    features = [name for name in table.names() if name not in (target, options.weight)]
    used = [name for name in features if name not in options.drop]
    decided = {d.name: d for d in decide(table, used, options.keep, options.category)}
    left_out = {name: Decision(name, "dropped", "left out as asked") for name in options.drop}
    decisions = [(decided | left_out)[name] for name in features]
    coding = learn(decisions)
    dropped = [
        f"{quoted((rule.name,))} ({rule.why})"
        for rule in coding.rules
        if isinstance(rule, Dropped) and rule.name not in options.drop
    ]
    if not coding.inputs():
        why = ": " + ", ".join(dropped) if dropped else ""
        raise DataError(
            f"{table.source}: no column is left to predict {target!r} from{why}; bring other "
            f"columns, or keep one with the option keep"
        )
    notes = [decision.note for decision in decisions]
    if dropped:
        notes.append(f"columns not used: {', '.join(dropped)}")
    notes += [
        f"column {quoted((name,))} equals the target in every row; add drop=({name!r},) if it is "
        f"not known when predicting"
        for name in used
        if decided[name].kind != "dropped" and same_cells(table[name], table[target])
    ]
    return coding, notes


FIVE = (0.0, 0.25, 0.5, 0.75, 1.0)

LARGE = 2**24
"""Inputs of a table from which on they are kept as the network is trained on them."""


def _kept(table: Table, coding: Coding, options: Options) -> type[np.floating[Any]]:
    """The dtype in which inputs are kept: half the memory for large tables."""
    large = table.rows * len(coding.inputs()) >= LARGE
    return trained_dtype(options.optimizer) if large else np.float64


def _part_of(
    table: Table, name: str, target: Target, coding: Coding, options: Options
) -> tuple[Part, list[str]]:
    """The rows of a validation or test file."""
    rows = target.rows(table)
    target.check_loss(table, rows, options.loss)
    x, notes = coding.encode(table, rows, _kept(table, coding, options))
    notes += target.left_out(table, rows)
    weights = None if options.weight is None else row_weights(table, options.weight)
    weights = _weights(weights, rows, name)
    return Part(x, target.numbers(table, rows), weights), notes
