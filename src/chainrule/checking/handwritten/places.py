"""Where a program keeps its parameters and its gradients, and under which names."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass
class Slot:
    """A place that holds a parameter: in a dict, a list, or an attribute."""

    name: str
    holder: Any
    key: Any

    def get(self) -> Any:
        return getattr(self.holder, self.key) if self._is_attribute else self.holder[self.key]

    @property
    def _is_attribute(self) -> bool:
        return not isinstance(self.holder, (dict, list))

    def set(self, value: Any) -> None:
        if self._is_attribute:
            setattr(self.holder, self.key, value)
        else:
            self.holder[self.key] = value

    def put(self, value: Any, *, wide: bool = False) -> None:
        """A new array of the same kind, in float64 if it is to be ``wide``."""
        old = self.get()
        if isinstance(old, np.ndarray):
            self.set(np.array(value, old.dtype if old.dtype.kind == "f" and not wide else float))
        elif is_tensor(old):
            import torch  # type: ignore[import-not-found]

            new = torch.tensor(np.array(value), dtype=torch.float64 if wide else old.dtype)
            self.set(torch.nn.Parameter(new) if isinstance(old, torch.nn.Parameter) else new)
        else:
            self.set(float(value))


def as_array(x: Any) -> np.ndarray | None:
    """A float array or number as a float64 array; None if it is something else."""
    if hasattr(x, "detach"):
        x = x.detach().cpu().numpy()
    if isinstance(x, (np.ndarray, float, np.floating)) and np.asarray(x).dtype.kind == "f":
        return np.array(x, float)
    return None


def is_tensor(x: Any) -> bool:
    return hasattr(x, "detach") and hasattr(x, "numpy")


def parameter_slots(holder: Any, prefix: str, depth: int = 0) -> list[Slot]:
    if isinstance(holder, dict):
        items: Sequence[tuple[Any, Any]] = list(holder.items())
    elif isinstance(holder, list):
        items = list(enumerate(holder))
    elif hasattr(holder, "__dict__"):
        items = list(vars(holder).items())
        for name in ("_parameters",):  # of a PyTorch module
            if isinstance(vars(holder).get(name), dict):
                items = [*vars(holder)[name].items(), *vars(holder).get("_modules", {}).items()]
    else:
        return []
    found: list[Slot] = []
    for key, value in items:
        if isinstance(key, str) and (
            key.startswith("_") or re.match(r"(d[A-Zbgw]|grad|cache)", key)
        ):
            continue
        inner = f"{prefix}[{key}]" if isinstance(holder, list) else f"{prefix}.{key}".strip(".")
        if as_array(value) is not None:
            if not isinstance(value, float) or prefix:
                found.append(Slot(inner, holder, key))
        elif depth < 3 and not inspect.isclass(value) and not inspect.isfunction(value):
            found += parameter_slots(value, inner, depth + 1)
    return found


def likely_parameters(names: Sequence[str]) -> list[str]:
    """The names that look like parameters, where no gradient says which they are."""
    found = [n for n in names if re.search(r"(^|\.)([WbUVwv]|gamma|beta|theta|weight|bias)", n)]
    return found or list(names)


@functools.cache
def _plain(key: str) -> list[str]:
    """The parameter that a gradient's name is for: dW1, W1_grad, grad_W1, gW1, nabla_W1."""
    found = [key]
    for pattern in (
        r"^(?:d|g|grad_?|nabla_?|delta_?|∇)_?(.+)$",
        r"^(.+?)_?(?:grad|gradient|_g)$",
        r"^d[LJ]_?d?_?(.+)$",
        r"^d(.+)_d[LJ]$",
    ):
        if m := re.match(pattern, key):
            found.append(m[1])
    return found


def _match(key: str, names: Sequence[str]) -> str | None:
    for plain in _plain(key):
        for name in names:
            if name == plain or name.rpartition(".")[2] == plain:
                return name
    return None


def returned_gradients(
    result: Any, labels: Sequence[str], names: Sequence[str]
) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    if isinstance(result, dict):
        for key, value in result.items():
            array, name = as_array(value), _match(str(key), names)
            if array is not None and name is not None:
                found[name] = array
            elif isinstance(value, (list, dict)):
                for inner, part in value.items() if isinstance(value, dict) else enumerate(value):
                    base = next((n for n in _plain(str(key)) if f"{n}[{inner}]" in names), None)
                    array = as_array(part)
                    full = f"{base}[{inner}]" if base else _match(f"{inner}", names)
                    if array is not None and full:
                        found[full] = array
        return found
    single = as_array(result)
    parts = (result,) if single is not None else result
    if not isinstance(parts, (tuple, list)):
        return found
    arrays = [as_array(p) for p in parts]
    if all(a is None for a in arrays) and parts:
        for label, part in zip(labels, parts, strict=False):
            if isinstance(part, dict):
                found.update(returned_gradients(part, (), names))
            elif isinstance(part, list):
                for base in _plain(label):
                    for i, item in enumerate(part):
                        array = as_array(item)
                        if f"{base}[{i}]" in names and array is not None:
                            found[f"{base}[{i}]"] = array
        if not found and all(isinstance(p, list) for p in parts):
            groups = list(dict.fromkeys(n.partition("[")[0] for n in names if "[" in n))
            for base, part in zip(groups, parts, strict=False):
                for i, item in enumerate(part):
                    array = as_array(item)
                    if array is not None:
                        found[f"{base}[{i}]"] = array
        return found
    for label, array in zip(labels, arrays, strict=False):
        name = _match(label, names) if label else None
        if name is not None and array is not None:
            found[name] = array
    likely = likely_parameters(names)
    if not found and len(arrays) <= len(likely):
        found = {n: a for n, a in zip(likely, arrays, strict=False) if a is not None}
    return found


def kept_gradients(holder: Any, names: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Gradients kept beside their parameters: ``self.dW1``, ``layer.dW``, ``self.grads["W1"]``."""
    found: dict[str, np.ndarray] = {}

    def visit(x: Any, prefix: str, depth: int) -> None:
        if isinstance(x, dict):
            items: Any = x.items()
        elif isinstance(x, list):
            items = enumerate(x)
        elif hasattr(x, "__dict__") and not inspect.isclass(x) and not inspect.isfunction(x):
            items = vars(x).items()
        else:
            return
        for key, value in items:
            text = str(key)
            if text in ("grads", "gradients", "grad") and isinstance(value, (dict, list)):
                found.update(returned_gradients(value, (), list(names)))
                continue
            array = as_array(value)
            inner = f"{prefix}[{key}]" if isinstance(x, list) else f"{prefix}.{text}".strip(".")
            if array is not None:
                for plain in _plain(text)[1:]:
                    full = f"{prefix}.{plain}".strip(".")
                    if full in names and np.shape(names[full]) is not None:
                        found[full] = array
            elif depth < 3:
                visit(value, inner, depth + 1)

    visit(holder, "", 0)
    return found


def atoms(local: Mapping[str, Any]) -> dict[str, list[int]]:
    """The expressions in a function's names that hold float arrays or numbers, and their shapes."""
    found: dict[str, list[int]] = {}
    known: dict[Any, str] = {}

    def note(text: str, value: Any, depth: int) -> None:
        if isinstance(value, (bool, np.bool_)):
            return
        if isinstance(value, np.ndarray) and depth:  # of equal ones the plain name will do
            same = known.setdefault((value.shape, value.tobytes()), text)
            if same != text:
                return
        if isinstance(value, (int, float, np.number)):
            found[text] = []
        elif isinstance(value, np.ndarray) or is_tensor(value):
            found[text] = list(value.shape)
        elif isinstance(value, dict) and depth < 2:
            for key, item in list(value.items())[:40]:
                note(f"{text}[{key!r}]", item, depth + 1)
        elif isinstance(value, (list, tuple)) and depth < 2:
            for i, item in enumerate(value[:8]):
                note(f"{text}[{i}]", item, depth + 1)
        elif hasattr(value, "__dict__") and depth < 2 and not inspect.ismodule(value):
            for key, item in list(vars(value).items())[:40]:
                note(f"{text}.{key}", item, depth + 1)

    for name, value in local.items():
        if isinstance(value, np.ndarray):
            known[value.shape, value.tobytes()] = name
    for name, value in local.items():
        note(name, value, 0)
    return found
