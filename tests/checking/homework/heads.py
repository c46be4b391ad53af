"""Two attention heads over a batch of sequences by einsum, and a one-vs-all loss."""

import numpy as np

rng = np.random.default_rng(11)
B, T, D, H, K = 3, 4, 6, 2, 3
C = D // H


def softmax(s):
    e = np.exp(s - s.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def init():
    scale = 0.6
    Wq, Wk, Wv, Wo = (scale * rng.standard_normal((D, D)) for _ in range(4))
    return {"Wq": Wq, "Wk": Wk, "Wv": Wv, "Wo": Wo, "bo": 0.1 * rng.standard_normal(D),
            "Wc": rng.standard_normal((D, K)), "bc": rng.standard_normal(K)}


params = init()
X = rng.standard_normal((B, T, D))
y = np.array([0, 2, 1])
reg = 0.05


def split_heads(x):
    return x.reshape(x.shape[0], x.shape[1], H, C).transpose(0, 2, 1, 3)


def merge_heads(x):
    return x.transpose(0, 2, 1, 3).reshape(x.shape[0], x.shape[2], H * C)


def forward(params, X, y):
    q = split_heads(np.einsum("btd,de->bte", X, params["Wq"]))
    k = split_heads(np.einsum("btd,de->bte", X, params["Wk"]))
    v = split_heads(np.einsum("btd,de->bte", X, params["Wv"]))
    att = softmax(np.einsum("bhic,bhjc->bhij", q, k) / np.sqrt(C))
    mixed = merge_heads(np.einsum("bhij,bhjc->bhic", att, v))
    out = np.maximum(mixed @ params["Wo"] + params["bo"], 0) + X
    pooled = out.mean(axis=1)
    scores = pooled @ params["Wc"] + params["bc"]
    signs = 2 * (y[:, None] == np.arange(K)) - 1
    losses = np.log1p(np.exp(-signs * scores))
    loss = losses.sum() / len(y) + reg * np.sum(params["Wc"] ** 2)
    cache = q, k, v, att, mixed, out, pooled, scores, signs
    return loss, cache


def backward(params, X, cache):
    q, k, v, att, mixed, out, pooled, scores, signs = cache
    n = len(X)
    dscores = -signs / (1 + np.exp(signs * scores)) / n
    dWc = pooled.T @ dscores + 2 * reg * params["Wc"]
    dbc = dscores.sum(axis=0)
    dpooled = dscores @ params["Wc"].T
    dout = np.repeat(dpooled[:, None, :], T, axis=1) / T
    dpre = dout * (out - X > 0)
    dWo = np.einsum("bte,btf->ef", mixed, dpre)
    dbo = dpre.sum(axis=(0, 1))
    dmixed = split_heads(dpre @ params["Wo"].T)
    datt = np.einsum("bhic,bhjc->bhij", dmixed, v)
    dv = np.einsum("bhij,bhic->bhjc", att, dmixed)
    ds = att * (datt - (datt * att).sum(axis=-1, keepdims=True))
    ds = ds / np.sqrt(C)
    dq = np.einsum("bhij,bhjc->bhic", ds, k)
    dk = np.einsum("bhij,bhic->bhjc", ds, q)
    dWq = np.einsum("btd,bte->de", X, merge_heads(dq))
    dWk = np.einsum("btd,bte->de", X, merge_heads(dk))
    dWv = np.einsum("btd,bte->de", X, merge_heads(dv))
    return {"Wq": dWq, "Wk": dWk, "Wv": dWv, "Wo": dWo, "bo": dbo, "Wc": dWc, "bc": dbc}
