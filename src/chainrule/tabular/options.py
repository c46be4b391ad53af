"""How to train: every setting, its default, and the optimiser and schedule it stands for.

The one owner of these defaults: the command line reads them here. What needs NumPy is imported
where it is used, so that its help does not load it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from chainrule.errors import UsageError

__all__ = ["SCHEDULES", "TASKS", "Options"]

TASKS = ("regression", "binary", "multiclass")

SCHEDULES = {
    "constant": "stays as it is",
    "step": "a tenth after each third of the epochs",
    "inverse-scaling": "divided by the square root of the epoch",
    "exponential": "down to a hundredth, evenly in its logarithm",
    "cosine": "down to 0 along half a cosine",
    "one-cycle": "up to the learning rate over 30% of the steps, then far down",
    "warm-up": "up from 0 over the first 5% of the steps, then constant",
    "waves": "up from 0 and down again, four times, each twice as long as the one before",
}
"""The learning-rate schedules by name; all but the first are over the epochs asked for."""

PRESETS = ("sklearn", "realmlp-td-s", "realmlp-td", "realmlp-fast")
"""The plain network, and the recipes of ``presets.RECIPES``."""

LOSSES: dict[str, tuple[str, ...]] = {
    "regression": ("squared_error", "absolute_error", "huber", "quantile", "poisson", "gamma",
                   "tweedie"),
    "binary": ("log_loss", "focal"),
    "multiclass": ("log_loss", "focal"),
}  # fmt: skip
"""The losses of each task, its own first: names of ``nn.LOSSES``, but for ``log_loss``, the
cross-entropy of so many classes as there are."""

LOSS_ALIASES = {
    "mse": "squared_error",
    "mae": "absolute_error",
    "cross_entropy": "log_loss",
    "binary_cross_entropy": "log_loss",
    "categorical_cross_entropy": "log_loss",
}

EXPONENTIAL = ("poisson", "gamma", "tweedie")
"""Losses of numbers that are predicted through an exponential."""
DEFAULT = "realmlp-fast"
"""What is trained unless something else is asked for: the recipe that measures best in its time."""

ORDERS = ("shuffled", "streamed")

ARCHITECTURE = ("activation", "optimizer", "schedule", "l1", "l2", "dropout", "batch_norm", "init",
                "early_stopping")  # fmt: skip
"""The options that a recipe decides; they describe a plain network, as ``hidden`` does."""


@dataclass(frozen=True)
class Options:
    """Settings of a training run; the defaults do well on ordinary tables.

    Parameters:
        task: "regression", "binary" or "multiclass"; None infers it from the target.
        loss: what training minimises, one of ``LOSSES`` of the task, with its defaults ("quantile"
            is the median); None is the task's own. One of numbers makes the task a regression.
        preset: "sklearn" for the plain network that the options below describe, or one of
            ``presets.RECIPES``: "realmlp-td-s", "realmlp-td", "realmlp-fast". None is the last
            one, an ensemble, but the plain network where an option describes it: hidden,
            activation, optimizer, schedule, l1, l2, dropout, batch_norm, init, early_stopping.
        ensemble: how many networks are trained, each without another fold of the rows, which
            decide on its best epoch; if validation is another share than the usual one, or a
            table, its rows decide for all of them. None is 5 for "realmlp-fast", otherwise 1.
            "tabm" is one network whose members share weights (``nn.tabm``): 16 of them, with what
            does well for it in place of the usual hidden layers, optimiser, learning rate, dropout
            and early stopping.
        tabm: how many members it has; 0 for none of this.
        hidden: units per hidden layer; () for none. None is (64, 32), or the recipe's.
        activation, init: of hidden layers, and initial weights ("auto" fits the activation); a
            name of ``nn.ACTIVATIONS``, ``nn.INITIALIZERS``.
        optimizer: a name that ``optim.optimizer`` knows; ``learning_rate`` None is its own.
        schedule: of the learning rate over all epochs, a name of ``SCHEDULES``.
        epochs: most passes over the training rows; None is 200, or the recipe's.
        batch_size: rows per step; None follows their number (``batch_rule``), 0 is all at once.
        l1, l2: strengths of the penalty ``l1 sum |W| + l2/2 sum W^2``.
        dropout: share of hidden units left out at each step; batch_norm: normalise them.
        seed: fixes split, initial weights and the order of rows.
        validation, test: shares of the rows, unless tables are given for them.
        early_stopping: epochs without a better validation loss; 0 is off.
        calibrate: divide a classifier's linear outputs by the temperature that suits rows held out
            for validation, or by folds (``calibration.find_temperature``).
        class_weight: "balanced" lets every class weigh the same in sum.
        weight: the column with the weight of each row.
        drop, keep: columns left out; columns that no rule may drop.
        category: columns that are categories whatever their cells.
        map_class: pairs of a word of the target and the class that it stands for.
        order: "shuffled", or "streamed" for tables that may be larger than memory: rows are read
            again in each epoch, group by group, and split, statistics and the order of rows follow
            (``streaming``).
        shards: into how many virtual shards each minibatch is divided, see ``train.fit``.

    Names, not values, since options are saved with the model.

    Raises:
        UsageError: values that make no sense, alone or together.
    """

    task: str | None = None
    loss: str | None = None
    preset: str | None = None
    ensemble: Any = None
    tabm: int = 0
    hidden: tuple[int, ...] | None = None
    activation: str = "relu"
    optimizer: str = "adam"
    learning_rate: float | None = None
    schedule: str = "constant"
    epochs: int | None = None
    batch_size: int | None = None
    l1: float = 0.0
    l2: float = 0.0
    dropout: float = 0.0
    batch_norm: bool = False
    init: str = "auto"
    seed: int = 0
    validation: float = 0.2
    test: float = 0.2
    early_stopping: int = 20
    calibrate: bool = True
    class_weight: str | None = None
    weight: str | None = None
    drop: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    category: tuple[str, ...] = ()
    map_class: tuple[tuple[str, str], ...] = ()
    order: str = "shuffled"
    shards: int = 1

    def __post_init__(self) -> None:
        from chainrule.core.settings import number, whole
        from chainrule.nn import ACTIVATIONS, INITIALIZERS
        from chainrule.optim.rules import OPTIMIZERS

        pairs = tuple(tuple(pair) for pair in self.map_class)
        if any(len(pair) != 2 for pair in pairs):
            raise UsageError(f"map_class={self.map_class!r}: expected pairs (word, class)")
        object.__setattr__(self, "map_class", pairs)
        for name in ("hidden", "drop", "keep", "category"):
            value = getattr(self, name)
            if value is None and name == "hidden":
                continue
            several = tuple(value) if isinstance(value, (tuple, list)) else (value,)
            object.__setattr__(self, name, several)
        for name, table, none in (
            ("task", TASKS, None),
            ("loss", dict.fromkeys(name for names in LOSSES.values() for name in names), None),
            ("preset", PRESETS, None),
            ("optimizer", OPTIMIZERS.table, ""),
            ("activation", ACTIVATIONS, ""),
            ("schedule", SCHEDULES, ""),
            ("order", ORDERS, ""),
            ("init", INITIALIZERS, "auto"),
            ("class_weight", ("balanced",), None),
        ):
            if getattr(self, name) != none:
                _named(name, getattr(self, name), table)
        object.__setattr__(self, "loss", LOSS_ALIASES.get(self.loss or "", self.loss))
        for units in self.hidden or ():
            if isinstance(units, bool) or not isinstance(units, int) or units < 1:
                raise UsageError(f"hidden={self.hidden!r}: every layer needs at least one unit")
        if self.ensemble == "tabm":
            object.__setattr__(self, "ensemble", 1)
            object.__setattr__(self, "tabm", self.tabm or TABM_MEMBERS)
        elif isinstance(self.ensemble, str):
            raise UsageError(f"ensemble={self.ensemble!r}: is a number of networks, or 'tabm'")
        whole("tabm", self.tabm, 0)
        for name in ("epochs", "ensemble", "shards"):
            if getattr(self, name) is not None:
                whole(name, getattr(self, name))
        whole("early_stopping", self.early_stopping, 0)
        whole("batch_size", self.batch_size or 0, 0)
        if self.learning_rate is not None:
            number("learning_rate", self.learning_rate, above=0)
        for name in ("l1", "l2"):
            number(name, getattr(self, name), at_least=0)
        for name in ("dropout", "validation", "test"):
            number(name, getattr(self, name), at_least=0, below=1)
        if whole("seed", self.seed, 0) >= 2**63:
            raise UsageError(f"seed={self.seed}: must be below 2**63")
        self._check_together()

    def _check_together(self) -> None:
        """Options that would have no effect beside others are refused, not ignored."""
        if self.hidden == () and self.dropout:
            raise UsageError(f"dropout={self.dropout}: has no effect without hidden layers")
        if self.hidden == () and self.batch_norm:
            raise UsageError("batch_norm=True: has no effect without hidden layers")
        if self.tabm:
            self._check_tabm()
        if self.chosen != "sklearn":
            self._check_recipe(self.chosen)
        if self.task is not None:
            self.check_task(self.task)
        if self.optimizer != "lbfgs":
            return
        if self.ensemble not in (None, 1):
            raise UsageError(f"ensemble={self.ensemble}: lbfgs trains one network; leave it out")
        for name, none, why in (
            ("schedule", "constant", "finds its own step lengths"),
            ("learning_rate", None, "finds its own step lengths"),
            ("batch_size", None, "needs all rows at once"),
            ("dropout", 0.0, "needs the same loss at every step"),
            ("shards", 1, "looks at the whole batch"),
        ):
            given = getattr(self, name)
            if given and given != none:
                raise UsageError(f"{name}={given!r}: lbfgs {why}; leave it out")

    def _check_tabm(self) -> None:
        """TabM's network takes the place of other kinds of networks and ensembles."""
        for name, wrong in (
            ("preset", self.preset not in (None, "sklearn")),
            ("ensemble", (self.ensemble or 1) != 1),
            ("hidden", self.hidden == ()),
            ("batch_norm", self.batch_norm),
            ("init", self.init != "auto"),
            ("optimizer", self.optimizer == "lbfgs"),
        ):
            if wrong:
                raise UsageError(
                    f"{name}={getattr(self, name)!r}: does not go with ensemble='tabm'"
                )

    def check_task(self, task: str) -> None:
        """UsageError if the loss is not one of this task."""
        if self.loss is not None and self.loss not in LOSSES[task]:
            raise UsageError(
                f"loss={self.loss!r}: is not for the task {task}, which has "
                f"{', '.join(LOSSES[task])}"
            )

    def _check_recipe(self, name: str) -> None:
        """What the recipe decides is as it has it, or was left out."""
        from chainrule.tabular.presets import RECIPES

        recipe = RECIPES[name]
        for option in ARCHITECTURE:
            own = {"activation": recipe.activations, "dropout": (recipe.dropout,),
                   "schedule": ("waves",), "early_stopping": (0,)}  # fmt: skip
            if getattr(self, option) not in (DEFAULTS[option], *own.get(option, ())):
                raise UsageError(
                    f"{option}={getattr(self, option)!r}: preset={name!r} decides that; leave one "
                    f"of them out"
                )

    @property
    def chosen(self) -> str:
        """The preset that is meant."""
        if self.preset is not None:
            return self.preset
        described = [
            x for x in ("hidden", "tabm", *ARCHITECTURE) if getattr(self, x) != DEFAULTS[x]
        ]
        return "sklearn" if described else DEFAULT

    @property
    def members(self) -> int:
        """How many networks are meant."""
        from chainrule.tabular.presets import RECIPES

        return self.ensemble or (1 if self.chosen == "sklearn" else RECIPES[self.chosen].members)

    @property
    def spikes(self) -> bool:
        """Whether frequent values of a number that hardly varies get inputs of their own."""
        from chainrule.tabular.presets import RECIPES

        return self.chosen != "sklearn" and RECIPES[self.chosen].spikes

    def resolved(self, rows: int, task: str) -> Options:
        """The same with all that is meant by None, for networks trained on so many rows."""
        if self.chosen != "sklearn":
            return self._of_recipe(rows, task)
        if self.tabm:
            own = {name: value for name, value in TABM.items()
                   if getattr(self, name) == DEFAULTS[name]}  # fmt: skip
            if own:
                return dataclasses.replace(self, **own).resolved(rows, task)
        rate, batch = self.learning_rate, self.batch_size
        if batch is None:
            batch = 0 if self.optimizer == "lbfgs" else batch_rule(rows)
        return dataclasses.replace(
            self,
            preset="sklearn",
            ensemble=self.members,
            hidden=(64, 32) if self.hidden is None else self.hidden,
            epochs=200 if self.epochs is None else self.epochs,
            learning_rate=learning_rate(self.optimizer) if rate is None else rate,
            batch_size=0 if batch >= rows else batch,
        )

    def _of_recipe(self, rows: int, task: str) -> Options:
        from chainrule.tabular.presets import RECIPES

        recipe = RECIPES[self.chosen]
        batch = recipe.batch(rows) if self.batch_size is None else self.batch_size or rows
        return dataclasses.replace(
            self,
            preset=self.chosen,
            ensemble=self.members,
            hidden=recipe.layers(rows) if self.hidden is None else self.hidden,
            activation=recipe.activation(task),
            dropout=recipe.dropout,
            schedule="waves",
            learning_rate=self.learning_rate or recipe.rate(task),
            epochs=self.epochs or recipe.length(rows, batch),
            batch_size=0 if batch >= rows else batch,
            early_stopping=0,
        )

    def steps(self, rows: int) -> int:
        """How many steps a network takes whose options are resolved, on so many rows."""
        assert self.epochs is not None
        return self.epochs * -(-rows // (self.batch_size or rows))

    def build_optimizer(self, rows: int) -> Any:
        """The optimiser as a value of ``optim``, for a network trained on so many rows; the options
        are resolved, and not a recipe's."""
        from chainrule import optim

        rate = self._rate(rows)
        settings = {} if rate is None else {"learning_rate": rate}
        if self.tabm and self.optimizer == "adamw":
            return optim.chain(optim.clip_by_norm(1.0), optim.adamw(rate or 2e-3, 3e-4))
        return optim.optimizer(self.optimizer, **settings)

    def _rate(self, rows: int) -> Any:
        from chainrule.optim import schedules

        rate = self.learning_rate
        if rate is None:
            return None
        per_epoch = -(-rows // (self.batch_size or rows))
        steps = self.steps(rows)
        if self.schedule == "one-cycle" and steps < 10:
            raise UsageError("schedule='one-cycle': needs at least 10 steps; add epochs")
        makers = {
            "constant": lambda: rate,
            "step": lambda: schedules.step(rate, 0.1, max(1, -(-steps // 3))),
            "inverse-scaling": lambda: schedules.per_epoch(
                schedules.inverse_scaling(rate, 0.5), per_epoch
            ),
            "exponential": lambda: schedules.exponential(rate, 0.01, steps),
            "cosine": lambda: schedules.cosine(rate, steps),
            "one-cycle": lambda: schedules.one_cycle(rate, steps),
            "warm-up": lambda: schedules.warm_up(rate, max(1, steps // 20)),
            "waves": lambda: schedules.coslog(rate, steps),
        }
        return makers[self.schedule]()

    def to_json(self) -> dict[str, Any]:
        """As a JSON record; ``from_json`` is the inverse."""
        record = dataclasses.asdict(self)
        record["map_class"] = [list(pair) for pair in self.map_class]
        return {k: list(v) if isinstance(v, tuple) else v for k, v in record.items()}

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Options:
        """The options whose ``to_json`` gives ``record``; UsageError as for ``Options``."""
        unknown = sorted(record.keys() - {field.name for field in dataclasses.fields(cls)})
        if unknown:
            raise UsageError(f"there is no option {', '.join(map(repr, unknown))}")
        return cls(**record)


TABM_MEMBERS = 16
TABM = {"hidden": (256, 256), "optimizer": "adamw", "learning_rate": 2e-3, "dropout": 0.1,
        "early_stopping": 16}  # fmt: skip
"""TabM's own settings, smaller than the paper's (32 members, 512 units) for processors."""

DEFAULTS = {field.name: field.default for field in dataclasses.fields(Options)}


def learning_rate(optimizer: str) -> float | None:
    """The rate that an optimiser of this name has unless told otherwise; None for lbfgs."""
    from chainrule import optim

    rate = getattr(optim.optimizer(optimizer), "learning_rate", None)
    return None if rate is None else rate.settings["value"]


def batch_rule(rows: int) -> int:
    """Rows per minibatch unless told otherwise: the power of two at or above a hundredth of
    the training rows, within 32 and 256."""
    size = 32
    while size < 256 and size * 100 < rows:
        size *= 2
    return size


def _named(option: str, value: Any, table: Iterable[str]) -> None:
    from chainrule.core.settings import Named
    from chainrule.nn.activations import ALIASES

    if not isinstance(value, str):
        raise UsageError(
            f"{option}={value!r}: the options of a table are saved with its model, so they go "
            f"by name: {', '.join(table)}"
        )
    try:
        aliases = {"activation": ALIASES, "loss": LOSS_ALIASES}.get(option, {})
        Named(option, dict.fromkeys(table, str), "", bool, aliases).known(value)
    except UsageError as error:
        raise UsageError(f"{option}={value!r}: {error}") from None
