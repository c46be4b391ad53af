"""A residual block by functions with caches: the input reaches the output along two branches."""

import numpy as np


def affine_forward(x, w, b):
    return x @ w + b, (x, w)


def affine_backward(dout, cache):
    x, w = cache
    dx = dout @ w.T
    dw = x.T @ dout
    db = np.sum(dout, axis=0)
    return dx, dw, db


def leaky(z):
    return np.where(z > 0, z, 0.1 * z)


def check_case():
    rng = np.random.default_rng(12)
    shapes = {"w0": (3, 4), "b0": (4,), "w1": (4, 4), "b1": (4,), "w2": (4, 4), "b2": (4,)}
    params = {name: rng.normal(size=shape) * 0.7 for name, shape in shapes.items()}
    return {"params": params, "x": rng.normal(size=(5, 3)), "y": rng.normal(size=(5, 4))}


def loss(params, x, y):
    u, c0 = affine_forward(x, params["w0"], params["b0"])
    z, c1 = affine_forward(u, params["w1"], params["b1"])
    a = leaky(z)
    v, c2 = affine_forward(a, params["w2"], params["b2"])
    out = u + v
    diff = out - y
    value = np.mean(diff**2)
    cache = (c0, c1, c2, z, diff)
    return value, cache


def gradients(params, cache):
    c0, c1, c2, z, diff = cache
    grads = {}
    dout = 2 * diff / diff.size
    da, grads["w2"], grads["b2"] = affine_backward(dout, c2)
    dz = da * np.where(z > 0, 1.0, 0.1)
    du, grads["w1"], grads["b1"] = affine_backward(dz, c1)
    du += dout
    _, grads["w0"], grads["b0"] = affine_backward(du, c0)
    return grads
