"""L1.2 The chain rule, for numbers and for vectors

y = g(x), z = f(y):   dz/dx = dz/dy dy/dx
vectors:              dz/dx_i = sum_j dz/dy_j dy_j/dx_i,  grad_x z = (dy/dx)^T grad_y z
"""

import numpy as np
from lecture import agree, title

import chainrule as cr

rng = np.random.default_rng(5)
A = rng.normal(size=(3, 4))

title(__doc__)

print("Numbers: g = sin, f = exp, x = 0.7")
x = 0.7
y = np.sin(x)
dz_dy, dy_dx = cr.grad(np.exp)(y), cr.grad(np.sin)(x)
agree("dz/dy = exp y", dz_dy, np.exp(y))
agree("dy/dx = cos x", dy_dx, np.cos(x))
agree("dz/dx = dz/dy dy/dx", cr.grad(lambda x: np.exp(np.sin(x)))(x), dz_dy * dy_dx)


def g(x):
    return np.tanh(A @ x)


def f(y):
    return np.sum(y**2) + y[0] * y[1] * y[2]


print("\nVectors: g takes 4 numbers to 3, f takes 3 to 1")
x = rng.normal(size=4)
y = g(x)
gradient_y = cr.grad(f)(y)
J = cr.jacobian(g)(x)
agree("dy/dx = diag(1 - y^2) A", J, (1 - y**2)[:, None] * A)
gradient_x = cr.grad(lambda x: f(g(x)))(x)
sums = [sum(gradient_y[j] * J[j, i] for j in range(3)) for i in range(4)]
agree("dz/dx_i = sum_j dz/dy_j dy_j/dx_i", gradient_x, sums)
agree("grad_x z = (dy/dx)^T grad_y z", gradient_x, J.T @ gradient_y)

_, pull = cr.vjp(g, x)
agree("the same without ever forming dy/dx (vjp)", pull(gradient_y)[0], J.T @ gradient_y)
