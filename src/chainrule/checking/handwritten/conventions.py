"""The names by which students call things, and the arguments that follow from a module's own."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np

from chainrule.checking.handwritten.places import as_array

FORWARD = [
    "forward", "forward_pass", "forward_propagation", "forward_prop", "feedforward",
    "loss_and_grad", "loss_and_grads", "loss_and_gradient", "loss_and_gradients", "train_step",
    "step", "loss", "compute_loss", "cost", "compute_cost", "objective", "J", "loss_fn",
    "loss_function", "predict",
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
SETUP = [
    "check_case",
    "example",
    "make_example",
    "setup",
    "make_data",
    "init",
    "init_params",
    "initialize",
]
SETUP += ["initialize_parameters", "init_parameters", "make_params", "data", "make_problem"]
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


def arguments(ns: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments from a function such as ``check_case``, else from the module's own variables."""
    env = {
        k: v
        for k, v in ns.items()
        if not k.startswith("_")
        and (as_array(v) is not None or isinstance(v, (np.ndarray, dict, list, int)))
        and not isinstance(v, bool)
    }
    for name in SETUP:
        f = ns.get(name)
        if not inspect.isfunction(f):
            continue
        try:
            inspect.signature(f).bind()
        except TypeError:
            continue
        made = f()
        if isinstance(made, dict) and name == "check_case":
            return dict(made)
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
