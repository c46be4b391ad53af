"""chainrule on its native executor."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import chainrule as cr
from benchmarks.work import (
    MOMENTUM,
    RATES,
    Compilation,
    Cost,
    Function,
    Gradient,
    Network,
    Prediction,
    Prepared,
    Training,
    Unrolled,
    mean_square,
    outcome_of,
)
from chainrule import nn, optim, run, train
from chainrule.compile import optimise, stability
from chainrule.core.record import record
from chainrule.core.tree import flatten
from chainrule.run import cache, interpreter
from chainrule.run.native import plan
from chainrule.run.native.emit import module
from chainrule.run.native.runtime import machine
from chainrule.train import Batch, Predictor, Step

NATIVE = "native"
EPOCHS = 4
"""Of a fit that is timed; the first, which compiles, does not count."""


def parts(network: Network) -> tuple[Any, Any]:
    """Model and loss."""
    return nn.MLP(network.sizes), (
        nn.CategoricalCrossEntropy() if network.classes else nn.SquaredError()
    )


def rule_of(optimizer: str) -> Any:
    rate = RATES[optimizer]
    return optim.adam(rate) if optimizer == "adam" else optim.sgd(rate, momentum=MOMENTUM)


def loop_of(
    network: Network, optimizer: str, dtype: str, executor: Any = NATIVE
) -> Callable[[], Any]:
    """Compiles the loop over minibatches that ``train.fit`` runs."""
    model, loss = parts(network)
    rule = rule_of(optimizer)
    whole = Step(model, loss, nn.Penalty()).whole(rule)

    def step(carry: Any, one: Any, data: Any) -> Any:
        rows, count = one
        return whole(carry, Batch(data[0][rows], data[1][rows], None), None, count)

    carry, data = carry_of(network, optimizer, dtype), data_of(network, dtype)
    one = network.order()[0], np.asarray(0)
    return lambda: run.repeat(step, carry, one, data, executor=executor, flush=True)


def carry_of(network: Network, optimizer: str, dtype: str) -> tuple[Any, Any, Any]:
    """Parameters, state and the optimiser's slots before the first step."""
    params = {"layers": [{"weights": w, "bias": b} for w, b in network.layers(dtype)]}
    _, state = parts(network)[0].init(0, dtype)
    return params, state, rule_of(optimizer).init(params)


def data_of(network: Network, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    x, t = network.data(dtype)
    return x, parts(network)[1].prepare(t, network.sizes[-1], dtype)


def training(work: Training, variant: str) -> Prepared:
    network, dtype = work.network, work.dtype
    if variant == "fit":
        return _fit(work)
    loop = loop_of(network, work.optimizer, dtype)()
    leaves, tree = flatten(carry_of(network, work.optimizer, dtype))
    xs, data = [network.order(), np.arange(network.steps)], data_of(network, dtype)

    def epoch() -> Any:
        return loop(leaves, xs, data)

    def outcome() -> float:
        params = tree.unflatten(epoch()[1])[0]
        trained = [(layer["weights"], layer["bias"]) for layer in params["layers"]]
        return network.mean_loss(trained, dtype)

    return Prepared(epoch, network.steps, outcome)


def _fit(work: Training) -> Prepared:
    """``train.fit`` by its own clock: all that is between minibatches and epochs, too."""
    network = work.network
    x, t = network.data(work.dtype)

    def fit() -> float:
        result = fitted(network, work.optimizer, x, t, EPOCHS)
        return sum(row["seconds"] for row in result.history[1:]) / (EPOCHS - 1)

    return Prepared(fit, network.steps, own_clock=True)


def fitted(
    network: Network,
    optimizer: str,
    x: Any,
    t: Any,
    epochs: int,
    executor: Any = NATIVE,
    callbacks: Any = (),
) -> train.FitResult:
    model, loss = parts(network)
    return train.fit(
        model,
        (x, t),
        loss=loss,
        optimizer=rule_of(optimizer),
        batch_size=network.batch,
        epochs=epochs,
        params=carry_of(network, optimizer, x.dtype.name)[0],
        evaluate_train=False,
        executor=executor,
        callbacks=callbacks,
    )


def prediction(work: Prediction, variant: str) -> Prepared | None:
    """What ``FitResult.predict`` does."""
    if variant:
        return None
    network = work.network
    model, loss = parts(network)
    predictor = Predictor(model, loss, run.Runner(NATIVE))
    params, state, _ = carry_of(network, "adam", work.dtype)
    x = network.inputs(work.rows, work.dtype)

    def predict() -> np.ndarray:
        return predictor.predict(params, state, x)

    return Prepared(predict, outcome=lambda: mean_square(predict()))


def gradient(work: Gradient, variant: str) -> Prepared | None:
    if variant:
        return None
    both = cr.jit(cr.value_and_grad(work.function.f(np)), executor=NATIVE)
    x = work.function.x()
    return Prepared(lambda: both(x), outcome=lambda: outcome_of(*both(x)))


def subject_of(subject: Function | Network, variant: str) -> tuple[Callable[..., Any], Any]:
    """The function of a ``Cost`` and its arguments; ``variant`` is "value" or "gradient"."""
    if isinstance(subject, Function):
        f, arguments = subject.f(np), (subject.x(),)
    else:
        model, loss = parts(subject)
        params, state, _ = carry_of(subject, "adam", "float32")
        x, t = subject.inputs(subject.batch, "float32"), subject.targets(subject.batch, "float32")

        def f(params: Any, x: Any, t: Any) -> Any:
            return np.mean(loss(model(params, state, x)[0], t))

        arguments = (params, x, loss.prepare(t, subject.sizes[-1], "float32"))
    return (f if variant == "value" else cr.value_and_grad(f)), arguments


def cost(work: Cost, variant: str) -> Prepared:
    f, arguments = subject_of(work.subject, variant)
    fast = cr.jit(f, executor=NATIVE)
    return Prepared(lambda: fast(*arguments))


def compiler_of(subject: int | Network) -> Callable[[], Any]:
    """From a Python function to machine code; what is called returns the plan."""
    if isinstance(subject, Network):
        compile_loop = loop_of(subject, "adam", "float32")
        return lambda: compile_loop().code.plan

    def chain(x: Any) -> Any:
        for _ in range(subject // 2):
            x = np.sin(x) + 0.5
        return x

    return lambda: run.compile(chain, 1.0, executor=NATIVE).flat.plan


def compilation(work: Compilation, variant: str) -> Prepared:
    """Every time anew: nothing is remembered."""
    cache.REMEMBERED = 0
    return Prepared(compiler_of(work.subject))


def stages(loop: Unrolled, steps: int) -> dict[str, Any]:
    """Seconds of the processor from a loop that is written out to the machine code of its
    gradient, by stage; "NumPy" is what its executor takes instead of what follows the passes."""
    seconds, last = {}, time.process_time()

    def done(stage: str) -> None:
        nonlocal last
        now = time.process_time()
        seconds[stage], last = now - last, now

    gc.collect()
    graph = record(cr.grad(loop.f(np, steps)), loop.x(), rewrite=stability.rewrite).graph
    done("recording")
    best = optimise(graph)
    done("passes")
    interpreter.compile(best)
    done("NumPy")
    made = plan.make(best)
    done("planning")
    written = module.write(made)
    done("text")
    objects = [machine.assemble(text) for text in written.texts]
    machine.Library(objects, ("call",), written.imports)
    done("LLVM")
    return {"nodes": len(graph.nodes), "seconds": seconds}


def nodes_of(work: Compilation) -> int:
    """How many nodes the graph has that is compiled."""
    return len(compiler_of(work.subject)().graph.nodes)
