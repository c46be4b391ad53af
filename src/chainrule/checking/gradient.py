"""``check_gradient``: a gradient, ours or any other, beside the numeric one of its function."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.api import value_and_grad
from chainrule.checking import frameworks
from chainrule.checking.blame import Blame, first_wrong_rule
from chainrule.checking.entries import ArrayCheck, every_entry, sampled
from chainrule.checking.numeric import EPS, Slope, complex_step, differences, sizes
from chainrule.checking.running import Run, is_analytic, runner
from chainrule.checking.verdicts import EPSILON, Entry, Tolerance
from chainrule.core.record import argument_paths, flatten_call, function_name, lift_output
from chainrule.core.recording import Recording, quiet, resumed
from chainrule.core.traced import Traced
from chainrule.core.tree import TreeDef, flatten
from chainrule.core.types import type_of
from chainrule.errors import ChainruleError, DerivativeError, DtypeError, ShapeError, UsageError

Function = Callable[..., Any]


@dataclass(frozen=True, eq=False)
class GradientCheck:
    """What ``check_gradient`` found: one ``ArrayCheck`` for each array, and more.

    ``value`` is the function's plain value; ``recorded`` that of its recording, where chainrule
    could record it. ``blame`` is the first operation whose own derivative rule is wrong.
    """

    name: str
    arrays: tuple[ArrayCheck, ...]
    value: float
    recorded: float | None = None
    differs: str = ""
    blame: Blame | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing was found wrong. What could not be decided does not count as wrong."""
        return not self.differs and all(a.verdict != "wrong" for a in self.arrays)

    @property
    def conclusive(self) -> bool:
        """Whether every entry that was looked at is either correct or wrong."""
        return not any("inconclusive" in a.verdict for a in self.arrays)

    def __bool__(self) -> bool:
        return self.ok

    def __getitem__(self, name: str) -> ArrayCheck:
        return next(a for a in self.arrays if a.name == name)

    def __str__(self) -> str:
        from chainrule.checking.report import text

        return text(self)


def check_gradient(
    f: Function,
    *args: Any,
    gradient: Any = None,
    sample: int | None = None,
    **keywords: Any,
) -> GradientCheck:
    """Check a gradient of ``f`` at these arguments, entry by entry, against ``f``'s own values.

    >>> import numpy as np, chainrule as cr
    >>> print(cr.check_gradient(lambda x: np.sum(np.sin(x)), np.array([0.0, 1.0])))
    gradient of f by x (2): correct (largest relative error 0)

    Args:
        f: returns one real number. Written with NumPy, or with PyTorch or JAX if the arguments
            are theirs.
        args, keywords: trees of arrays and numbers; every floating array among ``args`` is
            differentiated.
        gradient: what to check. None: chainrule's, ``cr.grad(f)``; for arguments of PyTorch or
            JAX, theirs. Otherwise a function of the same arguments, or the gradient itself: a tree
            like the argument, or a tuple of one tree an argument.
        sample: the number of random directions to look along, in place of every entry: an error is
            missed with a probability of at most 2^-sample.

    Returns:
        A ``GradientCheck``: true where nothing is wrong, and printed as a report.

    Raises:
        DerivativeError: ``f`` does not return one real number, or it is not finite.
        DtypeError: no argument is floating. ShapeError: the gradient is not shaped like them.
    """
    framework = frameworks.adapted(f, args, keywords, gradient)
    if framework is not None:
        f, args, keywords, gradient = framework
    problem = _Problem(f, args, keywords)
    ours = gradient is None
    given = problem.ours() if ours else problem.given(gradient)
    if framework is None:
        problem.record()
    arrays = tuple(problem.check(i, g, sample) for i, g in given.items())
    wrong = any(a.verdict == "wrong" for a in arrays)
    blame = problem.blame() if ours and wrong else None
    return GradientCheck(
        function_name(f), arrays, problem.value, problem.recorded, problem.differs, blame
    )


class _Problem:
    """A function, its arguments as arrays, and what is known of both."""

    def __init__(self, f: Function, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> None:
        self.f, self.args, self.keywords = f, args, keywords
        leaves, self.tree = flatten_call(args, keywords)
        self.labels = argument_paths(f, self.tree)
        self.leaves = [np.asarray(x) for x in leaves]
        count = self.tree.children[0].count
        self.wrt = [i for i, x in enumerate(self.leaves[:count]) if x.dtype.kind == "f"]
        if not self.wrt:
            raise DtypeError(
                f"{function_name(f)} has no floating argument to differentiate by: pass floats "
                "(1.0 instead of 1), by position"
            )
        self.plain = leaves
        self.wide = [_widened(x) for x in self.leaves]
        self.is_wide = True
        y = self._scalar(leaves)
        self.value = float(y)
        self.low = y.dtype == np.float32 or any(
            self.leaves[i].dtype == np.float32 for i in self.wrt
        )
        if not math.isfinite(self.value):
            raise DerivativeError(
                f"{function_name(f)} is {self.value} here, so it has no derivative to compare with"
            )
        self.eps = self._precision() if self.low else EPS
        self.recorded: float | None = None
        self.differs = self._changing(float(self._scalar(leaves)))
        self.run: Run | None = None
        self.is_analytic = False
        self.held = False

    def _call(self, leaves: Sequence[Any]) -> Any:
        args, keywords = self.tree.unflatten(leaves)
        with quiet():
            return self.f(*args, **keywords)

    def _precision(self) -> float:
        """Of the function's values for float64 arguments; for its own, where it refuses these."""
        try:
            y = np.asarray(self._call(self._like(self.wide)))
        except Exception:  # of the user's function, or of a framework's that it calls
            self.is_wide = False
            return EPSILON[4]
        return EPSILON[4] if y.dtype == np.float32 else EPS

    def _changing(self, again: float) -> str:
        """Whether a second call gives another value, in words; "" where it does not."""
        if abs(again - self.value) <= self._near():
            return ""
        return (
            f"{function_name(self.f)} gives another value at each call, {self.value:.6g} and then "
            f"{again:.6g}: draw random numbers with a seed, np.random.default_rng(0), inside, and "
            "keep nothing between calls"
        )

    def _near(self) -> float:
        return (1e-3 if self.low else 1e-9) * max(abs(self.value), 1e-6 if self.low else 1e-12)

    def _scalar(self, leaves: Sequence[Any]) -> np.ndarray:
        array = np.asarray(self._call(leaves))
        if array.shape != () or array.dtype.kind not in "fiu":
            raise DerivativeError(
                f"{function_name(self.f)} must return one real number, not "
                f"{array.dtype if array.shape == () else f'an array of shape {array.shape}'}"
            )
        return array

    # the gradient ---------------------------------------------------------------------------

    def ours(self) -> dict[int, np.ndarray]:
        def pure(*floats: Any) -> Any:
            moved = iter(floats)
            full, named = self.tree.unflatten(
                [next(moved) if i in self.wrt else x for i, x in enumerate(self.plain)]
            )
            return self.f(*full, **named)

        pure.__name__ = function_name(self.f)
        _, found = value_and_grad(pure, tuple(range(len(self.wrt))))(
            *[self.plain[i] for i in self.wrt]
        )
        return dict(zip(self.wrt, map(np.asarray, found), strict=True))

    def given(self, gradient: Any) -> dict[int, np.ndarray]:
        args, keywords = self.tree.unflatten(self.plain)
        if callable(gradient):
            with quiet():
                gradient = gradient(*args, **keywords)
        floating = [arg for arg in args if any(_floats(arg))]
        whole = gradient if isinstance(gradient, tuple) and len(floating) > 1 else (gradient,)
        if (
            len(floating) == 1
            and isinstance(gradient, tuple)
            and not isinstance(floating[0], tuple)
        ):
            whole = gradient
        if len(whole) == len(args) != len(floating):
            whole = tuple(g for g, arg in zip(whole, args, strict=True) if any(_floats(arg)))
        if len(whole) != len(floating):
            raise UsageError(
                f"the gradient has {len(whole)} parts, but {function_name(self.f)} has "
                f"{len(floating)} floating arguments: give a tuple, one part for each"
            )
        leaves = []
        for part, arg in zip(whole, floating, strict=True):
            found, like = flatten(part)[0], flatten(arg)[0]
            if len(found) != len(like):
                raise UsageError(
                    f"a part of the gradient holds {len(found)} arrays where its argument has "
                    f"{len(like)}"
                )
            leaves += [g for g, x in zip(found, like, strict=True) if _is_float(x)]
        result = {}
        for i, g in zip(self.wrt, leaves, strict=True):
            array = np.asarray(g)
            if array.shape != self.leaves[i].shape:
                raise ShapeError(
                    f"the gradient by {self.labels[i]} has shape {array.shape}, but "
                    f"{self.labels[i]} has {self.leaves[i].shape}"
                )
            result[i] = array
        return result

    # the function, recorded -----------------------------------------------------------------

    def record(self) -> None:
        """Record ``f``, and compare its value with the plain one."""
        with _recorded(self) as found:
            if isinstance(found, str):
                return
            rec, inputs, output = found
            self.recorded = float(rec.values[output.node])
            graph = rec.graph(inputs, [output], function_name(self.f))
            branched = rec.branched
        self.run = runner(graph, self.wide)
        self.held = any(n.primitive.decree == "stopped" for n in graph.nodes)
        self.is_analytic = is_analytic(graph) and not branched
        if not self.differs and abs(self.recorded - self.value) > self._near():
            self.differs = (
                f"{function_name(self.f)} is {self.value:.10g} on plain arrays but "
                f"{self.recorded:.10g} when it is recorded: it looks at the types of its "
                "arguments"
            )

    def blame(self) -> Blame | None:
        with _recorded(self) as found:
            if isinstance(found, str):
                return None
            rec, inputs, output = found
            graph = rec.graph(inputs, [output], function_name(self.f))
            return first_wrong_rule(graph, rec)

    # numeric --------------------------------------------------------------------------------

    def check(self, i: int, given: np.ndarray, sample: int | None) -> ArrayCheck:
        x = self.wide[i]
        low = self.low or given.dtype == np.float32
        scales = sizes(x)
        tolerance = Tolerance(4 if low else 8, abs(self.value))

        def along(move: np.ndarray, quick: bool) -> Slope:
            return self._slope(i, move, float(np.max(scales[move != 0], initial=0.0)), quick)

        g = np.asarray(given, np.float64)
        if sample is None:
            return every_entry(self.labels[i], g, scales, along, tolerance)
        return sampled(self.labels[i], g, scales, along, tolerance, sample)

    def _slope(self, i: int, move: np.ndarray, scale: float, quick: bool) -> Slope:
        x = self.wide[i]

        def moved(h: complex) -> list[Any]:
            return [*self.wide[:i], np.asarray(x + h * move), *self.wide[i + 1 :]]

        if self.run is not None and self.is_analytic and not self.differs:
            run = self.run
            try:
                found = complex_step(lambda h: run(moved(h)).item(), scale, quick=quick)
            except (TypeError, ValueError, ArithmeticError, np.linalg.LinAlgError, ChainruleError):
                found = None
            if found is not None:
                return found
        return differences(
            lambda hs: [self._at(moved(h)) for h in hs],
            scale,
            eps=self.eps,
            resolution=self.eps,
            quick=quick,
        )

    def _at(self, leaves: Sequence[Any]) -> float:
        try:
            if self.run is not None and self.held:
                return float(np.real(self.run(leaves)))
            return float(np.asarray(self._call(self._like(leaves))))
        except (ArithmeticError, np.linalg.LinAlgError):
            return math.nan

    def _like(self, leaves: Sequence[Any]) -> list[Any]:
        """Python's numbers where the caller passed such; float32 where nothing else is taken."""
        return [
            float(x)
            if isinstance(old, float) and not isinstance(old, np.generic)
            else x
            if self.is_wide
            else np.asarray(x, np.asarray(old).dtype)
            for x, old in zip(leaves, self.plain, strict=True)
        ]


class _recorded:
    """A recording of the problem's function with values, open for the length of a ``with``; why
    there is none, where chainrule cannot record it."""

    def __init__(self, problem: _Problem) -> None:
        self.problem = problem
        self.recording = Recording(eager=True)

    def __enter__(self) -> Any:
        p, rec = self.problem, self.recording
        self._resumed = resumed(rec)
        self._resumed.__enter__()
        try:
            inputs = [
                rec.input(type_of(x), x, name=label).standing_for(plain)
                for x, label, plain in zip(p.leaves, p.labels, p.plain, strict=True)
            ]
            args, keywords = p.tree.unflatten([x.renamed() for x in inputs])
            with quiet():
                y = lift_output(p.f(*args, **keywords), rec)
            if y.shape != () or not isinstance(y, Traced):
                return "it does not return one number"
            return rec, inputs, y
        except Exception as error:  # the user's function, which need not be one of chainrule's
            return str(error)

    def __exit__(self, *what: Any) -> None:
        self._resumed.__exit__(None, None, None)
        self.recording.close()


def _widened(x: np.ndarray) -> np.ndarray:
    return x.astype(np.float64) if x.dtype == np.float32 else x


def _is_float(x: Any) -> bool:
    return not isinstance(x, (bool, int, str)) and np.asarray(x).dtype.kind == "f"


def _floats(arg: Any) -> list[bool]:
    return [_is_float(x) for x in flatten(arg, static=True)[0]]


__all__ = ["EPS", "Entry", "GradientCheck", "TreeDef", "check_gradient"]
