"""A student's module, made anew for each run, with functions replaced."""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
import types
from collections.abc import Callable, Sequence
from typing import Any

from chainrule.checking.handwritten.reach import PROBE, moved

LONGEST = 500
"""Characters of a message that are shown."""


def functions_of(tree: ast.Module) -> dict[str, ast.FunctionDef]:
    """The functions of a module and the methods of its classes, by qualified name."""
    found: dict[str, ast.FunctionDef] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            found[node.name] = node
        elif isinstance(node, ast.ClassDef):
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef):
                    found[f"{node.name}.{inner.name}"] = inner
    return found


def tables_of(tree: ast.Module) -> dict[str, ast.FunctionDef]:
    """The module's variables that are made of lambdas, such as a table of activations with their
    slopes: each as a function of all their arguments that holds the assignment."""
    found = {}
    for node in tree.body:
        target = node.targets[0] if isinstance(node, ast.Assign) else None
        lambdas = [n for n in ast.walk(node) if isinstance(n, ast.Lambda)]
        if isinstance(target, ast.Name) and lambdas:
            names = dict.fromkeys(a.arg for n in lambdas for a in n.args.args)
            made = ast.parse(f"def {target.id}({', '.join(names)}): pass").body[0]
            assert isinstance(made, ast.FunctionDef)
            made.body, made.lineno = [node], node.lineno
            found[target.id] = made
    return found


def loader(source: str, file: str) -> Callable[[], dict[str, Any]]:
    """What makes the module's namespace anew: compiled once, run each time."""
    tree = ast.parse(source, file)
    code = compile(tree, file, "exec")
    functions = functions_of(tree)

    def make() -> dict[str, Any]:
        module = types.ModuleType("homework")
        module.__dict__.update(__file__=file, __functions__=functions)
        sys.modules["homework"] = module
        exec(code, module.__dict__)
        return module.__dict__

    return make


def said(error: BaseException) -> str:
    """An error's name and message; of a long one the beginning."""
    try:
        message = str(error)
    except Exception:
        message = "(its message cannot be shown)"
    message = message if len(message) <= LONGEST else f"{message[:LONGEST]}..."
    return f"{type(error).__name__}: {message}"


def edited(ns: dict[str, Any], edits: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """The namespace with some functions replaced by others of the same name."""
    ns[PROBE] = moved
    for qualified, source in edits:
        owner, _, name = qualified.rpartition(".")
        if qualified in ns and qualified not in ns["__functions__"]:  # a table of lambdas
            (held,) = ast.parse(source).body
            assert isinstance(held, ast.FunctionDef)
            exec(compile(ast.Module(held.body, []), ns["__file__"], "exec"), ns)
            continue
        made: dict[str, Any] = {}
        exec(compile(textwrap.dedent(source), ns["__file__"], "exec"), ns, made)
        f = made[name]
        f = getattr(f, "__func__", f) if isinstance(f, (staticmethod, classmethod)) else f
        f.__qualname__ = qualified
        if not owner:
            ns[name] = f
            continue
        old: Any = inspect.getattr_static(ns[owner], name)
        kind: Any = type(old) if isinstance(old, (staticmethod, classmethod)) else None
        kept = f if kind is None else kind(f)
        setattr(ns[owner], name, kept)
    return ns
