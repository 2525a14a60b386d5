"""Strips of rows with their own exact clocks: the compiled part of the split engine.

Within a window a strip knows nothing of the others. Its events are drawn by thinning (`engine.thinning`: row clocks, bounds
that hold below a limit of |stress|) and kick the sites of the strip within the radius at once. What crosses the edge of the
strip waits for the end of the window.
"""

import math
from typing import NamedTuple

import numpy as np

from mpiepm.core.jit import inlined, njit
from mpiepm.core.streams import Stream
from mpiepm.engine.bounds import TILE, Rates, close_to_limit, renew, sum_of
from mpiepm.engine.buffers import ANGLE, COLUMN, DROP, FULL, ROW, TIME, VIOLATION, Slab
from mpiepm.engine.farfield import Sources
from mpiepm.engine.realspace import stretch
from mpiepm.engine.stencil import Stencil, node
from mpiepm.engine.thinning import Clocks, choose, draw_wait, tighten_around, tighten_rejected
from mpiepm.grid.rng import philox, uniform
from mpiepm.models.law import rate

_STREAM = int(Stream.EVENT)


@inlined
def _add(
    stress: np.ndarray, i: int, first: int, count: int, values: np.ndarray, a: int, x: int, y: int, low: float, high: float
) -> None:  # fmt: skip
    """stress[i, first + j] += low values[a, x, y + j] + high values[a + 1, x, y + j] for j < count (see `realspace`)."""
    low32, high32 = np.float32(low), np.float32(high)
    to, of = np.uint64(first), np.uint64(y)
    for j in range(np.uint64(count)):
        stress[i, to + j] += low32 * values[a, x, of + j] + high32 * values[a + 1, x, of + j]


@njit
def _touch(stress: np.ndarray, limit: np.ndarray, first: int, last: int, left: int, right: int) -> float:
    """Ask for all cache lines of a rectangle at once, instead of waiting for one row after the other."""
    total = 0.0
    for i in range(first, last):
        for j in range(left, right, 8):
            total += stress[i, j]
        total += stress[i, right - 1]
        for j in range(left, right, 16):
            total += limit[i, j]
        total += limit[i, right - 1]
    return total


@njit
def kick(
    stencil: Stencil, p: Rates, clocks: Clocks, stress: np.ndarray, first: int, last: int,
    top: int, column: int, drop: float, angle: float,
) -> None:  # fmt: skip
    """Near field of an event on the rows first ... last - 1 of this rank, and new bounds where they fail.

    `top` is the local number of the uppermost row of the stencil; rows of the stencil outside first ... last - 1 are left out.
    """
    values, radius, ly = stencil.values, stencil.radius, stencil.shape[1]
    limit, bound, scale, tile = clocks.limit, clocks.bound, clocks.scale, clocks.tile
    total, remaining, deep = clocks.total, clocks.remaining, clocks.deep[0]
    a, u = node(angle)
    low, high = (1.0 - u) * drop, u * drop
    rows = max(first, top), min(last, top + 2 * radius + 1)
    if math.isnan(_touch(stress, limit, rows[0], rows[1], max(column - radius, 0), min(column + radius + 1, ly))):
        return  # never in a sound state, but without a use of its result the compiler would drop the call
    for x in range(max(first - top, 0), min(last - top, 2 * radius + 1)):
        i = top + x
        changed = False
        for part in range(3):
            start, count = stretch(part, column, radius, ly)
            if count == 0:
                continue
            y = start - column + radius
            if y < 0:
                y += ly
            elif y >= ly:
                y -= ly
            _add(stress, i, start, count, values, a, x, y, low, high)
            for t in range(start // TILE, (start + count - 1) // TILE + 1):
                begin, end = max(start, t * TILE), min(start + count, (t + 1) * TILE)
                if close_to_limit(p.law, limit, stress, 0.0, i, begin, end) > 0:
                    renew(p, deep, stress, limit, bound, scale, tile, i, t)
                    changed = True
        if changed:
            before = total[i]
            total[i] = sum_of(tile, i, 0, tile.shape[1])
            remaining[i] *= before / total[i]


@inlined
def _next(remaining: np.ndarray, first: int, last: int) -> int:
    """Row of a strip whose candidate comes first."""
    best = first
    for i in range(first + 1, last):
        if remaining[i] < remaining[best]:
            best = i
    return best


class Window(NamedTuple):
    """When a window began, sweeps since the origin; when it ends, since then; and how far to go, since the origin."""

    since: float
    end: float
    until: float


@njit
def run(
    stencil: Stencil, sources: Sources, elastic: bool, p: Rates, clocks: Clocks, seed: int, slab: Slab, edges: np.ndarray,
    clock: np.ndarray, window: Window, events: np.ndarray,
) -> int:  # fmt: skip
    """Bring the strips of this rank to the end of the window or to `window.until`, each on its own; the number of events.

    FULL if there is no room for more: go on then. VIOLATION: the site, its rate and bound are then in events[-1].

    Parameters
    ----------
    sources : of the far field, to which events are added
    edges : int64 (strips + 1,), local rows between which the strips lie
    clock : float64 (strips,), time of the last event of each since the window began
    events : float64 (n, 5), see `buffers`, from number events[-1, 0] on, which is kept up to date
    """
    first_row, stress, source, waiting = slab.first_row, slab.stress, sources.source, sources.uniform
    since, end, until = window.since, window.end, window.until
    remaining, draws = clocks.remaining, clocks.draws
    radius, lx = stencil.radius, stencil.shape[0]
    n, capacity = int(events[-1, 0]), events.shape[0] - 1
    for q in range(edges.size - 1):
        first, last = edges[q], edges[q + 1]
        while True:
            i = _next(remaining, first, last)
            wait = remaining[i]
            if clock[q] + wait > end or since + (clock[q] + wait) > until:
                break
            if n == capacity:
                events[-1, 0] = n
                return FULL
            k, row = draws[i], first_row + i
            _, w1, w2, _ = philox(seed, _STREAM, k, row, 0, 0)
            j = choose(clocks, i, uniform(w1))
            s = stress[i, j]
            draws[i] = k + 1
            true_rate = rate(p.law, s)
            bound = clocks.bound[i, j] / clocks.scale[i, j // TILE]
            if not true_rate <= bound:  # nor if it is no number
                events[-1, ROW], events[-1, COLUMN], events[-1, DROP], events[-1, ANGLE] = row, j, true_rate, bound
                return VIOLATION
            if uniform(w2) * bound >= true_rate:
                tighten_rejected(p, clocks, stress, i, j)
                remaining[i] = wait + draw_wait(clocks, seed, row, i)
                continue
            drop, angle = p.law.event(s, philox(seed, _STREAM, k, row, 1, 0))
            for r in range(first, last):
                remaining[r] -= wait
            clock[q] += wait
            if elastic:
                kick(stencil, p, clocks, stress, first, last, i - radius, j, drop, angle)
                if last - first == lx:  # a single strip: its edges meet
                    kick(stencil, p, clocks, stress, first, last, i - radius - lx, j, drop, angle)
                    kick(stencil, p, clocks, stress, first, last, i - radius + lx, j, drop, angle)
                a, u = node(angle)
                source[0, i, j] += drop * ((1.0 - u) * stencil.source[a, 0] + u * stencil.source[a + 1, 0])
                source[1, i, j] += drop * ((1.0 - u) * stencil.source[a, 1] + u * stencil.source[a + 1, 1])
                waiting[i] += drop * ((1.0 - u) * stencil.source[a, 2] + u * stencil.source[a + 1, 2])
            else:
                stress[i, j] -= drop
            slab.plastic_strain[i, j] += drop / p.law.shear_modulus
            tighten_around(p, clocks, stress, i, j)
            remaining[i] = draw_wait(clocks, seed, row, i)
            events[n, TIME], events[n, ROW], events[n, COLUMN] = since + clock[q], row, j
            events[n, DROP], events[n, ANGLE] = drop, angle
            n += 1
    events[-1, 0] = n
    return n


@njit
def synchronise(clocks: Clocks, edges: np.ndarray, clock: np.ndarray, now: float) -> None:
    """Count the waiting times of all strips, and their clocks, from `now`, a time on these clocks."""
    for q in range(edges.size - 1):
        for i in range(edges[q], edges[q + 1]):
            clocks.remaining[i] -= now - clock[q]
        clock[q] = 0.0


@njit
def crossing(
    events: np.ndarray, edges: np.ndarray, radius: int, unit: float, most: int, out: np.ndarray
) -> tuple[int, int]:  # fmt: skip
    """Copy the events (n, 5) within the radius of an edge of their strip to `out` (n, 5); their number.

    `edges` (strips + 1,): first row of every strip of the lattice, and Lx. Also the sum over all events of drop ** 2, in units
    of `unit`, or `most` if it is more: rounded event by event, so that it is the same in any order.
    """
    found, squares = 0, 0
    for e in range(events.shape[0]):
        squares = min(squares + round(min(events[e, DROP] ** 2 / unit, float(most))), most)
        row = int(events[e, ROW])
        strip = np.searchsorted(edges, row, side="right") - 1
        if row - radius < edges[strip] or row + radius >= edges[strip + 1]:
            out[found] = events[e]
            found += 1
    return found, squares


@njit
def deliver(
    stencil: Stencil, p: Rates, clocks: Clocks, stress: np.ndarray, first_row: int, edges: np.ndarray, first: int, last: int,
    side: int, events: np.ndarray,
) -> None:  # fmt: skip
    """Kick this rank's strips, first ... last - 1 of the lattice, across their upper edges (`side` = 1) or lower ones (-1).

    `events` (n, 5) may be of any strips. Each strip takes those of the strip before it (or after it), in their order, which is
    that of time.
    """
    radius, lx, strips = stencil.radius, stencil.shape[0], edges.size - 1
    for e in range(events.shape[0]):
        row = int(events[e, ROW])
        source = int(np.searchsorted(edges, row, side="right")) - 1
        crosses = row + radius >= edges[source + 1] if side == 1 else row - radius < edges[source]
        target, top = source + side, row - radius - first_row
        if target == strips:
            target, top = 0, top - lx
        elif target == -1:
            target, top = strips - 1, top + lx
        if crosses and first <= target < last:
            kick(
                stencil, p, clocks, stress, edges[target] - first_row, edges[target + 1] - first_row,
                top, int(events[e, COLUMN]), events[e, DROP], events[e, ANGLE],
            )  # fmt: skip
