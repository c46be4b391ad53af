"""Training on tables that are read piece by piece: one pass learns, each epoch reads again.

With ``order="streamed"`` every row is of a part (and fold) by a draw from (seed, group, piece),
each by itself, whatever the others are; statistics are those of ``summary``; the order of an epoch
is that of ``train.streamed``. None of this depends on the memory there is: where coded rows fit,
they are kept there, else in a temporary file (``kept``).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule import train as training
from chainrule.errors import DataError, UsageError
from chainrule.tabular.coding import Coding
from chainrule.tabular.columns import Decision
from chainrule.tabular.kept import Coded, Kept, spill_folder
from chainrule.tabular.model import File
from chainrule.tabular.options import Options
from chainrule.tabular.plan import OnEpoch, Part, Plan, trained_dtype, weighted
from chainrule.tabular.presets import RECIPES
from chainrule.tabular.robust import Robust
from chainrule.tabular.rules import KINDS, Dropped, Rule, quantiles, with_spikes
from chainrule.tabular.scanning import PARTS, SAMPLE, TEST, Scan, Uses, scan
from chainrule.tabular.stream import Stream
from chainrule.tabular.table import Column, Table
from chainrule.tabular.target import Target, with_statistics
from chainrule.tabular.training import (
    FIVE,
    learn_columns,
    planned,
    targeted,
    with_members,
    with_names,
)
from chainrule.tabular.weights import row_weights
from chainrule.train.streamed import NUMBERS, Place, Streamed, StreamedRows

__all__ = ["StreamedPlan", "prepare_streamed"]

PROCESS = 400 * 2**20
"""Bytes of Python, its libraries and compiled code."""

FEWEST = 4096
"""Rows that the sample keeps, if it has them, however many inputs a row has."""


@dataclass(frozen=True, eq=False)
class Coder:
    """Codes pieces of a stream.

    Attributes:
        stream, uses: where rows come from, and what they are for.
        target, coding, options: learned and resolved.
        kept: coded pieces that are not read again; None reads all in each epoch.
    """

    stream: Stream
    uses: Uses
    target: Target
    coding: Coding
    options: Options
    kept: Kept | None

    @cached_property
    def names(self) -> list[str]:
        """The columns that are read."""
        used = {rule.name for rule in self.coding.rules if not isinstance(rule, Dropped)}
        used |= {self.target.name, self.options.weight or self.target.name}
        return [name for name in self.stream.names if name in used]

    @cached_property
    def block(self) -> int:
        """Rows that are coded at a time: words make many inputs of a column."""
        return max(256, NUMBERS // 4 // max(1, len(self.coding.inputs())))

    def read(
        self, places: Iterable[Place], part: int, fold: int | None, only: bool
    ) -> Iterator[Iterator[Coded]]:
        """For each of these pieces, to be read in turn, its rows that are of a part, and of a fold
        or of all others, coded block by block."""
        kept, places = self.kept, list(places)
        left = {place for place in places if kept is None or place not in kept}
        tables = self.stream.tables([place for place in places if place in left], self.names)
        for place in places:
            if kept is not None and place not in left:
                if place[1] == 0:
                    self.stream.check(place[0])
                blocks = kept.part(place, part)
                yield (
                    one if fold is None else one.take((one.fold == fold) == only) for one in blocks
                )
            else:
                yield self._coded(place, next(tables), part, fold, only)

    def _coded(
        self, place: Place, table: Table, part: int, fold: int | None, only: bool
    ) -> Iterator[Coded]:
        """A piece that is not kept yet. Blocks are of rows of the piece, whatever these are for, so
        that what is summed by blocks has the same bits whether rows are kept or not."""
        kept, blocks = self.kept, list[Any]()
        parts, folds, _ = self.uses.of(place, table.rows)
        wanted = parts == part
        if fold is not None:
            wanted &= (folds == fold) == only
        has = ~table[self.target.name].missing & (wanted if kept is None else parts < TEST)
        for at in range(0, table.rows, self.block):
            rows = at + np.flatnonzero(has[at : at + self.block])
            one = self.code(table, rows, parts[rows], folds[rows])
            if kept is not None:
                blocks.append(kept.written(one))
                one = one.take(wanted[rows])
            yield one
        if kept is not None:
            kept.keep(place, blocks)

    def code(
        self, table: Table, rows: NDArray[np.intp], part: Any, fold: Any, dtype: Any = None
    ) -> Coded:
        """These rows of a piece."""
        self.target.check_loss(table, rows, self.options.loss)
        dtype = dtype or trained_dtype(self.options.optimizer)
        x, _ = self.coding.encode(table, None if len(rows) == table.rows else rows, dtype)
        weights = None
        if self.options.weight is not None:
            weights = row_weights(table, self.options.weight, some=False)[rows]
        return Coded(x, self.target.numbers(table, rows), weights, part, fold)


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of a part, as ``train.streamed.Pieces``: for one network and its fold.

    Attributes:
        coder: where they come from.
        part: a place in ``PARTS``; fold: the one that is left out, or with ``only`` the one taken.
        groups: rows of each piece. prepare: from truth and weights to a batch's.
    """

    coder: Coder
    part: int
    fold: int | None
    only: bool
    groups: tuple[tuple[int, ...], ...]
    prepare: Callable[[Any, Any, Any], training.Batch]
    first: training.Batch
    fingerprint: str

    def read(self, places: Iterable[Place]) -> Iterator[Iterator[training.Batch]]:
        """The rows of these pieces."""
        places = list(places)
        found = self.coder.read(places, self.part, self.fold, self.only)
        for (g, p), blocks in zip(places, found, strict=True):
            yield self._prepared(blocks, self.groups[g][p])

    def _prepared(self, blocks: Iterable[Coded], left: int) -> Iterator[training.Batch]:
        """At most so many rows."""
        for one in blocks:
            rows = min(left, len(one.x))
            left -= rows
            weights = None if one.weights is None else one.weights[:rows]
            yield self.prepare(one.x[:rows], one.truth[:rows], weights)

    def all(self) -> Iterator[training.Batch]:
        """All rows in the order of the files."""
        places = [(g, p) for g, group in enumerate(self.groups) for p in range(len(group))]
        return (batch for blocks in self.read(places) for batch in blocks if len(batch.x))


@dataclass(frozen=True, eq=False)
class StreamedPlan(Plan):
    """A plan whose networks are trained on a stream; its ``parts`` are a sample of the rows.

    Attributes:
        coder: reads and codes pieces. counts: rows by place, part and fold.
        folds: of the sample's training rows.
    """

    coder: Coder
    counts: dict[Place, NDArray[np.int64]]
    folds: NDArray[np.int64]

    @property
    def rows(self) -> dict[str, int]:
        """How many rows each part has."""
        total = sum(self.counts.values()).sum(axis=1)  # type: ignore[union-attr]
        return dict(zip(PARTS, map(int, total), strict=True))

    @cached_property
    def left_out(self) -> list[NDArray[np.intp]]:
        """Of the sample's training rows, those that each network is not trained on."""
        members = self.options.ensemble or 1
        return [np.flatnonzero(self.folds == k) for k in range(members)] if self.folded else []

    @property
    def trained_rows(self) -> int:
        """How many rows each network is trained on."""
        found = min(sum(map(sum, self._groups(0, k, False))) for k in self._networks)
        batch = self.options.batch_size
        if batch and self.network.preset != "sklearn" and found % batch < found // batch:
            found -= found % batch
        return found

    @property
    def _networks(self) -> list[int | None]:
        return list(range(self.options.ensemble or 1)) if self.folded else [None]

    def _groups(
        self, part: int, fold: int | None, only: bool, most: int | None = None
    ) -> tuple[tuple[int, ...], ...]:
        """Rows of each piece; at most so many in all, the last ones are left out."""
        found: list[list[int]] = [[] for _ in self.coder.stream.groups]
        for (g, _), counts in self.counts.items():
            row = counts[part]
            one = row.sum() if fold is None else row[fold] if only else row.sum() - row[fold]
            found[g].append(int(one))
        over = 0 if most is None else sum(map(sum, found)) - most
        for group in reversed(found):
            for p in reversed(range(len(group))):
                cut = min(over, group[p])
                group[p], over = group[p] - cut, over - cut
        return tuple(map(tuple, found))

    def _run(self, on_epoch: OnEpoch | None, running: dict[str, Any]) -> Sequence[Any]:
        options = self.options
        if running.get("checkpoint") is not None:
            running = running | {"checkpoint": self._checkpoint(running["checkpoint"])}
        model, (x, _), settings = self._settings(running)
        for name in ("sample_weight", "batch_size"):
            del settings[name]
        settings["evaluate_train"] = False
        factors, loss, dtype = self._class_factors(), settings["loss"], settings["dtype"]
        width = self.network.sizes[-1] * max(1, self.network.tabm)

        def prepare(x: Any, truth: Any, weights: Any) -> training.Batch:
            part = Part(x, truth, weights)
            weights = weighted(part, factors)
            weights = None if weights is None else weights.astype(dtype)
            return training.Batch(x, loss.prepare(self.coded(part), width, dtype), weights)

        first = prepare(x, self.parts["train"].truth, self.parts["train"].weights)
        about = self.files["train"].fingerprint.sha256  # type: ignore[union-attr]

        def rows(part: int, fold: int | None, only: bool, most: int | None = None) -> Rows:
            groups = self._groups(part, fold, only, most)
            name = f"{about} {part} {fold} {only} {most}"
            return Rows(self.coder, part, fold, only, groups, prepare, first, name)

        def held(one: Rows) -> StreamedRows:
            return StreamedRows("validation", one.all, one.fingerprint)

        settings["validation"] = held(rows(1, None, False)) if self.rows["validation"] else None
        count, heard = self.trained_rows, () if on_epoch is None else (on_epoch,)
        batch = options.batch_size or count
        streams = [
            Streamed(
                rows(0, k, False, count), batch, options.seed + place,
                left_out=None if k is None else held(rows(0, k, True)), epochs=settings["epochs"],
            )
            for place, k in enumerate(self._networks if self.folded else
                                      [None] * (options.ensemble or 1))
        ]  # fmt: skip
        if len(streams) == 1:
            return [training.fit(model, streams[0], seed=options.seed, callbacks=heard, **settings)]
        return self._many(model, streams, on_epoch, settings)


def _empty(name: str) -> Column:
    none = np.empty(0, np.int32)
    return Column(name, none < 0, None, lambda: (none, ()))


def _alone(table: Table, column: Column) -> Table:
    """A table of one condensed column."""
    return dataclasses.replace(table, rows=len(column.missing), columns=(column,))


def _robust(coding: Coding, table: Table, found: Scan, columns: Any, options: Options) -> Robust:
    """The second stage, from the inputs of condensed columns."""
    each = []
    for rule in coding.rules:
        if isinstance(rule, Dropped):
            continue
        column, rows, _ = found.summaries[rule.name].trained(columns[rule.name])
        fill, _ = rule.encode(_alone(table, column), column)
        each.append(quantiles(fill(rows), FIVE, column.counts(rows)))
    five = np.concatenate(each, axis=1)
    return Robust.learn(
        coding.rules, lambda places: five[:, places], RECIPES[options.chosen].embed_above
    )


def _sampled(coder: Coder, found: Scan) -> tuple[dict[str, Part], NDArray[np.int64]]:
    """The sample by parts, and the folds of its training rows: of all its rows, or evenly of some
    where words make so many inputs that they would fill the memory."""
    count = sum(table.rows for table, _, _ in found.kept)
    most = min(count, max(FEWEST, NUMBERS // max(1, len(coder.coding.inputs()))))
    pieces, start = list[Coded](), 0
    for table, part, fold in found.kept:
        at = np.arange(start, start + table.rows)
        start += table.rows
        rows = np.flatnonzero((at + 1) * most // count > at * most // count)
        pieces.append(coder.code(table, rows, part[rows], fold[rows], np.float64))
    parts = {}
    part = np.concatenate([one.part for one in pieces])
    for at, name in enumerate(PARTS):
        some = np.flatnonzero(part == at)
        if len(some):
            x = np.concatenate([one.x for one in pieces])[some]
            truth = np.concatenate([one.truth for one in pieces])[some]
            weights: Any = [one.weights for one in pieces]
            weights = None if weights[0] is None else np.concatenate(weights)[some]
            parts[name] = Part(x, truth, weights)
    return parts, np.concatenate([one.fold for one in pieces])[part == 0]


def _kept(stream: Stream, inputs: int, options: Options) -> Kept | None:
    """Where coded rows stay: in memory, in a file, or nowhere if they are wanted but once."""
    if stream.memory is None:
        return Kept()
    least = PROCESS + 4 * 4 * NUMBERS
    if stream.memory < least:
        raise UsageError(
            f"memory='{stream.memory >> 20}MB': is too little; '{(least >> 20) + 1}MB' are needed, "
            f"most of them for Python and its libraries"
        )
    if least + stream.rows * (4 * inputs + 25) <= stream.memory:
        return Kept()
    folder = spill_folder() if options.epochs != 1 or options.members > 1 else None
    return None if folder is None else Kept(folder)


def prepare_streamed(stream: Stream, target: str, options: Options) -> StreamedPlan:
    """As ``prepare``, from one pass over a stream.

    Raises:
        DataError, UsageError: as ``prepare``; too little memory.
    """
    head = Table(stream.name, 0, tuple(_empty(name) for name in stream.names), str)
    target = head.choose(target, "target")
    options = dataclasses.replace(with_names(head, target, options), order="streamed")
    options, folded = with_members(options, stream.rows)
    uses = Uses(
        options.seed, 0.0 if folded else options.validation, options.test,
        options.members if folded else 1,
        min(1.0, min(SAMPLE, NUMBERS // len(stream.names)) / stream.rows),
    )  # fmt: skip
    classes = options.task in ("binary", "multiclass")
    stream.files.as_words = [*options.category, *[target] * classes]
    found = scan(stream, target, options, uses)
    columns = {
        name: stream.files.settled(one.column(name, stream.format))
        for name, one in found.summaries.items()
    }
    table = Table(
        stream.name, stream.rows, tuple(columns[name] for name in stream.names),
        lambda: found.digest, stream.header, lambda _: stream.name, stream.notes, stream.format,
    )  # fmt: skip
    learned, target_notes = targeted(_alone(table, columns[target]), target, options)
    counts = found.counts
    total = sum(counts.values())
    assert isinstance(total, np.ndarray)
    if not total[0].any():
        raise DataError(f"{stream.name}: no row is left to train on; bring more rows")
    trained, rows, mass = found.summaries[target].trained(columns[target])
    learned = with_statistics(
        learned,
        learned.numbers(_alone(table, trained), rows),
        mass,
        trained.whole.moments if trained.whole else None,
    )

    def known(name: str) -> Any:
        return found.summaries[name].trained(columns[name])

    def learn(decisions: list[Decision]) -> Coding:
        rules: list[Rule] = []
        for one in decisions:
            if one.kind == "dropped":
                rules.append(Dropped(one.name, one.why))
                continue
            rules.append(KINDS[one.kind].learn(*known(one.name)))
        if not options.spikes:
            return Coding(tuple(rules))
        return Coding(with_spikes(rules, lambda name: known(name)[:2]))

    coding, typing_notes = learn_columns(table, target, options, learn)
    if options.chosen != "sklearn":
        coding = dataclasses.replace(coding, robust=_robust(coding, table, found, columns, options))
    one = int(total[0].sum()) if not folded else int((total[0].sum() - total[0]).min())
    options = options.resolved(one, learned.task)
    kept = _kept(stream, len(coding.inputs()), options)
    coder = Coder(stream, uses, learned, coding, options, kept)
    parts, folds = _sampled(coder, found)
    notes = [*stream.notes, *target_notes, *typing_notes]
    no_target = stream.rows - int(total.sum())
    if no_target:
        notes.append(f"{stream.name}: left out: {no_target} rows without {target!r}, the target")
    besides = {target, options.weight, *options.drop}
    return planned(
        StreamedPlan,
        one,
        notes,
        table=table,
        target=learned,
        coding=coding,
        options=options,
        folded=folded,
        parts=parts,
        files={"train": File.of(table), "validation": None, "test": None},
        missing_cells=sum(
            int(one.gone[0]) for name, one in found.summaries.items() if name not in besides
        ),
        no_target=no_target,
        coder=coder,
        counts=counts,
        folds=folds,
    )
