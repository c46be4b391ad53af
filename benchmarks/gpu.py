"""Graphs through XLA, side by side with JAX by hand and PyTorch: on a GPU, or small on the CPU.

``python -m benchmarks.gpu`` takes the GPU where JAX has one and says so; elsewhere the same rows
with small sizes on XLA's CPU, so that it cannot rot. ``--json FILE`` keeps every round.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import chainrule as cr
from benchmarks.measure import interleave, median, quartiles, save
from benchmarks.peers import ours
from benchmarks.work import NETWORKS, Function, Gradient, Network, Prediction, Training
from chainrule import nn, run, train
from chainrule.core.tree import flatten

ROUNDS = 5
LARGE = Network((784, 4096, 4096, 10), 4096, 8)
Contestants = dict[str, Callable[[], Any]]


def main() -> None:
    """Print and keep the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", help="another file than results/gpu.json")
    parser.add_argument("--seconds", type=float, default=240.0, help="rows not begun by then wait")
    given = parser.parse_args()
    try:
        import jax
    except ModuleNotFoundError:
        print("benchmarks.gpu needs JAX (pip install 'chainrule[xla]'): nothing was measured")
        return
    device = jax.devices()[0]
    gpu = device.platform != "cpu"
    print(f"{getattr(device, 'device_kind', device)} ({device.platform})"
          + ("" if gpu else ": no GPU here, small sizes on XLA's CPU"))  # fmt: skip
    started, rows = time.perf_counter(), []
    for title, make in table(gpu):
        if time.perf_counter() - started > given.seconds:
            print(f"{title:44} not begun: out of time")
            continue
        contestants, steps = make()
        rows.append(measured(title, contestants, steps))
    about = {"device": str(getattr(device, "device_kind", device)), "platform": device.platform}
    save("gpu", {**about, "rows": rows}, given.json and Path(given.json))


def measured(title: str, contestants: Contestants, steps: int) -> dict[str, Any]:
    """Seconds of each, and how many times as long as ours the others take."""
    own = {name: list[float]() for name in contestants}

    def called(name: str) -> None:
        seconds = contestants[name]()
        if isinstance(seconds, float):  # by a clock of its own
            own[name].append(seconds)

    times = interleave({name: partial(called, name) for name in contestants}, ROUNDS)
    times |= {name: seconds[1:] for name, seconds in own.items() if seconds}
    first = next(iter(times))
    ratios = {
        name: quartiles([a / b for a, b in zip(theirs, times[first], strict=True)])
        for name, theirs in times.items()
        if name != first
    }
    shown = "  ".join(f"{name} {found['median']:.2f}" for name, found in ratios.items())
    print(f"{title:44} {median(times[first]) / steps * 1e6:10.1f} us  {shown}", flush=True)
    return {"title": title, "steps": steps, "seconds": times, "ratios": ratios}


Row = tuple[str, Callable[[], tuple[Contestants, int]]]


def table(gpu: bool) -> list[Row]:
    """The rows, each made when its turn comes."""
    rows: list[Row] = [
        (f"step, {n.name}, batch {n.batch}", lambda n=n: training(n)) for n in NETWORKS
    ]
    if gpu:
        rows.append((f"step, {LARGE.name}, batch {LARGE.batch}", lambda: training(LARGE)))
    count, predicted, length = (64, 10_000_000, 5000) if gpu else (8, 20_000, 200)
    size, few = 10**8 if gpu else 10**5, NETWORKS[0]
    few = few if gpu else Network(few.sizes, few.batch, few.steps // 20)
    return [
        *rows,
        *[(f"fit by its own clock, {n.name}, batch {n.batch}", lambda n=n: fit(n))
          for n in (NETWORKS[0], NETWORKS[2], NETWORKS[4])],
        (f"step of {count} networks 4-16-3 at once", lambda: many(few, count)),
        (f"prediction of {predicted:,} rows, 100-256-256-1",
         lambda: prediction(Prediction(NETWORKS[4], predicted, "float32"))),
        (f"value and gradient, log-sum-exp of {size:,}",
         lambda: gradient(Gradient(Function("log-sum-exp", "logsumexp", size)))),
        (f"gradient, Runge-Kutta of {length} steps by scan", lambda: runge_kutta(length)),
        (f"gradient, recurrent network over {length} steps", lambda: recurrent(length)),
    ]  # fmt: skip


def training(network: Network) -> tuple[Contestants, int]:
    """An epoch with Adam in float32: our loop with its carry on the device, JAX's scan, PyTorch."""
    work, (epoch, tree) = Training(network, "adam", "float32"), epoch_of(network)
    params = tree.unflatten([np.asarray(x) for x in epoch()[1]])[0]
    loss = network.mean_loss([(p["weights"], p["bias"]) for p in params["layers"]], "float32")
    found: Contestants = {"chainrule": epoch}
    for name, made in peers("training", work).items():
        agree(network.name, loss, made.outcome())
        found[name] = made.run
    return found, network.steps


def fit(network: Network) -> tuple[Contestants, int]:
    """``train.fit``, whose rows say how long an epoch took, and the bare loop that it runs."""
    x, t = network.data("float32")
    epochs = ours.EPOCHS

    def fitted() -> float:
        history = ours.fitted(network, "adam", x, t, epochs, executor="xla").history
        return sum(row["seconds"] for row in history[1:]) / (epochs - 1)

    return {"bare loop": epoch_of(network)[0], "fit": fitted}, network.steps


def epoch_of(network: Network) -> tuple[Callable[[], Any], Any]:
    """An epoch by our loop, its carry on the device, and the tree of what it returns."""
    loop = ours.loop_of(network, "adam", "float32", executor="xla")()
    leaves, tree = flatten(ours.carry_of(network, "adam", "float32"))
    xs, data = [network.order(), np.arange(network.steps)], ours.data_of(network, "float32")
    leaves = [loop.code.put(leaf) for leaf in leaves]

    def epoch() -> Any:
        losses, carry = loop(leaves, xs, data)
        return losses, [leaf.block_until_ready() for leaf in carry]

    return epoch, tree


def peers(kind: str, work: Any) -> dict[str, Any]:
    """What the libraries that are here prepare for the same work."""
    from benchmarks.peers import jax_xla

    made = {"JAX by hand": getattr(jax_xla, kind)(work, "scan" if kind == "training" else "")}
    try:
        import torch

        from benchmarks.peers import pytorch
    except ModuleNotFoundError:
        return made
    pytorch.DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
    made["PyTorch eager"] = getattr(pytorch, kind)(work, "eager")
    if torch.cuda.is_available():
        made["PyTorch compiled"] = getattr(pytorch, kind)(work, "whole")
    return made


def agree(title: str, one: float, other: float, rtol: float = 2e-3) -> None:
    """Stop where two compute different things; roundings grow from step to step."""
    if not np.isclose(one, other, rtol=rtol):
        raise SystemExit(f"{title}: {one} and {other} differ: not the same work")


def many(network: Network, count: int) -> tuple[Contestants, int]:
    """Networks of one shape with seeds of their own, in one loop and one after another."""
    x, t = network.data("float32")
    settings: dict[str, Any] = {
        "loss": nn.CategoricalCrossEntropy(), "optimizer": ours.rule_of("adam"), "epochs": 2,
        "batch_size": network.batch, "evaluate_train": False,
    }  # fmt: skip
    model = nn.MLP(network.sizes)

    def together(executor: str) -> Callable[[], Any]:
        return lambda: train.fit_many(
            model, (x, t), seeds=range(count), executor=executor, **settings
        )

    return {"chainrule": together("xla"), "machine code": together("native")}, 2 * network.steps


def prediction(work: Prediction) -> tuple[Contestants, int]:
    """``FitResult.predict`` against a compiled call on arrays of the device."""
    network = work.network
    model, loss = ours.parts(network)
    predictor = train.Predictor(model, loss, run.Runner("xla"))
    params, state, _ = ours.carry_of(network, "adam", work.dtype)
    x = network.inputs(work.rows, work.dtype)
    found: Contestants = {"chainrule": lambda: predictor.predict(params, state, x)}
    found |= {name: made.run for name, made in peers("prediction", work).items()}
    return found, 1


def gradient(work: Gradient) -> tuple[Contestants, int]:
    """Value and gradient of a function of arrays."""
    both = cr.jit(cr.value_and_grad(work.function.f(np)), executor="xla")
    x = np.asarray(work.function.x())
    found: Contestants = {"chainrule": lambda: both(x)}
    found |= {n: made.run for n, made in peers("gradient", work).items() if n != "PyTorch compiled"}
    return found, 1


def runge_kutta(length: int) -> tuple[Contestants, int]:
    """A pendulum by the method of Runge and Kutta, differentiated in its two parameters."""
    import jax
    import jax.numpy as jnp

    def energy(np: Any, scan: Any) -> Callable[[Any], Any]:
        def rates(y: Any, p: Any) -> Any:
            return np.stack([y[1], -p[0] * np.sin(y[0]) - p[1] * y[1]])

        def run(p: Any) -> Any:
            def turn(y: Any, _: Any) -> Any:
                k1 = rates(y, p)
                k2 = rates(y + 0.005 * k1, p)
                k3 = rates(y + 0.005 * k2, p)
                k4 = rates(y + 0.01 * k3, p)
                return y + 0.01 / 6 * (k1 + 2 * k2 + 2 * k3 + k4), y[0]

            last, _ = scan(turn, np.array([1.0, 0.0]), None, length=length)
            return np.sum(last**2)

        return run

    return _against_jax(energy, np.array([2.0, 0.1]), length, jax, jnp)


def recurrent(length: int) -> tuple[Contestants, int]:
    """A recurrent network of 128 units over a sequence, differentiated in its weights."""
    import jax
    import jax.numpy as jnp

    rng = np.random.default_rng(0)
    sequence = rng.normal(size=(length, 128))

    def last(np: Any, scan: Any) -> Callable[[Any], Any]:
        def run(w: Any) -> Any:
            def turn(h: Any, x: Any) -> Any:
                h = np.tanh(h @ w + x)
                return h, h[0]

            h, _ = scan(turn, np.zeros(128), sequence)
            return np.sum(h**2)

        return run

    return _against_jax(last, rng.normal(size=(128, 128)) / 12, length, jax, jnp)


def _against_jax(
    make: Any, x: np.ndarray, length: int, jax: Any, jnp: Any
) -> tuple[Contestants, int]:
    mine = cr.jit(cr.grad(make(np, cr.scan)), executor="xla")
    theirs = jax.jit(jax.grad(make(jnp, jax.lax.scan)))
    given = jnp.asarray(x)
    if not np.allclose(mine(x), theirs(given), rtol=1e-6):
        raise SystemExit("our gradient and JAX's differ: not the same work")
    return {
        "chainrule": lambda: mine(x),
        "JAX by hand": lambda: jax.block_until_ready(theirs(given)),
    }, length


if __name__ == "__main__":
    main()
