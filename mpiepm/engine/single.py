"""What the engines share that perform one event at a time on all ranks."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator

import numpy as np

from mpiepm.engine import pending, realspace
from mpiepm.engine.buffers import ROW, TIME, Slab
from mpiepm.engine.pending import Response
from mpiepm.engine.written import Written
from mpiepm.grid.domain import Domain
from mpiepm.models.parameters import Parameters
from mpiepm.models.state import Events, State

BATCH = 4096            # events handed out together, at most
_BATCH_SITES = 2.0**30  # events of a batch times sites of the lattice, at most: it takes about a third of a second


class SingleEvents(ABC):
    """The kernel in real space, the list of pending events, and batches for the observers. Construction is collective."""

    def __init__(self, domain: Domain, params: Parameters) -> None:
        model = params.model
        self.domain = domain
        self._seed = params.run.seed
        tables = realspace.tables(domain.shape, model.response()) if model.elasticity else realspace.nothing(domain.shape)
        self._response = Response(model.elasticity, tables, pending.empty(tables, domain.local_shape[0], domain.size))
        self._exchange = domain.exchange()
        self._batch = int(max(1, min(BATCH, _BATCH_SITES / domain.sites)))
        self._messages = np.empty((domain.size, 5))  # of one event, see `buffers`; extremal dynamics: a priority for its time
        self._events = np.empty((BATCH, 5))          # of the lattice, with times since the origin
        self._stability = np.empty(0)                # of each of them, where it is known
        self._written = Written()

    @abstractmethod
    def _limit(self, state: State, until: float) -> int:
        """How many events may be performed before the engine has to return."""

    @abstractmethod
    def _perform(self, state: State, until: float, limit: int) -> int:
        """Perform up to `limit` events into the buffer and return how many there were until `until`. Collective."""

    @abstractmethod
    def _renew(self, state: State) -> None:
        """The stress of any site has become another, at state.time."""

    def change(self, state: State, alter: Callable[[State], None]) -> None:
        """See `engine.base.Engine`."""
        self._written.check(self.domain, state.stress)
        alter(state)
        self._renew(state)
        self._written.remember(state.stress)

    def advance(self, state: State, until: float) -> Generator[Events, None, None]:
        """See `engine.base.Engine`: batches of up to `BATCH` events of the whole lattice."""
        self._written.check(self.domain, state.stress)
        try:
            while (limit := min(self._batch, self._limit(state, until))) > 0:
                found = self._perform(state, until, limit)
                state.events += found
                if found:
                    state.time = float(self._events[found - 1, TIME])
                    yield self._own(found)
                if found < limit:
                    break
            state.time = until
        finally:
            pending.catch_up_all(self._response, self._slab(state))
            self._written.remember(state.stress)

    def _slab(self, state: State) -> Slab:
        """The rows of this rank."""
        return Slab(self.domain.first_row, state.stress, state.plastic_strain)

    def _own(self, found: int) -> Events:
        """The events in the buffer that happened on this rank's rows."""
        first, rows = self.domain.first_row, self.domain.local_shape[0]
        row = self._events[:found, ROW]
        own = (row >= first) & (row < first + rows)
        time, row, column, drop, angle = self._events[:found][own].T
        stability = self._stability[:found][own] if self._stability.size else None
        return Events(row.astype(np.int64), column.astype(np.int64), time, drop, angle, stability)
