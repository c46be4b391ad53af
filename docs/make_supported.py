"""Writes docs/supported.md from the tables that dispatch NumPy's functions to ours.

python docs/make_supported.py
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import scipy.special

import chainrule.ops  # noqa: F401  (fills the tables)
from chainrule.core import traced
from chainrule.core.dispatch import (
    FUNCTIONS,
    METHODS,
    SCIPY_UFUNCS,
    UFUNCS,
)
from chainrule.core.hints import HINTS
from chainrule.core.methods import _MEMORY, _RESHAPED
from chainrule.core.replacements import REPLACEMENTS, WITH_ARRAY_API

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tests.helpers.sweep.running import not_recorded

PAGE = Path(__file__).with_name("supported.md")
GROUPS = {
    "ufuncs": "Element by element (ufuncs)",
    "arithmetic": "Rounding, comparing, kinds of numbers",
    "reductions": "Along axes: sums, extrema, orderings, running totals",
    "statistics": "Averages, quantiles, covariance, leaving NaN out",
    "indexing": "Choosing and reading",
    "shaping": "Shapes, axes, diagonals, triangles, constants of the same shape",
    "joining": "Joining and splitting",
    "repeating": "Repeating, turning, rolling, padding",
    "products": "Products and convolutions",
    "differences": "Finite differences",
    "algebra": "Linear algebra",
    "views": "New arrays: copies, and those made like a traced one (`like=x`)",
    "updating": "Writing into arrays",
    "grids": "Ranges, grids, windows, polynomials, functions by axis",
}
NAMESPACES = {"np": np, "np.linalg": np.linalg, "np.lib.stride_tricks": np.lib.stride_tricks}
REFUSED_METHODS = {*_RESHAPED, *_MEMORY, "flags", "item", "strides", "tolist"}
INTRO = """\
# What is supported

Functions are written with the real NumPy and SciPy; these are recorded on traced values, with
derivatives of every order where there are any. Everything else raises an error that names the
function, your line and what to write instead; a keyword that is not supported raises too, and none
is ever ignored. This page is written by `docs/make_supported.py` from the tables that do the work,
and a test compares them.

Not supported anywhere: `where=` of ufuncs without `out=` (use `np.where`), `order=` of sorts,
complex numbers, float16 and long doubles, writing a traced value into a plain array. What the
derivative is where calculus leaves a choice is in [conventions.md](conventions.md).
"""


def public_names() -> Iterator[tuple[str, str]]:
    """Every name under which NumPy offers a function that is recorded, and its group."""
    for prefix, namespace in NAMESPACES.items():
        for name in dir(namespace):
            function = getattr(namespace, name)
            if name.startswith("_") or not callable(function):
                continue
            if function in UFUNCS:
                yield f"{prefix}.{name}", "ufuncs"
            elif function in FUNCTIONS:
                yield f"{prefix}.{name}", FUNCTIONS[function].__module__.rpartition(".")[2]


def methods() -> list[str]:
    """The attributes and methods of an array that a traced value has."""
    wanted = [n for n in dir(np.ndarray) if not n.startswith("_") and n not in REFUSED_METHODS]
    return [name for name in wanted if hasattr(traced.Traced, name)]


def special_names() -> list[str]:
    names = [n for n in dir(scipy.special) if not n.startswith("_")]
    return [n for n in names if getattr(getattr(scipy.special, n), "__name__", "") in SCIPY_UFUNCS]


def refused() -> Iterator[str]:
    """A table row for each remedy, with all the functions that it serves."""
    served: dict[str, list[str]] = {}
    for name, hint in sorted(HINTS.items()):
        served.setdefault(hint, []).append(name)
    served["Make another array: np.resize(x, shape)"] = [f"x.{n}" for n in _RESHAPED]
    for hint, names in served.items():
        yield f"| {_listed(names)} | {hint} |"


def replaced() -> Iterator[str]:
    """A line for each package of SciPy whose functions come with code to write instead."""
    packages: dict[str, set[str]] = {}
    for name in REPLACEMENTS:
        _, package, function, *method = name.split(".")
        if package in ("sparse", "spatial"):
            package, function = f"{package}.{function}", method[0]
        packages.setdefault(package, set()).add(function)
    for package, functions in sorted(packages.items()):
        yield f"- `scipy.{package}`: {_listed(sorted(functions))}"


def keyword_rows() -> Iterator[str]:
    """A table row for each keyword, with the functions; `out=` of nearly all is one row."""
    for keyword, names in not_recorded().items():
        shown = _listed(names) if len(names) <= 25 else f"all {len(names)} functions that have it"
        yield f"| `{keyword}` | {shown} |"


def _listed(names: Any) -> str:
    return ", ".join(f"`{name}`" for name in names)


def render() -> str:
    names = list(public_names())
    parts = [INTRO]
    for group, title in GROUPS.items():
        parts.append(f"## {title}\n\n{_listed(n for n, g in names if g == group)}\n")
    parts.append(
        "## Methods of ufuncs\n\n"
        f"{_listed(METHODS)}: `np.add.reduce`, `np.multiply.outer`, ...; and `at`, which writes "
        "in place. add, multiply, maximum, minimum, the logical ones and logaddexp reduce in one "
        "step; any other ufunc of two arguments is folded along the axis, one step an entry.\n"
    )
    parts.append(
        f"## Attributes and methods of arrays\n\n{_listed(methods())}\n\n"
        "All operators (`+ - * / // % ** @ & | ^ ~ << >>`, comparisons, `abs`, `divmod`, "
        "`in`, `len`, iteration; `round` of single numbers). `x += v`, "
        "`x[i] = v` and `out=x` write into an array that "
        "is traced, with NumPy's aliasing: all its views see it. Writing a traced value into a "
        "plain array is refused, for NumPy does not ask us; the error writes the user's own line "
        "anew: `o = np.zeros(n, like=x)`.\n"
    )
    parts.append(
        "## Indexing\n\nIntegers, slices with any step, `...`, `None`, lists and arrays of "
        "integers (traced ones too), masks, True and False, all of them mixed as NumPy "
        "does. A mask decides "
        "about the shape of what is read, so its values must be known: under `cr.jit` use "
        "`np.where` instead. To write (`x[mask] = value`, `x[mask] += v`, "
        "`x[mask] = np.sqrt(x[mask])`) they need not be.\n"
    )
    parts.append(
        "## `scipy.special`\n\n"
        f"{_listed(special_names())}, with `SCIPY_ARRAY_API` unset or 1; and as functions of ours "
        "`cr.nn.logsumexp`, `cr.nn.softmax`, `cr.nn.log_softmax`.\n"
    )
    parts.append(
        "## SciPy's functions that take plain arrays only\n\nSciPy turns their arguments into "
        "arrays before we see them. The error names the function, your line, and the code that "
        "does the same with functions that are recorded; so it does for distributions (`logpdf`, "
        "`logpmf`, `pdf`, `pmf`, `cdf`, `sf` and their logarithms, frozen or not), for products "
        "with sparse arrays, for `quad` and for splines of known knots.\n\n"
        + "\n".join(replaced())
        + "\n\nWith `SCIPY_ARRAY_API=1`, set before SciPy is imported, SciPy (from 1.17) asks "
        "arguments for their namespace. Where all arrays among them are traced, these are recorded "
        f"too: {_listed(f'scipy.{name}' for name in WITH_ARRAY_API)}.\n"
    )
    parts.append(
        "## Keywords that are not recorded\n\nFound by trying each value of each keyword of "
        "NumPy's signatures (`python -m tests.helpers.sweep` tries all combinations). "
        "They raise an error "
        "that names the function; where only some values are refused, these are listed.\n\n"
        "| keyword | of |\n|---|---|\n" + "\n".join(keyword_rows()) + "\n"
    )
    parts.append(
        "## Refused, and what to write instead\n\n| function | instead |\n|---|---|\n"
        + "\n".join(refused())
        + "\n"
    )
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
