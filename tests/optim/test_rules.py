"""Optimisers against plainly written formulas, clipping, groups; recorded and eager alike."""

from __future__ import annotations

import copy
import json
import pickle

import numpy as np
import pytest

from chainrule import optim
from chainrule.core.tree import flatten
from chainrule.errors import UsageError
from chainrule.optim.rules import bias_correction
from chainrule.run import compile as compile_

A = np.array([[3.0, 0.5], [0.5, 1.0]])
B = np.array([1.0, -2.0])


def _gradients(params):
    """Of the quadratic x'Ax/2 - b'x in "weights" and of |bias|^2 / 2."""
    return {"weights": A @ params["weights"] - B, "bias": params["bias"]}


def _start(dtype=np.float64):
    return {"weights": np.array([2.0, -1.0], dtype), "bias": np.array([0.5], dtype)}


def _run(optimizer, steps, dtype=np.float64, compiled=False):
    params = _start(dtype)
    slots = optimizer.init(params)
    update = optimizer.update
    for i in range(steps):
        g = {k: v.astype(dtype) for k, v in _gradients(params).items()}
        count = np.asarray(i)
        if compiled and i == 0:
            update = compile_(optimizer.update, g, slots, params, count)
        params, slots = update(g, slots, params, count)
    return params


def _sgd(p, g, m, t, lr=0.1, mu=0.0, nesterov=False, decay=0.0):
    g = g + decay * p
    m["u"] = mu * m.get("u", 0.0) + g
    return p - lr * (g + mu * m["u"] if nesterov else m["u"])


def _rmsprop(p, g, m, t, lr=0.001, alpha=0.99, eps=1e-8, mu=0.0):
    m["v"] = alpha * m.get("v", 0.0) + (1 - alpha) * g**2
    q = g / (np.sqrt(m["v"]) + eps)
    if not mu:
        return p - lr * q
    m["u"] = mu * m.get("u", 0.0) + q
    return p - lr * m["u"]


def _adam(p, g, m, t, lr=0.001, b1=0.9, b2=0.999, eps=1e-8, hat=False, decay=0.0):
    p = p * (1 - lr * decay)
    m["m"] = b1 * m.get("m", 0.0) + (1 - b1) * g
    m["v"] = b2 * m.get("v", 0.0) + (1 - b2) * g**2
    c1, c2 = 1 - b1**t, 1 - b2**t
    if hat:
        return p - lr * np.sqrt(c2) / c1 * m["m"] / (np.sqrt(m["v"]) + eps)
    return p - lr * (m["m"] / c1) / (np.sqrt(m["v"] / c2) + eps)


CASES = {
    "sgd": (optim.sgd(0.1), _sgd, {}),
    "momentum": (optim.sgd(0.1, momentum=0.9), _sgd, {"mu": 0.9}),
    "nesterov": (optim.sgd(0.1, 0.9, nesterov=True), _sgd, {"mu": 0.9, "nesterov": True}),
    "sgd decay": (optim.sgd(0.1, 0.5, weight_decay=0.2), _sgd, {"mu": 0.5, "decay": 0.2}),
    "rmsprop": (optim.rmsprop(), _rmsprop, {}),
    "rmsprop momentum": (optim.rmsprop(0.02, momentum=0.8), _rmsprop, {"lr": 0.02, "mu": 0.8}),
    "adam": (optim.adam(), _adam, {}),
    "adam large epsilon": (optim.adam(0.01, epsilon=0.1), _adam, {"lr": 0.01, "eps": 0.1}),
    "adam hat": (
        optim.adam(0.01, epsilon=0.1, epsilon_hat=True),
        _adam,
        {"lr": 0.01, "eps": 0.1, "hat": True},
    ),
    "adam without first": (optim.adam(beta1=0.0), _adam, {"b1": 0.0}),
    "adamw": (optim.adamw(0.01, 0.3), _adam, {"lr": 0.01, "decay": 0.3}),
}


@pytest.mark.parametrize("name", list(CASES))
@pytest.mark.parametrize("compiled", [False, True])
def test_against_the_formula(name, compiled):
    optimizer, formula, settings = CASES[name]
    params, memory = _start(), {"weights": {}, "bias": {}}
    for t in range(1, 101):
        g = _gradients(params)
        for k in params:
            own = settings if k == "weights" else {**settings, "decay": 0.0}
            if k == "bias" and "decay" not in settings:
                own = settings
            params[k] = formula(params[k], g[k], memory[k], t, **own)
    found = _run(optimizer, 100, compiled=compiled)
    for k in params:
        np.testing.assert_allclose(found[k], params[k], rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("name", list(CASES))
def test_float32_stays_float32_and_near(name):
    optimizer = CASES[name][0]
    narrow, wide = _run(optimizer, 50, np.float32), _run(optimizer, 50)
    for k in wide:
        assert narrow[k].dtype == np.float32
        # Fifty steps of a few roundings of 6e-8 each.
        np.testing.assert_allclose(narrow[k], wide[k], rtol=1e-5, atol=2e-6)


def test_float32_with_a_schedule_stays_float32():
    optimizer = optim.chain(
        optim.clip_by_norm(0.5), optim.adamw(optim.schedules.cosine(0.1, 50), 0.1)
    )
    for compiled in (False, True):
        assert _run(optimizer, 5, np.float32, compiled)["weights"].dtype == np.float32


@pytest.mark.parametrize(
    "optimizer",
    [optim.sgd(0.1, 0.5), optim.rmsprop(0.01), optim.adam(0.05), optim.sgd(0.1, 0.5, True)],
)
def test_the_minimum_of_a_quadratic_is_found(optimizer):
    found = _run(optimizer, 2000)
    np.testing.assert_allclose(found["weights"], np.linalg.solve(A, B), atol=0.02)


def test_bias_correction_does_not_cancel():
    for beta, step in ((0.999, 0), (1 - 1e-9, 0), (0.9, 10), (0.0, 3)):
        exact = float(-np.expm1(np.log1p(-(1 - np.longdouble(beta))) * (step + 1))) if beta else 1.0
        assert bias_correction(beta, np.asarray(step)) == pytest.approx(exact, rel=1e-14)


def test_the_first_step_of_adam_has_the_size_of_the_learning_rate():
    for dtype in (np.float32, np.float64):
        start, end = _start(dtype), _run(optim.adam(0.001), 1, dtype)
        for k in start:
            step = np.abs((end[k] - start[k]).astype(np.float64))
            # The step is seen in a difference of numbers up to 2, rounded to their precision;
            # epsilon, 1e-8, makes it shorter by that share of the gradient.
            error = 2 * float(np.finfo(dtype).eps) + 0.001 * 1e-7
            np.testing.assert_allclose(step, 0.001, rtol=0, atol=error)


def test_update_does_not_write_to_its_arguments():
    for optimizer, _, _ in CASES.values():
        params = _start()
        slots, g = optimizer.init(params), _gradients(params)
        for leaf in flatten((params, slots, g))[0]:
            leaf.flags.writeable = False
        optimizer.update(g, slots, params, np.asarray(0))


def test_clip_by_value_and_norm():
    g = {"a": np.array([3.0, -0.2]), "b": np.array([-4.0])}
    clipped = optim.clip_by_value(1.0).apply(g)
    np.testing.assert_array_equal(clipped["a"], [1.0, -0.2])
    np.testing.assert_array_equal(clipped["b"], [-1.0])
    halved = optim.clip_by_norm(np.sqrt(25.04) / 2).apply(g)
    np.testing.assert_allclose(halved["a"], g["a"] / 2)
    assert optim.global_norm(halved) == pytest.approx(np.sqrt(25.04) / 2)
    same = optim.clip_by_norm(6.0).apply(g)
    for k in g:
        np.testing.assert_array_equal(same[k], g[k])
    zero = optim.clip_by_norm(1.0).apply({"a": np.zeros(2)})
    np.testing.assert_array_equal(zero["a"], 0)


def test_chain_clips_before_the_rule():
    start = _start()
    g = _gradients(start)
    norm = float(optim.global_norm(g))
    params = _run(optim.chain(optim.clip_by_norm(norm / 4), optim.sgd(1.0)), 1)
    for k in start:
        np.testing.assert_allclose(params[k], start[k] - g[k] / 4, rtol=1e-12)


def _joined(parts, steps=30):
    return _run(optim.chain(*parts), steps)


def test_a_chain_may_hold_any_rules_in_any_order():
    """Each chain against one rule, or a loop, that must do the same."""
    clip = optim.clip_by_norm(0.5)
    alike = [
        # AdamW is Adam, decay and a learning rate, one after another.
        ((optim.adam(1.0), optim.weight_decay(0.3), optim.scale(0.01)), optim.adamw(0.01, 0.3)),
        ((optim.weight_decay(0.2), optim.sgd(0.1, 0.5)), optim.sgd(0.1, 0.5, weight_decay=0.2)),
        ((optim.chain(clip), optim.chain(optim.chain(optim.adam()))), optim.chain(clip, "adam")),
        ((clip, optim.scale(0.1)), optim.chain(clip, optim.sgd(0.1))),
        ((optim.adam(1.0), optim.scale(optim.schedules.cosine(0.1, 20))),
         optim.adam(optim.schedules.cosine(0.1, 20))),
        ((optim.groups({"*": optim.chain("adam", optim.scale(0.5))}),), optim.adam(0.0005)),
    ]  # fmt: skip
    for parts, whole in alike:
        chained, alone = _joined(parts), _run(whole, 30)
        for k in alone:
            np.testing.assert_allclose(chained[k], alone[k], rtol=1e-12, atol=1e-14)


def test_a_clip_after_a_rule_clips_its_step():
    start = _start()
    params = _run(optim.chain(optim.sgd(10.0), optim.clip_by_norm(0.25)), 1)
    step = {k: params[k] - start[k] for k in start}
    assert optim.global_norm(step) == pytest.approx(0.25)


def test_the_learning_rate_of_a_chain_is_the_product_of_its_parts():
    halved = optim.chain(optim.sgd(optim.schedules.cosine(0.4, 10)), optim.scale(0.5))
    for step in (0, 4, 9):
        expected = optim.schedules.cosine(0.2, 10)(step)
        assert halved.learning_rate(step) == pytest.approx(expected)
    assert optim.chain(optim.clip_by_norm(1.0)).learning_rate is None


@pytest.mark.parametrize("name", [*CASES, "chained", "groups", "lbfgs", "schedules"])
def test_an_optimiser_survives_pickle_and_equals_its_copy(name):
    schedules = optim.schedules
    rate = schedules.join(
        schedules.warm_up(schedules.one_cycle(0.1, 20), 5), 10, schedules.step(0.1, 0.5, 3)
    )
    more = {
        "chained": optim.chain(optim.clip_by_norm(1.0), optim.clip_by_value(1.0), "adam"),
        "groups": optim.groups({"bias": optim.frozen(), "*": optim.weight_decay(0.1)}),
        "lbfgs": optim.lbfgs(memory=3),
        "schedules": optim.sgd(schedules.per_epoch(rate, 3)),
    }
    optimizer = more[name] if name in more else CASES[name][0]
    for copied in (pickle.loads(pickle.dumps(optimizer)), copy.deepcopy(optimizer)):
        assert copied == optimizer
        assert hash(copied) == hash(optimizer)
        if name != "lbfgs":
            for k, v in _run(optimizer, 3).items():
                np.testing.assert_array_equal(_run(copied, 3)[k], v)


def test_an_optimiser_goes_by_name():
    assert optim.optimizer("adam") == optim.adam()
    assert optim.optimizer("nesterov", learning_rate=0.3) == optim.sgd(0.3, 0.9, nesterov=True)
    assert optim.optimizer(optim.adam(0.5)) == optim.adam(0.5)
    assert optim.adam(0.5) != optim.adam(0.25)
    assert optim.schedule("cosine", initial=0.1, steps=5) == optim.schedules.cosine(0.1, 5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: optim.optimizer("adem"), "unknown optimizer 'adem'; did you mean 'adam'"),
        (lambda: optim.optimizer("Adam-W"), "did you mean 'adamw'"),
        (lambda: optim.optimizer("adam", lr=1), "no setting 'lr'; it takes learning_rate"),
        (lambda: optim.optimizer(optim.adam), r"function adam itself; call it, adam\(...\)"),
        (lambda: optim.optimizer(optim.Lbfgs), "class Lbfgs itself; call it"),
        (lambda: optim.optimizer(0.1), "a name .*adam.* or a value such as optim.adam.* not 0.1"),
        (lambda: optim.optimizer(None), "not None"),
        (lambda: optim.optimizer(optim.adam(), beta1=0.5), "settings go with the name of"),
        (lambda: optim.adam("cosine"), "schedule cosine needs initial and steps"),
        (lambda: optim.adam("cosin"), "did you mean 'cosine'"),
        (lambda: optim.adam([0.1]), r"not \[0.1\]"),
    ],
)  # fmt: skip
def test_what_is_no_optimiser_is_refused_with_what_to_write(make, message):
    with pytest.raises(UsageError, match=message):
        make()


def test_groups_have_settings_of_their_own():
    grouped = optim.groups(
        {"*bias": optim.frozen(), "*": optim.sgd(optim.schedules.step(0.1, 0.5, 3))}
    )
    found = _run(grouped, 10, compiled=True)
    np.testing.assert_array_equal(found["bias"], _start()["bias"])
    alone = _run(optim.sgd(optim.schedules.step(0.1, 0.5, 3)), 10)
    np.testing.assert_allclose(found["weights"], alone["weights"], rtol=1e-14)
    mixed = optim.groups({"bias": optim.sgd(0.3), "weights": optim.adamw(0.01, 0.3)})
    found = _run(mixed, 20)
    np.testing.assert_allclose(found["bias"], _run(optim.sgd(0.3), 20)["bias"])
    np.testing.assert_allclose(found["weights"], _run(optim.adamw(0.01, 0.3), 20)["weights"])


def test_groups_on_nested_trees_know_paths():
    params = {"layers": ({"weights": np.ones(2), "bias": np.ones(1)}, {"weights": np.ones(3)})}
    grouped = optim.groups({"layers/0/*": optim.frozen(), "*": optim.sgd(1.0, weight_decay=0.5)})
    zero = {"layers": ({"weights": np.zeros(2), "bias": np.zeros(1)}, {"weights": np.zeros(3)})}
    new, _ = grouped.update(zero, grouped.init(params), params, np.asarray(0))
    np.testing.assert_array_equal(new["layers"][0]["weights"], 1.0)
    np.testing.assert_array_equal(new["layers"][1]["weights"], 0.5)


def test_decay_that_would_touch_nothing_is_refused():
    named = {"w": A}
    optimizer = optim.adamw()
    slots = optimizer.init(named)
    with pytest.raises(UsageError, match=r"weight_decay: '\*weights' matches none of 'w'; say"):
        optimizer.update(named, slots, named, np.asarray(0))
    # A group of biases has nothing to decay, and that is what was meant.
    bias = {"layers/0/bias": np.ones(2)}
    optimizer = optim.adamw(weight_decay=0.5)
    new, _ = optimizer.update(bias, optimizer.init(bias), bias, np.asarray(0))
    np.testing.assert_allclose(new["layers/0/bias"], 1 - 1e-3, rtol=1e-6)


def test_groups_must_fit_the_parameters():
    with pytest.raises(UsageError, match="no group matches the parameter 'bias'"):
        optim.groups({"weights": optim.sgd(0.1)}).init(_start())
    with pytest.raises(UsageError, match="group 'layer' gets none of the parameters bias, weights"):
        optim.groups({"layer": optim.sgd(0.1), "*": optim.sgd(0.1)}).init(_start())
    with pytest.raises(UsageError, match="at least one pattern"):
        optim.groups({})
    with pytest.raises(UsageError, match=r"optimizer is a name .* not 0.1"):
        optim.groups({"*": 0.1})


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: optim.sgd(-0.1),
        lambda: optim.sgd(float("nan")),
        lambda: optim.sgd("fast"),
        lambda: optim.sgd(0.1, momentum=1.0),
        lambda: optim.sgd(0.1, nesterov=True),
        lambda: optim.adam(beta2=1.0),
        lambda: optim.adam(epsilon=-1.0),
        lambda: optim.adamw(weight_decay=-1.0),
        lambda: optim.clip_by_norm(0.0),
        lambda: optim.chain(),
        lambda: optim.chain(optim.lbfgs()),
        lambda: optim.chain(optim.clip_by_norm(1.0), 0.1),
        lambda: optim.weight_decay(-1.0),
        lambda: optim.scale(float("inf")),
        lambda: optim.adam(beta1="much"),
        lambda: optim.lbfgs(memory=0),
        lambda: optim.lbfgs(gradient_tolerance=-1.0),
    ],
)
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(UsageError):
        wrong()


def test_descriptions_are_plain_data():
    optimizer = optim.chain(
        optim.clip_by_norm(1.0),
        optim.groups(
            {"*bias": optim.sgd(0.1), "*": optim.adamw(optim.schedules.warm_up(0.1, 5), 0.2)}
        ),
    )
    text = json.dumps(optimizer.describe())
    for piece in ("adamw", "warm_up", "clip_by_norm", "weight_decay"):
        assert piece in text
    assert json.loads(json.dumps(optim.lbfgs().describe()))["optimizer"] == "lbfgs"


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_factors_and_a_scheduled_decay_behind_adam(compiled, dtype):
    """RealMLP's step: decay by schedule, both times the leaf's factor and the rate's schedule."""
    schedules = optim.schedules
    rule = optim.chain(
        optim.adam(1.0, 0.9, 0.95),
        optim.weight_decay(schedules.flat_cosine(0.3, 10), "*weights"),
        optim.factors({"bias": 0.1}),
        optim.scale(schedules.coslog(0.2, 10)),
    )
    found = _run(rule, 8, dtype, compiled)
    p, m, v = _start(), {}, {}
    for i in range(8):
        t = i / 10
        rate = 0.2 * 0.5 * (1 - np.cos(2 * np.pi * np.log2(1 + 15 * t)))
        decay = 0.3 * (1.0 if t < 0.5 else 0.5 * (1 + np.cos(np.pi * (2 * t - 1))))
        for name, g in _gradients(p).items():
            m[name] = 0.9 * m.get(name, 0) + 0.1 * g
            v[name] = 0.95 * v.get(name, 0) + 0.05 * g * g
            step = (m[name] / (1 - 0.9 ** (i + 1))) / (
                np.sqrt(v[name] / (1 - 0.95 ** (i + 1))) + 1e-8
            )
            if name == "weights":
                p[name] = p[name] - rate * (step + decay * p[name])
            else:
                p[name] = p[name] - 0.1 * rate * step
    for name in p:
        assert found[name] == pytest.approx(p[name], rel=1e-9 if dtype is np.float64 else 1e-4)
        assert found[name].dtype == dtype


def test_factors_say_what_they_do_not_match():
    rule = optim.chain(optim.sgd(0.1), optim.factors({"layers/*": 2.0}))
    with pytest.raises(UsageError, match=r"factors: 'layers/\*' matches none of bias, weights"):
        _run(rule, 1)
    with pytest.raises(UsageError, match="factors"):
        optim.factors({"*": -1.0})
