"""L2.1 Cross-entropy of a deep network: exponentially many paths, and how few nodes one visits

y(x) = sigma(sum W[3] sigma(sum W[2] sigma(sum W[1] x + b[1]) + b[2]) + b[3])
E(W) = -sum_n t_n log y(x_n) + (1 - t_n) log(1 - y(x_n)),  W <- W - eta sum_n grad E_n
"""

from itertools import pairwise, product

import numpy as np
from lecture import agree, table, title

import chainrule as cr


def sigma(a):
    return 1 / (1 + np.exp(-a))


def scores(W, b, x):
    """The score a of every neuron; W[layer][i][j] leads from neuron j to neuron i."""
    z, a = x, []
    for weights, bias in zip(W, b, strict=True):
        a.append(
            [
                sum(w * s for w, s in zip(row, z, strict=True)) + c
                for row, c in zip(weights, bias, strict=True)
            ]
        )
        z = [sigma(s) for s in a[-1]]
    return a


def y(W, b, x):
    return sigma(scores(W, b, x)[-1][0])


def network(d, width, depth, seed=0):
    rng = np.random.default_rng(seed)
    sizes = [d] + [width] * (depth - 1) + [1]
    W = [[[float(w) for w in rng.normal(size=n)] for _ in range(m)] for n, m in pairwise(sizes)]
    b = [[float(c) for c in rng.normal(size=m)] for m in sizes[1:]]
    return W, b, [float(v) for v in rng.normal(size=d)]


def paths(graph, start):
    """How many ways lead from ``start`` to the output of a graph."""
    count = dict.fromkeys(graph.nodes, 0)
    count[graph.outputs[0]] = 1
    for node in reversed(graph.nodes):
        for x in node.inputs:
            count[x] += count[node]
    return count[start]


title(__doc__)

print("Paths from one weight of W[1] to y, in networks of 4 units per layer:")
rows = []
for depth in (2, 3, 4, 6, 8, 12):
    W, b, x = network(d=2, width=4, depth=depth)
    forward = cr.trace(lambda W, b, x: y(W, b, x))(W, b, x)
    backward = cr.trace(cr.grad(y))(W, b, x)
    found = paths(forward, forward.inputs[0])
    assert found == 4 ** (depth - 2)
    edges = sum(len(node.inputs) for node in forward.nodes)
    visited = len(backward.nodes) - len(forward.nodes)
    rows.append((str(depth), f"{found:,}", str(len(forward.nodes)), str(edges), str(visited)))
    assert visited < 4 * len(forward.nodes), "linear in the size of the network"
table(("weight layers", "paths W^(l-2)", "nodes", "edges", "added by backpropagation"), rows)

print("\nSumming over all 9 paths of a network with 4 weight layers and 3 units in each:")
W, b, x = network(d=2, width=3, depth=4)
slope = [[cr.grad(sigma)(a) for a in layer] for layer in scores(W, b, x)]
one_by_one = sum(
    slope[3][0]
    * W[3][0][i]
    * slope[2][i]
    * W[2][i][j]
    * slope[1][j]
    * W[1][j][0]
    * slope[0][0]
    * x[0]
    for i, j in product(range(3), repeat=2)
)
agree("dy/dW_11[1], path by path", one_by_one, cr.grad(y)(W, b, x)[0][0][0])

print("\nBinary cross-entropy over N inputs, W[1]: 3 x 2, W[2]: 3 x 3, W[3]: 1 x 3:")
rng = np.random.default_rng(1)
X, t = rng.normal(size=(20, 2)), rng.integers(2, size=20)
W, b, _ = network(d=2, width=3, depth=3)
W, b = [np.array(w) for w in W], [np.array(c) for c in b]


def E(W, X, t):
    z = X
    for w, c in zip(W, b, strict=True):
        z = sigma(z @ w.T + c)
    return -np.sum(t * np.log(z[:, 0]) + (1 - t) * np.log(1 - z[:, 0]))


gradient = cr.grad(E)(W, X, t)
for k in range(3):
    each = sum(cr.grad(E)(W, X[n : n + 1], t[n : n + 1])[k] for n in range(20))
    agree(f"grad E = sum_n grad E_n, W[{k + 1}]", gradient[k], each)
new = [w - 0.01 * g for w, g in zip(W, gradient, strict=True)]
print(f"  E falls from {E(W, X, t):.4f} to {E(new, X, t):.4f} in one step with eta = 0.01")
assert E(new, X, t) < E(W, X, t)
