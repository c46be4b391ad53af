"""L1.5 Backpropagation in a multilayer perceptron, in three steps

L = -sum_j y_j log p(c_j|x) + lambda/2 ||W||^2 with p = softmax(a_K), h_k = g(a_k),
a_{k+1} = W_k h_k + b_k
1. error in the top layer   delta_K = dL/da_K
2. weight updates           dL/dW_k = delta_{k+1} h_k^T  (+ lambda W_k)
3. to the layer below       delta_k = W_k^T delta_{k+1} (.) g'(a_k)
"""

from itertools import pairwise

import numpy as np
from lecture import agree, title

import chainrule as cr

rng = np.random.default_rng(6)
lam = 0.1
sizes = (4, 6, 5, 3)  # h_0 = x, two hidden layers, K = 3


def forward(W, b, nudges, x):
    """The a and h of all layers; nudges of zeros joins the a, so that dL/dnudge is dL/da."""
    a, h = [None], [x]
    for k in range(len(W)):
        a.append(W[k] @ h[k] + b[k] + nudges[k])
        h.append(np.tanh(a[-1]))
    return a, h


def softmax(a):
    return np.exp(a) / np.sum(np.exp(a))


def L(W, b, nudges, x, y):
    a, _ = forward(W, b, nudges, x)
    return -np.sum(y * np.log(softmax(a[-1]))) + lam / 2 * sum(np.sum(w**2) for w in W)


title(__doc__)
W = [rng.normal(size=(m, n)) for n, m in pairwise(sizes)]
b = [rng.normal(size=m) for m in sizes[1:]]
x, y = rng.normal(size=4), np.eye(3)[1]
zeros = [np.zeros(m) for m in sizes[1:]]
dW, db, da = cr.grad(L, argnums=(0, 1, 2))(W, b, zeros, x, y)

a, h = forward(W, b, zeros, x)
K = len(W)
delta = softmax(a[K]) - y
agree(f"1. delta_{K} = p - y", da[K - 1], delta)
for k in range(K - 1, -1, -1):
    agree(
        f"2. dL/dW_{k} = delta_{k + 1} h_{k}^T + lambda W_{k}",
        dW[k],
        np.outer(delta, h[k]) + lam * W[k],
    )
    agree(f"   dL/db_{k} = delta_{k + 1}", db[k], delta)
    if k > 0:
        delta = W[k].T @ delta * (1 - h[k] ** 2)
        agree(f"3. delta_{k} = W_{k}^T delta_{k + 1} (.) g'(a_{k})", da[k - 1], delta)

print("\nThe two-layer network of the Stanford course (3 examples, 5-50-7, ReLU):")
N, D, H, C = 3, 5, 50, 7
X = np.linspace(-5.5, 4.5, N * D).reshape(D, N).T
y = np.array([0, 5, 1])
model = cr.nn.MLP((D, H, C))
params, state = cr.nn.import_weights(
    [
        np.linspace(-0.7, 0.3, D * H).reshape(D, H),
        np.linspace(-0.1, 0.9, H),
        np.linspace(-0.3, 0.4, H * C).reshape(H, C),
        np.linspace(-0.9, 0.1, C),
    ],
    model,
)
loss = cr.nn.CategoricalCrossEntropy()
for lam, expected in ((0.0, 3.4702243556), (1.0, 26.5948426952)):
    penalty = cr.nn.Penalty(l2=lam)
    found = np.mean(loss(model(params, state, X)[0], y)) + penalty(params)
    agree(f"loss with lambda = {lam:g}", found, expected, tolerance=1e-10)
