"""Checkpoints: the whole state of a run in one HDF5 file, readable on any number of ranks.

Fields lie in the file as they lie on the lattice; everything else is one JSON text, in which Python's floats and
integers survive to the bit. A checkpoint is written beside the older ones, sealed (`io.checksum`), synced and then renamed; the
newest two are kept while a run is unfinished. Nothing is read from one that is not, byte by byte, what was written.

``state.h5`` is a checkpoint too, of the end of the last origin before it is recorded. It stays when the run is finished: from
there the run goes on if it is to be longer (`recorded`).
"""

import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from mpiepm.core import trajectory
from mpiepm.core.faults import ParameterError
from mpiepm.grid.domain import Domain
from mpiepm.io import hdf5, journal
from mpiepm.io.dataset import Dataset, of_slabs
from mpiepm.io.disk import together
from mpiepm.io.opening import open_sealed, seal_of
from mpiepm.io.reading import for_reading
from mpiepm.models.parameters import Parameters, parse

SCHEMA = "mpiepm checkpoint 4"
STATE = "state.h5"
KEEP = 2
_NAME = re.compile(r"checkpoint-(\d{6,})\.h5")


class Saveable(Protocol):
    """A part of the run with scalars and fields of its own.

    A part may have an attribute `lists`: the names of those fields that are no fields of the lattice. They are as long on each
    rank as the part likes, and come back in the same order, cut evenly (`Domain.share`).
    """

    def save(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Scalars (JSON), the same on all ranks, and fields (local rows, Ly or any other number). Collective."""

    def restore(self, scalars: dict[str, Any], fields: dict[str, np.ndarray]) -> None:
        """Undo `save`. Collective."""


class Sound(NamedTuple):
    """From where a run goes on: `path` (None: from the start), what is wrong with other files, numbers of lost segments."""

    path: Path | None
    faults: list[str]
    lost: list[int]


def existing(folder: Path) -> list[Path]:
    """Complete checkpoints in a run directory, newest first."""
    found = {int(match[1]): path for path in folder.iterdir() if (match := _NAME.fullmatch(path.name)) and path.is_file()}
    return [found[number] for number in sorted(found, reverse=True)]


def write(folder: Path, domain: Domain, number: int, parts: dict[str, Saveable], header: dict[str, Any]) -> None:
    """Write checkpoint `number` and remove all but the newest `KEEP`. Collective.

    Raises
    ------
    WriteError : on all ranks; the older checkpoints are untouched
    """
    write_file(folder / f"checkpoint-{number:06d}.h5", domain, parts, header)
    with together(domain, folder):
        if domain.rank == 0:
            for old in existing(folder)[KEEP:]:
                old.unlink()


def write_file(path: Path, domain: Domain, parts: dict[str, Saveable], header: dict[str, Any]) -> None:
    """Write one checkpoint. Collective.

    Raises
    ------
    WriteError : on all ranks; what was at `path` is untouched
    """
    scalars: dict[str, Any] = {}
    contents: dict[str, Dataset] = {}
    for name, part in parts.items():
        scalars[name], fields = part.save()
        for key, slab in fields.items():
            listed = key in getattr(part, "lists", ())
            boundaries = domain.stacked(len(slab)) if listed else domain.boundaries
            rows, columns = (f"{name}_{key}_row" if listed else "x"), f"{name}_{key}_column"
            dims = (f"{name}_{key}_one", rows, "y" if slab.shape[1] == domain.shape[1] else columns)
            if boundaries[-1]:  # a dimension of no length would be an unlimited one
                contents[f"{name}/{key}"] = of_slabs(dims, [slab], boundaries)
    text = json.dumps({"header": header, "parts": scalars})
    hdf5.write(path, domain, contents, {"schema": SCHEMA, "scalars": text}, sealed=True)


def newest_sound(folder: Path, domain: Domain, params: Parameters) -> Sound:
    """The newest sound checkpoint, with all its journal, that `params` can continue. Collective.

    Where every checkpoint lacks segments of its journal, it is the one that lacks least.

    Raises
    ------
    ParameterError : on all ranks, if there are checkpoints, but no sound one
    """
    return domain.on_root(lambda: newest_sound_here(folder, params))


def newest_sound_here(folder: Path, params: Parameters) -> Sound:
    """As `newest_sound`, on one rank alone."""
    faults: list[str] = []
    incomplete: list[Sound] = []
    for path in resumable(folder):
        try:
            _check(path, params)
            header = read_header(path)
            lost = journal.faults(folder, header["segments"])
        except ParameterError as error:
            faults.append(str(error))
            continue
        if not lost:
            return Sound(path, faults, [])
        faults += [fault for fault in lost.values() if fault not in faults]
        if "records" in header:  # how many each segment has
            incomplete.append(Sound(path, faults, list(lost)))
    if incomplete:
        return min(incomplete, key=lambda sound: len(sound.lost))
    if faults:
        raise ParameterError(f"{folder}: no sound checkpoint to resume from: {'; '.join(faults)}")
    return Sound(None, [], [])


def sound_state(folder: Path, domain: Domain, params: Parameters) -> Sound:
    """state.h5, to make the finished run in `folder` longer. Collective.

    Raises
    ------
    ParameterError : on all ranks, if it is not there, or not sound, or does not lead to `params`
    """
    domain.on_root(lambda: _check(folder / STATE, params))
    return Sound(folder / STATE, [], [])


def _check(path: Path, params: Parameters) -> None:
    """Raises ParameterError if the checkpoint is not sound, or of a run that cannot become one of `params`."""
    seal_of(path, "checkpoint", SCHEMA)
    stored, reached = progress(path)
    if refused := trajectory.refusals(stored, params, reached):
        raise ParameterError(f"{path}: belongs to a run with other parameters: {'; '.join(refused)}")


def resumable(folder: Path) -> list[Path]:
    """Files from which the unfinished run in `folder` may go on, newest first; state.h5 if its journal was written."""
    state = folder / STATE
    found = existing(folder)
    with suppress(ParameterError):
        if state.exists() and read_header(state)["segments"] is not None:
            found.append(state)
    return found


def progress(path: Path) -> tuple[Parameters, trajectory.Reached]:
    """The parameters of a checkpoint, and how far the run was; raises like `read_header`."""
    scalars = _scalars(path)
    phases, state = scalars["parts"]["phases"], scalars["parts"]["state"]
    reached = trajectory.Reached(phases["origin"] + phases["begun"], state["time"] if phases["origin"] >= 0 else 0.0)
    return parse(scalars["header"]["params"]), reached


def read_header(path: Path) -> dict[str, Any]:
    """What `write` was given as header. The fields are not compared with their checksums: `newest_sound` does that, once.

    Raises
    ------
    ParameterError : if the file is no checkpoint of this schema
    """
    header: dict[str, Any] = _scalars(path)["header"]
    return header


def read_parts(path: Path) -> dict[str, dict[str, Any]]:
    """Scalars of all parts, by name; raises like `read_header`."""
    parts: dict[str, dict[str, Any]] = _scalars(path)["parts"]
    return parts


def _scalars(path: Path) -> dict[str, Any]:
    with open_sealed(path, "checkpoint", SCHEMA) as file:
        try:
            result: dict[str, Any] = json.loads(file.attrs["scalars"])
            return result
        except (OSError, KeyError, ValueError) as error:
            raise ParameterError(f"{path}: not a readable checkpoint: {error}") from None


def restore(path: Path, domain: Domain, parts: dict[str, Saveable]) -> None:
    """Bring the parts that a sound checkpoint holds to what they were; every rank reads its own rows. Collective."""
    scalars = _scalars(path)["parts"]
    with for_reading(path) as file:
        for name, part in ((name, part) for name, part in parts.items() if name in scalars):
            stored = file[name].items() if name in file else ()
            lists = getattr(part, "lists", ())
            fields = {
                key: dataset[0, domain.share(dataset.shape[1]) if key in lists else domain.rows]
                for key, dataset in stored
                if dataset.ndim == 3
            }
            part.restore(scalars[name], fields)
