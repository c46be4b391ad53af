# ruff: noqa: E501 - programs as students write them
"""Hand-written backward passes that are right: forty in many styles, none of which may be accused,
and twenty hard ones (kinks, ties, float32, steep or flat losses), none of which may be called wrong.
"""

from __future__ import annotations

HEAD = """
import numpy as np
from numpy import einsum
rng = np.random.default_rng(5)
X = rng.normal(size=(6, 3)); Y = rng.normal(size=(6, 2)); y = rng.normal(size=6)
labels = np.array([0, 1, 1, 0, 1, 0]); onehot = np.eye(2)[labels]
W1 = rng.normal(size=(3, 4)); b1 = rng.normal(size=4)
W2 = rng.normal(size=(4, 2)); b2 = rng.normal(size=2)
w = rng.normal(size=3); b = 0.3
def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True)); return e / e.sum(-1, keepdims=True)
def sigmoid(z): return 1 / (1 + np.exp(-z))
"""

CORRECT: dict[str, str] = {}
HARD: dict[str, str] = {}

CORRECT["one matrix, tuple"] = """
def loss(w, b, X, y): return np.mean((X @ w + b - y) ** 2)
def grad(w, b, X, y):
    r = X @ w + b - y
    return 2 * X.T @ r / len(y), 2 * r.mean()
"""
CORRECT["halved squares, sums"] = """
def cost(w, X, y): return 0.5 * np.sum(np.square(X @ w - y))
def gradient(w, X, y): return {"dw": (X @ w - y) @ X}
"""
CORRECT["loops over everything"] = """
def loss(w, X, y):
    total = 0.0
    for i in range(X.shape[0]):
        s = 0.0
        for j in range(X.shape[1]):
            s += X[i, j] * w[j]
        total += (s - y[i]) ** 2
    return total / X.shape[0]
def grad(w, X, y):
    dw = np.zeros_like(w)
    for i in range(X.shape[0]):
        s = 0.0
        for j in range(X.shape[1]):
            s += X[i, j] * w[j]
        for j in range(X.shape[1]):
            dw[j] += 2 * (s - y[i]) * X[i, j] / X.shape[0]
    return {"w": dw}
"""
CORRECT["einsum"] = """
def forward(W1, W2, X, Y):
    h = np.tanh(einsum("ni,ij->nj", X, W1))
    o = einsum("nj,jk->nk", h, W2)
    return 0.5 * einsum("nk,nk->", o - Y, o - Y), (h, o)
def backward(W1, W2, X, Y, cache):
    h, o = cache
    do = o - Y
    dz = einsum("nk,jk->nj", do, W2) * (1 - h**2)
    return {"dW1": einsum("ni,nj->ij", X, dz), "dW2": einsum("nj,nk->jk", h, do)}
"""
CORRECT["in place"] = """
def forward(W1, b1, W2, b2, X, labels):
    z = X @ W1; z += b1
    h = np.maximum(z, 0)
    p = softmax(h @ W2 + b2)
    return -np.log(p[np.arange(len(labels)), labels]).mean(), (h, p)
def backward(W1, b1, W2, b2, X, labels, cache):
    h, p = cache
    d = p.copy()
    d[np.arange(len(labels)), labels] -= 1
    d /= len(labels)
    dW2 = h.T @ d; db2 = d.sum(0)
    d = d @ W2.T
    d[h <= 0] = 0
    return {"W1": X.T @ d, "b1": d.sum(0), "W2": dW2, "b2": db2}
"""
CORRECT["class with layers in a list"] = """
class Linear:
    def __init__(self, a, b): self.W = rng.normal(size=(a, b)); self.b = rng.normal(size=b)
    def forward(self, x): self.x = x; return x @ self.W + self.b
    def backward(self, g):
        self.dW = self.x.T @ g; self.db = g.sum(axis=0)
        return g @ self.W.T
class Tanh:
    def forward(self, x): self.y = np.tanh(x); return self.y
    def backward(self, g): return g * (1 - self.y * self.y)
class Net:
    def __init__(self): self.layers = [Linear(3, 4), Tanh(), Linear(4, 2)]
    def forward(self, X, Y):
        for layer in self.layers: X = layer.forward(X)
        self.r = X - Y
        return (self.r ** 2).mean()
    def backward(self):
        g = 2 * self.r / self.r.size
        for layer in reversed(self.layers): g = layer.backward(g)
"""
CORRECT["columns are examples"] = """
A = X.T; V = rng.normal(size=(4, 3)); c = rng.normal(size=(4, 1)); u = rng.normal(size=(1, 4))
def forward_propagation(V, c, u, A, y):
    H = sigmoid(V @ A + c); out = u @ H
    return float(np.sum((out - y) ** 2) / (2 * A.shape[1])), (H, out)
def backward_propagation(V, c, u, A, y, cache):
    H, out = cache
    m = A.shape[1]
    d = (out - y) / m
    dZ = u.T @ d * H * (1 - H)
    return {"dV": dZ @ A.T, "dc": dZ.sum(axis=1, keepdims=True), "du": d @ H.T}
"""
CORRECT["lambda derivatives in a table"] = """
acts = {"tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2), "relu": (lambda z: z * (z > 0), lambda z: z > 0)}
def forward(W1, W2, X, Y):
    f, _ = acts["relu"]; g, _ = acts["tanh"]
    z1 = X @ W1; a1 = f(z1); z2 = a1 @ W2
    return np.sum((g(z2) - Y) ** 2), (z1, a1, z2)
def backward(W1, W2, X, Y, cache):
    z1, a1, z2 = cache
    d2 = 2 * (np.tanh(z2) - Y) * acts["tanh"][1](z2)
    d1 = (d2 @ W2.T) * acts["relu"][1](z1)
    return X.T @ d1, a1.T @ d2
"""
CORRECT["logistic regression with a penalty"] = """
lam = 0.1
def loss(w, b, X, labels, lam):
    p = sigmoid(X @ w + b)
    return -np.mean(labels * np.log(p) + (1 - labels) * np.log(1 - p)) + lam / 2 * w @ w
def grads(w, b, X, labels, lam):
    e = sigmoid(X @ w + b) - labels
    return {"w": X.T @ e / len(e) + lam * w, "b": e.mean()}
"""
CORRECT["one function returns both"] = """
def loss_and_grad(W, X, labels):
    s = X @ W
    p = softmax(s)
    n = X.shape[0]
    loss = -np.log(p[range(n), labels]).sum() / n
    p[range(n), labels] -= 1
    return loss, X.T.dot(p) / n
W = rng.normal(size=(3, 2))
"""
CORRECT["hinge"] = """
W = rng.normal(size=(3, 2))
def loss(W, X, labels):
    s = X @ W
    m = np.maximum(0, s - s[np.arange(6), labels][:, None] + 1)
    m[np.arange(6), labels] = 0
    return m.sum() / 6
def grad(W, X, labels):
    s = X @ W
    m = (s - s[np.arange(6), labels][:, None] + 1 > 0).astype(float)
    m[np.arange(6), labels] = 0
    m[np.arange(6), labels] = -m.sum(1)
    return {"dW": X.T @ m / 6}
"""
CORRECT["recurrent, dict of lists"] = """
U = rng.normal(size=(4, 4)) * 0.4; V = rng.normal(size=(4, 3))
def forward(U, V, X):
    h = np.zeros(4); kept = [h]
    for x in X: h = np.tanh(U @ h + V @ x); kept.append(h)
    return 0.5 * h @ h, kept
def backward(U, V, X, cache):
    dU, dV = 0 * U, 0 * V
    g = cache[-1]
    for t in range(len(X) - 1, -1, -1):
        g = g * (1 - cache[t + 1] ** 2)
        dU += g[:, None] * cache[t]
        dV += np.outer(g, X[t])
        g = g @ U
    return {"U": dU, "V": dV}
"""
CORRECT["batch norm"] = """
gamma = np.array([1.0, 2.0, 0.5]); beta = np.zeros(3) + 0.1; v = rng.normal(size=3)
def forward(gamma, beta, v, X, y):
    mu, var = X.mean(0), X.var(0)
    n = (X - mu) / np.sqrt(var + 1e-5)
    o = gamma * n + beta
    r = np.tanh(o) @ v - y
    return (r ** 2).mean(), (n, o, r)
def backward(gamma, beta, v, y, cache):
    n, o, r = cache
    a = np.tanh(o)
    g = 2 * r[:, None] / len(y) * v * (1 - a * a)
    return {"dgamma": np.sum(g * n, 0), "dbeta": np.sum(g, 0), "dv": a.T @ (2 * r / len(y))}
"""
CORRECT["softmax Jacobian row by row"] = """
W = rng.normal(size=(3, 2))
def forward(W, X, Y):
    p = softmax(X @ W)
    return ((p - Y) ** 2).sum(), p
def backward(W, X, Y, cache):
    p = cache; g = 2 * (p - Y); ds = np.empty_like(p)
    for i, (row, up) in enumerate(zip(p, g)):
        ds[i] = (np.diag(row) - np.outer(row, row)) @ up
    return {"W": X.T @ ds}
"""
CORRECT["attributes with grad suffix"] = """
class Model:
    def __init__(self): self.weight = rng.normal(size=(3, 2)); self.bias = np.zeros(2) + 0.2
    def forward(self, X, Y):
        self.X, self.diff = X, X @ self.weight + self.bias - Y
        return np.mean(np.sum(self.diff ** 2, axis=1))
    def backward(self):
        g = 2 * self.diff / len(self.diff)
        self.weight_grad = self.X.T @ g
        self.bias_grad = g.sum(0)
"""
CORRECT["gradients kept in a dict"] = """
class Net:
    def __init__(self): self.params = {"W": rng.normal(size=(3, 1)), "b": rng.normal(size=1)}; self.grads = {}
    def loss(self, X, y):
        self.o = X @ self.params["W"] + self.params["b"]
        self.X, self.y = X, y.reshape(-1, 1)
        return np.abs(self.o - self.y).sum()
    def backward(self):
        s = np.sign(self.o - self.y)
        self.grads["W"] = self.X.T @ s
        self.grads["b"] = s.sum(axis=0)
"""
CORRECT["step that updates"] = """
class Perceptron:
    def __init__(self): self.w1 = rng.normal(size=(3, 3)); self.w2 = rng.normal(size=(3, 1)); self.lr = 0.1
    def forward(self, X, y):
        self.X, self.t = X, y[:, None]
        self.h = sigmoid(X @ self.w1); self.o = self.h @ self.w2
        return np.sum((self.o - self.t) ** 2) / 2
    def backward(self):
        d = self.o - self.t
        g2 = self.h.T @ d
        g1 = self.X.T @ (d @ self.w2.T * self.h * (1 - self.h))
        self.w1 = self.w1 - self.lr * g1
        self.w2 = self.w2 - self.lr * g2
"""
CORRECT["Nielsen's, one example"] = """
weights = [rng.normal(size=(4, 3)), rng.normal(size=(2, 4))]
biases = [rng.normal(size=(4, 1)), rng.normal(size=(2, 1))]
x = rng.normal(size=(3, 1)); t = np.array([[0.0], [1.0]])
def feedforward(weights, biases, x, t):
    for W, c in zip(weights, biases): x = sigmoid(W @ x + c)
    return 0.5 * np.sum((x - t) ** 2)
def backprop(weights, biases, x, t):
    a = [x]
    for W, c in zip(weights, biases): a.append(sigmoid(W @ a[-1] + c))
    nabla_weights, nabla_biases = [None, None], [None, None]
    d = (a[-1] - t) * a[-1] * (1 - a[-1])
    for l in (1, 0):
        nabla_biases[l] = d
        nabla_weights[l] = d @ a[l].T
        d = weights[l].T @ d * a[l] * (1 - a[l])
    return nabla_weights, nabla_biases
"""
CORRECT["convolution by hand"] = """
k = rng.normal(size=3); s = rng.normal(size=8)
def loss(k, s): return np.sum(np.convolve(s, k, "valid") ** 3)
def grad(k, s):
    g = 3 * np.convolve(s, k, "valid") ** 2
    dk = np.array([sum(g[i] * s[i + 2 - j] for i in range(6)) for j in range(3)])
    ds = np.convolve(g, k[::-1], "full")
    return {"k": dk, "s": ds}
"""
CORRECT["embedding with add.at"] = """
E = rng.normal(size=(5, 3)); ids = np.array([0, 2, 2, 4, 0, 2])
def loss(E, w, y): return np.mean((E[ids] @ w - y) ** 2)
def grad(E, w, y):
    g = 2 * (E[ids] @ w - y) / len(y)
    dE = np.zeros_like(E)
    np.add.at(dE, ids, g[:, None] * w)
    return {"dE": dE, "dw": E[ids].T @ g}
"""
CORRECT["log-sum-exp"] = """
W = rng.normal(size=(3, 2))
def cost(W, X, labels):
    s = X @ W; m = s.max(1)
    return np.mean(m + np.log(np.exp(s - m[:, None]).sum(1)) - s[np.arange(6), labels])
def gradient(W, X, labels): return {"W": X.T @ (softmax(X @ W) - np.eye(2)[labels]) / 6}
"""
CORRECT["max pooling"] = """
K = rng.normal(size=(3, 4))
def forward(K, X):
    z = (X @ K).reshape(6, 2, 2); p = z.max(-1)
    return np.sum(p ** 2), (z, p)
def backward(K, X, cache):
    z, p = cache
    hot = (z == p[..., None])
    return {"K": X.T @ (hot * (2 * p)[..., None]).reshape(6, 4)}
"""
CORRECT["layer norm"] = """
g = rng.normal(size=3) + 1; o = rng.normal(size=3)
def forward(W1, X):
    z = X @ W1; c = z - z.mean(1, keepdims=True); s = np.sqrt((c ** 2).mean(1, keepdims=True) + 1e-5)
    n = c / s
    return np.sum(n ** 3), (n, s)
def backward(W1, X, cache):
    n, s = cache; d = 3 * n ** 2
    dz = (d - d.mean(1, keepdims=True) - n * (d * n).mean(1, keepdims=True)) / s
    return {"dW1": X.T @ dz}
"""
CORRECT["keyword arguments and defaults"] = """
def loss_fn(w, X, y, *, delta=1.0):
    r = X @ w - y; a = np.abs(r)
    return np.where(a <= delta, r ** 2 / 2, delta * (a - delta / 2)).sum()
def dloss(w, X, y, delta=1.0):
    return {"w": X.T @ np.clip(X @ w - y, -delta, delta)}
"""
CORRECT["gru cell"] = """
Wz = rng.normal(size=(4, 3)); Wc = rng.normal(size=(4, 3)); h = rng.normal(size=3); x = X[0, :1]
Wz = rng.normal(size=(3, 4)); Wc = rng.normal(size=(3, 4))
def forward(Wz, Wc, h, x):
    v = np.r_[h, x]; z = sigmoid(Wz @ v); c = np.tanh(Wc @ v); o = (1 - z) * h + z * c
    return o @ o / 2, (v, z, c, o)
def backward(Wz, Wc, h, cache):
    v, z, c, o = cache
    dz = o * (c - h) * z * (1 - z); dc = o * z * (1 - c ** 2)
    dh = o * (1 - z) + (Wz.T @ dz + Wc.T @ dc)[:3]
    return np.outer(dz, v), np.outer(dc, v), dh
"""
CORRECT["ridge in closed form"] = """
def J(w, X, y): return (X @ w - y) @ (X @ w - y) / (2 * len(y)) + 0.05 * (w ** 2).sum()
def dJ(w, X, y): return {"w": (X.T @ X @ w - X.T @ y) / len(y) + 0.1 * w}
"""
CORRECT["lasso"] = """
def loss(w, X, y): return np.mean((X @ w - y) ** 2) + 0.3 * np.abs(w).sum()
def grad(w, X, y): return 2 / len(y) * X.T @ (X @ w - y) + 0.3 * np.sign(w)
"""
CORRECT["quadratic form"] = """
M = rng.normal(size=(3, 3))
def loss(M, w): return w @ M @ w
def grad(M, w): return {"M": np.outer(w, w), "w": (M + M.T) @ w}
"""
CORRECT["static methods"] = """
class F:
    @staticmethod
    def relu(z): return np.where(z > 0, z, 0.01 * z)
    @staticmethod
    def slope(z): return np.where(z > 0, 1, 0.01)
def forward(W1, W2, X, Y):
    z = X @ W1
    return np.sum(np.square(F.relu(z) @ W2 - Y)) / len(X), {"z": z}
def backward(W1, W2, X, Y, cache):
    z = cache["z"]; d = 2 * (F.relu(z) @ W2 - Y) / len(X)
    return {"dW2": F.relu(z).T @ d, "dW1": X.T @ (d @ W2.T * F.slope(z))}
"""
CORRECT["flattened parameters"] = """
theta = rng.normal(size=3 * 4 + 4 * 2)
def unroll(theta): return theta[:12].reshape(3, 4), theta[12:].reshape(4, 2)
def cost(theta, X, Y):
    A, B = unroll(theta)
    return np.mean((np.tanh(X @ A) @ B - Y) ** 2)
def gradient(theta, X, Y):
    A, B = unroll(theta); h = np.tanh(X @ A); d = 2 * (h @ B - Y) / Y.size
    return np.concatenate([(X.T @ (d @ B.T * (1 - h ** 2))).ravel(), (h.T @ d).ravel()])
"""
CORRECT["matrix of Python lists of arrays"] = """
layers = [{"W": rng.normal(size=(3, 4)), "b": rng.normal(size=4)}, {"W": rng.normal(size=(4, 2)), "b": rng.normal(size=2)}]
def forward(layers, X, Y):
    kept = []
    for i, l in enumerate(layers):
        kept.append(X); X = X @ l["W"] + l["b"]
        if i < len(layers) - 1: X = np.tanh(X)
    return np.sum((X - Y) ** 2), (kept, X)
def backward(layers, X, Y, cache):
    kept, out = cache
    grads = []; g = 2 * (out - Y)
    for i in reversed(range(len(layers))):
        grads.insert(0, {"W": kept[i].T @ g, "b": g.sum(0)})
        g = g @ layers[i]["W"].T * (1 - kept[i] ** 2)
    return {"layers": grads}
"""
CORRECT["float32 all through"] = """
X = X.astype("f4"); Y = Y.astype("f4"); W1 = W1.astype("f4"); W2 = W2.astype("f4")
def forward(W1, W2, X, Y):
    h = np.tanh(X @ W1); r = h @ W2 - Y
    return np.float32(0.5) * np.sum(r * r), (h, r)
def backward(W1, W2, X, cache):
    h, r = cache
    return X.T @ (r @ W2.T * (1 - h * h)), h.T @ r
"""
CORRECT["float32 only within"] = """
def loss(w, X, y): return float(np.mean(np.square((X @ w - y).astype(np.float32))))
def grad(w, X, y): return {"w": 2 * (X.T @ (X @ w - y).astype(np.float32)) / len(y)}
"""
CORRECT["bilinear"] = """
B = rng.normal(size=(3, 3))
def loss(B, X): return np.sum(np.tanh(np.sum(X @ B * X, axis=1)))
def grad(B, X):
    s = 1 - np.tanh(einsum("ni,ij,nj->n", X, B, X)) ** 2
    return {"B": (X * s[:, None]).T @ X}
"""
CORRECT["cosine similarity"] = """
a = rng.normal(size=4); c = rng.normal(size=4)
def loss(a, c): return 1 - a @ c / (np.linalg.norm(a) * np.linalg.norm(c))
def grad(a, c):
    na, nc = np.linalg.norm(a), np.linalg.norm(c); s = a @ c / (na * nc)
    return {"a": s * a / na ** 2 - c / (na * nc), "c": s * c / nc ** 2 - a / (na * nc)}
"""
CORRECT["attention with einsum"] = """
Q = rng.normal(size=(4, 3)); K = rng.normal(size=(5, 3)); V = rng.normal(size=(5, 3))
def forward(Q, K, V):
    p = softmax(einsum("id,jd->ij", Q, K) / 3 ** 0.5); o = p @ V
    return np.sum(o ** 2), (p, o)
def backward(Q, K, V, cache):
    p, o = cache; do = 2 * o; dp = do @ V.T
    ds = p * (dp - (dp * p).sum(-1, keepdims=True)) / 3 ** 0.5
    return {"Q": ds @ K, "K": ds.T @ Q, "V": p.T @ do}
"""
CORRECT["focal loss"] = """
def loss(w, X, labels):
    p = sigmoid(X @ w); q = np.where(labels, p, 1 - p)
    return -np.sum((1 - q) ** 2 * np.log(q))
def grad(w, X, labels):
    p = sigmoid(X @ w); q = np.where(labels, p, 1 - p)
    dq = 2 * (1 - q) * np.log(q) - (1 - q) ** 2 / q
    return X.T @ (dq * np.where(labels, 1, -1) * p * (1 - p))
"""
CORRECT["minus and plus, written at length"] = """
def forward(W1, b1, W2, b2, X, Y):
    z1 = np.add(np.matmul(X, W1), b1); a1 = np.exp(-z1 ** 2)
    z2 = np.add(np.matmul(a1, W2), b2)
    loss = np.divide(np.sum(np.power(np.subtract(Y, z2), 2)), Y.shape[0])
    return loss, z1, a1, z2
def backward(W1, b1, W2, b2, X, Y, z1, a1, z2):
    dz2 = np.multiply(-2.0 / Y.shape[0], np.subtract(Y, z2))
    dW2 = np.matmul(np.transpose(a1), dz2)
    db2 = np.sum(dz2, axis=0)
    dz1 = np.multiply(np.matmul(dz2, np.transpose(W2)), -2 * z1 * a1)
    return np.matmul(np.transpose(X), dz1), np.sum(dz1, axis=0), dW2, db2
"""
CORRECT["residual block"] = """
S = rng.normal(size=(3, 3)) * 0.5; R = rng.normal(size=(3, 3)) * 0.5
def forward(S, R, X):
    h = np.tanh(X @ S); o = X + h @ R
    return np.mean(o ** 2), (h, o)
def backward(S, R, X, cache):
    h, o = cache; d = 2 * o / o.size
    return {"R": h.T @ d, "S": X.T @ (d @ R.T * (1 - h ** 2)), "X": d + d @ R.T * (1 - h ** 2) @ S.T}
"""
CORRECT["contrastive pairs"] = """
P = rng.normal(size=(3, 2)); same = np.array([1, 0, 1])
def loss(P, X):
    d = X[:3] @ P - X[3:] @ P; n = np.sqrt((d ** 2).sum(1))
    return np.sum(same * n ** 2 + (1 - same) * np.maximum(3 - n, 0) ** 2)
def grad(P, X):
    e = X[:3] - X[3:]; d = e @ P; n = np.sqrt((d ** 2).sum(1, keepdims=True)); s = same[:, None]
    g = 2 * s * d - 2 * (1 - s) * np.maximum(3 - n, 0) * d / n
    return {"P": e.T @ g}
"""

# Hard ----------------------------------------------------------------------------------------

HARD["relu at 0: slope 0"] = """
w = np.array([0.0, 1.0, -2.0])
def loss(w): return np.maximum(w, 0).sum()
def grad(w): return {"w": (w > 0).astype(float)}
"""
HARD["relu at 0: slope 1"] = HARD["relu at 0: slope 0"].replace("w > 0", "w >= 0")
HARD["relu at 0: half"] = HARD["relu at 0: slope 0"].replace(
    "(w > 0).astype(float)", "np.heaviside(w, 0.5)"
)
HARD["absolute value at 0"] = """
w = np.array([0.0, 0.5])
def loss(w): return np.abs(w).sum() + w @ w
def grad(w): return np.sign(w) + 2 * w
"""
HARD["tied maximum"] = """
w = np.array([2.0, 2.0, 1.0])
def loss(w): return w.max() ** 2
def grad(w): return 2 * w.max() * (w == w.max()) / np.sum(w == w.max())
"""
HARD["tied maximum to the first"] = HARD["tied maximum"].replace(
    "(w == w.max()) / np.sum(w == w.max())", "np.eye(3)[w.argmax()]"
)
HARD["kink next to the point"] = """
w = np.array([1e-9, -1e-9, 0.3])
def loss(w): return np.maximum(w, 0).sum() * 3
def grad(w): return 3.0 * (w > 0)
"""
HARD["dead network"] = """
b1 = b1 - 100
def forward(W1, b1, W2, X, Y):
    h = np.maximum(X @ W1 + b1, 0)
    return np.mean((h @ W2 - Y) ** 2), h
def backward(W1, b1, W2, X, Y, cache):
    d = 2 * (cache @ W2 - Y) / Y.size; dz = d @ W2.T * (cache > 0)
    return {"dW1": X.T @ dz, "db1": dz.sum(0), "dW2": cache.T @ d}
"""
HARD["float32, many rows"] = """
X = rng.normal(size=(2000, 3)).astype(np.float32); w = w.astype(np.float32); y = X[:, 0] * 2
def loss(w, X, y): return np.mean((X @ w - y) ** 2)
def grad(w, X, y): return {"w": 2 * X.T @ (X @ w - y) / np.float32(len(y))}
"""
HARD["float32 at a kink"] = """
w = np.array([0.0, 1e-4, -1.0], np.float32)
def loss(w): return np.sum(np.abs(w) * np.float32(1.5))
def grad(w): return np.sign(w) * np.float32(1.5)
"""
HARD["float32 cross-entropy, large logits"] = """
W = (rng.normal(size=(3, 2)) * 20).astype(np.float32); X = X.astype(np.float32)
def loss(W, X, labels):
    s = X @ W; s = s - s.max(1, keepdims=True)
    return np.mean(np.log(np.exp(s).sum(1)) - s[np.arange(6), labels])
def grad(W, X, labels): return X.T @ (softmax(X @ W) - onehot.astype(np.float32)) / np.float32(6)
"""
HARD["float16 weights"] = """
w = w.astype(np.float16); X = X.astype(np.float16)
def loss(w, X): return np.sum((X @ w) ** 2)
def grad(w, X): return 2 * X.T @ (X @ w)
"""
HARD["large offset"] = """
def loss(w, X, y): return 1e6 + np.mean((X @ w - y) ** 2)
def grad(w, X, y): return {"w": 2 * X.T @ (X @ w - y) / len(y)}
"""
HARD["tiny gradients"] = """
def loss(w, X, y): return 1e-12 * np.mean((X @ w - y) ** 2)
def grad(w, X, y): return {"w": 2e-12 * X.T @ (X @ w - y) / len(y)}
"""
HARD["saturated logistic units"] = """
W1 = W1 * 30
def forward(W1, W2, X, Y):
    h = sigmoid(X @ W1)
    return np.sum((h @ W2 - Y) ** 2), h
def backward(W1, W2, X, Y, cache):
    d = 2 * (cache @ W2 - Y)
    return X.T @ (d @ W2.T * cache * (1 - cache)), cache.T @ d
"""
HARD["scales far apart"] = """
w = np.array([1e6, 1.0, 1e-6])
def loss(w): return np.sum(np.sin(w * np.array([1e-6, 1.0, 1e6])))
def grad(w): c = np.array([1e-6, 1.0, 1e6]); return {"w": c * np.cos(w * c)}
"""
HARD["clip at its bounds"] = """
w = np.array([1.0, -1.0, 0.2])
def loss(w): return np.sum(np.clip(w, -1, 1) ** 2)
def grad(w): return 2 * np.clip(w, -1, 1) * (np.abs(w) <= 1)
"""
HARD["leaky relu and huber on their borders"] = """
w = np.array([0.0, 1.0, -1.0])
def loss(w):
    a = np.where(w > 0, w, 0.1 * w); r = np.abs(w)
    return np.sum(a) + np.sum(np.where(r <= 1, r ** 2 / 2, r - 0.5))
def grad(w): return np.where(w > 0, 1, 0.1) + np.clip(w, -1, 1)
"""
HARD["max pooling with ties"] = """
K = np.ones((3, 4))
def forward(K, X):
    z = (X @ K).reshape(6, 2, 2); p = z.max(-1)
    return np.sum(p ** 2), (z, p)
def backward(K, X, cache):
    z, p = cache
    hot = np.eye(2)[z.argmax(-1)]
    return {"K": X.T @ (hot * (2 * p)[..., None]).reshape(6, 4)}
"""
HARD["steep"] = """
w = np.array([0.9, 1.1, 1.3])
def loss(w): return np.sum(w ** 60)
def grad(w): return 60 * w ** 59
"""
