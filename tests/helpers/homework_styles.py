"""Seeded mistakes in six more styles: modules with parameters, closures that go back, a script of
globals with einsum, a list of caches, a table of activations, one example at a time.

Written before the search saw them; what it missed at first was added afterwards, by kind.
"""

from __future__ import annotations

from tests.helpers.homework import Mistake

SLOPE = "wrong activation derivative,missing activation derivative,missing factor"
EIGHTH = [
    Mistake("modules", "return self.error / len(self.error)", "return self.error", "batch factor"),
    Mistake(
        "modules",
        "return self.error / len(self.error)",
        "return 2 * self.error / len(self.error)",
        "factor 2",
    ),
    Mistake(
        "modules",
        "self.weight.grad += grad_output.T @ self.input",
        "self.weight.grad = self.input.T @ grad_output",
        "transpose",
    ),
    Mistake(
        "modules",
        "self.bias.grad += grad_output.sum(axis=0)",
        "self.bias.grad += grad_output.mean(axis=0)",
        "sum against mean",
    ),
    Mistake(
        "modules",
        "np.where(self.input > 0, 1.0, self.negative_slope)",
        "np.where(grad_output > 0, 1.0, self.negative_slope)",
        "mask from the wrong array",
    ),
    Mistake(
        "modules",
        "return grad_output / (1.0 + np.exp(-self.input))",
        "return grad_output",
        "missing activation derivative,missing factor",
    ),
    Mistake(
        "modules",
        "return grad_output / (1.0 + np.exp(-self.input))",
        "return grad_output / (1.0 + np.exp(self.input))",
        "sign",
    ),
    Mistake(
        "modules",
        "            p.grad += weight_decay * p.data\n",
        "            p.grad = weight_decay * p.data\n",
        "forgotten branch",
    ),
    Mistake(
        "modules",
        "p.grad += weight_decay * p.data",
        "p.grad += 2 * weight_decay * p.data",
        "factor 2,L2 term",
    ),
    Mistake(
        "modules",
        "        if p.data.ndim == 2:\n            p.grad += weight_decay * p.data\n",
        "        pass\n",
        "L2 term",
    ),
    Mistake(
        "modules",
        "return self.error / len(self.error)",
        "return -self.error / len(self.error)",
        "sign",
    ),
    Mistake(
        "modules",
        "return self.error / len(self.error)",
        "return self.error / self.error.size",
        "batch factor",
    ),
    Mistake(
        "ways_back", "dW = dout @ x.T", "dW = dout @ x.T / x.shape[1]", "batch factor,extra factor"
    ),
    Mistake(
        "ways_back",
        "db = np.sum(dout, axis=1, keepdims=True)",
        "db = np.mean(dout, axis=1, keepdims=True)",
        "sum against mean",
    ),
    Mistake("ways_back", "dy * (1 - y**2)", "dy * (1 - x**2)", "pre-activation for activation"),
    Mistake(
        "ways_back",
        "np.where(positive, dy, slope * dy)",
        "np.where(dy > 0, dy, slope * dy)",
        "mask from the wrong array",
    ),
    Mistake("ways_back", "return dy * mask / keep", "return dy * mask", "missing factor"),
    Mistake("ways_back", "return dy * mask / keep", "return dy / keep", "missing factor"),
    Mistake(
        "ways_back",
        "return dq * p * (1 - p)",
        "return dq",
        SLOPE,
    ),
    Mistake("ways_back", "dq = -(targets / q - ", "dq = (targets / q - ", "sign"),
    Mistake("ways_back", "    dW2 += lam / m * W2\n", "", "L2 term"),
    Mistake("ways_back", "    dW1 += lam / m * W1", "    dW1 += lam * W1", "L2 term,batch factor"),
    Mistake(
        "ways_back",
        "da1 = drop_back(dh1)",
        "da1 = dh1",
        "missing factor,missing activation derivative",
    ),
    Mistake("script", "(probs - Y) / N", "(probs - Y)", "batch factor"),
    Mistake(
        "script",
        "dz2 = da2 * (1 - a2**2)",
        "dz2 = da2 * (1 - z2**2)",
        "pre-activation for activation",
    ),
    Mistake(
        "script",
        "dz2 = da2 * (1 - a2**2)",
        "dz2 = da2 * (1 - a2)",
        SLOPE,
    ),
    Mistake(
        "script",
        "dz1 = da1 * (1 / (1 + np.exp(-z1)))",
        "dz1 = da1 * (1 / (1 + np.exp(-a1)))",
        "pre-activation for activation",
    ),
    Mistake(
        "script",
        "dz1 = da1 * (1 / (1 + np.exp(-z1)))",
        "dz1 = da1 * (a1 > 0)",
        f"{SLOPE},mask from the wrong array",
    ),
    Mistake(
        "script",
        'np.einsum("nk->k", dz2)',
        'np.einsum("nk->k", dz2) / N',
        "batch factor,sum against mean",
    ),
    Mistake("script", "    dW3 += 2 * reg * W3\n", "", "L2 term"),
    Mistake("script", "dW1 += 2 * reg * W1", "dW1 += reg * W1", "factor 2,L2 term"),
    Mistake(
        "script",
        'np.einsum("nh,nk->hk", a1, dz2)',
        'np.einsum("nh,nk->hk", z1, dz2)',
        "pre-activation for activation,wrong variable",
    ),
    Mistake(
        "script",
        'np.einsum("nd,nh->dh", X, dz1)',
        'np.einsum("nd,nh->dh", X, da1)',
        "wrong variable,missing activation derivative",
    ),
    Mistake(
        "script",
        "(probs - Y) / N",
        "(probs - Y) * probs * (1 - probs) / N",
        "softmax treated as element-wise,extra factor,wrong activation derivative",
    ),
    Mistake("caches", "        dout /= n\n", "", "batch factor"),
    Mistake("caches", "dout[np.arange(n), self.y] -= 1", "dout[np.arange(n), self.y] += 1", "sign"),
    Mistake("caches", "                dout = dout * mask\n", "", "missing factor"),
    Mistake(
        "caches",
        "np.where(z > 0, 1.0, self.slope)",
        "(z > 0)",
        "wrong activation derivative,missing factor,mask from the wrong array",
    ),
    Mistake("caches", "h.T @ dout + self.reg * W", "h.T @ dout", "L2 term"),
    Mistake(
        "caches", "h.T @ dout + self.reg * W", "h.T @ dout + 2 * self.reg * W", "L2 term,factor 2"
    ),
    Mistake(
        "caches",
        'grads[f"b{l}"] = dout.sum(axis=0)',
        'grads[f"b{l}"] = dout.mean(axis=0)',
        "sum against mean",
    ),
    Mistake(
        "caches",
        "h, W, z, mask = self.caches[l - 1]",
        "h, W, z, mask = self.caches[l - 1]\n            W = W * 1.5",
        "extra factor,wrong constant",
    ),
    Mistake(
        "caches",
        "                dout = dout * np.where(z > 0, 1.0, self.slope)\n",
        "",
        "missing activation derivative",
    ),
    Mistake(
        "caches",
        "            dout = dout @ W.T\n",
        '            dout = dout @ self.params[f"W{l}"].T * 0.5\n',
        "extra factor,factor 2",
    ),
    Mistake(
        "caches",
        "self.caches.append((h, W, z, self.masks[l - 1]))\n            h = a",
        "self.caches.append((a, W, z, self.masks[l - 1]))\n            h = a",
        "wrong variable,pre-activation for activation,wrong layer",
    ),
    Mistake(
        "activation_table",
        "            dZ = dA * slope\n",
        "            dZ = dA\n",
        SLOPE,
    ),
    Mistake(
        "activation_table",
        "(self.Z[layer])\n",
        "(self.A[layer + 1])\n",
        "pre-activation for activation,wrong variable",
    ),
    Mistake("activation_table", "dZ @ self.A[layer].T / m", "dZ @ self.A[layer].T", "batch factor"),
    Mistake(
        "activation_table",
        "            grad_weights[layer] += self.l2 / m * self.weights[layer]\n",
        "",
        "L2 term",
    ),
    Mistake(
        "activation_table",
        "self.l2 / m * self.weights",
        "self.l2 * self.weights",
        "L2 term,batch factor",
    ),
    Mistake(
        "activation_table",
        "dZ.sum(axis=1, keepdims=True) / m",
        "dZ.sum(axis=1, keepdims=True)",
        "batch factor",
    ),
    Mistake(
        "activation_table", "-(y / self.A[-1]) + (1 - y)", "-(y / self.A[-1]) - (1 - y)", "sign"
    ),
    Mistake(
        "activation_table",
        "dA = self.weights[layer].T @ dZ",
        "dA = self.weights[layer].T @ dA",
        "missing activation derivative,wrong variable,missing factor",
    ),
    Mistake(
        "activation_table",
        "lambda z: 1.0 - np.tanh(z) ** 2",
        "lambda z: 1.0 - z ** 2",
        "pre-activation for activation,wrong activation derivative",
    ),
    Mistake(
        "activation_table",
        "lambda z: np.where(z > 0, 1.0, np.exp(z))",
        "lambda z: np.where(z > 0, 1.0, 0.0)",
        f"{SLOPE},mask from the wrong array",
    ),
    Mistake(
        "activation_table",
        "grad_weights[layer] += self.l2",
        "grad_weights[layer] -= self.l2",
        "sign",
    ),
    Mistake("dict_of_dicts", "d_prediction = miss / m", "d_prediction = miss", "batch factor"),
    Mistake("dict_of_dicts", "d_prediction = miss / m", "d_prediction = 2 * miss / m", "factor 2"),
    Mistake(
        "dict_of_dicts",
        'grads["second"]["w"] += np.outer(h, d_v)',
        'grads["second"]["w"] = np.outer(h, d_v)',
        "forgotten branch",
    ),
    Mistake(
        "dict_of_dicts",
        'grads["first"]["b"] += d_u',
        'grads["first"]["b"] = d_u',
        "forgotten branch",
    ),
    Mistake(
        "dict_of_dicts",
        "d_v = d_k * (1 - k**2)",
        "d_v = d_k * (1 - v**2)",
        "pre-activation for activation",
    ),
    Mistake(
        "dict_of_dicts",
        "d_u = d_h * logistic(u)",
        "d_u = d_h * logistic(h)",
        "pre-activation for activation,wrong variable",
    ),
    Mistake(
        "dict_of_dicts",
        "d_u = d_h * logistic(u)",
        "d_u = d_h",
        SLOPE,
    ),
    Mistake(
        "dict_of_dicts",
        "d_u = d_h * logistic(u)",
        "d_u = d_h * (u > 0)",
        f"{SLOPE},mask from the wrong array",
    ),
    Mistake("dict_of_dicts", '        grads[name]["w"] += decay * p["w"]\n', "", "L2 term"),
    Mistake(
        "dict_of_dicts",
        'grads[name]["w"] += decay * p["w"]',
        'grads[name]["w"] += 2 * decay * p["w"]',
        "L2 term,factor 2",
    ),
    Mistake("dict_of_dicts", "miss / m", "(y - prediction) / m", "sign"),
]
