"""L2.5 Hidden activations: logistic, tanh, ReLU; gradients vanish with depth

sigma'(a) = sigma(a) (1 - sigma(a)) <= 0.25      tanh'(a) = 1 - tanh(a)^2 <= 1
ReLU(a) = max{0, a}, slope 0 or 1; 0 at a = 0.
"""

import numpy as np
from lecture import agree, table, title

import chainrule as cr

rng = np.random.default_rng(10)


def logistic(a):
    return 1 / (1 + np.exp(-a))


def tanh(a):
    return (np.exp(a) - np.exp(-a)) / (np.exp(a) + np.exp(-a))


def relu(a):
    return np.where(a > 0, a, 0)


def slope(g, a):
    return cr.grad(lambda a: np.sum(g(a)))(a)


title(__doc__)
a = np.linspace(-6, 6, 1201)
agree("sigma' = sigma (1 - sigma)", slope(logistic, a), logistic(a) * (1 - logistic(a)))
agree("its largest value, at 0", np.max(slope(logistic, a)), 0.25)
agree("tanh' = 1 - tanh^2", slope(tanh, a), 1 - tanh(a) ** 2)
agree("its largest value, at 0", np.max(slope(tanh, a)), 1.0)
agree("ReLU': 0 if a <= 0, 1 if a > 0", slope(relu, a), (a > 0) * 1.0)

WIDTH, INPUTS = 30, rng.normal(size=(100, 30))
starts = {"logistic": "glorot_normal", "tanh": "glorot_normal", "relu": "he_normal"}


def norms(activation, depth):
    """Norm of dE/dW of each layer, first layer first."""
    model = cr.nn.MLP((WIDTH,) * depth + (1,), activation, initializer=starts[activation])
    params, state = model.init(seed=1)
    loss = cr.nn.BinaryCrossEntropy()
    t = np.arange(100) % 2

    def E(params):
        return np.mean(loss(model(params, state, INPUTS)[0], t))

    return [np.linalg.norm(layer["weights"]) for layer in cr.grad(E)(params)["layers"]]


print("\nNorms of dE/dW, layer by layer, in networks with 10 weight layers:")
by_layer = {name: norms(name, 10) for name in starts}
table(
    ("layer", *by_layer),
    [(str(k + 1), *(f"{v[k]:.1e}" for v in by_layer.values())) for k in range(10)],
)

print("\nFirst layer over last, by depth:")
ratios = {}
for depth in (2, 4, 8, 16):
    for name in starts:
        found = norms(name, depth)
        ratios[name, depth] = float(found[0] / found[-1])
table(
    ("weight layers", *starts),
    [(str(d), *(f"{ratios[name, d]:.1e}" for name in starts)) for d in (2, 4, 8, 16)],
)
assert ratios["logistic", 16] < 1e-6 < 1e-3 < min(ratios["tanh", 16], ratios["relu", 16])
assert ratios["logistic", 2] > ratios["logistic", 4] > ratios["logistic", 8]
