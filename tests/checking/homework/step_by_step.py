"""Every intermediate value by itself, in the way of the lecture on becoming a backprop ninja."""

import numpy as np

g = np.random.default_rng(71)
n, vocab, n_embd, n_hidden = 6, 5, 2, 4
Xb = g.integers(0, vocab, (n, 3))
Yb = g.integers(0, vocab, n)
C = g.normal(size=(vocab, n_embd))
W1 = g.normal(size=(3 * n_embd, n_hidden)) * 0.5
b1 = g.normal(size=n_hidden)
W2 = g.normal(size=(n_hidden, vocab))
b2 = g.normal(size=vocab)


def forward(C, W1, b1, W2, b2, Xb, Yb):
    emb = C[Xb]
    embcat = emb.reshape(emb.shape[0], -1)
    hpreact = embcat @ W1 + b1
    h = np.tanh(hpreact)
    logits = h @ W2 + b2
    logit_maxes = logits.max(1, keepdims=True)
    norm_logits = logits - logit_maxes
    counts = np.exp(norm_logits)
    counts_sum = counts.sum(1, keepdims=True)
    counts_sum_inv = counts_sum**-1
    probs = counts * counts_sum_inv
    logprobs = np.log(probs)
    loss = -logprobs[range(n), Yb].mean()
    return loss, (emb, embcat, h, logits, norm_logits, counts, counts_sum, counts_sum_inv, probs, logprobs)


def backward(C, W1, b1, W2, b2, Xb, Yb, cache):
    emb, embcat, h, logits, norm_logits, counts, counts_sum, counts_sum_inv, probs, logprobs = cache
    dlogprobs = np.zeros_like(logprobs)
    dlogprobs[range(n), Yb] = -1.0 / n
    dprobs = (1.0 / probs) * dlogprobs
    dcounts_sum_inv = (counts * dprobs).sum(1, keepdims=True)
    dcounts = counts_sum_inv * dprobs
    dcounts_sum = (-(counts_sum**-2)) * dcounts_sum_inv
    dcounts += np.ones_like(counts) * dcounts_sum
    dnorm_logits = counts * dcounts
    dlogits = dnorm_logits.copy()
    dh = dlogits @ W2.T
    dW2 = h.T @ dlogits
    db2 = dlogits.sum(0)
    dhpreact = (1.0 - h**2) * dh
    dembcat = dhpreact @ W1.T
    dW1 = embcat.T @ dhpreact
    db1 = dhpreact.sum(0)
    demb = dembcat.reshape(emb.shape)
    dC = np.zeros_like(C)
    for k in range(Xb.shape[0]):
        for j in range(Xb.shape[1]):
            ix = Xb[k, j]
            dC[ix] += demb[k, j]
    return dC, dW1, db1, dW2, db2
