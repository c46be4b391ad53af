"""One-dimensional convolution by einsum over windows, mean pooling, softmax: everything in one method."""

import numpy as np


class TextCNN:
    def __init__(self):
        r = np.random.RandomState(131)
        self.F = r.randn(3, 2, 4)
        self.c = r.randn(4)
        self.V = r.randn(4, 3)
        self.d = r.randn(3)

    def loss(self, X, labels):
        N, T, _ = X.shape
        k = self.F.shape[0]
        windows = np.stack([X[:, t : t + k] for t in range(T - k + 1)], axis=1)
        pre = np.einsum("ntkc,kcf->ntf", windows, self.F) + self.c
        act = np.maximum(pre, 0)
        pooled = act.mean(axis=1)
        logits = pooled @ self.V + self.d
        logits = logits - logits.max(axis=1, keepdims=True)
        probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        loss = -np.log(probs[np.arange(N), labels]).mean()
        dlogits = probs.copy()
        dlogits[np.arange(N), labels] -= 1
        dlogits /= N
        grads = {}
        grads["V"] = pooled.T @ dlogits
        grads["d"] = dlogits.sum(axis=0)
        dpooled = dlogits @ self.V.T
        dact = np.repeat(dpooled[:, None, :], act.shape[1], axis=1) / act.shape[1]
        dpre = dact * (pre > 0)
        grads["F"] = np.einsum("ntkc,ntf->kcf", windows, dpre)
        grads["c"] = dpre.sum(axis=(0, 1))
        return loss, grads


def check_case():
    r = np.random.RandomState(132)
    return {"model": TextCNN(), "X": r.randn(5, 6, 2), "labels": r.randint(0, 3, 5)}
