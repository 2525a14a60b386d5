"""Where a result comes from: programs, libraries, machines, command line; one entry for each stretch of a run."""

import importlib.metadata
import platform
import re
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
from mpi4py import MPI

from mpiepm import __version__
from mpiepm.core.revision import git_revision

_PACKAGES = ("numpy", "numba", "mpi4py", "mpi4py-fft", "h5py", "h5netcdf", "pydantic")


def software() -> dict[str, str]:
    """Versions of everything that takes part."""
    versions = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return {
        "mpiepm": __version__,
        "git": git_revision(),
        "python": platform.python_version(),
        "mpi": MPI.Get_library_version().splitlines()[0].split(",")[0].strip("\0 "),
        "hdf5": h5py.version.hdf5_version,
        "parallel_hdf5": "yes" if h5py.get_config().mpi else "no",
        **versions,
    }


def stretch(comm: MPI.Intracomm) -> dict[str, Any]:
    """Provenance of the stretch of a run that begins now; `wall_time` and `memory` are filled in as it goes. Collective."""
    hosts = comm.allgather(MPI.Get_processor_name())
    entry = {
        **(software() if comm.rank == 0 else {}),
        "ranks": comm.size,
        "hosts": sorted(set(hosts)),
        "command": " ".join(sys.argv),
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "wall_time": 0.0,
        "memory": 0,
    }
    result: dict[str, Any] = comm.bcast(entry)
    return result


def forget_memory() -> None:
    """Let the peak of memory count from now on: this process may have performed other runs."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory(comm: MPI.Intracomm) -> int:
    """Bytes: the largest memory of every rank since `forget_memory`, added up. Collective."""
    try:
        found = re.search(r"^VmHWM:\s*(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    except OSError:
        found = None
    total: int = comm.allreduce(1024 * int(found[1]) if found else 0)
    return total
