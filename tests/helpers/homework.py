"""Hand-written networks with seeded mistakes: the corpus of ``chainrule check``.

A mistake is an edit of one line of a correct network (``old`` becomes ``new``), with the names of
the hypotheses that describe it. In networks of ``FIRST`` the hypotheses could be tried while they
were written; those of ``SECOND`` were written after they were frozen.
"""

from __future__ import annotations

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


FIRST = [
    Mistake("dict_params", "    dz2 /= m\n", "", "batch factor"),
    Mistake("dict_params", "(z1 > 0)", "(da1 > 0)", "mask from the wrong array"),
    Mistake(
        "dict_params",
        "da1 = dz2 @ params['W2'].T".replace("'", '"'),
        'da1 = dz2 @ params["W2"][:, :3].T @ np.eye(3, 4)'
        if False
        else 'da1 = -dz2 @ params["W2"].T',
        "sign",
    ),  # fmt: skip
    Mistake("dict_params", "X.T @ dz1 + lam", "X.T @ dz1 + 2 * lam", "factor 2,L2 term"),
    Mistake("dict_params", "db1 = dz1.sum(axis=0)", "db1 = dz1.mean(axis=0)", "sum against mean"),
    Mistake(
        "class_state",
        "da1 * (1 - self.a1**2)",
        "da1 * (1 - self.z1**2)",
        "pre-activation for activation",
    ),  # fmt: skip
    Mistake("class_state", "da1 * (1 - self.a1**2)", "da1", "missing activation derivative"),
    Mistake("class_state", "(self.p - t) / n", "(t - self.p) / n", "sign"),
    Mistake(
        "class_state",
        "da1 = dz2 @ self.W2.T",
        "da1 = dz2 @ self.b1[None, :]",
        "wrong layer,wrong variable,transpose",
    ),  # fmt: skip
    Mistake(
        "class_state",
        "self.dW1 = self.X.T @ dz1",
        "self.dW1 = (self.X.T @ dz1) / n",
        "batch factor,extra factor",
    ),  # fmt: skip
    Mistake("columns", "dW2 = np.dot(dZ2, A1.T) / m", "dW2 = np.dot(dZ2, A1.T)", "batch factor"),
    Mistake(
        "columns",
        "db1 = np.sum(dZ1, axis=1, keepdims=True) / m",
        "db1 = np.sum(dZ1) / m",
        "bias not summed over the batch,wrong axis",
    ),  # fmt: skip
    Mistake("columns", "(1 - np.power(A1, 2))", "A1 * (1 - A1)", "wrong activation derivative"),
    Mistake(
        "columns",
        "dZ2 = A2 - Y",
        "dZ2 = (A2 - Y) * A2 * (1 - A2)",
        "extra factor,softmax treated as element-wise,wrong activation derivative",
    ),  # fmt: skip
    Mistake(
        "columns",
        '"A1": A1, "Z2"',
        '"A1": Z1, "Z2"',
        "pre-activation for activation,wrong variable,stale cache",
    ),  # fmt: skip
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
    ),  # fmt: skip
    Mistake("layers", "dout = self.diff / len(self.diff)", "dout = self.diff", "batch factor"),
    Mistake(
        "layers",
        "dout * self.out * (1 - self.out)",
        "dout * self.out",
        "missing activation derivative,missing factor,wrong activation derivative",
    ),  # fmt: skip
    Mistake(
        "layers",
        "        self.x = x\n",
        '        if not hasattr(self, "x") or self.x is None:\n            self.x = x\n',
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
    ),  # fmt: skip
    Mistake(
        "lists",
        "(activations[-1] - t) * sigmoid_prime(zs[-1])",
        "(activations[-1] - t)",
        "missing activation derivative",
    ),  # fmt: skip
    Mistake("lists", "(weights[-l + 1].T @ delta)", "(weights[-l].T @ delta)", "wrong layer"),
    Mistake(
        "lists",
        "sigmoid_prime(zs[-l])",
        "sigmoid_prime(activations[-l])",
        "pre-activation for activation,wrong variable",
    ),  # fmt: skip
    Mistake(
        "lists",
        "np.outer(delta, activations[-l - 1])",
        "np.outer(delta, activations[-l])",
        "wrong layer",
    ),  # fmt: skip
    Mistake(
        "lists",
        "(activations[-1] - t) * sigmoid",
        "2 * (activations[-1] - t) * sigmoid",
        "factor 2",
    ),  # fmt: skip
]
