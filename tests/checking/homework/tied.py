"""An autoencoder whose decoder uses the encoder's weights turned: one matrix, two uses."""

import numpy as np

rng = np.random.default_rng(21)
X = rng.normal(size=(8, 5))
params = {"W": rng.normal(size=(5, 3)), "b": rng.normal(size=3), "c": rng.normal(size=5)}


def sigmoid(v):
    return 1.0 / (1.0 + np.exp(-v))


def forward(params, X):
    code = sigmoid(X @ params["W"] + params["b"])
    out = code @ params["W"].T + params["c"]
    loss = np.sum((out - X) ** 2) / X.shape[0]
    return loss, {"code": code, "out": out}


def backward(params, X, cache):
    code, out = cache["code"], cache["out"]
    dout = 2.0 * (out - X) / X.shape[0]
    dc = np.sum(dout, axis=0)
    dcode = dout @ params["W"]
    dpre = dcode * code * (1.0 - code)
    db = np.sum(dpre, axis=0)
    dW = X.T @ dpre
    dW += dout.T @ code
    return {"W": dW, "b": db, "c": dc}
