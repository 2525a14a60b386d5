"""Snapshots of the fields at given lags of the first origins: stress, plastic strain, and who has moved or is moving."""

from typing import Any

import numpy as np

from mpiepm.core.schedule import At
from mpiepm.observe.base import EQUILIBRATION, Observer, Record, Variable
from mpiepm.observe.persistence import Persistence
from mpiepm.physics.state import State


class Snapshots(Observer):
    """The three fields at each of `lags`, for the first `origins` origins.

    The third is the persistence map, or, without `persistence`, the signs of the active sites.
    """

    name = "snapshots"
    variables: tuple[Variable, ...] = (
        Variable("fields/time", ("snapshot",), "f8", "{time}", "since the start of the run"),
        Variable("fields/origin", ("snapshot",), "i8", "1", "number of the origin"),
        Variable("fields/lag", ("snapshot",), "f8", "{time}", "since the origin"),
        Variable("fields/stress", ("snapshot", "x", "y"), "f8", "{stress}", "local stress", distributed=True),
        Variable("fields/plastic_strain", ("snapshot", "x", "y"), "f8", "{stress}/mu", "local plastic strain",
                 distributed=True),
    )  # fmt: skip

    def __init__(self, lags: tuple[float, ...], origins: int, persistence: Persistence | None) -> None:
        third = ("persistence", "1 where no event since the origin") if persistence else ("active", "sign where active, else 0")
        name, what = third
        self.variables += (Variable(f"fields/{name}", ("snapshot", "x", "y"), "i1", "1", what, distributed=True),)
        self.schedule = At(tuple(sorted(lags)))
        self._origins, self._persistence = origins, persistence
        self._origin = EQUILIBRATION

    def begin_phase(self, state: State, origin: int, record: Record) -> None:
        """Remember which origin it is."""
        self._origin = origin

    def sample(self, state: State, lag: float, record: Record) -> None:
        """Record the present."""
        if not 0 <= self._origin < self._origins:
            return
        record("fields/time", state.origin_time + state.time)
        record("fields/origin", self._origin)
        record("fields/lag", state.time)
        record("fields/stress", state.stress.copy())
        record("fields/plastic_strain", state.plastic_strain.copy())
        if self._persistence is not None:
            record("fields/persistence", (self._persistence.newest > state.time).astype("i1"))
        elif state.active is not None:
            record("fields/active", state.active.copy())

    def save(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The origin."""
        return {"origin": self._origin}, {}

    def restore(self, scalars: dict[str, Any], fields: dict[str, np.ndarray]) -> None:
        """Undo `save`."""
        self._origin = scalars["origin"]
