"""Which executor trains a network fastest on this machine: a few steps are tried on each."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chainrule.core.told import told
from chainrule.core.tree import map_tree
from chainrule.run import default_executor, device_of, name_of
from chainrule.run.settings import ExecutorLike
from chainrule.train.data import batch_rows
from chainrule.train.fit import fit

STEPS = 16
"""Steps of an epoch that is timed, where there are so many."""
EPOCHS = 5


@dataclass(frozen=True, slots=True)
class Trial:
    """What a step took, in seconds, on each executor, and the device of XLA; prints as a line."""

    seconds: Mapping[str, float]
    device: str = ""

    @property
    def executor(self) -> str:
        """The fastest."""
        return min(self.seconds, key=self.seconds.__getitem__)

    def __str__(self) -> str:
        others = ", ".join(
            f"{self._named(name)} {_shown(seconds)}"
            for name, seconds in self.seconds.items()
            if name != self.executor
        )
        taken = _shown(self.seconds[self.executor])
        chosen = self._named(self.executor)
        return f"executor {chosen}: {taken} a step ({others or 'no other is installed'})"

    def _named(self, name: str) -> str:
        return f"{name} on {self.device}" if name == "xla" and self.device else name


def _shown(seconds: float) -> str:
    return f"{seconds * 1e6:.0f} µs" if seconds < 1e-3 else f"{seconds * 1e3:.1f} ms"


@told("train.try_executors")
def try_executors(
    model: Any,
    data: tuple[Any, ...],
    executors: Sequence[ExecutorLike] | None = None,
    *,
    batch_size: int | str | None = None,
    **settings: Any,
) -> Trial:
    """Train short epochs on each executor, and take the fastest of those after the first, which
    compiles: others' work on this machine may slow one.

    Args:
        model, data, batch_size, settings: as ``fit`` takes them, with arrays as data; epochs,
            validation, callbacks and what is to be kept are left out.
        executors: as ``fit`` takes one; None for the default one, and ``"xla"`` where JAX is
            installed.
    """
    if executors is None:
        jax = ("xla",) if importlib.util.find_spec("jax") else ()
        executors = (default_executor(), *jax)
    left = ("epochs", "validation", "test", "callbacks", "checkpoint", "resume", "early_stopping",
            "evaluate_train", "executor", "metrics")  # fmt: skip
    given = {name: value for name, value in settings.items() if name not in left}
    rows = len(data[0])
    batch = batch_rows(batch_size, rows)
    count = min(rows, STEPS * batch)
    few = map_tree(lambda x: x[:count], tuple(data))
    if given.get("sample_weight") is not None:
        given["sample_weight"] = given["sample_weight"][:count]
    seconds, device = {}, ""
    for one in executors:
        result = fit(
            model, few, batch_size=batch, epochs=EPOCHS, evaluate_train=False, executor=one,
            callbacks=[lambda event: None], **given,  # who asks after each epoch has each by itself
        )  # fmt: skip
        fastest = min(moment["seconds"] for moment in result.history[1:])
        seconds[name_of(one)] = fastest / max(1, count // batch)
        device = device or device_of(one)
    return Trial(seconds, device)
