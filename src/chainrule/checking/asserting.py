"""Checks for test suites: of a gradient, and of a primitive."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chainrule.checking.blame import local_check
from chainrule.checking.gradient import check_gradient
from chainrule.checking.verdicts import Entry
from chainrule.core.node import Primitive
from chainrule.core.recording import Recording, quiet, resumed
from chainrule.core.types import type_of
from chainrule.errors import UsageError


def assert_gradient(
    f: Callable[..., Any], *args: Any, gradient: Any = None, conclusive: bool = False, **more: Any
) -> None:
    """``check_gradient`` for tests: raise AssertionError, with the report, where it finds an error.

    Args:
        f, args, gradient, more: as ``check_gradient`` takes them.
        conclusive: whether to fail on kinks, jumps and rounding too.
    """
    __tracebackhide__ = True
    found = check_gradient(f, *args, gradient=gradient, **more)
    if not found or (conclusive and not found.conclusive):
        raise AssertionError(str(found))


def check_primitive(primitive: Primitive) -> list[tuple[int, int, Entry]]:
    """The derivative rule of a primitive against its values, on each of its samples.

    Args:
        primitive: with samples.

    Returns:
        What is wrong: (number of the sample, number of the argument, the entry along a random
        direction); empty if the rule is right.

    Raises:
        UsageError: it has no samples to check it on.
    """
    if not isinstance(primitive, Primitive):
        raise UsageError(
            f"check_primitive takes a primitive, not {type(primitive).__name__}; for a function "
            "there is check_gradient"
        )
    samples = primitive.samples()
    if not samples:
        raise UsageError(
            f"primitive {primitive.name!r} has no samples: give it samples= to be checked on"
        )
    wrong = []
    for number, sample in enumerate(samples):
        if not sample.smooth or primitive.rule is None:
            continue
        with resumed(Recording(eager=True)) as recording, quiet():
            inputs = [recording.input(type_of(x), x) for x in sample.inputs]
            node = primitive(*inputs, **sample.attrs).node
            if node.primitive is not primitive or not node.type.is_float:
                continue
            for i, x in enumerate(node.inputs):
                entry = local_check(node, i, recording) if x.type.is_float else None
                if entry is not None and entry.verdict == "wrong":
                    wrong.append((number, i, entry))
    return wrong


__all__ = ["assert_gradient", "check_primitive"]
