"""Loops in two forms: for blocks whose numbers all are as is likely, and for others."""

import re

import numpy as np
import pytest

import chainrule as cr

FORMS = {
    "quotient": lambda x, y, z: np.sum(x * y / z),
    "quotient of products": lambda x, y, z: np.sum(x * y / (z * z * 0.5)),
    "root of a product": lambda x, y, z: np.sum(np.sqrt(x * y) * z),
    "hypotenuse": lambda x, y, z: np.sum(np.sqrt(x * x + abs(y)) / z),
    "three squares": lambda x, y, z: np.sum(np.sqrt(x * x + y * y + z * z)),
    "logarithm of a quotient": lambda x, y, z: np.sum(x * np.log(x / y)),
    "difference of roots": lambda x, y, z: np.sum(np.sqrt(x * x - 0.1 * y * z) - x),
    "logarithm": lambda x, y, z: np.sum(np.log(x * y * z)),
    "rows": lambda x, y, z: np.sum(np.linalg.norm(x.reshape(-1, 10), axis=1)),
}
EXTREME = [1e-200, 1e200, 1e-310, 0.0, np.inf, np.nan, 1e307]


def is_tried(code: str) -> bool:
    """Whether some loop notes which of its numbers are not as is likely."""
    return re.search(r" = or i(8|32|64) ", code) is not None


def numbers(n: int, dtype: str, extreme: int) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    found = [rng.uniform(0.5, 2.0, n) for _ in range(3)]
    for x in found:
        x[rng.integers(0, n, extreme)] = rng.choice(EXTREME, extreme)
    with np.errstate(over="ignore", under="ignore"):
        return [x.astype(dtype) for x in found]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", FORMS)
def test_both_forms_have_the_same_bits(name: str, dtype: str) -> None:
    """In a long array most blocks take the short form; cut into short arrays none does."""
    n, short = 5000, 100
    gradient = cr.jit(cr.grad(FORMS[name], argnums=(0, 1, 2)), executor="native")
    arrays = numbers(n, dtype, extreme=4)
    whole = gradient(*arrays)
    assert is_tried(gradient.ir(*arrays))
    for k in range(0, n, short):
        part = [x[k : k + short] for x in arrays]
        for a, b in zip(whole, gradient(*part), strict=True):
            np.testing.assert_array_equal(a[k : k + short], b)
    assert not is_tried(gradient.ir(*part))


@pytest.mark.parametrize("threads", [1, 2])
def test_blocks_do_not_show_how_many_threads_there_are(threads: int) -> None:
    arrays = numbers(40_000, "float64", extreme=9)
    slopes = cr.grad(FORMS["quotient"], argnums=(0, 1, 2))
    run = cr.jit(slopes, executor="native", threads=threads)
    reference = cr.jit(slopes, executor="native", threads=1)
    for a, b in zip(run(*arrays), reference(*arrays), strict=True):
        assert a.tobytes() == b.tobytes()
