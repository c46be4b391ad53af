"""L4.8 Backpropagation as an algorithm: reverse-mode automatic differentiation

Forward: visit each node in topological order, compute u_i = g_i(v_1, ..., v_N), store it.
Backward: dy/dy = 1; in reverse order, for u_1 ... u_M all the nodes with v_j as an input,
dy/dv_j = sum_i dy/du_i du_i/dv_j.
"""

from itertools import pairwise

import numpy as np
from lecture import agree, table, title

import chainrule as cr


def backpropagation(f, *inputs):
    """Version A, as the lecture has it, over the recorded graph of f."""
    graph = cr.trace(f)(*inputs)
    values = dict(zip(graph.inputs, inputs, strict=True))
    for u in graph.nodes:  # topological order
        if u not in values:
            values[u] = u.primitive.forward(*(values[v] for v in u.inputs), **u.attrs)

    (y,) = graph.outputs
    derivative = dict.fromkeys(graph.nodes, 0.0)
    derivative[y] = 1.0
    for u in reversed(graph.nodes):  # hand dy/du on to the inputs of u
        if u.inputs:
            for v, du_dv in zip(u.inputs, local(u, values), strict=True):
                derivative[v] += derivative[u] * du_dv
    rows = [(u.primitive.name, values[u], derivative[u]) for u in graph.nodes]
    return values[y], [derivative[x] for x in graph.inputs], rows


def local(u, values):
    """du/dv for each input v of a node."""
    at = [float(values[v]) for v in u.inputs]
    return cr.grad(lambda *v: u.primitive(*v, **u.attrs), argnums=range(len(at)))(*at)


def quiz(x, z):
    return np.exp(x * z) + x * z / np.log(x) + np.sin(np.log(x)) / (x * z)


title(__doc__)

print("The quiz of L4.2, every node with its value and dy/dnode:")
y, gradient, rows = backpropagation(quiz, 2.0, 3.0)
table(("node", "value", "dy/dnode"), [(n, float(v), float(d)) for n, v, d in rows])
print()
agree("y", y, quiz(2.0, 3.0))
agree("dy/dx, dy/dz by the lecture's algorithm", gradient, cr.grad(quiz, argnums=(0, 1))(2.0, 3.0))
agree("            of the quiz", gradient, [1208.381215126610, 809.707479218564], tolerance=1e-12)

print("\nWhy it is efficient. Each derivative is stored and used again:")


def doubling(x, n):
    for _ in range(n):
        x = x + np.sin(x)  # every step uses x twice
    return x


def visits_without_reuse(graph):
    """Visits when dy/dv is derived anew along every path."""
    count = dict.fromkeys(graph.nodes, 0)
    count[graph.outputs[0]] = 1
    for u in reversed(graph.nodes):
        for v in u.inputs:
            count[v] += count[u]
    return sum(count.values())


rows = []
for n in (5, 10, 20, 40):
    graph = cr.trace(lambda x, n=n: doubling(x, n))(0.1)
    both = cr.trace(cr.value_and_grad(lambda x, n=n: doubling(x, n)))(0.1)
    without = visits_without_reuse(graph)
    assert without >= 2**n
    assert len(both.nodes) < 5 * len(graph.nodes)
    rows.append((f"{n} steps", f"{len(graph.nodes)}", f"{len(both.nodes)}", f"{without:.3g}"))
table(("x + sin(x), repeated", "nodes", "with gradient", "visits without reuse"), rows)

print("\nAnd all partial derivatives come from one backward pass, however many inputs:")


def chain(*x):
    total = 0.0
    for a, b in pairwise(x):
        total = total + a * b
    return total


rows = []
for n in (10, 100, 1000):
    x = [float(v) for v in np.random.default_rng(n).normal(size=n)]
    forward = len(cr.trace(chain)(*x).nodes)
    both = len(cr.trace(cr.value_and_grad(chain, argnums=range(n)))(*x).nodes)
    assert both < 5 * forward
    rows.append((f"{n} inputs", str(forward), str(both), f"{forward * (n + 1):,}"))
table(("sum of x_i x_i+1", "nodes", "with gradient", "by finite differences"), rows)
expected = np.convolve(x, [1.0, 0.0, 1.0], mode="same")
agree("dy/dx_i = x_i-1 + x_i+1", cr.grad(chain, argnums=range(n))(*x), expected)
