"""Which rows train, which choose the epoch, and which are kept for the final judgement."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule.core.told import told
from chainrule.core.types import plain_array
from chainrule.errors import ShapeError, UsageError

__all__ = ["folds", "split"]

Rows = NDArray[np.intp]


@told("train.split")
def split(
    n: int,
    *,
    validation: float = 0.2,
    test: float = 0.2,
    seed: int = 0,
    strata: ArrayLike | None = None,
) -> tuple[Rows, Rows, Rows]:
    """Divide the rows 0..n-1 at random; returns (train, validation, test), each ascending.

    ``validation`` and ``test`` are shares of all rows, each in [0, 1), rounded half up; the
    rest trains. With ``strata`` (one label per row) every stratum is divided in the same
    proportion, to the nearest whole row (largest remainders), and keeps at least one training
    row. The same arguments, ``seed`` among them, give the same rows for ever: the order comes
    from Philox's raw bits, whose stream NumPy keeps stable, not from ``Generator`` methods.

    Raises:
        UsageError: a share is out of range, or no training row is left.
        ShapeError: ``strata`` are not one label per row; DtypeError if they are a masked array.
    """
    for name, share in (("validation", validation), ("test", test)):
        if not 0 <= share < 1:
            raise UsageError(f"{name}={share} is not a share of the rows: write 0 or up to 1")
    n_test, n_validation = _rounded(n * test), _rounded(n * validation)
    if n_test + n_validation >= n:
        raise UsageError(
            f"validation={validation} and test={test} leave no row of {n} to train on; "
            f"write smaller shares or bring more rows"
        )
    labels = np.zeros(n, dtype=np.intp) if strata is None else _labels(strata, n)
    order = np.argsort(_bits(seed, n), kind="stable")

    counts = np.bincount(labels)
    # One row of every stratum is set aside for training before shares are counted out.
    for_test = _portion(counts, n_test, spare=np.maximum(counts - 1, 0))
    for_validation = _portion(counts, n_validation, spare=np.maximum(counts - for_test - 1, 0))
    place = np.empty(n, dtype=np.intp)  # the position of each row within its stratum
    for label in range(len(counts)):
        members = order if strata is None else order[labels[order] == label]
        place[members] = np.arange(len(members))
    in_test = place < for_test[labels]
    in_validation = ~in_test & (place < (for_test + for_validation)[labels])
    return (
        np.flatnonzero(~in_test & ~in_validation),
        np.flatnonzero(in_validation),
        np.flatnonzero(in_test),
    )


def _rounded(x: float) -> int:
    return int(np.floor(x + 0.5 + 1e-9))


def _bits(seed: int, n: int) -> NDArray[np.uint64]:
    if not 0 <= seed < 2**64:
        raise UsageError(f"seed={seed} must be a whole number from 0 to 2**64 - 1")
    return np.random.Philox(key=seed).random_raw(n)


def _labels(strata: ArrayLike, n: int) -> NDArray[np.intp]:
    labels = plain_array(strata, "strata")
    if labels.shape != (n,):
        raise ShapeError(f"strata of shape {labels.shape} do not fit {n} rows")
    return np.unique(labels, return_inverse=True)[1].reshape(n)


def _portion(counts: NDArray[Any], wanted: int, spare: NDArray[Any]) -> NDArray[Any]:
    """How many rows of each stratum make up ``wanted``: proportional, at most ``spare``."""
    wanted = min(wanted, int(spare.sum()))
    exact = counts * (wanted / counts.sum())
    taken = np.minimum(np.floor(exact).astype(np.intp), spare)
    while (short := wanted - int(taken.sum())) > 0:
        open_ = np.flatnonzero(taken < spare)
        best = open_[np.argsort(-(exact - taken)[open_], kind="stable")[:short]]
        taken[best] += 1
    return taken


def folds(rows: int, count: int, seed: int = 0, strata: Any = None) -> list[np.ndarray]:
    """For each of ``count`` folds the rows left out, ascending: every row in one of them.

    Folds differ by at most one row, and with ``strata`` (n,) in each class too. The order is drawn
    from ``seed`` alone.

    Raises:
        UsageError: fewer than two folds, or more than rows.
    """
    if not 2 <= count <= rows:
        raise UsageError(f"{count} folds of {rows} rows: needs at least 2, each with a row")
    order = np.random.default_rng(seed).permutation(rows)
    if strata is not None:
        order = order[np.argsort(np.asarray(strata)[order], kind="stable")]
    return [np.sort(order[k::count]) for k in range(count)]
