"""One step of an LSTM: four gates, the cell's two uses, a squared error."""

import numpy as np

rng = np.random.default_rng(26)
x, h0, c0 = rng.normal(size=(4, 3)), rng.normal(size=(4, 2)), rng.normal(size=(4, 2))
t = rng.normal(size=(4, 2))
Wi, Wf, Wo, Wg = (rng.normal(size=(5, 2)) for _ in range(4))


def sig(v):
    return 1 / (1 + np.exp(-v))


def forward(Wi, Wf, Wo, Wg, x, h0, c0, t):
    v = np.concatenate([x, h0], axis=1)
    i, f, o = sig(v @ Wi), sig(v @ Wf), sig(v @ Wo)
    g = np.tanh(v @ Wg)
    c = f * c0 + i * g
    s = np.tanh(c)
    h = o * s
    loss = 0.5 * np.sum((h - t) ** 2) + 0.5 * np.sum(c**2)
    return loss, (v, i, f, o, g, c, s, h)


def backward(Wi, Wf, Wo, Wg, c0, t, cache):
    v, i, f, o, g, c, s, h = cache
    dh = h - t
    do = dh * s
    dc = dh * o * (1 - s**2) + c
    di = dc * g
    df = dc * c0
    dg = dc * i
    dWi = v.T @ (di * i * (1 - i))
    dWf = v.T @ (df * f * (1 - f))
    dWo = v.T @ (do * o * (1 - o))
    dWg = v.T @ (dg * (1 - g**2))
    return dWi, dWf, dWo, dWg
