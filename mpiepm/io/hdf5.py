"""HDF5 files that are written once, whole, and appear under their name only when they are complete.

Rank 0 lays out the file with h5netcdf (named dimensions, units, small variables). The rows of distributed variables are
then written by all ranks into contiguous storage through MPI-IO; where h5py is serial, rank 0 receives them rank by
rank, never more than one slab at a time. Both ways give the same file. Nothing is ever resized or written in place.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5netcdf
import h5py
import numpy as np
from mpi4py import MPI

from mpiepm.grid.domain import Domain
from mpiepm.io import seal

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


def write(
    path: Path, domain: Domain, datasets: Mapping[str, Dataset], attributes: Mapping[str, Any], *, sealed: bool = False
) -> str:
    """Write the file, sync it to the disk and give it its name, replacing an older one in a single step. Collective.

    If `sealed`, it can be checked (`io.seal`), and the name of its seal is returned.

    Raises
    ------
    OSError : on all ranks, if any of them could not write; what `path` held before is untouched
    """
    partial = path.with_name(path.name + ".partial")
    distributed = {name: d for name, d in datasets.items() if d.values is None}
    error: str | None = None
    file: h5netcdf.File | None = None
    if domain.rank == 0:
        try:
            file = _lay_out(partial, domain.shape, datasets, attributes)
            if PARALLEL or not distributed:
                file.close()
        except (OSError, RuntimeError, ValueError) as fault:
            error = str(fault)
    _raise_together(domain, error, path)
    if distributed:
        try:
            if PARALLEL:
                _write_parallel(partial, domain, distributed)
            else:
                _gather_by_rows(file, domain, distributed)
        except (OSError, RuntimeError) as fault:
            error = str(fault)
        _raise_together(domain, error, path)
    name = ""
    checksums = {}
    if sealed:
        for key, d in distributed.items():
            checksums[key] = seal.checksum(domain, [slab() if callable(slab) else slab for slab in d.slabs])
    try:
        if domain.rank == 0 and sealed:
            name = seal.attach(partial, checksums)
        if domain.rank == 0 or (distributed and PARALLEL):
            sync(partial)  # each host has what its own ranks have written
    except OSError as fault:
        error = str(fault)
    _raise_together(domain, error, path)
    if domain.rank == 0:
        try:
            partial.replace(path)
            sync(path.parent)
        except OSError as fault:
            error = str(fault)
    _raise_together(domain, error, path)
    return str(domain.comm.bcast(name))


def _raise_together(domain: Domain, error: str | None, path: Path) -> None:
    errors = [e for e in domain.comm.allgather(error) if e]
    if errors:
        raise OSError(f"{path}: cannot be written: {errors[0]}")


def sync(path: Path) -> None:
    """Flush a file or folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _shape(dataset: Dataset, lattice: tuple[int, int]) -> tuple[int, ...]:
    if dataset.values is not None:
        return dataset.values.shape
    return len(dataset.slabs), dataset.items or lattice[0], dataset.width or lattice[1]


def _lay_out(
    path: Path, lattice: tuple[int, int], datasets: Mapping[str, Dataset], attributes: Mapping[str, Any]
) -> h5netcdf.File:
    """Groups, dimensions, attributes, storage for the distributed variables and the values of all others."""
    early = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    early.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)  # so that MPI-IO finds the storage there
    early.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    file = h5netcdf.File(path, "w")
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
    with h5py.File(path, "r+", driver="mpio", comm=domain.comm) as file:
        for name, dataset in distributed.items():
            target = file[name]
            cut = dataset.cut(domain)
            first, last = cut[domain.rank : domain.rank + 2]
            everyone = bool(np.all(np.diff(cut) > 0))  # h5py leaves a rank without rows out of a collective call
            for k, slab in enumerate(dataset.slabs):
                rows = slab() if callable(slab) else slab
                with target.collective if everyone else nullcontext():
                    target[k, first:last] = rows


def _gather_by_rows(file: h5netcdf.File | None, domain: Domain, distributed: Mapping[str, Dataset]) -> None:
    for name, dataset in distributed.items():
        cut = dataset.cut(domain)
        for k, slab in enumerate(dataset.slabs):
            own = np.ascontiguousarray(slab() if callable(slab) else slab, dtype=dataset.dtype)
            if file is None:
                domain.comm.Send([own, MPI.BYTE], dest=0)
                continue
            file[name][k, : cut[1]] = own
            for rank in range(1, domain.size):
                first, last = cut[rank : rank + 2]
                rows = np.empty((last - first, own.shape[1]), dataset.dtype)
                domain.comm.Recv([rows, MPI.BYTE], source=rank)
                file[name][k, first:last] = rows
    if file is not None:
        file.close()
