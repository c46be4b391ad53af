"""The page that trains: its executor against the interpreter, and the page in a browser."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

import chainrule as cr
from chainrule.core.node import PRIMITIVES
from chainrule.core.tree import flatten_with_paths
from chainrule.explanation.picture.svg import asset
from chainrule.explanation.play.programs import DTYPES, listed, program
from chainrule.run import interpreter
from tests.helpers import browsing
from tests.helpers.browsing import js
from tests.helpers.explain_random import array_function
from tests.helpers.native_graphs import graph_of

browser = browsing.browser  # fixture

EXECUTOR = asset("lowering.js") + asset("graph.js")
RUN = """
  const plain = (v) => [...v].map((x) => Number.isFinite(x) ? x : Number.isNaN(x) ? "nan" : x > 0 ? "inf" : "-inf");
  return arguments[0].map(([graph, sizes, given]) => {
    try {
      const found = compile(graph, sizes)(Object.fromEntries(
        Object.entries(given).map(([k, v]) => [k, v.map(special)])));
      return Object.fromEntries(Object.entries(found).map(([k, v]) => [k, plain(v)]));
    } catch (error) { return String(error.message); }
  });
"""  # noqa: E501


def computed(browser: Any, cases: Iterable[tuple[Any, Any, Any]]) -> list[Any]:
    """What the executor makes of (program, sizes, inputs by path); a message where it refuses."""
    return js(browser, EXECUTOR + RUN, [list(case) for case in cases])


def plain(value: Any) -> list[Any]:
    return [x if np.isfinite(x) else str(x) for x in np.ravel(value).astype(float).tolist()]


def worst(found: Any, wanted: Any) -> float:
    """The largest difference relative to the largest entry; infinite where nan and inf differ."""
    a, b = np.array(found, float), np.ravel(wanted).astype(float)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    if not np.all(np.isfinite(a[~same]) & np.isfinite(b[~same])):
        return np.inf
    scale = max(np.max(np.abs(b[np.isfinite(b)]), initial=0.0), 1e-300)
    return float(np.max(np.abs(a - b)[~same], initial=0.0)) / scale


def test_operations_on_arrays_are_the_primitives(browser: Any) -> None:
    """Every sample in double precision of every operation that the executor has."""
    moves = js(browser, EXECUTOR + "return [...Object.keys(MOVES), ...SAME]")
    table = js(browser, EXECUTOR + "return Object.keys(TABLE)")
    loose = {"erf", "erfc", "ndtr"}
    cases, names, values = [], [], []
    for name in sorted({*moves, *table} - loose):
        for sample in PRIMITIVES[name].samples():
            if any(a.dtype.name not in DTYPES for a in sample.inputs):
                continue
            graph = graph_of(PRIMITIVES[name], sample)
            try:
                wanted = interpreter.compile(graph)(list(sample.inputs))[0]
                nodes = listed(graph)
            except cr.errors.ChainruleError:
                continue
            inputs = {str(i): graph.nodes.index(x) for i, x in enumerate(graph.inputs)}
            whole = {"inputs": inputs, "outputs": {"y": graph.nodes.index(graph.outputs[0])}}
            cases.append(
                (
                    whole | {"nodes": nodes},
                    {},
                    {str(i): plain(a) for i, a in enumerate(sample.inputs)},
                )
            )
            names.append((name, dict(sample.attrs)))
            values.append(wanted)
    assert {name for name, _ in names} >= set(moves)
    for found, name, value in zip(computed(browser, cases), names, values, strict=True):
        assert isinstance(found, dict), (name, found)
        assert worst(found["y"], value) <= 1e-14, (name, found["y"], value)


def test_random_functions_and_their_gradients(browser: Any) -> None:
    """Those whose operations the executor has: the others are refused by name."""
    cases, values = [], []
    for seed in range(60):
        f, args = array_function(seed)
        if args[0].dtype != np.float64:
            continue
        both = cr.value_and_grad(f, argnums=(0, 1, 2))
        try:
            made = program(lambda given, both=both: both(*given), lambda _, args=args: args)
        except cr.errors.GraphError:
            continue
        given = {path: plain(a) for path, a in flatten_with_paths(args)[0]}
        cases.append((made, {}, given))
        values.append(dict(flatten_with_paths(cr.jit(both, executor="numpy")(*args))[0]))
    done = 0
    for found, wanted in zip(computed(browser, cases), values, strict=True):
        if isinstance(found, str):
            assert "the page cannot compute" in found
            continue
        done += 1
        for path, value in wanted.items():
            assert worst(found[path], value) <= 1e-12
    assert done >= 20
