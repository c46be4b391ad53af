"""One-command tasks: ``nox`` runs tests, lint and types; ``nox -s NAME`` one session.

Arguments after ``--`` go to the session's main command: ``nox -s tests -- tests/ops -k einsum``.
"""

from __future__ import annotations

import nox

nox.needs_version = ">=2024.4"
nox.options.default_venv_backend = "venv"
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["lint", "types", "tests"]

PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
OLDEST = ".ci/oldest.txt"
FULL = {
    "CHAINRULE_PARITY_GRAPHS": "20000",
    "CHAINRULE_PROGRAMS": "2000",
    "CHAINRULE_INPLACE_PROGRAMS": "5000",
    "CHAINRULE_EXPLAIN_GRAPHS": "2000",
    "CHAINRULE_FORMULAS": "2000",
    "CHAINRULE_HOMEWORK": "all",
    "CHAINRULE_RESUME": "all",
    "CHAINRULE_KILLS": "200",
    "CHAINRULE_MEMORY": "all",
    "CHAINRULE_SLOPES": "10000",
    "CHAINRULE_SPECIAL_POINTS": "300",
    "CHAINRULE_PLANTED": "500",
    "CHAINRULE_FUZZ_FILES": "100000",
    "CHAINRULE_XLA_GRAPHS": "200",
    "CHAINRULE_STEPS": "all",
}
"""How much the random and generated tests do in their full form; CONTRIBUTING.md explains each."""


@nox.session
def tests(session: nox.Session) -> None:
    """The whole suite, on the Python that runs nox and the newest packages."""
    session.install("-e", ".[test]")
    session.run("pytest", *session.posargs)


@nox.session(python=PYTHONS)
def pythons(session: nox.Session) -> None:
    """The whole suite on each supported Python (those that are installed)."""
    session.install("-e", ".[test]")
    session.run("pytest", *session.posargs)


@nox.session
def oldest(session: nox.Session) -> None:
    """The suite on the oldest NumPy, SciPy, llvmlite and so on that pyproject.toml allows."""
    session.install("-c", OLDEST, "-e", ".[test]")
    session.run("pytest", *session.posargs)


@nox.session
def interpreted(session: nox.Session) -> None:
    """The suite without llvmlite: every program runs on the NumPy executor."""
    session.install("-e", ".[test]")
    session.run("python", "-m", "pip", "uninstall", "-y", "-q", "llvmlite")
    session.run("pytest", *session.posargs)


@nox.session
def coverage(session: nox.Session) -> None:
    """The suite, and which lines it runs. Subprocesses are not counted."""
    session.install("-e", ".[test]", "pytest-cov>=5")
    session.run("pytest", "--cov=chainrule", "--cov-report=term:skip-covered", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Lint, format and import contracts."""
    session.install("-e", ".[test]")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports")


@nox.session
def types(session: nox.Session) -> None:
    """Static types: strict where users call, basic elsewhere."""
    session.install("-e", ".[test]")
    session.run("pyright", *session.posargs)


@nox.session
def sweep(session: nox.Session) -> None:
    """NumPy's whole surface against NumPy, eagerly and on the NumPy executor (minutes);
    ``-- --ways native`` a pairwise covering of it on machine code."""
    session.install("-e", ".[test]")
    session.run("python", "-m", "tests.helpers.sweep", *session.posargs)


@nox.session
def special(session: nox.Session) -> None:
    """Every special function and its derivatives against mpmath, at many points (an hour)."""
    session.install("-e", ".[test]")
    session.run("pytest", "tests/ops", "-k", "special", *session.posargs, env=FULL)


@nox.session
def peers(session: nox.Session) -> None:
    """Gradients and training steps against PyTorch, JAX and HIPS autograd (2 GB of wheels)."""
    session.install("-e", ".[test,bench]", "torch", "jax")
    session.run("pytest", "-m", "peers", *session.posargs, env={"CHAINRULE_PEERS": "1"})


@nox.session
def sklearn(session: nox.Session) -> None:
    """scikit-learn's own tests of its networks, and its checks of estimators, against ours."""
    session.install("-e", ".[test]")
    where = ("-p", "tests.helpers.sklearn_mlp", "--pyargs", "sklearn.neural_network.tests.test_mlp")
    session.run("python", "-m", "pytest", "-o", "filterwarnings=default", *where)
    session.run("pytest", "tests/estimators", *session.posargs, env={"CHAINRULE_ESTIMATORS": "all"})


@nox.session
def large(session: nox.Session) -> None:
    """S3 as moto serves it, killed, stopped and slow workers, and peaks of memory, which no other
    task runs."""
    session.install("-e", ".[test]", "moto[s3]>=5", "flask", "flask-cors")
    where = (
        "tests/tabular/test_addresses.py",
        "tests/cli/test_streams.py",
        "tests/cli/test_workers.py",
        "tests/train/test_workers.py",
    )
    variables = {"CHAINRULE_KILLS": "3", "CHAINRULE_MEMORY": "all"}
    session.run("pytest", *where, *session.posargs, env=variables)


@nox.session
def docs(session: nox.Session) -> None:
    """Generated pages and pictures, made anew; then every document is run."""
    session.install("-e", ".[test]")
    session.run("python", "docs/make_supported.py")
    session.run("python", "docs/make_pictures.py")
    session.run("pytest", "tests/docs", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """A benchmark: ``nox -s bench -- native --only compile``; without arguments ``engine``."""
    session.install("-e", ".[bench]")
    name, *arguments = session.posargs or ["engine"]
    session.run("python", "-m", f"benchmarks.{name}", *arguments)


@nox.session
def full(session: nox.Session) -> None:
    """The generated tests in their full form: random graphs, the fuzzer, then the sweep (hours)."""
    session.install("-e", ".[test]")
    session.run("pytest", *(session.posargs or ["tests"]), env=FULL)
    if not session.posargs:
        session.run("python", "-m", "tests.helpers.sweep")
