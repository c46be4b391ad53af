"""Explanations: every step of the forward and backward pass, as data, and how it is shown.

    print(cr.explain(f)(1.0))

Importing this package loads what recording and differentiating need, and nothing heavier.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

from chainrule.forks import load

if TYPE_CHECKING:
    from chainrule.explanation.steps.data import (
        Check,
        Counts,
        Explanation,
        Quantity,
        Result,
        Step,
    )

__all__ = ["Check", "Counts", "Explanation", "Quantity", "Result", "Step", "explain"]

_HOMES = {
    **dict.fromkeys(("Check", "Counts", "Explanation", "Quantity", "Result", "Step"), "steps.data"),
}
_ATTRIBUTES = {
    "expression": ("steps.typed", "explain_expression"),
    "network": ("network.explaining", "explain_network"),
    "matrix": ("matrix.explaining", "matrix"),
    "derivation": ("matrix.derivations", "derivation"),
    "quiz": ("quiz.asking", "quiz"),
}
"""What hangs on ``cr.explain``: attribute -> (module, name in it), loaded when asked for."""


class _Explain:
    """``cr.explain(f)(*args)`` explains ``f`` at a point; further explanations hang on it.

    ``explain.expression("x**2", x=1.0)`` explains a typed expression, ``explain.network`` one
    example through an MLP, ``explain.matrix`` an expression in matrices.
    """

    def __call__(
        self,
        f: Callable[..., Any],
        *,
        names: str = "lecture",
        precision: int = 10,
        name: str | None = None,
        argnums: int | Sequence[int] | None = None,
        argnames: str | Sequence[str] | None = None,
        static_argnums: int | Sequence[int] | None = None,
        static_argnames: str | Sequence[str] | None = None,
        entry: tuple[int, ...] | None = None,
        cotangent: Any = None,
        opened: bool | Collection[str] = False,
    ) -> Callable[..., Explanation]:
        """The function that explains ``f`` at its arguments.

        Args:
            f: a function written with NumPy that returns one number, or an array: then its
                forward pass is shown. It is differentiated by every floating argument, whole
                trees included.
            names: "lecture" (t, u₁, u₂, u; the names of f's own variables where it has them)
                or "v" (v₁, v₂, ...).
            precision: significant digits to print, never more than are right.
            name: of the result; f's own name if not given.
            argnums, argnames: the arguments to differentiate by, as ``cr.grad`` takes them; all
                floating ones if nothing is said, those passed by keyword last.
            static_argnums, static_argnames: arguments that are passed as they are, as
                ``cr.jit`` takes them.
            entry, cotangent: of an array, the entry whose derivatives are explained, as in
                (0, 1), or the cotangent, of its shape, that is passed back.
            opened: gates, softmax or a mean, that are shown by what is inside: True, or names.
        """
        from chainrule.api.jitted import StaticArguments
        from chainrule.explanation.steps.explaining import explain

        static = StaticArguments(f, static_argnums, static_argnames)

        @functools.wraps(f)
        def explained(*args: Any, **keywords: Any) -> Explanation:
            return explain(
                f,
                *static.mark(args, keywords),
                names=names,
                precision=precision,
                name=name,
                argnums=argnums,
                argnames=argnames,
                entry=entry,
                cotangent=cotangent,
                opened=opened,
            )

        return explained

    def __getattr__(self, attribute: str) -> Any:
        if attribute not in _ATTRIBUTES:
            raise AttributeError(f"cr.explain has no attribute {attribute!r}")
        module, name = _ATTRIBUTES[attribute]
        return getattr(load(f"chainrule.explanation.{module}"), name)

    def __dir__(self) -> list[str]:
        return sorted([*super().__dir__(), *_ATTRIBUTES])

    def __repr__(self) -> str:
        return "<chainrule.explain: explain(f)(*args), and " + ", ".join(_ATTRIBUTES) + ">"


explain = _Explain()


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(load(f"chainrule.explanation.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
