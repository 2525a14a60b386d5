"""A communicator that says when it waits for other ranks, so that `watchdog` can tell waiting from work."""

from collections.abc import Callable
from typing import Any

from mpi4py import MPI

from mpiepm.core import heartbeat

WAITING = (
    "Barrier", "Allgather", "Allgatherv", "Allreduce", "Alltoall", "Alltoallv", "Bcast", "Gather", "Gatherv", "Recv", "Reduce",
    "Scatter", "Scatterv", "Send", "Sendrecv", "allgather", "allreduce", "alltoall", "bcast", "gather", "recv", "reduce",
    "scatter", "send", "sendrecv",
)  # fmt: skip


class Communicator(MPI.Intracomm):
    """The same communicator as the one it is made from; the calls in `WAITING` set `heartbeat.own.waiting` meanwhile."""


def _marked(name: str) -> Callable[..., Any]:
    call = getattr(MPI.Intracomm, name)

    def marked(self: Communicator, *arguments: Any, **named: Any) -> Any:
        heartbeat.own.waiting = True
        try:
            return call(self, *arguments, **named)
        finally:
            heartbeat.own.waiting = False

    marked.__doc__ = f"`MPI.Intracomm.{name}`."
    return marked


for _name in WAITING:
    setattr(Communicator, _name, _marked(_name))


def library() -> str:
    """Name and version of the MPI library."""
    return MPI.Get_library_version().splitlines()[0].split(",")[0].strip("\0 ")
