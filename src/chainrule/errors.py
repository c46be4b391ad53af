"""Every error chainrule raises on purpose.

Each message says what was wrong, where, and what to write instead. Users catch
``ChainruleError`` to catch them all; the subclasses also derive from the built-in
exception that NumPy users expect in the same place.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "ChainruleError",
    "DataError",
    "DerivativeError",
    "DtypeError",
    "EscapedTracerError",
    "GraphError",
    "IndexingError",
    "MutationError",
    "NonFiniteError",
    "RecordingError",
    "ShapeError",
    "UnknownValueError",
    "UnsupportedError",
    "UsageError",
]


class ChainruleError(Exception):
    """Base of all errors raised by chainrule. They pickle, whatever their ``__init__`` takes."""

    def __reduce__(self) -> Any:
        return _again, (type(self), self.args, self.__dict__)


def _again(kind: type[ChainruleError], args: tuple[Any, ...], attributes: Any) -> ChainruleError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(attributes)
    return error


class ShapeError(ChainruleError, ValueError):
    """Shapes, axes or lengths that do not fit an operation."""


class IndexingError(ShapeError, IndexError):
    """An index that is out of bounds or of a kind that arrays do not take."""


class DtypeError(ChainruleError, TypeError):
    """A dtype that an operation or a derivative does not take."""


class RecordingError(ChainruleError, TypeError):
    """Something was done to a traced value that cannot be recorded."""


class MutationError(RecordingError):
    """In-place assignment to, or with, a traced value."""


class UnknownValueError(RecordingError):
    """Python needed the number behind a value that is only known when the graph runs."""


class EscapedTracerError(RecordingError):
    """A traced value was used after its recording ended."""


class UnsupportedError(RecordingError, NotImplementedError):
    """A function or keyword that chainrule does not record."""


class DerivativeError(ChainruleError, ValueError):
    """A derivative was asked of something that has none."""


class GraphError(ChainruleError, ValueError):
    """A graph, or the text of one, is not well formed."""


class NonFiniteError(ChainruleError, ArithmeticError):
    """A computation left the finite numbers where they are required."""


class DataError(ChainruleError, ValueError):
    """A table, or a model file, that cannot be used as it is."""


class UsageError(ChainruleError, ValueError):
    """Arguments or options that do not fit together."""


def __dir__() -> list[str]:
    return sorted(__all__)
