"""What is measured: networks to train, predictions, functions to differentiate.

Everything derives from fixed seeds, so every library gets the same numbers, and each says with
one number (its *outcome*) what it computed: those of all libraries must agree.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

Layers = list[tuple[np.ndarray, np.ndarray]]
RATES = {"adam": 1e-3, "sgd": 1e-2}
MOMENTUM = 0.9


@dataclass(frozen=True)
class Network:
    """Dense layers with ReLU between; softmax and cross-entropy, or with one output the half
    squared error. ``steps`` minibatches of ``batch`` rows are an epoch."""

    sizes: tuple[int, ...]
    batch: int
    steps: int

    @property
    def name(self) -> str:
        return "-".join(map(str, self.sizes))

    @property
    def classes(self) -> int:
        """How many classes there are; 0 for regression."""
        return self.sizes[-1] if self.sizes[-1] > 1 else 0

    def inputs(self, rows: int, dtype: str) -> np.ndarray:
        """Drawn; beyond a million rows the same again."""
        drawn = self._draw(0).standard_normal((min(rows, 2**20), self.sizes[0]), dtype)
        return drawn if len(drawn) == rows else np.resize(drawn, (rows, self.sizes[0]))

    def targets(self, rows: int, dtype: str) -> np.ndarray:
        """Classes (rows,), or numbers (rows, 1)."""
        if self.classes:
            return self._draw(1).integers(0, self.classes, rows)
        return self._draw(1).standard_normal((rows, 1), dtype)

    def data(self, dtype: str) -> tuple[np.ndarray, np.ndarray]:
        """Inputs and targets of an epoch."""
        rows = self.batch * self.steps
        return self.inputs(rows, dtype), self.targets(rows, dtype)

    def order(self) -> np.ndarray:
        """Which rows each minibatch of the epoch takes, (steps, batch)."""
        rows = self._draw(2).permutation(self.batch * self.steps)
        return rows.reshape(self.steps, self.batch)

    def layers(self, dtype: str) -> Layers:
        """Where training starts: weights (inputs, outputs) and biases."""
        draw = self._draw(3)
        return [
            ((draw.normal(size=(i, o)) * np.sqrt(2 / i)).astype(dtype), np.zeros(o, dtype))
            for i, o in zip(self.sizes, self.sizes[1:], strict=False)
        ]

    def _draw(self, stream: int) -> np.random.Generator:
        return np.random.default_rng([stream, zlib.crc32(self.name.encode())])

    def mean_loss(self, layers: Sequence[tuple[Any, Any]], dtype: str) -> float:
        """The mean loss of a network over (at most 256 rows of) the first minibatch, in float64."""
        x, t = (a[: min(self.batch, 256)] for a in self.data(dtype))
        h = x.astype(np.float64)
        for w, b in layers[:-1]:
            h = np.maximum(h @ np.asarray(w, np.float64) + np.asarray(b, np.float64), 0)
        h = h @ np.asarray(layers[-1][0], np.float64) + np.asarray(layers[-1][1], np.float64)
        if not self.classes:
            return float(np.mean((h - t) ** 2) / 2)
        h = h - h.max(axis=1, keepdims=True)
        h = h - np.log(np.sum(np.exp(h), axis=1, keepdims=True))
        return float(-np.mean(np.take_along_axis(h, t[:, None], 1)))


NETWORKS = (
    Network((4, 16, 3), 32, 1000),
    Network((64, 64, 10), 64, 500),
    Network((784, 128, 10), 128, 60),
    Network((784, 512, 512, 10), 256, 12),
    Network((100, 256, 256, 1), 1024, 12),
)
PREDICTED = (NETWORKS[2], NETWORKS[4])
FITTED = (NETWORKS[3], NETWORKS[4])


# Functions of one argument, written for any library that has NumPy's names -----------------


def lecture(x: Any, np: Any) -> Any:
    return np.cos(np.sin(x**2) + 3 * x**2)


def scalar_chain(x: Any, np: Any) -> Any:
    for _ in range(250):
        x = np.sin(x) * 0.5 + np.cos(x)
    return x


def logsumexp(x: Any, np: Any) -> Any:
    top = np.max(x)
    return np.log(np.sum(np.exp(x - top))) + top


def rosenbrock(x: Any, np: Any) -> Any:
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


@dataclass(frozen=True)
class Function:
    """A function, by the name it has in this module, and how many numbers it takes (0: one
    number, not an array)."""

    name: str
    definition: str
    size: int = 0

    def f(self, np: Any) -> Callable[[Any], Any]:
        definition = globals()[self.definition]
        return lambda x: definition(x, np)

    def x(self) -> Any:
        return np.random.default_rng(0).normal(size=self.size) if self.size else 0.7


FUNCTIONS = (
    Function("J = cos(sin(x^2) + 3 x^2)", "lecture"),
    Function("1,000 scalar operations", "scalar_chain"),
    Function("log-sum-exp of 1,000,000", "logsumexp", 1_000_000),
    Function("Rosenbrock, 10,000 variables", "rosenbrock", 10_000),
)


# Unrolled loops, whose derivative is compiled ------------------------------------------------


def sines(x: Any, np: Any, steps: int) -> Any:
    for _ in range(steps):
        x = np.sin(x)
    return x


def pendulum(p: Any, np: Any, steps: int) -> Any:
    """A damped pendulum by the method of Runge and Kutta, number by number."""
    h = 0.01

    def rates(y: Any) -> Any:
        return y[1], -p * np.sin(y[0]) - 0.1 * y[1]

    y = (1.0, 0.0)
    for _ in range(steps):
        k1 = rates(y)
        k2 = rates([a + h / 2 * k for a, k in zip(y, k1, strict=True)])
        k3 = rates([a + h / 2 * k for a, k in zip(y, k2, strict=True)])
        k4 = rates([a + h * k for a, k in zip(y, k3, strict=True)])
        y = [y[i] + h / 6 * (k1[i] + 2 * k2[i] + 2 * k3[i] + k4[i]) for i in range(2)]
    return y[0] ** 2


def lorenz(p: Any, np: Any, steps: int) -> Any:
    """The same for Lorenz's system, as arrays of three numbers."""
    h = 0.01

    def rates(y: Any) -> Any:
        return np.stack([p[0] * (y[1] - y[0]), y[0] * (p[1] - y[2]) - y[1],
                         y[0] * y[1] - p[2] * y[2]])  # fmt: skip

    y = np.ones(3)
    for _ in range(steps):
        k1 = rates(y)
        k2 = rates(y + h / 2 * k1)
        k3 = rates(y + h / 2 * k2)
        k4 = rates(y + h * k3)
        y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return np.sum(y**2)


@dataclass(frozen=True)
class Unrolled:
    """A loop by the name of its definition, the numbers of steps it is written out for, and its
    argument: a number, or several."""

    name: str
    definition: str
    steps: tuple[int, ...]
    start: float | tuple[float, ...] = 0.5

    def f(self, np: Any, steps: int) -> Callable[[Any], Any]:
        definition = globals()[self.definition]
        return lambda x: definition(x, np, steps)

    def x(self) -> Any:
        return np.array(self.start) if isinstance(self.start, tuple) else self.start


UNROLLED = (
    Unrolled("Runge-Kutta, pendulum", "pendulum", (47, 235, 940), 2.0),
    Unrolled("Runge-Kutta, Lorenz", "lorenz", (12, 47, 235), (10.0, 28.0, 8 / 3)),
    Unrolled("chain of sin", "sines", (1000, 3000, 10_000)),
)


# Work --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Training:
    """An epoch of minibatches; the outcome is the mean loss afterwards."""

    network: Network
    optimizer: str
    dtype: str
    kind: ClassVar[str] = "training"
    unit: ClassVar[str] = "step"

    @property
    def title(self) -> str:
        return f"{self.network.name}, {self.optimizer}, {self.dtype}"

    @property
    def tolerance(self) -> float:
        """Relative. Rounding grows from step to step, and by leaps where a ReLU switches;
        in float64, PyTorch's compiled Adam corrects its bias in float32."""
        return 1e-4 if self.dtype == "float64" else 2e-2


@dataclass(frozen=True)
class Prediction:
    """The output unit of rows; the outcome is the mean square of what comes out."""

    network: Network
    rows: int
    dtype: str = "float32"
    kind: ClassVar[str] = "prediction"
    unit: ClassVar[str] = "call"
    tolerance: ClassVar[float] = 1e-4

    @property
    def title(self) -> str:
        return f"{self.network.name}, {self.rows:,} row{'s' * (self.rows > 1)}"


@dataclass(frozen=True)
class Gradient:
    """Value and gradient; the outcome is the value plus the sum of squares of the gradient."""

    function: Function
    kind: ClassVar[str] = "gradient"
    unit: ClassVar[str] = "call"
    tolerance: ClassVar[float] = 1e-8

    @property
    def title(self) -> str:
        return self.function.name


@dataclass(frozen=True)
class Cost:
    """A function, or a network's mean loss over one minibatch as one of its parameters: its
    value, or its value and gradient, as the contestant's variant says."""

    subject: Function | Network
    kind: ClassVar[str] = "cost"
    unit: ClassVar[str] = "call"
    tolerance: ClassVar[float] = 0.0  # nothing is compared

    @property
    def title(self) -> str:
        loss = isinstance(self.subject, Network)
        return f"mean loss of {self.subject.name}" if loss else self.subject.name


@dataclass(frozen=True)
class Compilation:
    """Recording, differentiating and compiling: a chain of so many scalar operations, or the
    training loop of a network (Adam, float32)."""

    subject: int | Network
    kind: ClassVar[str] = "compilation"
    unit: ClassVar[str] = "call"
    tolerance: ClassVar[float] = 0.0  # nothing is compared

    @property
    def title(self) -> str:
        if isinstance(self.subject, Network):
            return f"training of {self.subject.name}"
        return f"{self.subject:,} operations"


@dataclass(frozen=True)
class Multiply:
    """A matrix product, (m, k) times (k, n), of operands that lie as ``layout`` says, on so many
    threads; the outcome is its mean square."""

    m: int
    k: int
    n: int
    layout: str
    dtype: str = "float32"
    threads: int = 1
    kind: ClassVar[str] = "multiply"
    unit: ClassVar[str] = "call"
    tolerance: ClassVar[float] = 1e-4

    @property
    def title(self) -> str:
        return f"{self.m}, {self.k}, {self.n}: {self.layout}"

    @property
    def flops(self) -> int:
        """Multiplications and additions."""
        return 2 * self.m * self.k * self.n

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A and B as they lie in memory, and where the product goes."""
        draw = np.random.default_rng(0)
        a = (self.k, self.m) if self.layout == "A.T @ B" else (self.m, self.k)
        b = (self.n, self.k) if self.layout == "A @ B.T" else (self.k, self.n)
        c = np.zeros((self.m, self.n), self.dtype)
        return draw.standard_normal(a, self.dtype), draw.standard_normal(b, self.dtype), c

    def laid_out(self, a: Any, b: Any) -> tuple[Any, Any]:
        """The two as factors."""
        return a.T if self.layout == "A.T @ B" else a, b.T if self.layout == "A @ B.T" else b


Work = Training | Prediction | Gradient | Cost | Compilation | Multiply


class Prepared(NamedTuple):
    """Work set up in a library, ready to be timed.

    Attributes:
        run: does it once, and has finished it when it returns.
        units: how many steps or calls that are.
        outcome: does it once more, for the number that all libraries must agree on; None
            where theirs need not be the same.
        own_clock: whether ``run`` returns the seconds that count, instead of being timed.
    """

    run: Callable[[], Any]
    units: int = 1
    outcome: Callable[[], float] | None = None
    own_clock: bool = False


def outcome_of(value: Any, gradient: Any) -> float:
    """The outcome of a ``Gradient``."""
    return float(value) + float(np.sum(np.square(np.asarray(gradient, np.float64))))


def mean_square(predicted: Any) -> float:
    """The outcome of a ``Prediction``."""
    return float(np.mean(np.square(np.asarray(predicted, np.float64))))
