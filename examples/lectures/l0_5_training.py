"""L0.5 Training: random initialisation, gradients backwards, one simultaneous step

Theta[i] <- Theta[i] - eta (grad L)[i], for all layers at once. Not from zero, where nothing
moves. L is not convex, so no promise of a global minimum; it works well enough in practice.
"""

import numpy as np
from lecture import agree, rings, table, title

import chainrule as cr

x, y = rings(80, seed=0)
y = y[:, None]
eta, steps, hidden = 2.0, 1500, 8


def logistic(z):
    return 1 / (1 + np.exp(-z))


@cr.jit
def L(Theta):
    (W1, b1), (W2, b2) = Theta
    yhat = logistic(np.tanh(x @ W1 + b1) @ W2 + b2)
    return -np.mean(y * np.log(yhat) + (1 - y) * np.log(1 - yhat))


backpropagate = cr.jit(cr.value_and_grad(L))


def train(Theta):
    losses = []
    for _ in range(steps):
        loss, gradient = backpropagate(Theta)  # of every layer, before any of them moves
        Theta = both(lambda p, g: p - eta * g, Theta, gradient)
        losses.append(loss)
    return Theta, losses


def both(f, a, b):
    return [[f(p, g) for p, g in zip(*layers, strict=True)] for layers in zip(a, b, strict=True)]


def start(seed, scale):
    rng = np.random.default_rng(seed)
    shapes = [[(2, hidden), hidden], [(hidden, 1), 1]]
    return [[scale * rng.normal(size=shape) for shape in layer] for layer in shapes]


title(__doc__)
runs = {"zeros": train(start(0, 0.0))}
runs |= {f"random, seed {seed}": train(start(seed, 1.0)) for seed in range(3)}
table(
    ("start", "L at first", "after 100", f"after {steps}"),
    [(name, losses[0], losses[100], losses[-1]) for name, (_, losses) in runs.items()],
)

print("\nFrom zeros the loss stays at log 2 and the hidden weights at 0:")
(W1, _), (W2, _) = runs["zeros"][0]
agree("W[1] after training", np.max(np.abs(W1)), 0.0)
agree("W[2] after training", np.max(np.abs(W2)), 0.0)
agree("L = log 2", runs["zeros"][1][-1], np.log(2))
assert all(losses[-1] < 0.1 for name, (_, losses) in runs.items() if name != "zeros")

print("\nNot convex: number the hidden units the other way round, and L is the same,")
print("but half-way between the two networks it is higher (a convex L could not be):")
Theta = runs["random, seed 0"][0]
(W1, b1), (W2, b2) = Theta
mirrored = [[W1[:, ::-1], b1[::-1]], [W2[::-1], b2]]
half = both(lambda p, q: (p + q) / 2, Theta, mirrored)
agree("L of the renumbered network", L(mirrored), L(Theta))
print(f"  L half-way {L(half):.4f} > {L(Theta):.4f}")
assert L(half) > L(Theta) + 0.1
