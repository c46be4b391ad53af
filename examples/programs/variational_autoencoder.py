"""Training steps of a variational autoencoder, written in NumPy (Kingma and Welling, 2014).

The noise is an argument, so each step draws anew. The oracles: the same gradient by hand, and
central differences along a direction.
"""

import time

import numpy as np

import chainrule as cr

ROWS, PIXELS, HIDDEN, CODE, RATE, STEPS = 64, 64, 48, 4, 0.003, 300


def pictures(rng):
    """8×8 pictures of one bright bar each, lying or standing, (ROWS, PIXELS)."""
    found = np.zeros((ROWS, 8, 8))
    for picture, place, lies in zip(
        found, rng.integers(0, 8, ROWS), rng.integers(0, 2, ROWS), strict=True
    ):
        if lies:
            picture[place] = 1
        else:
            picture[:, place] = 1
    return found.reshape(ROWS, PIXELS)


def initial(rng):
    shapes = {
        "A": (PIXELS, HIDDEN),
        "B": (HIDDEN, 2 * CODE),
        "C": (CODE, HIDDEN),
        "D": (HIDDEN, PIXELS),
    }
    p = {name: rng.normal(size=s) / np.sqrt(s[0]) for name, s in shapes.items()}
    return p | {name.lower(): np.zeros(s[1]) for name, s in shapes.items()}


def loss(p, x, noise):
    """Minus the evidence lower bound of x, (ROWS, PIXELS); noise: (ROWS, CODE)."""
    both = np.tanh(x @ p["A"] + p["a"]) @ p["B"] + p["b"]
    mean, log = both[:, :CODE], both[:, CODE:]
    code = mean + np.exp(log / 2) * noise
    z = np.tanh(code @ p["C"] + p["c"]) @ p["D"] + p["d"]
    missing = np.sum(np.log(1 + np.exp(z)) - x * z, axis=1)
    far = -0.5 * np.sum(1 + log - mean**2 - np.exp(log), axis=1)
    return np.mean(missing + far)


def by_hand(p, x, noise):
    """The gradient, written out."""
    h = np.tanh(x @ p["A"] + p["a"])
    both = h @ p["B"] + p["b"]
    mean, log = both[:, :CODE], both[:, CODE:]
    deviation = np.exp(log / 2)
    code = mean + deviation * noise
    k = np.tanh(code @ p["C"] + p["c"])
    z = k @ p["D"] + p["d"]
    d_z = (1 / (1 + np.exp(-z)) - x) / len(x)
    d_k = d_z @ p["D"].T * (1 - k**2)
    d_code = d_k @ p["C"].T
    d_log = d_code * noise * deviation / 2 + 0.5 * (np.exp(log) - 1) / len(x)
    d_both = np.hstack([d_code + mean / len(x), d_log])
    d_h = d_both @ p["B"].T * (1 - h**2)
    pairs = {"A": (x, d_h), "B": (h, d_both), "C": (code, d_k), "D": (k, d_z)}
    g = {name: inputs.T @ d for name, (inputs, d) in pairs.items()}
    return g | {name.lower(): d.sum(axis=0) for name, (_, d) in pairs.items()}


@cr.jit
def step(p, speed, x, noise):
    """One step of RMSProp."""
    value, g = cr.value_and_grad(loss)(p, x, noise)
    speed = {name: 0.99 * speed[name] + 0.01 * g[name] ** 2 for name in p}
    p = {name: p[name] - RATE * g[name] / (np.sqrt(speed[name]) + 1e-8) for name in p}
    return p, speed, value


def timed(f, *args, times=50):
    f(*args)
    began = time.perf_counter()
    for _ in range(times):
        f(*args)
    return (time.perf_counter() - began) / times


def main():
    rng = np.random.default_rng(0)
    p, x, noise = initial(rng), pictures(rng), rng.normal(size=(ROWS, CODE))
    compiled, expected = cr.jit(cr.grad(loss)), by_hand(p, x, noise)
    for found in (cr.grad(loss)(p, x, noise), compiled(p, x, noise)):
        for name in p:
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-10, atol=1e-13)
    direction = {name: rng.normal(size=part.shape) for name, part in p.items()}

    def along(h):
        return loss({name: p[name] + h * direction[name] for name in p}, x, noise)

    slope = sum(np.sum(expected[name] * direction[name]) for name in p)
    np.testing.assert_allclose(slope, (along(1e-6) - along(-1e-6)) / 2e-6, rtol=1e-6)
    print("the gradient equals that by hand, and its slope along a line central differences")
    ours, hand = timed(compiled, p, x, noise), timed(by_hand, p, x, noise)
    print(f"{ours * 1e6:.0f} us; by hand in NumPy {hand * 1e6:.0f} us")
    speed = {name: np.zeros_like(part) for name, part in p.items()}
    first = loss(p, x, noise)
    for k in range(STEPS + 1):
        p, speed, value = step(p, speed, pictures(rng), rng.normal(size=(ROWS, CODE)))
        if k % 100 == 0:
            print(f"step {k:3}: {value:.2f} nats a picture")
    assert value < 0.45 * first


if __name__ == "__main__":
    main()
