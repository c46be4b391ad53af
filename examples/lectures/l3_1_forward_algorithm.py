"""L3.1 The forward algorithm for a network of depth l, with a regulariser

h(0) = x;  for k = 1 ... l:  a(k) = b(k) + W(k) h(k-1),  h(k) = f(a(k))
yhat = h(l),  J = L(yhat, y) + lambda Omega(theta)
"""

from itertools import pairwise

import numpy as np
from lecture import agree, title

import chainrule as cr


def f(a):
    return 1 / (1 + np.exp(-a))


def L(yhat, y):
    return np.sum((yhat - y) ** 2) / 2


def Omega(theta):
    """Half the sum of squares of the weights; biases are left free."""
    return sum(np.sum(W**2) for W, _ in theta) / 2


def forward(theta, x, y, lam):
    h = x
    for W, b in theta:
        a = b + W @ h
        h = f(a)
    yhat = h
    return L(yhat, y) + lam * Omega(theta)


def network(sizes, seed=11):
    rng = np.random.default_rng(seed)
    theta = [[rng.normal(size=(m, n)), rng.normal(size=m)] for n, m in pairwise(sizes)]
    return theta, rng.normal(size=sizes[0]), rng.normal(size=sizes[-1])


if __name__ == "__main__":
    title(__doc__)

    print("A network small enough to do by hand: h = f(0.5 . 2 - 1) = 1/2, yhat = f(2 . 1/2 - 1)")
    theta = [[np.array([[0.5]]), np.array([-1.0])], [np.array([[2.0]]), np.array([-1.0])]]
    x, y = np.array([2.0]), np.array([0.0])
    agree("L = 1/2 (1/2)^2", forward(theta, x, y, 0.0), 0.125)
    agree("Omega = 1/2 (0.5^2 + 2^2)", Omega(theta), 2.125)
    agree("J = L + 0.1 Omega", forward(theta, x, y, 0.1), 0.3375)

    print("\nDepth l = 2, recorded: an equation becomes a forward computation")
    print(cr.trace(lambda theta, x, y: forward(theta, x, y, 0.1))(theta, x, y))

    print("\nAgainst nn.MLP (its output is linear, so the last f is applied to it):")
    for sizes in ((4, 3), (4, 6, 3), (4, 6, 5, 4, 3)):
        theta, x, y = network(sizes)
        model = cr.nn.MLP(sizes, "logistic")
        flat = [array for layer in theta for array in layer]
        params, state = cr.nn.import_weights(flat, model, convention="textbook")
        yhat = f(model(params, state, x[None, :])[0][0])
        J = L(yhat, y) + cr.nn.Penalty(l2=0.1)(params)
        agree(f"J, depth l = {len(theta)}", forward(theta, x, y, 0.1), J)
