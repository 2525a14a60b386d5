"""What the compiled loops of the engines hand to each other: rows of the lattice, and events as rows of float64."""

from typing import NamedTuple

import numpy as np

# columns of an event, float64 (5,): between ranks, and in the buffers from which `models.state.Events` are made
TIME, ROW, COLUMN, DROP, ANGLE = range(5)

# what a loop returns instead of a number of events
VIOLATION = -1  # a rate is above its bound: row, column, rate and bound are in the columns from ROW on
TOO_LATE = -2   # nothing happens for more than `models.activated.LONGEST`: the wait is in the column TIME
FULL = -3       # there is no room for more events


class Slab(NamedTuple):
    """Rows of the lattice that a rank holds.

    Attributes
    ----------
    first_row : global index of the first of them
    stress, plastic_strain : float64 (rows, Ly)
    """

    first_row: int
    stress: np.ndarray
    plastic_strain: np.ndarray
