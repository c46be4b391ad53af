"""L3.2 The backward algorithm for a network of depth l, with a regulariser

g <- grad_yhat L;  for k = l ... 1:
    g <- g (.) f'(a(k))                                   through the non-linearity
    grad_b(k) = g + lambda grad_b Omega,  grad_W(k) = g h(k-1)^T + lambda grad_W Omega
    g <- W(k)^T g                                         to the layer below
"""

import numpy as np
from l3_1_forward_algorithm import forward, network
from lecture import agree, title

import chainrule as cr


def backward(theta, x, y, lam):
    """As the lecture writes it; f is logistic, L half the squared error, Omega half of |W|^2."""
    h = [x]
    for W, b in theta:
        h.append(1 / (1 + np.exp(-(b + W @ h[-1]))))
    gradients = []
    g = h[-1] - y
    for k in range(len(theta), 0, -1):
        W, _ = theta[k - 1]
        g = g * h[k] * (1 - h[k])
        gradients.insert(0, [np.outer(g, h[k - 1]) + lam * W, g + lam * 0])
        g = W.T @ g
    return gradients, g


title(__doc__)
for sizes in ((4, 3), (4, 6, 3), (4, 6, 5, 4, 3)):
    for lam in (0.0, 0.1):
        print(f"depth l = {len(sizes) - 1}, lambda = {lam:g}:")
        theta, x, y = network(sizes)
        engine, engine_x = cr.grad(forward, argnums=(0, 1))(theta, x, y, lam)
        lecture, lecture_x = backward(theta, x, y, lam)
        for k in range(len(theta), 0, -1):
            agree(f"grad_b({k}) J", engine[k - 1][1], lecture[k - 1][1])
            agree(f"grad_W({k}) J", engine[k - 1][0], lecture[k - 1][0])
        agree("grad_x J, what would go further down", engine_x, lecture_x)
