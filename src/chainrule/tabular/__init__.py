"""Networks on tables: reading, typing and coding columns, training, the saved model.

    table = read_table("penguins.csv")
    model = train(table, "species")
    model.predict(read_table("new.csv")).values

Importing this package loads NumPy and chainrule only: pyarrow comes with ``read_table``,
safetensors with saving and loading.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chainrule.forks import load

if TYPE_CHECKING:
    from chainrule.tabular.coding import Coding
    from chainrule.tabular.frames import table_of
    from chainrule.tabular.model import Prediction, TabularModel
    from chainrule.tabular.options import Options
    from chainrule.tabular.reading import Format, read_table
    from chainrule.tabular.scoring import Scores
    from chainrule.tabular.stream import Stream
    from chainrule.tabular.table import Column, Table
    from chainrule.tabular.target import Target
    from chainrule.tabular.training import Plan, prepare, train

__all__ = [
    "Coding",
    "Column",
    "Format",
    "Options",
    "Plan",
    "Prediction",
    "Scores",
    "Stream",
    "Table",
    "TabularModel",
    "Target",
    "prepare",
    "read_table",
    "table_of",
    "train",
]

_HOMES = {
    "Coding": "coding",
    "Column": "table",
    "Format": "reading",
    "Options": "options",
    "Plan": "training",
    "Prediction": "model",
    "Scores": "scoring",
    "Stream": "stream",
    "Table": "table",
    "TabularModel": "model",
    "Target": "target",
    "prepare": "training",
    "read_table": "reading",
    "table_of": "frames",
    "train": "training",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(load(f"chainrule.tabular.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
