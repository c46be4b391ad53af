"""Several epochs in one call, where nobody asks anything between them: the bits of one after the
other, which a callback asks for."""

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.ops.random import key_of, keys_of
from chainrule.train.chunks import Chunks

RNG = np.random.Generator(np.random.Philox(4))
X = RNG.normal(size=(48, 4))
T = np.eye(3)[RNG.integers(0, 3, 48)]
PLAIN, DROPOUT = cr.nn.MLP((4, 6, 3)), cr.nn.MLP((4, 6, 3), dropout=0.3)
COMMON: dict[str, Any] = {
    "loss": "categorical_cross_entropy", "optimizer": "adam", "epochs": 40, "batch_size": 16,
    "evaluate_train": False,
}  # fmt: skip
asking: dict[str, Any] = {"callbacks": [lambda _: None]}


def outcome(result: cr.train.FitResult) -> Any:
    leaves = cr.tree.leaves((result.params, result.state, result.slots))
    rows = [{**row, "seconds": 0} for row in result.history]
    position = result.moment and result.moment.position
    return [x.tobytes() for x in leaves], rows, result.stopped, result.steps, position


@pytest.fixture
def ahead(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many epochs each chunk of several had."""
    found: list[int] = []
    several = Chunks.ahead

    def seen(chunks: Chunks, *given: int) -> int:
        found.append(several(chunks, *given))
        return found[-1]

    monkeypatch.setattr(Chunks, "ahead", seen)
    return found


@pytest.mark.parametrize(
    ("model", "options"),
    [
        (PLAIN, {}),
        (DROPOUT, {"sample_weight": np.arange(48) % 3, "dtype": np.float32}),
        (PLAIN, {"optimizer": cr.optim.sgd(cr.optim.schedules.cosine(0.3, steps=90))}),
        (PLAIN, {"shuffle": False}),
    ],
)
def test_bits_are_those_of_one_epoch_after_the_other(
    model: Any, options: dict[str, Any], ahead: list[int]
) -> None:
    options = COMMON | options
    apart = [cr.train.fit(model, (X, T), seed=k, **options, **asking) for k in range(2)]
    assert {*ahead} <= {1}
    alone = cr.train.fit(model, (X, T), seed=0, **options)
    assert max(ahead) > 1
    ahead.clear()
    many = cr.train.fit_many(model, (X, T), seeds=range(2), **options)
    assert max(ahead) > 1
    assert outcome(alone) == outcome(apart[0])
    assert [*map(outcome, many)] == [*map(outcome, apart)]


def test_a_loss_that_is_not_finite_is_found_where_it_is(ahead: list[int]) -> None:
    """The network overflows after so many epochs, which were tried as one chunk."""
    options: dict[str, Any] = COMMON | {"loss": "squared_error", "dtype": np.float32}
    both: list[dict[str, Any]] = [
        options | {"optimizer": cr.optim.sgd(cr.optim.schedules.join(0.01, 100, then))}
        for then in (1e3, 0.02)
    ]
    bad, good = both
    with pytest.raises(cr.train.DivergedError) as apart:
        cr.train.fit(PLAIN, (X, T), seed=1, **bad, **asking)
    ahead.clear()
    with pytest.raises(cr.train.DivergedError) as alone:
        cr.train.fit(PLAIN, (X, T), seed=1, **bad)
    assert max(ahead) > 1
    assert apart.value.epoch > 34
    assert str(alone.value) == str(apart.value)
    expected = outcome(apart.value.result)
    assert outcome(alone.value.result) == expected
    optimizers = [bad["optimizer"], good["optimizer"]]
    many = cr.train.fit_many(PLAIN, (X, T), seeds=[1, 1], **options | {"optimizer": optimizers})
    assert outcome(many[0]) == expected
    assert outcome(many[1]) == outcome(cr.train.fit(PLAIN, (X, T), seed=1, **good, **asking))


@pytest.mark.parametrize(
    "numbers",
    [
        (3, 1, np.arange(50)),
        (2**31, 2, np.arange(9), 7 * np.arange(9)),
        (5, np.array([0, 2**32 - 1, 2**33, 1, 2, 3, 4, 5])),
        (5, np.array([0, 2**32 - 1, 7])),
        (1, 2, 3, 4, np.arange(12), 7),
    ],
)
def test_keys_of_many_are_numpys(numbers: tuple[Any, ...]) -> None:
    rows = zip(*np.broadcast_arrays(*numbers), strict=True)
    assert np.array_equal(keys_of(*numbers), [key_of(*row) for row in rows])
