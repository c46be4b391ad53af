"""Escaping: one function per context. Whatever a string holds, it stays text there.

Names come from data files and from the command line, so every string that reaches a page, a
picture, a LaTeX document or a DOT file goes through one of these.
"""

from __future__ import annotations

__all__ = ["clean", "dot", "html", "latex", "latex_ascii", "markdown", "svg"]

_HTML = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"})


def clean(text: str) -> str:
    """``text`` with control, direction and other invisible characters shown, not obeyed.

    Spaces stay; line breaks become ``\\n``. Lone surrogates, which no encoder takes, too.
    """
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "replace").decode() for c in text
    )


def html(text: str) -> str:
    """For the text of an element and for a quoted attribute, in HTML and MathML.

    Not for ``<script>``, ``<style>``, URLs or unquoted attributes: no string from outside
    belongs there.
    """
    return clean(text).translate(_HTML)


def svg(text: str) -> str:
    """For text and quoted attributes of SVG, alone or inside HTML."""
    return html(text)


# A backslash would begin a command, the rest have a meaning of their own in TeX; < and > are
# ligatures in old text fonts, and " and - pair up.
_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "{": r"\{",
        "}": r"\}",
        "$": r"\$",
        "&": r"\&",
        "#": r"\#",
        "%": r"\%",
        "_": r"\_",
        "^": r"\textasciicircum{}",
        "~": r"\textasciitilde{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        '"': "''",
    }
)
_GREEK = (
    *("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"),
    *("lambda", "mu", "nu", "xi", "omicron", "pi", "rho", "varsigma", "sigma", "tau"),
    *("upsilon", "phi", "chi", "psi", "omega"),
)
_MATHS = {
    **{chr(0x3B1 + i): rf"\{name}" for i, name in enumerate(_GREEK) if name != "omicron"},
    **{chr(0x391 + 2 + i): rf"\{name}" for i, name in ((0, "Gamma"), (1, "Delta"), (5, "Theta"))},
    **{c: f"^{i}" for i, c in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")},
    **{c: f"_{i}" for i, c in enumerate("₀₁₂₃₄₅₆₇₈₉")},
    "⁻": "^-",
    "ᵀ": r"^\top",
    "−": "-",
    "×": r"\times",
    "·": r"\cdot",
    "⋯": r"\cdots",
    "⊙": r"\odot",
    "→": r"\to",
    "√": r"\surd",
    "∛": r"\sqrt[3]{}",
    "∂": r"\partial",
    "∞": r"\infty",
    "Σ": r"\Sigma",
    "Φ": r"\Phi",
    "Ψ": r"\Psi",
    "Ω": r"\Omega",
    "Λ": r"\Lambda",
}
_LATEX_MATHS = str.maketrans({c: f"${command}$" for c, command in _MATHS.items()})
_LATEX_MARKS = str.maketrans({"–": "--", "—": "---", "“": "``", "”": "''", "’": "'", "…": "..."})


def latex(text: str) -> str:
    """For text mode in a LaTeX document, with any engine.

    Mathematical characters become mathematics and Latin letters stay; what else lies outside
    ASCII becomes ``?``, since old engines stop at it.
    """
    escaped = clean(text).translate(_LATEX).translate(_LATEX_MATHS).translate(_LATEX_MARKS)
    return "".join(c if c.isascii() or "\u00c0" <= c <= "\u017f" else "?" for c in escaped)


def latex_ascii(text: str) -> str:
    """``latex`` restricted to ASCII, for names inside formulas: accents and others become ?."""
    return clean(text).encode("ascii", "replace").decode().translate(_LATEX)


_MARKDOWN = str.maketrans({c: "\\" + c for c in "\\`*_{}[]|~$^"})
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def markdown(text: str) -> str:
    """For running text and table cells of Markdown: punctuation loses its meaning.

    ``<``, ``>`` and ``&`` become entities, so that no HTML passes through.
    """
    escaped = clean(text).translate(_MARKDOWN).translate(_ENTITIES)
    return "\\" + escaped if escaped.startswith(("#", "-", "+", "=", "!")) else escaped


def dot(text: str) -> str:
    """For a quoted string of Graphviz DOT. ``\\`` would begin an escape such as ``\\N`` there."""
    return clean(text).replace("\\", "\\\\").replace('"', '\\"')
