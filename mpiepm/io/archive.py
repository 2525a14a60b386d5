"""The archive of a run: one HDF5 file, whatever the number of ranks, with named dimensions and units.

Records wait in memory; at a checkpoint those of a long run move to a numbered segment in ``journal/``, written once and
never touched again. `finish` joins segments and memory into ``archive.h5``. A run killed at any
moment therefore loses nothing that its newest checkpoint knows of. A checkpoint knows its segments by their seals: one that a
run has written anew, after it had fallen back to an older checkpoint, is not taken for the one that was there before.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mpiepm.core.params import ParameterError
from mpiepm.core.units import Units
from mpiepm.grid.domain import Domain
from mpiepm.io import hdf5
from mpiepm.io.disk import sync, together
from mpiepm.io.hdf5 import Dataset
from mpiepm.io.opening import seal_of
from mpiepm.observe.base import Variable

SCHEMA = "mpiepm archive 2"
READABLE = ("mpiepm archive 1", SCHEMA)  # 1: without checksums, and with the units of EPM-Q whatever the model
NAME = "archive.h5"
_MEMORY_BYTES = 256 * 1024**2
_CONSTANTS = {
    "persistence/lag": ("lag", "{time}", "since the origin"),
    "histograms/stress/edges": ("edge", "{stress}", "edges of the bins"),
    "correlations/lag": ("lag", "{time}", "since the origin"),
    "correlations/wave_number": ("one", "mu/{stress}", "k of the plastic correlation"),
    "four_point/lag": ("lag", "{time}", "since the origin"),
    "four_point/wave_number": ("shell", "1/site", "mean |q| of the shell"),
    "four_point/vectors": ("shell", "1", "number of wave vectors in the shell"),
    "clusters/lag": ("lag", "{time}", "since the origin"),
    "clusters/edges": ("edge", "sites", "edges of the bins of sizes"),
    "waiting_times/edges": ("edge", "{time}", "edges of the bins"),
    "avalanches/edges": ("edge", "events", "edges of the bins of sizes"),
    "avalanches/gap": ("criterion", "{time}", "quiet time that ends an avalanche, NaN: by threshold"),
    "avalanches/threshold": ("criterion", "1", "stability of all sites that ends an avalanche, NaN: by gap"),
}


def journal(folder: Path) -> Path:
    """Where the segments of a run lie."""
    return folder / "journal"


def segment(folder: Path, number: int) -> Path:
    """One of them."""
    return journal(folder) / f"{number:06d}.h5"


def check_journal(folder: Path, segments: Sequence[str]) -> None:
    """Are the segments there that have these seals?

    Raises
    ------
    ParameterError : if one of them is missing, damaged or another one
    """
    for number, expected in enumerate(segments):
        path = segment(folder, number)
        if seal_of(path, "archive", READABLE) != expected:
            raise ParameterError(f"{path}: is not the segment that belongs to the checkpoint")


class Archive:
    """Collects the records of all observers and writes them. All methods but `record` are collective.

    Parameters
    ----------
    variables : what will be recorded
    segments : seals of the journal segments that belong to the trajectory (none, or from the checkpoint)
    units : those of the model
    """

    def __init__(
        self, folder: Path, domain: Domain, variables: Iterable[Variable], segments: Sequence[str] = (),
        units: Units | None = None,
    ) -> None:  # fmt: skip
        self.folder, self.domain = folder, domain
        self._units = units or Units()
        self.variables = {variable.name: variable for variable in variables}
        self.segments = list(segments)
        self._records: dict[str, list[np.ndarray]] = {name: [] for name in self.variables}
        self._bytes = 0

    def record(self, name: str, value: np.ndarray | float | int) -> None:
        """Add an entry to variable `name`: this rank's rows if it is distributed, else the same value on all ranks."""
        row = np.asarray(value, dtype=self.variables[name].dtype)
        self._records[name].append(row)
        self._bytes += row.nbytes

    @property
    def full(self) -> bool:
        """Do the records of some rank take so much memory that they should be flushed? The same on all ranks."""
        return bool(self.domain.comm.allreduce(self._bytes, max) > _MEMORY_BYTES)

    def flush(self) -> None:
        """Move what is in memory to the next segment, if there is anything."""
        if not any(self._records.values()):
            return
        with together(self.domain, journal(self.folder)):
            if self.domain.rank == 0 and not journal(self.folder).exists():
                journal(self.folder).mkdir()
                sync(self.folder)
        contents = {name: self._dataset(self.variables[name], rows) for name, rows in self._records.items() if rows}
        path = segment(self.folder, len(self.segments))
        self.segments.append(hdf5.write(path, self.domain, _separate_dimensions(contents), {"schema": SCHEMA}))
        self._bytes = 0
        for rows in self._records.values():
            rows.clear()

    def _dataset(self, variable: Variable, rows: Sequence[Any]) -> Dataset:
        attributes = {"units": self._units.of(variable.units), "description": variable.description}
        if variable.distributed:
            return Dataset(
                variable.dims, slabs=rows, dtype=variable.dtype, attributes=attributes,
                width=variable.width, items=variable.items,
            )  # fmt: skip
        if variable.ragged:
            length = max((len(row) for row in rows), default=0)
            values = np.full((len(rows), length, *rows[0].shape[1:]), np.nan, variable.dtype)
            for k, row in enumerate(rows):
                values[k, : len(row)] = row
        else:
            values = np.array(rows, variable.dtype)
        return Dataset(variable.dims, values, attributes=attributes)

    def lengths(self) -> dict[str, int]:
        """Records of each variable so far, in segments and memory; the same on all ranks."""
        numbers = {name: len(rows) for name, rows in self._records.items()}
        for number in range(len(self.segments)):
            with h5py.File(segment(self.folder, number), "r") as file:
                for name in numbers:
                    numbers[name] += file[name].shape[0] if name in file else 0
        return numbers

    def take_over(self, path: Path, lengths: Mapping[str, int]) -> None:
        """Record once more what a finished archive holds: of each variable the first records, `lengths` of them."""
        for name, variable in self.variables.items():
            for row in self._stored(path, variable)[: lengths.get(name, 0)]:
                self.record(name, row() if callable(row) else row)
                if variable.distributed and self.full:
                    self.flush()

    def _read_rows(self, path: Path, variable: Variable, k: int) -> np.ndarray:
        own = self.domain.share(variable.items) if variable.items else self.domain.rows
        with h5py.File(path, "r") as file:
            rows: np.ndarray = file[variable.name][k, own]
            return rows

    def _stored(self, path: Path, variable: Variable) -> list[Any]:
        """Records of a variable in a file, in the order in which they were made; fields are read when used."""
        with h5py.File(path, "r") as file:
            if variable.name not in file:
                return []
            if variable.distributed:
                return [partial(self._read_rows, path, variable, k) for k in range(file[variable.name].shape[0])]
            rows = list(file[variable.name][()])
        if variable.ragged:
            for k, row in enumerate(rows):
                empty = np.isnan(row).all(axis=tuple(range(1, row.ndim)))
                rows[k] = row[: len(row) - int(empty[::-1].cumprod().sum())]
        return rows

    def _all_records(self, variable: Variable) -> list[Any]:
        """Records of all segments and of the memory, in the order in which they were made."""
        segments = [segment(self.folder, number) for number in range(len(self.segments))]
        return [row for path in segments for row in self._stored(path, variable)] + self._records[variable.name]

    def finish(self, constants: dict[str, np.ndarray], attributes: dict[str, Any]) -> None:
        """Write ``archive.h5`` with everything recorded and the `constants`; the journal is no longer needed then."""
        contents = {}
        for name, values in constants.items():
            dimension, units, description = _CONSTANTS[name]
            labels = {"units": self._units.of(units), "description": description}
            contents[name] = Dataset((dimension,), values, attributes=labels)
        for variable in self.variables.values():
            rows = self._all_records(variable)
            if rows:
                contents[variable.name] = self._dataset(variable, rows)
        hdf5.write(self.folder / NAME, self.domain, contents, {"schema": SCHEMA, **attributes})


def remove_journal(folder: Path) -> None:
    """Delete the segments and their folder, and nothing else in it."""
    if journal(folder).is_symlink() or not journal(folder).is_dir():
        return
    for path in journal(folder).iterdir():
        if re.fullmatch(r"\d{6,}\.h5(\.partial)?", path.name):
            path.unlink()
    if not any(journal(folder).iterdir()):
        journal(folder).rmdir()


def _separate_dimensions(contents: dict[str, Dataset]) -> dict[str, Dataset]:
    """A segment may hold three records of one variable and two of another: no dimension is shared but x and y."""
    return {
        name: Dataset(
            tuple(d if d in ("x", "y") else f"{name.rpartition('/')[2]}_{d}" for d in dataset.dims),
            dataset.values, dataset.slabs, dataset.dtype, dataset.attributes, dataset.width, dataset.items,
        )
        for name, dataset in contents.items()
    }  # fmt: skip
