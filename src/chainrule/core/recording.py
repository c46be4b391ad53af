"""Recording: turning the operations that a function performs into nodes.

One recording serves a whole nest of transformations: an inner ``grad`` opens fresh inputs in
the recording that is already active, so outer values are constants to it without anything
having to be tagged. The recording knows nothing of derivatives.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from types import CodeType, MappingProxyType
from typing import Any

import numpy as np

from chainrule.core.dispatch import FUNCTIONS
from chainrule.core.frames import is_internal, users_frame, warn
from chainrule.core.graph import (
    CONSTANT,
    INPUT,
    NO_ATTRS,
    Attrs,
    Graph,
    Node,
    Origin,
    Primitive,
    ancestors,
)
from chainrule.core.traced import Traced, escaped
from chainrule.core.types import DTYPE_NAMES, ArrayType, array_type, check_dtype, type_of
from chainrule.errors import ChainruleError

_active: ContextVar[Recording | None] = ContextVar("chainrule_recording", default=None)
_scope: ContextVar[str] = ContextVar("chainrule_scope", default="")

Rewriter = Callable[[Primitive, tuple[Traced, ...], Any], Traced | None]
Place = tuple[CodeType, int, str]


class Recording:
    """The nodes made while a function runs.

    Args:
        eager: values flow along, so Python may branch on them. Otherwise only types are
            known and a branch on an input raises ``UnknownValueError``.
        rewrite: what to record instead of an operation, or None to record it as it is.

    ``typed`` holds, of nodes that a rewrite put in the place of an operation, that operation:
    primitive, inputs and attributes.
    """

    def __init__(self, *, eager: bool, rewrite: Rewriter | None = None) -> None:
        self.eager = eager
        self.rewrite = rewrite
        self.derivative_rewrite = rewrite
        self.is_deriving = False
        self.typed: dict[Node, tuple[Primitive, tuple[Node, ...], Attrs]] = {}
        self.closed = False
        self.values: dict[Node, np.ndarray] = {}
        self.captures: dict[Node, np.ndarray] = {}
        self.names: dict[Node, str] = {}
        self.places: dict[Node, list[Place]] = {}
        self._known: dict[Any, Node] = {}
        self._numbers: dict[Any, Node] = {}  # the nodes of Python floats, found sooner
        self._captured: dict[int, tuple[np.ndarray, Node]] = {}
        self._serial = 0
        self._provenance = True

    def _node(
        self, primitive: Primitive, inputs: Any, attrs: Any, type: ArrayType, constant: bool
    ) -> Node:
        self._serial += 1
        return Node(primitive, inputs, attrs, type, self._serial, constant)

    def new_node(self, primitive: Primitive, inputs: tuple[Traced, ...], type: ArrayType) -> Traced:
        """A node that is shared with no other, even of the same inputs."""
        nodes = tuple(x.node for x in inputs)
        constant = all(x.is_constant for x in nodes)
        node = self._node(primitive, nodes, NO_ATTRS, type, constant)
        if self.eager:
            self.values[node] = primitive.forward(*[self.values[x] for x in nodes])
        return Traced(node, self)

    def input(self, type: ArrayType, value: np.ndarray | None = None, name: str = "") -> Traced:
        """A fresh input. Two inputs are never the same node, whatever their values."""
        node = self._node(INPUT, (), NO_ATTRS, type, False)
        if value is not None:
            self.values[node] = value
        if name:
            self.names[node] = name
        return Traced(node, self)

    def fresh(self, x: Traced) -> Traced:
        """A new name for ``x``: the input of an inner transformation, never shared."""
        return FUNCTIONS["fresh"](x)

    def zeros(self, type: ArrayType) -> Traced:
        """Zeros of this type, as one constant seen through a broadcast."""
        return FUNCTIONS["spread"](self.constant(0, type.dtype), type.shape)

    def constant(self, value: Any, dtype: np.dtype[Any]) -> Traced:
        """A scalar constant, keyed by dtype and bytes: 1, 1.0, True and -0.0 stay apart."""
        met = (value, dtype) if value and value.__class__ is float else None
        if met is not None and met in self._numbers:
            return Traced(self._numbers[met], self)
        array = np.asarray(value, dtype)
        key = (CONSTANT, array.dtype, array.tobytes())
        node = self._known.get(key)
        if node is None:
            attrs = MappingProxyType({"value": array.tobytes(), "dtype": DTYPE_NAMES[array.dtype]})
            type = array_type((), array.dtype)
            node = self._known[key] = self._node(CONSTANT, (), attrs, type, True)
            self.values[node] = array
        if met is not None:
            self._numbers[met] = node
        return Traced(node, self)

    def is_one(self, x: Traced) -> bool:
        """Whether ``x`` is the scalar constant 1."""
        return self._numbers.get((1.0, x.node.type.dtype)) is x.node

    def literal(self, node: Node) -> Traced:
        """The constant that a node of another recording holds."""
        value = np.frombuffer(node.attrs["value"], node.attrs["dtype"]).reshape(())
        return self.constant(value, node.type.dtype)

    def capture(self, array: np.ndarray) -> Traced:
        """An array from outside: a hidden input, copied unless nothing can write to it.

        The same array met again is the same node while its content has not changed.
        """
        check_dtype(array.dtype)
        if array.ndim == 0:
            return self.constant(array, array.dtype)
        seen = self._captured.get(id(array))
        if seen is not None and seen[0] is array:
            node = seen[1]
            kept = self.captures[node]  # the array itself where nothing can write to it
            if kept is array or _same_bits(kept, array):
                return Traced(node, self)
        frozen = array if _is_frozen(array) else array.copy()
        frozen.flags.writeable = False
        node = self._node(INPUT, (), NO_ATTRS, type_of(frozen), True)
        self.values[node] = self.captures[node] = frozen
        self._captured[id(array)] = (array, node)
        return Traced(node, self)

    def emit(self, primitive: Primitive, inputs: Sequence[Traced], attrs: dict[str, Any]) -> Traced:
        """Record one operation, or find the node that already stands for it."""
        if self.closed:
            raise escaped()
        nodes = []
        for x in inputs:
            if x.recording is not self:
                raise escaped()
            nodes.append(x.node)
        if primitive.instead is not None:
            instead = primitive.instead(*inputs, **attrs)
            if instead is not None:
                return instead
        if self.rewrite is not None:
            instead = self.rewrite(primitive, tuple(inputs), attrs)
            if instead is not None:
                return instead
        inputs_key = tuple(nodes)
        key = (primitive, inputs_key, tuple(attrs.items())) if attrs else (primitive, inputs_key)
        node = self._known.get(key)
        if node is None:
            type = primitive.infer(*[x.type for x in nodes], **attrs)
            frozen = MappingProxyType(attrs) if attrs else NO_ATTRS
            constant = False not in [x.is_constant for x in nodes]
            node = self._known[key] = self._node(primitive, inputs_key, frozen, type, constant)
            if self.eager:
                values = self.values
                values[node] = primitive.forward(*[values[x] for x in nodes], **attrs)
        if self._provenance:
            self._note_origin(node)
        return Traced(node, self)

    def _note_origin(self, node: Node) -> None:
        frame = users_frame()
        if frame is None:
            return
        place = (frame.f_code, frame.f_lineno, _scope.get())
        places = self.places.get(node)
        if places is None:
            self.places[node] = [place]
        elif place not in places:
            places.append(place)

    @contextmanager
    def deriving(self) -> Iterator[None]:
        """Record derivatives: they have no line of the user's, and an infinite local
        derivative is a value, not a fault to warn of."""
        outer = self.rewrite, self.is_deriving
        self.rewrite, self.is_deriving = self.derivative_rewrite, True
        try:
            with self.unattributed(), quiet():
                yield
        finally:
            self.rewrite, self.is_deriving = outer

    @contextmanager
    def rewriting(self, rewrite: Rewriter) -> Iterator[None]:
        """Record by a rewrite for a while, as a function under ``jit`` is inside another
        transformation. Derivatives are recorded by it from then on: they may be that function's."""
        outer = self.rewrite
        self.rewrite = self.derivative_rewrite = outer or rewrite
        try:
            with quiet():  # of two branches one may overflow
                yield
        finally:
            self.rewrite = outer

    @contextmanager
    def unattributed(self) -> Iterator[None]:
        """Record without looking for the user's line."""
        outer, self._provenance = self._provenance, False
        try:
            yield
        finally:
            self._provenance = outer

    def value(self, node: Node) -> np.ndarray | None:
        """The value of a node, where it is known: always in an eager recording, and in an
        abstract one for what depends on constants and captured arrays only."""
        found = self.values.get(node)
        if found is not None or not node.is_constant:
            return found
        for x in ancestors([node]):
            if x not in self.values:
                arguments = [self.values[i] for i in x.inputs]
                self.values[x] = x.primitive.forward(*arguments, **x.attrs)
        return self.values[node]

    def origins(self, node: Node) -> list[Origin]:
        return [
            Origin(code.co_filename, line, code.co_name, scope)
            for code, line, scope in self.places.get(node, ())
        ]

    def graph(self, inputs: Sequence[Traced], outputs: Sequence[Traced], name: str) -> Graph:
        """The graph from ``inputs`` to ``outputs``, captured arrays as hidden inputs."""
        roots = [y.node for y in outputs]
        used = [n for n in ancestors(roots) if n in self.captures]
        free = tuple(x.node for x in inputs)
        nodes = ancestors(roots)
        return Graph(
            inputs=free + tuple(used),
            outputs=tuple(roots),
            captures=tuple(self.captures[n] for n in used),
            name=name,
            names={n: self.names[n] for n in free if n in self.names},
            origins={n: self.origins(n) for n in nodes if n in self.places},
        )

    def forget_after(self, serial: int) -> None:
        """Drop all nodes recorded after this serial number."""
        for table in (self.values, self.captures, self.places, self.typed):
            for node in [n for n in table if n.serial > serial]:
                del table[node]  # type: ignore[attr-defined]
        self._known = {k: n for k, n in self._known.items() if n.serial <= serial}
        self._numbers = {k: n for k, n in self._numbers.items() if n.serial <= serial}
        self._captured = {k: v for k, v in self._captured.items() if v[1].serial <= serial}

    @property
    def serial(self) -> int:
        """The serial number of the newest node."""
        return self._serial

    def close(self) -> None:
        """End the recording: a traced value that escaped can't be used any more."""
        self.closed = True
        self.values = {}
        self._known.clear()
        self._captured.clear()


def _is_frozen(array: np.ndarray) -> bool:
    """No one can write to this memory: not through the array nor through what it views."""
    base: Any = array
    while isinstance(base, np.ndarray):
        if base.flags.writeable:
            return False
        base = base.base
    return base is None or isinstance(base, bytes)


def _same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    bits = f"u{a.itemsize}"  # compared as whole numbers: -0.0 is not 0.0, and NaN is itself
    return bool(np.all(a.view(bits) == b.view(bits)))


def active() -> Recording | None:
    """The recording in progress in this thread or task, if any."""
    return _active.get()


@contextmanager
def recording(*, eager: bool) -> Iterator[tuple[Recording, bool]]:
    """Join the active recording, or open one; yields it and whether it is new."""
    current = _active.get()
    if current is not None:
        yield current, False
        return
    with fresh_recording(eager=eager) as opened:
        yield opened, True


@contextmanager
def fresh_recording(*, eager: bool, rewrite: Rewriter | None = None) -> Iterator[Recording]:
    """Open a recording of its own, even inside another one."""
    opened = Recording(eager=eager, rewrite=rewrite)
    try:
        with resumed(opened):
            yield opened
    finally:
        opened.close()


@contextmanager
def resumed(paused: Recording) -> Iterator[None]:
    """Go on with a recording that was kept open."""
    token = _active.set(paused)
    try:
        with _warnings_at_the_users_line() if paused.eager else nullcontext():
            yield
    except ValueError as error:
        # NumPy puts an error of its own before the one that array[i] = x got from float(x)
        if isinstance(error.__cause__, ChainruleError):
            raise error.__cause__ from None
        raise
    finally:
        _active.reset(token)


def _warnings_at_the_users_line() -> Any:
    """NumPy's floating-point warnings, said of the user's line instead of the line here that
    computes a primitive: Python shows a warning once a line."""
    asked = np.geterr()
    if "warn" not in asked.values():
        return nullcontext()
    return np.errstate(
        call=_warn_of_numbers,
        **{kind: "call" if how == "warn" else how for kind, how in asked.items()},  # type: ignore[arg-type]
    )


def _warn_of_numbers(kind: str, flag: int) -> None:
    frame = sys._getframe(1)
    while frame.f_code is not Recording.emit.__code__ and is_internal(frame.f_code.co_filename):
        frame = frame.f_back
    primitive = frame.f_locals.get("primitive") if frame.f_code is Recording.emit.__code__ else None
    warn(f"{kind} encountered{f' in {primitive.name}' if primitive else ''}")


def quiet() -> Any:
    """Silence floating-point warnings: an infinite local derivative is a value, not a fault."""
    return np.errstate(all="ignore")


@contextmanager
def scope(name: str) -> Iterator[None]:
    """Name the nodes recorded inside: ``scope("mlp")`` around ``scope("1")`` is ``mlp/1``."""
    outer = _scope.get()
    token = _scope.set(f"{outer}/{name}" if outer else name)
    try:
        yield
    finally:
        _scope.reset(token)


__all__ = ["Recording", "active", "recording", "scope"]
