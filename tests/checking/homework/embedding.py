"""Skip-gram with negative samples: rows of two tables, picked by index."""

import numpy as np

rng = np.random.default_rng(22)
center = np.array([0, 3, 1, 3, 2])
context = np.array([1, 0, 2, 2, 3])
negative = np.array([[2, 3], [1, 2], [0, 3], [1, 0], [0, 1]])
E_in = rng.normal(size=(4, 3))
E_out = rng.normal(size=(4, 3))


def sigma(z):
    return 1 / (1 + np.exp(-z))


def loss(E_in, E_out, center, context, negative):
    v, u, k = E_in[center], E_out[context], E_out[negative]
    near = sigma(np.sum(v * u, axis=1))
    far = sigma(-np.einsum("nd,nkd->nk", v, k))
    cost = -np.mean(np.log(near) + np.sum(np.log(far), axis=1))
    return cost, (v, u, k, near, far)


def grad(E_in, E_out, center, context, negative, cache):
    v, u, k, near, far = cache
    n = len(center)
    g_near = (near - 1) / n
    g_far = (1 - far) / n
    dv = g_near[:, None] * u + np.einsum("nk,nkd->nd", g_far, k)
    du = g_near[:, None] * v
    dk = g_far[:, :, None] * v[:, None, :]
    dE_in = np.zeros_like(E_in)
    dE_out = np.zeros_like(E_out)
    np.add.at(dE_in, center, dv)
    np.add.at(dE_out, context, du)
    np.add.at(dE_out, negative, dk)
    return dE_in, dE_out
