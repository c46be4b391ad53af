"""Graph convolution on small graphs, operations as classes with forward(ctx) and backward(ctx)."""

import numpy as np


class Context:
    def save_for_backward(self, *arrays):
        self.saved = arrays


class GraphConv:
    @staticmethod
    def forward(ctx, H, A, W, b):
        AH = A @ H
        ctx.save_for_backward(AH, A, W)
        return AH @ W + b

    @staticmethod
    def backward(ctx, grad_output):
        AH, A, W = ctx.saved
        grad_W = AH.T @ grad_output
        grad_b = grad_output.sum(0)
        grad_H = A.T @ (grad_output @ W.T)
        return grad_H, grad_W, grad_b


class GELU:
    @staticmethod
    def forward(ctx, z):
        u = 0.7978845608 * (z + 0.044715 * z**3)
        t = np.tanh(u)
        ctx.save_for_backward(z, t)
        return 0.5 * z * (1 + t)

    @staticmethod
    def backward(ctx, grad_output):
        z, t = ctx.saved
        du = 0.7978845608 * (1 + 3 * 0.044715 * z**2)
        return grad_output * (0.5 * (1 + t) + 0.5 * z * (1 - t**2) * du)


class LayerNorm:
    @staticmethod
    def forward(ctx, x, gamma, beta):
        mu = x.mean(-1, keepdims=True)
        rstd = 1 / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
        xhat = (x - mu) * rstd
        ctx.save_for_backward(xhat, rstd, gamma)
        return gamma * xhat + beta

    @staticmethod
    def backward(ctx, grad_output):
        xhat, rstd, gamma = ctx.saved
        grad_gamma = (grad_output * xhat).sum(0)
        grad_beta = grad_output.sum(0)
        g = grad_output * gamma
        grad_x = g - g.mean(-1, keepdims=True)
        grad_x = grad_x - xhat * (g * xhat).mean(-1, keepdims=True)
        return grad_x * rstd, grad_gamma, grad_beta


class CrossEntropy:
    @staticmethod
    def forward(ctx, logits, labels):
        logits = logits - logits.max(1, keepdims=True)
        logp = logits - np.log(np.exp(logits).sum(1, keepdims=True))
        ctx.save_for_backward(logp, labels)
        return -logp[np.arange(len(labels)), labels].mean()

    @staticmethod
    def backward(ctx):
        logp, labels = ctx.saved
        n = len(labels)
        grad = np.exp(logp)
        grad[np.arange(n), labels] -= 1
        return grad / n


def forward(params, A, X, labels, decay):
    ctxs = [Context() for _ in range(5)]
    h = GraphConv.forward(ctxs[0], X, A, params["W1"], params["b1"])
    h = LayerNorm.forward(ctxs[1], h, params["gamma"], params["beta"])
    h = GELU.forward(ctxs[2], h)
    skip = h
    h = GraphConv.forward(ctxs[3], h, A, params["W2"], params["b2"]) + skip
    logits = h @ params["W3"]
    loss = CrossEntropy.forward(ctxs[4], logits, labels)
    loss = loss + 0.5 * decay * sum((params[k] ** 2).sum() for k in ("W1", "W2", "W3"))
    return loss, (ctxs, h)


def backward(params, cache, decay):
    ctxs, h = cache
    grads = {}
    dlogits = CrossEntropy.backward(ctxs[4])
    grads["W3"] = h.T @ dlogits + decay * params["W3"]
    dh = dlogits @ params["W3"].T
    dconv, grads["W2"], grads["b2"] = GraphConv.backward(ctxs[3], dh)
    grads["W2"] += decay * params["W2"]
    dh = dconv + dh
    dh = GELU.backward(ctxs[2], dh)
    dh, grads["gamma"], grads["beta"] = LayerNorm.backward(ctxs[1], dh)
    _, grads["W1"], grads["b1"] = GraphConv.backward(ctxs[0], dh)
    grads["W1"] += decay * params["W1"]
    return grads


def check_case():
    rng = np.random.default_rng(3)
    A = (rng.random((7, 7)) < 0.4) + np.eye(7)
    A = A / A.sum(1, keepdims=True)
    params = {
        "W1": rng.normal(size=(4, 5)), "b1": rng.normal(size=5),
        "gamma": 1 + 0.3 * rng.normal(size=5), "beta": rng.normal(size=5),
        "W2": rng.normal(size=(5, 5)), "b2": rng.normal(size=5),
        "W3": rng.normal(size=(5, 3)),
    }
    return {"params": params, "A": A, "X": rng.normal(size=(7, 4)),
            "labels": rng.integers(0, 3, 7), "decay": 0.1}
