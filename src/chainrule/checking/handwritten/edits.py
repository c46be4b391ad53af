"""Likely mistakes in a backward pass, each as the small change of its source that undoes it.

A hypothesis is proved, not guessed: the changed function is run, and if its gradient is right, the
change was what was wrong. ``KINDS`` has the sentence that teaches each.

One file: each hypothesis is a few lines of one class, which knows the statement that it changes.
"""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Shape = tuple[int, ...]

KINDS: dict[str, str] = {
    "batch factor": (
        "The loss averages over the m rows of the batch, so its gradient has the factor 1/m "
        "exactly once: a sum where the loss has a mean is m times too large, a second 1/m too"
        " small."
    ),
    "transpose": (
        "A product Y = A @ B passes G @ B.T back to A and A.T @ G to B: sizes must fit, and "
        "with square matrices nothing but the rule tells you."
    ),
    "forgotten branch": (
        "Where a value is used twice, the gradients of both uses add: += and not =, and no "
        "term left out."
    ),
    "mask from the wrong array": (
        "ReLU passes the gradient where its own input was positive: the mask is (z > 0) of "
        "that layer's pre-activation."
    ),
    "pre-activation for activation": (
        "tanh' is 1 - a**2 and the logistic function's slope a*(1 - a), in terms of the "
        "output a, not of the input z."
    ),
    "missing activation derivative": (
        "Behind the activation stands its slope: multiply the gradient by it, entry by entry,"
        " before it goes on to the layer's weights."
    ),
    "wrong activation derivative": (
        "The slope must be that of the activation that the forward pass uses: relu (z > 0), "
        "tanh 1 - a**2, logistic a*(1 - a)."
    ),
    "L2 term": (
        "A penalty lam/2 * sum(W**2) adds lam*W to the gradient of W; without the half it "
        "adds 2*lam*W. It is not divided by m unless the penalty is."
    ),
    "factor 2": (
        "The square's slope has the factor 2: d(r**2) = 2 r dr; with 1/2 in front of the "
        "square it cancels."
    ),
    "bias not summed over the batch": (
        "One bias serves all rows, so its gradient is the sum of the rows' gradients: sum "
        "over axis 0."
    ),
    "wrong axis": "Sum over the axis along which the value was repeated in the forward pass.",
    "sum against mean": (
        "Where the forward pass sums, the backward pass sums; where it averages, it averages."
    ),
    "sign": (
        "Minus in the forward pass is minus in the backward pass; softmax with cross-entropy "
        "gives p - y, not y - p."
    ),
    "softmax treated as element-wise": (
        "Each softmax output depends on every logit: its slope is no p*(1 - p) alone, but p *"
        " (g - sum(g*p)); with cross-entropy p - y."
    ),
    "updates not simultaneous": (
        "All gradients are taken at the same weights: compute every gradient first, then update."
    ),
    "stale cache": (
        "The backward pass belongs to the forward pass just made: keep its values anew at "
        "each call."
    ),
    "wrong layer": (
        "A layer's gradient goes back through that layer's own weights and activations: mind "
        "the index."
    ),
    "broadcasting accident": (
        "A column (n, 1) and a vector (n,) broadcast to (n, n): make the shapes equal first."
    ),
    "wrong variable": "Another value of the forward pass belongs here.",
    "product rule": "A product passes to each factor the gradient times the other factor.",
    "missing factor": "The chain rule multiplies by every local slope on the way; one is missing.",
    "extra factor": "A factor stands here that the chain rule does not have.",
    "wrong operation": "Another operation belongs here.",
    "wrong constant": "A number is off.",
    "wrong power": "The exponent falls by one and comes down as a factor.",
}


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
    for statement in _statements(function):
        yield from _Editor(name, function, statement, facts, places).all()
    if not facts.is_forward:
        yield from _moved(name, function)


def _statements(function: ast.FunctionDef) -> list[ast.stmt]:
    kinds = (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Return, ast.Expr, ast.For, ast.If)
    found = [n for n in ast.walk(function) if isinstance(n, kinds)]
    return [s for s in found if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]


def _expression(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


class _Editor:
    """The hypotheses on one statement."""

    def __init__(
        self,
        name: str,
        function: ast.FunctionDef,
        statement: ast.stmt,
        facts: Facts,
        places: Mapping[int, tuple[Any, Any]],
    ) -> None:
        self.places = places
        self.name, self.function, self.statement, self.facts = name, function, statement, facts
        self.defined = {n.id for n in ast.walk(function) if isinstance(n, ast.Name)} | {
            a.arg for a in (*function.args.args, *function.args.kwonlyargs)
        }
        self.atoms = {
            text: shape
            for text, shape in facts.atoms.items()
            if re.match(r"\w+", text)[0] in self.defined  # type: ignore[index]
        }

        names = {
            n.func.id
            for n in ast.walk(function)
            if isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and len(n.args) == 1
        }
        self.slopes = [
            (f"{name}(v)", 0)
            for name in sorted(names)
            if re.search(r"prime|deriv|grad|slope|^d_?[a-z]", name)
        ]

    # writing ----------------------------------------------------------------------------------

    def edit(self, kind: str, node: ast.AST, new: ast.AST, rank: float) -> Draft:
        """The function with ``new`` in the place of ``node``."""
        line = getattr(self.statement, "lineno", 0)
        holder, key = self.places[id(node)]
        return Draft(kind, self.name, rank, self.function, self.statement, line, holder, key, new)

    # all --------------------------------------------------------------------------------------

    def all(self) -> Iterator[Draft]:
        yield from self.of_statement()
        for place in self._places():
            yield from self.of_expression(place)
        if not self.facts.is_forward:  # there, only what is kept for the backward pass can be wrong
            for whole in self._wholes():
                yield from self.of_whole(whole)

    def _own(self) -> list[ast.expr]:
        """The expressions that belong to the statement itself, not to statements inside it."""
        s = self.statement
        if isinstance(s, ast.For):
            return [s.iter]
        if isinstance(s, ast.If):
            return [s.test]
        value = getattr(s, "value", None)
        return [value] if value is not None else []

    def _places(self) -> list[ast.expr]:
        found = []
        for root in self._own():
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

    def _wholes(self) -> list[ast.expr]:
        """What a factor or a term may be missing from: a right-hand side, the parts of what is
        returned, the arguments of a call, and the factors and terms in it."""
        found: list[ast.expr] = []
        s = self.statement
        if isinstance(s, (ast.For, ast.If)):
            return []
        for root in self._own():
            parts: list[ast.expr] = [root]
            if isinstance(root, (ast.Tuple, ast.List)):
                parts = list(root.elts)
            elif isinstance(root, ast.Dict):
                parts = list(root.values)
            for part in parts:
                found.append(part)
                inner = [part]
                for _ in range(2):
                    deeper: list[ast.expr] = []
                    for n in inner:
                        if isinstance(n, ast.BinOp):
                            deeper += [n.left, n.right]
                        elif isinstance(n, ast.Call) and n.args:
                            deeper.append(n.args[0])
                        elif isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute):
                            deeper.append(n.func.value)
                    found += deeper
                    inner = deeper
        return list({id(n): n for n in found if not isinstance(n, ast.Constant)}.values())

    # statements -------------------------------------------------------------------------------

    def of_statement(self) -> Iterator[Draft]:
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
        if isinstance(s, (ast.Assign, ast.AugAssign)) and not self.facts.is_forward:
            yield from self._inserted(s)
        if isinstance(s, ast.If) and not s.orelse and "None" in ast.unparse(s.test):
            always = copy.deepcopy(s)
            always.test = ast.Constant(True)
            yield self.edit("stale cache", s, always, 1)
        if isinstance(s, (ast.AugAssign, ast.Expr)):
            yield self.edit("extra factor", s, ast.Pass(), 6)

    def _inserted(self, s: ast.Assign | ast.AugAssign) -> Iterator[Draft]:
        """A line behind this one that scales what was made in several."""
        target = s.target if isinstance(s, ast.AugAssign) else s.targets[0]
        if isinstance(target, ast.Name) and isinstance(s, ast.Assign):
            return  # its right-hand side is scaled instead
        while isinstance(target, ast.Subscript):
            target = target.value
        name = ast.unparse(target)
        block, i = self.places[id(s)]
        if not isinstance(target, (ast.Name, ast.Attribute)) or not isinstance(block, list):
            return
        owner, field = self.places[id(block)]
        rows = self._rows_name()
        for kind, line, rank in (
            ("batch factor", f"{name} = {name} / {rows}", 1.1),
            ("batch factor", f"{name} = {name} * {rows}", 2.5),
            ("sign", f"{name} = -{name}", 2.5),
            ("factor 2", f"{name} = 2 * {name}", 2.5),
            ("factor 2", f"{name} = {name} / 2", 2.5),
        ):
            body = [*block[: i + 1], ast.parse(line).body[0], *block[i + 1 :]]
            shown = f"{ast.unparse(s)}; {line}"
            yield Draft(
                kind, self.name, rank, self.function, s, s.lineno, owner, field, body, shown
            )

    def _rows_name(self) -> str:
        names = ("m", "n", "N", "batch", "batch_size", "B", "n_samples", "num_examples")
        known = [t for t, shape in self.atoms.items() if shape == () and t in names]
        return known[0] if known else str(self.facts.rows)

    # expressions ------------------------------------------------------------------------------

    def of_expression(self, node: ast.expr) -> Iterator[Draft]:
        if isinstance(node, ast.BinOp):
            yield from self._of_operator(node)
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            yield self.edit("sign", node, node.operand, 1)
        elif isinstance(node, ast.Compare) and len(node.ops) == 1:
            yield from self._of_comparison(node)
        elif isinstance(node, ast.Call):
            yield from self._of_call(node)
        elif isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
            yield from self._of_constant(node)
        if isinstance(node, ast.Attribute) and node.attr == "T":
            yield self.edit("transpose", node, node.value, 1)
        elif self.shape(node) is not None and len(self.shape(node) or ()) >= 2:
            yield self.edit("transpose", node, ast.Attribute(node, "T", ast.Load()), 1.5)
        if isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)):
            yield from self._of_atom(node)

    def shape(self, node: ast.expr) -> Shape | None:
        text = ast.unparse(node)
        if text in self.atoms:
            return self.atoms[text]
        if isinstance(node, ast.Attribute) and node.attr == "T":
            inner = self.shape(node.value)
            return None if inner is None else inner[::-1]
        if isinstance(node, ast.Subscript):  # W[l], cache["z" + str(i)]: as any of its kind
            base = ast.unparse(node.value)
            found = {s for t, s in self.atoms.items() if t.startswith(base + "[")}
            return next(iter(found)) if len(found) == 1 else (() if not found else (0, 0))
        return None

    def _of_operator(self, node: ast.BinOp) -> Iterator[Draft]:
        left, op, right = node.left, node.op, node.right

        def other(kind: type[ast.operator], a: ast.expr = left, b: ast.expr = right) -> ast.BinOp:
            return ast.BinOp(a, kind(), b)

        if isinstance(op, (ast.Add, ast.Sub)):
            swapped = ast.Sub if isinstance(op, ast.Add) else ast.Add
            penalty = self._penalty(right)
            yield self.edit("sign", node, other(swapped), 1)
            yield self.edit("L2 term" if penalty else "extra factor", node, left, 3)
            yield self.edit("extra factor", node, right, 4)
            if isinstance(op, ast.Sub):
                yield self.edit("sign", node, other(ast.Sub, right, left), 1)
        elif isinstance(op, (ast.Mult, ast.Div)):
            rows = self._counts_rows(right) or self._counts_rows(left)
            kind = "batch factor" if rows else "extra factor"
            if isinstance(right, ast.Constant) or isinstance(left, ast.Constant):
                kind = "factor 2" if not rows else kind
            yield self.edit(kind, node, left, 1)
            if isinstance(op, ast.Mult):
                yield self.edit(kind, node, right, 1)
                if not rows:
                    yield self.edit("product rule", node, other(ast.MatMult), 2)
                yield self.edit("wrong operation", node, other(ast.Div), 4)
            else:
                yield self.edit(kind, node, other(ast.Mult), 3)
        elif isinstance(op, ast.MatMult):
            yield self.edit("product rule", node, other(ast.Mult), 3)
            for a, b in _orders(left, right):
                yield self.edit("transpose", node, other(ast.MatMult, a, b), 1.5)
        elif isinstance(op, ast.Pow):
            yield self.edit("wrong power", node, left, 2)

    def _penalty(self, node: ast.expr) -> bool:
        """Whether a term is a number times a parameter."""
        text = ast.unparse(node)
        return any(re.search(rf"(?<!d)\b{re.escape(p.rpartition('.')[2])}\b", text)
                   for p in self.facts.parameters) and "@" not in text  # fmt: skip

    def _counts_rows(self, node: ast.expr) -> bool:
        """Whether a factor is the number of rows: ``m``, ``len(X)``, ``X.shape[0]``, ``1/m``."""
        text = ast.unparse(node)
        if re.search(r"\.shape\[|\blen\(|\.size\(", text):
            return True
        return bool(ROWS.fullmatch(text))

    def _of_comparison(self, node: ast.Compare) -> Iterator[Draft]:
        flips = {ast.Gt: ast.Lt, ast.Lt: ast.Gt, ast.GtE: ast.LtE, ast.LtE: ast.GtE,
                 ast.Eq: ast.NotEq, ast.NotEq: ast.Eq}  # fmt: skip
        flipped = flips.get(type(node.ops[0]))
        if flipped is not None:
            new = ast.Compare(node.left, [flipped()], node.comparators)
            yield self.edit("mask from the wrong array", node, new, 2)

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
            if keyword.arg in ("axis", "dim") and isinstance(keyword.value, ast.Constant):
                for axis in (0, 1, -1):
                    if keyword.value.value != axis:
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
        if name in ("dot", "matmul") and isinstance(f, ast.Attribute):
            a = node.args[0] if len(node.args) == 2 else f.value
            for x, y in _orders(a, node.args[-1]):
                yield self.edit("transpose", node, ast.BinOp(x, ast.MatMult(), y), 1.5)
        if name in ("reshape", "ravel", "flatten", "squeeze"):
            yield self.edit("broadcasting accident", node, getattr(f, "value", node), 3)

    def _of_constant(self, node: ast.Constant) -> Iterator[Draft]:
        v = node.value
        if isinstance(v, bool) or not isinstance(v, (int, float)):
            return
        for new in dict.fromkeys((v + 1, v - 1, v * 2, v / 2)):
            if new != v:
                kind = "factor 2" if new in (v * 2, v / 2) and v else "wrong constant"
                if self._is_index(node):
                    kind = "wrong layer"
                elif self._is_exponent(node):
                    kind = "wrong power"
                value = int(new) if float(new).is_integer() and isinstance(v, int) else new
                yield self.edit(kind, node, _number(value), 3)

    def _is_index(self, node: ast.expr) -> bool:
        return any(
            any(n is node for n in ast.walk(s.slice))
            for root in self._own()
            for s in ast.walk(root)
            if isinstance(s, ast.Subscript)
        ) or isinstance(self.statement, ast.For)

    def _is_exponent(self, node: ast.expr) -> bool:
        return any(
            isinstance(b, ast.BinOp) and isinstance(b.op, ast.Pow) and b.right is node
            for root in self._own()
            for b in ast.walk(root)
        )

    def _of_atom(self, node: ast.expr) -> Iterator[Draft]:
        text, shape = ast.unparse(node), self.shape(node)
        compared = any(
            isinstance(c, ast.Compare) and any(n is node for n in ast.walk(c))
            for root in self._own()
            for c in ast.walk(root)
        )
        if isinstance(node, ast.Subscript) and isinstance(node.slice, (ast.Name, ast.BinOp)):
            for d in (1, -1):
                step = ast.BinOp(node.slice, ast.Add() if d > 0 else ast.Sub(), ast.Constant(1))
                new = ast.Subscript(node.value, step, ast.Load())
                yield self.edit("wrong layer", node, new, 1.5)
        if isinstance(node, ast.Name) and self._is_index(node):
            for op in (ast.Add(), ast.Sub()):
                new = ast.BinOp(ast.Name(node.id, ast.Load()), op, ast.Constant(1))
                yield self.edit("wrong layer", node, new, 2)
        if text in self.facts_text_np or shape is None:
            return
        for other, found in self.atoms.items():
            if other == text or not self._alike(found, shape):
                continue
            kind = self._swap_kind(text, other, compared)
            new = _expression(other)
            yield self.edit(kind, node, new, 2 + 0.5 * (kind == "wrong variable"))
            count = sum(ast.unparse(n) == text for r in self._own() for n in ast.walk(r)
                        if isinstance(n, ast.expr))  # fmt: skip
            if count > 1:
                yield self._everywhere(kind, text, other)
        if len(shape) == 1:
            column = f"{text}.reshape(-1, 1)"
            yield self.edit("broadcasting accident", node, _expression(column), 2.5)
        elif len(shape) == 2 and 1 in shape:
            yield self.edit("broadcasting accident", node, _expression(f"{text}.ravel()"), 2.5)

    facts_text_np = ("np", "torch", "self")

    def _alike(self, a: Shape, b: Shape) -> bool:
        return a == b and (a != () or True)

    def _everywhere(self, kind: str, text: str, other: str) -> Draft:
        """Every occurrence in the statement: ``z * (1 - z)`` has two."""
        changed = copy.deepcopy(self.statement)

        class All(ast.NodeTransformer):
            def visit(self, n: ast.AST) -> ast.AST:
                is_load = isinstance(getattr(n, "ctx", ast.Load()), ast.Load)
                if isinstance(n, ast.expr) and is_load and ast.unparse(n) == text:
                    return _expression(other)
                return self.generic_visit(n)

        return self.edit(kind, self.statement, All().visit(changed), 1.8)

    def _swap_kind(self, text: str, other: str, compared: bool) -> str:
        if compared:
            return "mask from the wrong array"
        names = {p.rpartition(".")[2] for p in self.facts.parameters}
        plain, wanted = (_bare(text), _bare(other))
        if plain in names and wanted in names:
            return "wrong layer"
        if re.sub(r"\d+|\[.*", "", plain) == re.sub(r"\d+|\[.*", "", wanted) and plain != wanted:
            return "wrong layer"
        shown = ast.unparse(self.statement)
        slope = re.search(r"1(\.0)?\s*-|sigmoid|tanh|prime|deriv|grad_|\bd_?(relu|act)", shown)
        if slope and plain[:1].lower() in "zahusp" and wanted[:1].lower() in "zahusp":
            return "pre-activation for activation"
        return "wrong variable"

    # a factor or a term that is missing ---------------------------------------------------------

    def of_whole(self, node: ast.expr) -> Iterator[Draft]:
        count = _expression(self._rows_name())
        yield self.edit("batch factor", node, ast.BinOp(node, ast.Div(), count), 1.1)
        yield self.edit("batch factor", node, ast.BinOp(node, ast.Mult(), count), 2)
        two = ast.Constant(2)
        rank = 1.2 if self._penalty(node) else 2.1
        yield self.edit("factor 2", node, ast.BinOp(two, ast.Mult(), node), rank)
        yield self.edit("factor 2", node, ast.BinOp(node, ast.Div(), two), rank)
        yield self.edit("sign", node, ast.UnaryOp(ast.USub(), node), 2)
        for axis in (0, 1):
            for keep in ("", ", keepdims=True"):
                new = _expression(f"np.sum(E, axis={axis}{keep})")
                assert isinstance(new, ast.Call)
                new.args[0] = node
                yield self.edit("bias not summed over the batch", node, new, 1.6)
        like = self._target_shape()
        is_root = any(node is root for root in self._own())
        for text, shape in self.atoms.items():
            atom = _expression(text)
            if len(shape) >= 1:
                known = self.shape(node) or (like if is_root else None)
                if known is None or _fits(shape, known):
                    yield from self._with_array(node, text, atom, shape, is_root)
            else:
                for op in (ast.Mult(), ast.Div()):
                    yield self.edit("missing factor", node, ast.BinOp(node, op, atom), 3.5)

    def _target_shape(self) -> Shape | None:
        s = self.statement
        target = s.targets[0] if isinstance(s, ast.Assign) else getattr(s, "target", None)
        return None if target is None else self.atoms.get(ast.unparse(target))

    def _with_array(
        self, node: ast.expr, text: str, atom: ast.expr, shape: Shape, is_root: bool
    ) -> Iterator[Draft]:
        bare = 0.2 if isinstance(node, ast.Name) and is_root else 0.0  # dz = da: it belongs here
        for form, kind in (*SLOPES, *self.slopes):
            slope = _expression(re.sub(r"\bv\b", lambda _: f"({text})", form))
            times = ast.BinOp(node, ast.Mult(), slope)
            yield self.edit("missing activation derivative", node, times, 1.4 + 0.1 * kind - bare)
            if isinstance(node, (ast.BinOp, ast.Call, ast.Compare)):
                yield self.edit("wrong activation derivative", node, slope, 2.2 + 0.1 * kind)
        yield self.edit("missing factor", node, ast.BinOp(node, ast.Mult(), atom), 3)
        factors = _factors(node)
        if len(factors) >= 2:  # a slope written out as a product: g * a * (1 - a)
            for form, kind in SLOPES:
                slope = _expression(re.sub(r"\bv\b", lambda _: f"({text})", form))
                new = ast.BinOp(factors[0], ast.Mult(), slope)
                yield self.edit("wrong activation derivative", node, new, 2.1 + 0.1 * kind)
        yield self.edit("forgotten branch", node, ast.BinOp(node, ast.Add(), atom), 3)
        if _bare(text) in {p.rpartition(".")[2] for p in self.facts.parameters}:
            for scalar, inner in self.atoms.items():
                if inner == () and re.search(r"lam|reg|l2|decay|alpha|penalty|wd", scalar):
                    for form in ("{s} * {w}", "2 * {s} * {w}", "{s} / {m} * {w}"):
                        term = form.format(s=scalar, w=text, m=self.facts.rows)
                        new = ast.BinOp(node, ast.Add(), _expression(term))
                        yield self.edit("L2 term", node, new, 1.3)
        if len(shape) == 2 and is_root:
            for other, found in self.atoms.items():
                if found == shape and other != text:
                    g, p = other, text
                    full = f"{p} * ({g} - np.sum({g} * {p}, axis=1, keepdims=True))"
                    yield self.edit("softmax treated as element-wise", node, _expression(full), 2.6)
                    if not re.match(r"d|grad", g) and not re.match(r"d|grad", p):
                        for form in (f"{p} - {g}", f"({p} - {g}) / {self._rows_name()}"):
                            yield self.edit(
                                "softmax treated as element-wise", node, _expression(form), 2.8
                            )


ROWS = re.compile(r"\(?(1(\.0)?\s*/\s*)?(self\.)?([mnNMB]|batch\w*|bs|n_samples|n_rows|num_\w+)\)?")
SLOPES = (
    ("(v > 0)", 0),
    ("v * (1 - v)", 1),
    ("(1 - v ** 2)", 1),
    ("(1 - np.tanh(v) ** 2)", 2),
    ("(np.exp(-v) / (1 + np.exp(-v)) ** 2)", 2),
)


def _moved(name: str, function: ast.FunctionDef) -> Iterator[Draft]:
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


def _fits(shape: Shape, known: Shape) -> bool:
    """Whether arrays of these shapes broadcast to the second."""
    pairs = zip(reversed(shape), reversed(known), strict=False)
    return len(shape) <= len(known) and all(a in (1, b) for a, b in pairs)


def _factors(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        return [*_factors(node.left), *_factors(node.right)]
    return [node]


def _turned(node: ast.expr) -> ast.expr:
    if isinstance(node, ast.Attribute) and node.attr == "T":
        return node.value
    return ast.Attribute(node, "T", ast.Load())


def _orders(a: ast.expr, b: ast.expr) -> Sequence[tuple[ast.expr, ast.expr]]:
    return [(x, y) for p, q in ((a, b), (b, a)) for x in (p, _turned(p)) for y in (q, _turned(q))]


def _number(value: float) -> ast.expr:
    if value < 0:
        return ast.UnaryOp(ast.USub(), ast.Constant(-value))
    return ast.Constant(value)


def _bare(text: str) -> str:
    """The last name in an expression: ``W1`` of ``params['W1']`` and of ``self.W1``."""
    found = re.findall(r"[A-Za-z_]\w*", text)
    return found[-1] if found else text
