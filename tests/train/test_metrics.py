"""Scores equal scikit-learn's, with and without weights; undefined ones are nan."""

import numpy as np
import pytest
from sklearn import metrics as oracle

from chainrule.errors import ShapeError, UsageError
from chainrule.train import metrics

CLOSE = {"rel": 1e-12, "abs": 1e-12}


def draw(seed, k, ties):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(k + 20, 200))
    targets = np.concatenate([np.arange(k), rng.integers(0, k, n - k)])
    scores = rng.random((n, k)) + 1e-3
    if ties:
        scores = np.ceil(scores * 4)
    probabilities = scores / scores.sum(axis=1, keepdims=True)
    weights = None if seed % 2 else rng.random(n) * (rng.random(n) > 0.2)
    return targets, probabilities, weights


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("k", [2, 3, 7])
@pytest.mark.parametrize("ties", [False, True])
def test_class_scores_equal_scikit_learn(seed, k, ties):
    t, p, w = draw(seed, k, ties)
    y = p.argmax(axis=1)
    assert metrics.accuracy(t, y, w) == pytest.approx(
        oracle.accuracy_score(t, y, sample_weight=w), **CLOSE
    )
    assert metrics.balanced_accuracy(t, y, w) == pytest.approx(
        oracle.balanced_accuracy_score(t, y, sample_weight=w), **CLOSE
    )
    assert metrics.f1(t, y, w, average="macro") == pytest.approx(
        oracle.f1_score(t, y, average="macro", sample_weight=w, zero_division=0), **CLOSE
    )
    assert metrics.log_loss(t, p, w) == pytest.approx(
        oracle.log_loss(t, p, sample_weight=w), **CLOSE
    )
    if k == 2:
        assert metrics.f1(t, y, w) == pytest.approx(
            oracle.f1_score(t, y, sample_weight=w, zero_division=0), **CLOSE
        )
        expected = oracle.roc_auc_score(t, p[:, 1], sample_weight=w)
        assert metrics.roc_auc(t, p[:, 1], w) == pytest.approx(expected, **CLOSE)
        assert metrics.log_loss(t, p[:, 1], w) == pytest.approx(
            oracle.log_loss(t, p[:, 1], sample_weight=w), **CLOSE
        )
    else:
        # scikit-learn takes no weights for one-vs-rest; the mean of its binary ones is that.
        expected = np.mean(
            [oracle.roc_auc_score(t == c, p[:, c], sample_weight=w) for c in range(k)]
        )
        assert metrics.roc_auc(t, p, w) == pytest.approx(expected, **CLOSE)
        if w is None:
            whole = oracle.roc_auc_score(t, p, multi_class="ovr", average="macro")
            assert metrics.roc_auc(t, p) == pytest.approx(whole, **CLOSE)


@pytest.mark.parametrize("seed", range(8))
def test_regression_scores_equal_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 100))
    t = rng.normal(50, 20, n)
    y = t + rng.normal(0, 5, n)
    w = None if seed % 2 else rng.random(n) + 0.01
    pairs = (
        (metrics.mse, oracle.mean_squared_error),
        (metrics.rmse, oracle.root_mean_squared_error),
        (metrics.mae, oracle.mean_absolute_error),
        (metrics.r2, oracle.r2_score),
    )
    for ours, theirs in pairs:
        assert ours(t, y, w) == pytest.approx(theirs(t, y, sample_weight=w), **CLOSE)


def test_the_ends_of_log_loss_equal_scikit_learn():
    t, p = np.array([0, 1, 1]), np.array([0.0, 1.0, 0.0])
    assert metrics.log_loss(t, p) == pytest.approx(oracle.log_loss(t, p), **CLOSE)
    small = p.astype(np.float32)
    assert metrics.log_loss(t, small) == pytest.approx(oracle.log_loss(t, small), rel=1e-6)


def test_undefined_scores_are_nan_or_zero():
    assert np.isnan(metrics.roc_auc([1, 1], [0.2, 0.3]))
    assert np.isnan(metrics.roc_auc([0, 1], np.eye(3)[:2]))
    assert np.isnan(metrics.r2([1.0], [1.0]))
    assert metrics.r2([2.0, 2.0], [2.0, 2.0]) == 1.0
    assert metrics.r2([2.0, 2.0], [2.0, 3.0]) == 0.0
    assert metrics.f1([0, 0], [0, 0]) == 0.0


def test_equal_scores_count_half():
    assert metrics.roc_auc([0, 1, 0, 1], [3, 3, 3, 3]) == 0.5


def test_the_oracle_sees_a_wrong_score():
    """The seeded fault: an area under the curve that forgets ties, and weights that are lost."""
    t, scores = np.array([0, 1, 1, 0]), np.array([0.5, 0.5, 0.7, 0.1])
    ranks = np.argsort(np.argsort(scores))
    without_ties = (ranks[t == 1].sum() - 1) / 4
    assert oracle.roc_auc_score(t, scores) == metrics.roc_auc(t, scores) != without_ties
    w = np.array([1.0, 2.0, 3.0, 4.0])
    assert metrics.accuracy(t, scores > 0.6, w) != oracle.accuracy_score(t, scores > 0.6)


def test_a_weight_of_two_is_a_row_twice():
    t, y = np.array([0, 1, 1, 0]), np.array([0, 1, 0, 0])
    twice = np.array([0, 1, 2, 2, 3])
    assert metrics.f1(t, y, [1, 1, 2, 1]) == metrics.f1(t[twice], y[twice])


def test_wrong_arguments_are_named():
    with pytest.raises(ShapeError, match=r"\(2,\) and predictions of shape \(3,\)"):
        metrics.accuracy([0, 1], [0, 1, 1])
    with pytest.raises(ShapeError, match="at least one"):
        metrics.rmse([], [])
    with pytest.raises(ShapeError, match="weights of shape"):
        metrics.mae([1.0], [1.0], [1.0, 2.0])
    with pytest.raises(UsageError, match="not negative"):
        metrics.mae([1.0, 2.0], [1.0, 2.0], [1.0, -2.0])
    with pytest.raises(UsageError, match="macro"):
        metrics.f1([0], [0], average="weighted")
