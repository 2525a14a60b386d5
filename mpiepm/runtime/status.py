"""Where a run stands, in one line: phase, time, events, events per second, and an estimate of the time left.

The estimate: what is left of the present phase, over the speed of this process in this phase. The equilibration is measured in
sweeps or events, as its parameter; the origins in origins, of which the present one is done to the share of its duration that
has passed, or of the way of P to `run.stop_persistence`; a stationary run in time. While the equilibration lasts, the origins
are guessed: sweeps or events that they need, over the present speed (`_EVENTS_PER_ORIGIN` where P decides).
"""

import time

from mpiepm.core.amounts import in_time, number_of
from mpiepm.observe.base import EQUILIBRATION
from mpiepm.runtime.present import Present

_EVENTS_PER_ORIGIN = 3.0  # per site


class Status:
    """Of `simulation`, from now on. May be asked by any thread, often enough that speeds are those of the phase."""

    def __init__(self, simulation: Present) -> None:
        self._simulation = simulation
        self._start, self._first_events = time.monotonic(), simulation.state.events
        self._marks: dict[bool, tuple[float, float, float, int]] = {}  # of a phase when first seen: clock, done, time, events
        self()

    def __call__(self) -> str:
        """The line."""
        simulation, state, now = self._simulation, self._simulation.state, time.monotonic()
        done, total = self._done()
        here = (now, done, state.origin_time + state.time, state.events)
        equilibrating = simulation.phases.origin == EQUILIBRATION
        since = self._marks.setdefault(equilibrating, here)
        passed = max(now - since[0], 1e-9)
        speed, sweeps, events = (
            (here[1] - since[1]) / passed, (here[2] - since[2]) / passed, (here[3] - since[3]) / passed
        )  # fmt: skip
        left = (total - done) / speed if speed > 0 else None
        if left is not None and equilibrating:
            left += self._origins(sweeps, events)
        rate = (state.events - self._first_events) / max(now - self._start, 1e-9)
        remaining = f"about {in_time(max(left, 0.0))} left" if left is not None else "time left not known yet"
        return f"{self._where()}, {number_of(state.events, 'event')} since the start, {rate:.3g} events/s, {remaining}"

    def _where(self) -> str:
        simulation, state = self._simulation, self._simulation.state
        run, origin = simulation.params.run, simulation.phases.origin
        unit = simulation.params.units.time
        if run.stationary:
            total = (run.equilibrate.time or 0.0) + (run.origin_duration or 0.0)
            where = "equilibrating" if origin == EQUILIBRATION else "stationary"
            return f"{where}, t = {state.origin_time + state.time:.6g} of {total:.6g} {unit}"
        if origin == EQUILIBRATION:
            return f"equilibrating, t = {state.time:.4g} {unit}, {state.events / simulation.domain.sites:.2f} events/site"
        p = simulation.persistence.current if simulation.persistence else 1.0
        return f"origin {origin + 1}/{run.origins + run.overlap - 1}, t = {state.time:.4g} {unit}, P = {p:.3f}"

    def _done(self) -> tuple[float, float]:
        """What of the present phase is done, and all of it."""
        simulation, state = self._simulation, self._simulation.state
        run, origin, spacing = simulation.params.run, simulation.phases.origin, simulation.spacing
        if run.stationary:
            return state.origin_time + state.time, (run.equilibrate.time or 0.0) + (run.origin_duration or 0.0)
        if origin == EQUILIBRATION:
            if run.equilibrate.time is not None:
                return state.time, run.equilibrate.time
            return float(state.events), (run.equilibrate.events_per_site or 0.0) * simulation.domain.sites
        if spacing is not None:
            share = state.time / spacing if spacing > 0 else 0.0
        else:
            p = simulation.persistence.current if simulation.persistence else 1.0
            share = (1.0 - p) / (1.0 - (run.stop_persistence or 0.0))
        return origin + min(share, 1.0), float(run.origins + run.overlap - 1)

    def _origins(self, sweeps: float, events: float) -> float:
        """Seconds that the origins may take, guessed during the equilibration from sweeps and events per second."""
        run = self._simulation.params.run
        if run.stationary:
            return 0.0
        number = (run.origins + run.overlap - 1) / run.overlap
        if run.origin_duration is not None:
            return number * run.origin_duration / sweeps if sweeps > 0 else 0.0
        each = (run.origin_events_per_site or _EVENTS_PER_ORIGIN) * self._simulation.domain.sites
        return number * each / events if events > 0 else 0.0
