"""The archive of a run: one HDF5 file, whatever the number of ranks, with named dimensions and units.

Records wait in memory; at a checkpoint those of a long run move to a segment of the journal (`io.journal`). `finish` joins
segments and memory into ``archive.h5``. A run killed at any moment therefore loses nothing that its newest checkpoint knows of.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mpiepm.core import heartbeat
from mpiepm.core.faults import ParameterError
from mpiepm.core.units import Units
from mpiepm.grid.domain import Domain
from mpiepm.io import crc, hdf5, journal
from mpiepm.io.columns import Column, Ragged, Slabs
from mpiepm.io.dataset import Dataset, of_array
from mpiepm.io.disk import sync, together
from mpiepm.io.gaps import Gaps
from mpiepm.io.opening import damaged, open_archive
from mpiepm.io.reading import for_reading
from mpiepm.observe.base import Variable

SCHEMA = "mpiepm archive 3"
NAME = "archive.h5"
_MEMORY_BYTES = 256 * 1024**2  # of records that wait, on a rank
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


class Archive:
    """Collects the records of all observers and writes them. All methods but `record` are collective.

    Parameters
    ----------
    variables : what will be recorded
    segments : seals of the journal segments that belong to the trajectory (none, or from the checkpoint), "": it is lost
    counts : how many records of each variable they have, as far as known
    units : those of the model
    """

    def __init__(
        self, folder: Path, domain: Domain, variables: Iterable[Variable], segments: Sequence[str] = (),
        units: Units | None = None, counts: Sequence[Mapping[str, int]] = (),
    ) -> None:  # fmt: skip
        self.folder, self.domain = folder, domain
        self._units = units or Units("1", "1", "1")
        self.variables = {variable.name: variable for variable in variables}
        self.segments = list(segments)
        self.counts = [dict(count) for count in counts] or self._counted()
        self._columns = {name: _column(variable) for name, variable in self.variables.items()}

    def record(self, name: str, value: np.ndarray | float | int) -> None:
        """Add an entry to variable `name`: this rank's rows if it is distributed, else the same value on all ranks."""
        self._columns[name].append(value)

    @property
    def full(self) -> bool:
        """Do the records of some rank take so much memory that they should be flushed? The same on all ranks."""
        waiting = sum(column.bytes for column in self._columns.values())
        return -self.domain.minimum(-float(waiting)) > _MEMORY_BYTES

    def flush(self) -> None:
        """Move what is in memory to the next segment, if there is anything."""
        if not any(map(len, self._columns.values())):
            return
        folder = journal.folder_of(self.folder)
        with together(self.domain, folder):
            if self.domain.rank == 0 and not folder.exists():
                folder.mkdir()
                sync(self.folder)
        contents = {}
        for name, column in self._columns.items():
            if len(column):
                own = [f"{name.rpartition('/')[2]}_{dim}" for dim in self.variables[name].dims]
                # a segment may hold three records of one variable and two of another: no dimension is shared but x and y
                dims = tuple(d if d in ("x", "y") else o for d, o in zip(self.variables[name].dims, own, strict=True))
                contents[name] = self._dataset(name, dims, [])
        path = journal.segment(self.folder, len(self.segments))
        self.segments.append(hdf5.write(path, self.domain, contents, {"schema": journal.SCHEMA}, sealed=True))
        self.counts.append(self._waiting())
        for column in self._columns.values():
            column.clear()

    def find_lost(self) -> list[str]:
        """Segments that are gone, but were not yet when this was last asked. Collective.

        They are counted as lost from now on: the run goes on, and its archive will lack what was in them.
        """
        gone = self.domain.on_root(lambda: journal.missing(self.folder, self.segments))
        for number in gone:
            self.segments[number] = ""
        return [str(journal.segment(self.folder, number)) for number in gone]

    def _waiting(self) -> dict[str, int]:
        return {name: len(column) for name, column in self._columns.items() if len(column)}

    def _index(self) -> journal.Index:
        return self.domain.on_root(lambda: journal.index(self.folder, self.segments))

    def _counted(self) -> list[dict[str, int]]:
        """Records in each segment, from the segments themselves."""
        counts: list[dict[str, int]] = [{} for _ in self.segments]
        for name, places in (self._index() if counts else {}).items():
            for number, (length, *_) in places:
                counts[number][name] = length
        return counts

    def _gaps(self, index: journal.Index) -> Gaps:
        """What is lost with segments of the journal. Collective."""

        def values(name: str) -> np.ndarray:
            return self.domain.on_root(lambda: np.concatenate(list(self._blocks(name, index.get(name, []), None))))

        lost = [number for number, seal in enumerate(self.segments) if not seal]
        return Gaps(self.variables, lost, self.counts, self._waiting(), values)

    def _blocks(self, name: str, places: journal.Places, rows: slice | None) -> Iterator[np.ndarray]:
        yield from journal.blocks(self.folder, name, places, rows)
        if len(self._columns[name]):
            yield from self._columns[name].blocks()

    def _dataset(self, name: str, dims: tuple[str, ...], places: journal.Places, gaps: Gaps | None = None) -> Dataset:
        """All records of a variable, but for `gaps`: those in `places` of the journal, then those in memory."""
        variable, column = self.variables[name], self._columns[name]
        entries = [shape[1:] for _, shape in places]
        if len(column):
            entries.append(self._whole(variable, column.entry))
        entry = max(entries, key=lambda shape: shape[:1])  # they differ in the first number only, and only if ragged
        length = int(gaps.keep(name).sum()) if gaps else sum(shape[0] for _, shape in places) + len(column)
        rows = self._rows(variable) if variable.distributed else None

        def blocks() -> Iterable[np.ndarray]:
            found = self._blocks(name, places, rows)
            return gaps.select(name, found) if gaps else found

        labels = {"units": self._units.of(variable.units), "description": variable.description}
        source = (lambda: _widened(blocks(), entry[0])) if variable.ragged else blocks
        dtype = np.dtype(variable.dtype).str
        return Dataset(dims, (length, *entry), dtype, source, labels, self._boundaries(variable))

    def lengths(self) -> dict[str, int]:
        """Records of each variable so far, in the journal and in memory, as many as the archive gets. Collective."""
        gaps = self._gaps(self._index())
        return {name: int(gaps.keep(name).sum()) for name in self._columns}

    def take_over(self, lengths: Mapping[str, int]) -> None:
        """Record once more what ``archive.h5`` holds: of each variable the first records, `lengths` of them.

        Raises
        ------
        ParameterError : on all ranks, if the archive is damaged
        """
        path = self.folder / NAME
        self.domain.on_root(lambda: check(path))
        with for_reading(path) as file:
            for name, variable in self.variables.items():
                number = lengths.get(name, 0)
                if number and not variable.distributed:
                    records = file[name][:number]
                    for record in _narrowed(records) if variable.ragged else records:
                        self.record(name, record)
                    heartbeat.beat()
                    continue
                for k in range(number):
                    self.record(name, file[name][k, self._rows(variable)])
                    heartbeat.beat()
                    if self.full:
                        self.flush()

    def _boundaries(self, variable: Variable) -> np.ndarray:
        """First row of every rank in a record, and their number; empty if it is not distributed."""
        if not variable.distributed:
            return np.empty(0, np.int64)
        return self.domain.shares(variable.items) if variable.items else self.domain.boundaries

    def _rows(self, variable: Variable) -> slice:
        return self.domain.share(variable.items) if variable.items else self.domain.rows

    def _whole(self, variable: Variable, entry: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of a record on the whole lattice."""
        return (variable.items or self.domain.shape[0], *entry[1:]) if variable.distributed else entry

    def finish(self, constants: dict[str, np.ndarray], attributes: dict[str, Any]) -> str:
        """Write ``archive.h5`` with everything recorded and the `constants`; the journal is no longer needed then.

        Returns what is lost, "" if nothing is. Collective.

        Memory beyond the records that wait: a block of a variable.

        Raises
        ------
        WriteError : on all ranks, if it cannot be written, or a segment cannot be read
        """
        contents = {}
        for name, values in constants.items():
            dimension, units, description = _CONSTANTS[name]
            labels = {"units": self._units.of(units), "description": description}
            contents[name] = of_array((dimension,), values, labels)
        index = self._index()
        gaps = self._gaps(index) if "" in self.segments else None
        for name, variable in self.variables.items():
            if gaps.keep(name).any() if gaps else name in index or len(self._columns[name]):
                contents[name] = self._dataset(name, variable.dims, index.get(name, []), gaps)
        lost = {"lost": str(gaps)} if gaps else {}
        hdf5.write(self.folder / NAME, self.domain, contents, {"schema": SCHEMA, **attributes, **lost})
        return str(gaps or "")


def check(path: Path) -> None:
    """Compare every dataset of an archive with its checksum.

    Raises
    ------
    ParameterError : if one differs, or the file cannot be read
    """
    names: list[str] = []
    with open_archive(path, SCHEMA) as file:
        try:
            file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
            wrong = [name for name in names if crc.stored(file[name]) not in (None, crc.of_dataset(file[name]))]
        except (OSError, RuntimeError, LookupError) as error:
            raise damaged(path, error) from None
    if wrong:
        raise ParameterError(f"{path}: {', '.join(wrong)}: not what was written")


def _column(variable: Variable) -> Column | Slabs:
    if variable.distributed:
        return Slabs(variable.dtype)
    return Ragged(variable.dtype) if variable.ragged else Column(variable.dtype)


def _widened(blocks: Iterable[np.ndarray], length: int) -> Iterator[np.ndarray]:
    """Records of a ragged variable, all of them as long as the longest."""
    for block in blocks:
        widths = [(0, 0)] * block.ndim
        widths[1] = (0, length - block.shape[1])
        yield np.pad(block, widths, constant_values=np.nan)


def _narrowed(records: np.ndarray) -> np.ndarray:
    """Records of a ragged variable, as long as the longest of these."""
    there = np.flatnonzero(~np.isnan(records).all(axis=(0, *range(2, records.ndim))))
    return records[:, : there[-1] + 1 if len(there) else 0]
