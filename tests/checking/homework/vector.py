"""Flat functions of vectors: one hidden layer to one number, targets of shape (n,), Huber-free."""

import numpy as np

rng = np.random.default_rng(17)
X = rng.normal(size=(7, 3))
t = rng.normal(size=7)
V = rng.normal(size=(3, 4))
c = rng.normal(size=4)
w = rng.normal(size=4)
alpha = 0.2


def J(V, c, w, X, t, alpha):
    h = np.tanh(X @ V + c)
    y = h @ w
    r = y - t
    cost = np.mean(r**2) + alpha * np.sum(V**2)
    return cost, (h, r)


def dJ(V, c, w, X, t, alpha, cache):
    h, r = cache
    n = len(t)
    dy = 2 * r / n
    dw = h.T @ dy
    dh = np.outer(dy, w)
    dz = dh * (1 - h * h)
    dV = X.T @ dz + 2 * alpha * V
    dc = dz.sum(0)
    return dV, dc, dw
