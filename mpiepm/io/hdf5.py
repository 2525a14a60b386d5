"""HDF5 files that are written once, whole, checksums included, and appear under their name only when they are complete.

Rank 0 lays out the file with h5netcdf (named dimensions, units) and writes the small variables, block by block. The rows of
distributed variables are then written by all ranks into contiguous storage through MPI-IO; where that does not work
(`io.parallel`), rank 0 receives them rank by rank. Both ways give the same file. Nothing is ever resized.

HDF5 itself protects all metadata by checksums (the file format of its version 1.8 and later). Values get a CRC each, in an
attribute of their dataset (`io.crc`); a file that only mpiepm reads is sealed as a whole instead (`io.checksum`).
"""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5netcdf
import h5py
import numpy as np

from mpiepm.core import heartbeat
from mpiepm.core.faults import WriteError
from mpiepm.grid.domain import Domain
from mpiepm.io import checksum, crc, parallel, rows
from mpiepm.io.dataset import Dataset
from mpiepm.io.disk import require, sync, together
from mpiepm.io.rawfile import RawFile

DIMENSIONS = "dimensions"  # attribute: names of the dimensions, for readers that do not follow references
_FORMAT = ("v108", "v110")  # of HDF5: its metadata have checksums


def write(
    path: Path, domain: Domain, datasets: Mapping[str, Dataset], attributes: Mapping[str, Any], *, sealed: bool = False
) -> str:
    """Write the file, sync it to the disk and give it its name, replacing an older one in a single step. Collective.

    Returns the name of its seal, `checksum.Sums.name`, "" without.

    Raises
    ------
    WriteError : on all ranks, if any of them could not write; what `path` held before is untouched
    """
    partial = path.with_name(path.name + ".partial")
    distributed = {name: d for name, d in datasets.items() if d.distributed}
    wanted = sum(dataset.bytes for dataset in datasets.values())
    everyone_writes = bool(distributed) and parallel.usable(domain)
    file: h5py.File | None = None
    raw: RawFile | None = None
    seal = ""
    try:
        with together(domain, path, wanted), domain.root_at_work():
            if domain.rank == 0:
                partial.unlink(missing_ok=True)
                require(partial, wanted)
                raw = RawFile(partial, "w+b")
                file = h5py.File(raw, "w", libver=_FORMAT, track_order=True)  # netCDF wants the order
                _lay_out(file, domain.shape, datasets, attributes, sums=not sealed)
                _fill(file, datasets, sums=not sealed)
                if everyone_writes or not distributed:
                    file.close()
                    raw.finish()
        sums = np.zeros(len(distributed), np.uint32)
        if distributed:
            if everyone_writes:
                rows.write_parallel(path, partial, domain, distributed, sums, wanted)
            else:
                with together(domain, path, wanted):
                    rows.gather_by_rows(file, domain, distributed, sums)
                    if file is not None and raw is not None:
                        file.close()
                        raw.finish()
        if sealed:
            with together(domain, path, wanted):
                seal = checksum.seal(partial, domain)
        else:
            domain.xor(sums)
            with together(domain, path, wanted):
                if domain.rank == 0 and distributed:
                    raw = RawFile(partial, "r+b")
                    with h5py.File(raw, "r+") as file:
                        for name, value in zip(distributed, sums.tolist(), strict=True):
                            _set_sum(file[name], value)
                    raw.finish()
        with together(domain, path, wanted):
            if domain.rank == 0 or everyone_writes:
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
    return seal


def _lay_out(
    file: h5py.File, lattice: tuple[int, int], datasets: Mapping[str, Dataset], attributes: Mapping[str, Any], *, sums: bool
) -> None:
    """Groups, dimensions, attributes, and storage for the variables; 0 in place of sums."""
    early = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    early.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)  # so that MPI-IO finds the storage there
    early.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    layout = h5netcdf.File(file, "w")
    layout.attrs.update({key: _text(value) if isinstance(value, str) else value for key, value in attributes.items()})
    layout.dimensions = {"x": lattice[0], "y": lattice[1]}
    for name, dataset in datasets.items():
        group_name, _, variable_name = name.rpartition("/")
        group = layout.create_group(group_name) if group_name and group_name not in layout else layout[group_name or "/"]
        for dimension, length in zip(dataset.dims, dataset.shape, strict=True):
            if dimension in ("x", "y"):
                continue
            known = group.dimensions[dimension].size if dimension in group.dimensions else None
            if known is None:
                group.dimensions[dimension] = length
            elif known != length:
                raise ValueError(f"{name}: dimension {dimension} is {length} here and {known} elsewhere")
        options = {"dcpl": early} if dataset.distributed else {}
        variable = group.create_variable(variable_name, dataset.dims, np.dtype(dataset.dtype), **options)
        variable.attrs.update(dataset.attributes)
        if sums:
            variable.attrs[crc.ATTRIBUTE] = np.uint32(0)
            variable.attrs[DIMENSIONS] = _text(" ".join(dataset.dims))
        heartbeat.beat()
    layout.close()


def _text(value: str) -> np.ndarray:
    """A string of fixed length: HDF5 keeps others in a heap without checksums, and crashes if that is damaged."""
    encoded = value.encode()
    return np.array(encoded, h5py.string_dtype("utf-8", max(len(encoded), 1)))


def text(attributes: h5py.AttributeManager, name: str) -> str:
    """A string attribute; raises LookupError if there is none."""
    value = attributes[name]
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _fill(file: h5py.File, datasets: Mapping[str, Dataset], *, sums: bool) -> None:
    """Write the values of variables that are not distributed."""
    for name, dataset in datasets.items():
        if dataset.distributed:
            continue
        target, position, found = file[name], 0, 0
        for block in dataset.blocks():
            target[position : position + len(block)] = block
            position += len(block)
            found = crc.of_bytes(block, found)
            heartbeat.beat()
        if sums:
            _set_sum(target, found)


def _set_sum(dataset: h5py.Dataset, value: int) -> None:
    dataset.attrs.modify(crc.ATTRIBUTE, np.array([value], np.uint32))
