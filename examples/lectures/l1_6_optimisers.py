"""L1.6 Gradient descent, SGD, minibatches, momentum, weight decay, optimisers

theta(n) = theta(n-1) - alpha grad L - lambda theta(n-1); SGD estimates grad L with one sample
or a minibatch; momentum averages the estimates with previous ones.
"""

import numpy as np
from lecture import agree, blobs, table, title

import chainrule as cr

title(__doc__)

print("Single steps on L = 1/2 sum theta^4, whose gradient is 2 theta^3:")
theta = {"weights": np.array([1.0, -0.5, 0.25])}
alpha, lam, mu = 0.1, 0.01, 0.9


def L(theta):
    return np.sum(theta["weights"] ** 4) / 2


def run(optimizer, steps):
    """The parameters before and after each step."""
    path, slots = [theta], optimizer.init(theta)
    for n in range(steps):
        new, slots = optimizer.update(cr.grad(L)(path[-1]), slots, path[-1], n)
        path.append(new)
    return [p["weights"] for p in path]


t = run(cr.optim.sgd(alpha), 1)
agree("gradient descent: theta - alpha grad", t[1], t[0] - alpha * 2 * t[0] ** 3)
t = run(cr.optim.sgd(alpha, weight_decay=lam / alpha), 1)
agree("weight decay: ... - lambda theta", t[1], t[0] - alpha * 2 * t[0] ** 3 - lam * t[0])
t = run(cr.optim.sgd(alpha, momentum=mu), 4)
direction = sum(mu ** (3 - k) * 2 * t[k] ** 3 for k in range(4))
agree("momentum: theta - alpha sum_k mu^(n-k) grad_k", t[4], t[3] - alpha * direction)

print("\nThe same network (2-8-3, tanh) after 10 epochs on 240 points:")
x, y = blobs(240, seed=1)
test = blobs(240, seed=2)
sgd = cr.optim.sgd
runs = [
    ("gradient descent", sgd(0.1), "full"),
    ("SGD, one sample", sgd(0.1), 1),
    ("SGD, minibatch of 16", sgd(0.1), 16),
    ("... with momentum 0.9", sgd(0.1, momentum=0.9), 16),
    ("... with Nesterov momentum", sgd(0.1, momentum=0.9, nesterov=True), 16),
    ("... with weight decay 0.01", sgd(0.1, weight_decay=0.01), 16),
    ("RMSprop, minibatch of 16", cr.optim.rmsprop(0.01), 16),
    ("Adam, minibatch of 16", cr.optim.adam(0.01), 16),
]
model = cr.nn.MLP((2, 8, 3), activation="tanh")
final = {}
rows = []
for name, optimizer, batch_size in runs:
    result = cr.train.fit(
        model,
        (x, y),
        loss=cr.nn.CategoricalCrossEntropy(),
        optimizer=optimizer,
        test=test,
        epochs=10,
        batch_size=batch_size,
        executor="numpy",  # the network is small: to compile each training takes longer
    )
    row = result.history[-1]
    size = sum(float(np.sum(layer["weights"] ** 2)) for layer in result.params["layers"])
    final[name] = row["train_loss"], size
    rows.append((name, str(result.steps), row["train_loss"], row["test_loss"], size))
table(("optimiser", "steps", "train loss", "test loss", "||W||^2"), rows)

loss = {name: value for name, (value, _) in final.items()}
assert loss["SGD, minibatch of 16"] < loss["gradient descent"], "more steps get further"
assert loss["... with momentum 0.9"] < loss["SGD, minibatch of 16"]
decayed, free = final["... with weight decay 0.01"][1], final["SGD, minibatch of 16"][1]
assert decayed < free, "weight decay penalises large weights"
