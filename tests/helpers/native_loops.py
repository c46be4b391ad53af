"""Loops of steps on the native executor and on the interpreter."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule import nn, optim
from chainrule.compile import optimise
from chainrule.core.record import record
from chainrule.core.tree import flatten
from chainrule.run import interpreter, native
from chainrule.train.data import Batch
from chainrule.train.steps import Step


def both(f: Any, carry: Any, xs: Any, constants: Any, threads: int = 1) -> Any:
    """The loop of f on the native executor and on the interpreter: (ys, carry) of each."""
    first = [x[0] for x in flatten(xs)[0]]
    graph = optimise(record(f, carry, flatten(xs)[1].unflatten(first), constants).graph)
    leaves, steps, fixed = (flatten(tree)[0] for tree in (carry, xs, constants))
    kept = [np.array(x) for x in (*leaves, *steps, *fixed)]
    run = native.repeat(graph, len(leaves), len(steps), threads)
    found = run(leaves, steps, fixed)
    step, now, ys = interpreter.compile(graph), list(leaves), []
    for i in range(len(steps[0])):
        out = step([*now, *(np.asarray(x[i]) for x in steps), *fixed])
        ys.append(out[: len(out) - len(leaves)])
        now = out[len(out) - len(leaves) :]
    for x, y in zip((*leaves, *steps, *fixed), kept, strict=True):
        np.testing.assert_array_equal(x, y)  # nothing passed in was written to
    return found, ([np.stack(column) for column in zip(*ys, strict=True)], now)


def agree(found: Any, wanted: Any, rtol: float = 1e-12) -> None:
    for a, b in zip((*found[0], *found[1]), (*wanted[0], *wanted[1]), strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol)


def network(sizes: tuple[int, ...], batch: int, dtype: Any, activation: str = "tanh") -> Any:
    """A training step over gathered rows, and its arguments for 6 steps."""
    rng = np.random.default_rng(0)
    model = nn.MLP(sizes=sizes, activation=activation)
    params, state = model.init(0, dtype)
    optimizer = optim.adam(1e-3)
    loss = nn.CategoricalCrossEntropy()
    whole = Step(model, loss, nn.Penalty()).whole(optimizer)
    x = rng.normal(size=(3 * batch, sizes[0])).astype(dtype)
    t = loss.prepare(np.arange(len(x)) % sizes[-1], sizes[-1], dtype)

    def f(carry: Any, step: Any, data: Any) -> Any:
        rows, count = step
        return whole(carry, Batch(data[0][rows], data[1][rows], None), None, count)

    rows = rng.integers(0, len(x), (6, batch))
    return f, (params, state, optimizer.init(params)), (rows, np.arange(6)), (x, t)
