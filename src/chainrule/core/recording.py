"""Recording: turning the operations that a function performs into nodes.

One recording serves a whole nest of transformations: an inner ``grad`` opens fresh inputs in
the recording that is already active, so outer values are constants to it without anything
having to be tagged. The recording knows nothing of derivatives.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from operator import attrgetter
from types import MappingProxyType
from typing import Any

import numpy as np

from chainrule.core import held
from chainrule.core.dispatch import FUNCTIONS
from chainrule.core.frames import is_internal, users_frame, warn
from chainrule.core.graph import Graph, Origins, Place, ancestors
from chainrule.core.held import constant_of, content_of, frozen_copy, is_frozen, number_of
from chainrule.core.node import CONSTANT, INPUT, NO_ATTRS, Attrs, Node, Primitive, make_node
from chainrule.core.numeric_warnings import calling, quiet
from chainrule.core.points import settled, value_of
from chainrule.core.retelling import retold
from chainrule.core.scopes import SCOPE, scope
from chainrule.core.told import Called
from chainrule.core.traced import Traced
from chainrule.core.types import ArrayType, check_dtype, type_of
from chainrule.core.unknown import escaped, escaped_row
from chainrule.errors import ChainruleError

_active: ContextVar[Recording | None] = ContextVar("chainrule_recording", default=None)

Rewriter = Callable[[Primitive, tuple[Traced, ...], Any], Traced | None]
Roller = Callable[[Sequence[Traced], Sequence[Traced]], list[Traced]]
_TYPE, _IS_CONSTANT = attrgetter("type"), attrgetter("is_constant")


class Recording:
    """The nodes made while a function runs.

    Args:
        eager: values flow along, so Python may branch on them. Otherwise only types are
            known and a branch on an input raises ``UnknownValueError``.
        rewrite: what to record instead of an operation, or None to record it as it is.
        provenance: whether to keep the user's line of each node.
        roll: ``(outputs, starts)`` returns the outputs, with equal turns of Python's loops made one
            loop; see ``compile/rolling.py``.

    ``typed`` holds, of nodes that a rewrite put in the place of an operation, that operation:
    primitive, inputs and attributes.
    """

    is_deriving = False
    derived_from = 0  # the newest node when the derivative began that was recorded last
    closed = False
    refused: ChainruleError | None = None  # what the last float(x) or the like raised
    body: Any = None  # the function that is recorded for many turns or rows, if one is
    kinks = False  # whether signs or sizes were recorded, see ``ops/kinks.py``
    branched = False  # whether Python was told a value, and may have branched on it
    masks: dict[Node, Any] | None = None  # see ``masks.py``
    watch: Any = None  # sees every visit of reverse mode, see ``autodiff/reverse.py``
    copied: Node | None = None  # the node that is recorded anew, see ``copying``
    calls: dict[Node, Called] | None = None  # results, if asked
    _copies = False
    _serial = 0

    def __init__(
        self,
        *,
        eager: bool,
        rewrite: Rewriter | None = None,
        provenance: bool = True,
        roll: Roller | None = None,
    ) -> None:
        self.eager = eager
        self.rewrite = rewrite
        self.derivative_rewrite = rewrite
        self.typed: dict[Node, tuple[Primitive, tuple[Node, ...], Attrs]] = {}
        self.values: dict[Node, np.ndarray] = {}
        self.captures: dict[Node, np.ndarray] = {}
        self.names: dict[Node, str] = {}
        self.places: dict[Node, Sequence[Place]] = {}  # equal ones are one object: they are many
        self._one_place: dict[Place, tuple[Place]] = {}
        self._known: dict[Any, Node] = {}
        self._numbers: dict[Any, Node] = {}  # the nodes of Python floats, found sooner
        self._spread: dict[Any, Node] = {}  # the same, repeated to a shape
        self.ones: set[Node] = set()  # the scalar constants 1
        self._captured: dict[int, tuple[np.ndarray, Node]] = {}
        self.spent: set[Node] = set()  # inputs of bodies that are done: nothing may read them
        self.points: set[Node] = set()  # inputs of transformations whose values are known
        self.running: set[Node] = set()  # those of them whose transformation has not ended
        self.rows: set[Node] = set()  # stand-ins for one row of a batch: they have no value
        self.roll = roll
        self._provenance = provenance

    def _node(
        self, primitive: Primitive, inputs: Any, attrs: Any, type: ArrayType, constant: bool
    ) -> Node:
        self._serial += 1
        return make_node(primitive, inputs, attrs, type, self._serial, constant)

    def new_node(self, primitive: Primitive, inputs: tuple[Traced, ...], type: ArrayType) -> Traced:
        """A node that is shared with no other, even of the same inputs."""
        nodes = tuple(x.node for x in inputs)
        node = self._node(primitive, nodes, NO_ATTRS, type, False)
        if self.eager and all(x in self.values for x in nodes):
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
        """A new name for ``x``: the input of an inner transformation, never shared nor constant."""
        return FUNCTIONS["fresh"](x)

    def point(self, x: Traced) -> Traced:
        """``x`` as the input of an inner transformation that begins. Its value may be known here;
        what is computed from it is a mere number only when that has ended (``running``)."""
        y = self.fresh(x)
        if settled(self, x.node):
            self.points.add(y.node)
            self.running.add(y.node)
        return y

    def zeros(self, type: ArrayType) -> Traced:
        """Zeros of this type, as one constant seen through a broadcast."""
        return FUNCTIONS["spread"](self.constant(0, type.dtype), type.shape)

    def constant(self, value: Any, dtype: np.dtype[Any]) -> Traced:
        """A scalar constant, keyed by dtype and bytes: 1, 1.0, True and -0.0 stay apart."""
        met = (value, dtype.char) if type(value) is float and value else None
        if met is not None:
            node = self._numbers.get(met)
            if node is not None:
                return Traced(node, self)
        key, attrs, type_, array, is_one = (constant_of if met is None else number_of)(value, dtype)
        node = self._known.get(key)
        if node is None:
            node = self._known[key] = self._node(CONSTANT, (), attrs, type_, True)
            self.values[node] = array
            if is_one:
                self.ones.add(node)
        if met is not None:
            self._numbers[met] = node
        return Traced(node, self)

    def spread(self, value: float, type: ArrayType) -> Traced:
        """A number, repeated to the shape of ``type``, a floating one."""
        if not type.shape:
            return self.constant(float(value), type.dtype)
        node = self._spread.get((value, type)) if value else None  # -0.0 is not 0.0
        if node is not None:
            return Traced(node, self)
        value = float(value)
        made = FUNCTIONS["spread"](self.constant(value, type.dtype), type.shape)
        if value:
            self._spread[value, type] = made.node
        return made

    def literal(self, node: Node) -> Traced:
        """The constant that a node of another recording holds."""
        value = np.frombuffer(node.attrs["value"], node.attrs["dtype"]).reshape(())
        return self.constant(value, node.type.dtype)

    def capture(self, array: np.ndarray) -> Traced:
        """An array from outside: a hidden input, copied unless nothing can write to it.

        The same array met again is the same node while its content has not changed; so is a small
        one that a loop makes anew in each turn, since its bits are the same.
        """
        check_dtype(array.dtype)
        if array.ndim == 0:
            return self.constant(array, array.dtype)
        seen = self._captured.get(id(array))
        if seen is not None and seen[0] is array:
            node = seen[1]
            kept = self.captures[node]  # the array itself where nothing can write to it
            if kept is array or held.same_bits(kept, array):
                return Traced(node, self)
        kept = array if is_frozen(array) else frozen_copy(array)
        content = content_of(kept, array.flags.c_contiguous)
        node = self._known.get(content)
        if node is None:
            node = self._node(INPUT, (), NO_ATTRS, type_of(kept), True)
            self.values[node] = self.captures[node] = kept
            if content is not None:
                self._known[content] = node
        self._captured[id(array)] = (array, node)
        return Traced(node, self)

    def emit(self, primitive: Primitive, inputs: Sequence[Traced], attrs: dict[str, Any]) -> Traced:
        """Record one operation, or find the node that already stands for it."""
        nodes = tuple([x.node for x in inputs if x.recording is self])
        if self.closed or len(nodes) < len(inputs):
            raise escaped()
        if primitive.instead is not None and not self._copies:
            instead = primitive.instead(*inputs, **attrs)
            if instead is not None:
                return Traced(instead.node, self)
        if self.rewrite is not None:
            instead = self.rewrite(primitive, tuple(inputs), attrs)
            if instead is not None:
                return Traced(instead.node, self)
        key: Any = (primitive, nodes)
        if attrs:
            key += tuple(sorted(attrs.items())) if len(attrs) > 1 else tuple(attrs.items())
        node = self._known.get(key)
        if node is None:
            type = nodes[0].type if nodes else None
            if (
                type is None
                or primitive.keeps != len(nodes)
                or nodes[-1].type is not type
                or not type.is_float
            ):
                type = primitive.infer(*map(_TYPE, nodes), **attrs)
            frozen = MappingProxyType(attrs) if attrs else NO_ATTRS
            constant = (not nodes or nodes[0].is_constant) and all(map(_IS_CONSTANT, nodes))
            self._serial = serial = self._serial + 1
            node = make_node(primitive, nodes, frozen, type, serial, constant)
            self._known[key] = node
            if self.eager:
                values = self.values
                try:
                    given = list(map(values.__getitem__, nodes))
                except KeyError:  # it depends on one row of a batch, which has no value
                    pass
                else:
                    values[node] = primitive.forward(*given, **attrs)
        if self._provenance:
            self._note_origin(node)
        return Traced(node, self)

    def _note_origin(self, node: Node) -> None:
        if self.copied is not None:
            if self.copied in self.places:
                self.places.setdefault(node, self.places[self.copied])
            return
        frame = users_frame(3)  # from the caller of ``emit`` on
        if frame is None:
            return
        place = (frame.f_code, frame.f_lasti, SCOPE.get())
        places = self.places.get(node)
        if places is None:
            self.places[node] = self._one_place.setdefault(place, (place,))
        elif place not in places:
            self.places[node] = (*places, place)

    def deriving(self) -> _Deriving:
        """Record derivatives: they have no line of the user's, and an infinite local
        derivative is a value, not a fault to warn of."""
        return _Deriving(self)

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
    def copying(self) -> Iterator[None]:
        """Record operations as they come: they were rewritten when ``copied``, whose lines they
        get, was recorded."""
        outer = self.rewrite, self._copies, self.copied
        self.rewrite, self._copies = None, True
        try:
            yield
        finally:
            self.rewrite, self._copies, self.copied = outer

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
        abstract one for what depends on constants, captured arrays and points only."""
        found = self.values.get(node)
        if found is not None or not (node.is_constant or self.points):
            return found
        return value_of(self, node)

    def graph(self, inputs: Sequence[Traced], outputs: Sequence[Traced], name: str) -> Graph:
        """The graph from ``inputs`` to ``outputs``, captured arrays as hidden inputs."""
        roots = [y.node for y in outputs]
        nodes = ancestors(roots)
        used = [n for n in nodes if n in self.captures]
        free = tuple(x.node for x in inputs)
        if self.rows and not self.rows.difference(free).isdisjoint(nodes):
            raise escaped_row()
        if not self.spent.isdisjoint(nodes):
            raise escaped()
        return Graph(
            inputs=free + tuple(used),
            outputs=tuple(roots),
            captures=tuple(self.captures[n] for n in used),
            name=name,
            names={n: self.names[n] for n in free if n in self.names},
            origins=Origins({n: self.places[n] for n in nodes if n in self.places}),
        )

    def forget_after(self, serial: int) -> None:
        """Drop all nodes recorded after this serial number."""
        for table in (self.values, self.captures, self.places, self.typed):
            for node in [n for n in table if n.serial > serial]:
                del table[node]  # type: ignore[attr-defined]
        for name in ("_known", "_numbers", "_spread"):
            kept = {k: n for k, n in getattr(self, name).items() if n.serial <= serial}
            setattr(self, name, kept)
        self._captured = {k: v for k, v in self._captured.items() if v[1].serial <= serial}
        self.ones = {n for n in self.ones if n.serial <= serial}
        self.masks = None

    @property
    def serial(self) -> int:
        """The serial number of the newest node."""
        return self._serial

    def close(self) -> None:
        """End the recording: a traced value that escaped can't be used any more."""
        self.closed = True
        self.values = {}
        self.masks = None
        tables: Any = (self._known, self._numbers, self._spread, self.ones, self._captured)
        for table in (*tables, self.typed):
            table.clear()


def active() -> Recording | None:
    """The recording in progress in this thread or task, if any."""
    return _active.get()


class _Deriving:
    __slots__ = ("_errors", "_outer", "_recording")

    def __init__(self, recording: Recording) -> None:
        self._recording = recording

    def __enter__(self) -> None:
        rec = self._recording
        self._outer = rec.rewrite, rec.is_deriving, rec._provenance
        rec.rewrite, rec.is_deriving, rec._provenance = rec.derivative_rewrite, True, False
        rec.derived_from = rec._serial
        self._errors = quiet()
        self._errors.__enter__()

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self._errors.__exit__(kind, error, trace)
        rec = self._recording
        rec.rewrite, rec.is_deriving, rec._provenance = self._outer


class resumed:
    """Go on with a recording that was kept open, for the length of a ``with``.

    With values flowing, NumPy's floating-point warnings are said of the user's line instead of
    the line here that computes a primitive: Python shows a warning once a line.
    """

    __slots__ = ("_errors", "_paused", "_token")

    def __init__(self, paused: Recording) -> None:
        self._paused = paused

    def __enter__(self) -> Recording:
        self._token = _active.set(self._paused)
        asked = np.geterr() if self._paused.eager else {}
        self._errors = None
        if "warn" in asked.values():
            self._errors = np.errstate(call=_warn_of_numbers, **calling(asked))
            self._errors.__enter__()
        return self._paused

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        _active.reset(self._token)
        if self._errors is not None:
            self._errors.__exit__(kind, error, trace)
        if error is not None and (ours := retold(error, self._paused.refused)) is not None:
            raise ours from None


class fresh_recording(resumed):
    """Open a recording of its own, even inside another one; its arguments are ``Recording``'s."""

    __slots__ = ()

    def __init__(self, **options: Any) -> None:
        super().__init__(Recording(**options))

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        try:
            super().__exit__(kind, error, trace)
        finally:
            self._paused.close()


class recording:
    """Join the active recording, or open one; yields it and whether it is new."""

    __slots__ = ("_eager", "_opened")

    def __init__(self, *, eager: bool) -> None:
        self._eager = eager

    def __enter__(self) -> tuple[Recording, bool]:
        current = _active.get()
        self._opened = None
        if current is not None:
            return current, False
        self._opened = fresh_recording(eager=self._eager, provenance=not self._eager)
        return self._opened.__enter__(), True

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if self._opened is not None:
            self._opened.__exit__(kind, error, trace)


def _warn_of_numbers(kind: str, flag: int) -> None:
    emit, frame = Recording.emit.__code__, sys._getframe(1)
    while frame.f_code is not emit and is_internal(frame.f_code.co_filename) and frame.f_back:
        frame = frame.f_back
    primitive = frame.f_locals.get("primitive") if frame.f_code is emit else None
    warn(f"{kind} encountered{f' in {primitive.name}' if primitive else ''}")


__all__ = ["Recording", "active", "quiet", "recording", "scope"]
