"""Several threads on one program: all run the same code, each its share, and meet at barriers.

A step is shared out by rows or columns of what it writes, so every number is computed by one
thread in the order in which one thread alone would compute it: how many there are does not show
in the bits. What cannot be shared out so, the first thread does alone. Steps between two
barriers are a phase (``phases.py``). How many threads share is known only when a program runs.
"""

from __future__ import annotations

from chainrule.run.native.numbers.ir import Builder

SPINS = 4000
"""How often a barrier looks before it lets other programs run."""


def share(b: Builder, n: int) -> tuple[str, str]:
    """The part ``first``, ``last`` of n rows that thread ``%thread`` of ``%threads`` takes: at
    least ``n // threads``.

    All steps over n rows are cut alike, so that what a thread reads in one is often what it
    wrote itself in another.
    """
    after = b.do("add nuw nsw i64 %thread, 1")
    rows = [b.do(f"mul nuw nsw i64 {thread}, {n}") for thread in ("%thread", after)]
    return b.do(f"udiv i64 {rows[0]}, %threads"), b.do(f"udiv i64 {rows[1]}, %threads")


def barrier(pause: str) -> str:
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
wait:
  %more = add i64 %spin, 1
  %long = icmp ugt i64 %spin, {SPINS}
  br i1 %long, label %yield, label %pause
yield:
  %ignored = call i32 @cr_yield()
  br label %rest
pause:
  {pause}
  br label %rest
rest:
  br label %look
done:
  ret void
}}"""
