"""Work of one rank whose outcome, good or bad, is that of all."""

from collections.abc import Callable
from typing import TypeVar

from mpi4py import MPI

from mpiepm.core.faults import RunError
from mpiepm.core.params import ParameterError

_Result = TypeVar("_Result")


def on_root(comm: MPI.Intracomm, work: Callable[[], _Result]) -> _Result:
    """What `work` gives on rank 0, on all ranks. Collective.

    Raises
    ------
    ParameterError, RunError : on all ranks, if it raises them; anything else only on rank 0, which must end the others
    """
    outcome: tuple[_Result] | ParameterError | RunError | None = None
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
