"""Logistic regression in columns with one propagate function, then a gradient step in another."""

import numpy as np


def sigmoid(z):
    s = 1 / (1 + np.exp(-z))
    return s


def propagate(w, b, X, Y, lambd):
    m = X.shape[1]
    A = sigmoid(np.dot(w.T, X) + b)
    cost = -1 / m * np.sum(Y * np.log(A) + (1 - Y) * np.log(1 - A))
    cost = cost + lambd / (2 * m) * np.sum(np.square(w))
    dz = A - Y
    dw = 1 / m * np.dot(X, dz.T)
    dw = dw + lambd / m * w
    db = 1 / m * np.sum(dz)
    grads = {"dw": dw, "db": db}
    return grads, cost


def check_case():
    rng = np.random.default_rng(111)
    return {"w": rng.normal(size=(4, 1)), "b": 0.3, "X": rng.normal(size=(4, 9)),
            "Y": (rng.random((1, 9)) > 0.5).astype(float), "lambd": 0.6}
