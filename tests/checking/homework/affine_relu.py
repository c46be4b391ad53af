"""A two-layer net as in CS231n's second assignment: layer functions with caches, a dict of parameters."""

import numpy as np


def affine_forward(x, w, b):
    N = x.shape[0]
    out = x.reshape(N, -1).dot(w) + b
    cache = (x, w, b)
    return out, cache


def affine_backward(dout, cache):
    x, w, b = cache
    N = x.shape[0]
    dx = dout.dot(w.T).reshape(x.shape)
    dw = x.reshape(N, -1).T.dot(dout)
    db = np.sum(dout, axis=0)
    return dx, dw, db


def relu_forward(x):
    return np.maximum(0, x), x


def relu_backward(dout, cache):
    x = cache
    dx = dout * (x > 0)
    return dx


def softmax_loss(x, y):
    shifted = x - np.max(x, axis=1, keepdims=True)
    Z = np.sum(np.exp(shifted), axis=1, keepdims=True)
    log_probs = shifted - np.log(Z)
    probs = np.exp(log_probs)
    N = x.shape[0]
    loss = -np.sum(log_probs[np.arange(N), y]) / N
    dx = probs.copy()
    dx[np.arange(N), y] -= 1
    dx /= N
    return loss, dx


class TwoLayerNet:
    def __init__(self, input_dim=6, hidden_dim=5, num_classes=4, reg=0.1):
        rng = np.random.default_rng(5)
        self.params = {}
        self.reg = reg
        self.params["W1"] = rng.normal(size=(input_dim, hidden_dim))
        self.params["b1"] = rng.normal(size=hidden_dim)
        self.params["W2"] = rng.normal(size=(hidden_dim, num_classes))
        self.params["b2"] = rng.normal(size=num_classes)

    def loss(self, X, y):
        W1, b1, W2, b2 = (self.params[k] for k in ("W1", "b1", "W2", "b2"))
        h1, cache1 = affine_forward(X, W1, b1)
        a1, cache_relu = relu_forward(h1)
        scores, cache2 = affine_forward(a1, W2, b2)
        loss, dscores = softmax_loss(scores, y)
        loss += 0.5 * self.reg * (np.sum(W1 * W1) + np.sum(W2 * W2))
        grads = {}
        da1, dW2, db2 = affine_backward(dscores, cache2)
        dh1 = relu_backward(da1, cache_relu)
        dX, dW1, db1 = affine_backward(dh1, cache1)
        dW1 += self.reg * W1
        dW2 += self.reg * W2
        grads["W1"], grads["b1"], grads["W2"], grads["b2"] = dW1, db1, dW2, db2
        return loss, grads


def check_case():
    rng = np.random.default_rng(6)
    return {"model": TwoLayerNet(), "X": rng.normal(size=(7, 2, 3)), "y": rng.integers(0, 4, 7)}
