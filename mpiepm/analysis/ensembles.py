"""Ensembles: runs that differ in nothing but their seed, and the origins of all of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mpiepm.analysis.contents import join
from mpiepm.analysis.read import Run, flat, read
from mpiepm.core.faults import ParameterError
from mpiepm.core.units import Units
from mpiepm.models.parameters import from_values

_SMALL = 0.05  # a stop_persistence below which the rest of P may count as 0
_FREE = ("run.seed", "run.origins", "output.checkpoint_minutes", "output.snapshots", "output.snapshot_origins",
         "output.first_event_maps", "output.event_counts")  # fmt: skip  # may differ within an ensemble


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
        return from_values(self.params).units

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


def complete(lag: np.ndarray, persistence: np.ndarray, stop: float) -> tuple[np.ndarray, np.ndarray]:
    """Lags and P without gaps, from P of origins that ended at different lags (NaN from there on), each below `stop`.

    What little was left of P where `stop` is small counts as 0; otherwise only the lags that all origins reached are kept.
    """
    if stop <= _SMALL:
        return lag, np.nan_to_num(persistence, nan=0.0)
    reached = ~np.isnan(persistence).any(axis=0)
    return lag[reached], persistence[:, reached]


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
        if run.stationary:
            raise ParameterError(f"{run.folder}: is a stationary run; this is for runs with origins")
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
