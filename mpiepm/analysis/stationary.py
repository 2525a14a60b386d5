"""What one stationary run measured: means over time, with errors from blocks of the run."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import xarray

from mpiepm.analysis import waiting, words
from mpiepm.analysis.errors import Estimate, jackknife
from mpiepm.analysis.labels import add
from mpiepm.analysis.motion import DIFFUSION_UNITS, Motion, motion
from mpiepm.analysis.read import Run, read
from mpiepm.core.amounts import number_of
from mpiepm.core.faults import ParameterError
from mpiepm.models.parameters import Parameters

_BLOCKS = 20  # of a run: long enough to be independent, many enough for an error

_MEANS = {  # series: label, what follows the number, units
    "activity": ("activity", "", "1"),
    "yield_rate": ("yield rate", " events per site and tau", "1/tau"),
    "stress_variance": ("stress variance", "", "sigma_Y^2"),
    "stress_kurtosis": ("stress kurtosis", "", "1"),
}


def mean_over_time(run: Run, name: str) -> Estimate:
    """Mean of series/`name` after equilibration; error from blocks of the run, each entry a block if there are few."""
    values = run.data[f"series/{name}"][run.data["series/origin"] == 0]
    blocks = np.array([block.mean() for block in np.array_split(values, min(_BLOCKS, len(values)))])
    return Estimate(float(values.mean()), jackknife(lambda o: float(blocks[o].mean()), len(blocks)).error)


def resolve_measured(params: Parameters) -> Parameters:
    """The parameters with a mean of another run in place of its name, such as activity for activity_from, if they name one.

    Raises
    ------
    ParameterError : if there is no such run, or it has not recorded the quantity
    """
    for key, quantity in params.model.measured.items():
        if (name := getattr(params.model, key)) is None:
            continue
        given = f"model.{key} = {name!r}"
        try:
            run = read(Path(name))
        except ParameterError as error:
            raise ParameterError(f"{given}: {error}") from None
        if f"series/{quantity}" not in run.data:
            raise ParameterError(f"{given}: must be a run that has recorded series/{quantity}")
        params = params.with_measured(key, float(mean_over_time(run, quantity).value))
    return params


def all_different(runs: Sequence[Run]) -> None:
    """Raises ParameterError if two are the same trajectory."""
    seen: dict[str, Run] = {}
    for run in runs:
        same = repr([run.params[section] for section in ("lattice", "model", "engine", "run")])
        if (other := seen.setdefault(same, run)) is not run:
            seed = run.params["run"]["seed"]
            raise ParameterError(f"{other.folder}, {run.folder}: the same state point and run.seed = {seed}; give one")


@dataclass(frozen=True)
class StationaryPoint:
    """One stationary run: means over time, motion of the tracers, waiting times."""

    run: Run

    @cached_property
    def numbers(self) -> dict[str, Estimate]:
        """Means over time, and D at the longest lag that there is an estimate for."""
        found = {f"mean_{name}": mean_over_time(self.run, name) for name in _MEANS if f"series/{name}" in self.run.data}
        if self._motion:
            found["diffusion"] = self._motion.longest
        return found

    @cached_property
    def _motion(self) -> Motion | None:
        return motion(self.run)

    def table(self) -> str:
        """A block of lines, for the screen."""
        run, numbers = self.run, self.numbers
        model, size = run.params["model"], run.params["lattice"]["size"]
        state = run.parameters.model.state_point()
        ranks, seconds = run.history[-1]["ranks"], run.seconds
        done = f"unfinished: {run.done}, " if run.done else ""
        lattice, counted = f"L = {size[0]} x {size[1]}", number_of(ranks, "rank")
        title = f"{run.folder}: {model['name']}, {state}, {lattice}, {done}{counted}, {seconds:.1f} s"
        rows = [("unfinished", words.UNFINISHED)] if run.done else []
        rows += [(label, f"{numbers[f'mean_{name}']}{unit}") for name, (label, unit, _) in _MEANS.items()]
        rows.append(("events", words.events(run.events, self._counted())))
        if self._motion:
            rows.append(("tracers", f"{run.params['tracers']['number']}, {len(run.data['tracers/time'])} frames"))
            rows += self._motion.table()
        rows += [("snapshots", line) for line in words.snapshots(run)]
        return words.block(title, rows)

    def _counted(self) -> int:
        """Events after equilibration; of an unfinished run those of its entries."""
        if "origins/events" in self.run.data:
            return int(self.run.data["origins/events"].sum())
        here = self.run.data["series/origin"] == 0
        lag, rate = self.run.data["series/lag"][here], self.run.data["series/yield_rate"][here]
        return round(float((rate * np.diff(lag, prepend=0.0)).sum()) * float(np.prod(self.run.params["lattice"]["size"])))

    def dataset(self) -> xarray.Dataset:
        """Everything, as the one `state` of a dataset."""
        run, result = self.run, xarray.Dataset()
        for name, estimate in self.numbers.items():
            add(result, name, (), estimate, DIFFUSION_UNITS if name == "diffusion" else _MEANS[name.removeprefix("mean_")][2])
        if self._motion:
            result = self._motion.label(result)
        if "waiting_times/exchange" in run.data:
            edges, complete, cut = (run.data[f"waiting_times/{name}"] for name in ("edges", "exchange", "open"))
            result = result.assign_coords(waiting_time=("waiting_time", waiting.centres(edges), {"units": "tau"}))
            add(result, "waiting_time_density", ("waiting_time",), waiting.product_limit(edges, complete, cut), "1/tau")
        model, (lx, ly) = run.params["model"], run.params["lattice"]["size"]
        labels = {
            "where": str(run.folder), "model": model["name"], "activation": model.get("activation", ""),
            "temperature": model.get("temperature", np.nan), "lx": lx, "ly": ly, "elasticity": True,
            "engine": run.params["engine"]["name"], "trajectories": 1, "origins": 1, "status": run.status,
        }  # fmt: skip
        return result.expand_dims("state").assign_coords({name: ("state", [value]) for name, value in labels.items()})
