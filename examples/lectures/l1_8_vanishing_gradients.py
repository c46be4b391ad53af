"""L1.8 Vanishing gradients: in the flat part of an activation the derivative tends to zero

The training loss then does not go down, however wrong the unit is.
"""

import numpy as np
from lecture import agree, table, title

import chainrule as cr


def sigma(a):
    return 1 / (1 + np.exp(-a))


title(__doc__)

print("The slope, the further out the smaller:")
a = np.array([0.0, 2.0, 5.0, 10.0, 20.0])
d_sigma, d_tanh = (cr.grad(lambda a, f=f: np.sum(f(a)))(a) for f in (sigma, np.tanh))
table(("a", "sigma'(a)", "tanh'(a)"), zip(map(str, a), d_sigma, d_tanh, strict=True))
agree("sigma' = sigma (1 - sigma)", d_sigma, sigma(a) * (1 - sigma(a)))
agree("tanh' = 1 - tanh^2", d_tanh, 1 - np.tanh(a) ** 2)


def train(a, loss, steps=200, alpha=0.5):
    """Gradient descent on the score of one unit whose output should be 0."""
    step = cr.jit(cr.value_and_grad(loss))
    first = loss(a)
    for _ in range(steps):
        _, gradient = step(a)
        a = a - alpha * gradient
    return first, loss(a)


print("\n200 steps for one unit that says 1 and should say 0:")
squared = lambda a: sigma(a) ** 2 / 2  # noqa: E731
cross_entropy = lambda a: -np.log(1 - sigma(a))  # noqa: E731
runs = {
    "squared error, a = 1": train(1.0, squared),
    "squared error, a = 10 (saturated)": train(10.0, squared),
    "cross-entropy, a = 10": train(10.0, cross_entropy),
}
table(("unit", "loss before", "loss after"), [(name, *r) for name, r in runs.items()])
assert runs["squared error, a = 1"][1] < 0.01
assert runs["squared error, a = 10 (saturated)"][1] > 0.49, "hardly moved from 1/2"
assert runs["cross-entropy, a = 10"][1] < 0.05, "its derivative is y - t, whatever the slope"

print("\nGradient on the first layer of a 5-20-1 network, inputs larger and larger:")
rng = np.random.default_rng(7)
x, W, v = rng.normal(size=(50, 5)), rng.normal(size=(5, 20)), rng.normal(size=20)
scales = (1.0, 10.0, 100.0, 10000.0)


def first_layer(g, scale):
    """Norm of the mean derivative of the output with respect to the scores, dy/da."""
    nudge = np.zeros(20)
    return float(
        np.linalg.norm(cr.grad(lambda n: np.mean(g(scale * x @ W + n) @ v))(nudge)),
    )


activations = {"logistic": cr.nn.logistic, "tanh": np.tanh, "ReLU": lambda a: np.maximum(0, a)}
norms = {name: [first_layer(g, s) for s in scales] for name, g in activations.items()}
table(
    ("activation", *(f"x times {s:g}" for s in scales)),
    [(name, *row) for name, row in norms.items()],
)
assert norms["logistic"][-1] < 0.01 * norms["logistic"][0]
assert norms["tanh"][-1] < 0.01 * norms["tanh"][0]
assert norms["ReLU"][-1] > 0.5 * norms["ReLU"][0], "ReLU has one flat side only"
