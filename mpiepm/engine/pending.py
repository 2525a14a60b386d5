"""Rows that are brought up to date when somebody looks at them, with every event performed since they were last.

Most rows are far from an event and hardly feel it. The events wait in a list, and each row knows how many of them it has
already received; what it may have missed is bounded by `moved`, the sum of |f| times the reach of the kernel. Catching
up applies the missing events to a row one after the other, while the row stays in the cache. A site receives the same
operations in the same order whenever its row catches up, so looking changes no bit.
"""

from typing import NamedTuple

import numpy as np

from mpiepm.core.jit import njit
from mpiepm.engine import realspace
from mpiepm.engine.buffers import ANGLE, COLUMN, DROP, ROW, Slab
from mpiepm.engine.realspace import Tables

CAPACITY = 256  # events that may wait
BACKLOG = 64    # events that a row waits for on average: the more at once, the cheaper each, up to about here


class Pending(NamedTuple):
    """Events that not all rows have received, in the order in which they happened.

    Attributes
    ----------
    length : int64 (1,), how many;  row, column : int64 (CAPACITY,), global
    uniform : float64 (CAPACITY,);  weights : float64 (CAPACITY, 2M + 1): see `realspace.weigh`
    received : int64 (local rows,), how many of them each row has received
    moved : float64 (local rows,), upper bound of |stress change| at any site of a row since `moved` was last set to 0
    backlog : int64 (2,): events that the rows of this rank have still to receive, and the row whose turn comes next
    usual : length of the backlog from which on rows catch up in turn
    """

    length: np.ndarray
    row: np.ndarray
    column: np.ndarray
    uniform: np.ndarray
    weights: np.ndarray
    received: np.ndarray
    moved: np.ndarray
    backlog: np.ndarray
    usual: int


class Response(NamedTuple):
    """How other sites feel an event.

    Attributes
    ----------
    elastic : do they at all?
    tables : of the kernel;  pending : events that they have not all received
    """

    elastic: bool
    tables: Tables
    pending: Pending


def empty(tables: Tables, rows: int, ranks: int) -> Pending:
    """No events, for so many local rows and ranks.

    The rows close to an event catch up at once. On several ranks that must not be more work than all rows have with one
    event, or the ranks wait for the one that holds them: about 32 rows, so each may have missed `rows` / 64 events.
    """
    usual = BACKLOG if ranks == 1 else min(max(rows // 64, 4), BACKLOG)
    return Pending(
        np.zeros(1, np.int64), np.empty(CAPACITY, np.int64), np.empty(CAPACITY, np.int64), np.empty(CAPACITY),
        np.empty((CAPACITY, len(tables.rest))), np.zeros(rows, np.int64), np.zeros(rows),
        np.zeros(2, np.int64), usual * rows,
    )  # fmt: skip


@njit
def catch_up(response: Response, slab: Slab, rows: np.ndarray) -> None:
    """Add to the stress of some rows, local numbers `rows` (n,), the events that they have missed."""
    tables, pending, first_row, stress = response.tables, response.pending, slab.first_row, slab.stress
    if pending.length[0] == 0:
        return
    values, offset, radius, (lx, ly) = tables.values, tables.offset, tables.radius, tables.shape
    row, column, uniform, weights = pending.row, pending.column, pending.uniform, pending.weights
    received, count = pending.received, pending.length[0]
    near = max(radius[0], radius[2]) if 2 * radius[1] >= lx else lx  # only m = 1 reaches the rows beyond
    for i in rows:
        here, e = first_row + i, received[i]
        pending.backlog[0] -= count - e
        while e < count:
            dx = here - row[e]
            if e + 1 < count:
                dx2 = here - row[e + 1]
                nearest = min(abs(dx), lx - abs(dx), abs(dx2), lx - abs(dx2))
                if near < nearest:
                    realspace.add_two_to_row(
                        values, offset, lx, ly, dx, column[e], uniform[e], dx2, column[e + 1], uniform[e + 1],
                        weights, e, stress, i,
                    )  # fmt: skip
                    e += 2
                    continue
            realspace.add_to_row(values, offset, radius, lx, ly, dx, column[e], uniform[e], weights, e, stress, i)
            e += 1
        received[i] = count


@njit
def catch_up_all(response: Response, slab: Slab) -> None:
    """All rows of this rank catch up, and the list is empty again."""
    pending = response.pending
    if pending.length[0] > 0:
        catch_up(response, slab, np.arange(slab.stress.shape[0]))
        pending.received[:] = 0
        pending.length[0] = pending.backlog[0] = 0


@njit
def take_turns(response: Response, slab: Slab) -> None:
    """Let rows catch up in turn until the backlog is no longer than usual.

    So every rank has the same to do for an event, wherever it happened, and none waits for another that catches up.
    """
    row, pending = np.empty(1, np.int64), response.pending
    while pending.backlog[0] > pending.usual:
        row[0] = pending.backlog[1]
        catch_up(response, slab, row)
        pending.backlog[1] = (row[0] + 1) % slab.stress.shape[0]


@njit
def push(response: Response, slab: Slab, event: np.ndarray) -> None:
    """Append an event (5,). Its own row is to catch up at once, as its own site needs the drop instead of the kernel."""
    tables, pending, row = response.tables, response.pending, int(event[ROW])
    if pending.length[0] == pending.row.size:
        catch_up_all(response, slab)
    e = pending.length[0]
    pending.row[e], pending.column[e] = row, int(event[COLUMN])
    pending.uniform[e] = realspace.weigh(tables, event[DROP], event[ANGLE], pending.weights[e])
    pending.length[0] = e + 1
    pending.backlog[0] += pending.received.size
    strength, lx = abs(pending.weights[e, 0]), tables.shape[0]
    moved, reach = pending.moved, tables.reach
    for i in range(moved.size):
        dx = abs(slab.first_row + i - row)
        moved[i] += strength * reach[min(dx, lx - dx)]
