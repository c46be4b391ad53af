"""Which gradients a statement has to do with, found by moving its value."""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.checking.handwritten.drafts import Draft

PROBE = "_chainrule_moved"
Asked = Callable[[list[list[tuple[str, str]]]], list[dict[str, Any]]]


def moved(value: Any) -> Any:
    """The value with every float in it moved, every mask turned round."""
    found = _moved(value)
    if found is None:
        raise TypeError("there is no number to move")
    return found


def _moved(value: Any) -> Any:
    if isinstance(value, np.ndarray) and value.dtype.kind == "b":
        return ~value
    if isinstance(value, (float, np.floating, np.ndarray)) and np.asarray(value).dtype.kind == "f":
        size = np.asarray(value).size
        by = 1 + 0.3 * np.cos(1 + np.arange(size)).reshape(np.shape(value))
        new = value * by + 0.01 * by
        return new.astype(value.dtype) if isinstance(value, np.ndarray) else float(new)
    if isinstance(value, dict):
        parts = {k: _moved(v) for k, v in value.items()}
        changed = {k: v for k, v in parts.items() if v is not None}
        return {**value, **changed} if changed else None
    if isinstance(value, (list, tuple)):
        several = [_moved(v) for v in value]
        if all(v is None for v in several):
            return None
        return type(value)([old if new is None else new
                            for old, new in zip(value, several, strict=True)])  # fmt: skip
    return None


class Reach:
    """For each statement, and each part of a tuple or dict, the gradients that its value takes part
    in, and whether the loss does.

    Args:
        ask: what the program gives with functions replaced. variant: the replacements for a draft.
    """

    def __init__(
        self,
        ask: Asked,
        variant: Callable[[Draft, str], list[tuple[str, str]]],
        drafts: Sequence[Draft],
        given: Mapping[str, Any],
    ) -> None:
        firsts = {id(d.statement): d for d in drafts}
        probes: list[tuple[ast.expr, list[tuple[str, str]]]] = []
        self._parts: dict[int, int] = {}
        for draft in firsts.values():
            for holder, key, value in _values(draft.statement):
                call = ast.Call(ast.Name(PROBE, ast.Load()), [value], [])
                probe = Draft("", draft.function, 0, draft.root, draft.statement, 0,
                              holder, key, call)  # fmt: skip
                probes.append((value, variant(probe, probe.source())))
                if isinstance(holder, list):
                    self._parts |= {id(n): id(value) for n in ast.walk(value)}
                else:
                    self._parts[id(draft.statement)] = id(value)
        answers = ask([variant for _, variant in probes]) if probes else []
        self._known: dict[int, tuple[set[str], bool]] = {}
        self._statements = [(d.statement, d.function) for d in firsts.values()]
        for (value, _), answer in zip(probes, answers, strict=True):
            if "error" not in answer:
                found, now = given["found"], answer["found"]
                other = {n for n in found if n not in now or not _same(found[n], now[n])}
                several = isinstance(value, (ast.Tuple, ast.Dict, ast.Call))
                same_loss = several or _same(given["loss"], answer["loss"])
                self._known[id(value)] = other, not same_loss

    def makers(self, names: Collection[str]) -> list[tuple[ast.stmt, str]]:
        """The statements, each with its function, whose values take part in exactly these gradients
        and not in the loss, else in some of these and in no other."""
        wanted, exact, some = set(names), [], []
        for s, function in sorted(self._statements, key=lambda pair: pair[0].lineno):
            touched, loss = self._known.get(self._parts.get(id(s), 0), (set(), True))
            if touched and touched <= wanted and not loss:
                (exact if touched == wanted else some).append((s, function))
        return exact or some

    def order(self, draft: Draft, wrong: set[str]) -> float | None:
        """How likely a draft is, smallest first; None where it cannot mend what is wrong."""
        place = draft.holder[draft.key] if isinstance(draft.holder, list) else draft.holder
        part = self._parts.get(id(place), self._parts.get(id(draft.statement), 0))
        known = self._known.get(part)
        if known is None:
            return draft.rank
        touched, loss = known
        if draft.is_added and not (loss or touched):  # behind what is computed and never used
            return draft.rank
        if loss or not touched & wrong:
            return None
        return draft.rank + 4 * bool(touched - wrong) + 0.5 * bool(wrong - touched)


def _values(s: ast.stmt) -> list[tuple[Any, Any, ast.expr]]:
    """What a statement computes, and where it stands: as a whole, and each part of a tuple or a
    dict."""
    value = getattr(s, "value", None)
    if not isinstance(value, ast.expr) or isinstance(s, ast.Expr):
        return []
    parts: list[ast.expr] = []
    if isinstance(value, ast.Tuple):
        parts = value.elts
    elif isinstance(value, ast.Dict):
        parts = value.values
    return [(s, "value", value), *((parts, i, part) for i, part in enumerate(parts))]


def _same(a: Any, b: Any) -> bool:
    a, b = np.asarray(a, float), np.asarray(b, float)
    return a.shape == b.shape and bool(
        np.allclose(a, b, rtol=1e-9, atol=1e-12 * (1 + np.max(np.abs(a), initial=0.0)))
    )
