"""Several threads on one program: all run the same code, each its share, and meet at barriers.

A step is shared out by rows or columns of what it writes, so every number is computed by one
thread in the order in which one thread alone would compute it: how many there are does not show
in the bits. What cannot be shared out so, the first thread does alone. Steps between two
barriers are a phase (``phases.py``): in one, no thread needs rows of another, so any thread may
take any rows. How many threads share is known only when a program runs, and whether they draw:
then each has half of its rows from the start, and who is done takes of the others what is next.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from chainrule.run.native.numbers.ir import Builder
from chainrule.run.native.runtime import machine, team

SHARED = """  %arrived = getelementptr i8, ptr %flag, i64 {}
  %drawn = getelementptr i8, ptr %flag, i64 {}
  %draw = getelementptr i64, ptr %drawn, i64 1
  %draw.word = load i64, ptr %draw
  %drawing = icmp ne i64 %draw.word, 0"""
"""Behind the threads' flags: how many came to barriers, and how many parts of steps were drawn,
with whether any are."""


def share(b: Builder, n: int, threads: int) -> tuple[str, str]:
    """The part ``first``, ``last`` of n rows that thread ``%thread`` of ``%threads`` takes, at
    least ``n // threads``; where threads draw, half as many.

    All steps over n rows are cut alike, so that what a thread reads in one is often what it
    wrote itself in another.
    """
    rows = str(n)
    if team.draws(n, threads):
        rows = b.do(f"select i1 %drawing, i64 {n - n // 2}, i64 {n}")
    after = b.do("add nuw nsw i64 %thread, 1")
    ends = [b.do(f"mul nuw nsw i64 {thread}, {rows}") for thread in ("%thread", after)]
    first, last = (b.do(f"udiv i64 {end}, %threads") for end in ends)
    return first, last


def drawing(
    b: Builder, spaces: Sequence[int], threads: int, place: str
) -> Iterator[tuple[int, tuple[str, str]]]:
    """A loop in which a thread draws parts of the second half of each n rows, until none is left:
    for each n, where to write what it does with rows ``first`` up to ``last``.

    ``%drawn`` counts up for ever, as each thread draws once in vain; where it stood when this began
    is at ``place``, which moves on. Between two such loops is a barrier.
    """
    name = b.name()[1:]
    counts = {n: team.draws(n, threads) for n in spaces}
    before = b.do(f"load i64, ptr {place}")
    b.effect(f"br label %{name}.next")
    b.label(f"{name}.next")
    drawn = b.do("atomicrmw add ptr %drawn, i64 1 monotonic")
    part = b.do(f"sub i64 {drawn}, {before}")
    any = b.do(f"icmp ult i64 {part}, {sum(counts.values())}")
    b.effect(f"br i1 {any}, label %{name}.do, label %{name}.out")
    b.label(f"{name}.do")
    for n, count in counts.items():
        with b.when(b.do(f"icmp ult i64 {part}, {count}")):
            after = b.do(f"add nuw nsw i64 {part}, 1")
            ends = [b.do(f"mul nuw nsw i64 {x}, {n // 2}") for x in (part, after)]
            first, last = (
                b.do(f"add nuw nsw i64 {b.do(f'udiv i64 {end}, {count}')}, {n - n // 2}")
                for end in ends
            )
            yield n, (first, last)
        part = b.do(f"sub i64 {part}, {count}")
    b.effect(f"br label %{name}.next")
    b.label(f"{name}.out")
    more = b.do(f"add i64 {before}, {sum(counts.values())}")
    b.effect(f"store i64 {b.do(f'add i64 {more}, %threads')}, ptr {place}")


def barrier() -> str:
    """The function that waits until all threads have called it equally often.

    ``%arrived`` counts up for ever, ``%mine`` is how far it must have come; both start at 0.
    """
    return f"""
declare i32 @cr_yield()

define internal void @barrier(ptr %arrived, ptr %mine, i64 %threads) noinline nounwind {{
entry:
  %old = load i64, ptr %mine
  %goal = add i64 %old, %threads
  store i64 %goal, ptr %mine
  %before = atomicrmw add ptr %arrived, i64 1 seq_cst
  br label %look
look:
  %spin = phi i64 [ 0, %entry ], [ %more, %rest ]
  %now = load atomic i64, ptr %arrived acquire, align 8
  %there = icmp uge i64 %now, %goal
  br i1 %there, label %done, label %wait
{machine.waiting()}
done:
  ret void
}}"""
