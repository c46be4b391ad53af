"""Parameters in a dict, rows are examples: ReLU, softmax, cross-entropy, L2."""

import numpy as np

rng = np.random.default_rng(0)
X = rng.normal(size=(6, 4))
y = np.array([0, 1, 2, 1, 0, 2])
lam = 0.1
params = {
    "W1": rng.normal(size=(4, 4)),
    "b1": np.zeros(4),
    "W2": rng.normal(size=(4, 3)),
    "b2": np.zeros(3),
}


def forward(params, X, y, lam):
    m = X.shape[0]
    z1 = X @ params["W1"] + params["b1"]
    a1 = np.maximum(0, z1)
    z2 = a1 @ params["W2"] + params["b2"]
    e = np.exp(z2 - z2.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    loss = -np.log(p[np.arange(m), y]).mean()
    loss = loss + lam / 2 * (np.sum(params["W1"] ** 2) + np.sum(params["W2"] ** 2))
    cache = (z1, a1, p)
    return loss, cache


def backward(params, cache, X, y, lam):
    m = X.shape[0]
    z1, a1, p = cache
    dz2 = p.copy()
    dz2[np.arange(m), y] -= 1
    dz2 /= m
    dW2 = a1.T @ dz2 + lam * params["W2"]
    db2 = dz2.sum(axis=0)
    da1 = dz2 @ params["W2"].T
    dz1 = da1 * (z1 > 0)
    dW1 = X.T @ dz1 + lam * params["W1"]
    db1 = dz1.sum(axis=0)
    return {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2}
