"""What the page carries for its script: the document, shortened to what is shown there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from chainrule.explanation.page.table import DIGITS
from chainrule.explanation.picture.modules import MOST_BLOCKS, Module, fold_to_fit
from chainrule.explanation.picture.scene import Document, gate_label
from chainrule.explanation.picture.text import flat, runs

MOST_ENTRIES = 12_000
LARGE = 400
CORNER = 8


class _Once:
    """Each thing once, and where it is."""

    def __init__(self) -> None:
        self.found: list[Any] = []
        self.index: dict[str, int] = {}

    def place(self, thing: Any) -> int:
        key = json.dumps(thing)
        if key not in self.index:
            self.index[key] = len(self.found)
            self.found.append(thing)
        return self.index[key]


class _Arrays(_Once):
    """Arrays, entries with seven digits; the large ones shortened when there are many."""

    entries = 0

    def refer(self, value: Any) -> Any:
        if not isinstance(value, (list, Mapping)):
            return value
        made = _rounded(value) if isinstance(value, list) else dict(value)
        count = len(flat(value)) if isinstance(value, list) else 0
        if (count > LARGE and self.entries + count > MOST_ENTRIES) or isinstance(value, Mapping):
            made = _summary(made, value)
        known = len(self.found)
        found = {"a": self.place(made)}
        self.entries += count * (len(self.found) - known)
        return found


def _rounded(value: Any) -> Any:
    if isinstance(value, list):
        return [_rounded(x) for x in value]
    return float(f"{value:.7g}") if isinstance(value, float) else value


def _summary(made: Any, value: Any) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return {**{k: value[k] for k in ("min", "max", "mean")}, "corner": [list(value["first"])]}
    entries = [x for x in flat(value) if abs(x) < float("inf")] or [0.0]
    rows = made if isinstance(made[0], list) else [made]
    corner = [flat(row)[:CORNER] for row in rows[:CORNER]]
    mean = sum(entries) / len(entries)
    return {"min": min(entries), "max": max(entries), "mean": mean, "corner": corner}


def page_data(document: Document, found: list[Module]) -> dict[str, Any]:
    """Plain data for the page; formulas as text, their MathML is in the table."""
    arrays = _Arrays()
    slopes = {
        step["node"]: step["slots"]["value"]
        for step in document["steps"]
        if step["kind"] in ("start", "backward", "sum") and step["slots"] is not None
    }
    words = _Once()
    nodes = [_node(node, slopes, arrays, words) for node in document["nodes"]]
    slope = "∂" if sum(n["kind"] == "input" for n in document["nodes"]) > 1 else "d"
    whole = slope + document["name"]["text"] + "/" + slope
    steps = [_step(step, document, whole, arrays, words) for step in document["steps"]]
    return {
        "words": words.found,
        "precision": document["precision"],
        "digits": DIGITS,
        "whole": whole,
        "output": document["output"],
        "nodes": nodes,
        "steps": steps,
        "modules": [{"name": m.name, "parent": m.parent, "members": m.members} for m in found],
        "folded": sorted(fold_to_fit(found, len(nodes))),
        "most": MOST_BLOCKS,
        "program": document["program"],
        "arrays": arrays.found,
    }


def _node(
    node: Mapping[str, Any], slopes: Mapping[int, Any], arrays: _Arrays, words: _Once
) -> dict[str, Any]:
    text = _line(node["name"]["text"])
    name = runs(node["name"]["text"], 22)
    operation = node["kind"] == "operation"
    return _short(
        {
            "kind": None if operation else node["kind"],
            "inputs": node["inputs"] or None,
            "shape": node["shape"] or None,
            "dtype": None if node["dtype"] == "float64" else node["dtype"],
            "slot": node["slot"],
            "teaches": words.place(node["teaches"]),
            "text": text,
            "name": None if name == [[text, "i"]] else name,
            "gate": runs(gate_label(node)) if operation else None,
            "formula": _line(node["formula"]["text"]),
            "value": arrays.refer(node["value"]),
            "gradient": arrays.refer(node["gradient"]),
            "gslot": slopes.get(node["id"]),
        }
    )


def _step(
    step: Mapping[str, Any], document: Document, whole: str, arrays: _Arrays, words: _Once
) -> dict[str, Any]:
    """Only what is not the node's own: the script takes value and formula from there."""
    slots, local = step["slots"], step["local"]
    own = step["kind"] in ("input", "forward")
    usual = whole + document["nodes"][step["node"]]["name"]["text"] == step["name"]["text"]
    return _short(
        {
            "kind": None if step["kind"] == "backward" else step["kind"],
            "node": step["node"],
            "via": step["via"],
            "position": step["position"] or None,
            "terms": step["terms"] or None,
            "why": words.place(step["why"]) if step["why"] else None,
            "note": words.place(step["note"]) if step["note"] else None,
            "name": None if own or usual else _line(step["name"]["text"]),
            "formula": None if own or local is not None else _line(step["formula"]["text"]),
            "localText": None if local is None else _line(local["text"]),
            "value": None if own else arrays.refer(step["value"]),
            "local": arrays.refer(step["local_value"]),
            "slots": None
            if slots is None or own
            else [slots[k] for k in ("value", "local_value", "upstream")],
        }
    )


def _short(fields: dict[str, Any]) -> dict[str, Any]:
    """Without what is null, which the script fills in; numbers with 15 digits at most."""
    kept = {key: value for key, value in fields.items() if value is not None}
    return {k: float(f"{v:.15g}") if isinstance(v, float) else v for k, v in kept.items()}


def _line(text: str, longest: int = 120) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
