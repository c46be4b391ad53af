"""One example at a time; the weights in a dict of dicts."""
import numpy as np


def init():
    r = np.random.RandomState(7)

    def layer(n_in, n_out):
        return {"w": r.randn(n_in, n_out) / np.sqrt(n_in), "b": 0.1 * r.randn(n_out)}

    return {"first": layer(4, 5), "second": layer(5, 3), "out": layer(3, 1)}


def softplus(v):
    return np.logaddexp(0, v)


def logistic(v):
    return 0.5 * (1 + np.tanh(v / 2))


def loss_and_gradients(params, xs, ys, decay=0.02):
    first, second, out = params["first"], params["second"], params["out"]
    m = len(xs)
    total = 0.0
    grads = {k: {"w": np.zeros_like(p["w"]), "b": np.zeros_like(p["b"])} for k, p in params.items()}
    for x, y in zip(xs, ys):
        u = x @ first["w"] + first["b"]
        h = softplus(u)
        v = h @ second["w"] + second["b"]
        k = np.tanh(v)
        prediction = (k @ out["w"] + out["b"])[0]
        miss = prediction - y
        total += miss**2 / (2 * m)

        d_prediction = miss / m
        grads["out"]["w"] += d_prediction * k[:, None]
        grads["out"]["b"] += d_prediction
        d_k = d_prediction * out["w"][:, 0]
        d_v = d_k * (1 - k**2)
        grads["second"]["w"] += np.outer(h, d_v)
        grads["second"]["b"] += d_v
        d_h = second["w"] @ d_v
        d_u = d_h * logistic(u)
        grads["first"]["w"] += np.outer(x, d_u)
        grads["first"]["b"] += d_u
    for name, p in params.items():
        total += 0.5 * decay * np.sum(p["w"] ** 2)
        grads[name]["w"] += decay * p["w"]
    return total, grads


xs = np.random.RandomState(1).randn(6, 4)
ys = np.random.RandomState(2).randn(6)
