"""Hand-written networks with seeded mistakes: the corpus of ``chainrule check``.

A mistake is an edit of one line of a correct network (``old`` becomes ``new``), with the names of
the hypotheses that describe it. In networks of ``FIRST`` the hypotheses could be tried while they
were written; those of ``SECOND`` were written after they were frozen.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from chainrule.checking.handwritten.search import HomeworkCheck, checked
from chainrule.checking.handwritten.student import Student, loader

FOLDER = Path(__file__).parent.parent / "checking" / "homework"


class Mistake(NamedTuple):
    network: str
    old: str
    new: str
    kinds: str

    @property
    def source(self) -> str:
        text = (FOLDER / f"{self.network}.py").read_text()
        assert text.count(self.old) >= 1, (self.network, self.old)
        return text.replace(self.old, self.new, 1)

    @property
    def lines(self) -> range:
        """Where the mistake is: the lines of the edit, and for a line left out, its neighbours."""
        text = (FOLDER / f"{self.network}.py").read_text()
        first = text[: text.index(self.old)].count("\n") + 1
        last = first + max(self.new.rstrip("\n").count("\n"), 0)
        return range(first - (not self.new.strip()), last + 1 + (not self.new.strip()))


def check(source: str, file: str = "homework.py") -> HomeworkCheck:
    return checked(Student(loader(source, file)), source, file)


def single(source: str) -> str:
    """The same network in float32: all that is drawn, made of zeros or written with a point."""
    drawn = (
        r"(?<!float\()\b((?:rng|g|r|np\.random(?:\.default_rng\(\d+\))?)"
        r"\.(?:(?:standard_)?normal|randn)\((?:[^()]|\([^()]*\)|\[[^\]]*\])*\))"
    )
    source = re.sub(drawn, r"\1.astype(np.float32)", source)
    source = re.sub(r"np\.zeros\((\w+|\([^()]*\))\)", r"np.zeros(\1, np.float32)", source)
    return re.sub(r"(np\.array\(\[[^()]*\.\d[^()]*\]\))", r"\1.astype(np.float32)", source)


ONCE = """        if not hasattr(self, "x") or self.x is None:
            self.x = x
"""

FIRST = [
    Mistake("dict_params", "    dz2 /= m\n", "", "batch factor"),
    Mistake("dict_params", "(z1 > 0)", "(da1 > 0)", "mask from the wrong array"),
    Mistake("dict_params", "= dz2 @ params", "= -dz2 @ params", "sign"),
    Mistake("dict_params", "X.T @ dz1 + lam", "X.T @ dz1 + 2 * lam", "factor 2,L2 term"),
    Mistake("dict_params", "db1 = dz1.sum(axis=0)", "db1 = dz1.mean(axis=0)", "sum against mean"),
    Mistake(
        "class_state",
        "da1 * (1 - self.a1**2)",
        "da1 * (1 - self.z1**2)",
        "pre-activation for activation",
    ),
    Mistake("class_state", "da1 * (1 - self.a1**2)", "da1", "missing activation derivative"),
    Mistake("class_state", "(self.p - t) / n", "(t - self.p) / n", "sign"),
    Mistake(
        "class_state",
        "da1 = dz2 @ self.W2.T",
        "da1 = dz2 @ self.b1[None, :]",
        "wrong layer,wrong variable,transpose",
    ),
    Mistake(
        "class_state",
        "self.dW1 = self.X.T @ dz1",
        "self.dW1 = (self.X.T @ dz1) / n",
        "batch factor,extra factor",
    ),
    Mistake("columns", "dW2 = np.dot(dZ2, A1.T) / m", "dW2 = np.dot(dZ2, A1.T)", "batch factor"),
    Mistake(
        "columns",
        "db1 = np.sum(dZ1, axis=1, keepdims=True) / m",
        "db1 = np.sum(dZ1) / m",
        "bias not summed over the batch,wrong axis",
    ),
    Mistake("columns", "(1 - np.power(A1, 2))", "A1 * (1 - A1)", "wrong activation derivative"),
    Mistake(
        "columns",
        "dZ2 = A2 - Y",
        "dZ2 = (A2 - Y) * A2 * (1 - A2)",
        "extra factor,softmax treated as element-wise,wrong activation derivative",
    ),
    Mistake(
        "columns",
        '"A1": A1, "Z2"',
        '"A1": Z1, "Z2"',
        "pre-activation for activation,wrong variable,stale cache",
    ),
    Mistake(
        "layers",
        "self.x.T @ dout",
        "(self.x * 0 + 1).T @ dout",
        "missing factor,wrong variable,extra factor",
    ),
    Mistake(
        "layers",
        "return dout * self.mask",
        "return dout",
        "missing activation derivative,missing factor",
    ),
    Mistake("layers", "dout = self.diff / len(self.diff)", "dout = self.diff", "batch factor"),
    Mistake(
        "layers",
        "dout * self.out * (1 - self.out)",
        "dout * self.out",
        "missing activation derivative,missing factor,wrong activation derivative",
    ),
    Mistake(
        "layers",
        "        self.x = x\n",
        ONCE,
        "stale cache",
    ),
    Mistake("one_function", "    dW += 2 * reg * W\n", "", "L2 term"),
    Mistake("one_function", "dW += 2 * reg * W", "dW += reg * W", "factor 2,L2 term"),
    Mistake("one_function", "dW += 2 * reg * W", "dW = 2 * reg * W", "forgotten branch"),
    Mistake("one_function", "(probs - T) / n", "(probs - T) / n / n", "batch factor"),
    Mistake(
        "one_function",
        "(probs - T) / n",
        "probs * (1 - probs) * (-T / probs) / n",
        "softmax treated as element-wise",
    ),
    Mistake(
        "lists",
        "(activations[-1] - t) * sigmoid_prime(zs[-1])",
        "(activations[-1] - t)",
        "missing activation derivative",
    ),
    Mistake("lists", "(weights[-l + 1].T @ delta)", "(weights[-l].T @ delta)", "wrong layer"),
    Mistake(
        "lists",
        "sigmoid_prime(zs[-l])",
        "sigmoid_prime(activations[-l])",
        "pre-activation for activation,wrong variable",
    ),
    Mistake(
        "lists",
        "np.outer(delta, activations[-l - 1])",
        "np.outer(delta, activations[-l])",
        "wrong layer",
    ),
    Mistake(
        "lists",
        "(activations[-1] - t) * sigmoid",
        "2 * (activations[-1] - t) * sigmoid",
        "factor 2",
    ),
]

UPDATED = "        self.weights2 -= self.lr * d_weights2\n        delta1 = "

SECOND = [
    Mistake("recurrent", "dWx += np.outer", "dWx = np.outer", "forgotten branch"),
    Mistake("recurrent", "dbh += draw", "dbh = draw", "forgotten branch"),
    Mistake("recurrent", "errors[t] + dh_next", "errors[t]", "forgotten branch"),
    Mistake("recurrent", "np.outer(draw, hs[t])", "np.outer(draw, hs[t + 1])", "wrong layer"),
    Mistake("recurrent", "Wh.T @ draw", "Wh @ draw", "transpose"),
    Mistake("residual", "    du += dout\n", "", "forgotten branch"),
    Mistake(
        "residual",
        "2 * diff / diff.size",
        "2 * diff / len(diff)",
        "batch factor,extra factor,missing factor,wrong operation",
    ),
    Mistake(
        "residual",
        "np.where(z > 0, 1.0, 0.1)",
        "np.where(da > 0, 1.0, 0.1)",
        "mask from the wrong array",
    ),
    Mistake("residual", "np.sum(dout, axis=0)", "np.mean(dout, axis=0)", "sum against mean"),
    Mistake("residual", "2 * diff / diff.size", "diff / diff.size", "factor 2"),
    Mistake(
        "attention",
        "self.p * (dp - np.sum(dp * self.p, axis=1, keepdims=True))",
        "dp * self.p * (1 - self.p)",
        "softmax treated as element-wise",
    ),
    Mistake("attention", "dk = ds.T @ self.q", "dk = ds @ self.q", "transpose"),
    Mistake("attention", "        ds = ds / self.scale\n", "", "missing factor"),
    Mistake("attention", "dout = self.out - self.y", "dout = self.y - self.out", "sign"),
    Mistake("attention", "dq = ds @ self.k", "dq = ds @ self.q", "wrong variable,wrong layer"),
    Mistake("updating", "-2 * (self.y", "2 * (self.y", "sign"),
    Mistake(
        "updating",
        "        delta1 = ",
        UPDATED,
        "updates not simultaneous,extra factor",
    ),
    Mistake(
        "updating",
        "* self.layer1 * (1 - self.layer1)",
        "* (1 - self.layer1)",
        "wrong activation derivative,missing factor,missing activation derivative",
    ),
    Mistake(
        "updating",
        "-2 * (self.y - self.output) * self.output * (1 - self.output)",
        "-2 * (self.y - self.output)",
        "missing activation derivative",
    ),
    Mistake("updating", "delta2 @ self.weights2.T", "delta2 @ self.weights1[:1]", "wrong layer"),
    Mistake("normalised", "da * mask * (g > 0)", "da * (g > 0)", "missing factor"),
    Mistake("normalised", "(g > 0)", "(xhat > 0)", "mask from the wrong array"),
    Mistake(
        "normalised",
        "dbeta = dg.sum(axis=0)",
        "dbeta = dg.sum(axis=1)[:4]",
        "wrong axis,bias not summed over the batch",
    ),
    Mistake("normalised", " - xhat * (dxhat * xhat).sum(axis=0)", "", "forgotten branch"),
    Mistake("normalised", 'dxhat = dg * params["gamma"]', "dxhat = dg", "missing factor"),
    Mistake("vector", "2 * r / n", "2 * r", "batch factor"),
    Mistake("vector", "(1 - h * h)", "(1 - h) * h", "wrong activation derivative,wrong operation"),
    Mistake("vector", "dc = dz.sum(0)", "dc = dz.mean(0)", "sum against mean"),
    Mistake("vector", " + 2 * alpha * V", "", "L2 term"),
    Mistake("vector", "2 * alpha * V", "alpha * V", "factor 2,L2 term"),
]

THIRD = [
    Mistake("tied", "    dW += dout.T @ code\n", "", "forgotten branch"),
    Mistake("tied", "dW += dout.T @ code", "dW = dout.T @ code", "forgotten branch"),
    Mistake("tied", "dcode * code * (1.0 - code)", "dcode * code", "missing activation derivative,"
            "missing factor,wrong activation derivative"),
    Mistake("tied", "dcode * code * (1.0 - code)", "dcode * (1.0 - code**2)",
            "wrong activation derivative"),
    Mistake("tied", "2.0 * (out - X) / X.shape[0]", "2.0 * (out - X) / X.size", "batch factor"),
    Mistake("embedding", "g_far = (1 - far) / n", "g_far = (far - 1) / n", "sign"),
    Mistake("embedding", "    np.add.at(dE_out, context, du)\n", "    dE_out[context] += du\n",
            "forgotten branch,wrong operation"),
    Mistake("embedding", "du = g_near[:, None] * v", "du = g_near[:, None] * u",
            "wrong variable,wrong layer"),
    Mistake("embedding", "g_near = (near - 1) / n", "g_near = near - 1", "batch factor"),
    Mistake("embedding", "g_near[:, None] * u + np", "np", "forgotten branch"),
    Mistake("convolution", "(self.z > 0)", "(self.out[:, None, :1] > 0)",
            "mask from the wrong array"),
    Mistake("convolution", "self.dK[j] +=", "self.dK[j] =", "forgotten branch"),
    Mistake("convolution", "self.x[:, t + j].T", "self.x[:, t].T", "wrong layer,wrong constant"),
    Mistake("convolution", "g.sum(axis=(0, 1))", "g.mean(axis=(0, 1))", "sum against mean"),
    Mistake("convolution", ", axis=1) / self.a.shape[1]", ", axis=1)",
            "missing factor,batch factor,sum against mean,extra factor"),
    Mistake("letters", '"nk,jk->nj", dr, B', '"nk,kj->nj", dr, B[:, [0, 1, 1]] * [1, 1, 0]',
            "transpose,wrong variable,wrong layer,extra factor"),
    Mistake("letters", "(s + z * s * (1 - s))", "s * (1 - s)",
            "wrong activation derivative,forgotten branch"),
    Mistake("letters", " + 2 * lam * A", " + lam * A", "L2 term,factor 2"),
    Mistake("letters", '"ni,nj->ij", X, dz', '"ni,nj->ji", X, dz', "transpose"),
    Mistake("letters", "z * s * (1 - s)", "h * s * (1 - s)",
            "pre-activation for activation,wrong variable"),
    Mistake("gates", "(1 - s**2) + c", "(1 - s**2)", "forgotten branch"),
    Mistake("gates", "(1 - s**2) + c", "(1 - c**2) + c", "pre-activation for activation"),
    Mistake("gates", "df = dc * c0", "df = dc * c", "wrong variable,wrong layer"),
    Mistake("gates", "di * i * (1 - i)", "di * i", "missing activation derivative,missing factor,"
            "wrong activation derivative"),
    Mistake("gates", "dg * (1 - g**2)", "dg * g * (1 - g)", "wrong activation derivative"),
    Mistake("deep", '(cache["Z" + str(l - 1)] > 0)', '(cache["Z" + str(l - 1)] < 0)',
            "mask from the wrong array"),
    Mistake("deep", 'cache["A" + str(l - 1)].T / m', 'cache["Z" + str(l - 1)].T / m'
            ' if l > 1 else dZ @ X.T / m', "pre-activation for activation,wrong variable"),
    Mistake("deep", " + lambd / m * W", "", "L2 term"),
    Mistake("deep", "lambd / m * W", "lambd * W", "L2 term,batch factor"),
    Mistake("deep", "axis=1, keepdims=True) / m", "axis=1, keepdims=True)", "batch factor"),
]  # fmt: skip
"""Written after the hypotheses were frozen a second time; the first result is in docs."""

FOURTH = [
    Mistake("nielsen", "activations[-1], y) * sigmoid_prime(zs[-1])", "activations[-1], y)",
            "missing activation derivative"),
    Mistake("nielsen", "nabla_b = [nb + dnb for", "nabla_b = [dnb for", "forgotten branch"),
    Mistake("nielsen", "nabla_w = [nw / len(mini_batch) for nw in nabla_w]\n" "        return",
            "return", "batch factor"),
    Mistake("nielsen", "return output_activations - y", "return y - output_activations", "sign"),
    Mistake("nielsen", "sp = sigmoid_prime(z)", "sp = sigmoid_prime(activations[-l])",
            "pre-activation for activation"),
    Mistake("affine_relu", "dx = dout * (x > 0)", "dx = dout * (dout > 0)",
            "mask from the wrong array"),
    Mistake("affine_relu", "        dW1 += self.reg * W1\n", "", "L2 term"),
    Mistake("affine_relu", "dW2 += self.reg * W2", "dW2 += 2 * self.reg * W2",
            "factor 2,L2 term"),
    Mistake("affine_relu", "    dx /= N\n", "", "batch factor"),
    Mistake("affine_relu", "dh1 = relu_backward(da1, cache_relu)", "dh1 = da1",
            "missing activation derivative"),
    Mistake("svm", "                dW[:, y[i]] -= X[i]\n", "", "forgotten branch"),
    Mistake("svm", "dW[:, y[i]] -= X[i]", "dW[:, y[i]] += X[i]", "sign"),
    Mistake("svm", "    dW /= num_train\n", "", "batch factor"),
    Mistake("svm", "dW += 2 * reg * W", "dW += reg * W", "L2 term,factor 2"),
    Mistake("svm", "dW[:, j] += X[i]", "dW[:, j] = X[i]", "forgotten branch"),
    Mistake("shared_arrays", "self.db = np.sum(dout, axis=0)", "self.db = np.mean(dout, axis=0)",
            "sum against mean"),
    Mistake("shared_arrays", "dx = dout * (1.0 - self.out) * self.out",
            "dx = dout * (1.0 - self.out**2)", "wrong activation derivative"),
    Mistake("shared_arrays", "* dout / batch_size", "* dout", "batch factor"),
    Mistake("shared_arrays", "        dout[self.mask] = 0\n", "",
            "missing activation derivative"),
    Mistake("shared_arrays", "dx = np.dot(dout, self.W.T)", "dx = -np.dot(dout, self.W.T)",
            "sign"),
    Mistake("model_l", "dZ[Z <= 0] = 0", "dZ[dA <= 0] = 0", "mask from the wrong array"),
    Mistake("model_l", "db = 1.0 / m * np.sum(dZ", "db = np.sum(dZ", "batch factor"),
    Mistake("model_l", "dAL = -(np.divide(Y, AL) - np", "dAL = (np.divide(Y, AL) - np", "sign"),
    Mistake("model_l", "dZ = dA * s * (1 - s)", "dZ = dA * s",
            "missing activation derivative,wrong activation derivative,missing factor"),
    Mistake("model_l", "dW = 1.0 / m * np.dot(dZ, A_prev.T)",
            "dW = 1.0 / m * np.dot(dZ, A_prev.T) / m", "batch factor"),
    Mistake("letters_rnn", '["dWya"] += np', '["dWya"] = np', "forgotten branch"),
    Mistake("letters_rnn", ' + gradients["da_next"]\n', "\n", "forgotten branch"),
    Mistake("letters_rnn", "daraw = (1 - a * a) * da", "daraw = da",
            "missing activation derivative"),
    Mistake("letters_rnn", "np.dot(daraw, a_prev.T)", "np.dot(daraw, a.T)",
            "wrong layer,wrong variable"),
    Mistake("letters_rnn", 'np.dot(parameters["Waa"].T, daraw)',
            'np.dot(parameters["Waa"], daraw)', "transpose"),
    Mistake("batchnorm_steps", "dx1 = dxmu1 + dxmu2", "dx1 = dxmu1", "forgotten branch"),
    Mistake("batchnorm_steps", "return dx1 + dx2", "return dx1", "forgotten branch"),
    Mistake("batchnorm_steps", "dgamma = np.sum(dout * xhat, axis=0)",
            "dgamma = np.sum(dout * xmu, axis=0)",
            "wrong variable,pre-activation for activation"),
    Mistake("batchnorm_steps", "dsqrtvar = -1.0 / (", "dsqrtvar = 1.0 / (", "sign"),
    Mistake("batchnorm_steps", "da = dd * self.mask / self.keep", "da = dd * self.mask",
            "missing factor"),
    Mistake("conv1d_naive", "db[f] += dout", "db[f] = dout", "forgotten branch"),
    Mistake("conv1d_naive", 'grads["b3"] = dscores.sum(axis=0)', 'grads["b3"] = dscores.sum()',
            "bias not summed over the batch,wrong axis"),
    Mistake("conv1d_naive", "2 * diff / diff.size", "2 * diff / len(diff)", "batch factor"),
    Mistake("conv1d_naive", "da1 * (h1 > 0)", "da1 * (da1 > 0)", "mask from the wrong array"),
    Mistake("conv1d_naive", "xp[n, :, s : s + K] * dout", "xp[n, :, i : i + K] * dout",
            "wrong layer,wrong variable"),
    Mistake("inputs_dinputs", "self.dinputs = self.dinputs / samples", "pass", "batch factor"),
    Mistake("inputs_dinputs", "self.dweights += 2 * self.w", "self.dweights += self.w",
            "L2 term,factor 2"),
    Mistake("inputs_dinputs",
            "np.diagflat(single_output) - np.dot(single_output, single_output.T)",
            "np.diagflat(single_output * (1 - single_output))",
            "softmax treated as element-wise"),
    Mistake("inputs_dinputs", "self.dbiases = np.sum(dvalues, axis=0, keepdims=True)",
            "self.dbiases = np.mean(dvalues, axis=0, keepdims=True)", "sum against mean"),
    Mistake("inputs_dinputs", "self.dinputs[self.inputs <= 0] = 0",
            "self.dinputs[dvalues <= 0] = 0", "mask from the wrong array"),
    Mistake("dense_layers", "        input_gradient = np.dot(self.weights.T, output_gradient)\n"
            "        self.weights -= learning_rate * weights_gradient\n",
            "        self.weights -= learning_rate * weights_gradient\n"
            "        input_gradient = np.dot(self.weights.T, output_gradient)\n",
            "updates not simultaneous"),
    Mistake("dense_layers", "1 - np.tanh(self.input) ** 2", "1 - self.input ** 2",
            "pre-activation for activation,wrong activation derivative"),
    Mistake("dense_layers", "2 * (y_pred - y_true) / np", "(y_pred - y_true) / np", "factor 2"),
    Mistake("dense_layers", "/ np.size(y_true)", "/ 1", "batch factor,missing factor"),
    Mistake("dense_layers", "self.bias -= learning_rate", "self.bias += learning_rate", "sign"),
    Mistake("flat_theta", "Theta1_grad[:, 1:] += lambda_ / m * Theta1[:, 1:]",
            "Theta1_grad += lambda_ / m * Theta1", "L2 term"),
    Mistake("flat_theta", "* sigmoid_gradient(z2)", "* sigmoid_gradient(a2[:, 1:])",
            "pre-activation for activation"),
    Mistake("flat_theta", "    Theta2_grad[:, 1:] += lambda_ / m * Theta2[:, 1:]\n", "",
            "L2 term"),
    Mistake("flat_theta", "Theta2_grad = d3.T @ a2 / m", "Theta2_grad = d3.T @ a2",
            "batch factor"),
    Mistake("flat_theta", "d3 = a3 - np.eye(num_labels)[y]",
            "d3 = (a3 - np.eye(num_labels)[y]) * a3 * (1 - a3)", "extra factor"),
    Mistake("momentum", "self.code.T @ d_recon + self.weight_decay * self.Wd",
            "self.code.T @ d_recon", "L2 term"),
    Mistake("momentum", "(s + self.pre * s * (1 - s))", "s * (1 - s)",
            "wrong activation derivative"),
    Mistake("momentum", "d_recon = (self.recon - self.x) / batch",
            "d_recon = self.recon - self.x", "batch factor"),
    Mistake("momentum", '"bd": d_recon.sum(axis=0)', '"bd": d_recon.mean(axis=0)',
            "sum against mean"),
    Mistake("momentum", "- self.lr * grad", "+ self.lr * grad", "sign"),
    Mistake("step_by_step", "    dcounts += np.ones_like(counts) * dcounts_sum\n", "",
            "forgotten branch"),
    Mistake("step_by_step", "dcounts_sum = (-(counts_sum**-2)) *",
            "dcounts_sum = (counts_sum**-2) *", "sign"),
    Mistake("step_by_step", "dC[ix] += demb", "dC[ix] = demb", "forgotten branch"),
    Mistake("step_by_step", "(1.0 - h**2) * dh", "(1.0 - hpreact**2) * dh",
            "pre-activation for activation"),
    Mistake("step_by_step", "= -1.0 / n", "= -1.0", "batch factor"),
]  # fmt: skip
"""In the styles of books and courses; the hypotheses were mended with these."""

FIFTH = [
    Mistake("gru", "dh_prev += drh * r", "dh_prev = drh * r", "forgotten branch"),
    Mistake("gru", "dc_in = dc * (1 - c**2)", "dc_in = dc * c * (1 - c)",
            "wrong activation derivative"),
    Mistake("gru", 'grads["Ur"] += h.T', 'grads["Ur"] += (r * h).T',
            "extra factor,wrong variable"),
    Mistake("gru", "dh = err / len(err)", "dh = err", "batch factor"),
    Mistake("gru", 'dr_in @ params["Ur"].T + dz', 'dr_in @ params["Ur"] + dz', "transpose"),
    Mistake("factorise", "gQ[i] += 2 * e * self.P[u]", "gQ[i] += 2 * e * self.Q[i]",
            "wrong variable,wrong layer"),
    Mistake("factorise", "        gQ += 2 * self.reg * self.Q\n", "", "L2 term"),
    Mistake("factorise", "gbi[i] += 2 * e", "gbi[i] = 2 * e", "forgotten branch"),
    Mistake("factorise", "gP / n, gQ / n,", "gP / n, gQ,", "batch factor"),
    Mistake("factorise", "gbu[u] += 2 * e", "gbu[u] += e", "factor 2"),
    Mistake("blocks", "return upstream * self.positive", "return upstream",
            "missing activation derivative,missing factor,mask from the wrong array"),
    Mistake("blocks", "return upstream * self.kept / (1 - self.p)", "return upstream * self.kept",
            "missing factor"),
    Mistake("blocks", "/ self.out.size", "/ len(self.out)", "batch factor"),
    Mistake("blocks", "upstream.sum(axis=0, keepdims=True)",
            "upstream.mean(axis=0, keepdims=True)", "sum against mean"),
    Mistake("blocks", "2 * (self.out - self.y)", "2 * (self.y - self.out)", "sign"),
    Mistake("logistic_columns", "dz = A - Y", "dz = (A - Y) * A * (1 - A)",
            "extra factor,wrong activation derivative"),
    Mistake("logistic_columns", "db = 1 / m * np.sum(dz)", "db = np.sum(dz)", "batch factor"),
    Mistake("logistic_columns", "dw = dw + lambd / m * w", "dw = dw + lambd * w",
            "L2 term,batch factor"),
    Mistake("logistic_columns", "    dw = dw + lambd / m * w\n", "", "L2 term"),
    Mistake("logistic_columns", "dw = 1 / m * np.dot(X, dz.T)", "dw = -1 / m * np.dot(X, dz.T)",
            "sign"),
    Mistake("contrast", "deb = -dea", "deb = dea", "sign"),
    Mistake("contrast", "* (1 - ab**2)", "* (1 - aa**2)",
            "wrong layer,wrong variable,pre-activation for activation"),
    Mistake("contrast", "dW1 = xa.T @ dza + xb.T @ dzb", "dW1 = xa.T @ dza", "forgotten branch"),
    Mistake("contrast", "dea = 2 * diff * dd2", "dea = diff * dd2", "factor 2"),
    Mistake("contrast", "(d2 < margin)", "(diff[:, 0] < margin)", "mask from the wrong array"),
    Mistake("pooled", "axis=1) / act.shape[1]", "axis=1)",
            "missing factor,batch factor,sum against mean"),
    Mistake("pooled", "dpre = dact * (pre > 0)", "dpre = dact * (dact > 0)",
            "mask from the wrong array"),
    Mistake("pooled", "        dlogits /= N\n", "", "batch factor"),
    Mistake("pooled", "dlogits[np.arange(N), labels] -= 1", "dlogits[np.arange(N), labels] += 1",
            "sign"),
    Mistake("pooled", 'grads["d"] = dlogits.sum(axis=0)', 'grads["d"] = dlogits.mean(axis=0)',
            "sum against mean"),
]  # fmt: skip
"""Written after the hypotheses were frozen a third time; the first result is in docs."""

SIXTH = [
    Mistake(
        "closures",
        "other.grad += out.grad.sum(axis=0)",
        "other.grad += out.grad.mean(axis=0)",
        "sum against mean",
    ),
    Mistake(
        "closures", "(1 - t**2) * out.grad", "(1 - t) * out.grad", "wrong activation derivative"
    ),
    Mistake(
        "closures",
        "2 * diff / diff.size * out.grad",
        "diff / diff.size * out.grad",
        "factor 2,batch factor",
    ),
    Mistake(
        "closures",
        "2 * diff / diff.size * out.grad",
        "2 * diff / len(diff) * out.grad",
        "batch factor",
    ),
    Mistake("closures", "(1 - t**2) * out.grad", "out.grad", "missing activation derivative"),
    Mistake(
        "dataclasses_net",
        "self.grad_bias = grad.sum(axis=0)",
        "self.grad_bias = grad.mean(axis=0)",
        "sum against mean",
    ),
    Mistake(
        "dataclasses_net",
        "grad = 2 * self.residual / len",
        "grad = self.residual / len",
        "factor 2",
    ),
    Mistake(
        "dataclasses_net",
        "np.where(self.saved > 0, grad, self.slope * grad)",
        "np.where(grad > 0, grad, self.slope * grad)",
        "mask from the wrong array",
    ),
    Mistake(
        "dataclasses_net",
        "2 * self.residual / len(self.residual)",
        "2 * self.residual / self.residual.size",
        "batch factor",
    ),
    Mistake("lists_only", "(o[k] - t[k]) / n for k", "o[k] - t[k] for k", "batch factor"),
    Mistake("lists_only", "dh[j] * (1 - h[j] ** 2)", "dh[j]", "missing activation derivative"),
    Mistake("lists_only", "db2[k] += do[k]", "db2[k] = do[k]", "forgotten branch"),
    Mistake(
        "lists_only", "dh[j] * (1 - h[j] ** 2)", "dh[j] * (1 - h[j])", "wrong activation derivative"
    ),
    Mistake("lists_only", "(o[k] - t[k]) / n", "(t[k] - o[k]) / n", "sign"),
    Mistake("lstm", "dh * o * (1 - tc**2) + dc_next", "dh * o * (1 - tc**2)", "forgotten branch"),
    Mistake(
        "lstm", "do * o * (1 - o)", "do * (1 - o)", "wrong activation derivative,missing factor"
    ),
    Mistake("lstm", "dh = err * Wy + dh_next", "dh = err * Wy", "forgotten branch"),
    Mistake("lstm", "df = dc * c_prev", "df = dc * g", "wrong variable"),
    Mistake("lstm", "dg * (1 - g**2)", "dg * g * (1 - g)", "wrong activation derivative"),
]
"""Networks of lists, closures, dataclasses and gates, which hypotheses were mended by."""
