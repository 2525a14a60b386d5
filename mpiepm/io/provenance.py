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

from mpiepm import __version__
from mpiepm.core.revision import git_revision
from mpiepm.grid.communicator import library
from mpiepm.grid.domain import Domain

_PACKAGES = ("numpy", "numba", "mpi4py", "mpi4py-fft", "h5py", "h5netcdf", "pydantic")


def software() -> dict[str, str]:
    """Versions of everything that takes part."""
    versions = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return {
        "mpiepm": __version__,
        "git": git_revision(),
        "python": platform.python_version(),
        "mpi": library(),
        "hdf5": h5py.version.hdf5_version,
        "parallel_hdf5": "yes" if h5py.get_config().mpi else "no",
        **versions,
    }


def stretch(domain: Domain) -> dict[str, Any]:
    """Provenance of the stretch of a run that begins now; `wall_time` and `memory` are filled in as it goes. Collective."""
    hosts = domain.collect(platform.node())
    entry = {
        **(software() if domain.rank == 0 else {}),
        "ranks": domain.size,
        "hosts": sorted(set(hosts)),
        "command": " ".join(sys.argv),
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "wall_time": 0.0,
        "memory": 0,
    }
    result: dict[str, Any] = domain.broadcast(entry)
    return result


def forget_memory() -> None:
    """Let the peak of memory count from now on: this process may have performed other runs."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory(domain: Domain) -> int:
    """Bytes: the largest memory of every rank since `forget_memory`, added up. Collective."""
    try:
        found = re.search(r"^VmHWM:\s*(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return int(domain.sum_counts(1024 * int(found[1]) if found else 0))
