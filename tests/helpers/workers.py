"""What other processes are asked to do. They import this module, and get the rest pickled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import chainrule as cr
from chainrule import errors, nn, optim, train
from chainrule.tabular import Options, TabularModel, table_of
from chainrule.tabular import train as train_table

POINTS = np.linspace(-1, 1, 6)
ROWS = np.linspace(-1, 1, 60).reshape(20, 3)


def wave(x: np.ndarray) -> Any:
    return np.sum(np.sin(x) * x)


@cr.jit
def decorated(x: np.ndarray) -> Any:
    return np.sum(np.cos(x) * x)


def fitted(optimizer: Any, rows: np.ndarray = ROWS) -> train.FitResult:
    targets = rows.sum(axis=1, keepdims=True)
    model = nn.MLP((3, 4, 1))
    return train.fit(
        model, (rows, targets), loss=nn.SquaredError(), optimizer=optimizer, epochs=2, seed=1
    )


def predicted(result: train.FitResult) -> np.ndarray:
    return result.predict(ROWS)


def table_model() -> TabularModel:
    table = table_of({"x": ROWS[:, 0], "z": ROWS[::-1, 1] ** 2, "y": ROWS[:, 0] * 3})
    return train_table(table, "y", Options(hidden=(3,), epochs=2))


def from_table(model: TabularModel) -> np.ndarray:
    return model.predict(table_of({"x": ROWS[:, 0], "z": ROWS[:, 1]})).values


def answers(given: dict[str, Any]) -> dict[str, Any]:
    """What a process computes with functions, an optimiser, a network and a model of a table."""
    gradient = cr.jit(cr.grad(lambda x: np.sum(np.tanh(x) ** 2)))  # made where it is called
    result = fitted(given["optimizer"])
    return {
        "jitted": [float(jitted(POINTS)) for jitted in given["jitted"]],
        "decorated": float(decorated(POINTS)),
        "gradient": gradient(POINTS),
        "losses": [row["train_loss"] for row in result.history],
        "network": predicted(given["result"]),
        "table": from_table(given["model"]),
        "result": result,
    }


def diverges() -> None:
    fitted(optim.sgd(1e3), ROWS * 1e30)


def raises(name: str) -> None:
    raise getattr(errors, name)(f"from {name}")


def processors_taken() -> int:
    """How many of this process's threads run programs, as its programs believe."""
    from chainrule.run.native.runtime import team

    return team._running


def lose_connections(dask_worker: Any) -> int:
    """Close all connections from a Dask worker to others, in use or not; returns how many."""
    pool = dask_worker.rpc
    open_ = [one for some in (*pool.occupied.values(), *pool.available.values()) for one in some]
    for one in open_:
        one.abort()
    return len(open_)


def limit_memory(megabytes: int) -> None:
    """Let this process take so much more than it has, and no more."""
    import resource

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + megabytes * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))


class Hungry:
    """Minibatches that take much memory for a moment."""

    rows, steps = 20, 4

    def take(self, epoch: int, step: int) -> Any:
        if epoch > 1:
            np.empty(2**30, np.uint8)[0] = 1
        rows = ROWS[(np.arange(16) + step) % 20]
        return rows, rows.sum(axis=1, keepdims=True), None
