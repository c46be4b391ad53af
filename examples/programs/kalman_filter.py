"""A Kalman filter: what moves, how noisily it is measured, found from the measurements alone.

A body in the plane, whose position is measured every second; the negative log-likelihood of all
measurements (Durbin and Koopman, *Time Series Analysis by State Space Methods*, 2012, section 7.2)
as a plain loop over them. The oracles: all measurements are one draw from a normal distribution
whose logarithm SciPy has, and whose gradient is a trace of its covariance.
"""

import time

import numpy as np
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

import chainrule as cr

STEPS, EYE = 80, np.eye(4)
MOVE = EYE + np.eye(4, k=2)  # the position becomes what speed adds to it
SEEN = np.eye(2, 4)
PUSH = np.vstack([np.eye(2) / 2, np.eye(2)])  # what a push does to position and speed
TRUE = np.log([0.05, 0.4])  # the deviations of pushes and of measurements


def likelihood(logs, measured):
    """Minus the logarithm of the density of the measurements, (STEPS, 2)."""
    push, noise = np.exp(logs)
    pushes, noises = push**2 * PUSH @ PUSH.T, noise**2 * np.eye(2)
    state, spread = np.zeros(4), np.eye(4)
    total = 0.0
    for y in measured:
        surprise = y - SEEN @ state
        S = SEEN @ spread @ SEEN.T + noises
        gain = spread @ SEEN.T @ np.linalg.inv(S)
        total += 0.5 * (surprise @ np.linalg.solve(S, surprise) + np.linalg.slogdet(S)[1])
        state = MOVE @ (state + gain @ surprise)
        spread = MOVE @ (EYE - gain @ SEEN) @ spread @ MOVE.T + pushes
    return total + measured.size / 2 * np.log(2 * np.pi)


def at_once(logs, measured):
    """The same, and its gradient, from the covariance of all measurements."""
    push, noise = np.exp(logs)
    power = [np.linalg.matrix_power(MOVE, k) for k in range(STEPS)]
    starts = np.vstack([SEEN @ p for p in power])
    pushed = np.zeros((2 * STEPS, 2 * STEPS))
    for k in range(STEPS):
        for j in range(k):
            pushed[2 * k : 2 * k + 2, 2 * j : 2 * j + 2] = SEEN @ power[k - j - 1] @ PUSH
    parts = push**2 * pushed @ pushed.T, noise**2 * np.eye(2 * STEPS)
    covariance = starts @ starts.T + sum(parts)
    inverse = np.linalg.inv(covariance)
    a = inverse @ measured.ravel()
    slopes = [np.sum((inverse - np.outer(a, a)) * part) for part in parts]
    return -multivariate_normal(cov=covariance).logpdf(measured.ravel()), slopes


def draw(seed):
    rng = np.random.default_rng(seed)
    push, noise = np.exp(TRUE)
    state, found = rng.normal(size=4), []
    for _ in range(STEPS):
        found.append(SEEN @ state + noise * rng.normal(size=2))
        state = MOVE @ state + PUSH @ rng.normal(size=2) * push
    return np.array(found)


def main():
    measured, logs = draw(0), np.log([0.2, 0.2])
    value, slopes = at_once(logs, measured)
    np.testing.assert_allclose(likelihood(logs, measured), value, rtol=1e-10)
    compiled = cr.jit(cr.value_and_grad(likelihood))
    for gradient in (cr.grad(likelihood)(logs, measured), compiled(logs, measured)[1]):
        np.testing.assert_allclose(gradient, slopes, rtol=1e-8)
    print("likelihood and gradient equal those of one normal distribution of all measurements")
    began = time.perf_counter()
    for _ in range(50):
        compiled(logs, measured)
    took = (time.perf_counter() - began) / 50
    began = time.perf_counter()
    for _ in range(50):
        likelihood(logs, measured)
    alone = (time.perf_counter() - began) / 50
    print(f"{took * 1e6:.0f} us with the gradient; NumPy takes {alone * 1e6:.0f} us without it")
    found = minimize(compiled, logs, args=(measured,), jac=True, method="BFGS")
    print(f"deviations {np.exp(found.x)}, true {np.exp(TRUE)}, in {found.nfev} gradients")
    assert np.all(np.abs(found.x - TRUE) < 0.5)


if __name__ == "__main__":
    main()
