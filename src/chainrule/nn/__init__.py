"""Networks: layers, activations, losses, initialisers, penalties, weights in and out."""

from chainrule.nn.activations import (
    ACTIVATIONS,
    Activation,
    activation,
    elu,
    gelu,
    gelu_tanh,
    identity,
    leaky_relu,
    mish,
    relu,
    selu,
    silu,
    tanh,
)
from chainrule.nn.initializers import INITIALIZERS, Initializer, initializer
from chainrule.nn.layers import BatchNorm, Dense, Dropout, LayerNorm
from chainrule.nn.losses import (
    LOSSES,
    AbsoluteError,
    BinaryCrossEntropy,
    CategoricalCrossEntropy,
    FunctionLoss,
    Hinge,
    Huber,
    Loss,
    Poisson,
    Quantile,
    SquaredError,
    loss,
)
from chainrule.nn.mlp import MLP
from chainrule.nn.penalties import Penalty
from chainrule.nn.sequential import Sequential
from chainrule.nn.weights import CONVENTIONS, export_weights, import_weights
from chainrule.ops.special import log_logistic, logistic
from chainrule.ops.stable import log_softmax, logsumexp, softmax, softplus

__all__ = [
    "ACTIVATIONS",
    "CONVENTIONS",
    "INITIALIZERS",
    "LOSSES",
    "MLP",
    "AbsoluteError",
    "Activation",
    "BatchNorm",
    "BinaryCrossEntropy",
    "CategoricalCrossEntropy",
    "Dense",
    "Dropout",
    "FunctionLoss",
    "Hinge",
    "Huber",
    "Initializer",
    "LayerNorm",
    "Loss",
    "Penalty",
    "Poisson",
    "Quantile",
    "Sequential",
    "SquaredError",
    "activation",
    "elu",
    "export_weights",
    "gelu",
    "gelu_tanh",
    "identity",
    "import_weights",
    "initializer",
    "leaky_relu",
    "log_logistic",
    "log_softmax",
    "logistic",
    "logsumexp",
    "loss",
    "mish",
    "relu",
    "selu",
    "silu",
    "softmax",
    "softplus",
    "tanh",
]
