"""A GRU cell over a short sequence, rows as batch, gradients kept in a dict."""

import numpy as np


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def forward(params, xs, y):
    h = np.zeros((xs.shape[1], params["Uz"].shape[0]))
    cache = []
    for x in xs:
        z = sigmoid(x @ params["Wz"] + h @ params["Uz"])
        r = sigmoid(x @ params["Wr"] + h @ params["Ur"])
        c = np.tanh(x @ params["Wc"] + (r * h) @ params["Uc"])
        h_new = (1 - z) * h + z * c
        cache.append((x, h, z, r, c))
        h = h_new
    err = h - y
    loss = 0.5 * np.sum(err**2) / len(y)
    return loss, (cache, err)


def backward(params, cache):
    steps, err = cache
    grads = {k: np.zeros_like(v) for k, v in params.items()}
    dh = err / len(err)
    for x, h, z, r, c in reversed(steps):
        dz = dh * (c - h)
        dc = dh * z
        dh_prev = dh * (1 - z)
        dc_in = dc * (1 - c**2)
        grads["Wc"] += x.T @ dc_in
        grads["Uc"] += (r * h).T @ dc_in
        drh = dc_in @ params["Uc"].T
        dr = drh * h
        dh_prev += drh * r
        dr_in = dr * r * (1 - r)
        dz_in = dz * z * (1 - z)
        grads["Wr"] += x.T @ dr_in
        grads["Ur"] += h.T @ dr_in
        grads["Wz"] += x.T @ dz_in
        grads["Uz"] += h.T @ dz_in
        dh_prev += dr_in @ params["Ur"].T + dz_in @ params["Uz"].T
        dh = dh_prev
    return grads


def check_case():
    rng = np.random.default_rng(81)
    shapes = {"Wz": (3, 4), "Uz": (4, 4), "Wr": (3, 4), "Ur": (4, 4), "Wc": (3, 4), "Uc": (4, 4)}
    params = {k: rng.normal(size=s) * 0.7 for k, s in shapes.items()}
    return {"params": params, "xs": rng.normal(size=(3, 5, 3)), "y": rng.normal(size=(5, 4))}
