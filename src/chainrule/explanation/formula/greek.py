"""Greek letters and their names, and what identifiers stand for; all languages share them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from chainrule.explanation.formula.expressions import named
from chainrule.explanation.formula.node import Node, Shape

GREEK: Mapping[str, str] = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "ζ": "zeta",
    "η": "eta", "θ": "theta", "κ": "kappa", "λ": "lambda", "μ": "mu", "ν": "nu", "ξ": "xi",
    "π": "pi", "ρ": "rho", "σ": "sigma", "τ": "tau", "φ": "phi", "χ": "chi", "ψ": "psi",
    "ω": "omega", "Γ": "Gamma", "Δ": "Delta", "Θ": "Theta", "Λ": "Lambda", "Σ": "Sigma",
    "Φ": "Phi", "Ψ": "Psi", "Ω": "Omega", "ℓ": "ell",
}  # fmt: skip

SHORT_GREEK = {"lam": "lambda", "lambda_": "lambda", "eps": "epsilon"}
"""How programs write some of them: lambda is a word of Python."""

_BY_NAME: Mapping[str, str] = {
    **{name: letter for letter, name in GREEK.items()},
    **{
        short: letter
        for letter, name in GREEK.items()
        for short, long in SHORT_GREEK.items()
        if long == name
    },
}
_ACCENTS = ("hat", "bar", "tilde", "star", "prime")
_NUMBERED = re.compile(r"(.*?[^\d_/\],])_?(\d+(?:,\d+)*)", re.DOTALL)
_NEIGHBOUR = re.compile(r"([^\W\d_]+)_([a-z0-9][+-][a-z0-9])")  # k+1
QUOTIENT = re.compile(r"([d∂])(.+)/\1(.+)", re.DOTALL)
_LAYER = re.compile(r"(.+?)\^((?:[\[(][\w+-]+[\])])+|[^\W_](?:[^\W_]|[+-])*)(?:_(\w+))?")
_MARKED = re.compile(r"((?:[^\W\d_]|[a-z]{2,7}?)_?(?:hat|bar|tilde|star))_(\w+)")
_LOWERED = re.compile(r"([^\W\d_]+)_([^\W\d_][\w,]*)")


def spell(word: str, shape: Shape = (), key: str = "") -> Node:
    """The name behind an identifier: ``u1`` is u₁, ``w_0`` w₀, ``alpha`` α, ``y_hat`` ŷ.

    Any text is taken; what is not of these forms stays as it is. ``key`` tells it
    from others where the identifier does not.
    """
    key, index, accent, upper = key or word, "", "", ""
    if QUOTIENT.fullmatch(word) or "'" in word or "(" in word.partition("^")[0]:
        return named(key, word, shape=shape)
    if layer := _LAYER.fullmatch(word.replace("{", "").replace("}", "")):
        word, upper = layer[1] + (f"_{layer[3]}" if layer[3] else ""), layer[2]
    if lowered := _MARKED.fullmatch(word):
        word, index = lowered[1], lowered[2]
    if found := _NEIGHBOUR.fullmatch(word) or _NUMBERED.fullmatch(word):
        word, index = found[1], found[2]
    for mark in _ACCENTS:
        stem = word.removesuffix(mark).rstrip("_")
        if word.endswith(mark) and (len(stem) == 1 or stem in _BY_NAME):
            word, accent = stem, mark
            break
    else:
        lowered = _LOWERED.fullmatch(word)
        if lowered and (len(lowered[1]) == 1 or lowered[1] in _BY_NAME):
            word, index = lowered[1], lowered[2] + index
    return named(key, _BY_NAME.get(word, word), index, accent, shape, upper)
