"""L1.9 The hyper-parameters to choose, each varied alone

learning rate, regularisation constant, number of epochs, number of hidden layers, nodes in
each, initialisation, loss function, activation function
"""

import numpy as np
from lecture import rings, table, title

import chainrule as cr

train, test = rings(120, seed=4), rings(400, seed=5)
base = {
    "learning rate": 0.5,
    "regularisation constant": 0.0,
    "epochs": 30,
    "hidden layers": 2,
    "nodes in each": 8,
    "initialisation": "auto",
    "loss": "binary_cross_entropy",
    "activation": "tanh",
}
alternatives = {
    "learning rate": (0.001, 0.05, 50.0),
    "regularisation constant": (0.001, 0.5),
    "epochs": (5, 100),
    "hidden layers": (0, 1, 4),
    "nodes in each": (2, 32),
    "initialisation": ("zeros", "orthogonal"),
    "loss": ("squared_error", "hinge"),
    "activation": ("logistic", "relu"),
}


def run(choices):
    """Share of training and of test points that are classified right."""
    sizes = (2, *[choices["nodes in each"]] * choices["hidden layers"], 1)
    model = cr.nn.MLP(sizes, choices["activation"], initializer=choices["initialisation"])
    result = cr.train.fit(
        model,
        train,
        loss=choices["loss"],
        optimizer=cr.optim.sgd(choices["learning rate"]),
        epochs=choices["epochs"],
        batch_size=16,
        l2=choices["regularisation constant"],
        evaluate_train=False,
        executor="numpy",  # each network is small and runs once: to compile it takes longer
    )
    half = 0.5 if choices["loss"] == "squared_error" else 0.0
    return [float(np.mean((result.outputs(x)[:, 0] > half) == y)) for x, y in (train, test)]


title(__doc__)
scores = {"base": run(base)}
for name, values in alternatives.items():
    for value in values:
        try:
            scores[f"{name} {value}"] = run(base | {name: value})
        except cr.train.DivergedError:
            scores[f"{name} {value}"] = [float("nan")] * 2
print(", ".join(f"{name} {value}" for name, value in base.items()) + "\n")
table(
    ("choice", "train accuracy", "test accuracy"),
    [(name, f"{a:.3f}", f"{b:.3f}") for name, (a, b) in scores.items()],
)

assert scores["base"][1] > 0.95
for bad in (
    "learning rate 0.001",
    "learning rate 50.0",
    "regularisation constant 0.5",
    "hidden layers 0",
    "initialisation zeros",
):
    assert not scores[bad][1] > 0.8, f"{bad} was expected to fail"
