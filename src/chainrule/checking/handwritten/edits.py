"""Likely mistakes in a backward pass, each as the small change of its source that undoes it.

A hypothesis is proved, not guessed: the changed function is run, and if its gradient is right, the
change was what was wrong. ``checking/slips.py`` has the kinds and the changes of one operation,
``missing.py`` the hypotheses on what was left out.
"""

from __future__ import annotations

import ast
import copy
import functools
import re
from collections.abc import Iterator

from chainrule.checking.handwritten.drafts import Draft, Facts
from chainrule.checking.handwritten.lines import Lines, moved, statements
from chainrule.checking.handwritten.missing import TARGETS, Missing
from chainrule.checking.handwritten.statement import (
    UNKNOWN,
    Statement,
    bare,
    built,
    counts_rows,
    expression,
    factors,
    is_gradient,
    number,
    split,
)
from chainrule.checking.slips import UNDONE, Change, changes, orders

SLOPE = re.compile(
    r"1(\.0)?\s*-|1(\.0)? \+ np\.exp\(-|sigmoid|tanh|prime|deriv|slope|grad_|"
    r"\bd_?(relu|act)"
)
"""What statements have that multiply by an activation's slope."""
RANKS = {"transpose": 1.5, "factor order": 1.5, "wrong power": 2, "kind of product": 2.5}
"""How unlikely a change is; 4 of those that are not here."""


def drafts(name: str, function: ast.FunctionDef, facts: Facts) -> Iterator[Draft]:
    """Every hypothesis on one function, the likeliest kinds with the lowest ``rank``."""
    places = {
        id(child): (holder, key)
        for parent in ast.walk(function)
        for field, value in ast.iter_fields(parent)
        for holder, key, child in (
            [(value, i, x) for i, x in enumerate(value)]
            if isinstance(value, list)
            else [(parent, field, value)]
        )
    }
    for parent in ast.walk(function):
        for field, value in ast.iter_fields(parent):
            if isinstance(value, list):
                places[id(value)] = (parent, field)
    for statement in statements(function):
        yield from Lines(name, function, statement, facts, places).all()
        yield from Swapped(name, function, statement, facts, places).all()
        if not facts.is_forward:  # there, only what is kept for the backward pass can be wrong
            yield from Missing(name, function, statement, facts, places).all()
    if not facts.is_forward:
        yield from moved(name, function)


class Swapped(Statement):
    """The hypotheses on what a statement has in the place of something else."""

    def all(self) -> Iterator[Draft]:
        for place in self._places():
            yield from self.of_expression(place)

    def _places(self) -> list[ast.expr]:
        found = []
        for root in (*self.roots(), *self.indices()):
            functions = {id(n.func) for n in ast.walk(root) if isinstance(n, ast.Call)}
            inner = {id(n.value) for n in ast.walk(root) if isinstance(n, (ast.Attribute,))}
            found += [
                n
                for n in ast.walk(root)
                if isinstance(n, ast.expr)
                and id(n) not in functions
                and not (id(n) in inner and isinstance(n, ast.Name) and n.id in ("np", "torch"))
            ]
        return found

    # expressions ------------------------------------------------------------------------------

    def of_expression(self, node: ast.expr) -> Iterator[Draft]:
        for change in changes(node, split):
            kind, rank = self._named(node, change)
            yield self.edit(kind, node, built(change.new), rank)
        if isinstance(node, ast.BinOp):
            left, op = node.left, node.op
            if isinstance(op, ast.MatMult):
                yield from self._of_factors(node, left, node.right)
            elif isinstance(op, (ast.Mult, ast.Div)) and len(parts := factors(left)) > 1:
                rest = functools.reduce(lambda a, b: ast.BinOp(a, ast.Mult(), b), parts[:-1])
                yield self.edit("extra factor", node, rest, 1.5)  # a slope, a * (1 - a)
        elif isinstance(node, ast.Compare) and len(node.ops) == 1:
            yield from self._of_comparison(node)
        elif isinstance(node, ast.Call):
            yield from self._of_call(node)
        elif isinstance(node, ast.Constant):
            yield from self._of_constant(node)
        elif isinstance(node, ast.Slice):
            yield from self._of_slice(node)
        if len(self.shape(node) or ()) >= 2 and getattr(node, "attr", "") != "T":
            yield self.edit(
                "transpose", node, built(("ᵀ", node)), 1.5 if self._is_in_product(node) else 3
            )
        yield from self._of_count(node)
        if isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)):
            yield from self._of_atom(node)

    def _named(self, node: ast.expr, change: Change) -> tuple[str, float]:
        """What a change that mends is called here, and its rank."""
        kind = UNDONE.get(change.kind, change.kind)
        if not isinstance(node, ast.BinOp):
            return kind, 1
        left, op, right = node.left, node.op, node.right
        if isinstance(op, (ast.Add, ast.Sub)):
            if kind == "sign":
                one_minus = isinstance(left, ast.Constant) and left.value == 1
                swapped = change.part is not node
                adds = is_gradient(ast.unparse(left)) and is_gradient(ast.unparse(right))
                return kind, 1 + 2 * one_minus + 1.6 * (adds and swapped)
            if change.new is left:
                return "L2 term" if self.is_penalty(right) else kind, 3
        elif kind == "extra factor" or (isinstance(op, ast.Div) and kind == "wrong operation"):
            rank = RANKS.get(kind, 4) if isinstance(op, ast.MatMult) else 1 + 2 * (kind[0] == "w")
            if counts_rows(right) or counts_rows(left):
                kind = "batch factor"
            elif isinstance(right, ast.Constant) or isinstance(left, ast.Constant):
                kind = "factor 2"
            return kind, rank
        return kind, RANKS.get(kind, 4)

    def _of_factors(self, node: ast.expr, left: ast.expr, right: ast.expr) -> Iterator[Draft]:
        """A product of matrices with another array, or its transpose, on one side, where what it
        is multiplied with and what comes out say which shape belongs there."""
        a, b = self.shape(left), self.shape(right)
        whole = self.target_shape() if any(node is r for r in self.roots()) else self.shape(node)
        for text, shape in self.atoms.items():
            if len(shape) != 2:
                continue
            for form, (rows, columns) in ((text, shape), (f"{text}.T", shape[::-1])):
                new, out = expression(form), whole or (rows, columns)
                if b is not None and b[:1] == (columns,) and out[0] == rows:
                    pairs = (left, new, right)
                    yield from self._of_factor(node, *pairs, ast.BinOp(new, ast.MatMult(), right))
                if a is not None and a[-1:] == (rows,) and out[-1] == columns:
                    pairs = (right, new, left)
                    yield from self._of_factor(node, *pairs, ast.BinOp(left, ast.MatMult(), new))

    def _of_factor(
        self, node: ast.expr, old: ast.expr, new: ast.expr, kept: ast.expr, product: ast.expr
    ) -> Iterator[Draft]:
        texts = [ast.unparse(x).removesuffix(".T") for x in (old, new, kept)]
        if texts[1] in (texts[0], texts[2]):
            return
        names = {bare(p) for p in self.facts.parameters}
        if bare(texts[1]) in names and any(re.search(rf"\b{n}\b", ast.unparse(old)) for n in names):
            kind = "wrong layer"
        else:
            kind = self._swap_kind(ast.unparse(old), ast.unparse(new), False)
        yield self.edit(kind, node, product, 2.3 + 0.4 * (kind == "wrong variable"))

    def _is_in_product(self, node: ast.expr) -> bool:
        """Whether it is a factor of a product of matrices."""
        holder = self.places[id(node)][0]
        if isinstance(holder, list):
            holder = self.places.get(id(holder), (None,))[0]
        if isinstance(holder, ast.Call):
            return bool(re.search(r"(dot|matmul|outer|einsum|mm)$", ast.unparse(holder.func)))
        products = isinstance(holder, ast.BinOp) and isinstance(holder.op, ast.MatMult)
        return products or (isinstance(holder, ast.Attribute) and holder.attr in ("dot", "matmul"))

    def _of_count(self, node: ast.expr) -> Iterator[Draft]:
        """How many: rows, columns or entries."""
        counted = re.fullmatch(r"(?:len\((.+)\)|(.+)\.size|(.+)\.shape\[-?\d\])", ast.unparse(node))
        if counted is None:
            return
        text = next(x for x in counted.groups() if x)
        shape = self.atoms.get(text, ())
        forms = [f"len({text})", f"{text}.size", *(f"{text}.shape[{i}]" for i in range(len(shape)))]
        for form in forms:
            if form != ast.unparse(node):  # with two outputs, a size and 2 * len are the same
                known = ".size" not in form or re.search(r"\bmean\(|size", self.facts.text)
                yield self.edit("batch factor", node, expression(form), 0.9 if known else 1.2)

    def _of_comparison(self, node: ast.Compare) -> Iterator[Draft]:
        flips: dict[type[ast.cmpop], type[ast.cmpop]] = {
            ast.Gt: ast.Lt, ast.Lt: ast.Gt, ast.GtE: ast.LtE, ast.LtE: ast.GtE,
            ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
        }  # fmt: skip
        flipped = flips.get(type(node.ops[0]))
        if flipped is not None:
            new = ast.Compare(node.left, [flipped()], node.comparators)
            yield self.edit("mask from the wrong array", node, new, 2)
        shape = self.shape(node.left)
        same = [t for t, s in self.atoms.items() if s == shape and shape and not is_gradient(t)]
        for a in same:  # before something was added: relu(z) + x
            for b in same:
                if a != b:
                    new = ast.Compare(expression(f"{a} - {b}"), node.ops, node.comparators)
                    yield self.edit("mask from the wrong array", node, new, 2.6)

    def _of_call(self, node: ast.Call) -> Iterator[Draft]:
        f = node.func
        name = f.attr if isinstance(f, ast.Attribute) else getattr(f, "id", "")
        for a, b in (("sum", "mean"), ("mean", "sum")):
            if name == a and isinstance(f, ast.Attribute):
                new = copy.deepcopy(node)
                assert isinstance(new.func, ast.Attribute)
                new.func.attr = b
                yield self.edit("sum against mean", node, new, 1.2)
        for i, keyword in enumerate(node.keywords):
            given = ast.unparse(keyword.value)
            if keyword.arg in ("axis", "dim") and re.fullmatch(r"-?\d", given):
                for axis in (0, 1, -1):
                    if given != str(axis):
                        new = copy.deepcopy(node)
                        new.keywords[i].value = ast.Constant(axis)
                        yield self.edit("wrong axis", node, new, 2)
        if name in ("sum", "mean") and not any(k.arg in ("axis", "dim") for k in node.keywords):
            for axis in (0, 1, -1):
                for keep in (False, True):
                    new = copy.deepcopy(node)
                    new.keywords.append(ast.keyword("axis", ast.Constant(axis)))
                    if keep:
                        new.keywords.append(ast.keyword("keepdims", ast.Constant(True)))
                    yield self.edit("bias not summed over the batch", node, new, 2)
        if name in ("sum", "mean"):
            inner = node.args[0] if node.args and ast.unparse(f).startswith("np.") else None
            if inner is None and isinstance(f, ast.Attribute):
                inner = f.value
            if inner is not None:
                yield self.edit("extra factor", node, inner, 4)
        if name in ("exp", "tanh", "cosh", "sinh", "log") and len(node.args) == 1:
            inside = ast.UnaryOp(ast.USub(), node.args[0])
            yield self.edit("sign", node, ast.Call(f, [inside], node.keywords), 2)
        if isinstance(f, ast.Name) and re.search(r"back|grad|bwd|pull", name):
            made = [n.id for n in ast.walk(self.function)
                    if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]  # fmt: skip
            like = re.sub(r"_\w+|\d+$", "", name)
            for other in dict.fromkeys(made):  # back_a for back_b: functions that go back
                if other != name and re.sub(r"_\w+|\d+$", "", other) == like:
                    swapped = ast.Call(ast.Name(other, ast.Load()), node.args, node.keywords)
                    yield self.edit("wrong layer", node, swapped, 1.8)
        if name in ("dot", "matmul") and isinstance(f, ast.Attribute):
            a = node.args[0] if len(node.args) == 2 else f.value
            for change in orders(built(("@", a, node.args[-1])), split):
                yield self.edit(change.kind, node, built(change.new), 1.5)
            yield from self._of_factors(node, a, node.args[-1])
        if name in ("diag", "diagflat") and "softmax" in self.facts.text.lower():
            for v in {
                ast.unparse(n) for n in ast.walk(node) if isinstance(n, (ast.Name, ast.Attribute))
            }:
                if v in self.atoms:
                    whole = expression(f"np.diagflat({v}) - np.outer({v}, {v})")
                    yield self.edit("softmax treated as element-wise", node, whole, 1.5)
        if name == "outer" and len(node.args) == 2:
            other = ast.Call(f, [node.args[1], node.args[0]], node.keywords)
            yield self.edit("transpose", node, other, 1.5)
        if name in ("reshape", "ravel", "flatten", "squeeze"):
            yield self.edit("broadcasting accident", node, getattr(f, "value", node), 3)

    def _of_slice(self, node: ast.Slice) -> Iterator[Draft]:
        """Another counter at both ends."""
        text = ast.unparse(node)
        for name in {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}:
            for other, shape in self.atoms.items():
                if shape == () and other != name and other.isidentifier():
                    changed = re.sub(rf"\b{name}\b", other, text)
                    new = ast.parse(f"x[{changed}]", mode="eval").body
                    assert isinstance(new, ast.Subscript)
                    yield self.edit("wrong layer", node, new.slice, 2.4)

    def _of_constant(self, node: ast.Constant) -> Iterator[Draft]:
        v = node.value
        if isinstance(v, str):
            yield from self._of_text(node, v)
        axes = [k.value for root in self.roots() for k in ast.walk(root)
                if isinstance(k, ast.keyword) and k.arg in ("axis", "dim")]  # fmt: skip
        inside = any(n is node for axis in axes for n in ast.walk(axis))
        if isinstance(v, bool) or not isinstance(v, (int, float)) or inside:
            return
        for new in dict.fromkeys((v + 1, v - 1, v * 2, v / 2)):
            if new != v:
                kind = "factor 2" if new in (v * 2, v / 2) and v else "wrong constant"
                if self._is_index(node):
                    kind = "wrong layer"
                elif self._is_exponent(node):
                    kind = "wrong power"
                value = int(new) if float(new).is_integer() and isinstance(v, int) else new
                yield self.edit(kind, node, number(value), 3)

    def _of_text(self, node: ast.Constant, v: str) -> Iterator[Draft]:
        """A part of a key, as in ``cache["z" + str(l)]``, and the letters of an einsum."""
        if "->" in v:
            sides, _, out = v.partition("->")
            parts = [*sides.split(","), out]
            for i, part in enumerate(parts):
                turned = [_swapped(part, a, b) for b in range(len(part)) for a in range(b)]
                for other in dict.fromkeys((part[::-1], *turned)):
                    changed = [*parts[:i], other, *parts[i + 1 :]]
                    text = f"{','.join(changed[:-1])}->{changed[-1]}"
                    if other != part:
                        yield self.edit("transpose", node, ast.Constant(text), 1.5)
        elif self._is_index(node):
            keys = re.findall(r"\['(\D+)\d+'\]", " ".join(self.atoms))
            for other in dict.fromkeys(keys):
                if other != v and any(k == v for k in keys):
                    kind = self._swap_kind(v, other, False)
                    yield self.edit(kind, node, ast.Constant(other), 2)

    def _is_index(self, node: ast.expr) -> bool:
        slices = [s.slice for root in self.roots() for s in ast.walk(root)
                  if isinstance(s, ast.Subscript)]  # fmt: skip
        inside = any(n is node for x in (*slices, *self.indices()) for n in ast.walk(x))
        return inside or isinstance(self.statement, ast.For)

    def _is_exponent(self, node: ast.expr) -> bool:
        return any(
            isinstance(b, ast.BinOp) and isinstance(b.op, ast.Pow) and b.right is node
            for root in self.roots()
            for b in ast.walk(root)
        )

    def _of_atom(self, node: ast.expr) -> Iterator[Draft]:
        text, shape = ast.unparse(node), self.shape(node)
        compared = any(
            isinstance(c, ast.Compare) and any(n is node for n in ast.walk(c))
            for root in (*self.roots(), *self.indices())
            for c in ast.walk(root)
        )
        if isinstance(node, ast.Subscript) and isinstance(node.slice, (ast.Name, ast.BinOp)):
            for d in (1, -1):
                step = ast.BinOp(node.slice, ast.Add() if d > 0 else ast.Sub(), ast.Constant(1))
                new = ast.Subscript(node.value, step, ast.Load())
                yield self.edit("wrong layer", node, new, 1.5)
        if isinstance(node, ast.Name) and self._is_index(node):
            for op in (ast.Add(), ast.Sub()):
                for by in ("1", *self.counters()):
                    new = ast.BinOp(ast.Name(node.id, ast.Load()), op, expression(by))
                    if by != node.id:
                        yield self.edit("wrong layer", node, new, 2)
        if isinstance(node, ast.Subscript) and not isinstance(node.slice, ast.Constant):
            bases = {t.partition("[")[0] for t in self.atoms if re.search(r"\[-?\d+\]$", t)}
            own = ast.unparse(node.value)
            for other in sorted(bases - {own}) if own in bases else ():
                kind = self._swap_kind(own, other, compared)
                for by in (0, 1, -1):  # a list with the inputs in front is one behind
                    text = f"{other}[{ast.unparse(node.slice)} {by:+}]".replace(" +0", "")
                    yield self.edit(kind, node, expression(text), 1.9 + 0.2 * bool(by))
        if text in ("np", "torch", "self") or shape is None:
            return
        if shape == UNKNOWN:  # a part of an array: another array as a whole
            others = [t for t, found in self.atoms.items() if len(found) == 2]
            for other in others if isinstance(self.places[id(node)][0], list) else ():
                yield self.edit(
                    self._swap_kind(text, other, compared), node, expression(other), 2.3
                )
            return
        for other, found in self.atoms.items():
            if other == text or found != shape:
                continue
            kind = self._swap_kind(text, other, compared)
            new = expression(other)
            rank = 2 + 0.5 * (kind == "wrong variable")
            if kind != "pre-activation for activation" or other not in self.made():
                rank += 0.8 * any(TARGETS.fullmatch(bare(name)) for name in (text, other))
            yield self.edit(kind, node, new, rank)
            count = sum(ast.unparse(n) == text for r in self.roots() for n in ast.walk(r)
                        if isinstance(n, ast.expr))  # fmt: skip
            if count > 1:
                yield self._everywhere(kind, text, other)
        calls = rf"\b(?:np\.)?(?:exp|log|tanh|sqrt|sigmoid|relu|softplus|abs)\({re.escape(text)}\)"
        for call in sorted(set(re.findall(calls, self.facts.text))):
            yield self.edit("wrong variable", node, expression(call), 2.6)  # not what goes into it
        if len(shape) == 1:
            column = f"{text}.reshape(-1, 1)"
            yield self.edit("broadcasting accident", node, expression(column), 2.5)
        elif len(shape) == 2 and 1 in shape:
            yield self.edit("broadcasting accident", node, expression(f"{text}.ravel()"), 2.5)

    def _everywhere(self, kind: str, text: str, other: str) -> Draft:
        """Every occurrence in the statement: ``z * (1 - z)`` has two."""
        changed = copy.deepcopy(self.statement)

        class All(ast.NodeTransformer):
            def visit(self, node: ast.AST) -> ast.AST:
                is_load = isinstance(getattr(node, "ctx", ast.Load()), ast.Load)
                if isinstance(node, ast.expr) and is_load and ast.unparse(node) == text:
                    return expression(other)
                return self.generic_visit(node)

        return self.edit(kind, self.statement, All().visit(changed), 1.8)

    def _swap_kind(self, text: str, other: str, compared: bool) -> str:
        if compared:
            return "mask from the wrong array"
        names = {p.rpartition(".")[2] for p in self.facts.parameters}
        plain, wanted = (bare(text), bare(other))
        if plain in names and wanted in names:
            return "wrong layer"
        if re.sub(r"\d+|\[.*", "", plain) == re.sub(r"\d+|\[.*", "", wanted) and plain != wanted:
            return "wrong layer"
        shown = ast.unparse(self.statement)
        slope = SLOPE.search(shown)
        if slope and not any(re.match(r"d|grad|g_|delta", n) for n in (plain, wanted)):
            return "pre-activation for activation"
        return "wrong variable"


def _swapped(text: str, a: int, b: int) -> str:
    letters = list(text)
    letters[a], letters[b] = letters[b], letters[a]
    return "".join(letters)
