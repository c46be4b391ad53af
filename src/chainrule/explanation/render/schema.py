"""The closed schemas of the JSON documents, version 1 (docs/explanations.md).

Any change to what a document holds raises its version.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chainrule.errors import DataError
from chainrule.explanation.render.document import FORMAT, VERSION
from chainrule.io.schema import (
    Boolean,
    Constant,
    Integer,
    ListOf,
    MapOf,
    Nullable,
    OneOf,
    Record,
    Schema,
    Tagged,
    Text,
    check,
)

NETWORK_FORMAT = "chainrule network explanation"
NON_FINITE = ("nan", "inf", "-inf")


@dataclass(frozen=True)
class Values:
    """A number, a string for a non-finite one, a bool, nested lists of them, or the summary of
    a large array."""

    def check(self, value: Any, where: str) -> None:
        stack = [value]
        while stack:
            one = stack.pop()
            if isinstance(one, list):
                stack.extend(one)
            elif isinstance(one, dict):
                SUMMARY.check(one, where)
            elif isinstance(one, float):
                if not math.isfinite(one):
                    raise DataError(f"{where}: a non-finite number must be a string")
            elif not isinstance(one, (int, bool)) and one not in NON_FINITE:
                raise DataError(f"{where}: expected a number, found {one!r}")


@dataclass(frozen=True)
class Plain:
    """A static argument: anything that JSON holds."""

    def check(self, value: Any, where: str) -> None:
        if isinstance(value, list):
            for item in value:
                self.check(item, where)
        elif isinstance(value, dict):
            raise DataError(f"{where}: expected a number, text or a list")


SUMMARY = Record(
    {
        "shape": ListOf(Integer(0)),
        "first": ListOf(Values()),
        "mean": Values(),
        "min": Values(),
        "max": Values(),
    }
)
COUNT = Integer(minimum=0)
FORMULA = Record({"text": Text(), "latex": Text(), "mathml": Text()})
PLACE = Nullable(COUNT)
COST = Record({"multiplications": COUNT, "additions": COUNT, "stored": COUNT})

NODE = Record(
    {
        "id": COUNT,
        "kind": OneOf(("input", "constant", "operation")),
        "name": FORMULA,
        "operation": Text(),
        "attributes": MapOf(Plain()),
        "formula": FORMULA,
        "inputs": ListOf(COUNT),
        "shape": ListOf(COUNT),
        "dtype": Text(),
        "value": Values(),
        "gradient": Nullable(Values()),
        "scope": Text(),
        "teaches": Text(),
        "slot": PLACE,
    }
)
STEP = Record(
    {
        "index": COUNT,
        "kind": OneOf(("input", "forward", "start", "backward", "sum")),
        "node": COUNT,
        "name": FORMULA,
        "formula": FORMULA,
        "value": Values(),
        "inputs": ListOf(COUNT),
        "via": PLACE,
        "position": PLACE,
        "local": Nullable(FORMULA),
        "local_value": Nullable(Values()),
        "upstream": Nullable(Values()),
        "terms": ListOf(COUNT),
        "why": Text(),
        "note": Text(),
        "slots": Nullable(Record({"value": PLACE, "local_value": PLACE, "upstream": PLACE})),
    }
)
CHECK = Record(
    {
        "method": OneOf(("complex step", "differences", "none")),
        "value": Nullable(Values()),
        "error": Values(),
        "expected": Values(),
        "agrees": Boolean(),
        "direction": Nullable(Values()),
        "note": Text(),
    }
)
RESULT = Record(
    {
        "node": COUNT,
        "name": FORMULA,
        "value": Values(),
        "formula": Nullable(FORMULA),
        "check": CHECK,
    }
)


@dataclass(frozen=True)
class SlotOf:
    """An input, a constant, or any operation on earlier slots."""

    def check(self, value: Any, where: str) -> None:
        kind = value.get("operation") if isinstance(value, dict) else None
        (SLOTS if kind in SLOTS.records else OPERATION).check(value, where)


SLOTS = Tagged(
    "operation", {"input": Record({"node": COUNT}), "constant": Record({"value": Values()})}
)
OPERATION = Record({"operation": Text(), "inputs": ListOf(COUNT), "attributes": MapOf(Plain())})

EXPLANATION: Mapping[str, Schema] = {
    "format": Constant(FORMAT),
    "version": Constant(VERSION),
    "chainrule": Text(),
    "name": FORMULA,
    "formula": Nullable(FORMULA),
    "precision": Integer(1, 17),
    "output": COUNT,
    "nodes": ListOf(NODE, minimum=1),
    "steps": ListOf(STEP, minimum=1),
    "results": ListOf(RESULT),
    "counts": Record(
        {
            **dict.fromkeys(("inputs", "nodes", "edges", "paths"), COUNT),
            **dict.fromkeys(("forward", "reverse", "by_paths"), COST),
        }
    ),
    "program": Nullable(Record({"branches": Boolean(), "slots": ListOf(SlotOf())})),
}

LINE = Record({"name": FORMULA, "formula": FORMULA, "shape": ListOf(COUNT), "value": Values()})
MODULE = Record(
    {
        "kind": OneOf(
            ("loss", "output activation", "linear", "normalisation", "hidden activation")
        ),
        "layer": COUNT,
        "title": Text(),
        "forward": ListOf(LINE),
        "backward": ListOf(LINE),
    }
)
NETWORK: Mapping[str, Schema] = {
    "format": Constant(NETWORK_FORMAT),
    "version": Constant(VERSION),
    "chainrule": Text(),
    "title": Text(),
    "convention": OneOf(("inputs_outputs", "outputs_inputs", "torch", "bias_row")),
    "precision": Integer(1, 17),
    "loss": Record({"name": Text(), "value": Values()}),
    "inputs": ListOf(Text()),
    "outputs": ListOf(Text()),
    "x": Values(),
    "target": Nullable(Values()),
    "prediction": Values(),
    "input_gradient": Values(),
    "error": Values(),
    "modules": ListOf(MODULE, minimum=1),
    "deltas": ListOf(LINE, minimum=1),
}


def check_document(document: Any) -> None:
    """Raise DataError, naming the place, unless this is an explanation of version 1 whose
    references (nodes, steps, slots) point at what there is."""
    network = isinstance(document, dict) and document.get("format") == NETWORK_FORMAT
    check(document, Record(NETWORK if network else EXPLANATION))
    if not network:
        _check_references(document)


def _check_references(document: Mapping[str, Any]) -> None:
    nodes, steps = document["nodes"], document["steps"]
    program = document["program"]
    made: list[dict[str, Any]] = [] if program is None else program["slots"]
    slots = len(made)

    def within(place: Any, count: int, where: str) -> None:
        if place is not None and not 0 <= place < count:
            raise DataError(f"{where}: {place} is none of the {count} there are")

    within(document["output"], len(nodes), "output")
    for i, node in enumerate(nodes):
        if node["id"] != i:
            raise DataError(f"nodes[{i}].id: expected {i}, found {node['id']}")
        within(node["slot"], slots, f"nodes[{i}].slot")
        for x in node["inputs"]:
            within(x, i, f"nodes[{i}].inputs")
    for i, step in enumerate(steps):
        if step["index"] != i:
            raise DataError(f"steps[{i}].index: expected {i}, found {step['index']}")
        for key in ("node", "via"):
            within(step[key], len(nodes), f"steps[{i}].{key}")
        for term in step["terms"]:
            within(term, i, f"steps[{i}].terms")
        for place in (step["slots"] or {}).values():
            within(place, slots, f"steps[{i}].slots")
    for i, slot in enumerate(made):
        for x in slot.get("inputs", ()):
            within(x, i, f"program.slots[{i}].inputs")
