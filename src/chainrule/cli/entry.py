"""Where the command begins: Ctrl-C ends it by one line and 130 while it is still importing, too.

It imports next to nothing itself, so that as little as possible runs before."""

from __future__ import annotations

import _signal  # pyright: ignore[reportMissingImports]
import sys

__all__ = ["main"]


class _Interrupted(KeyboardInterrupt):
    """Ctrl-C. Not KeyboardInterrupt itself: where that passes ``exec`` of a text, as when imports
    make dataclasses, Python ends by SIGINT whatever the exit status is."""


def main() -> int:
    """Run the command line and return its exit status."""
    try:
        if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
            _signal.signal(_signal.SIGINT, _interrupt)
        from chainrule.cli.main import main as run

        return run()
    except KeyboardInterrupt:
        print("chainrule: interrupted", file=sys.stderr)
        return 130


def _interrupt(*_: object) -> None:
    raise _Interrupted
