"""What parameters of the perceptrons may be, as scikit-learn checks it, and what they mean."""

from __future__ import annotations

from numbers import Integral, Real
from os import PathLike
from typing import Any

import numpy as np
from sklearn.utils._param_validation import Interval, Options, StrOptions

from chainrule.nn import ACTIVATIONS
from chainrule.train import Checkpoint

__all__ = ["CONSTRAINTS", "SHARED"]


def _above(low: float) -> Interval:
    return Interval(Real, low, None, closed="neither")


def _from(low: float, high: float | None = None) -> Interval:
    return Interval(Real, low, high, closed="left")


def _whole(low: int) -> Interval:
    return Interval(Integral, low, None, closed="left")


CONSTRAINTS: dict[str, list[Any]] = {
    "hidden_layer_sizes": ["array-like", _whole(1)],
    "activation": [StrOptions({*ACTIVATIONS}), callable, list, tuple],
    "solver": [StrOptions({"lbfgs", "sgd", "adam"})],
    "alpha": [_from(0)],
    "batch_size": [StrOptions({"auto"}), _whole(1)],
    "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
    "learning_rate_init": [_above(0)],
    "power_t": [_from(0)],
    "max_iter": [_whole(1)],
    "shuffle": ["boolean"],
    "random_state": ["random_state"],
    "tol": [_from(0)],
    "verbose": ["verbose"],
    "warm_start": ["boolean"],
    "momentum": [_from(0, 1)],
    "nesterovs_momentum": ["boolean"],
    "early_stopping": ["boolean"],
    "validation_fraction": [_from(0, 1)],
    "beta_1": [_from(0, 1)],
    "beta_2": [_from(0, 1)],
    "epsilon": [_above(0)],
    "n_iter_no_change": [_whole(1), Options(Real, {np.inf})],
    "max_fun": [_whole(1)],
    "l2": [_from(0)],
    "dropout": [_from(0, 1), list, tuple],
    "batch_norm": ["boolean"],
    "layer_norm": ["boolean"],
    "residual": ["boolean"],
    "coefs_init": [list, tuple, None],
    "intercepts_init": [list, tuple, None],
    "validation_order": [StrOptions({"random", "last"})],
    "max_seconds": [_above(0), None],
    "threads": [_whole(1), None],
    "checkpoint": [str, PathLike, Checkpoint, None],
    "resume": ["boolean"],
}

SHARED = """hidden_layer_sizes : array-like of ints, default=(100,)
        Units of each hidden layer; () for none.
    activation : name, callable or a list of them, default="relu"
        Of the hidden layers, or one for each: a name of ``nn.ACTIVATIONS``, or a function of an
        array written with NumPy, which is differentiated.
    solver : {"adam", "sgd", "lbfgs"}, default="adam"
        How weights are found; ``lbfgs`` looks at all rows at once.
    alpha : float, default=0.0001
        Strength of the L2 penalty, divided by the rows of a minibatch: ``alpha / 2 sum W^2 / n``.
    batch_size : int or "auto", default="auto"
        Rows per step; "auto" is ``min(200, n_samples)``.
    learning_rate : {"constant", "invscaling", "adaptive"}, default="constant"
        Schedule of the learning rate; only of ``sgd``.
    learning_rate_init, power_t : float, default=0.001, 0.5
        The first learning rate, and the exponent of "invscaling".
    max_iter : int, default=200
        Most epochs, or iterations of ``lbfgs``.
    shuffle : bool, default=True
        Whether each epoch takes the rows in a new order.
    random_state : int, RandomState or None, default=None
        Fixes weights, orders, rows held out and dropout.
    tol : float, default=1e-4
        What counts as better; see ``n_iter_no_change``.
    verbose : bool, default=False
        Print the loss of every epoch.
    warm_start : bool, default=False
        ``fit`` begins with the weights of the last one.
    momentum, nesterovs_momentum : float, bool, default=0.9, True
        Of ``sgd``.
    early_stopping : bool, default=False
        Hold out rows, stop when their score no longer rises, and restore the best weights.
    validation_fraction : float, default=0.1
        Share of the rows that are held out.
    beta_1, beta_2, epsilon : float, default=0.9, 0.999, 1e-8
        Of ``adam``, in the form of scikit-learn (``optim.adam(epsilon_hat=True)``).
    n_iter_no_change : int, default=10
        Stop after so many epochs that were not better by ``tol``.
    max_fun : int, default=15000
        Most evaluations of the loss by ``lbfgs``.
    l2 : float, default=0.0
        A penalty ``l2 / 2 sum W^2`` beside the mean loss, whatever the batch's size; ``nn.l2_from``
        converts strengths of Keras, PyTorch and scikit-learn.
    dropout : float or a list, default=0.0
        Share of hidden units set to 0 in a step, of all layers or of each.
    batch_norm, layer_norm, residual : bool, default=False
        Normalise before each hidden activation; add a layer's inputs to what it computes, where
        the hidden layer before has as many units.
    coefs_init, intercepts_init : list of arrays, default=None
        Where to start instead of at random.
    validation_order : {"random", "last"}, default="random"
        Which rows are held out: "last" suits rows in order of time.
    max_seconds : float, default=None
        Stop after the epoch in which so much time has passed.
    threads : int, default=None
        How many share the work; the result does not depend on it.
    checkpoint : folder or train.Checkpoint, default=None
        Where ``fit`` writes down where it stands; ``partial_fit`` does not.
    resume : bool, default=False
        Go on from there, to the result of a training that was never cut short. Needs a whole
        number as ``random_state``, as its first run did."""
"""The parameters that both estimators document."""
