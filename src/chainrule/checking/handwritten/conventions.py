"""The names by which students call things, and the arguments that follow from a module's own."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from chainrule.checking.handwritten.places import as_array

FORWARD = [
    "forward", "forward_pass", "forward_propagation", "forward_prop", "feedforward",
    "loss_and_grad", "loss_and_grads", "loss_and_gradient", "loss_and_gradients", "train_step",
    "step", "loss", "compute_loss", "cost", "compute_cost", "objective", "J", "loss_fn",
    "loss_function", "predict", "__call__",
]  # fmt: skip
COST = [
    "loss", "compute_loss", "cost", "compute_cost", "objective", "J", "loss_fn", "loss_function",
    "criterion",
]  # fmt: skip
BACKWARD = [
    "backward", "backward_pass", "backward_propagation", "backward_prop", "backprop",
    "back_propagation", "backpropagate", "backpropagation", "compute_gradients",
    "compute_gradient", "compute_grads", "gradients", "gradient", "grads", "grad", "dJ", "dloss",
    "manual_backward",
]  # fmt: skip
NAMES = {"forward": FORWARD, "backward": BACKWARD, "cost": COST}
WORDS = {
    "forward": r"forward|loss|cost|objective|propagate",
    "backward": r"back|grad",
    "cost": r"loss|cost|objective|criterion",
}
"""What names say that are none of those: lossFun, L_model_backward, svm_loss_naive."""
OTHERS = re.compile(
    r"^_|num|check|test|prime|deriv|plot|print|update|clip|init|optimi[sz]e|"
    r"(relu|sigmoid|tanh|affine|linear|conv|pool|norm|dropout|cell|step|activation).*(forw|back)"
)
"""What is no whole pass."""
SETUP = [
    "example", "make_example", "setup", "make_data", "init", "init_params",
    "initialize", "initialize_parameters", "init_parameters", "make_params", "data",
    "make_problem",
]  # fmt: skip
INPUTS = re.compile(r"x|X|inputs?|data|batch|mini_batch|samples|params|parameters|theta")
"""Names that mean what a network is given, and not what it returned."""
CACHE = {"cache", "caches", "memory", "saved", "context", "activations", "intermediates", "tape"}
ONES = {"dout", "dloss", "dl", "upstream", "g", "grad_output", "dy", "grad_out", "seed_grad"}
ALIASES = {
    "x": ("X", "inputs", "data"), "y": ("Y", "t", "T", "labels", "targets"), "t": ("y", "Y", "T"),
    "labels": ("y", "Y"), "targets": ("y", "Y", "t"), "target": ("y", "Y", "t"),
    "inputs": ("X", "x"), "params": ("parameters", "weights", "theta"),
    "parameters": ("params", "weights", "theta"), "weights": ("params", "parameters"),
    "reg": ("lam", "lambd", "l2"), "lam": ("reg", "lambd", "l2"), "lambd": ("lam", "reg", "l2"),
    "y_true": ("y", "Y"), "y_hat": ("A2", "yhat", "out", "probs"), "lr": ("learning_rate",),
}  # fmt: skip


def functions(kind: str, names: Mapping[str, Any]) -> list[str]:
    """The functions that may be meant, the likeliest first: by their usual names, then by a word
    in them, if none of the others calls them.

    Args:
        names: those of functions, with their trees where they are known.
    """
    usual = [name for name in NAMES[kind] if name in names]
    meant = {k: [n for n in names if _means(k, n)] for k in WORDS}
    called: set[str] = set()
    for name in {n for k in WORDS for n in (*meant[k], *NAMES[k])}:
        tree = names.get(name)
        for node in ast.walk(tree) if tree is not None else ():
            if isinstance(node, ast.Call):
                called.add(ast.unparse(node.func).rpartition(".")[2])
    return [*usual, *(n for n in meant[kind] if n not in usual and n not in called)]


def is_whole(name: str) -> bool:
    """Whether a function's name says that it returns a loss and its gradients."""
    return all(re.search(WORDS[kind], name.lower()) for kind in ("cost", "backward"))


def _means(kind: str, name: str) -> bool:
    text = name.lower()
    is_other = kind == "forward" and re.search(r"back|grad", text) and "loss" not in text
    return bool(re.search(WORDS[kind], text)) and not OTHERS.search(text) and not is_other


def is_value(v: Any) -> bool:
    is_kind = as_array(v) is not None or isinstance(v, (np.ndarray, dict, list, int))
    return is_kind and not isinstance(v, bool)


def classes(ns: Mapping[str, Any]) -> list[type]:
    """The classes that a module defines."""
    return [c for c in ns.values() if inspect.isclass(c) and c.__module__ == ns["__name__"]]


def arguments(ns: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments from the module's own variables and what functions such as ``init_params`` make."""
    own = classes(ns)
    env = {k: v for k, v in ns.items()
           if not k.startswith("_") and (is_value(v) or type(v) in own)}  # fmt: skip
    for name in SETUP:
        f = ns.get(name)
        if not inspect.isfunction(f):
            continue
        try:
            inspect.signature(f).bind()
        except TypeError:
            continue
        made = f()
        names = "params" if isinstance(made, dict) else None
        if names:
            env.setdefault(names, made)
        elif isinstance(made, tuple):
            for key, part in zip(_last_names(ns, name), made, strict=False):
                env.setdefault(key, part)
    return env


def _last_names(ns: Mapping[str, Any], name: str) -> list[str]:
    node = ns["__functions__"].get(name)
    for n in reversed(list(ast.walk(node))) if node is not None else ():
        if isinstance(n, ast.Return) and isinstance(n.value, ast.Tuple):
            return [
                e.id if isinstance(e, ast.Name) else f"_{i}" for i, e in enumerate(n.value.elts)
            ]
    return []
