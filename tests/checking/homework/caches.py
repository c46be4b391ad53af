"""A network of any depth: a dict of parameters and a list of caches."""
import numpy as np


class DeepNet:
    def __init__(self, dims, reg=0.1, slope=0.2, seed=0):
        rng = np.random.default_rng(seed)
        self.L = len(dims) - 1
        self.reg, self.slope = reg, slope
        self.params = {}
        for l in range(1, self.L + 1):
            self.params[f"W{l}"] = rng.standard_normal((dims[l - 1], dims[l])) * 0.5
            self.params[f"b{l}"] = rng.standard_normal(dims[l]) * 0.1
        self.masks = [(rng.random((6, dims[l])) < 0.7) / 0.7 for l in range(1, self.L)]

    def forward(self, X):
        self.caches = []
        h = X
        for l in range(1, self.L):
            W, b = self.params[f"W{l}"], self.params[f"b{l}"]
            z = h @ W + b
            a = np.maximum(z, self.slope * z)
            self.caches.append((h, W, z, self.masks[l - 1]))
            h = a * self.masks[l - 1]
        W, b = self.params[f"W{self.L}"], self.params[f"b{self.L}"]
        self.caches.append((h, W, None, None))
        return h @ W + b

    def loss(self, X, y):
        logits = self.forward(X)
        shifted = logits - logits.max(axis=1, keepdims=True)
        logp = shifted - np.log(np.sum(np.exp(shifted), axis=1, keepdims=True))
        self.probs = np.exp(logp)
        self.y = y
        data = -logp[np.arange(len(y)), y].mean()
        return data + 0.5 * self.reg * sum(
            np.sum(self.params[f"W{l}"] ** 2) for l in range(1, self.L + 1)
        )

    def backward(self):
        grads = {}
        n = self.probs.shape[0]
        dout = self.probs.copy()
        dout[np.arange(n), self.y] -= 1
        dout /= n
        for l in reversed(range(1, self.L + 1)):
            h, W, z, mask = self.caches[l - 1]
            if mask is not None:
                dout = dout * mask
                dout = dout * np.where(z > 0, 1.0, self.slope)
            grads[f"W{l}"] = h.T @ dout + self.reg * W
            grads[f"b{l}"] = dout.sum(axis=0)
            dout = dout @ W.T
        return grads


def check_case():
    rng = np.random.default_rng(5)
    model = DeepNet([4, 6, 5, 3])
    return {"model": model, "X": rng.standard_normal((6, 4)), "y": np.array([0, 2, 1, 1, 0, 2])}
