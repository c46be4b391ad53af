"""Matrix derivatives: as textbooks print them, and true by the engine."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.errors import ChainruleError, DerivativeError, UsageError
from chainrule.explanation.formula.parsing import parse
from chainrule.explanation.matrix import differential as matrix_differential
from chainrule.explanation.matrix import simplify as matrix_simplify
from chainrule.explanation.matrix import text as matrix_text
from chainrule.explanation.matrix.build import build, differential, template
from chainrule.explanation.matrix.explaining import expression, matrix
from chainrule.explanation.matrix.functions import DIFFERENTIALS, ELEMENTWISE, FUNCTIONS
from chainrule.explanation.matrix.numeric import (
    engine_derivative,
    evaluate,
    points,
    well_posed,
)
from chainrule.explanation.matrix.simplify import REWRITES, simplify
from chainrule.explanation.matrix.table import (
    chain_rule_question,
    common_derivatives,
    derivative_types,
)
from chainrule.explanation.matrix.tree import symbol, transpose
from tests.helpers.places import DOCS

# expression, wrt, denominator layout, numerator layout, declarations
IDENTITIES = [
    ("x.T @ b", "x", "b", "b.T", {}),
    ("b.T @ x", "x", "b", "b.T", {}),
    ("x.T @ x", "x", "2 * x", "2 * x.T", {}),
    ("x.T @ B @ x", "x", "(B + B.T) @ x", "x.T @ (B + B.T)", {}),
    ("x.T @ B @ x", "x", "2 * B @ x", "2 * x.T @ B", {"symmetric": ["B"]}),
    ("x.T @ B @ x / 2 - b.T @ x", "x", "B @ x - b", "(B @ x - b).T", {"symmetric": ["B"]}),
    ("a.T @ X @ b", "X", "a @ b.T", "b @ a.T", {}),
    ("a.T @ X.T @ b", "X", "b @ a.T", "a @ b.T", {}),
    ("a.T @ X.T @ X @ b", "X", "X @ (a @ b.T + b @ a.T)", "(a @ b.T + b @ a.T) @ X.T", {}),
    ("norm2(W @ x)", "x", "2 * W.T @ W @ x", "2 * x.T @ W.T @ W", {}),
    ("norm2(W @ x)", "W", "2 * W @ x @ x.T", "2 * x @ x.T @ W.T", {}),
    ("norm2(A @ x - b)", "x", "2 * A.T @ (A @ x - b)", "2 * (A @ x - b).T @ A", {}),
    ("norm2(b - A @ x)", "x", "-2 * A.T @ (b - A @ x)", "-2 * (b - A @ x).T @ A", {}),
    ("(A @ x - b).T @ (A @ x - b)", "x", "2 * A.T @ (A @ x - b)", "2 * (A @ x - b).T @ A", {}),
    ("norm2(X)", "X", "2 * X", "2 * X.T", {}),
    ("norm(x)", "x", "x / norm(x)", "x.T / norm(x)", {}),
    ("norm(x - a)", "x", "(x - a) / norm(x - a)", "(x - a).T / norm(x - a)", {}),
    ("trace(X)", "X", "eye(n)", "eye(n)", {}),
    ("trace(A @ X)", "X", "A.T", "A", {}),
    ("trace(A.T @ X)", "X", "A", "A.T", {}),
    ("trace(A @ X.T)", "X", "A", "A.T", {}),
    ("trace(A @ X @ B)", "X", "A.T @ B.T", "B @ A", {}),
    ("trace(A @ X.T @ B)", "X", "B @ A", "A.T @ B.T", {}),
    ("trace(X.T @ X)", "X", "2 * X", "2 * X.T", {}),
    ("trace(X @ X)", "X", "2 * X.T", "2 * X", {}),
    ("trace(X.T @ A @ X)", "X", "(A + A.T) @ X", "X.T @ (A + A.T)", {}),
    ("trace(X @ A @ X.T)", "X", "X @ (A + A.T)", "(A + A.T) @ X.T", {}),
    ("trace(A @ X @ B @ X.T)", "X", "A @ X @ B + A.T @ X @ B.T", "B @ X.T @ A + B.T @ X.T @ A.T",
     {}),
    ("trace(A @ X @ B @ X)", "X", "A.T @ X.T @ B.T + B.T @ X.T @ A.T", "A @ X @ B + B @ X @ A",
     {}),
    ("trace(inv(X) @ A)", "X", "-inv(X).T @ A.T @ inv(X).T", "-inv(X) @ A @ inv(X)", {}),
    ("a.T @ inv(X) @ b", "X", "-inv(X).T @ a @ b.T @ inv(X).T", "-inv(X) @ b @ a.T @ inv(X)", {}),
    ("det(X)", "X", "det(X) * inv(X).T", "det(X) * inv(X)", {}),
    ("logdet(X)", "X", "inv(X).T", "inv(X)", {}),
    ("logdet(X)", "X", "inv(X)", "inv(X)", {"symmetric": ["X"]}),
    ("det(A @ X @ B)", "X", "det(A @ X @ B) * A.T @ inv(A @ X @ B).T @ B.T",
     "det(A @ X @ B) * B @ inv(A @ X @ B) @ A", {}),
    ("logdet(X.T @ X)", "X", "2 * X @ inv(X.T @ X)", "2 * inv(X.T @ X) @ X.T", {}),
    ("sum(x)", "x", "ones(n, 1)", "ones(1, n)", {}),
    ("sum(exp(x))", "x", "exp(x)", "exp(x).T", {}),
    ("sum(A * X)", "X", "A", "A.T", {}),
    ("sum(A @ X)", "X", "A.T @ ones(k, 1) @ ones(1, m)", "ones(m, 1) @ ones(1, k) @ A", {}),
    ("sum(log(x))", "x", "1 / x", "(1 / x).T", {}),
    ("logsumexp(z)", "z", "softmax(z)", "softmax(z).T", {}),
    ("sum(logistic(x))", "x", "logistic(x) * (1 - logistic(x))",
     "(logistic(x) * (1 - logistic(x))).T", {}),
    ("softmax_cross_entropy(z, y)", "z", "softmax(z) - y", "(softmax(z) - y).T", {}),
    ("-y.T @ log(softmax(z))", "z", "softmax(z) - y", "(softmax(z) - y).T",
     {"probabilities": ["y"]}),
    ("-sum(y * log(softmax(z)))", "z", "softmax(z) - y", "(softmax(z) - y).T",
     {"probabilities": ["y"]}),
    ("softmax_cross_entropy(X @ Theta, Y) / m", "Theta",
     "1 / m * X.T @ (softmax(X @ Theta) - Y)", "1 / m * (softmax(X @ Theta) - Y).T @ X", {}),
    ("binary_cross_entropy(X @ w, y) / m", "w", "1 / m * X.T @ (logistic(X @ w) - y)",
     "1 / m * (logistic(X @ w) - y).T @ X", {}),
    ("-sum(y * log(logistic(X @ w)) + (1 - y) * log(1 - logistic(X @ w))) / m", "w",
     "1 / m * X.T @ (logistic(X @ w) - y)", "1 / m * (logistic(X @ w) - y).T @ X", {}),
    ("norm2(X @ w - y) / (2 * m) + lam / 2 * norm2(w)", "w", "1 / m * X.T @ (X @ w - y) + lam * w",
     "(1 / m * X.T @ (X @ w - y) + lam * w).T", {}),
    ("softmax_cross_entropy(W2 @ a + b2, y)", "a", "W2.T @ (softmax(W2 @ a + b2) - y)",
     "(softmax(W2 @ a + b2) - y).T @ W2", {}),
    ("d.T @ relu(W @ x + b)", "W", "(d * step(W @ x + b)) @ x.T",
     "x @ (d * step(W @ x + b)).T", {}),
    # vector by vector
    ("x", "x", "eye(n)", "eye(n)", {}),
    ("x.T @ B", "x", "B", "B.T", {}),
    ("A @ x", "x", "A.T", "A", {}),
    ("W @ x + b", "b", "eye(n)", "eye(n)", {}),
    ("a * x", "x", "diag(a)", "diag(a)", {}),
    ("exp(x)", "x", "diag(exp(x))", "diag(exp(x))", {}),
    ("tanh(W @ x + b)", "x", "W.T @ diag(1 - tanh(W @ x + b)**2)",
     "diag(1 - tanh(W @ x + b)**2) @ W", {}),
    ("softmax(z)", "z", "diag(softmax(z)) - softmax(z) @ softmax(z).T",
     "diag(softmax(z)) - softmax(z) @ softmax(z).T", {}),
    ("x * (x.T @ b)", "x", "(x.T @ b) * eye(n) + b @ x.T", "(x.T @ b) * eye(n) + x @ b.T", {}),
    # by a scalar
    ("t * a", "t", "a.T", "a", {"sizes": {"t": ()}}),
    ("a + t**2 * b", "t", "2 * t * b.T", "2 * t * b", {"sizes": {"t": ()}}),
    ("t * A", "t", "A.T", "A", {"sizes": {"t": ()}}),
    ("exp(t * X)", "t", "(exp(t * X) * X).T", "exp(t * X) * X", {"sizes": {"t": ()}}),
    ("b * x**2", "x", "2 * b * x", "2 * b * x", {"sizes": {"b": (), "x": ()}}),
    ("1 / (1 + exp(-b))", "b", "logistic(b) * (1 - logistic(b))",
     "logistic(b) * (1 - logistic(b))", {"sizes": {"b": ()}}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("source", "wrt", "denominator", "numerator", "declared"),
    IDENTITIES,
    ids=[f"{i[0]} by {i[1]}" for i in IDENTITIES],
)
def test_identities_come_out_as_textbooks_print_them(source, wrt, denominator, numerator, declared):
    for layout, printed in (("denominator", denominator), ("numerator", numerator)):
        result = matrix(source, wrt, layout, **declared)
        assert result.derivative_code == printed
        assert result.check.difference < 1e-9
        # once more apart from matrix()'s own check: the engine, sizes of another seed
        tried = points(result.symbols, seed=99)
        point = next(p for p in tried if well_posed(result.function, p))
        engine = engine_derivative(result.function, wrt, point)
        found = np.asarray(evaluate(result.derivative, point))
        if found.ndim:
            wanted = engine.reshape(found.T.shape if layout == "numerator" else found.shape)
            wanted = wanted.T if layout == "numerator" else wanted
            if result.kind in ("vector by vector", "vector by scalar", "matrix by scalar"):
                full = engine.reshape(-1, engine.shape[2] * engine.shape[3])
                if result.kind == "matrix by scalar":
                    full = engine.reshape(engine.shape[:2])
                wanted = full if layout == "numerator" else full.T
        else:
            wanted = engine.reshape(())
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)


def test_there_are_at_least_forty_identities():
    assert len({(i[0], i[1]) for i in IDENTITIES}) >= 40


def test_the_issues_example():
    result = matrix("trace(A @ X @ B)", wrt="X", layout="denominator")
    assert result.derivative_text == "Aᵀ Bᵀ"
    assert result.derivative_latex == r"\mathbf{A}^{\top} \mathbf{B}^{\top}"
    assert result.shape == ("n", "m")
    assert [text for text, _, _ in _factors(result)] == ["Aᵀ", "Bᵀ"]
    assert [shape for _, _, shape in _factors(result)] == ["n×k", "k×m"]
    assert "cyclic trace" in str(result)


def _factors(result):
    from chainrule.explanation.matrix.report import factors

    return [f for term in factors(result.derivative) for f in term]


def test_sizes_may_be_given_by_name_or_number():
    result = matrix("trace(A @ X @ B)", wrt="X", X=("p", 4))
    assert result.shape == ("p", 4)
    assert result.symbols["B"].shape[0] == 4


@pytest.mark.parametrize(
    ("source", "wrt", "entry"),
    [
        ("A @ X @ B", "X", "A_ik B_lj"),
        ("X @ a", "X", "a_l δ_ik"),
        ("X @ X.T", "X", "X_jl δ_ik + X_il δ_jk"),
        ("inv(X)", "X", "−[X⁻¹]_ik [X⁻¹]_lj"),
        ("x @ x.T", "x", "x_j δ_ik + x_i δ_jk"),
        ("exp(X)", "X", "[exp(X)]_ij δ_ik δ_jl"),
        ("diag(x)", "x", "δ_ij δ_ik"),
    ],
)
def test_what_has_four_indices_is_given_entry_by_entry(source, wrt, entry):
    result = matrix(source, wrt)
    assert result.derivative is None
    assert result.derivative_text == entry
    assert "entry by entry" in result.notes[-1]
    assert result.check.difference < 1e-9
    assert r"\frac{\partial F_{" in result.latex()


# The lecture's pages (L4.9) ----------------------------------------------------------------


def test_the_table_of_types_has_the_shapes_of_the_lecture():
    table = derivative_types("denominator")
    assert table["scalar"] == {"scalar": (), "vector": (1, "M"), "matrix": ("N", "M")}
    assert table["vector"]["scalar"] == ("P", 1)  # "a column vector"
    assert table["vector"]["vector"] == ("P", "M")  # "a P × M matrix"
    assert table["matrix"]["scalar"] == ("P", "Q")
    numerator = derivative_types("numerator")
    assert numerator["vector"]["scalar"] == (1, "P")  # "a row vector"
    assert numerator["vector"]["vector"] == ("M", "P")
    assert numerator["vector"]["matrix"] is None


@pytest.mark.parametrize("layout", ["denominator", "numerator"])
def test_the_table_of_types_is_what_matrix_returns(layout):
    table = derivative_types(layout)
    for of in ("scalar", "vector", "matrix"):
        assert _by_scalar(of, layout).shape == (table["scalar"][of] or (1, 1))
    assert matrix("x.T @ b", "x", layout, x=("P",)).shape == table["vector"]["scalar"]
    result = matrix("A @ x", "x", layout, x=("P",), A=("M", "P"))
    assert result.shape == table["vector"]["vector"]
    assert matrix("sum(X)", "X", layout, X=("P", "Q")).shape == table["matrix"]["scalar"]


def _by_scalar(of, layout):
    source, sizes = {
        "scalar": ("c * t", {"c": ()}),
        "vector": ("t * a", {"a": ("M",)}),
        "matrix": ("t * A", {"A": ("M", "N")}),
    }[of]
    return matrix(source, "t", layout, t=(), **sizes)


def test_the_lectures_common_derivatives():
    printed = [r.derivative_text for r in common_derivatives()]
    assert printed == ["b", "b", "2 x", "2 b x", "B", "b", "2 x", "2 B x"]


def test_the_chain_rule_question_is_answered_with_the_reason_for_each_candidate():
    question = chain_rule_question()
    assert question.answer == "F"
    assert question.correct == "∂u/∂x ∂y/∂u"
    assert [c.right for c in question.candidates] == [False] * 5 + [True]
    reasons = {c.letter: c.reason for c in question.candidates}
    assert "inner sizes M and P differ" in reasons["A"]
    assert "inner sizes K and P differ" in reasons["B"]
    assert "inner sizes M and K differ" in reasons["C"]
    assert "the transpose, the other layout's answer" in reasons["D"]
    assert "does not fit" in reasons["E"]
    assert chain_rule_question("numerator").answer == "A"


def test_the_chain_rule_in_denominator_layout_holds_for_numbers():
    # y = tanh(A u), u = exp(B x): multiply the two Jacobians as the answer says
    inner = matrix("exp(B @ x)", "x")
    outer = matrix("tanh(A @ u)", "u")
    whole = matrix("tanh(A @ exp(B @ x))", "x")
    for point in islice(points(whole.symbols, 5), 3):
        u = evaluate(inner.function, point)
        values = {**point.values, "u": u}
        found = evaluate(inner.derivative, point) @ evaluate(outer.derivative, point, values)
        np.testing.assert_allclose(found, evaluate(whole.derivative, point), rtol=1e-9)


# Every rule of the tables, tried by itself -------------------------------------------------


def _at(node_symbols, seed=3):
    return next(iter(points(node_symbols, seed)))


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_each_elementwise_derivative_agrees_with_the_engine(name):
    u = symbol("U", ("n", "m"))
    function = template(f"{name}(U)", U=u)
    slope = build(matrix_differential.slope(name), {"x": u, "J": function})
    tried = 0
    for point in islice(points({"U": u}, 4), 9):
        with np.errstate(all="ignore"):
            engine = engine_derivative(function, "U", point)
        if not np.all(np.isfinite(engine)):
            continue
        n, m = point.extent(u.shape)
        value = np.broadcast_to(evaluate(slope, point), (n, m))
        wanted = np.einsum("ij,ik,jl->ijkl", value, np.eye(n), np.eye(m))
        np.testing.assert_allclose(engine, wanted, rtol=1e-9, atol=1e-12)
        tried += 1
    assert tried >= 2


SHAPES = {"any": [("n", "n")], "vector": [("n", 1)], "row": [(1, "n")], "rows": [("n", "m")]}


@pytest.mark.parametrize("rule", DIFFERENTIALS, ids=lambda r: f"{r.function} {r.shape}")
def test_each_differential_agrees_with_the_engine(rule):
    for kind in rule.shape.split():
        for shape in SHAPES[kind]:
            symbols = {"U": symbol("U", shape)}
            if "V" in rule.function:
                symbols["V"] = symbol("V", shape)
            function = template(rule.function, **symbols)
            result = template(rule.result, **symbols)
            for wrt in symbols:
                point = _at(symbols)
                change = np.random.default_rng(1).normal(size=point.extent(shape))
                values = {**point.values, "d" + wrt: change}
                wanted = evaluate(differential(function), point, values, wrt)
                np.testing.assert_allclose(
                    evaluate(result, point, values, wrt), wanted, rtol=1e-9, atol=1e-12
                )


@pytest.mark.parametrize("rule", REWRITES, ids=lambda r: r.name)
@pytest.mark.parametrize("shape", [(1, 1), ("n", "m")], ids=["scalar", "matrix"])
def test_each_rewrite_keeps_the_value(rule, shape):
    if "softmax" in rule.pattern and shape == (1, 1):
        pytest.skip("softmax of a scalar is 1")
    u = symbol("U", shape)
    before, after = template(rule.pattern, U=u), template(rule.replacement, U=u)
    tried = 0
    for point in islice(points({"U": u}, 8), 6):
        with np.errstate(all="ignore"):
            x, y = (np.asarray(evaluate(e, point)) for e in (before, after))
        if np.all(np.isfinite(x)):
            np.testing.assert_allclose(np.broadcast_to(y, x.shape), x, rtol=1e-9, atol=1e-12)
            tried += 1
    assert tried
    assert simplify(before).key != before.key or before.key == after.key


# Random expressions ------------------------------------------------------------------------

SYMBOLS = {
    "A": ("n", "n"), "B": ("n", "n"), "S": ("n", "n"), "X": ("n", "n"), "C": ("n", "m"),
    "x": ("n",), "y": ("n",), "z": ("n",), "t": (), "s": (),
}  # fmt: skip


def _entry(a):
    return st.sampled_from(["tanh", "sin", "exp", "logistic", "cos", "softplus", "arctan"]).flatmap(
        lambda f: a.map(lambda e: f"{f}(0.5 * ({e}))" if f == "exp" else f"{f}({e})")
    )


def _squares(depth):
    leaf = st.sampled_from(["A", "X", "S", "X", "B.T", "X.T", "C @ C.T"])
    if not depth:
        return leaf
    m, v, s = (make(depth - 1) for make in (_squares, _vectors, _scalars))
    return st.one_of(
        leaf,
        st.tuples(m, m).map(lambda p: f"({p[0]}) @ ({p[1]})"),
        st.tuples(m, m).map(lambda p: f"(({p[0]}) + ({p[1]}))"),
        st.tuples(m, m).map(lambda p: f"({p[0]}) * ({p[1]})"),
        st.tuples(s, m).map(lambda p: f"({p[0]}) * ({p[1]})"),
        st.tuples(v, v).map(lambda p: f"({p[0]}) @ ({p[1]}).T"),
        m.map(lambda e: f"({e}).T"),
        m.map(lambda e: f"inv(3 * diag(y * y + 1) + tanh({e}))"),
        v.map(lambda e: f"diag({e})"),
        m.map(lambda e: f"softmax({e})"),
        _entry(m),
    )


def _vectors(depth):
    leaf = st.sampled_from(["x", "y", "z", "x"])
    if not depth:
        return leaf
    m, v, s = (make(depth - 1) for make in (_squares, _vectors, _scalars))
    return st.one_of(
        leaf,
        st.tuples(m, v).map(lambda p: f"({p[0]}) @ ({p[1]})"),
        st.tuples(v, v).map(lambda p: f"(({p[0]}) - ({p[1]}))"),
        st.tuples(v, v).map(lambda p: f"({p[0]}) * ({p[1]})"),
        st.tuples(s, v).map(lambda p: f"({p[0]}) * ({p[1]})"),
        v.map(lambda e: f"softmax({e})"),
        v.map(lambda e: f"log_softmax({e})"),
        m.map(lambda e: f"diagonal({e})"),
        v.map(lambda e: f"({e})**2"),
        _entry(v),
    )


def _scalars(depth):
    leaf = st.sampled_from(["t", "s", "2", "1/3"])
    if not depth:
        return leaf
    m, v, s = (make(depth - 1) for make in (_squares, _vectors, _scalars))
    return st.one_of(
        st.tuples(v, v).map(lambda p: f"({p[0]}).T @ ({p[1]})"),
        m.map(lambda e: f"trace({e})"),
        m.map(lambda e: f"sum({e})"),
        m.map(lambda e: f"norm2({e})"),
        v.map(lambda e: f"sqrt(1 + norm2({e}))"),
        m.map(lambda e: f"logdet(4 * diag(y * y + 1) + tanh({e}))"),
        m.map(lambda e: f"det(diag(y * y + 1) + tanh({e}))"),
        v.map(lambda e: f"logsumexp({e})"),
        st.tuples(v, v).map(lambda p: f"softmax_cross_entropy({p[0]}, softmax({p[1]}))"),
        st.tuples(v, v).map(lambda p: f"binary_cross_entropy({p[0]}, logistic({p[1]}))"),
        st.tuples(s, s).map(lambda p: f"(({p[0]}) + ({p[1]}))"),
        st.tuples(s, s).map(lambda p: f"({p[0]}) * ({p[1]})"),
        st.tuples(s, s).map(lambda p: f"({p[0]}) / (1 + ({p[1]})**2)"),
        _entry(s),
    )


EXAMPLES = 300 if os.environ.get("CHAINRULE_FORMULAS") else 90
EXPRESSIONS = st.one_of(_scalars(3), _scalars(2), _vectors(2), _squares(2))


@settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
@given(source=EXPRESSIONS, wrt=st.sampled_from(["X", "x", "t"]), numerator=st.booleans())
def test_random_expressions_agree_with_the_engine(source, wrt, numerator):
    names = {name: size for name, size in SYMBOLS.items() if _uses(source, name)}
    if wrt not in names:
        wrt = next(
            (n for n in ("X", "x", "t", "y", "A", "z", "s", "B", "S", "C") if n in names), ""
        )
        if not wrt:
            return
    symmetric = ["S"] if "S" in names else []
    layout = "numerator" if numerator else "denominator"
    result = matrix(source, wrt, layout, symmetric=symmetric, sizes=names)
    assert result.check.difference < 1e-6
    assert result.text()
    assert result.markdown()
    json.dumps(result.to_json(), allow_nan=False)
    assert result.latex().count("{") == result.latex().count("}")


def _uses(source, name):
    import ast

    return any(isinstance(n, ast.Name) and n.id == name for n in ast.walk(ast.parse(source)))


@settings(max_examples=EXAMPLES // 2, deadline=None, derandomize=True)
@given(source=EXPRESSIONS)
def test_what_is_printed_as_code_reads_back_with_the_same_value(source):
    names = {name: size for name, size in SYMBOLS.items() if _uses(source, name)}
    node, symbols, _ = expression(source, sizes=names)
    from chainrule.explanation.matrix.text import code

    printed = code(node)
    if "ones(" in printed or "eye(" in printed or "zeros(" in printed:
        return
    kept = {name: size for name, size in names.items() if _uses(printed, name)}
    again, _, _ = expression(printed, sizes=kept)
    point = _at(symbols, 7)
    with np.errstate(all="ignore"):
        x, y = evaluate(node, point), evaluate(again, point)
        turned = evaluate(transpose(node), point)
    if np.all(np.isfinite(x)):
        np.testing.assert_allclose(y, x, rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(turned, np.transpose(x), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(
    ("source", "code", "text", "latex"),
    [
        ("(A * A).T", "(A**2).T", "(A∘²)ᵀ", r"\left({\mathbf{A}}^{\circ 2}\right)^{\top}"),
        ("inv(A * A)", "inv(A**2)", "(A∘²)⁻¹", r"\left({\mathbf{A}}^{\circ 2}\right)^{-1}"),
        ("inv((A * A).T)", "inv(A**2).T", "(A∘²)⁻ᵀ",
         r"\left({\mathbf{A}}^{\circ 2}\right)^{-\top}"),
        ("sqrt(A).T", "sqrt(A).T", "√(A)ᵀ", r"\sqrt{\mathbf{A}}^{\top}"),
    ],
)  # fmt: skip
def test_a_mark_on_a_power_is_put_on_its_brackets(source, code, text, latex):
    node, _, _ = expression(source, sizes={"A": (3, 3)})
    assert (matrix_text.code(node), matrix_text.text(node)) == (code, text)
    assert matrix_text.latex(node) == latex


# Checks that are seen to fail --------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "wrong", "source", "wrt"),
    [
        ("inv", "inv(U) @ d(U) @ inv(U)", "a.T @ inv(X) @ b", "X"),
        ("logdet", "trace(inv(U).T @ d(U))", "logdet(X)", "X"),
        ("det", "trace(inv(U) @ d(U))", "det(X)", "X"),
        ("norm2", "trace(U.T @ d(U))", "norm2(W @ x)", "W"),
        ("softmax", "softmax(U) * d(U)", "softmax(z)", "z"),
    ],
)
def test_a_wrong_rule_is_refused(monkeypatch, function, wrong, source, wrt):
    broken = tuple(
        replace(rule, result=wrong) if rule.function.startswith(function + "(") else rule
        for rule in DIFFERENTIALS
    )
    matrix(source, wrt)
    monkeypatch.setattr(matrix_differential, "DIFFERENTIALS", broken)
    with pytest.raises(DerivativeError, match=r"line 1 .*does not agree with the engine"):
        matrix(source, wrt)


def test_a_wrong_slope_is_refused(monkeypatch):
    wrong = parse("1 - tanh(x)").statements[0][1]
    monkeypatch.setattr(matrix_differential, "slope", lambda name: wrong)
    with pytest.raises(DerivativeError, match="element-wise chain rule"):
        matrix("sum(tanh(W @ x))", "W")


def test_a_wrong_simplification_is_refused(monkeypatch):
    wrong = matrix_simplify.Rewrite("wrong", "1 - logistic(U)", "logistic(U)")
    pattern = (wrong, template(wrong.pattern, U=symbol("U", ("?r", "?c"))))
    monkeypatch.setattr(matrix_simplify, "_patterns", lambda: (pattern,))
    with pytest.raises(DerivativeError, match="does not agree"):
        matrix("sum(logistic(x))", "x")


def test_a_wrong_layout_is_refused(monkeypatch):
    import chainrule.explanation.matrix.explaining as module

    monkeypatch.setattr(module, "transpose", lambda a: a)
    with pytest.raises((DerivativeError, ChainruleError)):
        matrix("trace(A @ X @ B)", "X", "numerator")


def test_a_function_that_is_never_finite_is_refused():
    with pytest.raises(DerivativeError, match="not finite at any of the random points"):
        matrix("log(-1 - x.T @ x)", "x")


# What is refused, and how ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "says", "under"),
    [
        ("trace(A @ X @ B", "does not parse", None),
        ("__import__('os')", "a string is not", "'os'"),
        ("__import__(x)", "no function is called __import__", "__import__"),
        ("x.__class__", "the only attribute is .T", "x.__class__"),
        ("x[0]", "Subscript has no place", "x[0]"),
        ("[x for x in y]", "a comprehension is not", "for"),
        ("lambda: x", "a lambda is not", "lambda"),
        ("x if y else z", "a choice is written", "if"),
        ("'a' @ x", "a string is not", "'a'"),
        ("x ^ y", "exponent must be a number", "y"),
        ("frobnicate(x)", "no function is called frobnicate", "frobnicate"),
        ("np.exp(x)", "the only attribute is .T", "np.exp"),
        ("exp(x, y)", "exp takes 1 argument", "exp"),
        ("exp(*x)", "a star before a value", "*x"),
        ("exp(x=1)", "named arguments", "=1"),
        ("x ** y", "exponent must be a number", "y"),
        ("x ** 1000", "between -64 and 64", "1000"),
        ("1e999 * x", "too large", "1e999"),
        ("1j * x", "a complex number", "1j"),
        ("True * x", "a bool is not", "True"),
        ("A @ x + y.T @ y", "a scalar is added to an array", "y.T"),
        ("x = 3", "one expression alone", "x = 3"),
        ("A @ 2 @ x", "a scalar does not enter @", "2"),
        ("trace(C) + sum(C @ C @ D @ x @ x)", "", None),
    ],
)
def test_what_is_outside_the_grammar_is_refused_with_a_caret(source, says, under):
    with pytest.raises(UsageError, match=says or ".") as caught:
        matrix(source, "x")
    lines = str(caught.value).split("\n")
    assert lines[-1].strip() == "^"
    if under is not None:
        assert lines[-2][lines[-1].index("^") :].startswith(under)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("", "is empty"),
        ("x" * 30_000, "30000 characters"),
        ("(" * 200 + "x" + ")" * 200, "brackets are open"),
        ("-" * 1500 + "x", "too many signs"),
        ("x" + ".T" * 900, "nested too deeply"),
        ("b\x00 @ x", "invisible character"),
        (3, "is text"),
    ],
)
def test_hostile_lengths_and_depths_are_refused(source, says):
    with pytest.raises(UsageError, match=says):
        matrix(source, "x")


def test_an_expression_that_explodes_is_refused_soon():
    with pytest.raises(UsageError, match="name an inner part"):
        matrix("softmax(" * 30 + "x" + ")" * 30, "x")


def test_huge_powers_of_numbers_do_not_take_forever():
    with pytest.raises((UsageError, DerivativeError)):
        matrix("(((9e9**64)**64)**64)**64 * x.T @ x", "x")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"wrt": "Q"}, "does not occur"),
        ({"wrt": "X", "layout": "mixed"}, "denominator"),
        ({"wrt": "X", "Q": ("n",)}, "does not occur"),
        ({"wrt": "X", "X": ("n", "m", "k")}, "at most two"),
        ({"wrt": "X", "X": (0, 1)}, "whole numbers"),
        ({"wrt": "X", "X": (2, 3), "A": (4, 5)}, "sizes"),
        ({"wrt": "X", "symmetric": ["Q"]}, "does not occur"),
    ],
)
def test_wrong_arguments_are_refused(arguments, says):
    with pytest.raises(UsageError, match=says):
        matrix("trace(A @ X)", **arguments)


def test_a_dependent_symmetric_matrix_must_be_square():
    with pytest.raises(UsageError, match="declared symmetric"):
        matrix("a.T @ X @ b", "X", symmetric=["X"], X=("n", "m"))


def test_the_json_says_everything_and_is_plain():
    document = json.loads(json.dumps(matrix("trace(A @ X @ B)", "X").to_json()))
    assert document["schema"] == "chainrule.matrix-derivative/1"
    assert document["derivative"]["code"] == "A.T @ B.T"
    assert document["steps"][-1]["left"] == "∂F/∂X"
    assert document["symbols"]["B"] == {"shape": ["m", "k"], "flags": []}


def test_the_grammar_of_the_guide_names_every_function():
    guide = (DOCS / "matrix-calculus.md").read_text()
    table = guide[guide.index("## The grammar") : guide.index("## Layouts")]
    assert [name for name in FUNCTIONS if not re.search(rf"\b{name}\b", table)] == []


def test_the_same_seed_gives_the_same_words():
    assert str(matrix("trace(A @ X @ B)", "X", seed=3)) == str(
        matrix("trace(A @ X @ B)", "X", seed=3)
    )


@pytest.mark.parametrize(
    ("source", "wrt", "wanted"),
    [
        ("x'*vector(1)", "x", "ones(n, 1)"),
        ("tr((X+eye(3))'*A)", "X", "A"),
        ("tr(A @ matrix(1) @ X)", "X", "ones(n, 1) @ ones(1, k) @ A.T"),
        ("mean(x)", "x", "ones(n, 1) / sum(ones(n, 1))"),
        ("mean((X w - y)^2)", "w", "2 / sum(ones(m, 1)) * X.T @ (X @ w - y)"),
        ("sum(relu(X @ W + b))", "W", "X.T @ step(X @ W + ones(k, 1) @ b.T)"),
        ("sum(relu(X @ W + b))", "b", "step(X @ W + ones(m, 1) @ b.T).T @ ones(m, 1)"),
    ],
)
def test_constants_means_and_a_row_of_biases(source, wrt, wanted):
    result = matrix(source, wrt)
    assert result.check.difference < 1e-6
    assert result.derivative_code == wanted


@pytest.mark.parametrize(
    ("source", "numerator", "denominator"),
    [
        ("A @ X @ B", "Bᵀ ⊗ A", "B ⊗ Aᵀ"),
        ("X x", "xᵀ ⊗ I", "x ⊗ I"),
        ("X^2", "Xᵀ ⊗ I + I ⊗ X", "X ⊗ I + I ⊗ Xᵀ"),
        ("inv(X)", "−X⁻ᵀ ⊗ X⁻¹", "−X⁻¹ ⊗ X⁻ᵀ"),
        ("exp(X)", "diag(vec(exp(X)))", "diag(vec(exp(X)))"),
        ("m * X.T", "m K", "m Kᵀ"),
        ("A @ X.T", "(I ⊗ A) K", "Kᵀ (I ⊗ Aᵀ)"),
        ("trace(X) * X", None, None),
    ],
)
def test_arrays_by_arrays_as_kronecker_products(source, numerator, denominator):
    for layout, wanted in (("numerator", numerator), ("denominator", denominator)):
        result = matrix(source, "X", layout)
        assert result.kronecker_text == wanted
        assert not wanted or wanted in result.text()
        assert result.to_json()["index_notation"]["kronecker"] == wanted


def test_a_wrong_kronecker_product_is_refused(monkeypatch):
    from chainrule.explanation.matrix import kronecker

    monkeypatch.setattr(kronecker, "transpose", lambda a: a)
    with pytest.raises((DerivativeError, ValueError)):
        matrix("A @ X @ B", "X", X=(3, 3), A=(3, 3), B=(3, 3))


@pytest.mark.parametrize(
    ("source", "wrt", "hessian", "declared"),
    [
        ("x.T @ B @ x / 2 - b.T @ x", "x", "B", {"symmetric": ["B"]}),
        ("norm2(A @ x - b) / 2", "x", "Aᵀ A", {}),
        ("sum(exp(A @ x))", "x", "Aᵀ diag(exp(A x)) A", {}),
        ("logsumexp(z)", "z", "diag(softmax(z)) − softmax(z) softmax(z)ᵀ", {}),
        ("binary_cross_entropy(X @ w, y) / m", "w",
         "1/m Xᵀ diag(σ(X w) ⊙ (1 − σ(X w))) X", {}),
        ("x**3", "x", "6 x", {"sizes": {"x": ()}}),
    ],
)  # fmt: skip
def test_second_derivatives(source, wrt, hessian, declared):
    assert matrix(source, wrt, order=2, **declared).derivative_text == hessian


def test_second_derivatives_by_a_matrix():
    assert matrix("tr(X.T @ A @ X)", "X", order=2).kronecker_text == "I ⊗ (A + Aᵀ)"
    with pytest.raises(UsageError, match="1 or 2"):
        matrix("x.T @ x", "x", order=3)
    with pytest.raises(UsageError, match="no second derivative"):
        matrix("A @ X", "X", order=2)
