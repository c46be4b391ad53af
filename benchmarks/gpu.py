"""Graphs through XLA, side by side with JAX by hand and PyTorch: on a GPU, or small on the CPU.

``python -m benchmarks.gpu`` takes the GPU where JAX has one and says so; elsewhere the same rows
with small sizes on XLA's CPU, so that it cannot rot. Products of float32 are computed in one
precision by all (``--precision``). A contestant that fails (out of memory, another result) is left
out, with a word. ``--json FILE`` keeps every round.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import chainrule as cr
from benchmarks.many import started
from benchmarks.measure import interleave, median, quartiles, save
from benchmarks.peers import ours
from benchmarks.work import NETWORKS, Function, Gradient, Network, Prediction, Training, outcome_of
from chainrule import run, train
from chainrule.core.tree import flatten

ROUNDS = 5
MANY = 9000
"""Steps of many networks, in whole epochs."""
LARGE = Network((784, 4096, 4096, 10), 4096, 8)
WHERE = cr.Executor("xla")
"""Of ours; ``main`` says in which precision."""
Times = dict[str, list[float]]
Contestants = dict[str, Callable[[], Any]]
Row = tuple[str, int, Callable[[], "Times | Contestants"]]
"""A title, how many steps are timed, and what makes the contestants or times them itself."""


def main() -> None:
    """Print and keep the table."""
    global WHERE
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", help="another file than results/gpu.json")
    parser.add_argument("--seconds", type=float, default=200.0, help="rows not begun by then wait")
    parser.add_argument("--precision", choices=("tf32", "highest"), default="tf32")
    given = parser.parse_args()
    started = time.perf_counter()
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # PyTorch needs some, too
    try:
        import jax
    except ModuleNotFoundError:
        print("benchmarks.gpu needs JAX (pip install 'chainrule[xla]'): nothing was measured")
        return
    from benchmarks.peers import jax_xla  # noqa: F401 - which sets 64-bit numbers

    WHERE = cr.Executor("xla", precision=given.precision)
    jax.config.update("jax_default_matmul_precision",
                      {"tf32": "tensorfloat32", "highest": "highest"}[given.precision])  # fmt: skip
    device = jax.devices()[0]
    gpu, kind = device.platform != "cpu", str(getattr(device, "device_kind", device))
    print(f"{kind} ({device.platform}), products in {given.precision}"
          + ("" if gpu else ": no GPU here, small sizes on XLA's CPU"))  # fmt: skip
    about: dict[str, Any] = {"device": kind, "platform": device.platform,
                             "precision": given.precision, "rows": []}  # fmt: skip
    for title, steps, make in table(gpu):
        if time.perf_counter() - started > given.seconds:
            print(f"{title:48} not begun: out of time")
            continue
        try:
            about["rows"].append(measured(title, steps, make()))
        except Exception as error:  # the other rows are worth having
            print(f"{title:48} failed: {said(error)}", flush=True)
            about["rows"].append({"title": title, "failed": said(error)})
    if gpu:
        about["product"] = share_of_products(about["rows"])
    save("gpu", about, given.json and Path(given.json))


def table(gpu: bool) -> list[Row]:
    """The rows, each made when its turn comes; what takes PyTorch long to compile comes last."""
    large = [LARGE] if gpu else []
    count, predicted, length = (64, 10_000_000, 5000) if gpu else (8, 20_000, 200)
    size, few = 10**8 if gpu else 10**5, NETWORKS[0]
    few = few if gpu else Network(few.sizes, few.batch, few.steps // 20)
    return [
        *[(f"step, {n.name}, batch {n.batch}", n.steps, lambda n=n: training(n))
          for n in (*NETWORKS, *large)],
        *[(f"fit by its own clock, {n.name}, batch {n.batch}", n.steps, lambda n=n: fit(n))
          for n in (NETWORKS[0], NETWORKS[2], NETWORKS[4])],
        (f"step of {count} networks 4-16-3 at once", MANY, lambda: many(few, count)),
        (f"prediction of {predicted:,} rows, 100-256-256-1", 1,
         lambda: prediction(Prediction(NETWORKS[4], predicted, "float32"))),
        (f"value and gradient, log-sum-exp of {size:,}", 1,
         lambda: gradient(Gradient(Function("log-sum-exp", "logsumexp", size)))),
        (f"gradient, Runge-Kutta of {length} steps by scan", length, lambda: runge_kutta(length)),
        (f"gradient, recurrent network over {length} steps", length, lambda: recurrent(length)),
        *[(f"step, {n.name}, batch {n.batch}, compiled", n.steps,
           lambda n=n: training(n, compiled=True)) for n in (NETWORKS if gpu else ())],
    ]  # fmt: skip


def measured(title: str, steps: int, found: Times | Contestants) -> dict[str, Any]:
    """Seconds of each, and how many times as long as ours the others take."""
    first = next(iter(found))
    for name, one in list(found.items()):
        try:
            if callable(one):
                one()
        except Exception as error:
            if name == first:
                raise
            print(f"{name} is left out: {said(error)}")
            del found[name]
    timed = isinstance(found[first], list)
    times: Any = found if timed else interleave(found, ROUNDS)  # type: ignore[arg-type]
    ratios = {
        name: quartiles([a / b for a, b in zip(theirs, times[first], strict=True)])
        for name, theirs in times.items()
        if name != first
    }
    shown = "  ".join(f"{name} {found['median']:.2f}" for name, found in ratios.items())
    print(f"{title:48} {median(times[first]) / steps * 1e6:10.1f} us  {shown}", flush=True)
    return {"title": title, "steps": steps, "seconds": times, "ratios": ratios}


def said(error: Exception) -> str:
    """An error in a line."""
    return f"{type(error).__name__}: {error}".splitlines()[0][:150]


def training(network: Network, compiled: bool = False) -> Contestants:
    """An epoch with Adam in float32: our loop with its carry on the device; JAX's scan, and PyTorch
    eager or compiled."""
    work, (epoch, tree) = Training(network, "adam", "float32"), epoch_of(network)
    params = tree.unflatten([np.asarray(x) for x in epoch()[1]])[0]
    loss = network.mean_loss([(p["weights"], p["bias"]) for p in params["layers"]], "float32")
    return {"chainrule": epoch, **peers(work, "scan", loss, compiled)}


def fit(network: Network) -> Times:
    """Epochs of ``train.fit``, and of the bare loop that it runs."""
    x, t = network.data("float32")
    return between(
        epoch_of(network)[0], "bare loop", "fit",
        lambda epochs, after: ours.fitted(
            network, "adam", x, t, epochs, executor=WHERE, callbacks=[after]
        ),
    )  # fmt: skip


def between(other: Callable[[], Any], name: str, own: str, train: Any) -> Times:
    """Seconds of the epochs of a training, by its own clock, and of something else, which is run
    after each of them. The first epochs, in which chunks grow and programs are compiled, do not
    count."""
    other()
    times: Times = {name: [], own: []}
    heard, begun = 0, 0.0

    def after(event: Any) -> None:
        nonlocal heard, begun
        heard += 1
        ended = time.perf_counter()
        if heard > 3:
            times[own].append(ended - begun)
            other()
            times[name].append(time.perf_counter() - ended)
        begun = time.perf_counter()

    train(ROUNDS + 3, after)
    return times


def epoch_of(network: Network) -> tuple[Callable[[], Any], Any]:
    """An epoch by our loop, its carry on the device, and the tree of what it returns."""
    loop = ours.loop_of(network, "adam", "float32", executor=WHERE)()
    loop.most = network.steps
    leaves, tree = flatten(ours.carry_of(network, "adam", "float32"))
    xs, data = [network.order(), np.arange(network.steps)], ours.data_of(network, "float32")
    leaves = [loop.code.put(leaf) for leaf in leaves]

    def epoch() -> Any:
        losses, carry = loop(leaves, xs, data)
        return losses, [leaf.block_until_ready() for leaf in carry]

    return epoch, tree


def peers(work: Any, variant: str, outcome: float, compiled: bool = False) -> Contestants:
    """What the libraries that are here do for the same work, with the same outcome."""
    found: Contestants = {}
    for name, prepare in prepared(work, variant, compiled):
        try:
            made = prepare()
            if made.outcome is not None and not np.isclose(made.outcome(), outcome, rtol=2e-2):
                raise ValueError(f"computes {made.outcome()}, and we {outcome}: not the same work")
        except Exception as error:  # out of memory, say
            print(f"{name} is left out: {said(error)}")
        else:
            found[name] = made.run
    return found


def prepared(work: Any, variant: str, compiled: bool) -> Iterator[tuple[str, Callable[[], Any]]]:
    """What JAX, and where it is installed PyTorch, make of work."""
    from benchmarks.peers import jax_xla

    if not compiled:
        yield "JAX by hand", lambda: getattr(jax_xla, work.kind)(work, variant)
    try:
        from benchmarks.peers import pytorch
    except ModuleNotFoundError:
        return
    pytorch.on_gpu("highest" if WHERE.precision == "highest" else "high")
    name, how = ("PyTorch compiled", "graph") if compiled else ("PyTorch eager", "eager")
    yield name, lambda: getattr(pytorch, work.kind)(work, how)


def many(network: Network, count: int) -> Times:
    """Epochs of networks of one shape in one loop, by its own clock when programs are made; and
    JAX's scan over all of them. Both draw an order of the rows for each network and epoch."""
    from benchmarks.peers import jax_xla

    x, t = network.data("float32")
    model, loss = ours.parts(network)
    epochs, begun = 4 * MANY // network.steps // 3, MANY // network.steps // 3
    drawn = partial(started, network, count, epochs - begun)
    by_hand = jax_xla.many(network, *drawn(), drawn)
    by_hand()
    times: Times = {"chainrule": [], "JAX by hand": []}
    for _ in range(ROUNDS):
        one, *_ = train.fit_many(
            model, (x, t), seeds=range(count), loss=loss, optimizer=ours.rule_of("adam"),
            epochs=epochs, batch_size=network.batch, evaluate_train=False, executor=WHERE,
        )  # fmt: skip
        times["chainrule"].append(sum(row["seconds"] for row in one.history[begun:]))
        start = time.perf_counter()
        by_hand()
        times["JAX by hand"].append(time.perf_counter() - start)
    return times


def prediction(work: Prediction) -> Contestants:
    """``FitResult.predict`` against a compiled call, both from arrays of NumPy to one of NumPy."""
    model, loss = ours.parts(work.network)
    predictor = train.Predictor(model, loss, run.Runner(WHERE))
    params, state, _ = ours.carry_of(work.network, "adam", work.dtype)
    x = work.network.inputs(work.rows, work.dtype)
    outcome = float(np.mean(np.square(predictor.predict(params, state, x), dtype=np.float64)))
    return {"chainrule": lambda: predictor.predict(params, state, x),
            **peers(work, "host", outcome)}  # fmt: skip


def gradient(work: Gradient) -> Contestants:
    """Value and gradient of a function of arrays, which lie on the device and stay there."""
    import jax

    there = cr.Executor("xla", results="device")
    both = cr.jit(cr.value_and_grad(work.function.f(np)), executor=there)
    x = cr.jit(lambda x: x + 0.0, executor=there)(np.asarray(work.function.x()))
    return {"chainrule": lambda: jax.block_until_ready(both(x)),
            **peers(work, "", outcome_of(*map(np.asarray, both(x))))}  # fmt: skip


def runge_kutta(length: int) -> Contestants:
    """A pendulum by the method of Runge and Kutta, differentiated in its two parameters."""

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

    return _against_jax(energy, np.array([2.0, 0.1]))


def recurrent(length: int) -> Contestants:
    """A recurrent network of 128 units over a sequence, differentiated in its weights."""
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

    return _against_jax(last, rng.normal(size=(128, 128)) / 12)


def _against_jax(make: Any, x: np.ndarray) -> Contestants:
    import jax
    import jax.numpy as jnp

    mine = cr.jit(cr.grad(make(np, cr.scan)), executor="xla")
    theirs = jax.jit(jax.grad(make(jnp, jax.lax.scan)))
    given = jnp.asarray(x)
    if not np.allclose(mine(x), theirs(given), rtol=1e-6):
        raise ValueError("our gradient and JAX's differ: not the same work")
    return {
        "chainrule": lambda: mine(x),
        "JAX by hand": lambda: np.asarray(theirs(given)),
    }


def flops(network: Network) -> int:
    """Multiplications and additions of a step: the first layer's inputs need no gradient."""
    pairs = list(zip(network.sizes, network.sizes[1:], strict=False))
    return network.batch * (6 * sum(i * o for i, o in pairs) - 2 * pairs[0][0] * pairs[0][1])


def share_of_products(rows: list[dict[str, Any]], n: int = 4096) -> float:
    """Multiplications and additions a second of the card in large products of float32; says what
    the large network has of them."""
    import jax

    x = jax.numpy.ones((n, n), np.float32)
    multiply = jax.jit(lambda x: jax.lax.fori_loop(0, 20, lambda _, y: x @ y / n, x))
    (times,) = interleave({"product": lambda: multiply(x).block_until_ready()}, ROUNDS).values()
    best = 20 * 2 * n**3 / min(times)
    print(f"products of {n} x {n}: {best / 1e12:.0f} TFLOP/s")
    for row in rows:
        if row["title"].startswith(f"step, {LARGE.name}") and "seconds" in row:
            rate = flops(LARGE) * row["steps"] / median(row["seconds"]["chainrule"])
            print(f"{LARGE.name}: {rate / 1e12:.0f} TFLOP/s, {rate / best:.0%} of that")
    return best


if __name__ == "__main__":
    main()
