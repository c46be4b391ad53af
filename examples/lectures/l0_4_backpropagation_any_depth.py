"""L0.4 Backpropagation for a network of any depth

all layers     (grad L)[i] = 1/m (a[i-1])^T . delta[i]
output layer   delta[L] = yhat - y             (cross-entropy, logistic or softmax)
hidden layer   delta[i] = (delta[i+1] . (W[i+1])^T) (.) g'(z[i])
"""

from itertools import pairwise

import numpy as np
from lecture import agree, title

import chainrule as cr

rng = np.random.default_rng(3)
m = 6


def logistic(z):
    return 1 / (1 + np.exp(-z))


def softmax(z):
    return np.exp(z) / np.sum(np.exp(z), axis=1, keepdims=True)


def forward(W, b, nudges, x, output):
    """All activations. A nudge of zeros joins each score z, so that dL/dnudge is dL/dz."""
    a = [x]
    for i in range(len(W)):
        g = output if i == len(W) - 1 else logistic
        a.append(g(a[-1] @ W[i] + b[i] + nudges[i]))
    return a


def L(W, b, nudges, x, y, output):
    yhat = forward(W, b, nudges, x, output)[-1]
    if output is softmax:
        return -np.sum(y * np.log(yhat)) / m
    return -np.sum(y * np.log(yhat) + (1 - y) * np.log(1 - yhat)) / m


def lecture_deltas(W, a, y):
    delta = [a[-1] - y]
    for i in range(len(W) - 1, 0, -1):
        delta.insert(0, (delta[0] @ W[i].T) * a[i] * (1 - a[i]))  # g'(z) = a (1 - a)
    return delta


title(__doc__)
for output, sizes in [
    (logistic, (3, 1)),
    (logistic, (3, 4, 1)),
    (softmax, (3, 4, 5, 3)),
    (softmax, (3, 6, 5, 4, 6, 2)),
]:
    print(f"\n{'-'.join(map(str, sizes))} network, {output.__name__} output:")
    W = [rng.normal(size=shape) for shape in pairwise(sizes)]
    b = [rng.normal(size=n) for n in sizes[1:]]
    x = rng.normal(size=(m, sizes[0]))
    k = sizes[-1]
    y = np.eye(k)[rng.integers(k, size=m)] if k > 1 else rng.integers(2, size=(m, 1))
    zeros = [np.zeros((m, n)) for n in sizes[1:]]

    dW, db, dz = cr.grad(L, argnums=(0, 1, 2))(W, b, zeros, x, y, output)
    a = forward(W, b, zeros, x, output)
    delta = lecture_deltas(W, a, y)
    for i in range(len(W), 0, -1):
        agree(f"delta[{i}] = m dL/dz[{i}]", m * dz[i - 1], delta[i - 1])
        agree(
            f"(grad L)[{i}] = 1/m a[{i - 1}]^T delta[{i}]", dW[i - 1], a[i - 1].T @ delta[i - 1] / m
        )
        agree(f"dL/db[{i}] = mean of delta[{i}]", db[i - 1], np.mean(delta[i - 1], axis=0))
