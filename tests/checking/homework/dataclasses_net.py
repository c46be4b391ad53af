from dataclasses import dataclass, field

import numpy as np

rng = np.random.default_rng(11)


@dataclass
class Linear:
    weight: np.ndarray
    bias: np.ndarray
    grad_weight: np.ndarray = None
    grad_bias: np.ndarray = None
    saved: np.ndarray = None

    def forward(self, inputs):
        self.saved = inputs
        return inputs @ self.weight.T + self.bias

    def backward(self, grad):
        self.grad_weight = grad.T @ self.saved
        self.grad_bias = grad.sum(axis=0)
        return grad @ self.weight


@dataclass
class LeakyRelu:
    slope: float = 0.1
    saved: np.ndarray = None

    def forward(self, inputs):
        self.saved = inputs
        return np.where(inputs > 0, inputs, self.slope * inputs)

    def backward(self, grad):
        return np.where(self.saved > 0, grad, self.slope * grad)


@dataclass
class Net:
    layers: list = field(default_factory=list)

    def forward(self, inputs):
        for layer in self.layers:
            inputs = layer.forward(inputs)
        return inputs

    def loss(self, x, y):
        scores = self.forward(x)
        self.residual = scores - y
        return np.mean(np.sum(self.residual**2, axis=1))

    def backward(self):
        grad = 2 * self.residual / len(self.residual)
        for layer in reversed(self.layers):
            grad = layer.backward(grad)
        return grad


net = Net([
    Linear(rng.normal(size=(4, 3)), rng.normal(size=4)),
    LeakyRelu(),
    Linear(rng.normal(size=(2, 4)), rng.normal(size=2)),
])
x = rng.normal(size=(6, 3))
y = rng.normal(size=(6, 2))
