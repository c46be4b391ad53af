"""The same work by others: PyTorch, JAX, scikit-learn, HIPS autograd, and bare products.

Each function returns what could be set up here, by name; a peer that is not installed is left
out with a word.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

Run = Callable[[], Any]


@dataclass(frozen=True)
class Network:
    """A network, its batch and the number of minibatches that one run trains."""

    name: str
    sizes: tuple[int, ...]
    batch: int
    steps: int

    def data(self, dtype: Any) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(0)
        x = rng.normal(size=(4 * self.batch, self.sizes[0])).astype(dtype)
        if self.sizes[-1] > 1:
            return x, np.arange(len(x)) % self.sizes[-1]
        return x, rng.normal(size=(len(x), 1)).astype(dtype)

    def rows(self) -> np.ndarray:
        rng = np.random.default_rng(1)
        return rng.integers(0, 4 * self.batch, (self.steps, self.batch))


def module(name: str) -> Any:
    """A module, or None with a word."""
    try:
        return importlib.import_module(name)
    except ImportError:
        print(f"({name} is not installed: left out)")
        return None


def training(network: Network, optimizer: str, dtype: Any) -> dict[str, Run]:
    runs = {"products": _products(network, dtype)}
    for name, make in (("jax scan", _jax_scan), ("jax steps", _jax_steps), ("torch", _torch),
                       ("sklearn", _sklearn)):  # fmt: skip
        run = make(network, optimizer, dtype)
        if run is not None:
            runs[name] = run
    return runs


def _products(network: Network, dtype: Any) -> Run:
    """The matrix products of a step alone, by NumPy's BLAS."""
    rng = np.random.default_rng(0)
    sizes = list(zip(network.sizes, network.sizes[1:], strict=False))
    weights = [rng.normal(size=pair).astype(dtype) for pair in sizes]
    layers = [rng.normal(size=(network.batch, n)).astype(dtype) for n in network.sizes]

    def run() -> None:
        for _ in range(network.steps):
            for k, w in enumerate(weights):
                layers[k] @ w
                layers[k].T @ layers[k + 1]
                if k:
                    layers[k + 1] @ w.T

    return run


def _jax_parts(network: Network, optimizer: str, dtype: Any) -> Any:
    jax = module("jax")
    if jax is None:
        return None
    jax.config.update("jax_enable_x64", True)
    jnp = jax.numpy
    rng = np.random.default_rng(0)
    x, t = (jnp.asarray(a) for a in network.data(dtype))
    params = [
        (jnp.asarray(rng.normal(size=(i, o)) / np.sqrt(i), dtype), jnp.zeros(o, dtype))
        for i, o in zip(network.sizes, network.sizes[1:], strict=False)
    ]

    def loss(params: Any, x: Any, t: Any) -> Any:
        for w, b in params[:-1]:
            x = jax.nn.relu(x @ w + b)
        y = x @ params[-1][0] + params[-1][1]
        if network.sizes[-1] == 1:
            return jnp.mean((y - t) ** 2) / 2
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(y), t[:, None], 1))

    def step(carry: Any, one: Any) -> Any:
        params, m, v = carry
        rows, count = one
        value, g = jax.value_and_grad(loss)(params, x[rows], t[rows])
        if optimizer == "sgd":
            m = jax.tree.map(lambda m, g: 0.9 * m + g, m, g)
            return (jax.tree.map(lambda p, m: p - 1e-2 * m, params, m), m, v), value
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
        a, b = 1 - 0.9 ** (count + 1), 1 - 0.999 ** (count + 1)
        moved = jax.tree.map(
            lambda p, m, v: p - 1e-3 * (m / a) / (jnp.sqrt(v / b) + 1e-8), params, m, v
        )
        return (moved, m, v), value

    zeros = jax.tree.map(jnp.zeros_like, params)
    counts = jnp.arange(network.steps, dtype=dtype)
    return jax, step, (params, zeros, zeros), (jnp.asarray(network.rows()), counts)


def _jax_scan(network: Network, optimizer: str, dtype: Any) -> Run | None:
    parts = _jax_parts(network, optimizer, dtype)
    if parts is None:
        return None
    jax, step, carry, xs = parts
    scan = jax.jit(lambda carry, xs: jax.lax.scan(step, carry, xs))
    return lambda: jax.block_until_ready(scan(carry, xs))


def _jax_steps(network: Network, optimizer: str, dtype: Any) -> Run | None:
    parts = _jax_parts(network, optimizer, dtype)
    if parts is None:
        return None
    jax, step, carry, (rows, counts) = parts
    one = jax.jit(step)

    def run() -> None:
        now = carry
        for i in range(network.steps):
            now, _ = one(now, (rows[i], counts[i]))
        jax.block_until_ready(now)

    return run


def _torch(network: Network, optimizer: str, dtype: Any) -> Run | None:
    torch = module("torch")
    if torch is None:
        return None
    kind = torch.float32 if dtype == np.float32 else torch.float64
    layers: list[Any] = []
    for i, o in zip(network.sizes, network.sizes[1:], strict=False):
        layers += [torch.nn.Linear(i, o, dtype=kind), torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1])
    x, t = (torch.from_numpy(a) for a in network.data(dtype))
    rows = torch.from_numpy(network.rows())
    classes = network.sizes[-1] > 1
    loss = torch.nn.functional.cross_entropy if classes else torch.nn.functional.mse_loss
    rule: Any = torch.optim.Adam(model.parameters(), lr=1e-3)
    if optimizer == "sgd":
        rule = torch.optim.SGD(model.parameters(), lr=1e-2, momentum=0.9)

    def run() -> None:
        for i in range(network.steps):
            rule.zero_grad()
            loss(model(x[rows[i]]), t[rows[i]]).backward()
            rule.step()

    return run


def _sklearn(network: Network, optimizer: str, dtype: Any) -> Run | None:
    if module("sklearn") is None:
        return None
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    kind = MLPClassifier if network.sizes[-1] > 1 else MLPRegressor
    x, t = network.data(dtype)
    model = kind(
        hidden_layer_sizes=network.sizes[1:-1], solver=optimizer, batch_size=network.batch,
        max_iter=-(-network.steps // 4), n_iter_no_change=10**6, tol=0.0,
    )  # fmt: skip

    def run() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(x, t.ravel())

    return run


# functions --------------------------------------------------------------------------------


def lecture(x: Any, np: Any = np) -> Any:
    return np.cos(np.sin(x**2) + 3 * x**2)


def long(x: Any, np: Any = np) -> Any:
    for _ in range(250):
        x = np.sin(x) * 0.5 + np.cos(x)
    return x


def logsumexp(x: Any, np: Any = np) -> Any:
    top = np.max(x)
    return np.log(np.sum(np.exp(x - top))) + top


def rosenbrock(x: Any, np: Any = np) -> Any:
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


FUNCTIONS = {"J of the lecture": lecture, "1,000 scalar nodes": long,
             "logsumexp of a million": logsumexp, "Rosenbrock in 10,000": rosenbrock}  # fmt: skip


def functions() -> Iterator[tuple[str, Any, Any, int]]:
    """Title, function, argument, and how many calls a run makes."""
    rng = np.random.default_rng(0)
    for (title, f), x, repeats in zip(
        FUNCTIONS.items(),
        (np.asarray(1.0), np.asarray(1.0), rng.normal(size=10**6), rng.normal(size=10**4)),
        (2000, 500, 5, 200),
        strict=True,
    ):
        yield title, f, x, repeats


def calls(title: str, x: Any, repeats: int) -> dict[str, Run]:
    f, runs = FUNCTIONS[title], {}
    jax, torch, autograd = module("jax"), module("torch"), module("autograd")
    if jax is not None:
        jax.config.update("jax_enable_x64", True)
        compiled = jax.jit(jax.value_and_grad(lambda x: f(x, jax.numpy)))
        runs["jax"] = lambda: [jax.block_until_ready(compiled(x)) for _ in range(repeats)]
    if torch is not None:

        def eager() -> None:
            for _ in range(repeats):
                t = torch.tensor(x, requires_grad=True)
                f(t, torch).backward()

        runs["torch"] = eager
    if autograd is not None:
        import autograd.numpy as anp

        both = autograd.value_and_grad(lambda x: f(x, anp))
        runs["autograd"] = lambda: [both(x) for _ in range(repeats)]
    return runs


_DATA = ("import numpy as np; r = np.random.default_rng(0); x = r.normal(size=(150, 4));"
         "t = np.arange(150) % 3\n")  # fmt: skip
COLD = {
    "chainrule": _DATA
    + """
from chainrule import nn, optim, train
train.fit(nn.MLP((4, 16, 3)), (x, t), loss=nn.CategoricalCrossEntropy(), epochs=20,
          optimizer=optim.adam(1e-3), batch_size=32, dtype=np.float32, executor="native")
""",
    "sklearn": _DATA
    + """
import warnings; warnings.simplefilter("ignore")
from sklearn.neural_network import MLPClassifier
MLPClassifier((16,), batch_size=32, max_iter=20).fit(x, t)
""",
    "jax": _DATA
    + """
from benchmarks.native_peers import Network, _jax_scan
_jax_scan(Network("", (4, 16, 3), 32, 100), "adam", np.float32)()
""",
    "torch": _DATA
    + """
from benchmarks.native_peers import Network, _torch
_torch(Network("", (4, 16, 3), 32, 100), "adam", np.float32)()
""",
}
"""From a fresh process to the end of some hundred steps of 4-16-3."""
