"""Differentiation, graph to graph: reverse mode and forward mode over a recording."""

from chainrule.autodiff.forward import pushforward
from chainrule.autodiff.reverse import pullback

__all__ = ["pullback", "pushforward"]
