"""A hand-written program: its functions found, called, and called again with a function edited.

It runs where the student's code runs, in a process of its own under ``chainrule check``: it knows
no derivative and no answer. ``docs/checking.md`` has the conventions.
"""

from __future__ import annotations

import functools
import inspect
import random
import re
import sys
import types
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.checking.handwritten.conventions import is_value
from chainrule.checking.handwritten.floats import Floats
from chainrule.checking.handwritten.loading import functions_of, loader, said
from chainrule.checking.handwritten.places import (
    Slot,
    as_array,
    atoms,
    is_likely_parameter,
    likely_parameters,
)
from chainrule.checking.handwritten.run import Run
from chainrule.checking.numeric import sizes

__all__ = ["Student", "functions_of", "loader"]


def _keeping_random_state(f: Any) -> Any:
    """The generators that the student's code may use are seeded inside and put back."""

    @functools.wraps(f)
    def call(*args: Any, **keywords: Any) -> Any:
        state, own = np.random.get_state(), random.getstate()  # noqa: NPY002
        try:
            return f(*args, **keywords)
        finally:
            np.random.set_state(state)  # noqa: NPY002
            random.setstate(own)

    return call


def _seed() -> None:
    """The generators of NumPy and of Python, which the student's code may use."""
    np.random.seed(0)  # noqa: NPY002
    random.seed(0)


class Student:
    """One program, made anew for each run, so that no state outlives it.

    Args:
        make: returns the namespace of the program's module, fresh.
        forward, backward, cost: names (``Net.forward`` for a method), or None: by convention.
        wrt: the parameters, or None: those of which the program gives gradients.
        case: the arguments by name, or None: by convention.
        needs_loss: whether a program without a loss is refused.
    """

    @_keeping_random_state
    def __init__(
        self,
        make: Callable[[], dict[str, Any]],
        *,
        forward: str | None = None,
        backward: str | None = None,
        cost: str | None = None,
        wrt: Sequence[str] | None = None,
        case: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
        needs_loss: bool = True,
    ) -> None:
        self.make, self.case, self.needs_loss = make, case, needs_loss
        self.named = {"forward": forward, "backward": backward, "cost": cost}
        self.wrt = list(wrt) if wrt else None
        self._noise: dict[int, dict[str, np.ndarray]] = {}
        self._base: dict[str, np.ndarray] = {}
        self._active: list[str] = []
        self._is_wide = False
        self.read: list[str] | None = None
        self.of_functions: bool | None = None
        self.forget()
        self.passed: dict[str, None] = {}
        self.namespace = make()

    def forget(self) -> None:
        """What is known of functions by their names, which a model's methods may have too."""
        self.returns: dict[str, list[str]] = {}
        self.found: dict[str, str | None] = {}
        self.signatures: dict[str, list[inspect.Parameter]] = {}

    # one run ----------------------------------------------------------------------------------

    def run(self, point: int, edits: Sequence[tuple[str, str]] = (), trace: Any = None) -> Run:
        """Forward at another point, then forward and backward at this one."""
        _seed()
        run = Run(self, edits)
        run.prepare()
        slots = run.slots()
        for slot in slots:
            value = as_array(slot.get())
            if value is not None:
                self._base.setdefault(slot.name, value)
        # What forward keeps is no parameter.
        run.given = {s.name for slot in slots for s in (slot, *slot.others)}
        self._put(slots, point + 7)
        run.forward()
        self._put(run.slots(), point)
        _seed()
        if trace is not None:
            sys.setprofile(trace)
        try:
            run.forward()
            return run
        finally:
            if trace is not None:
                sys.setprofile(None)

    def _put(self, slots: Sequence[Slot], point: int) -> None:
        """The parameters of a point. Data stay as they are: a target moved is no target."""
        for slot in slots:
            base = self._base[slot.name]
            moved = self._moved(point, slot.name, base) if slot.name in self._active else 0.0
            slot.put(base + moved)

    def _moved(self, point: int, name: str, value: Any) -> np.ndarray:
        """The same small random change each time, away from zeros and ties."""
        known = self._noise.setdefault(point, {})
        if name not in known:
            seed = [point, *name.encode()]
            size = sizes(np.asarray(value))
            size = 0.3 * np.where(size > 0, size, 1.0)
            known[name] = size * np.random.default_rng(seed).standard_normal(np.shape(value))
        return known[name]

    # what the checker asks ------------------------------------------------------------------------

    @_keeping_random_state
    def describe(self) -> dict[str, Any]:
        """Parameters with their values, functions with their source, and what their names hold."""
        seen: dict[str, dict[str, Any]] = {}
        phase = ["forward"]
        unasked: list[str] = []
        self._is_wide = False
        probe = self.run(0)
        try:
            self._active = list(probe.gradients())
            if probe.updated:
                self._active = self._that_matter(self._active)
            if not self.wrt:
                lacking, unasked = self._without_gradient(probe, self._active)
                self._active += lacking
        except Exception:
            self._active = likely_parameters(list(probe.values()))
        self._active = self.wrt or self._active

        floats = Floats(self._base.values())

        def note(frame: Any, event: str, returned: Any) -> None:
            code = frame.f_code
            if event == "return" and self._is_own(code):
                floats.see_call(frame, returned)
                name = self._qualified(code)
                held = seen.setdefault(name, {"phases": [], "atoms": {}, "lengths": [],
                                              "shared": []})  # fmt: skip
                if phase[0] not in held["phases"]:
                    held["phases"].append(phase[0])
                shared = self._shared(frame)
                held["shared"] = sorted({*held["shared"], *shared})
                held["atoms"].update(atoms({**shared, **frame.f_locals}))
                held["lengths"] += [
                    n for x in frame.f_locals.values() if isinstance(x, list)
                    and (n := len(x)) not in held["lengths"] and len(held["lengths"]) < 3
                ]  # fmt: skip

        run = self.run(0, trace=note)
        error = ""
        phase[0] = "backward"
        sys.setprofile(note)
        try:
            found = run.gradients()
        except Exception as problem:
            found, error = {}, run.said(problem)
        finally:
            sys.setprofile(None)
        names = self._active
        values = run.values()
        floats.see(run.results)
        reference = self._widened(floats.itemsize) if floats.itemsize < 8 else 8
        return {
            "loss": run.loss,
            "size": max(abs(run.loss), run.updated),
            "parameters": {n: values[n].tolist() for n in names if n in values},
            "functions": seen,
            "error": error,
            "unmatched": [n for n in found if n not in values],
            "others": run.others(),
            "unasked": unasked,
            "backward": run.backward_name,
            "forward": run.forward_name,
            "itemsize": floats.itemsize,
            "reference": reference,
        }

    def _shared(self, frame: Any) -> dict[str, Any]:
        """The global variables that hold numbers, for a function that reads or makes an array among
        them."""
        names = set(self.read or ()).difference(frame.f_locals)
        values = {k: v for k, v in frame.f_globals.items() if k in names and is_value(v)}
        arrays = {k for k, v in values.items() if not isinstance(v, (int, float))}
        return values if arrays.intersection(frame.f_code.co_names) else {}

    def _without_gradient(self, run: Run, found: Sequence[str]) -> tuple[list[str], list[str]]:
        """What the loss depends on and no gradient was found for, by the names that parameters
        have: beside others in a dict, a list or an object, where one is missing, and elsewhere,
        where a matrix of data may be called W too."""
        slots = run.slots()
        left = [s for s in slots if s.name not in found and is_likely_parameter(s.name)
                and np.ndim(s.get())]  # fmt: skip
        matter = self._that_matter([s.name for s in left]) if left and found else []
        holders = {id(s.holder) for s in slots if s.name in found} - {id(run.env)}
        kinds = {re.sub(r"\[\d+\]", "[]", name) for name in found}
        beside = [s.name for s in left if s.name in matter and (
            id(s.holder) in holders or re.sub(r"\[\d+\]", "[]", s.name) in kinds)]  # fmt: skip
        return beside, [name for name in matter if name not in beside]

    def _that_matter(self, names: Sequence[str]) -> list[str]:
        """Without what the loss does not depend on: of all that an update moves, velocities are no
        parameters."""
        run = self.run(0)
        loss, kept = run.loss, []
        for slot in run.slots():
            old = as_array(slot.get())
            if slot.name in names and old is not None:
                slot.put(old + self._moved(5, slot.name, old))
                run.forward()
                kept += [slot.name] if run.loss != loss else []
                slot.put(old)
        return kept

    def _widened(self, itemsize: int) -> int:
        """Whether the loss can be computed from float64 arguments, where the program's own are
        narrower; the bytes of the floats that it is then computed in."""
        values = {name: base + self._moved(3, name, base) for name, base in self._base.items()}
        floats = Floats(values.values())

        def note(frame: Any, event: str, returned: Any) -> None:
            if event == "return" and self._is_own(frame.f_code):
                floats.see_call(frame, returned)

        self._is_wide = True
        try:
            run = self.run(0)
            for slot in run.slots():
                slot.put(values[slot.name], wide=True)
            sys.setprofile(note)
            run.forward()
        except Exception:  # it insists on its own dtype
            self._is_wide = False
            return itemsize
        finally:
            sys.setprofile(None)
        floats.see(run.results[-1:])
        return floats.itemsize

    @_keeping_random_state
    def losses(self, name: str, moves: Sequence[Any], point: int = 0) -> list[float]:
        """The loss with one parameter moved by each of ``moves``, arrays or ``(index, step)``."""
        run = self.run(point)
        if self._is_wide:
            for slot in run.slots():
                slot.put(as_array(slot.get()), wide=True)
        (slot,) = [s for s in run.slots() if s.name == name]
        base = as_array(slot.get())
        assert base is not None
        found = []
        for move in moves:
            value = np.array(base, order="C")
            index, step = move
            value.reshape(-1)[index] += step
            slot.put(value, wide=self._is_wide)
            _seed()
            try:
                run.forward()
                found.append(float(run.loss))
            except (ArithmeticError, np.linalg.LinAlgError):
                found.append(float("nan"))
        return found

    @_keeping_random_state
    def gradients(
        self, variants: Sequence[Sequence[tuple[str, str]]], point: int = 0
    ) -> list[dict[str, Any]]:
        """What the backward pass gives, with functions replaced: lists by name, and the loss."""
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return [self._gradients(edits, point) for edits in variants]

    def _gradients(self, edits: Sequence[tuple[str, str]], point: int) -> dict[str, Any]:
        try:
            run = self.run(point, edits)
            found = run.gradients()
            return {"loss": run.loss, "found": {k: v.tolist() for k, v in found.items()}}
        except Exception as error:
            return {"error": said(error)}

    def _is_own(self, code: types.CodeType) -> bool:
        return code.co_filename == self.namespace.get("__file__")

    def _qualified(self, code: types.CodeType) -> str:
        """A function's name; the names of functions and comprehensions inside it are among its own,
        for it is changed as a whole."""
        names = getattr(code, "co_qualname", code.co_name).split(".<locals>.")
        known = self.namespace["__functions__"]
        return next((n for n in names if n in known), names[-1])
