"""How the solvers of scikit-learn's MLP run on ``train.fit``, and what goes on between epochs."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from chainrule import optim
from chainrule.core.tree import flatten, map_tree
from chainrule.optim.optimizer import Optimizer, as_dtype
from chainrule.run import Runner
from chainrule.train import FitResult
from chainrule.train.descent import Steps
from chainrule.train.fit import fit, fitting
from chainrule.train.programs import Programs, programs

Tree = Any


@dataclass
class Solver:
    """What a solver remembers between epochs, and between calls of ``partial_fit``.

    Attributes:
        rule: the optimiser, of learning rate 1.
        learning_rate: the present one.
        slots: what the rule remembers; None before the first step.
        steps: updates done.
    """

    rule: Optimizer
    learning_rate: float
    slots: Tree = None
    steps: int = 0


def solver_of(parameters: Mapping[str, Any]) -> Solver:
    """The solver that an estimator's parameters ask for, "sgd" or "adam"."""
    rate = float(parameters["learning_rate_init"])
    if parameters["solver"] == "adam":
        beta1, beta2 = parameters["beta_1"], parameters["beta_2"]
        rule = optim.adam(1.0, beta1, beta2, parameters["epsilon"], epsilon_hat=True)
        return Solver(_adjustable(rule, before=False), rate)
    momentum = parameters["momentum"]
    nesterov = bool(parameters["nesterovs_momentum"] and momentum)
    # The velocity collects steps, not gradients: where the rate changes, past steps stay.
    return Solver(_adjustable(optim.sgd(1.0, momentum, nesterov), before=True), rate)


def _adjustable(rule: Optimizer, before: bool) -> Optimizer:
    """``rule`` with a learning rate among its slots, which may be changed between epochs.

    before: whether it multiplies the gradients that the rule gets, or the steps that it makes.
    """
    settings = {"of": rule.describe(), "before": before}
    direction = partial(_adjusted, rule=rule, before=before)
    init = partial(_adjustable_slots, rule=rule)
    return Optimizer("adjustable", init, direction, rule.learning_rate, settings)


def _adjustable_slots(params: Tree, rule: Optimizer) -> Tree:
    return {"rate": np.zeros(()), "rule": rule.init(params)}


def _adjusted(
    gradients: Tree, slots: Tree, params: Tree, step: Any, rule: Optimizer, before: bool
) -> tuple[Tree, Tree]:
    rate = slots["rate"]

    def scaled(tree: Tree) -> Tree:
        return map_tree(lambda g: as_dtype(rate, g) * g, tree)

    given = scaled(gradients) if before else gradients
    moves, own = rule.direction(given, slots["rule"], params, step)
    return (moves if before else scaled(moves)), {"rate": rate, "rule": own}


def descend(
    solver: Solver,
    model: Any,
    data: Any,
    *,
    loss: Any,
    runner: Runner,
    alpha: float,
    l2: float,
    **options: Any,
) -> FitResult:
    """``train.fit`` with a solver that goes on from where it was.

    ``options`` are as ``fit`` takes them. What the solver knows after the last epoch is kept in
    it. Raises as ``fit`` does.
    """
    made = programs(model, loss, runner, solver.rule, alpha, l2, own=True)
    given = {"executor": runner.executor, "threads": runner.threads, "alpha": alpha, "l2": l2}
    training = _fitting(
        model, data, loss=loss, optimizer=solver.rule, predictor=made.predictor, **given, **options
    )
    steps: Any = None
    rate: float | None = None  # the one among the slots
    try:
        while True:
            before, steps = steps, next(training)
            if before is None:
                _go_on(solver, steps, made)
            if rate != solver.learning_rate:
                rate = solver.learning_rate
                _set_rate(steps, rate)
    except StopIteration as end:
        return end.value
    finally:
        if steps is not None:
            solver.slots, solver.steps = steps.training.carry[2], steps.training.steps
            run = steps.chunks.run
            if steps.chunks.tried:
                made.loops.made(_shapes(steps), lambda: (run, True))
            if run is not None:
                run.forget()


def search(
    optimizer: optim.Lbfgs,
    model: Any,
    data: Any,
    *,
    loss: Any,
    runner: Runner,
    **options: Any,
) -> FitResult:
    """``train.fit`` by L-BFGS; raises as it does."""
    made = programs(model, loss, runner, own=True)
    training = _fitting(
        model,
        data,
        loss=loss,
        optimizer=optimizer,
        predictor=made.predictor,
        executor=runner.executor,
        threads=runner.threads,
        **options,
    )
    try:
        next(training)
    except StopIteration as end:
        return end.value
    raise AssertionError("a search has no halts")


def _fitting(model: Any, data: Any, **options: Any) -> Generator[Any, None, FitResult]:
    known: Mapping[str, Any] = fit.__wrapped__.__kwdefaults__  # type: ignore[attr-defined]
    return fitting(model, data, **{**known, **options})


def _go_on(solver: Solver, steps: Steps, made: Programs) -> None:
    """Take up what the solver knew, and the programs that are made already."""
    training = steps.training
    steps.made = made.steps
    steps.chunks.run, steps.chunks.tried = made.loops.get(_shapes(steps), (None, False))
    if solver.slots is not None:
        params, state, _ = training.carry
        training.now = flatten((params, state, solver.slots))[0]
        training.safe = training.checked = training.now
        training.steps = solver.steps


def _shapes(steps: Steps) -> Any:
    """What a loop over minibatches was compiled for."""
    data = steps.data
    arrays = [getattr(data, name, None) for name in ("x", "targets", "weights")]
    shapes = tuple(None if a is None else (a.shape, a.dtype) for a in arrays)
    size, padded = (getattr(data, name, None) for name in ("batch_size", "padded"))
    return (shapes, size, padded, steps.keyed)


def _set_rate(steps: Steps, rate: float) -> None:
    training = steps.training
    params, state, slots = training.carry
    training.now = flatten((params, state, {**slots, "rate": np.asarray(rate)}))[0]
