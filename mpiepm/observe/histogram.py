"""Histogram of the local stress, one per origin: P(sigma) = counts / (sum of counts and outside) / bin width."""

from typing import Any

import numpy as np

from mpiepm.core.jit import njit
from mpiepm.core.schedule import Schedule
from mpiepm.grid.domain import Domain
from mpiepm.models.state import State
from mpiepm.observe.base import EQUILIBRATION, Observer, Record, Variable


@njit
def _fill(stress: np.ndarray, limit: float, counts: np.ndarray) -> None:
    """Add all sites to counts (bins + 1,); the last entry takes what lies outside (-limit, limit)."""
    bins = counts.size - 1
    scale = bins / (2.0 * limit)
    for i in range(stress.shape[0]):
        for j in range(stress.shape[1]):
            position = (stress[i, j] + limit) * scale
            counts[int(position) if 0.0 <= position < bins else bins] += 1


class StressHistogram(Observer):
    """Counts of the local stress over all scheduled lags of an origin."""

    name = "stress_histogram"
    variables = (
        Variable("histograms/stress/counts", ("origin", "bin"), "i8", "1", "sites in each bin, all lags together"),
        Variable("histograms/stress/outside", ("origin",), "i8", "1", "sites beyond the edges"),
    )

    def __init__(self, domain: Domain, schedule: Schedule, bins: int, limit: float) -> None:
        self.domain = domain
        self.schedule = schedule
        self._limit = limit
        self._counts = np.zeros(bins + 1, np.int64)
        self._origin = EQUILIBRATION
        self._time = 0.0

    def begin_phase(self, state: State, origin: int, record: Record) -> None:
        """Empty bins."""
        self._origin, self._time = origin, 0.0
        self._counts[:] = 0

    def sample(self, state: State, lag: float, record: Record) -> None:
        """Add the present, once for each boundary of the engine."""
        if self._origin >= 0 and state.time > self._time:
            self._time = state.time
            here = np.zeros_like(self._counts)
            _fill(state.stress, self._limit, here)
            self._counts += self.domain.sum_counts(here)

    def end_phase(self, state: State, record: Record) -> None:
        """Record the counts."""
        if self._origin >= 0:
            record("histograms/stress/counts", self._counts[:-1].copy())
            record("histograms/stress/outside", int(self._counts[-1]))

    def save(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Counts so far."""
        return {"origin": self._origin, "time": self._time, "counts": self._counts.tolist()}, {}

    def restore(self, scalars: dict[str, Any], fields: dict[str, np.ndarray]) -> None:
        """Undo `save`."""
        self._origin, self._time = scalars["origin"], scalars["time"]
        self._counts[:] = scalars["counts"]

    def constants(self) -> dict[str, np.ndarray]:
        """Edges of the bins."""
        return {"histograms/stress/edges": np.linspace(-self._limit, self._limit, len(self._counts))}
