"""Products of arrays: matmul, dot, einsum and their relatives, all through ``contract``."""

from __future__ import annotations

import operator
from functools import lru_cache
from string import ascii_letters, ascii_lowercase, ascii_uppercase
from typing import Any

import numpy as np

from chainrule.core.dispatch import UFUNCS, implements, refuse_keywords
from chainrule.core.types import Shape, broadcast_shapes, normalize_axis
from chainrule.errors import ShapeError
from chainrule.ops import reduce as rd
from chainrule.ops import structure
from chainrule.ops.coerce import common_dtype, lift, plain, recording_of, strong
from chainrule.ops.contract import contract

LABELS = ascii_uppercase + ascii_lowercase  # what einsum's numbers stand for


def _pair(a: Any, b: Any) -> tuple[Any, Any]:
    """Both as traced values of their common dtype; a Python number counts as an array here."""
    a, b = strong(plain(a)), strong(plain(b))
    recording, dtype = recording_of((a, b)), common_dtype(a, b)
    return lift(a, recording, dtype), lift(b, recording, dtype)


def matmul(a: Any, b: Any) -> Any:
    """``a @ b``: the last axis of a with the second-last of b, leading axes broadcast."""
    a, b = _pair(a, b)
    if a.ndim == 0 or b.ndim == 0:
        raise ShapeError("a matrix product takes no single numbers; use * instead")
    n, m = a.shape[-1], b.shape[-2] if b.ndim > 1 else b.shape[0]
    if n != m:
        raise _inner_lengths(a, b, n, m)
    shape_a, shape_b, spec, shape = _matmul_plan(a.shape, b.shape)
    found = contract(structure.reshape(a, shape_a), structure.reshape(b, shape_b), spec=spec)
    return structure.reshape(found, shape)


@lru_cache(maxsize=4096)
def _matmul_plan(a: Shape, b: Shape) -> tuple[Shape, Shape, str, Shape]:
    """The shapes that ``contract`` takes, its spec, and the shape of the product."""
    left = "j" if len(a) == 1 else "ij"
    right = "j" if len(b) == 1 else "jk"
    batch_a, batch_b = a[: len(a) - len(left)], b[: len(b) - len(right)]
    batch = broadcast_shapes(batch_a, batch_b)
    letters = ascii_letters[26 : 26 + len(batch)]
    kept_a, la = _batched(a, batch_a, letters)
    kept_b, lb = _batched(b, batch_b, letters)
    out = letters + left[:-1] + right[1:]
    spec = f"{la}{left},{lb}{right}->{_present(out, la, lb, left, right)}"
    rows, columns = a[-2:-1] if len(left) == 2 else (), b[-1:] if len(right) == 2 else ()
    return kept_a, kept_b, spec, batch + rows + columns


def _inner_lengths(a: Any, b: Any, n: int, m: int) -> ShapeError:
    """The error for a product whose inner lengths differ, with the transposes that would fit."""
    fits = []
    if a.ndim == b.ndim == 2:
        rows, columns = a.shape, b.shape
        fits += ["a.T @ b"] if rows[0] == columns[0] else []
        fits += ["a @ b.T"] if rows[1] == columns[1] else []
        fits += ["a.T @ b.T"] if rows[0] == columns[1] else []
    elif a.ndim == 2 and b.ndim == 1 and a.shape[0] == m:
        fits = ["a.T @ b"]
    elif a.ndim == 1 and b.ndim == 2 and b.shape[1] == n:
        fits = ["a @ b.T"]
    hint = f"; {' or '.join(fits)} would fit" if fits else ""
    return ShapeError(
        f"cannot multiply {a.type} and {b.type}: the inner lengths {n} and {m} differ{hint}"
    )


def _batched(shape: Shape, batch: Shape, letters: str) -> tuple[Shape, str]:
    """Drop batch axes of length 1, which repeat anyway, and label the others."""
    keep = [k for k, n in enumerate(batch) if n != 1]
    label = "".join(letters[len(letters) - len(batch) + k] for k in keep)
    return tuple(batch[k] for k in keep) + shape[len(batch) :], label


def _present(out: str, *labels: str) -> str:
    found = set("".join(labels))
    return "".join(c for c in out if c in found)


UFUNCS[np.matmul] = matmul


def _vecdot(a: Any, b: Any, axis: int = -1) -> Any:
    a, b = _pair(a, b)
    if a.ndim == 0 or b.ndim == 0:
        raise ShapeError(f"{a.type} and {b.type}: a product along an axis takes no single numbers")
    a, b = (np.moveaxis(x, axis, -1) for x in (a, b))
    if a.shape[-1] != b.shape[-1]:
        raise ShapeError(f"{a.type} and {b.type} must have the same length along axis {axis}")
    if a.dtype.kind == "b":
        return np.any(a & b, axis=-1)
    product = a * b
    return rd.reduce_sum(product, axes=(product.ndim - 1,))


def _matrix(a: Any) -> Any:
    if np.ndim(a) < 2:
        raise ShapeError("a vector where a matrix is wanted; use np.vecdot for two vectors")
    return a


UFUNCS[np.vecdot] = _vecdot
UFUNC_KEYWORDS: dict[Any, set[str]] = {np.vecdot: {"axis"}}  # beside those that all ufuncs have
for _name, _rule in {
    "matvec": lambda a, v: matmul(_matrix(a), np.expand_dims(v, -1))[..., 0],
    "vecmat": lambda v, a: matmul(np.expand_dims(v, -2), _matrix(a))[..., 0, :],
}.items():
    if hasattr(np, _name):  # NumPy 2.2 and newer
        UFUNCS[getattr(np, _name)] = _rule


@implements(np.linalg.matmul, checks=True)
def linalg_matmul(x1: Any, x2: Any, /) -> Any:
    return matmul(x1, x2)


@implements(np.linalg.vecdot)
def linalg_vecdot(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    return _vecdot(x1, x2, axis)


@implements(np.dot, checks=True)
def dot(a: Any, b: Any, out: Any = None) -> Any:
    if out is not None:
        refuse_keywords("np.dot", {"out": out})
    a, b = _pair(a, b)
    if a.ndim == 0 or b.ndim == 0:
        return a * b
    n, m = a.shape[-1], b.shape[-2] if b.ndim > 1 else b.shape[0]
    if n != m:
        raise _inner_lengths(a, b, n, m)
    return tensordot(a, b, ((a.ndim - 1,), (max(b.ndim - 2, 0),)))


@implements(np.vdot)
def vdot(a: Any, b: Any) -> Any:
    a, b = _pair(a, b)
    return dot(np.ravel(a), np.ravel(b))


@implements(np.inner, checks=True)
def inner(a: Any, b: Any) -> Any:
    a, b = _pair(a, b)
    if a.ndim == 0 or b.ndim == 0:
        return a * b
    if a.shape[-1] != b.shape[-1]:
        raise ShapeError(f"the last lengths of {a.type} and {b.type} differ")
    return tensordot(a, b, ((a.ndim - 1,), (b.ndim - 1,)))


@implements(np.outer, checks=True)
def outer(a: Any, b: Any, out: Any = None) -> Any:
    if out is not None:
        refuse_keywords("np.outer", {"out": out})
    a, b = _pair(a, b)
    return contract(np.ravel(a), np.ravel(b), spec="i,j->ij")


@implements(np.linalg.outer)
def linalg_outer(x1: Any, x2: Any, /) -> Any:
    return outer(x1, x2)


@implements(np.tensordot, np.linalg.tensordot, checks=True)
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
        raise ShapeError(f"axes {one} of {a.type} and {two} of {b.type} don't pair up")
    left = list(ascii_letters[: a.ndim])
    right = list(ascii_letters[a.ndim : a.ndim + b.ndim])
    for i, j in zip(one, two, strict=True):
        right[j] = left[i]
    out = [c for k, c in enumerate(left) if k not in one]
    out += [c for k, c in enumerate(right) if k not in two]
    return contract(a, b, spec=f"{''.join(left)},{''.join(right)}->{''.join(out)}")


# einsum -----------------------------------------------------------------------------------


@implements(np.einsum, checks=True)
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
        return "".join("..." if c is Ellipsis else LABELS[c] for c in label)

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
        if x.shape[i] != x.shape[j]:
            raise ShapeError(f"label {c!r} stands for lengths {x.shape[i]} and {x.shape[j]}")
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
                    "another"
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


def _contract_two(x: tuple[Any, str], y: tuple[Any, str], keep: set[str]) -> tuple[Any, str]:
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
        raise ShapeError(
            "np.cross is recorded for vectors of length 3; in the plane write "
            "a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]"
        )
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
    p, x = plain(p), plain(x)
    found = np.zeros_like(x) + p[0]
    for k in range(1, np.shape(p)[0]):
        found = found * x + p[k]
    return found
