"""Evaluation in tiles of a fixed number of rows.

Every product then has the same shape whatever the number of rows, and the last tile is filled
up: a row's prediction depends on neither the values of the rows beside it nor their number. In
machine code it does not depend on its place in the tile either, nor on the size of the tile, so
that a few rows need no large one. NumPy's BLAS need not round all rows of a product alike
(OpenBLAS in float32 does not); an exact predictor does without it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from chainrule.api import vmap
from chainrule.core.recording import quiet
from chainrule.core.tree import TreeDef, leaves, map_tree
from chainrule.core.types import ArrayType, plain_array
from chainrule.errors import DataError, UsageError
from chainrule.nn import Loss
from chainrule.run import Runner, executor_named, on_host
from chainrule.train.data import check_inputs, check_weights
from chainrule.train.metrics import Scorer
from chainrule.train.ordered import Ordered

Tree = Any
Check = Callable[[], object]
TILE = 256
CHUNK = 2**17
"""Rows of another dtype that are converted at a time, a multiple of the tile."""
FEW = 8
"""So many rows take small tiles, in machine code."""
TOGETHER = 2**24
"""Up to so many bytes of parameters are laid side by side for an evaluation of many networks."""
SMALL = 2
"""Rows of a small tile: one alone would be a vector, whose products add up in another order."""


class _Room:
    """Where a loop reads a few rows and leaves what it makes of them."""

    def __init__(self, loop: Any) -> None:
        room = loop.room(FEW // SMALL)
        self.run = room.run
        self.places = [x.reshape(FEW, *x.shape[2:]) for x in room.xs]
        self.found, *self.sums = (y.reshape(FEW, *y.shape[2:]) for y in room.ys)


def _few(
    rooms: list[_Room],
    room: _Room,
    known: Sequence[np.ndarray],
    arrays: Sequence[np.ndarray],
    check: Check,
) -> np.ndarray:
    """A few rows by one room, which then joins the others."""
    rows = len(arrays[0])
    steps = -(-rows // SMALL)
    for place, x in zip(room.places, arrays, strict=True):
        if rows == 1:
            place[:SMALL] = x
        else:
            place[:rows] = x
            place[rows : steps * SMALL] = x[-1]
    room.run(steps, known)
    result = room.found[:rows].copy()
    finite = not room.sums or math.isfinite(sum(room.sums[0][:rows].tolist()))
    rooms.append(room)
    if not finite:
        check()
    return result


class Tiles:
    """``function(constants, *rows) -> rows``, compiled for tiles of a fixed number of rows.

    Called with a tree of arrays and with arrays of n rows each, it returns an array of n rows.
    With ``sums`` machine code adds up each row of the first array (n, columns) on the way, while it
    is in the cache: where a sum is not finite, a call's ``check`` looks at the numbers.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        runner: Runner,
        exact: bool = False,
        sums: bool = False,
    ) -> None:
        self.function = function
        self.runner = runner
        self.exact = exact
        executor = executor_named(runner.executor)
        self.sums = sums and hasattr(executor, "Loop")
        self.tile = getattr(executor, "tile", None) or TILE
        self.made: dict[Any, Any] = {}
        self.rooms: dict[Any, list[_Room]] = {}  # by loop, that nobody uses now
        self.ready: dict[Any, list[_Room]] = {}  # the same by shapes and types
        self.widest = 1  # so many networks were evaluated side by side

    def __call__(
        self,
        constants: Tree,
        *arrays: np.ndarray,
        known: Sequence[np.ndarray] | None = None,
        lasting: dict[Any, Any] | None = None,
        check: Check = lambda: None,
    ) -> np.ndarray:
        """``known``: the leaves of ``constants``, where the caller has them. ``lasting`` keeps what
        the executor has of these arrays from call to call: the caller has one for each of them,
        and nobody writes to them."""
        known = leaves(constants) if known is None else known
        ready = self.ready.get(tuple([(x.shape, x.dtype) for x in arrays]))
        if ready:  # half of what one row takes would go into finding its loop
            try:
                room = ready.pop()
            except IndexError:  # another thread has the last
                return self._rest(constants, known, arrays, check)
            return _few(ready, room, known, arrays, check)
        rows = len(arrays[0])
        whole = rows - rows % self.tile
        if not whole:
            return self._rest(constants, known, arrays, check)
        parts = [self._tiles(constants, known, [x[:whole] for x in arrays], lasting, check)]
        if whole < rows:
            parts.append(self._rest(constants, known, [x[whole:] for x in arrays], check))
        return np.concatenate(parts) if len(parts) > 1 else parts[0]

    def _tiles(
        self,
        constants: Tree,
        known: Sequence[np.ndarray],
        arrays: Sequence[np.ndarray],
        lasting: dict[Any, Any] | None = None,
        check: Check = lambda: None,
    ) -> np.ndarray:
        """All tiles of arrays that are whole ones."""
        tiles: Any = [x.reshape(-1, self.tile, *x.shape[1:]) for x in arrays]
        loop = self._loop(self.tile, constants, arrays)
        if lasting is not None and hasattr(loop, "lasting"):
            if loop not in lasting:
                lasting[loop] = loop.lasting(tiles)
            tiles = lasting[loop]
        if loop:
            ((found, *sums), _) = loop([], tiles, known)
            if sums and not math.isfinite(np.vdot(sums[0], np.ones_like(sums[0]))):
                check()
        else:
            check()
            run = self._compiled(constants, [x[0] for x in tiles])
            found = np.array([run(constants, *rows) for rows in zip(*tiles, strict=True)])
        return found.reshape(-1, *found.shape[2:])

    def _rest(
        self,
        constants: Tree,
        known: Sequence[np.ndarray],
        arrays: Sequence[np.ndarray],
        check: Check,
    ) -> np.ndarray:
        """Fewer rows than a tile has: some small tiles of them, or a tile that is filled up."""
        rows = len(arrays[0])
        loop = self._loop(SMALL, constants, arrays) if 0 < rows <= FEW else None
        if hasattr(loop, "room"):
            rooms = self.rooms.setdefault(loop, [])
            self.ready[tuple([(x.shape, x.dtype) for x in arrays])] = rooms
            return _few(rooms, _Room(loop), known, arrays, check)
        filled = [_filled(x, self.tile) for x in arrays]
        return self._tiles(constants, known, filled, check=check)[:rows]

    def each(
        self, flat: Sequence[Sequence[np.ndarray]], tree: TreeDef, tiles: Sequence[np.ndarray]
    ) -> np.ndarray | None:
        """For each tree of constants, by its leaves, the function of its own tiles (m, tile, ...),
        one after the other, (sum of m, tile, ...); None where the executor has no call for it."""
        executor, first = executor_named(self.runner.executor), tiles[0]
        if getattr(executor, "batches", False):
            return self._side_by_side(flat, tree, tiles)

        def step(carry: Any, x: Any, constants: Any) -> Any:
            return self.function(*x), carry

        def make() -> Any:
            own = tree.unflatten([ArrayType(x.shape, x.dtype) for x in flat[0]])
            rows = ArrayType(first.shape[1:], first.dtype)
            return self.runner.repeat(step, (), (own, rows), ())

        size = sum(leaf.nbytes for leaf in flat[0]) * sum(map(len, tiles))
        if not hasattr(executor, "Loop") or size > TOGETHER:
            return None
        loop = self._known(("each", first.shape[1:], first.dtype), make)
        own = [
            np.stack([x for x, tile in zip(leaf, tiles, strict=True) for _ in tile])
            for leaf in zip(*flat, strict=True)
        ]
        ((found,), _) = loop([], [*own, np.concatenate(tiles)])
        return found

    def _side_by_side(
        self, flat: Sequence[Sequence[np.ndarray]], tree: TreeDef, tiles: Sequence[np.ndarray]
    ) -> np.ndarray | None:
        """The same as one batched call. Where networks stop it stays as wide, since each width is
        compiled, until a quarter is left. Rows that all have are there once."""
        first, count = tiles[0], len(flat)
        size = count * (first.nbytes + sum(leaf.nbytes for leaf in flat[0]))
        if size > TOGETHER or len({x.shape for x in tiles}) > 1:
            return None
        width = self.widest = max(self.widest, count)
        while (less := -(-width // 4)) >= count and width > 1:
            width = less
        filled = [*range(count), *[0] * (width - count)]
        each = [np.stack([leaf[k] for k in filled]) for leaf in zip(*flat, strict=True)]
        own, axis = tree.unflatten(each), None if all(x is first for x in tiles) else 0
        rows = first if axis is None else np.stack([tiles[k] for k in filled])
        rows = rows.reshape(*rows.shape[: rows.ndim - first.ndim], -1, *first.shape[2:])
        run = self._known(
            ("each", width, rows.shape, rows.dtype),
            lambda: self.runner.compile(vmap(self.function, (0, axis)), own, rows),
        )
        found = run(own, rows)[:count]
        return found.reshape(-1, first.shape[1], *found.shape[2:])

    def _loop(self, tile: int, constants: Tree, arrays: Sequence[np.ndarray]) -> Any:
        """The executor's own loop over tiles, if it has one."""

        def step(carry: Any, rows: Any, constants: Tree) -> Any:
            found = self.function(constants, *rows)
            return (found, np.sum(rows[0], axis=1)) if self.sums else found, carry

        def make() -> Any:
            rows = tuple(ArrayType((tile, *x.shape[1:]), x.dtype) for x in arrays)
            return self.runner.repeat(step, (), rows, on_host(constants))

        return self._known((tile, "loop", *((x.shape[1:], x.dtype) for x in arrays)), make)

    def _compiled(self, constants: Tree, tile: Sequence[np.ndarray]) -> Any:
        if self.exact:
            ordered = map_tree(lambda leaf: np.asarray(leaf).view(Ordered), constants)
            return lambda _, *rows: self.function(ordered, *rows)
        signature = tuple((x.shape, x.dtype) for x in tile)
        return self._known(
            signature, lambda: self.runner.compile(self.function, on_host(constants), *tile)
        )

    def _known(self, signature: Any, make: Callable[[], Any]) -> Any:
        if signature not in self.made:
            self.made[signature] = make()
        return self.made[signature]


@dataclass(frozen=True)
class Predictor:
    """A network to be evaluated, with compiled functions that all calls share.

    Attributes:
        model, loss: as given to ``fit``.
        runner: where to run.
        exact: whether a row's bits may not depend on its place among the others on NumPy either,
            which then adds products one by one, without BLAS. In machine code they never do.

    Its methods take the network's trees ``params`` and ``state``, and inputs ``x`` (n, columns),
    which are cast to the dtype of the parameters; DataError names one that is not finite in it.
    """

    model: Any
    loss: Loss
    runner: Runner
    exact: bool = False

    def __reduce__(self) -> Any:  # compiled again where needed
        return Predictor, (self.model, self.loss, self.runner, self.exact)

    @cached_property
    def _outputs(self) -> Tiles:
        def outputs(network: Tree, x: Any) -> Any:
            params, state = network
            return self.model(params, state, x, train=False)[0]

        return Tiles(outputs, self.runner, self.exact, sums=True)

    @cached_property
    def _predictions(self) -> Tiles:
        def predictions(network: Tree, x: Any) -> Any:
            params, state = network
            return self.loss.predict(self.model(params, state, x, train=False)[0])

        return Tiles(predictions, self.runner, self.exact, sums=True)

    @cached_property
    def _unit(self) -> Tiles:
        return Tiles(lambda _, outputs: self.loss.predict(outputs), self.runner)

    @cached_property
    def _losses(self) -> Tiles:
        return Tiles(lambda _, outputs, targets: self.loss(outputs, targets), self.runner)

    def outputs(self, params: Tree, state: Tree, x: Any) -> np.ndarray:
        """Linear outputs (n, k) for inputs (n, columns)."""
        return self._of(self._outputs, (params, state), x)

    def predict(self, params: Tree, state: Tree, x: Any) -> np.ndarray:
        """Predictions (n, k): the loss's output unit over the linear outputs."""
        return self._of(self._predictions, (params, state), x)

    def _of(self, tiles: Tiles, network: Tree, x: Any) -> np.ndarray:
        known = leaves(network)
        dtype = np.asarray(known[0]).dtype
        if tiles.sums and type(x) is np.ndarray and x.dtype == dtype and x.ndim == 2 and len(x):
            try:
                return tiles(network, x, known=known, check=lambda: check_inputs(x, dtype))
            except Exception:
                check_inputs(x, dtype)  # what is not finite may be what went wrong
                raise
        if self.exact and len(x) > CHUNK and getattr(x, "dtype", dtype) != dtype:
            # A row's bits do not depend on the others, and not all rows are there twice.
            starts = range(0, len(x), CHUNK)
            return np.concatenate([self._of(tiles, network, x[i : i + CHUNK]) for i in starts])
        return tiles(network, check_inputs(x, dtype), known=known)

    def unit(self, outputs: np.ndarray) -> np.ndarray:
        """Predictions from linear outputs."""
        return self._unit((), outputs)

    def losses(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """The loss of each row, (n,), from linear ``outputs`` (n, k) and ``targets`` as the loss's
        ``prepare`` returns them."""
        return self._losses((), outputs, targets)


@dataclass(frozen=True)
class HeldOut:
    """Rows to be evaluated after each epoch, checked once.

    ``given`` are the targets as the caller gave them, for the metrics; ``targets`` are those
    prepared for the loss.
    """

    name: str
    x: np.ndarray
    targets: np.ndarray
    given: np.ndarray
    weights: np.ndarray | None
    lasting: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)
    ready: list[Any] = field(default_factory=list, compare=False, repr=False)
    """Outputs and losses that were computed for the next ``score``."""

    @staticmethod
    def of(
        name: str, x: Any, targets: Any, weights: Any, loss: Loss, outputs: int, dtype: Any
    ) -> HeldOut:
        """Checked arrays; raises DataError naming ``name``, row and column."""
        x = check_inputs(x, dtype, "x" if name == "train" else f"{name} x")
        rows = len(x)
        prepared = loss.prepare(targets, outputs, dtype)
        if len(prepared) != rows:
            raise DataError(f"{name}: {rows} rows of x and {len(prepared)} targets")
        label = "sample_weight" if name == "train" else f"{name} weights"
        return HeldOut(
            name,
            x,
            prepared,
            plain_array(targets, name),
            check_weights(weights, rows, dtype, label),
        )

    def tiles(self, tile: int) -> np.ndarray:
        """x as tiles (m, tile, columns), the last one filled up."""
        if tile not in self.lasting:
            self.lasting[tile] = _filled(self.x, tile).reshape(-1, tile, *self.x.shape[1:])
        return self.lasting[tile]

    def score(
        self, predictor: Predictor, params: Tree, state: Tree, metrics: Mapping[str, Scorer]
    ) -> dict[str, float]:
        """``{"train_loss": ..., "train_accuracy": ...}``: weighted means over all rows.

        The loss is without the penalty, and added up in float64.
        """
        with quiet():
            if self.ready:
                outputs, losses = self.ready.pop()
            else:
                outputs = predictor._outputs(  # x was checked above
                    (params, state), self.x, lasting=self.lasting
                )
                losses = predictor.losses(outputs, self.targets)
            losses = losses.astype(np.float64)
        weights = None if self.weights is None else self.weights.astype(np.float64)
        scores = {f"{self.name}_loss": float(np.average(losses, weights=weights))}
        if metrics:
            with quiet():
                predicted = predictor.unit(outputs)
            if predicted.shape[1:] == (1,) and self.given.ndim == 1:
                predicted = predicted[:, 0]  # or they would broadcast to (n, n)
            classes = getattr(predictor.loss, "classes", None)
            for name, metric in metrics.items():
                chosen = classes(outputs) if classes and metric.of_classes else predicted
                value = np.asarray(metric(self.given, chosen, self.weights))
                if value.size != 1:
                    raise UsageError(
                        f"metric {name} returned shape {value.shape}; it must return a number"
                    )
                scores[f"{self.name}_{name}"] = float(value.item())
        return scores


def evaluate_together(
    predictor: Predictor, each: Sequence[tuple[HeldOut, Sequence[np.ndarray]]], tree: TreeDef
) -> None:
    """Make the next ``score`` of each of these rows ready, for its network ``(params, state)``, by
    two calls for all. Networks are given by their leaves."""
    with quiet():
        tiles = predictor._outputs
        known: dict[int, np.ndarray] = {}
        filled = [known.setdefault(id(rows.x), rows.tiles(tiles.tile)) for rows, _ in each]
        found = tiles.each([network for _, network in each], tree, filled)
        if found is None:
            return
        found, start, outputs = found.reshape(-1, *found.shape[2:]), 0, list[np.ndarray]()
        for (rows, _), own in zip(each, filled, strict=True):
            outputs.append(found[start : start + len(rows.x)])
            start += len(own) * tiles.tile
        targets = np.concatenate([rows.targets for rows, _ in each])
        losses = predictor.losses(np.concatenate(outputs), targets)
        ends = np.cumsum([len(rows.x) for rows, _ in each])
        losses = np.split(losses, ends[:-1])
    for (rows, _), own, loss in zip(each, outputs, losses, strict=True):
        rows.ready[:] = [(own, loss)]


def dtype_of(params: Tree) -> np.dtype[Any]:
    """The dtype a network computes in: that of its first parameter."""
    return np.asarray(leaves(params)[0]).dtype


def _filled(rows: np.ndarray, tile: int) -> np.ndarray:
    """These rows and as many more as fill tiles: the last one again."""
    last = rows[-1:] if len(rows) else np.zeros((1, *rows.shape[1:]), rows.dtype)
    missing = -len(rows) % tile if len(rows) else tile
    return np.concatenate((rows, *[last] * missing)) if missing else rows
