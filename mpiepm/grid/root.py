"""Work of one rank whose outcome, good or bad, is that of all."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from mpi4py import MPI

from mpiepm.core import heartbeat
from mpiepm.core.faults import ParameterError, RunError

_Result = TypeVar("_Result")


@contextmanager
def root_at_work(comm: MPI.Intracomm) -> Iterator[None]:
    """Rank 0 works in here alone. The others wait at the end, and beat when it does (`heartbeat.beat`). Collective."""
    if comm.size == 1:
        yield
    elif comm.rank == 0:
        try:
            with heartbeat.relayed(lambda: comm.bcast(True)):
                yield
        finally:
            comm.bcast(False)
    else:
        yield
        while comm.bcast(None):
            heartbeat.beat()


def on_root(comm: MPI.Intracomm | None, work: Callable[[], _Result]) -> _Result:
    """What `work` gives on rank 0, on all ranks, see `root_at_work`. Collective; without ranks just what it gives.

    Raises
    ------
    ParameterError, RunError : on all ranks, if it raises them; anything else only on rank 0, which must end the others
    """
    if comm is None:
        return work()
    outcome: tuple[_Result] | ParameterError | RunError | None = None
    with root_at_work(comm):
        if comm.rank == 0:
            try:
                outcome = (work(),)
            except (ParameterError, RunError) as error:
                outcome = error
    outcome = comm.bcast(outcome)
    assert outcome is not None
    if isinstance(outcome, ParameterError | RunError):
        raise outcome
    return outcome[0]
