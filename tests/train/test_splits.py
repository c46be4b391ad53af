"""Splits are a partition, stratified, and the same for ever."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.errors import ShapeError, UsageError
from chainrule.train.splits import split


@given(
    n=st.integers(5, 300),
    seed=st.integers(0, 2**64 - 1),
    validation=st.floats(0, 0.45),
    test=st.floats(0, 0.45),
    k=st.integers(1, 6),
)
def test_a_stratified_partition(n, seed, validation, test, k):
    strata = np.random.default_rng(seed % 1000).integers(0, k, n)
    parts = split(n, validation=validation, test=test, seed=seed, strata=strata)
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(n))
    assert all(np.all(np.diff(part) > 0) for part in parts)
    assert set(strata[parts[0]]) == set(strata)  # every stratum trains
    for part, share in zip(parts[1:], (validation, test), strict=True):
        for label in set(strata):
            exact = np.sum(strata == label) * share
            # One for the rounding of the total, one for the remainder, one for the row kept.
            assert abs(np.sum(strata[part] == label) - exact) < 3


def test_the_sizes_of_the_mock_up():
    assert [len(part) for part in split(344)] == [206, 69, 69]


def test_the_rows_never_change():
    train, validation, test = split(12, validation=0.25, test=0.25, seed=7)
    assert (validation.tolist(), test.tolist()) == EXPECTED
    assert len(train) == 6
    other = split(12, validation=0.25, test=0.25, seed=8)[2]
    assert other.tolist() != test.tolist()


EXPECTED = ([2, 3, 6], [1, 4, 8])


def test_text_labels_and_empty_parts():
    train, validation, test = split(4, validation=0, test=0, strata=["a", "b", "a", "b"])
    assert len(train) == 4
    assert len(validation) == len(test) == 0


def test_wrong_shares_are_refused():
    with pytest.raises(UsageError, match=r"validation=1\.5"):
        split(10, validation=1.5)
    with pytest.raises(UsageError, match="leave no row"):
        split(10, validation=0.5, test=0.5)
    with pytest.raises(UsageError, match="seed=-1"):
        split(10, seed=-1)
    with pytest.raises(ShapeError, match="strata"):
        split(10, strata=[1, 2])
