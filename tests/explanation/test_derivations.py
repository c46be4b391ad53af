"""Derivations line by line: as in the lecture, and refused when a line is wrong."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import DerivativeError, UsageError
from chainrule.explanation.matrix.derivations import (
    ALGEBRA,
    DERIVATIONS,
    Derivation,
    Line,
    derivation,
)

SIGMOID = """\
Derivative of a sigmoid   [L4.7]

s = 1/(1 + exp(−b))                                            (1)
ds/db = exp(−b)/(exp(−b) + 1)²                                 (2)
      = (exp(−b) + 1 − 1)/(exp(−b) + 1 + 1 − 1)²               (3)
      = (exp(−b) + 1 − 1)/(exp(−b) + 1)²                       (4)
      = (exp(−b) + 1)/(exp(−b) + 1)² − 1/(exp(−b) + 1)²        (5)
      = 1/(exp(−b) + 1) − 1/(exp(−b) + 1)²                     (6)
      = 1/(exp(−b) + 1) − (1/(exp(−b) + 1) · 1/(exp(−b) + 1))  (7)
      = 1/(exp(−b) + 1) · (1 − 1/(exp(−b) + 1))                (8)
      = s (1 − s)                                              (9)"""


def test_the_sigmoid_in_the_nine_lines_of_the_lecture():
    printed = derivation("sigmoid").text().splitlines()
    width = len(SIGMOID.splitlines()[2])
    assert [line[:width] for line in printed] == SIGMOID.splitlines()


@pytest.mark.parametrize("name", DERIVATIONS)
def test_every_derivation_of_the_table_holds(name):
    found = derivation(name)
    assert all(line.step in ALGEBRA for line in found.lines)
    assert len(found.text().splitlines()) >= len(found.lines)
    assert found.latex().count("{") == found.latex().count("}")
    assert found.markdown()
    document = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert len(document["lines"]) == len(found.lines)


@pytest.mark.parametrize(
    ("name", "last"),
    [
        ("sigmoid", "s * (1 - s)"),
        ("tanh", "1 - t**2"),
        ("softplus", "logistic(x)"),
        ("softmax", "diag(s) - s @ s.T"),
        ("softmax_cross_entropy", "s - y"),
        ("logistic_cross_entropy", "y - t"),
    ],
)
def test_each_ends_as_in_the_lectures(name, last):
    assert derivation(name).lines[-1].expression == last


def test_the_last_line_of_the_sigmoid_is_the_engines_gradient():
    s = 1 / (1 + np.exp(-0.7))
    assert cr.grad(lambda b: 1 / (1 + np.exp(-b)))(0.7) == pytest.approx(s * (1 - s), rel=1e-13)


@pytest.mark.parametrize("name", DERIVATIONS)
def test_a_wrong_line_anywhere_is_refused_by_its_number(name):
    """Each line in turn is doubled: the check names that line."""
    whole = DERIVATIONS[name]
    for n in range(2, len(whole.lines) + 1):
        lines = list(whole.lines)
        lines[n - 1] = replace(lines[n - 1], expression=f"2*({lines[n - 1].expression})")
        with pytest.raises(DerivativeError, match=rf"line \({n}\) is not equal to"):
            replace(whole, lines=tuple(lines)).verified()


@pytest.mark.parametrize(
    ("n", "wrong"),
    [
        (2, "-exp(-b) / (exp(-b) + 1)**2"),
        (3, "(exp(-b) + 1 - 1) / (exp(-b) + 1 + 1)**2"),
        (6, "1 / (exp(-b) + 1) - 1 / (exp(-b) + 1)"),
        (9, "s * (s - 1)"),
    ],
)
def test_plausible_wrong_lines_of_the_sigmoid_are_refused(n, wrong):
    lines = list(DERIVATIONS["sigmoid"].lines)
    lines[n - 1] = Line(wrong, lines[n - 1].step)
    with pytest.raises(DerivativeError) as caught:
        replace(DERIVATIONS["sigmoid"], lines=tuple(lines)).verified()
    assert f"line ({n}) is not equal to" in str(caught.value)
    assert lines[n - 1].step in str(caught.value)
    assert wrong in str(caught.value)


def test_a_derivation_of_ones_own_is_tried_too():
    mine = Derivation(
        "The square of a sine", "f", "x", sizes={"x": ()},
        lines=(Line("sin(x)**2", "definition"), Line("2*sin(x)*cos(x)", "chain rule"),
               Line("sin(2*x)", "double angle")),
    )  # fmt: skip
    assert "sin(2 x)" in mine.verified().text()


def test_unknown_names_are_refused():
    with pytest.raises(UsageError, match="no derivation is called 'relu'; there are sigmoid"):
        derivation("relu")
    wrong = replace(
        DERIVATIONS["tanh"], lines=(*DERIVATIONS["tanh"].lines, Line("1 - q**2", "definition"))
    )
    with pytest.raises(UsageError, match="q is not defined"):
        wrong.verified()


def test_a_derivation_hangs_on_explain():
    from chainrule.explanation import explain

    assert explain.derivation("softmax").lines == DERIVATIONS["softmax"].lines
    assert explain.matrix("trace(A @ X)", "X").derivative_text == "Aᵀ"
