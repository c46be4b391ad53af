"""Uniform random numbers with the bits of NumPy's Philox4x64-10 (Salmon et al., SC 2011).

A block of four words is a function of the key and of the block's number alone. So many blocks
are computed at once, one in each lane of a vector, and threads can take any of them.
"""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.run.native.numbers.ir import Builder
from chainrule.run.native.runtime import machine

ROUNDS = 10
MULTIPLIERS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
WEYL = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)
"""What the two words of the key grow by from round to round."""
PER_BLOCK = {"double": 4, "float": 8}
BYTES = 32
"""Of a block's numbers, of either type."""
HALF = 2**32 - 1


def symbol(type: str) -> str:
    """The name of the function that ``definition`` writes."""
    return f"cr_uniform_{type}"


def definition(type: str) -> tuple[str, set[str]]:
    """The function that writes numbers ``start`` up to ``stop`` of an array, at least one,
    ``start`` being the first of a block; and what it calls. It serves arrays of every size."""
    w = _Words(machine.vector_bytes() // 4)  # two vectors: one computes while the other waits
    b, per = w.b, PER_BLOCK[type]
    group = w.lanes * per
    key = [w.splat(b.do(f"load i64, ptr {w.at('i64', '%key', str(i))}")) for i in range(2)]
    spare = b.stack(type, group)
    count = b.do("sub nuw nsw i64 %stop, %start")
    rest = b.do(f"urem i64 {count}, {group}")
    groups = b.do(f"add nuw nsw i64 {count}, {group - 1}")
    with b.loop(b.do(f"udiv i64 {groups}, {group}")) as i:
        done = b.do(f"mul nuw nsw i64 {i}, {group}")
        done = b.do(f"add nuw nsw i64 {done}, %start")
        words = w.blocks(b.do(f"udiv exact i64 {done}, {per}"), key)
        left = b.do(f"sub nuw nsw i64 %stop, {done}")
        whole = b.do(f"icmp uge i64 {left}, {group}")
        place = b.do(f"select i1 {whole}, ptr {w.at(type, '%out', done)}, ptr {spare}")
        numbers = _numbers(b, type, w.interleaved(words), group)
        b.effect(f"store <{group} x {type}> {numbers}, ptr {place}, align {BYTES // per}")
    with b.when(b.do(f"icmp ne i64 {rest}, 0")):
        place = w.at(type, "%out", b.do(f"sub nuw nsw i64 %stop, {rest}"))
        size = b.do(f"mul nuw nsw i64 {rest}, {BYTES // per}")
        b.effect(
            f"call void @llvm.memcpy.p0.p0.i64(ptr {place}, ptr {spare}, i64 {size}, i1 false)"
        )
    b.effect("ret void")
    parameters = "ptr noalias nocapture %key, ptr noalias nocapture %out, i64 %start, i64 %stop"
    return f"define internal void @{symbol(type)}({parameters}) #0 {{\n{b.text()}\n}}", b.needs


def _numbers(b: Builder, type: str, words: str, count: int) -> str:
    """A double has the top 53 bits of a word; a float the top 24 of half a word, the low half
    first, which in memory it is."""
    bits, lost, scale = 64, 11, "0x3CA0000000000000"  # 2^-53
    if type == "float":
        bits, lost, scale = 32, 8, "0x3E70000000000000"  # 2^-24
        words = b.do(f"bitcast <{count // 2} x i64> {words} to <{count} x i32>")
    top = b.do(f"lshr <{count} x i{bits}> {words}, splat (i{bits} {lost})")
    whole = b.do(f"uitofp <{count} x i{bits}> {top} to <{count} x {type}>")
    return b.do(f"fmul <{count} x {type}> {whole}, splat ({type} {scale})")


class _Words:
    """Instructions on vectors of words, one word of each block in a lane."""

    def __init__(self, lanes: int) -> None:
        self.b = Builder()
        self.lanes = lanes
        self.type = f"<{lanes} x i64>"

    def do(self, word: str, x: str, z: str | int) -> str:
        """An instruction on two vectors, or on a vector and a number."""
        other = f"splat (i64 {z})" if isinstance(z, int) else z
        return self.b.do(f"{word} {self.type} {x}, {other}")

    def splat(self, x: str) -> str:
        one = self.b.do(f"insertelement {self.type} poison, i64 {x}, i64 0")
        return self._shuffled(self.type, one, one, [0] * self.lanes)

    def at(self, type: str, pointer: str, i: str) -> str:
        return self.b.do(f"getelementptr inbounds {type}, ptr {pointer}, i64 {i}")

    def blocks(self, first: str, key: Sequence[str]) -> list[str]:
        """The four words of blocks ``first``, ``first + 1``, ..."""
        b = self.b
        # NumPy counts up before it computes: block 0 has counter 1.
        counters = ", ".join(f"i64 {lane + 1}" for lane in range(self.lanes))
        counter = self.do("add", self.splat(first), f"<{counters}>")
        state = [b.stack(self.type) for _ in range(6)]
        for place, value in zip(state, (counter, *["zeroinitializer"] * 3, *key), strict=True):
            b.effect(f"store {self.type} {value}, ptr {place}")
        with b.loop(ROUNDS):
            w0, w1, w2, w3, k0, k1 = (b.do(f"load {self.type}, ptr {place}") for place in state)
            high0, low0 = self._product(w0, MULTIPLIERS[0])
            high1, low1 = self._product(w2, MULTIPLIERS[1])
            new = (
                self.do("xor", self.do("xor", high1, w1), k0), low1,
                self.do("xor", self.do("xor", high0, w3), k1), low0,
                self.do("add", k0, WEYL[0]), self.do("add", k1, WEYL[1]),
            )  # fmt: skip
            for place, value in zip(state, new, strict=True):
                b.effect(f"store {self.type} {value}, ptr {place}")
        return [b.do(f"load {self.type}, ptr {place}") for place in state[:4]]

    def _product(self, x: str, m: int) -> tuple[str, str]:
        """The high and the low word of ``x * m``: vectors multiply halves of words only."""
        low, high = self.do("and", x, HALF), self.do("lshr", x, 32)
        bottom = self.do("mul nuw", low, m & HALF)
        middle = self.do("mul nuw", low, m >> 32)
        middle = self.do("add nuw", middle, self.do("lshr", bottom, 32))
        cross = self.do("mul nuw", high, m & HALF)
        cross = self.do("add nuw", cross, self.do("and", middle, HALF))
        top = self.do("mul nuw", high, m >> 32)
        top = self.do("add nuw", top, self.do("lshr", middle, 32))
        top = self.do("add nuw", top, self.do("lshr", cross, 32))
        return top, self.do("or", self.do("shl", cross, 32), self.do("and", bottom, HALF))

    def interleaved(self, words: Sequence[str]) -> str:
        """All blocks in a row, each with its four words."""
        n = self.lanes
        left = self._shuffled(self.type, words[0], words[1], range(2 * n))
        right = self._shuffled(self.type, words[2], words[3], range(2 * n))
        order = [lane + word * n for lane in range(n) for word in range(4)]
        return self._shuffled(f"<{2 * n} x i64>", left, right, order)

    def _shuffled(self, type: str, x: str, z: str, order: Sequence[int]) -> str:
        mask = ", ".join(f"i32 {i}" for i in order)
        return self.b.do(f"shufflevector {type} {x}, {type} {z}, <{len(order)} x i32> <{mask}>")
