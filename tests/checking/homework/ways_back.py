"""Layers as functions that return their value and the way back; examples are columns."""
import numpy as np


def dense(W, b, x):
    out = W @ x + b

    def back(dout):
        dW = dout @ x.T
        db = np.sum(dout, axis=1, keepdims=True)
        dx = W.T @ dout
        return dW, db, dx

    return out, back


def tanh(x):
    y = np.tanh(x)

    def back(dy):
        return dy * (1 - y**2)

    return y, back


def leaky(x, slope=0.1):
    positive = x > 0
    y = np.where(positive, x, slope * x)

    def back(dy):
        return np.where(positive, dy, slope * dy)

    return y, back


def dropout(x, mask, keep):
    def back(dy):
        return dy * mask / keep

    return x * mask / keep, back


def bce(logits, targets, eps=1e-7):
    p = 1 / (1 + np.exp(-logits))
    q = np.clip(p, eps, 1 - eps)
    m = targets.shape[1]
    value = -np.sum(targets * np.log(q) + (1 - targets) * np.log(1 - q)) / m

    def back():
        dq = -(targets / q - (1 - targets) / (1 - q)) / m
        return dq * p * (1 - p)

    return value, back


def loss_and_grads(params, X, Y, mask, keep, lam):
    W1, b1, W2, b2, W3, b3 = params
    m = X.shape[1]
    z1, dense1_back = dense(W1, b1, X)
    a1, tanh_back = tanh(z1)
    h1, drop_back = dropout(a1, mask, keep)
    z2, dense2_back = dense(W2, b2, h1)
    a2, leaky_back = leaky(z2)
    z3, dense3_back = dense(W3, b3, a2)
    value, loss_back = bce(z3, Y)
    value += lam / (2 * m) * (np.sum(W1**2) + np.sum(W2**2) + np.sum(W3**2))

    dz3 = loss_back()
    dW3, db3, da2 = dense3_back(dz3)
    dz2 = leaky_back(da2)
    dW2, db2, dh1 = dense2_back(dz2)
    da1 = drop_back(dh1)
    dz1 = tanh_back(da1)
    dW1, db1, _ = dense1_back(dz1)
    dW1 += lam / m * W1
    dW2 += lam / m * W2
    dW3 += lam / m * W3
    return value, [dW1, db1, dW2, db2, dW3, db3]


def check_case():
    rng = np.random.default_rng(11)
    sizes = [4, 6, 5, 1]
    params = []
    for n, k in zip(sizes[:-1], sizes[1:]):
        params += [rng.normal(0, 0.5, (k, n)), rng.normal(0, 0.1, (k, 1))]
    X = rng.normal(size=(4, 9))
    Y = (rng.random((1, 9)) > 0.5).astype(float)
    mask = (rng.random((6, 9)) < 0.8).astype(float)
    return {"params": params, "X": X, "Y": Y, "mask": mask, "keep": 0.8, "lam": 0.3}
