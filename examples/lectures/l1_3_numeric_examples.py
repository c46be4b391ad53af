"""L1.3 Numeric examples: (x + y) z, a logistic neuron, and ||W x||^2

The numbers are those of the lecture and of the Stanford course that it takes them from.
"""

import numpy as np
from lecture import agree, title

import chainrule as cr

title(__doc__)

print("f = (x + y) z at x = -2, y = 5, z = -4, with q = x + y:")
f, (df_dq, _) = cr.value_and_grad(lambda q, z: q * z, argnums=(0, 1))(3.0, -4.0)
agree("f", f, -12.0)
agree("df/dq = z", df_dq, -4.0)
df_dx, df_dy, df_dz = cr.grad(lambda x, y, z: (x + y) * z, argnums=(0, 1, 2))(-2.0, 5.0, -4.0)
agree("df/dx = z . 1", df_dx, -4.0)
agree("df/dy = z . 1", df_dy, -4.0)
agree("df/dz = q", df_dz, 3.0)


def neuron(w0, x0, w1, x1, b):
    return 1 / (1 + np.exp(-(w0 * x0 + w1 * x1 + b)))


print("\nf = sigma(w0 x0 + w1 x1 + b) at w0 = 2, x0 = -1, w1 = -3, x1 = -2, b = -3:")
f, gradient = cr.value_and_grad(neuron, argnums=range(5))(2.0, -1.0, -3.0, -2.0, -3.0)
agree("f = sigma(1)", np.round(f, 2), 0.73)
agree("dsigma = (1 - sigma) sigma", gradient[4], (1 - f) * f)
for name, found, expected in zip(
    ("w0", "x0", "w1", "x1", "b"), gradient, (-0.20, 0.39, -0.39, -0.59, 0.20), strict=True
):
    agree(f"df/d{name}", np.round(found, 2), expected)

print("\nf = ||W x||^2 with W = [[0.1, 0.5], [-0.3, 0.8]], x = [0.2, 0.4], and q = W x:")
W = np.array([[0.1, 0.5], [-0.3, 0.8]])
x = np.array([0.2, 0.4])
q = W @ x
f, (dW, dx) = cr.value_and_grad(lambda W, x: np.sum((W @ x) ** 2), argnums=(0, 1))(W, x)
agree("q", q, [0.22, 0.26])
agree("f", f, 0.116)
agree("grad_W f = 2 q x^T", dW, 2 * np.outer(q, x))
agree("            in numbers", dW, [[0.088, 0.176], [0.104, 0.208]])
agree("grad_x f = 2 W^T q", dx, 2 * W.T @ q)
agree("            in numbers", dx, [-0.112, 0.636])
