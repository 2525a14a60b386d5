"""Memory of the machines that the ranks run on."""

import os

from mpi4py import MPI


def physical_memory(comm: MPI.Intracomm) -> int:
    """Bytes of all nodes together, each counted once. Collective."""
    node = comm.Split_type(MPI.COMM_TYPE_SHARED)
    own = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if node.rank == 0 else 0
    node.Free()
    return int(comm.allreduce(own))
