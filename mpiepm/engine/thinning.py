"""Who fires next: exact selection from upper bounds of the rates (thinning, Lewis & Shedler 1979).

Every site has a bound on its rate, valid while |stress| stays below the site's `limit`, and every row has a Poisson clock that
ticks at the sum of its bounds. At a tick one site of the row is drawn in proportion to the bounds, and fires with the
probability rate / bound: so every site fires at exactly its rate, whatever the bounds, and only the sites whose limit comes
near need an exponential. When the sum of a row changes, the rest of its waiting time is rescaled, which is exact for an
exponential one (Gibson & Bruck, J. Phys. Chem. A 104, 1876, 2000).

A row is scanned as soon as its stress may have moved by `scan_after` since it was last (`engine.pending`); after a scan every
site is at least that far below its limit. A limit lies `margin` above the present |stress|, or at `deep` if that is higher:
below it a site is so slow that a tighter bound is not worth the work.

Draws belong to (seed, row, candidate of that row).
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mpiepm.core import vectorised
from mpiepm.core.faults import SickRunError
from mpiepm.core.jit import inlined, njit
from mpiepm.core.sections import Epmq
from mpiepm.core.streams import Stream
from mpiepm.engine.pending import Pending, catch_up
from mpiepm.grid.rng import exponential, philox, uniform
from mpiepm.physics.epmq import rate, stress_drop
from mpiepm.physics.realspace import Tables

TILE = 64          # sites of a row whose bounds are summed, checked and renewed together
LOOSENESS = 1.0    # a margin raises the logarithm of a rate by about this much, where sites are active
_STREAM = int(Stream.EVENT)
_SAFETY = 1.0 + 1e-6  # bounds are kept in single precision
_SMALLEST = -80.0     # logarithm of the smallest bound, which single precision can still hold
_LOG = 64          # rejections a rank may look ahead
NOBODY = -1        # in place of a row
VIOLATED = -math.inf  # in place of a waiting time: before all others


class Physics(NamedTuple):
    """Numbers of `core.params.Epmq` that the loops need, and the margins that follow from them (units of stress)."""

    temperature: float
    threshold: float
    stiffness: float
    exponent: float
    mean_drop: float
    shear_modulus: float
    margin: float
    scan_after: float


def physics(model: Epmq) -> Physics:
    """From the parameters of the model; the margin is judged at a typical distance from the threshold, a quarter of it."""
    slope = model.stiffness * model.barrier_exponent * (0.25 * model.threshold) ** (model.barrier_exponent - 1.0)
    margin = LOOSENESS * model.temperature / slope
    return Physics(
        model.temperature, model.threshold, model.stiffness, model.barrier_exponent, model.mean_drop,
        model.shear_modulus, margin, 0.5 * margin,
    )  # fmt: skip


class Clocks(NamedTuple):
    """Bounds and clocks of this rank's rows.

    Attributes
    ----------
    limit, bound : float32 (rows, Ly): stress, and upper bound of the rate while |stress| <= limit
    tile : float64 (rows, tiles);  total : float64 (rows,): sums of the bounds
    remaining : float64 (rows,): sweeps from the last event to the next candidate of each row
    draws : int64 (rows,): number of that candidate
    deep : float64 (1,): stress below which bounds need not be tight
    """

    limit: np.ndarray
    bound: np.ndarray
    tile: np.ndarray
    total: np.ndarray
    remaining: np.ndarray
    draws: np.ndarray
    deep: np.ndarray


def clocks(shape: tuple[int, int]) -> Clocks:
    """Not yet started clocks for a slab of this shape."""
    rows, columns = shape
    return Clocks(
        np.empty(shape, np.float32), np.empty(shape, np.float32), np.empty((rows, -(-columns // TILE))), np.empty(rows),
        np.empty(rows),
        np.zeros(rows, np.int64), np.full(1, -np.inf),
    )  # fmt: skip


class Rejections(NamedTuple):
    """What the rejected candidates of one look ahead have changed, to be undone if another rank's event comes before.

    Attributes
    ----------
    where : int64 (_LOG, 3): row, column, candidate;  before : float64 (_LOG, 5): remaining, limit, bound, tile, total
    """

    where: np.ndarray
    before: np.ndarray


def rejections() -> Rejections:
    """An empty log."""
    return Rejections(np.empty((_LOG, 3), np.int64), np.empty((_LOG, 5)))


@inlined
def _bounds(p: Physics, limit: np.ndarray, bound: np.ndarray, i: int, first: int, last: int) -> None:
    """Bounds of the sites first ... last - 1 of row i from their limits (unsigned indices: see `realspace`)."""
    factor, threshold, to = -p.stiffness / p.temperature, p.threshold, np.uint64(first)
    if p.exponent == 1.5:
        for j in range(np.uint64(last - first)):
            distance = threshold - limit[i, to + j]
            distance = distance if distance > 0.0 else 0.0
            logarithm = factor * (distance * math.sqrt(distance))
            bound[i, to + j] = _SAFETY * vectorised.exp(logarithm if logarithm > _SMALLEST else _SMALLEST)
    else:
        for j in range(np.uint64(last - first)):
            logarithm = factor * max(threshold - limit[i, to + j], 0.0) ** p.exponent
            bound[i, to + j] = _SAFETY * vectorised.exp(max(logarithm, _SMALLEST))


@inlined
def tighten(
    p: Physics, deep: float, stress: np.ndarray, limit: np.ndarray, bound: np.ndarray, i: int, first: int, last: int
) -> None:  # fmt: skip
    """New limits and bounds for the sites first ... last - 1 of row i."""
    margin, threshold, to = p.margin, p.threshold, np.uint64(first)
    for j in range(np.uint64(last - first)):
        value = abs(stress[i, to + j]) + margin
        value = value if value > deep else deep
        limit[i, to + j] = value if value < threshold else np.inf
    _bounds(p, limit, bound, i, first, last)


@inlined
def close_to_limit(limit: np.ndarray, stress: np.ndarray, distance: float, i: int, first: int, last: int) -> int:
    """How many of the sites first ... last - 1 of row i have come within `distance` of their limit."""
    count, to = 0, np.uint64(first)
    for j in range(np.uint64(last - first)):
        count += 1 if abs(stress[i, to + j]) + distance > limit[i, to + j] else 0
    return count


@inlined
def sum_of(values: np.ndarray, i: int, first: int, last: int) -> float:
    """Sum of values[i, first:last], in four interleaved partial sums: an addition need not wait for the one before."""
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    quarters, to = (last - first) // 4, np.uint64(first)
    for _ in range(quarters):
        a += values[i, to]
        b += values[i, to + np.uint64(1)]
        c += values[i, to + np.uint64(2)]
        d += values[i, to + np.uint64(3)]
        to += np.uint64(4)
    for j in range(first + 4 * quarters, last):
        a += values[i, j]
    return (a + b) + (c + d)


@njit
def scan(p: Physics, clocks: Clocks, stress: np.ndarray, rows: np.ndarray, distance: float) -> None:
    """Renew all tiles of local rows `rows` (n,) that hold a site within `distance` of its limit.

    The waiting times of the rows are rescaled to their new sums.
    """
    limit, bound, tile, total, remaining = clocks.limit, clocks.bound, clocks.tile, clocks.total, clocks.remaining
    columns, deep = stress.shape[1], clocks.deep[0]
    for i in rows:
        changed = False
        for t in range(tile.shape[1]):
            first, last = t * TILE, min((t + 1) * TILE, columns)
            if close_to_limit(limit, stress, distance, i, first, last) > 0:
                tighten(p, deep, stress, limit, bound, i, first, last)
                tile[i, t] = sum_of(bound, i, first, last)
                changed = True
        if changed:
            before = total[i]
            total[i] = sum_of(tile, i, 0, tile.shape[1])
            remaining[i] *= before / total[i]


@njit
def tighten_rejected(p: Physics, clocks: Clocks, stress: np.ndarray, i: int, j: int) -> None:
    """Limit and bound of one site as tight as the margin allows: it has just been chosen in vain."""
    tighten(p, -np.inf, stress, clocks.limit, clocks.bound, i, j, j + 1)
    t = j // TILE
    clocks.tile[i, t] = sum_of(clocks.bound, i, t * TILE, min((t + 1) * TILE, stress.shape[1]))
    clocks.total[i] = sum_of(clocks.tile, i, 0, clocks.tile.shape[1])


@njit
def tighten_around(p: Physics, clocks: Clocks, stress: np.ndarray, i: int, j: int) -> None:
    """New limits and bounds for the tile of site (i, j), which has fired; the waiting time of the row is to be drawn anew."""
    first, last = j - j % TILE, min(j - j % TILE + TILE, stress.shape[1])
    tighten(p, clocks.deep[0], stress, clocks.limit, clocks.bound, i, first, last)
    clocks.tile[i, j // TILE] = sum_of(clocks.bound, i, first, last)
    clocks.total[i] = sum_of(clocks.tile, i, 0, clocks.tile.shape[1])


@njit
def draw_wait(clocks: Clocks, seed: int, row: int, i: int) -> float:
    """Waiting time before the present candidate of local row i, global row `row`; sweeps."""
    word, _, _, _ = philox(seed, _STREAM, clocks.draws[i], row, 0, 0)
    wait: float = exponential(word) / clocks.total[i]
    return wait


@njit
def rebuild(p: Physics, clocks: Clocks) -> None:
    """Bounds and sums from the limits, as they were when the limits were set."""
    rows, columns = clocks.limit.shape
    for i in range(rows):
        _bounds(p, clocks.limit, clocks.bound, i, 0, columns)
        for t in range(clocks.tile.shape[1]):
            clocks.tile[i, t] = sum_of(clocks.bound, i, t * TILE, min((t + 1) * TILE, columns))
        clocks.total[i] = sum_of(clocks.tile, i, 0, clocks.tile.shape[1])


@njit
def draw_waits(clocks: Clocks, seed: int, first_row: int) -> None:
    """Waiting times of all rows."""
    for i in range(clocks.remaining.size):
        clocks.remaining[i] = draw_wait(clocks, seed, first_row + i, i)


@njit
def start(p: Physics, clocks: Clocks, seed: int, first_row: int, stress: np.ndarray) -> None:
    """Limits and bounds for the present stress, and the first candidate of every row."""
    rows, columns = stress.shape
    for i in range(rows):
        tighten(p, -np.inf, stress, clocks.limit, clocks.bound, i, 0, columns)
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
    j, last = t * TILE, min((t + 1) * TILE, clocks.bound.shape[1]) - 1
    while j < last and target >= clocks.bound[i, j]:
        target -= clocks.bound[i, j]
        j += 1
    return j


@njit
def propose(
    tables: Tables, pending: Pending, p: Physics, clocks: Clocks, log: Rejections, seed: int, first_row: int,
    now: float, until: float, stress: np.ndarray, message: np.ndarray,
) -> int:  # fmt: skip
    """The next event on this rank's rows if nothing happens elsewhere before: its message, and how many were rejected.

    If a rate is found above its bound, the message says so: VIOLATED, row, column, rate, bound.

    message : float64 (5,): sweeps since `now`, the last event, or inf if there is none until `until`; row, or NOBODY if the
    log was full before an event was found; column; stress drop; orientation
    """
    rejected, own = 0, np.empty(1, np.int64)
    while True:
        i = int(np.argmin(clocks.remaining))
        wait = clocks.remaining[i]
        if now + wait > until:
            message[0] = np.inf
            return rejected
        k, row = clocks.draws[i], first_row + i
        own[0] = i
        catch_up(tables, pending, first_row, stress, own)
        _, w1, w2, _ = philox(seed, _STREAM, k, row, 0, 0)
        j = choose(clocks, i, uniform(w1))
        s = stress[i, j]
        true_rate = rate(s, p.temperature, p.threshold, p.stiffness, p.exponent)
        if not true_rate <= clocks.bound[i, j]:  # nor if it is no number
            message[0], message[1], message[2], message[3], message[4] = VIOLATED, row, j, true_rate, clocks.bound[i, j]
            return rejected
        if uniform(w2) * clocks.bound[i, j] < true_rate:
            w0, w1, _, _ = philox(seed, _STREAM, k, row, 1, 0)
            message[0], message[1], message[2] = wait, row, j
            message[3] = stress_drop(s, p.mean_drop * exponential(w0), p.threshold)
            message[4] = 0.5 * math.pi * uniform(w1)
            return rejected
        if rejected == log.where.shape[0]:
            message[0], message[1] = log.before[rejected - 1, 0], NOBODY
            return rejected
        t = j // TILE
        log.where[rejected, 0], log.where[rejected, 1], log.where[rejected, 2] = i, j, k
        before = log.before[rejected]
        before[0], before[1], before[2] = wait, clocks.limit[i, j], clocks.bound[i, j]
        before[3], before[4] = clocks.tile[i, t], clocks.total[i]
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


@njit
def undo(clocks: Clocks, log: Rejections, rejected: int, first_row: int, wait: float, row: int) -> None:
    """Take back the rejections that come after the event at `wait`, `row`: the stress they saw has changed.

    A row NOBODY: take back those after `wait` only.
    """
    for n in range(rejected - 1, -1, -1):
        i, j, k = log.where[n, 0], log.where[n, 1], log.where[n, 2]
        before = log.before[n]
        if before[0] > wait or (before[0] == wait and NOBODY < row < first_row + i):
            clocks.remaining[i], clocks.limit[i, j], clocks.bound[i, j] = before[0], before[1], before[2]
            clocks.tile[i, j // TILE], clocks.total[i] = before[3], before[4]
            clocks.draws[i] = k
