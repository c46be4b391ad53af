"""Everything in one file: globals, einsum, softmax regression on two hidden layers."""
import numpy as np

np.random.seed(3)
N, D, H1, H2, C = 8, 5, 6, 4, 3
X = np.random.randn(N, D)
labels = np.random.randint(0, C, N)
Y = np.eye(C)[labels]
W1 = 0.4 * np.random.randn(D, H1)
b1 = 0.1 * np.random.randn(H1)
W2 = 0.4 * np.random.randn(H1, H2)
b2 = 0.1 * np.random.randn(H2)
W3 = 0.4 * np.random.randn(H2, C)
b3 = 0.1 * np.random.randn(C)
reg = 0.05


def softplus(z):
    return np.log(1 + np.exp(z))


def forward():
    global z1, a1, z2, a2, scores, probs
    z1 = np.einsum("nd,dh->nh", X, W1) + b1
    a1 = softplus(z1)
    z2 = np.einsum("nh,hk->nk", a1, W2) + b2
    a2 = np.tanh(z2)
    scores = np.einsum("nk,kc->nc", a2, W3) + b3
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    probs = e / e.sum(axis=1, keepdims=True)
    data_loss = -np.mean(np.sum(Y * np.log(probs), axis=1))
    reg_loss = reg * (np.sum(W1 * W1) + np.sum(W2 * W2) + np.sum(W3 * W3))
    return data_loss + reg_loss


def backward():
    dscores = (probs - Y) / N
    dW3 = np.einsum("nk,nc->kc", a2, dscores)
    db3 = np.einsum("nc->c", dscores)
    da2 = np.einsum("nc,kc->nk", dscores, W3)
    dz2 = da2 * (1 - a2**2)
    dW2 = np.einsum("nh,nk->hk", a1, dz2)
    db2 = np.einsum("nk->k", dz2)
    da1 = np.einsum("nk,hk->nh", dz2, W2)
    dz1 = da1 * (1 / (1 + np.exp(-z1)))
    dW1 = np.einsum("nd,nh->dh", X, dz1)
    db1 = np.einsum("nh->h", dz1)
    dW1 += 2 * reg * W1
    dW2 += 2 * reg * W2
    dW3 += 2 * reg * W3
    return dW1, db1, dW2, db2, dW3, db3


if __name__ == "__main__":
    for epoch in range(100):
        loss = forward()
        g = backward()
        for p, d in zip((W1, b1, W2, b2, W3, b3), g):
            p -= 0.1 * d
