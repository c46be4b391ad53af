"""L4.4 Case 1, logistic regression, and case 2, a network with one hidden layer, module by module

Loss      J = y* log y + (1 - y*) log(1 - y)    dJ/dy = y*/y + (1 - y*)/(y - 1)
Sigmoid   y = 1 / (1 + exp(-b))                 dJ/db = dJ/dy exp(-b)/(exp(-b) + 1)^2
Linear    b = sum_j beta_j z_j                  dJ/dbeta_j = dJ/db z_j, dJ/dz_j = dJ/db beta_j
Sigmoid   z_j = 1 / (1 + exp(-a_j))             dJ/da_j = dJ/dz_j exp(-a_j)/(exp(-a_j) + 1)^2
Linear    a_j = sum_i alpha_ji x_i              dJ/dalpha_ji = dJ/da_j x_i, and dJ/dx_i below

As in the lecture J is the log-likelihood, to be climbed; its negative is the cross-entropy.
"""

import numpy as np
from lecture import agree, title

import chainrule as cr

rng = np.random.default_rng(13)
M, D = 3, 2  # inputs and hidden units, besides x_0 = z_0 = 1
x = np.array([1.0, 0.5, -1.2, 2.0])
y_star = 1.0


def loss(y):
    return y_star * np.log(y) + (1 - y_star) * np.log(1 - y)


def sigmoid(b):
    return 1 / (1 + np.exp(-b))


def linear(weights, inputs):
    return weights @ inputs


def slope(b):
    """dy/db as the lecture first writes it."""
    return np.exp(-b) / (np.exp(-b) + 1) ** 2


title(__doc__)

print("Case 1, a = sum_j theta_j x_j:")
theta = rng.normal(size=M + 1)
a, through_linear = cr.vjp(linear, theta, x)
y, through_sigmoid = cr.vjp(sigmoid, a)
J, through_loss = cr.vjp(loss, y)
(dJ_dy,) = through_loss(1.0)
(dJ_da,) = through_sigmoid(dJ_dy)
dJ_dtheta, dJ_dx = through_linear(dJ_da)
agree("dJ/dy = y*/y + (1 - y*)/(y - 1)", dJ_dy, y_star / y + (1 - y_star) / (y - 1))
agree("dJ/da = dJ/dy exp(-a)/(exp(-a) + 1)^2", dJ_da, dJ_dy * slope(a))
agree("      = y* - y", dJ_da, y_star - y)
agree("dJ/dtheta_j = dJ/da x_j", dJ_dtheta, dJ_da * x)
agree("dJ/dx_j = dJ/da theta_j", dJ_dx, dJ_da * theta)

print("\nCase 2, top to bottom:")
alpha, beta = rng.normal(size=(D, M + 1)), rng.normal(size=D + 1)


def with_bias(z):
    return np.concatenate([np.ones(1), z])


a, through_alpha = cr.vjp(linear, alpha, x)
z, through_hidden = cr.vjp(lambda a: with_bias(sigmoid(a)), a)
b, through_beta = cr.vjp(linear, beta, z)
y, through_sigmoid = cr.vjp(sigmoid, b)
J, through_loss = cr.vjp(loss, y)

(dJ_dy,) = through_loss(1.0)
(dJ_db,) = through_sigmoid(dJ_dy)
dJ_dbeta, dJ_dz = through_beta(dJ_db)
(dJ_da,) = through_hidden(dJ_dz)
dJ_dalpha, dJ_dx = through_alpha(dJ_da)
agree("Loss     dJ/dy = y*/y + (1 - y*)/(y - 1)", dJ_dy, y_star / y + (1 - y_star) / (y - 1))
agree("Sigmoid  dJ/db = dJ/dy exp(-b)/(exp(-b) + 1)^2", dJ_db, dJ_dy * slope(b))
agree("Linear   dJ/dbeta_j = dJ/db z_j", dJ_dbeta, dJ_db * z)
agree("         dJ/dz_j = dJ/db beta_j", dJ_dz, dJ_db * beta)
agree("Sigmoid  dJ/da_j = dJ/dz_j z_j (1 - z_j)", dJ_da, dJ_dz[1:] * z[1:] * (1 - z[1:]))
agree("         the same by exp(-a_j)/(exp(-a_j) + 1)^2", dJ_da, dJ_dz[1:] * slope(a))
agree("Linear   dJ/dalpha_ji = dJ/da_j x_i", dJ_dalpha, np.outer(dJ_da, x))
agree("         dJ/dx_i = sum_j dJ/da_j alpha_ji", dJ_dx, dJ_da @ alpha)

print("\nThe whole in one call:")


def network(alpha, beta, x):
    return loss(sigmoid(linear(beta, with_bias(sigmoid(linear(alpha, x))))))


whole = cr.grad(network, argnums=(0, 1, 2))(alpha, beta, x)
for name, found, step_by_step in zip(
    ("dJ/dalpha", "dJ/dbeta", "dJ/dx"), whole, (dJ_dalpha, dJ_dbeta, dJ_dx), strict=True
):
    agree(name, found, step_by_step)

print("\nWith the other loss of the lecture, J = 1/2 (y - y*)^2:")
agree("dJ/dy = y - y*", cr.grad(lambda y: (y - y_star) ** 2 / 2)(y), y - y_star)
