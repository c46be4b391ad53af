"""A class whose backward pass updates the weights at once: logistic units, squared error."""

import numpy as np


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


class NeuralNetwork:
    def __init__(self, X, y):
        rng = np.random.default_rng(15)
        self.input = X
        self.y = y
        self.weights1 = rng.normal(size=(3, 4))
        self.weights2 = rng.normal(size=(4, 1))
        self.lr = 0.5

    def feedforward(self):
        self.layer1 = sigmoid(self.input @ self.weights1)
        self.output = sigmoid(self.layer1 @ self.weights2)
        return np.sum((self.y - self.output) ** 2)

    def backprop(self):
        delta2 = -2 * (self.y - self.output) * self.output * (1 - self.output)
        d_weights2 = self.layer1.T @ delta2
        delta1 = (delta2 @ self.weights2.T) * self.layer1 * (1 - self.layer1)
        d_weights1 = self.input.T @ delta1
        self.weights2 -= self.lr * d_weights2
        self.weights1 -= self.lr * d_weights1


def check_case():
    X = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1.0]])
    return {"model": NeuralNetwork(X, np.array([[0], [1], [1], [0.0]]))}
