"""Bodies that pull each other: forces from the energy, and a flight that loses nothing.

The energy is written as in a textbook; ``cr.grad`` gives the forces, and the step of Störmer and
Verlet keeps energy and momentum. The oracles: Newton's law of gravitation, the two quantities that
nature keeps, and, of the derivative of the whole flight, that a flow of Hamilton's is symplectic.
"""

import time

import numpy as np

import chainrule as cr

BODIES, STEPS, DT, SOFT = 8, 400, 0.002, 0.05


def potential(x, m):
    """The energy of position of bodies at x, (BODIES, 3), of masses m."""
    i, j = np.triu_indices(len(m), 1)
    apart = np.sqrt(np.sum((x[i] - x[j]) ** 2, axis=1) + SOFT**2)
    return -np.sum(m[i] * m[j] / apart)


def energy(x, v, m):
    return potential(x, m) + 0.5 * np.sum(m[:, None] * v**2)


def newton(x, m):
    """The force on each body, by the law."""
    apart = x[None, :] - x[:, None]
    cubes = (np.sum(apart**2, axis=2) + SOFT**2) ** 1.5
    return np.sum(m[:, None, None] * m[None, :, None] * apart / cubes[:, :, None], axis=1)


def flight(x, v, m, steps=STEPS):
    """Positions and speeds after all steps."""
    m = m[:, None]
    push = -cr.grad(potential)(x, m[:, 0]) / m
    for _ in range(steps):
        v = v + DT / 2 * push
        x = x + DT * v
        push = -cr.grad(potential)(x, m[:, 0]) / m
        v = v + DT / 2 * push
    return x, v


def main():
    rng = np.random.default_rng(4)
    x, v = rng.normal(size=(2, BODIES, 3))
    m = rng.uniform(0.5, 1.5, BODIES)
    force = cr.jit(cr.grad(potential))
    for found in (cr.grad(potential)(x, m), force(x, m)):
        np.testing.assert_allclose(-found, newton(x, m), rtol=1e-11)
    print("the gradient of the energy is Newton's law")
    began = time.perf_counter()
    fly = cr.jit(flight)
    x1, v1 = fly(x, v, m)
    first = time.perf_counter() - began
    began = time.perf_counter()
    for _ in range(20):
        fly(x, v, m)
    took = (time.perf_counter() - began) / 20
    print(f"{STEPS} steps in a plain loop: {first:.1f} s the first time, then {took * 1e3:.2f} ms")
    before, after = energy(x, v, m), energy(x1, v1, m)
    print(f"energy {before:.6f} before, {after:.6f} after")
    assert abs(after - before) < 1e-3 * abs(before)
    np.testing.assert_allclose(m @ v1, m @ v, rtol=1e-9)

    def end(z):
        """From positions and momenta to those after the flight, all in one."""
        x, p = z.reshape(2, BODIES, 3)
        x, v = flight(x, p / m[:, None], m, 40)
        return np.concatenate([x.ravel(), (m[:, None] * v).ravel()])

    z = np.concatenate([x.ravel(), (m[:, None] * v).ravel()])
    M = cr.jit(cr.jacobian(end))(z)
    n = len(z) // 2
    J = np.block([[np.zeros((n, n)), np.eye(n)], [-np.eye(n), np.zeros((n, n))]])
    np.testing.assert_allclose(M.T @ J @ M, J, atol=1e-9)
    print("the derivative of the flight is symplectic")


if __name__ == "__main__":
    main()
