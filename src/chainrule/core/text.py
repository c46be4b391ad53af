"""The text form of a graph: a Python function of one call a line, and its parser.

    def J(x: float64):
        a: float64 = power_constant(x, exponent=2)
        b: float64 = sin(a)
        return b

Captured arrays stand after ``*``; their values are not part of the text. A graph among the
attributes (the body of a loop) is a function inside the function.
"""

from __future__ import annotations

import ast
import itertools
import textwrap
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from chainrule.core.node import CONSTANT, INPUT, PRIMITIVES, Node
from chainrule.core.types import DTYPES, ArrayType, TupleType
from chainrule.errors import GraphError

if TYPE_CHECKING:
    from chainrule.core.graph import Graph

_DTYPE_NAMES = {dtype.name: dtype for dtype in DTYPES}


def print_graph(graph: Graph, name: str = "") -> str:
    """The text of a graph, as a function called ``name``, or by its own name."""
    names = _name_nodes(graph)
    bodies: dict[int, str] = {}

    def operand(node: Node) -> str:
        return _constant(node) if node.primitive is CONSTANT else names[node]

    free = [f"{names[x]}: {x.type}" for x in graph.free_inputs]
    hidden = [f"{names[x]}: {x.type}" for x in graph.inputs[len(free) :]]
    parameters = free + (["*", *hidden] if hidden else [])
    lines = [f"def {name or graph.name}({', '.join(parameters)}):"]

    def attribute(value: Any) -> str:
        if not hasattr(value, "outputs"):
            return _attr(value)
        if id(value) not in bodies:  # a graph: a function inside this one
            bodies[id(value)] = f"body{len(bodies)}"
            lines.append(textwrap.indent(print_graph(value, bodies[id(value)]), "    "))
        return bodies[id(value)]

    for node in graph.nodes:
        if node.primitive in (INPUT, CONSTANT):
            continue
        arguments = [operand(x) for x in node.inputs]
        arguments += [f"{key}={attribute(value)}" for key, value in node.attrs.items()]
        call = f"{node.primitive.name}({', '.join(arguments)})"
        lines.append(f"    {names[node]}: {node.type} = {call}")
    results = ", ".join(operand(y) for y in graph.outputs)
    lines.append(f"    return {results}{',' if len(graph.outputs) == 1 else ''}")
    return "\n".join(lines)


def _attr(value: Any) -> str:
    return str.__repr__(value) if isinstance(value, str) else repr(value)


def _name_nodes(graph: Graph) -> dict[Node, str]:
    taken = {*_DTYPE_NAMES, *PRIMITIVES}
    names: dict[Node, str] = {}
    counts = {"c": itertools.count(), "t": itertools.count()}
    hidden = set(graph.inputs[len(graph.free_inputs) :])
    for node in (*graph.inputs, *graph.nodes):
        if node in names or node.primitive is CONSTANT:
            continue
        wanted = graph.names.get(node, "").replace("/", "_")
        if not wanted.isidentifier() or wanted in taken:
            prefix = "c" if node in hidden else "t"
            while (wanted := f"{prefix}{next(counts[prefix])}") in taken:
                pass
        taken.add(wanted)
        names[node] = wanted
    return names


def _constant(node: Node) -> str:
    value = np.frombuffer(node.attrs["value"], node.attrs["dtype"])[0]
    shown = str(value) if value.dtype == np.float32 else repr(value.item())
    return f"{node.type.dtype.name}({shown})"


def parse_graph(
    text: str, captures: Sequence[np.ndarray], make: Callable[..., Graph]
) -> dict[str, Any]:
    """The graph that ``text`` describes, as the arguments of ``Graph``.

    Args:
        text: as ``str(graph)`` prints it.
        captures: values of the inputs after ``*``, in order, or none of them.
        make: ``Graph`` itself, for the graphs inside.

    Raises:
        GraphError: with the line that is not of this form.
    """
    try:
        module = ast.parse(text)
    except SyntaxError as error:
        raise GraphError(f"line {error.lineno} of the graph's text: {error.msg}") from None
    if len(module.body) != 1 or not isinstance(module.body[0], ast.FunctionDef):
        raise GraphError("the text of a graph is one function definition")
    return _Parser(captures, make).function(module.body[0])


class _Parser:
    def __init__(self, captures: Sequence[np.ndarray], make: Callable[..., Graph]) -> None:
        self.captures = tuple(captures)
        self.make = make
        self.bodies: dict[str, Graph] = {}
        self.nodes: dict[str, Node] = {}
        self.constants: dict[Any, Node] = {}
        self.serial = 0

    def node(self, primitive: Any, inputs: Any, attrs: Any, type: Any) -> Node:
        self.serial += 1
        return Node(primitive, inputs, attrs, type, self.serial)

    def function(self, f: ast.FunctionDef) -> dict[str, Any]:
        inputs = []
        for argument in (*f.args.args, *f.args.kwonlyargs):
            if argument.arg in self.nodes:
                self.fail(argument, f"two inputs are called {argument.arg}")
            type = self.type(argument.annotation)
            inputs.append(self.node(INPUT, (), {}, type))
            self.nodes[argument.arg] = inputs[-1]
        *steps, last = f.body
        for step in steps:
            if isinstance(step, ast.FunctionDef):
                self.bodies[step.name] = self.make(**_Parser((), self.make).function(step))
                continue
            if not isinstance(step, ast.AnnAssign) or not isinstance(step.target, ast.Name):
                self.fail(step, "a step is written  name: type = primitive(arguments)")
            self.step(step)
        if not isinstance(last, ast.Return) or not isinstance(last.value, ast.Tuple):
            self.fail(last, "a graph ends with  return a, b, ...")
        captures = self.captures or (None,) * len(f.args.kwonlyargs)
        if len(captures) != len(f.args.kwonlyargs):
            self.fail(f, f"{len(f.args.kwonlyargs)} captured arrays, {len(captures)} given")
        outputs = tuple(self.operand(item) for item in last.value.elts)
        names = {node: name for name, node in self.nodes.items() if node in inputs}
        return {
            "inputs": tuple(inputs),
            "outputs": outputs,
            "captures": captures,
            "name": f.name,
            "names": names,
        }

    def step(self, step: ast.AnnAssign) -> None:
        call = step.value
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
            self.fail(step, "a step applies a primitive")
        primitive = PRIMITIVES.get(call.func.id)
        if primitive is None:
            self.fail(step, f"no primitive is called {call.func.id}")
        inputs = tuple(self.operand(argument) for argument in call.args)
        attrs = {}
        for keyword in call.keywords:
            if keyword.arg is None:
                self.fail(step, "attributes are written name=value")
            value = keyword.value
            body = self.bodies.get(value.id) if isinstance(value, ast.Name) else None
            attrs[keyword.arg] = body or self.literal(value)
        type = self.type(step.annotation)
        try:
            inferred = primitive.infer(*(x.type for x in inputs), **attrs)
        except Exception as error:  # whatever a shape rule meets in attributes not its own
            self.fail(step, f"{primitive.name} does not take these arguments: {error}")
        if inferred != type:
            self.fail(step, f"{primitive.name} gives {inferred} here, not {type}")
        assert isinstance(step.target, ast.Name)
        self.nodes[step.target.id] = self.node(primitive, inputs, attrs, type)

    def operand(self, item: ast.expr) -> Node:
        if isinstance(item, ast.Name):
            if item.id not in self.nodes:
                self.fail(item, f"{item.id} is used before it is defined")
            return self.nodes[item.id]
        if (
            not isinstance(item, ast.Call)
            or not isinstance(item.func, ast.Name)
            or item.func.id not in _DTYPE_NAMES
            or len(item.args) != 1
        ):
            self.fail(item, "an argument is a name or a constant such as float64(2.0)")
        dtype = _DTYPE_NAMES[item.func.id]
        value = self.number(item, dtype)
        key = (dtype, value.tobytes())
        if key not in self.constants:
            attrs = {"value": value.tobytes(), "dtype": dtype.name}
            self.constants[key] = self.node(CONSTANT, (), attrs, ArrayType((), dtype))
        return self.constants[key]

    def type(self, annotation: ast.expr | None) -> Any:
        if isinstance(annotation, ast.Subscript) and ast.unparse(annotation.value) == "tuple":
            inside = annotation.slice
            parts = inside.elts if isinstance(inside, ast.Tuple) else [inside]
            return TupleType(tuple([self.type(part) for part in parts]))
        shape: tuple[int, ...] = ()
        name = annotation
        if isinstance(annotation, ast.Subscript):
            name, found = annotation.value, self.literal(annotation.slice)
            shape = found if isinstance(found, tuple) else (found,)
        if (
            not isinstance(name, ast.Name)
            or name.id not in _DTYPE_NAMES
            or not all(type(n) is int and n >= 0 for n in shape)
        ):
            self.fail(annotation, "a type is written  float64[2, 3]")
        return ArrayType(shape, _DTYPE_NAMES[name.id])

    def literal(self, item: ast.expr) -> Any:
        try:
            return ast.literal_eval(_NonFinite().visit(item))
        except ValueError:
            return self.fail(item, f"{ast.unparse(item)} is not a literal value")

    def number(self, item: ast.Call, dtype: np.dtype[Any]) -> np.ndarray:
        value = self.literal(item.args[0])
        if not isinstance(value, (bool, int, float)):
            self.fail(item, f"{value!r} is not a number")
        return np.asarray(value).astype(dtype)

    @staticmethod
    def fail(place: Any, why: str) -> NoReturn:
        raise GraphError(f"line {getattr(place, 'lineno', '?')} of the graph's text: {why}")


class _NonFinite(ast.NodeTransformer):
    """The floats that Python prints as names: inf and nan."""

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.Constant(float(node.id)) if node.id in ("inf", "nan") else node
