"""Products of arrays: matmul, dot, einsum and their relatives, all through ``contract``."""

from __future__ import annotations

import operator
from string import ascii_letters
from typing import Any

import numpy as np

from chainrule.core.dispatch import UFUNCS, implements, refuse_keywords
from chainrule.core.recording import users_line
from chainrule.core.types import broadcast_shapes, normalize_axis
from chainrule.errors import ShapeError
from chainrule.ops import reduce as rd
from chainrule.ops import structure
from chainrule.ops.coerce import common_dtype, lift, plain, recording_of
from chainrule.ops.contract import contract


def _pair(a: Any, b: Any) -> tuple[Any, Any]:
    a, b = plain(a), plain(b)
    recording, dtype = recording_of((a, b)), common_dtype(a, b)
    return lift(a, recording, dtype), lift(b, recording, dtype)


def _mismatch(name: str, a: Any, b: Any, why: str) -> ShapeError:
    return ShapeError(f"{name} of {a.type} and {b.type} at {users_line()}: {why}")


def matmul(a: Any, b: Any) -> Any:
    """``a @ b``: the last axis of a with the second-last of b, leading axes broadcast."""
    a, b = _pair(a, b)
    if a.ndim == 0 or b.ndim == 0:
        raise _mismatch("matmul", a, b, "it takes no numbers; use * instead")
    n, m = a.shape[-1], b.shape[-2] if b.ndim > 1 else b.shape[0]
    if n != m:
        why = f"the inner lengths {n} and {m} differ"
        if a.ndim == b.ndim == 2:
            fits = [
                text
                for text, ok in (
                    ("a.T @ b", a.shape[0] == b.shape[0]),
                    ("a @ b.T", a.shape[1] == b.shape[1]),
                    ("a.T @ b.T", a.shape[0] == b.shape[1]),
                )
                if ok
            ]
            why += f"; {' or '.join(fits)} would fit" if fits else ""
        raise _mismatch("matmul", a, b, why)
    left = "j" if a.ndim == 1 else "ij"
    right = "j" if b.ndim == 1 else "jk"
    batch_a, batch_b = a.shape[: a.ndim - len(left)], b.shape[: b.ndim - len(right)]
    batch = broadcast_shapes(batch_a, batch_b)
    letters = ascii_letters[26 : 26 + len(batch)]
    a, la = _batched(a, batch_a, batch_b, letters)
    b, lb = _batched(b, batch_b, batch_a, letters)
    out = letters + left[:-1] + right[1:]
    found = contract(a, b, spec=f"{la}{left},{lb}{right}->{_present(out, la, lb, left, right)}")
    return structure.reshape(found, batch + _tail(a, b, left, right))


def _batched(x: Any, mine: Any, other: Any, letters: str) -> tuple[Any, str]:
    """Drop batch axes of length 1, which repeat anyway, and label the others."""
    keep = [k for k, n in enumerate(mine) if n != 1]
    label = "".join(letters[len(letters) - len(mine) + k] for k in keep)
    shape = tuple(mine[k] for k in keep) + x.shape[len(mine) :]
    return structure.reshape(x, shape), label


def _present(out: str, *labels: str) -> str:
    found = set("".join(labels))
    return "".join(c for c in out if c in found)


def _tail(a: Any, b: Any, left: str, right: str) -> tuple[int, ...]:
    rows = a.shape[-2:-1] if len(left) == 2 else ()
    return rows + (b.shape[-1:] if len(right) == 2 else ())


UFUNCS[np.matmul] = matmul


def _vecdot(a: Any, b: Any) -> Any:
    return np.sum(np.multiply(a, b), axis=-1)


UFUNCS[np.vecdot] = _vecdot
for _name, _rule in {
    "matvec": lambda a, v: matmul(a, np.expand_dims(v, -1))[..., 0],
    "vecmat": lambda v, a: matmul(np.expand_dims(v, -2), a)[..., 0, :],
}.items():
    if hasattr(np, _name):  # NumPy 2.2 and newer
        UFUNCS[getattr(np, _name)] = _rule


@implements(np.linalg.matmul)
def linalg_matmul(x1: Any, x2: Any, /) -> Any:
    return matmul(x1, x2)


@implements(np.linalg.vecdot)
def linalg_vecdot(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    return np.sum(np.multiply(x1, x2), axis=axis)


@implements(np.dot)
def dot(a: Any, b: Any, out: Any = None) -> Any:
    if out is not None:
        refuse_keywords("np.dot", {"out": out})
    a, b = _pair(a, b)
    if a.ndim == 0 or b.ndim == 0:
        return a * b
    n, m = a.shape[-1], b.shape[-2] if b.ndim > 1 else b.shape[0]
    if n != m:
        raise _mismatch("dot", a, b, f"the inner lengths {n} and {m} differ")
    return tensordot(a, b, ((a.ndim - 1,), (max(b.ndim - 2, 0),)))


@implements(np.vdot)
def vdot(a: Any, b: Any) -> Any:
    a, b = _pair(a, b)
    return dot(np.ravel(a), np.ravel(b))


@implements(np.inner)
def inner(a: Any, b: Any) -> Any:
    a, b = _pair(a, b)
    if a.ndim == 0 or b.ndim == 0:
        return a * b
    if a.shape[-1] != b.shape[-1]:
        raise _mismatch("inner", a, b, "the last lengths differ")
    return tensordot(a, b, ((a.ndim - 1,), (b.ndim - 1,)))


@implements(np.outer)
def outer(a: Any, b: Any, out: Any = None) -> Any:
    if out is not None:
        refuse_keywords("np.outer", {"out": out})
    a, b = _pair(a, b)
    return contract(np.ravel(a), np.ravel(b), spec="i,j->ij")


@implements(np.linalg.outer)
def linalg_outer(x1: Any, x2: Any, /) -> Any:
    return outer(x1, x2)


@implements(np.tensordot, np.linalg.tensordot)
def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    a, b = _pair(a, b)
    try:
        count = operator.index(axes)
    except TypeError:
        one, two = axes
    else:
        one, two = range(a.ndim - count, a.ndim), range(count)
    one = [normalize_axis(k, a.ndim) for k in (one if hasattr(one, "__iter__") else (one,))]
    two = [normalize_axis(k, b.ndim) for k in (two if hasattr(two, "__iter__") else (two,))]
    if len(one) != len(two) or any(a.shape[i] != b.shape[j] for i, j in zip(one, two, strict=True)):
        raise _mismatch("tensordot", a, b, f"axes {one} and {two} don't pair up")
    left = list(ascii_letters[: a.ndim])
    right = list(ascii_letters[a.ndim : a.ndim + b.ndim])
    for i, j in zip(one, two, strict=True):
        right[j] = left[i]
    out = [c for k, c in enumerate(left) if k not in one]
    out += [c for k, c in enumerate(right) if k not in two]
    return contract(a, b, spec=f"{''.join(left)},{''.join(right)}->{''.join(out)}")


# einsum -----------------------------------------------------------------------------------


@implements(np.einsum)
def einsum(*operands: Any, **keywords: Any) -> Any:
    """Einstein summation over any number of operands, with ellipses and repeated labels."""
    keywords.pop("optimize", None)
    refuse_keywords("np.einsum", {k: v for k, v in keywords.items() if v is not None})
    if isinstance(operands[0], str):
        spec, arrays = operands[0].replace(" ", ""), list(operands[1:])
    else:
        spec, arrays = _interleaved(operands)
    arrays = [plain(x) for x in arrays]
    recording, dtype = recording_of(arrays), common_dtype(*arrays)
    labels, out = _labels(spec, [np.ndim(x) for x in arrays])
    terms = []
    for x, label in zip(arrays, labels, strict=True):
        x = lift(x, recording, dtype)
        if len(label) != x.ndim:
            raise ShapeError(f"einsum {spec!r}: operand {x.type} has not {len(label)} axes")
        terms.append(_diagonals(x, label))
    lengths = _lengths(spec, terms)
    terms = [_drop_ones(x, label, lengths) for x, label in terms]
    while len(terms) > 1:
        i, j = _cheapest(terms, lengths)
        x, y = terms[i], terms[j]
        rest = [t for k, t in enumerate(terms) if k not in (i, j)]
        terms = [*rest, _contract_two(x, y, set(out).union(*(set(t[1]) for t in rest)))]
    (x, label), missing = terms[0], [c for c in out if c not in terms[0][1]]
    x, label = _sum_out(x, label, set(out))
    x = structure.transpose(x, tuple(label.index(c) for c in out if c in label))
    if missing:
        kept = tuple(k for k, c in enumerate(out) if c in label)
        x = structure.broadcast_in(x, tuple(lengths[c] for c in out), kept)
    return x


def _interleaved(operands: tuple[Any, ...]) -> tuple[str, list[Any]]:
    def text(label: Any) -> str:
        return "".join("..." if c is Ellipsis else ascii_letters[c] for c in label)

    pairs = len(operands) // 2
    arrays = [operands[2 * k] for k in range(pairs)]
    spec = ",".join(text(operands[2 * k + 1]) for k in range(pairs))
    return (f"{spec}->{text(operands[-1])}" if len(operands) % 2 else spec), arrays


def _labels(spec: str, ndims: list[int]) -> tuple[list[str], str]:
    """One label string an operand, and the output's, with the ellipses written out."""
    left, arrow, out = spec.partition("->")
    labels = left.split(",")
    if len(labels) != len(ndims):
        raise ShapeError(f"einsum {spec!r} names {len(labels)} operands, {len(ndims)} given")
    free = [c for c in ascii_letters if c not in spec]
    widest = 0
    for k, (label, ndim) in enumerate(zip(labels, ndims, strict=True)):
        if "..." in label:
            width = ndim - len(label) + 3
            if width < 0:
                raise ShapeError(f"einsum {spec!r}: operand {k} has only {ndim} axes")
            widest = max(widest, width)
            labels[k] = label.replace("...", "".join(reversed(free[:width])))
    dots = "".join(reversed(free[:widest]))
    if arrow:
        out = out.replace("...", dots)
    else:
        joined = "".join(labels)
        out = dots + "".join(c for c in sorted(set(joined) - set(dots)) if joined.count(c) == 1)
    if len(set(out)) != len(out) or not set(out) <= set("".join(labels)):
        raise ShapeError(f"einsum {spec!r}: each output label must be in an operand, and once")
    return labels, out


def _diagonals(x: Any, label: str) -> tuple[Any, str]:
    while len(set(label)) < len(label):
        c = next(c for c in label if label.count(c) > 1)
        i, j = label.index(c), label.index(c, label.index(c) + 1)
        x = np.diagonal(x, 0, i, j)
        label = label[:i] + label[i + 1 : j] + label[j + 1 :] + c
    return x, label


def _lengths(spec: str, terms: list[tuple[Any, str]]) -> dict[str, int]:
    lengths: dict[str, int] = {}
    for x, label in terms:
        for c, n in zip(label, x.shape, strict=True):
            known = lengths.setdefault(c, n)
            if known == 1:
                lengths[c] = n
            elif n not in (1, known):
                raise ShapeError(
                    f"einsum {spec!r}: label {c!r} has length {known} in one operand and {n} in "
                    f"another ({users_line()})"
                )
    return lengths


def _drop_ones(x: Any, label: str, lengths: dict[str, int]) -> tuple[Any, str]:
    keep = [k for k, c in enumerate(label) if x.shape[k] == lengths[c]]
    return structure.reshape(x, tuple(x.shape[k] for k in keep)), "".join(label[k] for k in keep)


def _cheapest(terms: list[tuple[Any, str]], lengths: dict[str, int]) -> tuple[int, int]:
    """The pair whose contraction touches the fewest index combinations."""

    def cost(i: int, j: int) -> int:
        total = 1
        for c in {*terms[i][1], *terms[j][1]}:
            total *= lengths[c]
        return total

    pairs = [(i, j) for i in range(len(terms)) for j in range(i + 1, len(terms))]
    return min(pairs, key=lambda pair: cost(*pair))


def _sum_out(x: Any, label: str, keep: set[str]) -> tuple[Any, str]:
    axes = tuple(k for k, c in enumerate(label) if c not in keep)
    if not axes:
        return x, label
    return rd.reduce_sum(x, axes=axes), "".join(c for c in label if c in keep)


def _contract_two(x: Any, y: Any, keep: set[str]) -> tuple[Any, str]:
    (a, la), (b, lb) = _sum_out(*x, keep | set(y[1])), _sum_out(*y, keep | set(x[1]))
    both = la + "".join(c for c in lb if c not in la)
    out = "".join(c for c in both if c in keep)
    return contract(a, b, spec=f"{la},{lb}->{out}"), out


# others -----------------------------------------------------------------------------------


@implements(np.kron)
def kron(a: Any, b: Any) -> Any:
    a, b = _pair(a, b)
    ndim = max(a.ndim, b.ndim)
    a = structure.reshape(a, (1,) * (ndim - a.ndim) + a.shape)
    b = structure.reshape(b, (1,) * (ndim - b.ndim) + b.shape)
    wide_a = tuple(n for pair in zip(a.shape, [1] * ndim, strict=True) for n in pair)
    wide_b = tuple(n for pair in zip([1] * ndim, b.shape, strict=True) for n in pair)
    product = structure.reshape(a, wide_a) * structure.reshape(b, wide_b)
    return structure.reshape(product, tuple(n * m for n, m in zip(a.shape, b.shape, strict=True)))


@implements(np.cross)
def cross(
    a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: Any = None
) -> Any:
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = np.moveaxis(plain(a), axisa, -1), np.moveaxis(plain(b), axisb, -1)
    if np.shape(a)[-1] != 3 or np.shape(b)[-1] != 3:
        raise ShapeError("np.cross is recorded for vectors of length 3")
    (a0, a1, a2), (b0, b1, b2) = ([v[..., k] for k in range(3)] for v in (a, b))
    found = np.stack([a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0], axis=-1)
    return np.moveaxis(found, -1, axisc)


@implements(np.linalg.cross)
def linalg_cross(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    return cross(x1, x2, axis=axis)


def _trim(full: Any, n: int, m: int, mode: str) -> Any:
    """The part of a full convolution of lengths n >= m that ``mode`` asks for."""
    if mode == "full":
        return full
    if mode == "same":
        return full[(m - 1) // 2 : (m - 1) // 2 + n]
    if mode == "valid":
        return full[m - 1 : n]
    raise ShapeError(f"mode {mode!r} is not one of 'full', 'same', 'valid'")


@implements(np.convolve)
def convolve(a: Any, v: Any, mode: str = "full") -> Any:
    a, v = _pair(a, v)
    if a.size < v.size:
        a, v = v, a
    return _trim(rd.convolve(np.atleast_1d(a), np.atleast_1d(v)), a.size, v.size, mode)


@implements(np.correlate)
def correlate(a: Any, v: Any, mode: str = "valid") -> Any:
    a, v = _pair(a, v)
    swapped = a.size < v.size
    if swapped:
        a, v = v, a
    found = _trim(rd.convolve(a, np.flip(v)), a.size, v.size, mode)
    return np.flip(found) if swapped else found


@implements(np.polyval)
def polyval(p: Any, x: Any) -> Any:
    p = plain(p)
    found = np.zeros_like(x) + p[0]
    for k in range(1, np.shape(p)[0]):
        found = found * x + p[k]
    return found


@implements(np.diff)
def diff(a: Any, n: int = 1, axis: Any = -1, prepend: Any = None, append: Any = None) -> Any:
    if n < 0:
        raise ShapeError(f"np.diff: order {n} is negative")
    not_given = (None, np._NoValue)  # type: ignore[attr-defined]
    a = plain(a)
    axis = normalize_axis(axis, np.ndim(a))
    ends = [None if any(e is x for x in not_given) else e for e in (prepend, append)]
    parts = [_edge(ends[0], a, axis), a, _edge(ends[1], a, axis)]
    if any(end is not None for end in ends):
        a = np.concatenate([p for p in parts if p is not None], axis)
    head = (slice(None),) * axis
    for _ in range(n):
        step = np.not_equal if a.dtype.kind == "b" else np.subtract
        a = step(a[(*head, slice(1, None))], a[(*head, slice(None, -1))])
    return a


def _edge(value: Any, a: Any, axis: int) -> Any:
    if value is None or np.ndim(value):
        return value
    return np.broadcast_to(value, tuple(1 if k == axis else n for k, n in enumerate(a.shape)))


@implements(np.ediff1d)
def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    parts = [diff(np.ravel(ary))]
    if to_begin is not None:
        parts.insert(0, np.ravel(to_begin))
    if to_end is not None:
        parts.append(np.ravel(to_end))
    return np.concatenate(parts) if len(parts) > 1 else parts[0]


@implements(np.trapezoid)
def trapezoid(y: Any, x: Any = None, dx: float = 1.0, axis: int = -1) -> Any:
    y = np.moveaxis(plain(y), axis, -1)
    if x is None:
        step: Any = dx
    else:
        step = np.diff(x) if np.ndim(x) == 1 else np.moveaxis(np.diff(x, axis=axis), axis, -1)
    return np.sum(step * (y[..., 1:] + y[..., :-1]) / 2.0, axis=-1)


@implements(np.gradient)
def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """Second-order central differences inside; one-sided of ``edge_order`` at the edges."""
    from chainrule.ops.surface.differences import along_axis

    axes = range(f.ndim) if axis is None else axis if isinstance(axis, (tuple, list)) else (axis,)
    axes = [normalize_axis(k, f.ndim) for k in axes]
    spacing = list(varargs) or [1.0]
    if len(spacing) == 1:
        spacing *= len(axes)
    if len(spacing) != len(axes):
        raise ShapeError(f"np.gradient: {len(varargs)} spacings for {len(axes)} axes")
    found = [along_axis(f, h, k, edge_order) for h, k in zip(spacing, axes, strict=True)]
    return found[0] if len(found) == 1 else tuple(found)
