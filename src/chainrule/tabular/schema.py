"""The metadata of a saved tabular model: version 4 of a closed schema.

Any change to what is stored raises ``VERSION``; a reader refuses versions it does not know, and
fills in what older ones did not have (``_filled``).
"""

from __future__ import annotations

from typing import Any, cast

from chainrule.errors import DataError
from chainrule.io import (
    Boolean,
    Constant,
    Integer,
    ListOf,
    Nullable,
    Number,
    OneOf,
    Record,
    Tagged,
    Text,
    check,
)
from chainrule.optim.rules import OPTIMIZERS
from chainrule.tabular.dates import ORDERS
from chainrule.tabular.options import LOSSES, PRESETS, SCHEDULES, TASKS
from chainrule.tabular.options import ORDERS as OPTIONS_ORDERS

__all__ = ["FORMAT", "SCHEMA", "STOPPED", "VERSION", "check_metadata"]

FORMAT = "chainrule.tabular"
VERSION = 5

STOPPED = ("epochs", "early_stopping", "interrupted", "callback", "converged")
"""Why a training run ended."""

COUNT = Integer(minimum=0)
NUMBER = Number()
WORDS = ListOf(Text())
PAIR = ListOf(Text(), minimum=2)
THOUSANDS = (",", ".", "'", " ")
DRESS = Record(
    {
        "name": Text(),
        "decimal": OneOf((".", ",")),
        "thousands": OneOf(("", *THOUSANDS)),
        "unit": Text(),
    }
)

COLUMN = Tagged(
    "kind",
    {
        "number": Record(
            {
                "name": Text(),
                "center": NUMBER,
                "scale": Number(minimum=0),
                "fill": NUMBER,
                "low": NUMBER,
                "high": NUMBER,
                "indicator": Boolean(),
                "spikes": ListOf(NUMBER),
            }
        ),
        "boolean": Record(
            {
                "name": Text(),
                "false": Text(),
                "true": Text(),
                "center": NUMBER,
                "scale": Number(minimum=0),
                "indicator": Boolean(),
            }
        ),
        "category": Record(
            {
                "name": Text(),
                "categories": WORDS,
                "counts": ListOf(COUNT),
                "rare": WORDS,
                "other": Boolean(),
                "missing": Boolean(),
            }
        ),
        "date": Record(
            {
                "name": Text(),
                "features": WORDS,
                "centers": ListOf(NUMBER),
                "scales": ListOf(Number(minimum=0)),
                "low": Text(),
                "high": Text(),
                "indicator": Boolean(),
                "order": OneOf(("", *ORDERS)),
            }
        ),
        "dropped": Record({"name": Text(), "why": Text()}),
    },
)

OPTIONS = Record(
    {
        "task": Nullable(OneOf(TASKS)),
        "loss": Nullable(OneOf(tuple(name for names in LOSSES.values() for name in names))),
        "preset": OneOf(PRESETS),
        "ensemble": Integer(minimum=1),
        "tabm": Integer(minimum=0, maximum=10**4),
        "hidden": ListOf(Integer(minimum=1)),
        "activation": Text(),
        "optimizer": OneOf(tuple(OPTIMIZERS.table)),
        "learning_rate": Nullable(Number(minimum=0)),
        "schedule": OneOf(tuple(SCHEDULES)),
        "epochs": Integer(minimum=1),
        "batch_size": COUNT,
        "l1": Number(minimum=0),
        "l2": Number(minimum=0),
        "dropout": Number(minimum=0),
        "batch_norm": Boolean(),
        "init": Text(),
        "seed": COUNT,
        "validation": Number(minimum=0),
        "test": Number(minimum=0),
        "early_stopping": COUNT,
        "calibrate": Boolean(),
        "class_weight": Nullable(OneOf(("balanced",))),
        "weight": Nullable(Text()),
        "drop": WORDS,
        "keep": WORDS,
        "category": WORDS,
        "map_class": ListOf(PAIR),
        "order": OneOf(OPTIONS_ORDERS),
        "shards": Integer(minimum=1),
    }
)

EPOCH = Record(
    {
        "epoch": Integer(minimum=1),
        "train_loss": NUMBER,
        "validation_loss": Nullable(NUMBER),
        "learning_rate": Nullable(NUMBER),
    }
)

SCORES = Record(
    {
        "sets": ListOf(Text(), minimum=2),
        "baseline_on": Text(),
        "rows": ListOf(Record({"score": Text(), "values": ListOf(Nullable(NUMBER))})),
    }
)

FILE = Record({"name": Text(), "sha256": Text(), "rows": COUNT, "columns": COUNT})

SCHEMA = Record(
    {
        "format": Constant(FORMAT),
        "version": Constant(VERSION),
        "chainrule": Text(),
        "reading": Record(
            {
                "header": Boolean(),
                "missing": WORDS,
                "missing_only": Boolean(),
                "decimal": Nullable(OneOf((".", ","))),
                "thousands": Nullable(OneOf(tuple(THOUSANDS))),
                "date_order": Nullable(OneOf(ORDERS)),
                "dress": ListOf(DRESS),
                "names": WORDS,
            }
        ),
        "target": Record(
            {
                "name": Text(),
                "task": OneOf(TASKS),
                "classes": WORDS,
                "shares": ListOf(Number(minimum=0)),
                "center": NUMBER,
                "scale": Number(minimum=0),
                "aliases": ListOf(PAIR),
            }
        ),
        "columns": ListOf(COLUMN),
        "network": Record(
            {
                "sizes": ListOf(Integer(minimum=1, maximum=10**6), minimum=2),
                "activation": Text(),
                "dropout": Number(minimum=0),
                "batch_norm": Boolean(),
                "initializer": Text(),
                "preset": OneOf(PRESETS),
                "numbers": COUNT,
                "embedded": ListOf(Integer(minimum=1)),
                "tabm": Integer(minimum=0, maximum=10**4),
            }
        ),
        "robust": Nullable(
            Record(
                {
                    "order": ListOf(COUNT),
                    "centers": ListOf(NUMBER),
                    "factors": ListOf(Number(minimum=0)),
                    "numbers": COUNT,
                    "embedded": ListOf(Integer(minimum=1)),
                }
            )
        ),
        "options": OPTIONS,
        "history": ListOf(EPOCH),
        "kept_epochs": ListOf(COUNT, minimum=1),
        "stopped": OneOf(STOPPED),
        "calibration": Nullable(
            Record(
                {
                    "temperature": Number(minimum=0),
                    "rows": COUNT,
                    "before": NUMBER,
                    "after": NUMBER,
                }
            )
        ),
        "scores": SCORES,
        "data": Record({"train": FILE, "validation": Nullable(FILE), "test": Nullable(FILE)}),
        "rows": Record({"train": COUNT, "validation": COUNT, "test": COUNT, "no_target": COUNT}),
    }
)


def check_metadata(metadata: dict[str, Any], source: str) -> None:
    """Raise DataError, naming ``source``, unless the metadata is of this schema and sound."""
    if metadata.get("format") != FORMAT:
        raise DataError(
            f"{source}: chainrule wrote it, but it is no tabular model (format "
            f"{metadata.get('format')!r}); give a model saved by `chainrule train`"
        )
    version = metadata.get("version")
    if version in (1, 2, 3, 4):
        _fill(metadata)
        version = VERSION
    if version != VERSION:
        raise DataError(
            f"{source}: is a model of format version {version!r}, and this chainrule reads "
            f"version {VERSION}; install the chainrule that wrote it, or train again"
        )
    try:
        check(metadata, SCHEMA)
        for fault in _faults(metadata):
            raise DataError(fault)
    except DataError as error:
        raise DataError(
            f"{source}: its metadata is not that of a model: {error}. The file was changed or "
            f"damaged; train again"
        ) from None


def _fill(metadata: dict[str, Any]) -> None:
    """Add what earlier versions had not, as it was then; what is not there is found later."""
    metadata["version"] = VERSION
    new: dict[str, dict[str, Any]] = {
        "reading": {"missing_only": False, "decimal": None, "thousands": None, "date_order": None},
        "target": {"aliases": []},
        "options": {
            "category": [],
            "map_class": [],
            "preset": "sklearn",
            "ensemble": 1,
            "calibrate": False,
            "loss": None,
            "tabm": 0,
            "shards": 1,
            "order": "shuffled",
        },
        "network": {"preset": "sklearn", "numbers": 0, "embedded": [], "tabm": 0},
    }
    metadata.setdefault("robust", None)
    metadata.setdefault("calibration", None)
    if "kept_epoch" in metadata:
        metadata["kept_epochs"] = [metadata.pop("kept_epoch")]
    new["reading"]["dress"] = []
    for part, values in new.items():
        if isinstance(metadata.get(part), dict):
            metadata[part] = {**values, **metadata[part]}
    columns: Any = metadata.get("columns")
    if isinstance(columns, list):
        metadata["columns"] = list(map(_filled, cast(list[Any], columns)))


def _filled(column: Any) -> Any:
    if not isinstance(column, dict):
        return column
    record = cast(dict[str, Any], column)
    new: dict[str, dict[str, Any]] = {"date": {"order": ""}, "number": {"spikes": []}}
    return {**new.get(str(record.get("kind")), {}), **record}


def _faults(metadata: dict[str, Any]) -> list[str]:
    """What the schema cannot say: entries that must agree with one another."""
    faults: list[str] = []
    pairs = metadata["target"]["aliases"] + metadata["options"]["map_class"]
    if any(len(pair) != 2 for pair in pairs):
        faults.append("target.aliases: not pairs")
    target, sizes = metadata["target"], metadata["network"]["sizes"]
    classes = len(target["classes"])
    expected = {"regression": classes == 0, "binary": classes == 2, "multiclass": classes >= 2}
    if not expected[target["task"]] or len(set(target["classes"])) != classes:
        faults.append(f"target.classes: {classes} classes do not fit the task {target['task']}")
    if len(target["shares"]) != classes:
        faults.append(f"target.shares: has {len(target['shares'])} entries for {classes} classes")
    if target["task"] == "regression" and not target["scale"] > 0:
        faults.append("target.scale: must be above 0")
    outputs = classes if target["task"] == "multiclass" else 1
    if sizes[-1] != outputs:
        faults.append(f"network.sizes: {sizes[-1]} outputs do not fit the target's {outputs}")
    if metadata["options"]["learning_rate"] is None and metadata["options"]["optimizer"] != "lbfgs":
        faults.append("options.learning_rate: must be a number")
    if len(metadata["scores"]["sets"]) > 5 or any(
        len(row["values"]) != len(metadata["scores"]["sets"]) for row in metadata["scores"]["rows"]
    ):
        faults.append("scores: rows and sets are not of one length")
    loss = metadata["options"]["loss"]
    if loss is not None and loss not in LOSSES[target["task"]]:
        faults.append(f"options.loss: {loss} is not of the task {target['task']}")
    network = metadata["network"]
    if network["tabm"] != metadata["options"]["tabm"] or (network["tabm"] and len(sizes) < 3):
        faults.append("network.tabm: does not fit the options or the layers")
    if metadata["calibration"] is not None and not metadata["calibration"]["temperature"] > 0:
        faults.append("calibration.temperature: must be above 0")
    if len(metadata["kept_epochs"]) != metadata["options"]["ensemble"]:
        faults.append("kept_epochs: not one for each network of the ensemble")
    faults += _robust_faults(metadata)
    names = [column["name"] for column in metadata["columns"]]
    if len(set(names)) != len(names):
        faults.append("columns: two have the same name")
    for i, column in enumerate(metadata["columns"]):
        faults += [f"columns[{i}].{fault}" for fault in _column_faults(column)]
    return faults


def _robust_faults(metadata: dict[str, Any]) -> list[str]:
    robust, network = metadata["robust"], metadata["network"]
    if (robust is None) != (network["preset"] == "sklearn"):
        return ["robust: is for the networks of a preset, and only for them"]
    if robust is None:
        return []
    inputs = network["sizes"][0]
    if sorted(robust["order"]) != list(range(inputs)):
        return ["robust.order: is no order of the inputs"]
    if not len(robust["centers"]) == len(robust["factors"]) == inputs:
        return ["robust: not one center and factor for each input"]
    laid_out = robust["numbers"], robust["embedded"]
    if laid_out != (network["numbers"], network["embedded"]):
        return ["robust: is laid out otherwise than the network"]
    if robust["numbers"] + sum(robust["embedded"]) > inputs:
        return ["robust: has more inputs than the network"]
    return []


def _column_faults(column: dict[str, Any]) -> list[str]:
    from chainrule.tabular.dates import FEATURES

    if column["kind"] == "category" and len(column["counts"]) != len(column["categories"]):
        return ["counts: not one per category"]
    if column["kind"] == "category" and len({*column["categories"]}) != len(column["categories"]):
        return ["categories: one occurs twice"]
    if column["kind"] == "number" and len({*column["spikes"]}) != len(column["spikes"]):
        return ["spikes: one occurs twice"]
    if column["kind"] == "date":
        lengths = {len(column[key]) for key in ("features", "centers", "scales")}
        if len(lengths) != 1 or not set(column["features"]) <= set(FEATURES):
            return ["features: unknown, or not one center and scale each"]
        if any(not scale > 0 for scale in column["scales"]):
            return ["scales: must be above 0"]
    return []
