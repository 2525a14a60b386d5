"""Exchange times: from one event of a site to its next.

Their companion, the persistence time from an arbitrary origin to the first event, has the density -dP/dt. In a stationary state
the mean exchange time is 1 / Gamma; tau_alpha, of persistence, is the larger against it the more intermittent the motion. A run
of duration D cannot see times beyond D.
"""

from typing import Annotated, Any

import numpy as np
from pydantic import Field

from mpiepm.core.jit import njit
from mpiepm.core.trajectory import Change
from mpiepm.grid.domain import Domain
from mpiepm.models.parameters import Parameters
from mpiepm.models.state import Events, State
from mpiepm.observe.base import EQUILIBRATION, Durations, Observer, Record, Setting, Variable
from mpiepm.observe.bins import LogBins

_BINS = LogBins(-6, 18, 8)


@njit
def _note(
    first_row: int, row: np.ndarray, column: np.ndarray, time: np.ndarray, last: np.ndarray, waits: np.ndarray
) -> int:
    """Times since the last event of the same site into waits; how many there are (none, where it is the first)."""
    n = 0
    for e in range(row.size):
        i, j = row[e] - first_row, column[e]
        if last[i, j] > -np.inf:
            waits[n] = time[e] - last[i, j]
            n += 1
        last[i, j] = time[e]
    return n


class WaitingTimes(Observer):
    """Exchange times that end between an origin and the next, by size, and those still open then."""

    name = "waiting_times"
    order = 90
    variables = (
        Variable("waiting_times/exchange", ("origin", "bin"), "i8", "1", "exchange times in each bin"),
        Variable("waiting_times/open", ("origin", "bin"), "i8", "1", "times from a site's last event to the end, in each bin"),
    )  # fmt: skip

    @classmethod
    def keys(cls, *, stationary: bool) -> dict[str, tuple[Any, Any]]:
        """output.waiting_times."""
        what = f"times between successive {'activations' if stationary else 'events'} of a site"
        return {"waiting_times": (Annotated[bool, Change.EQUILIBRATING], Field(default=stationary, description=what))}

    @classmethod
    def wanted(cls, params: Parameters) -> bool:
        """As the key says."""
        return bool(params.output.waiting_times)

    @classmethod
    def make(cls, setting: Setting) -> Observer:
        """No event yet."""
        return cls(setting.domain)

    @classmethod
    def archive_bytes(cls, params: Parameters, durations: Durations) -> dict[str, float]:
        """Counts of each origin, and the edges."""
        bins = _BINS.number
        each = 8 * params.run.origins * bins
        return {"waiting_times/edges": 8 * (bins + 1), "waiting_times/exchange": each, "waiting_times/open": each}

    @classmethod
    def site_bytes(cls, params: Parameters) -> int:
        """Time of the last event."""
        return 8

    def __init__(self, domain: Domain) -> None:
        self.domain = domain
        self._bins = _BINS
        self._last = np.full(domain.local_shape, -np.inf)  # last event, sweeps since the beginning of the phase
        self._counts = np.zeros(self._bins.number, np.int64)
        self._origin = EQUILIBRATION

    def begin_phase(self, state: State, origin: int, record: Record) -> None:
        """Empty bins."""
        self._origin = origin
        self._counts[:] = 0

    def receive(self, events: Events) -> None:
        """Measure the times that end with these events."""
        if self._origin == EQUILIBRATION:
            return
        waits = np.empty(len(events))
        n = _note(self.domain.first_row, events.row, events.column, events.time, self._last, waits)
        self._counts += self._bins.histogram(waits[:n])

    def end_phase(self, state: State, record: Record) -> None:
        """Record the counts; what is measured from here on refers to the new phase."""
        if self._origin >= 0:
            record("waiting_times/exchange", self.domain.sum_counts(self._counts))
            since = (state.time - self._last)[np.isfinite(self._last)]
            record("waiting_times/open", self.domain.sum_counts(self._bins.histogram(since)))
        self._last -= state.time

    def save(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Last events and counts of all ranks, so that any number of ranks can go on with them."""
        counts = self.domain.sum_counts(self._counts).tolist()
        return {"origin": self._origin, "counts": counts}, {"last": self._last}

    def restore(self, scalars: dict[str, Any], fields: dict[str, np.ndarray]) -> None:
        """Undo `save`."""
        self._origin = scalars["origin"]
        self._counts[:] = scalars["counts"] if self.domain.rank == 0 else 0
        self._last[:] = fields["last"]

    def constants(self) -> dict[str, np.ndarray]:
        """Edges of the bins."""
        return {"waiting_times/edges": self._bins.edges}
