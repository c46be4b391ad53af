"""Matrix expressions as immutable trees, kept in a normal form by their constructors.

Everything has a shape of two dimensions: a scalar is (1, 1), a column vector (n, 1), a row
vector (1, n). A dimension is 1, a name such as "n", or a number the user fixed. A constructor
returns the shortest equal form of what it was asked for: products are flat with their numbers
and scalar factors first, sums collect like terms, transposes move inwards and cancel. No
constructor changes a value; the tests compare them with plain NumPy.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction

from chainrule.errors import ShapeError
from chainrule.explanation.formula.node import SCALAR, Dim, Node, Shape, walk

# Leaves ------------------------------------------------------------------------------------


def number(value: int | float | Fraction) -> Node:
    """A constant. Whole numbers and fractions stay exact."""
    return Node("number", (), SCALAR, Fraction(value))


ZERO = number(0)
ONE = number(1)


def symbol(name: str, shape: Shape, flags: Iterable[str] = ()) -> Node:
    """A named scalar, vector or matrix. ``flags``: "symmetric", "probabilities"."""
    return Node("symbol", (), shape, (name, tuple(sorted(flags))))


def ones(shape: Shape) -> Node:
    return ONE if shape == SCALAR else Node("ones", (), shape)


def zeros(shape: Shape) -> Node:
    return ZERO if shape == SCALAR else Node("zeros", (), shape)


def eye(dim: Dim) -> Node:
    return ONE if dim == 1 else Node("eye", (), (dim, dim))


def is_zero(node: Node) -> bool:
    return node.op == "zeros" or (node.op == "number" and node.data == 0)


def contains(node: Node, name: str) -> bool:
    """Whether the symbol ``name`` occurs in ``node``."""
    return any(n.op == "symbol" and n.data[0] == name for n in walk(node))


def flagged(node: Node, flag: str) -> bool:
    """Whether a symbol was declared "symmetric", or to hold "probabilities"."""
    return node.op == "symbol" and flag in node.data[1]


# Products and sums -------------------------------------------------------------------------


class _Scalars:
    """The commuting part of a product: a number, and bases with their exponents."""

    def __init__(self) -> None:
        self.number = Fraction(1)
        self.powers: dict[str, tuple[Node, Fraction]] = {}

    def take(self, node: Node, exponent: Fraction = Fraction(1)) -> None:
        if _exact(node, exponent):
            self.number *= node.data ** int(exponent)
        elif node.op == "power":
            self._join(node.args[0], node.data * exponent)
        elif node.op in ("mul", "hadamard") and _commutes(node) and exponent.denominator == 1:
            for arg in node.args:
                self.take(arg, exponent)
        else:
            self._join(node, exponent)

    def _join(self, base: Node, exponent: Fraction) -> None:
        old = self.powers.get(base.key, (base, Fraction(0)))[1]
        self.powers[base.key] = (base, old + exponent)

    def factors(self) -> list[Node]:
        return [power(base, e) for base, e in self.powers.values() if e]


def _exact(base: Node, exponent: Fraction) -> bool:
    """Whether a power of a number is worked out; huge ones and roots are left standing."""
    if base.op != "number" or exponent.denominator != 1 or not (base.data or exponent > 0):
        return False
    bits = base.data.numerator.bit_length() + base.data.denominator.bit_length()
    return bits * abs(exponent) < 2048


def _commutes(node: Node) -> bool:
    """Whether the arguments of a product may be taken apart in any order."""
    return node.op == "hadamard" or any(a.shape == SCALAR for a in node.args)


def mul(*factors: Node) -> Node:
    """The product: matrix products in the order given, scalars anywhere. Sizes must fit."""
    scalars, chain = _Scalars(), []
    for factor in factors:
        parts = factor.args if factor.op == "mul" and _commutes(factor) else (factor,)
        for part in parts:
            if part.shape == SCALAR:
                scalars.take(part)
            elif part.op == "mul":
                chain.extend(part.args)
            else:
                chain.append(part)
    for left, right in itertools.pairwise(chain):
        if left.shape[1] != right.shape[0]:
            raise ShapeError(f"{left!r} @ {right!r}: the inner sizes differ")
    shape = (chain[0].shape[0], chain[-1].shape[1]) if chain else SCALAR
    if not scalars.number or any(is_zero(f) for f in chain):
        return zeros(shape)
    chain = _segments(_shorten(chain), scalars)
    if not scalars.number:
        return zeros(shape)
    if not chain and shape != SCALAR:  # everything cancelled: the identity is left
        chain = [eye(shape[0])]
    if len(chain) == 2 and all(f.op == "ones" for f in chain):
        chain = [ones(shape)]
    if len(chain) == 1 and chain[0].op == "mul":
        return mul(number(scalars.number), *scalars.factors(), chain[0])
    head = [number(scalars.number)] if scalars.number != 1 else []
    args = [*head, *scalars.factors(), *chain]
    if not args:
        return ONE
    return args[0] if len(args) == 1 else Node("mul", tuple(args), shape)


def _shorten(chain: list[Node]) -> list[Node]:
    """Without identities and neighbours that are each other's inverse; ones split in two."""
    found: list[Node] = []
    for factor in chain:
        if factor.op == "eye":
            continue
        if found and _inverses(found[-1], factor):
            found.pop()
        elif factor.op == "ones" and 1 not in factor.shape:
            pair = (ones((factor.shape[0], 1)), ones((1, factor.shape[1])))
            found = _shorten([*found, *pair])
        elif found and factor.op == "ones" and flagged(found[-1], "probabilities"):
            found[-1] = ones((found[-1].shape[0], 1))  # every row sums to one
        else:
            found.append(factor)
    return found


def _inverses(a: Node, b: Node) -> bool:
    if a.op == "transpose" or b.op == "transpose":
        a, b = transpose(a), transpose(b)
    return (a.op == "inv" and a.args[0].key == b.key) or (b.op == "inv" and b.args[0].key == a.key)


def _segments(chain: list[Node], scalars: _Scalars) -> list[Node]:
    """Where the inner size is 1 a product falls apart; scalar pieces commute, so they leave."""
    kept: list[Node] = []
    piece: list[Node] = []
    for i, factor in enumerate(chain):
        piece.append(factor)
        if factor.shape[1] == 1 or i == len(chain) - 1:
            if (piece[0].shape[0], factor.shape[1]) == SCALAR:
                scalars.take(_scalar_chain(piece))
            else:
                kept += piece
            piece = []
    return kept


def _scalar_chain(piece: list[Node]) -> Node:
    if len(piece) == 1:
        return piece[0]
    if len(piece) == 2 and any(_divides(f) for f in piece):
        joined = hadamard(transpose(piece[0]), piece[1])  # (y ⊘ s)' s = sum(y)
        if sum(1 for _ in walk(joined)) < sum(1 for f in piece for _ in walk(f)) - 2:
            return total(joined)
    if piece[0].op == "ones":
        return total(mul(*piece[1:]))
    if piece[-1].op == "ones":
        return total(mul(*piece[:-1]))
    return Node("mul", tuple(piece), SCALAR)


def _divides(node: Node) -> bool:
    return any(n.op == "power" and n.data < 0 and n.shape != SCALAR for n in walk(node))


def split(node: Node) -> tuple[Fraction, Node]:
    """The numeric factor of a term, and the term without it."""
    if node.op == "number":
        return node.data, ONE
    if node.op == "mul" and node.args[0].op == "number":
        rest = node.args[1:]
        bare = rest[0] if len(rest) == 1 else Node("mul", rest, node.shape)
        return node.args[0].data, bare
    return Fraction(1), node


def plain(node: Node) -> tuple[list[Node], Node]:
    """The scalar factors of a term (numbers too), and the term without them."""
    if node.shape == SCALAR:
        return (list(node.args) if node.op == "mul" and _commutes(node) else [node]), ONE
    if node.op != "mul":
        return [], node
    scalars = [a for a in node.args if a.shape == SCALAR]
    chain = tuple(a for a in node.args if a.shape != SCALAR)
    return scalars, chain[0] if len(chain) == 1 else Node("mul", chain, node.shape)


def negate(node: Node) -> Node:
    return mul(number(-1), node)


def add(*terms: Node) -> Node:
    """The sum of terms of one shape, like terms collected, in the order given."""
    shape = terms[0].shape
    found: dict[str, tuple[Fraction, Node]] = {}
    for term in terms:
        if term.shape != shape:
            raise ShapeError(f"{terms[0]!r} + {term!r}: the sizes differ")
        for part in term.args if term.op == "add" else (term,):
            count, bare = split(part)
            found[bare.key] = (found.get(bare.key, (Fraction(0), bare))[0] + count, bare)
    parts = [mul(number(c), bare) for c, bare in found.values() if c]
    parts = [p for p in parts if not is_zero(p)]
    if not parts:
        return zeros(shape)
    return parts[0] if len(parts) == 1 else Node("add", tuple(parts), shape)


def hadamard(*factors: Node) -> Node:
    """The element-wise product of arrays of one shape; scalar factors leave to the front."""
    shape = factors[0].shape
    if shape == SCALAR:
        return mul(*factors)
    outside: list[Node] = []
    inside = _Scalars()
    for factor in factors:
        if factor.shape != shape:
            raise ShapeError(f"{factors[0]!r} * {factor!r}: the sizes differ")
        if is_zero(factor):
            return zeros(shape)
        for part in factor.args if factor.op == "hadamard" else (factor,):
            scalars, bare = plain(part)
            outside += scalars
            if bare.op != "ones":
                inside.take(bare)
    left = inside.factors()
    if not left:
        return mul(*outside, ones(shape))
    body = left[0] if len(left) == 1 else Node("hadamard", tuple(left), shape)
    return mul(*outside, body)


def power(base: Node, exponent: Fraction | int) -> Node:
    """Each entry to a constant power."""
    exponent = Fraction(exponent)
    if exponent == 0:
        return ones(base.shape)
    if exponent == 1 or base.op == "ones":
        return base
    if _exact(base, exponent):
        return number(base.data ** int(exponent))
    if exponent.denominator == 1:
        if base.op == "power":
            return power(base.args[0], base.data * exponent)
        if base.op in ("mul", "hadamard") and _commutes(base):
            scalars, bare = plain(base)
            parts = [power(s, exponent) for s in scalars]
            if bare.op == "hadamard":
                bare = hadamard(*(power(a, exponent) for a in bare.args))
            elif bare.shape != SCALAR:
                bare = power(bare, exponent)
            return mul(*parts, bare)
    return Node("power", (base,), base.shape, exponent)


# Functions of one argument -----------------------------------------------------------------


def transpose(a: Node) -> Node:
    """The transpose, moved inwards as far as that makes it shorter."""
    shape = (a.shape[1], a.shape[0])
    if a.shape == SCALAR or a.op in ("eye", "diag") or flagged(a, "symmetric"):
        return a
    if a.op in ("ones", "zeros"):
        return Node(a.op, (), shape)
    if a.op == "transpose":
        return a.args[0]
    if a.op == "mul":
        return mul(*(transpose(f) for f in reversed(a.args)))
    if a.op in ("add", "hadamard", "apply", "power", "inv"):
        turned = _rebuilt(a, tuple(transpose(t) for t in a.args), shape)
        if turned.key == a.key:
            return a
        # an inverse keeps its transpose outside, X^-T, else inv(X.T) and inv(X).T would differ
        if a.op != "inv" and _turns(turned) < _turns(a) + 1:
            return turned
    return Node("transpose", (a,), shape)


def _rebuilt(a: Node, args: tuple[Node, ...], shape: Shape) -> Node:
    if a.op == "add":
        return add(*args)
    if a.op == "hadamard":
        return hadamard(*args)
    return Node(a.op, args, shape, a.data)


def _turns(a: Node) -> int:
    return sum(n.op == "transpose" for n in walk(a))


def _of_square(a: Node, op: str) -> Node:
    if a.shape[0] != a.shape[1]:
        raise ShapeError(f"{op} of {a!r}: the matrix is not square")
    return a


def _linear(a: Node, op: str, shape: Shape) -> Node:
    """A linear function of an array: scalar factors first, then what ``_INSIDE`` says of it."""
    scalars, bare = plain(a)
    if scalars:
        return mul(*scalars, _linear(bare, op, shape))
    if is_zero(bare):
        return zeros(shape)
    found = _INSIDE[op](bare)
    return Node(op, (bare,), shape) if found is None else found


def trace(a: Node) -> Node:
    """The sum of the diagonal of a square matrix."""
    return a if a.shape == SCALAR else _linear(_of_square(a, "trace"), "trace", SCALAR)


def _trace(a: Node) -> Node | None:
    if a.op == "transpose":
        return trace(a.args[0])
    if a.op == "diag":
        return total(a.args[0])
    cut = (
        next((i for i, f in enumerate(a.args) if f.shape[1] == 1), None) if a.op == "mul" else None
    )
    if cut is None:
        return None
    return mul(*a.args[cut + 1 :], *a.args[: cut + 1])  # tr(u v') of two vectors is v'u


def total(a: Node) -> Node:
    """The sum of all entries."""
    return a if a.shape == SCALAR else _linear(a, "total", SCALAR)


def _total(a: Node) -> Node | None:
    if a.op in ("transpose", "diag"):
        return total(a.args[0])
    return ONE if 1 in a.shape and (a.op == "softmax" or flagged(a, "probabilities")) else None


def inv(a: Node) -> Node:
    """The inverse of a square matrix."""
    if _of_square(a, "inv").shape == SCALAR:
        return power(a, -1)
    if a.op in ("inv", "eye"):
        return a.args[0] if a.args else a
    if a.op == "transpose":
        return transpose(inv(a.args[0]))
    if a.op == "diag":
        return diag(power(a.args[0], -1))
    scalars, bare = plain(a)
    if scalars:
        return mul(power(mul(*scalars), -1), inv(bare))
    return Node("inv", (a,), a.shape)


def diag(a: Node) -> Node:
    """The diagonal matrix of a column vector."""
    if a.shape[1] != 1:
        raise ShapeError(f"diag of {a!r}: it takes a column vector")
    return _linear(a, "diag", (a.shape[0], a.shape[0]))


def diagonal(a: Node) -> Node:
    """The diagonal of a square matrix as a column vector."""
    column = (_of_square(a, "diagonal").shape[0], 1)
    return a if a.shape == SCALAR else _linear(a, "diagonal", column)


def _diagonal(a: Node) -> Node | None:
    if a.op == "diag":
        return a.args[0]
    if a.op == "eye":
        return ones((a.shape[0], 1))
    if a.op == "mul" and len(a.args) == 2 and a.args[0].shape[1] == 1:  # of an outer product
        return hadamard(a.args[0], transpose(a.args[1]))
    return diagonal(a.args[0]) if a.op == "transpose" else None


_INSIDE: Mapping[str, Callable[[Node], Node | None]] = {
    "trace": _trace,
    "total": _total,
    "diag": lambda v: eye(v.shape[0]) if v.op == "ones" else None,
    "diagonal": _diagonal,
}


def apply(name: str, a: Node) -> Node:
    """A function of the table, entry by entry."""
    return Node("apply", (a,), a.shape, name)
