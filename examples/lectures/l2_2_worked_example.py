"""L2.2 The worked example: two inputs, two hidden layers of two units, one output

a[3] = W[3] z[2] + b[3], y = z[3] = sigma(a[3]); z[2] = sigma(a[2]); z[1] = sigma(a[1])
E = -t log y - (1 - t) log(1 - y). Every derivative is a product of local gradients, and
delta = dE/da is reused by all that lies below.
"""

import numpy as np
from lecture import agree, title

import chainrule as cr

W = [
    np.array([[0.1, -0.2], [0.4, 0.3]]),
    np.array([[0.5, -0.6], [0.7, 0.8]]),
    np.array([[0.9, -1.0]]),
]
b = [np.array([0.1, -0.1]), np.array([0.2, -0.2]), np.array([0.3])]
x, t = np.array([1.5, -0.5]), 1.0
zeros = [np.zeros(2), np.zeros(2), np.zeros(1)]


def sigma(a):
    return 1 / (1 + np.exp(-a))


def forward(W, b, nudges):
    """z of all layers; nudges of zeros joins each a, so that dE/dnudge is delta = dE/da."""
    z = [x]
    for w, c, nudge in zip(W, b, nudges, strict=True):
        z.append(sigma(w @ z[-1] + c + nudge))
    return z


def error(z3):
    return -t * np.log(z3) - (1 - t) * np.log(1 - z3)


def E(W, b, nudges):
    return error(forward(W, b, nudges)[-1][0])


title(__doc__)
_, z1, z2, (z3,) = forward(W, b, zeros)
dW, db, delta = cr.grad(E, argnums=(0, 1, 2))(W, b, zeros)

print("Local gradients:")
dE_dz3 = cr.grad(error)(z3)
agree("dE/dz[3] = -t/z[3] + (1 - t)/(1 - z[3])", dE_dz3, -t / z3 + (1 - t) / (1 - z3))
dz3_da3 = cr.grad(sigma)(np.log(z3 / (1 - z3)))
agree("dz[3]/da[3] = z[3] (1 - z[3])", dz3_da3, z3 * (1 - z3))

print("\nThird layer of weights:")
agree("delta[3] = dE/dz[3] dz[3]/da[3] = z[3] - t", delta[2][0], z3 - t)
for j in range(2):
    agree(f"dE/dW_1{j + 1}[3] = (z[3] - t) z_{j + 1}[2]", dW[2][0, j], (z3 - t) * z2[j])
agree("dE/db[3] = z[3] - t", db[2][0], z3 - t)

print("\nSecond layer:")
d2 = [(z3 - t) * W[2][0, i] * z2[i] * (1 - z2[i]) for i in range(2)]
for i in range(2):
    agree(
        f"delta_{i + 1}[2] = delta[3] W_1{i + 1}[3] z_{i + 1}[2] (1 - z_{i + 1}[2])",
        delta[1][i],
        d2[i],
    )
    for j in range(2):
        agree(
            f"dE/dW_{i + 1}{j + 1}[2] = delta_{i + 1}[2] z_{j + 1}[1]", dW[1][i, j], d2[i] * z1[j]
        )
    agree(f"dE/db_{i + 1}[2] = delta_{i + 1}[2]", db[1][i], d2[i])

print("\nFirst layer, two paths into each unit:")
for i in range(2):
    arriving = d2[0] * W[1][0, i] + d2[1] * W[1][1, i]
    d1 = arriving * z1[i] * (1 - z1[i])
    agree(f"delta_{i + 1}[1] = sum_k delta_k[2] W_k{i + 1}[2] z (1 - z)", delta[0][i], d1)
    for j in range(2):
        agree(f"dE/dW_{i + 1}{j + 1}[1] = delta_{i + 1}[1] x_{j + 1}", dW[0][i, j], d1 * x[j])
    agree(f"dE/db_{i + 1}[1] = delta_{i + 1}[1]", db[0][i], d1)
