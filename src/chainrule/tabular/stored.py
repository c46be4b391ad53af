"""The arrays of a saved model: their names, and whether those of a file are whole and sound."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.core import tree
from chainrule.errors import DataError, UsageError
from chainrule.tabular.network import Network

__all__ = ["RESIDUALS", "named", "restored", "taken_residuals", "unsound"]

RESIDUALS = "residuals/"


def named(members: Sequence[tuple[Any, Any]]) -> list[tuple[str, NDArray[Any]]]:
    """Parameters and state of each network, by the names they are stored under."""
    pairs = []
    for k, member in enumerate(members):
        place = f"{k}/" if len(members) > 1 else ""
        for part, values in zip(("params", "state"), member, strict=True):
            leaves, _ = tree.flatten_with_paths(values)
            pairs += [(f"{place}{part}/{path}", np.asarray(leaf)) for path, leaf in leaves]
    return pairs


def restored(
    path: object, network: Network, arrays: dict[str, NDArray[Any]], count: int
) -> tuple[tuple[Any, Any], ...]:
    """Parameters and state of each network as trees, if the arrays are exactly those."""
    stored = sum(array.size for array in arrays.values())
    # An embedding takes the place of the inputs it stands for.
    sizes = network.sizes if network.preset == "sklearn" else network.sizes[1:]
    if count * sum(a * b for a, b in pairwise(sizes)) > stored:
        # Checked before the template is built, which a forged size could make huge.
        raise unsound(path, f"the arrays are too small for a network {network.sizes}")
    try:
        template = network.build().init(0)
    except UsageError as error:  # names that nn does not know
        raise unsound(path, str(error)) from None
    expected = dict(named([template] * count))
    if set(expected) != set(arrays):
        odd = sorted(set(expected) ^ set(arrays))
        raise unsound(path, f"arrays missing or unknown: {', '.join(odd[:5])}")
    for name, array in arrays.items():
        if array.shape != expected[name].shape:
            shape = expected[name].shape
            raise unsound(path, f"array {name!r} has shape {array.shape}, expected {shape}")
        if array.dtype not in (np.float32, np.float64):
            raise unsound(path, f"array {name!r} has dtype {array.dtype}, expected floats")
        if name.endswith("/variance") and np.any(array < 0):
            raise unsound(path, f"array {name!r} holds a negative variance")

    def rebuilt(place: str, template: Any) -> Any:
        leaves, treedef = tree.flatten_with_paths(template)
        return treedef.unflatten([arrays[f"{place}/{name}"] for name, _ in leaves])

    places = [f"{k}/" if count > 1 else "" for k in range(count)]
    return tuple(
        (rebuilt(f"{place}params", template[0]), rebuilt(f"{place}state", template[1]))
        for place in places
    )


def taken_residuals(
    path: object, arrays: dict[str, NDArray[Any]], networks: int
) -> tuple[NDArray[np.float64], ...]:
    """Those of the file, taken out of its arrays."""
    found = {name: arrays.pop(name) for name in sorted(arrays) if name.startswith(RESIDUALS)}
    count = len(found)
    sound = count in (0, 1, networks) and set(found) == {f"{RESIDUALS}{k}" for k in range(count)}
    for r in found.values():
        sound &= r.ndim == 1 and r.dtype == np.float64 and bool(np.all(np.isfinite(r)))
        sound = sound and bool(np.all(np.diff(r, prepend=0.0) >= 0))
    if not sound:
        raise unsound(path, "the residuals are not sorted numbers, of one or every network")
    return tuple(found[f"{RESIDUALS}{k}"] for k in range(count))


def unsound(path: object, fault: str) -> DataError:
    """The error for a file that holds no model."""
    return DataError(
        f"{path}: is not a sound model: {fault}. The file was changed or damaged; train again"
    )
