"""From exceptions to one line on standard error and an exit code."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Callable

from trivec.errors import TrivecError

BAD_INPUT = 2
UNEXPECTED = 1
INTERRUPTED = 130
NOBODY_READS = 141

_ADVICE = {
    errno.ENOSPC: "make room, then run the command again",
    errno.EDQUOT: "make room, then run the command again",
    errno.EACCES: "check its permissions, or choose another place",
    errno.EPERM: "check its permissions, or choose another place",
    errno.EROFS: "choose a place that can be written to",
    errno.ENOENT: "check the path",
    errno.EMFILE: "close other programs, or raise ulimit -n",
}


def guarded(action: Callable[[], int]) -> int:
    """Run an action; tell its exception in one line, and the exit code that goes with it.

    With ``TRIVEC_DEBUG=1`` in the environment, the traceback comes first.
    """
    _accept_any_text()
    try:
        code = action()
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        _forget_stdout()
        return NOBODY_READS
    except SystemExit:
        raise
    except BaseException as error:  # a panic of Rust code is no Exception
        if os.environ.get("TRIVEC_DEBUG", "0") != "0":
            sys.excepthook(type(error), error, error.__traceback__)
        message, code = describe(error)
        with contextlib.suppress(BrokenPipeError):
            say(message)
        return code


def describe(error: BaseException) -> tuple[str, int]:
    """What to tell about an exception, and the exit code."""
    if isinstance(error, KeyboardInterrupt):
        return str(error) or "stopped", INTERRUPTED
    if isinstance(error, TrivecError):
        return str(error), BAD_INPUT
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename else ""
        advice = _ADVICE.get(error.errno or 0, "check the path and the disk")
        return f"{place}{error.strerror}: {advice}", BAD_INPUT
    lines = str(error).strip().splitlines()
    reason = f": {lines[0][:300]}" if lines else ""
    return f"unexpected {type(error).__name__}{reason} (set TRIVEC_DEBUG=1 to see where, and report it)", UNEXPECTED


def say(message: str) -> None:
    """A line on standard error."""
    sys.stdout.flush()
    print(f"trivec: {message}", file=sys.stderr, flush=True)


def _accept_any_text() -> None:
    """Print what a terminal's encoding lacks as an escape instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _forget_stdout() -> None:
    """Keep the interpreter from complaining about the closed pipe when it ends."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
