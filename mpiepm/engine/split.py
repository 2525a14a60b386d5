"""Split engine: events that cost the same at any lattice size. Near field at once, far field by transforms when it matters.

The kernel is cut at a radius (`engine.stencil`). An event applies the near part at once and leaves the far part waiting; as
soon as the waiting far field has an rms of `far_tolerance` T / (K sigma_c^(a - 1)), three transforms add it
(`engine.farfield`). The lattice is cut into strips of rows that belong to it and not to the ranks. Within a window every strip
runs on its own exact clock (`engine.strips`); kicks across its edges are delivered when the window ends. A window begins with
the next candidate of the lattice: quiet times cost nothing. Clocks count from there, so that a window keeps its length after a
quiet time of any length.

Approximations, and nothing else: the far field lags, kicks across edges wait, and m > 1 is left out beyond the radius.
"""

import math
from collections.abc import Callable, Generator
from typing import Any

import numpy as np

from mpiepm.core import heartbeat
from mpiepm.core.engine_sections import Split
from mpiepm.engine import bounds, strips, thinning
from mpiepm.engine.buffers import ROW, VIOLATION, Slab
from mpiepm.engine.farfield import FarField
from mpiepm.engine.layout import strip_edges
from mpiepm.engine.written import Written
from mpiepm.grid.domain import Domain
from mpiepm.models.activated import LONGEST
from mpiepm.models.parameters import Parameters
from mpiepm.models.state import Events, State

_RESOLUTION = -20  # log2 of the unit of squared stress drops over mean_drop^2
_LARGEST = 50      # log2 of the largest sum of squares, in this unit: so many times 8192 ranks are below 2^63


def unit_of_squares(tolerance: float, mean_drop: float) -> float:
    """Unit of the sum of squared stress drops, a power of 2: integers add up to the same on any number of ranks.

    Fine enough for a drop of `mean_drop`, and coarse enough for `tolerance`, at which the far field is due, to be counted.
    """
    return 2.0 ** max(2 * round(math.log2(mean_drop)) + _RESOLUTION, math.ceil(math.log2(tolerance)) - _LARGEST)


class SplitEngine:
    """See the module's text. The slabs of `domain` must end at strip edges. Construction is collective."""

    lists = ("crossing",)  # of `save`: not a field of the lattice

    def __init__(self, domain: Domain, params: Parameters, state: State) -> None:
        model, engine = params.model, params.engine
        assert isinstance(engine, Split)
        self.domain = domain
        self._seed, self._elastic, self._window = params.run.seed, model.elasticity, engine.window
        self._far = FarField(domain, model, engine)
        self._tolerance = (engine.far_tolerance * model.stress_scale()) ** 2 * domain.sites / self._far.variance
        self._unit = unit_of_squares(self._tolerance, model.typical_drop())
        self._due = int(self._tolerance / self._unit) + 1  # units from which on the far field is due; sums stop there
        self._radius = engine.radius
        self._all_edges = strip_edges(domain.shape[0], engine.strip)
        inside = (self._all_edges >= domain.first_row) & (self._all_edges <= domain.first_row + domain.local_shape[0])
        self._edges = self._all_edges[inside] - domain.first_row
        start = int(np.flatnonzero(inside)[0])
        self._strips = (start, start + len(self._edges) - 1)  # this rank's
        self._rates = bounds.rates(model)
        self._clocks = thinning.clocks(domain.local_shape)
        self._since = 0.0          # when the last window began, or after it, when it ended: sweeps since the origin
        self._clock = np.zeros(len(self._edges) - 1)  # of the strips, from there on
        self._end = math.inf       # of the open window, from its beginning; inf: none is open
        self._crossing: list[np.ndarray] = []  # events of the open window within the radius of an edge: (n, 5)
        self._squares = 0          # of the drops that wait in the far field, in units of _unit, all ranks
        self._own_squares = 0      # of the open window, on this rank
        self._buffer = np.zeros((4097, 5))
        self._written = Written()
        self._violation: list[float] = []  # site, rate and bound, if a bound of this rank has failed
        thinning.start(self._rates, self._clocks, self._seed, domain.first_row, state.stress)

    @property
    def draws(self) -> np.ndarray:
        """Number of the present candidate of every local row."""
        return self._clocks.draws

    def settle(self, state: State, now: float) -> None:
        """Deliver everything that waits, `now` sweeps after the origin, for an engine that is to take over. Collective."""
        if math.isfinite(self._end):
            self._end = now - self._since
            self._close(state)
        if self._elastic:
            self._far.flush(state.stress)
        self._squares = 0

    def change(self, state: State, alter: Callable[[State], None]) -> None:
        """See `engine.base.Engine`: the window ends, and nothing waits any more."""
        self._written.check(self.domain, state.stress)
        self.settle(state, state.time)
        self._begin_at(state.time - self._since)
        alter(state)
        thinning.scan(self._rates, self._clocks, state.stress, np.arange(self.domain.local_shape[0]), 0.0)
        self._written.remember(state.stress)

    def boundary(self, time: float) -> float:
        """Any time will do; what waits then goes on waiting."""
        return time

    def begin_origin(self, time: float) -> None:
        """See `engine.base.Engine`."""
        self._since -= time

    def advance(self, state: State, until: float) -> Generator[Events, None, None]:
        """See `engine.base.Engine`: one batch, or two, for every window."""
        self._written.check(self.domain, state.stress)
        try:
            while True:
                if math.isinf(self._end):
                    first = self.domain.minimum(float(self._clocks.remaining.min()))
                    if self._since + first > until:
                        break
                    if first > LONGEST:
                        raise thinning.too_late(first, self._since)
                    self._begin_at(first)
                    self._end = self._window
                found = self._run(state, until)
                happened, violated = self.domain.sum_counts(np.array([len(found), len(self._violation)]))
                if violated:
                    where = next(site for site in self.domain.collect(self._violation) if site)
                    raise thinning.violation(where, min(self._since + self._end, until))
                state.events += int(happened)
                state.time = min(self._since + self._end, until)
                yield found
                if until < self._since + self._end:
                    break
                self._close(state)
            state.time = until
        finally:
            self._written.remember(state.stress)

    def _begin_at(self, time: float) -> None:
        """Let all clocks count from `time`, one that they all have reached."""
        strips.synchronise(self._clocks, self._edges, self._clock, time)
        self._since += time

    def _run(self, state: State, until: float) -> Events:
        """Events of this rank's strips until then or the end of the window."""
        self._buffer[-1, 0] = 0
        while True:
            found = strips.run(
                self._far.stencil, self._far.sources, self._elastic, self._rates, self._clocks, self._seed,
                Slab(self.domain.first_row, state.stress, state.plastic_strain), self._edges, self._clock,
                strips.Window(self._since, self._end, until), self._buffer,
            )  # fmt: skip
            if found == VIOLATION:
                self._violation, found = self._buffer[-1, ROW:].tolist(), 0
            if found >= 0:
                break
            heartbeat.beat()
            full = self._buffer
            self._buffer = np.zeros((2 * len(full) - 1, 5))
            self._buffer[: len(full) - 1] = full[:-1]
            self._buffer[-1, 0] = full[-1, 0]
        events = self._buffer[:found]
        if self._elastic:
            edges, near = self._all_edges, np.empty_like(events)
            crossing, squares = strips.crossing(events, edges, self._radius, self._unit, self._due, near)
            self._own_squares = min(self._own_squares + squares, self._due)
            if len(edges) > 2:  # a single strip has no neighbours to tell
                self._crossing.append(near[:crossing])
        time, row, column, drop, angle = events.T
        return Events(row.astype(np.int64), column.astype(np.int64), time, drop, angle)

    def _close(self, state: State) -> None:
        """End the window: kicks across the edges of strips, and the far field if it is due."""
        self._begin_at(self._end)
        self._end = math.inf
        if not self._elastic:
            return
        if len(self._all_edges) > 2:
            self._deliver(state)
        self._squares += int(self.domain.sum_counts(self._own_squares))
        self._own_squares = 0
        if self._squares >= self._due:
            self._far.flush(state.stress)
            self._squares = 0
            rows = np.arange(self.domain.local_shape[0])
            thinning.scan(self._rates, self._clocks, state.stress, rows, 0.0)

    def _deliver(self, state: State) -> None:
        """Kicks of the window's events across the edges of their strips, in an order that belongs to the lattice."""
        own = np.concatenate(self._crossing)
        self._crossing = []
        domain, edges = self.domain, self._all_edges
        first, last = self._strips
        from_above, from_below = own, own
        if domain.size > 1:
            row = own[:, ROW]
            up, down = row - self._radius < edges[first], row + self._radius >= edges[last]
            above, below = domain.swap_with_neighbours(own[up], own[down])
            from_above, from_below = np.concatenate([own, above]), np.concatenate([own, below])
        for side, events in ((1, from_above), (-1, from_below)):
            strips.deliver(
                self._far.stencil, self._rates, self._clocks, state.stress, domain.first_row, edges, first, last, side, events
            )

    def save(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """See `engine.base.Engine`."""
        scalars = {
            "since": self._since,
            "end": self._end,
            "squares": self._squares,
            "window_squares": min(int(self.domain.sum_counts(self._own_squares)), self._due),
        }
        clock = np.repeat(self._clock, np.diff(self._edges))
        columns = (self._clocks.remaining, self._clocks.draws.astype(float), self._far.sources.uniform, clock)
        fields = {
            "limit": self._clocks.limit, "cosine": self._far.sources.source[0], "sine": self._far.sources.source[1],
            "rows": np.stack(columns, axis=1), "crossing": np.concatenate([np.empty((0, 5)), *self._crossing]),
        }  # fmt: skip
        return scalars, fields

    def restore(self, scalars: dict[str, Any], fields: dict[str, np.ndarray]) -> None:
        """Undo `save`, from a checkpoint of any number of ranks. Collective."""
        self._since, self._end, self._squares = scalars["since"], scalars["end"], scalars["squares"]
        self._own_squares = scalars["window_squares"] if self.domain.rank == 0 else 0
        crossing = fields.get("crossing", np.empty((0, 5)))
        self._crossing = [self.domain.send(crossing, self.domain.owners(crossing[:, ROW]))]
        self._clocks.limit[:] = fields["limit"]
        self._far.sources.source[0], self._far.sources.source[1] = fields["cosine"], fields["sine"]
        remaining, draws, self._far.sources.uniform[:], clock = fields["rows"].T
        self._clocks.remaining[:], self._clocks.draws[:] = remaining, draws
        self._clock[:] = clock[self._edges[:-1]]
        thinning.rebuild(self._rates, self._clocks)
        self._written.forget()
