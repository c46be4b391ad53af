"""A search over hyper-parameters (L1.9), beside what else one would use, in one table.

Successive halving is scikit-learn's (``HalvingRandomSearchCV``; Jamieson, Talwalkar 2016): many
settings get a few epochs, the better third thrice as many, and so on. It runs through joblib, so
on whatever backend ``joblib.parallel_config`` names.
"""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from scipy.stats import loguniform
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import HalvingRandomSearchCV, KFold, StratifiedKFold
from threadpoolctl import threadpool_limits

from chainrule.core.settings import number, whole
from chainrule.errors import NonFiniteError, UsageError
from chainrule.tabular import Options, Table, TabularModel, prepare, table_of, train
from chainrule.tabular.target import Target, learn_target
from chainrule.tabular.weights import row_weights
from chainrule.train.splits import split

__all__ = ["SPACE", "Contender", "SearchResult", "search"]

GIVEN, FOUND = "as given", "found"

SPACE: dict[str, Any] = {
    "learning_rate": loguniform(3e-4, 3e-2),
    "hidden": [(32,), (64, 32), (128, 64), (256, 128), (128, 128, 64), (256, 256, 256)],
    "activation": ["relu", "tanh", "gelu", "selu"],
    "init": ["auto", "glorot_uniform", "orthogonal"],
    "l2": loguniform(1e-7, 1e-2),
    "dropout": [0.0, 0.0, 0.1, 0.3],
    "batch_size": [32, 64, 128, 256],
    "schedule": ["constant", "cosine", "exponential"],
}
"""The hyper-parameters that are searched; epochs are what halving deals out."""

FACTOR = 3
"""The better one of so many settings goes on, with so many times the epochs."""
BRACKET = 9
"""Settings that begin together where a budget of time decides how many there are."""
OF_THE_TABLE = ("task", "class_weight", "weight", "drop", "keep", "category", "map_class", "seed")
"""The options that say what the table means, for the baselines too."""
SHARE = 0.6
"""Of the minutes, for the search itself at most; the rest trains what was found."""
RESERVE = 2
"""Of what it takes to judge the network as given, so much is kept for judging what was found."""


@dataclass(frozen=True)
class Contender:
    """A row of the table: the mean loss, log loss or squared error, of rows not trained on.

    Attributes:
        name: what it is.
        loss: over the folds of the rows that do not test; noise: its deviation over seeds, 0
            where nothing is drawn, nan of one seed.
        test: on the test rows; None without any.
    """

    name: str
    loss: float
    noise: float
    test: float | None


@dataclass(frozen=True)
class SearchResult:
    """What a search found.

    Attributes:
        model: trained on all rows that do not test, with the best options.
        options: those; settings: what was searched of them, {} where the given ones stayed best.
        contenders: the trivial baseline, linear, gradient boosting, the options as given, the best
            found. score: what their losses are.
        trials: how many settings were tried; verdict: one sentence.
    """

    model: TabularModel
    options: Options
    settings: dict[str, Any]
    contenders: tuple[Contender, ...]
    score: str
    trials: int
    verdict: str

    def to_json(self) -> dict[str, Any]:
        """What the table says, as a JSON record."""
        return {
            "score": self.score,
            "contenders": [
                {name: None if value != value else value for name, value in asdict(one).items()}
                for one in self.contenders
            ],
            "settings": self.settings,
            "trials": self.trials,
            "verdict": self.verdict,
        }


def search(
    table: Any,
    target: str,
    options: Options | None = None,
    *,
    minutes: float | None = None,
    trials: int | None = None,
    test: Any = None,
    n_jobs: int | None = None,
    folds: int = 3,
    seeds: int = 3,
    executor: Any = None,
) -> SearchResult:
    """Search the hyper-parameters of a network for a table, and say what they are worth.

    Parameters:
        table, target, test: as ``tabular.prepare`` takes them; test rows see no part of the search.
        options: those that are not searched, and what the search has to beat.
        minutes: when to stop; what is trained then ends with its epoch.
        trials: how many settings to try instead. With it the same seed finds the same.
        n_jobs: as joblib has it.
        folds: of the rows that do not test, over which losses are means; seeds: how often a network
            is trained anew to know its noise.
        executor: as ``train.fit`` takes it.

    Raises:
        UsageError: neither or both of minutes and trials; DataError as of ``prepare``.
    """
    if (minutes is None) == (trials is None):
        raise UsageError("search for so many minutes, or so many trials: give one of them")
    started = time.time()
    deadline = np.inf if minutes is None else started + 60 * number("minutes", minutes, above=0)
    trials = None if trials is None else whole("trials", trials, FACTOR)
    options = Options() if options is None else options
    data, held = _data(table_of(table), target, options, test)
    parts = data.folds(whole("folds", folds, 2))
    data = replace(data, deadline=deadline, executor=executor)
    seeds = whole("seeds", seeds, 1)
    # What is there already is judged first: a search that ends early has something to say.
    first = [*_baselines(data), (GIVEN, _Network(data, seed=options.seed))]
    losses = _losses(data, parts, first, held, n_jobs)
    took = time.time() - started
    end = min(started + SHARE * (deadline - started), deadline - RESERVE * took)
    settings, tried = _halved(replace(data, deadline=end), parts, trials, n_jobs)
    if settings and options.members > 1:  # one network each was tried
        settings["ensemble"] = options.members
    last = took / (len(parts) + 1)  # to train the best one
    data = replace(data, deadline=deadline - last)
    more: list[tuple[str, _Network]] = []
    for seed in range(options.seed, options.seed + seeds):
        # A seed of each before another of one: time may not be enough for all.
        more += [(FOUND, _Network(data, **settings, seed=seed))] if settings else []
        more += [(GIVEN, _Network(data, seed=seed))] if seed > options.seed else []
    losses += _losses(data, parts, more, held, n_jobs)
    names = dict.fromkeys(name for name, _ in losses)
    contenders = [
        _contender(name, [own for other, own in losses if other == name], len(parts))
        for name in names
    ]
    result = _result(data, held, settings, contenders, tried)
    if tried:
        return result
    short = (
        f"no settings were tried, since judging the others took {took:.0f} of "
        f"{60 * float(minutes or 0):.0f} seconds: give more minutes"
    )
    return replace(result, verdict=f"{result.verdict}; {short}")


@dataclass(frozen=True)
class _Data:
    """What every fit of a search shares; scikit-learn's clones do not copy it."""

    table: Table
    target: Target
    truth: np.ndarray
    options: Options
    deadline: float = np.inf
    executor: Any = None

    def __sklearn_clone__(self) -> _Data:
        return self

    def folds(self, count: int) -> list[Any]:
        classes = self.target.task != "regression"
        kind = StratifiedKFold if classes else KFold
        splitter = kind(count, shuffle=True, random_state=self.options.seed % 2**32)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # classes with fewer rows than folds
            return list(splitter.split(self.rows, self.truth))

    @property
    def rows(self) -> np.ndarray:
        """The numbers of the rows: what scikit-learn takes for inputs."""
        return np.arange(self.table.rows)[:, None]

    def out_of_time(self) -> bool:
        return time.time() > self.deadline


def _data(table: Table, name: str, options: Options, test: Any) -> tuple[_Data, Table | None]:
    """The rows to search with, all of which have a target, and those to test on."""
    plan = prepare(table, name, options, test=test)  # says what is wrong with data or options
    options = replace(options, task=plan.target.task)
    target, _ = learn_target(table, plan.target.name, plan.target.task, options.map_class)
    rows = target.rows(table)
    truth = target.numbers(table, rows)
    held = None if test is None else table_of(test)
    if held is None and options.test:
        strata = None if target.task == "regression" else truth
        kept, _, last = split(
            len(rows), validation=0.0, test=options.test, seed=options.seed, strata=strata
        )
        held = table.take(rows[last]) if len(last) else None
        rows, truth = rows[kept], truth[kept]
    own = replace(options, test=0.0)
    return _Data(table.take(rows), target, truth, own), held


@dataclass(repr=False, eq=False)
class _Network(BaseEstimator):
    """A network with some settings, for row numbers: what scikit-learn's search fits."""

    data: Any = None
    epochs: int | None = None
    learning_rate: float | None = None
    hidden: Any = None
    activation: str | None = None
    init: str | None = None
    l2: float | None = None
    dropout: float | None = None
    batch_size: int | None = None
    schedule: str | None = None
    ensemble: int | None = None
    seed: int = 0

    def options(self) -> Options:
        """The options of the search with these settings."""
        given = self.get_params(deep=False)
        data, seed = given.pop("data"), given.pop("seed")
        own = {name: value for name, value in given.items() if value is not None}
        plain: dict[str, Any] = {"preset": "sklearn", "ensemble": 1, "tabm": 0} if own else {}
        return replace(data.options, **plain | own, seed=seed)

    def fit(self, X: np.ndarray, y: np.ndarray) -> _Network:
        self.model_: TabularModel | None = None
        if self.data.out_of_time():
            return self
        plan = prepare(self.data.table.take(X[:, 0]), self.data.target.name, self.options())

        def watch(_: Any) -> str | None:
            return "stop" if self.data.out_of_time() else None

        with contextlib.suppress(NonFiniteError):  # a rate that was too large: no model
            self.model_ = plan.fit(watch, executor=self.data.executor, threads=1)
        return self

    def loss(self, table: Table) -> float:
        """Of the rows of a table; nan where there was no time, or training diverged."""
        if self.model_ is None:
            return np.nan
        found = self.model_.evaluate(table)[0].rows[0][1][0]
        return np.nan if found is None else found

    def score(self, X: np.ndarray, y: np.ndarray) -> float:
        return -self.loss(self.data.table.take(X[:, 0]))


class _Baseline(_Network):
    """Another estimator on the same inputs, judged alike; None for no learning at all."""

    def __init__(self, data: Any = None, estimator: Any = None, seed: int = 0) -> None:
        self.data, self.estimator, self.seed = data, estimator, seed

    def fit(self, X: np.ndarray, y: np.ndarray) -> _Baseline:
        given = {name: getattr(self.data.options, name) for name in OF_THE_TABLE}
        options = Options(**given, preset="sklearn", validation=0.0, test=0.0)
        table = self.data.table.take(X[:, 0])
        self.plan_ = prepare(table, self.data.target.name, options)
        part = self.plan_.parts["train"]
        if self.estimator is not None:
            with threadpool_limits(1):  # joblib shares the cores out
                copied: Any = clone(self.estimator)
                self.fitted_ = copied.fit(part.x, part.truth, part.weights)
        return self

    def loss(self, table: Table) -> float:
        target = self.plan_.target
        rows = target.rows(table)
        x, truth = self.plan_.coding.encode(table, rows)[0], target.numbers(table, rows)
        weight = self.plan_.options.weight
        weights = None if weight is None else row_weights(table, weight)[rows]
        if target.task == "regression":
            guess = target.center if self.estimator is None else self.fitted_.predict(x)
            return float(np.average((truth - guess) ** 2, weights=weights))
        p = np.zeros((len(truth), len(target.classes)))
        if self.estimator is None:
            p[:] = target.shares
        else:
            p[:, self.fitted_.classes_] = self.fitted_.predict_proba(x)
        right = np.maximum(p[np.arange(len(truth)), truth], np.finfo(float).eps)
        return float(np.average(-np.log(right), weights=weights))


def _baselines(data: _Data) -> list[tuple[str, _Network]]:
    classes = data.target.task != "regression"
    linear = LogisticRegression(max_iter=1000) if classes else RidgeCV(np.logspace(-3, 3, 13))
    boosting = HistGradientBoostingClassifier if classes else HistGradientBoostingRegressor
    return [
        ("no learning", _Baseline(data)),
        ("linear", _Baseline(data, linear)),
        ("gradient boosting", _Baseline(data, boosting(random_state=0))),
    ]


def _halved(
    data: _Data, folds: list[Any], trials: int | None, n_jobs: int | None
) -> tuple[dict[str, Any], int]:
    """The settings that did best at full length, and how many were tried: one bracket of halving,
    or one after another until the time is over."""
    longest = data.options.epochs or 90
    kind: Any = HalvingRandomSearchCV
    truth, best, settings, tried, k = data.truth, -np.inf, {}, 0, 0
    while not data.out_of_time():
        halving = kind(
            _Network(data),
            SPACE,
            n_candidates=trials or BRACKET,
            factor=FACTOR,
            resource="epochs",
            min_resources="exhaust",  # the last ones get all epochs
            max_resources=longest,
            cv=folds,
            refit=False,
            error_score="raise",
            random_state=(data.options.seed + k) % 2**32,
            n_jobs=n_jobs,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # scores that are nan
            found = halving.fit(data.rows, truth).cv_results_
        k += 1
        scores, length = found["mean_test_score"], found["n_resources"]
        known = ~np.isnan(scores)  # the others came after the time
        tried += int(np.sum(known & (found["iter"] == 0)))
        if not known.any():
            break
        # Scores of fewer epochs are no match: they only decide who goes on.
        scores = np.where(known & (length == length[known].max()), scores, -np.inf)
        place = int(np.argmax(scores))
        if scores[place] > best:
            best = scores[place]
            settings = {**found["params"][place], "epochs": int(length[place])}
            for name in ("learning_rate", "l2"):  # four digits say as much
                settings[name] = float(f"{settings[name]:.4g}")
        if trials is not None:
            break
    return settings, tried


def _one(estimator: _Network, kept: np.ndarray, table: Table) -> float:
    """The loss on a table of an estimator that is trained on some rows."""
    copied: Any = clone(estimator)
    return copied.fit(kept, estimator.data.truth).loss(table)


def _losses(
    data: _Data,
    folds: list[Any],
    named: Sequence[tuple[str, _Network]],
    held: Table | None,
    n_jobs: int | None,
) -> list[tuple[str, np.ndarray]]:
    """By name the losses of an estimator over the folds, and last on the test rows, if any."""
    rows = data.rows
    tables = [(rows[kept], data.table.take(left)) for kept, left in folds]
    tables += [] if held is None else [(rows, held)]
    work = [(one, *table) for _, one in named for table in tables]
    losses: Any = Parallel(n_jobs=n_jobs)(delayed(_one)(*job) for job in work)
    each = np.reshape(losses, (len(named), len(tables)))
    return [(name, own) for (name, _), own in zip(named, each, strict=True)]


def _contender(name: str, seeds: list[np.ndarray], folds: int) -> Contender:
    """The row of what was trained with these seeds."""
    own = np.array(seeds)
    over = own[:, :folds].mean(axis=1)
    over = over[~np.isnan(over)]
    noise = float(np.std(over, ddof=1)) if len(over) > 1 else np.nan
    test = _mean(own[:, folds]) if own.shape[1] > folds else None
    return Contender(name, _mean(over), noise if name in (GIVEN, FOUND) else 0.0, test)


def _mean(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else np.nan


def _result(
    data: _Data,
    held: Table | None,
    settings: dict[str, Any],
    contenders: Sequence[Contender],
    tried: int,
) -> SearchResult:
    """The best network, trained on all rows; what it is worth beside the others."""
    by_name = {one.name: one for one in contenders}
    given, found = by_name[GIVEN], by_name.get(FOUND)
    noises = [one.noise for one in (found, given) if one is not None and one.noise == one.noise]
    noise = 2 * float(np.mean(noises)) if noises else np.inf  # of a difference, at most
    better = found is not None and found.loss + noise < given.loss
    chosen = settings if better else {}
    options = _Network(data, **chosen, seed=data.options.seed).options()
    model = train(data.table, data.target.name, options, test=held, executor=data.executor)
    own = found if better and found is not None else given
    others = [by_name[name] for name in ("no learning", "linear", "gradient boosting")]
    best = min(others, key=lambda one: one.loss)
    score = "squared error" if data.target.task == "regression" else "log loss"
    known = own.noise == own.noise
    said = f"{score} {own.loss:.4g} " + (f"± {own.noise:.2g}" if known else "with one seed")
    rival = f"{best.name} ({best.loss:.4g})"
    what = "what was found" if better else "the network as given"
    if np.isnan(own.loss):
        verdict = "the time was over before the network as given was judged; give more minutes"
    elif own.loss + (own.noise if known else 0.0) < best.loss:
        verdict = f"{what} ({said}) beats the best baseline, {rival}"
    elif own.loss < best.loss:
        verdict = f"{what} ({said}) is better than {rival} by no more than its noise"
    else:
        verdict = f"nothing beats {rival}: {what} has {said}"
    if tried and not better and not np.isnan(given.loss):
        verdict += (
            "; no settings that were tried are better than those given by more than the noise"
        )
    return SearchResult(model, options, chosen, tuple(contenders), score, tried, verdict)
