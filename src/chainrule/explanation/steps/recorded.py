"""A function recorded at a point, seen as named quantities: what there is to explain."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from chainrule.api.inputs import Wanted
from chainrule.core.graph import Graph
from chainrule.core.node import CONSTANT, INPUT, Node
from chainrule.core.record import (
    argument_paths,
    flatten_call,
    function_name,
    leaf_type,
    lift_output,
)
from chainrule.core.recording import Recording, quiet, resumed
from chainrule.core.traced import Traced
from chainrule.core.tree import TreeDef, flatten
from chainrule.errors import DerivativeError, DtypeError, UsageError
from chainrule.explanation.formula.building import Builder, behind, is_transparent
from chainrule.explanation.formula.node import Node as Formula
from chainrule.explanation.steps import names as naming
from chainrule.explanation.steps.gates import Gate, gates
from chainrule.explanation.steps.kinds import CALLED, attributes

MOST_QUANTITIES = 5000


@dataclass(frozen=True, eq=False)
class Use:
    """Argument ``position`` of the operation ``node``, reached from a quantity through ``chain``.

    The chain lists the transparent nodes between them, the one nearest to ``node`` first. Of a
    gate, ``position`` counts its inputs, and ``inside`` are the edges that lead into this one.
    """

    node: Node
    position: int
    source: Node
    chain: tuple[Node, ...]
    inside: tuple[Use, ...] = ()


@dataclass(eq=False)
class Recorded:
    """The recording, which stays open, and the quantities in it.

    ``quantities`` is in topological order, inputs first, then captured arrays; ``moving`` are
    those that a derivative goes to; ``uses`` lists, for each operation, its arguments that are
    quantities with a gradient, ``needs`` all quantities that it depends on. ``whole`` is the same
    with all gates open, ``last`` the number of the newest node of the function itself.
    """

    recording: Recording
    graph: Graph
    output: Node
    quantities: list[Node]
    names: Mapping[Node, Formula]
    free: tuple[Node, ...]
    moving: frozenset[Node]
    uses: Mapping[Node, Sequence[Use]]
    needs: Mapping[Node, Sequence[Node]]
    call: TreeDef
    chosen: Sequence[int | str] | None
    scopes: Mapping[Node, str] = field(default_factory=dict)
    gates: Mapping[Node, Gate] = field(default_factory=dict)
    whole: Recorded | None = None
    last: int = 0

    def value(self, node: Node) -> np.ndarray:
        return self.recording.values[node]

    @property
    def is_scalar(self) -> bool:
        """Whether every quantity is a single number."""
        return not any(node.type.shape for node in self.quantities)

    @property
    def output_name(self) -> Formula:
        return self.names[self.output]

    def builder(self, algebra: Any, named: Mapping[Node, Formula] | None = None) -> Builder:
        shown = {
            n: (g.kind.name, g.inputs, g.attrs) for n, g in self.gates.items() if g.kind.written
        }
        inside = {n for g in self.gates.values() if not g.kind.written for n in g.inside}
        for node, call in (self.recording.calls or {}).items():
            kind = CALLED.get(call.name)
            spoken_of = node.serial > self.last or node in inside  # in a gate's rule, or in it
            if kind is not None and kind.written and spoken_of:
                shown[node] = (kind.name, call.inputs, attributes(call))
        names = self.names if named is None else named
        return Builder(names, self.recording.values.get, algebra, shown)


@contextmanager
def recorded(
    f: Callable[..., Any],
    args: tuple[Any, ...],
    keywords: Mapping[str, Any],
    scheme: str,
    name: str | None,
    wanted: Wanted | None = None,
    opened: bool | Collection[str] = False,
) -> Iterator[Recorded]:
    """Record ``f`` at these arguments with values, and name what it computes.

    Args:
        scheme: how to name. name: of the output; None takes the function's. wanted: the
            arguments to differentiate by; None takes all floating ones. opened: names of
            gates that are shown by what is inside; True for all.

    Raises:
        DtypeError: no such argument is floating. DerivativeError: there is no argument, or the
            output is not one number.
    """
    naming.check_scheme(scheme)
    leaves, tree = flatten_call(args, keywords)
    labels = argument_paths(f, tree)
    rec = Recording(eager=True)
    rec.calls = {}

    try:
        with resumed(rec):
            inputs = [_input(rec, *pair) for pair in zip(leaves, labels, strict=True)]
            chosen = None if wanted is None else wanted.places(f, args, keywords)
            wrt = _moving(tree, inputs, chosen)
            if not inputs:
                raise DerivativeError(
                    f"{function_name(f)} has no variable, so there is nothing to differentiate by"
                )
            if not wrt:
                raise DtypeError(
                    f"{function_name(f)} has no floating argument to differentiate by: integers "
                    "and bools move in jumps. Pass a float (1.0 instead of 1)"
                )
            local: dict[str, Any] = {}
            with _locals_of(f, local), quiet():
                positional, named = tree.unflatten(inputs)
                result = f(*positional, **named)
            output = _single(result, f, rec)
            graph = rec.graph(inputs, [output], function_name(f))
            wrt = set() if output.shape else wrt

            def name_all(order: Any, given: Any, needs: Any) -> dict[Node, Formula]:
                free = dict(zip(graph.free_inputs, labels, strict=True))
                shown = name or graph.name
                return naming.assign(order, free, output.node, shown, given, needs, scheme)

            yield _quantities(rec, graph, wrt, local, name_all, opened, call=tree, chosen=chosen)
    finally:
        rec.close()


def _moving(
    call: TreeDef, inputs: Sequence[Traced], chosen: Sequence[int | str] | None
) -> set[Node]:
    """The inputs to differentiate by."""
    left = iter(inputs)
    found: set[Node] = set()
    for place, argument in places(call):
        own = [next(left) for _ in range(argument.count)]
        if chosen is None or place in chosen:
            found |= {x.node for x in own if x.type.is_float}
    return found


def places(call: TreeDef) -> list[tuple[int | str, TreeDef]]:
    """The arguments of a call that are not static, by position and then by keyword."""
    positional, keywords = call.children
    named = zip(keywords.keys, keywords.children, strict=True)
    found = [*enumerate(positional.children), *named]
    return [(place, argument) for place, argument in found if argument.kind != "static"]


def _input(rec: Recording, leaf: Any, label: str) -> Traced:
    value = np.array(leaf)
    if value.dtype.kind == "c":
        raise DtypeError(
            f"argument {label!r} is complex; chainrule differentiates real numbers: pass the real "
            "and the imaginary part as two arguments"
        )
    value.flags.writeable = False
    return rec.input(leaf_type(value, f"argument {label!r}"), value, label)


def _single(result: Any, f: Callable[..., Any], rec: Recording) -> Traced:
    leaves, _ = flatten(result)
    if len(leaves) == 1:
        output = lift_output(leaves[0], rec)
        if output.type.is_float:
            return output
        found = str(output.type)
    else:
        found = f"{len(leaves)} values"
    raise DerivativeError(
        f"an explanation follows one number back to the inputs, but {function_name(f)} returned "
        f"{found}; return the loss alone"
    )


@contextmanager
def _locals_of(f: Callable[..., Any], found: dict[str, Any]) -> Iterator[None]:
    """Collect the local variables of ``f`` as it returns: names that its author chose.

    Python's profiling hook sees the frame; it is left alone where someone else uses it.
    """
    while isinstance(f, functools.partial) or hasattr(f, "__wrapped__"):
        f = f.func if isinstance(f, functools.partial) else f.__wrapped__  # type: ignore
    code = getattr(f, "__code__", None)
    provided = getattr(f, "quantities", None)
    if isinstance(provided, dict):  # a parsed expression keeps its own
        yield
        found.update(provided)
        return
    if code is None or sys.getprofile() is not None:
        yield
        return

    def watch(frame: Any, event: str, arg: Any) -> None:
        if event == "return" and frame.f_code is code:
            found.update(frame.f_locals)

    sys.setprofile(watch)
    try:
        yield
    finally:
        sys.setprofile(None)


def _quantities(
    rec: Recording,
    graph: Graph,
    wrt: set[Node],
    local: Mapping[str, Any],
    name_all: Callable[
        [Sequence[Node], Mapping[Node, str], Mapping[Node, Any]], dict[Node, Formula]
    ],
    opened: bool | Collection[str],
    **arguments: Any,
) -> Recorded:
    """See the graph as quantities. ``name_all`` names them, given the author's own names."""
    (output,) = graph.outputs
    free = graph.free_inputs
    order = [*graph.inputs]
    order += [n for n in graph.nodes if n.primitive is not INPUT and is_quantity(n, output)]
    if len(order) > MOST_QUANTITIES:
        raise UsageError(
            f"{graph.name} computes {len(order)} quantities; explanations go up to "
            f"{MOST_QUANTITIES}: explain a smaller part, or write loops as array operations"
        )
    given = _chosen(local, set(order), set(graph.inputs), rec)
    last = rec.serial
    found = gates(rec, order, output, given, opened, wrt)
    _hats(found, given, rec.names)
    captures = order[len(free) : len(graph.inputs)]
    for k, node in enumerate(captures):
        given.setdefault(node, f"c{k + 1}" if len(captures) > 1 else "c")
    whole = Recorded(recording=rec, graph=graph, output=output, names={}, free=free,
                     **_related(order, wrt, {}), **arguments)  # fmt: skip
    shown = _related(order, wrt, found)
    return replace(
        whole,
        names=name_all(shown["quantities"], given, shown["needs"]),
        scopes={n: at[0].scope for n, at in graph.origins.items() if at},
        gates=found,
        whole=whole,
        last=last,
        **shown,
    )


def _related(order: Sequence[Node], wrt: set[Node], found: Mapping[Node, Gate]) -> dict[str, Any]:
    """The quantities outside of gates, what each needs and uses, and which of them move."""
    asides = {gate.aside for gate in found.values()} - {None}
    hidden = {x for node, gate in found.items() for x in gate.inside - {node} - asides}
    order = [node for node in order if node not in hidden]
    known = set(order)
    needs = {node: _needs(node, known) for node in order}
    moving = set(wrt)
    for node in order:
        sources = found[node].inputs if node in found else needs[node]
        if node.type.is_float and any(x in moving for x in sources):
            moving.add(node)
    # What a prediction passes on is in what its gate passes to the inputs.
    uses = {n: [] if n in asides else _uses(n, known, found.get(n)) for n in order}
    return {"quantities": order, "needs": needs, "moving": frozenset(moving), "uses": uses}


def is_quantity(node: Node, output: Node) -> bool:
    """Whether a node has a line of its own; the rest stands inside formulas."""
    if node is output:
        return True
    if node.primitive is CONSTANT or is_transparent(node) or not node.type.is_float:
        return False
    return not (node.is_constant and not node.type.shape)


def _hats(found: Mapping[Node, Gate], given: dict[Node, str], names: Mapping[Node, str]) -> None:
    """The prediction inside a loss by the name of its target: ŷ beside y."""
    for gate in found.values():
        label = names.get(gate.inputs[0], "")
        if gate.aside is not None and len(label) == 1 and f"{label}_hat" not in names.values():
            given.setdefault(gate.aside, f"{label}_hat")


def _uses(node: Node, known: set[Node], gate: Gate | None) -> list[Use]:
    if gate is not None:
        inner = [x for x in gate.inside if not is_transparent(x)]
        sources = gate.inputs if gate.aside is None else (*gate.inputs, gate.aside)
        edges = [use for x in inner for use in _uses(x, set(sources), None)]
        pairs = [(x, tuple(u for u in edges if u.source is x)) for x in sources]
        return [Use(node, i, x, (), inside) for i, (x, inside) in enumerate(pairs) if inside]
    found = []
    for position, x in enumerate(node.inputs):
        chain = []
        while x not in known and is_transparent(x):
            chain.append(x)
            x = x.inputs[0]
        if x in known and x.type.is_float:
            found.append(Use(node, position, x, tuple(chain)))
    return found


def _needs(node: Node, known: set[Node]) -> list[Node]:
    """The quantities that a formula mentions, in the order in which it does."""
    found: dict[Node, None] = {}
    seen: set[Node] = set()
    stack = list(reversed(node.inputs))
    while stack:
        x = stack.pop()
        if x in known:
            found[x] = None
        elif x not in seen:
            seen.add(x)
            stack.extend(reversed(x.inputs))
    return list(found)


def _chosen(
    local: Mapping[str, Any], known: set[Node], inputs: set[Node], rec: Recording
) -> dict[Node, str]:
    """Quantities that are the value of a local variable, by its name."""
    given: dict[Node, str] = {}
    for word, value in local.items():
        if not isinstance(value, Traced) or value.recording is not rec or word.startswith("_"):
            continue
        node = value.node if value.node in known else behind(value.node)
        if node in known and node not in inputs:
            given.setdefault(node, word)
    return given
