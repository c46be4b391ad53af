"""Charts: axes at round numbers that fit beside them."""

from __future__ import annotations

import re

import pytest

from chainrule.render.charts import lines

SPANS = [(0.0, 1.0), (-3.0, 7.0), (1e5, 5e5), (0.0, 1e-9), (2.0, 2.0), (-4e11, 3e12), (0.7, 0.9)]


def texts(figure: str) -> list[str]:
    return re.findall(r"<text [^>]*>([^<]*)</text>", figure)


@pytest.mark.parametrize("span", SPANS)
@pytest.mark.parametrize("logarithmic", [False, True])
def test_labels_are_few_short_and_different(span: tuple[float, float], logarithmic: bool) -> None:
    shown = lines([("", span, span)], title="t", x="x", y="y", logarithmic=logarithmic)
    ticks = [text for text in texts(shown) if text not in ("x", "y")]
    if min(span) > 0 or not logarithmic:
        assert 3 <= len(ticks) <= 14
    assert all(len(tick) <= 7 for tick in ticks)  # what there is room for
    beside = re.findall(r'text-anchor="end"[^>]*>([^<]*)<', shown)
    assert len(beside) == len(set(beside))


def test_axes_of_shares_go_from_0_to_1() -> None:
    shown = lines([("", [0.99], [1.0])], title="t", x="x", y="y", diagonal=True, span=(0.0, 1.0))
    assert {"0", "0.2", "1"} <= set(texts(shown))
    assert "1.5" not in texts(shown)
