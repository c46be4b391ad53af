"""A changed function: what is swapped in it, how it reads, and what is known of the program."""

from __future__ import annotations

import ast
import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Edit:
    """A change of one function: at ``line`` of the file, ``old`` becomes ``new``; "" is no line."""

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
    is_added: bool = False
    """Whether a line is added: ``line`` is where it belongs, and nothing stood there."""

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
        before = "" if self.is_added else first_line(self.statement)
        old = self._swap(self.new)
        try:
            whole = old is self.statement
            whole = whole and isinstance(self.new, ast.AST)
            after = first_line(self.new if whole else self.statement)
            tree = ast.fix_missing_locations(copy.deepcopy(self.root))
        finally:
            self._swap(old)
        after = self.shown or after
        return Edit(self.kind, self.function, self.line, before, after, tree)


def first_line(node: Any) -> str:
    return "" if isinstance(node, ast.Pass) else ast.unparse(node).split("\n")[0]


@dataclass(frozen=True)
class Facts:
    """What is known of a program besides its text: the shapes of what a function's names hold, what
    may be the number of rows, which names are parameters, the text of all functions, and the global
    variables that a function may name as well as its own."""

    atoms: Mapping[str, Shape]
    counts: Sequence[int]
    parameters: Mapping[str, Shape]
    is_forward: bool = False
    text: str = ""
    shared: Sequence[str] = ()

    @property
    def rows(self) -> int:
        return self.counts[0]


def counts(about: Mapping[str, Any]) -> list[int]:
    """What may be the number of rows in the batch, the likeliest first: the first length of X, or
    of whatever looks like it, the last, and the length of a list of examples."""
    found: dict[int, None] = {}
    for names in (("X", "x", "inputs"), ("y", "Y", "t")):
        for held in about["functions"].values():
            for name in names:
                shape = held["atoms"].get(name)
                if shape:
                    found.setdefault(shape[0])
    for held in about["functions"].values():
        found.update(dict.fromkeys(held["lengths"]))
        for name in ("X", "x", "inputs", "Y", "y"):
            found.update(dict.fromkeys(held["atoms"].get(name, [])[1:2]))
    return list(found)[:5] or [1]
