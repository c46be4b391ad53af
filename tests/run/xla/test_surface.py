"""NumPy's and SciPy's functions on XLA against themselves: calls drawn from the sweep of all that
is registered (shapes, dtypes, keywords, special numbers), many of them one program.

``CHAINRULE_XLA_GRAPHS=200`` draws some calls of each function, not one of every tenth.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
import pytest

pytest.importorskip("jax")

from chainrule.compile import optimise
from chainrule.core.graph import Graph
from chainrule.errors import ChainruleError
from chainrule.run import executor_named
from tests.helpers.sweep.cases import Case, cases, functions
from tests.helpers.sweep.exceptions import known
from tests.helpers.sweep.verdicts import EQUAL, judged, numpys, quiet, recorded

FULL = int(os.environ.get("CHAINRULE_XLA_GRAPHS", "10")) > 10
Call = tuple[Case, Graph, Any]
ROUNDED = ("value", "sign of zero")
"""Verdicts that XLA's own tolerance may lift: sums in another order, and -0."""


def calls() -> Iterator[Call]:
    for name in functions()[:: None if FULL else 10]:
        draw = random.Random(name)
        taken = ((c, numpys(c)) for c in cases(name, lambda draw=draw: draw.random() < 0.02))
        for case, wanted in islice((x for x in taken if x[1][1] is None), 10 if FULL else 1):
            if not case.row.static:
                try:
                    yield case, optimise(recorded(case)), wanted
                except (ChainruleError, np.linalg.LinAlgError):  # of which the full sweep speaks
                    continue


def together(some: tuple[Call, ...]) -> Iterator[tuple[Call, Any]]:
    """What XLA makes of calls as one program; of each alone where one of them is refused."""
    graphs = [graph for _, graph, _ in some]
    whole = Graph(
        (*[x for g in graphs for x in g.free_inputs],
         *[x for g in graphs for x in g.inputs[len(g.free_inputs) :]]),
        tuple(y for g in graphs for y in g.outputs),
        tuple(value for g in graphs for value in g.captures),
    )  # fmt: skip
    try:
        given = [np.asarray(x) for case, *_ in some for x in case.arrays]
        found = iter(executor_named("xla").compile(whole)(given))
    except Exception as error:
        if len(some) == 1:
            yield some[0], (None, error)
            return
        for one in some:
            yield from together((one,))
        return
    for one in some:
        yield one, ((None, list(islice(found, len(one[1].outputs)))), None)


def close(found: Any, wanted: Any) -> bool:
    flat = wanted if isinstance(wanted, (tuple, list)) else [wanted]
    return all(
        np.allclose(y, x, *(2 * [2e-6 if np.asarray(y).dtype == np.float32 else 1e-13]),
                    equal_nan=True)
        for y, x in zip(found, flat, strict=True)
    )  # fmt: skip


def test_functions_equal_numpys() -> None:
    faults, count = [], 0
    with quiet():
        every = calls()
        while some := tuple(islice(every, 40)):
            for (case, _, wanted), found in together(some):
                said, text = judged(case, wanted, found)
                count += 1
                if said in ROUNDED and close(found[0][1], wanted[0]):
                    continue
                if said != EQUAL and known(case, said) is None:
                    faults.append(f"{said}: {case}: {text}")
    assert count > (1000 if FULL else 30)
    assert not faults, "\n".join(faults)
