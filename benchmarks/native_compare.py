"""Training, prediction and gradients, side by side with other libraries."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.native_settings import OURS, Settings, row, show
from benchmarks.processes import Contestant, compete, workers
from benchmarks.work import Gradient, Prediction, Training, Work

Rows = list[dict[str, Any]]
CPU = {"JAX_PLATFORMS": "cpu"}
QUIET = {"TORCH_LOGS": "-all"}
ONE = {"OPENBLAS_NUM_THREADS": "1"}
LIBRARIES = (
    Contestant(OURS, "peers.ours", package="llvmlite"),
    Contestant("chainrule fit", "peers.ours", "fit", "llvmlite"),
    Contestant("PyTorch", "peers.pytorch", "eager", "torch"),
    Contestant("torch.compile", "peers.pytorch", "compile", "torch", QUIET),
    Contestant("torch.compile, whole step", "peers.pytorch", "whole", "torch", QUIET),
    Contestant("JAX", "peers.jax_xla", "steps", "jax", CPU),
    Contestant("JAX scan", "peers.jax_xla", "scan", "jax", CPU),
    Contestant("scikit-learn", "peers.scikit", package="scikit-learn"),
    Contestant("autograd", "peers.hips", package="autograd"),
)
PRODUCTS = (
    Contestant("products, 1 thread", "peers.products", "numpy", environment=ONE),
    Contestant("products, all threads", "peers.products", "numpy"),
    Contestant("products, PyTorch", "peers.products", "torch", "torch"),
)
EVERYBODY = LIBRARIES + PRODUCTS


def training(settings: Settings, contestants: Sequence[Contestant] = EVERYBODY) -> Rows:
    """Seconds for a step, within an epoch of them."""
    chosen = (
        Training(network, optimizer, dtype)
        for network in settings.networks
        for optimizer in ("adam", "sgd")
        for dtype in ("float32", "float64")
    )
    return compare(settings, contestants, chosen)


def predict(settings: Settings, contestants: Sequence[Contestant] = EVERYBODY) -> Rows:
    """Seconds for a call: of one row with every network, of many with some."""
    few = (Prediction(n, 1) for n in settings.networks)
    many = (Prediction(n, rows) for n in settings.predicted for rows in settings.rows)
    return compare(settings, contestants, (*few, *many))


def calls(settings: Settings, contestants: Sequence[Contestant] = LIBRARIES) -> Rows:
    """Value and gradient, as a user calls them."""
    return compare(settings, contestants, map(Gradient, settings.functions))


def compare(
    settings: Settings, contestants: Sequence[Contestant], all_work: Iterable[Work]
) -> Rows:
    order = random.Random(settings.seed)
    rows = []
    with workers(contestants) as everybody:
        for work in all_work:
            found = compete(everybody, work, settings.rounds, settings.seconds, order)
            rows.append(row(work.title, found.seconds, found.left_out, work))
            show(rows[-1])
            products(rows[-1])
    return rows


def products(found: dict[str, Any]) -> None:
    """Say which share of our time the bare matrix products would take: the limit of all gain."""
    shares = [
        f"{ratio['median']:.0%} ({name.removeprefix('products, ')})"
        for name, ratio in found["ratios"].items()
        if name.startswith("products")
    ]
    if shares:
        print(f"    products are {', '.join(shares)} of our time", flush=True)
