"""The user's own line, written so that the array it makes takes traced values."""

from __future__ import annotations

import ast
import functools
import linecache
from collections.abc import Iterator
from types import FrameType
from typing import Any

LIKE = {
    "zeros",
    "ones",
    "empty",
    "full",
    "array",
    "asarray",
    "asanyarray",
    "arange",
    "eye",
    "identity",
}
"""Functions of NumPy's that take ``like=``."""

MOST_TEXT = 120
"""How many characters of code stand in a message."""

_LIKE = "what is made like a traced value takes traced values"


def traced_instead(frame: FrameType | None, target: Any = None) -> str:
    """What to write where a plain array is made that a traced value is written into.

    Args:
        frame: the user's, at the line that writes.
        target: the array, if that is at hand; else it is what the line assigns into.
    """
    general = f"Make the array with like=, np.zeros(n, like=x): {_LIKE}"
    if frame is None:
        return general
    scope = _scope(frame) if frame.f_code.co_name != "<lambda>" else None
    written = _statement(scope, frame.f_lineno) if scope else None
    name = _name_of(frame, written, target)
    if not name:
        return general
    like = _traced_name(frame, written, name)
    made = _creation(scope, frame.f_lineno, name) if scope else None
    if made is None or made.value is None:
        return f"Write {name} = np.array({name}, like={like}) before: {_LIKE}"
    value = made.value
    if isinstance(value, ast.Call) and getattr(value.func, "attr", "") in LIKE:
        keywords = [*value.keywords, ast.keyword("like", ast.Name(like))]
        code = ast.unparse(ast.Call(value.func, value.args, keywords))
    else:
        code = f"np.array({ast.unparse(value)}, like={like})"
    if len(code) > MOST_TEXT:
        return f"Write {name} = np.array({name}, like={like}) after line {made.lineno}: {_LIKE}"
    return f"Write {name} = {code} in line {made.lineno}: {_LIKE}"


def written_to(frame: FrameType | None) -> bool:
    """Whether the line that a frame is at assigns into an array: ``o[i] = ...``."""
    named = frame is not None and frame.f_code.co_name != "<lambda>"
    scope = _scope(frame) if frame is not None and named else None
    written = _statement(scope, frame.f_lineno) if scope and frame is not None else None
    return any(isinstance(x, ast.Subscript) for x in _targets(written))


def _scope(frame: FrameType) -> ast.AST | None:
    """The function, or the module, whose code a frame runs: not to be changed."""
    code = frame.f_code
    source = "".join(linecache.getlines(code.co_filename))
    return _scope_in(source, code.co_name, code.co_firstlineno) if source else None


@functools.lru_cache(16)  # whoever refuses in a loop would read the file each time
def _scope_in(source: str, name: str, line: int) -> ast.AST | None:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return None
    found: ast.AST = tree
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            if first == line and node.name == name:
                found = node
    return found


def _statement(scope: ast.AST, line: int) -> ast.stmt | None:
    """The innermost statement of a line."""
    found = None
    for node in ast.walk(scope):
        if isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or node.lineno):
            found = node if found is None or node.lineno >= found.lineno else found
    return found


def _targets(statement: ast.stmt | None) -> list[ast.expr]:
    if isinstance(statement, ast.Assign):
        return statement.targets
    return [statement.target] if isinstance(statement, (ast.AugAssign, ast.AnnAssign)) else []


def _name_of(frame: FrameType, written: ast.stmt | None, target: Any) -> str:
    """The name of the array that is written into."""
    for one in _targets(written):
        while isinstance(one, (ast.Subscript, ast.Attribute)):
            one = one.value
        if isinstance(one, ast.Name):
            return one.id
    bases = {id(target), id(getattr(target, "base", None))} - {id(None)}
    return next((name for name, value in frame.f_locals.items() if id(value) in bases), "")


def _traced_name(frame: FrameType, written: ast.stmt | None, name: str) -> str:
    """A name of the user's that stands for a traced value."""
    inside = [x.id for x in ast.walk(written) if isinstance(x, ast.Name)] if written else []
    known = [n for n, value in frame.f_locals.items() if type(value).__name__ == "Traced"]
    return next((n for n in (*[n for n in inside if n in known], *known) if n != name), "x")


def _creation(scope: ast.AST, line: int, name: str) -> ast.Assign | ast.AnnAssign | None:
    """The last assignment to a name before a line."""
    found = None
    for node in _assignments(scope):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if node.lineno < line and any(isinstance(t, ast.Name) and t.id == name for t in targets):
            found = node if found is None or node.lineno > found.lineno else found
    return found


def _assignments(scope: ast.AST) -> Iterator[ast.Assign | ast.AnnAssign]:
    for node in ast.walk(scope):
        if isinstance(node, (ast.Assign, ast.AnnAssign)):
            yield node
