"""Step engine: events of finite duration, all sites at once in steps of fixed length.

One step (Ferrero, Martens & Barrat, PRL 113, 248301, 2014, eqs. 1, 2), from the signs n(t) of the active sites:

    V = G * n, u = U * n           one forward transform, one backward, two more where there are tracers
    sigma += dt gfac eps0 V        2 mu gfac eps0 / (2 tau), mu = tau = 1
    tracers += dt ugain eps0 / 2 u at their places
    every site switches at most once, by its new stress and its old n  (`switch` of the model).

The transforms are fused (`grid.fft.Transform.convolve`): a block of rows of V is used while it lies in the cache. When no
site of the whole lattice is active, V is 0 and nothing is transformed; where few are, V is kept for the next step, in which it
may well be the same. An event is an activation; its time is the end of the step.

Draws belong to (seed, row, step, column): the trajectory is the same on any number of ranks.
"""

from collections.abc import Callable, Generator
from typing import Any

import numpy as np

from mpiepm.core.engine_sections import Step
from mpiepm.core.schedule import end_of_step
from mpiepm.engine.tracers import Tracers
from mpiepm.grid.domain import Domain
from mpiepm.grid.fft import Transform
from mpiepm.models.parameters import Parameters
from mpiepm.models.state import Events, State

_ROWS = 32        # of a block where nothing is transformed
_QUIET = 1 << 20  # sites times steps without an event, after which an empty batch is handed out
_FEW_CHANGES = 2  # of active sites, expected in a step: below, a step without any is likely enough for V to be kept


class StepEngine:
    """Steps on the slabs of `domain`; see the module's text. Construction is collective.

    Attributes
    ----------
    tracers : the particles, or None
    """

    def __init__(self, domain: Domain, params: Parameters, state: State) -> None:
        model, engine = params.model, params.engine
        assert isinstance(engine, Step)
        self.domain = domain
        self.time_step = engine.time_step
        self.tracers = Tracers(domain, params.tracers, params.run.seed) if params.tracers else None
        self._seed = params.run.seed
        self._rules = model.rules(engine.time_step)
        self._switch_sites = model.switch
        self._transform = transform = Transform(domain, engine.precision, engine.planning)
        where = domain.shape, transform.kx, transform.ky
        g = model.stress_kernel(*where)
        self.local_response = float(transform.sum_columns(g.sum(axis=1))) / domain.sites
        g *= model.stress_rate(self.local_response) * engine.time_step / domain.sites  # the transforms are unnormalised
        kernels = [g[None]]
        if self.tracers:
            u = model.displacement_kernel(*where)
            kernels.append(u * (model.displacement_rate() * engine.time_step / domain.sites))
            self._displacement = np.zeros((2, domain.local_shape[0] + 1, domain.shape[1]))  # the last row: a neighbour's
        self._multipliers = np.concatenate(kernels).astype(transform.real)
        self._words = np.zeros((domain.shape[1] + 7) // 8, np.uint64)
        self._number = 0   # steps since the start of the run: names the draws
        self._elapsed = 0  # steps since the origin: the clock
        self._state = state
        self._row, self._column, self._sign = np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
        self._found = self._balance = 0
        self._active = 0  # sites of the whole lattice
        self._turnover = 2 * self._rules.rest  # changes of n in a step, for each active site: one ends, one begins
        self._same = False  # are n and the velocities those of the step before?
        self._velocity = np.zeros((0, domain.shape[1]), transform.real)  # V of the step before, while few sites are active

    def boundary(self, time: float) -> float:
        """End of the step that holds `time`; `time` itself if it is the end of one."""
        return end_of_step(time, self.time_step)

    def change(self, state: State, alter: Callable[[State], None]) -> None:
        """See `engine.base.Engine`: active sites are counted anew."""
        alter(state)
        assert state.active is not None
        self._active = int(self.domain.sum_counts(int(np.count_nonzero(state.active))))
        self._same = False

    def begin_origin(self, time: float) -> None:
        """Start the clock anew; the draws go on. Tracers are placed at the first origin."""
        self._elapsed = 0
        if self.tracers:
            self.tracers.place()
            self._same = False  # now a displacement is wanted too

    def save(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Counters for a checkpoint."""
        return {"number": self._number, "elapsed": self._elapsed, "active": self._active}, {}

    def restore(self, scalars: dict[str, Any], fields: dict[str, np.ndarray]) -> None:
        """Undo `save`."""
        self._number, self._elapsed, self._active = scalars["number"], scalars["elapsed"], scalars["active"]

    def advance(self, state: State, until: float) -> Generator[Events, None, None]:
        """See `engine.base.Engine`: one batch of events for each step that has any on some rank, empty ones in between."""
        assert state is self._state
        target = round(until / self.time_step)
        quiet, most = 0, _QUIET // self.domain.sites
        while self._elapsed < target:
            self._step()
            counts = self.domain.sum_counts(np.array([self._found, self._balance]))
            state.active_steps += self._active
            state.events += int(counts[0])
            self._active += int(counts[1])
            self._same = not counts.any()
            self._number += 1
            self._elapsed += 1
            state.time = self._elapsed * self.time_step
            quiet = 0 if counts[0] or quiet >= most else quiet + 1
            if quiet == 0:
                yield self._events(state.time)
        state.time = target * self.time_step

    def _events(self, time: float) -> Events:
        n = self._found
        return Events(self._row[:n], self._column[:n], np.full(n, time), self._sign[:n], np.zeros(n))

    def _step(self) -> None:
        """One step of the fields and the tracers; events and change of activity are left for the caller."""
        self._found = self._balance = 0
        moving = self.tracers is not None and self.tracers.placed
        few = self._active * self._turnover < _FEW_CHANGES
        if few != bool(len(self._velocity)):
            self._velocity = np.zeros((self.domain.local_shape[0] if few else 0, self.domain.shape[1]), self._transform.real)
        if self._active and not (self._same and few):
            results = 3 if moving else 1
            self._transform.convolve(self._fill, self._multipliers[:results], (False, True, True)[:results], self._take)
        else:
            if not self._active:
                self._velocity[:] = 0.0
            for first in range(0, len(self._velocity), _ROWS):
                self._switch(first, self._velocity[first : first + _ROWS])
        if self._active and moving and self.tracers is not None:
            if not self._same:
                self._fetch_row_below()
            self.tracers.move(self._displacement)

    def _fill(self, k: int, first: int, block: np.ndarray) -> None:
        assert self._state.active is not None
        block[:] = self._state.active[first : first + len(block)]

    def _take(self, k: int, first: int, block: np.ndarray) -> None:
        """Use rows of a result of the convolution: change of stress, or displacement along x or y."""
        last = first + len(block)
        if k:
            self._displacement[k - 1, first:last] = block
            return
        if len(self._velocity):
            self._velocity[first:last] = block
        self._switch(first, block)

    def _switch(self, first: int, block: np.ndarray) -> None:
        """The sites of some rows, one step on, by the change of their stress."""
        last = first + len(block)
        state = self._state
        assert state.active is not None
        self._reserve(self._found + block.size)
        self._found, balance = self._switch_sites(
            self.domain.first_row + first, self._number, self._seed, self._rules, block,
            state.stress[first:last], state.active[first:last], state.plastic_strain[first:last],
            self._words.view(np.uint8), self._words, self._found, self._row, self._column, self._sign,
        )  # fmt: skip
        self._balance += balance

    def _reserve(self, capacity: int) -> None:
        """Room for so many events, of which some may be there already."""
        if capacity > len(self._row):
            for name in ("_row", "_column", "_sign"):
                old = getattr(self, name)
                new = np.empty(2 * capacity, old.dtype)
                new[: len(old)] = old
                setattr(self, name, new)

    def _fetch_row_below(self) -> None:
        """The displacement of the row after our last one, for the tracers between the two. Collective."""
        below = self.domain.swap_with_neighbours(self._displacement[:, 0], np.empty((0, self.domain.shape[1])))[1]
        self._displacement[:, -1] = below
