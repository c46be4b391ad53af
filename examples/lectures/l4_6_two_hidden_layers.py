"""L4.6 A network with two hidden layers: forward and backward computation, and SGD training

y = sigma(sum_k gamma_k z2_k), z2_k = sigma(sum_j beta_kj z1_j), z1_j = sigma(sum_i alpha_ji x_i)
"""

import numpy as np
from lecture import agree, rings, table, title

import chainrule as cr

rng = np.random.default_rng(14)
x, y_star = np.array([0.5, -1.0, 1.5]), 0.0
alpha, beta, gamma = rng.normal(size=(3, 3)), rng.normal(size=(2, 3)), rng.normal(size=2)
zeros = (np.zeros(3), np.zeros(2), np.zeros(()))


def sigma(a):
    return 1 / (1 + np.exp(-a))


def forward(alpha, beta, gamma, nudges):
    """z1, z2, y; nudges of zeros joins each linear step, so that dJ/dnudge is dJ/da."""
    z1 = sigma(alpha @ x + nudges[0])
    z2 = sigma(beta @ z1 + nudges[1])
    return z1, z2, sigma(gamma @ z2 + nudges[2])


def J(alpha, beta, gamma, nudges):
    y = forward(alpha, beta, gamma, nudges)[-1]
    return -(y_star * np.log(y) + (1 - y_star) * np.log(1 - y))


title(__doc__)
print("Forward and backward computation for one example:")
z1, z2, y = forward(alpha, beta, gamma, zeros)
g_alpha, g_beta, g_gamma, (da1, da2, db) = cr.grad(J, argnums=range(4))(alpha, beta, gamma, zeros)
agree("dJ/db = y - y*", db, y - y_star)
agree("dJ/dgamma_k = dJ/db z2_k", g_gamma, db * z2)
agree("dJ/da2_k = dJ/db gamma_k z2_k (1 - z2_k)", da2, (y - y_star) * gamma * z2 * (1 - z2))
agree("dJ/dbeta_kj = dJ/da2_k z1_j", g_beta, np.outer(da2, z1))
agree("dJ/da1_j = sum_k dJ/da2_k beta_kj z1_j (1 - z1_j)", da1, (da2 @ beta) * z1 * (1 - z1))
agree("dJ/dalpha_ji = dJ/da1_j x_i", g_alpha, np.outer(da1, x))

print("\nSGD over single examples, mean cross-entropy after every epoch:")
result = cr.train.fit(
    cr.nn.MLP((2, 8, 8, 1), activation="tanh"),
    rings(80, seed=10),
    loss=cr.nn.BinaryCrossEntropy(),
    optimizer=cr.optim.sgd(0.1),
    test=rings(200, seed=11),
    epochs=20,
    batch_size=1,
)
table(
    ("epoch", "train", "test"),
    [(str(row["epoch"]), row["train_loss"], row["test_loss"]) for row in result.history],
)
assert result.history[0]["train_loss"] > 0.5
assert result.history[-1]["train_loss"] < 0.1
assert result.history[-1]["test_loss"] < 0.2
