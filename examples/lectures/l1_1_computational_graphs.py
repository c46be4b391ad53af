"""L1.1 Computational graphs: a product, a logistic unit, a ReLU layer, a line with weight decay

z = x y;  yhat = sigma(x^T w + b);  H = max{0, X W + b};  yhat = x^T w with lambda sum_i w_i^2
"""

import numpy as np
from lecture import agree, title

import chainrule as cr

rng = np.random.default_rng(4)
x, w, b = rng.normal(size=3), rng.normal(size=3), 0.5
X, W, c = rng.normal(size=(4, 3)), rng.normal(size=(3, 2)), rng.normal(size=2)
lam = 0.1


def product(x, y):
    return x * y


def logistic_unit(x, w, b):
    return 1 / (1 + np.exp(-(x @ w + b)))


def relu_layer(X, W, b):
    return np.maximum(0, X @ W + b)


def weight_decay(x, w):
    yhat = x @ w
    return yhat, lam * np.sum(w**2)


def show(f, *args):
    graph = cr.trace(f)(*args)
    print(f"\n{graph}")
    assert str(cr.Graph.parse(str(graph))) == str(graph)  # the text is the graph


title(__doc__)

show(product, 2.0, 3.0)
agree("dz/dx, dz/dy = y, x", cr.grad(product, argnums=(0, 1))(2.0, 3.0), (3.0, 2.0))

show(logistic_unit, x, w, b)
yhat = logistic_unit(x, w, b)
agree("dyhat/dw = yhat (1 - yhat) x", cr.grad(logistic_unit, 1)(x, w, b), yhat * (1 - yhat) * x)

show(relu_layer, X, W, c)
on = relu_layer(X, W, c) > 0
dW = cr.grad(lambda W: np.sum(relu_layer(X, W, c)))(W)
agree("d(sum H)/dW = X^T [H > 0]", dW, X.T @ on)

show(weight_decay, x, w)
agree("d(yhat)/dw = x", cr.grad(lambda w: weight_decay(x, w)[0])(w), x)
agree("d(lambda sum w^2)/dw = 2 lambda w", cr.grad(lambda w: weight_decay(x, w)[1])(w), 2 * lam * w)
