"""Archives, read: finished runs, grouped into ensembles of trajectories that differ in nothing but their seed."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mpiepm.core.params import ParameterError, parse
from mpiepm.io import crc, opening
from mpiepm.io.archive import NAME, SCHEMA
from mpiepm.io.hdf5 import DIMENSIONS, text

_SMALL = 0.05  # a stop_persistence below which the rest of P may count as 0
_FREE = ("run.seed", "run.origins", "output.checkpoint_minutes", "output.snapshots", "output.snapshot_origins",
         "output.first_event_maps", "output.event_counts")  # fmt: skip  # may differ within an ensemble

_ORIGINS = ("origins/time", "origins/duration", "origins/events")
_HISTOGRAM = ("histograms/stress/edges", "histograms/stress/counts", "histograms/stress/outside")
_SERIES = ("series/time", "series/origin", "series/events", "series/yield_rate")
_REQUIRED = {
    "epmq": (*_ORIGINS, *_HISTOGRAM, *_SERIES, "persistence/lag", "persistence/value"),
    "ferrero": (*_ORIGINS, *_HISTOGRAM, *_SERIES, "series/activity"),
}
_UNREADABLE = (OSError, RuntimeError, LookupError, ValueError, TypeError, AttributeError)  # what h5py raises on damaged files


@dataclass(frozen=True, eq=False)
class Run:
    """A finished run: parameters, provenance, and all but the fields of its archive.

    Attributes
    ----------
    params : nested dictionaries
    events : on the whole lattice, from the start to the end
    data : path in the archive -> array;  dims : -> names of its dimensions; see docs/archive.md
    """

    folder: Path
    params: dict[str, Any]
    history: list[dict[str, Any]]
    status: str
    events: int
    data: dict[str, np.ndarray]
    dims: dict[str, tuple[str, ...]]

    @property
    def seconds(self) -> float:
        """Wall time of all stretches."""
        return float(sum(stretch["wall_time"] for stretch in self.history))


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Trajectories at one state point; origins of all of them, one trajectory after the other.

    Attributes
    ----------
    params : what the runs have in common
    origins : their number
    lag : float64 (lag,), sweeps;  persistence : float64 (origin, lag), see `complete`
    data : every other variable of the archives: records (origin, ...) of all runs in one array, or constants
    """

    runs: tuple[Run, ...]
    params: dict[str, Any]
    sites: int
    origins: int
    lag: np.ndarray
    persistence: np.ndarray
    data: dict[str, np.ndarray]

    @property
    def name(self) -> str:
        """The state point, for people."""
        model, size = self.params["model"], self.params["lattice"]["size"]
        elastic = "" if model["elasticity"] else ", no elasticity"
        return f"{model['name']}, T = {model['temperature']:g}, L = {size[0]} x {size[1]}{elastic}"

    @property
    def temperature(self) -> float:
        """T."""
        return float(self.params["model"]["temperature"])


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


def read(folder: Path) -> Run:
    """All but the fields and the trajectories of a finished run; a warning if one differs from its checksum.

    Only what has a checksum is ours: datasets that others have added are left alone.

    Raises
    ------
    ParameterError : if there is no archive, or it is damaged or incomplete
    """
    with open_archive(folder) as file:
        run = _collect(folder, file)
    model = run.params["model"]["name"]
    if missing := [name for name in _REQUIRED[model] if name not in run.data]:
        raise ParameterError(f"{_archive(folder)}: damaged: lacks {', '.join(missing)}")
    return run


def _collect(folder: Path, file: h5py.File) -> Run:
    data: dict[str, np.ndarray] = {}
    dims: dict[str, tuple[str, ...]] = {}
    differing: list[str] = []

    def collect(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and crc.ATTRIBUTE in item.attrs:
            dims[name] = tuple(text(item.attrs, DIMENSIONS).split())
            if not {"x", "tracer"} & set(dims[name]):
                data[name] = item[()]
                if crc.of_bytes(data[name]) != crc.stored(item):
                    differing.append(name)

    file.visititems(collect)
    _warn(_archive(folder), differing)
    params = parse(text(file.attrs, "params"), source=f"{file.filename}: params").model_dump(mode="json", exclude_none=True)
    history = json.loads(file.attrs["provenance"])
    events = int(np.asarray(file.attrs["events"]).item())  # netCDF has no scalars
    return Run(folder, params, history, text(file.attrs, "status"), events, data, dims)


def _warn(path: Path, differing: Sequence[str]) -> None:
    """One line if datasets are not what was written."""
    if differing:
        text = f"{', '.join(differing)}: not what was written; take a copy of the file, or see what mpiepm verify says"
        print(f"mpiepm: warning: {path}: {text}", file=sys.stderr, flush=True)


def first_event_map(folder: Path, origin: int) -> np.ndarray:
    """Lag of the first event of every site after an origin: float32 (x, y), sweeps, inf where none."""
    with open_archive(folder) as file:
        if "origins/first_event_time" not in file:
            raise ParameterError(f"{folder}: has no maps; output.first_event_maps was false")
        values: np.ndarray = file["origins/first_event_time"][origin]
        return values


def tracer_positions(run: Run, number: int) -> np.ndarray:
    """Unwrapped positions of the first tracers (frame, tracer, 2), lattice constants; a warning like that of `read`."""
    with open_archive(run.folder) as file:
        positions = file["tracers/position"]
        if crc.of_dataset(positions) != crc.stored(positions):
            _warn(_archive(run.folder), [positions.name[1:]])
        values: np.ndarray = positions[:, : max(number, 1)]
        return values


def complete(lag: np.ndarray, persistence: np.ndarray, stop: float) -> tuple[np.ndarray, np.ndarray]:
    """Lags and P without gaps, from P of origins that ended at different lags (NaN from there on), each below `stop`.

    What little was left of P where `stop` is small counts as 0; otherwise only the lags that all origins reached are kept.
    """
    if stop <= _SMALL:
        return lag, np.nan_to_num(persistence, nan=0.0)
    reached = ~np.isnan(persistence).any(axis=0)
    return lag[reached], persistence[:, reached]


def flat(params: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested sections to dotted keys."""
    found: dict[str, Any] = {}
    for key, value in params.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return found


def _state_point(run: Run) -> str:
    """What runs of one ensemble share: the model and how it was run, not what was written down."""
    return repr(sorted((k, v) for k, v in flat(run.params).items() if k not in _FREE and not k.startswith("output.")))


def ensembles(folders: Sequence[Path]) -> list[Ensemble]:
    """The runs in these folders, grouped by state point; see `group`."""
    return group([read(folder) for folder in folders])


def group(runs: Sequence[Run]) -> list[Ensemble]:
    """The runs by state point, in the order in which the state points come first.

    Raises
    ------
    ParameterError : if two are the same trajectory, or of one state point but observed differently, or of another model
    """
    groups: dict[str, list[Run]] = {}
    for run in runs:
        if (model := run.params["model"]["name"]) != "epmq":
            raise ParameterError(f"{run.folder}: is a run of model {model!r}, which has no origins; this is for 'epmq'")
        groups.setdefault(_state_point(run), []).append(run)
    return [_ensemble(runs) for runs in groups.values()]


def _ensemble(runs: Sequence[Run]) -> Ensemble:
    first = runs[0]
    seeds: dict[int, Run] = {}
    for run in runs:
        seed = run.params["run"]["seed"]
        if seed in seeds:
            raise ParameterError(f"{seeds[seed].folder}, {run.folder}: the same state point and run.seed = {seed}; give one")
        seeds[seed] = run
        here, there = flat(run.params), flat(first.params)
        for key in sorted(here.keys() | there.keys()):
            if key not in _FREE and here.get(key) != there.get(key):
                both = f"{there.get(key)!r} and {here.get(key)!r}"
                raise ParameterError(f"{first.folder}, {run.folder}: cannot be averaged, {key} is {both}")
    data = {name: _join([run.data[name] for run in runs], dims) for name, dims in first.dims.items() if name in first.data}
    stop = first.params["run"].get("stop_persistence", 1.0)
    lag, persistence = complete(data["persistence/lag"], data["persistence/value"], stop)
    lx, ly = first.params["lattice"]["size"]
    return Ensemble(tuple(runs), first.params, lx * ly, len(persistence), lag, persistence, data)


def _join(parts: Sequence[np.ndarray], dims: tuple[str, ...]) -> np.ndarray:
    """Records one after the other, filled up with NaN where lags are missing; of a constant the longest."""
    if dims[0] not in ("origin", "entry", "snapshot"):
        return max(parts, key=len)
    if len(dims) > 1 and len({part.shape[1] for part in parts}) > 1:
        longest = max(part.shape[1] for part in parts)
        rest = [(0, 0)] * (len(dims) - 2)
        parts = [
            np.pad(part, [(0, 0), (0, longest - part.shape[1]), *rest], constant_values=np.nan) for part in parts
        ]
    return np.concatenate(parts)
