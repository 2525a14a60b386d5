"""Runs, read: archives, or what unfinished runs have recorded."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mpiepm.analysis.contents import first_origins, of_segments, variables
from mpiepm.core.faults import ParameterError
from mpiepm.core.sections import StationaryRun
from mpiepm.io import crc, opening, unfinished
from mpiepm.io.archive import NAME, SCHEMA
from mpiepm.io.hdf5 import text
from mpiepm.io.reading import for_reading
from mpiepm.models.parameters import Parameters, from_values, parse

_ORIGINS = ("origins/time", "origins/duration", "origins/events")
_HISTOGRAM = ("histograms/stress/edges", "histograms/stress/counts", "histograms/stress/outside")
_SERIES = ("series/time", "series/origin", "series/events", "series/yield_rate")
_REQUIRED = (*_ORIGINS, *_HISTOGRAM, *_SERIES)
_OF_ORIGINS = ("persistence/lag", "persistence/value")
_changed_files: list[str] = []  # of which `_warn` has warned
_UNREADABLE = (OSError, RuntimeError, LookupError, ValueError, TypeError, AttributeError)  # what h5py raises on damaged files


@dataclass(frozen=True, eq=False)
class Run:
    """A run: parameters, provenance, and all that it recorded but the fields and trajectories.

    Attributes
    ----------
    params : nested dictionaries
    status : "finished" or "unfinished"
    events : on the whole lattice, from the start to the end, or to the newest checkpoint
    data : path in the archive -> array;  dims : -> names of its dimensions; see docs/archive.md
    files : the archive, or the journal segments in their order
    done : how much of an unfinished run there is, "40 of 60 origins"; "" if it is finished
    """

    folder: Path
    params: dict[str, Any]
    history: list[dict[str, Any]]
    status: str
    events: int
    data: dict[str, np.ndarray]
    dims: dict[str, tuple[str, ...]]
    files: tuple[Path, ...] = ()
    done: str = ""

    @cached_property
    def parameters(self) -> Parameters:
        """`params`, checked."""
        return from_values(self.params)

    @property
    def stationary(self) -> bool:
        """One stationary run, or one with origins?"""
        return bool(self.parameters.run.stationary)

    @property
    def seconds(self) -> float:
        """Wall time of all stretches."""
        return float(sum(stretch["wall_time"] for stretch in self.history))


@contextmanager
def open_archive(folder: Path) -> Iterator[h5py.File]:
    """The archive of a run directory, for reading; what HDF5 cannot read in there is damaged.

    Raises
    ------
    ParameterError : if there is none, it is damaged, or it is not one of ours
    """
    path = _archive(folder)
    if path != folder and not path.exists():
        raise ParameterError(f"{path}: no such file; has the run finished?")
    with opening.open_archive(path, SCHEMA) as file:
        try:
            yield file
        except ParameterError:
            raise
        except _UNREADABLE as error:
            raise opening.damaged(path, error) from None


def _archive(folder: Path) -> Path:
    try:
        return folder / NAME if folder.is_dir() else folder
    except OSError as error:
        raise ParameterError(f"{folder}: cannot be read: {error.strerror}") from None


def read(folder: Path, *, allow_unfinished: bool = False) -> Run:
    """All but the fields and the trajectories of a run; a warning if one differs from its checksum.

    allow_unfinished : without an archive take what the run had recorded up to its newest sound checkpoint

    Only what has a checksum is ours: datasets that others have added to an archive are left alone.

    Raises
    ------
    ParameterError : if there is no archive, or it is damaged or incomplete; of an unfinished run, if nothing can be told yet
    """
    if allow_unfinished and unfinished.exists(folder):
        try:
            return _read_unfinished(folder)
        except (ParameterError, OSError):
            if unfinished.exists(folder):
                raise
            # it has finished meanwhile
    with open_archive(folder) as file:
        run = _collect(folder, file)
    required = _REQUIRED if run.stationary else (*_REQUIRED, *_OF_ORIGINS)
    if missing := [name for name in required if name not in run.data]:
        raise ParameterError(f"{_archive(folder)}: damaged: lacks {', '.join(missing)}")
    return run


def _collect(folder: Path, file: h5py.File) -> Run:
    data, dims = variables(file, crc.ATTRIBUTE)
    _warn(_archive(folder), _differing(file, data))
    params = _plain(parse(text(file.attrs, "params"), source=f"{file.filename}: params"))
    history = json.loads(text(file.attrs, "provenance"))
    events = int(np.asarray(file.attrs["events"]).item())  # netCDF has no scalars
    return Run(folder, params, history, text(file.attrs, "status"), events, data, dims, (_archive(folder),))


def _read_unfinished(folder: Path) -> Run:
    found = unfinished.recorded(folder)
    data, dims = of_segments(found.segments, found.constants)
    data, complete = first_origins(data, dims)
    run = found.params.run
    if isinstance(run, StationaryRun):
        done = f"t = {found.time:.6g} of {run.total_time:.6g} {found.params.units.time}"
        nothing = not (data.get("series/origin", np.empty(0)) == 0).any()
    else:
        done, nothing = f"{complete} of {run.origins} origins", complete == 0
    if nothing:
        when = "equilibrating" if found.origin < 0 else "nothing is complete"
        raise ParameterError(f"{folder}: unfinished, {when} at the newest checkpoint ({done}): nothing to analyse yet")
    params = _plain(found.params)
    return Run(folder, params, found.history, "unfinished", found.events, data, dims, found.segments, done)


def _plain(params: Parameters) -> dict[str, Any]:
    return params.model_dump(mode="json", exclude_none=True)


def field(run: Run, name: str, number: int) -> np.ndarray:
    """Record `number` of a variable that has one for each origin or snapshot; fields too.

    Raises
    ------
    ParameterError : if there is no such variable or record
    """
    for path in run.files:
        with _reopened(path) as file:
            here = len(file[name]) if name in file else 0
            if number < here:
                values: np.ndarray = file[name][number]
                return values
            number -= here
    raise ParameterError(f"{run.folder}: has no {name} of this number")


def _reopened(path: Path) -> h5py.File:
    try:
        return for_reading(path)
    except OSError as error:
        raise ParameterError(f"{path}: cannot be read any more; if the run has gone on meanwhile, try again: {error}") from None


def _differing(file: h5py.File, data: Mapping[str, np.ndarray]) -> list[str]:
    """Names of the datasets whose values do not have their checksum."""
    return [name for name, values in data.items() if crc.of_bytes(values) != crc.stored(file[name])]


def _warn(path: Path, differing: Sequence[str]) -> None:
    """One line if datasets are not what was written."""
    if differing:
        text = f"{', '.join(differing)}: not what was written; take a copy of the file, or see what mpiepm verify says"
        print(f"mpiepm: warning: {path}: {text}", file=sys.stderr, flush=True)
        _changed_files.append(str(path))


@contextmanager
def explained() -> Iterator[None]:
    """Computing with values that are not what was written may fail in any way: that is said in one line.

    Raises
    ------
    ParameterError : instead of an exception that such values may have caused
    """
    _changed_files.clear()
    try:
        with np.errstate(all="ignore"):
            yield
    except ParameterError:
        raise
    except (ArithmeticError, LookupError, ValueError, TypeError) as error:
        if not _changed_files:
            raise
        raise ParameterError(f"{', '.join(_changed_files)}: nothing can be computed from such values: {error}") from error


def first_event_map(folder: Path, origin: int) -> np.ndarray:
    """Lag of the first event of every site after an origin: (x, y), sweeps, inf where none; float32, at low T float64."""
    with open_archive(folder) as file:
        if "origins/first_event_time" not in file:
            raise ParameterError(f"{folder}: has no maps; output.first_event_maps was false")
        values: np.ndarray = file["origins/first_event_time"][origin]
        return values


def tracer_positions(run: Run, number: int) -> np.ndarray:
    """Unwrapped positions of the first tracers (frame, tracer, 2), lattice constants; a warning like that of `read`."""
    parts = []
    for path in run.files:
        with _reopened(path) as file:
            if "tracers/position" not in file:
                continue
            positions = file["tracers/position"]
            if run.status == "finished" and crc.of_dataset(positions) != crc.stored(positions):  # segments are sealed
                _warn(path, ["tracers/position"])
            parts.append(positions[:, : max(number, 1)])
    return np.concatenate(parts)


def flat(params: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested sections to dotted keys."""
    found: dict[str, Any] = {}
    for key, value in params.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return found
