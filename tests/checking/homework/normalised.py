"""Batch normalisation by hand between two layers, dropout by a given mask."""

import numpy as np

rng = np.random.default_rng(16)
X = rng.normal(size=(6, 3))
y = rng.normal(size=(6, 2))
mask = (rng.random((6, 4)) < 0.75) / 0.75
params = dict(W1=rng.normal(size=(3, 4)), gamma=rng.normal(size=4) + 1, beta=rng.normal(size=4))
params["W2"] = rng.normal(size=(4, 2))


def forward_pass(params, X, y, mask):
    h = X @ params["W1"]
    mu = h.mean(axis=0)
    var = h.var(axis=0)
    inv = 1 / np.sqrt(var + 1e-5)
    xhat = (h - mu) * inv
    g = params["gamma"] * xhat + params["beta"]
    a = np.maximum(g, 0) * mask
    out = a @ params["W2"]
    loss = ((out - y) ** 2).sum() / len(X)
    return loss, (xhat, inv, g, a, out)


def backward_pass(params, cache, X, y, mask):
    xhat, inv, g, a, out = cache
    n = len(X)
    dout = 2 * (out - y) / n
    dW2 = a.T @ dout
    da = dout @ params["W2"].T
    dg = da * mask * (g > 0)
    dgamma = (dg * xhat).sum(axis=0)
    dbeta = dg.sum(axis=0)
    dxhat = dg * params["gamma"]
    dh = inv / n * (n * dxhat - dxhat.sum(axis=0) - xhat * (dxhat * xhat).sum(axis=0))
    dW1 = X.T @ dh
    return {"dW1": dW1, "dgamma": dgamma, "dbeta": dbeta, "dW2": dW2}
