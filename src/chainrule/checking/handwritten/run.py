"""One run of a hand-written program: one namespace, with the arguments and results of its calls."""

from __future__ import annotations

import ast
import inspect
import types
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.checking.handwritten import conventions as usual
from chainrule.checking.handwritten.loading import edited, said
from chainrule.checking.handwritten.places import (
    Slot,
    as_array,
    kept_gradients,
    merged,
    parameter_slots,
    returned_gradients,
)
from chainrule.errors import UsageError

if TYPE_CHECKING:
    from chainrule.checking.handwritten.student import Student


class Run:
    """One namespace with the arguments and results of its calls."""

    def __init__(self, student: Student, edits: Sequence[tuple[str, str]]) -> None:
        self.student = student
        self.namespace = student.make() if not edits else edited(student.make(), edits)
        self.env: dict[str, Any] = {}
        self.model: Any = None
        self.loss: float = float("nan")
        self.updated = 0.0  # the size of what gradients read off an update were rounded in
        self.forward_name: str | None = None
        self.backward_name: str | None = None
        self.results: list[Any] = []
        self.returned: Any = None
        self.given: set[str] | None = None

    # setting up -------------------------------------------------------------------------------

    def prepare(self) -> None:
        ns = self.namespace
        if self.student.case is not None or "check_case" in ns:
            given = self.student.case(ns) if self.student.case else ns["check_case"]()
            self.env.update((name, ns[name]) for name in self._read() if usual.is_value(ns[name]))
            self.env.update(given if isinstance(given, dict) else {"model": given})
        else:
            self.env.update(usual.arguments(ns))
        if not self._is_of_functions():
            model = self.env.get("model")
            self.model = self._instance() if model is None else model
            self.env = {k: v for k, v in self.env.items() if v is not self.model}
        self.forward_name = self._function("forward")
        backward = self._function("backward")
        self.backward_name = None if backward == self.forward_name else backward
        if self.forward_name is None and self.student.needs_loss:
            raise UsageError(
                "no forward function was found (forward, loss, cost, ...): name it with --forward, "
                "or give a solution to compare with as --reference"
            )

    def _is_of_functions(self) -> bool:
        """Whether functions of the module are the whole pass, and its classes mere operations: both
        have usual names, their arguments are known, and no class calls them."""
        if self.student.of_functions is not None:
            return self.student.of_functions
        names = forward, backward = self._function("forward"), self._function("backward")
        usually = forward in usual.FORWARD and backward in usual.BACKWARD
        whole = forward is not None and usual.is_whole(forward)
        trees = self.namespace["__functions__"].items()
        calls = {ast.unparse(n.func) for name, tree in trees if "." in name
                 for n in ast.walk(tree) if isinstance(n, ast.Call)}  # fmt: skip
        kinds = zip(names, ("forward", "backward"), strict=True)
        known = all(name is None or self._is_known(name, kind) for name, kind in kinds)
        self.student.of_functions = (usually or whole) and known and not calls.intersection(names)
        if not self.student.of_functions:  # a model's methods have the same names
            self.student.forget()
        return self.student.of_functions

    def _instance(self) -> Any:
        ns = self.namespace
        own = usual.classes(ns)
        for value in ns.values():
            if type(value) in own and _methods(type(value), (*usual.FORWARD, *usual.BACKWARD)):
                return value
        for cls in reversed(own):
            if _methods(cls, usual.FORWARD) and _methods(cls, usual.BACKWARD):
                try:
                    return cls()
                except TypeError:
                    continue
        return None

    def _function(self, kind: str) -> str | None:
        """The function of a kind: as named, else the likeliest whose arguments are known."""
        named = self.student.named[kind]
        if named is not None:
            return named.rpartition(".")[2] if self.model is not None and "." in named else named
        forward = self.student.named["forward"]
        if kind == "backward" and forward is not None and usual.is_whole(forward):
            return self._function("forward")
        known = self.student.found
        if kind not in known:
            found = usual.functions(kind, self._own())
            fit = [name for name in found if self._is_known(name, kind)]
            known[kind] = (fit or [*found, None])[0]
        return known[kind]

    def _own(self) -> dict[str, Any]:
        """The model's methods, else the module's functions, with their trees."""
        trees = self.namespace["__functions__"]
        found = {}
        if self.model is not None:
            for cls in reversed(type(self.model).__mro__[:-1]):
                methods = {k: trees.get(f"{cls.__name__}.{k}") for k in vars(cls)}
                found |= {k: t for k, t in methods.items() if callable(getattr(cls, k, None))}
        if self.model is None or not usual.functions("backward", found):
            found |= {k: trees.get(k) for k, v in self.namespace.items() if inspect.isfunction(v)}
        return found

    def others(self) -> list[str]:
        """Functions that by their names return a loss and its gradients, and are not looked at."""
        names = usual.functions("forward", self._own())
        looked_at = (self.forward_name, self.backward_name)
        return [name for name in names if usual.is_whole(name) and name not in looked_at]

    def _is_known(self, name: str, kind: str) -> bool:
        """Whether all that a function must be given is known."""
        names = [p.name for p in self._signature(name) if p.default is p.empty
                 and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]  # fmt: skip
        made = set()
        if kind != "forward" and (forward := self._function("forward")) is not None:
            made = {*self._return_names(forward), *usual.CACHE, *usual.ONES}
            names = names[kind == "cost" :]
        return all(self._key(n) is not None or n in made or n.lower() in made for n in names)

    def callable(self, name: str) -> Any:
        if self.model is not None and hasattr(self.model, name):
            return getattr(self.model, name)
        return self.namespace[name]

    # parameters -------------------------------------------------------------------------------

    def slots(self) -> list[Slot]:
        """Every float array among the arguments and in the model, by a short name."""
        found: list[Slot] = []
        for key in self._passed():
            value = self.env[key]
            if key in ("params", "parameters", "weights", "theta", "p") and isinstance(value, dict):
                found += parameter_slots(value, "")
            elif as_array(value) is not None and key not in self._made:
                module = self.namespace if self.namespace.get(key) is value else None
                found.append(Slot(key, self.env, key, module))
            elif (isinstance(value, (dict, list)) or hasattr(value, "__dict__")) and (
                key not in self._made
            ):
                found += parameter_slots(value, key)
        if self.model is not None:
            found += parameter_slots(self.model, "")
        wanted = self.student.wrt
        found = [s for s in found if self.given is None or s.name in self.given]
        found = merged(found)
        return [s for s in found if wanted is None or s.name in wanted]

    def _passed(self) -> list[str]:
        """The arguments that reach the functions, in their order, then the globals they read."""
        known = self.student.passed
        if not known:
            for kind in ("forward", "backward", "cost"):
                name = self._function(kind)
                keys = [self._key(p.name) for p in self._signature(name)] if name else []
                known.update(dict.fromkeys(k for k in keys if k))
            known.update(dict.fromkeys(self._read()))
        return [key for key in known if key in self.env]

    def _read(self) -> list[str]:
        """The global variables that the functions read or make."""
        if self.student.read is None:
            self.student.read = self._read_somewhere()
        return [name for name in self.student.read if name in self.namespace]

    def _read_somewhere(self) -> list[str]:
        found: dict[str, None] = {}
        for tree in self.namespace["__functions__"].values():
            names = [n for n in ast.walk(tree) if isinstance(n, ast.Name)]
            own = {a.arg for n in ast.walk(tree) if isinstance(n, ast.arguments)
                   for a in (*n.args, *n.kwonlyargs)}  # fmt: skip
            own |= {n.id for n in names if isinstance(n.ctx, ast.Store)}
            made = [
                n for node in ast.walk(tree) if isinstance(node, ast.Global) for n in node.names
            ]
            found.update(dict.fromkeys([*(n.id for n in names if n.id not in own), *made]))
        return list(found)

    def _signature(self, name: str) -> list[inspect.Parameter]:
        known = self.student.signatures  # the same however the function is edited
        if name not in known:
            try:
                known[name] = list(inspect.signature(self.callable(name)).parameters.values())
            except (TypeError, ValueError):
                known[name] = []
        return known[name]

    _made: frozenset[str] | set[str] = frozenset()

    def values(self) -> dict[str, np.ndarray]:
        return {s.name: v for s in self.slots() if (v := as_array(s.get())) is not None}

    # calls ------------------------------------------------------------------------------------

    def forward(self) -> None:
        if self.forward_name is None:  # a reference has the gradients
            self.loss = 0.0
            return
        result = self._call(self.forward_name)
        self.returned = result
        loss = _scalar(result)
        if loss is None:
            cost = self._function("cost")
            if (cost is None or cost == self.forward_name) and not self.student.needs_loss:
                self.loss = 0.0
                return
            if cost is None or cost == self.forward_name:
                raise UsageError(
                    f"{self.forward_name} returns no loss, and there is no function loss or cost: "
                    "name it with --loss"
                )
            inputs = [p.name for p in self._signature(cost)][:1]
            of_inputs = bool(inputs) and usual.INPUTS.fullmatch(inputs[0]) is not None
            loss = _scalar(self._call(cost, first=None if of_inputs else _first(result)))
            if loss is None:
                raise UsageError(f"{cost} must return one number, the loss")
        self.loss = float(loss)

    def gradients(self) -> dict[str, np.ndarray]:
        """The gradients by the names of their parameters."""
        slots = self.slots()
        before = {s.name: as_array(s.get()) for s in slots}
        if self.backward_name is None and self.forward_name is not None:
            result, name = self.returned, self.forward_name
            labels = self._return_names(name)
            at = _loss_place(result)
            result = result if isinstance(result, tuple) else ()
            labels = [*labels[:at], *labels[at + 1 :]]
            result = (*result[:at], *result[at + 1 :])
            result = result[0] if len(result) == 1 else result
        else:
            name = self.backward_name
            if name is None:
                raise UsageError(
                    "no backward function was found (backward, gradients, ...): name it with "
                    "--backward"
                )
            result = self._call(name)
            labels = self._return_names(name)
        shapes = {n: v.shape for n, v in before.items() if v is not None}
        found = returned_gradients(result, labels, shapes)
        own = {x.name: s.name for s in slots for x in (s, *s.others)}
        arrays = {name: before[first] for name, first in own.items()}
        objects = {k: v for k, v in self.env.items() if hasattr(v, "__dict__")}
        plain = (v for k, v in self.env.items() if k not in objects)
        for prefix, holder in [("", self.model), *(("", v) for v in plain), *objects.items()]:
            for key, value in kept_gradients(holder, arrays, prefix).items():
                found.setdefault(own.get(key, key), value)
        if not found:
            found = self._updates(before)
        return found

    def _updates(self, before: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Of a step that only updates: how far each parameter went, over the learning rate."""
        rates = [self.env.get(k) for k in ("lr", "learning_rate", "eta", "alpha", "rate")]
        rates += [getattr(self.model, k, None) for k in ("lr", "learning_rate", "eta", "alpha")]
        rate = next((float(r) for r in rates if isinstance(r, (int, float)) and r), None)
        if rate is None:
            return {}
        after = {s.name: as_array(s.get()) for s in self.slots()}
        moved = {k: (v - after[k]) / rate for k, v in before.items() if after.get(k) is not None}
        sizes = [np.max(np.abs(before[k]), initial=0.0) for k, v in moved.items() if np.any(v)]
        self.updated = float(max(sizes, default=0.0)) / abs(rate)
        return {k: v for k, v in moved.items() if np.any(v)}

    def _call(self, name: str, first: Any = None) -> Any:
        f = self.callable(name)
        given: list[Any] = []
        named: dict[str, Any] = {}
        left = [v for k, v in self.env.items() if k in self._made]
        for i, p in enumerate(self._signature(name)):
            if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
                continue
            value = self._argument(p.name, i, first, left)
            if value is _MISSING:
                if p.default is not p.empty:
                    continue
                raise UsageError(
                    f"{name} takes {p.name}, and nothing of that name is known: give it in "
                    "check_case(), which returns the arguments by name"
                )
            if p.kind == p.KEYWORD_ONLY or named or len(given) < i:
                named[p.name] = value
            else:
                given.append(value)
        result = f(*given, **named)
        self.results.append(result)
        self._keep(name, result)
        return result

    def _argument(self, name: str, i: int, first: Any, left: list[Any]) -> Any:
        if first is not None and i == 0:
            return first
        key = self._key(name)
        if key is not None:
            return self.env[key]
        if name.lower() in usual.ONES:
            return 1.0
        if name.lower() in usual.CACHE and self.returned is not None:
            if isinstance(self.returned, tuple):
                rest = [r for r in self.returned if _scalar(r) is None]
                return rest[-1] if rest else _MISSING
            return self.returned
        return _MISSING

    def _key(self, name: str) -> str | None:
        keys = (name, name.lower(), name.upper(), *usual.ALIASES.get(name.lower(), ()))
        return next((key for key in keys if key in self.env), None)

    def _keep(self, name: str, result: Any) -> None:
        """What a function returned, under the names that its own return statement has."""
        names = self._return_names(name)
        parts = result if isinstance(result, tuple) else (result,)
        made = set(self._made)
        given = {p.name for p in self._signature(name)}  # what an argument has become is none
        for key, part in zip(names, parts, strict=False):
            if key in given:
                continue
            if key and key not in self.env:
                self.env[key] = part
                made.add(key)
            elif key in made:
                self.env[key] = part
        self._made = made

    def _return_names(self, name: str) -> list[str]:
        known = self.student.returns
        if name not in known:
            known[name] = self._found_names(name)
        return known[name]

    def _found_names(self, name: str) -> list[str]:
        try:
            f = inspect.unwrap(self.callable(name))
            node = self.namespace["__functions__"].get(getattr(f, "__qualname__", name))
        except (AttributeError, KeyError):
            return []
        if node is None:
            return []
        returns = [n for n in ast.walk(node) if isinstance(n, ast.Return) and n.value is not None]
        if not returns:
            return []
        value = returns[-1].value
        items = value.elts if isinstance(value, (ast.Tuple, ast.List)) else [value]
        if len(items) == 2 and isinstance(items[1], (ast.Tuple, ast.List)):
            items = [items[0], *items[1].elts] if name == self.forward_name else items
        return [n.id if isinstance(n, ast.Name) else "" for n in items]

    def said(self, error: Exception) -> str:
        """An error of the student's code with its line and the shapes of the arrays in it."""
        text = said(error)
        own, trace = None, error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == self.namespace.get("__file__"):
                own = trace
            trace = trace.tb_next
        if own is None:
            return text
        shapes = self._shapes_at(own.tb_lineno, own.tb_frame)
        return f"line {own.tb_lineno}: {text}{f' ({shapes})' if shapes else ''}"

    def _shapes_at(self, line: int, frame: types.FrameType) -> str:
        """The shapes of the arrays that the statement at a line reads."""
        trees = self.namespace["__functions__"].values()
        kinds = (ast.Assign, ast.AugAssign, ast.Return, ast.Expr)
        known = [n for tree in trees for n in ast.walk(tree) if isinstance(n, kinds)]
        at = [n for n in known if n.lineno <= line <= (n.end_lineno or n.lineno)]
        found: dict[str, str] = {}
        for node in ast.walk(at[-1]) if at else ():
            is_read = isinstance(getattr(node, "ctx", None), ast.Load)
            if is_read and not any(isinstance(n, ast.Call) for n in ast.walk(node)):
                try:
                    value = eval(text := ast.unparse(node), frame.f_globals, frame.f_locals)
                except Exception:
                    continue
                if isinstance(value, np.ndarray):
                    found[text] = "×".join(map(str, value.shape)) or "a number"
        return ", ".join(f"{text}: {shape}" for text, shape in list(found.items())[:6])


_MISSING = object()


def _methods(cls: type, names: Sequence[str]) -> list[str]:
    own = {n for base in cls.__mro__[:-1] for n in vars(base)}  # every class itself has __call__
    return [n for n in names if n in own and callable(getattr(cls, n))]


def _first(result: Any) -> Any:
    return result[0] if isinstance(result, tuple) else result


def _scalar(result: Any) -> float | None:
    """The loss in what a function returned: itself, or the first or last part of a tuple."""
    part = result[_loss_place(result)] if isinstance(result, tuple) and result else result
    return _number(part)


def _loss_place(result: Any) -> int:
    """Where a tuple has the loss: first or last."""
    if not isinstance(result, tuple) or len(result) < 2 or _number(result[0]) is not None:
        return 0
    return len(result) - 1


def _number(part: Any) -> float | None:
    if isinstance(part, dict) and "loss" in part:
        part = part["loss"]
    array = as_array(part)
    return float(array.reshape(())) if array is not None and array.size == 1 else None
