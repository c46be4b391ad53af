"""What traced arrays share, and what has been written into them but not recorded yet.

Recorded values never change. A traced array is a name for one: a write gives it, and all its views,
another. NumPy says what a view sees: an array that is written to gets *marks*, an array of integers
laid out as it is, whose views are made by the user's own calls. A mark is the number of the write
that came last to its place, so a read of what was just written finds that value itself, at a cost
that does not depend on the length of the array; only a read of the whole records the writes, all of
them as one node. Until then the slot ``node`` of the arrays that saw a write is empty, and
``Traced.__getattr__`` asks here.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any, NamedTuple
from weakref import ref

import numpy as np

from chainrule.core.dispatch import FUNCTIONS
from chainrule.core.frames import users_line
from chainrule.core.node import Node
from chainrule.core.recording import active
from chainrule.core.traced import Traced
from chainrule.core.unknown import escaped
from chainrule.errors import MutationError
from chainrule.ops import structure
from chainrule.ops.inplace.layout import rows_first
from chainrule.ops.inplace.watching import noted
from chainrule.ops.structure import common_region
from chainrule.ops.structure.reading import Region

MARK = np.dtype(np.int32)
FLAT = "x.flat"
MERGING = {np.reshape, np.ravel}
"""Functions that return a view or a copy depending on how the numbers lie in memory."""

Made = Callable[[np.ndarray], np.ndarray]


class Alias:
    """Where a traced array lies in the memory that it shares.

    ``base`` and ``made``: the array that this is a view of, and how NumPy makes it; None for the
    array whose own the memory is. ``marks``: its part of the marks, once there are any. ``type``:
    its type, while its node is not known.
    """

    __slots__ = ("base", "function", "made", "marks", "memory", "type")

    def __init__(
        self,
        memory: Memory,
        base: Traced | None = None,
        made: Made | None = None,
        function: Any = None,
    ) -> None:
        self.memory = memory
        self.base = base
        self.made = made
        self.function = function
        self.marks: Any = None
        self.type: Any = None


class Write(NamedTuple):
    """A part of an array that was written: the region, and the value in the order of its axes."""

    region: Region
    part: Node


class Box(NamedTuple):
    """Where a view lies in an array: a region, the view's axes in the order of the array's, and
    its shape without axes of length 1."""

    region: Region
    order: tuple[int, ...]
    shape: tuple[int, ...]


class Memory:
    """The numbers of one array, and of its views.

    ``birth``: what was recorded of them first; ``node``: what was recorded last; ``writes``: what
    came since, the first of them numbered ``floor + 1`` in the marks. ``covered``: whether one
    wrote over another. ``readers``: the arrays whose node is known, held weakly.
    ``lost``: the line after which nobody knows what the numbers are. ``doubts``: memories that
    NumPy may hold to be this one. ``rows``: whether the numbers are known to lie in row-major
    order; None where the node tells.
    """

    __slots__ = (
        "__weakref__", "address", "birth", "covered", "doubts", "floor", "lost", "marks", "most",
        "node", "readers", "recording", "rows", "type", "units", "writes",
    )  # fmt: skip

    def __init__(self, x: Traced) -> None:
        self.recording = x.recording
        self.node = self.birth = x.node
        self.type = x.node.type
        self.marks: Any = None
        self.writes: list[Write] = []
        self.floor = 0
        self.covered = False
        self.readers: list[ref[Traced]] = [ref(x)]
        self.most = 32
        self.lost = ""
        self.doubts: list[ref[Memory]] = []
        self.rows: bool | None = None

    def is_row_major(self) -> bool:
        if self.rows is None:
            self.rows = rows_first(self.birth, self.recording)
        return self.rows

    # Who reads ------------------------------------------------------------------------------

    def remember(self, x: Traced) -> None:
        """``x`` knows its node now: it must hear of the next write."""
        self.readers.append(ref(x))
        if len(self.readers) > self.most:
            self.readers = [r for r in self.readers if r() is not None]
            self.most = 2 * len(self.readers) + 32

    def begin(self) -> None:
        """Lay out marks, for the first write, and find out which arrays share them."""
        shape = self.type.shape
        self.marks = np.zeros(shape, MARK)
        self.address = self.marks.__array_interface__["data"][0]
        self.units = tuple(prod(shape[axis + 1 :]) for axis in range(len(shape)))
        known = [r() for r in self.readers]
        for x in known:
            if x is not None and x.alias.memory is self:
                if x.alias.base is None:
                    x.alias.marks = self.marks
                else:
                    place(x)
        self.readers = [ref(x) for x in known if x is not None and x.alias.memory is self]

    def changed(self) -> None:
        """Make all who knew the numbers forget them."""
        for r in self.readers:
            x = r()
            if x is not None and x.alias is not None and x.alias.memory is self:
                x.alias.type = x.node.type
                del x.node
        self.readers = []
        for doubt in self.doubts:
            memory = doubt()
            if memory is not None and not memory.lost:
                memory.lost = users_line()
                memory.changed()

    # What is there --------------------------------------------------------------------------

    def replace(self, node: Node) -> None:
        """All numbers are now those of a node."""
        self.node = node
        self.floor += len(self.writes)
        self.writes = []
        self.covered = False
        self.changed()

    def flush(self) -> Traced:
        """Record what was written; the whole array."""
        writes = self.writes
        if writes:
            if self.covered:
                shown = np.unique(self.marks)
                writes = [writes[k - self.floor - 1] for k in shown[shown > self.floor].tolist()]
            parts = [Traced(one.part, self.recording) for one in writes]
            regions = tuple(one.region for one in writes)
            y = structure.write(Traced(self.node, self.recording), *parts, regions=regions)
            self.node = y.node
            self.floor += len(self.writes)
            self.writes = []
            self.covered = False
        return Traced(self.node, self.recording)

    def box(self, marks: np.ndarray) -> Box | None:
        """Where a part of the marks lies; None where that is no region of the array."""
        offset = (marks.__array_interface__["data"][0] - self.address) // MARK.itemsize
        shape, units = self.type.shape, self.units
        entries: list[Any] = []
        for unit in units:
            start, offset = divmod(offset, unit)
            entries.append(start)
        if marks.size == 1:
            return Box(tuple(entries), (), ())
        axes: list[int] = []
        lengths: list[int] = []
        for n, stride in zip(marks.shape, marks.strides, strict=True):
            if n == 1:
                continue
            stride //= MARK.itemsize
            for axis, unit in enumerate(units):
                start = entries[axis]
                if shape[axis] > 1 and stride and not stride % unit and type(start) is int:
                    step = stride // unit
                    if 0 <= start + (n - 1) * step < shape[axis]:
                        entries[axis] = (start, n, step)
                        axes.append(axis)
                        lengths.append(n)
                        break
            else:
                return None
        order = tuple(sorted(range(len(axes)), key=axes.__getitem__))
        return Box(tuple(entries), order, tuple(lengths))

    def read(self, marks: np.ndarray) -> Traced | None:
        """What stands where these marks are, without recording all that was written; None where
        that is not simpler."""
        box = self.box(marks) if marks.size else None
        if box is None:
            return None
        found = self._region(box.region, marks)
        if found is None:
            return None
        inverse = tuple(sorted(range(len(box.order)), key=box.order.__getitem__))
        return structure.reshape(structure.transpose(found, inverse), marks.shape)

    def _region(self, region: Region, marks: np.ndarray) -> Traced | None:
        base = Traced(self.node, self.recording)
        numbers = [marks.item()] if marks.size == 1 else np.unique(marks).tolist()
        if numbers[-1] <= self.floor:
            return structure.slice_(base, region=region)
        late = [k for k in numbers if k > self.floor]
        if len(late) > 16 and 4 * len(late) > self.type.size:
            return None
        parts, regions = [], []
        for k in late:
            one = self.writes[k - self.floor - 1]
            if one.region == region and len(numbers) == 1:
                return Traced(one.part, self.recording)
            shared = common_region(one.region, region)
            assert shared is not None
            parts.append(_sliced(Traced(one.part, self.recording), shared[0]))
            regions.append(shared[1])
        shape = tuple(entry[1] for entry in region if not isinstance(entry, int))
        if len(numbers) == 1 and regions[0] == tuple((0, n, 1) for n in shape):
            return parts[0]
        if numbers[0] <= self.floor:
            under = structure.slice_(base, region=region)
        else:
            zero = self.recording.constant(0, self.type.dtype)
            under = structure.broadcast_to(zero, shape)
        return structure.write(under, *parts, regions=tuple(regions))

    # Writes ---------------------------------------------------------------------------------

    def write(self, marks: np.ndarray, part: Traced) -> None:
        """Write where these marks are; ``part`` is of their shape."""
        if not marks.size:
            return
        whole = marks.size == self.type.size
        if whole and marks.strides == self.marks.strides and marks.shape == self.marks.shape:
            self.replace(part.node)
            return
        box = self.box(marks)
        if box is None:
            self.put(places_of(marks, self), part)
            return
        part = structure.transpose(structure.reshape(part, box.shape), box.order)
        if self.writes and not self.covered:
            newest = marks.item() if marks.size == 1 else np.max(marks)  # in a tenth of the time
            self.covered = bool(newest > self.floor)
        self.writes.append(Write(box.region, part.node))
        marks[...] = self.floor + len(self.writes)
        self.changed()

    def put(self, places: Any, part: Traced) -> None:
        """Write at places, counted in row-major order, traced or not; the last of equal ones."""
        whole = self.flush()
        if not isinstance(places, Traced):
            places = index_array(places, self.recording)
        flat = structure.reshape(whole, (whole.type.size,))
        found = structure.put(flat, part, places, axes=(0,))
        self.replace(structure.reshape(found, whole.shape).node)


def index_array(places: np.ndarray, recording: Any) -> Traced:
    """Places as a traced array of integers."""
    return recording.capture(np.asarray(places, np.int64))


def _sliced(x: Traced, region: Region) -> Traced:
    whole = region == tuple((0, n, 1) for n in x.shape)
    return x if whole else structure.slice_(x, region=region)


def places_of(marks: np.ndarray, memory: Memory) -> np.ndarray:
    """Where the numbers of a view lie in the array, counted in row-major order."""
    start = (marks.__array_interface__["data"][0] - memory.address) // MARK.itemsize
    places = np.full(marks.shape, start, np.int64)
    for axis, (n, stride) in enumerate(zip(marks.shape, marks.strides, strict=True)):
        along = np.arange(n) * (stride // MARK.itemsize)
        places += along.reshape((-1,) + (1,) * (marks.ndim - 1 - axis))
    return places


# Views ------------------------------------------------------------------------------------


def is_array(x: Any) -> bool:
    """Whether ``x`` is what can be written to: a traced array, not a number."""
    return type(x) is Traced and (x.is_array or bool(x.shape))


def is_alone(x: Traced) -> bool:
    """Whether no other array, that is still there, shares what ``x`` can be seen to share."""
    alias = x.alias
    if not is_array(x) or x.recording.closed or active() is not x.recording:
        return False
    if x.recording.body is not None:
        return False  # noted where it is opened
    if alias is None:
        return True
    memory = alias.memory
    if alias.base is not None or memory.marks is not None:
        return False
    return all(r() is None or r() is x for r in memory.readers)


def note_view(y: Traced, x: Traced, made: Made, function: Any = None) -> None:
    """``y``, a new name, is a view of ``x`` if NumPy makes one."""
    alias = x.alias
    if alias is None:
        alias = x.alias = Alias(Memory(x))
    y.alias = Alias(alias.memory, x, made, function)
    alias.memory.remember(y)
    if alias.memory.marks is not None:
        place(y)


def place(y: Traced) -> None:
    """Find a view's part of the marks, as NumPy makes it; what NumPy copies is on its own."""
    alias = y.alias
    base = alias.base.alias
    memory, marks = base.memory, alias.made(base.marks)
    shared = _shares(marks, memory.marks)
    doubtful = alias.function in MERGING and shared != _shares(*_rows_last(alias))
    doubtful = doubtful and not memory.is_row_major()
    if shared and not doubtful:
        if memory is not alias.memory:
            memory.remember(y)
        alias.memory, alias.marks = memory, marks
        return
    own = Memory(y)
    y.alias = Alias(own)
    own.begin()
    if doubtful:
        own.doubts.append(ref(memory))
    if doubtful or alias.function is FLAT:
        memory.doubts.append(ref(own))
    if alias.function is FLAT:
        y.alias.marks.flags.writeable = False


def _shares(marks: Any, whole: np.ndarray) -> bool:
    return isinstance(marks, np.ndarray) and np.may_share_memory(marks, whole)


def _rows_last(alias: Alias) -> tuple[np.ndarray, np.ndarray]:
    """A view's part of marks, and the whole of them, if the array lay in column-major order."""
    if alias.base is None or alias.made is None:
        whole = np.zeros(alias.memory.type.shape, MARK, order="F")
        return whole, whole
    base, whole = _rows_last(alias.base.alias)
    return alias.made(base), whole


def opened(x: Traced) -> Alias:
    """The alias of an array that is about to be written to."""
    if not is_array(x):
        raise MutationError(
            f"a traced {x.type} is a single number, which cannot be written into ({users_line()}): "
            "give the name another value, x = v, or write into the array that it was read from"
        )
    recording = x.recording
    if recording.closed or active() is not recording:
        raise escaped()
    noted(x)
    alias = x.alias
    if alias is None:
        alias = x.alias = Alias(Memory(x))
    if alias.memory.marks is None:
        alias.memory.begin()
        alias = x.alias
    if alias.memory.lost:
        raise _lost(x, alias.memory)
    if not alias.marks.flags.writeable:
        raise MutationError(
            f"a traced {x.type} is read-only ({users_line()}), as NumPy makes what np.broadcast_to "
            "and np.diagonal return: write into np.copy(x), or into the array itself"
        )
    return alias


def resolved(x: Traced) -> Node:
    """The node of an array that was written to, or whose base or view was."""
    alias = x.alias
    memory = alias.memory
    if memory.lost:
        raise _lost(x, memory)
    if alias.marks is memory.marks:
        found = memory.flush()
    else:
        found = memory.read(alias.marks)
        if found is None:
            found = _made_again(alias)
    x.node = found.node
    memory.remember(x)
    return found.node


def _made_again(alias: Alias) -> Traced:
    """A view, made anew from the array that it is of."""
    memory = alias.memory
    whole = memory.flush()
    flat = structure.reshape(whole, (whole.type.size,))
    places = index_array(places_of(alias.marks, memory), memory.recording)
    return structure.gather(flat, places, axes=(0,))


def _lost(x: Traced, memory: Memory) -> MutationError:
    return MutationError(
        f"a traced {x.alias.type or x.type} ({users_line()}) may or may not share its numbers with "
        f"the array that was written to at {memory.lost}: NumPy's reshape and ravel make a view or "
        "a copy depending on how numbers lie in memory, which is not recorded. Write x = x.copy() "
        "before, or into the array itself, by its own index"
    )


FUNCTIONS["node"] = resolved
