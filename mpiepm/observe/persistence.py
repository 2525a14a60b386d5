"""Persistence, from the time of each site's first event after an origin.

p_i(t) = 1 if site i has had no event since the origin, P(t) = mean of p_i (Ozawa & Biroli 2023, SI). One map of first
event times holds every p_i(t) of its origin.
"""

from typing import Any

import numpy as np

from mpiepm.core.jit import njit
from mpiepm.core.schedule import LogSpaced
from mpiepm.grid.domain import Domain
from mpiepm.observe.base import EQUILIBRATION, Observer, Record, Variable
from mpiepm.physics.state import Events, State


@njit
def _mark(first_row: int, row: np.ndarray, column: np.ndarray, time: np.ndarray, first_time: np.ndarray) -> None:
    for e in range(row.size):
        i, j = row[e] - first_row, column[e]
        if time[e] < first_time[i, j]:
            first_time[i, j] = time[e]


@njit
def _count_later(first_time: np.ndarray, lag: float) -> int:
    count = 0
    for i in range(first_time.shape[0]):
        for j in range(first_time.shape[1]):
            if first_time[i, j] > lag:
                count += 1
    return count


class Persistence(Observer):
    """P(lag) of every origin, raw; averages over origins and chi4 are formed offline.

    Attributes
    ----------
    first_event_time : float64 (local rows, Ly), sweeps since the origin, inf where no event yet
    current : the latest P(lag) of the present origin, 1 before the first
    """

    name = "persistence"

    def __init__(self, domain: Domain, lags: LogSpaced, *, store_maps: bool) -> None:
        self.domain = domain
        self.schedule: LogSpaced = lags
        self.first_event_time = np.full(domain.local_shape, np.inf)
        self.values: list[float] = []
        self.longest = 0
        self._measuring = False
        self._store_maps = store_maps
        self.variables = (
            Variable("persistence/value", ("origin", "lag"), "f8", "1", "P(lag), NaN once the origin has ended",
                     ragged=True),
        )  # fmt: skip
        if store_maps:
            self.variables += (
                Variable("origins/first_event_time", ("origin", "x", "y"), "f4", "sweeps",
                         "lag of the first event of each site, inf where none", distributed=True),
            )  # fmt: skip

    @property
    def current(self) -> float:
        """Latest P(lag) of the present origin; 1 before the first lag."""
        return self.values[-1] if self.values else 1.0

    def begin_origin(self, state: State, origin: int, record: Record) -> None:
        """No site has had its first event."""
        self._measuring = origin != EQUILIBRATION
        self.first_event_time[:] = np.inf
        self.values = []

    def receive(self, events: Events) -> None:
        """Keep the earliest event of each site."""
        if self._measuring:
            _mark(self.domain.first_row, events.row, events.column, events.time, self.first_event_time)

    def sample(self, state: State, lag: float, record: Record) -> None:
        """P(lag): all events up to the lag are known, those of the rest of the window too, but they count as later."""
        if self._measuring:
            self.values.append(int(self.domain.sum_counts(_count_later(self.first_event_time, lag))) / self.domain.sites)

    def end_origin(self, state: State, record: Record) -> None:
        """Record P and the map."""
        if not self._measuring:
            return
        self.longest = max(self.longest, len(self.values))
        record("persistence/value", np.array(self.values))
        if self._store_maps:
            record("origins/first_event_time", self.first_event_time.astype("f4"))

    def save(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Map and values of the present origin."""
        scalars = {"values": self.values, "longest": self.longest, "measuring": self._measuring}
        return scalars, {"first_event_time": self.first_event_time}

    def restore(self, scalars: dict[str, Any], fields: dict[str, np.ndarray]) -> None:
        """Undo `save`."""
        self.values, self.longest, self._measuring = scalars["values"], scalars["longest"], scalars["measuring"]
        self.first_event_time[:] = fields["first_event_time"]

    def constants(self) -> dict[str, np.ndarray]:
        """The lags of all origins, as many as the longest one reached."""
        return {"persistence/lag": np.array([self.schedule.value(k) for k in range(self.longest)])}
