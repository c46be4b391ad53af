"""A small copy of PyTorch's modules in NumPy: regression with two hidden layers."""
import numpy as np

rng = np.random.default_rng(4)


class Parameter:
    def __init__(self, data):
        self.data = data
        self.grad = np.zeros_like(data)


class Module:
    def parameters(self):
        return []

    def __call__(self, x):
        return self.forward(x)


class Linear(Module):
    def __init__(self, n_in, n_out):
        self.weight = Parameter(rng.normal(0, 1 / np.sqrt(n_in), (n_out, n_in)))
        self.bias = Parameter(rng.normal(0, 0.1, n_out))

    def parameters(self):
        return [self.weight, self.bias]

    def forward(self, x):
        self.input = x
        return x @ self.weight.data.T + self.bias.data

    def backward(self, grad_output):
        self.weight.grad += grad_output.T @ self.input
        self.bias.grad += grad_output.sum(axis=0)
        return grad_output @ self.weight.data


class LeakyReLU(Module):
    def __init__(self, negative_slope=0.05):
        self.negative_slope = negative_slope

    def forward(self, x):
        self.input = x
        return np.where(x > 0, x, self.negative_slope * x)

    def backward(self, grad_output):
        return grad_output * np.where(self.input > 0, 1.0, self.negative_slope)


class Softplus(Module):
    def forward(self, x):
        self.input = x
        return np.log1p(np.exp(x))

    def backward(self, grad_output):
        return grad_output / (1.0 + np.exp(-self.input))


class HalfMSELoss(Module):
    def forward(self, prediction, target):
        self.error = prediction - target
        return np.sum(self.error**2) / (2 * len(target))

    __call__ = forward

    def backward(self):
        return self.error / len(self.error)


class Sequential(Module):
    def __init__(self, *modules):
        self.modules = list(modules)

    def parameters(self):
        return [p for m in self.modules for p in m.parameters()]

    def forward(self, x):
        for module in self.modules:
            x = module(x)
        return x

    def backward(self, grad_output):
        for module in reversed(self.modules):
            grad_output = module.backward(grad_output)
        return grad_output


model = Sequential(Linear(3, 5), LeakyReLU(), Linear(5, 4), Softplus(), Linear(4, 2))
criterion = HalfMSELoss()
X = rng.normal(size=(7, 3))
y = rng.normal(size=(7, 2))
weight_decay = 0.01


def compute_loss(model, X, y):
    penalty = 0.5 * weight_decay * sum(np.sum(p.data**2) for p in model.parameters() if p.data.ndim == 2)
    return criterion(model(X), y) + penalty


def backward(model):
    for p in model.parameters():
        p.grad = np.zeros_like(p.data)
    model.backward(criterion.backward())
    for p in model.parameters():
        if p.data.ndim == 2:
            p.grad += weight_decay * p.data
    return [p.grad for p in model.parameters()]
