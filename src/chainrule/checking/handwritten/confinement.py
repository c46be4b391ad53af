"""What keeps a student's process in: its limits, the files it may open, and the end of all that it
starts.

The files are Linux's Landlock (5.13 and later; landlock(7)), which needs no rights: the process
reads what Python is installed in and writes its own folder, and can neither read another process
nor, from Linux 6.12 on, send it a signal. (Without Landlock it has the user's rights.)
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import signal
import site
import struct
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

MIB = 2**20
DEFAULTS = {"seconds": 60.0, "memory": 2048, "file": 16}
"""Seconds in all (of processor time too), MiB of memory, MiB of the largest file it may write."""
TASKS = 256
"""Processes and threads beside those that the user has already. (Of root they are not counted.)"""

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 36, 38
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 2, 4, 8
KNOWN = {1: 13, 2: 14, 3: 15, 4: 15}
"""How many kinds of access to files a version of Landlock knows; 16 from the fifth on."""
NETWORK, SIGNALS = 0b11, 0b11
"""To bind and to connect (version 4); abstract sockets and signals outside (version 6)."""


def packages() -> list[str]:
    """The folders that modules are installed in: none of the working folder's, nor of what the
    user's own path adds, which may hold answers."""
    own = (Path(__file__).parents[3], Path(np.__file__).parents[1])
    found = [*map(str, own), *site.getsitepackages()]
    found += [site.getusersitepackages()] if site.ENABLE_USER_SITE else []
    return [path for path in dict.fromkeys(found) if os.path.isdir(path)]


def confine(folder: str, limits: Mapping[str, float]) -> None:
    """Set the limits of this process and of all that it starts; it ends with its parent."""
    with contextlib.suppress(ImportError):
        _limit(limits)
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            libc = ctypes.CDLL(None)
            libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
            libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
            _close_files(libc, folder)


def _limit(limits: Mapping[str, float]) -> None:
    import resource

    kinds = {
        resource.RLIMIT_CPU: math.ceil(limits["seconds"]) + 1,
        resource.RLIMIT_AS: int(limits["memory"]) * MIB,
        resource.RLIMIT_FSIZE: int(limits["file"]) * MIB,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: 64,
    }
    if sys.platform == "linux":
        kinds[resource.RLIMIT_NPROC] = _tasks() + TASKS
    for kind, value in kinds.items():
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, (value, value))


def _tasks() -> int:
    """The processes and threads that the user has."""
    count = 0
    for pid in _processes():
        with contextlib.suppress(OSError):
            if os.stat(f"/proc/{pid}").st_uid == os.getuid():
                count += len(os.listdir(f"/proc/{pid}/task"))
    return count


def landlock() -> int:
    """The version of Landlock that the system has; 0 where it has none."""
    if sys.platform != "linux":
        return 0
    try:
        return max(ctypes.CDLL(None).syscall(CREATE_RULESET, None, 0, 1), 0)
    except (OSError, AttributeError):
        return 0


def _close_files(libc: ctypes.CDLL, folder: str) -> None:
    version = landlock()
    if not version:
        return
    every = (1 << KNOWN.get(version, 16)) - 1
    parts = [every, *[NETWORK] * (version > 3), *[SIGNALS] * (version > 5)]
    attributes = struct.pack("Q" * len(parts), *parts)
    rules = libc.syscall(CREATE_RULESET, attributes, len(attributes), 0)
    reads = [*packages(), sys.prefix, sys.base_prefix, "/usr", "/bin", "/lib", "/lib64", "/etc"]
    reads += ["/sys", "/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat"]
    reads += ["/dev/zero", "/dev/random", "/dev/urandom"]
    given = [*((path, EXECUTE | READ_FILE | READ_DIR) for path in reads),
             ("/dev/null", READ_FILE | WRITE_FILE), (folder, every)]  # fmt: skip
    for path, access in given:
        with contextlib.suppress(OSError):
            opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
            allowed = access if os.path.isdir(path) else access & ~READ_DIR
            libc.syscall(ADD_RULE, rules, 1, struct.pack("=Qi", allowed, opened), 0)
            os.close(opened)
    libc.syscall(RESTRICT_SELF, rules, 0)
    os.close(rules)


starting = threading.Lock()
"""Held while a worker is started, and while what others left behind is looked for."""
running: set[int] = set()
"""The workers of this process, which check other programs."""


def adopt_orphans() -> set[int]:
    """Whatever a student's program leaves behind becomes a child of ours, to be ended (Linux).

    Returns:
        The processes below ours that were there before.
    """
    if sys.platform != "linux":
        return set()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    return _below(os.getpid(), set())


def end_orphans(others: set[int], seconds: float = 30.0) -> None:
    """End what has become a child of ours since, and all below it; ``others`` were there before.
    Nothing of our own session, which no student's process can enter, and no other worker.

    All are stopped before any is ended: what starts others faster than they are ended stays."""
    end = time.monotonic() + seconds
    while sys.platform == "linux" and time.monotonic() < end:
        stopped: set[int] = set()
        with starting:
            while new := _below(os.getpid(), others | running, os.getsid(0)) - stopped:
                _signal(new, signal.SIGSTOP)
                stopped |= new
                if time.monotonic() > end:
                    break
            if not stopped:
                return
            _signal(stopped, signal.SIGKILL)
        for pid in stopped:
            with contextlib.suppress(ChildProcessError):  # of ours alone, and once it is dead
                os.waitpid(pid, os.WNOHANG)
        time.sleep(0.001)


def _signal(pids: set[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def _below(root: int, without: set[int], session: int = -1) -> set[int]:
    """All processes below one; ``without`` some of its children, those of a ``session``, and what
    is below them."""
    parents: dict[int, int] = {}
    sessions: dict[int, int] = {}
    for pid in _processes():
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            parents[pid], sessions[pid] = int(fields[1]), int(fields[3])
    children = {p for p, parent in parents.items() if parent == root}
    level = {p for p in children - without if sessions[p] != session}
    found: set[int] = set()
    while level:
        found |= level
        level = {p for p, parent in parents.items() if parent in level} - found
    return found


def _processes() -> Iterator[int]:
    return (int(entry) for entry in os.listdir("/proc") if entry.isdigit())
