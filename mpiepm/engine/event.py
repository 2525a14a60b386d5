"""Event engine: exact rejection-free dynamics, event by event, at any temperature ("faster than the clock").

The next event comes after an exponential time of mean 1 / W, W = sum_i w_i, at site i with probability w_i / W; it drops the
stress of its site and adds the kernel to all others at once. Neither the whole sum nor most of the rates are ever needed
(`engine.thinning`), and far rows receive an event only when something asks for them (`engine.pending`).

Every rank finds the next event of its own rows; the earliest of all ranks is the one performed, after one small collective.
Times are kept since the origin, and waiting times since the last event, so that both keep their resolution: avalanches last a
few sweeps when the quiet between them lasts 1e12.
"""

import math
from typing import Any

import numpy as np

from mpiepm.core.jit import njit
from mpiepm.engine import bounds, thinning
from mpiepm.engine.bounds import Rates
from mpiepm.engine.buffers import COLUMN, DROP, ROW, TIME, TOO_LATE, VIOLATION, Slab
from mpiepm.engine.pending import Response, catch_up, push, take_turns
from mpiepm.engine.single import SingleEvents
from mpiepm.engine.thinning import NOBODY, VIOLATED, Clocks, Rejections, draw_wait, propose, undo
from mpiepm.grid.collective import Exchange, first
from mpiepm.grid.domain import Domain
from mpiepm.models.activated import LONGEST
from mpiepm.models.parameters import Parameters
from mpiepm.models.state import State

_NEGLIGIBLE = 0.1  # share of the mean yield rate that a site may have without a tight bound
_TOO_LONG = 1e12   # quiet times, compared with the time behind `deep`, during which all sites would be drawn and rejected


@njit
def _deep(p: Rates, time: float) -> float:
    """Load below which a site's rate is negligible if every site has one event in this time, sweeps."""
    return float(p.law.load_at(-math.log(time / _NEGLIGIBLE)))


@njit
def _perform(response: Response, p: Rates, clocks: Clocks, seed: int, slab: Slab, message: np.ndarray) -> None:
    """Bring this rank's rows past the event of `message`."""
    wait, row, column, drop = message[TIME], int(message[ROW]), int(message[COLUMN]), message[DROP]
    stress, pending = slab.stress, response.pending
    own = row - slab.first_row
    here = 0 <= own < stress.shape[0]
    before = stress[own, column] if here else 0.0
    if response.elastic:
        push(response, slab, message)
    rows, n = np.empty(stress.shape[0], np.int64), 0  # whose bounds may fail
    moved, remaining = pending.moved, clocks.remaining
    for i in range(stress.shape[0]):
        remaining[i] -= wait
        if i == own or moved[i] > p.scan_after:
            moved[i] = 0.0
            rows[n] = i
            n += 1
    catch_up(response, slab, rows[:n])
    if here:
        stress[own, column] = before - drop
        slab.plastic_strain[own, column] += drop / p.law.shear_modulus
        thinning.tighten_around(p, clocks, stress, own, column)
    thinning.scan(p, clocks, stress, rows[:n], p.scan_after)
    if response.elastic:
        take_turns(response, slab)
    if here:
        clocks.draws[own] += 1
        remaining[own] = draw_wait(clocks, seed, row, own)


@njit
def _run(
    exchange: Exchange, response: Response, p: Rates, clocks: Clocks, log: Rejections, seed: int, slab: Slab,
    now: float, until: float, messages: np.ndarray, events: np.ndarray, limit: int,
) -> tuple[int, float]:  # fmt: skip
    """Up to `limit` events of all ranks, into `events` (limit, 5), their times since the origin; new `now`. Collective.

    Instead of their number VIOLATION or TOO_LATE, with the message in events[0].
    """
    n = 0
    message = np.empty(5)
    while n < limit:
        rejected = propose(response, p, clocks, log, seed, slab, now, until, message)
        first(exchange, message, messages)
        if message[TIME] == np.inf:
            break
        if message[TIME] == VIOLATED:
            events[0] = message
            return VIOLATION, now
        if message[TIME] > LONGEST:
            events[0] = message
            return TOO_LATE, now
        undo(p, clocks, log, rejected, slab.first_row, message[TIME], int(message[ROW]))
        if message[ROW] == NOBODY:
            continue
        _perform(response, p, clocks, seed, slab, message)
        if message[TIME] > _TOO_LONG and _deep(p, message[TIME] / _TOO_LONG) < clocks.deep[0]:
            clocks.deep[0] = _deep(p, message[TIME])
        now += message[TIME]
        events[n] = message
        events[n, TIME] = now
        n += 1
    return n, now


class EventEngine(SingleEvents):
    """Exact dynamics on the slabs of `domain`; see the module's text. Construction is collective."""

    def __init__(self, domain: Domain, params: Parameters, state: State) -> None:
        super().__init__(domain, params)
        self._rates = bounds.rates(params.model)
        self._clocks = thinning.clocks(domain.local_shape)
        self._log = thinning.rejections()
        self._last = 0.0        # time of the last event since the origin
        self._since = (0, 0.0)  # event and time at which `deep` was last set
        thinning.start(self._rates, self._clocks, self._seed, domain.first_row, state.stress)

    def continue_draws(self, draws: np.ndarray) -> None:
        """Begin with the candidates after `draws` (local rows,), used up by another engine."""
        self._clocks.draws[:] = draws + 1
        thinning.draw_waits(self._clocks, self._seed, self.domain.first_row)

    def boundary(self, time: float) -> float:
        """Any time will do."""
        return time

    def begin_origin(self, time: float) -> None:
        """See `engine.base.Engine`: the event pending is as far in the future as before."""
        self._last -= time
        self._since = (self._since[0], self._since[1] - time)

    def save(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """See `engine.base.Engine`: limits, clocks, and what the rows may have moved since they were scanned."""
        scalars = {"last": self._last, "since": list(self._since), "deep": self._clocks.deep[0]}
        rows = np.stack([self._clocks.remaining, self._clocks.draws.astype(float), self._response.pending.moved], axis=1)
        return scalars, {"limit": self._clocks.limit, "rows": rows}

    def restore(self, scalars: dict[str, Any], fields: dict[str, np.ndarray]) -> None:
        """Undo `save`."""
        self._last, self._since = scalars["last"], tuple(scalars["since"])
        self._clocks.deep[0] = scalars["deep"]
        self._clocks.limit[:] = fields["limit"]
        self._clocks.remaining[:], self._clocks.draws[:], self._response.pending.moved[:] = fields["rows"].T
        thinning.rebuild(self._rates, self._clocks)
        self._written.forget()

    def _renew(self, state: State) -> None:
        """Waiting times count from now on, in proportion to the new sums of bounds."""
        remaining = self._clocks.remaining
        np.maximum(remaining - (state.time - self._last), 0.0, out=remaining)
        self._last = state.time
        self._response.pending.moved[:] = 0.0
        thinning.scan(self._rates, self._clocks, state.stress, np.arange(len(remaining)), self._rates.scan_after)

    def _limit(self, state: State, until: float) -> int:
        """Until `deep` is to be set anew, after as many events as there are sites."""
        if state.events - self._since[0] >= self.domain.sites:
            self._set_deep(state.events)
        return self._since[0] + self.domain.sites - state.events

    def _set_deep(self, events: int) -> None:
        """Choose `deep` by the yield rate since the last time."""
        passed, p = self._last - self._since[1], self._rates
        self._since = (events, self._last)
        if passed > _NEGLIGIBLE:
            self._clocks.deep[0] = _deep(p, passed)

    def _perform(self, state: State, until: float, limit: int) -> int:
        found, self._last = _run(
            self._exchange, self._response, self._rates, self._clocks, self._log, self._seed, self._slab(state),
            self._last, until, self._messages, self._events, limit,
        )  # fmt: skip
        if found == VIOLATION:
            raise thinning.violation(self._events[0, ROW:].tolist(), self._last)
        if found == TOO_LATE:
            raise thinning.too_late(float(self._events[0, TIME]), self._last)
        return found
