"""Tables for the screen: what a run measured, and what a run directory holds."""

from collections.abc import Sequence
from pathlib import Path

from mpiepm.analysis import estimators
from mpiepm.analysis.errors import Estimate, known
from mpiepm.analysis.read import Ensemble, ensembles, read
from mpiepm.analysis.stationary import block
from mpiepm.core.params import ParameterError
from mpiepm.io import archive, checkpoint, rundir


def summary(folders: Sequence[Path]) -> str:
    """One block for each state point: relaxation times, chi4 peak, yield rate, events; then one for each stationary run."""
    stationary = {folder: run for folder in folders if (run := read(folder)).params["model"]["name"] == "ferrero"}
    origins = ensembles([folder for folder in folders if folder not in stationary])
    return "\n\n".join([*map(_block, origins), *map(block, stationary.values())])


def _block(e: Ensemble) -> str:
    seconds = sum(run.seconds for run in e.runs)
    total = (sum(run.events for run in e.runs))
    inverse, tau = estimators.inverse_yield_rate(e), estimators.tau_alpha(e)
    rate = Estimate(1.0 / inverse.value, inverse.error / inverse.value**2)
    unit = "sweep" if e.temperature > 0 else "event"  # extremal dynamics counts events
    rows = [("tau_alpha", f"{tau} {unit}s")]
    if "correlations/plastic" in e.data:
        rows.append(("tau_alpha by C_s", f"{estimators.tau_stress(e)} {unit}s"))
    rows += [
        ("chi4 peak", f"{estimators.chi4_peak(e)}"),
        ("yield rate", f"{rate} events per site and {unit}"),
        ("1 / yield rate", f"{inverse} {unit}s"),
    ]
    if "four_point/lag" in e.data:
        rows.append(("xi_4", f"{estimators.xi4(e)} sites"))
    rows += [
        ("correlation", f"{'' if known(tau, e.origins) else '>= '}{tau.correlation:.2g} origins"),
        ("events", f"{total}"),
        ("events per second", f"{total / seconds:.3g}" if seconds else "-"),
    ]
    where = str(e.runs[0].folder) if len(e.runs) == 1 else f"{len(e.runs)} runs"
    ranks = "/".join(str(n) for n in sorted({run.history[-1]["ranks"] for run in e.runs}))
    title = f"{where}: {e.name}, {e.origins} origins, {ranks} ranks, {seconds:.1f} s"
    return "\n".join([title, *(f"  {name:18s} {value}" for name, value in rows)])


def describe(folder: Path) -> str:
    """Status of a run directory, finished or not.

    Raises
    ------
    ParameterError : if it holds no run
    """
    if (folder / archive.NAME).exists():
        run = read(folder)
        history = run.history
        lines = [f"{folder}: {run.status}, {len(run.data['origins/duration'])} origins"]
    elif newest := next(iter(checkpoint.existing(folder)), None):
        history = checkpoint.read_header(newest)["history"]
        lines = [f"{folder}: unfinished, newest checkpoint {newest.name}; continue it with --resume"]
    elif (folder / rundir.PARAMETERS).exists():
        return f"{folder}: no checkpoint and no archive yet"
    else:
        raise ParameterError(f"{folder}: holds no run")
    for stretch in history:
        lines.append(
            f"  {stretch['started']}  {stretch['ranks']} ranks on {', '.join(stretch['hosts'])}, "
            f"{stretch['wall_time']:.1f} s, mpiepm {stretch['mpiepm']} ({stretch['git']}), {stretch['mpi']}, "
            f"HDF5 {stretch['hdf5']}"
        )
        if "engine" in stretch:
            lines.append(f"    engine {stretch['engine']}")
    return "\n".join(lines)
