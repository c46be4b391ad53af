"""What moves, repeats, reads, places and chooses numbers, and leaves them as they are."""

from chainrule.ops.structure.choosing import iota, positions, require, select
from chainrule.ops.structure.moving import cast, identity, reshape, stop_gradient, transpose
from chainrule.ops.structure.reading import (
    concatenate,
    gather,
    place,
    scatter_add,
    slice_,
)
from chainrule.ops.structure.several import (
    Pattern,
    Start,
    Writes,
    entries,
    entry,
    read_many,
    read_of,
    split,
    stacked,
    write_many,
    writes_of,
)
from chainrule.ops.structure.spreading import (
    broadcast,
    broadcast_in,
    broadcast_to,
    reduce_sum,
    spread,
)
from chainrule.ops.structure.user_rule import UserRule, custom
from chainrule.ops.structure.writing import common_region, put, write

__all__ = [
    "Pattern",
    "Start",
    "UserRule",
    "Writes",
    "broadcast",
    "broadcast_in",
    "broadcast_to",
    "cast",
    "common_region",
    "concatenate",
    "custom",
    "entries",
    "entry",
    "gather",
    "identity",
    "iota",
    "place",
    "positions",
    "put",
    "read_many",
    "read_of",
    "reduce_sum",
    "require",
    "reshape",
    "scatter_add",
    "select",
    "slice_",
    "split",
    "spread",
    "stacked",
    "stop_gradient",
    "transpose",
    "write",
    "write_many",
    "writes_of",
]
