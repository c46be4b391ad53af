"""Any number of layers, keys made of letters and numbers, softmax, a penalty divided by m."""

import numpy as np

SIZES = [4, 5, 4, 3]
lambd = 0.3


def init_params():
    rng = np.random.default_rng(27)
    params = {}
    for l in range(1, len(SIZES)):
        params["W" + str(l)] = rng.normal(size=(SIZES[l], SIZES[l - 1]))
        params["b" + str(l)] = rng.normal(size=(SIZES[l], 1))
    return params


X = np.random.default_rng(28).normal(size=(4, 6))
Y = np.eye(3)[:, np.array([0, 1, 2, 2, 1, 0])]


def forward(params, X, Y, lambd):
    L = len(params) // 2
    m = X.shape[1]
    cache = {"A0": X}
    A = X
    for l in range(1, L + 1):
        Z = params["W" + str(l)] @ A + params["b" + str(l)]
        A = np.maximum(Z, 0) if l < L else np.exp(Z) / np.sum(np.exp(Z), axis=0)
        cache["Z" + str(l)], cache["A" + str(l)] = Z, A
    cost = -np.sum(Y * np.log(A)) / m
    for l in range(1, L + 1):
        cost += lambd / (2 * m) * np.sum(params["W" + str(l)] ** 2)
    return cost, cache


def backward(params, X, Y, lambd, cache):
    L = len(params) // 2
    m = X.shape[1]
    grads = {}
    dZ = cache["A" + str(L)] - Y
    for l in range(L, 0, -1):
        W = params["W" + str(l)]
        grads["dW" + str(l)] = dZ @ cache["A" + str(l - 1)].T / m + lambd / m * W
        grads["db" + str(l)] = np.sum(dZ, axis=1, keepdims=True) / m
        if l > 1:
            dA = W.T @ dZ
            dZ = dA * (cache["Z" + str(l - 1)] > 0)
    return grads
