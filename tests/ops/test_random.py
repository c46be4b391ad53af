"""``cr.random``: distributions, the same numbers under ``jit`` and ``vmap``, errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.stats

import chainrule as cr

KEY, TABLE = cr.random.key_of(3), np.arange(24.0).reshape(8, 3)
P = np.linspace(0.0, 1.0, 9)
DRAWS: dict[str, Callable[[Any], Any]] = {
    "uniform": lambda key: cr.random.uniform(key, (500,)),
    "normal": lambda key: cr.random.normal(key, (20, 30)),
    "normal of one precision": lambda key: cr.random.normal(key, (500,), np.float32),
    "bernoulli": lambda key: cr.random.bernoulli(key, P),
    "permutation": lambda key: cr.random.permutation(key, 40),
    "rows": lambda key: cr.random.permutation(key, TABLE),
    "split": lambda key: cr.random.split(key, 3),
}


@pytest.mark.parametrize("name", DRAWS)
def test_a_draw_is_the_same_recorded_and_for_many_keys(name: str) -> None:
    draw = DRAWS[name]
    expected = draw(KEY)
    found = cr.jit(draw)(KEY)
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=1e-6 if found.dtype == "f4" else 1e-14)
    keys = cr.random.split(KEY, 4)
    for many, key in zip(cr.vmap(draw)(keys), keys, strict=True):
        np.testing.assert_allclose(many, draw(key), rtol=1e-6)
    assert not np.array_equal(draw(keys[0]), draw(keys[1]))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_normal_numbers_are_normal(dtype: Any) -> None:
    z = cr.random.normal(KEY, (20000,), dtype)
    assert z.dtype == dtype
    assert np.isfinite(z).all()
    # SciPy's test; the key is fixed, so this can't fail by chance
    assert scipy.stats.kstest(z.astype(float), "norm").pvalue > 0.01


def test_no_uniform_number_becomes_an_infinite_normal_one(monkeypatch: pytest.MonkeyPatch) -> None:
    import chainrule.ops.random as module

    ends = np.array([0.0, 1 - 2.0**-24], np.float32)  # the least and the largest there are
    monkeypatch.setattr(module, "uniform", lambda key, shape, dtype: ends)
    assert np.isfinite(cr.random.normal(KEY, (2,), np.float32)).all()


def test_bernoulli_and_permutations_are_what_they_say() -> None:
    assert cr.random.bernoulli(KEY, 0.3, (10000,)).mean() == pytest.approx(0.3, abs=0.02)
    drawn = cr.random.bernoulli(KEY, np.array([0.0, 1.0]), (50, 2))
    assert not drawn[:, 0].any()
    assert drawn[:, 1].all()
    assert sorted(cr.random.permutation(KEY, 40)) == list(range(40))
    firsts = [cr.random.permutation(key, 4)[0] for key in cr.random.split(KEY, 400)]
    assert scipy.stats.chisquare(np.bincount(firsts)).pvalue > 0.01
    assert len({key.tobytes() for key in cr.random.split(KEY, 50)}) == 50


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: cr.random.normal(np.zeros(3)), "a key is an array of two uint64"),
        (lambda: cr.random.bernoulli(np.zeros(2), 0.5), "uint64"),
        (lambda: cr.random.permutation(KEY, 2.5), "random.permutation"),
        (lambda: cr.random.split(np.zeros(2, int)), "two uint64"),
    ],
)
def test_what_is_no_key_is_refused(call: Callable[[], Any], words: str) -> None:
    with pytest.raises(cr.ChainruleError, match=words):
        call()
