import numpy as np


def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


ACTIVATIONS = {
    "tanh": (np.tanh, lambda z: 1.0 - np.tanh(z) ** 2),
    "elu": (lambda z: np.where(z > 0, z, np.exp(z) - 1), lambda z: np.where(z > 0, 1.0, np.exp(z))),
    "sigmoid": (sigmoid, lambda z: sigmoid(z) * (1 - sigmoid(z))),
}


class NeuralNetwork:
    def __init__(self, layer_dims=(3, 5, 4, 1), activations=("elu", "tanh", "sigmoid"), l2=0.2):
        generator = np.random.default_rng(21)
        self.activations = activations
        self.l2 = l2
        self.weights = []
        self.biases = []
        for fan_in, fan_out in zip(layer_dims, layer_dims[1:]):
            self.weights.append(generator.normal(size=(fan_out, fan_in)) * np.sqrt(1 / fan_in))
            self.biases.append(generator.normal(size=(fan_out, 1)) * 0.1)

    def forward(self, X):
        self.A = [X]
        self.Z = []
        for W, b, name in zip(self.weights, self.biases, self.activations):
            z = W @ self.A[-1] + b
            self.Z.append(z)
            self.A.append(ACTIVATIONS[name][0](z))
        return self.A[-1]

    def compute_loss(self, y_hat, y):
        m = y.shape[1]
        p = np.clip(y_hat, 1e-8, 1 - 1e-8)
        cross_entropy = -(y * np.log(p) + (1 - y) * np.log(1 - p)).sum() / m
        return cross_entropy + self.l2 / (2 * m) * sum((W**2).sum() for W in self.weights)

    def backward(self, y):
        m = y.shape[1]
        last = len(self.weights) - 1
        grad_weights = [None] * (last + 1)
        grad_biases = [None] * (last + 1)
        dA = -(y / self.A[-1]) + (1 - y) / (1 - self.A[-1])
        for layer in range(last, -1, -1):
            slope = ACTIVATIONS[self.activations[layer]][1](self.Z[layer])
            dZ = dA * slope
            grad_weights[layer] = dZ @ self.A[layer].T / m
            grad_weights[layer] += self.l2 / m * self.weights[layer]
            grad_biases[layer] = dZ.sum(axis=1, keepdims=True) / m
            dA = self.weights[layer].T @ dZ
        return grad_weights, grad_biases


net = NeuralNetwork()
rng = np.random.default_rng(2)
X = rng.normal(size=(3, 8))
y = (rng.random(size=(1, 8)) < 0.5) * 1.0
