"""Presentation MathML as the text that the grammar reads."""

from __future__ import annotations

from xml.etree import ElementTree

from chainrule.errors import UsageError

_ACCENTS = {"^": "\u0302", "¯": "\u0304", "~": "\u0303"}
MOST_DEEP = 200


def from_mathml(markup: str) -> str:
    """The formula of a ``<math>`` element or of its inside, in the grammar of ``formula``.

    Raises:
        UsageError: what is no well-formed MathML, or has an element that is not read here.
    """
    if "<!" in markup or "<?" in markup:
        raise UsageError("MathML with declarations or comments is not read")
    inside = markup if markup.lstrip().startswith("<math") else f"<mrow>{markup}</mrow>"
    try:
        root = ElementTree.fromstring(inside.replace("&nbsp;", " "))
    except ElementTree.ParseError as error:
        raise UsageError(f"this is no well-formed MathML: {error}") from None
    return _text(root, 0)


def _text(element: ElementTree.Element, depth: int) -> str:
    if depth > MOST_DEEP:
        raise UsageError("the MathML is nested too deeply")
    tag = element.tag.rpartition("}")[2]
    parts = [_text(child, depth + 1) for child in element]
    match tag, len(parts):
        case (("math" | "mrow" | "mstyle" | "mtr" | "mtd" | "mtable" | "semantics"), _):
            return _joined(parts)
        case (("mi" | "mn" | "mo" | "mtext"), 0):
            return (element.text or "").strip().replace("\u00a0", " ")
        case "msup", 2:
            return f"{_base(parts[0])}^{{{parts[1]}}}"
        case "msubsup", 3:
            return f"{parts[0].strip()}_{{{parts[1].strip()}}}^{{{parts[2].strip()}}}"
        case "msub", 2:
            return f"{parts[0].strip()}_{{{parts[1].strip()}}}"
        case "mfrac", 2:
            return rf"\frac{{{parts[0]}}}{{{parts[1]}}}"
        case "msqrt", _:
            return rf"\sqrt{{{_joined(parts)}}}"
        case "mroot", 2:
            return rf"\sqrt[{parts[1]}]{{{parts[0]}}}"
        case "mover", 2 if parts[1].strip() in _ACCENTS:
            return f"{parts[0].strip()}{_ACCENTS[parts[1].strip()]}"
        case "mfenced", _:
            return f"({', '.join(parts)})"
        case "munder", 2:
            return f"{parts[0].strip()}_{{{parts[1].strip()}}} "
        case "munderover", 3:
            return f"{parts[0].strip()}_{{{parts[1].strip()}}}^{{{parts[2].strip()}}} "
        case "mspace", 0:
            return " "
    raise UsageError(f"<{tag}> with {len(parts)} parts is no MathML that is read here")


def _joined(parts: list[str]) -> str:
    """Names that stand beside each other keep apart."""
    found = ""
    for part in parts:
        apart = found[-1:].isalnum() and part[:1].isalnum()
        found += f" {part}" if apart else part
    return found


def _base(shown: str) -> str:
    """A raised base in braces, unless it is one name or number."""
    bare = shown.strip()
    return bare if bare.isalnum() else f"{{{shown}}}"
