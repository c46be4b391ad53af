"""``python -m benchmarks.loops``: loops, unrolled loops and batches, here and with JAX, in one run.

Each row is the gradient of a program that both libraries take as the same Python function, with the
module of arrays as an argument: the time of the first call, recording and compiling included, and
that of a call after it. One core for everybody: ``taskset -c 0``.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

import chainrule as cr
from benchmarks.measure import (
    calls_for,
    duration,
    installed,
    interleave,
    median,
    quartiles,
    ratio,
    save,
    table,
)
from benchmarks.vmap import EACH, functions
from benchmarks.vmap import work as examples_of

Program = Callable[..., Any]


@dataclass(frozen=True)
class Library:
    """What a program is written with."""

    np: ModuleType
    scan: Any
    grad: Any
    vmap: Any
    jit: Any
    ready: Callable[[Any], Any]
    array: Callable[[Any], Any]


def here() -> Library:
    return Library(np, cr.scan, cr.grad, cr.vmap, cr.jit, lambda y: y, lambda x: x)


def there() -> Library:
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    return Library(
        jnp, jax.lax.scan, jax.grad, jax.vmap, jax.jit, jax.block_until_ready, jnp.asarray
    )


# The programs -----------------------------------------------------------------------------------


def cell(library: Library, steps: int, unrolled: bool) -> tuple[Program, list[Any]]:
    """A recurrent network of 32 units over as many steps of 16 numbers, float32."""
    rng = np.random.default_rng(0)
    given = [
        (rng.normal(size=(32, 32)) / 8).astype(np.float32),
        (rng.normal(size=(32, 16)) / 4).astype(np.float32),
        rng.normal(size=(steps, 16)).astype(np.float32),
    ]

    def loss(W: Any, U: Any, xs: Any) -> Any:
        def turn(h: Any, x: Any) -> Any:
            return library.np.tanh(W @ h + U @ x), None

        h = library.np.zeros(32, np.float32)
        if not unrolled:
            return library.np.sum(library.scan(turn, h, xs)[0] ** 2)
        for k in range(steps):
            h, _ = turn(h, xs[k])
        return library.np.sum(h**2)

    return library.grad(loss, (0, 1)), given


def orbit(library: Library, steps: int, unrolled: bool) -> tuple[Program, list[Any]]:
    """Lotka and Volterra's equations by Runge and Kutta's method, float64."""
    dt = 20.0 / steps

    def slope(y: Any, r: Any) -> Any:
        return library.np.stack(
            [r[0] * y[0] - r[1] * y[0] * y[1], r[2] * y[0] * y[1] - r[3] * y[1]]
        )

    def loss(r: Any, y: Any) -> Any:
        def turn(y: Any, _: Any) -> Any:
            k1 = slope(y, r)
            k2 = slope(y + dt / 2 * k1, r)
            k3 = slope(y + dt / 2 * k2, r)
            k4 = slope(y + dt * k3, r)
            return y + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4), None

        if not unrolled:
            return library.np.sum(library.scan(turn, y, None, length=steps)[0] ** 2)
        for _ in range(steps):
            y, _ = turn(y, None)
        return library.np.sum(y**2)

    return library.grad(loss), [np.array([1.1, 0.4, 0.1, 0.4]), np.array([1.0, 0.5])]


def examples(library: Library, steps: int, unrolled: bool) -> tuple[Program, list[Any]]:
    """Gradients of each of 128 examples of the network 64-64-10."""
    maps = cr.tree.map
    given = examples_of((64, 64, 10), 128)
    plain = type("plain", (), {"grad": library.grad, "vmap": library.vmap, "jit": lambda f: f})
    return functions(library.np, plain, maps)[EACH], list(given)


def networks(library: Library, steps: int, unrolled: bool) -> tuple[Program, list[Any]]:
    """32 networks 4-16-3, each trained by itself with minibatches of 32 of its own order."""
    rng, count = np.random.default_rng(0), 32
    weights = [(rng.normal(size=(count, *s)) / 3).astype(np.float32) for s in ((4, 16), (16, 3))]
    x = rng.normal(size=(512, 4)).astype(np.float32)
    y = np.eye(3, dtype=np.float32)[rng.integers(0, 3, 512)]
    order = rng.integers(0, 512, (count, steps, 32))

    def loss(v: Any, w: Any, x: Any, y: Any) -> Any:
        z = library.np.tanh(x @ v) @ w
        top = library.np.max(z, axis=-1, keepdims=True)
        total = library.np.log(library.np.sum(library.np.exp(z - top), axis=-1)) + top[..., 0]
        return library.np.mean(total - library.np.sum(y * z, axis=-1))

    def train(v: Any, w: Any, order: Any, x: Any, y: Any) -> Any:
        def turn(params: Any, rows: Any) -> Any:
            v, w = params
            dv, dw = library.grad(loss, (0, 1))(v, w, x[rows], y[rows])
            return (v - np.float32(0.1) * dv, w - np.float32(0.1) * dw), None

        return library.scan(turn, (v, w), order)[0]

    return library.vmap(train, (0, 0, 0, None, None)), [*weights, order, x, y]


ROWS: dict[str, tuple[Any, bool]] = {
    "RNN, scan": (cell, False),
    "RK4, scan": (orbit, False),
    "RNN, unrolled": (cell, True),
    "RK4, unrolled": (orbit, True),
    "per-example gradients": (examples, False),
    "32 networks, vmap of scan": (networks, False),
}


# Measuring --------------------------------------------------------------------------------------


def first_call(library: Library, made: tuple[Program, list[Any]]) -> tuple[float, Any, Any]:
    """Seconds of the first call, its result as arrays, and how to call again."""
    f, given = made
    args = cr.tree.map(library.array, given)
    begin = time.perf_counter()
    run = library.jit(f)
    found = library.ready(run(*args))
    seconds = time.perf_counter() - begin
    leaves = [np.asarray(y) for y in cr.tree.leaves(found)]
    return seconds, leaves, lambda: library.ready(run(*args))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--unrolled", type=int, default=200, help="steps of unrolled loops")
    parser.add_argument("--only", nargs="*", default=list(ROWS), choices=list(ROWS))
    options = parser.parse_args()
    libraries = {"here": here()} | ({"JAX": there()} if installed("jax") else {})
    for library in libraries.values():  # what only the first program costs
        first_call(library, orbit(library, 3, False))
    rows, results = [], {}
    for title in options.only:
        program, unrolled = ROWS[title]
        steps = options.unrolled if unrolled else options.steps
        firsts, runs, values = {}, {}, []
        for name, library in libraries.items():
            firsts[name], found, runs[name] = first_call(library, program(library, steps, unrolled))
            values.append(found)
        for a, b in zip(values[0], values[-1], strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-3, atol=1e-4)
        times = interleave(runs, options.rounds, calls_for(runs["here"], 0.02))
        results[title] = {"steps": steps, "first": firsts, "seconds": times}
        cells = [duration(firsts[n]) for n in libraries] + [
            duration(median(t)) for t in times.values()
        ]
        if "JAX" in times:
            each = [a / b for a, b in zip(times["JAX"], times["here"], strict=True)]
            q = quartiles(each)
            cells += [f"{firsts['JAX'] / firsts['here']:.2f}"]
            cells += [f"{ratio(times, 'JAX', 'here'):.2f} ({q['low']:.2f} to {q['high']:.2f})"]
        rows.append([f"{title}, {steps}", *cells])
        print(*rows[-1], sep="  ", flush=True)  # the next program may take JAX long to compile
    names = list(libraries)
    header = ["program, steps", *(f"first, {n}" for n in names), *(f"call, {n}" for n in names)]
    table([*header, *["JAX/here, first", "JAX/here, call"] * (len(names) > 1)], rows)
    save("loops", results)


if __name__ == "__main__":
    main()
