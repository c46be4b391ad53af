"""The compiler's passes: from a recorded graph to an equal one that costs less."""

from chainrule.compile.passes import PASSES, Pass, optimise

__all__ = ["PASSES", "Pass", "optimise"]
