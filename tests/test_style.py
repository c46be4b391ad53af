"""Habits that a linter does not know (style.md), each as a test."""

from __future__ import annotations

import ast
from pathlib import Path

import grimp
import pytest

import chainrule
import chainrule.ops  # fills the registry
from chainrule.core.node import PRIMITIVES
from tests.helpers.habits import circles, imported_names, named_primitives
from tests.helpers.places import ROOT

SOURCE = Path(chainrule.__file__).parent
MAY_NAME_PRIMITIVES = (
    "ops",
    "compile/algebra.py",
    "compile/passes.py",
    "compile/patterns.py",
    "compile/stability",
    "compile/views.py",
    "diagnosis/guards.py",
    "diagnosis/lints.py",
    "diagnosis/numpy_code.py",
    "diagnosis/remedies.py",  # what the compiler's table is written as in NumPy
    "run/native",
    "run/xla",
    "explanation",  # what a reader sees on one line: sums with their terms, a select's branch
)
MODULES = sorted(
    path
    for path in SOURCE.rglob("*.py")
    if not path.relative_to(SOURCE).as_posix().startswith(MAY_NAME_PRIMITIVES)
)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(SOURCE).as_posix())
def test_only_ops_and_the_tables_name_primitives(path: Path) -> None:
    found = [node.lineno for node in named_primitives(ast.parse(path.read_text("utf-8")))]  # type: ignore[attr-defined]
    assert not found, f"{path}: lines {found} decide by the name of a primitive"


def test_the_modules_of_the_engine_are_among_those_read() -> None:
    names = {path.relative_to(SOURCE).as_posix() for path in MODULES}
    assert {
        "core/recording.py",
        "autodiff/reverse.py",
        "run/interpreter.py",
        "api/derivatives.py",
    } <= names
    assert len(PRIMITIVES) > 100


def test_differentiation_names_no_primitive() -> None:
    """autodiff/ multiplies, adds and asks rules; it looks no primitive up."""
    for path in (SOURCE / "autodiff").glob("*.py"):
        assert "PRIMITIVES" not in path.read_text("utf-8")


def test_no_test_imports_a_test() -> None:
    """What two tests need stands in tests/helpers: a test may be moved, renamed or run alone."""
    for path in sorted((ROOT / "tests").rglob("*.py")):
        imported = set(imported_names(ast.parse(path.read_text("utf-8"))))
        tests = {name for name in imported if any(p.startswith("test_") for p in name.split("."))}
        assert not tests, f"{path} imports {tests}"


LONGEST = 450


def test_no_file_is_long_without_a_reason() -> None:
    """Past some 400 lines one asks why; the answer begins "One file: " in the file's head."""
    long = []
    for path in SOURCE.rglob("*.py"):
        text = path.read_text("utf-8")
        head = ast.get_docstring(ast.parse(text)) or ""
        if text.count("\n") > LONGEST and "One file: " not in head:
            long.append(f"{path.relative_to(SOURCE)}: {text.count(chr(10))} lines")
    assert not long


def imports_of_the_package() -> dict[str, set[str]]:
    """Who imports whom, inside functions too; not what is for the type checker alone."""
    graph = grimp.build_graph("chainrule", exclude_type_checking_imports=True, cache_dir=None)
    return {m: set(graph.find_modules_directly_imported_by(m)) for m in graph.modules}


def test_no_imports_run_in_a_circle() -> None:
    assert circles(imports_of_the_package()) == []


def test_a_circle_would_be_seen() -> None:
    imports = imports_of_the_package()
    imports["chainrule.errors"].add("chainrule.core.tree")
    assert {"chainrule.errors", "chainrule.core.tree"} <= set().union(*circles(imports))
