"""Random graphs: every step reproduces its number, the last ones are ``grad``, and every renderer
takes all of them. ``CHAINRULE_EXPLAIN_GRAPHS=2000`` runs the full set."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

import chainrule as cr
from chainrule.core.node import PRIMITIVES
from chainrule.explanation import Explanation
from chainrule.explanation.formula.expressions import evaluate
from chainrule.explanation.render.schema import check_document
from tests.helpers.explain_blocks import GRAPHS
from tests.helpers.explain_random import array_function, explained, scalar_function

CHUNK = 20
KINDS = {"scalar": scalar_function, "array": array_function}


def cases(kind: str, chunk: int) -> Any:
    start = chunk * CHUNK
    for seed in range(start, min(start + CHUNK, GRAPHS // 2)):
        yield seed, *explained(KINDS[kind], seed)


def chunks() -> list[int]:
    return list(range(-(-GRAPHS // 2 // CHUNK)))


def gradient(f: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
    with np.errstate(all="ignore"):
        return cr.grad(f, argnums=tuple(range(len(args))))(*args)


def close(a: Any, b: Any, rtol: float = 1e-12) -> bool:
    """Nearly equal: to ``rtol`` in float64; in float32, whose roundings of 6e-8 add up and in
    differences weigh more, to 1e-4 of a number or 1e-5 of the largest."""
    low = np.asarray(a).dtype == np.float32
    with np.errstate(all="ignore"):
        scale = np.max(np.abs(np.nan_to_num(b)), initial=1e-30)
        return np.allclose(
            a, b, rtol=1e-4 if low else rtol, atol=(1e-5 if low else rtol) * scale, equal_nan=True
        )


@pytest.mark.parametrize("chunk", chunks())
@pytest.mark.parametrize("kind", KINDS)
def test_the_last_steps_equal_grad(kind: str, chunk: int) -> None:
    for seed, f, args, e in cases(kind, chunk):
        wanted = gradient(f, args)
        found = e.gradient if len(args) > 1 else (e.gradient,)
        for node, g, w in zip(e.nodes, found, wanted, strict=False):
            assert close(g, w), (kind, seed)
            last = [s for s in e.steps if s.node == node.id and s.kind != "input"][-1]
            np.testing.assert_array_equal(last.value, np.asarray(g), err_msg=f"{kind} {seed}")


@pytest.mark.parametrize("chunk", chunks())
@pytest.mark.parametrize("kind", KINDS)
def test_re_evaluating_each_step_reproduces_its_number(kind: str, chunk: int) -> None:
    for seed, _, _, e in cases(kind, chunk):
        values = {node.name.key: node.value for node in e.nodes}
        for step in e.steps:
            where = (kind, seed, step.index)
            if step.kind == "forward" and kind == "scalar":
                assert close(evaluate(step.formula, values), step.value), where
            if step.kind == "sum":
                terms = [e.steps[i].value for i in step.terms]
                with np.errstate(all="ignore"):
                    total = np.sum(terms, axis=0) if terms else 0.0
                assert close(total, step.value), where
            if step.kind == "backward":
                check_edge(e, step, values, where, kind)


def check_edge(e: Explanation, step: Any, values: Mapping[str, Any], where: Any, kind: str) -> None:
    """The product is local times upstream, and the upstream is what was found before."""
    arrived = [s for s in e.steps[: step.index] if s.node == step.via][-1]
    np.testing.assert_array_equal(step.upstream, arrived.value, err_msg=str(where))
    if step.local_value is None:
        return
    if not step.note:
        # Broadcasts and reshapes are folded into the edge, which keeps the sum of all entries.
        with np.errstate(all="ignore"):
            product = np.sum(step.local_value.astype(float) * step.upstream)
            size = np.nansum(np.abs(step.local_value.astype(float) * step.upstream))
            size = size if np.isfinite(size) else 1.0
            total = np.sum(step.value.astype(float))
        low = step.value.dtype == np.float32
        assert np.isclose(
            product, total, rtol=1e-10, atol=size * (1e-5 if low else 1e-12), equal_nan=True
        ), where
    # [a <= b] stands for "not a > b", which differs where one of them is NaN.
    nan = any(np.any(np.isnan(e.nodes[i].value)) for i in e.nodes[step.via].inputs)
    if kind == "scalar" and not (nan and "[" in step.local.text()):
        assert close(evaluate(step.local, values), step.local_value, 1e-9), where


@pytest.mark.parametrize("chunk", chunks())
def test_whole_derivatives_hold_at_other_points(chunk: int) -> None:
    """A simplified formula is checked where it was not made, wherever the function is smooth."""
    tried = 0
    rng = np.random.default_rng(chunk)
    for seed, f, args, e in cases("scalar", chunk):
        keys = [node.name.key for node in e.nodes if node.kind == "input"]
        points = [tuple(a + d for a, d in zip(args, row, strict=True))
                  for row in rng.uniform(-1e-3, 1e-3, (3, len(args)))]  # fmt: skip
        for point in points:
            wanted = gradient(f, point)
            for result, w in zip(e.results, wanted, strict=True):
                if result.formula is None or not np.isfinite(w) or not result.check.agrees:
                    continue
                found = evaluate(result.formula, dict(zip(keys, point, strict=True)))
                if np.isfinite(found):
                    tried += 1
                    assert np.isclose(found, w, rtol=1e-6, atol=1e-8 * max(1, abs(w))), seed
    assert tried > 20


@pytest.mark.parametrize("chunk", chunks())
@pytest.mark.parametrize("kind", KINDS)
def test_checks_agree_except_at_kinks(kind: str, chunk: int) -> None:
    for seed, _, _, e in cases(kind, chunk):
        for result in e.results:
            assert result.check.agrees or "kink" in result.check.note, (kind, seed, result)


class Balanced(HTMLParser):
    """Fails unless every element that opens is closed, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag not in ("br", "meta"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("chunk", chunks())
@pytest.mark.parametrize("kind", KINDS)
def test_every_renderer_is_total_and_the_document_validates(kind: str, chunk: int) -> None:
    for _, _, _, e in cases(kind, chunk):
        assert e.text()
        assert e.markdown().count("|") > 10
        tex = e.latex()
        assert tex.count(r"\begin{") == tex.count(r"\end{")
        assert tex.replace(r"\{", "").count("{") == tex.replace(r"\}", "").count("}")
        assert e._repr_latex_().startswith("$$")
        ElementTree.fromstring(e.mathml())
        parser = Balanced()
        parser.feed(e.html())
        assert parser.open == []
        assert e.dot().count("->") >= 1 or len(e.nodes) == 1
        document = json.loads(e.json())
        check_document(document)
        assert document == e.to_json(), "numbers do not survive the text"


@pytest.mark.parametrize("chunk", chunks())
def test_the_program_recomputes_every_number(chunk: int) -> None:
    """What a page runs: the slots, evaluated with the primitives, give all values and slopes."""
    for seed, _, _, e in cases("scalar", chunk):
        document = e.to_json()
        program = document["program"]
        if program is None:
            continue
        known: list[Any] = []
        with np.errstate(all="ignore"):
            for slot in program["slots"]:
                if slot["operation"] == "input":
                    known.append(e.nodes[slot["node"]].value)
                elif slot["operation"] == "constant":
                    known.append(np.asarray(float(slot["value"])))
                else:
                    args = [known[i] for i in slot["inputs"]]
                    attrs = {k: tuple(v) if isinstance(v, list) else v
                             for k, v in slot["attributes"].items()}  # fmt: skip
                    known.append(PRIMITIVES[slot["operation"]].forward(*args, **attrs))
        for step in e.steps:
            slots = document["steps"][step.index]["slots"]
            for key in ("value", "local_value", "upstream"):
                wanted = getattr(step, key)
                if slots[key] is not None and wanted is not None:
                    assert close(known[slots[key]], wanted), (seed, step.index, key)
