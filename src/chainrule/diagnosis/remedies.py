"""Forms that stay finite, each proved by doing the call again in that form.

First the compiler's own table of stability rewrites, which leaves values as they are and only
computes them otherwise; then, where that does not help, guards.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import numpy as np

from chainrule import nn
from chainrule.compile import stability
from chainrule.compile.stability import REWRITES, Typed
from chainrule.core.frames import text_at, users_frame
from chainrule.core.node import CONSTANT, PRIMITIVES, Node, Primitive
from chainrule.core.recording import Recording
from chainrule.core.traced import Traced
from chainrule.diagnosis.guards import GUARDS, Guard
from chainrule.diagnosis.numpy_code import numpy_code
from chainrule.diagnosis.origins import Origin, origins
from chainrule.diagnosis.rerun import Place, Rerun, rerun
from chainrule.errors import ChainruleError, UnsupportedError

MOST_GUARDS = 6


@dataclass(frozen=True)
class Change:
    """At ``line``, write ``after`` for ``before``; where it is not ``is_code`` it is the form that
    the compiler computes, as its table states it."""

    line: str
    before: str
    after: str
    is_code: bool = True


@dataclass(frozen=True)
class Fix:
    """A form that stays finite. ``source`` is "compiler" (``jit`` computes it so by itself) or
    "guard", which changes what is computed where it was not finite; ``proof`` is what came out when
    the call was done again in that form; ``rules`` are names of rewrites."""

    source: str
    changes: tuple[Change, ...]
    proof: str
    rules: tuple[str, ...] = ()


Call = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]


def remedy(call: Call, first: Origin) -> Fix | None:
    """A form in which the call stays finite; None where none is known."""
    return by_compiler(call) or by_guards(call, first)


# The compiler's table -----------------------------------------------------------------------


@dataclass(frozen=True)
class _Fired:
    rule: str
    node: Node
    place: Place
    code: str
    example: str


class _Noting:
    """The table, noting what it puts in the place of what."""

    def __init__(self, names: frozenset[str]) -> None:
        self.table = Typed(one for one in REWRITES if one.name in names)
        self.examples = {one.name: one.example for one in REWRITES}
        self.fired: list[_Fired] = []

    def __call__(
        self, primitive: Primitive, inputs: tuple[Traced, ...], attrs: Any, fired: Any = None
    ) -> Traced | None:
        count: Counter[str] = Counter()
        found = self.table(primitive, inputs, attrs, count)
        if found is None or not count:
            return found
        (rule, *_) = count
        frame = users_frame()
        if frame is not None and not found.recording.is_deriving:
            text, line = text_at(frame.f_code, frame.f_lasti)
            names = _names(frame.f_locals, found.recording)
            codes = [*_likely(_idiom(rule, inputs, names), text), numpy_code(found.node, names)]
            code = next((x for x in codes if x and _computes(x, found, names)), "")
            where = Place(f"{frame.f_code.co_filename}:{line}", text, "")
            self.fired.append(_Fired(rule, found.node, where, code, self.examples[rule]))
        return found


def by_compiler(call: Call) -> Fix | None:
    """The rewrites of the compiler's table that make the call finite, no more than it takes."""
    every = frozenset(one.name for one in REWRITES)
    found = _tried(call, every)
    if found is None:
        return None
    needed = frozenset(one.rule for one in found[0].fired)
    for name in sorted(needed):
        fewer = _tried(call, needed - {name})
        if fewer is not None:
            needed, found = needed - {name}, fewer
    noting, proof = found
    changes: dict[tuple[str, str], Change] = {}
    for one in noting.fired:
        change = Change(
            one.place.line, one.place.text.strip(), one.code or one.example, bool(one.code)
        )
        changes[change.line, change.before] = change
    return Fix("compiler", tuple(changes.values()), proof, tuple(sorted(needed)))


def _tried(call: Call, names: frozenset[str]) -> tuple[_Noting, str] | None:
    noting = _Noting(names)
    try:
        with rerun(*call, rewrite=noting) as run:
            return None if run.failed or not noting.fired else (noting, proof_of(run))
    except (ChainruleError, ArithmeticError, ValueError):
        return None


def _names(local: dict[str, Any], recording: Recording) -> dict[Node, str]:
    found = {}
    for name, x in local.items():
        if type(x) is Traced and x.recording is recording:
            found.setdefault(x.node, name)
    return found


def _likely(code: str, text: str) -> Iterator[str]:
    """A softmax may stand in a program for its reciprocal, of the opposite, or at an index."""
    yield code
    if "softmax" in code:
        opposite = code.replace("softmax(", "softmax(-")
        for form in (opposite, f"1 / {code}", f"1 / {opposite}"):
            yield from (form + index for index in ("", *re.findall(r"\[[^][]*\]", text)))


def _computes(code: str, made: Traced, names: dict[Node, str]) -> bool:
    """Whether the code that is to be shown gives what the rewrite gave."""
    recording = made.recording
    known: dict[str, Any] = {name: recording.value(node) for node, name in names.items()}
    modules = {"np": np, "cr": SimpleNamespace(nn=nn)}
    if "scipy" in code:
        modules["scipy"] = SimpleNamespace(special=import_module("scipy.special"))
    try:
        with np.errstate(all="ignore"):
            found = np.asarray(eval(code, {"__builtins__": {}, **modules}, known))
    except (ArithmeticError, AttributeError, NameError, TypeError, ValueError):
        return False
    value = np.asarray(recording.value(made.node))
    tolerance = 1e3 * np.finfo(value.dtype).eps
    try:
        return np.allclose(found, value, rtol=tolerance, atol=tolerance, equal_nan=True) and (
            np.broadcast_shapes(found.shape, value.shape) == value.shape
        )
    except ValueError:
        return False


_IDIOMS = {"softmax": "cr.nn.softmax({})", "log-sum-exp": "cr.nn.logsumexp({})"}


def _idiom(rule: str, inputs: tuple[Traced, ...], names: dict[Node, str]) -> str:
    """The library's function for a rewrite whose own form is long."""
    template = _IDIOMS.get(rule)
    if rule == "norm":
        return _norm(inputs, names)
    if rule == "series-log" and inputs[0].node.primitive.name == "cosh":
        code = numpy_code(inputs[0].node.inputs[0], names, whole=False)
        return f"np.logaddexp({code}, -({code})) - np.log(2)" if code else ""
    if template is None:
        return ""
    if rule == "log-sum-exp" and inputs[0].node.primitive.name == "add":
        terms = [_logarithm(x, names) for x in inputs[0].node.inputs]
        return f"np.logaddexp({', '.join(terms)})" if all(terms) else ""
    recording = inputs[0].recording
    stack, exponents, axis = [x.node for x in inputs], [], ""
    for _ in range(40):
        if not stack:
            break
        node = stack.pop(0)
        if node.primitive.name == "reduce_sum":
            axes = node.attrs["axes"]
            axis = "" if len(axes) == node.inputs[0].type.ndim else f", axis={axes[0]}"
        if node.primitive.name == "exp":
            exponents.append(node.inputs[0])
            continue
        typed = recording.typed.get(node)
        stack += typed[1] if typed else node.inputs
    if len(set(exponents)) != 1:
        return ""
    code = numpy_code(exponents[0], names, whole=False)
    return template.format(code + axis) if code else ""


def _logarithm(x: Node, names: dict[Node, str]) -> str:
    """The code of the logarithm of a term, where it is an exponential or a number."""
    while x.primitive.name in ("broadcast", "reshape", "cast"):
        (x,) = x.inputs
    if x.primitive.name == "exp":
        return numpy_code(x.inputs[0], names, whole=False)
    code = numpy_code(x, names)
    return "0" if code == "1" else f"np.log({code})" if x.primitive is CONSTANT else ""


def _norm(inputs: tuple[Traced, ...], names: dict[Node, str]) -> str:
    """The norm of what is squared and summed."""
    stack = [x.node for x in inputs]
    for _ in range(8):
        node = stack.pop(0)
        if len({*node.inputs}) == 1 and node.primitive.name != "reduce_sum":
            code = numpy_code(node.inputs[0], names, whole=False)
            return f"np.linalg.norm({code})" if code else ""
        stack += node.inputs
        if not stack:
            break
    return ""


# Guards -------------------------------------------------------------------------------------

Key = tuple[str, Any, int]


@dataclass(frozen=True)
class _Masked:
    """Feeds an operation a harmless number where its result is not used."""

    mask: np.ndarray

    def __call__(self, primitive: Primitive, inputs: tuple[Traced, ...], attrs: Any) -> Traced:
        safe = []
        for x in inputs:
            fits = x.type.is_float and x.shape == self.mask.shape
            safe.append(np.where(self.mask, np.ones((), x.dtype), x) if fits else x)
        return safe[0].recording.emit(primitive, safe, dict(attrs))


@dataclass(frozen=True)
class _Guarded:
    """An operation under a guard, refused where that changes more than it must: ``mask`` are the
    entries whose slope was not finite."""

    guard: Guard
    mask: np.ndarray

    def __call__(self, primitive: Primitive, inputs: tuple[Traced, ...], attrs: Any) -> Any:
        operands = [*inputs, *attrs.values()]
        made = self.guard.build(*operands, **self.guard.numbers(inputs[0].dtype))
        recording = made.recording
        values = [recording.value(x.node) for x in inputs]
        new = recording.value(made.node)
        if new is None or any(value is None for value in values):
            return made
        old = np.asarray(primitive.forward(*values, **attrs))
        kept = np.isfinite(old)
        if kept.shape == self.mask.shape:
            kept &= ~self.mask
        tolerance = 8 * np.finfo(old.dtype).eps  # the guard computes the same otherwise
        if not np.allclose(np.asarray(new)[kept], old[kept], rtol=tolerance, atol=0):
            raise UnsupportedError("the guard changes what was finite")
        return made


class _Guarding:
    """Records what the table says, and in some places of the user's a guarded form."""

    def __init__(self, guards: dict[Key, Any], table: Any) -> None:
        self.guards, self.table = guards, table
        self.inside = False

    def __call__(
        self, primitive: Primitive, inputs: tuple[Traced, ...], attrs: Any, fired: Any = None
    ) -> Traced | None:
        recording = inputs[0].recording if inputs else None
        if not self.inside and recording is not None and not recording.is_deriving:
            frame = users_frame()
            key = (primitive.name, frame.f_code, frame.f_lasti) if frame is not None else None
            guard = None if key is None else self.guards.get(key)
            if guard is not None:
                self.inside = True
                try:
                    made = guard(primitive, inputs, attrs)
                    if made.shape == primitive.infer(*[x.type for x in inputs], **attrs).shape:
                        return made
                finally:
                    self.inside = False
        return None if self.table is None else self.table(primitive, inputs, attrs)


def by_guards(call: Call, first: Origin) -> Fix | None:
    """Guards at the origin, and at those that come to light behind it; where a line of the user's
    is there to be written anew."""
    if first.place is None or not first.place.line:
        return None
    for table in (None, stability.rewrite):
        found = _guarded(call, first, table)
        if found is not None:
            return found
    return None


def _guarded(call: Call, first: Origin, table: Any) -> Fix | None:
    guards: dict[Key, Any] = {}
    changes: dict[Key, Change] = {}
    origin: Origin | None = first
    for _ in range(MOST_GUARDS):
        if origin is None or origin.key in guards or origin.key is None or origin.kind == "given":
            return None
        place, key = origin.place, origin.key
        line, before = (place.line, place.text.strip()) if place else ("", origin.operation)
        following = None
        for guard, code in _choices(origin):
            try:
                with rerun(*call, rewrite=_Guarding({**guards, key: guard}, table)) as run:
                    forward, backward = (None, None) if not run.failed else origins(run)
                    proof = "" if run.failed else proof_of(run)
            except (ChainruleError, ArithmeticError, ValueError):
                continue
            following = forward or backward
            if not proof and (following is None or following.key == key):
                continue
            guards[key], changes[key] = guard, Change(line, before, code)
            if proof:
                return Fix("guard", tuple(changes.values()), proof)
            break
        else:
            return None
        origin = following
    return None


def _choices(origin: Origin) -> list[tuple[Any, str]]:
    """Guards for the operation of an origin, with their code, the best first."""
    place = origin.place
    texts = place.operands if place is not None else []
    found: list[tuple[Any, str]] = []
    if origin.hidden_by is not None and origin.unused is not None:
        found.append((_Masked(origin.unused), _double_where(origin)))
    primitive = PRIMITIVES.get(origin.node.primitive.name)
    arity = len(origin.node.inputs) + len(origin.node.attrs)
    attrs = [f"{x:g}" for x in origin.node.attrs.values() if isinstance(x, (int, float))]
    names = [*texts, *attrs] if len(texts) + len(attrs) == arity else texts
    if len(names) < arity:
        names = [*"xyz"[: len(origin.node.inputs)], *attrs]
    if primitive is not None:
        for guard in GUARDS.get(primitive.name, ()):
            numbers = guard.numbers(origin.node.type.dtype)
            wrapped = [name if name.isidentifier() else f"({name})" for name in names]
            code = guard.code.format(*wrapped, **numbers)
            slope = origin.mask if origin.direction == "backward" else np.zeros((), bool)
            found.append((_Guarded(guard, slope), _plain(code)))
    return found


def _plain(code: str) -> str:
    try:
        return ast.unparse(ast.parse(code, mode="eval"))
    except SyntaxError:
        return code


def _double_where(origin: Origin) -> str:
    """The same operation, fed a harmless number where the choice leaves it out."""
    place, choice = origin.place, origin.hidden_by
    condition = ([] if choice is None else choice.operands) or ["chosen"]
    branches = ("1", "{}") if origin.branch == 2 else ("{}", "1")
    good = f"np.where({condition[0]}, {', '.join(branches)})"
    try:
        node = ast.parse("" if place is None else place.text.strip(), mode="eval").body
    except SyntaxError:
        node = None
    match node:
        case ast.Call(args=[first, *_]):
            node.args[0] = ast.parse(good.format(ast.unparse(first)), mode="eval").body
        case ast.BinOp(right=x, op=ast.Div()):
            node.right = ast.parse(good.format(ast.unparse(x)), mode="eval").body
        case ast.BinOp(left=x):
            node.left = ast.parse(good.format(ast.unparse(x)), mode="eval").body
        case _:
            return f"{origin.operation} of {good.format('x')}"
    return ast.unparse(node)


def proof_of(run: Rerun) -> str:
    """What came out of a call that was done again."""
    parts = []
    for path, node in run.leaves:
        name = path or "result"
        if node.type.shape == () and node.type.is_float:
            parts.append(f"{name} {float(np.asarray(run.value(node))):.6g}")
        elif node.type.is_float:
            parts.append(f"{name} finite")
    return "re-run: " + (", ".join(parts) if len(parts) <= 3 else f"{parts[0]}, all finite")
