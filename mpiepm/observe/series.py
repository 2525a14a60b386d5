"""Series in time: yield rate and moments of the stress, through equilibration and all origins; and the origins' table.

The yield rate Gamma is the number of events per site and sweep since the entry before.
"""

from typing import Any

import numpy as np

from mpiepm.core.schedule import LogSpaced, Schedule, end_of_step
from mpiepm.grid.domain import Domain
from mpiepm.models.parameters import Parameters
from mpiepm.models.state import State
from mpiepm.observe.base import ENDING, EQUILIBRATION, Durations, Observer, Record, Setting, Variable, series


class Series(Observer):
    """Yield rate, mean and variance of the stress at every scheduled lag."""

    name = "series"
    order = 20
    of_stationary = False
    watches_equilibration = True
    variables = (
        series("time", "f8", "{time}", "since the start of the run"),
        series("origin", "i8", "1", "number of the origin, -1 while equilibrating"),
        series("lag", "f8", "{time}", "since the origin"),
        series("events", "i8", "1", "since the start of the run, on the whole lattice"),
        series("yield_rate", "f8", "{rate}", "events per site and sweep since the entry before"),
        series("mean_stress", "f8", "{stress}", "mean over sites"),
        series("stress_variance", "f8", "{stress}^2", "variance over sites"),
    )

    @classmethod
    def wanted(cls, params: Parameters) -> bool:
        """Always."""
        return True

    @classmethod
    def make(cls, setting: Setting) -> Observer:
        """Rates count from the start."""
        return cls(setting.domain, setting.often)

    @classmethod
    def archive_bytes(cls, params: Parameters, durations: Durations) -> dict[str, float]:
        """An entry for every lag of every phase."""
        entries = _entries(params, durations.equilibration)
        entries += (params.run.origins + params.run.overlap - 1) * _entries(params, durations.spacing)
        return {variable.name: 8 * entries for variable in cls.variables}

    def __init__(self, domain: Domain, schedule: Schedule) -> None:
        self.domain = domain
        self.schedule = schedule
        self._origin = EQUILIBRATION
        self._last = (0.0, 0)  # time since the origin, events, at the entry before

    def begin_phase(self, state: State, origin: int, record: Record) -> None:
        """Rates count from here."""
        self._origin = origin
        self._last = (0.0, state.events)

    def sample(self, state: State, lag: float, record: Record) -> None:
        """Record the present, once for each boundary of the engine even if several lags fall before it."""
        if self._origin == ENDING:
            return
        last_time, last_events = self._last
        if state.time <= last_time:
            return
        mean = self.domain.sum_power(state.stress) / self.domain.sites
        square = self.domain.sum_power(state.stress, 2) / self.domain.sites
        rate = (state.events - last_events) / (self.domain.sites * (state.time - last_time))
        self._last = (state.time, state.events)
        values = (state.origin_time + state.time, self._origin, state.time, state.events, rate, mean, square - mean**2)
        for variable, value in zip(self.variables, values, strict=True):
            record(variable.name, value)

    def save(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What the next rate counts from."""
        return {"origin": self._origin, "last": list(self._last)}, {}

    def restore(self, scalars: dict[str, Any], fields: dict[str, np.ndarray]) -> None:
        """Undo `save`."""
        self._origin, self._last = scalars["origin"], tuple(scalars["last"])


def _entries(params: Parameters, duration: float) -> int:
    """Entries of one phase: the lags, but only one for each boundary of the engine."""
    lags = LogSpaced(params.output.lags.first, params.output.lags.per_decade).up_to(duration).tolist()
    step = 0.0 if params.engine.name == "auto" else params.engine.resolution  # which rarely chooses the one that has steps
    return len({end_of_step(lag, step) for lag in lags}) if step else len(lags)


class Origins(Observer):
    """Start, duration and number of events of every origin: 1 / Gamma = duration * sites / events."""

    name = "origins"
    order = 10
    variables = (
        Variable("origins/time", ("origin",), "f8", "{time}", "of the origin, since the start of the run"),
        Variable("origins/duration", ("origin",), "f8", "{time}", "from the origin to the next, or to its end"),
        Variable("origins/events", ("origin",), "i8", "1", "on the whole lattice, in this duration"),
    )

    @classmethod
    def wanted(cls, params: Parameters) -> bool:
        """Always."""
        return True

    @classmethod
    def archive_bytes(cls, params: Parameters, durations: Durations) -> dict[str, float]:
        """A number for each origin."""
        return {variable.name: 8 * params.run.origins for variable in cls.variables}

    def __init__(self) -> None:
        self._origin, self._events = EQUILIBRATION, 0

    def begin_phase(self, state: State, origin: int, record: Record) -> None:
        """Count from here."""
        self._origin, self._events = origin, state.events

    def end_phase(self, state: State, record: Record) -> None:
        """Record the origin."""
        if self._origin >= 0:
            record("origins/time", state.origin_time)
            record("origins/duration", state.time)
            record("origins/events", state.events - self._events)

    def save(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Where the count began."""
        return {"origin": self._origin, "events": self._events}, {}

    def restore(self, scalars: dict[str, Any], fields: dict[str, np.ndarray]) -> None:
        """Undo `save`."""
        self._origin, self._events = scalars["origin"], scalars["events"]
