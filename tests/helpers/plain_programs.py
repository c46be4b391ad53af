"""Textbook programs in plain NumPy, as they are first written: loops that write in place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import chainrule as cr


class Program(NamedTuple):
    """A function of an array and what else it takes. ``branches``: whether it asks for values."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    branches: bool


PROGRAMS: dict[str, Program] = {}
RNG = np.random.default_rng(0)
SEEN = [0, 1, 2, 1, 0, 2, 2, 1]


def drawn(*shape):
    return RNG.normal(size=shape)


SPD = (lambda A: A @ A.T + 5 * np.eye(5))(drawn(5, 5))


def program(*args, branches=False):
    def noted(f):
        PROGRAMS[f.__name__] = Program(f, args, branches)
        return f

    return noted


def logistic(z):
    return 1 / (1 + np.exp(-z))


@program(drawn(3, 3))
def hmm_forward(logits):
    A = np.exp(logits)
    A /= A.sum(axis=1, keepdims=True)
    B = np.abs(np.array([[0.5, 0.3, 0.2], [0.1, 0.6, 0.3], [0.2, 0.2, 0.6]]))
    alpha = np.zeros_like(logits, shape=(len(SEEN), 3))
    alpha[0] = B[:, SEEN[0]] / 3
    c = 0.0
    for t in range(1, len(SEEN)):
        for j in range(3):
            alpha[t, j] = np.sum(alpha[t - 1] * A[:, j]) * B[j, SEEN[t]]
        s = alpha[t].sum()
        c += np.log(s)
        alpha[t] /= s
    return c


@program(drawn(3, 3))
def viterbi_score(logits):
    logA = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    logB = np.log(np.array([[0.5, 0.3, 0.2], [0.1, 0.6, 0.3], [0.2, 0.2, 0.6]]))
    delta = np.log(1 / 3) + logB[:, SEEN[0]]
    psi = []
    for o in SEEN[1:]:
        scores = delta[:, None] + logA
        psi.append(np.argmax(scores, axis=0))
        delta = np.max(scores, axis=0) + logB[:, o]
    return delta.max()


@program(drawn(8), drawn(7), 4 + drawn(8) ** 2)
def thomas(d, a, b):
    d = d.copy()
    b = b + 0.0
    n = len(d)
    c = np.roll(a, 1)
    for i in range(1, n):
        w = a[i - 1] / b[i - 1]
        b[i] -= w * c[i - 1]
        d[i] -= w * d[i - 1]
    x = np.empty_like(d)
    x[-1] = d[-1] / b[-1]
    for i in range(n - 2, -1, -1):
        x[i] = (d[i] - c[i] * x[i + 1]) / b[i]
    return np.sum(x**2)


@program(drawn(5), drawn(5, 5) + 6 * np.eye(5))
def gauss_seidel(b, A):
    x = np.zeros_like(b)
    for _ in range(20):
        for i in range(len(b)):
            x[i] = (b[i] - A[i, :i] @ x[:i] - A[i, i + 1 :] @ x[i + 1 :]) / A[i, i]
    return np.sum(np.sin(x))


@program(drawn(5), SPD, branches=True)
def conj_grad(b, A):
    x = np.zeros_like(b)
    r = b - A @ x
    p = r.copy()
    rs = r @ r
    for _ in range(4):
        Ap = A @ p
        alpha = rs / (p @ Ap)
        x += alpha * p
        r -= alpha * Ap
        new = r @ r
        if np.sqrt(new) < 1e-14:
            break
        p = r + new / rs * p
        rs = new
    return x @ x


@program(drawn(4, 3))
def givens_swap(A):
    R = A.copy()
    m, n = R.shape
    for j in range(n):
        for i in range(m - 1, j, -1):
            r = np.sqrt(R[i - 1, j] ** 2 + R[i, j] ** 2)
            c, s = (R[i - 1, j] / r, R[i, j] / r)
            top = R[i - 1].copy()
            R[i - 1] = c * top + s * R[i]
            R[i] = -s * top + c * R[i]
    return np.sum(R**3)


@program(SPD)
def cholesky_hand(A):
    n = A.shape[0]
    L = np.zeros_like(A)
    for i in range(n):
        for j in range(i + 1):
            s = A[i, j]
            for k in range(j):
                s -= L[i, k] * L[j, k]
            if i == j:
                L[i, j] = np.sqrt(s)
            else:
                L[i, j] = s / L[j, j]
    return np.sum(L * np.arange(n * n).reshape(n, n))


@program(drawn(5, 5) + 4 * np.eye(5))
def lu_inplace(A):
    A = A.copy()
    n = len(A)
    for k in range(n - 1):
        A[k + 1 :, k] /= A[k, k]
        A[k + 1 :, k + 1 :] -= np.outer(A[k + 1 :, k], A[k, k + 1 :])
    return np.sum(np.log(np.abs(A.diagonal())))


@program(drawn(5, 5), branches=True)
def lu_pivot(A):
    A = A.copy()
    n = len(A)
    sign = 1.0
    for k in range(n - 1):
        p = k + np.argmax(np.abs(A[k:, k]))
        if p != k:
            A[[k, p]] = A[[p, k]]
            sign = -sign
        A[k + 1 :, k] /= A[k, k]
        A[k + 1 :, k + 1 :] -= A[k + 1 :, k : k + 1] * A[k, k + 1 :]
    return sign * np.prod(np.diag(A))


@program(drawn(3, 3), drawn(6, 6))
def conv2d_hand(K, X):
    H, W = X.shape
    kh, kw = K.shape
    out = np.zeros_like(K, shape=(H - kh + 1, W - kw + 1))
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = (X[i : i + kh, j : j + kw] * K).sum()
    np.maximum(out, 0, out=out)
    return out.mean()


@program(drawn(16, 7) * 0.3, drawn(6, 3))
def lstm(W, xs):
    H = 4
    h = np.zeros(H)
    c = np.zeros(H)
    hs = []
    for x in xs:
        z = W @ np.concatenate([x, h])
        i, f, o, g = np.split(z, 4)
        c = logistic(f + 1) * c + logistic(i) * np.tanh(g)
        h = logistic(o) * np.tanh(c)
        hs.append(h)
    return np.mean(np.stack(hs) ** 2)


@program(np.array([0.1, 0.9]), drawn(3))
def adam_unrolled(hyper, x0):
    lr, b1 = (hyper[0], hyper[1])
    b2 = 0.99
    x = x0 + 0 * lr
    m = np.zeros_like(x)
    v = np.zeros_like(x)
    for t in range(1, 15):
        g = 2 * x * np.array([1.0, 3.0, 10.0])
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        x -= lr * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + 1e-08)
    return np.sum(x**2)


@program(np.array([0.3, 0.1]), np.sign(drawn(6, 6)))
def ising(p, s):
    J, h = p
    E = 0.0
    n, m = s.shape
    for i in range(n):
        for j in range(m):
            E -= J * s[i, j] * (s[(i + 1) % n, j] + s[i, (j + 1) % m])
    return np.exp(E / 36) - h * np.sum(s)


@program(drawn(12))
def heat(u):
    u = u.copy()
    for _ in range(20):
        u[1:-1] += 0.2 * (u[2:] - 2 * u[1:-1] + u[:-2])
    return np.sum(u**2)


@program(drawn(10))
def wave_rows(u0):
    u = np.empty_like(u0, shape=(15, 10))
    u[0] = u0
    u[1] = u0
    for t in range(1, 14):
        u[t + 1, 0] = u[t + 1, -1] = 0
        u[t + 1, 1:-1] = (
            2 * u[t, 1:-1] - u[t - 1, 1:-1] + 0.25 * (u[t, 2:] - 2 * u[t, 1:-1] + u[t, :-2])
        )
    return np.sum(u[-1] ** 2)


@program(np.array(5.0), branches=True)
def newton(a):
    x = 1.0 * a
    while abs(x**3 - a) > 1e-13 * a:
        x -= (x**3 - a) / (3 * x**2)
    return x


@program(np.array([1.0, 0.2, 0.5]), drawn(50))
def euler_maruyama(p, noise):
    theta, mu, sigma = p
    dt = 0.01
    x = 0.3
    path = [x]
    for z in noise:
        x = x + theta * (mu - x) * dt + sigma * np.sqrt(dt) * z
        path.append(x)
    return np.mean(cr.array(path) ** 2)


@program(drawn(7) * 0.1, drawn(60))
def ar7(phi, y):
    r = 0.0
    for t in range(7, len(y)):
        r += (y[t] - phi @ y[t - 7 : t][::-1]) ** 2
    return 0.5 * len(y) * np.log(r / len(y))


@program(np.array([-2.0, -1.5, 1.0]), drawn(80))
def garch(p, r):
    omega = np.exp(p[0])
    alpha = 1 / (1 + np.exp(-p[1]))
    beta = (1 - alpha) / (1 + np.exp(-p[2]))
    s2 = r.var()
    ll = 0
    for x in r:
        ll -= 0.5 * (np.log(2 * np.pi) + np.log(s2) + x**2 / s2)
        s2 = omega + alpha * x**2 + beta * s2
    return -ll


@program(drawn(6), drawn(7), branches=True)
def dtw(a, b):
    n, m = (len(a), len(b))
    D = np.full_like(a, np.inf, shape=(n + 1, m + 1))
    D[0, 0] = 0
    for i in range(1, n + 1):
        for j in range(1, m + 1):
            D[i, j] = (a[i - 1] - b[j - 1]) ** 2 + min(D[i - 1, j], D[i, j - 1], D[i - 1, j - 1])
    return D[n, m]


@program(drawn(6), drawn(7))
def soft_dtw(a, b):
    n, m = (len(a), len(b))
    g = 0.5
    R = np.ones_like(a, shape=(n + 1, m + 1)) * 100000000.0
    R[0, 0] = 0
    for i in range(1, n + 1):
        for j in range(1, m + 1):
            z = -np.stack([R[i - 1, j], R[i, j - 1], R[i - 1, j - 1]]) / g
            mx = z.max()
            R[i, j] = (a[i - 1] - b[j - 1]) ** 2 - g * (mx + np.log(np.sum(np.exp(z - mx))))
    return R[-1, -1]


@program(drawn(4, 4))
def expm_inplace(A):
    X = A / 2**6
    E = np.eye(4) + 0 * A
    T = np.eye(4)
    for k in range(1, 13):
        T = T @ X
        T /= k
        E += T
    for _ in range(6):
        E[...] = E @ E
    return np.einsum("ii", E)


@program(np.abs(drawn(5, 5)) + 0.3)
def floyd_hard(D):
    D = D.copy()
    for k in range(5):
        for i in range(5):
            for j in range(5):
                D[i, j] = np.minimum(D[i, j], D[i, k] + D[k, j])
    return D.sum()


@program(drawn(9))
def running_max(x):
    m = x[0]
    out = [m]
    for v in x[1:]:
        m = np.maximum(m, v)
        out.append(m)
    out = cr.array(out)
    return np.sum(out * np.arange(9)) + np.sum(np.maximum.accumulate(x) ** 2)


@program(drawn(9))
def cumprod_inplace(x):
    y = x.copy()
    for i in range(1, len(y)):
        y[i] *= y[i - 1]
    y *= 2
    y[::2] += 1
    y[y < 0] *= 0.5
    return y.sum() + np.cumprod(x).sum()


@program(np.array([1, 0.6, 0.3, 0.1, 0.05, 0.02]))
def levinson_alias(r):
    n = len(r) - 1
    a = np.zeros_like(r)
    a[0] = 1.0
    e = r[0]
    for i in range(1, n + 1):
        k = -(r[i] + np.dot(a[1:i], r[i - 1 : 0 : -1])) / e
        a[1 : i + 1] += k * a[:i][::-1]
        e = e * (1 - k * k)
    return np.log(e) + a.sum()


@program(drawn(5, 3))
def gram_schmidt(A):
    Q = np.zeros_like(A)
    for j in range(A.shape[1]):
        v = A[:, j].copy()
        for i in range(j):
            v -= Q[:, i] @ v * Q[:, i]
        Q[:, j] = v / np.linalg.norm(v)
    return np.sum(Q * np.arange(15).reshape(5, 3))


@program(drawn(6), branches=True)
def bubble(x):
    x = x.copy()
    n = len(x)
    for i in range(n):
        for j in range(n - 1 - i):
            if x[j] > x[j + 1]:
                x[j], x[j + 1] = (x[j + 1], x[j])
    return np.sum(x * np.arange(n))


@program(drawn(6))
def swap_cols(x):
    A = np.outer(x, x)
    A[:, 0], A[:, 1] = (A[:, 1].copy(), A[:, 0].copy())
    A[0], A[1] = (A[1], A[0])
    A.T[2] *= 3
    B = A.reshape(-1)
    B[::5] = 0
    A.flat[3] = 7.0
    return np.sum(A * np.arange(36).reshape(6, 6))


@program(drawn(6))
def scatter(x):
    h = np.zeros_like(x, shape=4)
    idx = np.array([0, 1, 1, 3, 3, 3])
    np.add.at(h, idx, x**2)
    np.multiply.at(h, [0, 3], 2.0)
    h[[1, 1]] += 5
    return np.sum(np.sin(h)) + np.sum(np.bincount(idx, weights=x * x))


@program(drawn(2, 3))
def blockwrite(A):
    B = np.zeros_like(A, shape=(4, 4))
    B[:2, :3] = A
    B[2:, 1:] = -A
    B += B.T
    B[B > 1] = 1
    B[-1, ...] = A[0, 0]
    return np.linalg.det(B + 3 * np.eye(4))


@program(drawn(5))
def np_out(x):
    y = np.empty_like(x)
    np.exp(x, out=y)
    np.add(y, x, out=y)
    np.multiply(y, 2, y)
    np.sqrt(y, out=y, where=y > 0)
    np.copyto(y, 1.5, where=x < 0)
    np.put(y, [0], x[1])
    np.clip(y, -1, 3, out=y)
    return np.sum(y)
