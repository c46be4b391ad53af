"""A list of small objects with forward and backward, params and grads: linear, relu, dropout, mean square."""

import numpy as np


class Linear:
    def __init__(self, rng, i, o):
        self.params = {"W": rng.normal(size=(i, o)), "b": rng.normal(size=(1, o))}
        self.grads = {}

    def forward(self, a):
        self.a = a
        return a @ self.params["W"] + self.params["b"]

    def backward(self, upstream):
        self.grads["W"] = self.a.T @ upstream
        self.grads["b"] = upstream.sum(axis=0, keepdims=True)
        return upstream @ self.params["W"].T


class ReLU:
    def forward(self, a):
        self.positive = a > 0
        return a * self.positive

    def backward(self, upstream):
        return upstream * self.positive


class Dropout:
    def __init__(self, rng, shape, p):
        self.p = p
        self.kept = rng.random(shape) > p

    def forward(self, a):
        return a * self.kept / (1 - self.p)

    def backward(self, upstream):
        return upstream * self.kept / (1 - self.p)


class MSE:
    def forward(self, out, y):
        self.out, self.y = out, y
        return np.mean((out - y) ** 2)

    def backward(self):
        return 2 * (self.out - self.y) / self.out.size


class Sequential:
    def __init__(self):
        rng = np.random.default_rng(101)
        self.modules = [Linear(rng, 4, 6), ReLU(), Dropout(rng, (7, 6), 0.3), Linear(rng, 6, 3)]
        self.criterion = MSE()

    def forward(self, x, y):
        for module in self.modules:
            x = module.forward(x)
        return self.criterion.forward(x, y)

    def backward(self):
        g = self.criterion.backward()
        for module in self.modules[::-1]:
            g = module.backward(g)


def check_case():
    rng = np.random.default_rng(102)
    return {"model": Sequential(), "x": rng.normal(size=(7, 4)), "y": rng.normal(size=(7, 3))}
