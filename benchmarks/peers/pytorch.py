"""PyTorch: eager, and with ``torch.compile`` (which needs a C++ compiler).

Eager Adam and SGD are the fused ones, the fastest on a CPU. Compiled training is either what
PyTorch's documentation shows, loss and optimiser compiled, or ("whole") one compiled function of
parameters and moments, which spares small networks the calls in between. On a GPU, "graph" is a
compiled loss and the fused optimiser, captured together in a CUDA graph.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

from benchmarks.work import (
    MOMENTUM,
    RATES,
    Gradient,
    Network,
    Prediction,
    Prepared,
    Training,
    mean_square,
    outcome_of,
)

DEVICE = "cpu"
"""Where everything lies."""


def on_gpu(precision: str) -> None:
    """Everything lies on a GPU, if there is one; products of float32 are computed so."""
    global DEVICE
    torch.set_float32_matmul_precision(precision)
    DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def _finished() -> None:
    """A GPU has done all that it was told."""
    if DEVICE != "cpu":
        torch.cuda.synchronize()


def _compiled(f: Callable[..., Any], variant: str) -> Callable[..., Any]:
    if variant == "eager":
        return f
    if not any(shutil.which(name) for name in (os.environ.get("CXX", "g++"), "c++", "clang++")):
        raise RuntimeError("torch.compile needs a C++ compiler, and there is none")
    return torch.compile(f)


def _forget() -> None:
    """What was compiled for other work counts against the limit beyond which PyTorch stops
    compiling and runs eagerly."""
    torch.compiler.reset()


def _model(network: Network, dtype: str) -> Any:
    parts: list[Any] = []
    for w, b in network.layers(dtype):
        layer = torch.nn.Linear(*w.shape, dtype=getattr(torch, dtype))
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(w.T))
            layer.bias.copy_(torch.from_numpy(b))
        parts += [layer, torch.nn.ReLU()]
    return torch.nn.Sequential(*parts[:-1]).to(DEVICE)


def _loss(network: Network, outputs: Any, t: Any) -> Any:
    if network.classes:
        return functional.cross_entropy(outputs, t)
    return functional.mse_loss(outputs, t) / 2


def training(work: Training, variant: str) -> Prepared:
    _forget()
    network = work.network
    x, t = (torch.from_numpy(a).to(DEVICE) for a in network.data(work.dtype))
    rows = list(torch.from_numpy(network.order()).to(DEVICE))
    prepare = _whole if variant == "whole" else _usual
    run, parameters = prepare(work, variant, x, t, rows)

    def outcome() -> float:
        run()
        arrays = [p.detach().cpu().numpy() for p in parameters()]
        pairs = zip(arrays[::2], arrays[1::2], strict=True)
        return network.mean_loss([(w.T, b) for w, b in pairs], work.dtype)

    return Prepared(run, network.steps, outcome)


def _usual(work: Training, variant: str, x: Any, t: Any, rows: Any) -> tuple[Any, Any]:
    """Modules and an optimiser. Each run starts from the same weights."""
    network = work.network
    model = _model(network, work.dtype)
    start = [p.detach().clone() for p in model.parameters()]
    graph = variant == "graph"
    rate, fused = RATES[work.optimizer], variant in ("eager", "graph") or None
    if work.optimizer == "adam":
        rule: Any = torch.optim.Adam(model.parameters(), lr=rate, fused=fused, capturable=graph)
    else:
        rule = torch.optim.SGD(model.parameters(), lr=rate, momentum=MOMENTUM, fused=fused)
    loss = _compiled(lambda x, t: _loss(network, model(x), t), variant)
    update = rule.step if graph else _compiled(rule.step, variant)

    @torch.no_grad()
    def restart() -> None:
        for p, old in zip(model.parameters(), start, strict=True):
            p.copy_(old)
        for slots in rule.state.values():
            for slot in slots.values():
                if isinstance(slot, torch.Tensor):
                    slot.zero_()

    def step(chosen: Any) -> None:
        rule.zero_grad()
        loss(x[chosen], t[chosen]).backward()
        update()

    if graph:
        step = _captured(step, rows[0])

    def run() -> None:
        restart()
        for chosen in rows:
            step(chosen)
        _finished()

    return run, model.parameters


def _captured(step: Callable[[Any], None], first: Any) -> Callable[[Any], None]:
    """A step as a CUDA graph, after a few on a stream of their own, as PyTorch's notes on CUDA
    graphs say."""
    rows, stream = first.clone(), torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            step(rows)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step(rows)

    def replayed(chosen: Any) -> None:
        rows.copy_(chosen)
        graph.replay()

    return replayed


def _whole(work: Training, variant: str, x: Any, t: Any, rows: Any) -> tuple[Any, Any]:
    """A step as one function, without modules and without an optimiser."""
    network, rate = work.network, RATES[work.optimizer]
    start = [p.detach() for p in _model(network, work.dtype).parameters()]
    zeros = [torch.zeros_like(p) for p in start]
    now: list[Any] = []

    def loss(params: Any, x: Any, t: Any) -> Any:
        for w, b in zip(params[:-2:2], params[1:-2:2], strict=True):
            x = torch.relu(functional.linear(x, w, b))
        return _loss(network, functional.linear(x, *params[-2:]), t)

    def step(params: Any, m: Any, v: Any, count: Any, chosen: Any) -> Any:
        gradients = torch.func.grad(loss)(params, x[chosen], t[chosen])
        count = count + 1
        if work.optimizer == "sgd":
            m = [MOMENTUM * m + g for m, g in zip(m, gradients, strict=True)]
            return [p - rate * m for p, m in zip(params, m, strict=True)], m, v, count
        m = [0.9 * m + 0.1 * g for m, g in zip(m, gradients, strict=True)]
        v = [0.999 * v + 0.001 * g * g for v, g in zip(v, gradients, strict=True)]
        a, b = 1 - 0.9**count, 1 - 0.999**count
        moved = [
            p - rate * (m / a) / (torch.sqrt(v / b) + 1e-8)
            for p, m, v in zip(params, m, v, strict=True)
        ]
        return moved, m, v, count

    compiled = _compiled(step, variant)

    @torch.no_grad()
    def run() -> None:
        now[:] = start, zeros, zeros, torch.zeros((), dtype=x.dtype, device=DEVICE)
        for chosen in rows:
            now[:] = compiled(*now, chosen)
        _finished()

    return run, lambda: now[0]


def prediction(work: Prediction, variant: str) -> Prepared | None:
    if variant == "whole":
        return None
    _forget()
    network = work.network
    model = _model(network, work.dtype)
    x = torch.from_numpy(network.inputs(work.rows, work.dtype))

    def unit(x: Any) -> Any:
        outputs = model(x)
        return torch.softmax(outputs, dim=1) if network.classes else outputs

    compiled = _compiled(unit, variant)

    @torch.no_grad()
    def predict() -> Any:
        return compiled(x.to(DEVICE)).cpu()

    return Prepared(predict, outcome=lambda: mean_square(predict().numpy()))


def gradient(work: Gradient, variant: str) -> Prepared | None:
    if variant == "whole":
        return None
    _forget()
    f = _compiled(work.function.f(torch), variant)
    x = torch.tensor(work.function.x(), dtype=torch.float64, device=DEVICE, requires_grad=True)

    def both() -> tuple[Any, Any]:
        x.grad = None
        value = f(x)
        value.backward()
        _finished()
        return value.detach(), x.grad

    return Prepared(both, outcome=lambda: outcome_of(*(y.cpu() for y in both())))
