"""Where programs run, as users say it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chainrule.errors import UsageError

PRECISIONS = ("highest", "tf32", "bf16")
"""How products of float32 are computed where the hardware has faster ways."""


@dataclass(frozen=True, slots=True)
class Executor:
    """An executor with a device and the precision of its products: what ``executor=`` takes where
    a name alone does not say enough.

    Attributes:
        name: ``"xla"``, or another executor, which has one device and one precision.
        device: ``"cpu"``, ``"gpu"``, ``"tpu"``, or one of several as ``"gpu:1"``; None for the
            executor's own choice. ``"gpu:*"`` or ``"gpu:0,2"`` are all or some, which share the
            shards of a training; other programs run on the first.
        precision: of products of float32 arrays: ``"highest"`` (float32 throughout, the default),
            ``"tf32"`` or ``"bf16"`` (factors rounded, sums in float32).
        results: of ``jit``: ``"numpy"`` for arrays of NumPy, or ``"device"`` for arrays of JAX that
            stay where they are; other libraries take them by DLPack.

    Raises:
        UsageError: another precision, other results, or a device that is no name.
    """

    name: str
    device: str | None = None
    precision: str | None = None
    results: str = "numpy"

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise UsageError(f'an executor is named, as "xla" is, not {self.name!r}')
        if self.device is not None and not isinstance(self.device, str):
            raise UsageError(f'a device is named, as "gpu" or "gpu:1" is, not {self.device!r}')
        if self.precision is not None and self.precision not in PRECISIONS:
            raise UsageError(f"precision is one of {', '.join(PRECISIONS)}, not {self.precision!r}")
        if self.results not in ("numpy", "device"):
            raise UsageError(f'results is "numpy" or "device", not {self.results!r}')

    @property
    def asks(self) -> str | None:
        """What it asks for beyond the CPU in full precision, if anything."""
        if self.device not in (None, "cpu"):
            return f"device={self.device!r}"
        if self.results == "device":
            return 'results="device"'
        return None if self.precision in (None, "highest") else f"precision={self.precision!r}"


ExecutorLike = str | Executor | None
"""A name, a name with device and precision, or None for the first that is installed."""


def executor_of(executor: Any) -> Executor | None:
    """What a user gave as ``executor=``.

    Raises:
        UsageError: it is neither a name nor an Executor.
    """
    if executor is None or isinstance(executor, Executor):
        return executor
    return Executor(executor)
