"""``python -m benchmarks.vmap``: gradients of each example of a minibatch, here and with JAX.

What they cost is told by the gradient of the summed loss, and for the gradients themselves also by
the time that writing so many numbers takes. One core for everybody: ``taskset -c 0``.
"""

import argparse
import itertools
from collections.abc import Callable
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
    ratio,
    save,
    table,
)

NETWORKS = {
    "4-16-3, 32 examples": ((4, 16, 3), 32),
    "64-64-10, 128 examples": ((64, 64, 10), 128),
    "64-128-128-10, 128 examples": ((64, 128, 128, 10), 128),
    "784-256-10, 64 examples": ((784, 256, 10), 64),
}
SUM, WRITE, EACH, NORMS = "summed", "write", "per example", "norms"
Runs = dict[str, Callable[[], Any]]


def work(sizes: tuple[int, ...], examples: int) -> tuple[Any, Any, Any]:
    """Parameters, inputs and targets, float32."""
    rng = np.random.default_rng(0)
    shapes = itertools.pairwise(sizes)
    params = [
        ((rng.normal(size=(m, n)) / np.sqrt(m)).astype(np.float32), np.zeros(n, np.float32))
        for m, n in shapes
    ]
    x = rng.normal(size=(examples, sizes[0])).astype(np.float32)
    return params, x, np.eye(sizes[-1], dtype=np.float32)[rng.integers(0, sizes[-1], examples)]


def functions(np: ModuleType, library: Any, maps: Any) -> dict[str, Callable[..., Any]]:
    """The three functions, in a library's own words; ``maps`` is its map over trees."""

    def loss(params: Any, x: Any, y: Any) -> Any:
        for w, b in params[:-1]:
            x = np.tanh(x @ w + b)
        w, b = params[-1]
        z = x @ w + b
        top = np.max(z, axis=-1, keepdims=True)
        total = np.log(np.sum(np.exp(z - top), axis=-1)) + top[..., 0]
        return np.sum(total - np.sum(y * z, axis=-1))

    gradient = library.grad(loss)
    each = library.vmap(gradient, (None, 0, 0))

    def norm(params: Any, x: Any, y: Any) -> Any:
        return np.sqrt(sum(np.sum(g**2) for pair in gradient(params, x, y) for g in pair))

    norms = library.vmap(norm, (None, 0, 0))
    return {name: library.jit(f) for name, f in ((SUM, gradient), (EACH, each), (NORMS, norms))}


def here(params: Any, x: Any, y: Any) -> Runs:
    fs = functions(np, cr, cr.tree.map)
    runs: Runs = {name: lambda f=f: f(params, x, y) for name, f in fs.items()}
    shapes = [(len(x), *leaf.shape) for leaf in cr.tree.leaves(params)]
    runs[WRITE] = lambda: [np.full(shape, 1, np.float32) for shape in shapes]
    return runs


def there(params: Any, x: Any, y: Any) -> Runs:
    import jax
    import jax.numpy as jnp

    fs = functions(jnp, jax, jax.tree.map)
    params, x, y = jax.tree.map(jnp.asarray, (params, x, y))
    return {
        f"JAX {name}": lambda f=f: jax.block_until_ready(f(params, x, y)) for name, f in fs.items()
    }


def agree(runs: Runs) -> None:
    """Both compute the same, or nothing is measured."""
    for name in (SUM, EACH, NORMS):
        if f"JAX {name}" in runs:
            pairs = zip(
                cr.tree.leaves(runs[name]()), cr.tree.leaves(runs[f"JAX {name}"]()), strict=True
            )
            for a, b in pairs:
                np.testing.assert_allclose(a, np.asarray(b), rtol=2e-4, atol=2e-5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    rows, results = [], {}
    for title, (sizes, examples) in NETWORKS.items():
        given = work(sizes, examples)
        runs = here(*given) | (there(*given) if installed("jax") else {})
        agree(runs)
        times = interleave(runs, options.rounds, calls_for(runs[EACH], 0.02))
        both = [a + b for a, b in zip(times[SUM], times[WRITE], strict=True)]
        found: dict[str, Any] = {
            "seconds": times,
            "per example / (summed + write)": ratio({**times, "both": both}, EACH, "both"),
            "norms / summed": ratio(times, NORMS, SUM),
        }
        for name in (SUM, EACH, NORMS):
            if f"JAX {name}" in times:
                found[f"JAX / here, {name}"] = ratio(times, f"JAX {name}", name)
        results[title] = found
        measured = [duration(median(times[k])) for k in (SUM, WRITE, EACH, NORMS)]
        rows.append([title, *measured, *(f"{v:.2f}" for k, v in found.items() if k != "seconds")])
    header = ["network", SUM, WRITE, EACH, NORMS, *[k for k in found if k != "seconds"]]
    table(header, rows)
    save("vmap", results)


if __name__ == "__main__":
    main()
