"""What NumPy itself says to a call, asked with ordinary arrays in the place of traced values.

Its refusal becomes an error of ours with NumPy's reason, and the dtypes of its result are those
of ours. Answers are kept: the same kinds of arguments are asked about once.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from chainrule.core.dispatch import FUNCTIONS
from chainrule.core.traced import Traced
from chainrule.core.types import Shape
from chainrule.errors import (
    ChainruleError,
    DtypeError,
    IndexingError,
    NonFiniteError,
    UnsupportedError,
    UsageError,
)

SMALL = 64  # integers up to this many are asked about with their values, as they may be places
LARGE = 100_000  # with more elements than this NumPy is first asked about smaller arrays
KEPT = 4096
PRIMES = (37, 41, 43, 47, 53, 59, 61)
"""Lengths of smaller arrays: what divides a length by chance does not divide these."""

BY_VALUE = {
    np.power, np.bincount, np.choose, np.compress, np.cov, np.digitize, np.extract,
    np.delete, np.insert, np.repeat, np.take, np.take_along_axis, np.resize, np.tile, np.roll,
    np.split, np.array_split, np.hsplit, np.vsplit, np.dsplit, np.partition, np.argpartition,
    np.percentile, np.quantile, np.nanpercentile, np.nanquantile, np.searchsorted, np.isin,
    np.ravel_multi_index, np.unravel_index, np.select, np.piecewise, np.full_like, np.pad,
    np.linalg.norm, np.linalg.matrix_norm, np.linalg.matrix_power, np.geomspace, np.linspace,
    np.logspace, np.nan_to_num,
    *(ufunc.reduceat for ufunc in vars(np).values() if isinstance(ufunc, np.ufunc)),
}  # fmt: skip
"""Functions that may refuse numbers, not only shapes and dtypes (a place out of bounds, a count
below zero, bins out of order): these are asked with the numbers, where they are known."""


class Answer(NamedTuple):
    """NumPy's refusal, or the dtypes of what it returns, one for each array in order."""

    refusal: Exception | None
    dtypes: tuple[np.dtype[Any] | None, ...]


_answers: dict[Any, Answer] = {}


def numpys_answer(function: Any, args: Any, kwargs: Any) -> Answer:
    """What ``function`` does with arrays of these shapes and dtypes; floats are ones."""
    exact = function in BY_VALUE or getattr(function, "__self__", None) in BY_VALUE
    try:
        key = (function, _key(args, exact), _key(kwargs, exact))
        found = _answers.get(key)
    except TypeError:  # something large or unhashable: asked anew
        key = found = None
    if found is None:
        found = _ask(function, args, kwargs, exact)
        if key is not None:
            if len(_answers) >= KEPT:
                _answers.clear()
            _answers[key] = found
    return found


def _ask(function: Any, args: Any, kwargs: Any, exact: bool) -> Answer:
    """Asked until NumPy accepts: an integer may be no divisor or out of bounds, smaller arrays
    may not fit what is said of their lengths, and a function may write into an argument."""
    smaller = _smaller([*_arrays(args, exact), *_arrays(kwargs, exact)])
    found = _tried(function, args, kwargs, StandIns(exact, 0, smaller))
    if found.refusal is not None:
        found = _tried(function, args, kwargs, StandIns(exact, 1, {}))
    if found.refusal is not None and any(told in str(found.refusal) for told in _WRITES):
        found = _tried(function, args, kwargs, StandIns(exact, 1, {}, writable=True))
    return found


_WRITES = ("read-only", "output array is not acceptable")
"""What NumPy says of an array that it would write into, were it an ordinary one."""


def _tried(function: Any, args: Any, kwargs: Any, standins: StandIns) -> Answer:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            y = function(*standins.of(args), **standins.of(kwargs))
        except (MemoryError, np.linalg.LinAlgError):
            # for this machine and for ones; another's memory, or the user's matrix, may do
            return Answer(None, ())
        except Exception as error:
            return Answer(error.with_traceback(None), ())
    return Answer(None, tuple(getattr(leaf, "dtype", None) for leaf in _leaves(y)))


class StandIns(NamedTuple):
    """What is put in the place of arrays: one number, repeated without memory of its own."""

    exact: bool
    integer: int
    lengths: dict[int, int]
    writable: bool = False

    def of(self, x: Any) -> Any:
        if isinstance(x, Traced) and x.weak:
            return 1.0 if x.node.type.is_float else self.integer
        if isinstance(x, (Traced, np.ndarray)):
            known = _value(x, self.exact)
            return self._array(x) if known is None else known
        if isinstance(x, dict):
            return {k: self.of(v) for k, v in x.items()}
        if type(x) in (list, tuple):
            return type(x)(map(self.of, x))
        return x

    def _array(self, x: Any) -> np.ndarray:
        number = np.array(self.integer if x.dtype.kind in "iu" else 1, x.dtype)
        shape: Shape = x.shape
        found = np.broadcast_to(number, [self.lengths.get(n, n) for n in shape])
        return found.copy() if self.writable else found


def _smaller(arrays: list[Any]) -> dict[int, int]:
    """Lengths for smaller arrays, equal where they were and in the same order, if these are
    large; those of arrays that are asked about as they are stay."""
    replaced = [x for x, known in arrays if not known]
    if sum(x.size for x in replaced) <= LARGE:
        return {}
    kept = {n for x, known in arrays if known for n in x.shape}
    lengths = sorted({n for x in replaced for n in x.shape if n > PRIMES[0]} - kept)
    if len(lengths) > len(PRIMES) or any(n < m for n, m in zip(lengths, PRIMES, strict=False)):
        return {}
    return dict(zip(lengths, PRIMES, strict=False))


def _arrays(x: Any, exact: bool) -> Iterator[tuple[Any, bool]]:
    """The arrays among arguments, and whether NumPy is asked about their numbers."""
    if isinstance(x, (Traced, np.ndarray)):
        yield x, _value(x, exact) is not None
    elif isinstance(x, dict):
        for item in x.values():
            yield from _arrays(item, exact)
    elif isinstance(x, (list, tuple)):
        for item in x:
            yield from _arrays(item, exact)


def _value(x: Any, exact: bool) -> np.ndarray | None:
    """The numbers NumPy is asked about: of ordinary arrays those that may be settings, where
    numbers count all of them, and the traced ones of a few integers or bools that are known."""
    if not isinstance(x, Traced):  # an ordinary array
        numbers = x.dtype.kind == "f" or (x.dtype.kind in "biu" and x.size > SMALL)
        return None if numbers and not exact else x
    if not exact or x.dtype.kind == "f" or x.size > SMALL:
        return None
    return x.recording.value(x.node)


def _key(x: Any, exact: bool) -> Any:
    if isinstance(x, (Traced, np.ndarray)):
        known = _value(x, exact)
        kind = (x.node.type, x.weak) if isinstance(x, Traced) else (x.shape, x.dtype)
        if known is None:
            return kind
        if known.size > SMALL or known.dtype.kind == "O":
            raise TypeError("too large for a key")
        return *kind, known.tobytes()
    if isinstance(x, (list, tuple)):
        return type(x), *(_key(item, exact) for item in x)
    if isinstance(x, dict):
        return tuple((k, _key(v, exact)) for k, v in x.items())
    if isinstance(x, slice):
        return slice, x.start, x.stop, x.step
    if isinstance(x, (float, np.floating)) and not exact:
        return type(x), bool(np.isfinite(x)) and float(x).is_integer(), bool(np.isfinite(x))
    return type(x), x


def _leaves(y: Any) -> Iterator[Any]:
    if isinstance(y, (tuple, list)):
        for item in y:
            yield from _leaves(item)
    else:
        yield y


def asked(function: Any, args: Any, kwargs: Any) -> Answer:
    answer = numpys_answer(function, args, kwargs)
    if answer.refusal is not None:
        raise as_ours(answer.refusal)
    return answer


def checked(function: Any, ours: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """What ``ours`` gives, in NumPy's dtype, unless NumPy refuses these arguments. Our own errors
    come first: they say more."""
    found = ours(*args, **kwargs)
    answer = asked(function, args, kwargs)
    if len(answer.dtypes) == 1 and not isinstance(found, (tuple, list)):
        return _of_dtype(found, answer.dtypes[0])
    return found


def _of_dtype(found: Any, dtype: Any) -> Any:
    if isinstance(found, Traced) and dtype is not None and found.dtype != dtype:
        return found.astype(dtype)
    return found


def as_ours(refusal: Exception) -> ChainruleError:
    """NumPy's refusal as an error of ours of the same kind, with NumPy's reason."""
    if isinstance(refusal, ChainruleError):
        return refusal
    kinds = {IndexError: IndexingError, TypeError: DtypeError, ArithmeticError: NonFiniteError}
    kind = next((ours for theirs, ours in kinds.items() if isinstance(refusal, theirs)), UsageError)
    hint = "; x.astype(...) gives another dtype" if kind is DtypeError else ""
    return kind(f"NumPy refuses this: {refusal}{hint}")


def explained(error: Exception, function: Any, args: Any, kwargs: Any) -> ChainruleError:
    """The error of ours for one that a function raised on the way: NumPy's refusal if it has
    one, else that the call is not recorded."""
    refusal = numpys_answer(function, args, kwargs).refusal
    if refusal is not None:
        return as_ours(refusal)
    return UnsupportedError(
        f"not recorded for these arguments ({type(error).__name__}: {error}); write it with "
        "simpler steps, or call it on plain arrays outside the function"
    )


FUNCTIONS["asked"] = asked
FUNCTIONS["checked"] = checked
FUNCTIONS["explained"] = explained
FUNCTIONS["as ours"] = as_ours
