import numpy as np


class Tensor:
    def __init__(self, data, parents=()):
        self.data = np.asarray(data, dtype=float)
        self.grad = np.zeros_like(self.data)
        self._backward = lambda: None
        self._parents = parents

    def __matmul__(self, other):
        out = Tensor(self.data @ other.data, (self, other))

        def _backward():
            self.grad += out.grad @ other.data.T
            other.grad += self.data.T @ out.grad

        out._backward = _backward
        return out

    def __add__(self, other):
        out = Tensor(self.data + other.data, (self, other))

        def _backward():
            self.grad += out.grad
            other.grad += out.grad.sum(axis=0)

        out._backward = _backward
        return out

    def tanh(self):
        t = np.tanh(self.data)
        out = Tensor(t, (self,))

        def _backward():
            self.grad += (1 - t**2) * out.grad

        out._backward = _backward
        return out

    def mse(self, target):
        diff = self.data - target
        out = Tensor((diff**2).mean(), (self,))

        def _backward():
            self.grad += 2 * diff / diff.size * out.grad

        out._backward = _backward
        return out

    def backward(self):
        order, seen = [], set()

        def visit(node):
            if node not in seen:
                seen.add(node)
                for parent in node._parents:
                    visit(parent)
                order.append(node)

        visit(self)
        self.grad = np.ones_like(self.data)
        for node in reversed(order):
            node._backward()


rng = np.random.default_rng(2)
X = rng.normal(size=(5, 3))
Y = rng.normal(size=(5, 2))
W1, b1 = rng.normal(size=(3, 4)), rng.normal(size=4)
W2, b2 = rng.normal(size=(4, 2)), rng.normal(size=2)


def loss_and_grads(W1, b1, W2, b2, X, Y):
    w1, c1, w2, c2 = Tensor(W1), Tensor(b1), Tensor(W2), Tensor(b2)
    hidden = (Tensor(X) @ w1 + c1).tanh()
    loss = (hidden @ w2 + c2).mse(Y)
    loss.backward()
    return float(loss.data), {"W1": w1.grad, "b1": c1.grad, "W2": w2.grad, "b2": c2.grad}
