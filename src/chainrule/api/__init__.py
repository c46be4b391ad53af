"""The transformations that users call: grad and its relatives, jit, trace.

Each takes a function written with NumPy and returns a function of the same arguments.
Arguments may be trees of arrays (``cr.tree``: nested tuples, lists, dicts, dataclasses). They nest
in any order. float32 and float64 are kept as given.
"""

from chainrule.api.batching import vmap
from chainrule.api.custom import custom_gradient, stop_gradient
from chainrule.api.derivatives import grad, jvp, linearize, value_and_grad, vjp
from chainrule.api.jacobians import ggnvp, hessian, hvp, jacfwd, jacobian, jacrev
from chainrule.api.jitted import Jitted, jit, trace
from chainrule.api.loops import fori_loop, remat, scan, while_loop
from chainrule.core.graph import Graph  # with the primitives, which Graph.parse looks up

__all__ = [
    "Graph",
    "Jitted",
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
]
