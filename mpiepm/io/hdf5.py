"""HDF5 files that are written once, whole, checksums included, and appear under their name only when they are complete.

Rank 0 lays out the file with h5netcdf (named dimensions, units, small variables). The rows of distributed variables are
then written by all ranks into contiguous storage through MPI-IO; where h5py is serial, rank 0 receives them rank by
rank, never more than one slab at a time. Both ways give the same file. Nothing is ever resized or written in place.
"""

import io
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5netcdf
import h5py
import numpy as np
from mpi4py import MPI

from mpiepm.core import alive
from mpiepm.core.faults import WriteError
from mpiepm.grid.domain import Domain
from mpiepm.io import checksum
from mpiepm.io.disk import require, sync, together

PARALLEL = bool(h5py.get_config().mpi)


@dataclass
class Dataset:
    """A variable to be written.

    Attributes
    ----------
    dims : names of the dimensions;  values : the array, the same on all ranks
    slabs : instead of values: entries along the first dimension, each this rank's rows (local rows, width), or a
        function that fetches them when their turn comes
    attributes : units, description
    width : columns of a slab, 0: those of the lattice
    items : rows of all slabs together where they are even shares of so many items, 0: they are slabs of the lattice
    """

    dims: tuple[str, ...]
    values: np.ndarray | None = None
    slabs: Sequence[np.ndarray | Callable[[], np.ndarray]] = ()
    dtype: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    width: int = 0
    items: int = 0

    def cut(self, domain: Domain) -> np.ndarray:
        """First row of every rank's slab, and their number."""
        return domain.shares(self.items) if self.items else domain.boundaries


def write(path: Path, domain: Domain, datasets: Mapping[str, Dataset], attributes: Mapping[str, Any]) -> str:
    """Write the file, sync it to the disk and give it its name, replacing an older one in a single step. Collective.

    Returns the name of its seal: `checksum.Sums.name`.

    Raises
    ------
    WriteError : on all ranks, if any of them could not write; what `path` held before is untouched
    """
    partial = path.with_name(path.name + ".partial")
    distributed = {name: d for name, d in datasets.items() if d.values is None}
    wanted = _bytes(datasets, domain.shape)
    file: h5netcdf.File | None = None
    raw: _Remembering | None = None
    try:
        with together(domain, path, wanted):
            if domain.rank == 0:
                partial.unlink(missing_ok=True)
                require(partial, wanted)
                raw = _Remembering(partial, "w+b")
                file = _lay_out(raw, domain.shape, datasets, attributes)
                if PARALLEL or not distributed:
                    file.close()
                    raw.finish()
        if distributed:
            with together(domain, path, wanted):
                if PARALLEL:
                    _write_parallel(partial, domain, distributed)
                else:
                    _gather_by_rows(file, domain, distributed)
                    if file is not None and raw is not None:
                        file.close()
                        raw.finish()
        with together(domain, path, wanted):
            name = checksum.seal(partial, domain)
        with together(domain, path, wanted):
            if domain.rank == 0 or (distributed and PARALLEL):
                sync(partial)  # the host of every rank tells only of what its own ranks have written
        with together(domain, path, wanted):
            if domain.rank == 0:
                partial.replace(path)
                sync(path.parent)
    except WriteError:
        if domain.rank == 0:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
        raise
    return name


def _bytes(datasets: Mapping[str, Dataset], lattice: tuple[int, int]) -> int:
    """Of the values; what HDF5 adds is small."""
    types = {name: np.dtype(d.dtype) if d.values is None else d.values.dtype for name, d in datasets.items()}
    return sum(math.prod(_shape(d, lattice)) * types[name].itemsize for name, d in datasets.items())


_MESSAGE = 1 << 26  # bytes sent at once to the rank that writes: a count of MPI is below 2^31
_PIECE = 1 << 20  # bytes written at once: Linux takes several times as long for a file in pieces of 32 MB


class _Remembering(io.FileIO):
    """A file that HDF5 writes to, which keeps its first error until `finish` and lets HDF5 believe that all is well.

    HDF5 cannot close a file whose writes fail: it stays open with what it could not write, for every later call to stumble on.
    """

    _error: OSError | None = None

    def write(self, data: Any) -> int:
        """All of `data`, if the file is sound."""
        rest = memoryview(data).cast("B")
        size = len(rest)
        try:
            while self._error is None and len(rest):
                rest = rest[super().write(rest[:_PIECE]) :]
        except OSError as error:
            self._error = error
        return size

    def truncate(self, size: int | None = None) -> int:
        """Set the length."""
        try:
            return super().truncate(size)
        except OSError as error:
            self._error = self._error or error
            return size or 0

    def finish(self) -> None:
        """Close; raises OSError if something has not been written."""
        super().close()
        if self._error is not None:
            raise self._error


def _shape(dataset: Dataset, lattice: tuple[int, int]) -> tuple[int, ...]:
    if dataset.values is not None:
        return dataset.values.shape
    return len(dataset.slabs), dataset.items or lattice[0], dataset.width or lattice[1]


def _lay_out(
    raw: _Remembering, lattice: tuple[int, int], datasets: Mapping[str, Dataset], attributes: Mapping[str, Any]
) -> h5netcdf.File:
    """Groups, dimensions, attributes, storage for the distributed variables and the values of all others."""
    early = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    early.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)  # so that MPI-IO finds the storage there
    early.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    file = h5netcdf.File(raw, "w")
    file.attrs.update(attributes)
    file.dimensions = {"x": lattice[0], "y": lattice[1]}
    for name, dataset in datasets.items():
        group_name, _, variable_name = name.rpartition("/")
        group = file.create_group(group_name) if group_name and group_name not in file else file[group_name or "/"]
        shape = _shape(dataset, lattice)
        for dimension, length in zip(dataset.dims, shape, strict=True):
            if dimension in ("x", "y"):
                continue
            known = group.dimensions[dimension].size if dimension in group.dimensions else None
            if known is None:
                group.dimensions[dimension] = length
            elif known != length:
                raise ValueError(f"{name}: dimension {dimension} is {length} here and {known} elsewhere")
        if dataset.values is None:
            variable = group.create_variable(variable_name, dataset.dims, np.dtype(dataset.dtype), dcpl=early)
        else:
            variable = group.create_variable(variable_name, dataset.dims, dataset.values.dtype, data=dataset.values)
        variable.attrs.update(dataset.attributes)
    return file


def _write_parallel(path: Path, domain: Domain, distributed: Mapping[str, Dataset]) -> None:
    """Every rank its rows, each for itself: a collective write to a full disk leaves the ranks waiting for each other.

    So a rank that fails takes no part until the file is closed, and the others need not know before.
    """
    fault: Exception | None = None
    with alive.deaf():
        file = h5py.File(path, "r+", driver="mpio", comm=domain.comm)
    try:
        for name, dataset in distributed.items():
            target = file[name]
            first, last = dataset.cut(domain)[domain.rank : domain.rank + 2]
            for k, slab in enumerate(dataset.slabs):
                rows = slab() if callable(slab) else slab
                step = max(1, _PIECE // max(rows[:1].nbytes, 1))
                for row in range(0, last - first, step):
                    with alive.deaf():
                        target[k, first + row : min(first + row + step, last)] = rows[row : row + step]
    except Exception as error:
        fault = error
    domain.comm.Barrier()  # here others can run while we wait for a slow rank, in HDF5 they cannot
    with alive.deaf():
        file.close()
    if fault is not None:
        raise fault


def _gather_by_rows(file: h5netcdf.File | None, domain: Domain, distributed: Mapping[str, Dataset]) -> None:
    """Every rank sends its rows to rank 0, zeros in place of those that it cannot read."""
    fault: OSError | None = None
    for name, dataset in distributed.items():
        cut = dataset.cut(domain)
        width = dataset.width or domain.shape[1]
        for k, slab in enumerate(dataset.slabs):
            own = np.zeros((cut[domain.rank + 1] - cut[domain.rank], width), dataset.dtype)
            try:
                own[:] = slab() if callable(slab) else slab
            except OSError as error:
                fault = error
            alive.got_on()
            step = max(1, _MESSAGE // max(width * own.itemsize, 1))
            if file is None:
                for row in range(0, len(own), step):
                    domain.comm.Send([own[row : row + step], MPI.BYTE], dest=0)
                continue
            file[name][k, : cut[1]] = own
            for rank in range(1, domain.size):
                for first in range(cut[rank], cut[rank + 1], step):
                    rows = np.empty((min(step, cut[rank + 1] - first), width), dataset.dtype)
                    domain.comm.Recv([rows, MPI.BYTE], source=rank)
                    file[name][k, first : first + len(rows)] = rows
    if fault is not None:
        raise fault
