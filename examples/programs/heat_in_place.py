"""Heat along a rod by finite differences in place, and the conductivity found from what it left.

``u[1:-1] = u[1:-1] + k*(u[2:] - 2*u[1:-1] + u[:-2])`` writes into the array that it reads, as in
every course. The derivative by ``k`` is checked against a complex step of the same code.
"""

import time

import numpy as np

import chainrule as cr

POINTS, STEPS = 50, 200


def rod(k, start):
    """The temperatures after all steps; the ends are held at 0."""
    u = start + 0 * k
    u[0] = u[-1] = 0.0
    for _ in range(STEPS):
        u[1:-1] = u[1:-1] + k * (u[2:] - 2 * u[1:-1] + u[:-2])
    return u


def error(k, start, measured):
    return np.sum((rod(k, start) - measured) ** 2)


def main():
    x = np.linspace(0, 1, POINTS)
    start = np.sin(np.pi * x) + 0.5 * np.sin(3 * np.pi * x)
    measured = rod(0.4, start.copy())
    gradient = cr.grad(error)(0.25, start, measured)
    exact = np.sum((rod(0.25 + 1e-30j, start) - measured) ** 2).imag / 1e-30
    assert abs(gradient - exact) <= 1e-9 * abs(exact), (gradient, exact)
    print(f"dE/dk = {gradient:.6f}, by a complex step {exact:.6f}")
    both = cr.jit(lambda k: cr.jvp(lambda k: rod(k, start), (k,), (1.0,)))
    k, began = 0.25, time.perf_counter()
    for _ in range(6):  # Gauss and Newton
        u, du = both(k)
        k = k + np.sum(du * (measured - u)) / np.sum(du * du)
    took = (time.perf_counter() - began) / 6
    print(f"k = {k:.10f} after 6 steps of {took * 1e3:.1f} ms, the first with compiling")
    assert abs(k - 0.4) < 1e-8


if __name__ == "__main__":
    main()
