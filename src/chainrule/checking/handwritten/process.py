"""A student's program in a process of its own, with limits on time, memory and files.

This keeps accidents in, and answers out of reach of what is passed; it is no sandbox: the process
has the user's rights. (POSIX. Elsewhere there are no limits but the time.)
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from chainrule.errors import UsageError

MIB = 2**20
DEFAULTS = {"seconds": 60.0, "memory": 2048, "file": 16}
"""Seconds in all (of processor time too), MiB of memory, MiB of the largest file it may write."""
PR_SET_CHILD_SUBREAPER = 36


def limit(limits: Mapping[str, float]) -> None:
    """Set the limits of this process and of all that it starts."""
    try:
        import resource
    except ImportError:
        return
    seconds = math.ceil(limits["seconds"]) + 1
    for kind, value in (
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_AS, int(limits["memory"]) * MIB),
        (resource.RLIMIT_FSIZE, int(limits["file"]) * MIB),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 64),
    ):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, (value, value))


class Worker:
    """A ``Program`` elsewhere; a context manager that ends it, and whatever it started."""

    def __init__(
        self,
        file: Path,
        *,
        case: Path | None = None,
        files: Sequence[Path] = (),
        forward: str | None = None,
        backward: str | None = None,
        cost: str | None = None,
        wrt: Sequence[str] | None = None,
        needs_loss: bool = True,
        limits: Mapping[str, float] = DEFAULTS,
    ) -> None:
        self.limits = limits
        self._folder = tempfile.TemporaryDirectory(prefix="chainrule-check-")
        folder = Path(self._folder.name)
        copied = folder / "homework.py"
        copied.write_bytes(file.read_bytes())
        if case is not None:
            (folder / "check_case_.py").write_bytes(case.read_bytes())
        for other in files:
            (folder / other.name).write_bytes(other.read_bytes())
        _adopt_orphans()
        self._others = _children() if sys.platform == "linux" else set()
        packages = os.pathsep.join(p for p in sys.path if p and os.path.isdir(p))
        environment = {"PATH": os.defpath, "HOME": str(folder), "TMPDIR": str(folder),
                       "PYTHONPATH": packages, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1",
                       "PYTHONDONTWRITEBYTECODE": "1"}  # fmt: skip
        self._process = subprocess.Popen(
            [sys.executable, "-m", "chainrule.checking.handwritten.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env=environment,
            start_new_session=True,
            close_fds=True,
        )
        self._end = time.monotonic() + limits["seconds"]
        self._pending = b""
        self._send({
            "file": str(copied),
            "case": "" if case is None else str(folder / "check_case_.py"),
            "forward": forward, "backward": backward, "cost": cost,
            "wrt": list(wrt) if wrt else None, "limits": dict(limits), "needs_loss": needs_loss,
        })  # fmt: skip

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *what: Any) -> None:
        process = self._process
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        _end_orphans(self._others)
        self._folder.cleanup()

    def describe(self) -> dict[str, Any]:
        return self._ask("describe")

    def losses(self, name: str, moves: Sequence[Any], point: int = 0) -> list[float]:
        return self._ask("losses", name, list(moves), point)

    def gradients(
        self, variants: Sequence[Sequence[tuple[str, str]]], point: int = 0
    ) -> list[dict[str, Any]]:
        return self._ask("gradients", list(variants), point)

    def _send(self, message: Any) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            raise UsageError(self._ended()) from None

    def _ask(self, what: str, *arguments: Any) -> Any:
        self._send({"ask": what, "with": arguments})
        answer = json.loads(self._line())
        if "error" in answer:
            raise UsageError(f"the program failed: {answer['error']}")
        return answer["found"]

    def _line(self) -> bytes:
        assert self._process.stdout is not None
        pipe = self._process.stdout.fileno()
        while b"\n" not in self._pending:
            left = self._end - time.monotonic()
            ready = select.select([pipe], [], [], max(left, 0))[0] if left > 0 else []
            if not ready:
                raise UsageError(
                    f"the program did not finish within {self.limits['seconds']:g} seconds "
                    "(--seconds): is there an endless loop, or training at the top of the file?"
                )
            chunk = os.read(pipe, 1 << 20)
            if not chunk:
                raise UsageError(self._ended())
            self._pending += chunk
        line, _, self._pending = self._pending.partition(b"\n")
        return line

    def _ended(self) -> str:
        status = self._process.wait()
        reasons = {
            -signal.SIGKILL: "it was killed",
            -signal.SIGXCPU: "it used up its time (--seconds)",
            -signal.SIGXFSZ: "it wrote a larger file than is allowed",
        }
        why = reasons.get(status, f"exit status {status}")
        return f"the program ended before it was checked: {why}"


def _adopt_orphans() -> None:
    """Whatever a student's program leaves behind becomes a child of ours, to be ended (Linux)."""
    if sys.platform != "linux":
        return
    import ctypes

    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _end_orphans(others: set[int]) -> None:
    """End what has become a child of ours since; ``others`` were there before."""
    if sys.platform != "linux":
        return
    for _ in range(20):
        found = _children() - others
        if not found:
            return
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


def _children() -> set[int]:
    found = set()
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                text = Path(f"/proc/{entry}/stat").read_text()
                if int(text.rpartition(")")[2].split()[1]) == os.getpid():
                    found.add(int(entry))
    return found
