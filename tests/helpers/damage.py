"""Model files, damaged and forged in every part: bytes, header, document, arrays.

``damaged(files, seed)`` is one file made from one of ``files``, the same for the same seed. What a
file is made of is taken apart, changed in a few places each chosen by kind, and put together
again, so that most changes get past the first check that reads the file.
"""

from __future__ import annotations

import json
import random
import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass
class Raw:
    """Text that stands in JSON as it is, JSON or not."""

    text: str


@dataclass
class Pairs:
    """An object by its entries, of which two may have one key."""

    pairs: list[tuple[str, Any]]


@dataclass
class Parts:
    header: dict[str, Any]
    document: Any
    body: bytes


NUMBERS = (
    0, 1, -1, 2, 7, 2**31, 2**53, 2**53 + 1, 2**63 - 1, 2**63, 2**64, -(2**64), 10**18, 10**400,
    -0.0, 0.5, 1.0, -2.5, 1e-5, 5e-324, 1e-300, 1e38, 1e300, -1e300, 1.7976931348623157e308,
)  # fmt: skip
TEXTS = (
    "", " ", "x", "other", "\ud83d", "a\udc00b", "\x1b[2J\x1b[31m", "\x9b31m", "\u202e", "\0",
    "a\nb\rc\td", "<script>", "nan", "NaN", "-1", "1e999", "relu", "softmax", "adam", "lbfgs",
    "regression", "binary", "multiclass", "number", "date", "x" * 5000, "\U0001f427" * 50,
)  # fmt: skip
LITERALS = (
    "NaN", "Infinity", "-Infinity", "1e999", "-1e999", "9" * 4000, "-" + "9" * 5000, "1e", "01", "",
    "[" * 3000 + "]" * 3000, '{"a":' * 900 + "1" + "}" * 900, "tru",
)  # fmt: skip
DTYPES = (
    "F64", "F32", "F16", "BF16", "F8_E4M3", "I64", "U64", "I32", "U8", "BOOL", "C64", "F4", "f32",
)  # fmt: skip


def taken_apart(file: bytes) -> Parts:
    """A file of the safetensors format, with chainrule's document read."""
    length = struct.unpack("<Q", file[:8])[0]
    header = json.loads(file[8 : 8 + length])
    document = json.loads(header["__metadata__"]["chainrule"])
    return Parts(header, document, file[8 + length :])


def put_together(parts: Parts) -> bytes:
    if isinstance(parts.header.get("__metadata__"), dict):
        parts.header["__metadata__"]["chainrule"] = written(parts.document)
    header = written(parts.header).encode()
    return struct.pack("<Q", len(header)) + header + parts.body


def written(value: Any) -> str:
    """JSON, with what JSON would not say."""
    odd: list[str] = []

    def other(value: Any) -> str:
        pairs = value.pairs if isinstance(value, Pairs) else ()
        text = ",".join(f"{json.dumps(k)}:{written(v)}" for k, v in pairs)
        odd.append(value.text if isinstance(value, Raw) else f"{{{text}}}")
        return f"\0{len(odd) - 1}\0"

    text = json.dumps(value, default=other)
    return re.sub(r'"\\u0000(\d+)\\u0000"', lambda found: odd[int(found[1])], text)


def damaged(files: Sequence[bytes], seed: int) -> bytes:
    rng = random.Random(seed)
    file = rng.choice(files)
    if rng.random() < 0.1:
        return bytes_changed(file, rng)
    parts = taken_apart(file)
    if isinstance(parts.document, dict) and rng.random() < 0.85:
        parts.document.pop("sha256", None)  # else hardly a change would get past it
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        weights = {document_changed: 14, header_changed: 3, array_changed: 3}
        (change,) = rng.choices(list(weights), list(weights.values()))
        change(parts, rng)
    made = put_together(parts)
    return bytes_changed(made, rng) if rng.random() < 0.03 else made


def bytes_changed(file: bytes, rng: random.Random) -> bytes:
    data, at = bytearray(file), rng.randrange(len(file))
    kind = rng.randrange(7)
    if kind == 0:
        data[at] ^= 1 << rng.randrange(8)
    elif kind == 1:
        data[at] = rng.randrange(256)
    elif kind == 2:
        del data[at:]
    elif kind == 3:
        del data[at : at + rng.randrange(1, 50)]
    elif kind == 4:
        data[at:at] = rng.randbytes(rng.randrange(1, 50))
    elif kind == 5:
        data[at:at] = data[at : at + rng.randrange(1, 200)]
    else:
        data[:8] = struct.pack("<Q", rng.choice((0, 1, at, 2**31, 2**63, 2**64 - 1)))
    return bytes(data)


def header_changed(parts: Parts, rng: random.Random) -> None:
    header = parts.header
    name = rng.choice(list(header))
    entry = header[name]
    kind = rng.randrange(8)
    if kind == 0:
        header[name] = anything(rng)
    elif kind == 1:
        del header[name]
    elif kind == 2:
        header[rng.choice(TEXTS)] = header.pop(name)
    elif kind == 3:
        header[rng.choice(("params/more", "state/x", "__metadata__ ", "chainrule"))] = entry
    elif name == "__metadata__" or not isinstance(entry, dict):
        header[name] = rng.choice(({}, {"chainrule": 1}, {"chainrule": "{}"}, {"other": "x"}))
    elif kind == 4:
        entry["dtype"] = rng.choice((*DTYPES, anything(rng)))
    elif kind == 5:
        entry["shape"] = rng.choice(
            ([], [0], [1], [-1], [2**62, 4], [1] * 40, [4, 3], anything(rng))
        )
    elif kind == 6:
        entry["data_offsets"] = rng.choice(([0, 0], [0, 2**63], [8, 4], [-1, 3], anything(rng)))
    else:
        header[name] = Pairs([*entry.items(), *entry.items()])


def array_changed(parts: Parts, rng: random.Random) -> None:
    """Other numbers, or the same bytes as numbers of another kind, or in another shape."""
    entries = [e for e in parts.header.values() if isinstance(e, dict) and "dtype" in e]
    if not entries:
        return
    entry = rng.choice(entries)
    kind = rng.randrange(5)
    try:
        first, last = entry["data_offsets"]
        shape = entry["shape"]
        count = int(np.prod(shape))
        if kind == 0:
            entry["dtype"] = rng.choice(("I32", "U32", "F32"))
        elif kind == 1:
            entry["dtype"], size = rng.choice((("F16", 2), ("U8", 1), ("BOOL", 1)))
            entry["shape"] = [(last - first) // size]
        elif kind == 2:
            entry["shape"] = rng.choice(
                ([count], shape[::-1], [1, *shape], [count, 1], [*shape, 1])
            )
        else:
            value = rng.choice((np.nan, np.inf, -np.inf, 3e38, -3e38, 1e30, 1e-45, -1.0, 0.0))
            array = np.frombuffer(parts.body[first:last], np.float32).copy()
            array[rng.randrange(len(array)) :: rng.choice((1, 10**6))] = value
            if kind == 4:
                array = np.frombuffer(rng.randbytes(array.nbytes), np.float32)
            parts.body = parts.body[:first] + array.tobytes() + parts.body[last:]
    except (TypeError, ValueError, KeyError):  # damaged before
        entry["shape"] = [1]


def document_changed(parts: Parts, rng: random.Random) -> None:
    places = list(walk(parts.document))
    if not places:
        parts.document = anything(rng)
        return
    holder, key = rng.choice(places)
    value = holder[key]
    change = rng.choice(_changes(value))
    if change is not None:
        holder[key] = change(value, rng)
    elif isinstance(holder, dict):
        kind = rng.randrange(4)
        if kind == 0:
            del holder[key]
        elif kind == 1:
            holder[rng.choice((*TEXTS, "version", "kind"))] = value
        elif kind == 2:
            other, at = rng.choice(places)
            holder[key], other[at] = other[at], value
        else:
            again = Pairs([*holder.items(), (key, anything(rng))])
            replaced(parts, holder, again)
    else:
        holder.insert(key, rng.choice((value, anything(rng))))


def replaced(parts: Parts, holder: Any, by: Any) -> None:
    for above, key in walk(parts.document):
        if above[key] is holder:
            above[key] = by
            return
    parts.document = by


def walk(value: Any) -> Any:
    """Every place in a document, as what holds it and its key there."""
    keys = (
        value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    )
    for key in list(keys):
        yield value, key
        yield from walk(value[key])


def _changes(value: Any) -> list[Callable[[Any, random.Random], Any] | None]:
    """Ways to change a value; None: what holds it is changed."""
    ways: list[Any] = [None, lambda v, rng: anything(rng)]
    if isinstance(value, bool):
        ways.append(lambda v, rng: rng.choice((not v, int(v), str(v).lower())))
    elif isinstance(value, (int, float)):
        ways += [
            lambda v, rng: rng.choice(NUMBERS),
            lambda v, rng: rng.choice((-v, v + 1, v * 2, v * 10**30, float(v), str(v))),
            lambda v, rng: Raw(rng.choice(LITERALS)),
        ]
    elif isinstance(value, str):
        ways += [
            lambda v, rng: rng.choice(TEXTS),
            lambda v, rng: v[: len(v) // 2] + rng.choice(TEXTS) + v[len(v) // 2 :],
        ]
    elif isinstance(value, list):
        ways += [
            lambda v, rng: v[::-1],
            lambda v, rng: v + v,
            lambda v, rng: v[: len(v) // 2],
            lambda v, rng: v * 300,
            lambda v, rng: [rng.choice(NUMBERS) for _ in v],
        ]
    return ways


def anything(rng: random.Random) -> Any:
    return rng.choice(
        (None, True, False, [], {}, [None], [[]], {"": None}, rng.choice(NUMBERS),
         rng.choice(NUMBERS), rng.choice(TEXTS), rng.choice(TEXTS), Raw(rng.choice(LITERALS)),
         [rng.choice(NUMBERS)], {"kind": "number"})
    )  # fmt: skip
