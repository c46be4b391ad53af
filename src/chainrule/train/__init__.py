"""Training: ``fit``, its data, events and result; metrics and splits."""

from chainrule.train import metrics
from chainrule.train.checkpoint import Checkpoint, Checkpointed
from chainrule.train.data import ArrayData, Batch, Data
from chainrule.train.evaluation import Predictor
from chainrule.train.fit import fit
from chainrule.train.many import fit_many
from chainrule.train.metrics import (
    accuracy,
    balanced_accuracy,
    f1,
    log_loss,
    mae,
    mse,
    r2,
    rmse,
    roc_auc,
)
from chainrule.train.monitor import EarlyStopping
from chainrule.train.result import DivergedError, EpochEnd, FitResult
from chainrule.train.splits import split
from chainrule.train.steps import Step
from chainrule.train.trial import Trial, try_executors

__all__ = [
    "ArrayData",
    "Batch",
    "Checkpoint",
    "Checkpointed",
    "Data",
    "DivergedError",
    "EarlyStopping",
    "EpochEnd",
    "FitResult",
    "Predictor",
    "Step",
    "Trial",
    "accuracy",
    "balanced_accuracy",
    "f1",
    "fit",
    "fit_many",
    "log_loss",
    "mae",
    "metrics",
    "mse",
    "r2",
    "rmse",
    "roc_auc",
    "split",
    "try_executors",
]
