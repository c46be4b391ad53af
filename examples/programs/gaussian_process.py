"""A Gaussian process by Cholesky: length, height and noise of a curve from some of its points.

The negative log marginal likelihood as in Rasmussen and Williams, *Gaussian Processes for Machine
Learning*, 2006, algorithm 2.1. The oracles: SciPy's density of a normal distribution, and the
gradient of their equation 5.9, which knows nothing of Cholesky.
"""

import time

import numpy as np
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

import chainrule as cr

POINTS = 60


def covariance(logs, a, b):
    """The squared-exponential kernel between points a and b."""
    length, height, _ = np.exp(logs)
    return height**2 * np.exp(-0.5 * ((a[:, None] - b[None, :]) / length) ** 2)


def likelihood(logs, x, y):
    K = covariance(logs, x, x) + np.exp(2 * logs[2]) * np.eye(len(x))
    L = np.linalg.cholesky(K)
    half = np.linalg.solve(L, y)
    return 0.5 * half @ half + np.sum(np.log(np.diag(L))) + len(x) / 2 * np.log(2 * np.pi)


def predicted(logs, x, y, new):
    """Mean and deviation at new points."""
    K = covariance(logs, x, x) + np.exp(2 * logs[2]) * np.eye(len(x))
    L = np.linalg.cholesky(K)
    half = np.linalg.solve(L, covariance(logs, x, new))
    mean = half.T @ np.linalg.solve(L, y)
    return mean, np.sqrt(np.exp(2 * logs[1]) - np.sum(half**2, axis=0))


def by_hand(logs, x, y):
    """Equation 5.9: half the trace of (K^-1 - a a') dK/dlog, with a = K^-1 y."""
    kernel, noise = covariance(logs, x, x), np.exp(2 * logs[2]) * np.eye(len(x))
    inverse = np.linalg.inv(kernel + noise)
    a = inverse @ y
    squares = ((x[:, None] - x[None, :]) / np.exp(logs[0])) ** 2
    slopes = kernel * squares, 2 * kernel, 2 * noise
    return [0.5 * np.sum((inverse - np.outer(a, a)) * slope) for slope in slopes]


def main():
    rng = np.random.default_rng(3)
    x = np.sort(rng.uniform(0, 10, POINTS))
    y = np.sin(x) + 0.5 * np.sin(2.3 * x) + 0.1 * rng.normal(size=POINTS)
    logs = np.log([0.7, 1.5, 0.3])
    K = covariance(logs, x, x) + np.exp(2 * logs[2]) * np.eye(POINTS)
    np.testing.assert_allclose(
        likelihood(logs, x, y), -multivariate_normal(cov=K).logpdf(y), rtol=1e-10
    )
    compiled = cr.jit(cr.value_and_grad(likelihood))
    for gradient in (cr.grad(likelihood)(logs, x, y), compiled(logs, x, y)[1]):
        np.testing.assert_allclose(gradient, by_hand(logs, x, y), rtol=1e-9)
    print("the likelihood equals SciPy's, the gradient that of equation 5.9")
    began = time.perf_counter()
    for _ in range(50):
        compiled(logs, x, y)
    took = (time.perf_counter() - began) / 50
    began = time.perf_counter()
    for _ in range(50):
        _ = likelihood(logs, x, y), by_hand(logs, x, y)
    alone = (time.perf_counter() - began) / 50
    print(f"{took * 1e6:.0f} us for both; written by hand in NumPy {alone * 1e6:.0f} us")
    found = minimize(compiled, logs, args=(x, y), jac=True, method="BFGS")
    length, height, noise = np.exp(found.x)
    print(f"length {length:.3f}, height {height:.3f}, noise {noise:.3f} in {found.nfev} gradients")
    assert abs(noise - 0.1) < 0.04
    new = np.linspace(0.5, 9.5, 19)
    mean, deviation = predicted(found.x, x, y, new)
    wrong = np.abs(mean - np.sin(new) - 0.5 * np.sin(2.3 * new))
    assert np.all(wrong < 4 * deviation + 0.05)
    slope = cr.jacobian(lambda new: predicted(found.x, x, y, new)[0])(new)
    off = np.diag(slope) - np.cos(new) - 1.15 * np.cos(2.3 * new)
    print(f"slopes of the curve between the points are off by {np.sqrt(np.mean(off**2)):.2f}")
    assert np.sqrt(np.mean(off**2)) < 0.3


if __name__ == "__main__":
    main()
