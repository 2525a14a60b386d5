"""Do the ranks write their rows themselves, through MPI-IO, or does rank 0 write everything?

h5py knows only how it was built. Whether MPI-IO works depends on the directory too: some file systems lack what it needs, and
ROMIO takes what stands before a colon in a path for the name of a file system. So it is tried where the run will write.
"""

from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np

from mpiepm.core.faults import WriteError
from mpiepm.grid.domain import Domain
from mpiepm.io import rows
from mpiepm.io.dataset import of_slabs
from mpiepm.io.disk import together
from mpiepm.io.reading import for_reading

BUILT = bool(h5py.get_config().mpi)
_NUMBERS = 512  # that every rank writes in the trial
_COLON = "; a path without ':' may help: some MPI libraries read what stands before it as a type of file system"
_failed = False


def usable(domain: Domain) -> bool:
    """Do several ranks write to one file? The same on all ranks. A rank that is alone needs no MPI-IO."""
    return BUILT and domain.size > 1 and not _failed


def attempt(partial: Path, domain: Domain) -> str:
    """Write a small file and read it: why MPI-IO does not work there, and stays unused from now on; "" if it works. Collective.

    Parameters
    ----------
    partial : where the trial writes; the file is removed

    Raises
    ------
    WriteError : on all ranks, if rank 0 alone cannot write there either, or if only some ranks can open the file
    """
    global _failed
    _failed = False
    if not usable(domain):
        return ""
    expected = np.arange(domain.size * _NUMBERS, dtype=float).reshape(domain.size, _NUMBERS)
    dataset = of_slabs(("one", "rank", "number"), [expected[domain.rank : domain.rank + 1]], np.arange(domain.size + 1))
    fault = ""
    try:
        with together(domain, partial):
            if domain.rank == 0:
                with partial.open("w+b") as raw, h5py.File(raw, "w") as file:
                    file["trial"] = np.full((1, *expected.shape), np.nan)
        try:
            rows.write_parallel(partial, partial, domain, {"trial": dataset}, np.zeros(1, np.uint32), dataset.bytes)
            with together(domain, partial):
                if domain.rank == 0:
                    with for_reading(partial) as file:
                        if not np.array_equal(file["trial"][0], expected):
                            raise ValueError("numbers that were written are not there")
        except WriteError as error:
            if rows.abandoned(domain):
                raise
            _failed, fault = True, str(error) + _COLON * (":" in str(partial))
    finally:
        if domain.rank == 0:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
    return fault
