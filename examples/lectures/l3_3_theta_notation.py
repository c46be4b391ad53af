"""L3.3 The Theta notation: h = g(Theta(1) x), h_Theta(x) = g(Theta(2) h), g(z) = 1/(1 + exp(-z))

Five inputs, three hidden units, three outputs: Theta(1) is 3 x 5, Theta(2) is 3 x 3.
"""

import numpy as np
from lecture import agree, title

import chainrule as cr

rng = np.random.default_rng(12)
x = rng.normal(size=5)
Theta1, Theta2 = rng.normal(size=(3, 5)), rng.normal(size=(3, 3))


def g(z):
    return 1 / (1 + np.exp(-z))


def h_Theta(Theta1, Theta2, x):
    h = g(Theta1 @ x)
    return g(Theta2 @ h)


title(__doc__)
output = h_Theta(Theta1, Theta2, x)
by_hand = [
    g(sum(Theta2[i, j] * g(sum(Theta1[j, k] * x[k] for k in range(5))) for j in range(3)))
    for i in range(3)
]
agree("h_Theta(x), sum by sum", output, by_hand)

model = cr.nn.MLP((5, 3, 3), activation="logistic", bias=False)
params, state = cr.nn.import_weights([Theta1, Theta2], model, convention="textbook")
linear, _ = model(params, state, x[None, :])
agree("the same from nn.MLP without bias", cr.nn.BinaryCrossEntropy().predict(linear)[0], output)

print("\nDerivatives of the first output, y = h_Theta(x)_1:")
h = g(Theta1 @ x)
d1, d2 = cr.grad(lambda T1, T2: h_Theta(T1, T2, x)[0], argnums=(0, 1))(Theta1, Theta2)
slope = output[0] * (1 - output[0])
agree("dy/dTheta(2)_1j = y (1 - y) h_j", d2[0], slope * h)
agree("dy/dTheta(2)_ij = 0 for the other outputs", d2[1:], np.zeros((2, 3)))
delta = slope * Theta2[0] * h * (1 - h)
agree("dy/dTheta(1)_jk = y (1 - y) Theta(2)_1j h_j (1 - h_j) x_k", d1, np.outer(delta, x))
