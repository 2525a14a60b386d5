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
from mpiepm.engine.pending import Pending, catch_up, push, take_turns
from mpiepm.engine.realspace import Tables
from mpiepm.engine.single import SingleEvents
from mpiepm.engine.thinning import NOBODY, VIOLATED, Clocks, Rejections, draw_wait, propose, undo
from mpiepm.grid.collective import Exchange, first
from mpiepm.grid.domain import Domain
from mpiepm.models.activated import LONGEST
from mpiepm.models.parameters import Parameters
from mpiepm.models.state import State

_NEGLIGIBLE = 0.1  # share of the mean yield rate that a site may have without a tight bound
_TOO_LONG = 1e12   # quiet times, compared with the time behind `deep`, during which all sites would be drawn in vain


@njit
def _deep(p: Rates, time: float) -> float:
    """Load below which a site's rate is negligible if every site has one event in this time, sweeps."""
    return float(p.law.load_at(-math.log(time / _NEGLIGIBLE)))


@njit
def _perform(
    tables: Tables, pending: Pending, elastic: bool, p: Rates, clocks: Clocks, seed: int, first_row: int,
    message: np.ndarray, stress: np.ndarray, plastic_strain: np.ndarray,
) -> None:  # fmt: skip
    """Bring this rank's rows past the event of `message`."""
    wait, row, column, drop, angle = message[0], int(message[1]), int(message[2]), message[3], message[4]
    own = row - first_row
    here = 0 <= own < stress.shape[0]
    before = stress[own, column] if here else 0.0
    if elastic:
        push(tables, pending, first_row, row, column, drop, angle, stress)
    rows, n = np.empty(stress.shape[0], np.int64), 0  # whose bounds may fail
    moved, remaining = pending.moved, clocks.remaining
    for i in range(stress.shape[0]):
        remaining[i] -= wait
        if i == own or moved[i] > p.scan_after:
            moved[i] = 0.0
            rows[n] = i
            n += 1
    catch_up(tables, pending, first_row, stress, rows[:n])
    if here:
        stress[own, column] = before - drop
        plastic_strain[own, column] += drop / p.law.shear_modulus
        thinning.tighten_around(p, clocks, stress, own, column)
    thinning.scan(p, clocks, stress, rows[:n], p.scan_after)
    if elastic:
        take_turns(tables, pending, first_row, stress)
    if here:
        clocks.draws[own] += 1
        remaining[own] = draw_wait(clocks, seed, row, own)


@njit
def _run(
    exchange: Exchange, tables: Tables, pending: Pending, elastic: bool, p: Rates, clocks: Clocks, log: Rejections,
    seed: int, first_row: int, now: float, until: float, stress: np.ndarray, plastic_strain: np.ndarray,
    messages: np.ndarray, events: np.ndarray, limit: int,
) -> tuple[int, float]:  # fmt: skip
    """Up to `limit` events of all ranks, into `events` (limit, 5): time, row, column, drop, angle; new `now`. Collective.

    Instead of their number, with the message in events[0]: -1 if a bound is violated, -2 if the wait is longer than LONGEST.
    """
    n = 0
    message = np.empty(5)
    while n < limit:
        rejected = propose(tables, pending, p, clocks, log, seed, first_row, now, until, stress, message)
        first(exchange, message, messages)
        if message[0] == np.inf:
            break
        if message[0] == VIOLATED:
            events[0] = message
            return -1, now
        if message[0] > LONGEST:
            events[0] = message
            return -2, now
        undo(p, clocks, log, rejected, first_row, message[0], int(message[1]))
        if message[1] == NOBODY:
            continue
        _perform(tables, pending, elastic, p, clocks, seed, first_row, message, stress, plastic_strain)
        if message[0] > _TOO_LONG and _deep(p, message[0] / _TOO_LONG) < clocks.deep[0]:
            clocks.deep[0] = _deep(p, message[0])
        now += message[0]
        events[n] = message
        events[n, 0] = now
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
        rows = np.stack([self._clocks.remaining, self._clocks.draws.astype(float), self._pending.moved], axis=1)
        return scalars, {"limit": self._clocks.limit, "rows": rows}

    def restore(self, scalars: dict[str, Any], fields: dict[str, np.ndarray]) -> None:
        """Undo `save`."""
        self._last, self._since = scalars["last"], tuple(scalars["since"])
        self._clocks.deep[0] = scalars["deep"]
        self._clocks.limit[:] = fields["limit"]
        self._clocks.remaining[:], self._clocks.draws[:], self._pending.moved[:] = fields["rows"].T
        thinning.rebuild(self._rates, self._clocks)
        self._written.forget()

    def _renew(self, state: State) -> None:
        """Waiting times count from now on, in proportion to the new sums of bounds."""
        remaining = self._clocks.remaining
        np.maximum(remaining - (state.time - self._last), 0.0, out=remaining)
        self._last = state.time
        self._pending.moved[:] = 0.0
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
            self._exchange, self._tables, self._pending, self._elastic, self._rates, self._clocks, self._log, self._seed,
            self.domain.first_row, self._last, until, state.stress, state.plastic_strain,
            self._messages, self._events, limit,
        )  # fmt: skip
        if found == -1:
            raise thinning.violation(self._events[0, 1:].tolist(), self._last)
        if found == -2:
            raise thinning.too_late(float(self._events[0, 0]), self._last)
        return found
