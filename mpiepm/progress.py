"""What a running simulation tells: a line on the terminal that renews itself, and the run's log."""

import logging
import sys
import time
from contextlib import suppress
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TYPE_CHECKING

from mpiepm.core.amounts import in_time
from mpiepm.core.params import FerreroParameters
from mpiepm.io.disk import numbers
from mpiepm.observe.base import EQUILIBRATION

if TYPE_CHECKING:
    from mpiepm.simulation import Simulation

INTERVAL = 1.0            # seconds between renewals of the line
LOG_INTERVAL = 600.0      # and between lines in the log
LOG_BYTES = 1_000_000     # of the log, then its older part is run.log.1: two megabytes for runs of any length
_EVENTS_PER_ORIGIN = 3.0  # per site: a first guess where the parameters do not tell, until an origin has been measured


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
    """Progress of `simulation`, told by rank 0 only; on the terminal only if it is one."""

    def __init__(self, simulation: "Simulation", log: Path, *, quiet: bool) -> None:
        self._simulation = simulation
        self._active = simulation.domain.rank == 0
        self._terminal = self._active and not quiet and sys.stderr.isatty()
        self._start = self._shown = self._logged = time.monotonic()
        self._first_events = simulation.state.events
        self._first_time: float | None = None
        self._origin_events: dict[int, int] = {}
        self._log = logging.getLogger("mpiepm.run")
        if self._active:
            self._log.setLevel(logging.INFO)
            self._log.propagate = False
            for old in list(self._log.handlers):
                self._log.removeHandler(old)
            handler = _LogFile(log, maxBytes=LOG_BYTES, backupCount=1, encoding="utf-8", delay=True)
            handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
            self._log.addHandler(handler)
            shape, ranks = simulation.domain.shape, simulation.domain.size
            self.say(f"start: lattice {shape[0]} x {shape[1]}, {ranks} ranks, {simulation.state.events} events so far")

    def say(self, message: str) -> None:
        """A line in the log."""
        if self._active:
            self._log.info(message)

    def warn(self, message: str) -> None:
        """A line in the log and on the standard error."""
        if self._active:
            print(f"mpiepm: warning: {message}", file=sys.stderr, flush=True)
            self._log.warning("warning: %s", message)

    def _stationary_status(self, now: float) -> str:
        """One long run: the rest takes as long as what has been done, by time."""
        run, state = self._simulation.params.run, self._simulation.state
        time = state.origin_time + state.time
        if self._first_time is None:
            self._first_time = time
        where = "equilibrating" if self._simulation.phases.origin == EQUILIBRATION else "stationary"
        total = (run.equilibrate.time or 0.0) + (run.origin_duration or 0.0)
        speed = (time - self._first_time) / max(now - self._start, 1e-9)
        remaining = in_time(max(total - time, 0.0) / speed) if speed > 0 else "?"
        return f"{where}, t = {time:.6g} of {total:.6g}, {state.events} events, about {remaining} left"

    def _status(self, now: float) -> str:
        simulation, state = self._simulation, self._simulation.state
        if isinstance(simulation.params, FerreroParameters):
            return self._stationary_status(now)
        run, origin, sites = simulation.params.run, simulation.phases.origin, simulation.domain.sites
        phases = run.origins + run.overlap - 1
        self._origin_events.setdefault(origin, state.events)
        speed = (state.events - self._first_events) / max(now - self._start, 1e-9)
        if origin == EQUILIBRATION:
            where = f"equilibrating, t = {state.time:.4g}, {state.events / sites:.2f} events/site"
        else:
            p = simulation.persistence.current if simulation.persistence else 1.0
            where = f"origin {origin + 1}/{phases}, t = {state.time:.4g}, P = {p:.3f}"
        measured = [o for o in self._origin_events if 0 <= o < origin]
        begun = self._origin_events.get(0, state.events)
        here = self._origin_events[origin]
        guess = (run.origin_events_per_site or _EVENTS_PER_ORIGIN) * sites / run.overlap
        each = (here - begun) / len(measured) if measured else guess
        left = (phases - max(origin, 0)) * each - (state.events - here if origin >= 0 else 0)
        if origin == EQUILIBRATION and run.equilibrate.events_per_site is not None:
            left += run.equilibrate.events_per_site * sites - state.events
        remaining = in_time(max(left, 0.0) / speed) if speed > 0 else "?"
        return f"{where}, {speed:.3g} events/s, about {remaining} left"

    def update(self) -> None:
        """Renew the line and the log, if it is time."""
        now = time.monotonic()
        if not self._active or now - self._shown < INTERVAL:
            return
        self._shown = now
        status = self._status(now)
        if self._terminal:
            print(f"\r\033[K{status}", end="", file=sys.stderr, flush=True)
        if now - self._logged >= LOG_INTERVAL:
            self._logged = now
            self.say(status)

    def _clear(self) -> None:
        if self._terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)

    def stop(self, reason: str) -> None:
        """The run ends unfinished."""
        self._clear()
        self.say(f"unfinished: {reason}; {self._simulation.state.events} events so far")
        if self._active:
            print(f"mpiepm: unfinished, checkpoint written: {reason}; continue with --resume", file=sys.stderr, flush=True)

    def finish(self) -> None:
        """The run is complete."""
        self._clear()
        self.say(f"finished: {self._simulation.state.events} events")
