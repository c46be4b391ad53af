"""Where numbers stop being finite: planted in random programs, in formulas of the known kinds, and
not where an infinity is meant. ``CHAINRULE_PLANTED=500`` plants that many (40 otherwise)."""

from __future__ import annotations

import ast
import inspect
import os
import pickle
from typing import Any

import numpy as np
import pytest
import scipy.special

import chainrule as cr
from chainrule import nn, optim, train
from chainrule.diagnosis import NonFiniteOriginError, NonFiniteReport, nonfinite, origin_of
from chainrule.train.monitor import all_finite
from tests.helpers import numerical_formulas as formulas
from tests.helpers.numerical_formulas import FORMULAS, Formula
from tests.helpers.planted import healthy, planted

PLANTED = int(os.environ.get("CHAINRULE_PLANTED", "40"))
HEALTHY = 200 if PLANTED >= 500 else 24
WAYS = {
    "eager": lambda f: f,
    "numpy": lambda f: cr.jit(f, executor="numpy"),
    "native": lambda f: cr.jit(f, executor="native"),
}


def named(report: Any, direction: str) -> Any:
    return report.forward if direction == "forward" else report.backward


@pytest.mark.parametrize("way", WAYS)
def test_a_planted_value_is_named(way: str) -> None:
    missed = []
    for seed in range(PLANTED if way != "native" or PLANTED >= 500 else 6):
        program = planted(seed)
        f = WAYS[way](cr.value_and_grad(program.f, argnums=(0, 1)))
        with np.errstate(all="ignore"), cr.trace_nonfinite("collect") as traced:
            f(*program.args)
        (report,) = traced.reports or (None,)
        if report is None:
            missed.append((seed, "no report"))
            continue
        origin = named(report, program.direction)
        if program.direction == "backward" and report.forward is not None:
            missed.append((seed, "a forward operation is blamed"))
        elif origin is None or origin.place is None or origin.place.scope != "planted":
            missed.append((seed, str(report)))
        elif origin.index != program.index:
            missed.append((seed, f"{origin.index} for {program.index}"))
    assert not missed, missed[:3]


@pytest.mark.parametrize("way", WAYS)
def test_what_is_hidden_on_purpose_is_left_alone(way: str) -> None:
    for seed in range(HEALTHY if way != "native" or PLANTED >= 500 else 12):
        f, args = healthy(seed)
        with np.errstate(all="ignore"), cr.trace_nonfinite("collect") as traced:
            value, gradients = WAYS[way](cr.value_and_grad(f, argnums=(0, 1)))(*args)
        assert all_finite([np.asarray(value), *gradients]), f.__name__
        assert traced.reports == [], f.__name__


def plain(text: str) -> str:
    return ast.unparse(ast.parse(text.strip(), mode="eval"))


@pytest.mark.parametrize("formula", FORMULAS, ids=lambda one: one.f.__name__)
def test_the_expression_is_named_and_a_finite_form_is_offered(formula: Formula) -> None:
    report = nonfinite(cr.value_and_grad(formula.f), *formula.args)
    assert report is not None
    origin = named(report, formula.direction)
    assert plain(origin.place.text) == plain(formula.origin)
    assert formula.direction == "forward" or report.forward is None
    assert (report.fix is not None) == formula.fixed
    if report.fix is not None:
        for change in report.fix.changes:
            assert change.after
            assert change.line.startswith(formulas.__file__)


def test_there_are_forty_formulas_and_all_kinds() -> None:
    assert len(FORMULAS) == 40
    assert len({one.kind for one in FORMULAS}) == 12
    assert sum(one.fixed for one in FORMULAS) >= 30


COMPILED = [one for one in FORMULAS if one.kind in ("exp overflow", "softmax", "1 - y")]


@pytest.mark.parametrize("formula", COMPILED, ids=lambda one: one.f.__name__)
def test_the_code_that_is_printed_computes_what_it_says(formula: Formula) -> None:
    """The changes are made in the text of the function, which is then run."""
    report = nonfinite(cr.value_and_grad(formula.f), *formula.args)
    assert report is not None
    assert report.fix is not None
    source = inspect.getsource(formula.f)
    source = source[source.index("def ") :]
    for change in report.fix.changes:
        if change.before not in source or not change.is_code:
            continue  # inside of what an earlier change took away, or known as a formula only
        source = source.replace(change.before, f"({change.after})")
    module: dict[str, Any] = {"np": np, "cr": cr, "scipy": scipy, "Any": Any}
    exec(source, module)
    with np.errstate(all="ignore"):  # what is no longer used may still overflow
        value, gradient = cr.value_and_grad(module[formula.f.__name__])(*formula.args)
    assert f"re-run: value {float(value):.6g}, " in report.fix.proof
    assert np.isfinite(gradient).all()


def test_a_sum_of_one_and_an_exponential_is_not_summed_over_its_entries() -> None:
    def loss(x: Any) -> Any:
        return np.sum(np.log(1 + np.exp(x)))

    report = nonfinite(cr.value_and_grad(loss), np.array([1.0, 800.0, -3.0]))
    assert report is not None
    assert report.fix is not None
    assert [one.after for one in report.fix.changes] == ["np.logaddexp(0, x)"]


# What is said, and where ------------------------------------------------------------------------


def mean_root(r: Any) -> Any:
    s = np.sqrt(r) @ np.full(3, 1 / 3)
    return np.where(np.all(r == 0), 1.0, s)


def test_the_trap_behind_a_where_is_recognised() -> None:
    report = nonfinite(cr.grad(mean_root), np.zeros(3))
    assert report is not None
    origin = report.backward
    assert origin is not None
    assert origin.edge is not None
    assert (origin.edge.upstream, origin.edge.local) == (0.0, np.inf)
    assert np.isnan(origin.edge.product)
    assert origin.hidden_by is not None
    assert origin.hidden_by.text == "np.where(np.all(r == 0), 1.0, s)"
    assert report.fix is not None
    assert report.fix.changes[0].after == "np.sqrt(np.where(np.all(r == 0), 1, r))"
    text = str(report)
    assert "local slope inf, upstream 0, product nan" in text
    assert "hidden by" in text


def test_arguments_that_are_not_finite_are_named() -> None:
    report = nonfinite(cr.grad(lambda x, w: np.sum(w * x)), np.ones(2), np.array([1.0, np.nan]))
    assert report is not None
    assert report.forward is not None
    assert (report.forward.kind, report.forward.operation) == ("given", "w")
    assert report.forward.index == (1,)


def test_nan_of_infinities_that_were_meant_is_named_where_it_is_made() -> None:
    def loss(x: Any) -> Any:
        scores = np.where(np.zeros(3, bool), x, -np.inf)
        return np.sum(np.exp(scores - np.max(scores)))

    report = nonfinite(loss, np.ones(3))
    assert report is not None
    assert report.forward is not None
    assert report.forward.kind == "combined"
    assert report.forward.place is not None
    assert report.forward.place.text == "scores - np.max(scores)"


def test_the_first_of_two_is_named_and_both_are_mended() -> None:
    def loss(x: Any) -> Any:
        return np.sum(np.log(x) + 1 / x)

    report = nonfinite(cr.value_and_grad(loss), np.array([0.0, 1.0]))
    assert report is not None
    assert report.forward is not None
    assert report.forward.operation == "log"
    assert report.fix is not None
    assert [one.before for one in report.fix.changes] == ["np.log(x)", "1 / x"]


@pytest.mark.parametrize("action", ["raise", "warn", "collect"])
def test_what_is_done_with_a_report(action: str) -> None:
    f = cr.grad(lambda x: np.sum(np.sqrt(x)))
    with cr.trace_nonfinite(action) as traced:
        if action == "raise":
            with pytest.raises(NonFiniteOriginError, match="sqrt of x = 0") as raised:
                f(np.zeros(2))
            assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)
        elif action == "warn":
            with pytest.warns(RuntimeWarning, match="sqrt of x = 0") as warned:
                f(np.zeros(2))
            assert warned[0].filename == __file__
        else:
            f(np.zeros(2))
        assert f(np.ones(2)).tolist() == [0.5, 0.5]
    assert len(traced.reports) == 1
    f(np.zeros(2))  # outside, nobody looks
    with (
        pytest.raises(cr.errors.UsageError, match="did you mean 'raise'"),
        cr.trace_nonfinite("rais"),
    ):
        pass


def test_every_transformation_is_looked_at() -> None:
    def f(x: Any) -> Any:
        return np.sum(np.sqrt(x))

    x, one = np.zeros(2), np.ones(2)
    with np.errstate(all="ignore"), cr.trace_nonfinite("collect") as traced:
        cr.grad(f)(x)
        cr.vjp(f, x)[1](1.0)
        cr.jvp(f, (x,), (one,))
        cr.hessian(f)(x)
        cr.jit(cr.grad(f))(x)
        cr.grad(cr.jit(f))(x)
        cr.vmap(cr.grad(lambda y: np.sqrt(y)))(x)
        cr.jacobian(lambda y: np.sqrt(y))(x)
    assert len(traced.reports) == 8
    lines = [
        one.place.line
        for r in traced.reports
        for one in (r.forward, r.backward)
        if one and one.place
    ]
    assert all(line.startswith(__file__) for line in lines)


# Training ---------------------------------------------------------------------------------------


def own_loss(outputs: Any, targets: Any) -> Any:
    p = 1 - np.exp(-(outputs[:, 0] ** 2))
    return -(targets * np.log(p) + (1 - targets) * np.log(1 - p))


DATA = np.random.default_rng(0).normal(size=(200, 5))


@pytest.mark.parametrize("executor", ["native", "numpy"])
def test_training_that_diverges_says_where(executor: str) -> None:
    y = (DATA[:, 0] > 0).astype(float)
    model = nn.MLP((5, 16, 1))

    def fit(loss: Any, rate: float, **more: Any) -> train.FitResult:
        return train.fit(model, (DATA, y), loss=loss, optimizer=optim.sgd(rate), epochs=20,
                         executor=executor, **more)  # fmt: skip

    with pytest.raises(NonFiniteOriginError) as raised, cr.trace_nonfinite():
        fit(own_loss, 50.0)
    report = raised.value.report
    assert report.forward is not None
    assert report.forward.place is not None
    assert report.forward.place.text == "np.log(1 - p)"
    assert report.where == "in epoch 1, step 2"
    assert isinstance(raised.value.__context__, train.DivergedError)

    with pytest.raises(train.DivergedError) as diverged:
        fit(nn.SquaredError(), 30.0)
    found = origin_of(diverged.value)
    assert found is not None
    assert found.backward is not None
    assert found.backward.place is not None
    assert found.backward.place.scope == "mlp/1/linear"
    assert "learning rate 10 times smaller" in found.note
    assert found.fix is None  # there is no line of the user's to be written anew


def test_a_gradient_that_is_not_finite_is_found_in_the_step_before_its_loss() -> None:
    """The loss of step 1 is finite, its gradient is not; the loss of step 2 is nan."""
    with pytest.raises(train.DivergedError) as diverged:
        train.fit(
            nn.MLP((5, 1), initializer="zeros"), (DATA, DATA[:, 0]),
            loss=nn.loss(lambda outputs, targets: np.sqrt(np.abs(outputs[:, 0]))),
            optimizer=optim.sgd(0.1), epochs=2,
        )  # fmt: skip
    report = origin_of(diverged.value)
    assert report is not None
    assert report.where == "in epoch 1, step 1"
    assert report.forward is None
    assert report.backward is not None
    assert report.backward.operation == "sqrt"


@pytest.mark.parametrize("executor", ["native", "numpy"])
def test_the_evaluation_of_a_line_search_is_looked_at(executor: str) -> None:
    def fit(loss: Any, **more: Any) -> NonFiniteReport:
        with pytest.raises(train.DivergedError) as diverged:
            train.fit(
                nn.MLP((5, 1), **more), (DATA, 3 + DATA[:, 0]), loss=nn.loss(loss),
                optimizer="lbfgs", epochs=9, executor=executor,
            )  # fmt: skip
        report = origin_of(diverged.value)
        assert report is not None
        return report

    forward = fit(lambda outputs, targets: np.log(2 + outputs[:, 0]), initializer="zeros").forward
    assert forward is not None
    assert forward.place is not None
    assert forward.place.text == "np.log(2 + outputs[:, 0])"

    report = fit(lambda outputs, targets: np.sqrt(np.abs(outputs[:, 0])), initializer="zeros")
    assert report.forward is None  # the loss is finite, its gradient is not
    assert report.backward is not None
    assert report.backward.operation == "sqrt"
    assert report.failed[0].startswith("gradient")


def test_rows_that_are_only_evaluated_are_looked_at_too() -> None:
    held = DATA.copy()
    held[3, 0] = 1e200  # its square is out of range
    with pytest.raises(train.DivergedError) as diverged:
        train.fit(
            nn.MLP((5, 1)), (DATA, DATA[:, 0]), loss="squared_error", optimizer=optim.sgd(0.01),
            epochs=2, validation=(held, DATA[:, 0]),
        )  # fmt: skip
    report = origin_of(diverged.value)
    assert report is not None
    assert report.failed == ("loss",)
    assert report.forward is not None
    assert report.forward.index[0] == 3
