"""L4.5 SGD over single examples, with mean train and test cross-entropy after every epoch

procedure SGD(D, D_t): initialise alpha, beta; for each epoch: for each (x, y) in D:
    g_alpha, g_beta = gradients of J(x, y);  alpha <- alpha - gamma g_alpha, beta likewise
    then evaluate J_D(alpha, beta) and J_Dt(alpha, beta)
"""

import numpy as np
from lecture import agree, rings, table, title

import chainrule as cr

train, test = rings(80, seed=8), rings(200, seed=9)
EPOCHS, GAMMA = 40, 0.2
LOSS = cr.nn.BinaryCrossEntropy()


def fit(model):
    """The procedure, ready-made: one example per step."""
    return cr.train.fit(
        model,
        train,
        loss=LOSS,
        optimizer=cr.optim.sgd(GAMMA),
        test=test,
        epochs=EPOCHS,
        batch_size=1,
        seed=3,
    )


def procedure(model, epochs):
    """The same, line by line as the lecture has it; in the order that ``fit`` draws."""
    params, state = model.init(seed=3)
    data = cr.train.ArrayData(train[0], train[1][:, None] * 1.0, None, batch_size=1, seed=3)

    def J(params, x, y):
        return np.mean(LOSS(model(params, state, x)[0], y))

    backpropagate = cr.jit(cr.grad(J))
    history = []
    for epoch in range(1, epochs + 1):
        for i in range(data.steps):
            example = data.take(epoch, i)
            g = backpropagate(params, example.x, example.targets)
            layers = zip(params["layers"], g["layers"], strict=True)
            params = {"layers": tuple({k: p[k] - GAMMA * d[k] for k in p} for p, d in layers)}
        history.append([float(J(params, x, y[:, None] * 1.0)) for x, y in (train, test)])
    return history


title(__doc__)
models = {
    "logistic regression": cr.nn.MLP((2, 1)),
    "1 hidden layer": cr.nn.MLP((2, 8, 1), activation="logistic"),
    "1 hidden layer, tanh": cr.nn.MLP((2, 8, 1), activation="tanh"),
}
results = {name: fit(model) for name, model in models.items()}
rows = []
for epoch in (1, 2, 5, 10, 20, 40):
    row = [str(epoch)]
    for result in results.values():
        row += [result.history[epoch - 1]["train_loss"], result.history[epoch - 1]["test_loss"]]
    rows.append(row)
print("Mean cross-entropy (log 2 = 0.693 is guessing):")
header = ["epoch"]
for name in results:
    header += [name, "test"]
table(header, rows)

last = {name: result.history[-1] for name, result in results.items()}
assert last["logistic regression"]["train_loss"] > 0.6, "no straight line separates rings"
assert last["1 hidden layer, tanh"]["train_loss"] < 0.2
assert last["1 hidden layer, tanh"]["test_loss"] < 0.3

print("\nfit and the procedure, line by line, give the same numbers:")
for name, result in results.items():
    found = [[row["train_loss"], row["test_loss"]] for row in result.history[:3]]
    agree(f"{name}, 3 epochs", found, procedure(models[name], 3))
