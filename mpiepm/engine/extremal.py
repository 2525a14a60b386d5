"""Extremal dynamics, the event engine at T -> 0+: always the site with the lowest barrier fires.

At a vanishing temperature the rate of the site with the largest load exceeds all others by any factor, so it is the next
one. While there are unstable sites, |stress| >= threshold, they fire first, at rate 1 each: any of them is the next with
equal probability. Waiting times lose their meaning, and time counts the events since the origin.

The largest of n uniform numbers is u^(1/n): so every row draws a priority for its unstable sites, and the largest priority
of all rows picks among all of them evenly. Nothing but the number of the event enters the draws.

What a row's largest load may be is bounded by its value when last looked at and what the row may have moved since; only
rows whose bound could win catch up.
"""

import math
from typing import Any

import numpy as np

from mpiepm.core.faults import SickRunError
from mpiepm.core.jit import njit
from mpiepm.core.streams import Stream
from mpiepm.engine.buffers import ANGLE, COLUMN, DROP, ROW, TIME, Slab
from mpiepm.engine.pending import Response, catch_up, push, take_turns
from mpiepm.engine.single import BATCH, SingleEvents
from mpiepm.engine.thinning import VIOLATED
from mpiepm.grid.collective import Exchange, first
from mpiepm.grid.domain import Domain
from mpiepm.grid.rng import philox, uniform
from mpiepm.models.law import Law
from mpiepm.models.parameters import Parameters
from mpiepm.models.state import State

_SITE, _EVENT = int(Stream.EXTREMAL_SITE), int(Stream.EXTREMAL_EVENT)


@njit
def _largest(law: Law, stress: np.ndarray, i: int) -> tuple[int, float]:
    """Column and load of the site of row i with the largest load."""
    column, value = 0, law.load(stress[i, 0])
    for j in range(stress.shape[1]):
        if law.load(stress[i, j]) > value:
            column, value = j, law.load(stress[i, j])
    return column, value


@njit
def _unstable(law: Law, stress: np.ndarray, i: int) -> np.ndarray:
    """Columns of the unstable sites of row i: int64 (n,)."""
    threshold, found, n = law.load_at(0.0), np.empty(stress.shape[1], np.int64), 0
    for j in range(stress.shape[1]):
        if law.load(stress[i, j]) >= threshold:
            found[n] = j
            n += 1
    return found[:n]


@njit
def _look(response: Response, law: Law, slab: Slab, peak: np.ndarray, rows: np.ndarray) -> None:
    """Bring some rows up to date. One that was not bounded by its peak and what it may have moved gets an infinite peak."""
    catch_up(response, slab, rows)
    stress, pending = slab.stress, response.pending
    for i in rows:
        _, value = _largest(law, stress, i)
        peak[i] = value if value <= (peak[i] + pending.moved[i]) * (1.0 + 1e-9) else np.inf
        pending.moved[i] = 0.0


@njit
def _choose(response: Response, law: Law, seed: int, number: int, slab: Slab, peak: np.ndarray) -> tuple[int, int, float]:
    """Row, column and priority of the site that fires on this rank: below -1 if it is unstable."""
    stress, first_row, pending = slab.stress, slab.first_row, response.pending
    rows = stress.shape[0]
    one = np.empty(1, np.int64)
    while True:
        one[0] = np.argmax(peak + pending.moved)
        best = one[0]
        if pending.moved[best] == 0.0:
            break
        _look(response, law, slab, peak, one)
    if peak[best] == np.inf:
        return best, _largest(law, stress, best)[0], VIOLATED
    threshold = law.load_at(0.0)
    if peak[best] < threshold:
        return best, _largest(law, stress, best)[0], -law.relative(peak[best])
    row, column, priority = -1, -1, 0.0
    for i in range(rows):
        if peak[i] + pending.moved[i] >= threshold:
            one[0] = i
            _look(response, law, slab, peak, one)
        if peak[i] + pending.moved[i] < threshold:
            continue
        unstable = _unstable(law, stress, i)
        w0, w1, _, _ = philox(seed, _SITE, number, first_row + i, 0, 0)
        own = -1.0 - uniform(w0) ** (1.0 / unstable.size)
        if own < priority:
            row, column, priority = i, unstable[int(uniform(w1) * unstable.size)], own
    return row, column, priority


@njit
def _propose(
    response: Response, law: Law, seed: int, number: int, slab: Slab, peak: np.ndarray, message: np.ndarray
) -> None:  # fmt: skip
    """Event `number`, if no other rank has a better one; in the column TIME its priority, smallest first."""
    i, j, message[TIME] = _choose(response, law, seed, number, slab, peak)
    message[ROW], message[COLUMN] = slab.first_row + i, j
    message[DROP], message[ANGLE] = law.event(slab.stress[i, j], philox(seed, _EVENT, number, 0, 0, 0))


@njit
def _perform(response: Response, law: Law, slab: Slab, message: np.ndarray, peak: np.ndarray) -> None:
    """Bring this rank's rows past the event of `message`."""
    own, column, drop, stress = int(message[ROW]) - slab.first_row, int(message[COLUMN]), message[DROP], slab.stress
    here = 0 <= own < stress.shape[0]
    before = stress[own, column] if here else 0.0
    if response.elastic:
        push(response, slab, message)
        take_turns(response, slab)
    if here:
        rows = np.full(1, own)
        catch_up(response, slab, rows)
        stress[own, column] = before - drop
        slab.plastic_strain[own, column] += drop / law.shear_modulus
        response.pending.moved[own] = np.inf  # its own event is no kick
        _look(response, law, slab, peak, rows)


@njit
def _run(
    exchange: Exchange, response: Response, law: Law, seed: int, number: int, time: float, slab: Slab, peak: np.ndarray,
    messages: np.ndarray, events: np.ndarray, stability: np.ndarray, limit: int,
) -> bool:  # fmt: skip
    """`limit` events of all ranks, into `events` (limit, 5) and `stability`. Collective.

    Returns whether all bounds held; if not, the message is in events[0].
    """
    for n in range(limit):
        message = events[n]
        _propose(response, law, seed, number + n, slab, peak, message)
        first(exchange, message, messages)
        if message[TIME] == VIOLATED:
            events[0] = message
            return False
        _perform(response, law, slab, message, peak)
        stability[n] = 1.0 + message[TIME]
        message[TIME] = time + n + 1
    return True


class ExtremalEngine(SingleEvents):
    """Extremal dynamics on the slabs of `domain`; see the module's text. Construction is collective."""

    def __init__(self, domain: Domain, params: Parameters) -> None:
        super().__init__(domain, params)
        self._law = params.model.law()
        self._peak = np.zeros(domain.local_shape[0])
        self._response.pending.moved[:] = np.inf  # nobody has looked yet
        self._stability = np.empty(BATCH)

    def boundary(self, time: float) -> float:
        """The next whole number: time counts events."""
        return float(math.ceil(time)) if math.isfinite(time) else time

    def begin_origin(self, time: float) -> None:
        """Nothing refers to the origin."""

    def save(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Nothing: the state is all there is, and the largest stresses are soon found again."""
        return {}, {}

    def restore(self, scalars: dict[str, Any], fields: dict[str, np.ndarray]) -> None:
        """Undo `save`."""
        self._response.pending.moved[:] = np.inf
        self._written.forget()

    def _renew(self, state: State) -> None:
        """Nobody has looked yet."""
        self._response.pending.moved[:] = np.inf

    def _limit(self, state: State, until: float) -> int:
        """The events still to come until `until`."""
        return int(min(until - state.time, 2.0**62))

    def _perform(self, state: State, until: float, limit: int) -> int:
        sound = _run(
            self._exchange, self._response, self._law, self._seed, state.events, state.time, self._slab(state), self._peak,
            self._messages, self._events, self._stability, limit,
        )  # fmt: skip
        if not sound:
            row, column = self._events[0, [ROW, COLUMN]]
            raise SickRunError(
                f"site ({row:.0f}, {column:.0f}): the largest stress of its row was above the bound by which the engine has "
                f"chosen, after {state.events} events: a fault of the program or of the machine"
            )
        state.time += limit
        return limit
