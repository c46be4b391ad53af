"""A variational autoencoder: every operation returns its value and a function that goes back."""

import numpy as np


def linear(x, W, b):
    def back(dy):
        return dy @ W.T, x.T @ dy, dy.sum(axis=0)

    return x @ W + b, back


def softplus(z):
    def back(dy):
        return dy / (1 + np.exp(-z))

    return np.log1p(np.exp(z)), back


def sigmoid(z):
    p = 1 / (1 + np.exp(-z))

    def back(dy):
        return dy * p * (1 - p)

    return p, back


def reparametrise(mu, logvar, eps):
    sd = np.exp(0.5 * logvar)

    def back(dz):
        return dz, 0.5 * dz * eps * sd

    return mu + eps * sd, back


def loss_and_gradients(params, x, eps, beta):
    """Negative evidence bound, averaged over the batch, and the gradients."""
    n = x.shape[0]
    a, back_a = linear(x, params["We"], params["be"])
    h, back_h = softplus(a)
    mu, back_mu = linear(h, params["Wm"], params["bm"])
    logvar, back_logvar = linear(h, params["Wv"], params["bv"])
    z, back_z = reparametrise(mu, logvar, eps)
    c, back_c = linear(z, params["Wd"], params["bd"])
    g, back_g = softplus(c)
    o, back_o = linear(g, params["Wo"], params["bo"])
    p, back_p = sigmoid(o)
    rec = 0.5 * np.sum((p - x) ** 2) / n
    kl = -0.5 * np.sum(1 + logvar - mu**2 - np.exp(logvar)) / n
    loss = rec + beta * kl

    grads = {}
    dp = (p - x) / n
    do = back_p(dp)
    dg, grads["Wo"], grads["bo"] = back_o(do)
    dc = back_g(dg)
    dz, grads["Wd"], grads["bd"] = back_c(dc)
    dmu, dlogvar = back_z(dz)
    dmu = dmu + beta * mu / n
    dlogvar = dlogvar - 0.5 * beta * (1 - np.exp(logvar)) / n
    dh1, grads["Wm"], grads["bm"] = back_mu(dmu)
    dh2, grads["Wv"], grads["bv"] = back_logvar(dlogvar)
    da = back_h(dh1 + dh2)
    _, grads["We"], grads["be"] = back_a(da)
    return loss, grads


def check_case():
    r = np.random.RandomState(4)
    shapes = {"We": (5, 6), "Wm": (6, 2), "Wv": (6, 2), "Wd": (2, 6), "Wo": (6, 5)}
    params = {k: 0.7 * r.randn(*s) for k, s in shapes.items()}
    params.update({"b" + k[1]: 0.2 * r.randn(s[1]) for k, s in shapes.items()})
    return {"params": params, "x": r.rand(8, 5), "eps": r.randn(8, 2), "beta": 0.7}
