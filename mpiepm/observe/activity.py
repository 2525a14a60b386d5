"""Series of a model with events of finite duration: activity, events, moments of the stress.

Activity a is the mean over sites and steps of |n|. An event lasts tau_res on average: events per site and time = a / tau_res.
"""

from typing import Any

import numpy as np

from mpiepm.core.schedule import Schedule
from mpiepm.grid.domain import Domain
from mpiepm.models.parameters import Parameters
from mpiepm.models.state import State
from mpiepm.observe.base import EQUILIBRATION, Durations, Observer, Record, Setting, series


class ActivitySeries(Observer):
    """One entry for every scheduled time, through equilibration and the run."""

    name = "series"
    order = 20
    of_origins = False
    watches_equilibration = True
    variables = (
        series("time", "f8", "{time}", "since the start of the run"),
        series("origin", "i8", "1", "-1 while equilibrating, then 0"),
        series("lag", "f8", "{time}", "since the start, or since equilibration"),
        series("events", "i8", "1", "activations since the start of the run, on the whole lattice"),
        series("yield_rate", "f8", "{rate}", "activations per site and time since the entry before"),
        series("activity", "f8", "1", "share of active sites, mean over the steps since the entry before"),
        series("mean_stress", "f8", "{stress}", "mean over sites"),
        series("stress_variance", "f8", "{stress}^2", "variance over sites"),
        series("stress_kurtosis", "f8", "1", "fourth central moment over sites / variance^2, NaN without stress"),
    )

    @classmethod
    def wanted(cls, params: Parameters) -> bool:
        """Always."""
        return True

    @classmethod
    def make(cls, setting: Setting) -> Observer:
        """Rates count from the start."""
        return cls(setting.domain, setting.often, setting.params.engine.resolution)

    @classmethod
    def archive_bytes(cls, params: Parameters, durations: Durations) -> dict[str, float]:
        """An entry for every interval."""
        interval = max(params.output.interval, params.engine.resolution)
        entries = int(durations.equilibration / interval) + int(durations.origin / interval)
        return {variable.name: 8 * entries for variable in cls.variables}

    def __init__(self, domain: Domain, schedule: Schedule, time_step: float) -> None:
        self.domain = domain
        self.schedule = schedule
        self._step = time_step
        self._origin = EQUILIBRATION
        self._last = (0.0, 0, 0)  # time since the origin, events, active sites in all steps, at the entry before

    def begin_phase(self, state: State, origin: int, record: Record) -> None:
        """Rates count from here."""
        self._origin = origin
        self._last = (0.0, state.events, state.active_steps)

    def sample(self, state: State, lag: float, record: Record) -> None:
        """Record the present, once for each boundary of the engine."""
        time, events, active = self._last
        if state.time <= time:
            return
        sites = self.domain.sites
        steps = round((state.time - time) / self._step)
        rate = (state.events - events) / (sites * (state.time - time))
        activity = (state.active_steps - active) / (sites * steps)
        self._last = (state.time, state.events, state.active_steps)
        mean = self.domain.sum_power(state.stress) / sites
        centred = state.stress - mean
        variance = self.domain.sum_power(centred, 2) / sites
        kurtosis = self.domain.sum_power(centred, 4) / sites / variance**2 if variance > 0.0 else np.nan
        when = (state.origin_time + state.time, self._origin, state.time, state.events)
        for variable, value in zip(self.variables, (*when, rate, activity, mean, variance, kurtosis), strict=True):
            record(variable.name, value)

    def save(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What the next means count from."""
        return {"origin": self._origin, "last": list(self._last)}, {}

    def restore(self, scalars: dict[str, Any], fields: dict[str, np.ndarray]) -> None:
        """Undo `save`."""
        self._origin, self._last = scalars["origin"], tuple(scalars["last"])
