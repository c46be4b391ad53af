"""chainrule: write NumPy; it is recorded as a graph, differentiated by the chain rule, and run.

import numpy as np, chainrule as cr

def J(x): return np.cos(np.sin(x**2) + 3 * x**2)

cr.grad(J)(1.0)         # 4.560791790679...
print(cr.trace(J)(1.0)) # the graph
"""

from __future__ import annotations

from chainrule.forks import load  # before any thread may import: a fork waits for what it loads
from chainrule.version import __version__

TYPE_CHECKING = False  # as typing has it, whose import takes longer than all the rest

if TYPE_CHECKING:
    from typing import Any

    from chainrule import diagnosis, errors, estimators, io, nn, optim, tabular, train
    from chainrule.api import (
        custom_gradient,
        fori_loop,
        ggnvp,
        grad,
        hessian,
        hvp,
        jacfwd,
        jacobian,
        jacrev,
        jit,
        jvp,
        linearize,
        remat,
        scan,
        stop_gradient,
        trace,
        value_and_grad,
        vjp,
        vmap,
        while_loop,
    )
    from chainrule.checking import (
        assert_gradient,
        check_backward,
        check_gradient,
        check_primitive,
    )
    from chainrule.core import ArrayType, Graph, scope, tree
    from chainrule.diagnosis import trace_nonfinite
    from chainrule.errors import ChainruleError
    from chainrule.explanation import explain
    from chainrule.ops import random
    from chainrule.ops.linalg import expm
    from chainrule.ops.surface.joining import array
    from chainrule.run.settings import Executor

_HOMES = {
    **dict.fromkeys(
        (
            "custom_gradient",
            "fori_loop",
            "ggnvp",
            "grad",
            "hessian",
            "hvp",
            "jacfwd",
            "jacobian",
            "jacrev",
            "jit",
            "jvp",
            "linearize",
            "remat",
            "scan",
            "stop_gradient",
            "trace",
            "value_and_grad",
            "vjp",
            "vmap",
            "while_loop",
        ),
        "chainrule.api",
    ),
    **dict.fromkeys(("ArrayType", "scope"), "chainrule.core"),
    "Graph": "chainrule.api",  # with the primitives, which Graph.parse looks up
    "ChainruleError": "chainrule.errors",
    **dict.fromkeys(
        ("assert_gradient", "check_backward", "check_gradient", "check_primitive"),
        "chainrule.checking",
    ),
    "explain": "chainrule.explanation",
    "trace_nonfinite": "chainrule.diagnosis",
    "array": "chainrule.ops.surface.joining",
    "expm": "chainrule.ops.linalg",
    "Executor": "chainrule.run.settings",
}
_MODULES = {
    **{
        name: name
        for name in (
            "diagnosis",
            "errors",
            "estimators",
            "io",
            "nn",
            "optim",
            "tabular",
            "train",
        )
    },
    "random": "ops.random",
    "tree": "core.tree",
}

__all__ = [
    "ArrayType",
    "ChainruleError",
    "Executor",
    "Graph",
    "__version__",
    "array",
    "assert_gradient",
    "check_backward",
    "check_gradient",
    "check_primitive",
    "custom_gradient",
    "diagnosis",
    "errors",
    "estimators",
    "explain",
    "expm",
    "fori_loop",
    "ggnvp",
    "grad",
    "hessian",
    "hvp",
    "io",
    "jacfwd",
    "jacobian",
    "jacrev",
    "jit",
    "jvp",
    "linearize",
    "nn",
    "optim",
    "random",
    "remat",
    "scan",
    "scope",
    "stop_gradient",
    "tabular",
    "trace",
    "trace_nonfinite",
    "train",
    "tree",
    "value_and_grad",
    "vjp",
    "vmap",
    "while_loop",
]


def __getattr__(name: str) -> Any:
    """Find a public name where it lives, on first use, so that importing costs little."""
    if name in _MODULES:
        return load(f"chainrule.{_MODULES[name]}")
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'chainrule' has no attribute {name!r}")
    value = getattr(load(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
