"""``check_backward``: a backward pass written by hand, in this process."""

from __future__ import annotations

import ast
import copy
import inspect
import textwrap
from collections.abc import Callable, Mapping
from typing import Any

from chainrule.checking.handwritten.search import HomeworkCheck, checked
from chainrule.checking.handwritten.student import Student
from chainrule.errors import UsageError

Function = Callable[..., Any]


def check_backward(
    forward: Function,
    backward: Function,
    *args: Any,
    points: Mapping[str, float] | None = None,
    **keywords: Any,
) -> HomeworkCheck:
    """Check a backward pass written by hand, and name the likely mistake.

    Args:
        forward: returns the loss, or ``(loss, cache)``.
        backward: takes, by name, what ``forward`` takes and what it returned (``cache`` stands for
            the rest of that), and returns the gradients: a dict with keys like the parameters'
            (``W1``, ``dW1``), or a tuple in their order.
        args, keywords: of ``forward``.
        points: for each parameter, 1 if nothing is said.

    Returns:
        A ``HomeworkCheck``: true where every gradient is right, and printed as a report.

    Raises:
        UsageError: ``backward`` takes something that is not known, or no loss is returned.
    """
    for f, name in ((forward, "forward"), (backward, "backward")):
        if not callable(f):
            raise UsageError(f"check_backward: {name} must be a function, not {type(f).__name__}")
    names = {"forward": _name(forward), "backward": _name(backward)}
    trees, sources, file = {}, [], ""
    for f in (forward, backward):
        try:
            lines, first = inspect.getsourcelines(f)
            tree = ast.parse(textwrap.dedent("".join(lines))).body[0]
        except (OSError, TypeError, SyntaxError, IndexError):
            continue
        file = inspect.getsourcefile(f) or file
        if isinstance(tree, ast.FunctionDef):
            ast.increment_lineno(tree, first - 1)
            trees[tree.name] = tree
            sources.append(tree)
    try:
        bound = inspect.signature(forward).bind(*args, **keywords)
    except TypeError as error:
        raise UsageError(
            f"check_backward calls {_name(forward)} with the arguments that follow the two "
            f"functions: {error}"
        ) from None
    bound.apply_defaults()

    def make() -> dict[str, Any]:
        inside = dict(inspect.unwrap(backward).__globals__)
        closed = inspect.getclosurevars(backward).nonlocals
        return {**inside, **closed, names["forward"]: forward, names["backward"]: backward,
                "__file__": file, "__functions__": trees}  # fmt: skip

    def case(_: Any) -> dict[str, Any]:
        return copy.deepcopy(dict(bound.arguments))

    program = Student(make, case=case, forward=names["forward"], backward=names["backward"])
    return checked(program, trees, file or "the backward pass", weights=points)


def _name(f: Function) -> str:
    return getattr(f, "__name__", type(f).__name__)
