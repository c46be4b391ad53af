"""Threads that stay: each waits for work in machine code, and sleeps where none comes for long.

To start a thread takes longer than many a program runs. So those that helped once look at their
place in memory for a while, without Python's lock, and find the next work there; later they sleep
at a lock of Python's, which wakes them. A crew serves one call at a time.
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import os
import threading
from collections.abc import Callable, Sequence
from typing import Any

from chainrule.run.native.runtime import machine

LOOKS = 16_000
"""How often a thread looks for work before it sleeps: some 0.15 ms, or 0.7 on processors that take
longer pauses. To be woken takes 0.05 and makes the caches of Python's part cold, so with fewer
looks a thread that slept once sleeps before each call."""
TURN, ASLEEP, WORK, DONE, RESULT, WORDS = 0, 1, 8, 16, 17, 24
"""Where a place says how often there was work, whether its thread sleeps, where to read what is to
do, how often it was done and with what result; its length. Who writes at once has its own lines."""
FRAME = 12
"""So many words say what one thread is to do: the code's address, arena, inputs, outputs, control,
call-outs, first step, where to stop, thread, threads; and, where each draws parts of the steps
until none is left, the address of the count of those drawn and how many there are, else 0, 0."""
LINE = 64
"""Bytes of the control between the flags of two threads, which say that something went wrong."""
CODE = f"""; plain
declare i32 @cr_yield()

define internal void @work(ptr %place) nounwind {{
entry:
  %frame.at = getelementptr i64, ptr %place, i64 {WORK}
  %frame = load ptr, ptr %frame.at
{{words}}
  %parts.not = icmp eq i64 %w11, 0
  br i1 %parts.not, label %once, label %draw
once:
  %all = call i32 %code(ptr %w1, ptr %w2, ptr %w3, ptr %w4, ptr %w5, i64 %w6, i64 %w7, i64 %w8,
                        i64 %w9)
  br label %end
draw:
  %part = atomicrmw add ptr %w10, i64 1 monotonic
  %left = icmp ult i64 %part, %w11
  br i1 %left, label %next, label %end
next:
  %whole = sub i64 %w7, %w6
  %low = mul i64 %whole, %part
  %high = add i64 %low, %whole
  %from = udiv i64 %low, %w11
  %to = udiv i64 %high, %w11
  %first = add i64 %w6, %from
  %last = add i64 %w6, %to
  %some = call i32 %code(ptr %w1, ptr %w2, ptr %w3, ptr %w4, ptr %w5, i64 %first, i64 %last,
                         i64 0, i64 1)
  %well = icmp eq i32 %some, 0
  br i1 %well, label %draw, label %end
end:
  %found = phi i32 [ %all, %once ], [ 0, %draw ], [ %some, %next ]
  %result = getelementptr i64, ptr %place, i64 {RESULT}
  %own = mul i64 %w8, {LINE}
  %flag.at = getelementptr i8, ptr %w4, i64 %own
  %flag = load i64, ptr %flag.at
  %fine = icmp eq i64 %flag, 0
  %wide = sext i32 %found to i64
  %wrong = select i1 %fine, i64 %wide, i64 1
  store i64 %wrong, ptr %result
  ret void
}}

; What a thread does: its work as it comes. 1 where it should sleep, 0 where it should end.
define i32 @serve(ptr %place) nounwind {{
entry:
  %asleep = getelementptr i64, ptr %place, i64 {ASLEEP}
  %done = getelementptr i64, ptr %place, i64 {DONE}
  %frame.at = getelementptr i64, ptr %place, i64 {WORK}
  store atomic i64 0, ptr %asleep seq_cst, align 8
  br label %look
look:
  %spin = phi i64 [ 0, %entry ], [ 0, %finished ], [ %more, %wait ], [ 0, %awake ]
  %turn = load atomic i64, ptr %place acquire, align 8
  %before = load i64, ptr %done
  %same = icmp eq i64 %turn, %before
  br i1 %same, label %wait, label %begin
begin:
  %frame = load ptr, ptr %frame.at
  %none = icmp eq ptr %frame, null
  br i1 %none, label %leave, label %finished
finished:
  call void @work(ptr %place)
  store atomic i64 %turn, ptr %done release, align 8
  br label %look
wait:
  {{pause}}
  %more = add i64 %spin, 1
  %long = icmp ugt i64 %more, {LOOKS}
  br i1 %long, label %tired, label %look
tired:
  store atomic i64 1, ptr %asleep seq_cst, align 8
  %now = load atomic i64, ptr %place seq_cst, align 8
  %still = icmp eq i64 %now, %before
  br i1 %still, label %sleep, label %awake
awake:
  store atomic i64 0, ptr %asleep seq_cst, align 8
  br label %look
sleep:
  ret i32 1
leave:
  ret i32 0
}}

; Give n places their frames, and tell all but the first; how many of their threads sleep.
define i64 @start(ptr %places, ptr %frames, i64 %n) nounwind {{
entry:
  %own = load ptr, ptr %places
  %own.at = getelementptr i64, ptr %own, i64 {WORK}
  store ptr %frames, ptr %own.at
  %nothing = icmp eq ptr %frames, null
  br label %each
each:
  %i = phi i64 [ 1, %entry ], [ %next, %one ]
  %asleep = phi i64 [ 0, %entry ], [ %more, %one ]
  %left = icmp ult i64 %i, %n
  br i1 %left, label %one, label %out
one:
  %at = getelementptr ptr, ptr %places, i64 %i
  %place = load ptr, ptr %at
  %begin = mul i64 %i, {8 * FRAME}
  %its = getelementptr i8, ptr %frames, i64 %begin
  %frame = select i1 %nothing, ptr null, ptr %its
  %frame.at = getelementptr i64, ptr %place, i64 {WORK}
  store ptr %frame, ptr %frame.at
  %before = atomicrmw add ptr %place, i64 1 seq_cst
  %flag = getelementptr i64, ptr %place, i64 {ASLEEP}
  %sleeps = load atomic i64, ptr %flag seq_cst, align 8
  %more = add i64 %asleep, %sleeps
  %next = add i64 %i, 1
  br label %each
out:
  ret i64 %asleep
}}

; Do the work of place 0, if any, and wait until that of places 1 to n - 1 is done. What came out,
; of the last that is not 0.
define i64 @lead(ptr %places, i64 %n) nounwind {{
entry:
  %own = load ptr, ptr %places
  %frame.at = getelementptr i64, ptr %own, i64 {WORK}
  %frame = load ptr, ptr %frame.at
  %none = icmp eq ptr %frame, null
  br i1 %none, label %begin, label %works
works:
  call void @work(ptr %own)
  br label %begin
begin:
  %own.at = getelementptr i64, ptr %own, i64 {RESULT}
  %own.result = load i64, ptr %own.at
  br label %each
each:
  %i = phi i64 [ 1, %begin ], [ %next, %past ]
  %found = phi i64 [ %own.result, %begin ], [ %result, %past ]
  %left = icmp ult i64 %i, %n
  br i1 %left, label %one, label %out
one:
  %at = getelementptr ptr, ptr %places, i64 %i
  %place = load ptr, ptr %at
  %turn = load i64, ptr %place
  %done = getelementptr i64, ptr %place, i64 {DONE}
  br label %look
look:
  %spin = phi i64 [ 0, %one ], [ %more, %rest ]
  %now = load atomic i64, ptr %done acquire, align 8
  %there = icmp eq i64 %now, %turn
  br i1 %there, label %past, label %wait
{{waiting}}
past:
  %result.at = getelementptr i64, ptr %place, i64 {RESULT}
  %new = load i64, ptr %result.at
  %well = icmp eq i64 %new, 0
  %result = select i1 %well, i64 %found, i64 %new
  %next = add i64 %i, 1
  br label %each
out:
  ret i64 %found
}}"""
_TYPES = ("ptr", *["ptr"] * 5, *["i64"] * 4, "ptr", "i64")
_crews: list[_Crew] = []  # that nobody uses now


class _Code:
    """The functions above."""

    def __init__(self) -> None:
        names = ("serve", "start", "lead")
        words = "\n".join(
            f"  %w{i}.at = getelementptr i64, ptr %frame, i64 {i}\n"
            f"  %{f'w{i}' if i else 'code'} = load {type}, ptr %w{i}.at"
            for i, type in enumerate(_TYPES)
        )
        text = CODE.replace("{words}", words).replace("{pause}", machine.pause())
        text = text.replace("{waiting}", machine.waiting())
        self.library = machine.Library([machine.object_code(text)], names, ("cr_yield",))
        pointer, count = ctypes.c_void_p, ctypes.c_int64
        made = [self.library.address(name) for name in names]
        self.serve = ctypes.CFUNCTYPE(ctypes.c_int32, pointer)(made[0])
        self.start = ctypes.PYFUNCTYPE(count, pointer, pointer, count)(made[1])  # a moment
        self.lead = ctypes.CFUNCTYPE(count, pointer, count)(made[2])


_code = functools.cache(_Code)


class _Place:
    """Where one thread of a crew finds its work; it sleeps at the bell, which rings if released."""

    def __init__(self) -> None:
        memory = (ctypes.c_int64 * (WORDS + 7))()
        start = -ctypes.addressof(memory) % 64
        self.words = (ctypes.c_int64 * WORDS).from_buffer(memory, start)
        self.address = ctypes.addressof(self.words)
        self.bell = threading.Lock()
        self.bell.acquire()
        self.thread: threading.Thread | None = None


class _Crew:
    """Threads that work together, the calling one first."""

    def __init__(self) -> None:
        self.code = _code()
        self.places = [_Place()]
        self.held: Any = None  # what the work is done on
        self.grow(1)

    def grow(self, count: int) -> None:
        """Have so many places. RuntimeError where the system gives no more threads."""
        while len(self.places) < count:
            place = _Place()
            place.thread = threading.Thread(
                target=self._serve, args=(place,), name="chainrule", daemon=True
            )
            place.thread.start()
            self.places.append(place)
        self.table = (ctypes.c_int64 * count)(*(place.address for place in self.places))
        self.at = ctypes.addressof(self.table)

    def _serve(self, place: _Place) -> None:
        while self.code.serve(place.address):
            place.bell.acquire()

    @property
    def idle(self) -> bool:
        return all(place.words[TURN] == place.words[DONE] for place in self.places[1:])

    def run(self, works: Works, threads: int, release: Callable[[], None]) -> int:
        done = False
        if threads > len(self.places):
            self.grow(threads)
        try:
            if self.code.start(self.at, works.address, threads):
                self._ring()
            result = self.code.lead(self.at, threads)
            done = True
        finally:
            if not done:  # a signal's handler raised
                release()
                self._ring()
                self.places[0].words[WORK] = 0
                self.code.lead(self.at, threads)
        return result

    def _ring(self) -> None:
        """Wake who sleeps. Once more than needed does no harm: they look, and sleep again."""
        for place in self.places[1:]:
            if place.words[ASLEEP] and place.bell.locked():
                place.bell.release()

    def end(self) -> None:
        """Let all threads end, and wait for them."""
        self.code.start(self.at, None, len(self.places))
        self._ring()
        for place in self.places[1:]:
            assert place.thread is not None
            place.thread.join()


class Works:
    """What each of some threads is to do.

    Args:
        code: address of a program's function. given: for each thread the addresses of arena,
            inputs, outputs, control and call-outs. held: what they point at. release: lets all
            others pass their barriers, where the calling thread does not come to its own.
    """

    def __init__(
        self,
        code: int,
        given: Sequence[Sequence[int | None]],
        held: Any,
        release: Callable[[], None] = lambda: None,
    ) -> None:
        self.words = (ctypes.c_int64 * (FRAME * len(given)))()
        self.address = ctypes.addressof(self.words)
        for i, some in enumerate(given):
            self.words[FRAME * i : FRAME * i + 6] = (code, *(place or 0 for place in some))
        self.held, self.release = held, release

    def run(self, start: int, stop: int, threads: int, parts: int = 0) -> int:
        """Run steps ``start`` to ``stop`` on so many threads at once; what came out, of one where
        it is not 0. With ``parts``, each thread runs some of so many parts of the steps, alone."""
        drawn = ctypes.c_int64(0)
        for i in range(threads):
            last = (0, 1, ctypes.addressof(drawn), parts) if parts else (i, threads, 0, 0)
            self.words[FRAME * i + 6 : FRAME * i + FRAME] = (start, stop, *last)
        try:
            crew = _crews.pop()
        except IndexError:  # none yet, or all are at work
            crew = _Crew()
        crew.held = self, drawn
        try:
            return crew.run(self, threads, self.release)
        finally:
            if crew.idle:  # else a second signal came, and its threads keep what they work on
                crew.held = None
                _crews.append(crew)


def _end() -> None:
    while _crews:
        _crews.pop().end()


atexit.register(_end)
if hasattr(os, "register_at_fork"):  # the copy of a process has one thread
    os.register_at_fork(after_in_child=_crews.clear)
