"""Hypotheses on whole lines: ``=`` for ``+=``, a line too many, at another place, or left out."""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from chainrule.checking.handwritten.drafts import Draft
from chainrule.checking.handwritten.statement import Statement, bare


def statements(function: ast.FunctionDef) -> list[ast.stmt]:
    kinds = (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Return, ast.Expr, ast.For, ast.If)
    found = [n for n in ast.walk(function) if isinstance(n, kinds)]
    return [s for s in found if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]


class Lines(Statement):
    """The hypotheses on a statement as a whole."""

    def all(self) -> Iterator[Draft]:
        s = self.statement
        if isinstance(s, ast.Assign) and len(s.targets) == 1:
            target: Any = copy.deepcopy(s.targets[0])
            add = ast.AugAssign(target, ast.Add(), s.value, lineno=s.lineno)
            yield self.edit("forgotten branch", s, add, 2)
        if isinstance(s, ast.AugAssign):
            target = copy.deepcopy(s.target)
            plain = ast.Assign([target], s.value, lineno=s.lineno)
            yield self.edit("forgotten branch", s, plain, 2)
            other = ast.Sub() if isinstance(s.op, ast.Add) else ast.Add()
            if isinstance(s.op, (ast.Add, ast.Sub)):
                yield self.edit(
                    "sign", s, ast.AugAssign(target, other, s.value, lineno=s.lineno), 2
                )
            if isinstance(s.op, (ast.Mult, ast.Div)):
                yield self.edit("extra factor", s, ast.Pass(), 3)
            if (
                isinstance(s.op, ast.Add)
                and isinstance(s.target, ast.Subscript)
                and not any(isinstance(n, ast.Slice) for n in ast.walk(s.target.slice))
            ):
                parts = map(ast.unparse, (s.target.value, s.target.slice, s.value))
                each = ast.parse(f"np.add.at({', '.join(parts)})").body[0]  # an index met twice
                yield self.edit("forgotten branch", s, each, 1.7)
        if isinstance(s, (ast.Assign, ast.AugAssign)) and not self.facts.is_forward:
            yield from self._inserted(s, s)
            yield from self._left_out(s)
        if isinstance(s, ast.For) and not self.facts.is_forward:  # what its turns add up
            for inner in {ast.unparse(n.target): n for n in ast.walk(s)
                          if isinstance(n, ast.AugAssign)}.values():  # fmt: skip
                yield from self._inserted(inner, s)
        if isinstance(s, ast.AugAssign):
            yield from self._twins(s)
            if self.is_penalty(s.value) and not isinstance(s.target, ast.Subscript):
                yield from self._without_biases(s)
        if isinstance(s, ast.If) and not s.orelse and "None" in ast.unparse(s.test):
            always = copy.deepcopy(s)
            always.test = ast.Constant(True)
            yield self.edit("stale cache", s, always, 1)
        if isinstance(s, (ast.AugAssign, ast.Expr)) or self.updates():
            text = ast.unparse(s)
            twice = sum(ast.unparse(n) == text for n in statements(self.function)) > 1
            kind = "updates not simultaneous" if self.updates() else "extra factor"
            yield self.edit(kind, s, ast.Pass(), 0.9 if twice else 6)

    def _twins(self, s: ast.AugAssign) -> Iterator[Draft]:
        """The same line once more: for another layer, or at another index, where a value reaches
        two entries."""
        text = ast.unparse(s)
        kind = "L2 term" if self.is_penalty(s.value) else "forgotten branch"
        numbers = set(re.findall(r"(?<=[A-Za-z_])\d(?!\d)", " ".join(self.atoms)))
        lines = [
            (kind, re.sub(r"(?<=[A-Za-z_])\d(?!\d)", n, text), 1.25, n) for n in sorted(numbers)
        ]
        if isinstance(s.target, ast.Subscript):
            lines += [("forgotten branch", line, 3.0, "") for line in self._elsewhere(s, s.target)]
        whole = ast.unparse(self.function)
        block, at = self.places[id(s)]
        own = re.search(r"(?<=[A-Za-z_])\d(?!\d)", text)
        alone = at and _makes(block[at - 1], self.target())  # the line belongs behind its gradient
        for kind, line, rank, n in lines:
            if line not in whole:
                made = [x for x in statements(self.function) if _makes(x, line.split(" ")[0])]
                if n and own and made and not alone:  # it stands with the others
                    apart = int(n) - int(own[0])
                    near = rank + 0.01 * abs(apart)
                    yield replace(self._beside(s, kind, line, near, apart < 0), statement=made[-1])
                else:
                    yield self._beside(made[-1] if made else s, kind, line, rank + 0.15 * bool(n))

    def _elsewhere(self, s: ast.AugAssign, target: ast.Subscript) -> Iterator[str]:
        """The line at the function's other indices, added and taken away."""
        others = {
            ast.unparse(i)
            for n in ast.walk(self.function) if isinstance(n, ast.Subscript)
            for i in (n.slice.elts if isinstance(n.slice, ast.Tuple) else [n.slice])
            if isinstance(i, (ast.Name, ast.Subscript))
        }  # fmt: skip
        for node in ast.walk(target.slice):
            if isinstance(node, (ast.Name, ast.Subscript)):
                old = rf"(?<![\w.]){re.escape(ast.unparse(node))}(?![\w.\[])"
                for other in sorted(others - {ast.unparse(node)}):
                    place = re.sub(old, lambda _, new=other: new, ast.unparse(target))
                    yield from (f"{place} {op}= {ast.unparse(s.value)}" for op in "-+")

    def _without_biases(self, s: ast.AugAssign) -> Iterator[Draft]:
        """The penalty on the weights only, where they share an array with the biases."""
        names = [p for p in self.facts.parameters if bare(p) in ast.unparse(s.value)]
        names += [
            t for t, shape in self.atoms.items() if len(shape) == 2 and t in ast.unparse(s.value)
        ]
        for name in dict.fromkeys(names):
            for index in ("[1:]", "[:, 1:]", "[:-1]", "[:, :-1]"):
                value = re.sub(rf"\b{re.escape(name)}\b", f"{name}{index}", ast.unparse(s.value))
                line = ast.parse(f"{ast.unparse(s.target)}{index} += {value}").body[0]
                yield self.edit("L2 term", s, line, 1.5)

    def _inserted(self, s: ast.Assign | ast.AugAssign, behind: ast.stmt) -> Iterator[Draft]:
        """A line behind this one, or behind its loop, that scales what was made in several."""
        target = s.target if isinstance(s, ast.AugAssign) else s.targets[0]
        if isinstance(target, ast.Name) and isinstance(s, ast.Assign):
            return  # its right-hand side is scaled instead
        while isinstance(target, ast.Subscript):
            target = target.value
        name = ast.unparse(target)
        if not isinstance(target, (ast.Name, ast.Attribute)):
            return
        counted = [(f"{name} = {name} {op} {n}", rank + 0.1 * j)
                   for op, rank in (("/", 1.15), ("*", 2.5))
                   for j, n in enumerate(self.counts())]  # fmt: skip
        for kind, line, rank in (
            *(("batch factor", line, rank) for line, rank in counted),
            ("sign", f"{name} = -{name}", 2.5),
            ("factor 2", f"{name} = 2 * {name}", 2.5),
            ("factor 2", f"{name} = {name} / 2", 2.5),
        ):
            yield self._beside(behind, kind, line, rank)

    def _beside(
        self, s: ast.stmt, kind: str, line: str, rank: float, before: bool = False
    ) -> Draft:
        """A new line behind a statement, or before it; its place is where it belongs."""
        block, i = self.places[id(s)]
        owner, field = self.places[id(block)]
        i += not before
        body = [*block[:i], ast.parse(line).body[0], *block[i:]]
        at = s.lineno if before else (s.end_lineno or s.lineno) + 1
        shown = f"{line}   # behind the loop" if isinstance(s, ast.For) else line
        return Draft(kind, self.name, rank, self.function, s, at, owner, field, body, shown, True)

    def _left_out(self, s: ast.Assign | ast.AugAssign) -> Iterator[Draft]:
        """A line behind this one that changes some entries of an array, at an index that the
        function has elsewhere: to what a name holds that is not used yet, or, as at the right
        class, to one less."""
        slices = [n.slice for n in ast.walk(self.function) if isinstance(n, ast.Subscript)]
        plain = (ast.Constant, ast.UnaryOp)
        slices = [i for i in slices if not isinstance(i, plain)
                  and not any(isinstance(n, ast.Slice) for n in ast.walk(i))]  # fmt: skip
        indices = sorted({_without_brackets(i) for i in slices})
        made = {ast.unparse(t) for t in ([s.target] if isinstance(s, ast.AugAssign) else s.targets)}
        unused = [name for name in sorted(self.unused() & made) if self.atoms.get(name)]
        arrays = [t for t, shape in self.atoms.items() if len(shape) == 2 and t.isidentifier()]
        forms = [(a, op, f"{sign}{u}") for u in unused for a in arrays
                 for op, sign in (("=", "-"), ("=", ""), ("+=", ""), ("-=", ""))]  # fmt: skip
        forms += [(a, "-=", "1") for a in made if len(self.atoms.get(a, ())) == 2]
        for a, op, value in forms:
            places = [f"{a}[{i}]" for i in indices]
            for place in places if value == "1" else (*places, a, f"{a}[:]"):
                used = value.lstrip("-") in unused
                yield self._beside(s, "forgotten branch", f"{place} {op} {value}", 2 - 0.6 * used)


def moved(name: str, function: ast.FunctionDef) -> Iterator[Draft]:
    """Updates moved behind everything else: all gradients are taken at the old weights."""
    for block in [n.body for n in ast.walk(function) if isinstance(n, (ast.FunctionDef, ast.For))]:
        for s in block[:-1]:
            if not (isinstance(s, (ast.AugAssign, ast.Assign)) and "-" in ast.unparse(s)):
                continue
            owner = next(n for n in ast.walk(function) if getattr(n, "body", None) is block)
            rest = [x for x in block if x is not s]
            end = len(rest) - isinstance(rest[-1], ast.Return)
            body = [*rest[:end], s, *rest[end:]]
            kind = "updates not simultaneous"
            shown = f"{ast.unparse(s)}   # behind all gradients"
            yield Draft(kind, name, 1, function, s, s.lineno, owner, "body", body, shown)


def _makes(s: ast.stmt, text: str) -> bool:
    """Whether a statement assigns to that, alone or beside others."""
    targets = s.targets if isinstance(s, ast.Assign) else [getattr(s, "target", None)]
    return any(ast.unparse(n) == text for t in targets if t is not None for n in ast.walk(t))


def _without_brackets(index: ast.expr) -> str:
    parts = index.elts if isinstance(index, ast.Tuple) else [index]
    return ", ".join(map(ast.unparse, parts))
