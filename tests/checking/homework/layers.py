"""One class a layer, each with forward and backward; squared error with 1/2."""

import numpy as np


class Linear:
    def __init__(self, n_in, n_out, seed):
        rng = np.random.default_rng(seed)
        self.W = rng.normal(size=(n_in, n_out))
        self.b = rng.normal(size=n_out)

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, dout):
        self.dW = self.x.T @ dout
        self.db = dout.sum(axis=0)
        return dout @ self.W.T


class ReLU:
    def forward(self, x):
        self.mask = x > 0
        return x * self.mask

    def backward(self, dout):
        return dout * self.mask


class Sigmoid:
    def forward(self, x):
        self.out = 1 / (1 + np.exp(-x))
        return self.out

    def backward(self, dout):
        return dout * self.out * (1 - self.out)


class Network:
    def __init__(self):
        self.layers = [Linear(3, 4, 5), ReLU(), Linear(4, 4, 6), Sigmoid(), Linear(4, 2, 7)]

    def forward(self, X, y):
        out = X
        for layer in self.layers:
            out = layer.forward(out)
        self.diff = out - y
        return np.sum(self.diff**2) / 2 / len(X)

    def backward(self):
        dout = self.diff / len(self.diff)
        for layer in reversed(self.layers):
            dout = layer.backward(dout)


def check_case():
    rng = np.random.default_rng(8)
    return {"model": Network(), "X": rng.normal(size=(5, 3)), "y": rng.normal(size=(5, 2))}
