"""Stability rewrites: formulas typed as in a textbook, computed so that they stay accurate.

They act while ``jit`` and ``fit`` record, before anything is differentiated, so that the
derivative is that of the stable form: rewriting the derivative of the unstable one would have
to undo divisions of zero by zero. ``trace`` and ``grad`` without ``jit`` show and run what was
typed. Each rewrite is judged by mpmath in the tests: never less accurate than what it replaces.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from chainrule.compile.patterns import Table
from chainrule.compile.stability import (
    differences,
    exponentials,
    logistic,
    products,
    quotients,
    roots,
    saturating,
    shifts,
    slopes,
)
from chainrule.compile.stability.terms import POWERS
from chainrule.core.node import Primitive
from chainrule.core.traced import Traced

REWRITES = (
    *saturating.REWRITES,
    *logistic.REWRITES,
    *exponentials.REWRITES,
    *shifts.REWRITES,
    *roots.REWRITES,
    *differences.REWRITES,
    *quotients.REWRITES,
    *slopes.REWRITES,
    *products.REWRITES,
)


class Typed(Table):
    """Keeps what was typed of each operation that it replaces, for patterns around it.

    Powers are looked up by the names of what they are: ``x**0.5`` by the rows of ``sqrt``.
    """

    def __call__(
        self,
        primitive: Primitive,
        inputs: tuple[Traced, ...],
        attrs: Any,
        fired: Counter[str] | None = None,
    ) -> Traced | None:
        name, its = primitive.name, attrs
        if name == "power_constant":
            name, its = POWERS.get(attrs["exponent"], name), {}
        found = self._first(name, inputs, its, fired)
        if found is not None and all(x.node.serial < found.node.serial for x in inputs):
            nodes = tuple(x.node for x in inputs)
            found.recording.typed.setdefault(found.node, (primitive, nodes, attrs))
        return found


rewrite = Typed(REWRITES)
"""What a recording does instead of operations that would overflow or cancel."""

__all__ = ["REWRITES", "Typed", "rewrite"]
