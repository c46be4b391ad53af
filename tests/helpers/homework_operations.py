"""More seeded mistakes: networks of operations with classes, closures and einsum.

Drawn after the hypotheses were frozen; what they missed at first was added afterwards, by kind.
"""

from __future__ import annotations

from tests.helpers.homework import Mistake

SEVENTH = [
    Mistake(
        "graph",
        "grad_W = AH.T @ grad_output",
        "grad_W = AH.T @ grad_output / len(AH)",
        "batch factor,extra factor",
    ),
    Mistake("graph", "grad_H = A.T @ (", "grad_H = A @ (", "transpose"),
    Mistake(
        "graph", "grad_b = grad_output.sum(0)", "grad_b = grad_output.mean(0)", "sum against mean"
    ),
    Mistake(
        "graph", "(1 - t**2) * du", "(1 - t**2)", "missing factor,missing activation derivative"
    ),
    Mistake("graph", "(1 - t**2) * du", "(1 - z**2) * du", "pre-activation for activation"),
    Mistake(
        "graph",
        "        grad_x = grad_x - xhat * (g * xhat).mean(-1, keepdims=True)\n",
        "",
        "forgotten branch",
    ),
    Mistake("graph", "return grad_x * rstd,", "return grad_x,", "missing factor"),
    Mistake("graph", "g = grad_output * gamma", "g = grad_output", "missing factor"),
    Mistake("graph", "grad[np.arange(n), labels] -= 1", "grad[np.arange(n), labels] += 1", "sign"),
    Mistake("graph", "return grad / n", "return grad", "batch factor"),
    Mistake("graph", '    grads["W2"] += decay * params["W2"]\n', "", "L2 term"),
    Mistake("graph", "h.T @ dlogits + decay", "h.T @ dlogits + 2 * decay", "factor 2,L2 term"),
    Mistake("graph", "dh = dconv + dh", "dh = dconv", "forgotten branch"),
    Mistake(
        "graph", 'dh = dlogits @ params["W3"].T', 'dh = dlogits @ params["W2"][:3]', "wrong layer"
    ),
    Mistake("graph", "dh = GELU.backward(ctxs[2], dh)", "dh = dh", "missing activation derivative"),
    Mistake(
        "heads",
        "/ (1 + np.exp(signs * scores)) / n",
        "/ (1 + np.exp(signs * scores))",
        "batch factor",
    ),
    Mistake(
        "heads", "/ (1 + np.exp(signs * scores)) / n", "/ (1 + np.exp(-signs * scores)) / n", "sign"
    ),
    Mistake("heads", '+ 2 * reg * params["Wc"]', '+ reg * params["Wc"]', "factor 2,L2 term"),
    Mistake("heads", "axis=1) / T", "axis=1)", "batch factor,missing factor,sum against mean"),
    Mistake("heads", "(out - X > 0)", "(out > 0)", "mask from the wrong array"),
    Mistake(
        "heads",
        "dbo = dpre.sum(axis=(0, 1))",
        "dbo = dpre.sum(axis=0).mean(axis=0)",
        "sum against mean",
    ),
    Mistake(
        "heads",
        "dbo = dpre.sum(axis=(0, 1))",
        "dbo = dpre.sum(axis=1)[0]",
        "bias not summed over the batch",
    ),
    Mistake(
        "heads",
        "ds = att * (datt - (datt * att).sum(axis=-1, keepdims=True))",
        "ds = att * (1 - att) * datt",
        "softmax treated as element-wise",
    ),
    Mistake("heads", "    ds = ds / np.sqrt(C)\n", "", "missing factor,batch factor"),
    Mistake(
        "heads",
        'dv = np.einsum("bhij,bhic->bhjc", att, dmixed)',
        'dv = np.einsum("bhij,bhjc->bhic", att, dmixed)',
        "transpose",
    ),
    Mistake(
        "heads",
        '"bhij,bhic->bhjc", ds, q)',
        '"bhij,bhic->bhjc", ds, k)',
        "wrong variable,wrong layer",
    ),
    Mistake(
        "heads",
        'split_heads(dpre @ params["Wo"].T)',
        'split_heads(dpre @ params["Wo"])',
        "transpose",
    ),
    Mistake(
        "heads",
        'split_heads(dpre @ params["Wo"].T)',
        'split_heads(dpre @ params["Wv"].T)',
        "wrong layer",
    ),
    Mistake("heads", "(datt * att).sum(axis=-1", "(datt * att).sum(axis=-2", "wrong axis"),
    Mistake("heads", "dpre = dout * (out - X > 0)", "dpre = dout", "missing activation derivative"),
    Mistake(
        "vae",
        "return dy @ W.T, x.T @ dy",
        "return dy @ W.T, x.T @ dy / len(x)",
        "batch factor,extra factor",
    ),
    Mistake("vae", "return dy / (1 + np.exp(-z))", "return dy", "missing activation derivative"),
    Mistake(
        "vae", "return dy / (1 + np.exp(-z))", "return dy * (z > 0)", "wrong activation derivative"
    ),
    Mistake("vae", "return dy / (1 + np.exp(-z))", "return dy / (1 + np.exp(z))", "sign"),
    Mistake(
        "vae", "return dy * p * (1 - p)", "return dy * z * (1 - z)", "pre-activation for activation"
    ),
    Mistake("vae", "return dz, 0.5 * dz * eps * sd", "return dz, dz * eps * sd", "factor 2"),
    Mistake(
        "vae",
        "return dz, 0.5 * dz * eps * sd",
        "return dz, 0.5 * dz * eps",
        "missing factor,missing activation derivative",
    ),
    Mistake("vae", "dp = (p - x) / n", "dp = p - x", "batch factor"),
    Mistake("vae", "    dmu = dmu + beta * mu / n\n", "", "forgotten branch"),
    Mistake("vae", "dmu + beta * mu / n", "dmu + beta * mu", "batch factor"),
    Mistake(
        "vae", "- 0.5 * beta * (1 - np.exp(logvar))", "+ 0.5 * beta * (1 - np.exp(logvar))", "sign"
    ),
    Mistake(
        "vae",
        "(1 - np.exp(logvar)) / n",
        "(1 - logvar) / n",
        "wrong variable,missing factor,wrong operation",
    ),
    Mistake("vae", "back_h(dh1 + dh2)", "back_h(dh1)", "forgotten branch"),
    Mistake("vae", "dc = back_g(dg)", "dc = back_h(dg)", "wrong layer"),
    Mistake("vae", "do = back_p(dp)", "do = dp", "missing activation derivative"),
]
