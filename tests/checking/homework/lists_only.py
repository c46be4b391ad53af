import math
import random

random.seed(3)
X = [[random.uniform(-1, 1) for _ in range(3)] for _ in range(5)]
T = [[random.uniform(-1, 1) for _ in range(2)] for _ in range(5)]
W1 = [[random.uniform(-1, 1) for _ in range(4)] for _ in range(3)]
b1 = [random.uniform(-0.5, 0.5) for _ in range(4)]
W2 = [[random.uniform(-1, 1) for _ in range(2)] for _ in range(4)]
b2 = [random.uniform(-0.5, 0.5) for _ in range(2)]


def forward(X, T, W1, b1, W2, b2):
    loss, hidden, outputs = 0.0, [], []
    for x, t in zip(X, T):
        h = [math.tanh(sum(x[i] * W1[i][j] for i in range(3)) + b1[j]) for j in range(4)]
        o = [sum(h[j] * W2[j][k] for j in range(4)) + b2[k] for k in range(2)]
        hidden.append(h)
        outputs.append(o)
        loss += sum((o[k] - t[k]) ** 2 for k in range(2)) / 2
    return loss / len(X), (hidden, outputs)


def backward(X, T, W2, cache):
    hidden, outputs = cache
    n = len(X)
    dW1 = [[0.0] * 4 for _ in range(3)]
    db1 = [0.0] * 4
    dW2 = [[0.0] * 2 for _ in range(4)]
    db2 = [0.0] * 2
    for x, t, h, o in zip(X, T, hidden, outputs):
        do = [(o[k] - t[k]) / n for k in range(2)]
        for k in range(2):
            db2[k] += do[k]
            for j in range(4):
                dW2[j][k] += h[j] * do[k]
        dh = [sum(W2[j][k] * do[k] for k in range(2)) for j in range(4)]
        da = [dh[j] * (1 - h[j] ** 2) for j in range(4)]
        for j in range(4):
            db1[j] += da[j]
            for i in range(3):
                dW1[i][j] += x[i] * da[j]
    return {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2}
