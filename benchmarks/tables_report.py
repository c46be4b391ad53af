"""What ``benchmarks.tables`` found, as tables and as a picture: errors relative to boosting, mean
ranks with a bootstrap interval, the paired test, sizes of installations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import table as text_table

Scores = Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]]
"""By problem and contestant the scores on each fold."""
REFERENCE = "HistGradientBoosting"
PACKAGES = {"chainrule": "chainrule", "HistGradientBoosting": "scikit-learn", "LightGBM":
            "lightgbm", "CatBoost": "catboost", "pytabkit RealMLP-TD": "pytabkit"}  # fmt: skip


def ranks(means: np.ndarray, draws: int = 2000, seed: int = 0) -> np.ndarray:
    """Mean rank of each contestant (columns) over problems (rows) of mean errors, and its 95 %
    bootstrap interval over problems: (contestants, 3)."""
    from scipy.stats import rankdata

    each = rankdata(means, axis=1)
    chosen = np.random.default_rng(seed).integers(len(each), size=(draws, len(each)))
    drawn = each[chosen].mean(axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    return np.column_stack([each.mean(axis=0), low, high])


def paired(means: np.ndarray, first: int) -> list[tuple[int, float]]:
    """For each contestant on how many problems the first has the smaller error, and the p value of
    Wilcoxon's signed ranks of the logarithms of the ratios (1 for itself)."""
    from scipy.stats import wilcoxon

    found = []
    for k in range(means.shape[1]):
        ahead = int(np.sum(means[:, first] < means[:, k]))
        ratios = np.log(means[:, first] / means[:, k])
        result: Any = wilcoxon(ratios) if ratios.any() else None
        found.append((ahead, 1.0 if result is None else float(result.pvalue)))
    return found


def installed_size(package: str) -> float | None:
    """Megabytes of a package and all that it requires; None where it is not installed."""
    from packaging.requirements import Requirement

    seen: set[str] = set()
    waiting, size = [package], 0
    while waiting:
        name = waiting.pop().lower().replace("_", "-")
        if name in seen:
            continue
        seen.add(name)
        try:
            found = distribution(name)
        except PackageNotFoundError:
            if name == package:
                return None
            continue
        for file in found.files or ():
            path = Path(str(file.locate()))
            size += path.stat().st_size if path.is_file() else 0
        for line in found.requires or ():
            wanted = Requirement(line)
            if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
                waiting.append(wanted.name)
    return size / 1e6


def report(found: Scores) -> None:
    """Print the tables of results, over the contestants that every problem has."""
    every = [set(own) for own in found.values()]
    names = [n for n in next(iter(found.values())) if all(n in own for own in every)]
    folds = {p: min(len(own[n]) for n in names) for p, own in found.items()}

    def mean(key: str) -> np.ndarray:
        return np.array([[np.mean([f[key] for f in own[n][: folds[p]]]) for n in names]
                         for p, own in found.items()])  # fmt: skip

    means = mean("error")
    base = means[:, [names.index(REFERENCE)]] if REFERENCE in names else np.ones((len(means), 1))
    print(f"\nerror relative to {REFERENCE}, and its standard error over folds")
    rows = []
    for i, (p, own) in enumerate(found.items()):
        cells = []
        for n in names:
            each = np.array([f["error"] for f in own[n][: folds[p]]]) / base[i]
            spread = each.std(ddof=1) / np.sqrt(len(each)) if len(each) > 1 else np.nan
            cells.append(f"{each.mean():.3f} ± {spread:.3f}")
        rows.append([f"{p} ({folds[p]})", *cells])
    text_table(["table (folds)", *names], rows)
    for key in ("fit s", "predict s", "peak MB"):
        print(f"\n{key}")
        shown = zip(found, mean(key), strict=True)
        text_table(["table", *names], [[p, *(f"{s:.2f}" for s in own)] for p, own in shown])
    print(f"\nmean rank over tables with its 95 % bootstrap interval; tables where {names[0]} is "
          "ahead, and p of Wilcoxon's test; megabytes to install")  # fmt: skip
    placed = zip(names, ranks(means), paired(means, 0), strict=True)
    lines = []
    for n, own, (ahead, p) in placed:
        package = next((p for start, p in PACKAGES.items() if n.startswith(start)), "scikit-learn")
        size = installed_size(package)
        lines.append([n, *(f"{r:.2f}" for r in own), f"{ahead} of {len(means)}", f"{p:.3f}",
                      "" if size is None else f"{size:.0f}"])  # fmt: skip
    text_table(["", "mean rank", "from", "to", "ahead on", "p", "MB"], lines)


# The picture ----------------------------------------------------------------------------------

COLOURS = {"light": ("#0969da", "#bf8700", "#1a7f37", "#cf222e", "#8250df", "#57606a"),
           "dark": ("#6ea8ff", "#e3b341", "#4ade9c", "#ff8a80", "#c79bea", "#98a5b8")}  # fmt: skip


def picture(found: Scores, names: Sequence[str]) -> str:
    """An SVG file, light and dark: each table's error relative to boosting, a dot a contestant."""
    left, width, step, top = 176, 720, 26, 58
    names = [n for n in names if any(n in own for own in found.values())]

    def ratio(own: Mapping[str, Sequence[Mapping[str, Any]]], name: str) -> float:
        pairs = list(zip(own.get(name, ()), own[REFERENCE], strict=False))  # folds that both have
        errors = np.array([[one["error"] for one in pair] for pair in pairs])
        return float(np.divide(*errors.mean(axis=0))) if pairs else np.nan

    ratios = {p: [ratio(own, n) for n in names] for p, own in found.items()}
    known = np.log([ratio for own in ratios.values() for ratio in own if not np.isnan(ratio)])
    least, most = min(known.min(), np.log(0.8)) - 0.05, max(known.max(), np.log(1.2)) + 0.05

    def at(ratio: float) -> float:
        return left + (np.log(ratio) - least) / (most - least) * (width - left - 20)

    bottom = top + step * len(ratios)
    parts = []
    for k, name in enumerate(names):
        x = 12 + k * (width - 12) / len(names)
        parts.append(f"<circle class='c{k}' cx='{x:.0f}' cy='18' r='5'/>"
                     f"<text x='{x + 10:.0f}' y='22'>{escape(name)}</text>")  # fmt: skip
    for tick in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.4, 1.7, 2.0, 3.0):
        if not least <= np.log(tick) <= most:
            continue
        kind, x = "base" if tick == 1 else "rule", f"{at(tick):.1f}"
        parts.append(f"<path class='{kind}' d='M{x} {top - 12}V{bottom}'/>")
        parts.append(f"<text class='mid' x='{x}' y='{bottom + 18}'>{tick:g}</text>")
    for i, (problem, own) in enumerate(ratios.items()):
        y = top + step * (i + 0.5) - 6
        parts.append(f"<text class='end' x='{left - 14}' y='{y + 4:.0f}'>{escape(problem)}</text>")
        for k in reversed(range(len(names))):
            value = own[k]
            if np.isnan(value):
                continue
            parts.append(f"<circle class='c{k}' cx='{at(value):.1f}' cy='{y:.0f}' r='5'>"
                         f"<title>{escape(names[k])}: {value:.3f}</title></circle>")  # fmt: skip
    middle = (left + width) / 2
    parts.append(f"<text class='mid' x='{middle:.0f}' y='{bottom + 38}'>error relative to "
                 "histogram gradient boosting: left is better</text>")  # fmt: skip

    def colours(mode: str) -> str:
        return "".join(f".c{k}{{fill:{c}}}" for k, c in enumerate(COLOURS[mode]))

    style = (
        "text{font:13px ui-sans-serif,system-ui,Helvetica,Arial,sans-serif;fill:#1f2328}"
        ".mid{text-anchor:middle}.end{text-anchor:end}.ground{fill:#fff}"
        ".rule{stroke:#d0d7de}.base{stroke:#57606a;stroke-dasharray:4 3}" + colours("light") +
        "@media (prefers-color-scheme: dark){text{fill:#e8edf4}.ground{fill:#12161d}"
        ".rule{stroke:#313a47}.base{stroke:#98a5b8}" + colours("dark") + "}"
    )  # fmt: skip
    height = bottom + 50
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' width='{width}' "
        f"height='{height}' role='img'><title>Errors on tables relative to histogram gradient "
        f"boosting</title><style>{style}</style><rect class='ground' width='{width}' "
        f"height='{height}' rx='8'/>{''.join(parts)}</svg>\n"
    )
