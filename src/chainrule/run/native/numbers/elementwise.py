"""How each element-wise primitive becomes instructions: one table, NumPy's semantics.

An entry says for which kinds of argument it holds (``f`` float, ``i`` and ``u`` integers, ``b``
bool) and roughly what it costs in additions; what is not here is called out to the interpreter.
Nothing here branches, so LLVM vectorises every loop of these.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from chainrule.core.node import Node
from chainrule.run.native.numbers import kernels, special
from chainrule.run.native.numbers.arithmetic import select
from chainrule.run.native.numbers.casts import cast, truth
from chainrule.run.native.numbers.ir import Builder, literal, register_type
from chainrule.run.native.numbers.kernels import KERNELS
from chainrule.run.native.runtime import externals
from chainrule.run.native.runtime.externals import LIBM, SPECIAL

Lower = Callable[[Builder, Node, Sequence[str]], str]


class Entry(NamedTuple):
    kinds: str
    lower: Lower
    cost: float = 1.0


ELEMENTWISE: dict[str, Entry] = {}


def lowered(node: Node) -> Entry | None:
    """The table's entry for a node, None where it has none for these dtypes or attributes."""
    name = node.primitive.name
    entry = ELEMENTWISE.get(name)
    if entry is None or node.inputs[-1].type.dtype.kind not in entry.kinds:
        return None
    if name in SPECIAL and externals.special(SPECIAL[name], "double") is None:
        return None
    if name == "power_constant" and not _small_power(node):
        return None if node.type.dtype.kind != "f" else entry
    return entry


def dtype_in(node: Node) -> np.dtype[Any]:
    return node.inputs[-1].type.dtype


def kind_of(node: Node) -> str:
    return dtype_in(node).kind


def type_in(node: Node) -> str:
    return register_type(dtype_in(node))


def const(node: Node, value: Any) -> str:
    return literal(value, dtype_in(node))


def _by_kind(**instructions: str) -> Lower:
    """One instruction, by the kind of its arguments."""

    def lower(b: Builder, node: Node, x: Sequence[str]) -> str:
        return b.do(f"{instructions[kind_of(node)]} {type_in(node)} {', '.join(x)}")

    return lower


def _register(name: str, kinds: str, lower: Lower, cost: float = 1.0) -> None:
    ELEMENTWISE[name] = Entry(kinds, lower, cost)


_register("add", "fiub", _by_kind(f="fadd", i="add", u="add", b="or"))
_register("subtract", "fiu", _by_kind(f="fsub", i="sub", u="sub"))
_register("multiply", "fiub", _by_kind(f="fmul", i="mul", u="mul", b="and"))
_register("divide", "f", _by_kind(f="fdiv"), 4)
for _name, _word in (("and", "and"), ("or", "or"), ("xor", "xor")):
    _register(f"bitwise_{_name}", "iub", _by_kind(i=_word, u=_word, b=_word))


def _negative(b: Builder, node: Node, x: Sequence[str]) -> str:
    if kind_of(node) == "f":
        return b.do(f"fneg {type_in(node)} {x[0]}")
    return b.do(f"sub {type_in(node)} 0, {x[0]}")


def _square(b: Builder, node: Node, x: Sequence[str]) -> str:
    return _times(b, node, x[0], x[0])


def _times(b: Builder, node: Node, x: str, z: str) -> str:
    return b.do(f"{'fmul' if kind_of(node) == 'f' else 'mul'} {type_in(node)} {x}, {z}")


def _reciprocal(b: Builder, node: Node, x: Sequence[str]) -> str:
    return b.do(f"fdiv {type_in(node)} {const(node, 1)}, {x[0]}")


def _abs(b: Builder, node: Node, x: Sequence[str]) -> str:
    kind = kind_of(node)
    if kind in "ub":
        return x[0]
    if kind == "f":
        return b.intrinsic("fabs", type_in(node), x[0])
    negated = b.do(f"sub {type_in(node)} 0, {x[0]}")
    below = b.do(f"icmp slt {type_in(node)} {x[0]}, 0")
    return select(b, below, type_in(node), negated, x[0])


def _one_minus_square(b: Builder, node: Node, x: Sequence[str]) -> str:
    t, one = type_in(node), const(node, 1)
    return _times(b, node, b.do(f"fsub {t} {one}, {x[0]}"), b.do(f"fadd {t} {one}, {x[0]}"))


def _share(b: Builder, node: Node, x: Sequence[str]) -> str:
    t = type_in(node)
    return b.do(f"fdiv {t} {x[0]}, {b.do(f'fadd {t} {x[0]}, {x[1]}')}")


_register("one_minus_square", "f", _one_minus_square, 3)
_register("share", "f", _share, 2)
_register("negative", "fiu", _negative)
_register("square", "fiu", _square)
_register("reciprocal", "f", _reciprocal, 4)
_register("abs", "fiub", _abs)

# steps ------------------------------------------------------------------------------------


def _sign(b: Builder, node: Node, x: Sequence[str]) -> str:
    t, kind = type_in(node), kind_of(node)
    zero, one = const(node, 0), const(node, 1)
    if kind == "f":
        above, below = f"fcmp ogt {t} {x[0]}, {zero}", f"fcmp olt {t} {x[0]}, {zero}"
        rest = select(b, b.do(f"fcmp uno {t} {x[0]}, {zero}"), t, x[0], zero)
    else:
        order = "s" if kind == "i" else "u"
        above, below = f"icmp {order}gt {t} {x[0]}, 0", f"icmp {order}lt {t} {x[0]}, 0"
        rest = zero
    rest = select(b, b.do(above), t, one, rest)
    return rest if kind == "u" else select(b, b.do(below), t, const(node, -1), rest)


def _rounded(intrinsic: str) -> Lower:
    def lower(b: Builder, node: Node, x: Sequence[str]) -> str:
        return b.intrinsic(intrinsic, type_in(node), x[0]) if kind_of(node) == "f" else x[0]

    return lower


_register("sign", "fiu", _sign, 3)
_register("floor", "fiub", _rounded("floor"))
_register("ceil", "fiub", _rounded("ceil"))
_register("trunc", "fiub", _rounded("trunc"))
_register("round", "f", _rounded("rint"))
_register("sqrt", "f", lambda b, node, x: b.intrinsic("sqrt", type_in(node), x[0]), 4)


def _integer_division(b: Builder, node: Node, x: Sequence[str]) -> tuple[str, str, str]:
    """Quotient and remainder towards zero, 0 and 0 for a divisor of 0, and that divisor as used.

    NumPy gives 0 there. The smallest number by -1 overflows; divided by 1 instead and negated
    it wraps, as NumPy's does.
    """
    t, signed = type_in(node), kind_of(node) == "i"
    none = b.do(f"icmp eq {t} {x[1]}, 0")
    unsafe, minus = none, ""
    if signed:
        minus = b.do(f"icmp eq {t} {x[1]}, -1")
        unsafe = b.do(f"or i1 {none}, {minus}")
    divisor = select(b, unsafe, t, "1", x[1])
    letter = "s" if signed else "u"
    quotient = b.do(f"{letter}div {t} {x[0]}, {divisor}")
    rest = b.do(f"{letter}rem {t} {x[0]}, {divisor}")
    if signed:
        negated = b.do(f"sub {t} 0, {x[0]}")
        quotient = select(b, minus, t, negated, quotient)
    return select(b, none, t, "0", quotient), rest, divisor


def _floor_adjust(b: Builder, node: Node, x: Sequence[str], rest: str, divisor: str) -> str:
    """Whether a quotient towards zero is one above the floor."""
    t = type_in(node)
    signs = b.do(f"xor {t} {rest}, {divisor}")
    opposite = b.do(f"icmp slt {t} {signs}, 0")
    inexact = b.do(f"icmp ne {t} {rest}, 0")
    return b.do(f"and i1 {opposite}, {inexact}")


def _floor_divide(b: Builder, node: Node, x: Sequence[str]) -> str:
    t = type_in(node)
    if kind_of(node) == "f":
        return _divmod(b, node, x)[0]
    quotient, rest, divisor = _integer_division(b, node, x)
    if kind_of(node) == "u":
        return quotient
    below = b.do(f"sext i1 {_floor_adjust(b, node, x, rest, divisor)} to {t}")
    return b.do(f"add {t} {quotient}, {below}")


def _remainder(b: Builder, node: Node, x: Sequence[str]) -> str:
    t = type_in(node)
    if kind_of(node) == "f":
        return _divmod(b, node, x)[1]
    _, rest, divisor = _integer_division(b, node, x)
    if kind_of(node) == "u":
        return rest
    add = select(b, _floor_adjust(b, node, x, rest, divisor), t, divisor, "0")
    return b.do(f"add {t} {rest}, {add}")


def _fmod(b: Builder, node: Node, x: Sequence[str]) -> str:
    if kind_of(node) == "f":
        return b.call(LIBM["fmod", type_in(node)], type_in(node), *((type_in(node), v) for v in x))
    return _integer_division(b, node, x)[1]


def _divmod(b: Builder, node: Node, x: Sequence[str]) -> tuple[str, str]:
    """Python's floor division and modulo of floats, step for step as NumPy's ``npy_divmod``."""
    t, zero = type_in(node), const(node, 0)
    mod = _fmod(b, node, x)
    quotient = b.do(f"fdiv {t} {b.do(f'fsub {t} {x[0]}, {mod}')}, {x[1]}")
    nonzero = b.do(f"fcmp une {t} {mod}, {zero}")
    negative = b.do(f"fcmp olt {t} {x[1]}, {zero}")
    below = b.do(f"fcmp olt {t} {mod}, {zero}")
    differ = b.do(f"xor i1 {negative}, {below}")
    adjust = b.do(f"and i1 {nonzero}, {differ}")
    mod_up = select(b, adjust, t, b.do(f"fadd {t} {mod}, {x[1]}"), mod)
    signed_zero = b.intrinsic("copysign", t, zero, x[1])
    result = select(b, nonzero, t, mod_up, signed_zero)
    less = b.do(f"fsub {t} {quotient}, {const(node, 1)}")
    quotient = select(b, adjust, t, less, quotient)
    floor = b.intrinsic("floor", t, quotient)
    off = b.do(f"fsub {t} {quotient}, {floor}")
    high = b.do(f"fcmp ogt {t} {off}, {const(node, 0.5)}")
    floor = select(b, high, t, b.do(f"fadd {t} {floor}, {const(node, 1)}"), floor)
    ratio = b.do(f"fdiv {t} {x[0]}, {x[1]}")
    tiny = b.intrinsic("copysign", t, zero, ratio)
    some = b.do(f"fcmp une {t} {quotient}, {zero}")
    floor = select(b, some, t, floor, tiny)
    none = b.do(f"fcmp oeq {t} {x[1]}, {zero}")  # x / 0 and fmod(x, 0), which is NaN
    return select(b, none, t, ratio, floor), select(b, none, t, mod, result)


_register("floor_divide", "fiu", _floor_divide, 20)
_register("remainder", "fiu", _remainder, 20)
_register("fmod", "fiu", _fmod, 20)

# powers -----------------------------------------------------------------------------------


def _small_power(node: Node) -> bool:
    exponent = node.attrs["exponent"]
    if exponent == 0.5:
        return node.type.dtype.kind == "f"
    least = -4 if node.type.dtype.kind == "f" else 0
    return float(exponent).is_integer() and least <= exponent <= 4


def _power_constant(b: Builder, node: Node, x: Sequence[str]) -> str:
    exponent, t = node.attrs["exponent"], type_in(node)
    if not _small_power(node):
        return b.call(LIBM["pow", t], t, (t, x[0]), (t, const(node, exponent)))
    if exponent == 0.5:
        return b.intrinsic("sqrt", t, x[0])
    base = _reciprocal(b, node, x) if exponent < 0 else x[0]
    n = abs(int(exponent))
    if n == 0:
        return const(node, 1)
    squared = _times(b, node, base, base) if n > 1 else base
    return {1: lambda: base, 2: lambda: squared, 3: lambda: _times(b, node, squared, base),
            4: lambda: _times(b, node, squared, squared)}[n]()  # fmt: skip


_register("power_constant", "fiu", _power_constant, 3)


def _root(b: Builder, node: Node, x: Sequence[str]) -> str:
    t, degree = type_in(node), node.attrs["degree"]
    if degree == 2:
        return b.intrinsic("sqrt", t, x[0])
    return b.call(LIBM["pow", t], t, (t, x[0]), (t, const(node, 1 / degree)))


def _quotient_or_zero(b: Builder, node: Node, x: Sequence[str]) -> str:
    t, zero = type_in(node), const(node, 0)
    there = b.do(f"fcmp une {t} {x[1]}, {zero}")
    return select(b, there, t, b.do(f"fdiv {t} {x[0]}, {x[1]}"), zero)


_register("root", "f", _root, 4)
_register("quotient_or_zero", "f", _quotient_or_zero, 4)
_register("kinked", "f", _by_kind(f="fmul"))
_register("value_of", "f", lambda b, node, x: x[0])

# comparisons and logic --------------------------------------------------------------------

for _name, _f, _i in (
    ("equal", "oeq", "eq"),
    ("not_equal", "une", "ne"),
    ("less", "olt", "lt"),
    ("less_equal", "ole", "le"),
    ("greater", "ogt", "gt"),
    ("greater_equal", "oge", "ge"),
):
    _s, _u = (_i, _i) if _i in ("eq", "ne") else (f"s{_i}", f"u{_i}")
    _register(
        _name, "fiub",
        _by_kind(f=f"fcmp {_f}", i=f"icmp {_s}", u=f"icmp {_u}", b=f"icmp {_u}"),
    )  # fmt: skip


def _logic(word: str) -> Lower:
    def lower(b: Builder, node: Node, x: Sequence[str]) -> str:
        return b.do(f"{word} i1 {', '.join(truth(b, dtype_in(node), v) for v in x)}")

    return lower


for _word in ("and", "or", "xor"):
    _register(f"logical_{_word}", "fiub", _logic(_word))


def _invert(b: Builder, node: Node, x: Sequence[str]) -> str:
    return b.do(f"xor {type_in(node)} {x[0]}, {'true' if kind_of(node) == 'b' else '-1'}")


def _shift(word: str) -> Lower:
    def lower(b: Builder, node: Node, x: Sequence[str]) -> str:
        t, bits = type_in(node), dtype_in(node).itemsize * 8
        inside = b.do(f"icmp ult {t} {x[1]}, {bits}")
        by = select(b, inside, t, x[1], "0")
        signed = kind_of(node) == "i"
        if word == "shl":
            return select(b, inside, t, b.do(f"shl {t} {x[0]}, {by}"), "0")
        shifted = b.do(f"{'ashr' if signed else 'lshr'} {t} {x[0]}, {by}")
        out = b.do(f"ashr {t} {x[0]}, {bits - 1}") if signed else "0"
        return select(b, inside, t, shifted, out)

    return lower


_register("logical_not", "fiub",
          lambda b, node, x: b.do(f"xor i1 {truth(b, dtype_in(node), x[0])}, true"))  # fmt: skip
_register("likely", "b", lambda b, node, x: x[0])
_register("invert", "iub", _invert)
_register("left_shift", "iu", _shift("shl"))
_register("right_shift", "iu", _shift("shr"))


def _kind_test(instruction: str, absolute: bool, bound: float, integers: str) -> Lower:
    def lower(b: Builder, node: Node, x: Sequence[str]) -> str:
        if kind_of(node) != "f":
            return integers
        t = type_in(node)
        value = b.intrinsic("fabs", t, x[0]) if absolute else x[0]
        return b.do(f"fcmp {instruction} {t} {value}, {const(node, bound)}")

    return lower


def _signbit(b: Builder, node: Node, x: Sequence[str]) -> str:
    bits = f"i{dtype_in(node).itemsize * 8}"
    return b.do(f"icmp slt {bits} {b.do(f'bitcast {type_in(node)} {x[0]} to {bits}')}, 0")


_register("isfinite", "fiub", _kind_test("olt", True, np.inf, "true"))
_register("isinf", "fiub", _kind_test("oeq", True, np.inf, "false"))
_register("isnan", "fiub", _kind_test("uno", False, 0.0, "false"))
_register("signbit", "f", _signbit)


def _extremum(f: str, s: str, u: str) -> Lower:
    """The first where it wins or is NaN, else the second: NaN in either comes out."""

    def lower(b: Builder, node: Node, x: Sequence[str]) -> str:
        t, kind = type_in(node), kind_of(node)
        if kind == "b":
            return b.do(f"{'or' if f == 'oge' else 'and'} i1 {x[0]}, {x[1]}")
        if kind == "f":
            nan = b.do(f"fcmp uno {t} {x[0]}, {x[0]}")
            first = b.do(f"or i1 {b.do(f'fcmp {f} {t} {x[0]}, {x[1]}')}, {nan}")
        else:
            first = b.do(f"icmp {s if kind == 'i' else u} {t} {x[0]}, {x[1]}")
        return select(b, first, t, x[0], x[1])

    return lower


_register("maximum", "fiub", _extremum("oge", "sge", "uge"), 2)
_register("minimum", "fiub", _extremum("ole", "sle", "ule"), 2)
_register("select", "fiub", lambda b, node, x: select(b, x[0], type_in(node), x[1], x[2]))

# casts ------------------------------------------------------------------------------------


def _cast(b: Builder, node: Node, x: Sequence[str]) -> str:
    return cast(b, dtype_in(node), node.type.dtype, x[0])


_register("cast", "fiub", _cast)

# functions --------------------------------------------------------------------------------


def _function(name: str) -> Lower:
    def lower(b: Builder, node: Node, x: Sequence[str]) -> str:
        t = type_in(node)
        if name in KERNELS:
            return kernels.call(b, name, t, *x)
        return b.call(LIBM[name, t], t, *((t, value) for value in x))

    return lower


def _of_scipy(name: str) -> Lower:
    return lambda b, node, x: special.of_scipy(b, name, type_in(node), *x)


def _sinc(b: Builder, node: Node, x: Sequence[str]) -> str:
    return special.sinc(b, type_in(node), x[0], node.attrs["order"])


for _name in KERNELS:
    _register(_name, "f", _function(_name), 12)
for _name, _ in LIBM:
    if _name not in ELEMENTWISE and _name != "pow":
        _register(_name, "f", _function(_name), 40)
_register("power", "f", _function("pow"), 40)
for _name, _function_name in SPECIAL.items():
    _register(_name, "f", _of_scipy(_function_name), 40)
_register("sinc", "f", _sinc, 40)
