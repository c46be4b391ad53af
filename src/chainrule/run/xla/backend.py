"""JAX: imported here and nowhere else, when the executor ``xla`` is first asked for."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy as jsp
import numpy as np
from jax import lax
from jax.core import Tracer
from jax.experimental.serialize_executable import deserialize_and_load, serialize

from chainrule.errors import UsageError
from chainrule.run.cache import kept
from chainrule.run.settings import PRECISIONS, Executor

__all__ = [
    "Target",
    "abstract",
    "all_finite",
    "called_back",
    "check_alive",
    "compiled",
    "described",
    "devices_named",
    "jax",
    "jnp",
    "jsp",
    "lax",
]

_MATMUL = {"highest": "highest", "tf32": "tensorfloat32", "bf16": "highest"}
"""What JAX calls them; for bf16 the rows of products cast their factors themselves."""
DLPACK_CPU = 1
"""What DLPack calls memory of the CPU."""
assert set(_MATMUL) == set(PRECISIONS)


@dataclass(frozen=True)
class Target:
    """Where programs run, and how exactly products of float32 are computed."""

    device: Any
    precision: str
    keeps: bool = False  # results, as arrays of the device

    @classmethod
    def of(cls, executor: Executor) -> Target:
        """The target that a user's words name.

        Raises:
            UsageError: there is no such device here.
        """
        device = next(iter(devices_named(executor.device).values()))
        return cls(device, executor.precision or "highest",
                   executor.results == "device")  # fmt: skip

    @cached_property
    def sharding(self) -> Any:
        """The device in the words that arrays have for where they lie."""
        return jax.sharding.SingleDeviceSharding(self.device)

    @cached_property
    def counts(self) -> bool:
        """Whether a loop may look at a counter between its steps, which costs nothing there."""
        return self.device.platform == "cpu"

    @cached_property
    def memory(self) -> float:
        """Bytes that the device has in all; infinitely many where it does not say."""
        if self.device.platform == "cpu" and hasattr(os, "sysconf"):
            return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
        return (self.device.memory_stats() or {}).get("bytes_limit", math.inf)

    @contextmanager
    def settings(self) -> Iterator[None]:
        """64-bit numbers and this precision for what is traced or run inside: the user's own
        JAX keeps its settings."""
        with jax.enable_x64(True), jax.default_matmul_precision(_MATMUL[self.precision]):
            yield

    def put(self, array: Any) -> Any:
        """An array as one on the device; itself, if it is there already."""
        if self.has(array):
            return array
        return jax.device_put(np.asarray(array), self.device)

    def taken(self, array: Any) -> Any:
        """What another library hands over by DLPack, where it lies; 64 bits stay 64. NumPy takes
        what lies in its memory, with any strides; on a device axes in another order are copied."""
        with self.settings():
            if isinstance(array, Tracer):
                raise TypeError("it is being traced, and has no numbers yet")
            if not isinstance(array, jax.Array):
                if array.__dlpack_device__()[0] == DLPACK_CPU:
                    return np.from_dlpack(array)
                array = jax.dlpack.from_dlpack(array)
            layout = array.format.layout  # pyright: ignore
            usual = layout is None or [*layout.major_to_minor] == [*range(array.ndim)]
            return array if usual else jnp.copy(array)

    def has(self, array: Any) -> bool:
        """Whether this array lies on the device."""
        return isinstance(array, jax.Array) and array.device == self.device


def compiled(lowered: Any, device: Any) -> Any:
    """A lowered program as machine code for this device, made before if it was (``run.cache``);
    not for programs that call back into this process."""
    client = device.client
    about = (
        f"xla|{jax.__version__}|{version('jaxlib')}|{client.platform_version}|{device}|"
        f"{device.device_kind}|{_processor()}|{os.environ.get('XLA_FLAGS')}|"
        f"{jax.config.read('jax_disable_most_optimizations')}|"
        f"{lowered.args_info}|{lowered.as_text()}"  # the text has no arguments that are not used
    )
    made: list[Any] = []

    def make() -> bytes:
        made.append(lowered.compile())
        return serialize(made[0])[0]

    code = kept(about, make)
    if made:
        return made[0]
    try:
        return deserialize_and_load(code, lowered.in_tree, lowered.out_tree, client, [device])
    except Exception:  # whole, but not what this JAX can load: of a build with the same version
        return lowered.compile()


class _Process:
    """Whether JAX has threads in this process, or had them where it was forked."""

    used = lost = False

    @classmethod
    def forked(cls) -> None:
        cls.lost = cls.used


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_Process.forked)


def check_alive() -> None:
    """Raise UsageError in a process forked from one that had used JAX: it would wait for ever."""
    if _Process.lost:
        raise UsageError(
            "this process was forked from one in which JAX had run, and JAX's threads are not in "
            'it: start processes with multiprocessing\'s "spawn" or "forkserver", or take '
            'executor="native" in them'
        )


@cache
def _processor() -> str:
    """What code for the CPU is made for."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()} {platform.node()}"
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")


def all_finite(arrays: Sequence[Any]) -> bool:
    """Whether every number of arrays of a device is finite, looked at there."""
    with jax.enable_x64(True):
        return bool(_all_finite(arrays))


@jax.jit
def _all_finite(arrays: Sequence[Any]) -> Any:
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(x)) for x in arrays]))


def devices_named(name: str | None) -> dict[str | None, Any]:
    """Devices by their names: of ``"cpu"``, ``"gpu"``, ``"tpu"``, ``"cuda"`` the first; of
    ``"gpu:1"`` one of several, of ``"gpu:0,2"`` some, of ``"gpu:*"`` all; of None JAX's own choice.
    """
    every = _devices()
    if name is None:
        return {None: every[0]}
    kind, _, numbers = name.partition(":")
    try:
        found = jax.devices(kind or "none")
    except RuntimeError:
        found = []
    listed = [*map(str, range(len(found)))] if numbers == "*" else (numbers or "0").split(",")
    if found and {*listed} <= {*map(str, range(len(found)))}:
        return {f"{kind}:{number}": found[int(number)] for number in listed}
    if not any(device.platform == "cpu" for device in every):
        with suppress(RuntimeError):  # JAX_PLATFORMS leaves it out
            every += jax.devices("cpu")
    here = ", ".join(map(described, every))
    raise UsageError(
        f"JAX has no device {name!r} here; it has: {here}. GPUs and TPUs need its plugin: "
        "pip install 'jax[cuda12]' or 'jax[tpu]'"
    )


def described(device: Any) -> str:
    """A device as users name it, and what it is."""
    kind = str(getattr(device, "device_kind", ""))
    what = f" ({kind})" if kind not in ("", device.platform) else ""
    return f"{device.platform}:{device.id}{what}"


def _devices() -> list[Any]:
    """JAX's devices of its own choice.

    Raises:
        UsageError: JAX_PLATFORMS names what is not here.
    """
    check_alive()
    _Process.used = True
    try:
        return list(jax.devices())
    except (RuntimeError, AssertionError) as error:  # of a name that it knows it says nothing
        asked = os.environ.get("JAX_PLATFORMS")
        raise UsageError(
            f"JAX finds no device with JAX_PLATFORMS={asked}: {error or 'its plugin is not here'}"
        ) from None


def abstract(type: Any) -> Any:
    """JAX's word for the type of an array."""
    return jax.ShapeDtypeStruct(type.shape, type.dtype)


def called_back(function: Any, type: Any, *arrays: Any) -> Any:
    """What a NumPy function makes of arrays, as one of this type, in the middle of a program.

    Numbers of 64 bits go there and back as pairs of 32: XLA calls from a thread of its own, where
    the user's JAX, which has no such numbers unless told, would round them.
    """
    types = [x.dtype for x in arrays]

    def called(*given: Any) -> Any:
        whole = [_whole(np.asarray(x), t) for x, t in zip(given, types, strict=True)]
        found = np.asarray(function(*whole), type.dtype)
        return found if found.itemsize < 8 else _halves(found)

    parts = [x if t.itemsize < 8 else lax.bitcast_convert_type(x, np.uint32)
             for x, t in zip(arrays, types, strict=True)]  # fmt: skip
    if np.dtype(type.dtype).itemsize < 8:
        return jax.pure_callback(called, abstract(type), *parts)
    halves = jax.ShapeDtypeStruct((*type.shape, 2), np.uint32)
    return lax.bitcast_convert_type(jax.pure_callback(called, halves, *parts), type.dtype)


def _halves(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(x).reshape(*x.shape, 1).view(np.uint32)


def _whole(x: np.ndarray, dtype: Any) -> np.ndarray:
    if np.dtype(dtype).itemsize < 8:
        return x
    return np.ascontiguousarray(x).view(dtype).reshape(x.shape[:-1])
