"""Persistence, from the time of each site's first event after an origin.

p_i(t) = 1 if site i has had no event since the origin, P(t) = mean of p_i (Ozawa & Biroli 2023, SI). One map of first
event times holds every p_i(t) of its origin.
"""

import math
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from mpiepm.core.jit import njit
from mpiepm.core.schedule import LogSpaced
from mpiepm.core.trajectory import Change
from mpiepm.grid.domain import Domain
from mpiepm.models.parameters import Parameters
from mpiepm.models.state import Events, State
from mpiepm.observe.base import Durations, Observer, Record, Setting, Variable
from mpiepm.observe.open_origins import OpenOrigins


@njit
def _mark(
    first_row: int, row: np.ndarray, column: np.ndarray, time: np.ndarray,
    slots: np.ndarray, ages: np.ndarray, maps: np.ndarray,
) -> None:  # fmt: skip
    """Note the events in the maps (slot, rows, Ly) of the open origins, newest first: what it knows, older ones know."""
    for e in range(row.size):
        i, j = row[e] - first_row, column[e]
        for k in range(slots.size):
            if maps[slots[k], i, j] <= time[e] + ages[k]:
                break
            maps[slots[k], i, j] = time[e] + ages[k]


@njit
def _histogram(first_time: np.ndarray, lags: np.ndarray, counts: np.ndarray) -> None:
    """counts[k] += sites whose first event comes after exactly k of the lags."""
    for i in range(first_time.shape[0]):
        for k in np.searchsorted(lags, first_time[i]):
            counts[k] += 1


def persistence(domain: Domain, first_time: np.ndarray, lags: np.ndarray) -> np.ndarray:
    """P at each lag, from the first event times of this rank's rows. Collective."""
    counts = np.zeros(len(lags) + 1, np.int64)
    _histogram(first_time, lags, counts)
    later: np.ndarray = domain.sum_counts(counts)[::-1].cumsum()[::-1][1:]
    return later / domain.sites


def _as_type(first_time: np.ndarray, kind: str) -> np.ndarray:
    """The map in another type; a time beyond its largest number becomes that one, as inf means that there was no event."""
    largest = np.finfo(kind).max
    return np.where(np.isinf(first_time), np.inf, np.minimum(first_time, largest)).astype(kind)


def _kind_of_maps(params: Parameters) -> str:
    """Single precision, unless lags may be beyond it; extremal dynamics counts events."""
    return "f4" if params.engine.extremal or params.model.single_precision_suffices() else "f8"


class Persistence(Observer):
    """P(lag) of every origin, raw; averages over origins and chi4 are formed offline.

    Attributes
    ----------
    longest : duration of the longest origin that has ended
    current : P of the newest origin at its latest lag, 1 before the first
    newest : float64 (local rows, Ly), first event times since the newest origin, sweeps, inf where no event yet
    maps : type in the archive, "f4" or "f8"; None: not there
    closed : first event times since the origin that has ended with the last phase, if one has, and its duration
    """

    name = "persistence"
    order = 0
    of_stationary = False

    @classmethod
    def keys(cls, *, stationary: bool) -> dict[str, tuple[Any, Any]]:
        """output.first_event_maps."""
        what = "store the lag of the first event of every site, per origin"
        return {"first_event_maps": (Annotated[bool, Change.EQUILIBRATING], Field(default=True, description=what))}

    @classmethod
    def wanted(cls, params: Parameters) -> bool:
        """Always."""
        return True

    @classmethod
    def make(cls, setting: Setting) -> Observer:
        """For as many open origins as there can be."""
        params = setting.params
        lags = LogSpaced(params.output.lags.first, params.output.lags.per_decade)
        maps = _kind_of_maps(params) if params.output.first_event_maps else None
        return cls(setting.domain, lags, overlap=params.run.overlap, maps=maps)

    @classmethod
    def archive_bytes(cls, params: Parameters, durations: Durations) -> dict[str, float]:
        """P for each origin and lag, and the maps."""
        output, origins = params.output, params.run.origins
        lags = len(LogSpaced(output.lags.first, output.lags.per_decade).up_to(durations.origin))
        maps = np.dtype(_kind_of_maps(params)).itemsize * origins * math.prod(params.lattice.size) * output.first_event_maps
        sizes = {"persistence/lag": 8 * lags, "persistence/value": 8 * origins * lags}
        return {**sizes, "origins/first_event_time": maps}

    @classmethod
    def site_bytes(cls, params: Parameters) -> int:
        """Maps of the open origins."""
        return 8 * params.run.overlap

    def __init__(self, domain: Domain, lags: LogSpaced, *, overlap: int, maps: str | None) -> None:
        self.domain = domain
        self.schedule: LogSpaced = lags
        self.closed: tuple[np.ndarray, float] | None = None
        self._maps = np.full((overlap, *domain.local_shape), np.inf)
        self._open = OpenOrigins(overlap, lags)
        self.current = 1.0
        self._newest = 0
        self.longest = 0.0
        self._stored = maps
        self.variables = (
            Variable("persistence/value", ("origin", "lag"), "f8", "1", "P(lag), NaN once the origin has ended",
                     ragged=True),
        )  # fmt: skip
        if maps:
            self.variables += (
                Variable("origins/first_event_time", ("origin", "x", "y"), maps, "{time}",
                         "lag of the first event of each site, inf where none", distributed=True),
            )  # fmt: skip

    @property
    def newest(self) -> np.ndarray:
        """See above."""
        slot: np.ndarray = self._maps[self._newest]
        return slot

    def begin_phase(self, state: State, origin: int, record: Record) -> None:
        """No site has had its first event."""
        self.closed = None
        slot = self._open.begin_phase(origin)
        if slot is not None:
            self._newest, self.current = slot, 1.0
            self.newest[:] = np.inf

    def receive(self, events: Events) -> None:
        """Keep the earliest event of each site."""
        slots, ages = self._slots()
        if slots.size:
            _mark(self.domain.first_row, events.row, events.column, events.time, slots, ages, self._maps)

    def sample(self, state: State, lag: float, record: Record) -> None:
        """Keep P(lag) of the newest origin, for those who wait for its end."""
        self.current = float(persistence(self.domain, self.newest, np.array([lag]))[0])

    def _slots(self) -> tuple[np.ndarray, np.ndarray]:
        pairs = list(self._open.newest_first())
        return np.array([slot for slot, _ in pairs], np.int64), np.array([age for _, age in pairs], np.float64)

    def end_phase(self, state: State, record: Record) -> None:
        """Record P and the map of the origin that ends; all events up to a lag count, those of the rest of a window do not."""
        ended = self._open.end_phase(state.time)
        if ended is None:
            return
        slot, duration = ended
        self.closed = self._maps[slot], duration
        self.longest = max(self.longest, duration)
        record("persistence/value", persistence(self.domain, self._maps[slot], self.schedule.up_to(duration)))
        if self._stored:
            record("origins/first_event_time", _as_type(self._maps[slot], self._stored))

    def save(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Maps of the open origins."""
        scalars = {"current": self.current, "newest": self._newest, "longest": self.longest, **self._open.save()}
        return scalars, {f"first_event_time_{slot}": field for slot, field in enumerate(self._maps)}

    def restore(self, scalars: dict[str, Any], fields: dict[str, np.ndarray]) -> None:
        """Undo `save`."""
        self.current, self._newest, self.longest = scalars["current"], scalars["newest"], scalars["longest"]
        self._open.restore(scalars)
        for slot, field in enumerate(self._maps):
            field[:] = fields[f"first_event_time_{slot}"]

    def constants(self) -> dict[str, np.ndarray]:
        """The lags of all origins, as many as the longest one reached."""
        return {"persistence/lag": self.schedule.up_to(self.longest)}
