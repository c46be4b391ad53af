"""Stability rewrites: formulas typed as in a textbook, computed so that they stay accurate.

They act while ``jit`` and ``fit`` record, before anything is differentiated, so that the
derivative is that of the stable form: rewriting the derivative of the unstable one would have
to undo divisions of zero by zero. ``trace`` and ``grad`` without ``jit`` show and run what was
typed. Each rewrite is judged by mpmath in the tests: never less accurate than what it replaces.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from chainrule.compile.patterns import Rewrite, Table
from chainrule.compile.stability import (
    differences,
    exponentials,
    logistic,
    products,
    quotients,
    roots,
)
from chainrule.compile.stability.terms import POWERS
from chainrule.core.node import Primitive
from chainrule.core.traced import Traced

REWRITES = (
    *logistic.REWRITES,
    *exponentials.REWRITES,
    *roots.REWRITES,
    *differences.REWRITES,
    *quotients.REWRITES,
    *products.REWRITES,
)


class Typed(Table):
    """Keeps what was typed of each operation that it replaces, for patterns around it.

    Powers are looked up by the names of what they are: ``x**0.5`` by the rows of ``sqrt``.
    Coefficients are fractions; a row in which one is 0 below the line or no float leaves the
    operation to the next, and is counted in ``declined``.
    """

    def __init__(self, rewrites: Iterable[Rewrite]) -> None:
        super().__init__(rewrites)
        self.declined: Counter[str] = Counter()

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
        for one in self._by_primitive.get(name, ()):
            try:
                found = one.replace(*inputs, **its)
            except (OverflowError, ZeroDivisionError):  # a coefficient that no float holds
                self.declined[one.name] += 1
                continue
            if found is not None:
                if fired is not None:
                    fired[one.name] += 1
                if all(x.node.serial < found.node.serial for x in inputs):
                    nodes = tuple(x.node for x in inputs)
                    found.recording.typed.setdefault(found.node, (primitive, nodes, attrs))
                return found
        return None


rewrite = Typed(REWRITES)
"""What a recording does instead of operations that would overflow or cancel."""

__all__ = ["REWRITES", "Typed", "rewrite"]
