"""The compiler's passes: from a recorded graph to an equal one that costs less."""

from chainrule.compile.passes import PASSES, Pass, optimise
from chainrule.compile.report import Passes, PassRecord, listed, passes_of

__all__ = ["PASSES", "Pass", "PassRecord", "Passes", "listed", "optimise", "passes_of"]
