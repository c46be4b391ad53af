"""L4.1 The chain rule: from an equation to a forward computation to a graph

y = exp(xz) + xz/log(x) + sin(log(x))/(xz), of which xz and log(x) are needed more than once.
"""

import numpy as np
from lecture import agree, title

import chainrule as cr


def equation(x, z):
    return np.exp(x * z) + x * z / np.log(x) + np.sin(np.log(x)) / (x * z)


def forward_computation(x, z):
    """One operation per line, each intermediate value with a name and computed once."""
    a = x * z
    b = np.log(x)
    c = np.sin(b)
    d = np.exp(a)
    e = a / b
    f = c / a
    return d + e + f


title(__doc__)
x, z = 2.0, 3.0
print("The equation, recorded. x z and log(x) are written three and two times, and stand once:\n")
graph = cr.trace(equation)(x, z)
print(graph)
names = [node.primitive.name for node in graph.nodes]
assert names.count("log") == 1
assert names.count("multiply") == 1

print("\nEquation and forward computation are the same graph but for the order of its lines:")
steps = cr.trace(forward_computation)(x, z)
assert sorted(names) == sorted(node.primitive.name for node in steps.nodes)
agree("y", forward_computation(x, z), equation(x, z))

print("\nThe chain rule along the graph: dy/da = dd/da + de/da + df/da, dy/dx = dy/da da/dx + ...")
a, b = x * z, np.log(x)
dd = cr.grad(np.exp)(a)
de_da, de_db = cr.grad(lambda a, b: a / b, argnums=(0, 1))(a, b)
df_dc, df_da = cr.grad(lambda c, a: c / a, argnums=(0, 1))(np.sin(b), a)
dc_db, db_dx = cr.grad(np.sin)(b), cr.grad(np.log)(x)
dy_da = dd + de_da + df_da
dy_db = de_db + df_dc * dc_db
dy_dx, dy_dz = cr.grad(equation, argnums=(0, 1))(x, z)
agree("dy/da = e^a + 1/b - c/a^2", dy_da, np.exp(a) + 1 / b - np.sin(b) / a**2)
agree("dy/db = -a/b^2 + cos(b)/a", dy_db, -a / b**2 + np.cos(b) / a)
agree("dy/dx = dy/da z + dy/db 1/x", dy_dx, dy_da * z + dy_db * db_dx)
agree("dy/dz = dy/da x", dy_dz, dy_da * x)
