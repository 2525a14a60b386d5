"""Trajectories of the tracers: all unwrapped positions at scheduled times."""

from typing import Any

import numpy as np

from mpiepm.core.schedule import Every, LogSpaced, Schedule
from mpiepm.engine.tracers import Tracers
from mpiepm.models.parameters import Parameters
from mpiepm.models.state import State
from mpiepm.observe.base import EQUILIBRATION, Durations, Observer, Record, Setting, Variable


def _frames(params: Parameters) -> Schedule:
    """When there is a frame."""
    tracers = params.tracers
    assert tracers is not None
    frames = tracers.frames
    return LogSpaced(frames.first, frames.per_decade) if frames else Every(tracers.interval or 1.0)


class Trajectories(Observer):
    """A frame when equilibration ends, and at every scheduled time after it."""

    name = "trajectories"
    order = 110
    of_origins = False

    @classmethod
    def wanted(cls, params: Parameters) -> bool:
        """Are there tracers?"""
        return getattr(params, "tracers", None) is not None

    @classmethod
    def make(cls, setting: Setting) -> Observer:
        """Of the engine's tracers."""
        return cls(setting.tracers, _frames(setting.params))

    @classmethod
    def archive_bytes(cls, params: Parameters, durations: Durations) -> dict[str, float]:
        """The first frame, and one for each time."""
        tracers, schedule = params.tracers, _frames(params)
        assert tracers is not None
        if isinstance(schedule, LogSpaced):
            frames = 1 + len(schedule.up_to(durations.origin))
        else:
            frames = 1 + int(durations.origin / max(tracers.interval or 1.0, params.engine.resolution))
        return {"tracers/time": 8 * frames, "tracers/position": 16 * frames * tracers.number}

    def __init__(self, tracers: Tracers, schedule: Schedule) -> None:
        self.schedule = schedule
        self._tracers = tracers
        self._origin = EQUILIBRATION
        self._time = 0.0
        self.variables = (
            Variable("tracers/time", ("frame",), "f8", "{time}", "since equilibration"),
            Variable("tracers/position", ("frame", "tracer", "component"), "f8", "site", "x and y, unwrapped",
                     distributed=True, items=tracers.number, width=2),
        )  # fmt: skip

    def begin_phase(self, state: State, origin: int, record: Record) -> None:
        """The first frame."""
        self._origin, self._time = origin, 0.0
        if origin == 0:
            self._frame(state, record)

    def sample(self, state: State, lag: float, record: Record) -> None:
        """A frame, once for each boundary of the engine."""
        if self._origin == 0 and state.time > self._time:
            self._frame(state, record)

    def _frame(self, state: State, record: Record) -> None:
        self._time = state.time
        record("tracers/time", state.time)
        record("tracers/position", self._tracers.by_identity())

    def save(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The last frame's time."""
        return {"origin": self._origin, "time": self._time}, {}

    def restore(self, scalars: dict[str, Any], fields: dict[str, np.ndarray]) -> None:
        """Undo `save`."""
        self._origin, self._time = scalars["origin"], scalars["time"]
