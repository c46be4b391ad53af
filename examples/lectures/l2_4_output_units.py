"""L2.4 Output unit and error function by task: dE/da is prediction minus target in all three

regression       identity   E = 1/2 sum (t - y)^2
two classes      logistic   E = -sum t log y + (1 - t) log(1 - y)
K classes        softmax    E = -sum t_k log y_k        (the output units depend on each other)
"""

import numpy as np
from lecture import agree, title

import chainrule as cr

rng = np.random.default_rng(9)
N, K = 6, 3


def identity(a):
    return a


def logistic(a):
    return 1 / (1 + np.exp(-a))


def softmax(a):
    return np.exp(a) / np.sum(np.exp(a), axis=1, keepdims=True)


def squared(y, t):
    return np.sum((t - y) ** 2) / 2


def binary(y, t):
    return -np.sum(t * np.log(y) + (1 - t) * np.log(1 - y))


def categorical(y, t):
    return -np.sum(t * np.log(y))


title(__doc__)
one, classes = rng.normal(size=(N, 1)), rng.integers(K, size=N)
tasks = [
    ("regression", identity, squared, one, cr.nn.SquaredError(), 1),
    ("two classes", logistic, binary, (one > 0) * 1.0, cr.nn.BinaryCrossEntropy(), 1),
    ("K classes", softmax, categorical, np.eye(K)[classes], cr.nn.CategoricalCrossEntropy(), K),
]
for task, unit, error, t, loss, outputs in tasks:
    a = rng.normal(size=(N, outputs))
    y = unit(a)
    print(f"{task}: {unit.__name__} with {error.__name__} error")
    gradient = cr.grad(lambda a, unit=unit, error=error, t=t: error(unit(a), t))(a)
    agree("dE/da = y - t", gradient, y - t)
    agree(f"nn.{type(loss).__name__}: E", np.sum(loss(a, t)), error(y, t))
    agree("... its output unit", loss.predict(a), y)
    agree("... its dE/da", cr.grad(lambda a, loss=loss, t=t: np.sum(loss(a, t)))(a), y - t)
    print()

print("One softmax unit pushed up pushes the others down: dy_i/da_j = y_i ([i = j] - y_j)")
a = np.array([0.5, -1.0, 2.0])
y = softmax(a[None, :])[0]
agree("dy/da", cr.jacobian(lambda a: softmax(a[None, :])[0])(a), np.diag(y) - np.outer(y, y))

print("\nFrom the scores the errors stay finite where y rounds to 0 or 1:")
a, t = np.array([[1000.0], [-1000.0]]), np.array([[0.0], [1.0]])
loss = cr.nn.BinaryCrossEntropy()
agree("E at a = 1000, t = 0 and a = -1000, t = 1", loss(a, t), [1000.0, 1000.0])
agree("dE/da", cr.grad(lambda a: np.sum(loss(a, t)))(a)[:, 0], [1.0, -1.0])
