"""Losses: values against mpmath, slopes against the formulas, extremes, kinks, targets."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import scipy.special
from sklearn._loss.loss import HalfGammaLoss, HalfPoissonLoss, HalfTweedieLoss

from chainrule import nn
from chainrule.api import grad, hessian, jit
from chainrule.errors import DataError, ShapeError, UsageError

mpmath.mp.dps = 50

Z = (-1e4, -50.0, -3.0, -0.5, 0.5, 3.0, 50.0, 1e4)


def _loss_and_slope(loss, z, t):
    value = loss(z, t)
    return value, grad(lambda z: np.sum(loss(z, t)))(z)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("t", [0.0, 1.0, 0.3])
def test_binary_cross_entropy(dtype, t):
    z = np.array(Z, dtype)[:, None]
    target = np.full(len(Z), t, dtype)
    value, slope = _loss_and_slope(nn.BinaryCrossEntropy(), z, target)
    assert value.dtype == slope.dtype == dtype
    eps, tiny = np.finfo(dtype).eps, np.finfo(dtype).tiny
    t_mp = mpmath.mpf(float(target[0]))
    for zi, v, s in zip(Z, value.tolist(), slope[:, 0].tolist(), strict=True):
        zi = mpmath.mpf(zi)
        exact = float(
            t_mp * mpmath.log1p(mpmath.exp(-zi)) + (1 - t_mp) * mpmath.log1p(mpmath.exp(zi))
        )
        wrong = 1 / (1 + mpmath.exp(-zi))
        exact_slope = float((1 - t_mp) * wrong - t_mp / (1 + mpmath.exp(zi)))
        # Relative accuracy: also of the tiny loss of a right and certain answer.
        assert abs(v - exact) <= 60 * eps * abs(exact) + tiny
        assert abs(s - exact_slope) <= 60 * eps * abs(exact_slope) + tiny + eps * t * (1 - t)


def test_binary_cross_entropy_at_zero_has_the_right_curvature():
    loss = nn.BinaryCrossEntropy()
    t = np.array([1.0])
    assert grad(lambda z: np.sum(loss(z, t)))(np.zeros(1)) == pytest.approx([-0.5])
    assert hessian(lambda z: np.sum(loss(z, t)))(np.zeros(1)) == pytest.approx(np.array([[0.25]]))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_categorical_cross_entropy(dtype):
    z = np.array(
        [[0.1, -2.0, 3.0], [1e4, 0.0, -1e4], [-1e4, 0.0, 1e4], [5.0, 5.0, 5.0], [0.0, 0.0, 0.0]],
        dtype,
    )
    t = np.array([2, 0, 0, 1, 2])
    value, slope = _loss_and_slope(nn.CategoricalCrossEntropy(), z, t)
    eps = np.finfo(dtype).eps
    for row, ti, v, s in zip(z.tolist(), t, value.tolist(), slope, strict=True):
        row = [mpmath.mpf(a) for a in row]
        total = mpmath.log(sum(mpmath.exp(a) for a in row))
        assert abs(v - float(total - row[ti])) <= 20 * eps * max(1.0, abs(float(total - row[ti])))
        exact = [float(mpmath.exp(a - total)) - (j == ti) for j, a in enumerate(row)]
        np.testing.assert_allclose(s, exact, rtol=20 * eps, atol=4 * eps)


def test_one_hot_and_integer_targets_agree_in_value_and_slope():
    rng = np.random.default_rng(0)
    z, t = rng.normal(size=(6, 4)), rng.integers(0, 4, 6)
    one_hot = np.eye(4)[t]
    for loss in (nn.CategoricalCrossEntropy(), nn.Hinge()):
        for a, b in zip(
            _loss_and_slope(loss, z, t), _loss_and_slope(loss, z, one_hot), strict=True
        ):
            np.testing.assert_allclose(a, b, rtol=1e-14, atol=1e-15)


def test_soft_targets():
    z, p = np.array([[1.0, -1.0, 0.5]]), np.array([[0.2, 0.5, 0.3]])
    value, slope = _loss_and_slope(nn.CategoricalCrossEntropy(), z, p)
    np.testing.assert_allclose(value, -np.sum(p * scipy.special.log_softmax(z, axis=1), axis=1))
    np.testing.assert_allclose(slope, scipy.special.softmax(z, axis=1) - p)


@pytest.mark.parametrize(
    ("loss", "unit"),
    [
        (nn.SquaredError(), lambda z: z),
        (nn.BinaryCrossEntropy(), scipy.special.expit),
        (nn.CategoricalCrossEntropy(), lambda z: scipy.special.softmax(z, axis=-1)),
        (nn.Poisson(), np.exp),
    ],
)
def test_matched_pairs_have_delta_prediction_minus_target(loss, unit):
    """L0.4, L2.3: the derivative at the linear output is y - t."""
    rng = np.random.default_rng(1)
    z = rng.normal(size=(5, 3))
    t = scipy.special.softmax(rng.normal(size=(5, 3)), axis=1)
    np.testing.assert_allclose(loss.predict(z), unit(z), rtol=1e-14)
    slope = grad(lambda z: np.sum(loss(z, t)))(z)
    np.testing.assert_allclose(slope, unit(z) - t, rtol=1e-12, atol=1e-15)


def _huber(e, d):
    return e * e / 2 if abs(e) <= d else d * (abs(e) - d / 2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("delta", [0.5, 1.0])
def test_huber(dtype, delta):
    e = np.array([-1e4, -delta, -0.25, 0.0, 0.25, delta, 3.0, 1e4, 1e30], dtype)[:, None]
    t = np.zeros(len(e), dtype)
    value, slope = _loss_and_slope(nn.Huber(delta), e, t)
    np.testing.assert_allclose(value, [_huber(float(a), delta) for a in e[:, 0]], rtol=1e-6)
    np.testing.assert_allclose(slope[:, 0], np.clip(e[:, 0], -delta, delta), rtol=1e-6)


def test_huber_curvature_at_zero():
    second = hessian(lambda z: np.sum(nn.Huber()(z, np.zeros(1))))(np.zeros(1))
    assert second == pytest.approx(np.array([[1.0]]))


def test_absolute_and_quantile():
    z, t = np.array([[2.0], [-1.0], [0.5]]), np.array([1.0, 1.0, 0.5])
    value, slope = _loss_and_slope(nn.AbsoluteError(), z, t)
    np.testing.assert_array_equal(value, [1.0, 2.0, 0.0])
    np.testing.assert_array_equal(slope[:, 0], [1.0, -1.0, 0.0])
    value, slope = _loss_and_slope(nn.Quantile(0.9), z, t)
    np.testing.assert_allclose(value, [0.1, 1.8, 0.0])
    # Where prediction and target are equal: the mean of the slopes -0.9 and 0.1.
    np.testing.assert_allclose(slope[:, 0], [0.1, -0.9, -0.4])


def test_quantile_is_minimal_at_the_quantile():
    t = np.arange(1.0, 101.0)
    loss = nn.Quantile(0.8)
    at = [np.mean(loss(np.full((100, 1), y), t)) for y in (70.0, 80.5, 90.0)]
    assert at[1] < at[0]
    assert at[1] < at[2]


def test_poisson():
    z, t = np.array([[-1e4], [0.0], [2.0]]), np.array([3.0, 0.0, 5.0])
    value, slope = _loss_and_slope(nn.Poisson(), z, t)
    np.testing.assert_allclose(value, [3e4, 1.0, np.exp(2.0) - 10.0])
    np.testing.assert_allclose(slope[:, 0], [-3.0, 1.0, np.exp(2.0) - 5.0])


def test_binary_hinge():
    z, t = np.array([[2.0], [1.0], [0.5], [0.5], [-1e4]]), np.array([1.0, 1.0, 1.0, 0.0, 1.0])
    value, slope = _loss_and_slope(nn.Hinge(), z, t)
    np.testing.assert_array_equal(value, [0.0, 0.0, 0.5, 1.5, 1e4 + 1])
    # Margin exactly 1 (second row) has slope 0.
    np.testing.assert_array_equal(slope[:, 0], [0.0, 0.0, -1.0, 1.0, -1.0])


def test_multiclass_hinge():
    z = np.array([[2.0, 0.5, 0.0], [0.0, 0.5, 0.2], [0.0, 2.0, 2.0]])
    t = np.array([0, 0, 0])
    value, slope = _loss_and_slope(nn.Hinge(), z, t)
    np.testing.assert_allclose(value, [0.0, 1.5, 3.0])
    np.testing.assert_allclose(slope, [[0, 0, 0], [-1, 1, 0], [-1, 0.5, 0.5]])


def test_losses_add_over_outputs_and_never_broadcast():
    y, t = np.array([[1.0, 2.0], [3.0, 5.0]]), np.array([[0.0, 0.0], [3.0, 1.0]])
    np.testing.assert_array_equal(nn.SquaredError()(y, t), [2.5, 8.0])
    np.testing.assert_array_equal(nn.SquaredError()(y[:, :1], t[:, 0]), [0.5, 0.0])
    with pytest.raises(ShapeError, match=r"outputs of shape \(2, 2\) and targets of shape \(2,\)"):
        nn.SquaredError()(y, t[:, 0])
    with pytest.raises(ShapeError, match="one integer class per example"):
        nn.CategoricalCrossEntropy()(y, np.array([0, 1, 1]))
    with pytest.raises(ShapeError, match="must be integer classes"):
        nn.CategoricalCrossEntropy()(y, np.array([0.0, 1.0]))


@pytest.mark.parametrize(
    ("loss", "targets", "outputs", "message"),
    [
        (nn.SquaredError(), [1.0, np.nan], 1, r"targets\[1\] is nan; it must be a finite number"),
        (nn.SquaredError(), ["a", "b"], 1, "targets must be numbers"),
        (nn.SquaredError(), [1.0, 2.0], 3, r"3 outputs need \(n, 3\)"),
        (nn.BinaryCrossEntropy(), [0, 1, 2, 3], 1, r"targets\[2\] is 2.0; .* \(1 more like it\)"),
        (nn.CategoricalCrossEntropy(), [0, 3], 3, r"targets\[1\] is 3; it must be a class 0 .. 2"),
        (nn.CategoricalCrossEntropy(), [0, -1], 3, r"targets\[1\] is -1"),
        (nn.CategoricalCrossEntropy(), [0.0, 1.0], 3, "astype"),
        (nn.CategoricalCrossEntropy(), [[0.5, 0.9]], 2, r"targets\[0\] sums to 1.4"),
        (nn.CategoricalCrossEntropy(), [[0.5, 1.9]], 2, r"targets\[0, 1\] is 1.9"),
        (nn.Poisson(), [1.0, -1.0], 1, r"targets\[1\] is -1.0; it must be a count"),
        (nn.Hinge(), [0.0, 0.5], 1, r"targets\[1\] is 0.5; it must be 0 or 1"),
        (nn.Hinge(), [[0.5, 0.5]], 2, r"targets\[0, 0\] is 0.5"),
    ],
)
def test_targets_are_refused_by_row(loss, targets, outputs, message):
    with pytest.raises(DataError, match=message):
        loss.prepare(targets, outputs, np.float64)


def test_targets_are_prepared():
    t = nn.SquaredError().prepare([1, 2], 1, np.float32)
    assert t.shape == (2, 1)
    assert t.dtype == np.float32
    t = nn.CategoricalCrossEntropy().prepare(np.array([[1], [0]], np.int8), 2, np.float32)
    assert t.shape == (2,)
    assert t.dtype == np.int64


def test_single_examples_and_lists():
    z = np.array([1.0, -1.0, 0.5])
    wanted = -scipy.special.log_softmax(z)[2]
    assert nn.CategoricalCrossEntropy()(z, 2) == pytest.approx(wanted)
    np.testing.assert_allclose(nn.CategoricalCrossEntropy()(z[None], [2]), [wanted])
    np.testing.assert_allclose(nn.Hinge()(z[None], [0]), [0.5])
    np.testing.assert_array_equal(nn.SquaredError()(z, [1.0, -1.0, 2.5]), [0, 0, 2])


def test_names_and_settings():
    assert nn.loss("huber", delta=0.5) == nn.Huber(0.5)
    assert set(nn.LOSSES) == {nn.loss(name).name for name in nn.LOSSES}
    with pytest.raises(UsageError, match="unknown loss 'mse'"):
        nn.loss("mse")
    with pytest.raises(UsageError, match="quantile has no setting 'delta'; it takes q"):
        nn.loss("quantile", delta=1.0)
    with pytest.raises(UsageError, match=r"q=1\.5: must be a finite number, above 0 and below 1"):
        nn.Quantile(1.5)
    with pytest.raises(UsageError, match=r"delta=.*: must be a finite number, above 0"):
        nn.Huber(0.0)


def test_a_plain_function_as_loss_must_not_take_the_mean():
    loss = nn.loss(lambda y, t: (y[:, 0] - t) ** 4)
    np.testing.assert_array_equal(loss(np.array([[2.0], [0.0]]), np.array([0.0, 1.0])), [16, 1])
    wrong = nn.loss(lambda y, t: np.mean(y))
    with pytest.raises(ShapeError, match="one number per example"):
        wrong(np.zeros((2, 1)), np.zeros(2))


AMOUNTS = np.array([[0.3], [1.0], [4.0], [12.5]])


@pytest.mark.parametrize(
    ("loss", "theirs"),
    [
        (nn.Gamma(), HalfGammaLoss()),
        *[(nn.Tweedie(p), HalfTweedieLoss(power=p)) for p in (1.0, 1.1, 1.5, 1.9, 2.0, 3.0)],
        (nn.Poisson(), HalfPoissonLoss()),
    ],
)
def test_losses_of_amounts_are_sklearns(loss, theirs):
    z = np.array([[-2.0], [0.0], [1.5], [3.0]])
    value, slope = _loss_and_slope(loss, z, AMOUNTS)
    wanted = theirs.loss_gradient(AMOUNTS[:, 0], z[:, 0])
    np.testing.assert_allclose(value, wanted[0], rtol=1e-13)
    np.testing.assert_allclose(slope[:, 0], wanted[1], rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(loss.predict(z), np.exp(z), rtol=1e-15)


def _focal(row, t, gamma):
    """By mpmath, with the probability of the true class from the outputs of all."""
    e = [mpmath.exp(mpmath.mpf(float(a))) for a in row]
    p = e[t] / sum(e)
    return -((1 - p) ** gamma) * mpmath.log(p)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal(dtype, gamma):
    loss, tol = nn.Focal(gamma), 400 * np.finfo(dtype).eps
    z = np.array([-20.0, -3.0, 0.0, 0.5, 9.0, 30.0], dtype)
    for t in (0.0, 1.0):
        value, slope = _loss_and_slope(loss, z[:, None], np.full(len(z), t, dtype))
        exact = [_focal((0, a), int(t), gamma) for a in z]
        exact_slope = [mpmath.diff(lambda a, t=t: _focal_at(a, int(t), gamma), float(a)) for a in z]
        np.testing.assert_allclose(value, np.array(exact, float), rtol=tol)
        np.testing.assert_allclose(slope[:, 0], np.array(exact_slope, float), rtol=tol)
    rows = np.array([[0.0, 1.0, -2.0], [30.0, -5.0, 0.0], [-5.0, 5.0, 5.0]], dtype)
    value, slope = _loss_and_slope(loss, rows, np.array([1, 0, 2]))
    exact = [_focal(row, t, gamma) for row, t in zip(rows, (1, 0, 2), strict=True)]
    # In the middle row log p is the difference of numbers near 30.
    np.testing.assert_allclose(value, np.array(exact, float), rtol=tol, atol=tol)
    assert np.isfinite(slope).all()


def _focal_at(z, t, gamma):
    p = 1 / (1 + mpmath.exp(-z if t else z))
    return -((1 - p) ** gamma) * mpmath.log(p)


def test_focal_of_two_classes_is_that_of_one_output():
    z, t = np.linspace(-5, 5, 7), np.array([0, 1, 1, 0, 1, 0, 1])
    two = nn.Focal()(np.stack([np.zeros(7), z], 1), t)
    np.testing.assert_allclose(two, nn.Focal()(z[:, None], t.astype(float)), rtol=1e-13)


def test_label_smoothing_mixes_the_targets():
    rng = np.random.default_rng(3)
    z, t, s = rng.normal(size=(5, 4)), np.array([0, 3, 1, 2, 2]), 0.2
    mixed = (1 - s) * np.eye(4)[t] + s / 4
    wanted = -np.sum(mixed * scipy.special.log_softmax(z, axis=1), axis=1)
    smooth = nn.CategoricalCrossEntropy(label_smoothing=s)
    np.testing.assert_allclose(smooth(z, t), wanted, rtol=1e-13)
    np.testing.assert_allclose(smooth(z, np.eye(4)[t]), wanted, rtol=1e-13)
    two, ones = z[:, :1], np.array([0.0, 1.0, 1.0, 0.0, 1.0])
    smooth, plain = nn.BinaryCrossEntropy(label_smoothing=s), nn.BinaryCrossEntropy()
    np.testing.assert_allclose(smooth(two, ones), plain(two, (1 - s) * ones + s / 2), rtol=1e-13)
    with pytest.raises(UsageError, match=r"label_smoothing=1\.0"):
        nn.CategoricalCrossEntropy(1.0)


@pytest.mark.parametrize("executor", ["numpy", None])
def test_several_quantiles_rise_and_cost_the_sum_of_each(executor):
    loss = nn.Quantile((0.1, 0.5, 0.9))
    rng = np.random.default_rng(4)
    z, t = rng.normal(size=(6, 3)) * 5, rng.normal(size=6)
    levels = loss.predict(z)
    assert (np.diff(levels, axis=1) > 0).all()
    wanted = sum(nn.Quantile(q)(levels[:, [i]], t) for i, q in enumerate((0.1, 0.5, 0.9)))
    np.testing.assert_allclose(loss(z, t), wanted, rtol=1e-13)
    got = jit(grad(lambda z: np.sum(loss(z, t))), executor=executor)(z)
    step = 1e-6
    for i, j in np.ndindex(*z.shape):
        moved = z.copy()
        moved[i, j] += step
        slope = (np.sum(loss(moved, t)) - np.sum(loss(z, t))) / step
        assert got[i, j] == pytest.approx(slope, abs=1e-5)  # of a forward difference
    assert loss.prepare(t, 3, np.float32).shape == (6, 1)
    with pytest.raises(UsageError, match="3 quantiles need 3 outputs, not 2"):
        loss.prepare(t, 2, np.float64)
    with pytest.raises(UsageError, match="several quantiles rise"):
        nn.Quantile((0.5, 0.1))


def test_amounts_are_refused_by_row():
    with pytest.raises(DataError, match=r"targets\[1\] is 0.0; it must be an amount above 0"):
        nn.Gamma().prepare([1.0, 0.0], 1, np.float64)
    assert nn.Tweedie(1.5).prepare([1.0, 0.0], 1, np.float64)[1] == 0
    with pytest.raises(DataError, match="above 0"):
        nn.Tweedie(3.0).prepare([1.0, 0.0], 1, np.float64)


def test_a_function_as_loss_with_the_unit_of_another():
    loss = nn.FunctionLoss(lambda y, t: np.sum(y, axis=-1) * t, nn.CategoricalCrossEntropy())
    z = np.array([[1.0, 2.0], [0.0, 3.0]])
    np.testing.assert_allclose(loss.predict(z), scipy.special.softmax(z, axis=1))
    assert loss.prepare([1, 0], 2, np.float32).dtype == np.int64
