"""L2.6 Improving training: optimisation technique, input standardisation, choice of activation

Measured on inputs of very different scale: columns near 1000 and near 0.001.
"""

import numpy as np
from lecture import rings, table, title

import chainrule as cr

SCALE, SHIFT = np.array([1000.0, 0.001]), np.array([5000.0, 0.01])
(x, y), (x_test, y_test) = rings(200, seed=6), rings(200, seed=7)
raw, raw_test = x * SCALE + SHIFT, x_test * SCALE + SHIFT
mean, std = raw.mean(axis=0), raw.std(axis=0)  # learned from training rows only
inputs = {
    "raw": (raw, raw_test),
    "standardised": ((raw - mean) / std, (raw_test - mean) / std),
}
optimisers = {
    "SGD": cr.optim.sgd(0.1),
    "momentum": cr.optim.sgd(0.1, momentum=0.9),
    "Adam": cr.optim.adam(0.01),
}


def test_loss(scaling, optimiser, activation):
    train, test = inputs[scaling]
    try:
        result = cr.train.fit(
            cr.nn.MLP((2, 8, 8, 1), activation),
            (train, y),
            loss=cr.nn.BinaryCrossEntropy(),
            optimizer=optimisers[optimiser],
            epochs=15,
            batch_size=20,
            evaluate_train=False,
            executor="numpy",  # each network is small and runs once: to compile it takes longer
        )
    except cr.train.DivergedError:
        return float("inf")
    return result.evaluate(test, y_test)["loss"]


title(__doc__)
found = {
    (scaling, optimiser, activation): test_loss(scaling, optimiser, activation)
    for scaling in inputs
    for optimiser in optimisers
    for activation in ("logistic", "tanh", "relu")
}
print("Test cross-entropy after 15 epochs; guessing gives log 2 = 0.693:")
table(
    ("inputs", "optimiser", "logistic", "tanh", "ReLU"),
    [
        (scaling, optimiser, *(found[scaling, optimiser, a] for a in ("logistic", "tanh", "relu")))
        for scaling in inputs
        for optimiser in optimisers
    ],
)
assert min(value for key, value in found.items() if key[0] == "raw") > 0.5, "hopeless as they are"
assert found["standardised", "Adam", "relu"] < 0.2
assert found["standardised", "momentum", "tanh"] < found["standardised", "SGD", "tanh"]
assert found["standardised", "SGD", "relu"] < found["standardised", "SGD", "logistic"]
