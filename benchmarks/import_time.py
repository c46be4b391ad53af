"""``python -m benchmarks.import_time``: what ``import chainrule`` costs beside ``import numpy``.

Each import is timed inside a fresh process, so the start of Python itself does not count.
``import chainrule`` finds the parts when they are first used; the lines below it say what
those first uses cost. The whole of ``chainrule explain``, from the start of the process to the
printed table, stands beside ``python -c "import numpy"`` (promised: less than twice).
"""

import os
import subprocess
import sys
import time

from benchmarks.measure import duration, median, ratio, save, spread, table

ROUNDS = 10
STATEMENTS = {
    "import numpy": "import numpy",
    "import chainrule": "import chainrule",
    "... and numpy": "import chainrule, numpy",
    "... and its grad": "import chainrule; chainrule.grad",
    "... and its train": "import chainrule; chainrule.train",
}
FORMULA = "cos(sin(x**2) + 3*x**2)"
PROCESSES = {
    'python -c "import numpy"': ["-c", "import numpy"],
    "chainrule explain": ["-m", "chainrule", "explain", FORMULA, "x=1"],
}
TIMED = "import time; begin = time.perf_counter()\n{}\nprint(time.perf_counter() - begin)"


def seconds(statement: str) -> float:
    return float(output(["-c", TIMED.format(statement)]))


def output(arguments: list[str]) -> str:
    # Modules compiled once stay compiled, as where a package was installed.
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=env).stdout


def process(arguments: list[str]) -> float:
    begin = time.perf_counter()
    output(arguments)
    return time.perf_counter() - begin


def main() -> None:
    times: dict[str, list[float]] = {name: [] for name in (*STATEMENTS, *PROCESSES)}
    for statement in STATEMENTS.values():
        seconds(statement)  # fills the caches of compiled modules and of the file system
    for arguments in PROCESSES.values():
        process(arguments)
    for _ in range(ROUNDS):
        for name, statement in STATEMENTS.items():
            times[name].append(seconds(statement))
        for name, arguments in PROCESSES.items():
            times[name].append(process(arguments))
    rows, results = [], {}
    for name, values in times.items():
        base = "import numpy" if name in STATEMENTS else next(iter(PROCESSES))
        relative = ratio(times, name, base)
        rows.append([name, duration(median(values)), f"{spread(values):.0%}", f"{relative:.2f}"])
        results[name] = {"seconds": values, "times_numpy": relative}
    table(["statement", "median", "spread", "times numpy"], rows)
    print(f"\nimport chainrule takes {results['import chainrule']['times_numpy']:.2f} times")
    print("import numpy (promised: at most 1.5)")
    save("import_time", results)


if __name__ == "__main__":
    main()
