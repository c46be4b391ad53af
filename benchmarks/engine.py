"""``python -m benchmarks.engine``: gradients here, eager and jit, and with HIPS autograd.

The cheap-gradient ratio is the time of value and gradient over that of the function alone in
plain NumPy: the theory of reverse mode promises a small constant, whatever the number of inputs.
"""

import argparse
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
from scipy.special import logsumexp as scipy_logsumexp

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

PLAIN, EAGER, JIT, THERE = "function alone", "grad", "jit(grad)", "autograd"
Case = tuple[Callable[[ModuleType, Callable[..., Any], Any], Any], Any]


def lecture(np: ModuleType, logsumexp: Callable[..., Any], x: Any) -> Any:
    return np.cos(np.sin(x**2) + 3 * x**2)


def scalar_chain(np: ModuleType, logsumexp: Callable[..., Any], x: Any) -> Any:
    """1,000 operations on single numbers."""
    y = x
    for _ in range(250):
        y = np.sin(y) * x + np.cos(y)
    return y


def log_sum_exp(np: ModuleType, logsumexp: Callable[..., Any], x: Any) -> Any:
    return logsumexp(x)


def rosenbrock(np: ModuleType, logsumexp: Callable[..., Any], x: Any) -> Any:
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


CASES: dict[str, Case] = {
    "J = cos(sin(x^2) + 3 x^2)": (lecture, 1.0),
    "1,000 scalar operations": (scalar_chain, 0.3),
    "logsumexp of 1e6": (log_sum_exp, np.random.default_rng(0).normal(size=1_000_000)),
    "Rosenbrock, 10,000 variables": (rosenbrock, np.random.default_rng(1).normal(size=10_000)),
}


def contestants(f: Callable[..., Any], x: Any) -> dict[str, Callable[[], Any]]:
    import chainrule as cr

    def here(x: Any) -> Any:
        return f(np, cr.nn.logsumexp, x)

    both = cr.value_and_grad(here)
    fast = cr.jit(both)
    found: dict[str, Callable[[], Any]] = {
        PLAIN: lambda: f(np, scipy_logsumexp, x),
        EAGER: lambda: both(x),
        JIT: lambda: fast(x),
    }
    if installed("autograd"):
        import autograd.numpy as anp
        from autograd import value_and_grad
        from autograd.scipy.special import logsumexp

        there = value_and_grad(lambda x: f(anp, logsumexp, x))
        found[THERE] = lambda: there(x)
    return found


def agree(runs: dict[str, Callable[[], Any]]) -> None:
    """All contestants compute the same, or nothing is measured."""
    value, gradient = runs[EAGER]()
    np.testing.assert_allclose(runs[PLAIN](), value, rtol=1e-10)
    for name in set(runs) - {PLAIN, EAGER}:
        other, other_gradient = runs[name]()
        np.testing.assert_allclose(other, value, rtol=1e-10)
        np.testing.assert_allclose(other_gradient, gradient, rtol=1e-8, atol=1e-12)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    if not installed("autograd"):
        print("autograd is not installed (pip install autograd): nothing to compare with\n")
    rows, results = [], {}
    for name, (f, x) in CASES.items():
        runs = contestants(f, x)
        agree(runs)
        times = interleave(runs, options.rounds, calls_for(runs[EAGER]))
        found: dict[str, Any] = {"seconds": times}
        found["cheap_gradient"] = {k: ratio(times, k, PLAIN) for k in runs if k != PLAIN}
        if THERE in runs:
            found["ratios"] = {k: ratio(times, THERE, k) for k in (EAGER, JIT)}
        results[name] = found
        rows.append(
            [
                name,
                *(duration(median(times[k])) for k in runs),
                *(f"{value:.1f}" for value in found["cheap_gradient"].values()),
                *(f"{value:.2f}" for value in found.get("ratios", {}).values()),
            ]
        )
    runs_of = [k for k in (PLAIN, EAGER, JIT, THERE) if k in runs]
    cheap = [f"{k} / f" for k in runs_of if k != PLAIN]
    ratios = [f"{THERE} / {k}" for k in (EAGER, JIT)] if THERE in runs_of else []
    print("time per call of value and gradient; how many times the function alone (/ f);")
    print("and autograd over chainrule (above 1: chainrule is faster)\n")
    table(["function", *runs_of, *cheap, *ratios], rows)
    save("engine", results)


if __name__ == "__main__":
    main()
