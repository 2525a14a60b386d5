"""Who fires next: exact selection from upper bounds of the rates (thinning, Lewis & Shedler 1979).

Every site has a bound on its rate (`engine.bounds`), and every row has a Poisson clock that ticks at the sum of its bounds. At
a tick one site of the row is drawn in proportion to the bounds, and fires with the probability rate / bound: so every site
fires at exactly its rate, whatever the bounds, and only the sites whose limit comes near need an exponential. When the sum of a
row changes, the rest of its waiting time is rescaled, which is exact for an exponential one (Gibson & Bruck, J. Phys. Chem. A
104, 1876, 2000).

A row is scanned as soon as its stress may have moved by `scan_after` since it was last (`engine.pending`); after a scan every
site is at least that far below its limit.

Draws belong to (seed, row, candidate of that row).
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mpiepm.core.faults import RunError, SickRunError
from mpiepm.core.jit import njit
from mpiepm.core.streams import Stream
from mpiepm.engine.bounds import TILE, Rates, close_to_limit, refresh, renew, sum_of, tighten
from mpiepm.engine.buffers import ANGLE, COLUMN, DROP, ROW, TIME, Slab
from mpiepm.engine.pending import Response, catch_up
from mpiepm.grid.rng import exponential, philox, uniform
from mpiepm.models.activated import LONGEST
from mpiepm.models.law import rate

_STREAM = int(Stream.EVENT)
_LOG = 64          # rejections a rank may look ahead
NOBODY = -1        # in place of a row
VIOLATED = -math.inf  # in place of a waiting time: before all others


class Clocks(NamedTuple):
    """Bounds and clocks of this rank's rows.

    Attributes
    ----------
    limit, bound : float32 (rows, Ly): stress, and upper bound of the rate while |stress| <= limit, times the scale of its tile
    scale : float64 (rows, tiles): powers of two
    tile : float64 (rows, tiles);  total : float64 (rows,): sums of the bounds
    remaining : float64 (rows,): sweeps from the last event to the next candidate of each row
    draws : int64 (rows,): number of that candidate
    deep : float64 (1,): stress below which bounds need not be tight
    """

    limit: np.ndarray
    bound: np.ndarray
    scale: np.ndarray
    tile: np.ndarray
    total: np.ndarray
    remaining: np.ndarray
    draws: np.ndarray
    deep: np.ndarray


def clocks(shape: tuple[int, int]) -> Clocks:
    """Not yet started clocks for a slab of this shape."""
    rows, columns = shape
    tiles = -(-columns // TILE)
    return Clocks(
        np.empty(shape, np.float32), np.empty(shape, np.float32), np.ones((rows, tiles)), np.empty((rows, tiles)),
        np.empty(rows), np.empty(rows), np.zeros(rows, np.int64), np.full(1, -np.inf),
    )  # fmt: skip


class Rejections(NamedTuple):
    """What the rejected candidates of one look ahead have changed, to be undone if another rank's event comes before.

    Attributes
    ----------
    where : int64 (_LOG, 3): row, column, candidate;  before : float64 (_LOG, 2): remaining, limit
    """

    where: np.ndarray
    before: np.ndarray


def rejections() -> Rejections:
    """An empty log."""
    return Rejections(np.empty((_LOG, 3), np.int64), np.empty((_LOG, 2)))


@njit
def _add_up(p: Rates, clocks: Clocks, i: int, t: int) -> None:
    """Scale, bounds and sums from the limits of tile t of row i."""
    refresh(p, clocks.limit, clocks.bound, clocks.scale, clocks.tile, i, t)
    clocks.total[i] = sum_of(clocks.tile, i, 0, clocks.tile.shape[1])


@njit
def scan(p: Rates, clocks: Clocks, stress: np.ndarray, rows: np.ndarray, distance: float) -> None:
    """Renew all tiles of local rows `rows` (n,) that hold a site within `distance` of its limit.

    The waiting times of the rows are rescaled to their new sums.
    """
    limit, bound, scale, tile = clocks.limit, clocks.bound, clocks.scale, clocks.tile
    total, remaining, columns, deep = clocks.total, clocks.remaining, stress.shape[1], clocks.deep[0]
    for i in rows:
        changed = False
        for t in range(tile.shape[1]):
            if close_to_limit(p.law, limit, stress, distance, i, t * TILE, min((t + 1) * TILE, columns)) > 0:
                renew(p, deep, stress, limit, bound, scale, tile, i, t)
                changed = True
        if changed:
            before = total[i]
            total[i] = sum_of(tile, i, 0, tile.shape[1])
            remaining[i] *= before / total[i]


@njit
def tighten_rejected(p: Rates, clocks: Clocks, stress: np.ndarray, i: int, j: int) -> None:
    """Limit and bound of one site as tight as the margin allows: it has just been drawn and rejected."""
    tighten(p, -np.inf, stress, clocks.limit, i, j, j + 1)
    _add_up(p, clocks, i, j // TILE)


@njit
def tighten_around(p: Rates, clocks: Clocks, stress: np.ndarray, i: int, j: int) -> None:
    """New limits and bounds for the tile of site (i, j), which has fired; the waiting time of the row is to be drawn anew."""
    renew(p, clocks.deep[0], stress, clocks.limit, clocks.bound, clocks.scale, clocks.tile, i, j // TILE)
    clocks.total[i] = sum_of(clocks.tile, i, 0, clocks.tile.shape[1])


@njit
def draw_wait(clocks: Clocks, seed: int, row: int, i: int) -> float:
    """Waiting time before the present candidate of local row i, global row `row`; sweeps."""
    word, _, _, _ = philox(seed, _STREAM, clocks.draws[i], row, 0, 0)
    wait: float = exponential(word) / clocks.total[i]
    return wait


@njit
def rebuild(p: Rates, clocks: Clocks) -> None:
    """Bounds and sums from the limits, as they were when the limits were set."""
    for i in range(clocks.total.size):
        for t in range(clocks.tile.shape[1]):
            refresh(p, clocks.limit, clocks.bound, clocks.scale, clocks.tile, i, t)
        clocks.total[i] = sum_of(clocks.tile, i, 0, clocks.tile.shape[1])


@njit
def draw_waits(clocks: Clocks, seed: int, first_row: int) -> None:
    """Waiting times of all rows."""
    for i in range(clocks.remaining.size):
        clocks.remaining[i] = draw_wait(clocks, seed, first_row + i, i)


@njit
def start(p: Rates, clocks: Clocks, seed: int, first_row: int, stress: np.ndarray) -> None:
    """Limits and bounds for the present stress, and the first candidate of every row."""
    rows, columns = stress.shape
    for i in range(rows):
        tighten(p, -np.inf, stress, clocks.limit, i, 0, columns)
    rebuild(p, clocks)
    draw_waits(clocks, seed, first_row)


@njit
def choose(clocks: Clocks, i: int, u: float) -> int:
    """Site of row i, drawn in proportion to the bounds."""
    target = u * clocks.total[i]
    t, last = 0, clocks.tile.shape[1] - 1
    while t < last and target >= clocks.tile[i, t]:
        target -= clocks.tile[i, t]
        t += 1
    target *= clocks.scale[i, t]
    j, last = t * TILE, min((t + 1) * TILE, clocks.bound.shape[1]) - 1
    while j < last and target >= clocks.bound[i, j]:
        target -= clocks.bound[i, j]
        j += 1
    return j


@njit
def propose(
    response: Response, p: Rates, clocks: Clocks, log: Rejections, seed: int, slab: Slab,
    now: float, until: float, message: np.ndarray,
) -> int:  # fmt: skip
    """The next event on this rank's rows if nothing happens elsewhere before: its message, and how many were rejected.

    If a rate is found above its bound, the message says so: VIOLATED, row, column, rate, bound. Nobody looks beyond a wait of
    more than LONGEST.

    message : float64 (5,), see `buffers`; TIME: sweeps since `now`, the last event, or inf if there is none until `until`; ROW:
    NOBODY if the log was full before an event was found
    """
    stress, first_row = slab.stress, slab.first_row
    rejected, own = 0, np.empty(1, np.int64)
    while True:
        i = int(np.argmin(clocks.remaining))
        wait = clocks.remaining[i]
        if now + wait > until:
            message[TIME] = np.inf
            return rejected
        if wait > LONGEST:
            message[TIME], message[ROW] = wait, NOBODY
            return rejected
        k, row = clocks.draws[i], first_row + i
        own[0] = i
        catch_up(response, slab, own)
        _, w1, w2, _ = philox(seed, _STREAM, k, row, 0, 0)
        j = choose(clocks, i, uniform(w1))
        s = stress[i, j]
        true_rate = rate(p.law, s)
        bound = clocks.bound[i, j] / clocks.scale[i, j // TILE]
        if not true_rate <= bound:  # nor if it is no number
            message[TIME], message[ROW], message[COLUMN], message[DROP], message[ANGLE] = VIOLATED, row, j, true_rate, bound
            return rejected
        if uniform(w2) * bound < true_rate:
            message[TIME], message[ROW], message[COLUMN] = wait, row, j
            message[DROP], message[ANGLE] = p.law.event(s, philox(seed, _STREAM, k, row, 1, 0))
            return rejected
        if rejected == log.where.shape[0]:
            message[TIME], message[ROW] = log.before[rejected - 1, 0], NOBODY
            return rejected
        log.where[rejected, 0], log.where[rejected, 1], log.where[rejected, 2] = i, j, k
        log.before[rejected, 0], log.before[rejected, 1] = wait, clocks.limit[i, j]
        rejected += 1
        tighten_rejected(p, clocks, stress, i, j)
        clocks.draws[i] = k + 1
        clocks.remaining[i] = wait + draw_wait(clocks, seed, row, i)


def violation(found: Sequence[float], time: float) -> SickRunError:
    """What to raise, on all ranks, if a rate is above its bound: row, column, rate, bound; `time` since the origin."""
    row, column, true_rate, bound = found
    return SickRunError(
        f"site ({row:.0f}, {column:.0f}): its rate of {true_rate:.6g} is above the bound of {bound:.6g} by which the engine "
        f"has drawn, {time:.10g} sweeps after the origin: a fault of the program or of the machine"
    )


def too_late(wait: float, time: float) -> RunError:
    """What to raise, on all ranks, if nothing happens for more than LONGEST: `wait` sweeps from `time` since the origin."""
    return RunError(
        f"nothing happens for {wait:.3g} sweeps from {time:.6g} sweeps after the origin, more than the {LONGEST:g} that can be "
        "counted: model.temperature is too low, or the lattice too small (engine.dynamics = 'extremal' is the limit T -> 0)"
    )


@njit
def undo(p: Rates, clocks: Clocks, log: Rejections, rejected: int, first_row: int, wait: float, row: int) -> None:
    """Take back the rejections that come after the event at `wait`, `row`: the stress they saw has changed.

    A row NOBODY: take back those after `wait` only.
    """
    for n in range(rejected - 1, -1, -1):
        i, j, k = log.where[n, 0], log.where[n, 1], log.where[n, 2]
        before = log.before[n, 0]
        if before > wait or (before == wait and NOBODY < row < first_row + i):
            clocks.remaining[i], clocks.limit[i, j], clocks.draws[i] = before, log.before[n, 1], k
            _add_up(p, clocks, i, j // TILE)
