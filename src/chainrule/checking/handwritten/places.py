"""Where a program keeps its parameters and its gradients, and under which names."""

from __future__ import annotations

import functools
import inspect
import itertools
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Shape = tuple[int, ...]


@dataclass
class Slot:
    """A place that holds a parameter: in a dict, a list, or an attribute; ``module`` is where it is
    a global variable too, ``others`` are the places that hold the same array."""

    name: str
    holder: Any
    key: Any
    module: dict[str, Any] | None = None
    others: list[Slot] = field(default_factory=list)

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
        if self.module is not None:
            self.module[self.key] = value
        for other in self.others:
            other.set(value)

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
    if is_tensor(x):
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
    elif isinstance(holder, tuple):  # of layers; an array in it cannot be moved
        items = [(k, x) for k, x in enumerate(holder) if as_array(x) is None]
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
        inner = _inside(holder, prefix, key)
        if as_array(value) is not None:
            if not isinstance(value, float) or prefix:
                found.append(Slot(inner, holder, key))
        elif depth < 3 and not inspect.isclass(value) and not inspect.isfunction(value):
            found += parameter_slots(value, inner, depth + 1)
    return found


def _inside(holder: Any, prefix: str, key: Any) -> str:
    is_numbered = isinstance(holder, (list, tuple))
    return f"{prefix}[{key}]" if is_numbered else f"{prefix}.{key}".strip(".")


def merged(slots: Sequence[Slot]) -> list[Slot]:
    """One slot for each array: a parameter that a layer shares with a dict is one."""
    first: dict[int, Slot] = {}
    found = []
    for slot in slots:
        value = slot.get()
        known = first.setdefault(id(value), slot) if isinstance(value, np.ndarray) else slot
        if known is slot:
            found.append(slot)
        else:
            known.others.append(slot)
    return found


def is_likely_parameter(name: str) -> bool:
    """Whether an array has a parameter's name (or a number in a list): not "batch" or "values"."""
    last = re.sub(r"(\[\d+\])+$", "", name).rpartition(".")[2]
    usual = r"[WUbVwv]_?\w{0,2}|(gamma|beta|theta|weight|bias)\w*"
    return re.fullmatch(usual, last) is not None


def likely_parameters(names: Sequence[str]) -> list[str]:
    """The names that look like parameters, where no gradient says which they are."""
    found = [n for n in names if re.search(r"(^|\.)([WbUVwv]|gamma|beta|theta|weight|bias)", n)]
    return found or list(names)


@functools.cache
def _plain(key: str) -> list[str]:
    """The parameter that a gradient's name is for: dW1, W1_grad, grad_W1, gW1, nabla_W1."""
    found = [key]
    for pattern in (
        r"^(?:gradient|grad|nabla|delta|∇|d|g)_?(.+)$",
        r"^(.+?)_?(?:grad|gradient|_g)$",
        r"^d[LJ]_?d?_?(.+)$",
        r"^d(.+)_d[LJ]$",
    ):
        if m := re.match(pattern, key):
            found.append(m[1])
    return found


def gradient_of(key: str) -> list[str]:
    """The parameters whose gradient may be called so."""
    return _plain(key)[1:]


def _match(key: str, names: Iterable[str]) -> str | None:
    for plain in _plain(key):
        for name in names:
            if name == plain or name.rpartition(".")[2] == plain:
                return name
    return None


def _flat(x: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], np.ndarray]]:
    """The float arrays in dicts, lists and tuples, each with the keys that lead to it."""
    array = as_array(x)
    if array is not None:
        yield path, array
    elif isinstance(x, (dict, list, tuple)):
        for key, part in x.items() if isinstance(x, dict) else enumerate(x):
            yield from _flat(part, (*path, key))


def _named(path: tuple[Any, ...], names: Collection[str]) -> str | None:
    """The parameter that is meant by a path such as ("dW", 0) or ("layers", 0, "dW")."""
    if len(path) == 1 and isinstance(path[0], str):
        return _match(path[0], names)
    for parts in itertools.product(*([p] if isinstance(p, int) else _plain(str(p)) for p in path)):
        text = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in parts).strip(".")
        if text in names:
            return text
        ends = [n for n in names if n.endswith(text if text.startswith("[") else f".{text}")]
        if len(ends) == 1:
            return ends[0]
    return _match(path[-1], names) if isinstance(path[-1], str) else None


def returned_gradients(
    result: Any, labels: Sequence[str], shapes: Mapping[str, Shape]
) -> dict[str, np.ndarray]:
    """The gradients in what a function returned, by the names of their parameters.

    Args:
        labels: the names that its return statement has for the parts of a tuple. shapes: of the
            parameters, in the order in which they are passed.
    """
    several = isinstance(result, tuple) or (isinstance(result, list) and any(labels))
    names = [labels[i] if i < len(labels) and labels[i] else i for i in range(len(result))
             ] if several else []  # fmt: skip
    parts = zip(names, result, strict=True) if several else [("", result)]
    found: dict[str, np.ndarray] = {}
    for label, part in parts:
        own = as_array(part) is not None or not isinstance(part, dict)
        for path, array in _flat(part, (label,) if own and label != "" else ()):
            name = _named(path, shapes) if path else None
            if name is not None:
                found[name] = array
    return found or _in_order(result, shapes)


def _in_order(result: Any, shapes: Mapping[str, Shape]) -> dict[str, np.ndarray]:
    """Of gradients without names: in the order of the parameters, where their shapes agree."""
    parts = [result] if as_array(result) is not None else result
    if not isinstance(parts, (list, tuple)):
        return {}
    groups: dict[str, list[str]] = {}
    if parts and all(isinstance(p, list) for p in parts):  # of weights and of biases
        for name in shapes:
            groups.setdefault(name.partition("[")[0], []).append(name)
    else:
        parts, groups = [[p] for p in parts], {name: [name] for name in shapes}
    given = [[as_array(x) for x in part] for part in parts]
    left = list(groups.values())
    likely = [g for g in left if likely_parameters(g) == g]
    if len(likely) == len(given) or not _assigned(given, left, shapes):
        left = likely if len(likely) >= len(given) else left
    chosen = _assigned(given, left, shapes) or left
    pairs = [p for part, names in zip(given, chosen, strict=False)
             for p in zip(names, part, strict=False)]  # fmt: skip
    return {name: array for name, array in pairs if array is not None}


def _assigned(
    given: Sequence[Sequence[Any]], groups: Sequence[list[str]], shapes: Mapping[str, Shape]
) -> list[list[str]]:
    """For each part the first group left whose shapes it has; empty if one finds none."""
    left, chosen = list(groups), []
    for part in given:
        sizes = [None if x is None else x.shape for x in part]
        fit = next((g for g in left if [shapes[n] for n in g] == sizes), None)
        if fit is None:
            return []
        chosen.append(fit)
        left.remove(fit)
    return chosen


def kept_gradients(holder: Any, names: Mapping[str, Any], prefix: str) -> dict[str, np.ndarray]:
    """Gradients kept beside their parameters: ``self.dW1``, ``layer.dW``, ``self.grads["W1"]``,
    ``weight.grad`` beside ``weight.data``. The names of what ``holder`` has begin with ``prefix``.
    """
    found: dict[str, np.ndarray] = {}

    def visit(x: Any, prefix: str, depth: int) -> None:
        if isinstance(x, dict):
            items: Any = x.items()
        elif isinstance(x, (list, tuple)):
            items = enumerate(x)
        elif hasattr(x, "__dict__") and not inspect.isclass(x) and not inspect.isfunction(x):
            items = vars(x).items()
        else:
            return
        for key, value in items:
            text = str(key)
            if text in ("grads", "gradients", "grad") and isinstance(value, (dict, list)):
                shapes = {n: np.shape(x) for n, x in names.items()}
                own = {n: s for n, s in shapes.items() if n.startswith(f"{prefix}.")}  # a layer's
                found.update(returned_gradients(value, (), own if prefix and own else shapes))
                continue
            array = as_array(value)
            inner = _inside(x, prefix, key)
            if array is not None:
                beside = [n for n in names if n.rpartition(".")[0] == prefix]
                if text in ("grad", "gradient") and len(beside) == 1:  # of a parameter's data
                    found[beside[0]] = array
                for plain in gradient_of(text):
                    full = f"{prefix}.{plain}".strip(".")
                    if full in names and np.shape(names[full]) is not None:
                        found[full] = array
            elif depth < 3:
                visit(value, inner, depth + 1)

    visit(holder, prefix, 0)
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
