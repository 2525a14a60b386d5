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
def catch_up(tables: Tables, pending: Pending, first_row: int, stress: np.ndarray, rows: np.ndarray) -> None:
    """Add to some rows, local numbers `rows` (n,), of `stress` (local rows, Ly) the events that they have missed."""
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
def catch_up_all(tables: Tables, pending: Pending, first_row: int, stress: np.ndarray) -> None:
    """All rows of this rank catch up, and the list is empty again."""
    if pending.length[0] > 0:
        catch_up(tables, pending, first_row, stress, np.arange(stress.shape[0]))
        pending.received[:] = 0
        pending.length[0] = pending.backlog[0] = 0


@njit
def take_turns(tables: Tables, pending: Pending, first_row: int, stress: np.ndarray) -> None:
    """Let rows catch up in turn until the backlog is no longer than usual.

    So every rank has the same to do for an event, wherever it happened, and none waits for another that catches up.
    """
    row = np.empty(1, np.int64)
    while pending.backlog[0] > pending.usual:
        row[0] = pending.backlog[1]
        catch_up(tables, pending, first_row, stress, row)
        pending.backlog[1] = (row[0] + 1) % stress.shape[0]


@njit
def push(
    tables: Tables, pending: Pending, first_row: int, row: int, column: int, drop: float, angle: float, stress: np.ndarray
) -> None:  # fmt: skip
    """Append an event. Its own row is to catch up at once, as its own site needs the drop instead of the kernel."""
    if pending.length[0] == pending.row.size:
        catch_up_all(tables, pending, first_row, stress)
    e = pending.length[0]
    pending.row[e], pending.column[e] = row, column
    pending.uniform[e] = realspace.weigh(tables, drop, angle, pending.weights[e])
    pending.length[0] = e + 1
    pending.backlog[0] += pending.received.size
    strength, lx = abs(pending.weights[e, 0]), tables.shape[0]
    moved, reach = pending.moved, tables.reach
    for i in range(moved.size):
        dx = abs(first_row + i - row)
        moved[i] += strength * reach[min(dx, lx - dx)]
