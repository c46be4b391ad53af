"""A gated recurrent unit that reads text letter by letter and says what comes next.

The cell of Cho et al., "Learning phrase representations using RNN encoder-decoder", 2014, in a
plain ``for`` loop over letters. The oracle: backpropagation through time written by hand.
"""

import time

import numpy as np

import chainrule as cr

TEXT = (
    "the chain rule says how the rate of a whole follows from the rates of its parts. each part "
    "knows its own slope and passes on what it was given times that slope. where paths meet, what "
    "they bring is added. that is all of backpropagation. "
)
LETTERS = sorted(set(TEXT))
CODE = np.array([LETTERS.index(letter) for letter in TEXT])
UNITS, TURNS, WIDTH, RATE, STEPS = 48, 30, 6, 0.5, 300


def initial(seed):
    rng = np.random.default_rng(seed)
    letters = len(LETTERS)

    def weights(rows, columns):
        return rng.normal(size=(rows, columns)) / np.sqrt(rows)

    return {
        "read": rng.normal(size=(letters, WIDTH)),
        "W": weights(WIDTH, 3 * UNITS),
        "U": weights(UNITS, 3 * UNITS),
        "b": np.zeros(3 * UNITS),
        "V": weights(UNITS, letters),
        "c": np.zeros(letters),
    }


def logistic(z):
    return 1 / (1 + np.exp(-z))


def cell(p, h, x):
    """The state after reading letters x, (rows,)."""
    a = p["read"][x] @ p["W"] + p["b"]
    gates = a[:, : 2 * UNITS] + h @ p["U"][:, : 2 * UNITS]
    update, reset = logistic(gates[:, :UNITS]), logistic(gates[:, UNITS:])
    new = np.tanh(a[:, 2 * UNITS :] + (reset * h) @ p["U"][:, 2 * UNITS :])
    return (1 - update) * h + update * new


def loss(p, letters):
    """The mean cross-entropy of each letter but the first, after those before it.
    letters: (rows, TURNS + 1)."""
    h = np.zeros((len(letters), UNITS))
    total = 0.0
    for t in range(TURNS):
        h = cell(p, h, letters[:, t])
        z = h @ p["V"] + p["c"]
        z = z - np.max(z, axis=1, keepdims=True)
        log = z - np.log(np.sum(np.exp(z), axis=1, keepdims=True))
        total = total - np.mean(np.take_along_axis(log, letters[:, t + 1, None], axis=1))
    return total / TURNS


def by_hand(p, letters):
    """The gradient by backpropagation through time, written out."""
    g = {name: np.zeros_like(part) for name, part in p.items()}
    rows, u = len(letters), UNITS
    h, kept = np.zeros((rows, u)), []
    for t in range(TURNS):
        x = p["read"][letters[:, t]]
        a = x @ p["W"] + p["b"]
        gates = logistic(a[:, : 2 * u] + h @ p["U"][:, : 2 * u])
        z, r = gates[:, :u], gates[:, u:]
        new = np.tanh(a[:, 2 * u :] + (r * h) @ p["U"][:, 2 * u :])
        after = (1 - z) * h + z * new
        out = np.exp(after @ p["V"] + p["c"])
        kept.append((x, h, z, r, new, after, out / out.sum(axis=1, keepdims=True)))
        h = after
    back = np.zeros((rows, u))
    for t in reversed(range(TURNS)):
        x, h, z, r, new, after, out = kept[t]
        d = out.copy()
        d[np.arange(rows), letters[:, t + 1]] -= 1
        d /= rows * TURNS
        g["V"] += after.T @ d
        g["c"] += d.sum(axis=0)
        back = back + d @ p["V"].T
        d_new = back * z * (1 - new**2)
        d_rh = d_new @ p["U"][:, 2 * u :].T
        d_a = np.hstack([back * (new - h) * z * (1 - z), d_rh * h * r * (1 - r), d_new])
        g["U"][:, : 2 * u] += h.T @ d_a[:, : 2 * u]
        g["U"][:, 2 * u :] += (r * h).T @ d_new
        g["W"] += x.T @ d_a
        g["b"] += d_a.sum(axis=0)
        np.add.at(g["read"], letters[:, t], d_a @ p["W"].T)
        back = back * (1 - z) + d_rh * r + d_a[:, : 2 * u] @ p["U"][:, : 2 * u].T
    return g


def batch(rng, rows=16):
    start = rng.integers(0, len(CODE) - TURNS, rows)
    return CODE[start[:, None] + np.arange(TURNS + 1)]


def main():
    rng, p = np.random.default_rng(0), initial(1)
    letters = batch(rng)
    gradient = cr.jit(cr.grad(loss))
    expected = by_hand(p, letters)
    for found in (cr.grad(loss)(p, letters), gradient(p, letters)):
        for name in p:
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-9, atol=1e-12)
    print("gradients equal backpropagation through time by hand")

    def timed(f):
        began = time.perf_counter()
        for _ in range(10):
            f(p, letters)
        return (time.perf_counter() - began) / 10

    print(f"{timed(gradient) * 1e3:.2f} ms; by hand in NumPy {timed(by_hand) * 1e3:.2f} ms")

    start = loss(p, letters)
    began = time.perf_counter()
    speed = {name: np.zeros_like(part) for name, part in p.items()}
    for _ in range(STEPS):
        g = gradient(p, batch(rng))
        length = np.sqrt(sum(np.sum(part**2) for part in g.values()))
        for name in p:
            speed[name] = 0.9 * speed[name] - RATE * g[name] / max(1.0, length)
            p[name] = p[name] + speed[name]
    took = time.perf_counter() - began
    end = loss(p, letters)
    print(f"{STEPS} steps in {took:.1f} s: {start:.2f} nats a letter, then {end:.2f}")
    assert end < 0.35 * start
    text, h = "the ", np.zeros((1, UNITS))
    for k in range(60):
        h = cell(p, h, np.array([LETTERS.index(text[k])]))
        if k + 1 == len(text):
            text += LETTERS[int(np.argmax(h @ p["V"] + p["c"]))]
    print(f"what it says after 'the ': {text!r}")


if __name__ == "__main__":
    main()
