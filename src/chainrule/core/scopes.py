"""The scope path: what part of the program is being recorded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

SCOPE: ContextVar[str] = ContextVar("chainrule_scope", default="")


@contextmanager
def scope(name: str) -> Iterator[None]:
    """Name the nodes recorded inside: ``scope("mlp")`` around ``scope("1")`` is ``mlp/1``.

    Args:
        name: what errors and explanations call this part of the program.
    """
    outer = SCOPE.get()
    token = SCOPE.set(f"{outer}/{name}" if outer else name)
    try:
        yield
    finally:
        SCOPE.reset(token)
