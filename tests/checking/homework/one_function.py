"""Loss and gradient in one function: softmax regression with a penalty, one-hot targets."""

import numpy as np

rng = np.random.default_rng(9)
X = rng.normal(size=(8, 3))
T = np.eye(4)[rng.integers(0, 4, 8)]
W = rng.normal(size=(3, 4))
b = rng.normal(size=4)
reg = 0.05


def loss_and_grad(W, b, X, T, reg):
    n = X.shape[0]
    scores = X.dot(W) + b
    scores = scores - scores.max(axis=1, keepdims=True)
    probs = np.exp(scores)
    probs = probs / probs.sum(axis=1, keepdims=True)
    loss = -np.sum(T * np.log(probs)) / n + reg * np.sum(W * W)
    dscores = (probs - T) / n
    dW = X.T.dot(dscores)
    dW += 2 * reg * W
    db = dscores.sum(axis=0)
    return loss, (dW, db)
