"""A character model with its gradients in a dict, one step's function at a time (deeplearning.ai)."""

import numpy as np


def softmax(x):
    e_x = np.exp(x - np.max(x))
    return e_x / e_x.sum(axis=0)


def rnn_step_forward(parameters, a_prev, x):
    Waa, Wax, Wya, by, b = (parameters[k] for k in ("Waa", "Wax", "Wya", "by", "b"))
    a_next = np.tanh(np.dot(Wax, x) + np.dot(Waa, a_prev) + b)
    p_t = softmax(np.dot(Wya, a_next) + by)
    return a_next, p_t


def rnn_step_backward(dy, gradients, parameters, x, a, a_prev):
    gradients["dWya"] += np.dot(dy, a.T)
    gradients["dby"] += dy
    da = np.dot(parameters["Wya"].T, dy) + gradients["da_next"]
    daraw = (1 - a * a) * da
    gradients["db"] += daraw
    gradients["dWax"] += np.dot(daraw, x.T)
    gradients["dWaa"] += np.dot(daraw, a_prev.T)
    gradients["da_next"] = np.dot(parameters["Waa"].T, daraw)
    return gradients


def forward(X, Y, a0, parameters, vocab_size):
    x, a, y_hat = {}, {}, {}
    a[-1] = np.copy(a0)
    loss = 0
    for t in range(len(X)):
        x[t] = np.zeros((vocab_size, 1))
        if X[t] is not None:
            x[t][X[t]] = 1
        a[t], y_hat[t] = rnn_step_forward(parameters, a[t - 1], x[t])
        loss -= np.log(y_hat[t][Y[t], 0])
    cache = (y_hat, a, x)
    return loss, cache


def backward(X, Y, parameters, cache):
    gradients = {}
    (y_hat, a, x) = cache
    for key in ("Wax", "Waa", "Wya", "b", "by"):
        gradients["d" + key] = np.zeros_like(parameters[key])
    gradients["da_next"] = np.zeros_like(a[0])
    for t in reversed(range(len(X))):
        dy = np.copy(y_hat[t])
        dy[Y[t]] -= 1
        gradients = rnn_step_backward(dy, gradients, parameters, x[t], a[t], a[t - 1])
    return gradients, a


def check_case():
    rng = np.random.default_rng(2)
    n_a, v = 4, 5
    parameters = {
        "Wax": rng.normal(size=(n_a, v)), "Waa": rng.normal(size=(n_a, n_a)) * 0.6,
        "Wya": rng.normal(size=(v, n_a)), "b": rng.normal(size=(n_a, 1)), "by": rng.normal(size=(v, 1)),
    }
    return {"X": [None, 3, 1, 4], "Y": [3, 1, 4, 0], "a0": np.zeros((n_a, 1)),
            "parameters": parameters, "vocab_size": v}
