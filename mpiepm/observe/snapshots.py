"""Snapshots of the fields at given lags of the first origins: stress, plastic strain, and who has moved or is moving.

Lag 0 is the state at the origin. An origin that ends before a lag has no snapshot there.
"""

import math
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from mpiepm.core.schedule import At, end_of_step
from mpiepm.core.sections import Count, NotNegative
from mpiepm.core.trajectory import Change
from mpiepm.models.parameters import Parameters
from mpiepm.models.state import State
from mpiepm.observe.base import EQUILIBRATION, Durations, Observer, Record, Setting, Variable
from mpiepm.observe.persistence import Persistence


class Snapshots(Observer):
    """The three fields at each of `lags`, for the first `origins` origins.

    The third is the persistence map, or, without `persistence`, the signs of the active sites.
    """

    name = "snapshots"
    order = 40
    variables: tuple[Variable, ...] = (
        Variable("fields/time", ("snapshot",), "f8", "{time}", "since the start of the run"),
        Variable("fields/origin", ("snapshot",), "i8", "1", "number of the origin"),
        Variable("fields/lag", ("snapshot",), "f8", "{time}", "since the origin"),
        Variable("fields/stress", ("snapshot", "x", "y"), "f8", "{stress}", "local stress", distributed=True),
        Variable("fields/plastic_strain", ("snapshot", "x", "y"), "f8", "{stress}/mu", "local plastic strain",
                 distributed=True),
    )  # fmt: skip

    @classmethod
    def keys(cls, *, stationary: bool) -> dict[str, tuple[Any, Any]]:
        """output.snapshots and, where there are several origins, output.snapshot_origins."""
        kind = Annotated[tuple[NotNegative, ...], Change.ALWAYS]
        if stationary:
            what = "times since equilibration at which the fields are stored, from 0 on"
            return {"snapshots": (kind, Field(default=(), strict=False, description=what))}
        what = "lags of every origin at which the fields are stored; 0: the state at the origin"
        few = Field(default=1, description="only the first origins store snapshots")
        return {
            "snapshots": (kind, Field(default=(), strict=False, description=what)),
            "snapshot_origins": (Annotated[Count, Change.ALWAYS], few),
        }

    @classmethod
    def wanted(cls, params: Parameters) -> bool:
        """Is there a lag?"""
        return bool(params.output.snapshots)

    @classmethod
    def make(cls, setting: Setting) -> Observer:
        """With the maps of the observer of persistence, if there is one."""
        output, persistence = setting.params.output, setting.made.get("persistence")
        assert persistence is None or isinstance(persistence, Persistence)
        return cls(output.snapshots, getattr(output, "snapshot_origins", 1), persistence)

    @classmethod
    def archive_bytes(cls, params: Parameters, durations: Durations) -> dict[str, float]:
        """Two fields of float64 and one of bytes for each lag that is reached."""
        output, sites = params.output, math.prod(params.lattice.size)
        reached = sum(lag <= durations.spacing for lag in output.snapshots)
        taken = reached * min(params.run.origins, getattr(output, "snapshot_origins", 1))
        third = "fields/active" if params.run.stationary else "fields/persistence"
        return {
            "fields/time": 8 * taken, "fields/origin": 8 * taken, "fields/lag": 8 * taken,
            "fields/stress": 8 * taken * sites, "fields/plastic_strain": 8 * taken * sites, third: taken * sites,
        }  # fmt: skip

    def __init__(self, lags: tuple[float, ...], origins: int, persistence: Persistence | None) -> None:
        third = ("persistence", "1 where no event since the origin") if persistence else ("active", "sign where active, else 0")
        name, what = third
        self.variables += (Variable(f"fields/{name}", ("snapshot", "x", "y"), "i1", "1", what, distributed=True),)
        self._lags = tuple(sorted(lags))
        self.schedule = At(self._lags)
        self._origins, self._persistence = origins, persistence
        self._origin = EQUILIBRATION
        self._durations: list[float] = []  # of the origins that snapshots were asked of and that have ended

    def begin_phase(self, state: State, origin: int, record: Record) -> None:
        """Remember which origin it is, and record it if lag 0 is asked for."""
        self._origin = origin
        if self._lags[0] == 0.0:
            self.sample(state, 0.0, record)

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

    def end_phase(self, state: State, record: Record) -> None:
        """Remember how long the origin was."""
        if 0 <= self._origin < self._origins:
            self._durations.append(state.time)

    def warnings(self, time: str) -> list[str]:
        """Lags that were not reached."""
        return [f"output.snapshots: {line}" for line in not_reached(self._lags, self._durations, time)]

    def save(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The origin, and the durations of those before."""
        return {"origin": self._origin, "durations": self._durations}, {}

    def restore(self, scalars: dict[str, Any], fields: dict[str, np.ndarray]) -> None:
        """Undo `save`."""
        self._origin, self._durations = scalars["origin"], list(scalars["durations"])


def not_reached(lags: Sequence[float], durations: Sequence[float], time: str) -> list[str]:
    """A line for each of the `lags` of output.snapshots that some of the origins did not reach.

    durations : of the origins that should have stored the lags, to where the next one begins
    time : unit of both
    """
    lines = []
    for lag in sorted(lags):
        reached = sum(lag <= duration for duration in durations)
        if reached < len(durations):
            where = "no origin" if reached == 0 else f"only {reached} of {len(durations)} origins"
            longest = f"{'the longest' if len(durations) > 1 else 'the only one'} lasts {max(durations):.6g} {time}"
            lines.append(f"lag {lag:g} was reached by {where}: {longest}")
    return lines


def unreachable(params: Parameters) -> list[str]:
    """A line for each lag of output.snapshots that no origin can reach, if the parameters say how long an origin lasts."""
    run, engine = params.run, params.engine
    if run.origin_duration is None:
        return []
    step = engine.resolution
    end = run.origin_duration / run.overlap
    end = end_of_step(end, step) if step else end
    key = "run.duration" if run.stationary else "run.origin_duration"
    given = f"{key} = {run.origin_duration:g}" + (f", run.overlap = {run.overlap}" if run.overlap > 1 else "")
    return [
        f"output.snapshots: lag {lag:g} will not be stored: {given}, so an origin stores lags up to {end:.6g}"
        for lag in sorted(params.output.snapshots) if lag > end
    ]  # fmt: skip
