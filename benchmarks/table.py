"""``python -m benchmarks.table``: the README's table of speeds, from results/native.json.

It stands between two comments; nothing else in the README is touched.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.measure import RESULTS

README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- speed:begin -->", "<!-- speed:end -->"
COLUMNS = {
    "PyTorch": ("PyTorch",),
    "torch.compile": ("torch.compile", "torch.compile, whole step"),
    "JAX": ("JAX",),
    "JAX scan": ("JAX scan",),
    "scikit-learn": ("scikit-learn",),
    "autograd": ("autograd",),
}
"""Contestants by column; of several, the fastest counts."""
TRAINED = {"optimizer": "adam", "dtype": "float32"}
"""Which of the rows on training are shown; the file has them all."""
PACKAGES = {
    "numpy": "NumPy", "torch": "PyTorch", "jax": "JAX", "scikit-learn": "scikit-learn",
    "autograd": "autograd",
}  # fmt: skip


def rows(results: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """What each line is called, and its row of the results."""
    training = [
        (f"training step, {_name(found)}, batch {found['work']['network']['batch']}", found)
        for found in results["training"]
        if found["work"].items() >= TRAINED.items()
    ]
    predict = [(f"prediction, {found['title']}", found) for found in results["predict"]]
    calls = [(f"gradient, {found['title']}", found) for found in results["calls"]]
    return training + predict + calls


def _name(found: dict[str, Any]) -> str:
    return "-".join(map(str, found["work"]["network"]["sizes"]))


def cell(ratios: dict[str, Any], contestants: tuple[str, ...]) -> str:
    """How many times as long as chainrule the fastest of these takes."""
    there = [ratios[name]["median"] for name in contestants if name in ratios]
    if not there:
        return "–"
    best = min(there)
    return f"{best:.0f}" if best >= 9.95 else f"{best:.1f}" if best >= 1 else f"{best:.2f}"


def render(results: dict[str, Any]) -> str:
    """The table in Markdown, with a line on the machine."""
    machine, found = results["machine"], rows(results["results"])
    lines = [
        f"| times as long as chainrule | {' | '.join(COLUMNS)} |",
        f"|---|{'---|' * len(COLUMNS)}",
    ]
    for name, row in found:
        cells = [cell(row["ratios"], contestants) for contestants in COLUMNS.values()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    rounds = len(found[0][1]["seconds"]["chainrule"])
    cores = f"{machine['cores']} core{'s' * (machine['cores'] > 1)}"
    versions = [
        f"{shown} {machine['packages'][name]}"
        for name, shown in PACKAGES.items()
        if name in machine["packages"]
    ]
    where = f"on {cores} of {machine['processor']}"
    about = f"Medians of {rounds} rounds {where} ({', '.join(versions)})."
    return "\n".join([*lines, "", f"{about} Training is with Adam in float32."])


def placed(readme: str, table: str) -> str:
    """The README with this table between its comments."""
    before, _, rest = readme.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise SystemExit(f"README.md has no {BEGIN} ... {END}")
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, default=RESULTS / "native.json")
    parser.add_argument("--readme", type=Path, default=README)
    options = parser.parse_args()
    table = render(json.loads(options.json.read_text("utf-8")))
    options.readme.write_text(placed(options.readme.read_text("utf-8"), table), "utf-8")
    print(table)


if __name__ == "__main__":
    main()
