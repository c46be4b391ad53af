"""Foxes and hares: the rates of Lotka and Volterra's equations found from counts over time.

Runge and Kutta's method of fourth order, 5,000 steps in a plain ``for`` loop. ``jit`` notices that
its turns are equal and makes one loop of machine code of them, and so is the derivative. SciPy's
own solver and a complex step of the same code are the oracles. An argument: so many steps.
"""

import sys
import time

import numpy as np
from scipy.integrate import solve_ivp
from scipy.optimize import minimize

import chainrule as cr

STEPS, UNTIL = int(sys.argv[1]) if sys.argv[1:] else 5000, 20.0
EVERY = STEPS // 20
DT = UNTIL / STEPS
START = np.array([1.0, 0.5])  # thousands of hares, of foxes
TRUE = np.array([1.1, 0.4, 0.1, 0.4])
GUESS = np.array([1.0, 0.5, 0.12, 0.35])


def slope(y, rates):
    """How fast hares and foxes become more."""
    births, eaten, fed, deaths = rates
    hares, foxes = y
    return np.stack([births * hares - eaten * hares * foxes, fed * hares * foxes - deaths * foxes])


def orbit(rates, y, steps=STEPS):
    """The state after every step, (steps + 1, 2)."""
    states = [y]
    for _ in range(steps):
        k1 = slope(y, rates)
        k2 = slope(y + DT / 2 * k1, rates)
        k3 = slope(y + DT / 2 * k2, rates)
        k4 = slope(y + DT * k3, rates)
        y = y + DT / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        states.append(y)
    return np.stack(states)


def misfit(rates, counts):
    """The mean squared difference from counts, each ``EVERY`` steps after the last."""
    steps = EVERY * (len(counts) - 1)
    return np.mean((orbit(rates, START, steps)[::EVERY] - counts) ** 2)


def by_complex_steps(rates, counts):
    """The oracle: each rate moved along the imaginary axis, all of them at once."""
    moved = rates[:, None] + 1e-30j * np.eye(4)
    states = orbit(moved, START[:, None] + np.zeros(4), EVERY * (len(counts) - 1))[::EVERY]
    return np.mean((states - counts[:, :, None]) ** 2, axis=(0, 1)).imag / 1e-30


def main():
    times = np.linspace(0, UNTIL, STEPS + 1)[::EVERY]
    counts = solve_ivp(
        lambda t, y: slope(y, TRUE), (0, UNTIL), START, t_eval=times, rtol=1e-11, atol=1e-12
    ).y.T
    np.testing.assert_allclose(orbit(TRUE, START)[::EVERY], counts, rtol=1e-7)
    np.testing.assert_allclose(
        cr.grad(misfit)(GUESS, counts[:2]), by_complex_steps(GUESS, counts[:2]), rtol=1e-9
    )

    loss = cr.jit(cr.value_and_grad(misfit))
    began = time.perf_counter()
    _, gradient = loss(GUESS, counts)
    first = time.perf_counter() - began
    np.testing.assert_allclose(gradient, by_complex_steps(GUESS, counts), rtol=1e-9)
    print(f"{STEPS} steps: {first:.1f} s from the call to the gradient, the first time;")
    began = time.perf_counter()
    for _ in range(20):
        loss(GUESS, counts)
    again = (time.perf_counter() - began) / 20
    print(f"then {again * 1e3:.2f} ms. It equals complex steps of the same code")

    began = time.perf_counter()
    found = minimize(loss, GUESS, args=(counts,), jac=True, method="BFGS", options={"gtol": 1e-9})
    took = time.perf_counter() - began
    print(f"rates {np.round(found.x, 6)} after {found.nfev} gradients in {took:.2f} s")
    np.testing.assert_allclose(found.x, TRUE, rtol=1e-4)


if __name__ == "__main__":
    main()
