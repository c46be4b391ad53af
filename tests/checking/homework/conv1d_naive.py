"""A convolution along one axis with padding and stride by loops, then relu and a linear layer."""

import numpy as np


def conv_forward(x, w, b, stride, pad):
    N, C, L = x.shape
    F, _, K = w.shape
    xp = np.pad(x, ((0, 0), (0, 0), (pad, pad)))
    out_len = 1 + (L + 2 * pad - K) // stride
    out = np.zeros((N, F, out_len))
    for n in range(N):
        for f in range(F):
            for i in range(out_len):
                window = xp[n, :, i * stride : i * stride + K]
                out[n, f, i] = np.sum(window * w[f]) + b[f]
    return out, (x, xp, w, b, stride, pad)


def conv_backward(dout, cache):
    x, xp, w, b, stride, pad = cache
    N, F, out_len = dout.shape
    K = w.shape[2]
    dxp = np.zeros_like(xp)
    dw = np.zeros_like(w)
    db = np.zeros_like(b)
    for n in range(N):
        for f in range(F):
            for i in range(out_len):
                s = i * stride
                dw[f] += xp[n, :, s : s + K] * dout[n, f, i]
                dxp[n, :, s : s + K] += w[f] * dout[n, f, i]
                db[f] += dout[n, f, i]
    dx = dxp[:, :, pad : xp.shape[2] - pad]
    return dx, dw, db


def loss(params, x, y):
    h1, c1 = conv_forward(x, params["w1"], params["b1"], 1, 1)
    a1 = np.maximum(h1, 0)
    h2, c2 = conv_forward(a1, params["w2"], params["b2"], 2, 1)
    flat = h2.reshape(len(x), -1)
    scores = flat @ params["w3"] + params["b3"]
    diff = scores - y
    return np.mean(diff**2), (c1, h1, a1, c2, h2, flat, diff)


def gradients(params, cache):
    c1, h1, a1, c2, h2, flat, diff = cache
    grads = {}
    dscores = 2 * diff / diff.size
    grads["w3"] = flat.T @ dscores
    grads["b3"] = dscores.sum(axis=0)
    dflat = dscores @ params["w3"].T
    dh2 = dflat.reshape(h2.shape)
    da1, grads["w2"], grads["b2"] = conv_backward(dh2, c2)
    dh1 = da1 * (h1 > 0)
    _, grads["w1"], grads["b1"] = conv_backward(dh1, c1)
    return grads


def check_case():
    rng = np.random.default_rng(31)
    shapes = {"w1": (2, 2, 3), "b1": (2,), "w2": (3, 2, 3), "b2": (3,), "w3": (9, 2), "b3": (2,)}
    params = {k: rng.normal(size=s) for k, s in shapes.items()}
    return {"params": params, "x": rng.normal(size=(3, 2, 6)), "y": rng.normal(size=(3, 2))}
