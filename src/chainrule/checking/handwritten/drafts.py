"""A changed function: what is swapped in it, how it reads, and what is known of the program."""

from __future__ import annotations

import ast
import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Edit:
    """A change of one function: at ``line`` of the file, ``old`` becomes ``new``."""

    kind: str
    function: str
    line: int
    old: str
    new: str
    tree: ast.FunctionDef


@dataclass(frozen=True, eq=False)
class Draft:
    """An edit not made yet: ``new`` in the place of what ``holder`` has there."""

    kind: str
    function: str
    rank: float
    root: ast.FunctionDef
    statement: ast.stmt
    line: int
    holder: Any
    key: Any
    new: Any
    shown: str = ""

    def _swap(self, value: Any) -> Any:
        if isinstance(self.holder, list):
            old, self.holder[self.key] = self.holder[self.key], value
        else:
            old = getattr(self.holder, self.key)
            setattr(self.holder, self.key, value)
        return old

    def source(self) -> str:
        """The function as changed."""
        old = self._swap(self.new)
        try:
            return ast.unparse(self.root)
        finally:
            self._swap(old)

    def made(self) -> Edit:
        """The edit, with the statement before and after."""
        before = _first_line(self.statement)
        old = self._swap(self.new)
        try:
            whole = old is self.statement
            whole = whole and isinstance(self.new, ast.AST)
            after = _first_line(self.new if whole else self.statement)
            tree = ast.fix_missing_locations(copy.deepcopy(self.root))
        finally:
            self._swap(old)
        after = self.shown or after
        return Edit(self.kind, self.function, self.line, before, after, tree)


def _first_line(node: Any) -> str:
    return "" if isinstance(node, ast.Pass) else ast.unparse(node).split("\n")[0]


@dataclass(frozen=True)
class Facts:
    """What is known of a program besides its text: the shapes of what a function's names hold, the
    number of rows, and which names are parameters."""

    atoms: Mapping[str, Shape]
    rows: int
    parameters: Mapping[str, Shape]
    is_forward: bool = False
