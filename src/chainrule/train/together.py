"""Many networks as one loop: which can be steps of the same, and how their minibatches are done."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from chainrule.api import vmap
from chainrule.core.recording import quiet
from chainrule.core.tree import flatten
from chainrule.core.types import ArrayType
from chainrule.run import Runner, executor_named, on_host
from chainrule.train.alike import Family, Numbers, families
from chainrule.train.chunks import MOST, Chunks, Done, Leaves, ends, longer, mask_keys
from chainrule.train.data import ArrayData, Batch
from chainrule.train.descent import Steps
from chainrule.train.monitor import NonFiniteLossError, all_finite
from chainrule.train.programs import likeness, programs


def grouped(members: Sequence[Member], runner: Runner) -> list[Group]:
    """Those whose full minibatches can be steps of one loop."""
    alike: dict[Any, list[Member]] = {}
    for m in members:
        alike.setdefault((m.full, m.data.batch_size, m.keyed, m.types), []).append(m)
    found = []
    for some in alike.values():
        settings = Settings(some, runner)
        for m in some:
            m.alone.compiled = functools.partial(settings.compiled, m)
        if some[0].full:
            found += [Group(*x, settings) for x in settings.parts(some).items()]
    return found


class Settings:
    """What the steps of networks are, recorded once for all that have equal settings, and compiled
    once for all whose settings are other numbers in the same operations."""

    def __init__(self, members: Sequence[Member], runner: Runner) -> None:
        distinct: dict[Any, Steps] = {}
        self.which: dict[Member, int] = {}
        for m in members:
            key = likeness(m.alone.settings, [])
            distinct.setdefault(key, m.alone)
            self.which[m] = [*distinct].index(key)
        self.functions = [steps.function for steps in distinct.values()]
        step, *more = [steps.settings for steps in distinct.values()]
        self.runner = runner
        self.made = programs(step[0].model, step[0].loss, runner, step, more)

    def families(self, *arguments: Any) -> list[Family]:
        """What the steps are on arguments of these types."""
        leaves, tree = flatten(arguments)
        types = tuple([(x.shape, x.dtype) for x in leaves]), tree
        return self.made.steps.made(types, lambda: families(self.functions, *arguments))

    def of(self, member: Member, known: Sequence[Family]) -> tuple[Family, Numbers]:
        """Which of these families a member's step is in, and its numbers there."""
        which = self.which[member]
        found = next(family for family in known if which in family.members)
        return found, found.numbers[found.members.index(which)]

    def parts(self, members: Sequence[Member]) -> dict[Family, dict[Member, Numbers]]:
        """The members, whose arguments are of the same types, by the family of their full
        minibatches, and their numbers there."""
        known, found = self.families(*members[0].arguments()), {}
        for m in members:
            family, numbers = self.of(m, known)
            found.setdefault(family, {})[m] = numbers
        return found

    def compiled(self, member: Member, arguments: tuple[Any, ...]) -> tuple[Any, Any]:
        """One step of one network: what it returns, and a function of flat lists for more."""
        family, numbers = self.of(member, self.families(*arguments))
        run = self.made.steps.made(family, lambda: self.runner.compile(family, numbers, *arguments))
        return run(numbers, *arguments), lambda given: run.flat([*numbers, *given])


class Member(Chunks):
    """The chunks of one network among many, which a ``Group`` has done."""

    def __init__(self, steps: Steps, rows: np.ndarray | None) -> None:
        super().__init__(
            steps.function, steps.data, steps.training, steps.seed, steps.keyed, steps.runner
        )
        steps.chunks, steps.together = self, True
        self.alone = steps
        self.rows = rows  # those of all the data that it is trained on
        self.error: NonFiniteLossError | None = None
        self.group: Group | None = None

    def arguments(self) -> tuple[Any, ...]:
        """The types of the arguments of its step on a full minibatch: carry, batch, key, count."""
        data, size = self.data, self.data.batch_size
        rows: list[Any] = [
            x if x is None else ArrayType((size, *x.shape[1:]), x.dtype)
            for x in (data.x, data.targets, data.weights)
        ]
        leaves = [ArrayType(x.shape, x.dtype) for x in self.training.now]
        key = ArrayType((2,), np.dtype(np.uint64)) if self.keyed else None
        carry = self.training.treedef.unflatten(leaves)
        return carry, Batch(*rows), key, ArrayType((), np.dtype(np.int64))

    @property
    def types(self) -> Any:
        """What members of a group have in common: the shapes and dtypes of a step's arguments."""
        data, training = self.data, self.training
        arrays = data.x, data.targets, data.weights
        rows = [x if x is None else (x.shape[1:], x.dtype) for x in arrays]
        return (*rows, *[(x.shape, x.dtype) for x in training.now]), training.treedef

    def epoch(self, epoch: int, last: int) -> None:
        if self.group is None:
            super().epoch(epoch, last)
        elif self.error is not None:
            raise self.error

    def again(self, epoch: int, first: int, end: int, before: int, leaves: Leaves) -> Done:
        """Steps ``first`` to ``end`` by itself."""
        if self.run is None:
            self.run = self._compiled()
        rows = self.rows_of(epoch, first, end)
        return self.steps(epoch, rows, first, before + first, leaves)

    @property
    def arena(self) -> int:
        """Bytes of what a step computes on its way, this network's share."""
        return super().arena if self.group is None else self.group.arena


BLOCK = 8
"""So many networks are one loop's at most, unless the executor says otherwise (``block``): with
more, what a step computes leaves the cache."""


class Group:
    """Networks whose minibatches are steps of one loop, in blocks of up to ``most`` of them.

    A block that is not full computes what nobody reads, until that has taken as long as making
    loops that fit.
    """

    def __init__(self, step: Family, numbers: dict[Member, Numbers], settings: Settings) -> None:
        members, runner = [*numbers], settings.runner
        self.first, self.runner, self.kept = members[0], runner, settings.made.loops
        most = getattr(executor_named(runner.executor), "block", None) or BLOCK
        self.most, self.length = min(most, len(members)), 2
        self.given = _all_data(members)
        self.step, self.numbers = step, numbers
        self.loops: dict[int, Any] = {}
        # By block: carries after its last chunk; stacked, on the device.
        self.left: dict[Any, Any] = {}
        self.making = self.idle = 0.0  # seconds: for the last loop, and of what nobody reads
        if self._loop(self.most) is not None:
            for member in members:
                member.group = self

    @property
    def arena(self) -> int:
        return self.loops[self.most].arena // self.most

    def _loop(self, size: int) -> Any:
        """The loop for a block of this size, None where the executor has none."""
        if size not in self.loops:
            given = [None if x is None else (x.shape, x.dtype) for x in self.given]
            key = self.step, size, self.first.types, self.first.data.batch_size, *given
            self.loops[size], self.making = self.kept.made(key, lambda: self._timed(size))
            self.idle, most = 0.0, min(self.first.full * self.first.alone.last, MOST)
            loop = self.loops[size]
            if loop is not None:
                loop.most = max(getattr(loop, "most", 0), most)
                self.length = max(self.length, getattr(loop, "length", 0))
        return self.loops[size]

    def forget(self) -> None:
        """Training is over: loops are kept, and the data not."""
        for loop in self.loops.values():
            if loop is not None:
                loop.forget()

    def _timed(self, size: int) -> tuple[Any, float]:
        """A new loop, and the seconds that it took."""
        started = time.perf_counter()
        return self._compiled(size), time.perf_counter() - started

    def _compiled(self, size: int) -> Any:
        first, keyed, whole_numbers = self.first, self.first.keyed, np.dtype(np.int64)
        keys = ArrayType((size, 2), np.dtype(np.uint64)) if keyed else None
        xs = (ArrayType((size, first.data.batch_size), whole_numbers), keys,
              ArrayType((size,), whole_numbers))  # fmt: skip
        carry = first.training.treedef.unflatten(
            [ArrayType((size, *leaf.shape), leaf.dtype) for leaf in first.training.now]
        )
        numbers = [ArrayType((size, *x.shape), x.dtype) for x in self.numbers[first]]

        def step(carry: Any, x: Any, constants: Any) -> Any:
            (inputs, targets, weights), numbers = constants

            def one(carry: Any, rows: Any, key: Any, count: Any, numbers: Any) -> Any:
                weighted = None if weights is None else weights[rows]
                batch = Batch(inputs[rows], targets[rows], weighted)
                return self.step(numbers, carry, batch, key, count)

            axes = (0, 0, 0 if keyed else None, 0, 0 if numbers else None)
            return vmap(one, axes)(carry, *x, numbers)

        return self.runner.repeat(step, carry, xs, (self.given, numbers), flush=True)

    def _blocks(self, members: Sequence[Member]) -> Iterator[tuple[int, Sequence[Member]]]:
        """The members in blocks, each with the size of its loop."""
        start = 0
        while start < len(members):
            left = len(members) - start
            size = min(size for size in self.loops if size >= min(left, self.most))
            if size > left and self.idle > self.making:
                size = 1 << (left.bit_length() - 1)
            yield size, members[start : start + size]
            start += size

    def epoch(self, epoch: int, members: Sequence[Member]) -> None:
        """Do all full minibatches of an epoch that are left for those members that go on."""
        # As many epochs at once in each block, or the blocks would fall apart.
        several = min([m.ahead(epoch, m.alone.last, self.length) for m in members], default=1)
        for step in sorted({m.training.position.step for m in members}):
            alike = [m for m in members if m.training.position.step == step]
            for size, block in self._blocks(alike):
                self._epoch(epoch, size, block, step, several)

    def _epoch(
        self, epoch: int, size: int, block: Sequence[Member], done: int, several: int
    ) -> None:
        """The epoch of a block, of whose minibatches so many are done; and epochs after it, if
        nobody asks anything between them."""
        begun, full = {m: m.training.steps - done for m in block}, self.first.full
        while done < full and block:
            several = 1 if any(m.careful for m in block) else several
            stop = min(done + min(self.length, block[0].training.room()), full)
            stop = stop if several == 1 else several * full
            self._loop(size)
            started = time.perf_counter()
            with quiet():
                going = self._chunk(epoch, size, block, begun, done, stop)
            if going is None:
                continue
            block, took = going, time.perf_counter() - started
            self.idle += took * (size - len(block)) / size
            loop = self._loop(size)
            loop.length = self.length = longer(self.length, loop, took, stop - done)
            done = stop

    def _chunk(
        self, epoch: int, size: int, members: Sequence[Member], begun: Any, start: int, stop: int
    ) -> list[Member] | None:
        """Steps ``start`` to ``stop``; returns the members whose losses were finite. None if there
        are several epochs of them and not all is finite: then nothing was done."""
        slots = [*members, *[members[0]] * (size - len(members))]
        ArrayData.draw([m.data for m in members], epoch, -(-stop // self.first.full))
        own_rows = {m: m.rows_of(epoch, start, stop) for m in members}
        rows = [own_rows[m] if m.rows is None else m.rows[own_rows[m]] for m in slots]
        numbers = [np.stack(x) for x in zip(*[self.numbers[m] for m in slots], strict=True)]
        constants = flatten((self.given, numbers))[0]
        xs = [np.stack(rows, 1)]
        if self.first.keyed:
            seeds = [m.seed for m in slots]
            xs.append(mask_keys(seeds, self.first.full, epoch, start, stop - start))
        xs.append(np.arange(start, stop)[:, None] + np.array([begun[m] for m in slots]))
        now, (then, stacked) = [m.training.now for m in slots], self.left.pop((*slots,), ((), ()))
        spent = [*map(id, now)] == [*map(id, then)]
        if not spent:
            stacked = [np.stack(x) for x in zip(*now, strict=True)]
        losses, before, there = ends(self._loop(size), stacked, xs, constants, spent=spent)
        before, after = on_host(before), on_host(there)
        each = [
            (losses[:, k], [x[k, ...] for x in before], [x[k, ...] for x in after])
            for k in range(len(members))
        ]
        if stop > self.first.full:
            known = bool(np.isfinite(losses).all()) and all_finite(after)
            pairs = zip(members, each, strict=True)
            well = [m.well(own, ended, known) for m, (own, _, ended) in pairs]
            if not all(well):
                return None
        finite, going = stop == self.first.full and all_finite(after), []
        for m, own in zip(members, each, strict=True):
            again = functools.partial(_again, m, epoch, begun[m])
            try:
                settled = m.settle(epoch, start, own, again)
            except NonFiniteLossError as error:
                m.error = error
                continue
            if finite:
                m.training.looked = m.training.now
            m.count(settled, own_rows[m])
            going.append(m)
        # Other blocks have what they left, but those that had one of these members.
        self.left = {k: left for k, left in self.left.items() if slots[0] not in k}
        self.left[(*slots,)] = [m.training.now for m in slots], there
        return going


def _again(member: Member, epoch: int, before: int, first: int, end: int, leaves: Leaves) -> Done:
    return member.again(epoch, first, end, before, leaves)


def _all_data(members: Sequence[Member]) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """x, targets and weights, of which each member trains on some rows, as its fit took them."""
    if members[0].rows is None:
        data = members[0].data
        return data.x, data.targets, data.weights
    count = 1 + max(int(np.max(m.rows)) for m in members)  # type: ignore[arg-type]
    whole: list[Any] = []
    for name in ("x", "targets", "weights"):
        parts = [getattr(m.data, name) for m in members]
        if parts[0] is None:
            whole.append(None)
            continue
        array = np.zeros((count, *parts[0].shape[1:]), parts[0].dtype)
        for m, part in zip(members, parts, strict=True):
            array[m.rows] = part
        whole.append(array)
    return tuple(whole)  # type: ignore[return-value]
