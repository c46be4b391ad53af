"""Typed expressions: what is understood, and how everything else is refused."""

from __future__ import annotations

import contextlib
import math

import numpy as np
import pytest

from chainrule.errors import UsageError
from chainrule.explanation import explain
from chainrule.explanation.formula.parsing import ExpressionError, parse, parse_value
from chainrule.explanation.formula.vocabulary import FUNCTIONS


@pytest.mark.parametrize(
    ("text", "values", "wanted"),
    [
        ("cos(sin(x**2) + 3*x**2)", {"x": 1.0}, -0.7649205628036),
        ("(x + y)*z", {"x": -2.0, "y": 5.0, "z": -4.0}, -12.0),
        ("-x**2", {"x": 3.0}, -9.0),
        ("2*pi*r", {"r": 1.0}, 2 * math.pi),
        ("e**x", {"x": 1.0}, math.e),
        ("e*x", {"x": 2.0, "e": 3.0}, 6.0),
        ("t = x**2; u = sin(t); u + t", {"x": 1.0}, 1 + math.sin(1)),
        ("sigma(a)", {"a": 0.0}, 0.5),
        ("max(x, 0) + min(x, 0) + abs(x)", {"x": -2.0}, 0.0),
        ("where(x > 0, x, 2*x)", {"x": -1.0}, -2.0),
        ("x % 3", {"x": 7.0}, 1.0),
        ("pow(x, 3) + relu(x) + softplus(0*x) - log(2)", {"x": 2.0}, 10.0),
    ],
)
def test_expressions_are_understood(text: str, values: dict[str, float], wanted: float) -> None:
    e = explain.expression(text, **values)
    assert float(e.value) == pytest.approx(wanted, rel=1e-12)
    assert all(result.check.agrees for result in e.results)


def test_arrays_and_indices() -> None:
    e = explain.expression("a = W @ x; a[0]*a[1] + W[0, -1]", W=[[1, 2], [3, 4]], x=[1, -1])
    np.testing.assert_allclose(e.value, (1 - 2) * (3 - 4) + 2)
    np.testing.assert_allclose(e.gradient[1], [-1 * 1 + 3 * -1, 2 * -1 + 4 * -1])


def test_names_of_the_output() -> None:
    assert parse("x**2").__name__ == "J"
    assert parse("x*y").__name__ == "f"
    assert parse("loss = x*y").__name__ == "loss"


HOSTILE = [
    ("x.__class__", "attribute", 0),
    ("().__class__.__bases__[0]", "nothing stands", 1),
    ("__import__('os').system('true')", "string", 11),
    ("__import__", "underscores", 0),
    ("eval('1')", "string", 5),
    ("open(x)", "no function is called open", 0),
    ("[x for x in y]", "comprehension", 3),
    ("{x: 1 for x in y}", "slice", 2),
    ("sum(x for x in y)", "comprehension", 6),
    ("1 + 'a'", "string", 4),
    ('b"a"', "string", 1),
    ('f"{x}"', "string", 1),
    ("x[y]", "index is a whole number", 2),
    ("x['a']", "string", 2),
    ("x[0:1]", "index is a whole number", 3),
    ("x[1.5]", "index is a whole number", 2),
    ("x[True]", "bool", 2),
    ("lambda: 1", "lambda", 0),
    ("x if y else z", "where", 2),
    ("x and y", "where", 2),
    ("not x", "not part of an expression", 0),
    ("~x", "not part of an expression", 0),
    ("x << 2", "not part of an expression", 0),
    ("x // 2", "not part of an expression", 0),
    ("x is y", "not part of an expression", 2),
    ("x < y < z", "not part of an expression", 6),
    ("(x := 3)", "assigned before", 3),
    ("3j", "complex", 0),
    ("True", "bool", 0),
    ("None", "NoneType", 0),
    ("...", "a dot stands", 0),
    ("import os", "import", 0),
    ("from os import path", "import", 0),
    ("def f(): pass", "not an expression", 0),
    ("x += 1", "only names are assigned", 0),
    ("x = y = 1", "a second =", 6),
    ("x, y = 1", "only names are assigned", 0),
    ("del x", "not an expression", 0),
    ("sin", "is a function", 0),
    ("sin = 3; sin(x)", "is a function", 0),
    ("sin(x, y)", "takes 1 argument", 0),
    ("sin(x=1)", "named arguments", 5),
    ("sin(*x)", "star", 4),
    ("sin(**x)", "named arguments", 4),
    ("(sin)(x)(y)", "is a function", 1),
    ("x; y", "only the last", 0),
    ("x +", "does not parse", 3),
    ("(x", "does not parse", 2),
    ("2 3", "does not parse", 2),
    ("1" + "0" * 400, "too large", 0),
    ("x\x00", "invisible", 1),
    ("x\u202e + 1", "invisible", 1),
    ("foo(x)", "no function is called foo", 0),
    ("sin(cos(foo(x)))", "no function is called foo", 8),
    ("await x", "not part|not an", None),
    ("yield x", "not part|not an", None),
    ("{1, 2}", "comma", 2),
    ("{}", "does not parse", 1),
    ("[1, 2]", "list", 0),
    ("x @", "does not parse", None),
]


@pytest.mark.parametrize(("text", "why", "column"), HOSTILE)
def test_everything_else_is_refused_with_a_caret_under_the_place(
    text: str, why: str, column: int | None
) -> None:
    with pytest.raises(ExpressionError, match=why) as caught:
        parse(text)
    _, source, caret = str(caught.value).splitlines()
    assert caret.strip() == "^"
    assert len(caret) <= len(source) + 1
    if column is not None:
        assert caret.index("^") - 2 == column


@pytest.mark.parametrize(
    "text",
    [
        "x" * 3000,
        "(" * 60 + "x" + ")" * 60,
        "[" * 60 + "]" * 60,
        "-" * 500 + "x",
        "+".join(["x"] * 900),
        "sin(" * 39 + "x" + ")" * 39,
        "x**" * 600 + "x",
        "~" * 100 + "x",
        "\n" * 10,
        "",
        "   ",
        "#",
    ],
)
def test_limits_hold_before_and_after_parsing(text: str) -> None:
    """Nothing here may crash the parser or the walk: refused by name, or understood."""
    with contextlib.suppress(UsageError):
        parse(text)


def test_powers_of_constants_do_not_explode() -> None:
    with pytest.raises(UsageError):
        parse_value("x", "x")
    for power in ("9**9**9**9", "10**10**10", "2^2^2^2^2^2"):
        with pytest.raises(UsageError, match="too large for a float"):
            parse_value("x", power)
    assert parse_value("x", "-pi/4") == -math.pi / 4
    np.testing.assert_array_equal(parse_value("x", "[[1, -2], [0.5, 1e3]]"), [[1, -2], [0.5, 1000]])


@pytest.mark.parametrize(
    "text", ["a", "[1, [2]]", "open('x')", "x.y", "1; 2", "'a'", "[i for i in x]", "1j", "True", ""]
)
def test_values_are_numbers_and_lists_of_numbers(text: str) -> None:
    with pytest.raises(UsageError):
        parse_value("x", text)


def test_a_missing_or_extra_value_is_named() -> None:
    with pytest.raises(UsageError, match=r"y has no value: add y=1"):
        explain.expression("x*y", x=1.0)
    with pytest.raises(UsageError, match="z: the expression has no such name; it has: x"):
        explain.expression("x**2", x=1.0, z=2.0)


def test_the_caret_finds_its_place_beside_wide_and_accented_letters() -> None:
    with pytest.raises(ExpressionError) as caught:
        parse("größe*α + foo(x)")
    _, source, caret = str(caught.value).splitlines()
    assert source[caret.index("^") :].startswith("foo")


def test_every_function_of_the_table_explains() -> None:
    matrices = {"trace", "tr", "transpose", "det", "inv", "matmul", "outer"}
    for name, (_, count) in FUNCTIONS.items():
        if name in matrices:
            continue
        most = count if isinstance(count, int) else count[-1]
        args = ", ".join(("x", "y", "z")[:most]) if name != "where" else "x > 0, y, x"
        body = f"sum({name}({args}))" if name == "softmax" else f"{name}({args})"
        if name in ("isfinite", "indicator"):  # of truths
            body = f"{name}(x > 0) * x" if name == "indicator" else "where(isfinite(x), x, 0)"
        stem, over, _ = name.partition(" over axis")
        if over:
            body = f"{stem}(x) (over axis 0)"
        point = {"x": 1.3, "y": 0.7, "z": 0.4}
        used = {k: v for k, v in point.items() if k in args.replace("max", "")}
        if name in ("arcsin", "arccos", "asin", "acos", "arctanh"):
            used["x"] = 0.3
        if over or name in ("sum", "prod", "mean", "norm", "logsumexp", "softmax"):
            used = {"x": [0.5, -1.0]}
        if name == "dot":
            used = {"x": [0.5, -1.0], "y": [2.0, 1.0]}
        e = explain.expression(body, **used)
        assert all(r.check.agrees for r in e.results), name
