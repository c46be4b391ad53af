"""Habits that a linter does not know (style.md), each as a test."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import chainrule
import chainrule.ops  # fills the registry
from chainrule.core.graph import PRIMITIVES

SOURCE = Path(chainrule.__file__).parent
MAY_NAME_PRIMITIVES = (
    "ops",
    "compile/algebra.py",
    "compile/passes.py",
    "compile/patterns.py",
    "compile/stability.py",
    "compile/views.py",
    "run/native",
    "explanation",  # what a reader sees on one line: sums with their terms, a select's branch
)
MODULES = sorted(
    path
    for path in SOURCE.rglob("*.py")
    if not path.relative_to(SOURCE).as_posix().startswith(MAY_NAME_PRIMITIVES)
)
OF_THE_LANGUAGE = {"INPUT", "CONSTANT", "None"}


def named_primitives(tree: ast.AST) -> Iterator[ast.AST]:
    """Where code decides by which primitive it has before it: the primitive's knowledge would
    then be in two places (habit 1). INPUT and CONSTANT belong to the language itself."""
    aliases = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and _is_name_of(node.value, ()):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            aliases |= {t.id for t in targets if isinstance(t, ast.Name)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            if any(_is_name_of(s, aliases) for s in sides):
                others = [s for s in sides if not _is_name_of(s, aliases)]
                if any(ast.unparse(s) != "PRIMITIVES" for s in others):
                    yield node
            elif _is_primitive(node.left) and not all(map(_of_the_language, node.comparators)):
                yield node
        elif isinstance(node, ast.Match) and _is_name_of(node.subject, aliases):
            yield node


def _is_name_of(node: ast.AST | None, aliases: object) -> bool:
    """Whether an expression is the name of a primitive."""
    if isinstance(node, ast.Name):
        return node.id in aliases  # type: ignore[operator]
    return isinstance(node, ast.Attribute) and node.attr == "name" and _is_primitive(node.value)


def _is_primitive(node: ast.AST) -> bool:
    name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    return name == "primitive"


def _of_the_language(node: ast.AST) -> bool:
    if isinstance(node, (ast.Tuple, ast.Set, ast.List)):
        return all(map(_of_the_language, node.elts))
    return _is_primitive(node) or ast.unparse(node) in OF_THE_LANGUAGE


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(SOURCE).as_posix())
def test_only_ops_and_the_tables_name_primitives(path: Path) -> None:
    found = [node.lineno for node in named_primitives(ast.parse(path.read_text("utf-8")))]  # type: ignore[attr-defined]
    assert not found, f"{path}: lines {found} decide by the name of a primitive"


def test_the_modules_of_the_engine_are_among_those_read() -> None:
    names = {path.relative_to(SOURCE).as_posix() for path in MODULES}
    assert {
        "core/recording.py",
        "autodiff/reverse.py",
        "run/interpreter.py",
        "api/derivatives.py",
    } <= names
    assert len(PRIMITIVES) > 100


def test_differentiation_names_no_primitive() -> None:
    """autodiff/ multiplies, adds and asks rules; it looks no primitive up."""
    for path in (SOURCE / "autodiff").glob("*.py"):
        assert "PRIMITIVES" not in path.read_text("utf-8")
