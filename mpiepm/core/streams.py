"""One named number per use of randomness: the registry of random streams.

A draw is a function of (seed, stream, numbers that belong to the lattice and the trajectory); two uses of randomness
never share a stream, and no stream ever depends on a rank. A number, once released, keeps its meaning for ever.
"""

from enum import IntEnum, unique


@unique
class Stream(IntEnum):
    """Second word of the Philox key; the first is the seed of the run."""

    INITIAL_STRESS = 1  # counter (column // 4, row, 0, 0)
    SWEEP_ATTEMPT = 2   # counter (attempt of the row, row, window, 0): waiting time, column, acceptance
    SWEEP_EVENT = 3     # counter (attempt of the row, row, window, 0): stress drop, orientation
    EVENT = 4           # counter (candidate of the row, row, part, 0): waiting time, site, acceptance | drop, orientation
    EXTREMAL_SITE = 5   # counter (event, row, 0, 0): priority of the row's unstable sites, site
    EXTREMAL_EVENT = 6  # counter (event, 0, 0, 0): stress drop, orientation
    STEP_SITE = 7       # counter (column // 4, row, step, 0): whether each of four sites switches
    STEP_CANDIDATE = 8  # counter (candidate of the row, row, step, 0): sites to the next one, acceptance, sign
    TRACER_PLACE = 9    # counter (identity, 0, 0, 0): x, y
