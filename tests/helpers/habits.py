"""What the style test looks for in source code."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Set

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


def imported_names(tree: ast.AST) -> Iterator[str]:
    """The modules that code imports, wherever it does, and the names that it takes from them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module or '.'}.{alias.name}" for alias in node.names)


def circles(imports: Mapping[str, Set[str]]) -> list[set[str]]:
    """The groups of modules that import one another, each with all that is on its circles."""
    reached = {module: _reached(imports, module) for module in imports}
    found: list[set[str]] = []
    for module, others in reached.items():
        group = {other for other in others if module in reached[other]}
        if group and group not in found:
            found.append(group)
    return found


def _reached(imports: Mapping[str, Set[str]], start: str) -> set[str]:
    found: set[str] = set()
    ahead = [start]
    while ahead:
        new = imports[ahead.pop()] - found
        found |= new
        ahead.extend(new)
    return found
