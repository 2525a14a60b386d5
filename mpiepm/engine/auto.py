"""Auto engine: equilibrate, measure what an event costs with each engine here and now, go on with the cheapest.

Equilibration is the split engine's, or the event engine's where strips do not fit. When it ends, every engine that fits runs
for a moment on a copy of the state. The cost of a sweep follows from the yield rate Gamma of the end of the equilibration:

    event, split:  seconds per event * Gamma N,      sweep:  seconds per sweep,

and the cheapest is chosen, an exact one if it costs little more. Clocks differ from run to run, so the choice is not a
function of the parameters; it is stored in every checkpoint, and a resumed run keeps it.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from mpiepm.core.params import Parameters
from mpiepm.core.sections import Event, Split, Sweep
from mpiepm.engine.base import Engine
from mpiepm.engine.event import EventEngine
from mpiepm.engine.layout import strips_fit
from mpiepm.engine.split import SplitEngine
from mpiepm.engine.sweep import SweepEngine
from mpiepm.grid.domain import Domain
from mpiepm.physics.state import Events, State

_TRIAL = 0.5            # seconds on each engine
_PATIENCE = 1.5         # an exact engine may cost this much more
_MOST_SITES = 1 << 20   # beyond, the event engine is not tried: an event takes milliseconds


class AutoEngine:
    """See the module's text. Construction is collective.

    Attributes
    ----------
    choice : name of the engine in use
    reason : the costs that led to it, for people; empty before the choice
    """

    def __init__(self, domain: Domain, params: Parameters, state: State) -> None:
        self.domain, self._params, self._state = domain, params, state
        self.choice = "split" if self._fits(Split()) else "event"
        self.reason = ""
        self._engine = self._build(self.choice, state)
        self._middle = self._last = (0.0, 0)  # time and events of two stops, the latter 10 % later: the yield rate

    def _with(self, engine: Sweep | Event | Split) -> Parameters:
        return self._params.model_copy(update={"engine": engine})

    def _fits(self, engine: Sweep | Event | Split) -> bool:
        if isinstance(engine, Split):
            return strips_fit(self._params, engine, self.domain.size)
        return not isinstance(engine, Event) or self.domain.sites <= _MOST_SITES

    def _build(self, name: str, state: State) -> Engine:
        if name == "split":
            return SplitEngine(self.domain, self._with(Split()), state)
        if name == "event":
            return EventEngine(self.domain, self._with(Event()), state)
        return SweepEngine(self.domain, self._with(Sweep()))

    def boundary(self, time: float) -> float:
        """That of the engine in use."""
        return self._engine.boundary(time)

    def advance(self, state: State, until: float) -> Iterator[Events]:
        """By the engine in use."""
        yield from self._engine.advance(state, until)
        if not self.reason and state.time > 1.1 * self._last[0]:
            self._middle, self._last = self._last, (state.time, state.events)

    def change(self, state: State, alter: Callable[[State], None]) -> None:
        """By the engine in use."""
        self._engine.change(state, alter)

    def begin_origin(self, time: float) -> None:
        """The first one ends the equilibration: choose."""
        self._engine.begin_origin(time)
        if not self.reason:
            self._choose()

    def _choose(self) -> None:
        passed, events = self._last[0] - self._middle[0], self._last[1] - self._middle[1]
        activity = max(events, 1) / passed if passed > 0 else 1.0  # events per sweep, on the whole lattice
        costs = {}
        for engine in (Event(), Split(), Sweep()):
            if self._fits(engine):
                costs[engine.name] = self._trial(engine.name, activity)
        cheapest = min(costs, key=lambda name: costs[name])
        choice = "event" if costs.get("event", np.inf) <= _PATIENCE * costs[cheapest] else cheapest
        listed = ", ".join(f"{name} {cost:.3g}" for name, cost in costs.items())
        self.reason = f"{choice}: seconds per sweep at {activity:.3g} events per sweep: {listed}"
        if choice != self.choice:
            before = self._engine
            if isinstance(before, SplitEngine):
                before.settle(self._state, 0.0)
            self.choice, self._engine = choice, self._build(choice, self._state)
            if isinstance(self._engine, EventEngine) and isinstance(before, SplitEngine):
                self._engine.continue_draws(before.draws)

    def _trial(self, name: str, activity: float) -> float:
        """Seconds per sweep of the engine `name`, measured on a copy of the state; the same on all ranks."""
        state = State(self._state.stress.copy(), self._state.plastic_strain.copy())
        engine = self._build(name, state)
        until = max(1.0, 1.0 / activity)
        for _ in engine.advance(state, engine.boundary(until)):  # what is compiled or allocated once does not count
            pass
        began, start, events = time.perf_counter(), state.time, state.events
        enough = False
        while not enough:
            until *= 2.0
            for _ in engine.advance(state, engine.boundary(until)):
                pass
            enough = self.domain.comm.bcast(time.perf_counter() - began > _TRIAL)
        seconds = self.domain.comm.bcast(time.perf_counter() - began)
        if name == "sweep":
            return float(seconds / (state.time - start))
        return float(seconds / max(state.events - events, 1) * activity)

    def save(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The choice, and what the engine in use saves."""
        scalars, fields = self._engine.save()
        own = {"choice": self.choice, "reason": self.reason, "middle": list(self._middle), "last": list(self._last)}
        return {**own, "engine": scalars}, fields

    def restore(self, scalars: dict[str, Any], fields: dict[str, np.ndarray]) -> None:
        """Undo `save`."""
        if scalars["choice"] != self.choice:
            self.choice = scalars["choice"]
            self._engine = self._build(self.choice, self._state)
        self.reason, self._middle, self._last = scalars["reason"], tuple(scalars["middle"]), tuple(scalars["last"])
        self._engine.restore(scalars["engine"], fields)
