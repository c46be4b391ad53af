"""A student's program in a process of its own, with limits on time, memory and files.

This keeps accidents in, and answers out of reach of what is passed; it is no sandbox. (POSIX.
Elsewhere there are no limits but the time.)
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from chainrule.checking.handwritten import confinement
from chainrule.checking.handwritten.confinement import DEFAULTS
from chainrule.errors import UsageError


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
        self._made = tempfile.TemporaryDirectory(prefix="chainrule-check-")
        self.folder = folder = Path(self._made.name)
        copied = folder / "homework.py"
        copied.write_bytes(file.read_bytes())
        if case is not None:
            (folder / "check_case_.py").write_bytes(case.read_bytes())
        for other in files:
            (folder / other.name).write_bytes(other.read_bytes())
        self._others = confinement.adopt_orphans()
        environment = {"PATH": os.defpath, "HOME": str(folder), "TMPDIR": str(folder),
                       "PYTHONPATH": os.pathsep.join(confinement.packages()),
                       "PYTHONDONTWRITEBYTECODE": "1",
                       "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # fmt: skip
        with confinement.starting:
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
            confinement.running.add(self._process.pid)
        assert self._process.stdin is not None
        os.set_blocking(self._process.stdin.fileno(), False)
        self._end = time.monotonic() + limits["seconds"]
        self._pending = bytearray()
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
        confinement.running.discard(process.pid)
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        confinement.end_orphans(self._others)
        self._made.cleanup()

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
        pipe = self._process.stdin.fileno()
        left = memoryview(json.dumps(message).encode() + b"\n")
        while left:
            self._wait([], [pipe])
            try:
                left = left[os.write(pipe, left) :]
            except OSError:
                raise UsageError(self._ended()) from None

    def _ask(self, what: str, *arguments: Any) -> Any:
        number = secrets.token_hex(8)
        self._send({"ask": what, "with": arguments, "number": number})
        line = self._line()
        try:
            answer = json.loads(line)
        except ValueError:
            answer = None
        if not isinstance(answer, dict) or answer.get("number") != number:
            raise UsageError(
                "the program wrote where its results belong, into a file descriptor that it did "
                "not open: leave os.write and os.fdopen to descriptors of its own"
            )
        if "error" in answer:
            raise UsageError(f"the program failed: {answer['error']}")
        return answer["found"]

    def _line(self) -> bytes:
        assert self._process.stdout is not None
        pipe = self._process.stdout.fileno()
        chunk = bytes(self._pending)
        while b"\n" not in chunk:
            self._wait([pipe], [])
            chunk = os.read(pipe, 1 << 20)
            if not chunk:
                raise UsageError(self._ended())
            self._pending += chunk
        line, _, self._pending = self._pending.partition(b"\n")
        return bytes(line)

    def _wait(self, read: list[int], write: list[int]) -> None:
        left = self._end - time.monotonic()
        if left <= 0 or not any(select.select(read, write, [], left)):
            raise UsageError(
                f"the program did not finish within {self.limits['seconds']:g} seconds "
                "(--seconds): is there an endless loop, or training at the top of the file?"
            )

    def _ended(self) -> str:
        try:
            status = self._process.wait(1.0)
        except subprocess.TimeoutExpired:
            return "the program closed the descriptors over which it is asked (os.close)"
        reasons = {
            -signal.SIGKILL: "it was killed",
            -signal.SIGXCPU: "it used up its time (--seconds)",
            -signal.SIGXFSZ: "it wrote a larger file than is allowed",
        }
        why = reasons.get(status, f"exit status {status}")
        return f"the program ended before it was checked: {why}"
