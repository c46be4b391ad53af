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
        r"((?:rng|np\.random\.default_rng\(\d+\))\.(?:standard_)?normal\((?:[^()]|\([^()]*\))*\))"
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
