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
from chainrule.errors import (
    ChainruleError,
    DtypeError,
    IndexingError,
    NonFiniteError,
    UnsupportedError,
    UsageError,
)

SMALL = 64  # integers up to this many are asked about with their values, as they may be places
KEPT = 4096


class Answer(NamedTuple):
    """NumPy's refusal, or the dtypes of what it returns, one for each array in order."""

    refusal: Exception | None
    dtypes: tuple[np.dtype[Any] | None, ...]


_answers: dict[Any, Answer] = {}


def numpys_answer(function: Any, args: Any, kwargs: Any) -> Answer:
    """What ``function`` does with arrays of these shapes and dtypes; floats are ones."""
    try:
        key = (function, _key(args), _key(kwargs))
        found = _answers.get(key)
    except TypeError:  # something large or unhashable: asked anew
        key = found = None
    if found is None:
        found = _ask(function, args, kwargs, 0)
        if found.refusal is not None:  # no integer may be a divisor, or be out of bounds
            found = _ask(function, args, kwargs, 1)
        if key is not None:
            if len(_answers) >= KEPT:
                _answers.clear()
            _answers[key] = found
    return found


def _ask(function: Any, args: Any, kwargs: Any, integer: int) -> Answer:
    def stand_in(x: Traced) -> Any:
        if x.weak:
            return 1.0 if x.node.type.is_float else integer
        known = _value(x)
        if known is not None:
            return known
        return np.full(x.shape, integer if x.dtype.kind in "iu" else 1, x.dtype)

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            y = function(*_replaced(args, stand_in), **_replaced(kwargs, stand_in))
        except np.linalg.LinAlgError:  # a matrix of ones is singular, the user's may not be
            return Answer(None, ())
        except Exception as error:
            return Answer(error.with_traceback(None), ())
    return Answer(None, tuple(getattr(leaf, "dtype", None) for leaf in _leaves(y)))


def _value(x: Traced) -> np.ndarray | None:
    """The numbers of a few integers or bools, where they are known."""
    if x.dtype.kind == "f" or x.size > SMALL:
        return None
    return x.recording.value(x.node)


def _replaced(x: Any, stand_in: Callable[[Traced], Any]) -> Any:
    if isinstance(x, Traced):
        return stand_in(x)
    if isinstance(x, dict):
        return {k: _replaced(v, stand_in) for k, v in x.items()}
    if type(x) in (list, tuple):
        return type(x)(_replaced(item, stand_in) for item in x)
    return x


def _key(x: Any) -> Any:
    if isinstance(x, Traced):
        known = _value(x)
        return x.node.type, x.weak, None if known is None else known.tobytes()
    if isinstance(x, (list, tuple)):
        return type(x), *map(_key, x)
    if isinstance(x, dict):
        return tuple((k, _key(v)) for k, v in x.items())
    if isinstance(x, np.ndarray):
        if x.size > SMALL or x.dtype.kind == "O":
            raise TypeError("too large for a key")
        return x.shape, x.dtype, x.tobytes()
    if isinstance(x, slice):
        return slice, x.start, x.stop, x.step
    return type(x), x


def _leaves(y: Any) -> Iterator[Any]:
    if isinstance(y, (tuple, list)):
        for item in y:
            yield from _leaves(item)
    else:
        yield y


def checked(function: Any, ours: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """What ``ours`` gives, in NumPy's dtype, unless NumPy refuses these arguments. Our own errors
    come first: they say more."""
    found = ours(*args, **kwargs)
    answer = numpys_answer(function, args, kwargs)
    if answer.refusal is not None:
        raise as_ours(answer.refusal)
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


FUNCTIONS["checked"] = checked
FUNCTIONS["explained"] = explained
