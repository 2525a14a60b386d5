"""Histogram of the local stress, one per origin: P(sigma) = counts / (sum of counts and outside) / bin width."""

from typing import Annotated, Any

import numpy as np
from pydantic import Field

from mpiepm.core.jit import njit
from mpiepm.core.schedule import Schedule
from mpiepm.core.sections import Positive, Section
from mpiepm.core.trajectory import Change
from mpiepm.grid.domain import Domain
from mpiepm.models.parameters import Parameters
from mpiepm.models.state import State
from mpiepm.observe.base import EQUILIBRATION, Durations, Observer, Record, Setting, Variable


@njit
def _fill(stress: np.ndarray, limit: float, counts: np.ndarray) -> None:
    """Add all sites to counts (bins + 1,); the last entry takes what lies outside (-limit, limit)."""
    bins = counts.size - 1
    scale = bins / (2.0 * limit)
    for i in range(stress.shape[0]):
        for j in range(stress.shape[1]):
            position = (stress[i, j] + limit) * scale
            counts[int(position) if 0.0 <= position < bins else bins] += 1


class Histogram(Section):
    """[output] histogram: of the local stress, filled at every lag."""

    bins: Annotated[int, Field(ge=1, le=1_000_000)] = Field(default=320)
    limit: Positive = Field(default=4.0, description="edges run from -limit to +limit; the rest is counted as outside")


class StressHistogram(Observer):
    """Counts of the local stress over all scheduled lags of an origin."""

    name = "stress_histogram"
    order = 30
    variables = (
        Variable("histograms/stress/counts", ("origin", "bin"), "i8", "1", "sites in each bin, all lags together"),
        Variable("histograms/stress/outside", ("origin",), "i8", "1", "sites beyond the edges"),
    )

    @classmethod
    def keys(cls, *, stationary: bool) -> dict[str, tuple[Any, Any]]:
        """output.histogram."""
        return {"histogram": (Annotated[Histogram, Change.EQUILIBRATING], Field(default=Histogram()))}

    @classmethod
    def wanted(cls, params: Parameters) -> bool:
        """Always."""
        return True

    @classmethod
    def make(cls, setting: Setting) -> Observer:
        """Empty bins."""
        histogram = setting.params.output.histogram
        return cls(setting.domain, setting.often, histogram.bins, histogram.limit)

    @classmethod
    def archive_bytes(cls, params: Parameters, durations: Durations) -> dict[str, float]:
        """Counts of each origin, and the edges."""
        origins, bins = params.run.origins, params.output.histogram.bins
        return {
            "histograms/stress/edges": 8 * (bins + 1), "histograms/stress/counts": 8 * origins * bins,
            "histograms/stress/outside": 8 * origins,
        }  # fmt: skip

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
