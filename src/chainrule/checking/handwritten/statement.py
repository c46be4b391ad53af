"""One statement of a backward pass, and what is known of its names: the ground that the hypotheses
stand on."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from chainrule.checking.handwritten.drafts import Draft, Facts, Shape
from chainrule.checking.handwritten.places import gradient_of

ROWS = re.compile(
    r"\(?(1(\.0)?\s*/\s*)?(self\.)?([mnNMB]|batch\w*|bs|(n_|num_)?samples|n_rows|num_\w+)\)?"
)
PENALTY = re.compile(r"(?<![a-zA-Z])(lam|reg|l2|alpha|penalty|wd)|decay")
"""Names of the strength of a penalty."""
UNKNOWN = (0, 0)
"""The shape of an array of which only that is known."""


class Statement:
    """A statement of a function, the shapes of what it names, and drafts of changes to it."""

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
        defined = {n.id for n in ast.walk(function) if isinstance(n, ast.Name)} | {
            a.arg for a in (*function.args.args, *function.args.kwonlyargs)
        }
        defined |= {*facts.shared}
        self.atoms = {
            text: shape
            for text, shape in facts.atoms.items()
            if re.match(r"\w+", text)[0] in defined  # type: ignore[index]
        }

    def edit(self, kind: str, node: ast.AST, new: ast.AST, rank: float) -> Draft:
        """The function with ``new`` in the place of ``node``."""
        line = getattr(node, "lineno", 0) or getattr(self.statement, "lineno", 0)
        holder, key = self.places[id(node)]
        return Draft(kind, self.name, rank, self.function, self.statement, line, holder, key, new)

    def roots(self) -> list[ast.expr]:
        """The expressions that belong to the statement itself, not to statements inside it."""
        s = self.statement
        if isinstance(s, ast.For):
            return [s.iter]
        if isinstance(s, ast.If):
            return [s.test]
        value = getattr(s, "value", None)
        return [value] if value is not None else []

    def indices(self) -> list[ast.expr]:
        """The indices at which the statement assigns."""
        s = self.statement
        targets = s.targets if isinstance(s, ast.Assign) else [getattr(s, "target", None)]
        return [t.slice for t in targets if isinstance(t, ast.Subscript)]

    def counters(self) -> list[str]:
        """The names that loops count with."""
        loops = [n.target for n in ast.walk(self.function) if isinstance(n, ast.For)]
        return sorted({n.id for t in loops for n in ast.walk(t) if isinstance(n, ast.Name)})

    def target(self) -> str:
        """What is assigned to, as a text; "" of no assignment."""
        return target_of(self.statement)

    def updates(self) -> bool:
        """Whether the statement changes a parameter."""
        names = {bare(p) for p in self.facts.parameters}
        return bool(self.target()) and bare(self.target()) in names

    def target_shape(self) -> Shape | None:
        """Its shape: that of the parameter whose gradient it is, else what it holds; None where
        parameters of that name, or what the name holds one after another, differ."""
        text = self.target()
        own = {shape for name, shape in self.facts.parameters.items()
               if bare(name) in gradient_of(bare(text))}  # fmt: skip
        if own:
            return own.pop() if len(own) == 1 else None
        several = sum(
            isinstance(n, (ast.Name, ast.Attribute)) and isinstance(n.ctx, ast.Store)
            and ast.unparse(n) == text for n in ast.walk(self.function)
        )  # fmt: skip
        inside = any(
            isinstance(n, (ast.For, ast.While)) and any(m is self.statement for m in ast.walk(n))
            for n in ast.walk(self.function)
        )
        return None if several > 1 or inside else self.atoms.get(text)

    def shape(self, node: ast.expr) -> Shape | None:
        """The shape of an expression as far as it follows from those of its names."""
        text = ast.unparse(node)
        if text in self.atoms:
            return self.atoms[text]
        match node:
            case ast.Attribute(value=value, attr="T"):
                inner = self.shape(value)
                return None if inner is None else inner[::-1]
            case ast.Subscript():  # W[l], cache["z" + str(i)]: as any of its kind
                base = ast.unparse(node.value)
                if len(self.atoms.get(base, ())) > 1 and any(
                    isinstance(n, ast.Slice) for n in ast.walk(node.slice)
                ):
                    return UNKNOWN
                found = {s for t, s in self.atoms.items() if t.startswith(base + "[")}
                return next(iter(found)) if len(found) == 1 else (() if not found else UNKNOWN)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return self.shape(operand)
            case ast.BinOp(left=left, op=op, right=right):
                a, b = self.shape(left), self.shape(right)
                if a is None or b is None or UNKNOWN in (a, b):
                    return None
                if isinstance(op, ast.MatMult):
                    return (*a[:-1], *b[-1:]) if len(a) == len(b) == 2 else None
                return broadcast(a, b)
            case ast.Constant(value=int() | float()):
                return ()
        return None

    def is_penalty(self, node: ast.expr) -> bool:
        """Whether a term is a number times a parameter."""
        text = ast.unparse(node)
        if "@" in text:
            return False
        return bool(PENALTY.search(text)) or any(
            re.search(rf"(?<!d)\b{re.escape(p.rpartition('.')[2])}\b", text)
            for p in self.facts.parameters
        )

    def counts(self) -> list[str]:
        """What may be the number of rows, the likeliest first."""
        known = [t for t, shape in self.atoms.items() if shape == () and ROWS.fullmatch(t)]
        known.sort(key=lambda t: t not in self.unused())
        numbers = [str(n) for n in self.facts.counts if n > 2]  # a factor 2 has its own kind
        return [*known[:2], *numbers[: 3 - bool(known)]] or [str(self.facts.rows)]

    def rows_name(self) -> str:
        return self.counts()[0]

    def unused(self) -> set[str]:
        """The names that the function assigns and does not read."""
        names = [n for n in ast.walk(self.function) if isinstance(n, ast.Name)]
        read = {n.id for n in names if isinstance(n.ctx, ast.Load)}
        return {n.id for n in names if isinstance(n.ctx, ast.Store)} - read

    def made(self) -> set[str]:
        """The names that the function computes: a ``t`` among them is no target."""
        computed = [n for n in ast.walk(self.function) if isinstance(n, ast.Assign)
                    and isinstance(n.value, (ast.Call, ast.BinOp))]  # fmt: skip
        return {t.id for n in computed for t in n.targets if isinstance(t, ast.Name)}

    def elements(self) -> list[str]:
        """What the statement and its neighbours read at a variable index: ``hs[t]``."""
        block = self.places[id(self.statement)][0]
        inside = [s for s in block if not isinstance(s, (ast.For, ast.If, ast.While, ast.With))]
        found = {
            ast.unparse(n): None
            for s in inside
            for n in ast.walk(s)
            if isinstance(n, ast.Subscript)
            and isinstance(n.ctx, ast.Load)
            and isinstance(n.slice, (ast.Name, ast.BinOp))
            and self.shape(n)
        }
        return [text for text in found if text not in self.atoms and not is_gradient(text)]

    def lists(self) -> set[str]:
        """The names that hold lists of arrays."""
        return {t.rpartition("[")[0] for t, shape in self.atoms.items()
                if re.fullmatch(r"[\w.]+\[0\]", t) and shape}  # fmt: skip


GRADIENT = re.compile(r"d(?!ata|ist|rop|ense|iff\b)\w+|g(_\w+)?|\w*grad\w*|delta\w*|nabla\w*")
"""Names of gradients."""


def is_gradient(text: str) -> bool:
    return GRADIENT.fullmatch(bare(text)) is not None


def target_of(statement: ast.stmt) -> str:
    is_several = isinstance(statement, ast.Assign)
    target = statement.targets[0] if is_several else getattr(statement, "target", None)
    return "" if target is None else ast.unparse(target)


# Expressions ----------------------------------------------------------------------------------


def expression(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


def counts_rows(node: ast.expr) -> bool:
    """Whether a factor is the number of rows: ``m``, ``len(X)``, ``X.shape[0]``, ``1/m``."""
    text = ast.unparse(node)
    if re.search(r"\.shape\[|\blen\(|\.size\b", text):
        return True
    return bool(ROWS.fullmatch(text))


def broadcast(a: Shape, b: Shape) -> Shape | None:
    try:
        return np.broadcast_shapes(a, b)
    except ValueError:
        return None


def fits(shape: Shape, known: Shape) -> bool:
    """Whether arrays of these shapes broadcast to the second."""
    return broadcast(shape, known) == known


def factors(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        return [*factors(node.left), *factors(node.right)]
    return [node]


SIGNS: dict[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.MatMult: "@",
    ast.Pow: "**",
}
OPERATORS = {sign: kind for kind, sign in SIGNS.items()}


def split(node: ast.expr) -> tuple[str, tuple[ast.expr, ...]]:
    """The sign and the operands that ``checking/slips.py`` looks at."""
    match node:
        case ast.BinOp():
            return SIGNS.get(type(node.op), ""), (node.left, node.right)
        case ast.UnaryOp(op=ast.USub()):
            return "−", (node.operand,)
        case ast.Attribute(attr="T"):
            return "ᵀ", (node.value,)
    return "", ()


def built(form: Any) -> ast.expr:
    """What ``split`` takes apart."""
    match form:
        case "−", a:
            return ast.UnaryOp(ast.USub(), built(a))
        case "ᵀ", a:
            return ast.Attribute(built(a), "T", ast.Load())
        case sign, a, b:
            return ast.BinOp(built(a), OPERATORS[sign](), built(b))
    return form if isinstance(form, ast.expr) else number(form)


def number(value: float) -> ast.expr:
    if value < 0 or math.copysign(1, value) < 0:
        return ast.UnaryOp(ast.USub(), ast.Constant(-value))
    return ast.Constant(value)


def bare(text: str) -> str:
    """The last name in an expression: ``W1`` of ``params['W1']`` and of ``self.W1``."""
    found = re.findall(r"[A-Za-z_]\w*", text)
    return found[-1] if found else text
