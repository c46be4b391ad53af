"""L1.7 Weight initialisation: zero and constant fail, small random values work

Zero is a critical point: the error signal does not propagate. A constant keeps all units of a
layer equal. Best are values that keep the inputs of the activations in their linear range.
"""

import numpy as np
from lecture import agree, rings, table, title

import chainrule as cr

x, y = rings(80, seed=3)
model = cr.nn.MLP((2, 8, 8, 1), activation="tanh")
loss = cr.nn.BinaryCrossEntropy()


def mean_loss(params, state):
    return np.mean(loss(model(params, state, x)[0], y))


def start(init):
    return cr.nn.MLP(model.sizes, "tanh", initializer=init).init(seed=0)


def train(init):
    params, state = start(init)
    return cr.train.fit(
        model,
        (x, y),
        loss=loss,
        optimizer=cr.optim.sgd(0.5),
        params=params,
        state=state,
        epochs=100,
        batch_size=16,
        evaluate_train=False,
        executor="numpy",  # the network is small: to compile each training takes longer
    )


title(__doc__)

print("Zero: with as many examples of one class as of the other, every gradient is 0:")
gradient = cr.grad(mean_loss)(*start("zeros"))
for i, layer in enumerate(gradient["layers"]):
    agree(f"largest entry of dL/dW, layer {i}", np.max(np.abs(layer["weights"])), 0.0)
    agree(f"largest entry of dL/db, layer {i}", np.max(np.abs(layer["bias"])), 0.0)

print("\nConstant: after training all units of a hidden layer are still the same unit:")
constant = cr.nn.initializer("constant", value=0.5)
W1 = train(constant).params["layers"][0]["weights"]
agree("W_1, columns minus the first column", W1 - W1[:, :1], np.zeros((2, 8)))

print("\nAfter 100 epochs of SGD, for each start:")
normal = cr.nn.initializer
starts = {
    "zeros": "zeros",
    "constant 0.5": constant,
    "Gaussian, std 0.01": normal("normal", std=0.01),
    "Gaussian, std 0.5": normal("normal", std=0.5),
    "Gaussian, std 10": normal("normal", std=10.0),
    "Glorot": "glorot_uniform",
}
rows, losses = [], {}
for name, init in starts.items():
    params, state = start(init)
    a = x
    for layer in params["layers"][:-1]:
        a = a @ layer["weights"] + layer["bias"]
        linear = np.mean(np.abs(a) < 1)  # tanh is close to a line there
        a = np.tanh(a)
    result = train(init)
    losses[name] = result.history[-1]["train_loss"]
    rows.append((name, linear, result.history[0]["train_loss"], losses[name]))
table(("start", "share in linear range", "loss, epoch 1", "loss, epoch 100"), rows)

assert losses["zeros"] > 0.69, "no progress: log 2 = 0.693 is guessing"
assert losses["constant 0.5"] > 0.5
assert losses["Glorot"] < 0.1
assert losses["Gaussian, std 0.5"] < 0.1
