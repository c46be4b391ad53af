"""Checkpoints: a training that is cut short goes on later to the same bits.

A folder holds the last two, ``checkpoint-000041.safetensors`` and the one before, each one file
with a closed schema (``SCHEMA``), written atomically. Where training stands is a ``Moment`` of
each network; the order of rows and every mask follow from the seed, so nothing random is kept.
"""

from __future__ import annotations

import hashlib
import math
import os
import platform
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from chainrule import io
from chainrule.core.settings import whole
from chainrule.core.tree import TreeDef, flatten
from chainrule.errors import DataError, UsageError
from chainrule.run import default_executor
from chainrule.train.monitor import Judged, Moment, Position, TrainingState
from chainrule.version import __version__

FORMAT, VERSION = "chainrule.checkpoint", 1
NAME = re.compile(r"checkpoint-(\d{6,})\.safetensors")
KEPT = 2
"""So many files stay: the last, and one to fall back on if that is damaged."""
UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
HARMLESS = {
    "epochs", "early_stopping", "metrics", "evaluate_train", "test data", "executor",
    "chainrule", "numpy", "llvmlite", "processor",
}  # fmt: skip
"""What may differ if the user says so: training goes on soundly, but not to the same bits."""


class Checkpointed(NamedTuple):
    """What happened to a checkpoint.

    Attributes:
        what: "written", or "resumed" where training goes on from it.
        path: of the file. epoch, step: where the first network stands: of epoch ``epoch`` (1, 2,
            ...) ``step`` minibatches are done. steps: its updates in all.
        seconds: that writing or reading took.
    """

    what: str
    path: Path
    epoch: int
    step: int
    steps: int
    seconds: float


@dataclass(frozen=True)
class Checkpoint:
    """Where and when a training writes down where it stands, for ``resume=True``.

    Parameters:
        folder: made if it is not there; holds the last two files.
        every: seconds between two, as "30s", "5m", "1h"; or a number of steps. There is also one at
            the start, at the end, and when Ctrl-C ends training.
        force: resume although options that do no harm differ, such as ``epochs`` or the version;
            begin anew although the folder holds a training that is not at its end.
        about: what else must be the same when resuming: plain data by names.
        callback: called with a ``Checkpointed`` for each.

    Raises:
        UsageError: ``every`` is neither a time nor a number of steps.
    """

    folder: str | os.PathLike[str]
    every: str | int = "5m"
    force: bool = False
    about: Mapping[str, Any] = field(default_factory=dict[str, Any])
    callback: Callable[[Checkpointed], Any] | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        every = self.every
        if isinstance(every, str) and every.isdigit():
            object.__setattr__(self, "every", int(every))
        elif isinstance(every, str):
            found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([smh])", every)
            if not found or not float(found[1]):
                raise UsageError(
                    f"every={every!r}: expected a time as 30s, 5m or 1h, or a number of steps"
                )
        if not isinstance(self.every, str):
            whole("every", self.every)

    @property
    def seconds(self) -> float:
        """Between two checkpoints; infinite where steps count."""
        every = self.every
        return float(every[:-1]) * UNITS[every[-1]] if isinstance(every, str) else math.inf

    @property
    def steps(self) -> int:
        """Between two checkpoints; beyond all where seconds count."""
        return 2**62 if isinstance(self.every, str) else self.every


@dataclass(frozen=True)
class _Float:
    """A number, or one that is not finite, by name."""

    def check(self, value: Any, where: str) -> None:
        if value not in ("nan", "inf", "-inf"):
            io.Number().check(value, where)


COUNT = io.Integer(minimum=0)
JUDGED = io.Record(
    {
        "history": io.ListOf(io.MapOf(_Float())),
        "best_epoch": io.Nullable(COUNT),
        "best_loss": _Float(),
        "stalled": COUNT,
        "reference": _Float(),
    }
)
POSITION = io.Record(
    {"epoch": io.Integer(minimum=1), "step": COUNT, "loss": _Float(), "weight": _Float()}
)
NETWORK = io.Record(
    {
        "same": io.MapOf(io.Text()),
        "steps": COUNT,
        "position": POSITION,
        "judged": JUDGED,
        "values": io.Nullable(io.ListOf(_Float())),
        "seconds": io.Number(minimum=0),
        "stopped": io.Nullable(io.Text()),
    }
)
SCHEMA = io.Record(
    {
        "format": io.Constant(FORMAT),
        "version": io.Constant(VERSION),
        "same": io.MapOf(io.Text()),
        "networks": io.ListOf(NETWORK, minimum=1),
    }
)


class Found(NamedTuple):
    """A file that was read: its arrays by name and its document."""

    path: Path
    arrays: dict[str, np.ndarray]
    document: dict[str, Any]

    @property
    def ended(self) -> bool:
        return all(one["stopped"] is not None for one in self.document["networks"])


def read(path: Path) -> Found:
    """The checkpoint in this file; DataError if it is not one, whole."""
    arrays, document = io.load(path)
    try:
        io.check(document, SCHEMA)
    except DataError as error:
        raise DataError(f"{path}: is no checkpoint of this chainrule: {error}") from None
    return Found(path, arrays, document)


def record_of(
    moment: Moment, treedef: TreeDef, place: int, arrays: dict[str, np.ndarray]
) -> dict[str, Any]:
    """The record of a network's moment; its arrays go to ``arrays``, under names with its place."""

    def add(part: str, leaves: Sequence[np.ndarray], names: Sequence[str]) -> None:
        for name, leaf in zip(names, leaves, strict=True):
            arrays[f"{place}/{part}/{name}"] = np.asarray(leaf)

    names = treedef.paths()
    add("now", moment.now, names)
    if moment.safe is not moment.now:
        add("safe", moment.safe, names)
    if moment.judged.best is not None:
        leaves, tree = flatten(moment.judged.best)
        add("best", leaves, tree.paths())
    log = moment.log
    if log:
        arrays[f"{place}/log"] = np.stack([np.asarray(vector) for _, vector in log])
    judged, position = moment.judged, moment.position
    return {
        "steps": moment.steps,
        "position": {k: v if k in ("epoch", "step") else _plain(v)
                     for k, v in position._asdict().items()},
        "judged": {
            "history": [{k: _plain(v) for k, v in row.items()} for row in judged.history],
            "best_epoch": judged.best_epoch,
            "best_loss": _plain(judged.best_loss),
            "stalled": judged.stalled,
            "reference": _plain(judged.reference),
        },
        "values": None if log is None else [_plain(float(value)) for value, _ in log],
    }  # fmt: skip


def moment_of(found: Found, place: int, record: dict[str, Any], training: TrainingState) -> Moment:
    """Where a network stood, its arrays such as those of ``training``."""
    params, state, _ = training.carry
    kept = flatten((params, state))

    def leaves(part: str, names: Sequence[str], like: Sequence[np.ndarray]) -> list[np.ndarray]:
        given = []
        for name, one in zip(names, like, strict=True):
            array = found.arrays.get(f"{place}/{part}/{name}")
            if array is None or array.shape != one.shape or array.dtype != one.dtype:
                has = "lacks it" if array is None else f"has {array.dtype}{list(array.shape)}"
                raise UsageError(
                    f"{found.path}: {name} is to be {one.dtype}{list(one.shape)}, and the file "
                    f"{has}; give the network that was trained"
                )
            given.append(array)
        return given

    def has(part: str) -> bool:
        return any(name.startswith(f"{place}/{part}/") for name in found.arrays)

    names = training.treedef.paths()
    now = leaves("now", names, training.now)
    safe = leaves("safe", names, training.now) if has("safe") else now
    best = None
    if record["judged"]["best_epoch"] is not None:
        best = kept[1].unflatten(leaves("best", kept[1].paths(), kept[0]))
    judged, at = record["judged"], record["position"]
    rows = tuple({k: _float(v) for k, v in row.items()} for row in judged["history"])
    log = None
    if record["values"] is not None:
        vectors = found.arrays.get(f"{place}/log", ())
        log = tuple(zip(map(_float, record["values"]), vectors, strict=True))
    return Moment(
        now,
        safe,
        record["steps"],
        Position(at["epoch"], at["step"], _float(at["loss"]), _float(at["weight"])),
        Judged(
            rows,
            judged["best_epoch"],
            _float(judged["best_loss"]),
            best,
            judged["stalled"],
            _float(judged["reference"]),
        ),
        log,
    )


def versions() -> dict[str, str]:
    """What bits depend on besides options and data."""
    found = {"chainrule": __version__, "numpy": np.__version__}
    processor = platform.machine()
    if default_executor() == "native":
        import llvmlite

        from chainrule.run.native.runtime.machine import processor as kind

        found["llvmlite"], processor = llvmlite.__version__, f"{processor} {kind()}"
    return found | {"processor": processor}


def fingerprint(*arrays: Any) -> str:
    """The SHA-256 of arrays, some of which may be None."""
    digest = hashlib.sha256()
    for array in arrays:
        if array is None:
            digest.update(b"None")
            continue
        array = np.ascontiguousarray(array)
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def described(value: Any) -> str:
    """What a setting is, in words that are the same in another process."""
    describe = getattr(value, "describe", None)
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(describe() if describe else value))


def _plain(value: float) -> float | str:
    return value if math.isfinite(value) else str(float(value))


def _float(value: float | str) -> float:
    return float(value) if isinstance(value, str) else value
