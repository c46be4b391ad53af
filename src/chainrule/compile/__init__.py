"""The compiler's passes: from a recorded graph to an equal one that costs less."""

from chainrule.compile.passes import PASSES, Pass, optimise
from chainrule.compile.report import Passes, PassRecord, listed, passes_of
from chainrule.compile.rolling import Roller

__all__ = ["PASSES", "Pass", "PassRecord", "Passes", "Roller", "listed", "optimise", "passes_of"]
