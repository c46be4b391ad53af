"""The JSON document of an explanation: schema version 1, written down in docs/explanations.md."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from chainrule.explanation.formula.node import Node
from chainrule.explanation.steps.data import Check, Explanation, Quantity, Result, Step
from chainrule.explanation.steps.program import Program, Slot
from chainrule.version import __version__

FORMAT = "chainrule explanation"
VERSION = 1
MOST_ENTRIES = 10_000


def dumps(document: Mapping[str, Any]) -> str:
    """As text. Floats are written with the fewest digits that read back to the same number."""
    return json.dumps(document, allow_nan=False, ensure_ascii=False, indent=1) + "\n"


def to_json(e: Explanation) -> dict[str, Any]:
    program = e.program
    return {
        "format": FORMAT,
        "version": VERSION,
        "chainrule": __version__,
        "name": formula(e.name),
        "formula": formula(e.formula),
        "precision": e.precision,
        "output": e.output,
        "nodes": [_node(node, program) for node in e.nodes],
        "steps": [_step(step, program) for step in e.steps],
        "results": [_result(result) for result in e.results],
        "counts": {key: _plain(value) for key, value in vars(e.counts).items()},
        "program": None if program is None else _program(program),
    }


def formula(e: Node | None) -> dict[str, str] | None:
    """A formula in its three spellings."""
    return None if e is None else {"text": e.text(), "latex": e.latex(), "mathml": e.mathml()}


def values(array: Any) -> Any:
    """An array as nested lists; a very large one by its shape, start and range."""
    if array is None:
        return None
    array = np.asarray(array)
    if array.size > MOST_ENTRIES:
        flat = array.reshape(-1)
        return {
            "shape": list(array.shape),
            "first": [_scalar(x) for x in flat[:10]],
            "mean": _scalar(np.mean(flat)),
            "min": _scalar(np.min(flat)),
            "max": _scalar(np.max(flat)),
        }
    return _nested(array)


def _nested(array: np.ndarray) -> Any:
    return _scalar(array[()]) if array.ndim == 0 else [_nested(x) for x in array]


def _scalar(x: Any) -> Any:
    x = x.item() if hasattr(x, "item") else x
    if isinstance(x, float) and not math.isfinite(x):
        return "nan" if x != x else "inf" if x > 0 else "-inf"
    return x


def _plain(value: Any) -> Any:
    """Static arguments and counts: numbers, text and lists of them."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(v) for v in value]
    if value is None or isinstance(value, (bool, int, float, np.generic)):
        return _scalar(value)
    return str.__str__(value) if isinstance(value, str) else str(value)


def _node(node: Quantity, program: Program | None) -> dict[str, Any]:
    return {
        "id": node.id,
        "kind": node.kind,
        "name": formula(node.name),
        "operation": node.operation,
        "attributes": _plain(node.attributes),
        "formula": formula(node.formula),
        "inputs": list(node.inputs),
        "shape": list(node.value.shape),
        "dtype": node.value.dtype.name,
        "value": values(node.value),
        "gradient": values(node.gradient),
        "scope": node.scope,
        "teaches": node.teaches,
        "slot": None if program is None else program.values.get(node.id),
    }


def _step(step: Step, program: Program | None) -> dict[str, Any]:
    return {
        "index": step.index,
        "kind": step.kind,
        "node": step.node,
        "name": formula(step.name),
        "formula": formula(step.formula),
        "value": values(step.value),
        "inputs": list(step.inputs),
        "via": step.via,
        "position": step.position,
        "local": formula(step.local),
        "local_value": values(step.local_value),
        "upstream": values(step.upstream),
        "terms": list(step.terms),
        "why": step.why,
        "note": step.note,
        "slots": None if program is None else _slots(step, program),
    }


def _slots(step: Step, program: Program) -> dict[str, int | None]:
    value = local = upstream = None
    if step.kind in ("input", "forward"):
        value = program.values.get(step.node)
    elif step.kind in ("start", "sum"):
        value = program.gradients.get(step.node)
    elif step.via is not None and step.position is not None:
        value, local, upstream = program.flows[step.node, step.via, step.position]
    return {"value": value, "local_value": local, "upstream": upstream}


def _result(result: Result) -> dict[str, Any]:
    return {
        "node": result.node,
        "name": formula(result.name),
        "value": values(result.value),
        "formula": formula(result.formula),
        "check": _check(result.check),
    }


def _check(check: Check) -> dict[str, Any]:
    return {**asdict(check), **{k: values(getattr(check, k)) for k in _NUMERIC}}


_NUMERIC = ("value", "error", "expected", "direction")


def _program(program: Program) -> dict[str, Any]:
    return {"branches": program.branches, "slots": [_slot(slot) for slot in program.slots]}


def _slot(slot: Slot) -> dict[str, Any]:
    if slot.node is not None:
        return {"operation": "input", "node": slot.node}
    if slot.attributes is None:
        return {"operation": "constant", "value": _scalar(slot.value)}
    return {
        "operation": slot.operation,
        "inputs": list(slot.inputs),
        "attributes": _plain(slot.attributes),
    }
