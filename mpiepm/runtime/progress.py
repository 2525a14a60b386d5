"""What a run tells while it goes: a line a minute in its log and on the standard error, on a terminal one that renews itself.

A thread of its own speaks, so that a long piece of work (a check of all files, an archive) is told as well as the loop.
"""

import logging
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType

from mpiepm.core import heartbeat
from mpiepm.core.amounts import in_time, number_of
from mpiepm.io.disk import numbers

RENEWAL = 1.0          # seconds between renewals of the line on a terminal
FIRST = 10.0           # seconds until the first line in the log, and on a standard error that is no terminal
INTERVAL = 60.0        # seconds from one to the next
LOG_BYTES = 1_000_000  # of the log, then its older part is run.log.1: two megabytes for runs of any length


class _LogFile(RotatingFileHandler):
    """A log that is given up, with one line on the standard error, when it cannot be written: the run is worth more."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line."""
        try:
            super().emit(record)
        except OSError:
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Say so, and write no more."""
        error = sys.exc_info()[1]
        reason = error.strerror if isinstance(error, OSError) else error
        path = Path(self.baseFilename)
        print(f"mpiepm: warning: {path}: cannot be written: {reason} ({numbers(path.parent, 0)})", file=sys.stderr, flush=True)
        self.setLevel(logging.CRITICAL + 1)
        with suppress(OSError):
            self.close()


class Progress:
    """Tells what a run does, on the rank that is `active`; on the standard error only if not `quiet`. A context manager."""

    def __init__(self, log: Path, *, active: bool, quiet: bool) -> None:
        self._active, self._quiet = active, quiet
        self._terminal = active and not quiet and sys.stderr.isatty()
        self._status: Callable[[], str] = lambda: "starting"
        self._log = logging.getLogger("mpiepm.run")
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._tell, daemon=True, name="progress")
        if active:
            self._log.setLevel(logging.INFO)
            self._log.propagate = False
            for old in list(self._log.handlers):
                self._log.removeHandler(old)
            handler = _LogFile(log, maxBytes=LOG_BYTES, backupCount=1, encoding="utf-8", delay=True)
            handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
            self._log.addHandler(handler)

    def __enter__(self) -> "Progress":
        if self._active:
            self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ended.set()
        if self._active:
            self._thread.join()
            self._clear()

    def _tell(self) -> None:
        """Until the end. The status is asked for every second, so that it can measure speeds."""
        due = time.monotonic() + FIRST
        while not self._ended.wait(min(RENEWAL, max(due - time.monotonic(), 0.0))):
            status = ("compiling; " if heartbeat.own.compiling else "") + self._status()
            if self._terminal:
                print(f"\r\033[K{status}", end="", file=sys.stderr, flush=True)
            if time.monotonic() >= due:
                due = time.monotonic() + INTERVAL
                self.say(status)
                if not self._quiet and not self._terminal:
                    print(status, file=sys.stderr, flush=True)

    def phase(self, what: str) -> None:
        """From now on the run does this, until something else is said."""
        began = time.monotonic()
        self._status = lambda: f"{what}, {in_time(time.monotonic() - began)} so far"
        self.say(what)

    def follow(self, status: Callable[[], str]) -> None:
        """From now on tell what `status` says; it is called from another thread and must not wait for other ranks."""
        self._status = status

    def say(self, message: str) -> None:
        """A line in the log."""
        if self._active:
            self._log.info(message)

    def note(self, message: str) -> None:
        """A line in the log, and on the standard error unless the run is quiet."""
        self.say(message)
        if self._active and not self._quiet:
            self._clear()
            print(message, file=sys.stderr, flush=True)

    def warn(self, message: str) -> None:
        """A line in the log and on the standard error, also of a quiet run."""
        if self._active:
            self._clear()
            print(f"mpiepm: warning: {message}", file=sys.stderr, flush=True)
            self._log.warning("warning: %s", message)

    def unfinished(self, reason: str, events: int) -> None:
        """The run ends before its end."""
        self.say(f"unfinished: {reason}; {number_of(events, 'event')} so far")
        if self._active:
            self._clear()
            print(f"mpiepm: unfinished, checkpoint written: {reason}; continue with --resume", file=sys.stderr, flush=True)

    def _clear(self) -> None:
        if self._terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
