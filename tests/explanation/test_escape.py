"""Whatever a name or a value holds, it stays text in every rendering."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from chainrule import nn
from chainrule.explanation import explain
from chainrule.explanation.formula.expressions import named
from chainrule.render import escape
from chainrule.render.elements import Markup, element, joined, table
from chainrule.render.page import page, policy

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)",
    "</title><script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "]]><script>alert(1)</script>",
    "<!--",
    "-->",
    "&lt;script&gt;",
    "javascript:alert(1)",
    "\\input{/etc/passwd}",
    "\\write18{true}",
    "\\def\\x{}",
    "$\\immediate$",
    "}{\\csname",
    "%",
    "a_b^c~d#e&f",
    "\\end{document}",
    '"]; evil [label="',
    "\\N\\G\\L",
    "}; digraph evil {",
    "|cell|",
    "`code`",
    "[link](javascript:alert(1))",
    "![x](http://example.org/x.png)",
    "$x$",
    "# heading",
    "\x1b[31mred",
    "\x00",
    "line\nbreak",
    "tab\tbed",
    "\u202eright to left",
    "\u2028",
    "\ud800",
    "日本語",
    "größe",
    "",
    " ",
    "x" * 300,
]
ALLOWED = {
    *("a", "b", "br", "caption", "div", "li", "p", "table", "tbody", "td", "th", "thead", "tr"),
    *("ul", "math", "mfrac", "mi", "mn", "mo", "mover", "mrow", "mspace", "msqrt", "msub"),
    *("msubsup", "msup", "mtable", "mtd", "mtext", "mtr"),
}


class OnlyKnown(HTMLParser):
    """Fails at any element or attribute that a hostile name might have smuggled in."""

    attributes = frozenset(
        {"class", "colspan", "xmlns", "display", "displaystyle", "columnalign", "form", "accent"}
        | {"scope", "width"}
    )

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        assert tag in ALLOWED, tag
        for name, value in attrs:
            assert name in self.attributes, name
            assert "alert" not in (value or "")

    def handle_comment(self, data: str) -> None:
        raise AssertionError("a comment")

    def handle_decl(self, decl: str) -> None:
        raise AssertionError("a declaration")


def hostile_explanation(name: str) -> Any:
    """A function whose argument is a tree with the hostile name as its key."""

    def f(params: Any) -> Any:
        return np.sum(params[name] * params["other"]) ** 2

    f.__name__ = "f"
    return explain(f)({name: np.array([1.0, 2.0]), "other": np.array([0.5, -1.0])})


@pytest.mark.parametrize("name", HOSTILE)
def test_names_stay_text_in_every_renderer(name: str) -> None:
    e = hostile_explanation(name)
    OnlyKnown().feed(e.html())
    ElementTree.fromstring(e.mathml())
    assert no_controls(e.text())
    check_latex(e.latex())
    check_dot(e.dot())
    json.loads(json.dumps(e.to_json(), allow_nan=False))
    body = e.markdown()
    assert "<" not in re.sub(r"\$[^$]*\$", "", body)
    rows = [line for line in body.splitlines() if line.startswith("|")]
    counts = {len(re.findall(r"(?<!\\)\|", line)) for line in rows}
    assert counts <= {4, 7}, "a bar in a name made a column"


@pytest.mark.parametrize("name", HOSTILE)
def test_columns_classes_and_titles_of_networks_stay_text(name: str) -> None:
    model = nn.MLP((2, 3, 2))
    params, _ = model.init(0)
    e = explain.network(
        model, params, [1.0, -1.0], 1, inputs=(name, "b"), outputs=(name, "B"), title=name
    )
    OnlyKnown().feed(e.html())
    assert no_controls(e.text())
    check_latex(e.latex())
    assert "<" not in re.sub(r"\$[^$]*\$", "", e.markdown())


def no_controls(text: str) -> bool:
    return all(c.isprintable() or c in "\n\u0302\u0304\u0303" for c in text)


DANGEROUS = re.compile(r"\\(input|write|def|csname|immediate|include|openout|catcode|read)")


def check_latex(text: str) -> None:
    """No command comes from outside, braces balance, the document ends once, at its end."""
    assert not DANGEROUS.search(text.replace(r"\usepackage[utf8]{inputenc}", ""))
    assert text.count(r"\end{document}") == 1
    assert text.rstrip().endswith(r"\end{document}")
    plain = re.sub(r"\\[{}\\%$&#_]", "", text)
    assert plain.count("{") == plain.count("}")
    assert plain.count("$") % 2 == 0
    assert "%" not in plain
    assert re.search(r"[^\x00-\x7f\u00c0-\u017f]", text) is None


def check_dot(text: str) -> None:
    """Outside quoted strings there is nothing but the language of DOT."""
    outside = re.sub(r'"(?:[^"\\]|\\.)*"', "S", text)
    for line in outside.splitlines():
        assert re.fullmatch(
            r"digraph S \{|\}|  rankdir=LR;|  (node|edge) \[[\w=, ]+\];"
            r"|  n\d+ \[shape=\w+, label=S\];|  n\d+ -> n\d+( \[label=S\])?;",
            line,
        ), line


@pytest.mark.parametrize("name", HOSTILE)
def test_formulas_of_any_name(name: str) -> None:
    for e in (named(name, name), named(name, name, name), named(name, name, "1", "hat")):
        ElementTree.fromstring(f"<math>{e.mathml()}</math>")
        assert e.latex().isascii()
        assert not DANGEROUS.search(e.latex())
        e.text().encode()


@pytest.mark.parametrize("text", HOSTILE)
def test_elements_escape_and_refuse(text: str) -> None:
    made = element("td", {"title": text}, text)
    parsed = ElementTree.fromstring(made)
    assert parsed.text in (escape.clean(text), None)
    assert parsed.get("title") == escape.clean(text)
    OnlyKnown().feed(table([text], [[text, Markup("<b>bold</b>")]], text))
    assert joined([text, "&"], text).count("<") == 0


@pytest.mark.parametrize(
    ("tag", "attributes"),
    [
        ("script", {}),
        ("style", {}),
        ("b onclick=x", {}),
        ("p", {"onclick": "x"}),
        ("p", {"ONLOAD": "x"}),
        ("p", {"a b": "x"}),
        ("a", {"href": "javascript:alert(1)"}),
        ("a", {"href": "http://example.org"}),
        ("img", {"src": "x"}),
    ],
)
def test_elements_that_would_run_or_load_are_refused(tag: str, attributes: Any) -> None:
    with pytest.raises(ValueError, match=r"here|inside"):
        element(tag, attributes)


def test_a_page_allows_its_own_script_and_style_and_nothing_else() -> None:
    made = page("<t>", element("p", None, "<x>"), styles=["p{}"], scripts=["1"])
    assert "<title>&lt;t&gt;</title>" in made
    assert "default-src &#39;none&#39;" in made
    assert "'unsafe-inline'" not in policy(["p{}"], ["1"])
    assert policy() != policy([], ["1"]) != policy([], ["2"])
    for bad in ("</script>", "<!-- x"):
        with pytest.raises(ValueError, match="must not contain"):
            page("t", Markup(""), scripts=[bad])


def test_control_characters_are_shown() -> None:
    assert escape.clean("a\x1b[0m\nb\u202e") == r"a\x1b[0m\nb\u202e"
    assert escape.clean("größe 日本 ŷ") == "größe 日本 ŷ"
