"""Number of events of every site between an origin and the next: where the system moves, and how often."""

import math
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from mpiepm.core.jit import njit
from mpiepm.core.trajectory import Change
from mpiepm.grid.domain import Domain
from mpiepm.models.parameters import Parameters
from mpiepm.models.state import Events, State
from mpiepm.observe.base import EQUILIBRATION, Durations, Observer, Record, Setting, Variable

_MOST = np.uint32(2**32 - 1)


@njit
def _add(first_row: int, row: np.ndarray, column: np.ndarray, counts: np.ndarray) -> None:
    for e in range(row.size):
        i, j = row[e] - first_row, column[e]
        if counts[i, j] < _MOST:
            counts[i, j] += np.uint32(1)


class EventCounts(Observer):
    """One map for each origin."""

    name = "event_counts"
    order = 100
    variables = (
        Variable("origins/event_count", ("origin", "x", "y"), "u4", "1",
                 "events of each site until the next origin, at most 2^32 - 1", distributed=True),
    )  # fmt: skip

    @classmethod
    def keys(cls, *, stationary: bool) -> dict[str, tuple[Any, Any]]:
        """output.event_counts."""
        what = "map of the number of events of each site" + (", per origin" if not stationary else "")
        return {"event_counts": (Annotated[bool, Change.EQUILIBRATING], Field(default=False, description=what))}

    @classmethod
    def wanted(cls, params: Parameters) -> bool:
        """As the key says."""
        return bool(params.output.event_counts)

    @classmethod
    def make(cls, setting: Setting) -> Observer:
        """No event yet."""
        return cls(setting.domain)

    @classmethod
    def archive_bytes(cls, params: Parameters, durations: Durations) -> dict[str, float]:
        """A map for each origin."""
        return {"origins/event_count": 4 * params.run.origins * math.prod(params.lattice.size)}

    @classmethod
    def site_bytes(cls, params: Parameters) -> int:
        """The map."""
        return 4

    def __init__(self, domain: Domain) -> None:
        self.domain = domain
        self._counts = np.zeros(domain.local_shape, np.uint32)
        self._origin = EQUILIBRATION

    def begin_phase(self, state: State, origin: int, record: Record) -> None:
        """Count from here."""
        self._origin = origin
        self._counts[:] = 0

    def receive(self, events: Events) -> None:
        """Count."""
        _add(self.domain.first_row, events.row, events.column, self._counts)

    def end_phase(self, state: State, record: Record) -> None:
        """Record the map."""
        if self._origin >= 0:
            record("origins/event_count", self._counts.copy())

    def save(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The map so far."""
        return {"origin": self._origin}, {"counts": self._counts}

    def restore(self, scalars: dict[str, Any], fields: dict[str, np.ndarray]) -> None:
        """Undo `save`."""
        self._origin = scalars["origin"]
        self._counts[:] = fields["counts"]
