"""L2.3 Backpropagation in four steps, for one input or a batch

1. forward to get all a[l], z[l]        2. delta of the output units, dE/dz[L] f'(a[L])
3. hidden units: delta[l] = f'(a[l]) (.) W[l+1]^T delta[l+1]
4. dE/dW_ij[l] = delta_i[l] z_j[l-1], dE/db_i[l] = delta_i[l]
"""

from itertools import pairwise

import numpy as np
from lecture import agree, title

import chainrule as cr

rng = np.random.default_rng(8)
sizes = (3, 5, 4, 2)
W = [rng.normal(size=(m, n)) for n, m in pairwise(sizes)]
b = [rng.normal(size=(m, 1)) for m in sizes[1:]]
f = np.tanh


def E(W, b, x, t):
    z = x  # one column per input
    for w, c in zip(W, b, strict=True):
        z = f(w @ z + c)
    return np.sum((z - t) ** 2) / 2


def backpropagation(x, t):
    """The four steps as the lecture has them."""
    a, z = [None], [x]
    for w, c in zip(W, b, strict=True):  # 1
        a.append(w @ z[-1] + c)
        z.append(f(a[-1]))
    delta = (z[-1] - t) * (1 - z[-1] ** 2)  # 2; tanh' = 1 - tanh^2
    dW, db = [], []
    for k in range(len(W), 0, -1):
        dW.insert(0, delta @ z[k - 1].T)  # 4
        db.insert(0, np.sum(delta, axis=1, keepdims=True))
        if k > 1:
            delta = (1 - z[k - 1] ** 2) * (W[k - 1].T @ delta)  # 3
    return dW, db


title(__doc__)
for n in (1, 6):
    print(f"{'one input' if n == 1 else f'a batch of {n} inputs'}:")
    x, t = rng.normal(size=(3, n)), rng.normal(size=(2, n))
    engine = cr.grad(E, argnums=(0, 1))(W, b, x, t)
    for name, ours, lecture in zip(("W", "b"), engine, backpropagation(x, t), strict=True):
        for k in range(3):
            agree(f"dE/d{name}[{k + 1}]", ours[k], lecture[k])
    print()
print("The derivatives of a batch are the sums of those of its inputs:")
each = [cr.grad(E)(W, b, x[:, n : n + 1], t[:, n : n + 1]) for n in range(6)]
for k in range(3):
    agree(f"dE/dW[{k + 1}] = sum_n dE_n/dW[{k + 1}]", engine[0][k], sum(g[k] for g in each))
