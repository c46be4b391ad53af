import numpy as np

rng = np.random.default_rng(21)
D, H, T = 3, 4, 5
xs = rng.normal(size=(T, D))
ys = rng.normal(size=T)
W = rng.normal(size=(D + H, 4 * H)) * 0.4
b = rng.normal(size=4 * H) * 0.1
Wy = rng.normal(size=H)


def sigmoid(v):
    return 1 / (1 + np.exp(-v))


def forward(W, b, Wy, xs, ys):
    h, c = np.zeros(H), np.zeros(H)
    loss, steps = 0.0, []
    for t in range(T):
        z = np.concatenate([xs[t], h])
        a = z @ W + b
        i, f, o = sigmoid(a[:H]), sigmoid(a[H : 2 * H]), sigmoid(a[2 * H : 3 * H])
        g = np.tanh(a[3 * H :])
        c_prev = c
        c = f * c_prev + i * g
        tc = np.tanh(c)
        h = o * tc
        err = h @ Wy - ys[t]
        loss += 0.5 * err**2
        steps.append((z, i, f, o, g, c_prev, tc, h, err))
    return loss, steps


def backward(W, Wy, steps):
    dW, db, dWy = np.zeros_like(W), np.zeros(4 * H), np.zeros_like(Wy)
    dh_next, dc_next = np.zeros(H), np.zeros(H)
    for z, i, f, o, g, c_prev, tc, h, err in reversed(steps):
        dWy += err * h
        dh = err * Wy + dh_next
        do = dh * tc
        dc = dh * o * (1 - tc**2) + dc_next
        di = dc * g
        df = dc * c_prev
        dg = dc * i
        da = np.concatenate([di * i * (1 - i), df * f * (1 - f), do * o * (1 - o), dg * (1 - g**2)])
        dW += np.outer(z, da)
        db += da
        dh_next = (W @ da)[D:]
        dc_next = dc * f
    return {"W": dW, "b": db, "Wy": dWy}
