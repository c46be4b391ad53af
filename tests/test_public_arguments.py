"""Public functions called with what they don't take: every error that leaves them is ours, and the
user's line stands in those that Python or NumPy raised first."""

from __future__ import annotations

import inspect
import itertools
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ChainruleError

WRONG: dict[str, Any] = {
    "text": "a",
    "None": None,
    "int": 3,
    "negative": -1,
    "float": 2.5,
    "nan": float("nan"),
    "bool": True,
    "list": [1, 2],
    "dict": {"a": 1},
    "object": object(),
    "matrix": np.ones((2, 3)),
    "empty": np.zeros(0),
    "function": lambda x: x * 1.0,
}
SPACES = {"cr": cr, "cr.nn": cr.nn, "cr.optim": cr.optim, "cr.train": cr.train}
SPACES |= {"cr.random": cr.random, "cr.tree": cr.tree}
BUILDING = {"cr.ArrayType", "cr.Graph", "cr.nn.Loss", "cr.train.Data"}
"""Parts of graphs, which transformations build, and protocols."""


def _public() -> Iterator[tuple[str, Callable[..., Any]]]:
    for space, module in SPACES.items():
        for name in module.__all__:
            f = getattr(module, name)
            error = isinstance(f, type) and issubclass(f, BaseException)
            if callable(f) and not error and f"{space}.{name}" not in BUILDING:
                yield f"{space}.{name}", f


FUNCTIONS = dict(_public())


def _calls(f: Callable[..., Any]) -> Iterator[tuple[list[Any], dict[str, Any]]]:
    """Two required arguments in all combinations, others one after the other."""
    parameters = inspect.signature(f).parameters.values()
    needed = [p for p in parameters if p.default is p.empty and p.kind <= 1]
    values = list(WRONG.values())
    if not needed:
        needed = [p for p in parameters if p.kind == p.VAR_POSITIONAL]
    if len(needed) <= 2:
        yield from ((list(given), {}) for given in itertools.product(values, repeat=len(needed)))
    else:
        yield from (([x] * len(needed), {}) for x in values)
    matrix: list[Any] = [WRONG["matrix"]] * len(needed)
    for p in parameters:
        if p.kind == p.KEYWORD_ONLY or (p.kind <= 1 and p.default is not p.empty):
            yield from ((matrix, {p.name: x}) for x in values)


def _raw(call: Callable[[], Any]) -> str:
    """The raw error that leaves a call, if one does; that of Python about a signature is none."""
    try:
        call()
    except (ChainruleError, np.linalg.LinAlgError):
        return ""
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        # ours after the last line of the user's, but for the call itself
        ours = [k for k, frame in enumerate(frames) if "/chainrule/" in frame.filename]
        users = [k for k, frame in enumerate(frames) if frame.filename == __file__]
        said_of_the_call = frames[-1].filename.endswith("told.py")
        if said_of_the_call or max(ours, default=0) < max(users):
            return ""
        return f"{error!r:.120} at {frames[-1].filename}:{frames[-1].lineno}"
    return ""


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.filterwarnings("ignore")
def test_no_raw_error_leaves_a_public_function(name: str) -> None:
    f, raw = FUNCTIONS[name], {}
    for args, keywords in _calls(f):
        found = _raw(lambda args=args, keywords=keywords: f(*args, **keywords))
        if found:
            raw[found] = (args, keywords)
    assert not raw


@pytest.mark.parametrize(
    "name",
    ["grad", "value_and_grad", "jacobian", "hessian", "hvp", "jit", "trace", "explain", "vmap"],
)
@pytest.mark.filterwarnings("ignore")
def test_no_raw_error_leaves_what_a_transformation_returns(name: str) -> None:
    f = getattr(cr, name)(lambda *xs: np.sum(xs[0] * xs[-1]))
    raw = {
        _raw(lambda args=args: f(*args)): args
        for args in itertools.product(WRONG.values(), repeat=2)
    }
    raw.pop("", None)
    assert not raw


def test_what_numpy_says_is_told_with_the_line() -> None:
    with pytest.raises(
        ChainruleError, match=r"cr.nn.softmax of 'a' \(.*test_public_arg.*\): ufunc"
    ):
        cr.nn.softmax("a")
    with pytest.raises(ZeroDivisionError):  # the user's own
        cr.tree.map(lambda x: x // 0, [1])
