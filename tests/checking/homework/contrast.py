"""Two branches with the same weights and a squared distance against a margin (a siamese pair)."""

import numpy as np

rng = np.random.default_rng(121)
W1 = rng.normal(size=(4, 5))
b1 = rng.normal(size=5)
W2 = rng.normal(size=(5, 3))
xa = rng.normal(size=(6, 4))
xb = rng.normal(size=(6, 4))
same = np.array([1.0, 0.0, 1.0, 0.0, 1.0, 0.0])
margin = 30.0


def embed(x, W1, b1, W2):
    z = x @ W1 + b1
    a = np.tanh(z)
    return a @ W2, a


def loss_fn(W1, b1, W2, xa, xb, same):
    ea, _ = embed(xa, W1, b1, W2)
    eb, _ = embed(xb, W1, b1, W2)
    d2 = np.sum((ea - eb) ** 2, axis=1)
    hinge = np.maximum(0, margin - d2)
    return np.mean(same * d2 + (1 - same) * hinge)


def grad(W1, b1, W2, xa, xb, same):
    ea, aa = embed(xa, W1, b1, W2)
    eb, ab = embed(xb, W1, b1, W2)
    diff = ea - eb
    d2 = np.sum(diff**2, axis=1)
    dd2 = (same - (1 - same) * (d2 < margin)) / len(same)
    dea = 2 * diff * dd2[:, None]
    deb = -dea
    dW2 = aa.T @ dea + ab.T @ deb
    dza = (dea @ W2.T) * (1 - aa**2)
    dzb = (deb @ W2.T) * (1 - ab**2)
    dW1 = xa.T @ dza + xb.T @ dzb
    db1 = dza.sum(axis=0) + dzb.sum(axis=0)
    return dW1, db1, dW2
