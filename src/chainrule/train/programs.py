"""Compiled functions that trainings of one kind share, and what makes trainings of one kind."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import partial
from types import FunctionType
from typing import Any

import numpy as np

from chainrule.run import Runner
from chainrule.train.evaluation import Predictor

KINDS = 8
"""So many kinds of training keep their programs, in each thread."""
SHAPES = 16
"""For so many shapes of data each."""
SMALL = 4096
"""Arrays among settings are compared by content up to so many bytes."""


class Recent(OrderedDict[Any, Any]):
    """The things made last, up to ``most``, by their keys."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def made(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """What has this key, made now if need be."""
        if key not in self:
            self[key] = make()
        self.move_to_end(key)
        while len(self) > self.most:
            self.popitem(last=False)
        return self[key]


@dataclass(frozen=True, eq=False)
class Programs:
    """What trainings of one kind compile once; ``steps`` and ``loops`` by what they take."""

    predictor: Predictor
    steps: Recent = field(default_factory=lambda: Recent(SHAPES))
    loops: Recent = field(default_factory=lambda: Recent(SHAPES))


_local = threading.local()


def programs(model: Any, loss: Any, runner: Runner, *more: Any, own: bool = False) -> Programs:
    """The programs for this network, loss and executor, and whatever else a step depends on.

    They are kept for the next call if all of that is this library's and plain values; with ``own``
    also if something is the caller's, which then must do what it did.
    """
    others: list[Any] = []
    key = likeness((model, loss, more), others), runner

    def make() -> Programs:
        return Programs(Predictor(model, loss, runner))

    if others and not own:
        return make()
    kept: Recent = _local.__dict__.setdefault("kept", Recent(KINDS))
    return kept.made(key, make)


@dataclass(frozen=True, eq=False)
class _Own:
    """Something that is like itself alone."""

    value: Any

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Own) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)


def likeness(value: Any, others: list[Any]) -> Hashable:
    """Equal for settings (models, losses, optimisers, numbers) that compute the same.

    Functions of this library are alike if they close over what is alike. Whatever else a caller
    made is like itself alone, for it may depend on anything; it is added to ``others``.
    """
    kind: Any = type(value)
    if value is None or kind in (bool, int, str, bytes, np.dtype):
        return kind, value
    if kind is float:
        return kind, value.hex()  # 0.0 is not -0.0
    if isinstance(value, np.generic) or (kind is np.ndarray and value.nbytes <= SMALL):
        return kind, value.dtype.str, value.shape, value.tobytes()
    parts: Any = None
    if kind in (tuple, list):
        parts = value
    elif isinstance(value, Mapping):
        parts = [x for item in value.items() for x in item]
    elif kind is partial:
        parts = value.func, value.args, value.keywords
    elif kind is FunctionType and _ours(value):
        inside = [cell.cell_contents for cell in value.__closure__ or ()]
        if not any(x is value for x in inside):
            kind, parts = value.__code__, (inside, value.__defaults__, value.__kwdefaults__)
    elif is_dataclass(kind) and _ours(kind):
        parts = [getattr(value, part.name) for part in fields(kind)]
    if parts is not None:
        return (kind, *[likeness(x, others) for x in parts])
    others.append(value)
    return _Own(value)


def _ours(value: Any) -> bool:
    module = value.__module__  # None, where code ran without a module
    return module is not None and module.partition(".")[0] == "chainrule"
