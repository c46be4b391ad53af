"""Hypotheses on what is missing from a backward pass: a factor, a slope, a sum, a term."""

from __future__ import annotations

import ast
import functools
import itertools
import re
from collections.abc import Iterator

from chainrule.checking.handwritten.drafts import Draft, Shape
from chainrule.checking.handwritten.statement import (
    PENALTY,
    Statement,
    bare,
    expression,
    factors,
    fits,
    is_gradient,
)

SLOPES = (
    ("(v > 0)", 0, r"maximum|relu|> ?0|< ?0|<= ?0|where|clip"),
    ("v * (1 - v)", 1, r"exp\(|sigm|expit|logistic"),
    ("(1 - v)", 1, r"exp\(|sigm|expit|logistic"),
    ("(1 - v ** 2)", 1, r"tanh"),
    ("(1 - np.tanh(v) ** 2)", 2, r"tanh"),
    ("(np.exp(-v) / (1 + np.exp(-v)) ** 2)", 2, r"exp\(|sigm|expit|logistic"),
    ("(1 / (1 + np.exp(-v)))", 3, r"log1p|logaddexp|softplus|log\(1"),
    ("(1 + np.exp(-v) * (1 + v)) / (1 + np.exp(-v)) ** 2", 3, r"exp\(|swish|silu"),
    ("np.where(v > 0, 1, np.exp(v))", 3, r"elu|where"),
)
"""Slopes of relu, logistic (whole, and the half that is forgotten), tanh, then softplus, swish,
elu, leaky relu; v is the unit's input or output. How rare each is, and how a program says that it
uses it."""
SIZED = re.compile(r"\b(zeros|ones|empty|full|indices|arange|range|eye|linspace|ndindex)$")
"""Functions whose arguments are sizes: six times a shape is one of six times as many axes, and as
an array more than any memory holds."""
LEAK = re.compile(r"slope|leak|negative|alpha")
LEAKS = re.compile(r"(?:where|maximum)\([^\n]*?(0?\.\d+) \*|(?:slope|alpha|leak\w*)=(0?\.\d+)")
"""The slope of a leaky relu below 0: its names, and where a program has it as a number."""
BEFORE = re.compile(r"(d|g_?|grad_?|delta_?)_?(z|pre|net|in)\w*")
"""Names of gradients of what goes into an activation: its slope belongs where they are made."""
ROOTS = re.compile(r"/ (?:float\()?((?:np|math)\.sqrt\([^()]+\))")
"""What a program divides by."""
MASK = re.compile(r"mask|drop|kept")
TARGETS = re.compile(r"t|y|Y|T|labels?|targets?|y_?true|one_?hot|[xX]|inputs?|data")
"""Names of what a network is given: nothing has an activation's slope there."""


class Missing(Statement):
    """The hypotheses on what a statement lacks."""

    def all(self) -> Iterator[Draft]:
        names = {
            n.func.id
            for n in ast.walk(self.function)
            if isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and len(n.args) == 1
        }
        own = [n for n in sorted(names) if re.search(r"prime|deriv|grad|slope|^d_?[a-z]", n)]
        used = [s for s in SLOPES if re.search(s[2], self.facts.text)] or SLOPES
        leaks = [t for t, shape in self.atoms.items() if shape == () and LEAK.search(bare(t))]
        leaks += [a or b for a, b in LEAKS.findall(self.facts.text)]
        leaky = [(f"np.where(v > 0, 1, {s})", 1) for s in dict.fromkeys(leaks)]
        self.slopes = (*(s[:2] for s in used), *((f"{name}(v)", 0) for name in own), *leaky)
        lists = self.lists()
        for whole in self._wholes():
            if ast.unparse(whole) in lists:
                yield from self._each_scaled(whole)
                continue
            yield from self._scaled(whole)
            yield from self._with_arrays(whole)
        yield from self._with_steps()
        for root in self.roots():
            for node in ast.walk(root):
                if isinstance(node, (ast.ListComp, ast.GeneratorExp)):
                    yield from self._of_comprehension(node)

    def _with_steps(self) -> Iterator[Draft]:
        """The backward function of an operation whose forward one the program calls, and which this
        function leaves out: called as it calls the others."""
        target, roots = self.target(), self.roots()
        if not isinstance(self.statement, ast.Assign) or not is_gradient(target):
            return
        here = ast.unparse(self.function)
        for step in sorted(self.unused()):  # a function that goes back, made and not called
            if re.search(r"back|grad|bwd|pull|vjp", step) and step not in self.atoms:
                new = ast.Call(ast.Name(step, ast.Load()), [roots[0]], [])
                yield self.edit("missing activation derivative", roots[0], new, 1.3)
        named = dict.fromkeys(re.findall(r"\b(\w+[._])forward\(", self.facts.text))
        steps = [f"{name}backward" for name in named if f"{name}backward(" not in here]
        others = {ast.unparse(n): n for n in ast.walk(self.function) if isinstance(n, ast.Call)
                  and re.search(r"\w[._]backward$", ast.unparse(n.func))}  # fmt: skip
        for call in others.values() if steps else ():
            for i, argument in enumerate(call.args):
                if not is_gradient(ast.unparse(argument)):
                    continue
                rest = [ast.unparse(a) for a in call.args]
                rest[i] = f"({ast.unparse(roots[0])})"
                text = ", ".join(rest)
                places = "0123456789" if re.search(r"\d", text) else "0"
                for step in steps:
                    for d in places:
                        before = [
                            re.sub(r"\d(?!\d)", d, a) if k != i else a for k, a in enumerate(rest)
                        ]
                        new = expression(f"{step}({', '.join(before)})")
                        yield self.edit("missing activation derivative", roots[0], new, 1.4)

    def _wholes(self) -> list[ast.expr]:
        """What a factor or a term may be missing from: a right-hand side, the parts of what is
        returned, the arguments of a call, and the factors and terms in it."""
        found: list[ast.expr] = []
        if isinstance(self.statement, (ast.For, ast.If)):
            return []
        for root in self.roots():
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
                            deeper += [] if SIZED.search(ast.unparse(n.func)) else n.args
                        elif isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute):
                            deeper.append(n.func.value)
                        elif isinstance(n, ast.Lambda):
                            deeper.append(n.body)
                        elif isinstance(n, (ast.List, ast.Tuple)):  # parts that are put together
                            deeper += n.elts
                    found += deeper
                    inner = deeper
        found = [n for n in found if not isinstance(n, ast.Constant)
                 and not (isinstance(n, ast.Attribute) and n.attr == "shape")]  # fmt: skip
        return list({id(n): n for n in found}.values())

    def _scaled(self, node: ast.expr) -> Iterator[Draft]:
        """A number, a sign or a sum over the batch that is missing."""
        for i, text in enumerate(self.counts()):
            count = expression(text)
            later = -0.3 if text in self.unused() else 0.1 * i + 0.05 * text.isdigit()
            yield self.edit("batch factor", node, ast.BinOp(node, ast.Div(), count), 1.1 + later)
            yield self.edit("batch factor", node, ast.BinOp(node, ast.Mult(), count), 2 + later)
        two = ast.Constant(2)
        rank = 1.2 if self.is_penalty(node) else 2.1 + 0.1 * isinstance(node, ast.Name)
        yield self.edit("factor 2", node, ast.BinOp(two, ast.Mult(), node), rank)
        yield self.edit("factor 2", node, ast.BinOp(node, ast.Div(), two), rank)
        yield self.edit("sign", node, ast.UnaryOp(ast.USub(), node), 2)
        for summed in (node, *_taken_from(node)):
            for axis in (0, 1):
                for keep in ("", ", keepdims=True"):
                    new = expression(f"np.sum(E, axis={axis}{keep})")
                    assert isinstance(new, ast.Call)
                    new.args[0] = summed
                    yield self.edit("bias not summed over the batch", node, new, 1.6)

        for text, shape in self.atoms.items():
            for i in range(len(shape)):
                if shape[i] > 1 and shape[i] != self.facts.rows and isinstance(node, ast.BinOp):
                    over = ast.BinOp(node, ast.Div(), expression(f"{text}.shape[{i}]"))
                    yield self.edit("batch factor", node, over, 3.1)

    def _each_scaled(self, node: ast.expr) -> Iterator[Draft]:
        """The same of each array in a list."""
        forms = [("batch factor", f"each {op} {n}", 1.2 + 0.9 * (op == "*"))
                 for op in "/*" for n in self.counts()]  # fmt: skip
        for kind, form, rank in (*forms, ("factor 2", "2 * each", 2.1), ("sign", "-each", 2)):
            new = expression(f"[{form} for each in {ast.unparse(node)}]")
            yield self.edit(kind, node, new, rank)

    def _of_comprehension(self, node: ast.ListComp | ast.GeneratorExp) -> Iterator[Draft]:
        """What is made of each: scaled, or with a name of the loop that is not used yet."""
        yield from self._scaled(node.elt)
        used = {n.id for n in ast.walk(node.elt) if isinstance(n, ast.Name)}
        targets = [n.id for g in node.generators for n in ast.walk(g.target)
                   if isinstance(n, ast.Name) and n.id not in used]  # fmt: skip
        for name in targets:
            other = ast.Name(name, ast.Load())
            for kind, op in (("forgotten branch", ast.Add()), ("missing factor", ast.Mult())):
                yield self.edit(kind, node.elt, ast.BinOp(other, op, node.elt), 1.5)
        indices = {n.slice.id for n in ast.walk(node.elt)
                   if isinstance(n, ast.Subscript) and isinstance(n.slice, ast.Name)}  # fmt: skip
        lists = {t[:-3] for t, shape in self.atoms.items()
                 if shape == () and re.fullmatch(r"\w+\[0\]", t)}  # fmt: skip
        numbers = [name for name in sorted(lists) if not is_gradient(name)]
        for text in (f"{name}[{i}]" for name in numbers for i in sorted(indices)):
            yield from self._with_slope(node.elt, text, False)

    def _with_products(self, node: ast.expr, known: Shape) -> Iterator[Draft]:
        """A whole product that is missing from a sum: the other use of a value."""
        names = [(text, shape) for text, shape in self.atoms.items() if 1 <= len(shape) <= 2]
        for a, p in names:
            for b, q in names:
                (rows, columns), (top, wide) = (p[0], p[-1]), (q[0], q[-1])
                if len(p) == len(q) == 2:
                    forms = [(f"{a}.T @ {b}", rows == top and (columns, wide) == known),
                             (f"{a} @ {b}", columns == top and (rows, wide) == known),
                             (f"{a} @ {b}.T", columns == wide and (rows, top) == known),
                             (f"{a} * {b}", p == q == known and a < b)]  # fmt: skip
                else:
                    wider = len(p) == 1 and q == known == (rows, wide)
                    forms = [(f"{a}[:, None] * {b}", wider)]
                for form, agrees in forms:
                    if agrees:
                        new = ast.BinOp(node, ast.Add(), expression(form))
                        yield self.edit("forgotten branch", node, new, 3.3)

    def _with_arrays(self, node: ast.expr) -> Iterator[Draft]:
        """What the function's other names would make of it."""
        unused = self.unused()
        is_root = any(node is root for root in self.roots())
        known = self.shape(node) or (self.target_shape() if is_root else None)
        if known and len(known) == 2 and is_root:
            yield from self._with_products(node, known)
        for text in sorted(set(ROOTS.findall(self.facts.text))) if is_root else ():
            over = ast.BinOp(node, ast.Div(), expression(text))  # as scores of attention are
            yield self.edit("missing factor", node, over, 1.9)
        same = [t for t, s in self.atoms.items() if is_root and s == known and not is_gradient(t)]
        for a, b in itertools.permutations(same[:6] if known else (), 2):  # of relu(z) + x
            masked = ast.BinOp(node, ast.Mult(), expression(f"({a} - {b} > 0)"))
            yield self.edit("missing activation derivative", node, masked, 2.7)
        if not self.updates():
            for text in self.elements():
                yield from self._with_slope(node, text, is_root)
        for text, shape in self.atoms.items():
            atom = expression(text)
            if not shape:
                for op in (ast.Mult(), ast.Div()):
                    yield self.edit("missing factor", node, ast.BinOp(node, op, atom), 2.4)
                if known and isinstance(node, ast.Name) and is_gradient(node.id):
                    yield from self._with_term(node, text, known)
            elif known is None or fits(shape, known):
                is_mask = MASK.search(bare(text)) is not None
                given = TARGETS.fullmatch(bare(text)) and text not in self.made()
                given = given and not re.fullmatch(r"self\.([xX]|inputs?)", text)  # of a layer
                given = given or is_gradient(text) or is_mask
                if not self.updates() and (not given or _slope_parts(node, text)):
                    yield from self._with_slope(node, text, is_root)
                rank = 1.3 if text in unused else 2.2 if is_gradient(text) else 3.4
                yield self.edit("forgotten branch", node, ast.BinOp(node, ast.Add(), atom), rank)
                if text in unused or not is_gradient(
                    text
                ):  # du, an inner slope, is computed and left
                    rank = 1.3 if text in unused or is_mask else 2.6
                    times = ast.BinOp(node, ast.Mult(), atom)
                    yield self.edit("missing factor", node, times, rank)
                yield from self._with_penalty(node, text)
                if len(shape) >= 2:
                    yield from self._with_sums(node, text, shape, is_root)

    def _with_slope(self, node: ast.expr, text: str, is_root: bool) -> Iterator[Draft]:
        likely = 0.2 if isinstance(node, ast.Name) and is_root else 0.0  # dz = da: it belongs here
        likely += 0.1 * (BEFORE.fullmatch(bare(self.target())) is not None)
        several = factors(node)
        parts = _slope_parts(node, text)
        own = ast.unparse(self.statement) if text not in self.atoms else text
        rest = [f for f in several if f not in parts]
        for form, rare in self.slopes:
            slope = expression(re.sub(r"\bv\b", lambda _: f"({text})", form))
            times = ast.BinOp(node, ast.Mult(), slope)
            half = 0.6 * (form == "(1 - v)" and not parts)
            rank = 1.4 + 0.1 * rare - likely + half + 0.2 * (text not in own)
            kind = "wrong" if parts else "missing"
            yield self.edit(f"{kind} activation derivative", node, times, rank)
            if parts and not isinstance(node, ast.Compare):  # s for s * (1 - s), 1 - h for 1 - h**2
                new = functools.reduce(lambda a, b: ast.BinOp(a, ast.Mult(), b), [*rest, slope])
                rank = 1.5 + (0.1 if rare < 2 else 0.4) * rare
                yield self.edit("wrong activation derivative", node, new, rank)
            if isinstance(node, ast.Compare) and form == "(v > 0)":
                yield self.edit("mask from the wrong array", node, slope, 1.9)
            elif isinstance(node, (ast.BinOp, ast.Call, ast.Compare)):
                yield self.edit("wrong activation derivative", node, slope, 2.2 + 0.1 * rare)
            if len(several) >= 2:  # a slope written out as a product: g * a * (1 - a)
                new = ast.BinOp(several[0], ast.Mult(), slope)
                yield self.edit("wrong activation derivative", node, new, 2.1 + 0.1 * rare)

    def _with_term(self, node: ast.expr, scalar: str, known: Shape) -> Iterator[Draft]:
        """What a second term of the loss adds to a gradient: a number times an array."""
        for text, shape in self.atoms.items():
            if shape == known and not is_gradient(text) and bare(text) not in self.facts.parameters:
                for form in (f"{scalar} * {text}", f"{scalar} * {text} / {self.rows_name()}"):
                    new = ast.BinOp(node, ast.Add(), expression(form))
                    yield self.edit("forgotten branch", node, new, 3.1)

    def _with_penalty(self, node: ast.expr, text: str) -> Iterator[Draft]:
        names = {p.rpartition(".")[2] for p in self.facts.parameters}
        if bare(text) not in names | {n.rstrip("0123456789") for n in names}:  # W of W1 in a loop
            return
        for scalar, shape in self.atoms.items():
            if shape == () and PENALTY.search(scalar):
                for form in ("{s} * {w}", "2 * {s} * {w}", "{s} / {m} * {w}"):
                    term = form.format(s=scalar, w=text, m=self.facts.rows)
                    new = ast.BinOp(node, ast.Add(), expression(term))
                    yield self.edit("L2 term", node, new, 1.3)

    def _with_sums(self, node: ast.expr, text: str, shape: Shape, is_root: bool) -> Iterator[Draft]:
        """Where each output depends on all entries of a row or a column: softmax, normalisation."""
        same = [other for other, found in self.atoms.items() if found == shape and other != text]
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)):
            for axis in ("axis=0", "axis=-1, keepdims=True"):
                for f in ("np.sum", "np.mean"):
                    terms = [f"{text} * {f}({text} * {other}, {axis})" for other in same]
                    for term in (f"{f}({text}, {axis})", *terms):
                        new = ast.BinOp(node, ast.Sub(), expression(term))
                        yield self.edit("forgotten branch", node, new, 3.2)
        is_softmax = re.search(r"softmax|exp\(", self.facts.text)
        if not (is_root and is_softmax) or is_gradient(text):
            return
        for other in same:
            if is_gradient(other):
                for axis in (-1, 0)[: len(shape)]:
                    total = f"np.sum({other} * {text}, axis={axis}, keepdims=True)"
                    new = expression(f"{text} * ({other} - {total})")
                    yield self.edit("softmax treated as element-wise", node, new, 2.6)
            else:
                for form in (f"{text} - {other}", f"({text} - {other}) / {self.rows_name()}"):
                    new = expression(form)
                    yield self.edit("softmax treated as element-wise", node, new, 2.8)


def _slope_parts(node: ast.expr, text: str) -> list[ast.expr]:
    """The factors of a product that a slope in terms of ``text`` may be made of: ``h``, ``1 - h``,
    ``h**2``, ``np.power(h, 2)``."""
    v = re.escape(text)
    part = rf"(1(\.0)? [-+] )?(np\.(power|square)\()?{v}(, 2\))?( ?\*\*? ?({v}|2))?\)?"
    return [f for f in factors(node) if re.fullmatch(part, ast.unparse(f))]


def _taken_from(node: ast.expr) -> list[ast.expr]:
    """The array of which an expression takes one row or column, or one number: ``d[0]``,
    ``d.mean()``, ``np.max(d, axis=0)``."""
    if isinstance(node, ast.Subscript):
        return [node.value]
    reducing = ("sum", "mean", "max", "min", "median", "average", "ravel", "squeeze")
    f = node.func if isinstance(node, ast.Call) else None
    if not isinstance(node, ast.Call) or not isinstance(f, ast.Attribute) or f.attr not in reducing:
        return []
    return node.args[:1] if ast.unparse(f.value) in ("np", "numpy") else [f.value]
