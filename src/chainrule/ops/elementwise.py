"""Element-wise primitives of arithmetic: one block each, value, derivative and what it teaches.

In a partial, ``y`` is the output and ``x, z`` the inputs, all of one shape and dtype.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.core.batching import leading
from chainrule.core.masks import inside, times
from chainrule.core.node import Node, Primitive
from chainrule.core.rules import Elementwise
from chainrule.core.rules import multiply as multiply_by_slope
from chainrule.core.traced import Traced
from chainrule.core.types import ArrayType, array_type
from chainrule.errors import DtypeError, GraphError, ShapeError
from chainrule.ops.coerce import for_ufunc, scalar_like
from chainrule.ops.kinks import note, product, size, without_sign
from chainrule.ops.roots import without_root
from chainrule.ops.samples import Make, both, case, points
from chainrule.ops.structure import select

BOOL = np.dtype(bool)


def _same(name: str, kinds: str, *xs: ArrayType) -> ArrayType:
    first = xs[0]
    for x in xs:
        if x.shape != first.shape:
            raise ShapeError(f"{name} takes arguments of one shape, not {xs[0]} and {x}")
        if x.dtype != first.dtype:
            raise DtypeError(f"{name} takes arguments of one dtype, not {xs[0]} and {x}")
        if x.dtype.kind not in kinds:
            raise DtypeError(f"{name} does not take {x.dtype}")
    return first


def elementwise(
    name: str,
    forward: Any,
    *partials: Callable[..., Any] | int | None,
    text: str = "",
    latex: str = "",
    teaches: str = "",
    samples: Make = list,
    kinds: str = "f",
    to_bool: bool = False,
    ufunc: Any = None,
    instead: Callable[..., Any] | None = None,
    kinked: bool = False,
    analytic: bool = False,
) -> Primitive:
    """A primitive whose arguments share one shape and dtype; ``ufunc`` records as it.

    ``kinked``: where the slope is 0, there is a kink.
    """

    arity = len(partials) or ufunc.nin
    places = ", ".join(["{}"] * arity)
    plain_name = name.replace("_", r"\_")

    def infer(*xs: ArrayType) -> ArrayType:
        if len(xs) != arity:
            raise GraphError(f"{name} takes {arity} arguments, not {len(xs)}")
        found = xs[0]
        if found is not xs[-1] or arity > 2 or found.dtype.kind not in kinds:
            found = _same(name, kinds, *xs)
        return array_type(found.shape, BOOL) if to_bool else found

    made = Primitive(
        name,
        forward=forward,
        infer=infer,
        rule=(Kinked if kinked else Elementwise)(partials) if partials else None,
        text=text or f"{name}({places})",
        latex=latex or rf"\operatorname{{{{{plain_name}}}}}\left({places}\right)",
        teaches=teaches,
        samples=samples,
        instead=instead,
        batch=leading,
        analytic=analytic,
        keeps=arity if arity < 3 and "f" in kinds and not to_bool else 0,
    )
    for one in ufunc if isinstance(ufunc, tuple) else (ufunc,):
        if one is not None:
            for_ufunc(one, made)
    return made


# kinks ------------------------------------------------------------------------------------


def _kinked_partial(y: Traced, g: Traced, slope: Traced) -> Traced:
    return select(slope == 0, scalar_like(slope, np.nan), slope)


class _Exposing(Elementwise):
    """The rule of ``kinked``: no NaN comes to what has no part in the result."""

    __slots__ = ()

    def pull(self, node: Node, g: Traced, wanted: Sequence[int]) -> Sequence[Any]:
        parts = super().pull(node, g, wanted)
        return [part if part is None else select(g == 0, g, part) for part in parts]


kinked = Primitive(
    "kinked",
    forward=np.multiply,
    infer=lambda g, slope: _same("kinked", "f", g, slope),
    rule=_Exposing((_kinked_partial, None)),
    text="{} · {}",
    latex=r"{} \cdot {}",
    analytic=True,
    teaches="At a kink the slope is a convention; what moves beside it has none there, which NaN "
    "says.",
    samples=both(lambda: [case([2.0, -3.0], [1.0, -1.0], smooth=False)]),
    batch=leading,
)


def along_kink(g: Traced, slope: Traced) -> Any:
    """A cotangent times the slope of a function with a kink at 0.

    The slope at the kink is a convention, 0, and has itself slope 0. But where the cotangent moves
    with what is differentiated, its part in a second derivative is no convention's to say: that of
    ``cos(abs(x))`` at 0 is −1, not 0. There it is NaN.
    """
    if g.node.is_constant:
        return multiply_by_slope(g, slope)
    masked = inside(lambda x: along_kink(x, slope), g)
    if masked is not None:
        return masked
    kept = without_sign(g, Traced(slope.node.inputs[0], g.recording))
    return times(kinked(g, slope) if kept is None else kept, g)


class Kinked(Elementwise):
    """An element-wise rule of one argument, with a slope that is 0 at a kink by convention."""

    __slots__ = ()

    def pull(self, node: Node, g: Traced, wanted: Sequence[int]) -> Sequence[Any]:
        return [along_kink(g, self.local(node, g.recording, i)) for i in wanted]


def zero_where(condition: Traced, x: Traced) -> Traced:
    return select(condition, scalar_like(x, 0), x)


REAL = "fiu"
ANY = "fiub"
QUOTIENTS = points((-2.0, 3.0), (0.5, -1.5), (4.0, 0.3), (1.5, 2.5))
PAIRS = points((-2.0, 3.0), (0.5, -1.5), (4.0, 0.25), (1.5, 2.5))

# arithmetic -------------------------------------------------------------------------------


def _arithmetic(ufunc: Any, on_numbers: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """``ufunc``; on single floats NumPy has Python's operator at a fifth of the time."""

    def forward(x: Any, z: Any) -> Any:
        return on_numbers(x, z) if isinstance(x, np.floating) else ufunc(x, z)

    return forward


add = elementwise(
    "add", _arithmetic(np.add, operator.add), 1, 1,
    text="{} + {}", latex="{} + {}", kinds=ANY, samples=PAIRS, ufunc=np.add,
    analytic=True,
    teaches="A sum distributes its gradient unchanged to both branches.",
)  # fmt: skip
subtract = elementwise(
    "subtract", _arithmetic(np.subtract, operator.sub), 1, -1,
    text="{} − {}", latex="{} - {}", kinds=REAL, samples=PAIRS, ufunc=np.subtract,
    analytic=True,
    teaches="A difference passes its gradient on, with the sign turned for what is subtracted.",
)  # fmt: skip
multiply = elementwise(
    "multiply", _arithmetic(np.multiply, operator.mul), lambda y, x, z: z, lambda y, x, z: x,
    text="{} · {}", latex=r"{} \cdot {}", kinds=ANY, samples=PAIRS, ufunc=np.multiply,
    analytic=True,
    teaches="A product switches: each factor's gradient is scaled by the other factor.",
    instead=product,
)  # fmt: skip
divide = elementwise(
    "divide", _arithmetic(np.true_divide, operator.truediv),
    lambda y, x, z: 1 / z, lambda y, x, z: -y / z,
    text="{} / {}", latex=r"\frac{{{}}}{{{}}}", samples=PAIRS, ufunc=np.true_divide,
    analytic=True,
    teaches="Above the line the slope is 1/z; below it is minus the quotient over z.",
)  # fmt: skip
negative = elementwise(
    "negative", np.negative, -1,
    text="−{}", latex="-{}", kinds=REAL, samples=points(-2.0, 0.0, 3.0), ufunc=np.negative,
    analytic=True,
    teaches="A change of sign changes the sign of the gradient.",
)  # fmt: skip
reciprocal = elementwise(
    "reciprocal", np.reciprocal, lambda y, x: -(y * y),
    text="1/{}", latex=r"\frac{{1}}{{{}}}", samples=points(-2.0, 0.5, 3.0),
    ufunc=np.reciprocal, kinds=REAL,
    analytic=True,
    teaches="The slope of 1/x is minus its value squared.",
)  # fmt: skip
square = elementwise(
    "square", np.square, lambda y, x: 2 * x,
    text="{}²", latex="{}^{{2}}", kinds=REAL, samples=points(-2.0, 0.0, 3.0), ufunc=np.square,
    analytic=True,
    teaches="The slope of x² is 2x.", instead=without_root,
)  # fmt: skip
remainder = elementwise(
    "remainder", np.remainder, 1, lambda y, x, z: -np.floor(x / z),
    text="{} mod {}", latex=r"{} \bmod {}", kinds=REAL, samples=QUOTIENTS, ufunc=np.remainder,
    teaches="Between its jumps the remainder moves with x, and against z by the whole quotient.",
)  # fmt: skip
fmod = elementwise(
    "fmod", np.fmod, 1, lambda y, x, z: -np.trunc(x / z),
    text="fmod({}, {})", kinds=REAL, samples=QUOTIENTS, ufunc=np.fmod,
    teaches="Between its jumps the remainder moves with x, and against z by the whole quotient.",
)  # fmt: skip


def _abs_forward(x: Any) -> Any:
    return np.where(np.real(x) < 0, -x, x) if np.iscomplexobj(x) else np.abs(x)


absolute = elementwise(
    "abs", _abs_forward, lambda y, x: np.sign(x),
    text="|{}|", latex=r"\left|{}\right|", kinds=ANY, ufunc=(np.absolute, np.fabs),
    samples=points(-2.0, 3.0, kinks=(0.0,)),
    teaches="The slope of |x| is the sign of x, taken as 0 at 0.", kinked=True, instead=size,
)  # fmt: skip

# steps: zero derivative wherever there is one ---------------------------------------------


def _step(
    name: str, ufunc: Any, text: str, latex: str, kinds: str = "f", instead: Any = None
) -> Primitive:
    return elementwise(
        name, ufunc, text=text, latex=latex, kinds=kinds, ufunc=ufunc,
        samples=points(-1.7, 0.3, 2.6, kinks=(0.0, 1.0)), instead=instead,
        teaches="Flat between its jumps: the derivative is 0.",
    )  # fmt: skip


sign = _step("sign", np.sign, "sign({})", r"\operatorname{{sign}}\left({}\right)", REAL, note)
floor = _step("floor", np.floor, "⌊{}⌋", r"\left\lfloor {} \right\rfloor", ANY)
ceil = _step("ceil", np.ceil, "⌈{}⌉", r"\left\lceil {} \right\rceil", ANY)
trunc = _step("trunc", np.trunc, "trunc({})", r"\operatorname{{trunc}}\left({}\right)", ANY)
rint = _step("round", np.rint, "round({})", r"\operatorname{{round}}\left({}\right)")


def _round_decimal_forward(x: Any, *, digits: int) -> Any:
    return np.asarray([round(v, digits) for v in x.ravel().tolist()], x.dtype).reshape(x.shape)


round_decimal = Primitive(
    "round_decimal",
    forward=_round_decimal_forward,
    infer=lambda x, digits: x,
    text="round({}, {digits})",
    latex=r"\operatorname{{round}}\left({}, {digits}\right)",
    teaches="Flat between its jumps: the derivative is 0.",
    samples=lambda: [case([2.675, -1.005, 1234.5], digits=2), case(1234.5, digits=-2)],
    batch=leading,
)
floor_divide = elementwise(
    "floor_divide", np.floor_divide, text="⌊{} / {}⌋",
    latex=r"\left\lfloor \frac{{{}}}{{{}}} \right\rfloor", kinds=REAL, samples=QUOTIENTS,
    ufunc=np.floor_divide, teaches="Flat between its jumps: the derivative is 0.",
)  # fmt: skip

# powers -----------------------------------------------------------------------------------


def _power_base(y: Traced, x: Traced, p: Traced) -> Any:
    return zero_where((p == 0) & (x == 0), p * x ** (p - 1))


def _power_exponent(y: Traced, x: Traced, p: Traced) -> Any:
    return zero_where((x == 0) & (p >= 0), y * np.log(x))


power = elementwise(
    "power", np.power, _power_base, _power_exponent,
    text="{}^{}", latex="{}^{{{}}}", kinds=REAL, ufunc=None,
    samples=points((2.0, 3.0), (0.5, -1.5), (4.0, 0.25), kinks=((0.0, 0.0), (0.0, 2.0))),
    teaches="In the base the slope is p·x^(p−1), in the exponent x^p·log x.",
)  # fmt: skip


def _integer_power_infer(x: ArrayType, *, exponent: float) -> ArrayType:
    if not isinstance(exponent, (int, float)) or isinstance(exponent, bool):
        raise GraphError(f"a constant exponent must be a number, not {exponent!r}")
    return _same("power", "fiu", x)


def _power_constant_partial(y: Traced, x: Traced, *, exponent: float) -> Any:
    if exponent in (0, 1, 2):
        return (0, 1, 2 * x)[int(exponent)]
    return exponent * power_constant(x, exponent=exponent - 1)


def _power_constant_forward(x: Any, *, exponent: float) -> Any:
    return x * x if exponent == 2 else np.asarray(x) ** exponent  # NumPy's scalars round otherwise


power_constant = Primitive(
    "power_constant",
    forward=_power_constant_forward,
    infer=_integer_power_infer,
    rule=Elementwise((_power_constant_partial,)),
    text="{}^{exponent}",
    latex="{}^{{{exponent}}}",
    analytic=lambda exponent: abs(exponent) < 100,  # else NumPy takes logarithms
    keeps=1,
    teaches="The slope of x^n is n·x^(n−1): the exponent comes down and drops by one.",
    samples=both(
        lambda: [case([-2.0, 0.0, 3.0], exponent=3), case([0.5, 4.0], exponent=-0.5),
                 case([0.5, 4.0], exponent=2.5), case(0.0, exponent=2), case(2.0, exponent=0)]
    ),
    instead=without_root,
)  # fmt: skip

# comparisons and logic --------------------------------------------------------------------


def _compare(name: str, ufunc: Any, text: str, latex: str) -> Primitive:
    return elementwise(
        name, ufunc, text=text, latex=latex, kinds=ANY, to_bool=True, ufunc=ufunc,
        samples=points((1.0, 2.0), (2.0, 1.0), kinks=((1.0, 1.0),)),
        teaches="A comparison jumps and is flat between: it has no gradient.",
    )  # fmt: skip


equal = _compare("equal", np.equal, "{} == {}", "{} = {}")
not_equal = _compare("not_equal", np.not_equal, "{} != {}", r"{} \ne {}")
less = _compare("less", np.less, "{} < {}", "{} < {}")
less_equal = _compare("less_equal", np.less_equal, "{} <= {}", r"{} \le {}")
greater = _compare("greater", np.greater, "{} > {}", "{} > {}")
greater_equal = _compare("greater_equal", np.greater_equal, "{} >= {}", r"{} \ge {}")


def _logic(
    name: str, ufunc: Any, text: str, kinds: str = "iub", to_bool: bool = False
) -> Primitive:
    rows = ([True, False, True], [True, True, False])[: ufunc.nin]
    return elementwise(
        name, ufunc, text=text, kinds=kinds, to_bool=to_bool, ufunc=ufunc,
        samples=lambda: [case(*rows)], teaches="Logic carries no gradient.",
    )  # fmt: skip


logical_and = _logic("logical_and", np.logical_and, "{} and {}", ANY, True)
logical_or = _logic("logical_or", np.logical_or, "{} or {}", ANY, True)
logical_xor = _logic("logical_xor", np.logical_xor, "{} xor {}", ANY, True)
logical_not = _logic("logical_not", np.logical_not, "not {}", ANY, True)
bitwise_and = _logic("bitwise_and", np.bitwise_and, "{} & {}")
bitwise_or = _logic("bitwise_or", np.bitwise_or, "{} | {}")
bitwise_xor = _logic("bitwise_xor", np.bitwise_xor, "{} ^ {}")
invert = _logic("invert", np.invert, "~{}")
likely = Primitive(
    "likely",
    forward=lambda x: x,
    infer=lambda x: _same("likely", "b", x),
    text="{}",
    latex="{}",
    teaches="A condition that nearly always holds: machine code tries for many numbers at once.",
    samples=lambda: [case([True, False, True])],
    batch=leading,
)


def _shift(name: str, ufunc: Any, text: str) -> Primitive:
    return elementwise(
        name, ufunc, text=text, kinds="iu", ufunc=ufunc,
        samples=lambda: [case([1, 2, 3], [1, 0, 2])], teaches="Bits carry no gradient.",
    )  # fmt: skip


left_shift = _shift("left_shift", np.left_shift, "{} << {}")
right_shift = _shift("right_shift", np.right_shift, "{} >> {}")


def _test(name: str, ufunc: Any) -> Primitive:
    return elementwise(
        name, ufunc, kinds=ANY, to_bool=True, ufunc=ufunc,
        samples=lambda: [case([1.0, -np.inf, np.nan, -0.0])],
        teaches="A test of what kind of number it is has no gradient.",
    )  # fmt: skip


isfinite = _test("isfinite", np.isfinite)
isinf = _test("isinf", np.isinf)
isnan = _test("isnan", np.isnan)
signbit = elementwise(
    "signbit", np.signbit, to_bool=True, ufunc=np.signbit,
    samples=lambda: [case([1.0, -2.0, -0.0])], teaches="The sign bit has no gradient.",
)  # fmt: skip

# choosing the larger ----------------------------------------------------------------------


def _share(y: Traced, x: Traced, z: Traced) -> Any:
    """1 where x is chosen, 1/2 at a tie, NaN where either is NaN."""
    mine = np.astype(x == y, x.dtype)
    return mine / (mine + np.astype(z == y, x.dtype))


maximum = elementwise(
    "maximum", np.maximum, _share, lambda y, x, z: _share(y, z, x),
    text="max({}, {})", latex=r"\max\left({}, {}\right)", kinds=ANY, ufunc=np.maximum,
    samples=points((1.0, 2.0), (2.0, -1.0), kinks=((1.0, 1.0),)),
    teaches="The maximum routes the gradient to the larger input; a tie shares it.",
)  # fmt: skip
minimum = elementwise(
    "minimum", np.minimum, _share, lambda y, x, z: _share(y, z, x),
    text="min({}, {})", latex=r"\min\left({}, {}\right)", kinds=ANY, ufunc=np.minimum,
    samples=points((1.0, 2.0), (2.0, -1.0), kinks=((1.0, 1.0),)),
    teaches="The minimum routes the gradient to the smaller input; a tie shares it.",
)  # fmt: skip
