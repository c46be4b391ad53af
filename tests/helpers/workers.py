"""What other processes are asked to do. They import this module, and get the rest pickled."""

from __future__ import annotations

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
