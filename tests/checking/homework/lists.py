"""Lists of weights and biases, a loop over the layers, one example at a time; quadratic cost."""

import numpy as np

rng = np.random.default_rng(10)
sizes = [3, 4, 4, 2]
weights = [rng.normal(size=(n, m)) for m, n in zip(sizes[:-1], sizes[1:])]
biases = [rng.normal(size=n) for n in sizes[1:]]
x = rng.normal(size=3)
t = np.array([0.0, 1.0])


def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


def sigmoid_prime(z):
    return sigmoid(z) * (1 - sigmoid(z))


def cost(weights, biases, x, t):
    a = x
    for w, b in zip(weights, biases):
        a = sigmoid(w @ a + b)
    return 0.5 * np.sum((a - t) ** 2)


def backprop(weights, biases, x, t):
    a, activations, zs = x, [x], []
    for w, b in zip(weights, biases):
        z = w @ a + b
        zs.append(z)
        a = sigmoid(z)
        activations.append(a)
    d_weights = [None] * len(weights)
    d_biases = [None] * len(biases)
    delta = (activations[-1] - t) * sigmoid_prime(zs[-1])
    d_biases[-1] = delta
    d_weights[-1] = np.outer(delta, activations[-2])
    for l in range(2, len(sizes)):
        delta = (weights[-l + 1].T @ delta) * sigmoid_prime(zs[-l])
        d_biases[-l] = delta
        d_weights[-l] = np.outer(delta, activations[-l - 1])
    return d_weights, d_biases
