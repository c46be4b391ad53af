"""Derivatives as the Matrix Cookbook (Petersen and Pedersen) prints them and others of its kinds.

They are typed as on matrixcalculus.org; the printed answers are computed by NumPy.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule import explain

PRINTED: list[tuple[str, str, str, str]] = [
    ("a'*x", "x", "a", "denominator"),
    ("x'*a", "x", "a", "denominator"),
    ("a'*X*b", "X", "a@b.T", "denominator"),
    ("a'*X'*b", "X", "b@a.T", "denominator"),
    ("a'*X*a", "X", "a@a.T", "denominator"),
    ("b'*X'*X*c", "X", "X@(b@c.T+c@b.T)", "denominator"),
    ("(B*x+b)'*C*(D*x+c)", "x", "B.T@C@(D@x+c)+D.T@C.T@(B@x+b)", "denominator"),
    ("x'*B*x", "x", "(B+B.T)@x", "denominator"),
    ("b'*X'*D*X*c", "X", "D.T@X@b@c.T+D@X@c@b.T", "denominator"),
    ("(X*b+c)'*D*(X*b+c)", "X", "(D+D.T)@(X@b+c)@b.T", "denominator"),
    ("(x-A*y)'*W*(x-A*y)", "x", "(W+W.T)@(x-A@y)", "denominator"),
    ("(x-a)'*W*(x-a)", "a", "-(W+W.T)@(x-a)", "denominator"),
    ("(x-A*y)'*W*(x-A*y)", "A", "-(W+W.T)@(x-A@y)@y.T", "denominator"),
    ("tr(X)", "X", "I", "denominator"),
    ("tr(X*A)", "X", "A.T", "denominator"),
    ("tr(A*X*B)", "X", "A.T@B.T", "denominator"),
    ("tr(A*X'*B)", "X", "B@A", "denominator"),
    ("tr(X'*A)", "X", "A", "denominator"),
    ("tr(A*X')", "X", "A", "denominator"),
    ("tr(X^2)", "X", "2*X.T", "denominator"),
    ("tr(X^2*B)", "X", "(X@B+B@X).T", "denominator"),
    ("tr(X'*B*X)", "X", "B@X+B.T@X", "denominator"),
    ("tr(B*X*X')", "X", "B@X+B.T@X", "denominator"),
    ("tr(X*B*X')", "X", "X@B.T+X@B", "denominator"),
    ("tr(A*X*B*X)", "X", "A.T@X.T@B.T+B.T@X.T@A.T", "denominator"),
    ("tr(X'*X)", "X", "2*X", "denominator"),
    ("tr(B'*X'*C*X*B)", "X", "C.T@X@B@B.T+C@X@B@B.T", "denominator"),
    ("tr(X'*B*X*C)", "X", "B@X@C+B.T@X@C.T", "denominator"),
    ("tr(A*X*B*X'*C)", "X", "A.T@C.T@X@B.T+C@A@X@B", "denominator"),
    ("tr((A*X*B+C)*(A*X*B+C)')", "X", "2*A.T@(A@X@B+C)@B.T", "denominator"),
    ("tr(X^3)", "X", "3*(X@X).T", "denominator"),
    ("tr(A*X^3)", "X", "(X @ X @ A + X @ A @ X + A @ X @ X).T", "denominator"),
    ("tr(A*inv(X)*B)", "X", "-(inv(X)@B@A@inv(X)).T", "denominator"),
    ("tr(inv(X+A))", "X", "-(inv(X+A)@inv(X+A)).T", "denominator"),
    ("det(X)", "X", "det(X)*inv(X).T", "denominator"),
    ("log(det(X'*X))", "X", "2*inv(X).T", "denominator"),
    ("logdet(X)", "X", "inv(X).T", "denominator"),
    ("det(X^2)", "X", "2*det(X)**2*inv(X).T", "denominator"),
    ("det(X'*A*X)", "X", "2*det(X.T@A@X)*inv(X).T", "denominator"),
    ("a'*inv(X)*b", "X", "-inv(X).T@a@b.T@inv(X).T", "denominator"),
    ("det(inv(X))", "X", "-det(inv(X))*inv(X).T", "denominator"),
    ("norm2(X)^2", "X", "2*X", "denominator"),
    ("norm2(A*x-b)^2", "x", "2*A.T@(A@x-b)", "denominator"),
    ("sum((X*w-y).^2)", "w", "2*X.T@(X@w-y)", "denominator"),
    ("tr((X.*A)*B)", "X", "A*B.T", "denominator"),
    ("sum(log(exp(A*x)+vector(1)))", "x", "A.T@(1/(1+np.exp(-A@x)))", "denominator"),
    ("a'*(x.*x.*b)", "x", "2*x*a*b", "denominator"),
    ("exp(-x'*A*x/2)", "x", "-0.5*np.exp(-x.T@A@x/2)*((A+A.T)@x)", "denominator"),
    ("tr(sin(X))", "X", "np.diag(np.cos(np.diag(X)))", "denominator"),
    ("y'*log(1./(exp(-X*w)+vector(1)))", "w", "X.T@(y*(1-1/(1+np.exp(-X@w))))", "denominator"),
    ("norm1(x)", "x", "np.sign(x)", "denominator"),
    ("x'*adj(A)*x", "x", "(det(A)*inv(A)+(det(A)*inv(A)).T)@x", "denominator"),
    ("A*x", "x", "A", "numerator"),
    ("x*x'*a", "x", "(x.T@a)*I+x@a.T", "numerator"),
    ("inv(X)*a", "a", "inv(X)", "numerator"),
    ("x.*exp(x)", "x", "np.diag((np.exp(x)*(1+x)).ravel())", "numerator"),
]  # fmt: skip
"""The function, by what, the printed answer in NumPy, the layout."""


def values() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {
        **{name: rng.normal(size=(3, 3)) for name in "ABCDWX"},
        **{name: rng.normal(size=(3, 1)) for name in "abcwxy"},
        **{name: getattr(np.linalg, name) for name in ("inv", "det", "norm")},
        **{name: getattr(np, name) for name in ("exp", "log", "sin", "cos", "sign", "eye")},
        "np": np, "I": np.eye(3), "n": 3, "trace": np.trace, "norm2": lambda v: np.sum(v * v),
        "diag": np.diagflat, "logistic": lambda v: 1 / (1 + np.exp(-v)),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("typed", "wrt", "printed", "layout"), PRINTED, ids=[p[0] for p in PRINTED]
)
def test_the_printed_answer(typed: str, wrt: str, printed: str, layout: str) -> None:
    found = explain.matrix(typed, wrt, layout=layout)
    there = values()
    wanted = eval(printed, there)
    assert np.allclose(eval(found.derivative_code, there), wanted, rtol=1e-9)
