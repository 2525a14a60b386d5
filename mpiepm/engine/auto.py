"""Auto engine: equilibrate, measure what an event costs with each engine here and now, go on with the cheapest.

Equilibration is the split engine's, or the event engine's where strips do not fit. When it ends, every engine that fits runs
for a moment on a copy of the state. The cost of a sweep follows from the yield rate Gamma of the end of the equilibration:

    event, split:  seconds per event * Gamma N,      sweep:  seconds per sweep,

and the cheapest is chosen, an exact one if it costs little more. The sweep engine makes an attempt per site and sweep, whether
anything happens or not: where these alone take longer than another engine needs for the events, it is not tried. A trial
ends by the clock, also where nothing happens. Clocks differ from run to run, so the choice is not a function of the parameters;
it is stored in every checkpoint, and a resumed run keeps it.
"""

import time
from collections.abc import Callable, Generator
from contextlib import closing
from typing import Any

import numpy as np

from mpiepm.core import heartbeat
from mpiepm.core.engine_sections import Event, Split, Sweep
from mpiepm.engine.base import Engine
from mpiepm.engine.event import EventEngine
from mpiepm.engine.layout import strips_fit
from mpiepm.engine.split import SplitEngine
from mpiepm.engine.sweep import SweepEngine
from mpiepm.grid.domain import Domain
from mpiepm.models.parameters import Parameters
from mpiepm.models.state import Events, State

_TRIAL = 0.5            # seconds on each engine, after as much to begin with, and the batch of events that then ends
_ATTEMPT = 2e-9         # seconds of one rank for an attempt of the sweep engine, at least
_FOREVER = 1e300        # sweeps
_PATIENCE = 1.5         # an exact engine may cost this much more
_MOST_SITES = 1 << 20   # beyond, the event engine is not tried: an event takes milliseconds


class AutoEngine:
    """See the module's text. Construction is collective.

    Attributes
    ----------
    choice : name of the engine in use
    reason : the costs that led to it, for people; empty before the choice
    """

    lists = SplitEngine.lists

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

    def advance(self, state: State, until: float) -> Generator[Events, None, None]:
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
        costs: dict[str, float] = {}
        for engine in (Event(), Split()):
            if self._fits(engine):
                costs[engine.name] = self._trial(engine.name, activity)
        if self.domain.sites * _ATTEMPT / self.domain.size < min(costs.values(), default=np.inf):
            costs["sweep"] = self._trial("sweep", activity)
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
        self._run_for(_TRIAL, engine, state)  # what is compiled or allocated once does not count
        start, events = state.time, state.events
        seconds = self._run_for(_TRIAL, engine, state)
        if name == "sweep":
            return seconds / (state.time - start)
        return seconds / max(state.events - events, 1) * activity

    def _run_for(self, seconds: float, engine: Engine, state: State) -> float:
        """Let an engine run for about so long, at least one batch; the seconds it has taken, the same on all ranks."""
        began = time.perf_counter()
        passed = 0.0
        with closing(engine.advance(state, engine.boundary(state.time + _FOREVER))) as batches:
            for _ in batches:
                heartbeat.beat()
                passed = self.domain.broadcast(time.perf_counter() - began)
                if passed >= seconds:
                    break
        return passed

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
