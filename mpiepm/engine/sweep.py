"""Sweep engine: windows of fixed length, one redistribution each; the work-horse where activity is high.

Within a window every site attempts at rate 1 and fires with probability w(sigma) (`models.law`), so that it fires at
rate w; an event drops the stress of its own site at once, and the site may fire again. What the events do to the
other sites is added at the end of the window, by distributed transforms (`engine.redistribution`). Without elasticity
the dynamics is therefore exact for any window; with it the window is the only approximation.

An empty window changes nothing, so nothing is exchanged for it but a look ahead: every rank searches its own next
window with an event, and the earliest of all ranks is the next one performed.

Draws belong to (seed, row, window, attempt): the trajectory is the same on any number of ranks.
"""

from collections.abc import Callable, Generator
from typing import Any

import numpy as np

from mpiepm.core.engine_sections import Sweep
from mpiepm.core.jit import njit
from mpiepm.core.schedule import end_of_step
from mpiepm.core.streams import Stream
from mpiepm.engine.buffers import FULL
from mpiepm.engine.redistribution import Redistribution
from mpiepm.grid.domain import Domain
from mpiepm.grid.rng import exponential, philox, uniform
from mpiepm.models.law import Law, rate
from mpiepm.models.parameters import Parameters
from mpiepm.models.state import Events, State

_ATTEMPT, _EVENT = int(Stream.SWEEP_ATTEMPT), int(Stream.SWEEP_EVENT)
_LONGEST_LOOK_AHEAD = 1 << 21  # attempts of the whole lattice: a few hundredths of a second


@njit
def _window_events(
    law: Law, stress: np.ndarray, first_row: int, number: int, window: float, seed: int,
    row: np.ndarray, column: np.ndarray, time: np.ndarray, drop: np.ndarray, angle: np.ndarray,
) -> int:  # fmt: skip
    """Events of window `number` on these rows, as a pure function of the stress at its start.

    Returns their number, or FULL if the output arrays are too short.
    """
    rows, columns = stress.shape
    pause = 1.0 / columns  # mean time between two attempts in a row
    line = np.empty(columns)
    n = 0
    for i in range(rows):
        line[:] = stress[i]  # to change it, and because reading a row in order is faster than fetching its sites one by one
        t = 0.0
        attempt = 0
        while True:
            # whose turn it is in this row, and whether it fires
            w0, w1, w2, _ = philox(seed, _ATTEMPT, attempt, first_row + i, number, 0)
            t += exponential(w0) * pause
            if t >= window:
                break
            j = int(uniform(w1) * columns)
            s = line[j]
            if uniform(w2) < rate(law, s):
                if n == row.size:
                    return FULL
                drop[n], angle[n] = law.event(s, philox(seed, _EVENT, attempt, first_row + i, number, 0))
                line[j] = s - drop[n]
                row[n], column[n], time[n] = first_row + i, j, t
                n += 1
            attempt += 1
    return n


@njit
def _drop_own_stress(
    first_row: int, row: np.ndarray, column: np.ndarray, drop: np.ndarray, shear_modulus: float,
    stress: np.ndarray, plastic_strain: np.ndarray,
) -> None:  # fmt: skip
    for e in range(row.size):
        i, j = row[e] - first_row, column[e]
        stress[i, j] -= drop[e]
        plastic_strain[i, j] += drop[e] / shear_modulus


class SweepEngine:
    """Batched windows on the slabs of `domain`; see the module's text. Construction is collective."""

    def __init__(self, domain: Domain, params: Parameters) -> None:
        model = params.model
        assert isinstance(params.engine, Sweep)
        self.domain = domain
        self.window = params.engine.window
        self._seed = params.run.seed
        self._law = model.law()
        self._redistribution = Redistribution(domain, model, params.engine) if model.elasticity else None
        self._number = 0   # windows since the start of the run: names the draws
        self._elapsed = 0  # windows since the origin: the clock
        self._look_ahead = 1
        attempts = domain.sites * self.window + domain.shape[0]  # of a window; every row draws one too many
        self._longest_look_ahead = max(1, int(_LONGEST_LOOK_AHEAD / attempts))
        self._reserve(1024)

    def _reserve(self, capacity: int) -> None:
        self._row, self._column = np.empty(capacity, np.int64), np.empty(capacity, np.int64)
        self._time, self._drop, self._angle = np.empty(capacity), np.empty(capacity), np.empty(capacity)

    def boundary(self, time: float) -> float:
        """End of the window that holds `time`; `time` itself if it is the end of one."""
        return end_of_step(time, self.window)

    def change(self, state: State, alter: Callable[[State], None]) -> None:
        """See `engine.base.Engine`: every window looks at the stress anew."""
        alter(state)

    def begin_origin(self, time: float) -> None:
        """Start the clock anew; the draws go on."""
        self._elapsed = 0

    def save(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Counters for a checkpoint."""
        return {"number": self._number, "elapsed": self._elapsed}, {}

    def restore(self, scalars: dict[str, Any], fields: dict[str, np.ndarray]) -> None:
        """Undo `save`."""
        self._number, self._elapsed = scalars["number"], scalars["elapsed"]

    def _find(self, stress: np.ndarray, number: int) -> int:
        """Number of events of window `number` on this rank, left in the buffers."""
        while True:
            found = _window_events(
                self._law, stress, self.domain.first_row, number, self.window, self._seed,
                self._row, self._column, self._time, self._drop, self._angle,
            )  # fmt: skip
            if found != FULL:
                return found
            self._reserve(2 * len(self._row))

    def _events(self, found: int) -> Events:
        start = self._elapsed * self.window
        return Events(
            self._row[:found], self._column[:found], start + self._time[:found], self._drop[:found], self._angle[:found]
        )

    def advance(self, state: State, until: float) -> Generator[Events, None, None]:
        """See `engine.base.Engine`: one batch of events for each window that has any, an empty one for each look ahead."""
        target = round(until / self.window)
        while self._elapsed < target:
            limit = min(self._look_ahead, target - self._elapsed)
            found, empty = 0, 0
            while empty < limit and (found := self._find(state.stress, self._number + empty)) == 0:
                empty += 1
            skipped = int(self.domain.minimum(empty))
            self._number += skipped
            self._elapsed += skipped
            if skipped == limit:
                self._look_ahead = min(2 * self._look_ahead, self._longest_look_ahead)
                state.time = self._elapsed * self.window
                yield self._events(0)
                continue
            self._look_ahead = 1
            events = self._events(found if empty == skipped else 0)
            self._perform(events, state)
            self._number += 1
            self._elapsed += 1
            state.time = self._elapsed * self.window
            yield events
        state.time = target * self.window

    def _perform(self, events: Events, state: State) -> None:
        _drop_own_stress(
            self.domain.first_row, events.row, events.column, events.drop, self._law.shear_modulus,
            state.stress, state.plastic_strain,
        )  # fmt: skip
        if self._redistribution is not None:
            self._redistribution.spread(events, state.stress)
        state.events += int(self.domain.sum_counts(len(events)))
