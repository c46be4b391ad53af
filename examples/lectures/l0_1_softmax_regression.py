"""L0.1 Multinomial logistic regression: scores, softmax, cross-entropy and its gradient

z_c = w_c . x + b_c      yhat = softmax(z)      L = -sum_k y_k log yhat_k
dL/dw_jk = (yhat_k - y_k) x_j, dL/db_k = yhat_k - y_k; over m examples 1/m x^T (yhat - y).
"""

import numpy as np
from lecture import agree, title

import chainrule as cr

rng = np.random.default_rng(0)
n, K, m = 3, 4, 50  # features, classes, examples


def softmax(z):
    return np.exp(z) / np.sum(np.exp(z), axis=-1, keepdims=True)


def L_CE(yhat, y):
    return -np.sum(y * np.log(yhat), axis=-1)


def one_example(W, b, x, y):
    return L_CE(softmax(x @ W + b), y)


def mean_loss(Theta, x, y):
    return np.mean(L_CE(softmax(x @ Theta), y))


title(__doc__)

print("One example, weights and bias apart:")
W, b = rng.normal(size=(n, K)), rng.normal(size=K)
x, y = rng.normal(size=n), np.eye(K)[2]
dW, db = cr.grad(one_example, argnums=(0, 1))(W, b, x, y)
yhat = softmax(x @ W + b)
agree("yhat = softmax(z) sums to", np.sum(yhat), 1.0)
agree("dL/dw_jk = (yhat_k - y_k) x_j", dW, (yhat - y)[None, :] * x[:, None])
agree("dL/db_k = yhat_k - y_k", db, yhat - y)

print("\nm examples, the bias as weights of a dummy feature 1:")
x = np.concatenate([np.ones((m, 1)), rng.normal(size=(m, n))], axis=1)
y = np.eye(K)[rng.integers(K, size=m)]
Theta = np.concatenate([b[None, :], W])
yhat = softmax(x @ Theta)
dTheta = cr.grad(mean_loss)(Theta, x, y)
agree("grad L = 1/m x^T (yhat - y)", dTheta, x.T @ (yhat - y) / m)

print("\nThe same model and loss, ready-made:")
model = cr.nn.MLP((n, K))  # no hidden layer
params, state = cr.nn.import_weights([Theta], model, convention="bias_row")
loss = cr.nn.CategoricalCrossEntropy()
gradient = cr.grad(lambda p: np.mean(loss(model(p, state, x[:, 1:])[0], y)))(params)["layers"][0]
agree("its gradient: bias", gradient["bias"], dTheta[0])
agree("its gradient: weights", gradient["weights"], dTheta[1:])
