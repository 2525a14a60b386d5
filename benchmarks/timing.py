"""Times as the slowest rank has them."""

import time
from collections.abc import Callable

from mpi4py import MPI

COMM = MPI.COMM_WORLD


def timed(action: Callable[[], object]) -> float:
    """Seconds that `action` takes on the slowest rank."""
    COMM.Barrier()
    start = time.perf_counter()
    action()
    return COMM.allreduce(time.perf_counter() - start, MPI.MAX)
