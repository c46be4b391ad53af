"""What a picture shows, from the JSON document of an explanation: blocks, wires, labels.

Works on the document (docs/explanations.md) and nothing else, so a document that was stored
can be drawn as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chainrule.explanation.picture.modules import Module, outermost
from chainrule.explanation.picture.text import Runs, flat, plain, runs, shape_text, short, width

Document = Mapping[str, Any]

NAME_SIZE, GATE_SIZE, LABEL_SIZE = 15.0, 15.0, 12.0
GATE_HEIGHT = 38.0
CELL, CELL_SMALL = 8.0, 6.0
MOST_ROWS, MOST_COLUMNS, MOST_LETTERS = 8, 12, 20

SIGNS: Mapping[str, str] = {
    "add": "+", "subtract": "−", "multiply": "×", "divide": "÷",
    "maximum": "max", "minimum": "min",
}  # fmt: skip
WORDS: Mapping[str, str] = {
    "sin": "sin", "cos": "cos", "tan": "tan", "exp": "exp", "log": "log", "tanh": "tanh",
    "logistic": "σ", "sqrt": "√", "negative": "−", "abs": "| |", "reduce_sum": "Σ",
    "reduce_max": "max", "reduce_min": "min", "reduce_prod": "Π", "sinh": "sinh", "cosh": "cosh",
    "arctan": "arctan", "arcsin": "arcsin", "arccos": "arccos", "reciprocal": "1/x",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Figure:
    """A value on a wire: text, and for arrays of moderate size their entries as ``cells``."""

    text: str
    cells: tuple[tuple[float, ...], ...] = ()

    @property
    def cell(self) -> float:
        most = max(len(self.cells), max(map(len, self.cells), default=0))
        return CELL if most <= 6 else CELL_SMALL

    @property
    def width(self) -> float:
        wide = width(self.text, LABEL_SIZE)
        return wide + (len(self.cells[0]) * self.cell + 6 if self.cells else 0)

    @property
    def height(self) -> float:
        return max(LABEL_SIZE + 3, len(self.cells) * self.cell + 4)


def figure(value: Any, shape: Sequence[int]) -> Figure | None:
    """How an array is drawn on a wire; None where there is none."""
    if value is None:
        return None
    if not shape:
        return Figure(short(value))
    if isinstance(value, Mapping):
        return Figure(f"{shape_text(shape)}, mean {short(value['mean'], 3)}")
    entries = flat(value)
    if len(entries) == 1:
        return Figure(short(entries[0]))
    if len(shape) == 1 and len(entries) <= 3:
        text = "[" + ", ".join(short(x, 3) for x in entries) + "]"
        if len(text) <= MOST_LETTERS:
            return Figure(text)
    rows = value if len(shape) == 2 else [value] if len(shape) == 1 else None
    if rows and len(rows) <= MOST_ROWS and 0 < len(rows[0]) <= MOST_COLUMNS:
        return Figure(shape_text(shape), tuple(_scaled(rows)))
    return Figure(shape_text(shape) if entries else f"{shape_text(shape)}, empty")


def _scaled(rows: Sequence[Sequence[Any]]) -> Iterable[tuple[float, ...]]:
    """Entries over the largest size among them; what is not finite counts as the largest."""
    values = [[float(x) for x in row] for row in rows]
    finite = [abs(x) for row in values for x in row if abs(x) < float("inf")]
    top = max(finite, default=0.0) or 1.0
    for row in values:
        yield tuple(max(-1.0, min(1.0, x / top)) if x == x else 0.0 for x in row)


def gate_label(node: Mapping[str, Any]) -> str:
    """What stands in the block of an operation: its sign, or its formula if that says more."""
    operation, inputs = node["operation"], len(node["inputs"])
    if inputs == 2 and operation in SIGNS:
        return SIGNS[operation]
    if inputs == 1 and operation in WORDS:
        return WORDS[operation]
    formula = node["formula"]["text"]
    return formula if len(formula) <= 18 else operation.replace("_", " ")


# Parts ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Part:
    """A block: a quantity (``id`` from 0), a folded module, or the result (the end of the wire).

    ``key`` names it across foldings; ``above`` is the name over a gate, ``below`` the total
    gradient where several branches meet.
    """

    key: str
    kind: str
    label: Runs
    above: Runs
    below: str
    members: tuple[int, ...]

    @property
    def round(self) -> bool:
        return self.kind == "operation" and len(plain(self.label)) <= 1

    @property
    def gate_width(self) -> float:
        if self.round:
            return GATE_HEIGHT
        size = NAME_SIZE if self.kind != "operation" else GATE_SIZE
        text = width(plain(self.label), size)
        return max(GATE_HEIGHT if self.kind != "end" else 16.0, text + self.padding)

    @property
    def padding(self) -> float:
        return {"module": 34.0, "end": 6.0}.get(self.kind, 22.0)

    @property
    def room(self) -> tuple[float, float]:
        wide = max(width(plain(self.above), 14.0), width(self.below, LABEL_SIZE) + 4)
        high = GATE_HEIGHT + 2 * (19.0 if self.above or self.below else 0.0)
        return max(self.gate_width, wide), high


@dataclass(frozen=True)
class Link:
    """A wire: the value of quantity ``quantity`` going to block ``target``, and the gradient that
    comes back over it, from backward ``steps`` that are added."""

    quantity: int
    source: int
    target: int
    steps: tuple[int, ...]
    value: Figure | None
    gradient: Figure | None

    @property
    def room(self) -> tuple[float, float]:
        shown = [f for f in (self.value, self.gradient) if f is not None]
        wide = max((f.width for f in shown), default=0.0) + 6
        return max(wide, 30.0), 2 * max((f.height for f in shown), default=0.0) + 6


@dataclass(frozen=True)
class Scene:
    parts: tuple[Part, ...]
    links: tuple[Link, ...]


def scene(document: Document, all_modules: Sequence[Module], folded: set[int]) -> Scene:
    """What is seen when the modules ``folded`` are closed, in topological order."""
    nodes, steps = document["nodes"], document["steps"]
    owner = outermost(all_modules, folded, len(nodes))
    block = [f"m{o}" if o >= 0 else f"q{i}" for i, o in enumerate(owner)]
    order = _sorted(nodes, block)
    place = {key: k for k, key in enumerate(order)}
    parts = [_part(document, all_modules, key) for key in order]
    over: dict[tuple[int, int], list[int]] = {}
    for step in steps:
        if step["kind"] == "backward":  # what a gate passes goes by its prediction, ŷ
            x, via = step["node"], step["via"]
            inner = (i for i in nodes[via]["inputs"] if x in nodes[i]["inputs"])
            by = via if x in nodes[via]["inputs"] else next(inner, via)
            over.setdefault((x, by), []).append(step["index"])
    wires: dict[tuple[int, str], list[int]] = {}
    for node in nodes:
        for x in node["inputs"]:
            if block[x] != block[node["id"]]:
                wires.setdefault((x, block[node["id"]]), []).extend(over.get((x, node["id"]), ()))
    links = []
    for (x, target), found in wires.items():
        node = nodes[x]
        gradient = figure(added([steps[i]["value"] for i in found]), node["shape"])
        links.append(
            Link(x, place[block[x]], place[target], tuple(found),
                 figure(node["value"], node["shape"]), gradient)
        )  # fmt: skip
    output = nodes[document["output"]]
    end = Part("end", "end", runs(output["name"]["text"]), [], "", ())
    value, gradient = (figure(output[k], output["shape"]) for k in ("value", "gradient"))
    start = tuple(step["index"] for step in steps if step["kind"] == "start")
    links.append(Link(output["id"], place[block[output["id"]]], len(parts), start, value, gradient))
    return Scene((*parts, end), tuple(links))


def _part(document: Document, all_modules: Sequence[Module], key: str) -> Part:
    index = int(key[1:])
    if key[0] == "m":
        module = all_modules[index]
        return Part(key, "module", [[plain(runs(module.name)), "n"]], [], "", module.members)
    node = document["nodes"][index]
    total = ""
    for step in document["steps"]:
        if step["kind"] == "sum" and step["node"] == index and len(step["terms"]) > 1:
            shown = figure(step["value"], node["shape"])
            total = "Σ " + shown.text if shown is not None else ""
    name = runs(node["name"]["text"], 22)
    if node["kind"] != "operation":
        return Part(key, node["kind"], name, [], total, (index,))
    above = [] if index == document["output"] else name
    return Part(key, "operation", runs(gate_label(node)), above, total, (index,))


def _sorted(nodes: Sequence[Mapping[str, Any]], block: Sequence[str]) -> list[str]:
    """The blocks in topological order, as close to that of the quantities as it allows."""
    before: dict[str, set[str]] = {key: set() for key in block}
    for node in nodes:
        mine = block[int(node["id"])]
        before[mine] |= {block[int(x)] for x in node["inputs"]} - {mine}
    order: list[str] = []
    done: set[str] = set()
    for first in before:
        stack = [first]
        while stack:
            key = stack[-1]
            missing = [] if key in done else sorted(before[key] - done, key=_number)
            if missing:
                stack.append(missing[0])
                continue
            stack.pop()
            if key not in done:
                done.add(key)
                order.append(key)
    return order


def _number(key: str) -> tuple[str, int]:
    return key[0], int(key[1:])


def added(values: Sequence[Any]) -> Any:
    """The sum of numbers or nested lists; None of nothing, the first where one is summarised."""
    if not values:
        return None
    result = values[0]
    for value in values[1:]:
        result = _plus(result, value)
    return result


def _plus(a: Any, b: Any) -> Any:
    if isinstance(a, list) and isinstance(b, list):
        return [_plus(x, z) for x, z in zip(a, b, strict=True)]
    if isinstance(a, (int, float, str)) and isinstance(b, (int, float, str)):
        return float(a) + float(b)
    return a
