"""Explaining a function at a point: record, go backward, check, count, say it in steps."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.api.inputs import Wanted
from chainrule.core.node import INPUT, NO_ATTRS, Node
from chainrule.core.recording import quiet
from chainrule.errors import UsageError
from chainrule.explanation.formula.algebra import WRITTEN
from chainrule.explanation.formula.expressions import ONE, ZERO, added, times
from chainrule.explanation.formula.node import Node as Formula
from chainrule.explanation.steps.backward import Backward, Flow, as_array, backward, derivative_name
from chainrule.explanation.steps.checking import check_gradients
from chainrule.explanation.steps.counting import count
from chainrule.explanation.steps.data import Check, Explanation, Quantity, Result, Step
from chainrule.explanation.steps.loops import folded
from chainrule.explanation.steps.program import Program, program_of
from chainrule.explanation.steps.recorded import Recorded, Use, places, recorded
from chainrule.explanation.steps.whole import named_derivatives, whole_derivatives, whole_formula

START = "The output moves one for one with itself."
LOSS_ALONE = "The loss alone, by its prediction: the output unit turns this into the error."


def check_precision(precision: int) -> None:
    if isinstance(precision, bool) or not isinstance(precision, int) or not 1 <= precision <= 17:
        raise UsageError(f"precision={precision!r}: a number of significant digits, 1 to 17")


def explain(
    f: Callable[..., Any],
    args: tuple[Any, ...],
    keywords: Mapping[str, Any] = NO_ATTRS,
    *,
    names: str = "lecture",
    precision: int = 10,
    name: str | None = None,
    argnums: int | Sequence[int] | None = None,
    argnames: str | Sequence[str] | None = None,
    entry: tuple[int, ...] | None = None,
    cotangent: Any = None,
    opened: bool | Collection[str] = False,
    notes: tuple[str, ...] = (),
    written: Callable[[Recorded], Formula] | None = None,
) -> Explanation:
    """Record ``f`` at ``args`` and explain its derivative by every floating argument, or by
    those that are chosen by position or name; of an array, that of one ``entry``, or what it
    passes back of a ``cotangent``. ``opened`` are gates that are shown by what is inside;
    ``written`` gives the formula as it was typed."""
    check_precision(precision)
    if entry is not None or cotangent is not None:
        f, said = single(f, entry, cotangent)
        name, notes, written = name or "J", (*notes, said), None
    wanted = None if argnums is None and argnames is None else Wanted(argnums, argnames)
    with recorded(f, args, keywords, names, name, wanted, opened) as r:
        if r.output.type.shape:
            notes = (*notes, _several(r))
        back = backward(r)
        program = program_of(r, back)
        formulas = {**named_derivatives(r, back), **whole_derivatives(r, back)}
        results = _results(r, back, formulas)
        formula = whole_formula(r)
        steps = tuple(_steps(r, back, program))
        found = Explanation(
            name=r.output_name,
            formula=written(r) if written and formula is not None else formula,
            nodes=tuple(_nodes(r, back)),
            steps=steps,
            results=results,
            counts=count(r.whole or r),
            output=r.quantities.index(r.output),
            value=r.value(r.output),
            gradient=_gradient(r, back, wanted),
            program=program,
            precision=precision,
            notes=notes,
            openings=_openings(r, back, precision),
        )
        return folded(found)


def single(
    f: Callable[..., Any], entry: tuple[int, ...] | None, cotangent: Any
) -> tuple[Callable[..., Any], str]:
    """``f`` followed by what makes one number of its array, and what that is, in words."""
    if entry is not None and cotangent is not None:
        raise UsageError("an entry or a cotangent is explained, not both")

    @functools.wraps(f)
    def one(*args: Any, **keywords: Any) -> Any:
        y = f(*args, **keywords)
        shape = np.shape(y)
        if entry is not None:
            inside = all(-n <= i < n for i, n in zip(entry, shape, strict=False))
            if len(entry) != len(shape) or not inside:
                raise UsageError(f"entry {entry} of a result of shape {shape}: there is none")
            return y[entry]
        v = np.asarray(cotangent, float)
        if v.shape != shape:
            raise UsageError(f"the cotangent has shape {v.shape}; the result has {shape}")
        return np.sum(v * y)

    if entry is not None:
        return one, f"the entry [{', '.join(map(str, entry))}] of the result is explained"
    return one, "the cotangent c of an array Y is the gradient of Σ c ⊙ Y, which is explained"


def _several(r: Recorded) -> str:
    shape = " × ".join(map(str, r.output.type.shape))
    place = ",".join("0" * len(r.output.type.shape))
    return (
        f"{r.output_name} has {shape} entries, each with derivatives of its own: explain one "
        f"(entry, --entry {place}) or give a cotangent"
    )


def _openings(r: Recorded, back: Backward, precision: int) -> dict[int, Callable[[], Explanation]]:
    """For each gate, the explanation of what is inside; of an array, for what arrives there."""
    found = {}
    for node, gate in r.gates.items():
        keys = [r.names[x].key if x in r.names else f"x{i}" for i, x in enumerate(gate.inputs)]
        given = dict(zip(keys, (np.asarray(r.value(x)) for x in gate.inputs), strict=True))
        total = total_of(r, back, node)
        inner = _Inner(gate.definition, tuple(given), r.names[node].key)
        several = {"cotangent": total} if node.type.shape and total is not None else {}
        found[r.quantities.index(node)] = functools.partial(
            explain, inner, tuple(given.values()), precision=precision,
            name=None if several else r.names[node].key, opened={gate.kind.name}, **several,
        )  # fmt: skip
    return found


class _Inner:
    """A gate's definition with the names of its inputs here."""

    def __init__(self, f: Callable[..., Any], names: tuple[str, ...], output: str) -> None:
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        self.f, self.quantities, self.__name__ = f, {}, output
        same = all(name.isidentifier() for name in names)
        names = names if same else tuple(f"x{i}" for i in range(len(names)))
        self.__signature__ = inspect.Signature([inspect.Parameter(n, kind) for n in names])

    def __call__(self, *args: Any) -> Any:
        return self.f(*args)


def total_of(r: Recorded, back: Backward, node: Node) -> np.ndarray | None:
    """The derivative of the output by a quantity; None where none is taken."""
    if node not in r.moving:
        return None
    return as_array(r, back.totals[node], node)


def _nodes(r: Recorded, back: Backward) -> list[Quantity]:
    place = {node: i for i, node in enumerate(r.quantities)}
    builder = r.builder(WRITTEN)
    found = []
    for i, node in enumerate(r.quantities):
        given = node.primitive is INPUT
        kind = ("input" if node in r.free else "constant") if given else "operation"
        found.append(
            Quantity(
                id=i,
                kind=kind,
                name=r.names[node],
                operation=kind if given else _operation(r, node),
                formula=r.names[node] if given else builder.step(node),
                inputs=tuple(place[x] for x in r.needs[node]),
                value=r.value(node),
                gradient=total_of(r, back, node),
                attributes={} if given or node in r.gates else dict(node.attrs),
                scope=r.scopes.get(node, ""),
                teaches=_teaches(r, node),
            )
        )
    return found


def _operation(r: Recorded, node: Node) -> str:
    return r.gates[node].kind.name if node in r.gates else node.primitive.name


def _is_aside(r: Recorded, use: Use) -> bool:
    return use.node in r.gates and r.gates[use.node].aside is use.source


def _teaches(r: Recorded, node: Node) -> str:
    return r.gates[node].kind.teaches if node in r.gates else node.primitive.teaches


def _gradient(r: Recorded, back: Backward, wanted: Wanted | None) -> Any:
    if r.output.type.shape:
        return None
    leaves = []
    for node in r.free:
        total = total_of(r, back, node)
        leaves.append(None if total is None else total if total.ndim else _number(total))
    left = iter(leaves)
    trees = {
        place: argument.unflatten([next(left) for _ in range(argument.count)])
        for place, argument in places(r.call)
    }
    found = tuple(trees[place] for place in (trees if r.chosen is None else r.chosen))
    single = len(found) == 1 if wanted is None else wanted.single
    return found[0] if single else found


def _number(value: np.ndarray) -> Any:
    return float(value) if value.dtype == np.float64 else value[()]


# Steps --------------------------------------------------------------------------------------


class _Steps:
    """Collects steps and numbers them."""

    def __init__(self, r: Recorded, program: Program | None) -> None:
        self.r = r
        self.program = program
        self.place = {node: i for i, node in enumerate(r.quantities)}
        self.found: list[Step] = []

    def add(
        self, kind: Any, node: Node, name: Formula, formula: Formula, value: Any, **more: Any
    ) -> int:
        step = Step(len(self.found), kind, self.place[node], name, formula, value, **more)
        self.found.append(step)
        return step.index


def _steps(r: Recorded, back: Backward, program: Program | None) -> list[Step]:
    steps = _Steps(r, program)
    builder = r.builder(WRITTEN)
    for node in r.quantities:
        name = r.names[node]
        if node.primitive is INPUT:
            steps.add("input", node, name, name, r.value(node))
        else:
            inputs = tuple(steps.place[x] for x in r.needs[node])
            steps.add("forward", node, name, builder.step(node), r.value(node), inputs=inputs)
    for node in reversed(r.quantities):
        if node in r.moving:
            _backward_steps(steps, back, node)
    return steps.found


def _backward_steps(steps: _Steps, back: Backward, node: Node) -> None:
    r = steps.r
    name = derivative_name(r, node)
    total = as_array(r, back.totals[node], node)
    if node is r.output:
        steps.add("start", node, name, ONE, total, why=START)
        return
    flows = back.flows[node]
    terms, formulas = [], []
    for flow in flows:
        formula, index = _edge_step(steps, back, node, name, flow)
        formulas.append(formula)
        terms.append(index)
    if len(flows) == 1:
        return
    shown = r.names[node].text()
    users = {flow.use.node for flow in flows}
    if len(users) == 1:
        (user,) = users
        times_ = {2: "twice", 3: "three times"}.get(len(flows), f"{len(flows)} times")
        why = f"{shown} enters {r.names[user].text()} {times_}: its gradients add"
    elif flows:
        why = f"{shown} feeds {_branches(len(flows))}: their gradients add"
    else:
        why = f"nothing that has a slope leads from {shown} to {r.output_name.text()}: it is 0"
    formula = added(*formulas) if formulas else ZERO
    steps.add("sum", node, name, formula, total, terms=tuple(terms), why=why)


def _edge_step(
    steps: _Steps, back: Backward, node: Node, name: Formula, flow: Flow
) -> tuple[Formula, int]:
    r, use = steps.r, flow.use
    upstream = derivative_name(r, use.node)
    formula = flow.formula
    if formula is None:
        assert flow.local_formula is not None
        formula = times(flow.local_formula, upstream)
    local = None if flow.local is None else as_array(r, flow.local, use.node)
    index = steps.add(
        "backward",
        node,
        name,
        formula,
        as_array(r, flow.part, node),
        via=steps.place[use.node],
        position=use.position,
        local=flow.local_formula,
        local_value=local,
        upstream=as_array(r, back.totals[use.node], use.node),
        why=LOSS_ALONE if _is_aside(r, use) else _teaches(r, use.node),
        note=_note(r, flow, local),
    )
    return formula, index


def _branches(n: int) -> str:
    words = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}
    return f"{words.get(n, n)} branches"


def _note(r: Recorded, flow: Flow, local: np.ndarray | None) -> str:
    use = flow.use
    if flow.g is None:
        return "nothing arrives here, so nothing is passed on"
    if use.node.primitive.rule is None and not use.inside:
        return "it has no slope: nothing is passed on"
    notes = []
    if flow.part is not None and local is not None and _masked(r, flow, local):
        notes.append("where the other branch was taken nothing flows, whatever the slope")
    if any(x.type.size < y.type.size for y in use.chain for x in y.inputs):
        notes.append(f"{r.names[use.source].text()} is used for every entry: the products add")
    return "; ".join(notes)


def _masked(r: Recorded, flow: Flow, local: np.ndarray) -> bool:
    """Whether 0 flows where the plain product would be 0 times infinity."""
    assert flow.part is not None
    with quiet():
        product = local * r.value(flow.g.node) if flow.g is not None else local
    return bool(not np.all(np.isfinite(product)) and np.all(np.isfinite(r.value(flow.part.node))))


# Results --------------------------------------------------------------------------------------


def _results(r: Recorded, back: Backward, formulas: Mapping[Node, Formula]) -> tuple[Result, ...]:
    gradients = [total_of(r, back, node) for node in r.free]
    if r.output.type.shape:
        return ()
    checks: Sequence[Check | None] = check_gradients(
        r.graph, [r.value(node) for node in r.free], gradients
    )
    found = []
    for node, gradient, check in zip(r.free, gradients, checks, strict=True):
        if gradient is None or check is None:
            continue
        name = derivative_name(r, node)
        place = r.quantities.index(node)
        found.append(Result(place, name, gradient, formulas.get(node), check))
    return tuple(found)
