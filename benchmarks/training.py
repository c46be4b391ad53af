"""``python -m benchmarks.training``: a training step here and with HIPS autograd and its Adam.

The same network, weights, batches and optimiser (Adam as in Kingma's Algorithm 1) on both
sides; the losses after the last step are compared before anything is printed. autograd runs as
its examples do: ``autograd.misc.optimizers.adam`` over a gradient of the mean cross-entropy.
That Adam keeps its averages in float64 and so turns float32 parameters into float64; the third
contestant is autograd's gradient with an Adam that keeps float32, and no flattening.
"""

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.measure import duration, installed, interleave, median, ratio, save, table

NETWORKS = [((784, 128, 10), 128), ((64, 64, 10), 64), ((4, 16, 3), 32)]
RATE = 1e-3
HERE, THERE, BARE = "chainrule", "autograd + its Adam", "autograd + bare Adam"


class Batches:
    """Consecutive slices of a table of random numbers, the same for everybody."""

    def __init__(self, sizes: tuple[int, ...], batch: int, steps: int, dtype: Any) -> None:
        rng = np.random.default_rng(0)
        n = batch * min(steps, 16)
        self.x = rng.normal(size=(n, sizes[0])).astype(dtype)
        self.targets = np.eye(sizes[-1], dtype=dtype)[rng.integers(sizes[-1], size=n)]
        self.batch, self.steps, self.rows = batch, steps, batch * steps

    def slice(self, i: int) -> slice:
        start = i * self.batch % len(self.x)
        return slice(start, start + self.batch)

    def take(self, epoch: int, i: int) -> Any:
        from chainrule.train import Batch

        rows = self.slice(i)
        return Batch(self.x[rows], self.targets[rows], None)


def with_chainrule(
    sizes: tuple[int, ...], data: Batches, params: Any, executor: str | None
) -> Callable[[], float]:
    """``train.fit`` for one epoch; recording and compiling it is part of the time."""
    from chainrule import nn, optim, train

    model, loss = nn.MLP(sizes), nn.CategoricalCrossEntropy()

    def run() -> float:
        result = train.fit(
            model,
            data,
            loss=loss,
            optimizer=optim.adam(RATE),
            epochs=1,
            params=params,
            executor=executor,
        )
        return mean_loss(result.params, data)

    return run


def autograd_gradient(data: Batches) -> Callable[[Any, int], Any]:
    import autograd.numpy as anp
    from autograd import grad
    from autograd.scipy.special import logsumexp

    def objective(params: Any, i: int) -> Any:
        rows = data.slice(i)
        h = data.x[rows]
        for w, b in params[:-1]:
            h = anp.maximum(anp.dot(h, w) + b, 0)
        w, b = params[-1]
        scores = anp.dot(h, w) + b
        scores = scores - logsumexp(scores, axis=1, keepdims=True)
        return -anp.sum(data.targets[rows] * scores) / data.batch

    return grad(objective)


def with_autograd(data: Batches, params: Any) -> Callable[[], float]:
    from autograd.misc.optimizers import adam

    start = [(layer["weights"], layer["bias"]) for layer in params["layers"]]
    gradient = autograd_gradient(data)

    def run() -> float:
        found = adam(gradient, start, num_iters=data.steps, step_size=RATE)
        return mean_loss({"layers": [{"weights": w, "bias": b} for w, b in found]}, data)

    return run


def with_bare_autograd(data: Batches, params: Any) -> Callable[[], float]:
    gradient = autograd_gradient(data)

    def run() -> float:
        layers = [(layer["weights"], layer["bias"]) for layer in params["layers"]]
        flat = [p for layer in layers for p in layer]
        ms, vs = [np.zeros_like(p) for p in flat], [np.zeros_like(p) for p in flat]
        for i in range(data.steps):
            gs = [g for layer in gradient(layers, i) for g in layer]
            ms = [0.1 * g + 0.9 * m for g, m in zip(gs, ms, strict=True)]
            vs = [0.001 * g**2 + 0.999 * v for g, v in zip(gs, vs, strict=True)]
            one, two = 1 - 0.9 ** (i + 1), 1 - 0.999 ** (i + 1)
            flat = [
                p - RATE * (m / one) / (np.sqrt(v / two) + 1e-8)
                for p, m, v in zip(flat, ms, vs, strict=True)
            ]
            layers = list(zip(flat[::2], flat[1::2], strict=True))
        return mean_loss({"layers": [{"weights": w, "bias": b} for w, b in layers]}, data)

    return run


def mean_loss(params: Any, data: Batches) -> float:
    """Mean cross-entropy of a trained network over the first batch, in plain NumPy."""
    h = data.x[: data.batch]
    for layer in params["layers"][:-1]:
        h = np.maximum(h @ layer["weights"] + layer["bias"], 0)
    scores = h @ params["layers"][-1]["weights"] + params["layers"][-1]["bias"]
    scores = scores - scores.max(axis=1, keepdims=True)
    scores = scores - np.log(np.sum(np.exp(scores), axis=1, keepdims=True))
    return float(-np.sum(data.targets[: data.batch] * scores) / data.batch)


def compare(
    sizes: tuple[int, ...], batch: int, dtype: Any, steps: int, rounds: int, executor: str | None
) -> dict[str, Any]:
    """Seconds per step of each contestant, and ratios."""
    from chainrule import nn

    data = Batches(sizes, batch, steps, dtype)
    params, _ = nn.MLP(sizes).init(0, dtype)
    contestants = {HERE: with_chainrule(sizes, data, params, executor)}
    if installed("autograd"):
        contestants[THERE] = with_autograd(data, params)
        contestants[BARE] = with_bare_autograd(data, params)
    losses = {name: run() for name, run in contestants.items()}
    tolerance = 1e-9 if dtype == np.float64 else 1e-3
    worst = max(abs(loss - losses[HERE]) for loss in losses.values())
    if worst > tolerance:
        raise SystemExit(f"the contestants do not compute the same: losses {losses}")
    times = interleave(contestants, rounds)
    return {
        "network": "-".join(map(str, sizes)),
        "batch": batch,
        "dtype": np.dtype(dtype).name,
        "steps": steps,
        "seconds_per_step": {name: [t / steps for t in values] for name, values in times.items()},
        "ratios": {name: ratio(times, name, HERE) for name in contestants if name != HERE},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.3, help="about, per contestant, round")
    parser.add_argument("--executor", help="where chainrule runs; the interpreter by default")
    options = parser.parse_args()
    if not installed("autograd"):
        print("autograd is not installed (pip install autograd): nothing to compare with\n")
    results = []
    for sizes, batch in NETWORKS:
        for dtype in (np.float64, np.float32):
            trial = compare(sizes, batch, dtype, 50, 1, options.executor)
            once = median(trial["seconds_per_step"][HERE])
            steps = max(50, min(5000, int(options.seconds / once)))
            results.append(compare(sizes, batch, dtype, steps, options.rounds, options.executor))
            print(".", end="", flush=True)
    print("\n")
    rows = [
        [
            f"{r['network']}, batch {r['batch']}, {r['dtype']}",
            *(duration(median(values)) for values in r["seconds_per_step"].values()),
            *(f"{value:.2f}" for value in r["ratios"].values()),
        ]
        for r in results
    ]
    names = list(results[0]["seconds_per_step"])
    ratios = [f"{name} / {HERE}" for name in results[0]["ratios"]]
    print("time per step, and ratios (above 1: chainrule is faster)\n")
    table(["network", *names, *ratios], rows)
    if THERE in results[0]["ratios"]:
        first = results[0]["ratios"][THERE]
        print(f"\n{rows[0][0]}: {THERE} takes {first:.2f} times as long as {HERE}")
        print("(promised: at least 1)")
    save("training", results)


if __name__ == "__main__":
    main()
