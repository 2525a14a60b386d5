"""Runs, read: archives, or what unfinished runs have recorded; and ensembles of runs that differ in nothing but their seed."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mpiepm.analysis.contents import first_origins, join, of_segments, variables
from mpiepm.core.params import AnyParameters, FerreroParameters, ParameterError, from_values, parse
from mpiepm.core.units import Units, units
from mpiepm.io import unfinished
from mpiepm.io.archive import NAME, READABLE
from mpiepm.io.opening import compare, open_file

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

    @property
    def units(self) -> Units:
        """Those of the model: time counts events where dynamics are extremal."""
        return units(from_values(self.params))

    @property
    def unfinished(self) -> str:
        """How much there is, for people, if not all runs are finished; else ""."""
        open_runs = [run for run in self.runs if run.done]
        if not open_runs:
            return ""
        if len(self.runs) == 1:
            return f"unfinished: {open_runs[0].done}"
        total = sum(int(run.params["run"]["origins"]) for run in self.runs)
        return f"{len(open_runs)} of {len(self.runs)} runs unfinished: {self.origins} of {total} origins"


def open_archive(folder: Path) -> h5py.File:
    """The archive of a run directory, for reading.

    Raises
    ------
    ParameterError : if there is none, it is damaged, or it is not one of ours
    """
    path = _archive(folder)
    if path != folder and not path.exists():
        raise ParameterError(f"{path}: no such file; has the run finished?")
    return open_file(path, "archive", READABLE)


def _archive(folder: Path) -> Path:
    try:
        return folder / NAME if folder.is_dir() else folder
    except OSError as error:
        raise ParameterError(f"{folder}: cannot be read: {error.strerror}") from None


def read(folder: Path, *, allow_unfinished: bool = False) -> Run:
    """All but the fields and the trajectories of a run, compared with their checksums.

    allow_unfinished : without an archive take what the run had recorded up to its newest sound checkpoint

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
        try:
            run = _collect(folder, file)
            compare(_archive(folder), list(run.data))
        except ParameterError:
            raise
        except (OSError, RuntimeError, LookupError, ValueError, TypeError, AttributeError) as error:
            raise ParameterError(f"{_archive(folder)}: damaged: {error}") from None
    model = run.params["model"]["name"]
    if missing := [name for name in _REQUIRED[model] if name not in run.data]:
        raise ParameterError(f"{_archive(folder)}: damaged: lacks {', '.join(missing)}")
    return run


def _collect(folder: Path, file: h5py.File) -> Run:
    data, dims = variables(file)
    params = _plain(parse(file.attrs["params"], source=f"{file.filename}: params"))
    history = json.loads(file.attrs["provenance"])
    events = int(np.asarray(file.attrs["events"]).item())  # netCDF has no scalars
    return Run(folder, params, history, file.attrs["status"], events, data, dims, (_archive(folder),))


def _read_unfinished(folder: Path) -> Run:
    found = unfinished.progress(folder)
    data, dims = of_segments(found.segments, found.constants)
    data, complete = first_origins(data, dims)
    if isinstance(found.params, FerreroParameters):
        run = found.params.run
        done = f"t = {found.time:.6g} of {run.equilibrate.time + run.duration:.6g} tau"
        nothing = not (data.get("series/origin", np.empty(0)) == 0).any()
    else:
        done, nothing = f"{complete} of {found.params.run.origins} origins", complete == 0
    if nothing:
        when = "equilibrating" if found.origin < 0 else "nothing is complete"
        raise ParameterError(f"{folder}: unfinished, {when} at the newest checkpoint ({done}): nothing to analyse yet")
    params = _plain(found.params)
    return Run(folder, params, found.history, "unfinished", found.events, data, dims, found.segments, done)


def _plain(params: AnyParameters) -> dict[str, Any]:
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
        return h5py.File(path, "r")
    except OSError as error:
        raise ParameterError(f"{path}: cannot be read any more; if the run has gone on meanwhile, try again: {error}") from None


def first_event_map(folder: Path, origin: int) -> np.ndarray:
    """Lag of the first event of every site after an origin: float32 (x, y), sweeps, inf where none."""
    with open_archive(folder) as file:
        if "origins/first_event_time" not in file:
            raise ParameterError(f"{folder}: has no maps; output.first_event_maps was false")
        values: np.ndarray = file["origins/first_event_time"][origin]
        return values


def tracer_positions(run: Run, number: int) -> np.ndarray:
    """Unwrapped positions of the first tracers (frame, tracer, 2), lattice constants, compared with their checksum."""
    if run.status == "finished":  # the segments of others have been compared already
        compare(run.files[0], ["tracers/position"])
    parts = []
    for path in run.files:
        with _reopened(path) as file:
            if "tracers/position" in file:
                parts.append(file["tracers/position"][:, : max(number, 1)])
    return np.concatenate(parts)


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


def ensembles(folders: Sequence[Path], *, allow_unfinished: bool = False) -> list[Ensemble]:
    """The runs in these folders, grouped by state point; see `group` and `read`."""
    return group([read(folder, allow_unfinished=allow_unfinished) for folder in folders])


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
    data = {name: join([run.data[name] for run in runs], dims) for name, dims in first.dims.items()
            if all(name in run.data for run in runs)}  # fmt: skip
    stop = first.params["run"].get("stop_persistence", 1.0)
    lag, persistence = complete(data["persistence/lag"], data["persistence/value"], stop)
    lx, ly = first.params["lattice"]["size"]
    return Ensemble(tuple(runs), first.params, lx * ly, len(persistence), lag, persistence, data)
