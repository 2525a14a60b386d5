"""What one stationary run of the model "ferrero" measured: means over time, with errors from blocks of the run."""

from pathlib import Path

import numpy as np

from mpiepm.analysis.errors import Estimate, jackknife
from mpiepm.analysis.read import Run, read
from mpiepm.core.params import FerreroParameters, ParameterError

_BLOCKS = 20  # of a run: long enough to be independent, many enough for an error


def mean_over_time(run: Run, name: str) -> Estimate:
    """Mean of series/`name` after equilibration; error from blocks of the run, each entry a block if there are few."""
    values = run.data[f"series/{name}"][run.data["series/origin"] == 0]
    blocks = np.array([block.mean() for block in np.array_split(values, min(_BLOCKS, len(values)))])
    return Estimate(float(values.mean()), jackknife(lambda o: float(blocks[o].mean()), len(blocks)).error)


def resolve_activity(params: FerreroParameters) -> FerreroParameters:
    """The parameters with the mean activity of the run in model.activity_from instead of its name, if they have one.

    Raises
    ------
    ParameterError : if there is no such run, or it has no activity
    """
    if params.model.activity_from is None:
        return params
    folder = Path(params.model.activity_from)
    try:
        run = read(folder)
    except ParameterError as error:
        raise ParameterError(f"model.activity_from = {str(folder)!r}: {error}") from None
    if "series/activity" not in run.data:
        raise ParameterError(f"model.activity_from = {str(folder)!r}: must be a run of model 'ferrero'")
    return params.with_activity(float(mean_over_time(run, "activity").value))


def block(run: Run) -> str:
    """A table of one run, for the screen."""
    model, size = run.params["model"], run.params["lattice"]["size"]
    state = f"T = {model['temperature']:g}" if model["activation"] == "thermal" else f"random, a = {model['activity']:g}"
    ranks, seconds = run.history[-1]["ranks"], run.seconds
    title = f"{run.folder}: ferrero, {state}, L = {size[0]} x {size[1]}, {ranks} ranks, {seconds:.1f} s"
    rows = [
        ("activity", f"{mean_over_time(run, 'activity')}"),
        ("events", f"{mean_over_time(run, 'yield_rate')} per site and tau"),
        ("stress variance", f"{mean_over_time(run, 'stress_variance')}"),
        ("stress kurtosis", f"{mean_over_time(run, 'stress_kurtosis')}"),
        ("events in all", f"{int(run.data['series/events'][-1])}"),
    ]
    if "tracers/time" in run.data:
        rows.append(("tracers", f"{run.params['tracers']['number']}, {len(run.data['tracers/time'])} frames"))
    return "\n".join([title, *(f"  {name:18s} {value}" for name, value in rows)])
