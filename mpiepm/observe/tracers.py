"""Trajectories of the tracers: all unwrapped positions at scheduled times."""

from typing import Any

import numpy as np

from mpiepm.core.schedule import Schedule
from mpiepm.engine.tracers import Tracers
from mpiepm.models.state import State
from mpiepm.observe.base import EQUILIBRATION, Observer, Record, Variable


class Trajectories(Observer):
    """A frame when equilibration ends, and at every scheduled time after it."""

    name = "trajectories"

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
