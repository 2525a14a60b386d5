"""What ``mpiepm doctor`` lets the ranks do: find each other, and write a file together. Rank 0 prints one line of JSON."""

import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from mpi4py import MPI

from mpiepm.io.reading import for_reading


def answer(folder: Path, comm: MPI.Intracomm) -> dict[str, Any]:
    """What the ranks of `comm` have found. Collective.

    Returns
    -------
    ranks, library, hdf5 : number and versions;  hosts, cores : of each rank, the cores by number
    parallel : is HDF5;  fault : why it could not write, "" if it could
    """
    parallel = bool(h5py.get_config().mpi)
    fault = _write(folder / f".mpiepm-doctor-{comm.bcast(os.getpid())}.h5", comm) if parallel else ""
    return {
        "ranks": comm.size,
        "library": MPI.Get_library_version().split(",")[0].strip("\0 \n"),
        "hdf5": h5py.version.hdf5_version,
        "hosts": comm.allgather(platform.node()),
        "cores": comm.allgather(sorted(os.sched_getaffinity(0))),
        "parallel": parallel,
        "fault": next((reason for reason in comm.allgather(fault) if reason), ""),
    }


def _write(path: Path, comm: MPI.Intracomm) -> str:
    """Every rank its row, as a run writes its fields; why it failed."""
    fault = ""
    try:
        with h5py.File(path, "w", driver="mpio", comm=comm) as file:
            rows = file.create_dataset("rows", (comm.size, 1000))
            rows[comm.rank] = np.arange(1000) + comm.rank
        comm.Barrier()
        with for_reading(path) as file:
            if not np.array_equal(file["rows"][:, 0], np.arange(comm.size)):
                fault = "what was written cannot be read"
    except (OSError, RuntimeError) as error:
        fault = str(error)
    comm.Barrier()
    if comm.rank == 0:
        path.unlink(missing_ok=True)
    return fault


if __name__ == "__main__":
    found = answer(Path(sys.argv[1]), MPI.COMM_WORLD)
    if MPI.COMM_WORLD.rank == 0:
        os.write(1, f"{json.dumps(found)}\n".encode())  # in one piece: under a wrong launcher there are several of rank 0
