"""A simulation: state, engine and observers, and the steps that they take together."""

import math
from collections.abc import Callable
from contextlib import closing

import numpy as np

from mpiepm import assembly
from mpiepm.core import heartbeat
from mpiepm.core.schedule import LogSpaced, due
from mpiepm.engine.auto import AutoEngine
from mpiepm.engine.step import StepEngine
from mpiepm.grid.domain import Domain
from mpiepm.io import checkpoint
from mpiepm.models.parameters import Parameters
from mpiepm.models.state import State
from mpiepm.observe.base import ENDING, EQUILIBRATION, Record
from mpiepm.observe.persistence import Persistence
from mpiepm.phases import Phases

EQUILIBRATION_STOPS = LogSpaced(0.1, 16)  # when the run asks whether it is over: not a matter of what is observed


class Simulation:
    """One run on the ranks of `domain`: state, engine, observers. Construction is collective and touches no file."""

    def __init__(self, domain: Domain, params: Parameters) -> None:
        self.domain, self.params = domain, params
        self.state: State = params.model.start(params.run.seed, domain.first_row, domain.local_shape)
        self.engine = assembly.engine(domain, params, self.state)
        self.phases = Phases()
        self.observers = assembly.observers(domain, params, self.engine)
        self.persistence = next((o for o in self.observers if isinstance(o, Persistence)), None)

    @property
    def parts(self) -> dict[str, checkpoint.Saveable]:
        """Everything that a checkpoint holds, by name."""
        fixed: dict[str, checkpoint.Saveable] = {
            "state": self.state, "engine": self.engine, "phases": self.phases
        }
        if isinstance(self.engine, StepEngine) and self.engine.tracers:
            fixed["tracers"] = self.engine.tracers
        return fixed | {observer.name: observer for observer in self.observers}

    def constants(self) -> dict[str, np.ndarray]:
        """Coordinates and bin edges of all observers, by path in the archive."""
        return {name: values for observer in self.observers for name, values in observer.constants().items()}

    @property
    def engine_chosen(self) -> str:
        """Which engine the auto engine has chosen and why; empty as long as it has not."""
        return self.engine.reason if isinstance(self.engine, AutoEngine) else ""

    @property
    def finished(self) -> bool:
        """Have all origins been measured?"""
        return self.phases.origin == self.params.run.origins + self.params.run.overlap - 1

    @property
    def last_origin(self) -> bool:
        """Is the present phase that of the last origin?"""
        return self.phases.origin == self.params.run.origins - 1

    @property
    def origin(self) -> int:
        """The origin that the present phase began with, or EQUILIBRATION, or ENDING."""
        return self.phases.origin if self.phases.origin < self.params.run.origins else ENDING

    @property
    def spacing(self) -> float | None:
        """Sweeps from an origin to the next, unless it is a matter of P."""
        run = self.params.run
        if run.stop_persistence is not None:
            return None
        return (run.origin_duration or self.phases.duration) / run.overlap

    def next_stop(self) -> float:
        """The next time at which an observer looks or the phase may end: a boundary of the engine."""
        now = self.state.time
        times = [observer.schedule.after(now) for observer in self.observers]
        limit = self.spacing
        if self.phases.origin == EQUILIBRATION:
            times.append(EQUILIBRATION_STOPS.after(now))
            limit = self.params.run.equilibrate.time
        if limit is not None and limit > now:
            times.append(limit)
        return self.engine.boundary(min(times))

    def phase_is_over(self) -> bool:
        """Has the present phase reached its end? The answer changes only at stops, so it belongs to the trajectory."""
        run, state = self.params.run, self.state
        if not self.phases.begun:
            return False
        if self.phases.origin == EQUILIBRATION:
            if run.equilibrate.time is not None:
                return state.time >= self.engine.boundary(run.equilibrate.time)
            return self.phases.history[-1][1] >= (run.equilibrate.events_per_site or 0.0) * self.domain.sites
        if self.spacing is not None:
            return state.time >= self.engine.boundary(self.spacing)
        return self.persistence is not None and self.persistence.current < (run.stop_persistence or 0.0)

    def advance(self, until: float, over: Callable[[], bool] = lambda: False) -> bool:
        """Bring the state to `until`, a boundary of the engine; the observers receive the events.

        `over` is asked after every batch of events; if it says so the state stops short of `until`, and the answer is False.
        """
        state = self.state
        with closing(self.engine.advance(state, until)) as batches:
            for events in batches:
                for observer in self.observers:
                    observer.receive(events)
                heartbeat.reached(state.origin_time + state.time, state.events)
                if over() and state.time < until:
                    return False
        heartbeat.reached(state.origin_time + state.time, state.events)  # also where nothing happens between stops
        return True

    def change(self, alter: Callable[[State], None]) -> None:
        """Let `alter` change the fields of the state, between two steps: a shear is alter(s): s.stress += ... Collective.

        Every rank changes its own rows, in place; see `engine.base.Engine.change`.
        """
        self.engine.change(self.state, alter)

    def step(self, horizon: float, record: Record, over: Callable[[], bool] = lambda: False) -> None:
        """`to_stop`, and the phase may end there."""
        self.to_stop(horizon, record, over)
        if self.phase_is_over():
            self.end_phase(record)

    def to_stop(self, horizon: float, record: Record, over: Callable[[], bool] = lambda: False) -> None:
        """To the next stop, where the observers look; or to `horizon`, or until `over` says so."""
        state = self.state
        if not self.phases.begun:
            self.phases.begun = True
            for observer in self.observers:
                observer.begin_phase(state, self.origin, record)
        since, stop = state.time, self.next_stop()
        if self.engine.boundary(horizon) < stop:
            self.advance(self.engine.boundary(horizon), over)
            return
        if not self.advance(stop, over):
            return
        for observer in self.observers:
            for lag in due(observer.schedule, since, state.time):
                observer.sample(state, lag, record)
        if self.phases.origin == EQUILIBRATION and any(due(EQUILIBRATION_STOPS, since, state.time)):
            self.phases.history.append((state.time, state.events))

    def end_phase(self, record: Record) -> None:
        """Record the phase that is over; the next one begins with the next step."""
        state, phases = self.state, self.phases
        for observer in self.observers:
            observer.end_phase(state, record)
        if phases.origin == EQUILIBRATION:
            phases.duration = (self.params.run.origin_events_per_site or 0.0) * phases.yield_time(self.domain.sites)
            phases.history.clear()
        self.engine.begin_origin(state.time)
        state.begin_origin()
        phases.origin += 1
        phases.begun = False

    def rehearse(self) -> None:
        """Call every compiled function once, so that this process finds them all compiled."""
        ignore: Record = lambda name, value: None  # noqa: E731
        for origin in (EQUILIBRATION, 0):
            for observer in self.observers:
                observer.begin_phase(self.state, origin, ignore)
            self.advance(self.engine.boundary(1.0))
            self.change(lambda state: None)
            now = self.state.time
            for observer in self.observers:
                first = observer.schedule.after(0.0)  # as if it had come: some do nothing before
                self.state.time = max(now, first) if math.isfinite(first) else now
                observer.sample(self.state, self.state.time, ignore)
            self.state.time = now
            for observer in self.observers:
                observer.end_phase(self.state, ignore)
            self.engine.begin_origin(self.state.time)
            self.state.begin_origin()
