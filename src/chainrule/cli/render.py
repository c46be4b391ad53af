"""Results as lines of text: the summary before training, the scores, the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chainrule.cli.text import clean, number, score, table
from chainrule.tabular.columns import RULES
from chainrule.tabular.network import layers_text
from chainrule.tabular.words import outcome, quoted, several

if TYPE_CHECKING:
    from chainrule.tabular import Plan, Scores, TabularModel, Target

__all__ = [
    "beaten_lines",
    "calibration_lines",
    "model_lines",
    "plan_lines",
    "scores_json",
    "scores_lines",
]

UNITS_OF_LOSSES = {
    "absolute_error": "linear + absolute error",
    "huber": "linear + Huber loss",
    "quantile": "linear + pinball loss",
    "poisson": "exponential + Poisson loss",
    "gamma": "exponential + gamma loss",
    "tweedie": "exponential + Tweedie loss",
}
OUTPUT_UNITS = {
    "regression": "linear + squared error",
    "binary": "logistic + cross-entropy",
    "multiclass": "softmax + cross-entropy",
}
OPTIMIZERS = {
    "adam": "Adam",
    "adamw": "AdamW",
    "rmsprop": "RMSProp",
    "sgd": "SGD",
    "momentum": "SGD with momentum",
    "nesterov": "SGD with Nesterov momentum",
    "lbfgs": "L-BFGS",
}
ACTIVATIONS = {
    "relu": "ReLU", "leaky_relu": "leaky ReLU", "elu": "ELU", "selu": "SELU", "mish": "Mish"
}  # fmt: skip
KINDS = (
    ("number", "numeric", "numeric"),
    ("category", "category", "categories"),
    ("boolean", "boolean", "booleans"),
    ("date", "date", "dates"),
    ("dropped", "not used", "not used"),
)


def plan_lines(plan: Plan) -> list[str]:
    """The two lines printed before training."""
    options, rules = plan.options, plan.coding.rules
    kinds = []
    for kind, one, more in KINDS:
        names = [rule.name for rule in rules if rule.kind == kind]
        if names:
            shown = (
                f" ({', '.join(names)})" if kind in ("category", "date") and len(names) < 5 else ""
            )
            kinds.append(several(len(names), one, more) + shown)
    data = [
        several(plan.table.rows, "row"),
        f"{several(len(rules), 'column')}: {', '.join(kinds)}",
        f"{several(plan.missing_cells, 'cell')} missing" if plan.missing_cells else "",
        f"target {_target_text(plan.target)}",
    ]
    sizes = [str(plan.rows[p]) for p in PARTS]
    if plan.left_out:
        sizes[1] = f"{len(plan.left_out)} folds of the first"
    by_class = plan.target.task != "regression" and options.order != "streamed"
    how = "stratified, " if by_class else ""
    files = [f"{part} from {plan.files[part].name}" for part in PARTS[1:] if plan.files[part]]  # type: ignore[union-attr]
    how = "; ".join([f"{how}seed {options.seed}", *files])
    training = [
        f"split {' / '.join(sizes)} ({how})",
        f"network {_network_text(plan.network.sizes, options, plan.target.task)}",
        _optimizer_text(options),
    ]
    return [clean(" · ".join(part for part in parts if part)) for parts in (data, training)]


PARTS = ("train", "validation", "test")


def _target_text(target: Target) -> str:
    if target.task == "regression":
        return f"{target.name}: regression"
    if target.task == "binary":
        return f"{target.name}: 2 classes, positive {quoted(target.classes[1:])}"
    return f"{target.name}: {len(target.classes)} classes"


def _network_text(sizes: tuple[int, ...], options: Any, task: str) -> str:
    hidden = ACTIVATIONS.get(options.activation, options.activation) if len(sizes) > 2 else ""
    unit = UNITS_OF_LOSSES.get(options.loss, OUTPUT_UNITS[task])
    if options.loss == "focal":
        unit = unit.replace("cross-entropy", "focal loss")
    several = f"{options.ensemble} x " if (options.ensemble or 1) > 1 else ""
    if options.tabm:
        several = f"TabM, {options.tabm} members: "
    recipe = "" if options.preset == "sklearn" else f"{options.preset}: "
    head = f"{recipe}{several}{layers_text(sizes)}"
    return f"{head} {hidden}, {unit}" if hidden else f"{head} {unit}"


def _optimizer_text(options: Any) -> str:
    name = OPTIMIZERS[options.optimizer]
    if options.optimizer == "lbfgs":
        return f"{name}, all rows at once"
    batch = f"batches of {options.batch_size}" if options.batch_size else "all rows at once"
    schedule = "" if options.schedule == "constant" else f" ({options.schedule})"
    return f"{name} {options.learning_rate:g}{schedule}, {batch}"


def scores_lines(scores: Scores) -> list[str]:
    """The table of scores: sets across, the baseline last."""
    rows = [["", *scores.sets]]
    for name, values in scores.rows:
        rows.append([name, *(score(name, value) for value in values)])
    return table(rows, right=range(1, len(scores.sets) + 1))


def beaten_lines(scores: Scores) -> list[str]:
    """Lines that say so where the model is no better than what takes no learning."""
    name, values = scores.rows[0]
    own, trivial = values[scores.sets.index(scores.baseline_on)], values[-1]
    if own is not None and trivial is not None and own < trivial:
        return []
    return [
        "",
        clean(
            f"the model is no better than {scores.sets[-1]} on the {scores.baseline_on} rows "
            f"({name} {score(name, own)} against {score(name, trivial)}): do not use it"
        ),
    ]


def calibration_lines(model: TabularModel) -> list[str]:
    """How sure the model may be: its temperature, or how wide its intervals are."""
    found = model.calibration
    if found is None:
        return []
    rows = several(found.rows, "row")
    return [
        f"temperature {found.temperature:.2f}: log loss {found.before:.4g} -> {found.after:.4g} on "
        f"the {rows} held out of training"
    ]


def scores_json(scores: Scores) -> dict[str, Any]:
    """The same as JSON: score -> set -> value, and what the baseline is."""
    *sets, label = scores.sets
    keys = (*sets, "baseline")
    return {
        "baseline": {"prediction": label, "on": scores.baseline_on},
        "scores": {name: dict(zip(keys, values, strict=True)) for name, values in scores.rows},
    }


def model_lines(model: TabularModel, name: str) -> list[str]:
    """Everything ``inspect`` shows."""
    options, data = model.options, model.files["train"]
    assert data is not None
    print_ = data.fingerprint
    parameters = model.parameters()
    head = [
        f"{name} · model of {_target_text(model.target)} · written by chainrule {model.version}",
        f"network {_network_text(model.network.sizes, options, model.target.task)} · "
        f"{several(parameters, 'parameter')}" + _regularisation(options),
        f"data {data.name}: {several(print_.rows, 'row')}, {several(print_.columns, 'column')}, "
        f"sha256 {print_.sha256[:16]}… · split "
        + " / ".join(str(model.rows[part]) for part in PARTS)
        + f", seed {options.seed}",
        *(
            f"{part} from {file.name}: {several(file.fingerprint.rows, 'row')}, sha256 "
            f"{file.fingerprint.sha256[:16]}…"
            for part in PARTS[1:]
            if (file := model.files[part]) is not None
        ),
        f"{_optimizer_text(options)} · {outcome(model)}",
    ]
    if model.target.classes:
        shares = zip(model.target.classes, model.target.shares, strict=True)
        listed = [f"{word} {share:.1%}" for word, share in shares]
        more = f" and {len(listed) - 12} more" if len(listed) > 12 else ""
        head.append(f"classes {', '.join(listed[:12])}{more}")
    else:
        center, scale = model.target.center, model.target.scale
        head.append(f"target mean {center:.6g}, deviation {scale:.6g} in the training rows")
    return [
        *(clean(line) for line in head),
        "",
        *_column_lines(model),
        "",
        *_history_lines(model),
        "",
        *scores_lines(model.scores),
        *calibration_lines(model),
    ]


def _regularisation(options: Any) -> str:
    parts = [
        f"{name} {getattr(options, name):g}"
        for name in ("l1", "l2", "dropout")
        if getattr(options, name)
    ]
    parts += ["batch normalisation"] * options.batch_norm
    parts += [f"initial weights {options.init}"] if options.init != "auto" else []
    parts += ["classes balanced"] if options.class_weight else []
    parts += [f"weighted by {options.weight}"] if options.weight else []
    return " · " + ", ".join(parts) if parts else ""


def _column_lines(model: TabularModel) -> list[str]:
    rows = [["column", "rule", "inputs", "learned from the training rows"]]
    for rule in model.coding.rules:
        learned = rule.statistics()
        if getattr(rule, "indicator", False):
            learned += "; an input flags missing cells"
        rows.append([rule.name, rule.kind, str(len(rule.inputs())), learned])
    used = {rule.kind for rule in model.coding.rules}
    explained = [[kind, text] for kind, text in RULES.items() if kind in used]
    return [*table(rows, right=[2]), "", *table(explained, right=[])]


def _history_lines(model: TabularModel) -> list[str]:
    """The first, the kept and the last epoch, and some between."""
    count = len(model.history)
    step = max(1, -(-count // 8))
    chosen = {0, count - 1, model.kept_epoch - 1, *range(step - 1, count, step)}
    rows = [["epoch", "train loss", "validation loss", "learning rate", ""]]
    for i in sorted(i for i in chosen if 0 <= i < count):
        row = model.history[i]
        rate = row["learning_rate"]
        rows.append(
            [
                str(row["epoch"]),
                number(row["train_loss"]),
                number(row["validation_loss"]),
                "–" if rate is None else f"{rate:.3g}",
                "kept" if row["epoch"] == model.kept_epoch else "",
            ]
        )
    return table(rows, right=[0, 1, 2, 3])
