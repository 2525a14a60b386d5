"""Archives, read: what the estimators and figures need of a finished run."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mpiepm.core.params import ParameterError
from mpiepm.io.archive import NAME, SCHEMA

_SMALL = 0.05  # a stop_persistence below which the rest of P may count as 0


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes
    ----------
    params : the parameters, as nested dictionaries;  sites : of the lattice
    lag : float64 (lag,), sweeps;  persistence : float64 (origin, lag), see `complete`
    duration : float64 (origin,), sweeps;  events : int64 (origin,)
    edges, counts : stress histogram of every origin: (bin + 1,), (origin, bin);  outside : (origin,)
    """

    folder: Path
    params: dict[str, Any]
    attributes: dict[str, Any]
    sites: int
    lag: np.ndarray
    persistence: np.ndarray
    duration: np.ndarray
    events: np.ndarray
    edges: np.ndarray
    counts: np.ndarray
    outside: np.ndarray


def open_archive(folder: Path) -> h5py.File:
    """The archive of a run directory, for reading.

    Raises
    ------
    ParameterError : if there is none, or it is not one of ours
    """
    path = folder / NAME if folder.is_dir() else folder
    if not path.exists():
        raise ParameterError(f"{path}: no such file; has the run finished?")
    try:
        file = h5py.File(path, "r")
        if "schema" not in file.attrs:
            file.close()
            raise ParameterError(f"{path}: not an archive of mpiepm")
    except OSError as error:
        raise ParameterError(f"{path}: not a readable HDF5 file: {error}") from None
    if file.attrs["schema"] != SCHEMA:
        raise ParameterError(f"{path}: is {file.attrs['schema']!r}, this program reads {SCHEMA!r}")
    return file


def complete(lag: np.ndarray, persistence: np.ndarray, stop: float) -> tuple[np.ndarray, np.ndarray]:
    """Lags and P without gaps, from P of origins that ended at different lags (NaN from there on), each below `stop`.

    What little was left of P where `stop` is small counts as 0; otherwise only the lags that all origins reached are kept.
    """
    if stop <= _SMALL:
        return lag, np.nan_to_num(persistence, nan=0.0)
    reached = ~np.isnan(persistence).any(axis=0)
    return lag[reached], persistence[:, reached]


def read(folder: Path) -> Run:
    """All but the fields of a finished run."""
    with open_archive(folder) as file:
        attributes = {key: file.attrs[key] for key in ("params", "provenance", "status", "mpiepm_version")}
        params = tomllib.loads(attributes["params"])
        lx, ly = params["lattice"]["size"]
        stop = params["run"].get("stop_persistence", 1.0)
        lag, persistence = complete(file["persistence/lag"][:], file["persistence/value"][:], stop)
        return Run(
            folder=folder,
            params=params,
            attributes=attributes,
            sites=lx * ly,
            lag=lag,
            persistence=persistence,
            duration=file["origins/duration"][:],
            events=file["origins/events"][:],
            edges=file["histograms/stress/edges"][:],
            counts=file["histograms/stress/counts"][:],
            outside=file["histograms/stress/outside"][:],
        )


def first_event_map(folder: Path, origin: int) -> np.ndarray:
    """Lag of the first event of every site after an origin: float32 (x, y), sweeps, inf where none."""
    with open_archive(folder) as file:
        values: np.ndarray = file["origins/first_event_time"][origin]
        return values
