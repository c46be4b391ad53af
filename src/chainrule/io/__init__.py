"""Files: arrays and JSON in one safetensors file, atomic writes, closed versioned schemas.

Nothing here is pickle, and loading never runs code. Each part of chainrule owns the schema of
what it stores; this package only reads, writes and checks.
"""

from chainrule.io.atomic import atomic_write, naming, sweep
from chainrule.io.container import is_ours, load, save
from chainrule.io.schema import (
    Boolean,
    Constant,
    Integer,
    ListOf,
    MapOf,
    Nullable,
    Number,
    OneOf,
    Record,
    Schema,
    Tagged,
    Text,
    check,
)

__all__ = [
    "Boolean",
    "Constant",
    "Integer",
    "ListOf",
    "MapOf",
    "Nullable",
    "Number",
    "OneOf",
    "Record",
    "Schema",
    "Tagged",
    "Text",
    "atomic_write",
    "check",
    "is_ours",
    "load",
    "naming",
    "save",
    "sweep",
]
