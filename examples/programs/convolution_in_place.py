"""A convolution written as loops that fill an array, and a filter found by descending its error.

``like=`` makes the array that is written into a traced one; everything else is the code of a first
course. NumPy's own ``np.convolve`` and central differences are the oracles.
"""

import time

import numpy as np

import chainrule as cr


def convolution(signal, kernel):
    """The full convolution, entry by entry."""
    out = np.zeros(len(signal) + len(kernel) - 1, like=kernel)
    for k in range(len(kernel)):
        out[k : k + len(signal)] += kernel[k] * signal
    return out


def convolution_2d(image, kernel):
    """The valid part of a convolution in two dimensions."""
    rows, columns = (n - m + 1 for n, m in zip(image.shape, kernel.shape, strict=True))
    out = np.zeros((rows, columns), like=kernel)
    for i in range(kernel.shape[0]):
        for j in range(kernel.shape[1]):
            out += kernel[-1 - i, -1 - j] * image[i : i + rows, j : j + columns]
    return out


def error(kernel, signal, wanted):
    return np.mean((convolution(signal, kernel) - wanted) ** 2)


def differences(f, x, h=1e-6):
    found = np.zeros_like(x)
    for k in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[k] = h
        found[k] = (f(x + step) - f(x - step)) / (2 * h)
    return found


def main():
    rng = np.random.default_rng(0)
    signal, true = rng.normal(size=200), np.array([0.2, 0.5, 0.2, -0.1])
    wanted = np.convolve(signal, true)
    kernel = np.zeros(4) + 0.1
    np.testing.assert_allclose(cr.jit(convolution)(signal, true), wanted, rtol=1e-12, atol=1e-12)
    gradient = cr.grad(error)(kernel, signal, wanted)
    compiled = cr.jit(cr.grad(error))
    np.testing.assert_allclose(compiled(kernel, signal, wanted), gradient, rtol=1e-12)
    expected = differences(lambda k: error(k, signal, wanted), kernel)
    np.testing.assert_allclose(gradient, expected, rtol=1e-6)
    image, square = rng.normal(size=(8, 9)), rng.normal(size=(3, 3))

    def energy(kernel):
        return np.sum(convolution_2d(image, kernel) ** 2)

    np.testing.assert_allclose(
        cr.grad(energy)(square), differences(energy, square), rtol=1e-6, atol=1e-6
    )
    print("values equal np.convolve, gradients equal central differences")
    start = time.perf_counter()
    for _ in range(200):
        kernel = kernel - 0.3 * compiled(kernel, signal, wanted)
    took = (time.perf_counter() - start) / 200
    print(f"{took * 1e6:.0f} microseconds a step; after 200: {np.round(kernel, 6)}")
    np.testing.assert_allclose(kernel, true, atol=1e-6)


if __name__ == "__main__":
    main()
