"""The rows that the ranks hold of distributed variables, into a file that rank 0 has laid out."""

import atexit
import math
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np

from mpiepm.core import heartbeat
from mpiepm.core.exits import FAILED
from mpiepm.core.faults import WriteError
from mpiepm.grid.domain import Domain
from mpiepm.io import crc
from mpiepm.io.dataset import Dataset
from mpiepm.io.disk import together
from mpiepm.io.rawfile import PIECE


def _joined(dataset: Dataset, domain: Domain, before: int, rows: np.ndarray) -> int:
    """Part of this rank in the CRC, with one more entry."""
    row = dataset.bytes // math.prod(dataset.shape[:2])
    after = dataset.shape[1] - int(dataset.boundaries[domain.rank + 1])
    return crc.shifted(before, row * dataset.shape[1]) ^ crc.shifted(crc.of_bytes(rows), row * after)


def write_parallel(
    path: Path, partial: Path, domain: Domain, distributed: Mapping[str, Dataset], sums: np.ndarray, wanted: int
) -> None:
    """Every rank its rows, each for itself: a collective write to a full disk leaves the ranks waiting for each other.

    So a rank that fails takes no part until the file is closed, and the others need not know before. `sums` get the CRCs.
    """
    file = _open_together(path, partial, domain, wanted)
    with together(domain, path, wanted):
        fault: Exception | None = None
        try:
            for k, (name, dataset) in enumerate(distributed.items()):
                target, part = file[name], 0
                first, last = dataset.boundaries[domain.rank : domain.rank + 2]
                for entry, rows in enumerate(dataset.entries()):
                    part = _joined(dataset, domain, part, rows)
                    step = max(1, PIECE // max(rows[:1].nbytes, 1))
                    for row in range(0, last - first, step):
                        with heartbeat.blocking():
                            target[entry, first + row : min(first + row + step, last)] = rows[row : row + step]
                sums[k] = part
        except Exception as error:
            fault = error
        domain.barrier()  # here others can run while we wait for a slow rank, in HDF5 they cannot
        with heartbeat.blocking():
            file.close()
        if fault is not None:
            raise fault


def _open_together(path: Path, partial: Path, domain: Domain, wanted: int) -> h5py.File:
    """Open the file on all ranks, or on none.

    Opening and closing are collective, so a rank that cannot open leaves the others with a file that they cannot close. Nearly
    always a plain open shows it before. If only HDF5 fails, the others keep their file, and leave without HDF5 and MPI.
    """
    with together(domain, path, wanted):
        os.close(os.open(partial, os.O_RDWR))
    file: h5py.File | None = None
    try:
        with together(domain, path, wanted), heartbeat.blocking():
            file = h5py.File(partial, "r+", **domain.mpio())
    except WriteError:
        if file is not None:
            _abandon(file)
        raise
    assert file is not None
    return file


def abandoned(domain: Domain) -> bool:
    """Does any rank hold a file that it cannot close? Collective."""
    return any(domain.collect(bool(_ABANDONED)))


_ABANDONED: list[h5py.File] = []  # must not be closed, not even by the garbage collection


def _abandon(file: h5py.File) -> None:
    """Let this process end without closing `file`: HDF5 would wait for a rank that does not have it open."""

    def leave() -> None:
        if _ABANDONED:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(FAILED)

    _ABANDONED.append(file)
    atexit.register(leave)


def gather_by_rows(file: h5py.File | None, domain: Domain, distributed: Mapping[str, Dataset], sums: np.ndarray) -> None:
    """Every rank sends its rows to rank 0, zeros in place of those that it cannot read. `sums` get the CRCs."""
    fault: Exception | None = None
    for number, (name, dataset) in enumerate(distributed.items()):
        cut, width, part = dataset.boundaries, dataset.shape[2], 0
        entries = dataset.entries()
        own = np.zeros((cut[domain.rank + 1] - cut[domain.rank], width), dataset.dtype)
        step = max(1, PIECE // max(width * own.itemsize, 1))
        for k in range(dataset.shape[0]):
            try:
                own[:] = next(entries)
            except (OSError, RuntimeError, LookupError, StopIteration) as error:
                fault = fault or error
            part = _joined(dataset, domain, part, own)
            for rank in range(domain.size):
                for first in range(cut[rank], cut[rank + 1], step):
                    last = min(first + step, cut[rank + 1])
                    rows = own[first - cut[rank] : last - cut[rank]] if rank == domain.rank else None
                    if rows is not None and rank > 0:
                        domain.send_to_root(rows)
                    if file is not None:
                        if rows is None:
                            rows = np.empty((last - first, width), dataset.dtype)
                            domain.receive(rows, rank)
                        file[name][k, first:last] = rows
                    heartbeat.beat()
        sums[number] = part
    if fault is not None:
        raise fault
