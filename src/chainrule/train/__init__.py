"""Training: ``fit``, its data, events and result; metrics and splits."""

from chainrule.train.data import ArrayData, Batch, Data
from chainrule.train.evaluation import Predictor
from chainrule.train.fit import fit
from chainrule.train.result import DivergedError, EpochEnd, FitResult
from chainrule.train.steps import Step, Sums
from chainrule.train.watch import EarlyStopping

__all__ = [
    "ArrayData",
    "Batch",
    "Data",
    "DivergedError",
    "EarlyStopping",
    "EpochEnd",
    "FitResult",
    "Predictor",
    "Step",
    "Sums",
    "fit",
]
