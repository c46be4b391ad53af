"""JAX: a compiled step called from Python ("steps"), and a scan over the epoch ("scan").

What a call is done with may be overwritten (``donate_argnums``), as training loops do it.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.work import (
    MOMENTUM,
    RATES,
    Gradient,
    Network,
    Prediction,
    Prepared,
    Training,
    mean_square,
    outcome_of,
)

jax.config.update("jax_enable_x64", True)  # float32 stays float32 where arrays say so


def _outputs(layers: Any, x: Any) -> Any:
    for w, b in layers[:-1]:
        x = jax.nn.relu(x @ w + b)
    return x @ layers[-1][0] + layers[-1][1]


def _mean_loss(network: Network, layers: Any, x: Any, t: Any) -> Any:
    y = _outputs(layers, x)
    if not network.classes:
        return jnp.mean((y - t) ** 2) / 2
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(y), t[:, None], 1))


def _layers(network: Network, dtype: str) -> Any:
    return jax.tree.map(jnp.asarray, network.layers(dtype))


def _step(network: Network, optimizer: str) -> Any:
    """One step: of (parameters, averages, their squares, count), rows and data."""
    rate, adam = RATES[optimizer], optimizer == "adam"

    def step(carry: Any, rows: Any, x: Any, t: Any) -> Any:
        params, m, v, count = carry
        value, g = jax.value_and_grad(lambda p: _mean_loss(network, p, x[rows], t[rows]))(params)
        count = count + 1
        if not adam:
            m = jax.tree.map(lambda m, g: MOMENTUM * m + g, m, g)
            return (jax.tree.map(lambda p, m: p - rate * m, params, m), m, v, count), value
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
        a, b = 1 - 0.9**count, 1 - 0.999**count
        moved = jax.tree.map(
            lambda p, m, v: p - rate * (m / a) / (jnp.sqrt(v / b) + 1e-8), params, m, v
        )
        return (moved, m, v, count), value

    return step


def many(network: Network, layers: Any, orders: np.ndarray, drawn: Any = None) -> Any:
    """Networks of one shape, each trained with Adam on rows of its own: (count, steps, batch).
    Returns a function that trains them, to parameters and losses; with what ``drawn`` returns, if
    that is given, instead of the same layers and orders each time."""
    x, t = map(jnp.asarray, network.data("float32"))
    step = _step(network, "adam")

    def train(start: Any, order: Any, x: Any, t: Any) -> Any:
        zeros = jax.tree.map(jnp.zeros_like, start)
        first = (start, zeros, zeros, jnp.zeros((), "float32"))
        last, losses = jax.lax.scan(lambda c, r: step(c, r, x, t), first, order)
        return last[0], losses

    run = jax.jit(jax.vmap(train, (0, 0, None, None)))
    fixed = jax.tree.map(jnp.asarray, (layers, orders))

    def call() -> Any:
        given = fixed if drawn is None else jax.tree.map(jnp.asarray, drawn())
        return jax.block_until_ready(run(*given, x, t))

    return call


def training(work: Training, variant: str) -> Prepared:
    network, dtype = work.network, work.dtype
    x, t = map(jnp.asarray, network.data(dtype))
    start = _layers(network, dtype)
    zeros = jax.tree.map(jnp.zeros_like, start)
    order = jnp.asarray(network.order())
    adam = work.optimizer == "adam"
    first = (start, zeros, zeros if adam else None, jnp.zeros((), dtype))
    step = _step(network, work.optimizer)
    scan = jax.jit(
        lambda carry, order, x, t: jax.lax.scan(lambda c, r: step(c, r, x, t), carry, order)
    )
    one = jax.jit(step, donate_argnums=0)
    chosen = list(order)

    def by_scan() -> Any:
        return jax.block_until_ready(scan(first, order, x, t))[0]

    def by_steps() -> Any:
        carry = jax.tree.map(jnp.copy, first)
        for rows in chosen:
            carry, _ = one(carry, rows, x, t)
        return jax.block_until_ready(carry)

    run = by_scan if variant == "scan" else by_steps
    return Prepared(run, network.steps, lambda: network.mean_loss(run()[0], dtype))


def prediction(work: Prediction, variant: str) -> Prepared | None:
    if variant == "scan":
        return None
    network = work.network

    @jax.jit
    def unit(layers: Any, x: Any) -> Any:
        y = _outputs(layers, x)
        return jax.nn.softmax(y) if network.classes else y

    layers, x = _layers(network, work.dtype), network.inputs(work.rows, work.dtype)
    if variant == "host":  # from NumPy to NumPy
        return Prepared(lambda: np.asarray(unit(layers, x)),
                        outcome=lambda: mean_square(unit(layers, x)))  # fmt: skip
    x = jnp.asarray(x)

    def predict() -> Any:
        return jax.block_until_ready(unit(layers, x))

    return Prepared(predict, outcome=lambda: mean_square(predict()))


def gradient(work: Gradient, variant: str) -> Prepared | None:
    if variant == "scan":
        return None
    compiled = jax.jit(jax.value_and_grad(work.function.f(jnp)))
    x = jnp.asarray(work.function.x(), np.float64)

    def both() -> Any:
        return jax.block_until_ready(compiled(x))

    return Prepared(both, outcome=lambda: outcome_of(*both()))
