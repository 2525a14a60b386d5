"""Ends a run that makes no progress any more, and says which rank is the cause.

A rank that is stopped or hangs leaves all others waiting in MPI, for good. So every rank has a second thread, which looks at
the heartbeat of the main one (`core.heartbeat`). Each keeps a line in the file ``heartbeats`` of the run directory: how often
it has itself woken up, the heartbeat of its main thread, and where that is. As long as one rank's heartbeat goes on, the
others may wait for it: rank 0 may check files for an hour. When no heartbeat has gone on for `limit` seconds, the ranks compare
two readings of the file: a rank whose thread has not woken up meanwhile is stopped, dead or cut off. One that does not wait in
MPI is busy with what does not end. The others wait for these. Then all end, with the exit code of a failure.

A rank that was itself stopped (Slurm suspends jobs) begins to count anew. HDF5 lets no other thread run: its calls have a
timer of their own (`core.heartbeat.blocking`).
"""

import logging
import os
import platform
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from mpiepm.core import heartbeat
from mpiepm.core.exits import FAILED
from mpiepm.core.faults import ParameterError
from mpiepm.grid import collective, communicator
from mpiepm.grid.domain import Domain
from mpiepm.io.rundir import HEARTBEATS

LIMIT = 900.0             # seconds; longer than from one checkpoint to the next
SLOWEST = 5.0             # but never less than so many times the longest pause so far
PATIENCE = 2.0            # with a call that lets no other thread run, in units of the limit
VARIABLE = "MPIEPM_STALL_SECONDS"
_INTERVALS = 10           # in which the thread wakes up within the limit
_LONGEST_INTERVAL = 10.0  # seconds
_LINE = 512               # bytes
_GRACE = 2.0              # seconds that the others leave to the one that speaks,
_LATER = 6                # and so many intervals in which they renew their lines: it may compare later than they


def limit() -> float:
    """Seconds without progress after which a run is given up; 0: never.

    Raises
    ------
    ParameterError : if the environment says something else than a number of seconds
    """
    text = os.environ.get(VARIABLE, str(LIMIT))
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value < float("inf"):
        raise ParameterError(f"{VARIABLE} = {text!r}: must be a number of seconds, or 0 for no limit")
    return value


@contextmanager
def watching(domain: Domain, folder: Path, seconds: float) -> Iterator[None]:
    """Watch over the main thread of this rank meanwhile. Collective on leaving without an exception."""
    if seconds == 0.0:
        yield
        return
    watchdog = _Watchdog(domain, folder / HEARTBEATS, seconds)
    watchdog.start()
    heartbeat.own.patience = PATIENCE * seconds
    try:
        yield
    finally:
        watchdog.ended.set()
        watchdog.join()
        heartbeat.own.patience = 0.0
    if domain.size > 1:
        domain.barrier()
        if domain.rank == 0:
            with suppress(OSError):
                (folder / HEARTBEATS).unlink(missing_ok=True)


class _Watchdog(threading.Thread):
    """The thread that listens; it must be started by the main one."""

    def __init__(self, domain: Domain, path: Path, limit: float) -> None:
        super().__init__(daemon=True, name="watchdog")
        self.ended = threading.Event()
        self._domain, self._path, self._limit = domain, path, limit
        self._main = threading.main_thread().ident or 0
        self._interval = min(limit / _INTERVALS, _LONGEST_INTERVAL)
        self._woken = 0
        self._longest = 0.0

    def run(self) -> None:
        """Until `ended`, or until the run is given up."""
        counts, since = self._counts(), time.monotonic()
        before = since
        while not self.ended.wait(self._interval):
            now = time.monotonic()
            self._tell()
            if now - before > 3.0 * self._interval + 1.0:
                since = now  # stopped ourselves
            before = now
            if (present := self._counts()) != counts:
                self._longest = max(self._longest, now - since)
                counts, since = present, now
            elif now - since > max(self._limit, SLOWEST * self._longest):
                self._give_up(counts, now - since)
                counts, since = self._counts(), time.monotonic()
                before = since

    def _counts(self) -> list[str]:
        """Heartbeats of this rank and of every other one, as far as they are in the file."""
        others = [] if self._domain.size == 1 else [line[1] for line in self._lines()]
        return [str(heartbeat.own.count), *others]

    def _place(self) -> str:
        """Where the main thread is: the innermost line of Python, marked if that is a call of MPI."""
        frame: FrameType | None = sys._current_frames().get(self._main)
        while frame is not None and frame.f_code.co_filename == communicator.__file__:
            frame = frame.f_back
        if frame is None:
            return "busy in no line at all"
        doing = "waiting" if heartbeat.own.waiting or collective.inside() else "busy"
        return f"{doing} in {Path(frame.f_code.co_filename).name}:{frame.f_lineno}, {frame.f_code.co_name}"

    def _tell(self) -> None:
        """Renew our line. A full disk must not end a run that makes progress without it."""
        self._woken += 1
        line = f"{self._woken} {heartbeat.own.count} {platform.node()} {self._place()}"
        text = line.encode()[: _LINE - 1].ljust(_LINE - 1) + b"\n"
        if self._domain.size > 1:
            with suppress(OSError):
                descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
                try:
                    os.pwrite(descriptor, text, _LINE * self._domain.rank)
                finally:
                    os.close(descriptor)

    def _lines(self) -> list[list[str]]:
        """Of each rank: how often it has woken up, its heartbeat, its host, and where it is."""
        text = b""
        with suppress(OSError):
            text = self._path.read_bytes()
        parts = (text[_LINE * rank : _LINE * (rank + 1)] for rank in range(self._domain.size))
        lines = (part.decode(errors="replace").strip("\0 \n") for part in parts)
        return [(line or "0 0 unknown busy").split(" ", 3) for line in lines]

    def _give_up(self, counts: list[str], seconds: float) -> None:
        """Find the rank that is the cause, name it on one rank, and end the process; return if a heartbeat goes on."""
        if self._domain.size == 1:
            self._speak(f"rank 0 is {self._place()}", seconds)
            os._exit(FAILED)
        first = self._lines()
        for _ in range(3):
            if self.ended.wait(self._interval) or self._counts() != counts:
                return
            self._tell()
        second = self._lines()
        silent = [rank for rank, (a, b) in enumerate(zip(first, second, strict=True)) if a[0] == b[0]]
        heard = [rank for rank in range(self._domain.size) if rank not in silent]
        if heard and heard[0] != self._domain.rank:
            for _ in range(_LATER):
                self.ended.wait(self._interval)
                self._tell()
            time.sleep(_GRACE)
            os._exit(FAILED)
        found = [f"{self._described(rank, first)} has not been heard of: stopped, dead or cut off" for rank in silent]
        places = {rank: second[rank][3] for rank in heard}
        found += [f"{self._described(rank, second)} is {place}" for rank, place in places.items() if place.startswith("busy")]
        found += [f"rank {rank} is {place}" for rank, place in places.items() if place.startswith("waiting")][:8]
        self._speak("; ".join(found), seconds)
        os._exit(FAILED)

    def _described(self, rank: int, lines: list[list[str]]) -> str:
        first, last = self._domain.boundaries[rank : rank + 2]
        return f"rank {rank} of {self._domain.size} (rows {first}-{last - 1}, host {lines[rank][2]})"

    def _speak(self, text: str, seconds: float) -> None:
        when = f"t = {heartbeat.own.time:.10g}, {heartbeat.own.events} events"
        message = f"no progress for {seconds:.0f} s, last at {when}: {text}"
        os.write(2, f"mpiepm: {message}\n".encode())
        logging.getLogger("mpiepm.run").error(message)
