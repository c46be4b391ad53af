"""What moves, repeats, reads, places and chooses numbers, and leaves them as they are."""

from chainrule.ops.structure.choosing import iota, positions, require, select
from chainrule.ops.structure.moving import cast, identity, reshape, stop_gradient, transpose
from chainrule.ops.structure.reading import (
    concatenate,
    entries,
    gather,
    many_entries,
    place,
    reads_of_entries,
    scatter_add,
    slice_,
    stacked,
    stacked_entries,
)
from chainrule.ops.structure.spreading import (
    broadcast,
    broadcast_in,
    broadcast_to,
    reduce_sum,
    spread,
)
from chainrule.ops.structure.user_rule import UserRule, custom
from chainrule.ops.structure.writing import apart, common_region, is_write, put, write

__all__ = [
    "UserRule",
    "apart",
    "broadcast",
    "broadcast_in",
    "broadcast_to",
    "cast",
    "common_region",
    "concatenate",
    "custom",
    "entries",
    "gather",
    "identity",
    "iota",
    "is_write",
    "many_entries",
    "place",
    "positions",
    "put",
    "reads_of_entries",
    "reduce_sum",
    "require",
    "reshape",
    "scatter_add",
    "select",
    "slice_",
    "spread",
    "stacked",
    "stacked_entries",
    "stop_gradient",
    "transpose",
    "write",
]
